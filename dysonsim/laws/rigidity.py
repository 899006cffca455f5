"""The spectral rigidity: how far the staircase of levels is from a straight line (Dyson and Mehta)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from ._numerics import gauss_legendre
from .curve import CurveLaw
from .number_variance import number_variance

_NODES = 16  # a unit of length: exact to rounding for waves of period 1
_FAR = 4000  # beyond, the waves of Sigma^2 are noticed in the constants of the integrals alone
_POWERS = (0, 1, 3)


@dataclass(frozen=True)
class Rigidity(CurveLaw):
    """Spectral rigidity Delta_3(L): mean square deviation of the staircase of levels from its best straight line.

    Delta_3(L) = < min_{a,b} (1/L) int_x^{x+L} [N(y) - a - b y]^2 dy > = (2/L^4) int_0^L (L^3 - 2 L^2 r + r^3)
    Sigma^2(r) dr, where N(y) counts *distinct* levels below y and their density is 1 (Dyson and Mehta, J. Math. Phys. 4
    (1963) 701; Pandey, Ann. Phys. 119 (1979) 170). The line is free in slope *and* offset. It grows as
    ln L/(beta pi^2); independent levels (beta = 0) have L/15.

    Exact in the bulk of infinitely many levels of unit density; not valid for L comparable with their number.

    Parameters
    ----------
    beta : 0, 1, 2 or 4
        Dyson index; 0 for independent levels (Poisson).

    Examples
    --------
    >>> import dysonsim as ds
    >>> round(ds.laws.Rigidity(beta=1)(10.0), 6)
    0.2357
    >>> ds.laws.Rigidity(beta=0)([15.0, 30.0])
    array([1., 2.])
    """

    statistic: ClassVar[str] = "rigidity"
    symbol: ClassVar[str] = r"\Delta_3(L)"

    def _values(self, x: np.ndarray) -> np.ndarray:
        if self.beta == 0:
            return x / 15.0
        result = np.zeros_like(x)
        near, far = (x > 0) & (x <= _FAR), x > _FAR
        for where, moments in ((near, _moments), (far, _far_moments)):
            if where.any():
                length = x[where]
                zeroth, first, third = moments(self.beta, length)
                result[where] = 2.0 * (zeroth / length - 2.0 * first / length**2 + third / length**4)
        return result


def _moments(beta: int, length: np.ndarray) -> np.ndarray:
    """Integrals of r^k Sigma^2(r) from 0 to L (k = 0, 1, 3), for lengths (m,) > 0; Gauss-Legendre between units."""
    ends, place = np.unique(length, return_inverse=True)
    edges = np.unique(np.concatenate([np.arange(0.0, np.ceil(ends[-1])), ends]))
    nodes, weights = gauss_legendre(_NODES)
    width = np.diff(edges)[:, None]
    r = edges[:-1, None] + width * nodes
    values = number_variance(beta, r.ravel()).reshape(r.shape) * weights * width
    sums = np.array([np.cumsum((r**k * values).sum(axis=1)) for k in _POWERS])
    return sums[:, np.searchsorted(edges, ends) - 1][:, place]


@lru_cache(maxsize=3)
def _constants(beta: int) -> np.ndarray:
    """Return what the integrals have beside those of the smooth part of Sigma^2, once its waves have died out.

    Waves end at r = L with the weight 1 - 2 + 1 = 0. Taken at a whole number, where sin 2 pi r = 0, they are wrong by
    less than 1e-10 in the first of the constants.
    """
    at = np.array([float(_FAR)])
    return _moments(beta, at) - _smooth(beta, at)


def _far_moments(beta: int, length: np.ndarray) -> np.ndarray:
    return _smooth(beta, length) + _constants(beta)


def _smooth(beta: int, r: np.ndarray) -> np.ndarray:
    """Antiderivatives of r^k [a ln r + b + c/r^2], the part of Sigma^2 without waves, for large r."""
    square = np.pi**2
    a = 2.0 / (beta * square)
    unitary = (np.log(2 * np.pi) + np.euler_gamma + 1.0) / square
    b = {1: 2 * unitary - 0.25, 2: unitary, 4: 0.5 * (unitary + np.log(2.0) / square) + 0.0625}[beta]
    c = {1: 0.5, 2: 0.0, 4: 0.25 * 0.5 * 0.25}[beta] / square**2
    log = np.log(r)
    return np.array([
        r * (a * (log - 1.0) + b) - c / r,
        r**2 * (a * (0.5 * log - 0.25) + 0.5 * b) + c * log,
        r**4 * (a * (0.25 * log - 0.0625) + 0.25 * b) + 0.5 * c * r**2,
    ])  # fmt: skip
