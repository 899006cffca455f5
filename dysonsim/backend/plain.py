"""Lane values as NumPy arrays: the kernels' text as ordinary Python.

Slow and easy to step through. Serves the start of a run (initial weights, the same on every device) and the tests,
which take from it the very random numbers that a compiled kernel draws.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from .drivers import (
    LOOP_OVER_BLOCKS,
    LOOP_OVER_STEPS,
    HostEnsemble,
    Kernel,
    Program,
    Scratch,
    loop_names,
)


def unchanged(function):
    """The decorator that compiles nothing."""
    return function


def lanes(dtype, width: int) -> SimpleNamespace:
    """The lane functions on arrays of `width` numbers; `dysonsim.backend` says what each name means."""
    number = np.dtype(dtype).type

    def store(a, i, v):
        a[i * width : (i + 1) * width] = v

    def each(function):
        scalar = getattr(function, "py_func", function)
        if scalar.__code__.co_argcount == 1:
            return lambda v, i: np.array([scalar(x) for x in v], number)
        return lambda v, i: np.array([scalar(*pair) for pair in zip(v, np.full(len(v), i, int), strict=True)], number)

    def split(v):
        mantissa, exponent = np.frexp(v)
        low = mantissa < np.sqrt(0.5)
        return np.where(low, 2 * mantissa, mantissa).astype(number), (exponent - low).astype(number)

    def multiply_wide(a, b):
        product = np.asarray(a, np.uint64) * np.asarray(b, np.uint64)
        return (product >> np.uint64(32)).astype(np.uint32), product.astype(np.uint32)

    return SimpleNamespace(
        jit=unchanged,
        number=number,
        load=lambda a, i: a[i * width : (i + 1) * width].copy(),
        store=store,
        part=lambda a, first, count: a[first * width : (first + count) * width],
        sqrt=np.sqrt,
        sqrt_single=np.sqrt,
        select=np.where,
        nonzero=lambda v: v != 0,
        index=lambda: np.arange(width, dtype=np.uint32),
        multiply_wide=multiply_wide,
        shift_signed=lambda v, bits: (v.view(np.int32) >> np.int32(bits)).view(np.uint32),
        full=lambda x: np.full(width, x, number),
        real=lambda v: np.asarray(v, number),
        word=lambda x: x if isinstance(x, np.ndarray) else np.full(width, x, np.uint32),
        bits=lambda v: np.ascontiguousarray(v, np.float32).view(np.uint32),
        from_bits=lambda v: v.view(np.float32),
        signed_to_single=lambda v: v.view(np.int32).astype(np.float32),
        any=np.any,
        team=1, tile=2, unroll=1, member=lambda: 0, together=lambda: None,
        each=each,
        split=split,
        power_of_two=lambda k: np.ldexp(number(1), k.astype(np.int64)).astype(number),
    )


class PlainDriver:
    """Runs kernels as ordinary Python, `width` networks at a time."""

    name = "numpy"

    def __init__(self, width: int = 8) -> None:
        self.width = width

    def prepare(self, kernel: Kernel, dtype: str) -> Program:
        if kernel.whole:
            raise RuntimeError("networks of so many units run as compiled code only: unset NUMBA_DISABLE_JIT")
        functions = lanes(dtype, self.width)
        names = loop_names(functions, kernel.build(functions, **kernel.sizes), self.width)
        exec(LOOP_OVER_STEPS + LOOP_OVER_BLOCKS, names)

        def run(*args):
            with np.errstate(over="ignore"):  # the generator's 32-bit integers wrap on purpose
                names["advance"](*args)

        scratch = Scratch(kernel.scratch * self.width, dtype)

        def open_ensemble(start, first_replica, seed):
            return HostEnsemble.open(run, kernel, dtype, self.width, scratch, start, first_replica, seed)

        return Program(open_ensemble, self.width, unit=1, parallel=False)
