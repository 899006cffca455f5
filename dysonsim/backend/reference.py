"""Lane values as NumPy arrays: the kernels' text as ordinary Python.

Slow and easy to step through. Serves the start of a run (initial weights, the same on every device) and the tests,
which take from it the very random numbers that a compiled kernel draws.
"""

from __future__ import annotations

import math
from itertools import product
from types import SimpleNamespace

import numpy as np

from .._functions import scalar_function
from .host import LOOP_OVER_BLOCKS, LOOP_OVER_STEPS, HostProgram, loop_names
from .kernel import Kernel, Program


def unchanged(function):
    """Return the function: a decorator that compiles nothing."""
    return function


def lanes(dtype, width: int) -> SimpleNamespace:
    """Make the lane functions on arrays of `width` numbers; `dysonsim.backend` says what each name means."""
    number = np.dtype(dtype).type

    def store(a, i, v):
        a[i * width : (i + 1) * width] = v

    def each(function):
        scalar = scalar_function(function).compiled
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
        team=1,
        tile=2,
        unroll=1,
        member=lambda: 0,
        together=lambda: None,
        each=each,
        split=split,
        power_of_two=lambda k: np.ldexp(number(1), k.astype(np.int64)).astype(number),
    )


class Watched(np.ndarray):
    """An array of a kernel that knows its name, and how many numbers of a network it holds."""

    name: str = "an array"

    def __array_finalize__(self, other: object) -> None:
        """Give a view the name of its array."""
        self.name = getattr(other, "name", self.name)


def watched(array: np.ndarray, name: str) -> Watched:
    """View an array as one that checks its indices; `name` is for messages."""
    view = array.view(Watched)
    view.name = name
    return view


class Enough(Exception):
    """The check of a kernel has seen so much that it would take too long."""


# Steps that a check does: the first ones, some later ones, even and odd, and the largest there is. And factors of the
# state that it begins with: a step may branch on its size and sign.
SOME_STEPS = (0, 1, 2**32 - 2, 2, 3, 10, 99, 1000, 65_537, 10**6)
SOME_STATES = (1.0, 0.0, 1e3, -1.0, -1e3, 1e-6, 1e12)
MOST = 10**6  # numbers loaded and stored by a check: some ten seconds
ENOUGH = 2 * 10**5  # after which no further step is begun, the first three excepted


def watching(dtype: str, width: int, most: float = MOST) -> SimpleNamespace:
    """Make the lane functions on arrays, with an IndexError where compiled code would read or write elsewhere.

    After `most` numbers that were loaded and stored they raise `Enough`.
    """
    own, seen = lanes(dtype, width), 0

    def within(a, first, count):
        nonlocal seen
        seen += 1
        if seen > most:
            raise Enough
        if first < 0 or count < 0 or (first + count) * width > len(a):
            what = f"number {first}" if count == 1 else f"numbers {first} to {first + count - 1}"
            raise IndexError(f"{what} of {getattr(a, 'name', 'an array')}, which holds {len(a) // width} of a network")

    def load(a, i):
        within(a, i, 1)
        return np.array(own.load(a, i))

    def store(a, i, v):
        within(a, i, 1)
        own.store(a, i, v)

    def part(a, first, count):
        within(a, first, count)
        return own.part(a, first, count)

    return SimpleNamespace(**vars(own) | {"load": load, "store": store, "part": part, "seen": lambda: seen})


def builder(kernel: Kernel) -> str:
    """Name what makes the step of a kernel, for messages."""
    return f"{kernel.build.__module__}.{getattr(kernel.build, '__qualname__', kernel.build)}"


def check_kernel(kernel: Kernel, dtype: str) -> None:
    """Run some steps as ordinary Python, to find what compiled code would do without a word.

    For kernels from outside dysonsim: state, scratch, reals and integers are as long as the Kernel says, and whatever
    lies beyond their ends is memory of somebody else. Ten steps are done, from step 0 to the last that can be counted,
    each from seven states, small and large, of either sign, for two networks.

    Not seen: what happens at other steps alone, or for other states, random numbers or replicas; of steps so long that
    all of these load and store more than 200 000 numbers, the later ones, and whatever comes after a million; a step
    that ordinary Python cannot do.

    Raises
    ------
    ValueError
        If the step reads or writes beyond the end of an array, or gives no mask.
    """
    width = 1 if kernel.whole else 2
    functions = watching(dtype, width)
    step = kernel.build(functions, **kernel.sizes)
    weights, extra = np.linspace(0.1, 0.2, kernel.weights), np.ravel(kernel.extra)
    scratch = watched(np.zeros(kernel.scratch * width, dtype), "scratch")
    reals = watched(np.asarray(kernel.reals, dtype), "reals")
    integers = watched(np.asarray(kernel.integers, np.int64), "integers")
    words = np.uint32(0) if kernel.whole else np.arange(width, dtype=np.uint32), np.uint32(1), np.uint32(2)
    name = builder(kernel)
    with np.errstate(all="ignore"):  # numbers may be odd, their places must not
        try:
            for done, (factor, s) in enumerate(product(SOME_STATES, SOME_STEPS)):
                if done >= 3 and functions.seen() > ENOUGH:
                    break
                start = np.concatenate([factor * weights, extra]).astype(dtype)
                state = watched(np.repeat(start, width), "state")
                well = step(state, scratch, reals, integers, s, *words)
        except Enough:
            return
        except IndexError as error:
            raise ValueError(
                f"the step of {name} goes beyond the end of an array: {error}. Its Kernel has {kernel.state} numbers "
                f"of state (weights, extra), {kernel.scratch} of scratch, {len(reals)} reals, {len(integers)} integers"
            ) from error
        except Exception:
            return
    if np.asarray(well).dtype != bool or np.shape(well) not in ((), (width,)):
        raise ValueError(f"the step of {name} gives {well!r}: must give a mask, true for the networks that are well")


class ReferenceDriver:
    """Runs kernels as ordinary Python, `width` networks at a time.

    checked: an index beyond the end of an array is an IndexError that names it; slower.
    """

    name = "numpy"

    def __init__(self, width: int = 8, checked: bool = False) -> None:
        self.width, self.checked = width, checked

    def prepare(self, kernel: Kernel, dtype: str) -> Program:
        """Make the loops of a kernel as Python functions, without compiling."""
        if kernel.whole:
            raise RuntimeError("networks of so many units run as compiled code only: unset NUMBA_DISABLE_JIT")
        functions = watching(dtype, self.width, math.inf) if self.checked else lanes(dtype, self.width)
        names = loop_names(functions, kernel.build(functions, **kernel.sizes), self.width)
        exec(LOOP_OVER_STEPS + LOOP_OVER_BLOCKS, names)

        def run(blocks, scratch, reals, integers, *counters):
            if self.checked:
                blocks, scratch = watched(blocks, "state"), watched(scratch, "scratch")
                reals, integers = watched(reals, "reals"), watched(integers, "integers")
            with np.errstate(over="ignore"):  # the generator's 32-bit integers wrap on purpose
                names["advance"](blocks, scratch, reals, integers, *counters)

        return Program(HostProgram.of(run, kernel, dtype, self.width).open, self.width, unit=1, parallel=False)
