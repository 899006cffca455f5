"""Ensembles in the memory of this machine: how they lie there, and the loops over steps, blocks and networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .kernel import STILL_WELL, Kernel, split_seed

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
    """Return the names to which the text of the loops refers."""
    names = {name: getattr(lanes, name) for name in ("load", "store", "select", "word", "index")}
    return names | {"__name__": __name__, "step": step, "u32": np.uint32, "WIDTH": width}


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
        """Lend working space that no other call uses."""
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
    """Undo `to_blocks`."""
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

    def set_reals(self, reals: np.ndarray) -> None:
        """Replace the constants."""
        self.reals = checked_reals(reals, self.kernel, self.blocks.dtype)

    def advance(self, first: int, count: int) -> None:
        """Do these steps in the calling thread."""
        key0, key1 = split_seed(self.seed)
        constants = self.reals, np.asarray(self.kernel.integers, np.int64)
        counters = first, count, self.first_replica, key0, key1
        with self.scratch.one() as scratch:
            self.run(self.blocks, scratch, *constants, *counters, self.marks)

    def state(self) -> np.ndarray:
        """Return the state, (networks, kernel.state)."""
        return from_blocks(self.blocks, self.width, self.networks)

    def left(self) -> np.ndarray:
        """Return at which step each network was first not well."""
        return self.marks.reshape(-1)[: self.networks]


@dataclass(frozen=True)
class HostProgram:
    """A loop over blocks and steps of one kernel, `width` networks a block, ready to open ensembles."""

    run: Callable[..., Any]
    kernel: Kernel
    dtype: str
    width: int
    scratch: Scratch

    @classmethod
    def of(cls, run: Callable[..., Any], kernel: Kernel, dtype: str, width: int) -> HostProgram:
        """With working space of its own, which its ensembles share."""
        return cls(run, kernel, dtype, width, Scratch(kernel.scratch * width, dtype))

    def open(self, start: np.ndarray, first_replica: int, seed: int) -> HostEnsemble:
        """Make an ensemble from start values (networks, kernel.state)."""
        blocks = to_blocks(checked_start(start, self.kernel), self.width, self.dtype)
        marks = np.full((len(blocks), self.width), STILL_WELL, np.uint32)
        reals = np.asarray(self.kernel.reals, self.dtype)
        return HostEnsemble(
            self.run, self.kernel, len(start), self.width, first_replica, seed, blocks, self.scratch, reals, marks
        )
