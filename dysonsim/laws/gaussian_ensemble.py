"""The exact one-point density of n levels in one Gaussian well: what the semicircle is the limit of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np

from ._numerics import Table, whole
from .standard import StandardizedLaw, one_of

_LARGEST_N = 1000


@dataclass(frozen=True)
class GaussianEnsembleDensity(StandardizedLaw):
    """Any one, picked at random, of n levels of P ~ prod |x_i - x_j|^beta exp(-sum (x_i - loc)^2 / 2 scale^2).

    The eigenvalues of the Gaussian orthogonal (beta = 1), unitary (2) and symplectic (4) ensembles with diagonal
    variance scale^2 and off-diagonal variance beta scale^2/2. Normalized to 1, variance scale^2 [1 + beta (n - 1)/2].
    With phi_j the Hermite functions (Mehta, Random Matrices, chapters 6 to 8), y = (x - loc)/scale for beta = 1
    and y = (x - loc)/(sqrt(2) scale) else:

    - beta = 2: sum_{j<n} phi_j(y)^2;
    - beta = 1: the same + sqrt(n/2) phi_{n-1}(y) int sgn(y - t) phi_n(t) dt / 2, + phi_{n-1}(y) / int phi_{n-1} for
      odd n;
    - beta = 4: sum_{m<n} (Q_2m Q_2m+1' - Q_2m' Q_2m+1) exp(-y^2)/r_m with skew-orthogonal polynomials Q.

    n = 2, beta = 1 is `TwoLevel`; n -> infinity is `Semicircle.for_gas(n, beta, scale)`. Not valid where levels have
    wells of their own (`TwoSpecies` for two), nor as a law of several levels of one matrix: they repel.

    Parameters
    ----------
    n : int, >= 1 and <= 1000
        Number of levels. `fit` never estimates it and needs it: ``GaussianEnsembleDensity.fit(x, n=10)``.
    beta : 1, 2 or 4
        Not estimated either: 2 unless given.
    loc : float
    scale : float, > 0
        sigma, the width of the well.

    Notes
    -----
    A density costs O(n) operations; the distribution function is tabulated at first use, in O(n^2): hence the bound
    on n. Beyond, the density is that of `Semicircle` but for oscillations of relative size 1/n. `rvs` draws
    tridiagonal matrices (Dumitriu, Edelman, J. Math. Phys. 43 (2002) 5830) and takes one eigenvalue of each.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.GaussianEnsembleDensity(n=3, beta=2)
    >>> round(law.var(), 6)
    3.0
    >>> round(law.cdf(0.0), 6)
    0.5
    """

    n: int
    beta: int = 2
    loc: float = 0.0
    scale: float = 1.0

    shape: ClassVar[tuple[str, ...]] = ("loc", "scale")
    _positive: ClassVar[tuple[str, ...]] = ("scale",)

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        if name == "beta":
            return one_of(name, value, (1, 2, 4))
        if name == "n":
            return whole(name, value, _LARGEST_N)
        return super()._checked(name, value)

    @property
    def _standard(self) -> _StandardDensity:
        return _standard(self.n, self.beta)

    def median(self) -> float:
        """Return the median, which is loc by symmetry."""
        return self.loc

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        degrees = self.beta * np.arange(self.n - 1.0, 0.0, -1.0)
        levels = np.empty(size)
        for first in range(0, size, 4096):
            count = min(4096, size - first)
            diagonal = rng.standard_normal((self.n, count))
            squares = 0.5 * rng.chisquare(degrees[:, None], (self.n - 1, count))
            levels[first : first + count] = _eigenvalue(diagonal, squares, rng.integers(0, self.n, count))
        return self.loc + self.scale * levels


def _eigenvalue(diagonal: np.ndarray, squares: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Find the eigenvalue of given rank (from 0) of each of k tridiagonal matrices, by bisection on Sturm counts.

    diagonal (n, k), squares of the off-diagonals (n - 1, k), rank (k,) -> (k,).
    """
    off = np.sqrt(squares)
    reach = np.abs(diagonal)
    reach[1:] += off
    reach[:-1] += off
    high = reach.max(0)
    low = -high
    for _ in range(60):
        x = 0.5 * (low + high)
        pivot = diagonal[0] - x
        below = (pivot < 0.0).astype(np.int64)
        for a, b in zip(diagonal[1:], squares, strict=True):
            # an exact zero stands for a tiny number of either sign
            pivot = a - x - b / np.where(np.abs(pivot) < 1e-290, 1e-290, pivot)
            below += pivot < 0.0
        above = below <= rank
        low, high = np.where(above, x, low), np.where(above, high, x)
    return 0.5 * (low + high)


@lru_cache(maxsize=32)
@np.errstate(all="ignore")
def _standard(n: int, beta: int) -> _StandardDensity:
    return _StandardDensity(n, beta)


class _StandardDensity:
    """The law at loc = 0 and scale = 1."""

    mean = 0.0
    resolution = 1e-17

    def __init__(self, n: int, beta: int) -> None:
        self.n, self.beta = n, beta
        self.var = 1.0 + 0.5 * beta * (n - 1)
        edge = math.sqrt(2.0 * beta * n)
        # log pdf falls at least as fast as the normal law's beyond the edge: below the smallest float at `top`
        grid = edge + np.linspace(0.0, 45.0, 451)
        self.top = float(grid[np.argmax(self.log_pdf(grid) < -760.0)])
        self.bracket = (-self.top, self.top)

    @cached_property
    def _log_upper(self) -> Table:
        """Tabulate log sf at u >= 0: two panels an oscillation inside, one a factor exp(2) of the density outside."""
        edge = math.sqrt(2.0 * self.beta * self.n)
        grid = np.linspace(edge, self.top + 1.0, 451)
        logs = self.log_pdf(grid)
        outside = np.interp(np.arange(-logs[0], -logs[-1], 2.0), -logs, grid)
        edges = np.concatenate([np.linspace(0.0, edge, self.n + 20), outside[1:], grid[-1:]])
        return Table.of_tail(self.log_pdf, edges)

    def log_sf(self, u: np.ndarray) -> np.ndarray:
        upper = np.full_like(u, -math.inf)
        near = np.abs(u) <= self.top  # beyond, it is below the smallest float
        upper[near] = self._log_upper(np.abs(u[near]))
        return np.where(u >= 0.0, upper, np.log1p(-np.exp(upper)))

    def log_cdf(self, u: np.ndarray) -> np.ndarray:
        return self.log_sf(-u)

    def guess(self, log_tail: np.ndarray, side: float) -> np.ndarray:
        """Roughly where log cdf (side = 1) or log sf (side = -1) has this value."""
        from scipy.special import ndtri_exp

        return np.clip(side * math.sqrt(self.var) * ndtri_exp(log_tail), *self.bracket)

    def log_pdf(self, u: np.ndarray) -> np.ndarray:
        u = np.abs(u)
        return {1: _log_orthogonal, 2: _log_unitary, 4: _log_symplectic}[self.beta](self.n, u)


# In what follows h_j are the orthonormal Hermite polynomials (phi_j = h_j exp(-y^2/2)), known up to a factor exp(log)
# of every entry that keeps them from overflowing; what is quadratic in them is known up to its square.


class _Hermite:
    """Runs through h_0, h_1, ... at y (k,) >= 0: `now` is h_j, `before` is h_{j-1}."""

    def __init__(self, y: np.ndarray) -> None:
        self.y = np.minimum(y, 1e50)  # nothing but exp(-y^2) matters beyond
        self.j = 0
        self.before, self.now = np.zeros(y.size), np.full(y.size, math.pi**-0.25)
        self.log = np.zeros(y.size)

    def advance(self) -> np.ndarray | None:
        """One step; the factor by which all that is linear in h must be multiplied, if there is one."""
        k = self.j + 1
        following = math.sqrt(2.0 / k) * self.y * self.now - math.sqrt((k - 1) / k) * self.before
        self.before, self.now, self.j = self.now, following, k
        size = np.abs(following)
        if size.max(initial=0.0) < 1e100:
            return None
        factor = np.where(size < 1e100, 1.0, 1.0 / size)
        self.before, self.now, self.log = self.before * factor, following * factor, self.log - np.log(factor)
        return factor


def _log_unitary(n: int, u: np.ndarray) -> np.ndarray:
    y = u / math.sqrt(2.0)
    h = _Hermite(y)
    total = h.now**2
    for _ in range(n - 1):
        factor = h.advance()
        total = h.now**2 + (total if factor is None else total * factor**2)
    return np.log(total) + 2.0 * h.log - y**2 - math.log(n * math.sqrt(2.0))


def _log_orthogonal(n: int, y: np.ndarray) -> np.ndarray:
    from scipy.special import erfcx

    h = _Hermite(y)
    # integrals of phi_j from y to infinity, times exp(y^2/2), and over the whole line (even j)
    tail_before = h.now * math.sqrt(0.5 * math.pi) * erfcx(h.y / math.sqrt(2.0))
    tail = math.sqrt(2.0) * h.now
    whole = math.pi**-0.25 * math.sqrt(2.0 * math.pi)
    total = np.zeros(y.size)
    for j in range(n):
        # h is h_j; `tail_before` and `tail` belong to j and j + 1
        total += h.now**2
        if j == n - 1:
            break
        if j % 2 == 0:
            whole *= math.sqrt((j + 1) / (j + 2))
        factor = h.advance()
        if factor is not None:
            total, tail, tail_before = total * factor**2, tail * factor, tail_before * factor
        following = math.sqrt((j + 1) / (j + 2)) * tail_before + math.sqrt(2.0 / (j + 2)) * h.now
        tail_before, tail = tail, following
    quadratic = total - math.sqrt(0.5 * n) * h.now * tail
    # `whole` is that of the last even number below n + 1
    linear = h.now * (math.sqrt(0.125 * n) * whole if n % 2 == 0 else 1.0 / whole)
    log_gauss = h.log - 0.5 * y**2
    return log_gauss + np.log(linear + np.exp(log_gauss) * quadratic) - math.log(n)


def _log_symplectic(n: int, u: np.ndarray) -> np.ndarray:
    y = u / math.sqrt(2.0)
    h = _Hermite(y)
    # Q_2m = h_2m + sqrt(2m/(2m-1)) Q_2m-2 and its derivative, where h_j' = sqrt(2j) h_j-1; Q_2m+1 = h_2m+1
    even, even_slope = np.zeros(y.size), np.zeros(y.size)
    total = np.zeros(y.size)
    for m in range(n):
        ratio = math.sqrt(2 * m / (2 * m - 1)) if m else 0.0
        even = h.now + ratio * even
        even_slope = math.sqrt(4 * m) * h.before + ratio * even_slope
        # Q_2m+1' = sqrt(4m+2) h_2m, r_m = sqrt(4m+2)
        total += even * h.now
        for part in range(2):
            factor = h.advance()
            if factor is not None:
                total, even, even_slope = total * factor**2, even * factor, even_slope * factor
            if part == 0:
                total -= even_slope * h.now / math.sqrt(4 * m + 2)
    return np.log(total) + 2.0 * h.log - y**2 - math.log(n * math.sqrt(2.0))
