"""Closures: how the eigenvalues of a network move when its eigenvectors are left out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _validate
from ..kernels import rbm_closure
from .base import level_groups

if TYPE_CHECKING:
    from .gaussian_rbm import GaussianRBM


@dataclass(frozen=True)
class DysonTerms:
    """Drift, noise and repulsion of the levels as the kernel layer takes them (`dysonsim.kernels.dyson_terms`).

    Parameters
    ----------
    build : callable
        ``build(lanes, n, **sizes)``: functions `drift`, `noise`, `noise_slope`, `pair` of lane values.
    sizes : dict
        What is fixed when compiling.
    reals : 1-D array
        The constants that these functions read.
    scratch : int
        Numbers of working space that `drift` needs.
    coordinate : {"eigenvalues", "singular_values"}
        What the levels are.
    """

    build: Callable[..., Any]
    sizes: dict[str, Any]
    reals: np.ndarray
    scratch: int
    coordinate: str


def check_closure(closure: str) -> bool:
    """Whether `closure` is "corrected"; ValueError if it is neither that nor "independent"."""
    return _validate.choice("closure", closure, ("corrected", "independent")) == "corrected"


def rbm_terms(model: GaussianRBM, alpha: float, batch: int, corrected: bool) -> DysonTerms:
    """Terms of the eigenvalues of X for a Gaussian RBM: reals laid out as in `kernels.rbm_closure`."""
    n, mu2, fresh = model.n, model.mu**2, model.gibbs_steps == math.inf
    rate, gibbs_steps = alpha * model.sigma**2, 0 if fresh else int(model.gibbs_steps)
    y, p = model.sigma**2 * model.fixed_point(), 1 / model.kappa
    tau, pairs = np.zeros(n), np.full((n, n), rate**2 / batch)
    size, slope = np.zeros((n, n)), np.zeros((n, n))
    if corrected:
        wells = np.arange(n)
        for group in level_groups(y):
            wells[list(group)] = group[0]
        tau, factors, size, slope = _rbm_corrections(y, p, mu2, gibbs_steps, wells, rate, batch)
        pairs = pairs * factors
    highest = mu2 - model.kappa[-1] / 3
    constants = [rate, model.sigma**2, mu2, highest]
    reals = np.concatenate([constants, p, y, tau, pairs.ravel(), size.ravel(), slope.ravel()])
    sizes = {"null": max(0, n - model.weight_shape[0]), "gibbs_steps": gibbs_steps, "corrected": corrected}
    return DysonTerms(rbm_closure.build, sizes, reals, rbm_closure.scratch(n), "eigenvalues")


def _rbm_corrections(
    y: np.ndarray, p: np.ndarray, mu2: float, gibbs_steps: int, wells: np.ndarray, rate: float, batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """tau (n,), factors of g_ij^2, sizes of the rotations and their relative slopes (n, n); units with sigma = 1."""
    n, epsilon, k = len(y), rate / batch, mu2 - y
    learnt = y > 0
    q = (y / mu2) ** gibbs_steps if gibbs_steps else np.zeros(n)
    i, m = np.ix_(range(n), range(n))
    r = np.outer(q, q)
    c = (1 + r) / (1 - r)
    own, members = np.diag(c), (wells[:, None] == wells).sum(1)
    sums = y[i] + y[m]
    gamma = rate * sums / (k[i] * k[m])
    third = 1 + 6 * q**2 / (1 - q**2) ** 2
    tau = 4 / 3 * epsilon * (4 + np.maximum(members - 2, 0)) * mu2 / k**2 * third / own

    # within a well that of an off-diagonal element, by which its levels are kept apart
    quadratic = (y / k).sum() + y[i] / k[i] + y[m] / k[m]
    np.fill_diagonal(quadratic, (y / k).sum() + np.where(members > 1, 2, 3) * y / k)
    quadratic = np.divide(2 * epsilon * quadratic, sums, out=np.zeros((n, n)), where=sums > 0)

    apart = (wells[i] != wells[m]) & (learnt[i] | learnt[m])
    gap = np.where(apart, y[i] - y[m], 1.0)
    steep = np.where(apart, (p[i] - p[m]) / gap, 1.0)  # of the inverse target between the two levels, > 0
    variance = sums * c / (2 * k[i] * k[m] * steep) / gap**2 / (1 - gamma / (2 * c))
    size = np.where(apart, epsilon * variance * np.abs(gap), 0.0)
    turning = rate * sums * steep
    mixed = gap / (gap**2 + 2 * epsilon * (y * own)[i] + 2 * epsilon * (y * own)[m])
    relaxation = 2 * rate * y / k**2
    memory = np.divide(2 * gibbs_steps * r / (1 - r**2), y[i], out=np.zeros((n, n)), where=y[i] > 0)
    cube = 1 + 4 * r / (1 - r) + 2 * r**2 / (1 - r) ** 2 + 2 * (q**2 / (1 - q**2))[i] * c
    change = 1 / np.where(sums > 0, sums, 1.0) - 1 / gap + 1 / k[i] + memory
    change = change - 2 * cube / (c * own[i] * k[i]) - c / (2 * own[i] * gap)
    mixing = np.where(apart & (y[i] > 0), epsilon * sums**2 * cube * mixed, 0.0) / k[m]
    mixing = np.divide(mixing.sum(1), y * own, out=np.zeros(n), where=learnt)
    factors = 1 + gamma * (c + 1 / c) / 2 - quadratic - (mixing[i] + mixing[m]) / 2
    slope = change * turning / (turning + relaxation[i] / 2) + 1 / gap
    return tau, factors, size, np.where(apart & learnt[i], slope, 0.0)
