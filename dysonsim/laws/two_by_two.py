"""The exact density of the eigenvalues of a 2 x 2 symmetric Gaussian matrix with unequal variances."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ._angle_mean import log_density, log_upper
from .symmetric import SymmetricLaw

_LEAST_SHARE = 1e-10
_HELD = (1e-4, 1e4)


@dataclass(frozen=True)
class SymmetricTwoByTwo(SymmetricLaw):
    """Density of either eigenvalue, picked at random, of M = loc 1 + [[a, c], [c, b]], normalized to 1.

    a ~ N(0, std11^2), b ~ N(0, std22^2), c ~ N(0, std12^2), independent. The eigenvalues are (a + b)/2 +- r
    with r = sqrt((a - b)^2/4 + c^2). Write (a - b, 2c) = rho (sd cos psi, 2 std12 sin psi) with sd^2 =
    std11^2 + std22^2: psi is uniform, rho is Rayleigh, and the part of (a + b)/2 that does not depend on a
    - b is an independent normal of width s = std11 std22/sd. So the law is that of s z +- eta(psi) rho,

    eta(psi) = [(std11^2 - std22^2)/sd cos psi + sqrt(sd^2 cos^2 psi + 4 std12^2 sin^2 psi)]/2,
    V^2 = s^2 + eta^2,
    pdf(x) = <(s^2/V^2) exp(-x^2/2s^2)/(sqrt(2 pi) s) + (eta x/2V^3) exp(-x^2/2V^2) erf(eta x/(sqrt(2) s V))>,
    sf(x) = erfc(x/(sqrt(2) s))/2 + <(eta/2V) exp(-x^2/2V^2) erf(eta x/(sqrt(2) s V))>

    with <> the mean over psi, x counted from loc and x >= 0. All terms are positive, so a quadrature in psi
    is accurate relative to the value, in the tails too (here to about 1e-12 of pdf, cdf and sf).

    This is what a linear network with an anisotropic output layer gives (arXiv:2412.20496 fits `TwoSpecies`
    instead); exact for Gaussian, independent entries, hence near the fixed point. std11 = std22 = sqrt(2)
    std12 is the Gaussian orthogonal ensemble: `TwoLevel` with scale = std11. std12 -> 0 gives the mean of
    two normal densities.

    Parameters
    ----------
    loc : float
        Mean of the diagonal entries.
    std11, std22 : float, > 0
        Standard deviations of the diagonal entries. The density does not change when they are exchanged:
        `fit` returns std11 <= std22, unless one of them is held fixed.
    std12 : float, > 0
        Standard deviation of the off-diagonal entry.

    Raises
    ------
    ValueError, TypeError
        A parameter that is not allowed; a width below 1e-10 of the largest, which no quadrature here resolves.

    Notes
    -----
    The three widths enter the density through its even moments only and are strongly correlated in a
    fit: expect large errors on the differences unless some are held fixed or the sample is large. The likelihood has
    several maxima; `fit` descends from starts in all corners and returns the highest that it finds. Below a hundred
    levels there are narrow ones at single data, of nearly the same height: hold a width fixed there.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.SymmetricTwoByTwo(loc=2.0, std11=0.1, std22=0.1, std12=0.2)
    >>> round(law.mean(), 6)
    2.0
    >>> round(law.cdf(2.0), 6)
    0.5
    """

    loc: float
    std11: float
    std22: float
    std12: float

    shape: ClassVar[tuple[str, ...]] = ("loc", "std11", "std22", "std12")
    _positive: ClassVar[tuple[str, ...]] = ("std11", "std22", "std12")
    _starts: ClassVar[Sequence[Sequence[float]]] = tuple(
        (math.sqrt(2.0 * share * (1.0 - off)), math.sqrt(2.0 * (1.0 - share) * (1.0 - off)), math.sqrt(off))
        for share in (0.45, 0.15, 0.005, 0.85, 0.995)
        for off in (0.1, 0.4, 0.9)
    )

    def __post_init__(self) -> None:
        """Check that no width is negligible beside the others: ValueError."""
        super().__post_init__()
        least = _LEAST_SHARE * max(self.std11, self.std22, self.std12)
        for name in self._positive:
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} = {getattr(self, name):g}: must be at least {_LEAST_SHARE:g} of the largest width, "
                    f"which is {least / _LEAST_SHARE:g}"
                )

    def var(self) -> float:
        """Return (std11^2 + std22^2)/2 + std12^2, exact."""
        return 0.5 * (self.std11**2 + self.std22**2) + self.std12**2

    def mean_spacing(self) -> float:
        """Mean distance of the eigenvalues; its law is `WignerSurmise` if 4 std12^2 = std11^2 + std22^2."""
        from scipy.special import ellipe

        difference = math.hypot(self.std11, self.std22)
        parameter = 1.0 - (2.0 * self.std12 / difference) ** 2
        return math.sqrt(2.0 / math.pi) * difference * float(ellipe(parameter))

    def _widths(self) -> tuple[float, float, float]:
        """std11, std22 and std12 in units of std()."""
        unit = self.std()
        return self.std11 / unit, self.std22 / unit, self.std12 / unit

    def _log_density(self, u: np.ndarray) -> np.ndarray:
        unit = self.std()
        return log_density(u / unit, self._widths()) - math.log(unit)

    def _upper(self, u: np.ndarray) -> np.ndarray:
        return np.exp(log_upper(u / self.std(), self._widths()))

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        a, b, c = (width * rng.standard_normal(size) for width in (self.std11, self.std22, self.std12))
        sign = 2.0 * rng.integers(0, 2, size) - 1.0
        return self.loc + 0.5 * (a + b) + sign * np.hypot(0.5 * (a - b), c)

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """Refuses held widths that are far off the data: the quadrature would need minutes to resolve a fit."""
        spread = float(np.std(x))
        for name in cls._positive:
            if spread > 0.0 and not _HELD[0] <= fixed.get(name, spread) / spread <= _HELD[1]:
                raise ValueError(
                    f"{name} = {fixed[name]:g}: must be from {_HELD[0]:g} to {_HELD[1]:g} of the standard deviation of "
                    f"the data, {spread:g}"
                )
        return super()._estimate(x, fixed)

    @classmethod
    def _ordered(cls, fitted: dict[str, float], held: Collection[str]) -> dict[str, float]:
        if "std11" not in held and "std22" not in held:
            fitted["std11"], fitted["std22"] = sorted((fitted["std11"], fitted["std22"]))
        return fitted
