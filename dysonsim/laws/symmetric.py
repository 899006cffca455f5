"""Laws on the whole real line that are symmetric about `loc`: tails, inversion and fit in one place."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ._numerics import condense, descend, invert
from .base import Law


@dataclass(frozen=True)
class SymmetricLaw(Law):
    """A law that is symmetric about its first parameter `loc`; its other parameters are all scales.

    A subclass supplies `_log_density` and `_upper` (both of the distance u = |x - loc|), `var`, `_sample` and
    `_starts`.
    """

    loc: float

    _starts: ClassVar[Sequence[Sequence[float]]] = ()
    """Scales, for data of unit variance, from which `fit` starts."""

    @abstractmethod
    def _log_density(self, u: np.ndarray) -> np.ndarray:
        """Return log pdf at distance u >= 0 from loc."""

    @abstractmethod
    def _upper(self, u: np.ndarray) -> np.ndarray:
        """P(X - loc > u), u >= 0, to full relative accuracy."""

    def mean(self) -> float:
        """Return the mean, which is loc by symmetry."""
        return self.loc

    def median(self) -> float:
        """Return the median, which is loc by symmetry."""
        return self.loc

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        return self._log_density(np.abs(x - self.loc))

    def _sf(self, x: np.ndarray) -> np.ndarray:
        u = x - self.loc
        upper = self._upper(np.abs(u))
        return np.where(u >= 0.0, upper, 1.0 - upper)

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        u = x - self.loc
        upper = self._upper(np.abs(u))
        return np.where(u <= 0.0, upper, 1.0 - upper)

    def _isf(self, q: np.ndarray) -> np.ndarray:
        return self.loc + np.where(q <= 0.5, 1.0, -1.0) * self._inverse_upper(np.minimum(q, 1.0 - q))

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        return self.loc - np.where(q <= 0.5, 1.0, -1.0) * self._inverse_upper(np.minimum(q, 1.0 - q))

    def _inverse_upper(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        def minus_log_upper(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            upper = self._upper(u)
            return -np.log(upper), np.exp(self._log_density(u)) / upper

        # the tails fall like exp(-x^2/2V^2) with V <= sqrt(2) std in every law here: `far` is beyond the root
        far = 2.0 * self.std() * (2.0 + np.sqrt(-2.0 * np.log(q)))
        return invert(minus_log_upper, -np.log(q), -self.std() * ndtri(q), np.zeros(q.size), far)

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """Descends in loc and the logarithms of the scales, in units of the sample's mean and spread."""
        center = fixed.get("loc", float(np.mean(x)))
        spread = math.sqrt(float(np.mean((x - center) ** 2)))
        if not (math.isfinite(spread) and spread > 0.0):
            raise ValueError(f"data have no spread about {center:g} (or overflow): two different values needed")
        unit = (x - center) / spread
        held = {name: value / spread for name, value in fixed.items() if name != "loc"}
        free = [name for name in cls.shape if name not in fixed]
        # scales below 1e-4 of the spread are out of reach: a spike on a single datum is not an estimate
        bounds = [(-10.0, 10.0) if name == "loc" else (math.log(1e-4), math.log(10.0)) for name in free]
        starts: list[list[float]] = []
        for scales in cls._starts:
            named = cls._ordered(dict(zip(cls.shape, (0.0, *scales), strict=True)), held)
            start = [value if name == "loc" else math.log(value) for name, value in named.items() if name in free]
            if start not in starts:
                starts.append(start)

        for step in (1.0 / 32.0, 1.0 / 128.0, 0.0):
            points, weights = condense(unit, step) if step and x.size > 200 else (unit, np.ones(x.size))

            def cost(point: np.ndarray, points: np.ndarray = points, weights: np.ndarray = weights) -> float:
                return -float(weights @ cls._at(point, free, held).logpdf(points)) / x.size

            starts = descend(cost, starts, bounds)
            best = np.array(starts[0])
            law = cls._at(best, free, held)
            # a feature of the density as narrow as the lattice spoils the condensed sum: then refine it
            if points is unit or abs(cost(best) * x.size + law.loglikelihood(unit)) < 0.03:
                break
        fitted = {name: spread * getattr(law, name) for name in free}
        if "loc" in fitted:
            fitted["loc"] += center
        return cls._ordered(fitted, held)

    @classmethod
    def _at(cls, point: np.ndarray, free: Sequence[str], held: dict[str, float]) -> Self:
        """Return the law at loc and logarithms of scales, loc being 0 where it is not free."""
        values = {name: v if name == "loc" else math.exp(v) for name, v in zip(free, point.tolist(), strict=True)}
        return cls(**{"loc": 0.0, **held, **values})

    @classmethod
    def _ordered(cls, fitted: dict[str, float], held: Collection[str]) -> dict[str, float]:
        """Chooses between labelings that give the same density, if none of what they exchange is held."""
        return fitted
