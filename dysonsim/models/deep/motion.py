"""One step of the levels of a deep linear network, to order alpha^2, and where they are on average.

P' = prod_l (W_l - alpha G_l) = P - alpha sum_l A_l G_l B_l + alpha^2 sum_{l<m} A_m G_m M_ml G_l B_l + ..., with M_ml
the product of the layers between. In the teacher's basis G_l = a_l E b_l, so that the first order is -alpha h_ij E_ij.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .covariance import Product
from .factors import Factors

__all__ = ["drift", "mean_of_product", "noise", "pair_variances", "singular_value_shift", "step_variances"]


def step_variances(model: Any, factors: Factors, alpha: float, batch: int, e: Any = 0.0) -> tuple[Any, Any]:
    """Return Var dP_ij of a step (p, n), and Cov(dP_ij, dP_ji) of its square part (r, r), e from the teacher."""
    h, made = factors.curvature, model._noise
    own, size = made.of_error(h.shape), min(h.shape)
    distance = np.zeros(len(h))
    distance[:size] = e
    own = own + distance[:, None] ** 2
    own[np.arange(size), np.arange(size)] += distance[:size] ** 2
    twins = np.outer(distance[:size], distance[:size]) + made.of_twins(h.shape)
    scale, square = alpha**2 / batch, h[:size, :size]
    twins[np.diag_indices(size)] = np.diag(own)
    return scale * (h**2 * own + h * made.layer), scale * square * square.T * twins


def drift(model: Any, factors: Factors, e: np.ndarray, alpha: float, batch: int) -> np.ndarray:
    """K_i of x_i, (r,), in the order of directions."""
    xi, h, size = factors.product, np.diag(factors.curvature), len(e)
    variances, _ = step_variances(model, factors, alpha, batch, e)
    kicks = (alpha * h * e) ** 2 + variances.sum(axis=0)[:size]
    return np.asarray(-2 * alpha * xi * h * e + kicks + 2 * xi * alpha**2 * _second_order(model, factors, e, batch))


def _second_order(model: Any, factors: Factors, e: np.ndarray, batch: int) -> np.ndarray:
    """Mean of the diagonal of sum_{l<m} A_m G_m M_ml G_l B_l, (r,)."""
    layers, size = factors.layers, len(e)
    made, shape = model._noise, factors.curvature.shape
    both = (np.outer(e, e) + made.of_twins(shape)) / batch  # E_ik E_ki
    both[np.diag_indices(size)] = e**2 + (2 * e**2 + np.diag(made.of_error(shape))) / batch
    above, below, out = factors.above[:, :size], factors.below[:, :size], np.zeros(size)
    for l in np.flatnonzero(factors.trained):
        for m in np.flatnonzero(factors.trained):
            if l < m:
                between = below[m] * above[l] * layers[l + 1 : m].prod(axis=0)
                out += above[m] ** 2 * below[l] ** 2 * (both @ between)
    return out


def noise(model: Any, factors: Factors, e: np.ndarray, alpha: float, batch: int) -> np.ndarray:
    """g_ij^2 of x, (n, n), in the order of directions."""
    variances, twins = step_variances(model, factors, alpha, batch, e)
    n, size = variances.shape[1], len(e)
    xi, own, cross = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    xi[:size], own[:size], cross[:size, :size] = factors.product, variances[:size], twins
    own = xi[:, None] ** 2 * own
    g2 = own + own.T + 2 * np.outer(xi, xi) * cross
    g2[np.diag_indices(n)] = 2 * np.diag(own)
    return g2


def mean_of_product(model: Any, factors: Factors, moments: Product) -> np.ndarray:
    """Mean of F_ii, (r,), averaged over directions that share a singular value.

    The layers' fluctuations w_l that make F are correlated with it, E F_ij w_l,ij = a_l(i) b_l(j) V_ij/h_ij, and change
    A_m and B_m of the others. The gradient vanishes on average in the direction that moves s_i along all layers for

        s_i E F_ii = -(1/L) sum_l [(L-l) a_l(i)^2 sum_j b_l(j)^2 V_ij/h_ij + (l-1) b_l(i)^2 sum_j a_l(j)^2 V_ji/h_ji].
    """
    h, size = factors.curvature, factors.layers.shape[1]
    ratio = np.divide(moments.variances, h, out=np.zeros_like(h), where=h > 0)
    chosen = np.flatnonzero(factors.trained)
    pull = np.zeros(size)
    for at, l in enumerate(chosen):
        a2, b2 = factors.above[l] ** 2, factors.below[l] ** 2
        pull += (len(chosen) - 1 - at) * a2[:size] * (ratio[:size] @ b2) + at * b2[:size] * (a2 @ ratio[:, :size])
    return _averaged(model, -pull / (len(chosen) * factors.product))


def pair_variances(moments: Product) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stationary variances of (F_ij + F_ji)/2 and (F_ij - F_ji)/2, (r, r), and of F beside the square, summed, (r,)."""
    own, size = moments.variances, min(moments.h.shape)
    square = own[:size, :size]
    cross = np.array([[moments.covariance(i, j, j, i) for j in range(size)] for i in range(size)])
    beside = own[size:, :size].sum(axis=0) + own[:size, size:].sum(axis=1)
    return (square + square.T + 2 * cross) / 4, (square + square.T - 2 * cross) / 4, beside


def singular_value_shift(model: Any, learning_rate: float, batch_size: int, when: str) -> np.ndarray:
    """Stationary mean of the singular values minus those of the teacher, (n,)."""
    factors, moments = _learned(model, learning_rate, batch_size, when)
    s, mean = factors.product, mean_of_product(model, factors, moments)
    symmetric, skew, beside = pair_variances(moments)
    gap, far = _gaps(s)
    pushes = np.divide(symmetric, gap, out=np.zeros_like(gap), where=far) + skew / (s[:, None] + s)
    return np.asarray(model._of_levels(_averaged(model, mean + pushes.sum(axis=1) + beside / (2 * s))))


def mean_shift(model: Any, learning_rate: float, batch_size: int, when: str) -> np.ndarray:
    """Stationary mean of the eigenvalues minus the fixed point, (n,)."""
    factors, moments = _learned(model, learning_rate, batch_size, when)
    s, own, size = factors.product, moments.variances, len(factors.product)
    symmetric, skew, _ = pair_variances(moments)
    mean = 2 * s * mean_of_product(model, factors, moments) + own.sum(axis=0)[:size] + own[:size, size:].sum(axis=1)
    gap, far = _gaps(s)
    own, cross = own[:size, :size], symmetric - skew
    moved = s[:, None] ** 2 * own + s**2 * own.T + 2 * np.outer(s, s) * cross
    pushes = np.divide(moved, gap * (s[:, None] + s), out=np.zeros_like(gap), where=far)
    return np.asarray(model._of_levels(_averaged(model, mean + pushes.sum(axis=1))))


def _learned(model: Any, learning_rate: float, batch_size: int, when: str) -> tuple[Factors, Product]:
    if (model._values == 0).any():
        raise NotImplementedError(f"{model}: the mean of singular values near 0 is not known; the teacher has some")
    return model._factors(when), model._moments(learning_rate, batch_size, when)


def _gaps(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """s_i - s_j, and whether they are not of one well."""
    gap = s[:, None] - s
    return gap, np.abs(gap) > 1e-9 * s[0]


def _averaged(model: Any, values: np.ndarray) -> np.ndarray:
    """Averages over the directions of each well."""
    out = values.copy()
    for group in model._groups():
        out[group] = values[group].mean()
    return out
