"""`fluctuations`: what the stationary end of one training says about how its levels fluctuate."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from ..ensembles.observable import Levels
from ..inference.estimates import standard_errors
from .fluctuation_result import Fluctuations
from .pairs import pairs_of
from .pieces import (
    FEWEST_PIECES,
    FEWEST_RECORDS,
    Path,
    groups_of,
    integrated_memory,
    noise_of_kicks,
    path_of,
    sums_over,
)
from .segment import Segment, segment_of

__all__ = ["Fluctuations", "fluctuations"]

NEAR_ZERO = 0.02  # of the largest level, below which a level is pressed against 0 and not followed
LEAST_RESOLVED = 0.3  # autocorrelation of neighboring records, below which they do not show the memory


def fluctuations(recording: Any, layer: str, *, records: Levels = None, pieces: int = 32) -> Fluctuations:
    """Measure how the singular values of a layer fluctuate at the stationary end of one training.

    Each level is taken for stationary only if the means of 16 blocks show no slope, the beginning and the end of the
    records lie where the rest does, and the records are 50 relaxation times long; where that is not so the result says
    "not determined", with the reason, and its widths are numbers without a meaning.

    Parameters
    ----------
    recording : Recording
        What `dysonsim.watch` recorded; any object whose ``recording[layer]`` has singular_values (records, levels),
        steps, learning_rate, batch_size (records,) and, if possible, kicks (records, levels).
    layer : str
    records : slice or sequence of int, optional
        Which records, all by default: equally spaced, 3 or more, at one learning rate and batch size, after the levels
        have settled.
    pieces : int
        Into how many the records are cut for the errors, at least 8. Fewer are taken for widths and memory where they
        would not be longer than three relaxation times of the slowest level.

    Returns
    -------
    Fluctuations

    Raises
    ------
    TypeError, ValueError
        For what is no recording, a layer that it does not have, fewer than 3 records, records that are not equally
        spaced, and where the learning rate or the batch size changes: the message lists the constant segments.
    DivergenceError
        Singular values that are not finite, with `layer` and `step`.

    Notes
    -----
    In units of steps a level follows dx = K(x) dt + sqrt(2) g dB: widths are those of x, g^2 is half the variance of
    the kicks x(t + 1) - x(t) less their regression on x, and the memory index g^2 tau/(2 width^2) is 1 where the level
    is one Ornstein-Uhlenbeck mode (width^2 = g^2/rate, tau = 2/rate), as for a linear network with noise in its
    gradient. It is larger where a level has slow parts, smaller for momentum, whose kicks are correlated. Levels whose
    repulsion mixes them have no such mode of their own (two of the same well 1.2 each), but their sum has.

    beta is that of two neighboring levels at a time whose gap is at most 1.5 times the sum of their widths, by the
    density of their small gaps, P(y) ~ y^beta exp(-a y^2) below half the mean gap, with errors over `pieces`; beta = 1
    is universal for collisions of real matrices. `estimate_dynamics` of two such levels, which it takes as one
    trajectory, says the same from how they move, if records resolve that.

    Not valid for widths of levels below 2% of the largest: they are pressed against 0 ("near zero", and not followed).

    Examples
    --------
    >>> import numpy as np, types, dysonsim as ds
    >>> rng, x = np.random.default_rng(1), np.zeros((4000, 2))
    >>> for t in range(1, 4000):
    ...     x[t] = 0.95 * x[t - 1] + 0.01 * rng.normal(size=2)
    >>> kicks = np.vstack([np.diff(x, axis=0), np.full((1, 2), np.nan)])
    >>> layer = types.SimpleNamespace(singular_values=x + [1, 2], kicks=kicks, steps=np.arange(4000),
    ...                               learning_rate=0.1, batch_size=32)
    >>> found = ds.fluctuations({"fc": layer}, "fc", records=slice(500, None))
    >>> found.verdict
    'stationary'
    >>> print(np.abs(found.width / (0.01 / np.sqrt(1 - 0.95**2)) - 1) < 0.2)
    [ True  True]
    >>> found.pairs[0].reason
    'the gap is 15.8 times the sum of the widths (at most 1.5): the levels do not collide'
    """
    pieces = _checks.integer("pieces", pieces, FEWEST_PIECES, 10**6)
    segment = segment_of(recording, layer, records)
    if len(segment.levels) < FEWEST_RECORDS:
        return _too_few(segment)
    path = path_of(segment.levels, pieces)
    status = _status(path)
    followed = np.array([s not in ("near zero", "constant") for s in status])
    reasons = ["" if s == "stationary" else f"not determined: {s}" for s in status]
    groups = groups_of([path], followed)
    kicks = kicks_error = index = index_error = None
    if segment.kicks is not None and np.isfinite(segment.kicks).all(axis=1).sum() > FEWEST_RECORDS:
        square, without = noise_of_kicks(path, segment.kicks)
        kicks = np.sqrt(square)
        factor = len(path.starts) - 1
        kicks_error = standard_errors(factor * (kicks[:, None] - np.sqrt(without)))
        index, index_error = _memory_index(segment, groups, pieces)
    lags, by_lag, by_lag_error = _by_lag(path, segment.every)
    return Fluctuations(
        layer=segment.layer,
        records=path.records,
        steps=(int(segment.steps[0]), int(segment.steps[-1])),
        every=segment.every,
        learning_rate=segment.learning_rate,
        batch_size=segment.batch_size,
        mean=path.mean,
        width=np.sqrt(path.variance),
        width_error=path.variance_error / (2 * np.maximum(np.sqrt(path.variance), np.finfo(float).tiny)),
        kicks=kicks,
        kicks_error=kicks_error,
        lags=lags,
        noise_by_lag=by_lag,
        noise_by_lag_error=by_lag_error,
        memory=index,
        memory_error=index_error,
        relaxation=path.memory.relaxation * segment.every,
        window=path.records / path.memory.relaxation,
        groups=tuple(tuple(group.tolist()) for group in groups),
        slope=path.slope,
        status=status,
        pairs=pairs_of(segment, path, followed, reasons, pieces),
        pieces=len(path.starts),
    )


def _status(path: Path) -> tuple[str, ...]:
    """In words, for each level."""
    near = path.mean < NEAR_ZERO * path.mean.max()
    constant = path.variance <= (1e-12 * path.mean.max()) ** 2
    words = [(constant, "constant"), (near, "near zero"), (path.drifts, "drifts"), (path.short, "window too short")]
    return tuple(next((word for at, word in words if at[i]), "stationary") for i in range(len(near)))


def _memory_index(
    segment: Segment, groups: list[np.ndarray], pieces: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """g^2 tau/(2 width^2) and its error, (levels,); None where neighboring records are as good as independent."""
    assert segment.kicks is not None
    index, error = np.full((2, segment.levels.shape[1]), np.nan)
    if groups:
        path = path_of(sums_over(groups, segment.levels), pieces)
        square, square_without = noise_of_kicks(path, sums_over(groups, segment.kicks))
        time, time_without = integrated_memory(path)
        factor = len(path.starts) - 1
        variance_without = path.variance[:, None] - path.variance_influence / factor
        value = square * time * segment.every / (2 * path.variance)
        without = square_without * time_without * segment.every / (2 * variance_without)
        spread = standard_errors(factor * (value[:, None] - without))
        for k in np.flatnonzero(path.memory.relaxation > 1 / -np.log(LEAST_RESOLVED)):
            index[groups[k]], error[groups[k]] = value[k], spread[k]
    return (index, error) if np.isfinite(index).any() else (None, None)


def _by_lag(path: Path, every: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lags in steps; g^2, (lags, levels), and errors."""
    lags = [
        lag
        for lag in (2**k for k in range(30))
        if lag <= path.records // 16 and lag <= 8 * path.memory.relaxation.max()
    ]
    lags = lags or [1]
    values, errors = [], []
    for lag in lags:
        squares = np.zeros_like(path.centered)
        squares[:-lag] = (path.centered[lag:] - path.centered[:-lag]) ** 2
        sums = path.sums(squares)
        change = sums.sum(axis=1) / (path.records - lag)
        with np.errstate(divide="ignore", invalid="ignore"):
            forgotten = change / (2 * path.variance)
            value = np.where(forgotten < 0.95, -path.variance * np.log1p(-np.minimum(forgotten, 0.99)), np.nan)
            value = value / (lag * every)
            relative = standard_errors(sums / sums.mean(axis=1, keepdims=True))
            errors.append(np.where(np.isfinite(value), value * relative / np.maximum(1 - forgotten, 0.05), np.nan))
        values.append(value)
    return np.array(lags) * every, np.array(values), np.array(errors)


def _too_few(segment: Segment) -> Fluctuations:
    """Means and bare widths: nothing can be said of so few records."""
    unknown = np.full(segment.levels.shape[1], np.nan)
    empty = np.empty((0, len(unknown)))
    return Fluctuations(
        segment.layer, len(segment.levels), (int(segment.steps[0]), int(segment.steps[-1])), segment.every,
        segment.learning_rate, segment.batch_size, segment.levels.mean(axis=0), segment.levels.std(axis=0, ddof=1),
        unknown, None, None, np.empty(0), empty, empty, None, None, unknown, unknown, (), None,
        ("too few records",) * len(unknown), (), 0,
    )  # fmt: skip
