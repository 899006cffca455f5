"""The CPU: kernels compiled to vector code, one thread an ensemble, the machine code kept on disk (`native.py`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np

from .._functions import LevelFunction
from .cache import ByContent, cache_directory, foreign, source_hash, variant
from .drivers import (
    LOOP_OVER_BLOCKS,
    LOOP_OVER_NETWORKS,
    LOOP_OVER_STEPS,
    HostEnsemble,
    Kernel,
    Program,
    loop_names,
)
from .native import Native
from .plain import check_kernel

__all__ = ["WIDTH", "CpuDriver", "source_hash"]

WIDTH = {"float64": 8, "float32": 16}  # two AVX2 registers or one AVX-512 register a lane value: measured best

CACHED = 2**17  # bytes of state that one call works on: they stay in a core's second-level cache
MOST_BLOCKS = 256


class CpuDriver:
    """Runs kernels on the cores of this machine."""

    name = "cpu"

    def prepare(self, kernel: Kernel, dtype: str) -> Program:
        width = 1 if kernel.whole else int(WIDTH[dtype] * kernel.vectors)
        if foreign(kernel):
            check_kernel(kernel, dtype)
        run = compiled(ByContent(kernel.build, tuple(sorted(kernel.sizes.items()))), dtype, width)
        # Compile or load now: a call that does no step.
        HostEnsemble.open(run, kernel, dtype, width, np.zeros((1, kernel.state)), 0, 0).advance(0, 0)

        def open_ensemble(start, first_replica, seed):
            return HostEnsemble.open(run, kernel, dtype, width, start, first_replica, seed)

        if kernel.whole:
            return Program(open_ensemble, width, unit=1, while_running=one_blas_thread)
        block = width * kernel.state * np.dtype(dtype).itemsize
        fewest = max(1, int(8 / kernel.vectors))
        return Program(open_ensemble, width, unit=min(MOST_BLOCKS, max(fewest, CACHED // block)))


def one_blas_thread() -> AbstractContextManager[Any]:
    """BLAS on one thread a call: the threads are dysonsim's, and results do not depend on how many there are."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(limits=1, user_api="blas")


@cache
def compiled(what: ByContent, dtype: str, width: int) -> Callable[..., None]:
    """The compiled loop over blocks and steps of one kernel, `width` networks a block; 1: one in plain arrays."""
    build, sizes = what.build, what.sizes
    owner, words = variant(build, sizes, dtype, str(width))

    def outermost():
        return function(build, sizes, dtype, width)

    if owner is build:
        return Native(outermost, cache_directory(build, words))
    from numba import njit

    run = njit(nogil=True, error_model="numpy")(outermost())  # whose exceptions reach the caller

    def told(*arguments: Any) -> None:
        try:
            run(*arguments)
        except Exception as error:  # of any kind: a user's function raised it
            raise ValueError(f"{owner.role} = {owner} raised {type(error).__name__}: {error}") from error

    return told if isinstance(owner, LevelFunction) else run


def function(build, sizes: tuple, dtype: str, width: int):
    """The Python function that is to be compiled."""
    from numba import njit

    from . import vector

    lanes = vector.lanes(dtype, width if width > 1 else WIDTH[dtype])
    names = loop_names(lanes, build(lanes, **dict(sizes)), width)
    exec(LOOP_OVER_NETWORKS if width == 1 else LOOP_OVER_STEPS + LOOP_OVER_BLOCKS, names)
    if width > 1:  # not the step as well: LLVM makes slower code of it then
        names["advance_block"] = njit(inline="always", error_model="numpy")(names["advance_block"])
    return names["advance"]
