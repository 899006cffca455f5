"""What steps must resolve: the gaps between levels, the slope of a drift.

`process` is a `Dyson` throughout, whose module imports this one.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..._functions import LevelFunction

__all__ = ["crowds", "drift_at", "gap_step", "slopes", "warn_of_gaps"]

# Longest step of fixed length, in units of gap^2/(noise^2 (1 + beta)): mean spacing ratios are then within half a
# percent in the bulk of many levels, by pairs or by the fast sum.
PAIRS_STEP = 0.04


def gap_step(process: Any) -> float:
    """Longest step of fixed length that resolves the gaps of three and more levels; infinite if none are known.

    Gaps are those of the stationary state, in the middle of the levels that share a center, or those of the start
    where it is denser.
    """
    if process.n < 3:
        return math.inf
    allowed = math.inf
    for levels, width, beta in crowds(process):
        if levels > 2:
            length = math.pi * width  # whose product with itself may be infinite: a power would be an error then
            allowed = min(allowed, length * length / (2 * levels) * beta / (1 + beta))
    start = 0.0 if process.initial is None else float(np.ptp(process.initial, axis=-1).mean())
    if process.sgd is None and start > 0:
        gap = start / (process.n - 1)
        length = gap / float(process.noise.max())
        allowed = min(allowed, length * length / (1 + process.beta))
    return PAIRS_STEP * allowed


def crowds(process: Any) -> list[tuple[int, float, float]]:
    """(levels, width/noise, beta) of the levels that share a well: widths of the stationary state of one alone."""
    if process.sgd is not None:
        try:
            rates, groups = process.sgd.relaxation_rates(), process.sgd.degenerate_groups()
            return [(len(g), float(rates[g[0]]) ** -0.5, 1.0) for g in groups if rates[g[0]] > 0]
        except (ValueError, NotImplementedError):  # no unique fixed point
            return []
    if process.rate is None:
        return []
    centers, counts = np.unique(process.center, return_counts=True)
    crowds = []
    for center, count in zip(centers, counts, strict=True):
        rate = float(process.rate[process.center == center].max())
        if rate > 0:
            crowds.append((int(count), rate**-0.5, process.beta))
    return crowds


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
            f"{name}: level {level} at x = {points[at]:g} gives {values[level, at]}, no finite number; if levels "
            "never get there, give dt, the step of the integrator, and the function is not asked beforehand"
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


def warn_of_gaps(dt: float, fine: float, stacklevel: int) -> None:
    """RuntimeWarning that steps `dt` are too coarse for the gaps, and that steps `fine` would do."""
    warnings.warn(
        f"dt = {dt:g} is too coarse for the gaps between levels, whose statistics will be wrong: dt = {fine:.2g} would "
        "do, or leave dt out",
        RuntimeWarning,
        stacklevel=stacklevel + 1,
    )
