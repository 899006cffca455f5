"""Where the numbers of a CUDA thread live, and how many threads share a network: chosen by problem size.

==================  =========================================================================================
place               for what
==================  =========================================================================================
``"private"``       a network has a thread of its own, and its numbers. Few become registers; more lie in the
                    thread's local memory, which L1 keeps and writes back only when it must
``"shared"``        working space in shared memory: of threads that have a network each, if it is small and the
                    kernel is not made for registers; of teams of threads that share a network, together with its
                    state, for larger matrices. A multiprocessor that has room for few networks then has work for
                    many threads; each takes tiles of the matrix products, whose sums are registers
``"global"``        what is too large for either: working space in device memory, for the blocks that run at
                    once
==================  =========================================================================================

Measured on an H100, ns per step of a network in float64: an RBM of ten units takes 4.0 in teams, 9.7 in local memory,
17 in device memory and 13 to 17 with only its working space in shared memory; one of four .95 in shared, 1.1 in local
memory and 1.3 in teams; twenty levels of Dyson Brownian motion 2.3 in local, 2.5 in device and 4.3 in shared memory.
`benchmarks/gpu.py` times the places beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..kernel import Kernel

__all__ = ["PLACES", "Card", "Plan", "chunk", "plan"]

PLACES = ("private", "shared", "global")
WARP = 32
# Numbers of state and working space up to which they become registers, if a kernel is made for that: most of them are
# not alive at once (134 registers for the 74 numbers of ten levels, float64). At 102 numbers, 14 levels, loops
# are no longer unrolled, and the levels lie in local memory.
PRIVATE = 80
ALONE = 400  # numbers of a network up to which a thread of its own is faster than a team
SHARED_THREADS = 160  # of a multiprocessor, from which working space of a thread's own is well in shared memory
LOCAL = 12 * 1024  # bytes of local memory that a thread may have: drivers reserve it for all threads that could run
LOCAL_BLOCKS = 8  # warps a multiprocessor with numbers in local memory; more drive each other out of L1
FREE_SHARED = 48 * 1024  # bytes that a block may have without asking the driver for more
RESERVED = 1024  # bytes of shared memory that a block takes for itself
REGISTERS, MOST_REGISTERS = 2**16, 255  # of a multiprocessor, and of a thread
# Blocks of a multiprocessor that works in teams, if it has room for as many networks a block, and threads of a block:
# enough to hide latencies, and registers for their tiles.
TEAM_BLOCKS, FEWEST_NETWORKS = 2, 4
TEAM_THREADS = {1: 256, 2: 192}
EDGES = (5, 4, 3, 2)  # of tiles
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
    most_threads: int = 1024  # of any block


@dataclass(frozen=True)
class Plan:
    """How a kernel is launched.

    place : one of `PLACES`; networks : of a block; team : threads that share a network; tile : rows and columns of a
    tile of a team's products; unroll : terms to a turn of their loops; shared : bytes of dynamic shared memory of a
    block; registers : that a thread may have at most, 0 where that is the compiler's choice; blocks : that run at once
    at most, None where there is no limit.
    """

    place: str
    networks: int
    team: int = 1
    tile: int = 2
    unroll: int = 1
    shared: int = 0
    registers: int = 0
    blocks: int | None = None

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.networks * self.team

    @property
    def opts_in(self) -> bool:
        """Whether the driver must be asked for more shared memory than every block may have."""
        return self.shared > FREE_SHARED


def plan(kernel: Kernel, dtype: str, card: Card) -> Plan:
    """Plan how a kernel runs on a card."""
    numbers, each = kernel.state + kernel.scratch, bytes_of(kernel, dtype)
    if kernel.registers and numbers <= PRIVATE:
        return alone(kernel, dtype, card, None)
    if kernel.matrix and numbers > ALONE and each <= card.shared:
        return in_teams(kernel, dtype, card)
    if not kernel.registers and work_of(kernel, dtype) * SHARED_THREADS <= card.shared:
        return in_shared_memory(kernel, dtype, card)
    if each <= LOCAL:
        return alone(kernel, dtype, card)
    return in_device_memory(kernel, dtype, card)


def bytes_of(kernel: Kernel, dtype: str) -> int:
    """Bytes of a network's state and working space."""
    return (kernel.state + kernel.scratch) * np.dtype(dtype).itemsize


def work_of(kernel: Kernel, dtype: str) -> int:
    """Bytes of a network's working space."""
    return kernel.scratch * np.dtype(dtype).itemsize


def in_shared_memory(kernel: Kernel, dtype: str, card: Card) -> Plan:
    """Give each network a thread, its working space in shared memory."""
    return Plan("shared", card.threads, shared=card.threads * work_of(kernel, dtype))


def alone(kernel: Kernel, dtype: str, card: Card, blocks: int | None = LOCAL_BLOCKS) -> Plan:
    """Give each network a thread, its numbers in registers or in local memory."""
    return Plan("private", card.threads, blocks=blocks and blocks * card.multiprocessors)


def in_teams(
    kernel: Kernel, dtype: str, card: Card, team: int = 0, tile: int = 0, unroll: int = 0, blocks: int = 0
) -> Plan:
    """`blocks` blocks a multiprocessor, of as many networks as it has shared memory for; 0: what suits the sizes."""
    rows, columns = kernel.matrix or (1, 1)
    tile = tile or edge_of(rows, columns)
    each = bytes_of(kernel, dtype)
    room = {count: min(card.shared, card.per_multiprocessor // count - RESERVED) // each for count in (1, TEAM_BLOCKS)}
    blocks = blocks or (TEAM_BLOCKS if room[TEAM_BLOCKS] >= FEWEST_NETWORKS else 1)
    tiles = -(-rows // tile) * -(-columns // tile)
    team = team or max(2, min(tiles, round(TEAM_THREADS[blocks] / room[blocks])))
    networks = min(room[blocks], card.most_threads // team)
    warps = -(-networks * team // (4 * WARP)) * 4  # registers are given out to as many at a time
    registers = min(MOST_REGISTERS, REGISTERS // (warps * WARP * blocks) // 8 * 8)
    return Plan("shared", networks, team, tile, unroll or unrolled(columns), networks * each, registers)


def edge_of(rows: int, columns: int) -> int:
    """Return the edge of the tiles that do a product at least cost: multiply-adds of all tiles, and their loads."""
    return min(EDGES, key=lambda edge: -(-rows // edge) * edge * -(-columns // edge) * edge * (1 + 2 / edge))


def unrolled(terms: int) -> int:
    """Return the largest divisor of the number of terms up to ten, if it is not small."""
    divisor = max(d for d in range(1, 11) if terms % d == 0)
    return divisor if divisor > 3 else min(terms, 8)


def in_device_memory(kernel: Kernel, dtype: str, card: Card) -> Plan:
    """Give each network a thread, its working space in device memory, for as many blocks as L2 holds it for."""
    resident = card.cached // (card.multiprocessors * card.threads * work_of(kernel, dtype))
    return Plan("global", card.threads, blocks=card.multiprocessors * int(np.clip(resident, FEWEST, MOST)))


def chunk(kernel: Kernel, dtype: str, card: Card, chosen: Plan) -> int:
    """Blocks of one ensemble: the whole card busy, and states of a size that the host copies at ease."""
    full = card.multiprocessors * MOST * card.threads // chosen.threads
    state = kernel.state * np.dtype(dtype).itemsize * chosen.networks
    return max(full, STATE_BYTES // state, 1)
