"""Ratios of consecutive spacings: neighbour statistics that need no unfolding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from .base import Law
from .numerics import minimise_on_interval, real


@dataclass(frozen=True)
class SpacingRatio(Law):
    """r = min(s1, s2)/max(s1, s2) in [0, 1] for the two spacings s1, s2 of three consecutive levels.

    P(r) = 2 (r + r^2)^beta / (Z (1 + r + r^2)^(1 + 3 beta/2)), Z = 2 pi Gamma(1 + beta) / (3^(3(1 + beta)/2)
    Gamma(1 + beta/2)^2) (Atas, Bogomolny, Giraud, Roux, PRL 110 (2013) 084101). beta = 0 stands for
    independent (Poisson) levels, 2/(1 + r)^2; the formula itself tends to another law as beta -> 0, that of three
    independent normal levels.

    Exact for three levels in one quadratic well at any beta > 0, and for Poisson spectra. In the bulk of a large gas
    it is a surmise, up to 2% off: its means are .5359, .6027, .6762 for beta = 1, 2, 4, against .5307, .5998, .6744
    measured at large N (0.3863 for Poisson in either). Not for spectra with exact or near degeneracies.

    Parameters
    ----------
    beta : float, >= 0
        Dyson index; `fit` estimates it (never as 0), as an effective index where the surmise is not exact.
    """

    beta: float = 1.0

    shape: ClassVar[tuple[str, ...]] = ("beta",)
    _folded: ClassVar[bool] = True

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        beta = real(name, value)
        if beta < 0.0:
            raise ValueError(f"beta = {beta:g}: must be a finite number >= 0")
        return beta

    def support(self) -> tuple[float, float]:
        return 0.0, 1.0

    # In the plane of s1 and s2, r is an angle. With tan d = sqrt(3) r/(2 + r), 0 <= d <= pi/3, and phi = 3 d the
    # law is sin(phi)^beta dphi on (0, pi), the same for r and 1/r, that is for phi and pi - phi.

    def mean(self) -> float:
        return self._moment(1)

    def var(self) -> float:
        return self._moment(2) - self._moment(1) ** 2

    def _moment(self, power: int) -> float:
        if self.beta == 0.0:
            return 2.0 * math.log(2.0) - 1.0 if power == 1 else 3.0 - 4.0 * math.log(2.0)
        return _moment(self.beta, power)

    def _log_folded(self, r: np.ndarray) -> np.ndarray:
        """log of the density on [0, 1]."""
        from scipy.special import xlogy

        beta = self.beta
        if beta == 0.0:
            return math.log(2.0) - 2.0 * np.log1p(r)
        norm = math.log(2.0 * math.pi) - 1.5 * (1.0 + beta) * math.log(3.0)
        norm += math.lgamma(1.0 + beta) - 2.0 * math.lgamma(1.0 + 0.5 * beta)
        return math.log(2.0) + xlogy(beta, r * (1.0 + r)) - (1.0 + 1.5 * beta) * np.log1p(r * (1.0 + r)) - norm

    def _tails(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P(ratio <= r) and P(ratio > r) on [0, 1], the smaller of the two to full relative accuracy."""
        from scipy.special import betainc

        if self.beta == 0.0:
            return 2.0 * r / (1.0 + r), (1.0 - r) / (1.0 + r)
        a = 0.5 * (self.beta + 1.0)
        sine = np.sin(3.0 * np.arctan2(math.sqrt(3.0) * r, 2.0 + r))
        cosine = np.sin(3.0 * np.arctan2(1.0 - r, math.sqrt(3.0) * (1.0 + r)))
        near_zero = np.exp(2.0 * a * np.log(np.maximum(sine, 1e-320)) - self._log_beta)
        lower = np.where(sine < 1e-8, near_zero, betainc(a, 0.5, sine**2))
        upper = betainc(0.5, a, cosine**2)
        left = sine < cosine
        return np.where(left, lower, 1.0 - upper), np.where(left, 1.0 - lower, upper)

    @property
    def _log_beta(self) -> float:
        """log of B(a, 1/2) a, a = (beta + 1)/2: P(ratio <= r) -> sin(phi)^(2a)/(B a) as r -> 0."""
        a = 0.5 * (self.beta + 1.0)
        return math.lgamma(a + 1.0) + 0.5 * math.log(math.pi) - math.lgamma(a + 0.5)

    def _inverse_lower(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import betaincinv

        if self.beta == 0.0:
            return q / (2.0 - q)
        sine = np.sqrt(betaincinv(0.5 * (self.beta + 1.0), 0.5, q))
        near_zero = np.exp((np.log(q) + self._log_beta) / (self.beta + 1.0))
        return self._from_angle(np.arcsin(np.where(near_zero < 1e-8, near_zero, sine)))

    def _inverse_upper(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import betaincinv

        if self.beta == 0.0:
            return (1.0 - q) / (1.0 + q)
        return self._from_angle(0.5 * math.pi - np.arcsin(np.sqrt(betaincinv(0.5, 0.5 * (self.beta + 1.0), q))))

    @staticmethod
    def _from_angle(phi: np.ndarray) -> np.ndarray:
        return np.minimum(np.sin(phi / 3.0) / np.cos((phi + 0.5 * math.pi) / 3.0), 1.0)

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        return self._log_folded(x)

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        return self._tails(x)[0]

    def _sf(self, x: np.ndarray) -> np.ndarray:
        return self._tails(x)[1]

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        return np.where(q < 0.5, self._inverse_lower(q), self._inverse_upper(1.0 - q))

    def _isf(self, q: np.ndarray) -> np.ndarray:
        return np.where(q < 0.5, self._inverse_upper(q), self._inverse_lower(1.0 - q))

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        if self.beta == 0.0:
            spacings = rng.standard_exponential((2, size))
            return spacings.min(0) / spacings.max(0)
        # cos^2 and sin^2 of phi are parts of a Dirichlet pair of a squared normal and a chi^2
        x, y = rng.standard_normal(size) ** 2, rng.chisquare(self.beta + 1.0, size)
        return self._from_angle(np.arctan2(np.sqrt(y), np.sqrt(x)))

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """One-dimensional search: for beta > 0 the law is an exponential family in beta, with one sufficient mean."""
        low, high = cls().support()
        if x.min() <= 0.0 or x.max() > high:
            bad = float(x.min() if x.min() <= 0.0 else x.max())
            raise ValueError(f"data contain {bad:g}: ratios must be > {low:g}" + (" and <= 1" if cls._folded else ""))
        r = np.minimum(x, 1.0 / x)
        statistic = float(np.mean(np.log(r * (1.0 + r)) - 1.5 * np.log1p(r * (1.0 + r))))

        def cost(log_beta: float) -> float:
            beta = math.exp(log_beta)
            norm = math.lgamma(1.0 + beta) - 2.0 * math.lgamma(1.0 + 0.5 * beta) - 1.5 * beta * math.log(3.0)
            return norm - beta * statistic

        return {"beta": math.exp(minimise_on_interval(cost, math.log(1e-3), math.log(1e3)))}


@dataclass(frozen=True)
class UnfoldedSpacingRatio(SpacingRatio):
    """r = s2/s1 in [0, infinity) for the two spacings s1, s2 of three consecutive levels.

    P(r) = (r + r^2)^beta / (Z (1 + r + r^2)^(1 + 3 beta/2)), 1/(1 + r)^2 for beta = 0, with Z and all else as for
    `SpacingRatio`, the law of min(r, 1/r). r and 1/r have the same law, so the median is 1; the tail is
    r^(-2 - beta): no mean for beta = 0, no variance for beta <= 1 (both infinite).
    """

    _folded: ClassVar[bool] = False

    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def _moment(self, power: int) -> float:
        if self.beta <= power - 1.0:
            return math.inf
        return 0.5 * (_moment(self.beta, power) + _moment(self.beta, -power))

    def var(self) -> float:
        return math.inf if self.beta <= 1.0 else super().var()

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", over="ignore"):
            far = np.maximum(x, 1.0)
            return self._log_folded(np.minimum(x, 1.0 / far)) - 2.0 * np.log(far) - math.log(2.0)

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        far = np.maximum(x, 1.0)
        return np.where(x <= 1.0, 0.5 * self._tails(np.minimum(x, 1.0))[0], 0.5 + 0.5 * self._tails(1.0 / far)[1])

    def _sf(self, x: np.ndarray) -> np.ndarray:
        far = np.maximum(x, 1.0)
        return np.where(x <= 1.0, 0.5 + 0.5 * self._tails(np.minimum(x, 1.0))[1], 0.5 * self._tails(1.0 / far)[0])

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        low = super()._ppf(2.0 * np.minimum(q, 1.0 - q))
        with np.errstate(divide="ignore", over="ignore"):
            return np.where(q <= 0.5, low, 1.0 / low)

    def _isf(self, q: np.ndarray) -> np.ndarray:
        low = super()._ppf(2.0 * np.minimum(q, 1.0 - q))
        with np.errstate(divide="ignore", over="ignore"):
            return np.where(q <= 0.5, 1.0 / low, low)

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        folded = super()._sample(size, rng)
        return np.where(rng.random(size) < 0.5, folded, 1.0 / folded)

    def folded(self) -> SpacingRatio:
        """The law of min(r, 1/r)."""
        return SpacingRatio(self.beta)


@lru_cache(maxsize=64)
def _moment(beta: float, power: int) -> float:
    """E r^power of the folded law, beta > 0, power > -1 - beta: Gauss-Jacobi quadrature in the angle."""
    from scipy.special import roots_jacobi

    lead = beta + min(power, 0)  # r ~ phi/3 at the end where sin(phi)^beta vanishes
    nodes, weights = roots_jacobi(60, 0.0, lead)
    phi = 0.25 * math.pi * (1.0 + nodes)
    with np.errstate(under="ignore"):
        smooth = (np.sin(phi) / phi) ** beta
    ratio = np.sin(phi / 3.0) / np.cos((phi + 0.5 * math.pi) / 3.0)
    over = weights * smooth * np.where(power < 0, phi / ratio, 1.0) ** abs(min(power, 0)) * ratio ** max(power, 0)
    # the integral of sin(phi)^beta on (0, pi/2)
    log_norm = math.lgamma(0.5 * (beta + 1.0)) - math.lgamma(0.5 * beta + 1.0) + 0.5 * math.log(0.25 * math.pi)
    return float(over.sum() * math.exp((lead + 1.0) * math.log(0.25 * math.pi) - log_norm))
