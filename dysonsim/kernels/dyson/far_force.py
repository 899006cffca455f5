"""The force of far levels in Dyson Brownian motion: summed once an outer step, and then taken along with the levels.

`nested.py` says what for. Of the displacements since the force F was summed, one part is common: a shift and a
scale, fitted to all levels. It leaves F what it is, but for the scale. From the rest r_i, F_i falls by
F_i' (r_i - R_i), R_i the mean of r over the levels WINDOW places around, among which the far ones are that a level
moves against. A force that held each level where it was alone would take 2 to 10% of every motion that levels make
together.

Strengths that change with the levels, as a model's do, change F as well: while levels grow, by a factor of e and more
an outer step. So F_i is held in BLOCKS parts, one for each of as many equal parts of the spectrum, and each part is
multiplied by the strength between level i and the mean of that block now, over what it was. Slopes F_i' come from the
nearest, and take the factor of the block of the level itself.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

from ..common import functions

NEAR = 3  # places apart up to which pairs are not far
WINDOW = 12  # places on either side of a level whose mean displacement its far force moves with
BLOCKS = 4  # parts of the spectrum whose strengths are followed by themselves
TINY = {"float64": 1e-290, "float32": 1e-37}


def block_count(n: int, changes: bool) -> int:
    """In how many parts the force is held: one, where strengths never change."""
    return min(BLOCKS, n) if changes else 1


def space_of(n: int, changes: bool) -> int:
    """Numbers of working space of what is held and of what `follow` needs besides."""
    blocks = block_count(n, changes)
    return (blocks + 3) * n + 2 + ((n + 1) * blocks if changes else 0)


class Layout(NamedTuple):
    """Where in the space is what; at 0 begin the forces of the blocks."""

    slopes: int
    anchors: int  # levels when the forces were summed
    fixed: int  # their mean, and the sum of the squares about it
    remainders: int  # displacements
    strengths: int  # as they were
    means: int  # of the blocks
    edges: tuple[int, ...]  # of the blocks

    @classmethod
    def of(cls, n: int, blocks: int) -> Layout:
        """For n levels in so many blocks."""
        fixed = (blocks + 2) * n
        strengths = fixed + 2 + n
        edges = tuple(-(-b * n // blocks) for b in range(blocks + 1))
        return cls(blocks * n, (blocks + 1) * n, fixed, fixed + 2, strengths, strengths + blocks * n, edges)


def displacements(lanes, n: int, layout: Layout) -> SimpleNamespace:
    """`keep_moment` when forces are summed, and `remainder` of what levels have moved since."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, part, largest = lanes.full, lanes.part, functions.build(lanes).largest
    anchors, fixed, remainders = layout.anchors, layout.fixed, layout.remainders
    zero, one, tiny = number(0), number(1), number(TINY[number.__name__])
    one_in_n, minus_half = number(1 / n), number(-0.5)

    @jit
    def keep_moment(x, held):
        """Put the mean of the levels, and the sum of their squares about it, into the space."""
        center, square = full(zero), full(zero)
        for i in range(n):
            center = center + load(x, i)
        center = center * one_in_n
        for i in range(n):
            v = load(x, i) - center
            square = square + v * v
        store(held, fixed, center)
        store(held, fixed + 1, square)

    @jit
    def remainder(x, held):
        """Take a common shift and scale off the displacements, in the space; return that scale."""
        out, anchor = part(held, remainders, n), part(held, anchors, n)
        center, square = load(held, fixed), load(held, fixed + 1)
        shift, stretch = full(zero), full(zero)
        for i in range(n):
            a = load(anchor, i)
            v = load(x, i) - a
            store(out, i, v)
            shift = shift + v
            stretch = stretch + v * (a - center)
        shift, stretch = shift * one_in_n, stretch / (square + tiny)
        for i in range(n):
            store(out, i, load(out, i) - shift - stretch * (load(anchor, i) - center))
        return one + largest(stretch, full(minus_half))

    return SimpleNamespace(keep_moment=keep_moment, remainder=remainder)


def changing_strengths(lanes, n: int, layout: Layout, coefficients) -> SimpleNamespace:
    """`keep_strengths` when forces are summed; `average`, then `strengthened`, for those of later levels."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, select, largest = lanes.full, lanes.select, functions.build(lanes).largest
    pair, zero, one, tiny = coefficients.pair, number(0), number(1), number(TINY[number.__name__])
    slopes, strengths, means, edges = layout.slopes, layout.strengths, layout.means, layout.edges
    blocks = len(edges) - 1

    @jit
    def average(x, held):
        """Means of the blocks of levels."""
        for b in range(blocks):
            total = full(zero)
            for i in range(edges[b], edges[b + 1]):
                total = total + load(x, i)
            store(held, means + b, total * (one / number(edges[b + 1] - edges[b])))

    @jit
    def keep_strengths(x, held, constants, work):
        """Put the strengths as they are into the space."""
        average(x, held)
        for block in range(blocks):
            b = load(held, means + block)
            for i in range(n):
                strength = pair(i, edges[block + 1] - 1, load(x, i), b, constants, work)
                store(held, strengths + block * n + i, strength)

    @jit
    def strengthened(i, x, held, constants, work):
        """Force and slope on level i, with strengths as they are now."""
        force, slope = full(zero), load(held, slopes + i)
        for block in range(blocks):
            last = edges[block + 1] - 1
            before = load(held, strengths + block * n + i)
            now = pair(i, last, load(x, i), load(held, means + block), constants, work)
            factor = select(full(tiny) < before, now / largest(before, full(tiny)), full(one))
            force = load(held, block * n + i) * factor + force
            if block == i * blocks // n:
                slope = slope * factor
        return force, slope

    return SimpleNamespace(average=average, keep_strengths=keep_strengths, strengthened=strengthened)


def build(lanes, n: int, inner: int, coefficients) -> SimpleNamespace:
    """``gather(x, held, beta, constants, work)`` sums the force on levels x for an outer step of `inner` inner steps.

    ``follow(out, x, held, constants, work)`` adds it, as it is for levels x now, to `out`. `coefficients`: of
    `terms.py`.
    """
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, part, largest = lanes.full, lanes.part, functions.build(lanes).largest
    pair, share, changes = coefficients.pair, coefficients.share, coefficients.changes
    zero, one, two, outer, tiny = number(0), number(1), number(2), number(inner), number(TINY[number.__name__])
    blocks = block_count(n, changes)
    layout = Layout.of(n, blocks)
    slopes, anchors, remainders, edges = layout.slopes, layout.anchors, layout.remainders, layout.edges
    moved, changed = displacements(lanes, n, layout), changing_strengths(lanes, n, layout, coefficients)
    keep_moment, remainder = moved.keep_moment, moved.remainder
    average, keep_strengths, strengthened = changed.average, changed.keep_strengths, changed.strengthened

    @jit
    def gather(x, held, beta, constants, work):
        slope = part(held, slopes, n)
        for i in range(blocks * n):
            store(held, i, full(zero))
        for i in range(n):
            store(slope, i, full(zero))
            store(held, anchors + i, load(x, i))
        keep_moment(x, held)
        spread = outer / beta
        for i in range(n - NEAR - 1):
            a, bend, mine_of = load(x, i), load(slope, i), part(held, i * blocks // n * n, n)
            for block in range(blocks):
                own = load(held, block * n + i)
                for j in range(max(i + NEAR + 1, edges[block]), edges[block + 1]):
                    b = load(x, j)
                    strength, gap = pair(i, j, a, b, constants, work), b - a
                    inverse = gap / largest(gap * gap, strength * outer + tiny)
                    square = inverse * inverse
                    push = inverse * strength * two * (square * strength * spread + one)
                    fall = square * strength * two
                    part_of = share(i, j, constants, work)
                    mine, falls = push * part_of, fall * part_of
                    own = own - mine
                    bend = bend + falls
                    store(mine_of, j, load(mine_of, j) + (push - mine))
                    store(slope, j, load(slope, j) + (fall - falls))
                store(held, block * n + i, own)
            store(slope, i, bend)
        if changes:
            keep_strengths(x, held, constants, work)

    @jit
    def follow(out, x, held, constants, work):
        rest = part(held, remainders, n)
        scale = one / remainder(x, held)
        if changes:
            average(x, held)
        total = full(zero)
        for i in range(min(WINDOW, n)):
            total = total + load(rest, i)
        for i in range(n):
            if i + WINDOW < n:
                total = total + load(rest, i + WINDOW)
            if i > WINDOW:
                total = total - load(rest, i - WINDOW - 1)
            count = min(i + WINDOW, n - 1) - max(i - WINDOW, 0) + 1
            alone = load(rest, i) - total * number(one / count)
            if changes:
                force, slope = strengthened(i, x, held, constants, work)
            else:
                force, slope = load(held, i), load(held, slopes + i)
            store(out, i, load(out, i) + (force * scale - slope * alone))

    return SimpleNamespace(gather=gather, follow=follow)
