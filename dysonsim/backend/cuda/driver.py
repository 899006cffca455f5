"""A CUDA device: a lane is a thread, and lane value i of an array is what its threads hold at i.

`cuda_plan.py` says where the numbers of a thread live, `cuda_lanes.py` how kernels get at them. Importing this file
imports `numba.cuda`; nothing in dysonsim does but the files of `backend` whose names begin with cuda.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import numpy as np
from numba import cuda, types

from ..cache import ByContent, Place, cache_directory, execute, foreign
from ..host import LOOP_OVER_STEPS, checked_reals, checked_start, from_blocks, loop_names, to_blocks
from ..kernel import STILL_WELL, Kernel, Program, split_seed
from ..reference import check_kernel
from .lanes import SIMULATED, lanes
from .plan import Card, Plan, chunk, in_device_memory, plan

SIMULATOR = Card(1, shared=2**14, per_multiprocessor=2**14, cached=2**14, threads=4, most_threads=8)
SIMULATED_CHUNK = 2  # blocks of an ensemble there, so that tests see several

# Blocks of networks that outnumber those of the grid take turns. {before} and {after} bring numbers near, and back.
TEXT = """
def advance(blocks, scratch, reals, integers, first, count, first_replica, key0, key1, marks):
    t = cuda.threadIdx.x
    {arrays}
    for b in range(cuda.blockIdx.x, blocks.shape[0], cuda.gridDim.x):
        replica = index() + u32(first_replica + b * WIDTH)
        {before}
        advance_block({state}, {work}, reals, integers, first, count, replica, key0, key1, {marks})
        {after}
"""


def text_of(chosen: Plan) -> str:
    """Return the text of the loop over blocks as the plan wants it."""
    parts = {"arrays": "", "before": "", "after": "", "state": "(blocks[b], u64(0))", "marks": "(marks[b], u64(0))"}
    if chosen.place == "global":
        return TEXT.format(**parts | {"work": "(scratch[cuda.blockIdx.x], u64(0))"})
    if chosen.place == "shared":
        parts |= {"work": "(numbers, u64(0))", "arrays": "numbers = cuda.shared.array(0, REAL)"}
        if chosen.team == 1:  # the state is touched a few times a step, which L1 is good for
            return TEXT.format(**parts)
        copy = "together()\n        for i in range(t, STATE * WIDTH, THREADS):\n            {}\n        together()"
        there, here = "numbers[SCRATCH * WIDTH + i]", "blocks[b, i]"
        before, after = copy.format(f"{there} = {here}"), copy.format(f"{here} = {there}")
        return TEXT.format(**parts | {"state": "(numbers, u64(SCRATCH * WIDTH))", "before": before, "after": after})
    copy = "for i in range(STATE):\n            {}\n        {}"
    there, here = "own[i]", "blocks[b, i * WIDTH + t]"
    return TEXT.format(
        work="(work, u64(0))", state="(own, u64(0))", marks="(mark, u64(0))",
        arrays="work, own = cuda.local.array(SCRATCH, REAL), cuda.local.array(STATE, REAL)\n"
               "    mark = cuda.local.array(1, WORD)",
        before=copy.format(f"{there} = {here}", "mark[0] = marks[b, t]"),
        after=copy.format(f"{here} = {there}", "marks[b, t] = mark[0]"),
    )  # fmt: skip


class CudaDriver:
    """Runs kernels on the current CUDA device.

    Parameters
    ----------
    chosen : callable, optional
        ``chosen(kernel, dtype, card)`` says where numbers lie and how many threads share them, instead of
        `cuda_plan.plan`: for tests and timings.
    """

    name = "cuda"

    def __init__(self, chosen: Callable[[Kernel, str, Card], Plan] = plan) -> None:
        require_device()
        self.plan = chosen

    def prepare(self, kernel: Kernel, dtype: str) -> Program:
        """Compile a kernel for the current device, or load it from the cache on disk."""
        if foreign(kernel):
            check_kernel(kernel, dtype)
        card = this_card()
        chosen = self.plan(kernel, dtype, card)
        what = ByContent(kernel.build, tuple(sorted(kernel.sizes.items()))), dtype
        try:
            run = compiled(*what, chosen, kernel.state, kernel.scratch)
        except SharedMemoryRefused as refused:
            warnings.warn(f"{refused}; slower device memory is used instead", RuntimeWarning, stacklevel=2)
            chosen = in_device_memory(kernel, dtype, card)
            run = compiled(*what, chosen, kernel.state, kernel.scratch)
        unit = SIMULATED_CHUNK if SIMULATED else chunk(kernel, dtype, card, chosen)

        def open_ensemble(start, first_replica, seed):
            return CudaEnsemble.open(run, kernel, dtype, chosen, start, first_replica, seed)

        return Program(open_ensemble, chosen.networks, unit=unit, parallel=False)


def require_device() -> None:
    """RuntimeError if no device can be used here."""
    obstacle = why_not()
    if obstacle:
        raise RuntimeError(
            f'device = "cuda": no CUDA device can be used here ({obstacle}). Install a driver and the extra '
            'dysonsim[cuda], or run on device="cpu".'
        )


def why_not() -> str:
    """Say what stands in the way of a device; empty if nothing does."""
    if not SIMULATED and find_spec("numba_cuda") is None:  # the target within Numba itself lacks what kernels need
        return "the package numba-cuda is not installed"
    try:
        if cuda.is_available():
            return ""
        cuda.current_context()
    except Exception as error:  # a missing or broken driver raises errors of many kinds
        return " ".join(str(error).split()) or type(error).__name__
    return "no device found"


@cache
def this_card() -> Card:
    """Describe the current device in the numbers that plans need."""
    if SIMULATED:
        return SIMULATOR
    device = cuda.get_current_device()
    return Card(
        multiprocessors=device.MULTIPROCESSOR_COUNT,
        shared=device.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
        per_multiprocessor=device.MAX_SHARED_MEMORY_PER_MULTIPROCESSOR,
        cached=device.L2_CACHE_SIZE,
    )


@dataclass
class CudaEnsemble:
    """An ensemble in the memory of the device."""

    run: Any
    kernel: Kernel
    plan: Plan
    networks: int
    first_replica: int
    seed: int
    blocks: Any
    scratch: Any
    reals: Any
    integers: Any
    marks: Any

    @classmethod
    def open(cls, run, kernel: Kernel, dtype: str, chosen: Plan, start: np.ndarray, first_replica: int, seed: int):
        """Copy start values (networks, kernel.state) and constants to the device."""
        blocks = to_blocks(checked_start(start, kernel), chosen.networks, dtype)
        # Working space in device memory is there for the blocks that run at once, not for all.
        rows = min(len(blocks), chosen.blocks or len(blocks)) if chosen.place == "global" else 1
        row = kernel.scratch * chosen.networks if chosen.place == "global" else 1
        marks = np.full((len(blocks), chosen.networks), STILL_WELL, np.uint32)
        extra = rows * row * np.dtype(dtype).itemsize
        with room_for(len(start), first_replica, blocks.nbytes + marks.nbytes, extra):
            return cls(
                run, kernel, chosen, len(start), first_replica, seed,
                cuda.to_device(blocks),
                cuda.device_array((rows, row), dtype),
                cuda.to_device(np.asarray(kernel.reals, dtype)),
                cuda.to_device(np.asarray(kernel.integers, np.int64)),
                cuda.to_device(marks),
            )  # fmt: skip

    def set_reals(self, reals: np.ndarray) -> None:
        """Copy new constants to the device."""
        self.reals = cuda.to_device(checked_reals(reals, self.kernel, self.reals.dtype))

    def advance(self, first: int, count: int) -> None:
        """Launch the kernel for these steps, and wait until it is done."""
        key0, key1 = split_seed(self.seed)
        grid = min(len(self.blocks), self.plan.blocks or len(self.blocks))
        constants, counters = (self.reals, self.integers), (first, count, self.first_replica, key0, key1)
        with quietly():
            launch = self.run[grid, self.plan.threads, 0, self.plan.shared]
            launch(self.blocks, self.scratch, *constants, *counters, self.marks)
            cuda.synchronize()

    def state(self) -> np.ndarray:
        """Copy the state (networks, kernel.state) to the host."""
        return from_blocks(self.blocks.copy_to_host(), self.plan.networks, self.networks)

    def left(self) -> np.ndarray:
        """Copy to the host at which step each network was first not well."""
        return self.marks.copy_to_host().reshape(-1)[: self.networks]


@contextmanager
def quietly() -> Iterator[None]:
    """Without warnings that tell a user nothing: of few networks, and of the simulator's integers that wrap."""
    with np.errstate(over="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*under-utilization.*")
        yield


@contextmanager
def room_for(networks: int, first_replica: int, each: int, extra: int) -> Iterator[None]:
    """MemoryError, if `each` bytes of networks and `extra` bytes do not fit on the device, that says how many would.

    Ensembles of a run are opened one after the other: those before this one lie there already.
    """
    free = each + extra if SIMULATED else cuda.current_context().get_memory_info().free
    fit = max(0, int((free - extra) * networks // each))
    message = (
        f"device = 'cuda': replicas {first_replica} to {first_replica + networks - 1} need "
        f"{(each + extra) / 2**30:.2f} GiB on the device, {free / 2**30:.2f} GiB are free, enough for about "
        f"{fit} more: take fewer replicas at a time"
    )
    if each + extra > free:
        raise MemoryError(message)
    try:
        yield
    except Exception as error:
        # The driver's own refusal: memory may be there in pieces that are too small.
        if "OUT_OF_MEMORY" in f"{error} {getattr(error, 'code', '')}":
            raise MemoryError(message) from error
        raise


def compiler() -> str:
    """Name what makes machine code of kernels; part of the key under which the code is kept on disk."""
    return "simulator" if SIMULATED else f"numba-cuda {metadata.version('numba-cuda')}"


def signature(dtype: str):
    """Return the argument types of a kernel."""
    real = getattr(types, dtype)
    state, vector, long, word = real[:, ::1], real[::1], types.int64, types.uint32
    return types.void(state, state, vector, long[::1], long, long, long, word, word, word[:, ::1])


@cache
def compiled(what: ByContent, dtype: str, chosen: Plan, state: int, scratch: int):
    """Compile the kernel that advances one block of networks a CUDA block."""
    function, place = kernel_function(what.build, what.sizes, dtype, chosen, state, scratch)
    if SIMULATED:
        return cuda.jit(function)
    # All of the memory that L1 and shared memory divide goes where the plan puts the numbers.
    options: dict[str, Any] = {"shared_memory_carveout": "MaxShared" if chosen.shared else "MaxL1"}
    if chosen.registers:
        options["max_registers"] = chosen.registers
    run = cuda.jit(signature(dtype), cache=place.folder is not None, **options)(function)
    place.keep()
    if chosen.opts_in:
        allow_shared(run, chosen.shared)
    return run


class SharedMemoryRefused(RuntimeError):
    """A block may not have so much shared memory."""


def allow_shared(run, size: int) -> None:
    """Let the blocks of a kernel have more shared memory than every block may: numba-cuda does not ask for it."""
    try:
        from numba.cuda.cudadrv.driver import binding, driver

        (kernel,) = run.overloads.values()
        function = kernel._codelibrary.get_cufunc()
        attribute = binding.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        driver.cuKernelSetAttribute(attribute, size, function.handle, function.device.id)
    except Exception as error:  # the driver's refusal, or numba-cuda's internals of another version
        raise SharedMemoryRefused(f'device = "cuda": {size} bytes of shared memory were refused ({error})') from error


def kernel_function(build, sizes: tuple, dtype: str, chosen: Plan, state: int, scratch: int) -> tuple[Any, Place]:
    """Return the kernel's Python function, for `cuda.jit` or `cuda.compile`, and where Numba keeps what it compiles."""
    functions = lanes(dtype, chosen.networks, chosen.place == "private", chosen.team, chosen.tile, chosen.unroll)
    names = loop_names(functions, build(functions, **dict(sizes)), chosen.networks)
    names |= {"cuda": cuda, "REAL": getattr(types, dtype), "WORD": types.uint32, "STATE": state, "SCRATCH": scratch}
    names |= {"together": functions.together, "THREADS": chosen.threads, "u64": int if SIMULATED else np.uint64}
    directory = cache_directory(build, sizes, compiler(), dtype, repr(chosen), f"{state} {scratch}")
    place = execute(LOOP_OVER_STEPS + text_of(chosen), names, directory)
    names["advance_block"] = functions.jit(names["advance_block"])
    return names["advance"], place
