"""The kernels' own random numbers."""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import njit

from dysonsim.backend import simd as vector
from dysonsim.backend.cpu import WIDTH
from dysonsim.backend.kernel import split_seed
from dysonsim.kernels.common import gamma, rng


@cache
def compiled_generator(dtype: str):
    """The compiled generator, over as many blocks of replicas as the output holds."""
    lanes = vector.lanes(dtype, WIDTH[dtype])
    generator = rng.build(lanes)
    normals, words, index, store = generator.normals, generator.words, lanes.index, lanes.store
    width, u32 = WIDTH[dtype], np.uint32

    @njit
    def fill_normals(z, count, stream, step, first_replica, key0, key1):
        for b in range(z.shape[0]):
            normals(z[b], count, 0, stream, step, index() + u32(first_replica + b * width), key0, key1)

    lengths = gamma.build(lanes)
    chi_squared, pair, number = lengths.chi_squared, lengths.pair, lanes.number

    @njit
    def fill_chi_squared(out, degrees, draw, stream, step, key0, key1):
        for b in range(out.shape[0]):
            replica = index() + u32(b * width)
            if len(degrees) == 1:
                store(out[b], 0, chi_squared(number(degrees[0]), draw, stream, step, replica, key0, key1))
            else:
                x, y = pair(number(degrees[0]), number(degrees[1]), draw, stream, step, replica, key0, key1)
                store(out[b], 0, x)
                store(out[b], 1, y)

    @njit
    def fill_words(out, counter, replica, key0, key1):
        a, b, c, d = words(counter[0], counter[1], counter[2], index() + u32(replica), key0, key1)
        store(out, 0, a)
        store(out, 1, b)
        store(out, 2, c)
        store(out, 3, d)

    return fill_normals, fill_words, fill_chi_squared


def kernel_normals(count, stream, step, replicas, seed, dtype="float64", first_replica=0):
    """The normals number 0 ... count - 1 that a CPU kernel draws from a stream: (replicas, count)."""
    width, blocks = WIDTH[dtype], -(-count // 4)
    z = np.empty((-(-replicas // width), 4 * blocks * width), dtype)
    compiled_generator(dtype)[0](z, blocks, stream, step, first_replica, *split_seed(seed))
    return z.reshape(len(z), -1, width).transpose(0, 2, 1).reshape(-1, 4 * blocks)[:replicas, :count]


def kernel_chi_squared(degrees, draw, stream, step, replicas, seed, dtype="float64"):
    """What a CPU kernel draws with one or, together, two numbers of degrees of freedom: (replicas, 1 or 2)."""
    width, count = WIDTH[dtype], len(degrees)
    out = np.empty((-(-replicas // width), count * width), dtype)
    compiled_generator(dtype)[2](out, np.array(degrees, dtype), draw, stream, step, *split_seed(seed))
    return out.reshape(len(out), count, width).transpose(0, 2, 1).reshape(-1, count)[:replicas]
