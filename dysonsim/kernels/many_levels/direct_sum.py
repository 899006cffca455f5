"""Repulsion sums F_i = sum_{j != i} 1/(x_i - x_j), every pair, one division for sixteen of them.

A sum of reciprocals is one fraction: with n/d = 1/a_1 + ... + 1/a_q, the next term makes it (n a + d)/(d a), two
multiply-adds in place of a division. Relative to the sum of absolute values the error is that of the plain sum, a few
roundings for each sixteen terms. What must not happen is that the product d of sixteen differences leaves the range of
floating point: levels are scaled to a range of 1 to 2, and where two of them lie closer than `CLOSEST` to each other
(`close`) every term gets its own division.

Eight targets x_i are the lanes of a vector, the sources x_j are spread over the lanes one after the other.
"""

from __future__ import annotations

from types import SimpleNamespace

CHUNK = 16  # sources that share a division; arrays are padded to a multiple of it
CLOSEST = 2.0**-60  # sixteen such differences: 2^-960
FAR = 2.0**60  # where padding lies, and the distance that stands for a level's distance to itself


def build_chunks(lanes) -> SimpleNamespace:
    """`others(x, first, last, t, u, close)`: the sums of 1/(t - x_j) and 1/(u - x_j) over chunks `first` to `last` - 1.

    `own(x, j, t, close)`: the sum of 1/(t - x[j + q]) over q < 16, without infinite terms.
    """
    jit, at, select, full = lanes.jit, lanes.at, lanes.select, lanes.full

    @jit
    def others(x, first, last, t, u, close):
        f, g = full(0.0), full(0.0)
        if close:
            for j in range(CHUNK * first, CHUNK * last):
                f = f + 1.0 / (t - at(x, j))
                g = g + 1.0 / (u - at(x, j))
            return f, g
        # Two targets at a time: one chain runs while the other waits, and they share the loads.
        for j in range(CHUNK * first, CHUNK * last, CHUNK):
            a, b = t - at(x, j), t - at(x, j + 1)
            n, d = a + b, a * b
            a, b = u - at(x, j), u - at(x, j + 1)
            m, e = a + b, a * b
            for q in range(2, CHUNK):
                a, b = t - at(x, j + q), u - at(x, j + q)
                n = n * a + d
                m = m * b + e
                d = d * a
                e = e * b
            f = f + n / d
            g = g + m / e
        return f, g

    @jit
    def distance(t, s):
        """Return t - s; FAR for the distance of a level to itself."""
        a = t - s
        return select(full(0.0) < a, a, select(a < full(0.0), a, full(FAR)))

    @jit
    def own(x, j, t, close):
        if close:
            total = full(0.0)
            for q in range(CHUNK):
                total = total + 1.0 / distance(t, at(x, j + q))
            return total
        n, d = full(0.0), full(1.0)
        for q in range(CHUNK):
            a = distance(t, at(x, j + q))
            n = n * a + d
            d = d * a
        return n / d

    return SimpleNamespace(others=others, own=own)


def build(lanes):
    """``direct(x, sources, first, last, close, out)``: sums of the targets in chunks `first` to `last` - 1.

    x : (sources + padding,) scaled levels in any order, a whole number of chunks; out : the same length.
    """
    jit, load, store = lanes.jit, lanes.load, lanes.store
    chunks = build_chunks(lanes)
    own, others = chunks.own, chunks.others

    @jit
    def direct(x, sources, first, last, close, out):
        for c in range(first, last):
            t, u = load(x, 2 * c), load(x, 2 * c + 1)
            f, g = others(x, 0, c, t, u, close)
            a, b = others(x, c + 1, sources // CHUNK, t, u, close)
            store(out, 2 * c, f + a + own(x, CHUNK * c, t, close))
            store(out, 2 * c + 1, g + b + own(x, CHUNK * c, u, close))

    return direct
