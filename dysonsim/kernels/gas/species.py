"""Moves of a Coulomb gas whose levels have wells of their own, beside the trajectories that keep their order.

A label may hop over its neighbors (a symmetric proposal as wide as its well), and neighbors may exchange their wells;
both are Metropolis moves for P(x) of all labelings. Afterwards levels and tags are brought back into order. Which
label hops must not depend on where it is: in turn by position, lowest first, would not leave P invariant (measured: 1%
of a width). Here every chain draws it.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ..common import functions, rng
from ..common.order import network
from . import wells as gas_wells

u32 = np.uint32
FACTORS = 8  # ratios of differences whose product is taken before its logarithm


def build(lanes, well: str, walls: str, value) -> SimpleNamespace:
    """`hop`, `exchange` and `order`; value as in `gas_wells`. The widths of the hops are the last of the tags.

    source: step (32 bits), replica and key of the random numbers.
    """
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, select, real = lanes.full, lanes.select, lanes.real
    multiply_wide, nonzero = lanes.multiply_wide, lanes.nonzero
    elementary = functions.build(lanes)
    log, absolute = elementary.log, elementary.absolute
    generator = rng.build(lanes)
    words, box_muller, uniform = generator.words, generator.box_muller, generator.uniform
    tags_each = gas_wells.TAGS[well]
    has_lower, has_upper = walls in ("lower", "both"), walls in ("upper", "both")
    descending = walls == "upper"
    zero, one = number(0), number(1)
    tiny = number(1e-290 if number.__name__ == "float64" else 1e-37)

    @jit
    def bring_to_front(x, tags, chosen, n):
        """One level, drawn by the random word `chosen`, changes places with the first."""
        place, _ = multiply_wide(u32(n), chosen)
        for k in range(1, n):
            other = nonzero(place ^ u32(k))
            for t in range(1 + tags_each):
                a, at = (x, 0) if t == 0 else (tags, (t - 1) * n)
                first, second = load(a, at), load(a, at + k)
                store(a, at, select(other, first, second))
                store(a, at + k, select(other, second, first))

    @jit
    def hop(x, tags, failed, beta, constants, n, source):
        """As many proposals to move as there are levels, each of a level at random."""
        i = 0
        for turn in range(n):
            a, b, draw, chosen = words(u32(turn), u32(rng.CHOICES + rng.STRIDE), *source)
            bring_to_front(x, tags, chosen, n)
            z, _ = box_muller(a, b)
            old = load(x, i)
            new = old + z * load(tags, (tags_each - 1) * n + i)
            allowed = zero < absolute(new - old)
            if has_lower:
                allowed = allowed & (full(constants[gas_wells.LOWER]) < new)
            if has_upper:
                allowed = allowed & (new < full(constants[gas_wells.UPPER]))
            new = select(allowed, new, old)
            gain = value(old, old, old, i, n, tags, constants, failed)
            gain = gain - value(new, new, new, i, n, tags, constants, failed)
            for j0 in range(0, n, FACTORS):
                wide, narrow = full(one), full(one)
                for j in range(j0, min(n, j0 + FACTORS)):
                    if j != i:
                        other = load(x, j)
                        wide = wide * (new - other)
                        narrow = narrow * (old - other)
                gain = gain + log(absolute(wide / narrow) + tiny) * beta
            accepted = allowed & (log(real(uniform(draw))) < gain)
            store(x, i, select(accepted, new, old))

    @jit
    def trade(a, at, i, j, swap):
        first, second = load(a, at + i), load(a, at + j)
        store(a, at + i, select(swap, second, first))
        store(a, at + j, select(swap, first, second))

    @jit
    def exchange(x, tags, failed, constants, n, source):
        """Neighbors exchange their wells: pairs (0, 1), (2, 3), ..., then (1, 2), (3, 4), ..."""
        for odd in range(2):
            for i in range(odd, n - 1, 2):
                a, b = load(x, i), load(x, i + 1)
                gain = value(a, a, a, i, n, tags, constants, failed)
                gain = gain + value(b, b, b, i + 1, n, tags, constants, failed)
                gain = gain - value(b, b, b, i, n, tags, constants, failed)
                gain = gain - value(a, a, a, i + 1, n, tags, constants, failed)
                draw, _, _, _ = words(u32(i), u32(rng.CHOICES + 2 * rng.STRIDE), *source)
                accepted = log(real(uniform(draw))) < gain
                for t in range(tags_each):
                    trade(tags, t * n, i, i + 1, accepted)

    @jit
    def arrange(x, tags, i, j, n):
        """Two levels into their order, ascending, or descending from an upper wall, with their tags."""
        low, high = load(x, i), load(x, j)
        swap = low < high if descending else high < low
        trade(x, 0, i, j, swap)
        for t in range(tags_each):
            trade(tags, t * n, i, j, swap)

    return SimpleNamespace(hop=hop, exchange=exchange, order=network(lanes, arrange))
