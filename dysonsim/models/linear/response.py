"""Stationary second moments of a linear network under any optimizer.

In the eigenbasis u_a of P = Z^T Z the rows F_a = u_a^T (W - E W) have gradients

g_a = h_a F_a + z_a^2 F_a (C - 1) - z_a^2 D_a (C - 1) - noise,  h_a = z_a^2 + lambda,  D_a = u_a^T (W_t - E W)

with weight decay lambda, which leaves the mean E W = (P + lambda)^-1 P W_t behind the teacher. For Gaussian inputs
E[(C - 1)_ki (C - 1)_lj] = (delta_kl delta_ij + delta_kj delta_il)/|B|, so that the second moments
M_ab = E[F_a^T F_b] close: with R_ab the covariance of modes a and b for noises of covariance 1
(`models.optimizers.response`),

M_ab = R_ab {Q_ab + nu_ab (tr M_ab + M_ab^T)},  nu_ab = z_a^2 z_b^2/|B|.

Trace, symmetric and antisymmetric part of M_ab decouple: each is a number times that of Q_ab.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..optimizers import response

__all__ = ["Response", "covariance_of", "solve"]

ROUNDS, CLOSE = 500, 1e-13  # of the self-consistent rates of Adam; a round brings them nearer by two or more
MOST = 1024  # weights whose covariance is kept whole


class Response(NamedTuple):
    """M_ab = delta_ab identity_a + plus_ab u_b u_a^T + minus_ab u_a u_b^T + more_ab."""

    identity: np.ndarray  # (p,)
    plus: np.ndarray  # (p, p)
    minus: np.ndarray  # (p, p)
    more: np.ndarray | None = None  # (p, n, p, n), M_ab at [a, :, b, :]


def solve(model: Any, modes: tuple[np.ndarray, np.ndarray], alpha: float, batch: int) -> Response:
    """Return the moments of a model with its optimizer; modes: z_a^2, and u_a as columns.

    NotImplementedError for so many weights that their covariance, which weight decay and Adam need, is too large.
    """
    optimizer, size = model.optimizer, math.prod(model.weight_shape)
    if (optimizer.adam or optimizer.weight_decay) and size > MOST:
        raise NotImplementedError(f"{model}: predictions with {optimizer} are for {MOST} weights at most, not {size}")
    missing = modes[1].T @ (model.teacher - model.mean_weights)
    return (of_adam if optimizer.adam else of_gradients)(model, modes, missing, alpha, batch)


def of_gradients(
    model: Any, modes: tuple[np.ndarray, np.ndarray], missing: np.ndarray, alpha: float, batch: int
) -> Response:
    """Return the moments under an optimizer that is linear in the gradients; missing: the rows D_a."""
    (p, n), (z2, _) = model.weight_shape, modes
    optimizer = model.optimizer
    h = z2 + optimizer.weight_decay
    # 1/R, times alpha^2 as all that follows
    if optimizer.momentum:
        first, second = np.meshgrid(h, h, indexing="ij")
        inverse = alpha**2 / response.covariance(optimizer, (first, second), (alpha, alpha))
    else:
        inverse = 1 - np.outer(1 - alpha * h, 1 - alpha * h)
    nu = alpha**2 * np.outer(z2, z2) / batch
    g = alpha**2 * model.gradient_noise**2 / batch
    q = alpha**2 * model.label_noise**2 / batch * z2 + g
    symmetric, skew = inverse - nu, inverse + nu
    identity = q / np.diag(symmetric - n * nu)
    more = None
    if optimizer.weight_decay:
        source = nu[:, None, :, None] * data_noise(missing)
        trace, even, odd = parts(source)
        more = trace / broad(symmetric - n * nu) + even / broad(symmetric) + odd / broad(skew)
    if p != n:
        return Response(identity, np.zeros((p, p)), np.zeros((p, p)), more)
    identity = identity + g / n * (1 / np.diag(symmetric - n * nu) - 1 / np.diag(symmetric))
    return Response(identity, g / 2 * (1 / symmetric + 1 / skew), g / 2 * (1 / symmetric - 1 / skew), more)


def broad(pairs: np.ndarray) -> np.ndarray:
    return pairs[:, None, :, None]


def data_noise(rows: np.ndarray) -> np.ndarray:
    """|B| times the covariance of rows times C - 1, (p, n, p, n)."""
    n = rows.shape[1]
    return np.einsum("am,bm,ij->aibj", rows, rows, np.eye(n)) + np.einsum("aj,bi->aibj", rows, rows)


def parts(moments: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return trace, symmetric and antisymmetric part of every block [a, :, b, :]."""
    n = moments.shape[1]
    trace = np.einsum("aibi,jk->ajbk", moments, np.eye(n)) / n
    turned = moments.transpose(0, 3, 2, 1)
    return trace, (moments + turned) / 2 - trace, (moments - turned) / 2


def of_adam(
    model: Any, modes: tuple[np.ndarray, np.ndarray], missing: np.ndarray, alpha: float, batch: int
) -> Response:
    """Return the moments under Adam, whose mean squares of the gradients' entries are taken as constant.

    The entries of W must be modes of their own: P is diagonal. The rate of an entry is alpha over the root of the mean
    square of its gradient, which the moments themselves make larger.
    """
    (p, n), (z2, basis), optimizer = model.weight_shape, modes, model.optimizer
    if np.abs(model.hessian - np.diag(np.diag(model.hessian))).max() > 1e-12 * z2[-1]:
        raise NotImplementedError(
            f"{type(model).__name__} states predictions with Adam for a diagonal Z^T Z, where entries of W are modes"
        )
    h = np.repeat(z2 + optimizer.weight_decay, n)
    nu = broad(np.outer(z2, z2) / batch)
    one, same = np.eye(p), np.eye(n)
    noise = nu * data_noise(missing) + model.label_noise**2 / batch * np.einsum("a,ab,ij->aibj", z2, one, same)
    noise += model.gradient_noise**2 / batch * np.einsum("ab,ij->aibj", one, same)
    if p == n:
        noise += model.gradient_noise**2 / batch * np.einsum("ja,ib->aibj", basis, basis)
    moments, size = np.zeros((p, n, p, n)), p * n
    for _ in range(ROUNDS):
        own = np.einsum("ambm,ij->aibj", moments, same) + moments.transpose(0, 3, 2, 1)
        total = (noise + nu * own).reshape(size, size)
        square = np.diag(total) + h**2 * np.diag(moments.reshape(size, size))
        rates = alpha * (1 - optimizer.momentum) / (np.sqrt(square) + optimizer.epsilon)
        pairs = np.nonzero(total)
        new = np.zeros((size, size))
        new[pairs] = total[pairs] * response.covariance(
            optimizer, (h[pairs[0]], h[pairs[1]]), (rates[pairs[0]], rates[pairs[1]])
        )
        change, moments = np.abs(new - moments.reshape(size, size)).max(), new.reshape(p, n, p, n)
        if not change > CLOSE * np.abs(new).max():
            break
    if not (np.isfinite(moments).all() and np.diag(new).min() >= 0 and change <= 1e-6 * np.abs(new).max()):
        raise ValueError(
            f"learning_rate = {alpha:g}: Adam has no stationary state near the fixed point of {model} at batch_size = "
            f"{batch}"
        )
    return Response(np.zeros(p), np.zeros((p, p)), np.zeros((p, p)), moments)


def covariance_of(found: Response, basis: np.ndarray, frame: Any, levels: tuple[int, int, int, int]) -> float:
    """Return the stationary Cov(F_ij, F_km) of F = left^T (W - E W) right; basis: u_a as columns."""
    i, j, k, m = levels
    identity, plus, minus, more = found
    li, lk = basis.T @ frame.left[:, i], basis.T @ frame.left[:, k]
    total = float((li * lk * identity).sum()) if j == m else 0.0
    if len(basis) == len(frame.right):
        rj, rm = basis.T @ frame.right[:, j], basis.T @ frame.right[:, m]
        total += float((li * rm) @ plus @ (lk * rj) + (li * rj) @ minus @ (lk * rm))
    if more is not None:
        total += float(np.einsum("a,i,b,j,aibj", li, frame.right[:, j], lk, frame.right[:, m], more))
    return total
