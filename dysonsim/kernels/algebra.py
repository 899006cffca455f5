"""Algebra of small matrices of lane values, stored flat by rows: element (i, j) of an N-column matrix is i*N + j.

Every product is made of 2 x 2 tiles, four inner products at once, which halves the loads per multiply-add. At an
odd edge a tile holds its last row or column twice and stores the same values twice, so that no size needs a case of
its own. Inner products run along rows, of a transposed copy or of a symmetric matrix, so that large matrices stream
through the caches.
"""

from __future__ import annotations

from types import SimpleNamespace


def build(lanes) -> SimpleNamespace:
    """Matrix functions on one target. Outputs come first and do not overlap inputs, other than where named once."""
    jit = lanes.jit
    load, store, full, sqrt, number = lanes.load, lanes.store, lanes.full, lanes.sqrt, lanes.number
    select = lanes.select
    zero, one = number(0), number(1)

    @jit
    def tile(a, i0, i1, da, b, j0, j1, db, inner):
        """sum_m a[i + m da] b[j + m db] for (i, j) = (i0, j0), (i0, j1), (i1, j0), (i1, j1)."""
        s00 = full(zero)
        s01 = s00
        s10 = s00
        s11 = s00
        for m in range(inner):
            a0 = load(a, i0 + m * da)
            a1 = load(a, i1 + m * da)
            b0 = load(b, j0 + m * db)
            b1 = load(b, j1 + m * db)
            s00 = a0 * b0 + s00
            s01 = a0 * b1 + s01
            s10 = a1 * b0 + s10
            s11 = a1 * b1 + s11
        return s00, s01, s10, s11

    @jit
    def store_symmetric(o, i0, i1, j0, j1, s00, s01, s10, s11, n):
        store(o, i0 * n + j0, s00)
        store(o, i0 * n + j1, s01)
        store(o, i1 * n + j0, s10)
        store(o, i1 * n + j1, s11)
        store(o, j0 * n + i0, s00)
        store(o, j1 * n + i0, s01)
        store(o, j0 * n + i1, s10)
        store(o, j1 * n + i1, s11)

    @jit
    def gram(o, a, rows, n, scale, work):
        """o = scale a^T a for a of shape (rows, n); work: rows n numbers."""
        for i in range(rows):
            for j in range(n):
                store(work, j * rows + i, load(a, i * n + j))
        for i0 in range(0, n, 2):
            i1 = min(i0 + 1, n - 1)
            for j0 in range(0, i0 + 1, 2):
                j1 = min(j0 + 1, n - 1)
                s00, s01, s10, s11 = tile(work, i0 * rows, i1 * rows, 1, work, j0 * rows, j1 * rows, 1, rows)
                store_symmetric(o, i0, i1, j0, j1, s00 * scale, s01 * scale, s10 * scale, s11 * scale, n)

    @jit
    def symmetric_product(o, a, b, n):
        """o = a b^T where that is symmetric: a b for symmetric a and b that commute, for example."""
        for i0 in range(0, n, 2):
            i1 = min(i0 + 1, n - 1)
            for j0 in range(0, i0 + 1, 2):
                j1 = min(j0 + 1, n - 1)
                s00, s01, s10, s11 = tile(a, i0 * n, i1 * n, 1, b, j0 * n, j1 * n, 1, n)
                store_symmetric(o, i0, i1, j0, j1, s00, s01, s10, s11, n)

    @jit
    def times_transposed(o, a, b, n, scale, lower):
        """o = scale a b^T for a and b of shape (n, n); lower: a is zero above the diagonal."""
        for i0 in range(0, n, 2):
            i1 = min(i0 + 1, n - 1)
            inner = i1 + 1 if lower else n
            for j0 in range(0, n, 2):
                j1 = min(j0 + 1, n - 1)
                s00, s01, s10, s11 = tile(a, i0 * n, i1 * n, 1, b, j0 * n, j1 * n, 1, inner)
                store(o, i0 * n + j0, s00 * scale)
                store(o, i0 * n + j1, s01 * scale)
                store(o, i1 * n + j0, s10 * scale)
                store(o, i1 * n + j1, s11 * scale)

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
        """o += scale o s for o of shape (rows, n) and symmetric s; work: 2 n numbers."""
        for i0 in range(0, rows, 2):
            i1 = min(i0 + 1, rows - 1)
            for j0 in range(0, n, 2):
                j1 = min(j0 + 1, n - 1)
                s00, s01, s10, s11 = tile(o, i0 * n, i1 * n, 1, s, j0 * n, j1 * n, 1, n)
                store(work, j0, load(o, i0 * n + j0) + s00 * scale)
                store(work, j1, load(o, i0 * n + j1) + s01 * scale)
                store(work, n + j0, load(o, i1 * n + j0) + s10 * scale)
                store(work, n + j1, load(o, i1 * n + j1) + s11 * scale)
            for j in range(n):
                store(o, i0 * n + j, load(work, j))
                store(o, i1 * n + j, load(work, n + j))

    return SimpleNamespace(
        tile=tile, store_symmetric=store_symmetric, gram=gram, symmetric_product=symmetric_product,
        times_transposed=times_transposed, add_identity=add_identity, powers=powers, cholesky=cholesky,
        add_product=add_product,
    )  # fmt: skip
