"""The Dyson index near collisions: from how a small gap moves, and, independently, from how rare small gaps are.

The gap y of two neighbours that share a well is a Bessel process with a weak linear force,

    dy = [2 beta g^2/y - rho y] dt + 2 g dB,   rho = rate + beta g^2 sum_k 1/((x_i - x_k)(x_j - x_k)),

the sum over all other levels of the group. So d(y^2) = [4 g^2 (1 + beta) - 2 rho y^2] dt + 4 g y dB, and with rho held
at its value at the start of the interval tau

    y^2(t + tau) = s chi'^2,   s = 2 g^2 (1 - e^{-2 rho tau})/rho,

a noncentral chi^2 with 1 + beta degrees of freedom and noncentrality y^2(t) e^{-2 rho tau}/s: exact for two levels in
a quadratic well (Cox, Ingersoll and Ross, Econometrica 53, 385 (1985)), and for the 2 x 2 matrix steps that SGD makes.
The transitions are chosen by where they *start*, so that the choice does not bias the estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .inference_estimates import Curve, Estimate, ratio

Window = tuple[float, float]
FEWEST = 50  # transitions, below which no index is estimated
_MIN_BETA = -0.95


@dataclass(frozen=True, eq=False)
class Transitions:
    """Moves of small gaps over one interval.

    Attributes
    ----------
    replica, start, end : (moves,)
        Replica, gap before, gap after.
    others : (moves,)
        sum_k 1/((x_i - x_k)(x_j - x_k)) over the other levels, at the start.
    replicas : int
    interval : float
    """

    replica: np.ndarray
    start: np.ndarray
    end: np.ndarray
    others: np.ndarray
    replicas: int
    interval: float

    @property
    def enough(self) -> bool:
        """Whether there are FEWEST moves or more, of eight replicas or more."""
        return self.replica.size >= FEWEST and np.unique(self.replica).size >= 8

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Sums over the moves of each replica, (replicas,)."""
        return np.bincount(self.replica, values, minlength=self.replicas)


def transitions(levels: np.ndarray, lag: int, interval: float, bounds: Window) -> Transitions:
    """All moves over `lag` records of neighbours that start with a gap inside `bounds`, and no third level nearer."""
    replicas, records, m = levels.shape
    before, after = levels[:, : records - lag], levels[:, lag:]
    parts = []
    for k in range(m - 1):
        start = before[..., k + 1] - before[..., k]
        chosen = (start >= bounds[0]) & (start < bounds[1]) & (start > 0)
        # a third level nearer than the gap: the force is not linear over the interval
        for other, own in ((k - 1, k), (k + 2, k + 1)):
            if 0 <= other < m:
                chosen &= np.abs(before[..., other] - before[..., own]) > start
        place = np.nonzero(chosen)
        x = before[place]
        rest = np.delete(x, [k, k + 1], axis=1)
        others = (1 / ((x[:, [k]] - rest) * (x[:, [k + 1]] - rest))).sum(axis=1)
        parts.append((place[0], start[place], (after[..., k + 1] - after[..., k])[place], others))
    replica, start, end, others = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Transitions(replica, start, end, others, replicas, interval)


@dataclass(frozen=True, eq=False)
class Collisions:
    """Fit of the transitions: index, noise, and the index by starting gap (see `repulsion_curve`)."""

    beta: Estimate
    noise: Estimate
    moves: int
    repulsion: Curve


def collisions(moves: Transitions, rate: Estimate, points: int) -> Collisions:
    """Maximum likelihood of beta and g, with sandwich errors over replicas that include the error of the rate."""

    def log_likelihood(parameters: np.ndarray) -> np.ndarray:
        return moves.totals(_log_density(moves, *parameters))

    square = float(np.mean((moves.end - moves.start) ** 2)) / (4 * moves.interval)
    beta = float(np.mean(moves.end**2 - moves.start**2)) / (4 * square * moves.interval) - 1
    # beta g^2/y^2 and noise both enter the mean square of the move: a rough start, cured by the iteration
    found = np.array([math.log(square), min(max(beta, -0.5), 20.0), rate.value])
    steps = np.array([1e-3, 1e-3, 1e-3 * (abs(rate.value) + 0.1 / moves.interval)])
    for _ in range(60):
        score, hessian = _derivatives(lambda pair: log_likelihood(np.append(pair, rate.value)), found[:2], steps[:2])
        if np.linalg.eigvalsh(hessian)[-1] >= 0:  # far from the maximum: the outer product of the scores instead
            hessian = -score @ score.T
        change = -np.linalg.solve(hessian, score.sum(axis=1))
        change /= max(1.0, float(np.abs(change).max()) / 0.7)
        found[:2] += change
        found[1] = max(found[1], _MIN_BETA)
        if np.abs(change).max() < 1e-4:  # Newton squares it
            break
    score, hessian = _derivatives(log_likelihood, found, steps)
    pull = score[:2] + np.outer(hessian[:2, 2], rate.influence) / moves.replicas
    influence = -np.linalg.solve(hessian[:2, :2], pull) * moves.replicas
    noise = math.exp(found[0] / 2)
    result = Estimate(float(found[1]), influence[1]), Estimate(noise, noise / 2 * influence[0])
    return Collisions(*result, moves.replica.size, repulsion_curve(moves, *result, rate.value, points))


def _derivatives(
    function: Callable[[np.ndarray], np.ndarray], at: np.ndarray, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (parameters, replicas) and summed Hessian of a function that returns (replicas,), by differences."""
    size = at.size
    unit = np.diag(steps)
    centre = function(at)
    up, down = (np.array([function(at + sign * unit[k]) for k in range(size)]) for sign in (1, -1))
    gradient = (up - down) / (2 * steps[:, None])
    hessian = np.diag((up + down - 2 * centre).sum(axis=1) / steps**2)
    for i in range(size):
        for j in range(i):
            both = sum(float(function(at + sign * (unit[i] + unit[j])).sum()) for sign in (1, -1))
            pair = (up[i] + down[i] + up[j] + down[j] - 2 * centre).sum()
            hessian[i, j] = hessian[j, i] = (both - pair) / (2 * steps[i] * steps[j])
    return gradient, hessian


def _spread(moves: Transitions, square: float, beta: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """s and e^{-2 rho tau} of every move."""
    exponent = 2 * (rate + beta * square * moves.others) * moves.interval
    small = np.abs(exponent) < 1e-8
    safe = np.where(small, 1.0, exponent)
    return 4 * square * moves.interval * np.where(small, 1.0, -np.expm1(-safe) / safe), np.exp(-exponent)


def _log_density(moves: Transitions, log_square: float, beta: float, rate: float) -> np.ndarray:
    """Log density of y^2 after each move, by a table of the Bessel function in its one argument."""
    from scipy.interpolate import CubicSpline
    from scipy.special import gammaln, ive

    order = (beta - 1) / 2
    s, decay = _spread(moves, math.exp(log_square), beta, rate)
    q = np.maximum(moves.end**2, np.finfo(float).tiny) / s
    root, start = np.sqrt(q), moves.start * np.sqrt(decay / s)
    z = root * start
    grid = np.linspace(0.0, 1.01 * math.log1p(float(z.max())), 400)
    argument = np.expm1(grid)
    with np.errstate(divide="ignore", invalid="ignore"):
        table = np.log(ive(order, argument)) - order * np.log(argument)  # log of e^{-z} I(z) / z^order
    low = argument < 1e-3
    table[low] = (argument**2 / (4 * (order + 1)) - argument - order * math.log(2) - gammaln(order + 1))[low]
    bessel = CubicSpline(grid, table)(np.log1p(z))
    return np.asarray(bessel - np.log(2 * s) - (root - start) ** 2 / 2 + order * np.log(q))


def repulsion_curve(moves: Transitions, beta: Estimate, noise: Estimate, rate: float, points: int) -> Curve:
    """The index by starting gap, from the mean of y^2 alone: E[y^2 - y0^2 e^{-2 rho tau}] = s (1 + beta).

    Flat where the repulsion is beta g^2 / y. It does not assume Gaussian noise, only g from the fit.
    """
    s, decay = _spread(moves, noise.value**2, beta.value, rate)
    weight = 1 / (2 * (1 + max(beta.value, 0.0)) * s + 4 * moves.start**2 * decay)
    gain, scale = weight * (moves.end**2 - moves.start**2 * decay), weight * s
    edges = np.quantile(moves.start, np.linspace(0, 1, points + 1))
    part = np.clip(np.searchsorted(edges, moves.start, side="right") - 1, 0, points - 1)
    cell = moves.replica * points + part

    def table(values: np.ndarray) -> np.ndarray:
        return np.bincount(cell, values, minlength=moves.replicas * points).reshape(moves.replicas, points).T

    value, influence = ratio(table(gain), table(scale))
    influence = influence - 2 * np.outer(value, noise.influence) / noise.value
    where, _ = ratio(table(weight * moves.start), table(weight))
    return Curve(where, value - 1, influence)


def small_gap_exponent(gaps: np.ndarray, bounds: Window) -> Estimate | None:
    """beta from the density P(y) ~ y^beta exp(-a y^2) of gaps (replicas, records, m - 1) inside `bounds`.

    Maximum likelihood of beta and a on the truncated range, an exponential family in log y and y^2. Exact for two
    levels in a quadratic well; otherwise a is the leading correction to the power, and the next is of order
    (y / mean gap)^3. Needs no stationarity, only noise that has acted long enough to make the density smooth. None
    where there are too few gaps.
    """
    replica, *_ = place = np.nonzero((gaps >= bounds[0]) & (gaps < bounds[1]) & (gaps > 0))
    if replica.size < FEWEST or np.unique(replica).size < 8:
        return None
    unit = bounds[1]
    y = gaps[place] / unit
    data = np.array([np.log(y), y**2])
    target = data.mean(axis=1)
    # quadrature in log y: the density is smooth there, down to the lower bound
    low = math.log(max(bounds[0] / unit, 1e-4))
    nodes, weights = np.polynomial.legendre.leggauss(80)
    u = low * (1 - nodes) / 2
    features = np.array([u, np.exp(2 * u)])
    found = np.array([1.0, 0.0])  # beta, -a
    for _ in range(100):
        log_density = (found[0] + 1) * u + found[1] * features[1]
        p = weights * np.exp(log_density - log_density.max())
        p /= p.sum()
        mean = features @ p
        covariance = (features * p) @ features.T - np.outer(mean, mean)
        change = np.linalg.solve(covariance, target - mean)
        change /= max(1.0, 0.5 * float(np.abs(change).max()))
        found += change
        if np.abs(change).max() < 1e-9:
            break
    score = np.array([np.bincount(replica, row - m, minlength=len(gaps)) for row, m in zip(data, mean, strict=True)])
    influence = np.linalg.solve(covariance, score) * len(gaps) / replica.size
    return Estimate(float(found[0]), influence[0])
