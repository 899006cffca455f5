"""The smallest singular value of a random matrix: the law of the hard edge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar

import numpy as np

from .. import _checks
from . import _hard_edge
from ._numerics import gauss_legendre, whole
from .standard import ScaledLaw, one_of

LARGEST_EXCESS = {1: 6, 2: 6, 4: 3}
LARGEST_N = 1000


@dataclass(frozen=True)
class SmallestSingularValue(ScaledLaw):
    """U = sqrt(n) sigma_min of an m x n matrix of independent normal entries, m = n + excess, E|w|^2 = scale^2.

    In u = U/scale, n -> infinity, with d = `excess` and S(u) = P(U/scale > u):

    - beta = 1: S = exp(-u^2/2 - u) for d = 0, exp(-u^2/2) for d = 1 (at every n), exp(-u^2/2) 0F1(; 2; u^2) for d = 3;
    - beta = 2: S = exp(-u^2) det[I_{j-k}(2 u)], j, k = 1 ... d;
    - beta = 4: S = exp(-2 u^2) cosh(2 u) for d = 0.

    For all other d they are averages over orthogonal and symplectic groups, the gap probabilities at the hard edge of
    the Laguerre ensembles (A. Edelman, SIAM J. Matrix Anal. Appl. 9 (1988) 543; P. J. Forrester, Nucl. Phys. B 402
    (1993) 709; E. M. Rains, Electron. J. Combin. 5 (1998) R12). E|w|^2 counts all beta real components of an entry, so
    that each has the variance scale^2/beta: with variance scale^2 each, pass sqrt(beta) scale.

    The limit holds for any independent entries with four moments (T. Tao, V. Vu, GAFA 20 (2010) 260); the law of finite
    n for normal ones. Not valid for trained weights whose small singular values have been learned.

    Parameters
    ----------
    excess : int, from 0 to 6, for beta = 4 to 3
        m - n. `fit` never estimates it, and takes 0 unless given; likewise for `beta` and `n`.
    beta : 1, 2 or 4
        Real, complex or quaternion entries.
    n : int, optional
        Number of columns, at most 1000, for the exact law of finite n where it is known: excess 0, 1 and 3 for beta =
        1; 0, 1 and 2 for beta = 2; 0 for beta = 4. Default: n -> infinity, whose error is of order 1/n.
    scale : float, > 0
        Root mean square of the entries.

    Notes
    -----
    Left of the middle of the law, cdf and pdf are power series with exact coefficients, which count walks between
    representations; right of it they are Hankel determinants as products of positive norms, so that both tails keep
    their digits. Variates are drawn by inversion.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.SmallestSingularValue(beta=1)
    >>> round(law.sf(1.0), 6), round(law.mean(), 6)
    (0.22313, 0.65568)
    >>> round(ds.laws.SmallestSingularValue(excess=1, beta=2, n=10).sf(1.0), 6)
    0.826219
    """

    excess: int = 0
    beta: int = 1
    n: int | None = None
    scale: float = 1.0

    _what: ClassVar[str] = "singular values"

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        if name == "beta":
            return one_of(name, value, (1, 2, 4))
        if name == "n":
            return None if value is None else whole(name, value, LARGEST_N)
        if name == "excess":
            return _checks.integer(name, value, 0, most=max(LARGEST_EXCESS.values()))
        return super()._checked(name, value)

    def __post_init__(self) -> None:
        """Check the parameters, and that the law is known."""
        super().__post_init__()
        if self.excess > LARGEST_EXCESS[self.beta]:
            raise ValueError(
                f"excess = {self.excess}: must be at most {LARGEST_EXCESS[self.beta]} for beta = {self.beta}"
            )
        if self.n is not None and _hard_edge.finite(self.excess, self.beta, self.n) is None:
            known = {1: "0, 1 and 3", 2: "0, 1 and 2", 4: "0"}[self.beta]
            raise ValueError(
                f"excess = {self.excess}: the law of finite n is known here for excess {known} at beta = {self.beta}; "
                "leave n out for the limit n -> infinity"
            )

    @property
    def _standard(self) -> _Standard:
        return _standard(self.excess, self.beta, self.n)


@lru_cache(maxsize=64)
@np.errstate(all="ignore")
def _standard(excess: int, beta: int, n: int | None) -> _Standard:
    return _Standard(excess, beta, n)


class _Standard:
    """The law at scale = 1."""

    resolution = 0.0

    def __init__(self, excess: int, beta: int, n: int | None) -> None:
        known = None if n is None else _hard_edge.finite(excess, beta, n)
        self._logs, self.beta = partial(_hard_edge.limit, excess, beta) if known is None else known, beta
        self.power = beta * (excess + 1.0)
        # sf < exp(-beta (u - d)^2/2), roughly: below the smallest float at the upper end
        self.bracket = (0.0, excess + 2.0 + math.sqrt(1600.0 / beta))
        nodes, weights = gauss_legendre(24)
        step = (excess + 2.0 + math.sqrt(100.0 / beta)) / 24
        u = step * (np.arange(24)[:, None] + nodes).ravel()
        mass = step * np.tile(weights, 24)
        upper = np.exp(self.log_sf(u))
        self.mean = float(mass @ upper)
        self.var = float(2.0 * (mass * u) @ upper) - self.mean**2

    def logs(self, u: np.ndarray) -> _hard_edge.Logs:
        """Return log pdf, log cdf and log sf; beyond 1e8 nothing but the Gaussian factor is followed."""
        v = np.minimum(u, 1e8)
        log_pdf, log_cdf, log_sf = self._logs(v)
        beyond = np.where(u > v, 0.5 * self.beta * u**2, 0.0)
        return log_pdf - beyond, log_cdf, log_sf - beyond

    def log_pdf(self, u: np.ndarray) -> np.ndarray:
        return self.logs(u)[0]

    def log_cdf(self, u: np.ndarray) -> np.ndarray:
        return self.logs(u)[1]

    def log_sf(self, u: np.ndarray) -> np.ndarray:
        return self.logs(u)[2]

    def guess(self, log_tail: np.ndarray, side: float) -> np.ndarray:
        """Roughly where log cdf (side = 1) or log sf (side = -1) has this value."""
        from scipy.special import ndtri_exp

        if side > 0.0:
            start = 0.3 * self.mean
            at_start = float(self.log_cdf(np.array([start]))[0])
            return start * np.exp((log_tail - at_start) / self.power)
        return np.clip(self.mean - math.sqrt(self.var) * ndtri_exp(log_tail), *self.bracket)
