"""`repulsion`: the forces F_i = sum_{j != i} 1/(x_i - x_j) of the levels of one gas, however many they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _checks
from ..backend import usable_cores
from ..kernels.many_levels import direct_sum, fast_sum

__all__ = ["SortedSums", "repulsion"]

METHODS = ("auto", "direct", "fast")
CROSSOVER = 700  # levels from which the fast sum is the faster one
PIECE = 2**15  # levels of which a thread scales so many at a time, in its cache
ALONE = 2000  # levels up to which a direct sum takes no longer than handing it to threads
LOOSEST, TIGHTEST = 1e-4, 1e-12
TASK_LEAVES = 6  # binary digits: a task is 2^6 leaves, 3000 levels


def repulsion(levels: Any, *, method: str = "auto", tolerance: float = 1e-12, threads: int | None = None) -> np.ndarray:
    """Compute repulsion sums F_i = sum_{j != i} 1/(x_i - x_j), the drift of Dyson Brownian motion over beta noise^2.

    Parameters
    ----------
    levels : array_like (n,) or (replicas, n)
        Levels in any order; no two levels of a gas may be equal.
    method : {"auto", "direct", "fast"}
        "direct" sums every pair, in a time that grows as n^2. "fast" is a fast multipole sum, in a time that grows as
        n, however unevenly the levels lie. "auto" takes the faster one: "fast" from 700 levels on.
    tolerance : float
        For the fast sum, from 1e-12 to 1e-4: a bound on its error in F_i relative to sum_j 1/abs(x_i - x_j), the sum
        without its cancellations. Relative to F_i itself the error is larger where F_i is small, as in the middle of a
        spectrum. The bound is proved for exact arithmetic, and rounding adds about 1e-15. Errors are usually 100 times
        smaller.
    threads : int, optional
        Default: all cores that this process may use. The result is the same, bit for bit, on any number.

    Returns
    -------
    ndarray (n,) or (replicas, n)
        In the order of `levels`. A single level feels no force: 0.

    Raises
    ------
    TypeError, ValueError
        For levels that are not real, not finite, or coincide (the message says which), and for other arguments that are
        not allowed.

    Notes
    -----
    The direct sum errs by a few 1e-16 of sum_j 1/abs(x_i - x_j). The fast sum replaces a box of far levels by p
    Chebyshev points. The relative error of each 1/(x_i - x_j) is then at most (1 + 1/T_p(r))^2 - 1, where r is the
    smallest distance of two such boxes in units of half their length [1]_; p is 8 or 16, and r follows from the
    tolerance.

    .. [1] W. Fong, E. Darve, "The black-box fast multipole method", J. Comput. Phys. 228, 8712 (2009).

    Examples
    --------
    >>> import dysonsim as ds
    >>> ds.repulsion([0.0, 1.0, 3.0])
    array([-1.33333333,  0.5       ,  0.83333333])
    """
    want = "a real array of shape (n,) or (replicas, n) with n >= 1"
    given = _checks.array("levels", levels, want, dimensions=(1, 2))
    rows = np.atleast_2d(given)
    method = _checks.choice("method", method, METHODS)
    tolerance = _tolerance(tolerance)
    threads = usable_cores() if threads is None else _checks.integer("threads", threads, 1)
    n = rows.shape[1]
    sums = SortedSums(n, method, tolerance, threads)
    out = np.zeros(rows.shape)
    for r, x in enumerate(rows if n > 1 else []):
        order = None if (x[1:] > x[:-1]).all() else np.argsort(x, kind="stable")
        ordered = x if order is None else x[order]
        coinciding = np.flatnonzero(ordered[1:] == ordered[:-1])
        if len(coinciding):
            a, b = (int(order[coinciding[0] + i]) for i in (0, 1))  # type: ignore[index]
            raise ValueError(
                f"levels[{_place(given, (r, a))}] and levels[{_place(given, (r, b))}] are both {x[a]}: levels that "
                "coincide repel infinitely"
            )
        with np.errstate(over="ignore"):
            out[r, slice(None) if order is None else order] = sums(ordered)
    if not np.isfinite(out).all():
        raise ValueError("levels: some lie so close to each other that their repulsion is too large for a float")
    return out[0] if given.ndim == 1 else out


class SortedSums:
    """Repulsion sums of one gas of n strictly ascending levels; keeps its memory from one call to the next.

    Parameters
    ----------
    n : int
        Levels, at least 1.
    method, tolerance, threads
        As of `repulsion`.
    """

    def __init__(self, n: int, method: str, tolerance: float, threads: int) -> None:
        from ..backend import many_levels as levels  # brings LLVM along, which `import dysonsim` does without

        self.lanes = levels
        self.n, self.threads = n, threads
        self.fast = n >= CROSSOVER if method == "auto" else method == "fast"
        multiple = fast_sum.LEAF if self.fast else direct_sum.CHUNK
        self.padded = np.full(-(-n // multiple) * multiple, direct_sum.FAR)
        self.out = np.empty_like(self.padded)
        if not self.fast:
            self.direct = self.lanes.compiled(direct_sum.build)
            return
        points, self.ratio = expansion(tolerance)
        self.up = self.lanes.compiled(fast_sum.build_up, points=points)
        self.down = self.lanes.compiled(fast_sum.build_down, points=points)
        self.first, self.table = fast_sum.tree(n), fast_sum.tables(points)
        self.heights, boxes = len(self.first) - 1, int(self.first[-1])
        self.center, self.half, self.charge = np.empty(boxes), np.empty(boxes), np.empty(boxes * points)
        self.scratch = fast_sum.scratch_size(points, self.heights)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(n,) the sums of levels x (n,), strictly ascending; a view that the next call overwrites."""
        if self.n == 1:
            return np.zeros(1)
        # Scaled by a power of two, which is exact, to a range between 1 and 2.
        exponent = math.frexp(0.5 * x[-1] - 0.5 * x[0])[1]
        inner = self.padded[: self.n]
        closest = []

        def scale(begin: int, end: int) -> None:
            _times_power_of_two(x[begin:end], -exponent, out=inner[begin:end])
            if end - begin > 1:
                closest.append((inner[begin + 1 : end] - inner[begin : end - 1]).min())
            if begin > 0:  # the neighbor may not be scaled yet
                closest.append(math.ldexp(x[begin], -exponent) - math.ldexp(x[begin - 1], -exponent))

        self.lanes.in_parallel(scale, self.n, self.threads if self.n > PIECE else 1, pieces=1 + self.n // PIECE)
        close = bool(min(closest) < direct_sum.CLOSEST)
        if self.fast:
            self._fast(close)
        else:
            chunks = len(self.padded) // direct_sum.CHUNK

            def task(first: int, last: int) -> None:
                self.direct(self.padded, len(self.padded), first, last, close, self.out)

            self.lanes.in_parallel(task, chunks, self.threads if self.n > ALONE else 1)
        out = self.out[: self.n]
        return _times_power_of_two(out, -exponent, out=out)

    def _fast(self, close: bool) -> None:
        first, counts = self.first, np.diff(self.first)
        boxes = self.center, self.half, self.charge
        cut = min(TASK_LEAVES, self.heights - 1)

        def rise(begin: int, end: int) -> None:  # the boxes of height `cut` from `begin` to `end`, and all below
            scratch = np.empty(self.scratch)
            for g in range(cut + 1):
                a, b = begin << (cut - g), min(end << (cut - g), int(counts[g]))
                self.up(self.padded, self.n, first, self.table, *boxes, g, a, b, scratch)

        def fall(begin: int, end: int) -> None:
            scratch, near = np.empty(self.scratch), np.empty(first[-1], np.int64)
            leaves = begin << cut, min(end << cut, int(counts[0]))
            heights = np.empty(self.heights, np.int64)
            self.down(
                self.padded, first, self.table, *boxes, self.ratio, close, *leaves, near, heights, scratch, self.out
            )

        self.lanes.in_parallel(rise, int(counts[cut]), self.threads)
        scratch = np.empty(self.scratch)
        for g in range(cut + 1, self.heights):
            self.up(self.padded, self.n, first, self.table, *boxes, g, 0, int(counts[g]), scratch)
        self.lanes.in_parallel(fall, int(counts[cut]), self.threads)


def _times_power_of_two(x: np.ndarray, exponent: int, out: np.ndarray) -> np.ndarray:
    """Return x 2^exponent, exact: a product where the factor is a normal number, eight times as fast as `ldexp`."""
    if abs(exponent) < 1022:
        return np.multiply(x, math.ldexp(1.0, exponent), out=out)
    return np.ldexp(x, exponent, out=out)


def expansion(tolerance: float) -> tuple[int, float]:
    """Chebyshev points p and the distance r of boxes for which (1 + 1/T_p(r))^2 - 1 is the tolerance."""
    points = 8 if tolerance >= 1e-5 else 16  # r stays below 3, where next but one leaves are still apart
    return points, math.cosh(math.acosh(1 / (math.sqrt(1 + tolerance) - 1)) / points)


def _tolerance(value: Any) -> float:
    number = _checks.real("tolerance", value)
    if not TIGHTEST <= number <= LOOSEST:
        raise ValueError(f"tolerance = {_checks.exact(number)}: must be from {TIGHTEST:g} to {LOOSEST:g}")
    return number


def _place(given: np.ndarray, at: tuple[int, ...]) -> str:
    return str(at[-1]) if given.ndim == 1 else f"{at[0]}, {at[1]}"
