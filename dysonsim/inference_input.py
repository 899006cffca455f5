"""Trajectories as `estimate_dynamics` takes them: brought into one form, and refused where they are none."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _validate
from ._validate import shown
from .samples import MINIMUM_REPLICAS, Levels, indices, is_run


def trajectories(
    data: Any, times: Any, group: Any, coordinate: str, records: Levels
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Levels (replicas, records, m) and times (records,) as asked for, checked, and the level indices."""
    _validate.choice("coordinate", coordinate, ("eigenvalues", "singular_values"))
    if is_run(data):
        if times is not None:
            raise ValueError("times: must be left out for a Run, which knows its times")
        levels, clock = getattr(data, coordinate), getattr(data, "times", None)
        group = _only_group(data) if group is None else group
    else:
        if times is None:
            raise ValueError("times = None: must be given with an array, shape (records,)")
        if coordinate != "eigenvalues":
            raise ValueError(f"coordinate = {shown(coordinate)}: chosen from a Run; an array is taken as it is")
        levels, clock = data, times
    x = _validate.array("data", levels, "a Run or a real array (replicas, records, n)", finite=False, empty=True)
    if x.ndim != 3 or 0 in x.shape or x.shape[0] < MINIMUM_REPLICAS:
        raise ValueError(
            f"data has shape {x.shape}: must be (replicas, records, n) with at least {MINIMUM_REPLICAS} replicas"
        )
    time = _validate.array("times", clock, "a real array (records,)", empty=True)
    if time.shape != (x.shape[1],):
        raise ValueError(f"times has shape {time.shape}: must be ({x.shape[1]},), one for each record of data")
    count = x.shape[1]
    chosen = _neighbours(group, x.shape[2])
    kept = indices("records", records, count)
    x, time = x[:, kept][:, :, list(chosen)], time[kept]
    if time.size < 3:
        raise ValueError(f"records = {shown(records)} leaves {time.size} of {count} records: must be 3 or more")
    gaps = np.diff(time)
    if not _validate.SMALLEST <= abs(gaps.mean()) <= 1 / _validate.SMALLEST:
        raise ValueError(f"times are {gaps.mean():g} apart: must be from 1e-60 to 1e60; change the units")
    if gaps.min() <= 0 or np.ptp(gaps) > 1e-6 * gaps.mean():
        raise ValueError(
            f"times differ by {gaps.min():g} to {gaps.max():g}: must be ascending and equally spaced; choose such "
            f"records with records="
        )
    if not np.isfinite(x).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"data[{where[0]}, {int(kept[where[1]])}, {chosen[where[2]]}] = {x[where]}: must be finite")
    _validate.moderate("data", x)
    if (np.diff(x, axis=2) < 0).any():
        where = tuple(int(i) for i in np.argwhere(np.diff(x, axis=2) < 0)[0])
        raise ValueError(
            f"data[{where[0]}, {int(kept[where[1]])}]: levels must be ascending, and level {chosen[where[2] + 1]} is "
            f"below level {chosen[where[2]]}"
        )
    if not (np.ptp(x[:, :-1].mean(axis=2), axis=0) > 0).any():
        raise ValueError("data: all replicas move alike, must be independent trajectories")
    return x, time, chosen


def _only_group(run: Any) -> Any:
    """None, or an error for a model whose levels lie in several wells."""
    model = getattr(getattr(run, "process", None), "model", None)
    try:
        groups = model.degenerate_groups()  # type: ignore[union-attr]
    except (AttributeError, NotImplementedError):
        return None
    n = np.shape(run.eigenvalues)[2]
    if n > 1 and (len(groups) != 1 or len(groups[0]) != n):
        raise ValueError(
            f"group = None: must be given, because the levels of {model} lie in several wells; choose one of {groups} "
            f"or a single level from 0 to {n - 1}"
        )
    return None


def _neighbours(group: Any, n: int) -> tuple[int, ...]:
    chosen = tuple(int(i) for i in indices("group", group, n))
    if chosen != tuple(range(chosen[0], chosen[0] + len(chosen))) or chosen[0] < 0:
        raise ValueError(f"group = {shown(group)}: must be neighbouring level indices from 0 to {n - 1}, ascending")
    return chosen


def window_of(window: Any) -> tuple[float, float]:
    """Lower and upper end, from either both or the upper one."""
    shape = _validate.shape_of("window", window)
    if shape not in ((), (2,)):
        raise TypeError(f"window = {shown(window)}: must be a number > 0, or two, ascending")
    low, high = window if shape else (0.0, window)
    low = _validate.real("window", low, at_least=0)
    return low, _validate.real("window", high, above=low)
