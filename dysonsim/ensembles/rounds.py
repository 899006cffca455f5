"""Advance many ensembles together: rounds of a fraction of a second, on threads, with records on the way."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .._patience import PATIENCE
from ..backend.threads import share

__all__ = ["Ensembles", "advance_in_rounds"]

TASK_SECONDS = 0.1  # one ensemble, one round: short enough for Ctrl-C, long enough to be cheap
FIRST_ROUND = 1  # steps of the first round, from which the length of the next is taken
GROWTH = 4.0  # by which the length of a round may change from one to the next


@dataclass(frozen=True)
class Ensembles:
    """Many ensembles, by their index.

    Attributes
    ----------
    count : int
        How many there are.
    move : callable
        ``move(index, first step, count)`` advances one of them.
    snapshot : callable
        ``snapshot(index, record)``.
    check : callable
        Called after every round; what it raises ends the run.
    """

    count: int
    move: Callable[[int, int, int], None]
    snapshot: Callable[[int, int], None]
    check: Callable[[], None]


def advance_in_rounds(
    ensembles: Ensembles, begin: int, end: int, records: np.ndarray, workers: int, progress: bool | None
) -> None:
    """Bring all ensembles from step `begin` to step `end`.

    Every ensemble ends a round before any begins the next: so `check` sees all networks at the same step, and what it
    finds first does not depend on the threads.

    Parameters
    ----------
    ensembles : Ensembles
    begin, end : int
        Steps done before and after.
    records : (records,) int array, ascending
        Steps after which to take a snapshot of every ensemble.
    workers : int
        Threads.
    progress : bool or None
        Show a bar; None: in a terminal, once 3 seconds have passed.
    """

    def task(index: int, start: int, first: int, last: int, stop: int) -> None:
        with np.errstate(all="ignore"):  # a thread has its own; what is no number is looked for
            for record in range(first, last):
                step = int(records[record])
                ensembles.move(index, start, step - start)
                ensembles.snapshot(index, record)
                start = step
            ensembles.move(index, start, stop - start)

    done, recorded, size = begin, 0, FIRST_ROUND
    bar = Bar(end - begin, progress)
    try:
        while done < end or recorded < len(records):
            stop = min(done + size, end)
            upto = int(np.searchsorted(records, stop, side="right"))
            began = time.perf_counter()
            share(partial(task, start=done, first=recorded, last=upto, stop=stop), range(ensembles.count), workers)
            ensembles.check()
            seconds = (time.perf_counter() - began) * min(workers, ensembles.count) / ensembles.count
            size = max(1, int(size * min(GROWTH, max(1 / GROWTH, TASK_SECONDS / max(seconds, 1e-9)))))
            bar.update(stop - done)
            done, recorded = stop, upto
    finally:
        bar.close()


class Bar:
    """A progress bar of tqdm, where there is a place to show it. What befalls the bar does not end the run."""

    def __init__(self, total: int, progress: bool | None, unit: str = "step") -> None:
        self.inner: Any = None
        shown = progress
        if shown is None:
            shown = _quietly(lambda: sys.stderr.isatty()) is True
        if not shown or sys.stderr is None:
            return
        try:
            from tqdm import tqdm
        except ImportError:
            if progress:
                warnings.warn("progress = True: no bar is shown, tqdm is not installed", RuntimeWarning, stacklevel=4)
            return
        delay = PATIENCE if progress is None else 0.0
        bar = _quietly(lambda: tqdm(total=total, unit=unit, delay=delay))
        self.inner = None if bar is FAILED else bar

    def update(self, steps: int) -> None:
        if self.inner is not None and _quietly(lambda: self.inner.update(steps)) is FAILED:
            self.inner = None

    def tell(self, words: Callable[[], str]) -> None:
        """Say something before the bar, where there is one."""
        if self.inner is not None:
            _quietly(lambda: self.inner.set_description(words(), refresh=False))

    def close(self) -> None:
        if self.inner is not None:
            _quietly(lambda: self.inner.close())


FAILED = object()


def _quietly(call: Callable[[], Any]) -> Any:
    """Return what a call for the bar returns; FAILED where stderr is missing, closed or of an odd kind."""
    try:
        return call()
    except (OSError, ValueError, AttributeError, TypeError):
        return FAILED
