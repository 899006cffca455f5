"""Repulsion sums F_i = sum_{j != i} 1/(x_i - x_j) of sorted levels in a time proportional to their number.

A fast multipole sum (L. Greengard, V. Rokhlin, J. Comput. Phys. 73, 325 (1987)) on a line, with Chebyshev
interpolation in place of multipoles (W. Fong, E. Darve, J. Comput. Phys. 228, 8712 (2009)). Boxes hold equal numbers of
levels, not equal lengths: leaf k has levels 48 k to 48 k + 47, the box k of height g the leaves from 2^g k to
2^g (k + 1) - 1, and each box is as wide as its levels. So the work does not depend on how unevenly the levels lie.

Far from a box, its levels act like charges at p Chebyshev points of it; far from the sources, their field on a box is a
polynomial of degree p - 1. Two boxes of equal height act on each other in this way where they are `apart` and their
parents were not; what is left over at the leaves is summed term by term (`direct_sum.py`).

Positions within a box are relative to its center, so that a large common offset of all levels costs no accuracy.
"""

from __future__ import annotations

import numpy as np

from . import direct_sum

LEAF = 48  # levels in a leaf: balances the sums of near pairs against those of boxes
CHUNKS = LEAF // direct_sum.CHUNK


def tree(levels: int) -> np.ndarray:
    """Return the number of the first box of each height; last, the number of boxes in all."""
    counts = [-(-levels // LEAF)]
    while counts[-1] > 1:
        counts.append(-(-counts[-1] // 2))
    return np.concatenate([[0], np.cumsum(counts)])


def tables(points: int) -> np.ndarray:
    """Chebyshev points, then the matrix T_k(z_b) (2 - delta_k0)/p by rows k, then by rows b: (1 + 2 p) p numbers."""
    k = np.arange(points)
    z = np.cos((k + 0.5) * np.pi / points)
    matrix = np.cos(np.outer(k, np.arccos(z))) * np.where(k == 0, 1, 2)[:, None] / points
    return np.concatenate([z, matrix.ravel(), matrix.T.ravel()])


def scratch_size(points: int, heights: int) -> int:
    """Numbers that either pass needs to work with."""
    return (8 + 2 * heights) * points + 2 * direct_sum.CHUNK


def build_up(lanes, points):
    """``up(x, levels, first, table, center, half, charge, height, begin, end, scratch)``: boxes of one height.

    center, half : (boxes,), charge : (boxes * points,): modified in place. The height below must be done.
    """
    jit, load, store, full, select = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.select
    at, put, total, number_at = lanes.at, lanes.put, lanes.total, lanes.number_at
    vectors = points // 8

    @jit
    def moments(s, u, v, w, scratch, add):
        """sum_j w_j T_k(s_j) over points s with weights v and points u with weights w: eight parts in scratch."""
        a0, b0, a1, b1 = v, w, s * v, u * w
        r, q = s + s, u + u
        for k in range(points):
            m = a0 + b0
            if add:
                m = m + load(scratch, k)
            store(scratch, k, m)
            a0, a1 = a1, r * a1 - a0
            b0, b1 = b1, q * b1 - b0

    @jit
    def to_charges(table, scratch, charge, box):
        """Charges at the Chebyshev points that have these moments."""
        for k in range(points):
            put(scratch, k, total(load(scratch, k)))  # parts k lie at 8 k and beyond: none is lost
        for v in range(vectors):
            q = full(0.0)
            for k in range(points):
                q = q + load(table, (1 + k) * vectors + v) * at(scratch, k)
            store(charge, box * vectors + v, q)

    @jit
    def settle(low, high, center, half, box):
        """Fit a box from the lowest to the highest of its levels; return center and 1/half."""
        c = low + 0.5 * (high - low)
        h = max(high - c, c - low)  # c is rounded: no level may stick out
        put(center, box, c)
        put(half, box, h)
        return c, (1.0 / h if h > 0.0 else 0.0)

    @jit
    def leaf(x, levels, table, center, half, charge, k, scratch):
        low, high = number_at(x, LEAF * k), number_at(x, min(LEAF * k + LEAF, levels) - 1)
        c, inverse = settle(low, high, center, half, k)
        zero, one, beyond = full(0.0), full(1.0), full(direct_sum.FAR / 2)
        for v in range(0, LEAF // 8, 2):
            s, u = load(x, LEAF // 8 * k + v), load(x, LEAF // 8 * k + v + 1)
            inner, outer = s < beyond, u < beyond  # padding weighs nothing
            s, u = select(inner, (s - c) * inverse, zero), select(outer, (u - c) * inverse, zero)
            moments(s, u, select(inner, one, zero), select(outer, one, zero), scratch, v > 0)
        to_charges(table, scratch, charge, k)

    @jit
    def points_of(table, center, half, c, inverse, box, v):
        """Chebyshev points of a box as its parent sees them."""
        return (load(table, v) * number_at(half, box) + (number_at(center, box) - c)) * inverse

    @jit
    def merge(x, levels, first, table, center, half, charge, height, k, scratch):
        a = number_at(first, height - 1) + 2 * k
        b = a + 1
        alone = b == number_at(first, height)
        size = LEAF << height
        low, high = number_at(x, size * k), number_at(x, min(size * k + size, levels) - 1)
        box = number_at(first, height) + k
        c, inverse = settle(low, high, center, half, box)
        for v in range(vectors):
            s, weight = points_of(table, center, half, c, inverse, a, v), load(charge, a * vectors + v)
            u, other = s, full(0.0)
            if not alone:
                u, other = points_of(table, center, half, c, inverse, b, v), load(charge, b * vectors + v)
            moments(s, u, weight, other, scratch, v > 0)
        to_charges(table, scratch, charge, box)

    @jit
    def up(x, levels, first, table, center, half, charge, height, begin, end, scratch):
        for k in range(begin, end):
            if height == 0:
                leaf(x, levels, table, center, half, charge, k, scratch)
            else:
                merge(x, levels, first, table, center, half, charge, height, k, scratch)

    return up


def build_down(lanes, points):
    """``down(x, first, table, center, half, charge, ratio, close, begin, end, near, counts, scratch, out)``.

    Sums of the levels of leaves `begin` to `end` - 1, into out (levels + padding,). near : (boxes,) and counts :
    (heights,), integers, and scratch are what the threads do not share; `close` is as for the direct sum.
    """
    jit, load, store, full = lanes.jit, lanes.load, lanes.store, lanes.full
    at, number_at, put = lanes.at, lanes.number_at, lanes.put
    chunks = direct_sum.build_chunks(lanes)
    others, own = chunks.others, chunks.own
    vectors, middle = points // 8, points // 2

    @jit
    def field(charge, source, scratch, t, close):
        """Field of a box's charges, which lie at positions scratch[b], at the positions t."""
        base = source * points
        if close:
            f = full(0.0)
            for b in range(points):
                f = f + at(charge, base + b) / (t - at(scratch, b))
            return f
        a, b = t - at(scratch, 0), t - at(scratch, middle)
        n, m = at(charge, base), at(charge, base + middle)
        d, e = a, b
        for i in range(1, middle):
            a, b = t - at(scratch, i), t - at(scratch, middle + i)
            n = n * a + at(charge, base + i) * d
            m = m * b + at(charge, base + middle + i) * e
            d = d * a
            e = e * b
        return (n * e + m * d) / (d * e)

    @jit
    def far(table, center, half, charge, box, source, close, values, scratch):
        """Add to values[vectors ...] the field of `source` at the Chebyshev points of `box`."""
        h, away = number_at(half, source), number_at(center, box) - number_at(center, source)
        for v in range(vectors):
            store(scratch, v, load(table, v) * h)
        for v in range(vectors):
            t = load(table, v) * number_at(half, box) + away
            store(scratch, values + v, load(scratch, values + v) + field(charge, source, scratch, t, close))

    @jit
    def evaluate(scratch, coefficients, s):
        """Evaluate a Chebyshev series at s (C. W. Clenshaw, Math. Comp. 9, 118 (1955))."""
        r = s + s
        a, b = at(scratch, coefficients + points - 1), full(0.0)
        for i in range(1, points - 1):
            a, b = r * a - b + at(scratch, coefficients + points - 1 - i), a
        return s * a - b + at(scratch, coefficients)

    @jit
    def box_field(first, table, center, half, charge, ratio, close, height, k, near, counts, scratch):
        """Find the field on one box of all that is far, as a series; and the list of what is near."""
        box, here = number_at(first, height) + k, number_at(first, height)
        values, series = vectors, (2 + height) * points
        c, h = number_at(center, box), number_at(half, box)
        above, parents = number_at(first, height + 1), number_at(counts, height + 1)
        up_c, up_h = number_at(center, above + k // 2), number_at(half, above + k // 2)
        inverse = 1.0 / up_h if up_h > 0.0 else 0.0
        for v in range(vectors):
            s = (load(table, v) * h + (c - up_c)) * inverse
            store(scratch, values + v, evaluate(scratch, series + points, s))
        found = 0
        for i in range(parents):
            parent = number_at(near, above + i)
            for source in range(here + 2 * parent, min(here + 2 * parent + 2, above)):
                away, wide = abs(c - number_at(center, source)), number_at(half, source)
                if away - h >= ratio * wide and away - wide >= ratio * h and away > 0.0:
                    far(table, center, half, charge, box, source, close, values, scratch)
                else:
                    put(near, here + found, source - here)
                    found += 1
        put(counts, height, found)
        for v in range(vectors):
            f = full(0.0)
            for i in range(points):
                f = f + load(table, (1 + points + i) * vectors + v) * at(scratch, points + i)
            store(scratch, series // 8 + v, f)

    @jit
    def leaf_sums(x, center, half, close, k, near, counts, scratch, out):
        h = number_at(half, k)
        c, inverse = full(number_at(center, k)), full(1.0 / h if h > 0.0 else 0.0)
        found = number_at(counts, 0)
        for chunk in range(CHUNKS * k, CHUNKS * k + CHUNKS):
            t, u = load(x, 2 * chunk), load(x, 2 * chunk + 1)
            f = evaluate(scratch, 2 * points, (t - c) * inverse) + own(x, direct_sum.CHUNK * chunk, t, close)
            g = evaluate(scratch, 2 * points, (u - c) * inverse) + own(x, direct_sum.CHUNK * chunk, u, close)
            for i in range(found):
                source = number_at(near, i)
                first, last = CHUNKS * source, CHUNKS * source + CHUNKS
                if source == k:
                    a, b = others(x, first, chunk, t, u, close)
                    f, g = f + a, g + b
                    first = chunk + 1
                a, b = others(x, first, last, t, u, close)
                f, g = f + a, g + b
            store(out, 2 * chunk, f)
            store(out, 2 * chunk + 1, g)

    @jit
    def down(x, first, table, center, half, charge, ratio, close, begin, end, near, counts, scratch, out):
        top = len(first) - 2
        put(counts, top, 1)
        put(near, number_at(first, top), 0)
        for i in range(points):
            put(scratch, (2 + top) * points + i, 0.0)
        for k in range(begin, end):
            # The boxes above leaf k that do not hold leaf k - 1 as well are new, those above them are known.
            height = 0
            while height < top - 1 and (k == begin or (k >> height) & 1 == 0):
                height += 1
            for g in range(min(height, top - 1), -1, -1):
                box_field(first, table, center, half, charge, ratio, close, g, k >> g, near, counts, scratch)
            leaf_sums(x, center, half, close, k, near, counts, scratch, out)

    return down
