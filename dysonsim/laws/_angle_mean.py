"""The mean over an angle that gives the density of `SymmetricTwoByTwo`.

Lengths are in units of the standard deviation of the law, `widths` is (std11, std22, std12) in these units,
and x >= 0 is the distance from the center. The mean over psi is a Gauss-Legendre sum over panels. They are
refined until pdf and sf are settled to 1e-13 for every x of a *level*: level 0 is 0 <= x <= 6, level k the
k-th doubling beyond. Many points of level 0 are read from a piecewise Chebyshev table of the logarithm,
built from the same sums to 2e-13.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ._numerics import EPSILON, Table, gauss_legendre

_ORDER = 16  # Gauss-Legendre nodes in a panel
_BULK = 6.0  # where level 0 ends
_LEVELS = 20  # beyond _BULK 2^_LEVELS the prefactor of the tail is frozen: it is below 1e-12 of log pdf
_BLOCK = 2048  # points handled at once, so that a block of points x nodes stays in the cache
_MANY = 1500  # points from which a table pays

Widths = tuple[float, float, float]


def log_density(x: np.ndarray, widths: Widths) -> np.ndarray:
    """Return log pdf at x >= 0, (n,) -> (n,)."""
    return _evaluate(x, widths, density=True)


def log_upper(x: np.ndarray, widths: Widths) -> np.ndarray:
    """Return log sf at x >= 0, (n,) -> (n,)."""
    return _evaluate(x, widths, density=False)


def _evaluate(x: np.ndarray, widths: Widths, density: bool) -> np.ndarray:
    bulk = x <= _BULK
    if np.count_nonzero(bulk) < _MANY:
        return _direct(x, widths, density)
    result = np.empty(x.size)
    result[bulk] = _table(widths, density)(x[bulk])
    result[~bulk] = _direct(x[~bulk], widths, density)
    return result


@lru_cache(maxsize=32)
def _table(widths: Widths, density: bool) -> Table:
    return Table(lambda x: _direct(x, widths, density), 0.0, _BULK, tolerance=2e-13)


def _direct(x: np.ndarray, widths: Widths, density: bool) -> np.ndarray:
    with np.errstate(divide="ignore"):
        level = np.clip(np.ceil(np.log2(x / _BULK)), 0, _LEVELS).astype(np.int64)
    result = np.empty(x.size)
    for which in np.unique(level):
        nodes = _nodes(widths, int(which))
        members = np.flatnonzero(level == which)
        for first in range(0, members.size, _BLOCK):
            block = members[first : first + _BLOCK]
            inner = np.minimum(x[block], _BULK * 2.0**_LEVELS)
            with np.errstate(divide="ignore"):
                result[block] = np.log(nodes.mean(inner, density)) - 0.5 * (x[block] / nodes.widest) ** 2
    return result


@dataclass(frozen=True)
class _Nodes:
    """Quadrature nodes in psi with everything about them that does not depend on x."""

    narrow: float
    widest: float
    eta: np.ndarray
    weights: np.ndarray

    def mean(self, x: np.ndarray, density: bool) -> np.ndarray:
        """Return pdf or sf, divided by exp(-x^2/2 widest^2); x (n,) -> (n,)."""
        from scipy.special import erfcx

        gauss, kernel = _kernel(x, self.eta, self.narrow, self.widest)
        constant, in_pdf, in_sf = _coefficients(self.eta, self.narrow)
        if density:
            return gauss * (constant @ self.weights) + x * (kernel @ (in_pdf * self.weights))
        normal = math.sqrt(0.5 * math.pi) * self.narrow * gauss * erfcx(x / (math.sqrt(2.0) * self.narrow))
        return normal + kernel @ (in_sf * self.weights)


def _kernel(x: np.ndarray, eta: np.ndarray, narrow: float, widest: float) -> tuple[np.ndarray, np.ndarray]:
    """exp(-x^2/2s^2)/(sqrt(2 pi) s) (n,) and exp(-x^2/2V^2) erf(eta x/(sqrt(2) s V)) (n, nodes).

    Both are divided by exp(-x^2/2 widest^2), so that neither underflows in the tail.
    """
    from scipy.special import erf

    widest_eta = math.sqrt((widest - narrow) * (widest + narrow))
    v_squared = narrow**2 + eta**2
    excess = (widest_eta - eta) * (widest_eta + eta) / (v_squared * widest**2)
    argument = eta / (math.sqrt(2.0) * narrow * np.sqrt(v_squared))
    gauss = np.exp(-0.5 * (x * widest_eta / (narrow * widest)) ** 2) / (math.sqrt(2.0 * math.pi) * narrow)
    return gauss, np.exp(np.multiply.outer(-0.5 * x * x, excess)) * erf(np.multiply.outer(x, argument))


def _coefficients(eta: np.ndarray, narrow: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """s^2/V^2, eta/2V^3 and eta/2V."""
    v_squared = narrow**2 + eta**2
    in_sf = 0.5 * eta / np.sqrt(v_squared)
    return narrow**2 / v_squared, in_sf / v_squared, in_sf


def _eta(psi: np.ndarray, widths: Widths) -> np.ndarray:
    std11, std22, std12 = widths
    sd = math.hypot(std11, std22)
    cosine, sine = np.cos(psi), np.sin(psi)
    tilt = (std11 - std22) * (std11 + std22) / sd * cosine
    root = np.hypot(sd * cosine, 2.0 * std12 * sine)
    # where the tilt is negative its sum with the root cancels: there, eta = (root^2 - tilt^2)/2(root - tilt)
    canceling = 2.0 * ((std11 * std22 / sd * cosine) ** 2 + (std12 * sine) ** 2) / (root + np.abs(tilt))
    return np.where(tilt < 0.0, canceling, 0.5 * (root + tilt))


def _peak(widths: Widths) -> tuple[float, float]:
    """Return the largest V, which governs the tail, and the psi where it is reached."""
    std11, std22, std12 = widths
    difference = std11**2 + std22**2
    tilt_squared = (std11**2 - std22**2) ** 2 / difference
    surplus = 4.0 * std12**2 - difference
    if surplus > 0.0:
        cosine_squared = 4.0 * std12**2 * tilt_squared / (surplus * (surplus + tilt_squared))
        if cosine_squared < 1.0:
            narrow = std11 * std22 / math.sqrt(difference)
            cosine = math.copysign(math.sqrt(cosine_squared), std11 - std22)
            return math.hypot(narrow, std12 * math.sqrt(1.0 + tilt_squared / surplus)), math.acos(cosine)
    return max(std11, std22), (0.0 if std11 >= std22 else math.pi)


@lru_cache(maxsize=256)
def _nodes(widths: Widths, level: int) -> _Nodes:
    """Gauss-Legendre panels in psi, refined until pdf and sf are settled for all x of a level.

    The starting panels crowd toward the peaks of V, whose width falls like 1/x, and separate the rounded
    kink of eta (at pi/2 for small std12, at 0 and pi for large) from the rest.
    """
    narrow = widths[0] * (widths[1] / math.hypot(widths[0], widths[1]))
    widest, peak = _peak(widths)
    high = _BULK * 2.0**level
    low = min(narrow, 1.0) / 8.0 if level == 0 else 0.5 * high
    x = np.geomspace(low, high, 4 if level else max(6, int(1.5 * math.log2(high / low))))
    tolerance = max(1e-13, 8.0 * EPSILON * high**2)  # rounding of the exponent
    graded = math.pi * 0.5 ** np.arange(level + 1)
    points = np.concatenate([[0.0, 0.5 * math.pi, peak], graded, math.pi - graded, peak - graded, peak + graded])
    kink = math.atan(2.0 * widths[2] / math.hypot(widths[0], widths[1]))
    if abs(kink - 0.25 * math.pi) > 0.5:
        points = np.append(points, [0.5 * math.pi - kink, 0.5 * math.pi + kink])
    points = np.unique(points[(points >= 0.0) & (points <= math.pi)])
    nodes, node_weights = gauss_legendre(_ORDER)

    def place(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return eta and weights (of the mean over [0, pi]) at the nodes of panels, (m, _ORDER)."""
        length = (right - left)[:, None]
        return _eta(left[:, None] + length * nodes, widths), length * node_weights / math.pi

    def integrals(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return pdf and sf at every probe x from each panel, (m, 2 probes)."""
        eta, weights = place(left, right)
        gauss, kernel = _kernel(x, eta, narrow, widest)
        constant, in_pdf, in_sf = _coefficients(eta, narrow)
        pdf, sf = (np.einsum("xmk,mk->mx", kernel, part * weights) for part in (in_pdf, in_sf))
        return np.hstack([gauss * (constant * weights).sum(1)[:, None] + x * pdf, sf])

    left, right = points[:-1], points[1:]
    coarse = integrals(left, right)
    settled = np.zeros(coarse.shape[1])
    eta_parts, weight_parts = [], []
    for _ in range(60):
        middle = 0.5 * (left + right)
        lower, upper = np.split(integrals(np.r_[left, middle], np.r_[middle, right]), 2)
        fine = lower + upper
        total = settled + fine.sum(0)
        good = (np.abs(fine - coarse) <= tolerance * total).all(1)
        settled += fine[good].sum(0)
        matters = good & (fine > 1e-17 * total).any(1)
        eta, weights = place(left[matters], right[matters])
        eta_parts.append(eta.ravel())
        weight_parts.append(weights.ravel())
        left, right = np.r_[left[~good], middle[~good]], np.r_[middle[~good], right[~good]]
        coarse = np.vstack([lower[~good], upper[~good]])
        if left.size == 0:
            break
    return _Nodes(narrow, widest, np.concatenate(eta_parts), np.concatenate(weight_parts))
