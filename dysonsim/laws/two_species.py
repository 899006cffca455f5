"""The density of two levels of different widths: the generalized semicircle."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .._checks import integer
from .surmise import WignerSurmise
from .symmetric import SymmetricLaw


@dataclass(frozen=True)
class TwoSpecies(SymmetricLaw):
    """One-point density of P(x1, x2) ~ |x1 - x2| exp(-(x1-loc)^2/2 scale1^2 - (x2-loc)^2/2 scale2^2).

    rho = (rho_1 + rho_2)/2, normalized to 1, with x counted from loc, s_i = scale_i (arXiv:2412.20496) and
    rho_1(x) = exp(-x^2/2 s1^2) [2 s2^2 exp(-x^2/2 s2^2) + sqrt(2 pi) s2 x erf(x/(sqrt(2) s2))]
    / (2 sqrt(2 pi) s1 s2 sqrt(s1^2 + s2^2)); rho_2 has the indices exchanged. Equal scales give `TwoLevel`.

    Exact for a Coulomb gas (beta = 1) of two levels, each with its own quadratic well about one center. *Not*
    the density of a 2 x 2 symmetric Gaussian matrix with unequal variances, `SymmetricTwoByTwo`, even where the
    spacings have the same law.

    Parameters
    ----------
    loc : float
        Common center of the wells.
    scale1, scale2 : float, > 0
        Widths of the wells. The density does not change when they are exchanged: `fit` returns scale1 <=
        scale2, unless one of them is held fixed.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.TwoSpecies(loc=0.0, scale1=1.0, scale2=2.0)
    >>> round(law.cdf(0.0), 6)
    0.5
    >>> round(law.spacing().mean(), 4)
    2.8025
    """

    loc: float
    scale1: float
    scale2: float

    shape: ClassVar[tuple[str, ...]] = ("loc", "scale1", "scale2")
    _positive: ClassVar[tuple[str, ...]] = ("scale1", "scale2")
    _starts: ClassVar[Sequence[Sequence[float]]] = (
        (0.75, 0.9),
        (0.5, 1.05),
        (1.05, 0.5),
        (0.25, 1.0),
        (1.0, 0.25),
        (0.08, 1.0),
        (1.0, 0.08),
    )

    def var(self) -> float:
        """Return the variance of one of the two levels, exact."""
        a, b = self.scale1**2, self.scale2**2
        return 0.5 * (a + b + a * (a / (a + b)) + b * (b / (a + b)))

    def spacing(self) -> WignerSurmise:
        """Return the law of |x1 - x2|, which knows the two scales only through scale1^2 + scale2^2."""
        return WignerSurmise(beta=1, scale=math.sqrt(0.5 * math.pi) * math.hypot(self.scale1, self.scale2))

    def pdf_species(self, x: ArrayLike, species: int) -> Any:
        """Density rho_1 or rho_2 of one species, normalized to 1.

        Parameters
        ----------
        x : array
        species : 1 or 2
            The level whose width is scale1, or scale2.
        """
        first = integer("species", species, 1, 2) == 1
        own, other = (self.scale1, self.scale2) if first else (self.scale2, self.scale1)
        return self._inside_support(
            lambda y: np.exp(self._log_component(np.abs(y - self.loc), own, other)), x, 0.0, 0.0
        )

    @staticmethod
    def _log_component(u: np.ndarray, own: float, other: float) -> np.ndarray:
        from scipy.special import erf

        v = u / other
        bracket = 2.0 * np.exp(-0.5 * v * v) + math.sqrt(2.0 * math.pi) * v * erf(v / math.sqrt(2.0))
        norm = 2.0 * math.sqrt(2.0 * math.pi) * math.hypot(own / other, 1.0) * own
        return np.log(bracket) - 0.5 * (u / own) ** 2 - math.log(norm)

    def _log_density(self, u: np.ndarray) -> np.ndarray:
        first = self._log_component(u, self.scale1, self.scale2)
        second = self._log_component(u, self.scale2, self.scale1)
        return np.logaddexp(first, second) - math.log(2.0)

    def _upper(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import erf, erfc

        # each component integrates by parts to the same erfc and a positive term of its own
        h = math.hypot(self.scale1, self.scale2)
        narrow = self.scale1 * (self.scale2 / h)
        upper = 0.5 * erfc(u / (math.sqrt(2.0) * narrow))
        for own, other in ((self.scale1, self.scale2), (self.scale2, self.scale1)):
            upper += 0.25 * own / h * np.exp(-0.5 * (u / own) ** 2) * erf(u / (math.sqrt(2.0) * other))
        return upper

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        # given the spacing d (Rayleigh, of scale h), x1 is normal about +- (scale1^2/h^2) d with variance
        # (scale1 scale2/h)^2; then one of the two levels is picked
        h = math.hypot(self.scale1, self.scale2)
        own = np.where(rng.integers(0, 2, size) == 0, self.scale1, self.scale2)
        sign = 2.0 * rng.integers(0, 2, size) - 1.0
        rayleigh = np.sqrt(rng.chisquare(2, size))
        common = self.scale1 * (self.scale2 / h) * rng.standard_normal(size)
        return self.loc + sign * (own / h) * own * rayleigh + common

    @classmethod
    def _ordered(cls, fitted: dict[str, float], held: Collection[str]) -> dict[str, float]:
        if "scale1" not in held and "scale2" not in held:
            fitted["scale1"], fitted["scale2"] = sorted((fitted["scale1"], fitted["scale2"]))
        return fitted
