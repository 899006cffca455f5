"""Stationary second moments of the product of a deep linear network, linearized about its fixed point.

F = P - P* in the teacher's singular vectors obeys F_ik <- F_ik - alpha h_ik [(F C)_ik - noise], with C the mean of
x x^T over the batch. C mixes the columns of a row, so that second moments of rows i, j close: M_kl = E F_ik F_jl has

    M = R o [Q + (H/|B|) o (tr M 1 + M^T)],   H_kl = h_ik h_jl,

entry by entry, with R_kl the covariance of two modes under noise of covariance 1 (`models.optimizers.response`), for
SGD alpha^2/[1 - (1 - alpha h_ik)(1 - alpha h_jl)], and Q that of the gradients' noise: exact in alpha and |B| as far as
P moves linearly. Entries off the diagonal of M couple in pairs, those on it through the trace alone, so that everything
is in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..optimizers import response
from ..optimizers.optimizer import PLAIN, Optimizer

__all__ = ["Noise", "Product", "leading_variances", "limit"]


@dataclass(frozen=True)
class Noise:
    """Variances of the noises of one sample: `label`, `layer` (each layer's gradient) and `product` (that of P).

    overlap : (outputs, inputs) array or None
        Left times right singular vectors of the teacher, if the noise of the product is a symmetric matrix.
    """

    label: float
    layer: float
    product: float
    overlap: np.ndarray | None

    def of_error(self, shape: tuple[int, int]) -> np.ndarray:
        """Variances of what label and product noise add to the error, (outputs, inputs)."""
        twins = 0.0 if self.overlap is None else self.overlap**2
        return np.asarray(self.label + self.product * (np.ones(shape) + twins))

    def of_twins(self, shape: tuple[int, int]) -> np.ndarray:
        """Covariances of its entries (i, j) and (j, i), i != j, and its variances on the diagonal; square part."""
        size = min(shape)
        diagonal = np.zeros(size) if self.overlap is None else np.diag(self.overlap)
        out = self.product * np.outer(diagonal, diagonal)
        out[np.diag_indices(size)] = np.diag(self.of_error(shape))
        return np.asarray(out)


class Product:
    """Stationary second moments of F for the curvature h, (outputs, inputs)."""

    def __init__(self, h: np.ndarray, alpha: float, batch: int, noise: Noise, optimizer: Optimizer = PLAIN) -> None:
        self.h, self.alpha, self.batch, self.noise, self.optimizer = h, alpha, batch, noise, optimizer
        self._rows: dict[tuple[int, int], np.ndarray] = {}

    @property
    def variances(self) -> np.ndarray:
        """Var F_ik, (outputs, inputs)."""
        return np.array([np.diag(self.rows(i, i)) for i in range(len(self.h))])

    def covariance(self, i: int, k: int, j: int, m: int) -> float:
        """E F_ik F_jm."""
        return float(self.rows(i, j)[k, m])

    def rows(self, i: int, j: int) -> np.ndarray:
        """M_kl = E F_ik F_jl, (inputs, inputs)."""
        if (i, j) not in self._rows:
            self._rows[i, j] = self._solved(i, j)
        return self._rows[i, j]

    def _solved(self, i: int, j: int) -> np.ndarray:
        a, b, noise = self.h[i], self.h[j], self.noise
        both = np.outer(a, b)
        kicks = np.zeros_like(both)
        if noise.overlap is not None:
            kicks += noise.product * both * np.outer(noise.overlap[j], noise.overlap[i])
        if i == j:
            kicks += np.diag(a**2 * (noise.label + noise.product) + a * noise.layer)
        kicks, cross, held = kicks / self.batch, both / self.batch, both > 0
        curvatures = np.where(held, a[:, None], 1.0), np.where(held, b, 1.0)
        own = np.where(held, 1 / response.covariance(self.optimizer, curvatures, (self.alpha, self.alpha)), 1.0)
        out = (own.T * kicks + cross * kicks.T) / (own * own.T - cross * cross.T)
        left, spread = np.diag(own - cross), np.diag(cross)
        alone, share = np.diag(kicks) / left, spread / left
        out[np.diag_indices(len(a))] = alone + share * alone.sum() / (1 - share.sum())
        return np.asarray(out)


def leading_variances(h: np.ndarray, alpha: float, batch: int, noise: Noise) -> np.ndarray:
    """Var F_ik to leading order in alpha: (alpha/2|B|) (h_ik own_ik + layer)."""
    return np.asarray(alpha / (2 * batch) * np.where(h > 0, h * noise.of_error(h.shape) + noise.layer, 0.0))


def limit(h: np.ndarray, batch: int, optimizer: Optimizer = PLAIN) -> float:
    """Return the learning rate from which second moments of some row grow.

    Below it max_i sum_k c_ik/(1 - c_ik) < 1, c_ik = h_ik^2/|B| times the variance of a mode under noise of variance 1;
    for SGD max_i sum_k alpha h_ik/(|B| [2 - alpha h_ik (1 + 1/|B|)]) < 1.
    """
    from scipy.optimize import brentq

    largest = float(h.max())
    if largest <= 0:
        return np.inf
    end = response.largest_rate(optimizer, largest, largest**2 / batch)
    held = np.where(h > 0, h, largest)

    def excess(alpha: float) -> float:
        own = np.where(h > 0, held**2 / batch * response.covariance(optimizer, (held, held), (alpha, alpha)), 0.0)
        return min(float((own / (1 - own)).sum(axis=1).max()), 2.0) - 1 if own.max() < 1 else 1.0

    return float(brentq(excess, 1e-12 * end, end, xtol=1e-13 * end)) if excess(end) > 0 else end
