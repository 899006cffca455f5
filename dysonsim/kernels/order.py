"""Sorting of lane values."""

from __future__ import annotations


def build(lanes):
    """`sort(a, n)`: the first n lane values of a, ascending in every lane.

    Batcher's merge exchange (Knuth, The Art of Computer Programming, volume 3, algorithm 5.2.2M): the same exchanges
    whatever the values, of order n log^2 n.
    """
    jit, load, store, select = lanes.jit, lanes.load, lanes.store, lanes.select

    @jit
    def sort(a, n):
        top = 1
        while 2 * top < n:
            top *= 2
        p = top if n > 1 else 0
        while p > 0:
            q, r, d = top, 0, p
            while True:
                for i in range(n - d):
                    if i & p == r:
                        x, y = load(a, i), load(a, i + d)
                        swap = y < x
                        store(a, i, select(swap, y, x))
                        store(a, i + d, select(swap, x, y))
                if q == p:
                    break
                d, q, r = q - p, q // 2, p
            p //= 2

    return sort
