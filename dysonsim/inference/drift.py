"""Drift K(x) and noise g(x) of levels that share a well, from sums over the levels in which the repulsion is smooth.

dx_i = [K(x_i) + beta g^2 sum_j 1/(x_i - x_j)] dt + sqrt(2) g dB_i, i = 1 ... m. A single level collides; a sum over the
levels does not know (it is a smooth function of the matrix). For S = sum_i f(x_i), with phi = f',

    dS = [sum_i phi(x_i) K(x_i) + beta g^2 sum_{i<j} (phi(x_i) - phi(x_j))/(x_i - x_j) + g^2 sum_i phi'(x_i)] dt
         + sqrt(2) g sqrt(sum_i phi(x_i)^2) dB,

so that f = x, the center of mass, does not feel the repulsion at all, and any other f feels it only as a bounded term.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .estimates import Curve, Estimate, ratio, solve_each, without_each

if TYPE_CHECKING:
    from scipy.interpolate import BSpline

LEAST = 1e-3  # autocorrelation that is taken for an estimate of a rate
_BLOCK = 2**18  # numbers in one array of a block of replicas


@dataclass(frozen=True, eq=False)
class CenterOfMass:
    """What the center of mass tells: rate, fixed point and noise of a linear drift -rate (x - center).

    `correlation` is the autocorrelation over the interval of the increments.
    """

    rate: Estimate
    center: Estimate
    noise: Estimate
    correlation: float


def center_of_mass(levels: np.ndarray, lag: int, interval: float) -> CenterOfMass:
    """Exact Ornstein-Uhlenbeck relations for the fluctuations of the center of mass about its ensemble mean.

    c(t + interval) - E c = b (c(t) - E c) + noise, b = exp(-rate interval), Var noise = (g^2/m)(1 - b^2)/rate: without
    bias at any interval for a linear drift, stationary or not; the mean over replicas is taken out at every time. For
    a curved drift rate is the mean slope -K', and g^2 has a relative error of second order in rate x interval.
    """
    replicas, records, m = levels.shape
    center = levels.mean(axis=2)
    start, end = center[:, : records - lag], center[:, lag:]
    d0, d1 = start - start.mean(axis=0), end - end.mean(axis=0)
    squares = np.array([(a * b).mean(axis=1) for a, b in ((d0, d0), (d0, d1), (d1, d1))])
    means = np.array([start.mean(axis=1), end.mean(axis=1)])
    with np.errstate(invalid="ignore"):
        correlation = float(squares[1].sum() / squares[0].sum())
    everything = _linear_drift(squares.sum(axis=1), means.mean(axis=1), replicas, m, interval)
    # the mean over replicas moves when one of them is left out, which takes more than its own square
    rest = squares.sum(axis=1, keepdims=True) - squares * (replicas / (replicas - 1))
    others = _linear_drift(rest, without_each(means), replicas - 1, m, interval)
    rate, position, noise = (
        Estimate(float(a), (replicas - 1) * (a - b)) for a, b in zip(everything, others, strict=True)
    )
    return CenterOfMass(rate, position, noise, correlation)


def _linear_drift(
    squares: np.ndarray, means: np.ndarray, replicas: int, levels: int, interval: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rate, center and noise from sums over replicas of the center of mass c before and c' after an interval.

    `squares` (3, ...) are those of (c - E c)^2, (c - E c)(c' - E c') and (c' - E c')^2, `means` (2, ...) are E c, E c'.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # where nothing moves
        b = squares[1] / squares[0]
    b = np.where(b < LEAST, LEAST, b)  # the caller refuses; of a replica left out it is a large error, as it should be
    variance = np.maximum(squares[2] - 2 * b * squares[1] + b**2 * squares[0], 0.0) / (replicas - 1)
    near_one = np.abs(1 - b) < 1e-5
    safe = np.where(near_one, 0.5, b)
    rate = -np.log(b) / interval
    # noise^2 = levels variance q(b), q = rate/(1 - b^2)
    q = np.where(near_one, (2 - b) / (2 * interval), -np.log(safe) / (interval * (1 - safe**2)))
    return rate, (means[1] - b * means[0]) / (1 - b), np.sqrt(levels * variance * q)


def points_of(levels: np.ndarray, points: int) -> np.ndarray:
    """Ascending, distinct quantiles of all levels, from 4% to 96%."""
    return np.unique(np.quantile(levels, np.linspace(0.04, 0.96, points)))


@dataclass(frozen=True, eq=False)
class Drift:
    """K(x) = sum_a k_a phi_a(x), a cubic spline between the lowest and the highest level.

    Attributes
    ----------
    basis : BSpline
        The phi_a.
    coefficients : (a,)
    influence : (a, replicas)
    mean_slope : Estimate
        E K'(x_i) over records and levels.
    """

    basis: BSpline
    coefficients: np.ndarray
    influence: np.ndarray
    mean_slope: Estimate

    def curve(self, points: np.ndarray) -> Curve:
        """K at the points."""
        at_points = self.basis(points)
        return Curve(points, at_points @ self.coefficients, at_points @ self.influence)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """K' at x."""
        return np.asarray(type(self.basis)(self.basis.t, self.coefficients, self.basis.k)(x, 1))

    def slope_spread(self, x: np.ndarray) -> float:
        """Return the standard deviation of K' over x, less what the errors of K contribute; 0 where K is a line."""
        x = x.ravel()[:: max(1, x.size * len(self.coefficients) // _BLOCK)]
        slopes = self.basis.derivative()(x)
        slopes = slopes - slopes.mean(axis=0)
        replicas = self.influence.shape[1]
        by_chance = ((slopes @ self.influence) ** 2).mean(axis=0).sum() / (replicas * (replicas - 1))
        square = float(((slopes @ self.coefficients) ** 2).mean() - by_chance)
        return math.sqrt(square) if square > 0 else 0.0

    def pulls(self, low: np.ndarray, gap: np.ndarray) -> np.ndarray:
        """-[K(low + gap) - K(low)]/gap, (moves,): the rate at which the drift closes a gap."""
        function = type(self.basis)(self.basis.t, self.coefficients, self.basis.k)
        return np.asarray((function(low) - function(low + gap)) / gap)

    def weigh_pulls(self, low: np.ndarray, gap: np.ndarray, weights: np.ndarray) -> Estimate:
        """sum_moves weights `pulls` and its influence, `weights` (moves,) being given."""
        size = max(1, _BLOCK // len(self.coefficients))
        total = np.zeros(len(self.coefficients))
        for first in range(0, len(low), size):
            x, y, w = (a[first : first + size] for a in (low, gap, weights))
            total += (w / y) @ (self.basis(x) - self.basis(x + y))
        return Estimate(float(total @ self.coefficients), total @ self.influence)


class DriftSums:
    """The sums over levels that determine K, for any g^2 and beta g^2.

    With K = sum_a k_a phi_a and phi_b = f_b' for all basis functions b of the spline, solves
    E dS_b/dt = sum_a k_a E sum_i phi_a phi_b + beta g^2 E(...) + g^2 E sum_i phi_b': the maximum of the likelihood of
    a continuously observed path (Girsanov), written without stochastic integrals. In a stationary state there is no
    bias from the interval between the records, otherwise one of its second order (the trapezoidal rule in time).

    Parameters
    ----------
    levels : (replicas, records, m)
    points : int
        Number of basis functions, at least 4.
    duration : float
        Time from the first record to the last.
    """

    def __init__(self, levels: np.ndarray, points: int, duration: float) -> None:
        from scipy.interpolate import BSpline

        inner = np.quantile(levels, np.linspace(0, 1, points - 2))
        knots = np.concatenate([np.repeat(inner[0], 3), inner, np.repeat(inner[-1], 3)])
        self.basis = BSpline(knots, np.eye(points), 3)
        derivative, integral = self.basis.derivative(), self.basis.antiderivative()
        weight = np.full(levels.shape[1], 1.0 / (levels.shape[1] - 1))
        weight[[0, -1]] /= 2
        parts = []
        for block in _blocks(levels, points):
            phi = self.basis(block)
            weighted = phi * weight[:, None, None]
            gaps = block[..., :, None] - block[..., None, :]
            force = np.divide(1.0, gaps, out=np.zeros_like(gaps), where=gaps != 0).sum(axis=-1)
            parts.append((
                (integral(block[:, -1]) - integral(block[:, 0])).sum(axis=1) / duration,
                np.einsum("rtia,rtib->rab", weighted, phi, optimize=True),
                np.einsum("rtib,rti->rb", weighted, force),  # the singular parts of i and j cancel in phi_i - phi_j
                np.einsum("rtib,t->rb", derivative(block), weight),
            ))  # fmt: skip
        self.change, self.overlap, self.repulsion, self.slope = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        self.levels = levels.shape[2]

    def solve(self, square: Estimate, strength: Estimate) -> Drift:
        """K, given g^2 (`square`) and beta g^2 (`strength`)."""
        replicas = len(self.change)
        source = self.change - strength.value * self.repulsion - square.value * self.slope  # (replicas, basis)
        coefficients = np.linalg.solve(self.overlap.mean(axis=0), source.mean(axis=0))
        pull = source - self.overlap @ coefficients
        pull -= np.outer(strength.influence, self.repulsion.mean(axis=0))
        pull -= np.outer(square.influence, self.slope.mean(axis=0))
        others = (self.overlap.sum(axis=0) - self.overlap) / (replicas - 1)
        influence = solve_each(others, pull).T
        slope = self.slope.mean(axis=0) / self.levels
        mean_slope = Estimate(float(slope @ coefficients), slope @ influence)
        return Drift(self.basis, coefficients, influence, mean_slope)


def noise_curve(levels: np.ndarray, points: np.ndarray, lag: int, interval: float) -> Curve:
    """Estimate g near each point from the quadratic variation of S = sum_i w tanh((x_i - point)/w), w: their distance.

    E (Delta S)^2 = 2 g^2 interval E sum_i phi(x_i)^2 + O(interval^2), phi = 1/cosh^2, with the second order removed by
    extrapolation from the intervals 1 and 2 (once and twice the lag): a mean of g^2 with weight phi^2, reported at
    the mean position with that weight. Collisions leave no mark, because S is smooth there. Needs steps
    sqrt(2 g^2 interval) that are small compared with w.
    """
    records = levels.shape[1]
    width = np.gradient(points)
    parts = []
    for block in _blocks(levels, points.size):
        step = np.tanh((block[..., None] - points) / width)
        squares = (1 - step**2) ** 2
        parts.append((
            (width * step).sum(axis=2),
            squares.sum(axis=2).mean(axis=1),
            np.einsum("rtib,rti->rb", squares, block) / records,
        ))  # fmt: skip
    path, weight, position = (np.concatenate(part) for part in zip(*parts, strict=True))
    variations = []
    for distance in (lag, 2 * lag):
        change = path[:, distance:] - path[:, : records - distance]
        change -= change.mean(axis=0)
        variations.append((change**2).mean(axis=1).T * len(levels) / (len(levels) - 1))
    variation = (4 * variations[0] - variations[1]) / (4 * interval)  # (points, replicas)
    square, influence = ratio(variation, weight.T)
    where, _ = ratio(position.T, weight.T)
    noise = np.sqrt(np.maximum(square, 0.0))
    return Curve(where, noise, influence / np.maximum(2 * noise, np.finfo(float).tiny)[:, None])


def _blocks(levels: np.ndarray, points: int) -> Iterator[np.ndarray]:
    replicas, records, m = levels.shape
    size = max(1, _BLOCK // (records * m * max(m, points)))
    for first in range(0, replicas, size):
        yield levels[first : first + size]
