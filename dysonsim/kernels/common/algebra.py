"""Algebra of small matrices of lane values, stored flat by rows: element (i, j) of an N-column matrix is i*N + j.

Every product is made of tiles, several inner products at once, which share their loads: 2 x 2, or 4 x 2 where a lane
value is a single vector register and the accumulators of such a tile still fit (`tall`). Where a team of threads shares
a network, each takes its share of the tiles, whose size the target names. At an odd edge a tile holds its last row or
column more than once and puts the same values as often, so that no size needs a case of its own.
"""

from __future__ import annotations

from types import SimpleNamespace

from . import tiles
from .once import once


def products(lanes, sizes: tuple[int, ...], tall: bool):
    """``product(put, start, ...)``, which makes functions that multiply by tiles; `build` says what sizes are."""
    jit, load, full, zero = lanes.jit, lanes.load, lanes.full, lanes.number(0)
    member, together, team, edge = lanes.member, lanes.together, lanes.team, lanes.tile

    @jit
    def nothing(o, i, j, more):
        return full(zero)

    def product(
        put, start=nothing, lower=False, ragged=False, thin=False, unroll=lanes.unroll, load_a=load, load_b=load
    ):
        """Make a function that does ``put(o, i, j, start(o, i, j, more) + sum_m a_im b_jm, more)`` for all i and j.

        It is called as ``f(o, a, ai, am, b, bj, bm, rows, columns, inner, more)``, where a_im = a[i ai + m am] and
        b_jm = b[j bj + m bm]. lower: for j <= i, and some more; ragged: a_im = 0 for m > i; thin: columns come in
        fours. `start` is asked for a whole tile before any of it is put. unroll: terms to a turn of a team's loops;
        load_a, load_b: how entries are read, where a or b holds no lane values.
        """

        def by_tiles(down, across, rest=None, **kinds):
            make = tiles.made(tiles.product(down, across, lower, rest=rest is not None, **kinds))
            return jit(make(load_a, load_b, put, start, rest, member, team, together))

        if team > 1:
            even = all(size % edge == 0 for size in sizes)
            return by_tiles(edge, 4 if thin else edge, team=True, unroll=unroll, even=(even, even and not thin))
        twos = by_tiles(2, 2, ragged=ragged)
        return by_tiles(4, 2, rest=twos, ragged=ragged) if tall else twos

    return product


def usual_products(lanes, product) -> SimpleNamespace:
    """`gram`, `symmetric_product`, `times_transposed`; `stepped`, and `mirror`, with which more of them are made."""
    jit, load, store, one = lanes.jit, lanes.load, lanes.store, lanes.number(1)

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
        """Compute o = scale a^T a for a of shape (rows, n)."""
        symmetric(o, a, 1, n, a, 1, n, n, n, rows, (n, scale))

    @jit
    def symmetric_product(o, a, b, n):
        """Compute o = a b^T where that is symmetric: a b for symmetric a and b that commute, for example."""
        symmetric(o, a, n, 1, b, n, 1, n, n, n, (n, one))

    @jit
    def times_transposed(o, a, b, n, scale, lower):
        """Compute o = scale a b^T for a and b of shape (n, n); lower: a is zero above the diagonal."""
        if lower:
            triangular(o, a, n, 1, b, n, 1, n, n, n, (n, scale))
        else:
            general(o, a, n, 1, b, n, 1, n, n, n, (n, scale))

    return SimpleNamespace(
        gram=gram, symmetric_product=symmetric_product, times_transposed=times_transposed, stepped=stepped,
        mirror=mirror,
    )  # fmt: skip


@once
def sums(lanes) -> SimpleNamespace:
    """Entry by entry: `copy`, `add`, `add_identity`."""
    jit, load, store, one = lanes.jit, lanes.load, lanes.store, lanes.number(1)
    member, together, team = lanes.member, lanes.together, lanes.team

    def each(put):
        """Make a function ``f(o, a, count)`` that does ``put(o, a, i)`` for all i < count."""

        @jit
        def one_by_one(o, a, count):
            for first in range(0, count, team):  # as often for every member: compilers know how often
                i = first + member()
                if count % team == 0 or i < count:
                    put(o, a, i)
            together()

        return one_by_one

    @jit
    def put_copy(o, a, i):
        store(o, i, load(a, i))

    @jit
    def put_sum(o, a, i):
        store(o, i, load(o, i) + load(a, i))

    copy, accumulate = each(put_copy), each(put_sum)

    @jit
    def add_identity(o, a, n):
        """Compute o = 1 + a."""
        copy(o, a, n * n)
        for i in range(member(), n, team):
            store(o, i * n + i, load(o, i * n + i) + one)
        together()

    @jit
    def add(o, a, n):
        """Do o += a."""
        accumulate(o, a, n * n)

    return SimpleNamespace(copy=copy, add=add, add_identity=add_identity)


def powers_of(lanes, symmetric_product, entries):
    """``powers(a, area, k, n)``: a^k and 1 + a + ... + a^(2k-1) of a symmetric a, by doubling.

    `area` has room for three matrices; returned is where in it these two lie, and where nothing does.
    """
    jit, part = lanes.jit, lanes.part
    copy, add, add_identity = entries.copy, entries.add, entries.add_identity

    @jit
    def powers(a, area, k, n):
        bit, size = 0, n * n
        while k >> (bit + 1) > 0:
            bit += 1
        power, series, work = 0, size, 2 * size
        copy(part(area, power, size), a, size)
        j = 1  # here and below: power = a^j, series = S_j = 1 + ... + a^(j-1)
        while bit >= 0:
            bit -= 1
            if j == 1:
                add_identity(part(area, series, size), a, n)
            else:  # S_2j = S_j + S_j a^j
                symmetric_product(part(area, work, size), part(area, series, size), part(area, power, size), n)
                add(part(area, series, size), part(area, work, size), n)
            if bit >= 0:
                symmetric_product(part(area, work, size), part(area, power, size), part(area, power, size), n)
                power, work = work, power
                j = 2 * j
                if (k >> bit) & 1:
                    add(part(area, series, size), part(area, power, size), n)
                    symmetric_product(part(area, work, size), part(area, power, size), a, n)
                    power, work = work, power
                    j = j + 1
        return power, series, work

    return powers


@once
def cholesky_by_columns(lanes):
    """``factor(c, n)``: lower factor of c in place, zero above the diagonal; the smallest pivot (before its root)."""
    jit, load, store, full = lanes.jit, lanes.load, lanes.store, lanes.full
    sqrt, select, zero, one = lanes.sqrt, lanes.select, lanes.number(0), lanes.number(1)

    @jit
    def factor(c, n):
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

    return factor


def panels(lanes, product, order: int) -> SimpleNamespace:
    """Make what a factor in several columns at a time takes: `panel` of a width, and `subtracted`."""
    jit, load, store, full = lanes.jit, lanes.load, lanes.store, lanes.full
    sqrt, select, zero, one = lanes.sqrt, lanes.select, lanes.number(0), lanes.number(1)
    member, together, team = lanes.member, lanes.together, lanes.team

    def subtracted(**kinds):
        """Do o -= a b^T in a matrix of that order, as a product of these kinds."""

        @jit
        def minus(o, i, j, more):
            return full(zero) - load(o, i * order + j)

        @jit
        def put_minus(o, i, j, s, more):
            store(o, i * order + j, full(zero) - s)

        return product(put_minus, minus, **kinds)

    def panel(width):
        names = load, store, sqrt, select, full, zero, one, member, together, team
        return jit(tiles.made(tiles.panel(width, order))(*names))

    return SimpleNamespace(panel=panel, subtracted=subtracted)


def cholesky_by_pairs(lanes, product, order: int):
    """Do the same in pairs of columns: what those before them contribute is taken off by a product."""
    jit, load, part, pieces = lanes.jit, lanes.load, lanes.part, panels(lanes, product, order)
    subtract, pair, single = pieces.subtracted(), pieces.panel(2), pieces.panel(1)

    @jit
    def factor(c, n):
        smallest = load(c, 0)
        for at in range(0, order, 2):
            width, below = min(2, order - at), order - at
            if at > 0:
                rows, rest = part(c, at * order, below * order), part(c, at * (order + 1), below * order - at)
                subtract(rest, rows, order, 1, rows, order, 1, below, width, at, 0)
            smallest = pair(c, at, smallest) if width == 2 else single(c, at, smallest)
        return smallest

    return factor


def cholesky_by_panels(lanes, product, order: int):
    """Do the same in panels, a tile wide: the triangle at the top, the rows below it, what they take off the rest."""
    jit, load, part, edge = lanes.jit, lanes.load, lanes.part, lanes.tile
    pieces = panels(lanes, product, order)
    left = order % edge
    whole = order - left
    subtract = pieces.subtracted(lower=True, unroll=edge)
    first, last = pieces.panel(edge), pieces.panel(max(left, 1))

    @jit
    def factor(c, n):
        smallest = load(c, 0)
        for at in range(0, whole, edge):
            smallest = first(c, at, smallest)
            below = order - at - edge
            if below > 0:
                rows = part(c, (at + edge) * order + at, below * order)
                rest = part(c, (at + edge) * (order + 1), below * order)
                subtract(rest, rows, order, 1, rows, order, 1, below, below, edge, 0)
        if left > 0:
            smallest = last(c, whole, smallest)
        return smallest

    return factor


@once
def build(lanes, sizes: tuple[int, ...], tall: bool = False) -> SimpleNamespace:
    """Matrix functions on one target. Outputs come first and do not overlap inputs, other than where named once.

    sizes: what rows and columns of products there are, other than thin ones' columns; first the order of matrices that
    have a Cholesky factor.
    The threads of a team call them together and find all of their results.
    """
    jit, product, entries = lanes.jit, products(lanes, sizes, tall), sums(lanes)
    usual, copy = usual_products(lanes, product), entries.copy
    stepped = usual.stepped
    if lanes.team > 1:
        cholesky = cholesky_by_panels(lanes, product, sizes[0])
    else:
        cholesky = cholesky_by_pairs(lanes, product, sizes[0]) if tall else cholesky_by_columns(lanes)

    @jit
    def add_product(o, scale, s, rows, n, work):
        """Do o += scale o s for o of shape (rows, n) and symmetric s; work: rows n numbers."""
        stepped(work, o, n, 1, s, n, 1, rows, n, n, (o, n, scale))
        copy(o, work, rows * n)

    return SimpleNamespace(
        product=product, mirror=usual.mirror, gram=usual.gram, symmetric_product=usual.symmetric_product,
        times_transposed=usual.times_transposed, add_identity=entries.add_identity,
        powers=powers_of(lanes, usual.symmetric_product, entries), cholesky=cholesky, add_product=add_product,
        copy=copy,
    )  # fmt: skip
