"""Wigner's semicircle: the density of many levels in one well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import ClassVar, Self

import numpy as np

from ._numerics import lone_extremes, minimize, minimize_on_interval, real, split, whole
from .base import Law


@dataclass(frozen=True)
class Semicircle(Law):
    """rho(x) = 2 sqrt(radius^2 - (x - loc)^2) / (pi radius^2) for |x - loc| <= radius, normalized to 1.

    The limit N -> infinity of the one-point density of P ~ prod |x_i - x_j|^beta exp(-sum x_i^2 / 2
    width^2), with radius = width sqrt(2 beta N): see `for_gas`. At finite N the density oscillates and
    leaks over the edge by O(N^(-2/3)) of the radius; for N = 2 use `TwoLevel`.

    Parameters
    ----------
    loc : float
    radius : float, > 0

    Notes
    -----
    `fit` is maximum likelihood under this law, whose support depends on the parameters. The maximum
    exists, lies at a radius beyond every datum, and converges as n^(-2/3), set by the outermost data:
    errors from a Hessian do not apply (resample instead), and a single level that leaked over the edge
    moves it (a RuntimeWarning tells where a few levels decide all). For spectra of finite matrices
    ``Semicircle(x.mean(), 2 * x.std())`` is the robust estimate.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.Semicircle(loc=0.0, radius=2.0)
    >>> round(law.pdf(0.0), 4)
    0.3183
    >>> law.var()
    1.0
    """

    loc: float
    radius: float

    shape: ClassVar[tuple[str, ...]] = ("loc", "radius")
    _positive: ClassVar[tuple[str, ...]] = ("radius",)

    @classmethod
    def for_gas(cls, n: int, beta: float = 1.0, width: float = 1.0, loc: float = 0.0) -> Self:
        """Return the limiting density of a Gaussian Coulomb gas.

        Parameters
        ----------
        n : int, >= 1
            Number of levels.
        beta : float, > 0
            Dyson index.
        width : float, > 0
            sigma in exp(-x^2 / 2 sigma^2).
        loc : float
            Center.
        """
        count = whole("n", n, 10**100)
        index = real("beta", beta, above=0.0)
        return cls(loc, real("width", width, above=0.0) * math.sqrt(2.0 * index * count))

    def _edges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Lower and upper edge, each as high + low."""
        with localcontext(prec=240):  # loc and radius may differ by 200 orders of magnitude
            loc, radius = Decimal(self.loc), Decimal(self.radius)
            return split(loc - radius), split(loc + radius)

    def _to_edges(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances to the lower and the upper edge, in units of the diameter and without cancellation."""
        low, high = self._edges()
        left = np.maximum((x - low[0]) - low[1], 0.0) / (2.0 * self.radius)
        right = np.maximum((high[0] - x) + high[1], 0.0) / (2.0 * self.radius)
        return left, right

    def support(self) -> tuple[float, float]:
        """Return (loc - radius, loc + radius)."""
        return self.loc - self.radius, self.loc + self.radius

    def mean(self) -> float:
        """Return the mean, which is loc by symmetry."""
        return self.loc

    def median(self) -> float:
        """Return the median, which is loc by symmetry."""
        return self.loc

    def var(self) -> float:
        """Return radius^2/4."""
        return 0.25 * self.radius**2

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        left, right = self._to_edges(x)
        return 4.0 * np.sqrt(left) * np.sqrt(right) / (math.pi * self.radius)

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        left, right = self._to_edges(x)
        return 0.5 * (np.log(left) + np.log(right)) + math.log(4.0 / (math.pi * self.radius))

    # (x - lower edge)/diameter follows the beta law with both exponents 3/2

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import betainc

        left, right = self._to_edges(x)
        return np.where(left <= right, betainc(1.5, 1.5, left), 1.0 - betainc(1.5, 1.5, right))

    def _sf(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import betainc

        left, right = self._to_edges(x)
        return np.where(right <= left, betainc(1.5, 1.5, right), 1.0 - betainc(1.5, 1.5, left))

    def _isf(self, q: np.ndarray) -> np.ndarray:
        return self._inverse(q, 1.0)

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        return self._inverse(q, -1.0)

    def _inverse(self, q: np.ndarray, side: float) -> np.ndarray:
        from scipy.special import betaincinv

        low, high = self._edges()
        inward = 2.0 * self.radius * betaincinv(1.5, 1.5, np.minimum(q, 1.0 - q))
        at_low = (q <= 0.5) == (side < 0.0)
        return np.where(at_low, low[0] + (low[1] + inward), high[0] + (high[1] - inward))

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        # one coordinate of a point spread evenly over a disc
        distance = np.sqrt(rng.random(size))
        return self.loc + self.radius * distance * np.cos(2.0 * math.pi * rng.random(size))

    def _doubt(self, x: np.ndarray, fixed: dict[str, float]) -> str:
        return lone_extremes(self, x, x, fixed)

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """Optimizes the logarithms of the distances between the edges and the outermost data."""
        low, high = float(x.min()), float(x.max())
        span = high - low
        if "loc" in fixed:
            span = 2.0 * max(abs(low - fixed["loc"]), abs(high - fixed["loc"]))
        if not (math.isfinite(span) and span > 0.0):
            raise ValueError(f"data do not differ from {low:g} (or overflow): two different values needed")

        def cost(loc: float, radius: float) -> float:
            """- loglikelihood / x.size, but for a constant."""
            u = (x - loc) / radius
            to_edges = (1.0 - u) * (1.0 + u)
            return math.log(radius) - 0.5 * float(np.mean(np.log(to_edges))) if to_edges.min() > 0.0 else math.inf

        if "radius" in fixed:
            radius = fixed["radius"]
            if high - low >= 2.0 * radius:
                raise ValueError(f"data from {low:g} to {high:g} lie outside any support of radius = {radius:g}")
            return {"loc": minimize_on_interval(lambda loc: cost(loc, radius), high - radius, low + radius)}
        if "loc" in fixed:
            loc, inner = fixed["loc"], 0.5 * span
            log_excess = minimize_on_interval(lambda z: cost(loc, inner * (1.0 + math.exp(z))), -60.0, 3.0)
            return {"radius": inner * (1.0 + math.exp(log_excess))}

        def edges(point: np.ndarray) -> tuple[float, float]:
            left, right = low - span * math.exp(point[0]), high + span * math.exp(point[1])
            return 0.5 * (left + right), 0.5 * (right - left)

        start = math.log(max(2.0 * float(np.std(x)) / span - 0.5, x.size ** (-2.0 / 3.0)))
        best = minimize(lambda p: cost(*edges(p)), [[start, start]], [(-60.0, 3.0)] * 2)
        return dict(zip(("loc", "radius"), edges(best), strict=True))
