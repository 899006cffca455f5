"""A CUDA device: a lane is a thread, and lane value i of an array is what its threads hold at i.

Arrays keep the lane fastest, a[i * threads + thread], so that the threads of a warp read neighbouring numbers.
Importing this file imports `numba.cuda`; nothing else in dysonsim does.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import config, cuda

from .drivers import (
    LOOP_OVER_STEPS,
    STILL_WELL,
    Kernel,
    Program,
    from_blocks,
    loop_names,
    split_seed,
    to_blocks,
)
from .plain import unchanged

SIMULATED = bool(getattr(config, "ENABLE_CUDASIM", False))
THREADS = 4 if SIMULATED else 64  # a block: whole warps, few enough to leave each thread its registers
BLOCKS = 2 if SIMULATED else 1024  # of one ensemble: enough to fill a large card

TEXT = LOOP_OVER_STEPS + '''
def advance(blocks, scratch, reals, integers, first, count, first_replica, key0, key1, marks):
    b = cuda.blockIdx.x
    replica = u32(first_replica + b * WIDTH + index())
    advance_block(blocks[b], scratch[b], reals, integers, first, count, replica, key0, key1, marks[b])
'''


class CudaDriver:
    """Runs kernels on the current CUDA device."""

    name = "cuda"

    def __init__(self) -> None:
        obstacle = why_not()
        if obstacle:
            raise RuntimeError(
                f'device = "cuda": no CUDA device can be used here ({obstacle}). Install a driver and the extra '
                'dysonsim[cuda], or run on device="cpu".'
            )

    def prepare(self, kernel: Kernel, dtype: str) -> Program:
        run = compiled(kernel.build, tuple(sorted(kernel.sizes.items())), dtype, THREADS)

        def open_ensemble(start, first_replica, seed):
            return CudaEnsemble.open(run, kernel, dtype, start, first_replica, seed)

        return Program(open_ensemble, THREADS, unit=BLOCKS, parallel=False)


def why_not() -> str:
    """What stands in the way of a device, in words; empty if nothing does."""
    if not SIMULATED and find_spec("numba_cuda") is None:  # the target within Numba itself lacks what kernels need
        return "the package numba-cuda is not installed"
    try:
        if cuda.is_available():
            return ""
        cuda.current_context()
    except Exception as error:  # a missing or broken driver raises errors of many kinds
        return " ".join(str(error).split()) or type(error).__name__
    return "no device found"


@dataclass
class CudaEnsemble:
    """An ensemble in the memory of the device."""

    run: Any
    networks: int
    first_replica: int
    seed: int
    blocks: Any
    scratch: Any
    reals: Any
    integers: Any
    marks: Any

    @classmethod
    def open(cls, run, kernel: Kernel, dtype: str, start: np.ndarray, first_replica: int, seed: int):
        blocks = to_blocks(start, THREADS, dtype)
        needed = blocks.nbytes + len(blocks) * kernel.scratch * THREADS * np.dtype(dtype).itemsize
        free = needed if SIMULATED else cuda.current_context().get_memory_info().free
        if needed > free:
            size = f"{needed / 2**30:.2f} GiB on the device, {free / 2**30:.2f} GiB are free"
            raise MemoryError(f"{len(start)} networks need {size}: take fewer replicas at a time")
        return cls(
            run, len(start), first_replica, seed,
            cuda.to_device(blocks),
            cuda.device_array((len(blocks), kernel.scratch * THREADS), dtype),
            cuda.to_device(np.asarray(kernel.reals, dtype)),
            cuda.to_device(np.asarray(kernel.integers, np.int64)),
            cuda.to_device(np.full((len(blocks), THREADS), STILL_WELL, np.uint32)),
        )  # fmt: skip

    def set_reals(self, reals: np.ndarray) -> None:
        self.reals = cuda.to_device(np.asarray(reals, self.reals.dtype))

    def advance(self, first: int, count: int) -> None:
        key0, key1 = split_seed(self.seed)
        with np.errstate(over="ignore"):  # the simulator's integers warn where the device's wrap
            constants = self.reals, self.integers
            counters = first, count, self.first_replica, key0, key1
            self.run[len(self.blocks), THREADS](self.blocks, self.scratch, *constants, *counters, self.marks)
            cuda.synchronize()

    def state(self) -> np.ndarray:
        return from_blocks(self.blocks.copy_to_host(), THREADS, self.networks)

    def left(self) -> np.ndarray:
        return self.marks.copy_to_host().reshape(-1)[: self.networks]


@cache
def compiled(build, sizes: tuple, dtype: str, threads: int):
    """The kernel that advances one block of networks a CUDA block."""
    return cuda.jit(kernel_function(build, sizes, dtype, threads))


def kernel_function(build, sizes: tuple, dtype: str, threads: int):
    """The kernel's Python function, for `cuda.jit` or for `cuda.compile`."""
    functions = lanes(dtype, threads)
    names = loop_names(functions, build(functions, **dict(sizes)), threads) | {"cuda": cuda}
    exec(compile(TEXT, "<dysonsim>", "exec"), names)
    names["advance_block"] = functions.jit(names["advance_block"])
    return names["advance"]


def device_thread():
    """Number of the thread in its block."""
    return cuda.threadIdx.x


def simulated_thread() -> int:
    """Number of the simulator's thread in its block, without `cuda.threadIdx`, which nested calls race for there."""
    return threading.current_thread().threadIdx.x  # type: ignore[attr-defined]


def lanes(dtype, threads: int) -> SimpleNamespace:
    """The lane functions of a CUDA thread; `dysonsim.backend` says what each name means."""
    number = np.dtype(dtype).type
    u32, u64, i32, i64, f32 = np.uint32, np.uint64, np.int32, np.int64, np.float32
    root_half = number(math.sqrt(0.5))
    device = unchanged if SIMULATED else cuda.jit(device=True)
    thread = simulated_thread if SIMULATED else device(device_thread)

    @device
    def load(a, i):
        return a[i * threads + thread()]

    @device
    def store(a, i, v):
        a[i * threads + thread()] = v

    @(unchanged if SIMULATED else cuda.jit(device=True, inline="always"))  # device functions cannot return views
    def part(a, first, count):
        return a[first * threads : (first + count) * threads]

    @device
    def sqrt(v):
        return number(math.sqrt(v))

    @device
    def sqrt_single(v):
        return f32(math.sqrt(v))

    @device
    def select(condition, a, b):
        return a if condition else b

    @device
    def nonzero(v):
        return v != u32(0)

    @device
    def index():
        return u32(thread())

    @device
    def multiply_wide(a, b):
        product = u64(u64(a) * u64(b))
        return u32(product >> u64(32)), u32(product & u64(0xFFFFFFFF))

    @device
    def shift_signed(v, bits):
        return u32(i32(v) >> i32(bits))

    @device
    def as_number(x):
        return number(x)

    @device
    def as_word(x):
        return u32(x)

    @device
    def bits(v):
        return f32(v).view(u32)

    @device
    def from_bits(v):
        return u32(v).view(f32)

    @device
    def signed_to_single(v):
        return f32(i32(v))

    @device
    def any_lane(condition):  # threads go their own ways
        return condition

    def each(function):
        plain = getattr(function, "py_func", function)
        scalar = device(plain)
        if plain.__code__.co_argcount > 1:
            return device(lambda v, i: scalar(v, i64(i)))
        return device(lambda v, i: scalar(v))

    @device
    def split(v):
        mantissa, exponent = math.frexp(v)
        if mantissa < root_half:
            return number(number(2) * mantissa), number(exponent - 1)
        return number(mantissa), number(exponent)

    @device
    def power_of_two(k):
        return number(math.ldexp(number(1), int(k)))

    return SimpleNamespace(
        jit=device, number=number, load=load, store=store, part=part, sqrt=sqrt, sqrt_single=sqrt_single,
        select=select, nonzero=nonzero, index=index, multiply_wide=multiply_wide, shift_signed=shift_signed,
        full=as_number, real=as_number, word=as_word, bits=bits, from_bits=from_bits, signed_to_single=signed_to_single,
        any=any_lane, each=each, split=split, power_of_two=power_of_two,
    )  # fmt: skip
