"""Order parameters of networks whose middle layer was trained: what the phase diagram of arXiv:2509.01349 shows.

The network is y = Z a(W a(M x)) with trained W (K x L), the same activation a twice, and one output; its teacher has
the same M and Z. Its *features* are s = a(W a(M x)), at the start s_0. Means are over 128 inputs, the same for all.
"""

from __future__ import annotations

import math

import numpy as np

from ..ensembles.run import Run
from ..models.neural.layers import ACTIVATIONS, forward

__all__ = ["NAMES", "order_parameters"]

INPUTS, SEED = 128, 42
NAMES = ("overlap", "alignment", "spacing_growth", "loss", "confined")


def order_parameters(run: Run) -> dict[str, np.ndarray]:
    """Return the order parameters of a run, one number for each network; see `phase_diagram` for what they are.

    The run has records of the start and of the end, and their weights.
    """
    model = run.process.model  # type: ignore[attr-defined]
    (first, final, last), (_, teacher, _) = model.networks(np.asarray(run.state, np.float64))
    assert run.weights is not None
    start, activation = run.weights[:, 0], ACTIVATIONS[model.activation]
    x = np.random.default_rng(SEED).standard_normal((INPUTS, model.widths[0]))
    each = [forward((first, middle, last), activation, x[None]) for middle in (start, final, teacher)]
    (_, (*_, s_start)), ((*_, z), (*_, s)), (_, (*_, s_teacher)) = each
    y, y_teacher = (features @ last.swapaxes(1, 2) for features in (s, s_teacher))  # (networks, inputs, 1)
    push = activation.back((y_teacher - y) * last, z, s)  # of every feature, minus the gradient by W's rows but for x
    wanted = y_teacher * last
    with np.errstate(invalid="ignore", divide="ignore"):  # features that vanish have no direction
        cosine = (wanted * s).sum((1, 2)) / np.sqrt((wanted**2).sum((1, 2)) * (s**2).sum((1, 2)))
    return {
        "overlap": (s_start * s).mean((1, 2)),
        "alignment": cosine / INPUTS,
        "spacing_growth": np.log(mean_spacings(final) / mean_spacings(start)),
        "loss": ((y_teacher - y) ** 2).mean((1, 2)),
        "confined": confined(run, final, z, push).astype(float),
    }


def mean_spacings(weights: np.ndarray) -> np.ndarray:
    """Mean spacing of the eigenvalues of W W^T, (networks,)."""
    levels = np.linalg.eigvalsh(weights @ weights.swapaxes(1, 2))
    return np.asarray((levels[:, -1] - levels[:, 0]) / (levels.shape[1] - 1))


def confined(run: Run, weights: np.ndarray, z: np.ndarray, push: np.ndarray) -> np.ndarray:
    """Whether the drift of the levels outweighs their repulsion, (networks,).

    (k_1 - k_K)/(sqrt(2) (K - 1)) >= T v/(4 sigma_W^2), with the drift of the levels k = |diag U^T <A> U| and v = 2
    V_1K/(K - 1) + sum_(m=1)^(K-2) (V_1,m+1 + V_K,K-m+1)/m from V = U^T Var(A) U. A = p z^T + z p^T is what a sample
    does to W W^T, z = W a(M x) and p its push; columns of U are the eigenvectors of W W^T, the largest level first.
    """
    process = run.process
    size = weights.shape[1]
    change = push[:, :, :, None] * z[:, :, None, :]
    change = change + change.swapaxes(2, 3)
    u = np.linalg.eigh(weights @ weights.swapaxes(1, 2))[1][:, :, ::-1]
    drift, variance = (u.swapaxes(1, 2) @ part @ u for part in (change.mean(1), change.var(1)))
    k = np.abs(np.diagonal(drift, axis1=1, axis2=2))
    m = np.arange(1, size - 1)
    v = 2 * variance[:, 0, -1] / (size - 1) + ((variance[:, 0, m] + variance[:, -1, size - m]) / m).sum(1)
    temperature = process.learning_rate / process.batch_size  # type: ignore[attr-defined]
    sigma_squared = process.init_scale**2 * weights.shape[2]  # type: ignore[attr-defined]
    return np.asarray((k[:, 0] - k[:, -1]) / (math.sqrt(2) * (size - 1)) >= temperature * v / (4 * sigma_squared))
