"""The normal law: a single level in its own quadratic well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .symmetric import SymmetricLaw


@dataclass(frozen=True)
class Normal(SymmetricLaw):
    """N(loc, scale^2), with the interface of the other laws.

    The stationary law of one eigenvalue that is alone in its well, with scale^2 = g_i^2 / Omega_i
    (arXiv:2412.20496). Not valid for levels that share a well: see `TwoLevel`.

    Parameters
    ----------
    loc : float
    scale : float, > 0

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.Normal(loc=1.0, scale=2.0)
    >>> round(law.cdf(3.0), 4)
    0.8413
    >>> fitted = ds.laws.Normal.fit([1.0, 2.0, 3.0])
    >>> fitted.loc, round(fitted.scale, 4)
    (2.0, 0.8165)
    """

    loc: float
    scale: float

    shape: ClassVar[tuple[str, ...]] = ("loc", "scale")
    _positive: ClassVar[tuple[str, ...]] = ("scale",)

    def var(self) -> float:
        """Return scale^2."""
        return self.scale**2

    def _log_density(self, u: np.ndarray) -> np.ndarray:
        return -0.5 * (u / self.scale) ** 2 - math.log(self.scale) - 0.5 * math.log(2.0 * math.pi)

    def _upper(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        return ndtr(-u / self.scale)

    def _inverse_upper(self, q: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        return -self.scale * ndtri(q)

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        return rng.normal(self.loc, self.scale, size)

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """Fit in closed form: the sample mean and the root of the mean square about loc."""
        loc = fixed.get("loc", float(np.mean(x)))
        scale = math.sqrt(float(np.mean((x - loc) ** 2)))
        if "scale" not in fixed and not (math.isfinite(scale) and scale > 0.0):
            raise ValueError(f"data have no spread about {loc:g} (or overflow): two different values needed")
        return {name: value for name, value in (("loc", loc), ("scale", scale)) if name not in fixed}
