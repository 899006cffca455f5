"""Drift K(x) and noise g(x) of levels that share a well, from sums over the levels in which the repulsion is smooth.

dx_i = [K(x_i) + beta g^2 sum_j 1/(x_i - x_j)] dt + sqrt(2) g dB_i, i = 1 ... m. A single level collides; a sum over the
levels does not know (it is a smooth function of the matrix). For S = sum_i f(x_i), with phi = f',

    dS = [sum_i phi(x_i) K(x_i) + beta g^2 sum_{i<j} (phi(x_i) - phi(x_j))/(x_i - x_j) + g^2 sum_i phi'(x_i)] dt
         + sqrt(2) g sqrt(sum_i phi(x_i)^2) dB,

so that f = x, the centre of mass, does not feel the repulsion at all, and any other f feels it only as a bounded term.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .inference_estimates import Curve, Estimate, ratio

_BLOCK = 2**18  # numbers in one array of a block of replicas


@dataclass(frozen=True, eq=False)
class CentreOfMass:
    """What the centre of mass tells: rate, fixed point and noise of a linear drift -rate (x - centre).

    `correlation` is the autocorrelation over the interval of the increments.
    """

    rate: Estimate
    centre: Estimate
    noise: Estimate
    correlation: float


def centre_of_mass(levels: np.ndarray, lag: int, interval: float) -> CentreOfMass:
    """Exact Ornstein-Uhlenbeck relations for the fluctuations of the centre of mass about its ensemble mean.

    c(t + interval) - E c = b (c(t) - E c) + noise, b = exp(-rate interval), Var noise = (g^2/m)(1 - b^2)/rate: without
    bias at any interval for a linear drift, stationary or not; the mean over replicas is taken out at every time. For
    a curved drift rate is the mean slope -K', and g^2 has a relative error of second order in rate x interval.
    """
    replicas, records, m = levels.shape
    centre = levels.mean(axis=2)
    start, end = centre[:, : records - lag], centre[:, lag:]
    d0, d1 = start - start.mean(axis=0), end - end.mean(axis=0)
    (b,), (b_influence,) = ratio((d0 * d1).mean(axis=1)[None], (d0**2).mean(axis=1)[None])
    if not 0.0 < b < math.inf:  # the caller refuses
        nothing = Estimate(math.nan, np.full(replicas, math.nan))
        return CentreOfMass(nothing, nothing, nothing, float(b))
    squares = ((d1 - b * d0) ** 2).mean(axis=1) * replicas / (replicas - 1)
    variance = float(squares.mean())

    rate = -math.log(b) / interval
    # noise^2 = m variance q(b), q = rate/(1 - b^2); its slope at b -> 1 by the series
    near_one = abs(1 - b) < 1e-5
    q = (1 + (1 - b)) / (2 * interval) if near_one else rate / (1 - b**2)
    slope = -1 / (2 * interval) if near_one else (2 * b * q - 1 / (b * interval)) / (1 - b**2)
    square = m * variance * q
    square_influence = m * (q * (squares - variance) + variance * slope * b_influence)
    noise = Estimate(math.sqrt(square), square_influence / (2 * math.sqrt(square)))

    residual = (end - b * start).mean(axis=1)
    position = float(residual.mean()) / (1 - b)
    position_influence = (residual - residual.mean() + (position - float(start.mean())) * b_influence) / (1 - b)
    return CentreOfMass(
        rate=Estimate(rate, -b_influence / (b * interval)),
        centre=Estimate(position, position_influence),
        noise=noise,
        correlation=float(b),
    )


def points_of(levels: np.ndarray, points: int) -> np.ndarray:
    """Ascending, distinct quantiles of all levels, from 4% to 96%."""
    return np.unique(np.quantile(levels, np.linspace(0.04, 0.96, points)))


def drift_curve(levels: np.ndarray, points: np.ndarray, duration: float, square: Estimate, strength: Estimate) -> Curve:
    """K at the points, given g^2 (`square`) and beta g^2 (`strength`): a cubic spline with as many parameters.

    With K = sum_a k_a phi_a and phi_b = f_b' for all basis functions b of the spline, solves
    E dS_b/dt = sum_a k_a E sum_i phi_a phi_b + beta g^2 E(...) + g^2 E sum_i phi_b': the maximum of the likelihood of
    a continuously observed path (Girsanov), written without stochastic integrals. In a stationary state there is no
    bias from the interval between the records, otherwise one of its second order (the trapezoidal rule in time).

    Parameters
    ----------
    levels : (replicas, records, m)
    points : (points,), at least 4
    duration : float
        Time from the first record to the last.
    """
    from scipy.interpolate import BSpline

    inner = np.quantile(levels, np.linspace(0, 1, points.size - 2))
    knots = np.concatenate([np.repeat(inner[0], 3), inner, np.repeat(inner[-1], 3)])
    basis = BSpline(knots, np.eye(points.size), 3)
    derivative, integral = basis.derivative(), basis.antiderivative()
    weight = np.full(levels.shape[1], 1.0 / (levels.shape[1] - 1))
    weight[[0, -1]] /= 2
    parts = []
    for block in _blocks(levels, points.size):
        phi = basis(block)
        weighted = phi * weight[:, None, None]
        gaps = block[..., :, None] - block[..., None, :]
        force = np.divide(1.0, gaps, out=np.zeros_like(gaps), where=gaps != 0).sum(axis=-1)
        parts.append((
            (integral(block[:, -1]) - integral(block[:, 0])).sum(axis=1) / duration,
            np.einsum("rtia,rtib->rab", weighted, phi, optimize=True),
            np.einsum("rtib,rti->rb", weighted, force),  # the singular parts of i and j cancel in phi_i - phi_j
            np.einsum("rtib,t->rb", derivative(block), weight),
        ))  # fmt: skip
    change, overlap, repulsion, slope = (np.concatenate(part) for part in zip(*parts, strict=True))
    matrix = overlap.mean(axis=0)
    source = change - strength.value * repulsion - square.value * slope  # (replicas, basis)
    coefficients = np.linalg.solve(matrix, source.mean(axis=0))
    pull = source - overlap @ coefficients
    pull -= np.outer(strength.influence, repulsion.mean(axis=0))
    pull -= np.outer(square.influence, slope.mean(axis=0))
    at_points = basis(points)
    return Curve(points, at_points @ coefficients, at_points @ np.linalg.solve(matrix, pull.T))


def noise_curve(levels: np.ndarray, points: np.ndarray, lag: int, interval: float) -> Curve:
    """g around each point, from the quadratic variation of S = sum_i w tanh((x_i - point)/w), w the points' distance.

    E (Delta S)^2 = 2 g^2 interval E sum_i phi(x_i)^2 + O(interval^2), phi = 1/cosh^2, with the second order removed by
    extrapolation from the intervals 1 and 2 (once and twice the lag): a mean of g^2 with weight phi^2, reported at
    the mean position with that weight. Collisions leave no mark, because S is smooth there. Needs steps
    sqrt(2 g^2 interval) that are small against w.
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
