"""What one stationary path says of its own fluctuations, with errors from its pieces.

A path (records, n), n levels or sums of levels side by side, is cut into P pieces. Each estimate is a function of sums
over records; leaving out a piece at a time gives its jackknife error, widened by Student's t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..inference.estimates import standard_errors
from ..inference.stationarity import BLOCKS, Memory, Slope, memory, odd_ends, slope_test, whole_memory

FEWEST_PIECES = 8
FEWEST_RECORDS = 2 * BLOCKS  # below, a path says nothing of its stationarity
RELAXED = 3.0  # relaxation times in a piece, from which its squares are nearly independent of the next piece's
NEAR = 3.0  # widths of a level, up to which its neighbor is felt
LEVEL = 0.01  # of the slope test, all paths together


@dataclass(frozen=True, eq=False)
class Path:
    """Moments of a path (records, n), each (n,), and their influences (n, P).

    Attributes
    ----------
    mean : (n,)
    variance, variance_influence
        About the mean of the whole path, divided by 1 - time/records, for a path takes part of its slow fluctuations
        for its mean.
    memory : Memory
    slope : Slope
    drifts, short : (n,) bool
        Whether there is a trend, or a beginning or an end that lies apart, each at 1% for all n together; whether the
        path is shorter than 50 relaxation times.
    starts : (P,) int
        First record of each piece.
    """

    centered: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    variance_influence: np.ndarray
    memory: Memory
    slope: Slope
    drifts: np.ndarray
    short: np.ndarray
    starts: np.ndarray

    @property
    def records(self) -> int:
        """Their number."""
        return len(self.centered)

    @property
    def variance_error(self) -> np.ndarray:
        """Standard errors, (n,)."""
        return standard_errors(self.variance_influence)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return sums over the records of each piece: (P,) or (n, P), of values (records,) or (records, n)."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=0).T)


def path_of(values: np.ndarray, pieces: int) -> Path:
    """Moments of a path (records, n) of 32 records or more."""
    records = len(values)
    mean = values.mean(axis=0)
    centered = values - mean
    memories, slope = memory(values), slope_test(values)
    short = memories.too_short(records)
    # pieces that are not longer than the memory of the slowest level are not independent of each other
    slowest = memories.relaxation[~short].max() if not short.all() else memories.relaxation.max()
    pieces = int(np.clip(records / (RELAXED * slowest), FEWEST_PIECES, pieces))
    starts = np.linspace(0, records, pieces + 1).astype(int)[:-1]
    squares = np.add.reduceat(centered**2, starts, axis=0).T
    counts = np.diff(np.append(starts, records))
    factor = 1 / np.maximum(1 - memories.time / records, 0.5)
    value = factor * squares.sum(axis=1) / records
    without = factor[:, None] * (squares.sum(axis=1, keepdims=True) - squares) / (records - counts)
    influence = (pieces - 1) * (value[:, None] - without)
    drifts = slope.drifts(LEVEL) | odd_ends(values, records / memories.relaxation, LEVEL)
    return Path(centered, mean, value, influence, memories, slope, drifts, short, starts)


def integrated_memory(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Integrated autocorrelation time in records, (n,), and without each piece in turn, (n, P); its lags are fixed."""
    records, pieces = path.records, len(path.starts)
    value, without = np.empty(len(path.mean)), np.empty((len(path.mean), pieces))
    for i, lag in enumerate(path.memory.lags):
        x = path.centered[:, i]
        total = np.concatenate([[0.0], np.cumsum(x)])
        last = records - lag
        after = total[lag + 1 :] - total[1 : last + 1]  # sum over the next `lag` records
        products, squares = np.zeros(records), path.sums(x**2)
        products[:last] = x[:last] * after
        products = path.sums(products)
        used = path.sums((np.arange(records) < last).astype(float))
        counts = np.diff(np.append(path.starts, records))
        ratio = products.sum() / used.sum() * records / squares.sum()
        left = (products.sum() - products) / (used.sum() - used) * (records - counts) / (squares.sum() - squares)
        value[i] = whole_memory(1 + 2 * ratio, lag, records)
        without[i] = whole_memory(1 + 2 * left, lag, records)
    return value, without


def noise_of_kicks(path: Path, kicks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """g^2 = half the variance of one-step kicks about their regression on the level, (n,), and without each piece.

    The regression takes out a linear drift, which adds rate^2 Var(level) to the mean square.
    """
    there = np.isfinite(kicks).all(axis=1)
    k, x = np.where(there[:, None], kicks, 0.0), np.where(there[:, None], path.centered, 0.0)
    count = int(there.sum())
    x = x - np.where(there[:, None], x.sum(axis=0) / count, 0.0)
    squares = (x**2).sum(axis=0)
    slope = np.divide((k * x).sum(axis=0), squares, out=np.zeros_like(squares), where=squares > 0)
    rest = np.where(there[:, None], k - k.sum(axis=0) / count - slope * x, 0.0)
    sums, counts = path.sums(rest**2), path.sums(there.astype(float))
    correction = 0.5 * count / max(count - 2, 1)
    value = correction * sums.sum(axis=1) / count
    without = correction * (sums.sum(axis=1, keepdims=True) - sums) / np.maximum(count - counts, 1.0)
    return value, without


def groups_of(paths: list[Path], followed: np.ndarray) -> list[np.ndarray]:
    """Return runs of neighboring levels that may collide: nearer to each other than 3 widths in one of the paths.

    In the sum over such a group the repulsion of its members cancels. Levels that are not followed are left out.
    """
    apart = np.ones(len(followed) - 1, dtype=bool)
    for path in paths:
        widths = np.sqrt(path.variance)
        apart &= np.diff(path.mean) > NEAR * np.maximum(widths[1:], widths[:-1])
    cuts = np.flatnonzero(apart | ~followed[1:] | ~followed[:-1]) + 1
    return [group for group in np.split(np.arange(len(followed)), cuts) if followed[group].all()]


def sums_over(groups: list[np.ndarray], values: np.ndarray) -> np.ndarray:
    """Return sums over the levels of each group, (records, groups), of (records, levels)."""
    return np.stack([values[:, group].sum(axis=1) for group in groups], axis=1)
