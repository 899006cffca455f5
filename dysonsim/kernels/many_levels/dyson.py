"""One step of Dyson Brownian motion of one large gas: the parts that `dysonsim.numerics.many_levels` puts together.

    dx_i = beta noise^2 sum_{j != i} 1/(x_i - x_j) dt + sqrt(2) noise dB_i

Levels up to REACH ranks apart are treated in pairs: a pair keeps its center and its gap becomes
sqrt(gap^2 + 4 noise^2 t chi^2), exact for two levels after the noise of each level. The chi^2 of beta degrees of
freedom is drawn for neighbors; pairs farther apart open by its mean, beta, in halves before and after the noise, and
all levels beyond push with their force, likewise. Pairs of one distance come in two classes of disjoint pairs,
neighbors as one class for half the time, the other, and the first again; the order mirrors itself about the noise and
the classes alternate from step to step.

Levels are the lanes here; their random numbers are those of `noise.py`. Arrays of levels have PAD numbers before and
behind them.
"""

from __future__ import annotations

import numpy as np

from . import noise as level_noise

REACH = 3  # ranks up to which levels are treated in pairs
PAD = 24  # more than the ranks over which a sequence of pairs spreads, 3 + 2 (2 + 3), and a lane value at the edge
PERIOD = 24  # ranks after which the classes of all distances repeat
BLOCK = 40 * PERIOD  # levels that are worked on at once
WINDOW = BLOCK + 2 * PAD
ENDS = 1e40  # where the padding lies
SUMS = 5
u32 = np.uint32


def roles() -> np.ndarray:
    """+1 for the lower level of a pair, -1 for the upper: [distance - 1][class][rank mod 24], flat."""
    rank = np.arange(PERIOD)
    return np.ravel([[np.where((rank // d + c) % 2 == 0, 1.0, -1.0) for c in (0, 1)] for d in range(1, REACH + 1)])


def build_far(lanes):
    """``far(x, forces, g, first, last, levels, origin, sums)``: forces without those of near neighbors.

    x and g are padded, forces is not; g is modified, and so is sums (blocks * 5,): the sums of x, x^2, g, x g and g^2
    in each block, x counted from `origin`. Here and below, blocks first to last - 1 are done.
    """
    jit, load_at, store_at, full, select = lanes.jit, lanes.load_at, lanes.store_at, lanes.full, lanes.select
    put, total = lanes.put, lanes.total

    @jit
    def near(x, i, t):
        """Sum of 1/(x_i - x_j) over 0 < |i - j| <= REACH, one division."""
        n, d = full(0.0), full(1.0)
        for r in range(1, REACH + 1):
            a, b = t - load_at(x, i - r), t - load_at(x, i + r)
            n = n * (a * b) + d * (a + b)
            d = d * (a * b)
        return n / d

    @jit
    def far(x, forces, g, first, last, levels, origin, sums):
        zero, edge = full(0.0), full(ENDS / 2)
        for b in range(first, last):
            s, ss, h, sh, hh = zero, zero, zero, zero, zero
            for i in range(b * BLOCK, min(b * BLOCK + BLOCK, levels), 8):
                t = load_at(x, PAD + i)
                push = load_at(forces, i) - near(x, PAD + i, t)
                inside = t < edge
                t, push = select(inside, t - origin, zero), select(inside, push, zero)
                store_at(g, PAD + i, push)
                s, ss, h, sh, hh = s + t, ss + t * t, h + push, sh + t * push, hh + push * push
            put(sums, SUMS * b, total(s))
            put(sums, SUMS * b + 1, total(ss))
            put(sums, SUMS * b + 2, total(h))
            put(sums, SUMS * b + 3, total(sh))
            put(sums, SUMS * b + 4, total(hh))

    return far


def build_pairs(lanes):
    """``pairs(a, b, c, table, d, which, opening, drawn, base, levels)``: all pairs of one class, from window a to b.

    base : rank of the first number of a window; c : what multiplies `opening`, for each lower level, if `drawn`.
    """
    jit, load_at, store_at, full, select = lanes.jit, lanes.load_at, lanes.store_at, lanes.full, lanes.select
    sqrt, number_at, put = lanes.sqrt, lanes.number_at, lanes.put

    @jit
    def pairs(a, b, c, table, d, which, opening, drawn, base, levels):
        row = (2 * (d - 1) + which) * PERIOD
        zero, half = full(0.0), full(0.5)
        for i in range(8, WINDOW - 8, 8):
            x, sign = load_at(a, i), load_at(table, row + i % PERIOD)
            lower = zero < sign
            y = select(lower, load_at(a, i + d), load_at(a, i - d))
            wide = full(opening)
            if drawn:
                wide = wide * select(lower, load_at(c, i), load_at(c, i - d))
            gap = x - y
            store_at(b, i, (x + y) * half - sign * (sqrt(gap * gap + wide) * half))
        # Levels at the ends of the gas that have no partner.
        for rank in range(min(d, levels)):
            if rank >= base and rank < base + WINDOW and number_at(table, row + rank % PERIOD) < 0.0:
                put(b, rank - base, number_at(a, rank - base))
        for rank in range(max(levels - d, 0), levels):
            if rank >= base and rank < base + WINDOW and number_at(table, row + rank % PERIOD) > 0.0:
                put(b, rank - base, number_at(a, rank - base))

    return pairs


def build_order(lanes):
    """``order(x, begin, end)`` sorts nearly sorted levels; ``mend(x, levels)`` blocks that are sorted each in itself.

    `mend` also parts levels that coincide, by as little as floating point allows: their repulsion has to be finite.
    """
    jit, number_at, put = lanes.jit, lanes.number_at, lanes.put

    @jit
    def insert(x, i, begin):
        v, j = number_at(x, i), i
        while j > begin and number_at(x, j - 1) > v:
            put(x, j, number_at(x, j - 1))
            j -= 1
        put(x, j, v)

    @jit
    def order(x, begin, end):
        for i in range(begin + 1, end):
            if number_at(x, i - 1) > number_at(x, i):
                insert(x, i, begin)

    @jit
    def mend(x, levels):
        for edge in range(PAD + BLOCK, PAD + levels, BLOCK):
            i = edge
            while i < PAD + levels and number_at(x, i - 1) > number_at(x, i):
                insert(x, i, PAD)
                i += 1
        for i in range(PAD + 1, PAD + levels):
            below = number_at(x, i - 1)
            if number_at(x, i) <= below:
                put(x, i, below + max(abs(below) * 2.0**-52, 1e-300))

    return order, mend


def build_mend(lanes):
    """Build the second part of `build_order` alone."""
    return build_order(lanes)[1]


def build_move(lanes):
    """``move(x, g, y, first, last, levels, shift, scale, push)``: y = shift + scale x + push g, each block sorted."""
    jit, load_at, store_at = lanes.jit, lanes.load_at, lanes.store_at
    order, _ = build_order(lanes)

    @jit
    def move(x, g, y, first, last, levels, shift, scale, push):
        for b in range(first, last):
            begin, end = PAD + b * BLOCK, PAD + min(b * BLOCK + BLOCK, levels)
            for i in range(begin, end, 8):
                v = load_at(x, i) * scale + load_at(g, i) * push + shift
                store_at(y, i, v)
            order(y, begin, end)

    return move


def build_before(lanes, normals: int):
    """Make the first half of a step, ``before(x, g, y, c, table, first, last, levels, constants, work, ...)``.

    Levels x are moved to shift + scale x + push g, pairs that are not neighbors open by `opening`, and the levels get
    noise; y receives them, sorted in each block, and c the chi-squared numbers for the neighbors. constants = (shift,
    scale, push, opening, noise, beta); work (2 WINDOW,). `normals`: beta if that is 1, 2 or 3, else 0.
    """
    jit, load_at, store_at, number_at = lanes.jit, lanes.load_at, lanes.store_at, lanes.number_at
    word, index = lanes.word, lanes.index
    pairs = build_pairs(lanes)
    order, _ = build_order(lanes)
    drawn = level_noise.build(lanes, normals)

    @jit
    def before(
        x, g, y, c, table, first, last, levels, constants, parity, work, replica, step, key0, key1
    ):  # fmt: skip
        shift, scale, push = number_at(constants, 0), number_at(constants, 1), number_at(constants, 2)
        opening, noise, beta = number_at(constants, 3), number_at(constants, 4), number_at(constants, 5)
        a, b = work[:WINDOW], work[WINDOW:]
        for block in range(first, last):
            at, base = block * BLOCK, block * BLOCK - PAD
            for i in range(0, WINDOW, 8):
                store_at(a, i, load_at(x, at + i) * scale + load_at(g, at + i) * push + shift)
            for d in range(REACH, 1, -1):
                pairs(a, b, c, table, d, parity, opening, False, base, levels)
                pairs(b, a, c, table, d, 1 - parity, opening, False, base, levels)
            end = min(at + BLOCK, levels)
            for i in range(at, end, 8):
                level = word(u32(i)) + index()
                z, chi = drawn(level, beta, (replica, step, key0, key1))
                store_at(y, PAD + i, load_at(a, PAD + i - at) + z * noise)
                store_at(c, PAD + i, chi)
            order(y, PAD + at, PAD + end)

    return before


def build_after(lanes):
    """Make the second half, ``after(y, c, x, table, first, last, levels, opening, beta, parity, work)``.

    Neighbors in y open by `opening` times c, half of it in two turns; the other pairs by half of `opening` times beta.
    x receives the levels, sorted in each block.
    """
    jit, load_at, store_at = lanes.jit, lanes.load_at, lanes.store_at
    pairs = build_pairs(lanes)
    order, _ = build_order(lanes)

    @jit
    def after(y, c, x, table, first, last, levels, opening, beta, parity, work):
        a, b, chi = work[:WINDOW], work[WINDOW : 2 * WINDOW], work[2 * WINDOW :]
        half = 0.5 * opening
        for block in range(first, last):
            at, base = block * BLOCK, block * BLOCK - PAD
            for i in range(0, WINDOW, 8):
                store_at(a, i, load_at(y, at + i))
                store_at(chi, i, load_at(c, at + i))
            pairs(a, b, chi, table, 1, parity, half, True, base, levels)
            pairs(b, a, chi, table, 1, 1 - parity, opening, True, base, levels)
            pairs(a, b, chi, table, 1, parity, half, True, base, levels)
            for i in range(8, WINDOW - 8, 8):
                store_at(a, i, load_at(b, i))
            for d in range(2, REACH + 1):
                pairs(a, b, chi, table, d, 1 - parity, half * beta, False, base, levels)
                pairs(b, a, chi, table, d, parity, half * beta, False, base, levels)
            end = min(at + BLOCK, levels)
            for i in range(at, end, 8):
                store_at(x, PAD + i, load_at(a, PAD + i - at))
            order(x, PAD + at, PAD + end)

    return after
