"""Work shared among threads, of which the calling one is one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

__all__ = ["share"]

T = TypeVar("T")


@cache
def _helpers(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="dysonsim")


if hasattr(os, "register_at_fork"):  # a forked process has the pool but not its threads
    os.register_at_fork(after_in_child=_helpers.cache_clear)


def share(task: Callable[[T], object], items: Iterable[T], threads: int) -> None:
    """Call `task` with every item, on `threads` threads, in any order; the first exception ends what has not begun.

    The calling thread does its share: if it waited instead, a scheduler would often wake two helpers on the core that
    it left, and two threads would be no faster than one.
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

    helpers = [_helpers(threads - 1).submit(work) for _ in range(threads - 1)]
    try:
        work()
    finally:
        for helper in helpers:
            helper.result()
