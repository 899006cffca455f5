"""Whether one long trajectory is stationary, and how long it remembers: what must be known before anything is averaged.

All functions take a path (records, n), n observables side by side, and answer with (n,) arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..numerics.diagnostics import autocorrelation

BLOCKS = 16  # whose means are tested for a slope
LEAST_WINDOW = 50.0  # relaxation times, below which nothing stationary is read off one trajectory


@dataclass(frozen=True, eq=False)
class Slope:
    """Linear trend of a path: from its beginning to its end, in standard errors, with a p-value, each (n,).

    Attributes
    ----------
    change : (n,)
        Slope times duration, in the units of the path.
    z, pvalue : (n,)
        Slope over its error, and the probability of one as large, of either sign, in a stationary path.
    share : (n,)
        Variance of the trend line, change^2/12, over that of the path.
    """

    change: np.ndarray
    z: np.ndarray
    pvalue: np.ndarray
    share: np.ndarray

    def drifts(self, level: float, least_share: float = 0.03) -> np.ndarray:
        """Return (n,) bool: significant at `level`, shared among the n paths, and of some weight in the variance."""
        return (self.pvalue < level / max(1, self.pvalue.size)) & (self.share > least_share)


def slope_test(path: np.ndarray) -> Slope:
    """Regress the means of 16 blocks on time.

    The error is that of the residuals, widened by sqrt((1 + r)/(1 - r)) for their autocorrelation r at one block
    (which is about 0 once a block is several relaxation times long), with Student's t of 16 - 3 degrees of freedom.
    Sees a trend only; a path shorter than some 50 relaxation times can wander without one.
    """
    from scipy.special import stdtr

    size = len(path) // BLOCKS
    means = path[len(path) - BLOCKS * size :].reshape(BLOCKS, size, -1).mean(axis=1)
    time = np.arange(BLOCKS) - (BLOCKS - 1) / 2
    slope = time @ means / (time @ time)
    rest = means - means.mean(axis=0) - np.outer(time, slope)
    squares = (rest**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # residuals of a line look less correlated than they are, by about 4/BLOCKS
        r = np.clip((rest[1:] * rest[:-1]).sum(axis=0) / squares + 3 / BLOCKS, 0.0, 0.9)
        error = np.sqrt(squares / (BLOCKS - 3) / (time @ time) * (1 + r) / (1 - r))
        z = np.where(slope == 0, 0.0, slope / error)
        change = slope * BLOCKS
        share = np.where(change == 0, 0.0, change**2 / 12 / path.var(axis=0))
    return Slope(change, z, 2 * stdtr(BLOCKS - 3, -np.abs(z)), share)


def odd_ends(path: np.ndarray, windows: np.ndarray, level: float) -> np.ndarray:
    """Return (n,) bool: whether a path begins or ends where the rest of it does not lie.

    So does a path that has still to settle: its way has the same memory as its fluctuations, and no slope if it is
    short. The mean square of the first and the last eighth about the mean of the rest, over that of the rest, is
    compared with the F distribution of W/8 and 7W/8 degrees of freedom, W the number of relaxation times (`windows`,
    less a third, for they are estimated), and the first and the last record with a normal distribution: at `level` for
    all n and these four together.
    """
    from scipy.special import fdtrc, ndtr

    size = len(path) // 8
    freedom = np.maximum(windows * 2 / 3, 1.0)
    odd = np.zeros(path.shape[1], dtype=bool)
    for way in (path, path[::-1]):
        end, rest = way[:size], way[size:]
        mean, variance = rest.mean(axis=0), rest.var(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.nan_to_num(((end - mean) ** 2).mean(axis=0) / variance)
            first = np.nan_to_num(np.abs(way[0] - mean) / np.sqrt(variance))
        pvalue = np.minimum(fdtrc(freedom / 8, freedom * 7 / 8, ratio), 2 * ndtr(-first))
        odd |= pvalue < level / (4 * path.shape[1])
    return odd


@dataclass(frozen=True, eq=False)
class Memory:
    """How long a path remembers, in records; each (n,).

    Attributes
    ----------
    time : (n,)
        Integrated autocorrelation time 1 + 2 sum_k rho_k, which is 2 T for the memory e^{-t/T} of long T.
    lags : (n,) int
        Lags that were summed for it.
    relaxation : (n,)
        T of an exponential memory, from its beginning: for how long a path is, of much less error.
    """

    time: np.ndarray
    lags: np.ndarray
    relaxation: np.ndarray

    def too_short(self, records: int) -> np.ndarray:
        """Return (n,) bool: a path of so many records is shorter than 50 relaxation times, by two standard errors.

        All n together may be so where no single one is. The logarithm of the number W of relaxation times has a
        standard error of about 2/sqrt(W).
        """
        windows = records / self.relaxation
        short = windows * np.exp(4 / np.sqrt(windows)) < LEAST_WINDOW
        typical = np.exp(np.log(windows).mean())
        together = typical * np.exp(4 / np.sqrt(typical * windows.size)) < LEAST_WINDOW
        return short | (together & (windows <= LEAST_WINDOW))


def memory(path: np.ndarray) -> Memory:
    """Sum the autocorrelation of a path up to twice its own sum (A. Sokal, in Functional Integration, Plenum 1997).

    The mean of the path itself was taken out, which makes every autocorrelation too small by about time/records, and
    an exponential memory has a tail beyond the last lag: both are corrected for. `relaxation` stops at one time its
    own sum.
    """
    rho = autocorrelation(path[None])
    time, lags = _integrated(rho, 2.0)
    early, _ = _integrated(rho, 1.0)
    return Memory(time, lags, np.maximum(early, 1.0) / 2)


def _integrated(rho: np.ndarray, window: float) -> tuple[np.ndarray, np.ndarray]:
    records = len(rho)
    sums = 2.0 * np.cumsum(rho, axis=0) - 1.0
    lag = np.arange(records)[:, None]
    closed = lag >= np.maximum(window * sums, 1.0)
    lags = np.where(closed.any(axis=0), closed.argmax(axis=0), records - 1)
    return whole_memory(sums[lags, np.arange(rho.shape[1])], lags, records, window), lags


def whole_memory(sums: np.ndarray, lags: np.ndarray, records: int, window: float = 2.0) -> np.ndarray:
    """Integrated time from the sum over some lags of the autocorrelation about a path's own mean."""
    # with e = time/records, the autocorrelation is measured as (rho - e)/(1 - e)
    whole = sums / np.maximum(1.0 + (sums - 2 * lags - 1) / records, 0.5)
    return np.maximum(whole / (1 - np.exp(-2 * window)), 1.0 / records)
