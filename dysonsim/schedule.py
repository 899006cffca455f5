"""When to record: steps or times, and how the time between two records is divided into steps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from . import _validate

__all__ = ["Schedule", "recorded_steps", "timed"]

MAX_STEPS = 2**32 - 2  # the generator counts steps in 32 bits


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
        return float(self.times[-1]) if self.lengths is not None else float(self.end)

    def pieces(self, first: int, count: int) -> Iterator[tuple[int, int, float]]:
        """Steps first ... first + count - 1 as stretches (first, count, length of a step)."""
        assert self.lengths is not None
        stop = first + count
        while first < stop:
            record = min(bisect_right(self.steps, first), len(self.steps) - 1)
            upto = stop if record == len(self.steps) - 1 else min(stop, int(self.steps[record]))
            yield first, upto - first, float(self.lengths[record])
            first = upto


def recorded_steps(steps: int, every: int | None, chosen: Iterable[int] | None) -> np.ndarray:
    """Steps to record, ascending."""
    if every is not None and chosen is not None:
        raise ValueError("record_every and record_steps exclude each other: give one of them")
    if chosen is not None:
        if not isinstance(chosen, Iterable):
            raise TypeError(f"record_steps = {chosen!r}: must be a sequence of steps")
        listed = [_validate.integer("record_steps", s, 0, steps) for s in chosen]
        if not listed:
            raise ValueError("record_steps is empty: give at least one step")
        return np.array(sorted(set(listed)), dtype=np.int64)
    every = steps if every is None else _validate.integer("record_every", every, 1, steps)
    regular = np.arange(every, steps + 1, every, dtype=np.int64)
    return regular if regular[-1] == steps else np.append(regular, steps)


def timed(times: Iterable[float], divide: Callable[[float, float], int], begin: int, since: float, resumed: bool) -> Schedule:
    """The schedule of a process in continuous time, from step `begin` at time `since` on."""
    if isinstance(times, (str, bytes)) or not isinstance(times, Iterable):
        raise TypeError(f"times = {times!r}: must be a sequence of numbers >= 0")
    given = sorted({_validate.real("times", t, at_least=0) for t in times})
    wanted = np.array([t for t in given if t > since or (not resumed and t == since)])
    if not given:
        raise ValueError("times is empty: give at least one time to record at")
    if not len(wanted):
        raise ValueError(f"times = {given}: must go beyond the time {since:g} that resume has reached")
    durations = np.diff(wanted, prepend=since)
    begins = np.concatenate([[since], wanted[:-1]]).tolist()
    counts = [divide(a, b) if b > a else 0 for a, b in zip(begins, wanted.tolist(), strict=True)]
    ends = [begin + c for c in accumulate(counts)]
    if ends[-1] > MAX_STEPS:
        raise ValueError(f"times: reaching {wanted[-1]:g} takes {ends[-1]} steps, at most {MAX_STEPS} can be counted")
    lengths = durations / np.maximum(np.array(counts, dtype=float), 1)
    return Schedule(begin, ends[-1], np.array(ends, dtype=np.int64), wanted, lengths)
