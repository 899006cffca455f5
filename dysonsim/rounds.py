"""Advance many ensembles together: rounds of a fraction of a second, on threads, with records on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from .backend.threads import share

__all__ = ["advance_in_rounds"]

TASK_SECONDS = 0.1  # one ensemble, one round: short enough for Ctrl-C, long enough to be cheap
FIRST_ROUND = 16  # steps of the first round, from which the length of the next is taken
GROWTH = 4.0  # by which the length of a round may change from one to the next


def advance_in_rounds(
    ensembles: int,
    begin: int,
    end: int,
    records: Sequence[tuple[int, int]],
    move: Callable[[int, int, int], None],
    snapshot: Callable[[int, int], None],
    check: Callable[[], None],
    workers: int,
    progress: bool | None,
) -> None:
    """Bring all ensembles from step `begin` to step `end`.

    Every ensemble ends a round before any begins the next: so `check` sees all networks at the same step, and what it
    finds first does not depend on the threads.

    Parameters
    ----------
    ensembles : int
        How many there are.
    begin, end : int
        Steps done before and after.
    records : sequence of (record, step)
        Where to call ``snapshot(index of the ensemble, record)``, by ascending step.
    move, snapshot : callable
        ``move(index of the ensemble, first step, count)`` advances one of them.
    check : callable
        Called after every round; what it raises ends the run.
    workers : int
        Threads.
    progress : bool or None
        Show a bar; None: in a terminal, once 3 seconds have passed.
    """
    from tqdm import tqdm

    def task(index: int, start: int, marks: Sequence[tuple[int, int]], stop: int) -> None:
        for record, step in marks:
            move(index, start, step - start)
            snapshot(index, record)
            start = step
        move(index, start, stop - start)

    waiting = list(records)
    done, size = begin, FIRST_ROUND
    hidden = None if progress is None else not progress
    bar = tqdm(total=end - begin, unit="step", disable=hidden, delay=3.0 if progress is None else 0.0)
    try:
        while done < end or waiting:
            stop = min(done + size, end)
            marks = [mark for mark in waiting if mark[1] <= stop]
            waiting = waiting[len(marks) :]
            began = time.perf_counter()
            share(partial(task, start=done, marks=marks, stop=stop), range(ensembles), workers)
            check()
            seconds = (time.perf_counter() - began) * min(workers, ensembles) / ensembles
            size = max(1, int(size * min(GROWTH, max(1 / GROWTH, TASK_SECONDS / max(seconds, 1e-9)))))
            bar.update(stop - done)
            done = stop
    finally:
        bar.close()
