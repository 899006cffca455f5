"""Where the numbers of a CUDA thread live, and how many threads share a multiprocessor: chosen by problem size.

A network is a thread, and nothing passes between threads. What counts is how far a thread's numbers lie from it: a
multiply-add of the kernels' 2 x 2 tiles needs one load, of 4 or 8 bytes, where a multiprocessor of compute capability
9.0 does 128 multiply-adds in float32 or 64 in float64 a clock.

==================  =================  ==================================================================
place               bytes a clock      multiply-adds a clock that these feed, float32 and float64
==================  =================  ==================================================================
registers           enough             all
shared memory, L1   128                32 and 16
L2                  about 25           6 and 3
device memory       about 15 to 20     4 and 2
==================  =================  ==================================================================

So a kernel goes as near as its numbers fit: to registers ("private"), else with its working space to shared memory,
else to device memory, with so few blocks at once that L2 holds what they work on. Working space is not left to L1: it
passes stores on to L2, and a quarter of a kernel's accesses are stores. State is, it is touched a few times a step.

Blocks are one warp, the finest pieces to pack. A multiprocessor takes 32 of them, 1024 threads, as many as 64 registers
a thread leave room for; some of the small kernels take fewer (ptxas: 43 to 62) and could have larger blocks.

None of this is measured yet; `benchmarks/gpu.py` times the other places beside the chosen one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .drivers import Kernel

__all__ = ["PLACES", "Card", "Plan", "chunk", "plan"]

PLACES = ("private", "shared", "global")
WARP = 32
# Numbers of state and working space up to which they become registers, if a kernel is made for that: most of them are
# not alive at once (134 registers for the 74 numbers of ten levels, float64). At 102 numbers, 14 levels, loops
# are no longer unrolled, and the levels lie in local memory.
PRIVATE = 80
FREE_SHARED = 48 * 1024  # bytes that a block may have without asking the driver for more
ALIGNED = 8  # rows of a whole number of 32-byte sectors, in either float type
STATE_BYTES = 2**28  # of one ensemble: what a copy to the host, and its conversions there, hold at a time
FEWEST, MOST = 4, 16  # blocks a multiprocessor in device memory: one warp a scheduler, and enough to hide L2's latency


@dataclass(frozen=True)
class Card:
    """What a plan needs to know of a device."""

    multiprocessors: int = 132
    shared: int = 227 * 1024  # bytes of shared memory that one block may have
    per_multiprocessor: int = 228 * 1024  # and all blocks of a multiprocessor together
    cached: int = 50 * 2**20  # bytes of L2
    threads: int = WARP  # of a block that is not larger for a reason


@dataclass(frozen=True)
class Plan:
    """How a kernel is launched.

    place : one of `PLACES`; threads : of a block; shared : bytes of dynamic shared memory of a block;
    blocks : that run at once at most, each with working space in device memory, None where there is no limit.
    """

    place: str
    threads: int
    shared: int = 0
    blocks: int | None = None

    @property
    def opts_in(self) -> bool:
        """Whether the driver must be asked for more shared memory than every block may have."""
        return self.shared > FREE_SHARED


def plan(kernel: Kernel, dtype: str, card: Card, place: str | None = None) -> Plan:
    """The plan of a kernel on a card; `place` forces one, for tests and timings."""
    numbers, size = kernel.state + kernel.scratch, np.dtype(dtype).itemsize
    work = kernel.scratch * size  # bytes a thread; its state is used a few times a step, which L1 is good for
    fits = min(card.shared, card.per_multiprocessor) // work
    if place is None:
        place = "private" if kernel.registers and numbers <= PRIVATE else "shared" if fits >= card.threads else "global"
    if place == "private":
        return Plan("private", card.threads)
    if place == "shared":
        # A warp's working space above what is free to have needs one large block a multiprocessor, of all the threads
        # that fit: 56 of an RBM of ten units in float64, 120 in float32, a warp for two or for all four schedulers.
        threads = card.threads
        if threads * work > FREE_SHARED:
            threads = min(fits, 4 * card.threads) // ALIGNED * ALIGNED or fits
        return Plan("shared", int(threads), int(threads) * work)
    resident = card.cached // (card.multiprocessors * card.threads * work)
    return Plan("global", card.threads, 0, card.multiprocessors * int(np.clip(resident, FEWEST, MOST)))


def chunk(kernel: Kernel, dtype: str, card: Card, threads: int) -> int:
    """Blocks of one ensemble: the whole card busy, and states of a size that the host copies at ease."""
    full = card.multiprocessors * MOST * card.threads // threads
    return max(full, STATE_BYTES // (kernel.state * np.dtype(dtype).itemsize * threads), 1)
