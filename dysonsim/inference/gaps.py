"""The Dyson index near collisions: from how a small gap moves, and, independently, from how rare small gaps are.

The gap y of two neighbors that share a well is a Bessel process with a weak linear force,

    dy = [2 beta g^2/y - rho y] dt + 2 g dB,   rho = -[K(x_j) - K(x_i)]/y + beta g^2 sum_k 1/((x_i - x_k)(x_j - x_k)),

the sum over all other levels of the group. K is the drift of `inference_drift` at this very place: in a well that is no
parabola a gap feels another force in the middle than at the edge, and a mean rate would be taken for repulsion. So
d(y^2) = [4 g^2 (1 + beta) - 2 rho y^2] dt + 4 g y dB, and with rho held at its value at the start of the interval tau

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

from .drift import Drift
from .estimates import Curve, Estimate, ratio, solve_each, without_each

Window = tuple[float, float]
FEWEST = 50  # transitions, below which no index is estimated
_MIN_BETA = -0.95
_STEP = 1e-3  # of log g^2 and of beta, in differences of the likelihood


@dataclass(frozen=True, eq=False)
class Transitions:
    """Moves of small gaps over one interval.

    Attributes
    ----------
    replica, low, start, end : (moves,)
        Replica, lower level before, gap before, gap after.
    others : (moves,)
        sum_k 1/((x_i - x_k)(x_j - x_k)) over the other levels, at the start.
    replicas : int
    interval : float
    """

    replica: np.ndarray
    low: np.ndarray
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
        """Return sums over the moves of each replica, (replicas,)."""
        return np.bincount(self.replica, values, minlength=self.replicas)


def transitions(levels: np.ndarray, lag: int, interval: float, bounds: Window) -> Transitions:
    """All moves over `lag` records of neighbors that start with a gap inside `bounds`, and no third level nearer."""
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
        parts.append((place[0], x[:, k], start[place], (after[..., k + 1] - after[..., k])[place], others))
    replica, low, start, end, others = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Transitions(replica, low, start, end, others, replicas, interval)


@dataclass(frozen=True, eq=False)
class Collisions:
    """Fit of the transitions: index and noise."""

    beta: Estimate
    noise: Estimate


def collisions(moves: Transitions, drift: Drift | None, rate: Estimate, start: Collisions | None = None) -> Collisions:
    """Maximum likelihood of beta and g, with sandwich errors over replicas that include those of the drift.

    Without a drift the rate of the center of mass stands for it. `start` is where the iteration begins.
    """
    pull = np.full(moves.start.size, rate.value) if drift is None else drift.pulls(moves.low, moves.start)

    def density(parameters: np.ndarray, pull: np.ndarray = pull) -> np.ndarray:
        return _log_density(moves, parameters[0], parameters[1], pull)

    if start is None:  # beta g^2/y^2 and noise both enter the mean square of the move: rough, cured by the iteration
        square = float(np.mean((moves.end - moves.start) ** 2)) / (4 * moves.interval)
        beta = float(np.mean(moves.end**2 - moves.start**2)) / (4 * square * moves.interval) - 1
        found = np.array([math.log(square), min(max(beta, -0.5), 20.0)])
    else:
        found = np.array([2 * math.log(start.noise.value), start.beta.value])
    for _ in range(60):
        score, hessians = _derivatives(lambda pair: moves.totals(density(pair)), found)
        hessian = hessians.sum(axis=2)
        if np.linalg.eigvalsh(hessian)[-1] >= 0:  # far from the maximum: the outer product of the scores instead
            hessian = -score @ score.T
        change = -np.linalg.solve(hessian, score.sum(axis=1))
        change /= max(1.0, float(np.abs(change).max()) / 0.7)
        found += change
        found[1] = max(found[1], _MIN_BETA)
        if np.abs(change).max() < 1e-4:  # Newton squares it
            break
    score, hessians = _derivatives(lambda pair: moves.totals(density(pair)), found)
    # how the scores answer to the pull on every gap
    step = 1e-3 * (float(np.abs(pull).mean()) + 0.1 / moves.interval)
    for k in range(2):
        shift = _STEP * np.eye(2)[k]
        up, down = (density(found + shift, pull + b * step) - density(found - shift, pull + b * step) for b in (1, -1))
        answer = (up - down) / (4 * _STEP * step)
        if drift is None:
            score[k] += answer.sum() / moves.replicas * rate.influence
        else:
            score[k] += drift.weigh_pulls(moves.low, moves.start, answer).influence / moves.replicas
    influence = -solve_each(without_each(hessians).transpose(2, 0, 1), score.T)
    noise = math.exp(found[0] / 2)
    return Collisions(Estimate(float(found[1]), influence[:, 1]), Estimate(noise, noise / 2 * influence[:, 0]))


def _derivatives(
    function: Callable[[np.ndarray], np.ndarray], at: np.ndarray, step: float = _STEP
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (2, replicas) and Hessian (2, 2, replicas) of a function that returns (replicas,), by differences."""
    unit = step * np.eye(2)
    center = function(at)
    up, down = (np.array([function(at + sign * unit[k]) for k in range(2)]) for sign in (1, -1))
    gradient = (up - down) / (2 * step)
    both = sum(function(at + sign * unit.sum(axis=0)) for sign in (1, -1))
    mixed = (both - up.sum(axis=0) - down.sum(axis=0) + 2 * center) / (2 * step**2)
    own = (up + down - 2 * center) / step**2
    return gradient, np.array([[own[0], mixed], [mixed, own[1]]])


def _spread(moves: Transitions, square: float, beta: float, pull: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return s and e^{-2 rho tau} of every move."""
    exponent = 2 * (pull + beta * square * moves.others) * moves.interval
    small = np.abs(exponent) < 1e-8
    safe = np.where(small, 1.0, exponent)
    return 4 * square * moves.interval * np.where(small, 1.0, -np.expm1(-safe) / safe), np.exp(-exponent)


def _log_density(moves: Transitions, log_square: float, beta: float, pull: np.ndarray) -> np.ndarray:
    """Log density of y^2 after each move, by a table of the Bessel function in its one argument."""
    from scipy.interpolate import CubicSpline
    from scipy.special import gammaln, ive

    order = (beta - 1) / 2
    s, decay = _spread(moves, math.exp(log_square), beta, pull)
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


def repulsion_curve(moves: Transitions, found: Collisions, drift: Drift, points: int) -> Curve:
    """Return the index by starting gap, from the mean of y^2 alone: E[y^2 - y0^2 e^{-2 rho tau}] = s (1 + beta).

    Flat where the repulsion is beta g^2 / y. It does not assume Gaussian noise, only g from the fit.
    """
    beta, noise = found.beta.value, found.noise
    s, decay = _spread(moves, noise.value**2, beta, drift.pulls(moves.low, moves.start))
    weight = 1 / (2 * (1 + max(beta, 0.0)) * s + 4 * moves.start**2 * decay)
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


def small_gap_exponent(levels: np.ndarray, bounds: Window, drift: Drift | None, square: float = 1.0) -> Estimate | None:
    """Estimate beta from the density P(y) ~ y^beta exp[(K'(x)/4g^2 - a) y^2] of gaps inside `bounds`, x their middle.

    Maximum likelihood of beta and a on the truncated range, given the middle x: exact for two levels in a quadratic
    well, where K' is a constant and part of a. Elsewhere K' is what the density of a stationary state has besides, and
    a the leading correction to the power by other levels; the next is of order (y / mean gap)^3. Needs no stationarity
    for a linear K, only noise that has acted long enough to make the density smooth. None where there are too few gaps.

    Parameters
    ----------
    levels : (replicas, records, m)
    bounds : (float, float)
    drift : Drift or None
        K; left out where it is not known.
    square : float
        g^2.
    """
    replicas, gaps = len(levels), np.diff(levels, axis=2)
    replica, *_ = place = np.nonzero((gaps >= bounds[0]) & (gaps < bounds[1]) & (gaps > 0))
    if replica.size < FEWEST or np.unique(replica).size < 8:
        return None
    unit = bounds[1]
    y = gaps[place] / unit
    bend = np.zeros_like(y)
    if drift is not None:
        known = unit**2 / (4 * square) * drift.slopes(levels[..., :-1][place] + gaps[place] / 2)
        bend = known - known.mean() if np.isfinite(known).all() else bend
    data = np.array([np.log(y), y**2])
    # quadrature in log y: the density is smooth there, down to the lower bound; moments for a table of powers of e
    low = math.log(max(bounds[0] / unit, 1e-4))
    nodes, weights = np.polynomial.legendre.leggauss(80)
    u = low * (1 - nodes) / 2
    features = np.array([u, np.exp(2 * u)])
    table = np.linspace(bend.min() - 1e-9, bend.max() + 1e-9, 1 if np.ptp(bend) < 1e-9 else 65)
    found = np.array([1.0, 0.0])  # beta, -a
    for _ in range(100):
        log_density = (found[0] + 1) * u + np.add.outer(found[1] + table, np.zeros(80)) * features[1]
        p = weights * np.exp(log_density - log_density.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        mean = p @ features.T
        second = np.einsum("tk,ak,bk->tab", p, features, features) - mean[:, :, None] * mean[:, None, :]
        rest = data - [np.interp(bend, table, column) for column in mean.T]
        information = np.array([[np.interp(bend, table, second[:, a, b]) for b in range(2)] for a in range(2)])
        change = np.linalg.solve(information.mean(axis=2), rest.mean(axis=1))
        change /= max(1.0, 0.5 * float(np.abs(change).max()))
        found += change
        if np.abs(change).max() < 1e-9:
            break

    def totals(values: np.ndarray) -> np.ndarray:
        return np.bincount(replica, values, minlength=replicas)

    score = np.array([totals(row) for row in rest])
    each = np.array([[totals(entry) for entry in row] for row in information])
    influence = solve_each(without_each(each).transpose(2, 0, 1), score.T)
    return Estimate(float(found[0]), influence[:, 0])
