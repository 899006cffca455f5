"""Lane values on a CUDA device: numbers of one thread.

Arrays that the threads of a block share keep the network fastest, number i of a network at i * networks + network, so
that a warp reads neighboring numbers; arrays of one thread become registers where the compiler knows every index.

A network has a thread, or a team of threads that share its work: thread m * networks + network is its member m.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace

import numpy as np
from numba import config, cuda

from ..._functions import scalar_function
from ..reference import unchanged

SIMULATED = bool(getattr(config, "ENABLE_CUDASIM", False))


def device_thread():
    """Return the number of the thread in its block."""
    return cuda.threadIdx.x


def device_barrier() -> None:
    """Wait for all threads of the block."""
    cuda.syncthreads()  # type: ignore[call-arg]


def simulated_thread() -> int:
    """Return the number of the simulator's thread, without `cuda.threadIdx`, which nested calls race for there."""
    return threading.current_thread().threadIdx.x  # type: ignore[attr-defined]


def simulated_barrier() -> None:
    """Do the same as `device_barrier`."""
    threading.current_thread().syncthreads()  # type: ignore[attr-defined]


def plain_memory() -> SimpleNamespace:
    """`load` and `store` of numbers of arrays themselves."""
    device = unchanged if SIMULATED else cuda.jit(device=True)

    @device
    def load(a, i):
        return a[np.uint64(i)]

    @device
    def store(a, i, v):
        a[np.uint64(i)] = v

    return SimpleNamespace(load=load, store=store)


def barrier() -> Callable[[], None]:
    """Return the function with which the threads of a block wait for each other."""
    return simulated_barrier if SIMULATED else cuda.jit(device=True)(device_barrier)


def float_functions(device, number) -> SimpleNamespace:
    """Of numbers: `full` and `real`, conversions to them; roots, choices, mantissas and exponents."""
    f32, root_half = np.float32, number(math.sqrt(0.5))

    @device
    def as_number(x):
        return number(x)

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
    def any_lane(condition):  # threads go their own ways
        return condition

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
        full=as_number, real=as_number, sqrt=sqrt, sqrt_single=sqrt_single, select=select, any=any_lane, split=split,
        power_of_two=power_of_two,
    )  # fmt: skip


def word_functions(device) -> SimpleNamespace:
    """Of words of 32 bits, and of the bits of a float32."""
    u32, i32, f32 = np.uint32, np.int32, np.float32
    u64 = int if SIMULATED else np.uint64  # a wide product wraps in neither

    @device
    def nonzero(v):
        return v != u32(0)

    @device
    def multiply_wide(a, b):
        product = u64(u64(a) * u64(b))
        return u32(product >> u64(32)), u32(product & u64(0xFFFFFFFF))

    @device
    def shift_signed(v, bits):
        return u32(i32(v) >> i32(bits))

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

    return SimpleNamespace(
        nonzero=nonzero, multiply_wide=multiply_wide, shift_signed=shift_signed, word=as_word, bits=bits,
        from_bits=from_bits, signed_to_single=signed_to_single,
    )  # fmt: skip


@cache
def lanes(
    dtype, networks: int, private: bool = False, team: int = 1, tile: int = 2, unroll: int = 1
) -> SimpleNamespace:
    """Make the lane functions of a CUDA thread; `dysonsim.backend` says what each name means.

    Arrays are shared by all threads of a block, the network fastest, or `private` to each thread.
    """
    number = np.dtype(dtype).type
    u32, i64, u64 = np.uint32, np.int64, int if SIMULATED else np.uint64
    device = unchanged if SIMULATED else cuda.jit(device=True)
    thread = simulated_thread if SIMULATED else device(device_thread)
    if team == 1:
        network = thread

        @device
        def member():
            return 0

        @device
        def together():
            pass

    else:
        together = barrier()

        @device
        def network():
            return thread() % networks

        @device
        def member():
            return thread() // networks

    # A lane array is an array and where in it the lane array begins: views would hide from the compiler that all parts
    # lie in the same memory. Indices are unsigned: a negative one would count from the end, and to ask for each whether
    # it does takes several times as many instructions as the multiply-add that it is for.
    stride = u64(1 if private else networks)

    @device
    def first_of():
        return u64(0) if private else u64(network())

    @device
    def load(a, i):
        return a[0][a[1] + u64(i) * stride + first_of()]

    @device
    def store(a, i, v):
        a[0][a[1] + u64(i) * stride + first_of()] = v

    @(unchanged if SIMULATED else cuda.jit(device=True, inline="always"))  # device functions cannot return arrays
    def part(a, first, count):
        return a[0], a[1] + u64(first) * stride

    @device
    def index():
        return u32(network())

    def each(function):
        scalar = scalar_function(function).made(lambda f, fast: device(f))
        return device(lambda v, i: scalar(v, i64(i)))

    return SimpleNamespace(
        **vars(float_functions(device, number)), **vars(word_functions(device)),
        jit=device, number=number, load=load, store=store, part=part, index=index, each=each,
        team=team, member=member, together=together, tile=tile, unroll=unroll,
    )  # fmt: skip
