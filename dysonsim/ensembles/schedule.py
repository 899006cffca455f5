"""When to record: steps or times, and how the time between two records is divided into steps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from .. import _checks

__all__ = ["Schedule", "recorded_steps", "timed"]

MAX_STEPS = 2**32 - 2  # the generator counts steps in 32 bits
MOST_LISTED = 10**6  # steps or times in what is neither an array nor a range: an iterable may have no end


@dataclass(frozen=True)
class Schedule:
    """What a run does from where it begins."""

    begin: int  # steps done before
    end: int  # steps done after
    steps: np.ndarray  # (records,) int: steps done at every record
    times: np.ndarray  # (records,) float: the time then
    lengths: np.ndarray | None = None  # (records,) float: of a step on the way to a record; None: steps are the unit

    @property
    def last_time(self) -> float:
        """Time of the last record, in continuous time or in steps."""
        return float(self.times[-1]) if self.lengths is not None else float(self.end)

    def pieces(self, first: int, count: int) -> Iterator[tuple[int, int, float]]:
        """Yield steps first ... first + count - 1 as stretches (first, count, length of a step)."""
        assert self.lengths is not None
        stop = first + count
        while first < stop:
            record = min(bisect_right(self.steps, first), len(self.steps) - 1)
            upto = stop if record == len(self.steps) - 1 else min(stop, int(self.steps[record]))
            yield first, upto - first, float(self.lengths[record])
            first = upto


def recorded_steps(
    steps: int, every: int | None, chosen: Iterable[int] | None, first: int, room: Callable[[int], None]
) -> np.ndarray:
    """List the steps to record, ascending, from step `first` on.

    ``room(count)`` raises an error for more than fit into memory, before they are listed.
    """
    if every is not None and chosen is not None:
        raise ValueError("record_every and record_steps exclude each other: give one of them")
    if chosen is not None:
        listed = _listed("record_steps", chosen, "a sequence of steps", lambda s: _step(s, steps), "iu", np.int64, room)
        return listed[listed >= first]
    every = steps if every is None else _checks.integer("record_every", every, 1, steps)
    first = every * max(1, -(-first // every))
    room(max(0, steps - first) // every + 2)
    regular = np.arange(first, steps + 1, every, dtype=np.int64)
    return regular if len(regular) and regular[-1] == steps else np.append(regular, steps)


def _step(value: int, steps: int) -> int:
    return _checks.integer("record_steps", value, 0, steps)


def _listed(
    name: str, values: Any, wanted: str, check: Callable, dtypes: str, dtype: type, room: Callable[[int], None]
) -> np.ndarray:
    """Return what a caller lists, each once and ascending; `check` raises an error for a value that is not allowed."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
        raise TypeError(f"{name} = {values!r}: must be {wanted}")
    if isinstance(values, range):
        first, after, step = values.start, values.stop, values.step
        for end in values[:1], values[-1:]:
            list(map(check, end))
        room(max(0, -((first - after) // step)))
        array = np.arange(first, after, step)
    elif type(values) is np.ndarray and values.ndim == 1 and values.dtype.kind in dtypes:
        array = values
        if len(array):
            check(array.min().item())
            check(array.max().item())
    else:
        some = list(islice(values, MOST_LISTED + 1))
        if len(some) > MOST_LISTED:
            raise ValueError(f"{name}: lists more than {MOST_LISTED} records; give so many as an array")
        array = np.array([check(value) for value in some], dtype=dtype)
    if not len(array):
        raise ValueError(f"{name} is empty: give at least one record")
    room(len(array))
    return np.unique(array.astype(dtype, copy=False))


def timed(
    times: Iterable[float],
    divide: Callable[[float], int],
    begin: int,
    since: float,
    resumed: bool,
    room: Callable[[int], None],
    jump: bool = False,
) -> Schedule:
    """Return the schedule of a process in continuous time, from step `begin` at time `since` on; `room` as above.

    jump: the first stretch of time is one step, whatever its length.
    """
    given = _listed("times", times, "a sequence of numbers >= 0", _time, "iuf", np.float64, room)
    wanted = given[given > since] if resumed else given[given >= since]
    if not len(wanted):
        raise ValueError(f"times, up to {given[-1]:g}: must go beyond the time {since:g} that resume has reached")
    durations = np.diff(wanted, prepend=since)
    different, which, often = np.unique(durations, return_inverse=True, return_counts=True)
    try:
        each = [divide(float(d)) if d > 0 else 0 for d in different]
    except (OverflowError, ZeroDivisionError):  # infinitely many
        each = [MAX_STEPS + 1]
    total = begin + sum(count * int(repeated) for count, repeated in zip(each, often, strict=False))
    first = int(np.argmax(durations > 0))
    if jump and len(each) == len(different) and durations[first] > 0:
        total -= each[which[first]] - 1
    if total > MAX_STEPS:
        raise ValueError(f"times: reaching {wanted[-1]:g} takes more steps than the {MAX_STEPS} that can be counted")
    counts = np.array([min(count, MAX_STEPS) for count in each], dtype=np.int64)[which]
    if jump and durations[first] > 0:
        counts[first] = 1
    return Schedule(begin, total, begin + np.cumsum(counts), wanted, durations / np.maximum(counts, 1))


def _time(value: float) -> float:
    return _checks.real("times", value, at_least=0)
