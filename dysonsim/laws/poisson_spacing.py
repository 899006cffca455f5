"""Spacings of levels that do not repel each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._numerics import whole
from .base import Law

LARGEST_ORDER = 1000


@dataclass(frozen=True)
class PoissonSpacing(Law):
    """Distance S >= 0 from a level to the `order`-th one above it, of independent levels of mean spacing `scale`.

    P(s) = s^(k - 1) exp(-s)/(k - 1)!, s = S/scale, k = `order`: a gamma law of mean k and variance k. With p(j; s) the
    density of distances with j levels inside, as the literature has it, this is p(k - 1; s). `BulkSpacing` is the
    same for levels that repel.

    Not valid where the mean density varies over a spacing: unfold the levels first.

    Parameters
    ----------
    scale : float, > 0
        Mean distance of next neighbors, in the units of S; the mean of the law is `order` times that.
    order : int, from 1 to 1000
        1 for next neighbors, k for levels with k - 1 others between them. `fit` never estimates it.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.PoissonSpacing(scale=0.5, order=2)
    >>> law.mean(), law.var()
    (1.0, 0.5)
    """

    scale: float = 1.0
    order: int = 1

    shape: ClassVar[tuple[str, ...]] = ("scale",)
    _positive: ClassVar[tuple[str, ...]] = ("scale",)

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        return whole(name, value, LARGEST_ORDER) if name == "order" else super()._checked(name, value)

    def support(self) -> tuple[float, float]:
        """Return (0, inf)."""
        return 0.0, math.inf

    def mean(self) -> float:
        """Return order times scale."""
        return self.order * self.scale

    def var(self) -> float:
        """Return order times scale^2."""
        return self.order * self.scale**2

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import xlogy

        s = x / self.scale
        return xlogy(self.order - 1, s) - s - math.lgamma(self.order) - math.log(self.scale)

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import gammainc

        return gammainc(self.order, x / self.scale)

    def _sf(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import gammaincc

        return gammaincc(self.order, x / self.scale)

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import gammaincinv

        return self.scale * gammaincinv(self.order, q)

    def _isf(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import gammainccinv

        return self.scale * gammainccinv(self.order, q)

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        return self.scale * rng.standard_gamma(self.order, size)

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """Fit in closed form: the mean over the order."""
        if x.min() < 0.0:
            raise ValueError(f"data contain {x.min():g}: spacings must be >= 0")
        mean = float(np.mean(x))
        if not mean > 0.0:
            raise ValueError("data are all zero: at least one spacing must be > 0")
        return {"scale": mean / fixed.get("order", 1)}
