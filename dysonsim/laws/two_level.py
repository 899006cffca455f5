"""The density of two levels in one well: the "semicircle" of N = 2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .surmise import WignerSurmise
from .symmetric import SymmetricLaw


@dataclass(frozen=True)
class TwoLevel(SymmetricLaw):
    """One-point density of the levels of P(x1, x2) ~ |x1 - x2| exp(-[(x1-loc)^2 + (x2-loc)^2] / 2 scale^2).

    rho(x) = exp(-u^2/2) [2 exp(-u^2/2) + sqrt(2 pi) u erf(u/sqrt 2)] / (4 sqrt(pi) scale), u = (x-loc)/scale,
    normalized to 1 (arXiv:2412.20496). It is the law of either eigenvalue, picked at random, of a 2 x 2
    real symmetric Gaussian matrix with diagonal variance scale^2 and off-diagonal variance scale^2/2.

    Exact for beta = 1, two levels and one quadratic well for both. Not the law where the two levels have
    different widths (`TwoSpecies`), where the entries of the matrix have other variances
    (`SymmetricTwoByTwo`), or for N > 2.

    Parameters
    ----------
    loc : float
        Center of the well.
    scale : float, > 0
        sigma, the width of the well. The spacing has mean sqrt(pi) scale.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.TwoLevel(loc=1.0, scale=0.5)
    >>> round(law.cdf(1.0), 6)
    0.5
    >>> round(law.spacing().mean(), 4)
    0.8862
    """

    loc: float
    scale: float

    shape: ClassVar[tuple[str, ...]] = ("loc", "scale")
    _positive: ClassVar[tuple[str, ...]] = ("scale",)
    _starts: ClassVar[Sequence[Sequence[float]]] = ((math.sqrt(2.0 / 3.0),),)

    def var(self) -> float:
        """Return 3 scale^2/2, exact."""
        # half of E[x1^2 + x2^2] = scale^2 [N + beta N (N - 1)/2] = 3 scale^2
        return 1.5 * self.scale**2

    def spacing(self) -> WignerSurmise:
        """Return the law of |x1 - x2|."""
        return WignerSurmise(beta=1, scale=math.sqrt(math.pi) * self.scale)

    def _log_density(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import erf

        u = u / self.scale
        half = 0.5 * u * u
        bracket = 2.0 * np.exp(-half) + math.sqrt(2.0 * math.pi) * u * erf(u / math.sqrt(2.0))
        return np.log(bracket) - half - math.log(4.0 * math.sqrt(math.pi) * self.scale)

    def _upper(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import erf, erfc

        # integrating the density by parts leaves two positive terms: nothing cancels in the tail
        u = u / self.scale
        return 0.5 * erfc(u) + math.sqrt(0.125) * np.exp(-0.5 * u * u) * erf(u / math.sqrt(2.0))

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        # eigenvalues (a + b)/2 +- sqrt((a - b)^2/4 + c^2): half trace and radius are independent
        half_trace = rng.standard_normal(size)
        radius = np.sqrt(rng.chisquare(2, size))
        sign = 2.0 * rng.integers(0, 2, size) - 1.0
        return self.loc + self.scale / math.sqrt(2.0) * (half_trace + sign * radius)
