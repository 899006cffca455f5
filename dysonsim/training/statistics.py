"""A Monte Carlo test of the levels of one matrix that is exact at any size.

Levels divided by their mean do not depend on the variance of the entries. If the entries are independent and Gaussian,
the mean is a complete sufficient statistic, so that every function of the scaled levels has a null distribution without
parameters (Basu's theorem); if they are independent of any law, shuffling them gives the null distribution given their
values. The p-value is the rank of the matrix among itself and its null matrices, 1 + (how many are at least as extreme)
over 1 + draws: below a with probability a at most, whatever the statistic (Dwass, Ann. Math. Stat. 28 (1957) 181).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from ..laws import MarchenkoPastur

__all__ = ["SHARES", "UNIVERSAL_RATIO", "pvalues_of", "spacing_ratio", "statistics"]

SHARES = {"largest": 0.75, "spread": 0.15, "bulk": 0.075, "smallest": 0.025}
"""How the level of the verdict is divided among the statistics, roughly.

Most goes to the largest level: on a spike just above the threshold nothing else has any power, while what bends the
whole spectrum is seen by the others at any level.
"""

UNIVERSAL_RATIO = 0.5307
"""Mean ratio of neighboring spacings of real symmetric random matrices (Atas et al., PRL 110 (2013) 084101)."""

TAIL = 0.9, 0.975  # quantiles from which the tail of a statistic is continued
FLOOR = 1e-13  # of the largest level: what is smaller is rounding


def statistics(x: np.ndarray, ratio: float) -> dict[str, np.ndarray]:
    """Statistics (rows,) of rows of levels (rows, n), ascending, of matrices with n/m = ratio <= 1; large: not random.

    "largest" level; "spread", the mean square; "bulk", the distance (Kolmogorov-Smirnov) from the Marchenko-Pastur law;
    "smallest", minus the logarithm of the smallest level; all in units of the mean level.
    """
    n = x.shape[1]
    x = x / x.mean(axis=1, keepdims=True)
    grid, share = _law(ratio)
    f = np.interp(x, grid, share, left=0.0, right=1.0)
    k = np.arange(n)
    smallest = np.maximum(x[:, 0], FLOOR * x[:, -1])
    return {
        "largest": x[:, -1],
        "spread": (x**2).mean(axis=1),
        "bulk": np.maximum((f - k / n).max(axis=1), ((k + 1) / n - f).max(axis=1)),
        "smallest": -np.log(smallest),
    }


@lru_cache(maxsize=64)
def _law(ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Distribution function of the Marchenko-Pastur law of unit variance on a grid."""
    law = MarchenkoPastur(ratio)
    low, high = law.support()
    grid = np.linspace(math.sqrt(low), math.sqrt(high), 2001) ** 2  # fine at a hard edge, where the density diverges
    return grid, law.cdf(grid)


def pvalues_of(observed: np.ndarray, null: np.ndarray, ratio: float) -> tuple[float, dict[str, float]]:
    """p-value of one matrix's levels (n,) against null levels (draws, n), and that of each statistic alone.

    The verdict's statistic is that of the four which is the least likely, its share of `SHARES` considered: log share
    minus log p, with p of an exponential tail through the 90% and 97.5% quantiles of the pool, so that it tells further
    out from far out where the rank among the draws no longer does. Quantiles are those of matrix and nulls together:
    all of them are treated alike, which keeps the test exact; how good the tail is matters for its power only.
    """
    pool = statistics(np.concatenate([observed[None], null]), ratio)
    score = np.full(len(null) + 1, -np.inf)
    alone = {}
    for name, values in pool.items():
        alone[name] = _rank(values)
        near, far = np.quantile(values, TAIL)
        unit = (far - near) / math.log((1 - TAIL[0]) / (1 - TAIL[1]))
        unit = max(unit, 1e-9 * abs(near), 1e-300)  # of a matrix whose shuffles are all alike
        score = np.maximum(score, (values - near) / unit + math.log(SHARES[name]))
    return _rank(score), alone


def _rank(values: np.ndarray) -> float:
    """Share of the pool that is as large as its first entry; what differs by rounding counts as equal."""
    margin = 1e-9 * max(1.0, abs(float(values[0])))
    return float(np.mean(values >= values[0] - margin))


def spacing_ratio(x: np.ndarray, trim: float = 0.1) -> np.ndarray:
    """Mean ratio of neighboring spacings of singular values, from levels (rows, n), a tenth left out at either end.

    Universal: 0.53 for random and for trained matrices alike. It says nothing about learning.
    """
    n = x.shape[1]
    cut = int(trim * n)
    gaps = np.diff(np.sqrt(x[:, cut : n - cut]), axis=1)
    larger = np.maximum(gaps[:, 1:], gaps[:, :-1])
    smaller = np.minimum(gaps[:, 1:], gaps[:, :-1])
    return np.divide(smaller, larger, out=np.zeros_like(larger), where=larger > 0).mean(axis=1)
