"""Work shared among threads, of which the calling one is one; BLAS on one thread a call; what a fork waits for."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from queue import SimpleQueue
from threading import RLock, Thread
from typing import Any, TypeVar

__all__ = ["one_blas_thread", "share"]

T = TypeVar("T")
HELD: list[Any] = []  # locks that are held during a fork


def before_fork() -> None:
    """Wait until nobody compiles or imports Numba: a child would wait for ever for a thread that it lacks."""
    if "numba" in sys.modules:
        import_module("numba")  # returns once another thread that imports it has done so
    llvm = getattr(sys.modules.get("llvmlite.binding.ffi"), "lib", None)
    compiling = getattr(sys.modules.get("numba.core.compiler_lock"), "global_compiler_lock", None)
    for lock in (compiling, getattr(llvm, "_lock", None)):  # in the order in which others take them
        if lock is not None:
            lock.__enter__()
            HELD.append(lock)


def after_fork() -> None:
    """In the parent and in the child."""
    held = HELD[::-1]
    HELD.clear()
    for lock in held:
        lock.__exit__(None, None, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_parent=after_fork, after_in_child=after_fork)


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


class BlasThreads:
    """How many threads BLAS may use is one number for the whole process: one, as long as anybody here needs it so."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.users = 0
        self.limits: list[tuple[tuple[bool, ...], Any]] = []

    def enter(self) -> None:
        with self.lock:
            self.users += 1
            loaded = tuple(name in sys.modules for name in BRING_BLAS)
            if not self.limits or self.limits[-1][0] != loaded:
                self.limits.append((loaded, _libraries(loaded).limit(limits=1, user_api="blas")))

    def leave(self) -> None:
        with self.lock:
            self.users -= 1
            while self.limits and not self.users:
                self.limits.pop()[1].restore_original_limits()


BRING_BLAS = ("numpy.linalg", "scipy.linalg", "torch")  # each of them a library of its own
BLAS = BlasThreads()
if hasattr(os, "register_at_fork"):  # another thread may hold the lock
    os.register_at_fork(after_in_child=BLAS.__init__)  # type: ignore[misc]


@cache
def _libraries(loaded: tuple[bool, ...]) -> Any:
    """Find the libraries that are loaded by now, which takes a millisecond."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """BLAS and LAPACK on one thread a call; as a decorator, too.

    The threads are dysonsim's; and how a product is divided among BLAS's own changes its last bits.
    """
    BLAS.enter()
    try:
        yield
    finally:
        BLAS.leave()
