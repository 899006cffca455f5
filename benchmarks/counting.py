"""What one step of a kernel does to one network, counted by running its text: no formula is typed by hand.

`lanes` is a target like those of `dysonsim.backend`: lane values are NumPy arrays that note every operation. What is
counted, per network and step, as the text has it:

- "multiply-add": multiplications of floats. An addition to a product that nothing else has taken fuses with it.
- "addition": additions and subtractions of floats that have no such product, which no multiply-add can do.
- "division", "root".
- "normal": random words that become one; "word": those drawn for anything else; "logarithm", "exponential" of
  `functions`. Each of these is one unit, with a rate of its own, and what is done within it is not counted besides.
- "choice": selections among floats; comparisons are not counted, they come with one.
- "single multiply-add", ...: the same of float32 lane values in a float64 run, outside of these units.
- "numbers": places of state and scratch that are touched; "read" and "written": as many of them, each once.
- "load", "store": all of them; a compiler keeps some in registers.

Integers, numbers that all networks share, and multiplications by a constant 1 are not counted.
"""

from __future__ import annotations

import operator
from collections import Counter
from types import SimpleNamespace

import numpy as np

from dysonsim.backend import Kernel
from dysonsim.backend import simd as vector
from dysonsim.backend.host import LOOP_OVER_BLOCKS, LOOP_OVER_STEPS, HostProgram, loop_names
from dysonsim.backend.reference import lanes as plain_lanes

# Functions that are counted as a whole, by module and name.
WHOLE = {
    ("rng", "normals"): "normal",
    ("functions", "log"): "logarithm",
    ("functions", "exp"): "exponential",
}
WORDS, BOX_MULLER = ("rng", "words"), ("rng", "single_normals")
NAMES = {
    operator.mul: "multiply-add", operator.add: "addition", operator.sub: "addition", operator.truediv: "division",
}  # fmt: skip


class Tally:
    """What has been done so far, and the unit that is being done."""

    def __init__(self, dtype: str) -> None:
        self.dtype = np.dtype(dtype)
        self.done: Counter[str] = Counter()
        self.read: set[int] = set()
        self.written: set[int] = set()
        self.unit: str | None = None

    def note(self, what: str, value: np.ndarray, count: int = 1) -> None:
        """Count an operation with this result, unless it is part of a unit or no arithmetic of floats."""
        if self.unit is None and isinstance(value, np.ndarray) and value.dtype.kind == "f":
            self.done[what if value.dtype == self.dtype else f"single {what}"] += count

    def touch(self, a: np.ndarray, i, width: int, stored: bool) -> None:
        place = a.__array_interface__["data"][0] + int(i) * width * a.itemsize
        if a.dtype == self.dtype:  # not the marks
            (self.written if stored else self.read).add(place)
            self.done["store" if stored else "load"] += 1

    def counts(self, steps: int = 1) -> dict[str, float]:
        """Per step of all that was counted."""
        places = {"numbers": self.read | self.written, "read": self.read, "written": self.written}
        found = {name: number / steps for name, number in self.done.items() if number}
        return found | {name: len(where) for name, where in places.items()}


class Lane:
    """A lane value that counts. `product`: made by a multiplication that no addition has taken yet."""

    __slots__ = ("product", "tally", "value")
    __array_ufunc__ = None  # NumPy's numbers leave arithmetic with a lane value to it

    def __init__(self, tally: Tally, value: np.ndarray, product: bool = False) -> None:
        self.tally, self.value, self.product = tally, value, product

    def apply(self, operation, a, b) -> Lane:
        value = operation(bare(a), bare(b))
        if operation is operator.mul:
            for factor, other in ((a, b), (b, a)):
                if not isinstance(factor, Lane) and factor == 1:  # a compiler leaves it out
                    taken, other.product = other.product, False
                    return Lane(self.tally, value, taken)
        if operation in (operator.add, operator.sub):
            for operand in (a, b):
                if isinstance(operand, Lane) and operand.product:
                    operand.product = False
                    return Lane(self.tally, value)
        if operation in NAMES:
            self.tally.note(NAMES[operation], value)
        return Lane(self.tally, value, operation is operator.mul and value.dtype.kind == "f")


def overload(name: str) -> None:
    """Give lane values the operator `name`, from either side."""
    operation = getattr(operator, f"__{name}__")
    operation = {"truediv": operator.truediv, "mul": operator.mul, "add": operator.add, "sub": operator.sub}.get(
        name, operation
    )
    setattr(Lane, f"__{name}__", lambda self, other: self.apply(operation, self, other))
    setattr(Lane, f"__r{name}__", lambda self, other: self.apply(operation, other, self))


for _name in ("mul", "add", "sub", "truediv", "xor", "and", "or", "lshift", "rshift"):
    overload(_name)
Lane.__lt__ = lambda self, other: self.apply(operator.lt, self, other)  # type: ignore[method-assign,assignment]
Lane.__gt__ = lambda self, other: self.apply(operator.lt, other, self)  # type: ignore[method-assign,assignment]


def bare(value):
    return value.value if isinstance(value, Lane) else value


def lanes(dtype: str, width: int, tally: Tally) -> SimpleNamespace:
    """The lane functions of `backend.plain`, counting into `tally`."""
    plain = plain_lanes(dtype, width)

    def dressed(result):
        if isinstance(result, tuple):
            return tuple(map(dressed, result))
        return Lane(tally, result) if isinstance(result, np.ndarray) else result

    def counting(function, what=None):
        def call(*arguments):
            result = dressed(function(*map(bare, arguments)))
            if what is not None:
                tally.note(what, bare(result))
            return result

        return call

    def jit(function):
        key = ((function.__module__ or "").rpartition(".")[2], function.__name__)  # texts of `kernels.tiles` have none
        if key in WHOLE:
            return unit(function, WHOLE[key])
        if key == WORDS:
            return words(function)
        return normals_apart(function) if key == BOX_MULLER else function

    def unit(function, name):
        def call(*arguments):
            outside, tally.unit = tally.unit, tally.unit or name
            if outside is None and name != "normal":
                tally.done[name] += 1
            try:
                result = function(*arguments)
            finally:
                tally.unit = outside
            for value in result if isinstance(result, tuple) else (result,):
                if isinstance(value, Lane):
                    value.product = False
            return result

        return call

    def words(function):
        def call(*arguments):
            outside, tally.unit = tally.unit, tally.unit or "word"
            try:
                drawn = function(*arguments)
            finally:
                tally.unit = outside
            tally.done[outside if outside == "normal" else "word"] += len(drawn)
            return drawn

        return call

    def normals_apart(function):
        """Two words, counted before, become two normals."""

        def call(*arguments):
            if tally.unit is None:
                tally.done["normal"] += 2
                tally.done["word"] -= 2
            return unit(function, "normal")(*arguments)

        return call

    def load(a, i):
        tally.touch(a, i, width, stored=False)
        return Lane(tally, plain.load(a, i))

    def store(a, i, v):
        tally.touch(a, i, width, stored=True)
        plain.store(a, i, bare(v))

    own = {name: value for name, value in vars(vector.lanes(dtype, width)).items() if not callable(value)}
    own |= {name: counting(function) for name, function in vars(plain).items() if callable(function)}
    own |= {"sqrt": counting(plain.sqrt, "root"), "sqrt_single": counting(plain.sqrt_single, "root")}
    own |= {"select": counting(plain.select, "choice"), "each": lambda function: counting(plain.each(function))}
    own |= {"jit": jit, "number": plain.number, "part": plain.part, "load": load, "store": store}
    return SimpleNamespace(**own)


def count(kernel: Kernel, dtype: str, start: np.ndarray, first: int, steps: int = 1) -> tuple[dict, np.ndarray]:
    """Counts per network and step of steps `first` on, from states (networks, kernel.state); and the states after.

    The networks are replicas 0, 1, ... of seed 1 and share one lane value: loops that go on until all of them are
    through count as often as they do there.
    """
    width, tally = len(start), Tally(dtype)
    functions = lanes(dtype, width, tally)
    names = loop_names(functions, kernel.build(functions, **kernel.sizes), width)
    exec(LOOP_OVER_STEPS + LOOP_OVER_BLOCKS, names)

    def run(blocks, scratch, reals, *arguments) -> None:
        # A 1 among the constants of a run is none to a compiler.
        reals = np.where(reals == 1, np.nextafter(reals, reals + 1), reals)
        with np.errstate(all="ignore"):  # 32-bit integers wrap on purpose, proposals may lead anywhere
            names["advance"](blocks, scratch, reals, *arguments)

    ensemble = HostProgram.of(run, kernel, dtype, width).open(start, 0, 1)
    ensemble.advance(first, steps)
    return tally.counts(steps), ensemble.state()
