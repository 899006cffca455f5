"""How fast one thread of this machine does what kernels are made of, written for the library's own vector layer.

A probe does many operations of one kind that do not wait for each other: CHAINS lane values in registers, as many as
hide the latency of the unit and no more than there are registers; random numbers and functions are the library's own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dysonsim.backend import Kernel, driver
from dysonsim.backend.cpu import WIDTH
from dysonsim.kernels.common import functions, rng

CHAINS = 5
NORMALS = 40  # drawn together
REPEATS = 200  # rounds in a step of a probe
WHICH, ROUNDS, SIZE = range(3)  # in `integers`
MULTIPLY_ADD, ADDITION, CHOICE, DIVISION, ROOT, LOGARITHM, EXPONENTIAL, WORD, NORMAL, STREAM = range(10)
# Name -> probe, operations of a round, most vectors of a lane value that it is tried with.
PROBES = {
    "multiply-add": (MULTIPLY_ADD, 2 * CHAINS, 1), "addition": (ADDITION, 2 * CHAINS, 1),
    "choice": (CHOICE, 2 * CHAINS, 1), "division": (DIVISION, 2 * CHAINS, 2), "root": (ROOT, 2 * CHAINS, 2),
    "logarithm": (LOGARITHM, 2, 2), "exponential": (EXPONENTIAL, 2, 2), "word": (WORD, 4, 2),
    "normal": (NORMAL, NORMALS, 2),
}  # fmt: skip
STREAMS = ("first-level bytes", "second-level bytes", "memory bytes")
LONG = 2**20  # bytes of a stream in one step: what a step begins and ends with is small beside
CACHES = (32 * 1024, 512 * 1024)  # bytes, where the system does not say


def build(lanes):
    """One step on one target: integers[ROUNDS] rounds of the probe number integers[WHICH]."""
    jit, load, store, full, number = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.number
    sqrt, select, real, signed = lanes.sqrt, lanes.select, lanes.real, lanes.signed_to_single
    generator, elementary = rng.build(lanes), functions.build(lanes)
    log, exp = elementary.log, elementary.exp
    normals, words = generator.normals, generator.words
    u32 = np.uint32
    zero, two = number(0), number(2)

    def chains(one):
        """A loop over `one(v, a, b)` for five lane values."""

        @jit
        def loop(state, rounds, a, b):
            v0, v1, v2, v3, v4 = load(state, 0), load(state, 1), load(state, 2), load(state, 3), load(state, 4)
            for _ in range(rounds):
                v0, v1, v2, v3, v4 = one(v0, a, b), one(v1, a, b), one(v2, a, b), one(v3, a, b), one(v4, a, b)
                v0, v1, v2, v3, v4 = one(v0, a, b), one(v1, a, b), one(v2, a, b), one(v3, a, b), one(v4, a, b)
            store(state, 0, v0)
            store(state, 1, v1)
            store(state, 2, v2)
            store(state, 3, v3)
            store(state, 4, v4)

        return loop

    # Their fixed points, or what they alternate between, are ordinary numbers, neither subnormal nor infinite.
    multiply_adds = chains(jit(lambda v, a, b: v * a + b))
    additions = chains(jit(lambda v, a, b: b - v))
    choices = chains(jit(lambda v, a, b: select(v < a, b, v)))
    divisions = chains(jit(lambda v, a, b: a / v))
    roots = chains(jit(lambda v, a, b: sqrt(v + a)))

    @jit
    def logarithms(state, rounds):
        v0, v1 = load(state, 0), load(state, 1)
        for _ in range(rounds):
            v0, v1 = log(v0) + two, log(v1) + two
        store(state, 0, v0)
        store(state, 1, v1)

    @jit
    def exponentials(state, rounds):
        v0, v1 = load(state, 0), load(state, 1)
        for _ in range(rounds):
            v0, v1 = exp(full(zero) - v0), exp(full(zero) - v1)
        store(state, 0, v0)
        store(state, 1, v1)

    @jit
    def random_words(state, rounds, s, replica, key0, key1):
        a, b, c, d = words(u32(0), u32(rng.DATA), u32(s), replica, key0, key1)
        for r in range(rounds):
            e, f, g, h = words(u32(r), u32(rng.DATA), u32(s), replica, key0, key1)
            a, b, c, d = a ^ e, b ^ f, c ^ g, d ^ h
        store(state, 0, real(signed(a ^ b ^ c ^ d)))

    @jit
    def stream(state, passes, n, a):
        for _ in range(passes):
            for i in range(0, n, 4):
                store(state, i, load(state, i) * a)
                store(state, i + 1, load(state, i + 1) * a)
                store(state, i + 2, load(state, i + 2) * a)
                store(state, i + 3, load(state, i + 3) * a)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        which, rounds = integers[WHICH], integers[ROUNDS]
        a, b = full(reals[0]), full(reals[1])
        if which == MULTIPLY_ADD:
            multiply_adds(state, rounds, a, b)
        elif which == ADDITION:
            additions(state, rounds, a, b)
        elif which == CHOICE:
            choices(state, rounds, a, b)
        elif which == DIVISION:
            divisions(state, rounds, a, b)
        elif which == ROOT:
            roots(state, rounds, a, b)
        elif which == LOGARITHM:
            logarithms(state, rounds)
        elif which == EXPONENTIAL:
            exponentials(state, rounds)
        elif which == WORD:
            random_words(state, rounds, s, replica, key0, key1)
        elif which == NORMAL:
            for r in range(rounds):
                normals(scratch, NORMALS // 4, r * (NORMALS // 4), rng.DATA, s, replica, key0, key1)
        else:
            stream(state, rounds, integers[SIZE], a)
        return full(zero) < full(two)

    return step


@dataclass
class Timed:
    """Something that advances in steps; `units` of what is to be timed in a step of all its networks."""

    ensemble: Any
    units: float
    steps: int = 1
    done: int = 0

    def seconds(self) -> float:
        """CPU seconds of one unit: one thread's, as nothing else runs in this process."""
        began = time.process_time()
        self.ensemble.advance(self.done, self.steps)
        self.done += self.steps
        return (time.process_time() - began) / (self.steps * self.units)

    def warm(self, seconds: float) -> Timed:
        """Take as many steps from now on as last so long."""
        self.seconds()
        while (taken := self.seconds() * self.units * self.steps) < seconds / 4:
            self.steps *= 2
        self.steps = max(1, round(self.steps * seconds / taken))
        return self


def cache_sizes() -> tuple[int, int]:
    """Bytes of a core's first- and second-level data caches."""
    found = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            found[int((index / "level").read_text())] = int(size.rstrip("K")) * 1024
    return found.get(1, CACHES[0]), found.get(2, CACHES[1])


def probes(dtype: str) -> dict[tuple[str, int], Timed]:
    """Everything that is timed, by what one of its units is and the vectors of a lane value."""
    found = {}
    for what, (which, each, most) in PROBES.items():
        found |= {(what, vectors): probe(dtype, which, each, vectors) for vectors in range(1, most + 1)}
    first, second = cache_sizes()
    # Streams fill half of a cache; or so much memory that no cache keeps it.
    for name, size in zip(STREAMS, (first // 2, second // 2, 2**27), strict=True):
        found[name, 1] = stream(dtype, size)
    return found


def probe(dtype: str, which: int, each: int, vectors: int) -> Timed:
    kernel = probing(which, REPEATS, CHAINS, vectors)
    program = driver("cpu").prepare(kernel, dtype)
    start = 0.3 + 0.1 * np.arange(program.width * CHAINS).reshape(program.width, CHAINS)
    return Timed(program.open(start, 0, 1), each * REPEATS * program.width)


def stream(dtype: str, size: int) -> Timed:
    """Passes over so many bytes: each is read and written, which counts as two."""
    numbers = size // np.dtype(dtype).itemsize // WIDTH[dtype] // 4 * 4
    passes = max(1, LONG // size)
    program = driver("cpu").prepare(probing(STREAM, passes, numbers, 1), dtype)
    return Timed(program.open(np.ones((program.width, numbers)), 0, 1), 2 * size * passes)


def probing(which: int, rounds: int, numbers: int, vectors: int) -> Kernel:
    reals, integers = np.array([0.75, 0.5]), np.array([which, rounds, numbers])
    return Kernel(build, {}, reals, integers, weights=numbers, scratch=NORMALS, vectors=vectors)
