"""The Wigner surmise: the law of the spacing of two levels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._numerics import real
from .base import Law

_RATE = {1: math.pi / 4.0, 2: 4.0 / math.pi, 4: 64.0 / (9.0 * math.pi)}


@dataclass(frozen=True)
class WignerSurmise(Law):
    """Spacing S >= 0 of two levels that repel with Dyson index beta, with mean `scale`.

    In s = S / scale: P(s) = (pi/2) s exp(-pi s^2/4) for beta = 1, (32/pi^2) s^2 exp(-4 s^2/pi) for beta = 2,
    (2^18/(3^6 pi^3)) s^4 exp(-64 s^2/(9 pi)) for beta = 4 (arXiv:2412.20496, arXiv:2407.16427).

    Exact for two levels in one quadratic well: `TwoLevel(loc, sigma)` has scale = sqrt(pi) sigma. For the
    bulk of a large matrix it is only close: its variances are .2732, .1781, .1045, not .2855, .1800, .1041.

    Parameters
    ----------
    beta : 1, 2 or 4
        `fit` never estimates it: it is 1 unless given, as in ``WignerSurmise.fit(s, beta=2)``.
    scale : float, > 0
        Mean spacing, in the units of S.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.WignerSurmise(beta=1)
    >>> round(law.pdf(1.0), 4)
    0.7162
    >>> print(law.rvs(3, random_state=1).shape)
    (3,)
    """

    beta: int = 1
    scale: float = 1.0

    shape: ClassVar[tuple[str, ...]] = ("scale",)
    _positive: ClassVar[tuple[str, ...]] = ("scale",)

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        if name != "beta":
            return super()._checked(name, value)
        beta = real(name, value)
        if beta not in _RATE:
            raise ValueError(f"beta = {value!r}: must be 1, 2 or 4")
        return int(beta)

    # s is the norm of beta + 1 Gaussian components, so b s^2 follows a gamma law of this shape

    @property
    def _gamma_shape(self) -> float:
        return 0.5 * (self.beta + 1)

    def _gamma_variable(self, x: np.ndarray) -> np.ndarray:
        return _RATE[self.beta] * (x / self.scale) ** 2

    def support(self) -> tuple[float, float]:
        """Return (0, inf)."""
        return 0.0, math.inf

    def mean(self) -> float:
        """Return the mean, which is the scale."""
        return self.scale

    def var(self) -> float:
        """Return the variance, exact for the surmise."""
        return self.scale**2 * (self._gamma_shape / _RATE[self.beta] - 1.0)

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import xlogy

        shape, rate = self._gamma_shape, _RATE[self.beta]
        norm = math.log(2.0) + shape * math.log(rate) - math.lgamma(shape) - math.log(self.scale)
        return norm + xlogy(self.beta, x / self.scale) - self._gamma_variable(x)

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import gammainc

        t = self._gamma_variable(x)
        return -np.expm1(-t) if self.beta == 1 else gammainc(self._gamma_shape, t)

    def _sf(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import erfc

        t = np.minimum(self._gamma_variable(x), 1e4)  # exp(-t) is 0 long before
        if self.beta == 1:
            return np.exp(-t)
        tail = 2.0 * np.sqrt(t / math.pi) * np.exp(-t)
        return erfc(np.sqrt(t)) + (tail if self.beta == 2 else tail * (1.0 + 2.0 * t / 3.0))

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import gammaincinv

        t = -np.log1p(-q) if self.beta == 1 else gammaincinv(self._gamma_shape, q)
        return self.scale * np.sqrt(t / _RATE[self.beta])

    def _isf(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import gammainccinv

        t = -np.log(q) if self.beta == 1 else gammainccinv(self._gamma_shape, q)
        return self.scale * np.sqrt(t / _RATE[self.beta])

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        chi_squared = rng.chisquare(self.beta + 1, size)
        return self.scale * np.sqrt(0.5 * chi_squared / _RATE[self.beta])

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """Fit in closed form: scale^2 = 2 b <S^2> / (beta + 1), with b the rate in exp(-b s^2)."""
        beta = int(fixed.get("beta", 1))
        if x.min() < 0.0:
            raise ValueError(f"data contain {x.min():g}: spacings must be >= 0")
        square = float(np.mean(x**2))
        if not square > 0.0:
            raise ValueError("data are all zero: at least one spacing must be > 0")
        return {"scale": math.sqrt(2.0 * _RATE[beta] * square / (beta + 1))}
