"""Dyson Brownian motion of the singular values of a deep linear network, near its fixed point.

The product P moves there as the weights of a linear network, each entry at a rate of its own, alpha h_ij, so that the
closures are those of `dysonsim.models.linear.closure`. "Corrected" also puts the wells at s_i + E F_ii: layers that
fluctuate together pull the mean of P down, which no motion of P alone knows.

Not valid far from the fixed point, where the rates depend on the levels, nor at late times, when label noise has led
the layers away from balance.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..closures import DysonTerms
from ..linear.closure import Spread, Wells, terms
from .motion import mean_of_product, pair_variances, step_variances

__all__ = ["deep_terms"]


def deep_terms(model: Any, alpha: float, batch: int, corrected: bool) -> DysonTerms:
    """Terms of the singular values of the product."""
    factors, (p, n) = model._factors(), model.weight_shape
    target, curvature = model._of_levels(factors.product), model._of_levels(np.diag(factors.curvature))
    mean, still = target, None
    if corrected:
        moments = model._moments(alpha, batch, "early")
        if (factors.product > 0).all():
            mean = target + model._of_levels(mean_of_product(model, factors, moments))
        even, odd, beside = pair_variances(moments)
        still = _ascending(model, even, odd, beside)
    wells = Wells(target, mean, curvature, max(0, n - p), alpha**2 / batch)
    return terms(wells, alpha, _of_step(model, alpha, batch), None if still is None else lambda: still)


def _of_step(model: Any, alpha: float, batch: int) -> Spread:
    """Noise of one step at the fixed point."""
    own, cross = step_variances(model, model._factors(), alpha, batch)
    size = min(own.shape)
    square = own[:size, :size]
    symmetric, skew = (square + square.T + 2 * cross) / 4, (square + square.T - 2 * cross) / 4
    symmetric[np.diag_indices(size)] = np.diag(square) / 2
    skew[np.diag_indices(size)] = 0.0
    return _ascending(model, symmetric, skew, own[size:, :size].sum(axis=0) + own[:size, size:].sum(axis=1))


def _ascending(model: Any, symmetric: np.ndarray, skew: np.ndarray, beside: np.ndarray) -> Spread:
    """Of directions (r,), as of levels (n,)."""
    n, size = model.n, len(beside)
    out = [np.zeros((n, n)), np.zeros((n, n))]
    for array, given in zip(out, (symmetric, skew), strict=True):
        array[n - size :, n - size :] = given[::-1, ::-1]
    return Spread(out[0], out[1], model._of_levels(beside))
