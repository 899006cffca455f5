"""Ratios of consecutive spacings: neighbor statistics that need no unfolding."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ._numerics import gauss_legendre, log_gamma_half, minimize_on_interval, real
from .base import Law

_LARGEST_BETA = 1e10  # r is then 1 to within 1e-5
_CONCENTRATED = 40.0  # from here on the angle phi stays within 9/sqrt(beta) < pi/2 of its middle pi/2


@dataclass(frozen=True)
class SpacingRatio(Law):
    """r = min(s1, s2)/max(s1, s2) in [0, 1] for the two spacings s1, s2 of three consecutive levels.

    P(r) = 2 (r + r^2)^beta / (Z (1 + r + r^2)^(1 + 3 beta/2)), Z = 2 pi Gamma(1 + beta) / (3^(3(1 + beta)/2)
    Gamma(1 + beta/2)^2) (Atas, Bogomolny, Giraud, Roux, PRL 110 (2013) 084101). beta = 0 stands for
    independent (Poisson) levels, 2/(1 + r)^2; the formula itself tends to another law as beta -> 0, that of three
    independent normal levels.

    Exact for three levels in one quadratic well at any beta > 0, and for Poisson spectra. In the bulk of a large gas
    it is a surmise, up to 2% off: its means are .5359, .6027, .6762 for beta = 1, 2, 4, not .5307, .5998, .6744
    measured at large N (0.3863 for Poisson in either). Not for spectra with exact or near degeneracies.

    Parameters
    ----------
    beta : float, >= 0 and <= 1e10
        Dyson index; `fit` estimates it, as an effective index where the surmise is not exact, and as 0 where the
        Poisson law has the larger likelihood. 0 is a law apart, which no derivative in beta reaches: an estimate of 0
        has no standard error.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.SpacingRatio(beta=1.0)
    >>> round(law.pdf(1.0), 4)
    0.866
    >>> round(law.mean(), 4)
    0.5359
    """

    beta: float = 1.0

    shape: ClassVar[tuple[str, ...]] = ("beta",)
    _folded: ClassVar[bool] = True

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        beta = real(name, value)
        if not 0.0 <= beta <= _LARGEST_BETA:
            raise ValueError(f"beta = {beta:g}: must be a finite number >= 0 and <= {_LARGEST_BETA:g}")
        return beta

    def support(self) -> tuple[float, float]:
        """Return (0, 1)."""
        return 0.0, 1.0

    # In the plane of s1 and s2, r is an angle. With tan d = sqrt(3) r/(2 + r), 0 <= d <= pi/3, and phi = 3 d the
    # law is sin(phi)^beta dphi on (0, pi), the same for r and 1/r, that is for phi and pi - phi.

    def mean(self) -> float:
        """Return the mean, by quadrature; in closed form at beta = 0."""
        return 2.0 * math.log(2.0) - 1.0 if self.beta == 0.0 else _moments(self.beta)[0]

    def var(self) -> float:
        """Return the variance, by quadrature; in closed form at beta = 0."""
        if self.beta == 0.0:
            return 2.0 - 4.0 * math.log(2.0) ** 2
        return _moments(self.beta)[1]

    @staticmethod
    def _sine_cosine(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """sin(phi) and cos(phi) at r in [0, 1], each to full relative accuracy."""
        sine = np.sin(3.0 * np.arctan2(math.sqrt(3.0) * r, 2.0 + r))
        return sine, np.sin(3.0 * np.arctan2(1.0 - r, math.sqrt(3.0) * (1.0 + r)))

    def _log_folded(self, r: np.ndarray) -> np.ndarray:
        """Return the log density on [0, 1]: that of the angle and d phi/dr = (3 sqrt 3/2)/(1 + r + r^2)."""
        if self.beta == 0.0:
            return math.log(2.0) - 2.0 * np.log1p(r)
        sine, cosine = self._sine_cosine(r)
        log_sine = np.where(sine < cosine, np.log(sine), 0.5 * np.log1p(-(cosine**2)))
        log_norm = 0.5 * math.log(0.25 * math.pi) - log_gamma_half(0.5 * (self.beta + 1.0))
        return self.beta * log_sine + math.log(1.5 * math.sqrt(3.0)) - np.log1p(r * (1.0 + r)) - log_norm

    def _tails(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P(ratio <= r) and P(ratio > r) on [0, 1], the smaller of the two to full relative accuracy."""
        from scipy.special import betainc, betaincc

        if self.beta == 0.0:
            return 2.0 * r / (1.0 + r), (1.0 - r) / (1.0 + r)
        a = 0.5 * (self.beta + 1.0)
        sine, cosine = self._sine_cosine(r)
        near_zero = np.exp(2.0 * a * np.log(np.maximum(sine, 1e-320)) - self._log_beta)
        left = sine < cosine
        # always from the smaller of sin^2 and cos^2: the rounding error of the other is multiplied by beta in a tail
        lower = np.where(sine < 1e-8, near_zero, np.where(left, betainc(a, 0.5, sine**2), betaincc(0.5, a, cosine**2)))
        upper = np.where(left, 1.0 - lower, betainc(0.5, a, cosine**2))
        return np.where(upper < 0.5, 1.0 - upper, lower), upper

    @property
    def _log_beta(self) -> float:
        """Return the log of B(a, 1/2) a, a = (beta + 1)/2: P(ratio <= r) -> sin(phi)^(2a)/(B a) as r -> 0."""
        a = 0.5 * (self.beta + 1.0)
        return math.log(a) + 0.5 * math.log(math.pi) - log_gamma_half(a)

    def _inverse_lower(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import betainccinv, betaincinv

        if self.beta == 0.0:
            return q / (2.0 - q)
        a = 0.5 * (self.beta + 1.0)
        sine = np.sqrt(betaincinv(a, 0.5, q))
        near_zero = np.exp((np.log(q) + self._log_beta) / (self.beta + 1.0))
        phi = np.arcsin(np.where(near_zero < 1e-8, near_zero, np.minimum(sine, 1.0)))
        return self._from_angle(np.where(sine < 0.7, phi, np.arccos(np.sqrt(betainccinv(0.5, a, q)))))

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
        """One-dimensional search: for beta > 0 the law is an exponential family in beta, with one sufficient mean.

        Its limit beta -> 0 is not the law at 0, whose likelihood is compared with the best of the others.
        """
        low, high = cls().support()
        if x.min() <= 0.0 or x.max() > high:
            bad = float(x.min() if x.min() <= 0.0 else x.max())
            raise ValueError(f"data contain {bad:g}: ratios must be > {low:g}" + (" and <= 1" if cls._folded else ""))
        r = np.minimum(x, 1.0 / x)
        sine, cosine = cls._sine_cosine(r)
        mean_log = float(np.mean(np.where(sine < cosine, np.log(sine), 0.5 * np.log1p(-(cosine**2)))))

        def cost(log_beta: float) -> float:
            """- mean log density in the angle."""
            beta = math.exp(log_beta)
            return 0.5 * math.log(0.25 * math.pi) - log_gamma_half(0.5 * (beta + 1.0)) - beta * mean_log

        if mean_log == 0.0:
            raise ValueError("data are all 1: there is no largest likelihood, two different spacings are needed")
        best = math.exp(minimize_on_interval(cost, math.log(1e-6), math.log(_LARGEST_BETA)))
        poisson = max(cls(0.0).loglikelihood(x), -sys.float_info.max)
        return {"beta": best if cls(best).loglikelihood(x) > poisson else 0.0}


@dataclass(frozen=True)
class UnfoldedSpacingRatio(SpacingRatio):
    """r = s2/s1 in [0, infinity) for the two spacings s1, s2 of three consecutive levels.

    P(r) = (r + r^2)^beta / (Z (1 + r + r^2)^(1 + 3 beta/2)), 1/(1 + r)^2 for beta = 0, with Z and all else as for
    `SpacingRatio`, the law of min(r, 1/r). r and 1/r have the same law, so the median is 1; the tail is
    r^(-2 - beta): no mean for beta = 0, no variance for beta <= 1 (both infinite).

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.UnfoldedSpacingRatio(beta=1.0)
    >>> round(law.cdf(1.0), 4)
    0.5
    >>> round(law.folded().mean(), 4)
    0.5359
    """

    _folded: ClassVar[bool] = False
    _far: ClassVar[float] = math.inf  # a ratio has no unit, and its tail is a power

    def support(self) -> tuple[float, float]:
        """Return (0, inf)."""
        return 0.0, math.inf

    def mean(self) -> float:
        """Return the mean, infinite at beta = 0."""
        return math.inf if self.beta == 0.0 else _moments(self.beta)[2]

    def var(self) -> float:
        """Return the variance, infinite for beta <= 1."""
        return math.inf if self.beta <= 1.0 else _moments(self.beta)[3]

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
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
        return np.where(q <= 0.5, low, 1.0 / low)

    def _isf(self, q: np.ndarray) -> np.ndarray:
        low = super()._ppf(2.0 * np.minimum(q, 1.0 - q))
        return np.where(q <= 0.5, 1.0 / low, low)

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        folded = super()._sample(size, rng)
        return np.where(rng.random(size) < 0.5, folded, 1.0 / folded)

    def folded(self) -> SpacingRatio:
        """Return the law of min(r, 1/r)."""
        return SpacingRatio(self.beta)


@lru_cache(maxsize=64)
@np.errstate(all="ignore")
def _moments(beta: float) -> tuple[float, float, float, float]:
    """Mean and variance of the folded law, then of the unfolded one, beta > 0; the last infinite where beta <= 1."""
    if beta >= _CONCENTRATED:
        return _concentrated_moments(beta)
    mean, square, inverse = (_moment(beta, power) for power in (1, 2, -1))
    both = 0.5 * (mean + inverse)
    return mean, square - mean**2, both, 0.5 * (square + _moment(beta, -2)) - both**2 if beta > 1.0 else math.inf


def _moment(beta: float, power: int) -> float:
    """E r^power of the folded law, power > -1 - beta: Gauss-Jacobi quadrature in the angle.

    Where sin(phi)^beta r^power is nearly 1/phi or worse at the end phi = 0, its leading part is integrated in closed
    form: a quadrature can hold what is left however close beta + power comes to -1.
    """
    from scipy.special import roots_jacobi

    lead = beta + (min(power, 0) + 1)
    singular = lead < 1.0
    nodes, weights = roots_jacobi(60, 0.0, lead if singular else lead - 1.0)
    phi = 0.25 * math.pi * (1.0 + nodes)
    weights = weights * (0.25 * math.pi) ** (lead + 1.0 if singular else lead)
    ratio = np.sin(phi / 3.0) / np.cos((phi + 0.5 * math.pi) / 3.0)
    smooth = (np.sin(phi) / phi) ** beta * (ratio**power if power > 0 else (phi / ratio) ** -power)
    if singular:
        at_zero = (3.0 * math.cos(math.pi / 6.0)) ** -power
        total = at_zero * (0.5 * math.pi) ** lead / lead + float(weights @ ((smooth - at_zero) / phi))
    else:
        total = float(weights @ smooth)
    # the integral of sin(phi)^beta on (0, pi/2)
    return total / math.exp(0.5 * math.log(0.25 * math.pi) - log_gamma_half(0.5 * (beta + 1.0)))


def _concentrated_moments(beta: float) -> tuple[float, float, float, float]:
    """Do the same where pi/2 - phi is small and nearly normal: second moments about the means, which do not cancel."""
    nodes, node_weights = gauss_legendre(60)
    angle = 9.0 / math.sqrt(beta) * nodes
    weights = node_weights * np.exp(0.5 * beta * np.log1p(-(np.sin(angle) ** 2)))
    weights /= weights.sum()
    # 1 - r and 1/r - 1 from tan((pi/2 - phi)/3) = (1 - r)/(sqrt(3) (1 + r))
    tangent = math.sqrt(3.0) * np.tan(angle / 3.0)
    short, over = 2.0 * tangent / (1.0 + tangent), 2.0 * tangent / (1.0 - tangent)
    mean = float(weights @ short)
    both = 0.5 * float(weights @ (over - short))
    spread = 0.5 * float(weights @ ((short + both) ** 2 + (over - both) ** 2))
    return 1.0 - mean, float(weights @ (short - mean) ** 2), 1.0 + both, spread
