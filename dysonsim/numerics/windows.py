"""Numbers of levels in windows of unfolded spectra, and how far their staircase is from a line; every position."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from ..backend import jit_disabled
from ..kernels.common import windows

__all__ = ["count_means", "deviation_means"]


def count_means(levels: np.ndarray, window: tuple[float, float], lengths: np.ndarray, pieces: int = 1) -> np.ndarray:
    """Means over all positions in a window of N - L and (N - L)^2, N the number of levels in an interval of length L.

    Parameters
    ----------
    levels : (rows, n) float64, ascending
    window : (low, high)
    lengths : (K,), at most high - low
    pieces : int
        Positions are divided in so many parts.

    Returns
    -------
    (rows, pieces, K, 2)
    """
    return _means(windows.build_counts, levels, window, lengths, pieces, (2,))


def deviation_means(
    levels: np.ndarray, window: tuple[float, float], lengths: np.ndarray, pieces: int = 1
) -> np.ndarray:
    """Means over all positions of the mean square deviation of the staircase from its best line, (rows, pieces, K).

    Parameters as of `count_means`.
    """
    return _means(windows.build_deviations, levels, window, lengths, pieces, ())


def _means(
    build: Callable, levels: np.ndarray, window: tuple[float, float], lengths: np.ndarray, pieces: int, more: tuple
) -> np.ndarray:
    run = _compiled(build)
    rows = np.ascontiguousarray(levels, dtype=np.float64)
    low, high = window
    out = np.empty((len(lengths), len(rows), pieces, *more))
    for k, length in enumerate(lengths):
        run(rows, float(low), float(high), float(length), pieces, out[k])
    return np.moveaxis(out, 0, 2)


def _compiled(build: Callable) -> Callable:
    if jit_disabled():
        return build(SimpleNamespace(jit=lambda function: function))
    from ..backend import many_levels  # brings LLVM along, which `import dysonsim` does without

    return many_levels.compiled(build)
