"""The CPU: kernels compiled to vector code, one thread an ensemble, the machine code kept on disk (`compiled.py`)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import Any

import numpy as np

from .._functions import LevelFunction
from .cache import ByContent, cache_directory, foreign, source_hash
from .compiled import Compiled
from .host import (
    LOOP_OVER_BLOCKS,
    LOOP_OVER_NETWORKS,
    LOOP_OVER_STEPS,
    WIDTH,
    HostProgram,
    layout,
    loop_names,
)
from .kernel import Kernel, Program
from .reference import builder, check_kernel
from .threads import one_blas_thread

__all__ = ["WIDTH", "CpuDriver", "source_hash"]


class CpuDriver:
    """Runs kernels on the cores of this machine."""

    name = "cpu"

    def prepare(self, kernel: Kernel, dtype: str) -> Program:
        """Compile a kernel for the cores of this machine, or load it from the cache on disk."""
        width, unit = layout(kernel, dtype)
        if foreign(kernel):
            check_kernel(kernel, dtype)
        what = ByContent(kernel.build, tuple(sorted(kernel.sizes.items())))
        # Compile or load now: a call that does no step.
        try:
            program = HostProgram.of(compiled(what, dtype, width), kernel, dtype, width)
            program.open(np.zeros((1, kernel.state)), 0, 0).advance(0, 0)
        except Exception as error:  # Numba's and LLVM's are of many kinds
            if not foreign(kernel):
                raise
            raise TypeError(f"the step of {builder(kernel)} cannot be compiled by Numba: {error}") from error

        return Program(program.open, width, unit, while_running=one_blas_thread if kernel.whole else nullcontext)


@cache
def compiled(what: ByContent, dtype: str, width: int) -> Callable[..., None]:
    """Compile the loop over blocks and steps of one kernel, `width` networks a block; 1: one in plain arrays."""
    build, sizes = what.build, what.sizes

    def outermost():
        return function(build, sizes, dtype, width)

    run = Compiled(outermost, cache_directory(build, sizes, dtype, str(width)))
    owner = next((size for _, size in sizes if isinstance(size, LevelFunction)), None)
    if owner is None:
        return run

    def told(*arguments: Any) -> None:
        try:
            run(*arguments)
        except Exception as error:  # of any kind: a user's function raised it
            raise ValueError(f"{owner.role} = {owner} raised {type(error).__name__}: {error}") from error

    return told


def function(build, sizes: tuple, dtype: str, width: int):
    """Return the Python function that is to be compiled."""
    from numba import njit

    from . import simd as vector

    lanes = vector.lanes(dtype, width if width > 1 else WIDTH[dtype])
    names = loop_names(lanes, build(lanes, **dict(sizes)), width)
    exec(LOOP_OVER_NETWORKS if width == 1 else LOOP_OVER_STEPS + LOOP_OVER_BLOCKS, names)
    if width > 1:  # not the step as well: LLVM makes slower code of it then
        names["advance_block"] = njit(inline="always", error_model="numpy")(names["advance_block"])
    return names["advance"]
