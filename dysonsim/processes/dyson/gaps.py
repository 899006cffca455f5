"""What steps must resolve: the gaps between levels, the slope of a drift.

`process` is a `Dyson` throughout, whose module imports this one.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..._functions import LevelFunction

__all__ = [
    "check_strict_order",
    "crowds",
    "drift_at",
    "gap_step",
    "gap_step_of",
    "slopes",
    "warn_after",
    "warn_before",
    "warn_of_gaps",
]

# Longest step of fixed length, in units of gap^2/(noise^2 (1 + beta)): mean spacing ratios are then within half a
# percent in the bulk of many levels, by pairs or by the fast sum.
PAIRS_STEP = 0.04
MOST_AT_REST = 100  # levels whose rest is looked for, of more some
AT_ONCE = 1e-4  # of the step that gaps of the stationary state allow: starts that allow less are forgotten at once
STEPS_TO_REST, CLOSE = 500, 0.02  # and how close to it they must get, in units of the gaps


def gap_step(process: Any) -> float:
    """Longest step of fixed length that resolves the gaps of three and more levels; infinite if none are known.

    Gaps are those of the stationary state, in the middle of the levels that share a center or where levels at rest are
    densest, or those of the start where it is denser.
    """
    if process.n < 3:
        return math.inf
    allowed = math.inf
    rest = levels_at_rest(process) if process.sgd is None and process.why_not_alike() else None
    if rest is not None:
        allowed = gap_step_of(process, *rest) / PAIRS_STEP
    for levels, width, beta in crowds(process):
        if levels > 2:
            length = math.pi * width  # whose product with itself may be infinite: a power would be an error then
            allowed = min(allowed, length * length / (2 * levels) * beta / (1 + beta))
    start = 0.0 if process.initial is None else float(np.ptp(process.initial, axis=-1).mean())
    if process.sgd is None and start > 0:
        gap = start / (process.n - 1)
        length = gap / float(process.noise.max())
        at_first = length * length / (1 + process.beta)
        if not at_first < AT_ONCE * allowed < math.inf:
            allowed = min(allowed, at_first)
    return PAIRS_STEP * allowed


def gap_step_of(process: Any, levels: np.ndarray, labels: np.ndarray | None = None) -> float:
    """Do the same for the mean gaps of levels: one row, or (replicas, records, n). labels: those that stand for all.

    A gap is half the distance of next neighbors, of whom one may be as near as it likes: pairs are exact.
    """
    noise = process.noise if labels is None else process.noise[labels]
    lengths = (levels[..., 2:] - levels[..., :-2]) / 2 * (levels.shape[-1] / process.n) / noise[1:-1]
    if lengths.ndim > 1:
        lengths = lengths.mean(0)
    return PAIRS_STEP * float(np.min(lengths, initial=math.inf)) ** 2 / (1 + process.beta)


def crowds(process: Any) -> list[tuple[int, float, float]]:
    """(levels, width/noise, beta) of the levels that share a well: widths of the stationary state of one alone."""
    if process.sgd is not None:
        try:
            rates, groups = process.sgd.relaxation_rates(), process.sgd.degenerate_groups()
            return [(len(g), float(rates[g[0]]) ** -0.5, 1.0) for g in groups if rates[g[0]] > 0]
        except (ValueError, NotImplementedError):  # no unique fixed point
            return []
    if process.why_not_alike() or process.rate[0] <= 0:
        return []
    return [(process.n, float(process.rate[0]) ** -0.5, process.beta)]


@np.errstate(all="ignore")
def levels_at_rest(process: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Ascending levels at which drift and repulsion balance, without noise, and which of all levels they are.

    Those to which the motion leads from the start. Of many levels some stand for all, and repel so much more. None if
    no rest is found: levels run away, or the drift is no number.
    """
    labels = np.unique(np.linspace(0, process.n - 1, min(process.n, MOST_AT_REST)).round().astype(int))
    start = np.sort(np.atleast_2d(process._initial_rows(1)), axis=-1).mean(0)[labels]
    square = process.noise[labels] ** 2
    strength = process.beta * process.n / len(labels) * (square[:, None] + square) / 2
    # apart, and without a symmetry that noise would break
    x = start + 1e-3 * float(process.noise.max()) * np.sin(np.linspace(-1.4, 1.5, len(labels)))
    try:
        return _rest_from(process, x, labels, strength)
    except np.linalg.LinAlgError:  # nothing holds the levels
        return None


def _rest_from(
    process: Any, x: np.ndarray, labels: np.ndarray, strength: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Follow the motion without noise by linearly implicit steps, longer and longer."""
    balance, time = _balance(process, x, labels, strength), 1e-6
    for _ in range(STEPS_TO_REST):
        if balance is None:
            return None
        force, steepness, apart = balance
        time = min(time, 0.5 / max(float(steepness.max()), 1e-300))  # where the drift leads away, so must a step
        pull = apart - np.diag(steepness)
        step = np.linalg.solve(np.eye(len(x)) + time * pull, time * force)
        gap = np.diff(x)
        narrow = (abs(np.diff(step)) > gap / 2).any()
        after = None if narrow else _balance(process, x + step, labels, strength)
        if after is None:
            time /= 4
            continue
        x, balance, time = x + step, after, 2 * time
        if (abs(np.diff(step)) < CLOSE * gap).all() and np.linalg.eigvals(pull).real.min() > 0:
            left = np.linalg.solve(pull, force)  # from here to rest
            if (abs(np.diff(left)) < CLOSE * gap).all() and abs(left).max() < CLOSE * (x[-1] - x[0]):
                return x, labels
    return None


def _balance(
    process: Any, x: np.ndarray, labels: np.ndarray, strength: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Sum of drift and repulsion, slope of the drift, minus the slopes of the repulsion (m, m); None if no numbers."""
    if process.rate is not None:
        rate = process.rate[labels]
        drift, steepness = rate * (process.center[labels] - x), -rate
    else:
        width = 0.1 * (x[-1] - x[0]) / len(x) + 1e-9 * (1 + abs(x))
        low, drift, high = (
            np.array([drift_at(process, v, int(i)) for v, i in zip(x + side * width, labels, strict=True)])
            for side in (-1, 0, 1)
        )
        steepness = (high - low) / (2 * width)
    gaps = x[:, None] - x
    np.fill_diagonal(gaps, np.inf)
    apart = -strength / gaps**2
    apart[np.diag_indices(len(x))] = -apart.sum(1)
    force = drift + (strength / gaps).sum(1)
    return (force, steepness, apart) if np.isfinite([force, steepness, apart.sum(1)]).all() else None


def slopes(process: Any) -> np.ndarray:
    """|dK/dx| of a user's function around the initial levels."""
    x = process._initial_rows(1)[0]
    spread = max(float(np.ptp(x)), float(process.noise.max()))
    points = np.linspace(x.min() - spread, x.max() + spread, 201)
    values = np.array([[drift_at(process, p, i) for p in points] for i in range(process.n)])
    if not np.isfinite(values).all():
        level, at = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
        name = "drift" if process.drift is not None else "potential"
        raise ValueError(
            f"{name}: level {level} at x = {points[at]:g} gives {values[level, at]}, which is not finite; if levels "
            "never get there, give dt, the step of the integrator, and the function is not checked beforehand"
        )
    return np.abs(np.gradient(values, points, axis=1)).max(axis=1)


def drift_at(process: Any, x: float, i: int) -> float:
    """K_i(x) of the general process, NaN where the user's function raises an error."""
    function = process.drift if process.drift is not None else process.potential
    assert isinstance(function, LevelFunction)
    if process.drift is not None:
        return function.at(x, i)
    width = 1e-5 * (1 + abs(x))
    return (function.at(x - width, i) - function.at(x + width, i)) / (2 * width)


def warn_before(process: Any, stacklevel: int) -> None:
    """Warn if steps of fixed length are too coarse for the gaps that can be foreseen."""
    dt = _fixed_step(process)
    if dt > 0 and dt > process.gap_step:
        warn_of_gaps(dt, process.gap_step, stacklevel + 1)


def warn_after(process: Any, run: Any) -> None:
    """Warn if none could be, and steps are too coarse for those of the records."""
    dt = _fixed_step(process)
    if dt > 0 and process.sgd is None and process.gap_step == math.inf:
        fine = gap_step_of(process, run.spectra[:, run.times > 0])
        if dt > fine:
            warn_of_gaps(dt, fine, 4)


def _fixed_step(process: Any) -> float:
    """Return the `dt` that a user gave for three and more levels, 0 if steps have no fixed length."""
    given = not process.exact and process.tolerance is None and process.n > 2
    return process.dt if given and process.dt is not None else 0.0


def warn_of_gaps(dt: float, fine: float, stacklevel: int) -> None:
    """RuntimeWarning that steps `dt` are too coarse for the gaps, and that steps `fine` would do."""
    warnings.warn(
        f"dt = {dt:g} is too coarse for the gaps between levels, whose statistics will be wrong: dt = {fine:.2g} would "
        "do, or leave dt out",
        RuntimeWarning,
        stacklevel=stacklevel + 1,
    )


def check_strict_order(motion: Any) -> None:
    """Refuse what `scheme = "semi_implicit"` cannot start from: a model, or levels that coincide."""
    if motion.sgd is not None:
        raise ValueError("scheme = 'semi_implicit': cannot be had for the drift of a model, take 'pairs'")
    rows = np.atleast_2d(np.sort(motion.center) if motion.initial is None else motion.initial)
    same = np.argwhere(np.diff(rows, axis=1) <= 0)
    if len(same):
        i, x = int(same[0, 1]), rows[tuple(same[0])]
        raise ValueError(
            f"initial: levels {i} and {i + 1} are both {x}, and scheme = 'semi_implicit' needs levels that differ"
        )
