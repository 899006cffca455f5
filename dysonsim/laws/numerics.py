"""Numerical tools that several laws share: checks, quadrature nodes, tables, inversion, fits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _validate

EPSILON = float(np.finfo(np.float64).eps)


def real(name: str, value: Any, above: float = -math.inf) -> float:
    """A finite real number, `> above`; ValueError or TypeError otherwise."""
    return _validate.real(name, value, above=above)


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
) -> np.ndarray:
    """Solve value(x) = target for every entry, by Newton steps kept inside a shrinking bracket.

    Parameters
    ----------
    function : x (k,) -> value (k,), slope (k,)
        Increasing in x. Called with a subset of the entries, those not yet solved.
    target, start, low, high : (n,)
        value(low) <= target <= value(high) is taken for granted.

    Returns
    -------
    x : (n,), to the rounding error of `function`.
    """
    x, low, high = start.copy(), low.copy(), high.copy()
    last_step = high - low
    active = np.arange(x.size)
    for _ in range(200):
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
        active = active[~solved & (np.abs(step) > 2.0 * EPSILON * np.abs(point))]
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

    def __init__(self, function: Callable[[np.ndarray], np.ndarray], low: float, high: float, tolerance: float) -> None:
        order = np.arange(self._DEGREE + 1)
        angles = np.pi * (order + 0.5) / order.size
        to_series = 2.0 / order.size * np.cos(np.outer(order, angles))
        to_series[0] *= 0.5
        left, right = np.array([low]), np.array([high])
        starts, lengths, series = [], [], []
        for _ in range(50):
            x = left[:, None] + (right - left)[:, None] * 0.5 * (1.0 + np.cos(angles))
            coefficients = function(x.ravel()).reshape(x.shape) @ to_series.T
            good = np.abs(coefficients[:, -3:]).max(1) < tolerance
            starts.append(left[good])
            lengths.append(right[good] - left[good])
            series.append(coefficients[good])
            middle = 0.5 * (left + right)[~good]
            left, right = np.r_[left[~good], middle], np.r_[middle, right[~good]]
            if left.size == 0:
                break
        start = np.concatenate(starts)
        rank = np.argsort(start)
        self.start, self.length = start[rank], np.concatenate(lengths)[rank]
        self.series = np.ascontiguousarray(np.concatenate(series)[rank].T)

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

    The lattice is uniform in t = asinh((x - median)/core), so that a narrow centre and wide tails are both resolved.
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


def minimise(
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
    from scipy.optimize import minimize

    def guarded(point: np.ndarray) -> float:
        value = function(point)
        return value if math.isfinite(value) else 1e300

    def descend(start: np.ndarray, size: float, xatol: float, fatol: float) -> tuple[float, np.ndarray]:
        options = {"initial_simplex": np.vstack([start, start + size * np.eye(start.size)]), "maxiter": 2000}
        options |= {"xatol": xatol, "fatol": fatol}
        result = minimize(guarded, start, method="Nelder-Mead", bounds=bounds, options=options)
        return float(result.fun), np.asarray(result.x)

    ordered = sorted((np.asarray(start, dtype=np.float64) for start in starts), key=guarded)
    ends = [descend(start, 0.2, 1e-2, 1e-6) for start in ordered[:3]]
    return descend(min(ends, key=lambda end: end[0])[1], 0.02, 1e-6, 1e-11)[1]


def minimise_on_interval(function: Callable[[float], float], low: float, high: float) -> float:
    """Minimum of a function of one variable on the open interval (low, high): a scan, then Brent's method."""
    from scipy.optimize import minimize_scalar

    # points crowd towards both ends, where the likelihood of a law with an edge varies fastest
    t = np.linspace(0.0, np.pi, 42)[1:-1]
    grid = low + (high - low) * 0.5 * (1.0 - np.cos(t))
    values = np.array([function(float(x)) for x in grid])
    k = int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
    left = low if k == 0 else float(grid[k - 1])
    right = high if k == grid.size - 1 else float(grid[k + 1])
    options = {"xatol": 1e-9 * (right - left)}
    return float(minimize_scalar(function, bounds=(left, right), method="bounded", options=options).x)
