"""Layers that are diagonal along the singular vectors of the teacher, and the curvature of the loss there.

Direction i is the i-th pair of singular vectors of the teacher, the largest singular value s_0 first. Layer l has the
singular value w_l(i), so that P = W_L ... W_1 has xi_i = prod_l w_l(i). With a_l(i) = prod_{m>l} w_m(i) and b_l(j) =
prod_{m<l} w_m(j), a change -alpha G_l of the layers, G_l = A_l^T E B_l^T, changes P by -alpha h_ij E_ij to first order,

    h_ij = sum_l a_l(i)^2 b_l(j)^2    over the layers that are trained: rows i of P (outputs), columns j (inputs).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Factors", "balanced", "flattest"]


@dataclass(frozen=True)
class Factors:
    """Singular values of layers along the directions of the teacher.

    Attributes
    ----------
    layers : (L, r) array
        w_l(i), r = min(outputs, inputs).
    outputs, inputs : int
        Rows and columns of the product.
    trained : (L,) bool array
    """

    layers: np.ndarray
    outputs: int
    inputs: int
    trained: np.ndarray

    @cached_property
    def above(self) -> np.ndarray:
        """a_l(i), (L, outputs): 1 for the last layer."""
        return _padded(_products(self.layers[::-1])[::-1], self.outputs, len(self.layers) - 1)

    @cached_property
    def below(self) -> np.ndarray:
        """b_l(j), (L, inputs): 1 for the first layer."""
        return _padded(_products(self.layers), self.inputs, 0)

    @cached_property
    def curvature(self) -> np.ndarray:
        """h_ij, (outputs, inputs)."""
        chosen = self.trained
        return np.asarray(np.einsum("li,lj->ij", self.above[chosen] ** 2, self.below[chosen] ** 2))

    @cached_property
    def product(self) -> np.ndarray:
        """xi_i, (r,)."""
        return np.asarray(self.layers.prod(axis=0))


def _products(layers: np.ndarray) -> np.ndarray:
    """Products of the layers before each, (L, r)."""
    return np.cumprod(np.concatenate([np.ones((1, layers.shape[1])), layers[:-1]]), axis=0)


def _padded(values: np.ndarray, count: int, whole: int) -> np.ndarray:
    """Directions without a singular value: zero, other than in the layer in which the product is empty."""
    out = np.zeros((len(values), count))
    out[:, : values.shape[1]] = values
    out[whole] = 1.0
    return out


def balanced(xi: np.ndarray, fixed: np.ndarray, trained: np.ndarray, outputs: int, inputs: int) -> Factors:
    """Return factors of a product with singular values xi, equal in all trained layers.

    Layers that are not trained have those of the balanced factors of `fixed`, the singular values of the teacher.
    """
    count, many = len(trained), int(trained.sum())
    still = np.asarray(fixed, float) ** (1 / count)
    rest = np.divide(xi, still ** (count - many), out=np.zeros(len(xi)), where=still > 0) if many < count else xi
    layers = np.where(trained[:, None], np.asarray(rest, float) ** (1 / many), still)
    return Factors(layers, outputs, inputs, trained)


def flattest(fixed: np.ndarray, count: int, outputs: int, inputs: int) -> Factors:
    """Return the factors of the teacher with the smallest trace of the Hessian, where label noise leads at last.

    Two layers: W_2 W_2^T = kappa S, W_1^T W_1 = S/kappa, kappa = sqrt(outputs/inputs). More: those between are mu 1
    with mu^L = sum_i s_i/sqrt(inputs outputs).
    """
    layers = np.empty((count, len(fixed)))
    if count == 1:
        layers[0] = fixed
    else:
        between = count - 2
        mu = (float(np.sum(fixed)) / np.sqrt(outputs * inputs)) ** (1 / count)
        kappa = np.sqrt(outputs / inputs)
        layers[1:-1] = mu
        layers[0], layers[-1] = np.sqrt(fixed / (mu**between * kappa)), np.sqrt(fixed * kappa / mu**between)
    return Factors(layers, outputs, inputs, np.ones(count, bool))
