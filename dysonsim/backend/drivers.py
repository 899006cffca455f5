"""One interface to run a kernel on any device: prepare a `Program`, open an `Ensemble`, advance it."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

STILL_WELL = np.uint32(0xFFFFFFFF)  # in `left`: this network never left its domain
DEVICES = ("cpu", "cuda")
CACHE_LINE = 64  # bytes

# The loop over steps, for the networks of one block. Every target compiles this same text with its own functions;
# `marks` keeps the first step at which a network was not well.
LOOP_OVER_STEPS = """
def advance_block(state, scratch, reals, integers, first, count, replica, key0, key1, marks):
    for s in range(first, first + count):
        well = step(state, scratch, reals, integers, s, replica, key0, key1)
        mark = load(marks, 0)
        now = select(well, mark, word(u32(s)))
        store(marks, 0, select(now < mark, now, mark))
"""

# Of a kernel that advances one network at a time; each does all steps while its matrices are in the cache.
LOOP_OVER_NETWORKS = """
def advance(networks, scratch, reals, integers, first, count, first_replica, key0, key1, marks):
    for r in range(networks.shape[0]):
        for s in range(first, first + count):
            well = step(networks[r], scratch, reals, integers, s, u32(first_replica + r), key0, key1)
            if not well and s < marks[r, 0]:
                marks[r, 0] = u32(s)
"""

# On the host an ensemble's blocks follow each other and share their scratch.
LOOP_OVER_BLOCKS = """
def advance(blocks, scratch, reals, integers, first, count, first_replica, key0, key1, marks):
    for b in range(blocks.shape[0]):
        replica = index() + u32(first_replica + b * WIDTH)
        advance_block(blocks[b], scratch, reals, integers, first, count, replica, key0, key1, marks[b])
"""


def loop_names(lanes, step, width: int) -> dict[str, Any]:
    """What the text of the loops refers to."""
    names = {name: getattr(lanes, name) for name in ("load", "store", "select", "word", "index")}
    return names | {"__name__": __name__, "step": step, "u32": np.uint32, "WIDTH": width}


def split_seed(seed: int) -> tuple[np.uint32, np.uint32]:
    """The generator's key from a 64-bit seed."""
    return np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32)


@dataclass(frozen=True)
class Kernel:
    """What a driver must know to run a process: its code, its sizes and its constants.

    Parameters
    ----------
    build : callable
        ``build(lanes, **sizes)`` returns the function that does one step.
    sizes : dict
        What is fixed when compiling; every combination is compiled once and cached on disk.
    reals, integers : 1-D arrays
        Constants that may change without compiling again, the same for all networks.
    weights : int
        How many numbers of a network's state are its weights; they come first.
    extra : array
        Start values of the rest of the state (persistent chains, say), in C order.
    scratch : int
        How many further numbers a step needs to work with, per network.
    vectors : float
        On a CPU, how many times the usual number of networks share a lane value: a power of two. More than one pays for
        kernels that wait for each number to make the next, as long as their numbers stay in the cache; 1/2 for
        matrices that do not.
    whole : bool
        A step advances one network in plain arrays, with BLAS, instead of a block of lanes: on a CPU, for large ones.
    registers : bool
        Whether a GPU's compiler holds state and scratch in registers, if they are few: it must know every index, and
        few numbers must be needed at once. `ptxas -v` tells (tests/test_backend.py).
    matrix : (int, int), optional
        Rows and columns of the matrices that a step multiplies, if a team of a GPU's threads may share a network: its
        text then gives each `member` a share of every loop and brings them `together` after it.
    work : float
        Roughly how many multiply-adds a step of one network takes, where they may be more than a million: what runs
        between two looks at Ctrl-C is made short by it.
    basis : (columns, columns) array, optional
        Orthogonal; the weights are kept as W basis.

    Raises
    ------
    TypeError, ValueError
        If sizes are no sizes, or constants no one-dimensional real numbers. That a step stays within them is checked
        when a kernel from outside dysonsim is prepared (`plain.check_kernel`); it is told apart from others by its code
        and what it captures.
    """

    build: Callable[..., Callable[..., Any]]
    sizes: dict[str, Any]
    reals: np.ndarray
    integers: np.ndarray
    weights: int
    extra: np.ndarray = field(default_factory=lambda: np.empty(0))
    scratch: int = 1
    vectors: float = 1
    whole: bool = False
    registers: bool = False
    matrix: tuple[int, int] | None = None
    work: float = 0.0
    basis: np.ndarray | None = None

    def __post_init__(self) -> None:
        whole = lambda x: isinstance(x, (int, np.integer)) and not isinstance(x, bool)  # noqa: E731
        for name, least in (("weights", 1), ("scratch", 0)):
            if not whole(getattr(self, name)) or getattr(self, name) < least:
                raise ValueError(f"Kernel: {name} = {getattr(self, name)!r}: must be an integer >= {least}")
        if not isinstance(self.vectors, (int, float)) or not 0 < self.vectors < math.inf or (
            math.frexp(self.vectors)[0] != 0.5
        ):
            raise ValueError(f"Kernel: vectors = {self.vectors!r}: must be a power of two, 1 for most kernels")
        for name in ("reals", "integers", "extra"):
            array = np.asarray(getattr(self, name))
            flat = name == "extra" or array.ndim == 1
            if not flat or array.dtype.kind not in "iuf":
                wanted = "an array" if name == "extra" else "a one-dimensional array"
                raise TypeError(
                    f"Kernel: {name} has shape {array.shape} of {array.dtype}: must be {wanted} of real numbers"
                )
        integers = np.asarray(self.integers)
        if not (np.abs(integers) < 2.0**63).all() or (integers % 1 != 0).any():
            raise ValueError("Kernel: integers must be whole numbers that fit into 64 bits")

    @property
    def state(self) -> int:
        """Numbers of one network that a step carries to the next."""
        return self.weights + self.extra.size


class Ensemble(Protocol):
    """Networks that advance together."""

    def set_reals(self, reals: np.ndarray) -> None:
        """Other constants from the next step on."""

    def advance(self, first: int, count: int) -> None:
        """Do steps number first, ..., first + count - 1."""

    def state(self) -> np.ndarray:
        """(networks, kernel.state): weights first."""

    def left(self) -> np.ndarray:
        """(networks,) the step at which a network left its domain, STILL_WELL where it did not."""


@dataclass(frozen=True)
class Program:
    """A kernel compiled for one device and float type.

    `open(start, first_replica, seed)` makes an ensemble from start values (networks, kernel.state).
    """

    open: Callable[[np.ndarray, int, int], Ensemble]
    width: int  # networks in a block
    unit: int  # blocks that one ensemble should hold
    parallel: bool = True  # whether several ensembles gain from running at once, on threads
    while_running: Callable[[], AbstractContextManager[Any]] = nullcontext  # what must hold while ensembles advance


class Driver(Protocol):
    """A device."""

    name: str

    def prepare(self, kernel: Kernel, dtype: str) -> Program:
        """Compile, or load from the cache."""


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def jit_disabled() -> bool:
    """Whether Numba is told to compile nothing."""
    config = getattr(sys.modules.get("numba"), "config", None)
    if config is not None:
        return bool(config.DISABLE_JIT)
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def driver(device: str) -> Driver:
    """The driver of "cpu" or "cuda".

    Raises
    ------
    ValueError
        For another name.
    RuntimeError
        If no such device can be used here; there is no silent fall-back.
    """
    if device == "cpu" and jit_disabled():
        from .plain import PlainDriver

        warnings.warn(
            "NUMBA_DISABLE_JIT is set: kernels run as NumPy code, a thousand times slower", RuntimeWarning, stacklevel=2
        )
        return PlainDriver()
    if device == "cpu":
        from .cpu import CpuDriver

        return CpuDriver()
    if device == "cuda":
        from .cuda import CudaDriver

        return CudaDriver()
    raise ValueError(f"device = {device!r}: must be one of {', '.join(map(repr, DEVICES))}")


def from_cache_line(count: int, dtype: str = "float64") -> np.ndarray:
    """So many zeros, from the begin of a cache line on, so that no lane value lies in more lines than it must."""
    kind = np.dtype(dtype)
    room = np.zeros(count * kind.itemsize + CACHE_LINE, np.uint8)
    return room[-room.ctypes.data % CACHE_LINE :][: count * kind.itemsize].view(kind)


def checked_start(start: np.ndarray, kernel: Kernel) -> np.ndarray:
    """Start values that a kernel can advance: ValueError, before compiled code reads beyond their end."""
    start = np.asarray(start)
    if start.ndim != 2 or len(start) == 0 or start.shape[1] != kernel.state or start.dtype.kind not in "iuf":
        raise ValueError(
            f"start values have shape {start.shape} of {start.dtype}: must be (networks, {kernel.state}) real numbers, "
            "weights and extra of the Kernel"
        )
    return start


def checked_reals(reals: np.ndarray, kernel: Kernel, dtype: Any) -> np.ndarray:
    """Constants as many as the kernel has: ValueError otherwise."""
    given = np.asarray(reals, dtype)
    if given.shape != np.shape(kernel.reals):
        raise ValueError(f"constants have shape {given.shape}: must be {np.shape(kernel.reals)}, as the Kernel's reals")
    return given


WIDTH = {"float64": 8, "float32": 16}  # two AVX2 registers or one AVX-512 register a lane value: measured best
CACHED = 2**17  # bytes of state that one call works on: they stay in a core's second-level cache
MOST_BLOCKS = 256
SHORT = 1e9  # multiply-adds of a step of one call: a second or less


def layout(kernel: Kernel, dtype: str) -> tuple[int, int]:
    """On the CPU: how many networks share a block, and how many blocks an ensemble should hold."""
    if kernel.whole:
        return 1, 1
    width = int(WIDTH[dtype] * kernel.vectors)
    block = width * kernel.state * np.dtype(dtype).itemsize
    fewest = max(1, int(8 / kernel.vectors))
    fitting = min(MOST_BLOCKS, max(fewest, CACHED // max(block, 1)))
    return width, max(1, min(fitting, int(SHORT / max(kernel.work * width, 1.0))))


class Scratch:
    """Working space for the calls of one program: one for each that runs at a time, whatever the ensembles."""

    def __init__(self, count: int, dtype: str) -> None:
        self.count, self.dtype = count, dtype
        self.free: list[np.ndarray] = []

    @contextmanager
    def one(self) -> Iterator[np.ndarray]:
        try:
            mine = self.free.pop()
        except IndexError:
            mine = from_cache_line(self.count, self.dtype)
        yield mine
        self.free.append(mine)


def to_blocks(start: np.ndarray, width: int, dtype: str) -> np.ndarray:
    """(networks, state) as (blocks, state * width), the lane fastest; lanes left over repeat the last network."""
    blocks = -(-len(start) // width)
    rows = np.minimum(np.arange(blocks * width), len(start) - 1)
    lanes_last = start[rows].reshape(blocks, width, -1).transpose(0, 2, 1)
    out = from_cache_line(lanes_last.size, dtype).reshape(lanes_last.shape)
    out[...] = lanes_last
    return out.reshape(blocks, -1)


def from_blocks(state: np.ndarray, width: int, networks: int) -> np.ndarray:
    """The inverse of `to_blocks`."""
    blocks = len(state)
    return state.reshape(blocks, -1, width).transpose(0, 2, 1).reshape(blocks * width, -1)[:networks]


@dataclass
class HostEnsemble:
    """An ensemble in the memory of this machine."""

    run: Callable[..., Any]
    kernel: Kernel
    networks: int
    width: int
    first_replica: int
    seed: int
    blocks: np.ndarray
    scratch: Scratch
    reals: np.ndarray
    marks: np.ndarray

    @classmethod
    def open(
        cls, run, kernel: Kernel, dtype: str, width: int, scratch: Scratch, start: np.ndarray, first_replica: int,
        seed: int,
    ):  # fmt: skip
        blocks = to_blocks(checked_start(start, kernel), width, dtype)
        marks = np.full((len(blocks), width), STILL_WELL, np.uint32)
        reals = np.asarray(kernel.reals, dtype)
        return cls(run, kernel, len(start), width, first_replica, seed, blocks, scratch, reals, marks)

    def set_reals(self, reals: np.ndarray) -> None:
        self.reals = checked_reals(reals, self.kernel, self.blocks.dtype)

    def advance(self, first: int, count: int) -> None:
        key0, key1 = split_seed(self.seed)
        constants = self.reals, np.asarray(self.kernel.integers, np.int64)
        counters = first, count, self.first_replica, key0, key1
        with self.scratch.one() as scratch:
            self.run(self.blocks, scratch, *constants, *counters, self.marks)

    def state(self) -> np.ndarray:
        return from_blocks(self.blocks, self.width, self.networks)

    def left(self) -> np.ndarray:
        return self.marks.reshape(-1)[: self.networks]
