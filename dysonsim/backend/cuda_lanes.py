"""Lane values on a CUDA device: numbers of one thread.

Arrays that the threads of a block share keep the thread fastest, a[i * threads + thread], so that a warp reads
neighbouring numbers; arrays of one thread alone, a[i], become registers where the compiler knows every index.
"""

from __future__ import annotations

import math
import threading
from types import SimpleNamespace

import numpy as np
from numba import config, cuda

from .plain import unchanged

SIMULATED = bool(getattr(config, "ENABLE_CUDASIM", False))


def device_thread():
    """Number of the thread in its block."""
    return cuda.threadIdx.x


def simulated_thread() -> int:
    """Number of the simulator's thread in its block, without `cuda.threadIdx`, which nested calls race for there."""
    return threading.current_thread().threadIdx.x  # type: ignore[attr-defined]


def lanes(dtype, threads: int, private: bool = False) -> SimpleNamespace:
    """The lane functions of a CUDA thread; `dysonsim.backend` says what each name means.

    Arrays are shared by the `threads` of a block, the thread fastest, or `private` to each thread.
    """
    number = np.dtype(dtype).type
    u32, u64, i32, i64, f32 = np.uint32, np.uint64, np.int32, np.int64, np.float32
    root_half = number(math.sqrt(0.5))
    device = unchanged if SIMULATED else cuda.jit(device=True)
    thread = simulated_thread if SIMULATED else device(device_thread)

    # Indices are unsigned: a negative one would count from the end, and to ask for each whether it does takes several
    # times as many instructions as the multiply-add that it is for.
    if private:

        @device
        def load(a, i):
            return a[u64(i)]

        @device
        def store(a, i, v):
            a[u64(i)] = v

    else:

        @device
        def load(a, i):
            return a[u64(u64(i) * u64(threads) + u64(thread()))]

        @device
        def store(a, i, v):
            a[u64(u64(i) * u64(threads) + u64(thread()))] = v

    stride = 1 if private else threads

    @(unchanged if SIMULATED else cuda.jit(device=True, inline="always"))  # device functions cannot return views
    def part(a, first, count):
        return a[first * stride : (first + count) * stride]

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
