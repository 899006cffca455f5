"""Algebra of small matrices of lane values, stored flat by rows: element (i, j) of an N-column matrix is i*N + j.

Every product is made of tiles, several inner products at once, which share their loads: 2 x 2, or 4 x 2 where a lane
value is a single vector register and the accumulators of such a tile still fit (`tall`). At an odd edge a tile holds
its last row or column twice and puts the same values twice, so that no size needs a case of its own.
"""

from __future__ import annotations

from types import SimpleNamespace


def build(lanes, tall: bool = False) -> SimpleNamespace:
    """Matrix functions on one target. Outputs come first and do not overlap inputs, other than where named once."""
    jit = lanes.jit
    load, store, full, sqrt, number = lanes.load, lanes.store, lanes.full, lanes.sqrt, lanes.number
    select = lanes.select
    zero, one = number(0), number(1)

    @jit
    def nothing(o, i, j, more):
        return full(zero)

    def product(put, start=nothing, lower=False, ragged=False):
        """A function that does ``put(o, i, j, start(o, i, j, more) + sum_m a_im b_jm, more)`` for all i and j.

        It is called as ``f(o, a, ai, am, b, bj, bm, rows, columns, inner, more)``, where a_im = a[i ai + m am] and
        b_jm = b[j bj + m bm]. lower: for j <= i, and some more; ragged: a_im = 0 for m > i. `start` is asked for a
        whole tile before any of it is put.
        """

        @jit
        def in_twos(o, a, ai, am, b, bj, bm, rows, columns, inner, more, first=0):
            for i0 in range(first, rows, 2):
                i1 = min(i0 + 1, rows - 1)
                a0, a1 = i0 * ai, i1 * ai
                terms = min(i1 + 1, inner) if ragged else inner
                for j0 in range(0, min(i1 + 1, columns) if lower else columns, 2):
                    j1 = min(j0 + 1, columns - 1)
                    b0, b1 = j0 * bj, j1 * bj
                    s00, s01 = start(o, i0, j0, more), start(o, i0, j1, more)
                    s10, s11 = start(o, i1, j0, more), start(o, i1, j1, more)
                    for m in range(terms):
                        x0, x1 = load(a, a0 + m * am), load(a, a1 + m * am)
                        y0, y1 = load(b, b0 + m * bm), load(b, b1 + m * bm)
                        s00 = x0 * y0 + s00
                        s01 = x0 * y1 + s01
                        s10 = x1 * y0 + s10
                        s11 = x1 * y1 + s11
                    put(o, i0, j0, s00, more)
                    put(o, i0, j1, s01, more)
                    put(o, i1, j0, s10, more)
                    put(o, i1, j1, s11, more)

        if not tall:
            return in_twos

        @jit
        def in_fours(o, a, ai, am, b, bj, bm, rows, columns, inner, more):
            done = rows - rows % 4
            for i0 in range(0, done, 4):
                i1, i2, i3 = i0 + 1, i0 + 2, i0 + 3
                a0, a1, a2, a3 = i0 * ai, i1 * ai, i2 * ai, i3 * ai
                terms = min(i3 + 1, inner) if ragged else inner
                for j0 in range(0, min(i3 + 1, columns) if lower else columns, 2):
                    j1 = min(j0 + 1, columns - 1)
                    b0, b1 = j0 * bj, j1 * bj
                    s00, s01 = start(o, i0, j0, more), start(o, i0, j1, more)
                    s10, s11 = start(o, i1, j0, more), start(o, i1, j1, more)
                    s20, s21 = start(o, i2, j0, more), start(o, i2, j1, more)
                    s30, s31 = start(o, i3, j0, more), start(o, i3, j1, more)
                    for m in range(terms):
                        y0, y1 = load(b, b0 + m * bm), load(b, b1 + m * bm)
                        x = load(a, a0 + m * am)
                        s00 = x * y0 + s00
                        s01 = x * y1 + s01
                        x = load(a, a1 + m * am)
                        s10 = x * y0 + s10
                        s11 = x * y1 + s11
                        x = load(a, a2 + m * am)
                        s20 = x * y0 + s20
                        s21 = x * y1 + s21
                        x = load(a, a3 + m * am)
                        s30 = x * y0 + s30
                        s31 = x * y1 + s31
                    put(o, i0, j0, s00, more)
                    put(o, i0, j1, s01, more)
                    put(o, i1, j0, s10, more)
                    put(o, i1, j1, s11, more)
                    put(o, i2, j0, s20, more)
                    put(o, i2, j1, s21, more)
                    put(o, i3, j0, s30, more)
                    put(o, i3, j1, s31, more)
            in_twos(o, a, ai, am, b, bj, bm, rows, columns, inner, more, done)

        return in_fours

    @jit
    def mirror(o, i, j, s, more):
        """Both halves of a symmetric matrix; more: its size and a factor."""
        n, scale = more
        s = s * scale
        store(o, i * n + j, s)
        store(o, j * n + i, s)

    @jit
    def scaled(o, i, j, s, more):
        columns, scale = more
        store(o, i * columns + j, s * scale)

    @jit
    def step_of(o, i, j, s, more):
        """more: what the step starts from, its number of columns, the length of the step."""
        old, columns, scale = more
        store(o, i * columns + j, load(old, i * columns + j) + s * scale)

    symmetric = product(mirror, lower=True)
    general, triangular = product(scaled), product(scaled, ragged=True)
    stepped = product(step_of)

    @jit
    def gram(o, a, rows, n, scale):
        """o = scale a^T a for a of shape (rows, n)."""
        symmetric(o, a, 1, n, a, 1, n, n, n, rows, (n, scale))

    @jit
    def symmetric_product(o, a, b, n):
        """o = a b^T where that is symmetric: a b for symmetric a and b that commute, for example."""
        symmetric(o, a, n, 1, b, n, 1, n, n, n, (n, one))

    @jit
    def times_transposed(o, a, b, n, scale, lower):
        """o = scale a b^T for a and b of shape (n, n); lower: a is zero above the diagonal."""
        if lower:
            triangular(o, a, n, 1, b, n, 1, n, n, n, (n, scale))
        else:
            general(o, a, n, 1, b, n, 1, n, n, n, (n, scale))

    @jit
    def add_identity(o, a, n):
        """o = 1 + a."""
        for i in range(n * n):
            store(o, i, load(a, i))
        for i in range(n):
            store(o, i * n + i, load(o, i * n + i) + one)

    @jit
    def add(o, a, n):
        """o += a."""
        for i in range(n * n):
            store(o, i, load(o, i) + load(a, i))

    @jit
    def powers(a, power, series, work, k, n):
        """a^k and 1 + a + ... + a^(2k-1) of a symmetric a, by doubling; the three arrays after `a` are overwritten."""
        bit = 0
        while k >> (bit + 1) > 0:
            bit += 1
        for i in range(n * n):
            store(power, i, load(a, i))
        j = 1  # here and below: power = a^j, series = S_j = 1 + ... + a^(j-1)
        while bit >= 0:
            bit -= 1
            if j == 1:
                add_identity(series, a, n)
            else:  # S_2j = S_j + S_j a^j
                symmetric_product(work, series, power, n)
                add(series, work, n)
            if bit >= 0:
                symmetric_product(work, power, power, n)
                power, work = work, power
                j = 2 * j
                if (k >> bit) & 1:
                    add(series, power, n)
                    symmetric_product(work, power, a, n)
                    power, work = work, power
                    j = j + 1
        return power, series

    @jit
    def cholesky(c, n):
        """Lower factor of c in place, zero above the diagonal; returns the smallest pivot (before its root)."""
        smallest = load(c, 0)
        for j in range(n):
            d = load(c, j * n + j)
            for m in range(j):
                x = load(c, j * n + m)
                d = d - x * x
            smallest = select(d < smallest, d, smallest)
            d = sqrt(d)
            store(c, j * n + j, d)
            reciprocal = full(one) / d
            for i in range(j + 1, n):
                s = load(c, i * n + j)
                for m in range(j):
                    s = s - load(c, i * n + m) * load(c, j * n + m)
                store(c, i * n + j, s * reciprocal)
                store(c, j * n + i, full(zero))
        return smallest

    @jit
    def add_product(o, scale, s, rows, n, work):
        """o += scale o s for o of shape (rows, n) and symmetric s; work: rows n numbers."""
        stepped(work, o, n, 1, s, n, 1, rows, n, n, (o, n, scale))
        for i in range(rows * n):
            store(o, i, load(work, i))

    return SimpleNamespace(
        product=product, mirror=mirror, gram=gram, symmetric_product=symmetric_product,
        times_transposed=times_transposed, add_identity=add_identity, powers=powers, cholesky=cholesky,
        add_product=add_product,
    )  # fmt: skip
