"""Random numbers and thin products for kernels that advance one large network at a time, its matrices whole.

Where the lane kernels hold one number for each of several networks, here the lanes of a vector are the samples of a
batch, or blocks of the random number generator. The random numbers are the same.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from . import rng
from .once import once

u32 = np.uint32
WIDTH = {"float64": 8, "float32": 16}  # lanes: four accumulators of `thin` are eight AVX2 registers
WIDEST = max(WIDTH.values())
PADDING = 8 * WIDEST  # numbers behind the last that `normals` may write, and lane values of four normals


def padded(batch: int) -> int:
    """Round the samples of a batch up to whole lane values."""
    return -(-batch // WIDEST) * WIDEST


@once
def build(lanes) -> SimpleNamespace:
    """Make `normals` and `thin`."""
    jit, load, store, full = lanes.jit, lanes.load, lanes.store, lanes.full
    index, number = lanes.index, lanes.number
    generator = rng.build(lanes)
    words, box_muller = generator.words_of_blocks, generator.box_muller
    width, zero = WIDTH[number.__name__], number(0)

    @jit
    def normals(z, count, stream, step, replica, key0, key1):
        """Draws 0 ... count - 1 of a stream; z holds count + PADDING numbers."""
        four = z[len(z) - 4 * width :]
        for first in range(0, (count + 3) // 4, width):
            block = index() + u32(first)
            a, b, c, d = words(block, u32(stream), u32(step), u32(replica), key0, key1)
            z0, z1 = box_muller(a, b)
            z2, z3 = box_muller(c, d)
            store(four, 0, z0)
            store(four, 1, z1)
            store(four, 2, z2)
            store(four, 3, z3)
            for lane in range(width):
                for q in range(4):
                    z[4 * (first + lane) + q] = four[q * width + lane]

    @jit
    def thin(o, a, rows, columns, row, column, x, vectors):
        """o[i] = sum_m a[i row + m column] x[m]: x and o hold `vectors` lane values, the samples, for each m and i."""
        for v in range(vectors):
            for i in range(0, rows - 3, 4):
                s0 = full(zero)
                s1, s2, s3 = s0, s0, s0
                at = i * row
                for m in range(columns):
                    samples = load(x, m * vectors + v)
                    s0 = samples * a[at] + s0
                    s1 = samples * a[at + row] + s1
                    s2 = samples * a[at + 2 * row] + s2
                    s3 = samples * a[at + 3 * row] + s3
                    at += column
                store(o, i * vectors + v, s0)
                store(o, (i + 1) * vectors + v, s1)
                store(o, (i + 2) * vectors + v, s2)
                store(o, (i + 3) * vectors + v, s3)
            for i in range(rows - rows % 4, rows):
                s0 = full(zero)
                for m in range(columns):
                    s0 = load(x, m * vectors + v) * a[i * row + m * column] + s0
                store(o, i * vectors + v, s0)

    return SimpleNamespace(normals=normals, thin=thin)
