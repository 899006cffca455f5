"""Work shared among threads, of which the calling one is one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

__all__ = ["share"]

T = TypeVar("T")


class Helpers:
    """Threads that wait for something to do: as many as were ever asked for at once.

    A `ThreadPoolExecutor` will not do: one for each number of threads leaves them all behind, and it refuses work once
    the interpreter has begun to end, as it has in functions that `atexit` calls. A queue of this kind may be used in
    signal handlers as well.
    """

    def __init__(self) -> None:
        self.calls: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        self.count = 0

    def ask(self, calls: list[Callable[[], Any]]) -> None:
        """Have these calls made, if there are threads to make them: none where no thread can be started any more."""
        while self.count < len(calls):
            try:
                Thread(target=self._serve, name=f"dysonsim-{self.count}", daemon=True).start()
            except RuntimeError:
                break
            self.count += 1
        for call in calls:
            self.calls.put(call)

    def _serve(self) -> None:
        while True:
            self.calls.get()()


HELPERS = Helpers()
if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=HELPERS.__init__)  # type: ignore[misc]


def share(task: Callable[[T], object], items: Iterable[T], threads: int) -> None:
    """Call `task` with every item, on `threads` threads, in any order; the first exception ends what has not begun.

    The calling thread does its share: if it waited instead, a scheduler would often wake two helpers on the core that
    it left, and two threads would be no faster than one. It waits only for helpers that have begun: so a task may share
    work of its own, though all helpers are busy.
    """
    waiting = deque(items)
    threads = min(threads, len(waiting))

    def work() -> None:
        try:
            while True:
                try:
                    item = waiting.popleft()
                except IndexError:  # nothing left
                    return
                task(item)
        finally:
            waiting.clear()

    def help_out(ticket: Future[None]) -> None:
        if not ticket.set_running_or_notify_cancel():  # too late
            return
        try:
            work()
        except BaseException as error:
            ticket.set_exception(error)
        else:
            ticket.set_result(None)

    tickets: list[Future[None]] = [Future() for _ in range(threads - 1)]
    HELPERS.ask([lambda ticket=ticket: help_out(ticket) for ticket in tickets])  # type: ignore[misc]
    try:
        work()
    finally:
        for ticket in tickets:
            if not ticket.cancel():
                ticket.result()
