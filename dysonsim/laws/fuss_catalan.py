"""Fuss-Catalan: squared singular values of a product of square random matrices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._numerics import gauss_legendre, invert, lone_extremes, minimize_on_interval, whole
from .base import Law

_ORDER = 30  # Gauss-Legendre nodes
_SMALL = 0.3  # of (s + 1) phi: below, log(sin y/y) is taken from its series
_LOG_SINC = (-1 / 6, -1 / 180, -1 / 2835, -1 / 37800, -1 / 467775, -691 / 3831077250, -2 / 127702575)


@dataclass(frozen=True)
class FussCatalan(Law):
    """Eigenvalues of P^T P/n^s, P = W_1 ... W_s, of n x n matrices W_i with independent entries, as n -> infinity.

    On 0 <= x <= (s + 1)^(s + 1)/s^s, for entries of variance 1, and with an angle 0 < phi < pi/(s + 1),

        x = sin^(s+1)((s + 1) phi)/(sin phi sin^s(s phi)),
        rho = sin^2(phi) sin^(s-1)(s phi)/(pi sin^s((s + 1) phi)),
        P(X > x) = [(s + 1) phi - s sin((s + 1) phi) sin(phi)/sin(s phi)]/pi.

    The moments are E x^k = binomial((s + 1) k, k)/(s k + 1), so that mean and variance are 1 and s (K. A. Penson,
    K. Zyczkowski, Phys. Rev. E 83 (2011) 061118). s = 1 is `MarchenkoPastur` of ratio 1. rho ~ x^(-s/(s+1)) at 0.

    Not valid for rectangular factors, nor at small n, where the density leaks over the upper edge and is cut at 0.

    Parameters
    ----------
    factors : int, from 1 to 100
        s. `fit` never estimates it and needs it.
    variance : float, > 0
        Variance of the entries of every factor: X has the unit variance^s.

    Notes
    -----
    `fit` is maximum likelihood. The upper edge depends on the variance, and the largest datum alone may set it:
    resample for errors. A RuntimeWarning tells where a few data decide all.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.FussCatalan(factors=2)
    >>> law.support()
    (0.0, 6.75)
    >>> law.mean(), law.var()
    (1.0, 2.0)
    """

    factors: int
    variance: float = 1.0

    shape: ClassVar[tuple[str, ...]] = ("variance",)
    _positive: ClassVar[tuple[str, ...]] = ("variance",)

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        return whole(name, value, 100) if name == "factors" else super()._checked(name, value)

    def __post_init__(self) -> None:
        """Check the parameters, and that x is a number."""
        super().__post_init__()
        size = self.factors * math.log10(self.variance)
        if abs(size) > 100.001:
            raise ValueError(
                f"variance = {self.variance:g}: {self.factors} factors have values of the size 10^{size:.0f}, must be "
                "from 10^-100 to 10^100; change the units"
            )

    @property
    def _unit(self) -> float:
        """Mean of x."""
        return math.exp(min(self.factors * math.log(self.variance), 700.0)) if self.factors > 1 else self.variance

    @property
    def _edge(self) -> float:
        """Upper edge, for variance 1."""
        s = self.factors
        return float((s + 1) ** (s + 1)) / float(s**s) if s < 60 else (s + 1) * math.exp(s * math.log1p(1.0 / s))

    def support(self) -> tuple[float, float]:
        """Return (0, variance^s (s + 1)^(s + 1)/s^s)."""
        return 0.0, self._unit * self._edge

    def mean(self) -> float:
        """Return variance^s."""
        return self._unit

    def var(self) -> float:
        """Return s variance^(2 s)."""
        return self.factors * self._unit**2

    # ---- the angle: phi from the upper edge, psi = pi/(s + 1) - phi from 0 -------------------------------------------

    def _log_below_edge(self, phi: np.ndarray) -> np.ndarray:
        """log(edge/x), to relative accuracy at phi = 0."""
        s = self.factors
        return log_sinc(phi) + s * log_sinc(s * phi) - (s + 1) * log_sinc((s + 1) * phi)

    def _slope(self, phi: np.ndarray) -> np.ndarray:
        """-d log x/d phi = cot(phi) + s^2 cot(s phi) - (s + 1)^2 cot((s + 1) phi)."""
        s = self.factors
        return self._sines(phi) / (np.sin(phi) * np.sin(s * phi) * np.sin((s + 1) * phi))

    def _sines(self, phi: np.ndarray) -> np.ndarray:
        """Numerator of the slope over one denominator: |sin(s phi) - s sin(phi) exp(i (s + 1) phi)|^2."""
        s = self.factors
        one, other = np.sin(phi), np.sin(s * phi)
        return (other - s * one) ** 2 + 4.0 * s * one * other * np.sin(0.5 * (s + 1) * phi) ** 2

    def _log_x(self, psi: np.ndarray) -> np.ndarray:
        """Log x, to relative accuracy at psi = 0."""
        s = self.factors
        phi = math.pi / (s + 1) - psi
        return (s + 1) * np.log(np.sin((s + 1) * psi)) - np.log(np.sin(phi)) - s * np.log(np.sin(s * phi))

    def _angles(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return phi and psi at x in the units of variance 1, the smaller one to full relative accuracy."""
        s, edge = self.factors, self._edge
        whole_angle = math.pi / (s + 1)
        phi, psi = np.empty_like(x), np.empty_like(x)
        high = x > 0.5 * edge
        # near the edge log(edge/x) ~ c phi^2
        aim = np.log(-np.log1p(-np.maximum(edge - x[high], 0.0) / edge))
        limit = math.log(whole_angle * 0.999999)
        start = np.clip(0.5 * (aim - math.log(0.5 * s * (s + 1))), -700.0, limit - 0.1)

        def of_log_phi(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            angle = np.exp(z)
            value = self._log_below_edge(angle)
            return np.log(value), angle * self._slope(angle) / value

        found = np.exp(invert(of_log_phi, aim, start, np.maximum(start - 5.0, -700.0), np.full(aim.size, limit)))
        phi[high] = np.where(np.isfinite(aim), found, 0.0)
        psi[high] = whole_angle - phi[high]
        # near 0 x ~ ((s + 1) psi)^(s + 1)/sin^(s+1)(pi/(s + 1))
        aim = np.log(x[~high])
        start = aim / (s + 1) + math.log(math.sin(whole_angle) / (s + 1))

        def of_log(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            angle = np.exp(z)
            return self._log_x(angle), angle * self._slope(whole_angle - angle)

        psi[~high] = np.exp(
            invert(
                of_log, aim, np.minimum(start, limit - 0.1), np.minimum(start, limit) - 5.0, np.full(aim.size, limit)
            )
        )
        phi[~high] = whole_angle - psi[~high]
        return phi, psi

    def _lower(self, psi: np.ndarray) -> np.ndarray:
        """P(X <= x), a sum of positive terms."""
        s = self.factors
        phi = np.maximum(math.pi / (s + 1) - psi, 1e-100)
        return ((s + 1) * psi + s * np.sin((s + 1) * psi) * np.sin(phi) / np.sin(s * phi)) / math.pi

    def _angular_density(self, phi: np.ndarray) -> np.ndarray:
        """Of phi: rho |dx/d phi|."""
        s = self.factors
        return self._sines(phi) / (math.pi * np.sin(s * phi) ** 2)

    def _upper(self, phi: np.ndarray, psi: np.ndarray) -> np.ndarray:
        """P(X > x): the integral of the density from the edge, where the closed form cancels."""
        near = phi < 0.5 * psi
        result = 1.0 - self._lower(psi)
        nodes, weights = gauss_legendre(_ORDER)
        for block in np.array_split(np.flatnonzero(near), max(1, int(near.sum()) // 4096)):
            points = np.multiply.outer(phi[block], nodes)
            result[block] = phi[block] * (self._angular_density(np.maximum(points, 1e-100)) @ weights)
        return result

    # ---- the law -------------------------------------------------------------------------------------------------

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        s = self.factors
        result = np.full(x.size, math.inf)
        inside = x > 0.0
        phi, psi = self._angles(x[inside] / self._unit)
        value = 2.0 * np.log(np.sin(phi)) + (s - 1) * np.log(np.sin(s * phi)) - s * np.log(np.sin((s + 1) * psi))
        result[inside] = np.where(phi > 0.0, value - math.log(math.pi) - math.log(self._unit), -math.inf)
        return result

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        result = np.zeros(x.size)
        inside = x > 0.0
        result[inside] = self._lower(self._angles(x[inside] / self._unit)[1])
        return result

    def _sf(self, x: np.ndarray) -> np.ndarray:
        result = np.ones(x.size)
        inside = x > 0.0
        result[inside] = self._upper(*self._angles(x[inside] / self._unit))
        return result

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        whole_angle = math.pi / (self.factors + 1)

        def of_log(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            angle = np.exp(z)
            value = self._lower(angle)
            return np.log(value), angle * self._angular_density(whole_angle - angle) / value

        limit = np.full(q.size, math.log(whole_angle))
        start = np.log(q) + math.log(0.5 * math.pi / (self.factors + 1))
        psi = np.exp(invert(of_log, np.log(q), np.minimum(start, limit), np.minimum(start, limit) - 5.0, limit))
        return self._unit * np.exp(np.minimum(self._log_x(np.minimum(psi, whole_angle)), math.log(self._edge)))

    def _isf(self, q: np.ndarray) -> np.ndarray:
        whole_angle = math.pi / (self.factors + 1)
        x = np.empty(q.size)
        far = q > 0.05
        x[far] = self._ppf(1.0 - q[far])
        aim = q[~far]

        def of_log(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            phi = np.exp(z)
            value = self._upper(phi, whole_angle - phi)
            return np.log(value), phi * self._angular_density(phi) / value

        limit = np.full(aim.size, math.log(whole_angle))
        start = np.minimum(np.log(aim) / 3.0, limit - 1.0)
        phi = np.exp(invert(of_log, np.log(aim), start, start - 6.0, limit))
        x[~far] = self._unit * self._edge * np.exp(-self._log_below_edge(phi))
        return x

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Edge times a product of s independent beta numbers, whose moments those of the law are."""
        s = self.factors
        x = np.full(size, self._unit * self._edge)
        for j in range(1, s + 1):
            a = j / (s + 1.0)
            x *= rng.beta(a, (j + 1.0) / s - a, size)
        return x

    # ---- fit -----------------------------------------------------------------------------------------------------

    def _doubt(self, x: np.ndarray, fixed: dict[str, float]) -> str:
        return lone_extremes(self, x, x, fixed)

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """One-dimensional search for the upper edge."""
        if "factors" not in fixed:
            raise ValueError("factors is not estimated: pass factors= to fit")
        s = int(fixed["factors"])
        if x.min() <= 0.0:
            raise ValueError(f"data contain {x.min():g}: must be > 0")
        law, top = cls(s), float(x.max())
        edge = law._edge

        def cost(z: float) -> float:
            unit = top / edge * (1.0 + math.exp(z))
            return math.log(unit) - float(np.mean(law.logpdf(x / unit)))

        best = minimize_on_interval(cost, -30.0, 12.0)
        return {"variance": (top / edge * (1.0 + math.exp(best))) ** (1.0 / s)}


def log_sinc(y: np.ndarray) -> np.ndarray:
    """log(sin y/y), to full relative accuracy at y = 0."""
    small = np.minimum(np.abs(y), _SMALL) ** 2
    series = small * np.polynomial.polynomial.polyval(small, _LOG_SINC)
    safe = np.where(np.abs(y) < _SMALL, 1.0, y)
    return np.where(np.abs(y) < _SMALL, series, np.log(np.maximum(np.sin(safe), 0.0) / safe))
