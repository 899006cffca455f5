"""Sorting of lane values."""

from __future__ import annotations

from .once import once


@once
def build(lanes):
    """`sort(a, n)`: the first n lane values of a, ascending in every lane."""
    jit, load, store, select = lanes.jit, lanes.load, lanes.store, lanes.select

    @jit
    def exchange(a, _, i, j, n):
        x, y = load(a, i), load(a, j)
        swap = y < x
        store(a, i, select(swap, y, x))
        store(a, j, select(swap, x, y))

    run = network(lanes, exchange)

    @jit
    def sort(a, n):
        run(a, a, n)

    return sort


def network(lanes, exchange):
    """`run(a, b, n)` calls ``exchange(a, b, i, j, n)`` for pairs i < j until all that these put in order is in order.

    Batcher's merge exchange (Knuth, The Art of Computer Programming, volume 3, algorithm 5.2.2M): the same exchanges
    whatever the values, of order n log^2 n.
    """

    @lanes.jit
    def run(a, b, n):
        top = 1
        while 2 * top < n:
            top *= 2
        p = top if n > 1 else 0
        while p > 0:
            q, r, d = top, 0, p
            while True:
                for i in range(n - d):
                    if i & p == r:
                        exchange(a, b, i, i + d, n)
                if q == p:
                    break
                d, q, r = q - p, q // 2, p
            p //= 2

    return run
