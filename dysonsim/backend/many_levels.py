"""Functions of one large gas, compiled for lane values that hold eight of its levels (`simd_levels.py`); threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from .cache import cache_directory
from .compiled import Compiled
from .threads import share


@cache
def compiled(build: Callable, **sizes: int) -> Compiled:
    """Compile ``build(lanes, **sizes)``, or load it from the cache on disk. The function runs without Python's lock."""

    def function():
        from .simd_levels import lanes

        return build(lanes(), **sizes).py_func

    return Compiled(function, directory(build, sizes))


def directory(build: Callable, sizes: dict[str, int]) -> Path | None:
    """Where the machine code is kept."""
    return cache_directory(build, tuple(sorted(sizes.items())))


def in_parallel(task: Callable[[int, int], None], count: int, threads: int, pieces: int = 4) -> None:
    """Do ``task(first, last)`` for ranges that make up 0 ... count, on `threads` threads, `pieces` ranges a thread.

    What a task writes must not depend on the ranges; then the result is the same on any number of threads.
    """
    if threads == 1 or count <= 1:
        task(0, count)
        return
    edges = np.unique(np.linspace(0, count, min(count, threads * pieces) + 1).astype(int)).tolist()
    share(lambda piece: task(*piece), pairwise(edges), threads)
