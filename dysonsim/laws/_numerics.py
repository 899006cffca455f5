"""Numerical tools that several laws share: checks, quadrature nodes, tables, inversion, fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Self

import numpy as np

from .. import _checks

EPSILON = float(np.finfo(np.float64).eps)
_DECISIVE, _EACH = 10.0, 3.0  # calibrated in tests/laws/test_laws_fit.py
LARGEST = 1e100
"""No parameter is larger, no width smaller than its inverse: squares, and products of two, stay floats."""


def real(name: str, value: Any, above: float = -math.inf) -> float:
    """Return a finite real number, `> above` and neither too large nor, if it is a width (above = 0), too small.

    TypeError or ValueError otherwise.
    """
    number = _checks.real(name, value, above=above)
    if abs(number) > LARGEST:
        raise ValueError(f"{name} = {number:g}: must be at most {LARGEST:g} in size; change the units")
    if above == 0.0 and number < 1.0 / LARGEST:
        raise ValueError(f"{name} = {number:g}: must be at least {1.0 / LARGEST:g}; change the units")
    return number


def whole(name: str, value: Any, largest: int) -> int:
    """Return an integer from 1 to `largest`; TypeError or ValueError otherwise."""
    number = real(name, value)
    if number < 1 or number != int(number):
        raise ValueError(f"{name} = {value!r}: must be an integer >= 1")
    if number > largest:
        raise ValueError(f"{name} = {value!r}: must be at most {largest}")
    return int(number)


def log_gamma_half(a: float) -> float:
    """log(Gamma(a + 1/2)/Gamma(a)), a > 0, to full accuracy where a difference of lgammas has lost it."""
    if a < 50.0:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    z = 1.0 / (a * a)
    series = -1.0 / 8.0 + z * (1.0 / 192.0 + z * (-1.0 / 640.0 + z * 17.0 / 14336.0))
    return 0.5 * math.log(a) + series / a


def split(value: Decimal) -> tuple[float, float]:
    """`value` as an unevaluated sum of two floats.

    An edge of a support is rarely a float. With edge = high + low, (x - high) - low keeps its relative
    accuracy however close x comes to the edge, where x - float(edge) would lose every digit.
    """
    high = float(value)
    return high, float(value - Decimal(high))


@lru_cache(maxsize=8)
def gauss_legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1], read-only."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    nodes, weights = 0.5 * (nodes + 1.0), 0.5 * weights
    nodes.setflags(write=False)
    weights.setflags(write=False)
    return nodes, weights


def invert(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    target: np.ndarray,
    start: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    resolution: float = 0.0,
) -> np.ndarray:
    """Solve value(x) = target for every entry, by Newton steps kept inside a shrinking bracket.

    Parameters
    ----------
    function : x (k,) -> value (k,), slope (k,)
        Increasing in x. Called with a subset of the entries, those not yet solved.
    target, start, low, high : (n,)
        value(low) <= target <= value(high) is taken for granted.
    resolution : float
        Steps this small end the search, where x = 0 is no end of the range that must be approached.

    Returns
    -------
    x : (n,), to the rounding error of `function`.
    """
    x, low, high = start.copy(), low.copy(), high.copy()
    last_step = high - low
    active = np.arange(x.size)
    for _ in range(1100):  # enough to halve any interval down to the smallest float
        if active.size == 0:
            break
        point, aim = x[active], target[active]
        with np.errstate(all="ignore"):
            value, slope = function(point)
            residual = value - aim
            newton = point - residual / slope
        too_low = residual < 0
        low[active] = np.where(too_low, point, low[active])
        high[active] = np.where(too_low, high[active], point)
        # bisect where Newton leaves the bracket, is not a number, or does not at least halve its last step
        good = (newton >= low[active]) & (newton <= high[active])
        good &= 2.0 * np.abs(newton - point) <= np.abs(last_step[active])
        proposal = np.where(good, newton, 0.5 * (low[active] + high[active]))
        step = proposal - point
        last_step[active] = step
        solved = np.abs(residual) <= 2.0 * EPSILON * (1.0 + np.abs(aim))
        x[active] = np.where(solved, point, proposal)
        active = active[~solved & (np.abs(step) > np.maximum(2.0 * EPSILON * np.abs(point), resolution))]
    return x


class Table:
    """A smooth function on [low, high]: Chebyshev series on panels, halved until each series settled.

    Parameters
    ----------
    function : (n,) -> (n,)
    tolerance : float
        Absolute: the last coefficients of every panel lie below it.
    """

    _DEGREE = 17

    @classmethod
    def _nodes(cls) -> tuple[np.ndarray, np.ndarray]:
        """Chebyshev nodes in (-1, 1), descending, and the matrix that makes a series of the values there."""
        order = np.arange(cls._DEGREE + 1)
        angles = np.pi * (order + 0.5) / order.size
        to_series = 2.0 / order.size * np.cos(np.outer(order, angles))
        to_series[0] *= 0.5
        return np.cos(angles), to_series.T

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], low: float, high: float, tolerance: float) -> None:
        nodes, to_series = self._nodes()
        left, right = np.array([low]), np.array([high])
        starts, lengths, series = [], [], []
        for _ in range(50):
            x = left[:, None] + (right - left)[:, None] * 0.5 * (1.0 + nodes)
            coefficients = function(x.ravel()).reshape(x.shape) @ to_series
            good = np.abs(coefficients[:, -3:]).max(1) < tolerance
            starts.append(left[good])
            lengths.append(right[good] - left[good])
            series.append(coefficients[good])
            middle = 0.5 * (left + right)[~good]
            left, right = np.r_[left[~good], middle], np.r_[middle, right[~good]]
            if left.size == 0:
                break
        self._keep(np.concatenate(starts), np.concatenate(lengths), np.concatenate(series))

    @classmethod
    def of_tail(cls, log_density: Callable[[np.ndarray], np.ndarray], edges: np.ndarray) -> Self:
        """Return the log of the integral of exp(log_density) from x to infinity, for edges[0] <= x <= edges[-1].

        Costs degree + 1 values of the density a panel, where integrals of it as a function would cost the square.

        Parameters
        ----------
        log_density : (n,) -> (n,)
        edges : (panels + 1,), ascending
            The density must not vary by orders of magnitude in a panel. What lies beyond the last edge is only
            estimated, by the density there.
        """
        nodes, to_series = cls._nodes()
        length = np.diff(edges)
        x = edges[:-1, None] + length[:, None] * 0.5 * (1.0 + nodes)
        logs = log_density(x.ravel()).reshape(x.shape)
        largest = logs.max(1, keepdims=True)
        # integrals of the series from the nodes, and from the left edge, to the right edge
        basis = np.polynomial.chebyshev.chebint(np.eye(nodes.size))
        at = np.append(nodes, -1.0)
        to_right = (basis.sum(0)[:, None] - np.polynomial.chebyshev.chebval(at, basis)) * 0.5
        pieces = largest + np.log(np.exp(logs - largest) @ to_series @ to_right * length[:, None])
        start = log_density(edges[-1:])
        beyond = np.logaddexp.accumulate(np.r_[start, pieces[:0:-1, -1]])[::-1]
        table = cls.__new__(cls)
        table._keep(edges[:-1], length, np.logaddexp(pieces[:, :-1], beyond[:, None]) @ to_series)
        return table

    def _keep(self, start: np.ndarray, length: np.ndarray, series: np.ndarray) -> None:
        rank = np.argsort(start)
        self.start, self.length = start[rank], length[rank]
        self.series = np.ascontiguousarray(series[rank].T)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Values at x (n,), by Clenshaw's recurrence."""
        panel = np.searchsorted(self.start, x, side="right") - 1
        t = 2.0 * (x - self.start[panel]) / self.length[panel] - 1.0
        later, latest = np.zeros(x.size), np.zeros(x.size)
        for row in self.series[:0:-1]:
            later, latest = 2.0 * t * later - latest + row[panel], later
        return t * later - latest + self.series[0][panel]


def condense(x: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Replace data by weighted points of a lattice such that sums of smooth functions keep their value.

    The lattice is uniform in t = asinh((x - median)/core), so that a narrow center and wide tails are both resolved.
    Each datum is spread over the six nearest points with the weights of Lagrange interpolation: then sum_i f(x_i) =
    sum_k w_k f(y_k) up to the sixth-order interpolation error of f. A log-likelihood then costs a few hundred
    evaluations of the density instead of one for each datum.

    Parameters
    ----------
    x : (n,), with spread
    step : float
        Distance of the lattice points in t.

    Returns
    -------
    points, weights : (k,)
        The weights add up to n; some are negative.
    """
    median, lower, upper = np.quantile(x, [0.5, 0.45, 0.55])
    core = max((upper - lower) / 0.25, 1e-6 * float(np.std(x)))  # the standard deviation, for normal data
    t = np.arcsinh((x - median) / core)
    origin = t.min()
    position = (t - origin) / step
    cell = np.floor(position).astype(np.int64)
    fraction = position - cell
    offsets = range(-2, 4)
    weights = np.zeros(int(cell.max()) + len(offsets))
    for k in offsets:
        share = np.ones(x.size)
        for j in offsets:
            if j != k:
                share *= (fraction - j) / (k - j)
        weights += np.bincount(cell + k + 2, weights=share, minlength=weights.size)
    used = np.flatnonzero(weights)
    return median + core * np.sinh(origin + (used - 2.0) * step), weights[used]


def minimize(
    function: Callable[[np.ndarray], float],
    starts: Sequence[Sequence[float]],
    bounds: Sequence[tuple[float, float]],
) -> np.ndarray:
    """Nelder-Mead from the three most promising of several starting points; the best end point is polished.

    Parameters
    ----------
    function : (k,) -> float
        Of order one and scaled so that steps of 0.1 are sensible; may be infinite.
    """
    from scipy import optimize

    def guarded(point: np.ndarray) -> float:
        value = function(point)
        return value if math.isfinite(value) else 1e300

    def descend(start: np.ndarray, size: float, xatol: float, fatol: float) -> tuple[float, np.ndarray]:
        options = {"initial_simplex": np.vstack([start, start + size * np.eye(start.size)]), "maxiter": 2000}
        options |= {"xatol": xatol, "fatol": fatol}
        result = optimize.minimize(guarded, start, method="Nelder-Mead", bounds=bounds, options=options)
        return float(result.fun), np.asarray(result.x)

    ordered = sorted((np.asarray(start, dtype=np.float64) for start in starts), key=guarded)
    ends = [descend(start, 0.2, 1e-2, 1e-6) for start in ordered[:3]]
    return descend(min(ends, key=lambda end: end[0])[1], 0.02, 1e-6, 1e-11)[1]


def descend(
    function: Callable[[np.ndarray], float],
    starts: Sequence[Sequence[float]],
    bounds: Sequence[tuple[float, float]],
) -> list[list[float]]:
    """Minima of a smooth function: every start goes down some way, the best three to the end, the best of all exactly.

    All must go: of a likelihood with several maxima the start with the highest value is often at the foot of another
    than the highest, which cost one fit in twenty its maximum when only the three best starts were followed.

    Parameters
    ----------
    function : (k,) -> float
        As in `minimize`, smooth to 1e-12.

    Returns
    -------
    The lowest end, then the other two, then where the other starts came to.
    """
    from scipy import optimize

    low, high = np.array(bounds).T

    def guarded(point: np.ndarray) -> float:
        value = function(point)
        return value if math.isfinite(value) else 1e300

    def value_and_slope(point: np.ndarray, step: float, is_central: bool) -> tuple[float, np.ndarray]:
        value, slope = guarded(point), np.empty(point.size)
        for i, unit in enumerate(np.eye(point.size)):
            ahead = np.minimum(point + step * unit, high)
            behind = np.maximum(point - step * unit, low) if is_central or ahead[i] == point[i] else point
            lower = value if behind is point else guarded(behind)
            slope[i] = (guarded(ahead) - lower) / (ahead[i] - behind[i])
        return value, slope

    def go(start: np.ndarray, how: tuple[float, bool], **options: float) -> tuple[float, np.ndarray]:
        point = np.clip(start, low, high)
        result = optimize.minimize(value_and_slope, point, how, "L-BFGS-B", jac=True, bounds=bounds, options=options)
        return float(result.fun), np.asarray(result.x)

    rough = sorted((go(np.asarray(start), (1e-6, False), maxiter=6) for start in starts), key=lambda end: end[0])
    apart: list[np.ndarray] = []
    others: list[np.ndarray] = []
    for _, point in rough:
        near = any(np.abs(point - other).max() < 0.1 for other in apart)
        (others if near or len(apart) == 3 else apart).append(point)
    ends = sorted((go(point, (1e-6, False), maxiter=200, ftol=1e-9) for point in apart), key=lambda end: end[0])
    best = go(ends[0][1], (1e-4, True), maxiter=200, ftol=1e-15, gtol=1e-9)[1]
    return [point.tolist() for point in (best, *(point for _, point in ends[1:]), *others)]


def minimize_on_interval(function: Callable[[float], float], low: float, high: float) -> float:
    """Minimum of a function of one variable on the open interval (low, high): a scan, then Brent's method."""
    from scipy.optimize import minimize_scalar

    # points crowd toward both ends, where the likelihood of a law with an edge varies fastest
    t = np.linspace(0.0, np.pi, 42)[1:-1]
    grid = low + (high - low) * 0.5 * (1.0 - np.cos(t))
    values = np.array([function(float(x)) for x in grid])
    k = int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
    left = low if k == 0 else float(grid[k - 1])
    right = high if k == grid.size - 1 else float(grid[k + 1])
    options = {"xatol": 1e-9 * (right - left)}
    return float(minimize_scalar(function, bounds=(left, right), method="bounded", options=options).x)


def lone_extremes(law: Any, x: np.ndarray, levels: np.ndarray, fixed: dict[str, float]) -> str:
    """Return a sentence if a few outermost data alone decide the fit of a law whose edges are parameters; "" if not.

    At either end the data beyond the widest gap among the outer tenth are left out and the law is fitted anew. That
    raises the log-likelihood of the others by some 1 for each datum left out where the law is true, and by an amount
    of the order of their number where the law was stretched to reach a few that do not belong to it.

    Parameters
    ----------
    law : Law
        As fitted to x.
    x, levels : (n,), (k,)
        The data, and those of them that may be such extremes.
    fixed : dict
        The parameters that were held.
    """
    ordered = np.sort(levels)
    reach = max(1, ordered.size // 10)
    gaps = np.diff(ordered)
    if gaps.size < 2 * reach:
        return ""
    top, bottom = gaps.size - reach + int(np.argmax(gaps[-reach:])), int(np.argmax(gaps[:reach]))
    for low, high, side, gap in (
        (-math.inf, ordered[top], "above", gaps[top]),
        (ordered[bottom + 1], math.inf, "below", gaps[bottom]),
    ):
        if gap < 0.01 * (ordered[-1] - ordered[0]):  # too near to move an edge by much: spares the fit
            continue
        kept = x[((x >= low) & (x <= high)) | ~np.isin(x, levels)]
        count = x.size - kept.size
        try:
            other = type(law)(**{**fixed, **type(law)._estimate(kept, fixed)})
        except ValueError:  # nothing left that differs
            continue
        if other.loglikelihood(kept) - law.loglikelihood(kept) > _DECISIVE + _EACH * count:
            without = ", ".join(f"{name} = {value:.4g}" for name, value in other.parameters.items())
            edge = high if side == "above" else low
            return (
                f"{count} of {x.size} data lie {side} {edge:.4g}, where the rest ends, and decide the estimate: "
                f"without them {without}; leave out what does not belong to the law"
            )
    return ""
