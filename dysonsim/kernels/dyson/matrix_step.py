"""One exact transition of a matrix whose entries are Ornstein-Uhlenbeck processes, in lanes: levels in, levels out.

The law, and the random numbers, of `dysonsim.processes.matrix_motion`, which does the same with LAPACK on the host:

- "hermitian": the eigenvalues of center + decay (diag(x) - center) + spread G, n x n;
- "rectangular": the singular values of decay diag(xi) + spread G, m x n, as roots of the eigenvalues of W^T W: the
  squares are good to rounding of the largest.

Complex (beta = 2) and quaternionic (4) matrices are real ones of twice and four times the size, which have every level
as many times; what is left of their differences is averaged. Householder's reflections make them tridiagonal, then
comes the QL iteration of `kernels/gas/tridiagonal.py`. All is done with entries near 1, whatever the levels' unit.
Levels agree with LAPACK's to rounding, a few units of 2^-23 of the largest in float32 for any beta.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ..common import functions, order, rng
from ..common.once import once
from ..gas import tridiagonal

DECAY, SPREAD, CENTER = range(3)  # in `reals`; spread: of a real component off the diagonal
COLUMNS, ROWS = range(2)  # in `integers`
TINY = {"float64": 1e-200, "float32": 1e-30}  # squares of columns that count as zero, next to entries of about 1


def draws(shape: str, m: int, n: int, beta: int) -> int:
    """Count the normals of a transition."""
    return n + beta * (n * (n - 1) // 2) if shape == "hermitian" else beta * m * n


def scratch(shape: str, m: int, n: int, beta: int) -> int:
    """Numbers of working space that one replica needs."""
    matrix, large = (beta * n) ** 2, beta * n
    drawn = 4 * -(-draws(shape, m, n, beta) // 4)
    return drawn + matrix + 4 * large + 1 + (0 if shape == "hermitian" else beta * m * beta * n)


def real_entries(lanes, beta: int):
    """``put(a, m, n, i, j, w0, w1, w2, w3)``: an entry of an m x n matrix over beta components, into a real matrix."""
    jit, store, full, zero = lanes.jit, lanes.store, lanes.full, lanes.number(0)

    @jit
    def put(a, m, n, i, j, w0, w1, w2, w3):
        columns = beta * n
        store(a, i * columns + j, w0)
        if beta > 1:
            low = full(zero) - w1
            mirrored = i + (beta // 2) * m, j + (beta // 2) * n
            store(a, i * columns + mirrored[1], low)
            store(a, mirrored[0] * columns + j, w1)
            store(a, mirrored[0] * columns + mirrored[1], w0)
        if beta > 2:  # rows 0 and 2 have the first half of a quaternion, 1 and 3 its conjugate
            i1, i2, i3, j1, j2, j3 = i + m, i + 2 * m, i + 3 * m, j + n, j + 2 * n, j + 3 * n
            n2, n3 = full(zero) - w2, full(zero) - w3
            store(a, i * columns + j1, w2)
            store(a, i * columns + j3, n3)
            store(a, i1 * columns + j, n2)
            store(a, i1 * columns + j1, w0)
            store(a, i1 * columns + j2, n3)
            store(a, i1 * columns + j3, w1)
            store(a, i2 * columns + j1, w3)
            store(a, i2 * columns + j3, w2)
            store(a, i3 * columns + j, w3)
            store(a, i3 * columns + j1, full(zero) - w1)
            store(a, i3 * columns + j2, n2)
            store(a, i3 * columns + j3, w0)

    return put


def matrices(lanes, shape: str, beta: int) -> SimpleNamespace:
    """`drifted` levels, and ``fill(a, x, z, reals, m, n, down)``: M' of the module, of levels x and normals z.

    Its entries are multiplied by `down`.
    """
    jit, load, full, put = lanes.jit, lanes.load, lanes.full, real_entries(lanes, beta)
    zero, root_of_two = lanes.number(0), lanes.number(np.sqrt(2))

    @jit
    def component(z, k, first, stride, scale):
        """Component k of an entry, if there are so many."""
        return load(z, first + k * stride) * scale if k < beta else full(zero)

    @jit
    def drifted(x, i, reals):
        """Where level i is without noise."""
        if shape == "rectangular":
            return load(x, i) * reals[DECAY]
        return (load(x, i) - reals[CENTER]) * reals[DECAY] + reals[CENTER]

    if shape == "hermitian":

        @jit
        def fill(a, x, z, reals, m, n, down):
            scale = down * reals[SPREAD]
            none, pairs = full(zero), n * (n - 1) // 2
            for i in range(n):
                level = drifted(x, i, reals) * down + load(z, i) * (scale * root_of_two)
                put(a, n, n, i, i, level, none, none, none)
                for j in range(i):
                    first = n + i * (i - 1) // 2 + j
                    w0, w1 = component(z, 0, first, pairs, scale), component(z, 1, first, pairs, scale)
                    w2, w3 = component(z, 2, first, pairs, scale), component(z, 3, first, pairs, scale)
                    put(a, n, n, i, j, w0, w1, w2, w3)
                    put(a, n, n, j, i, w0, none - w1, none - w2, none - w3)

    else:

        @jit
        def fill(a, x, z, reals, m, n, down):
            for i in range(m):
                for j in range(n):
                    first, scale = i * n + j, down * reals[SPREAD]
                    w0, w1 = component(z, 0, first, m * n, scale), component(z, 1, first, m * n, scale)
                    w2, w3 = component(z, 2, first, m * n, scale), component(z, 3, first, m * n, scale)
                    if i == j:
                        w0 = w0 + drifted(x, i, reals) * down
                    put(a, m, n, i, j, w0, w1, w2, w3)

    return SimpleNamespace(drifted=drifted, fill=fill)


@once
def products(lanes):
    """``gram(a, w, rows, n)``: a = w^T w."""
    jit, load, store, full, zero = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.number(0)

    @jit
    def gram(a, w, rows, n):
        for i in range(n):
            for j in range(i + 1):
                s = full(zero)
                for k in range(rows):
                    s = load(w, k * n + i) * load(w, k * n + j) + s
                store(a, i * n + j, s)
                store(a, j * n + i, s)

    return gram


@once
def tridiagonals(lanes):
    """``reduce(a, d, e, v, n)``: diagonal d and squares e of the off-diagonal of a symmetric a, made tridiagonal.

    v: n numbers; a is lost.
    """
    jit, number = lanes.jit, lanes.number
    load, store, full, sqrt, select = lanes.load, lanes.store, lanes.full, lanes.sqrt, lanes.select
    zero, half, one, tiny = number(0), number(0.5), number(1), number(TINY[number.__name__])

    @jit
    def reduce(a, d, e, v, n):
        for k in range(n - 2):
            norm = full(zero)
            for i in range(k + 1, n):
                x = load(a, i * n + k)
                store(v, i, x)
                norm = x * x + norm
            first = load(v, k + 1)
            length = sqrt(norm)
            store(v, k + 1, first + select(first < zero, full(zero) - length, length))
            size = norm + length * select(first < zero, full(zero) - first, first)  # half of v^2
            inverse = select(tiny < size, one / select(tiny < size, size, one), full(zero))
            store(d, k, load(a, k * n + k))
            product = full(zero)
            for i in range(k + 1, n):  # e holds p = a v/(v^2/2) for now
                s = full(zero)
                for j in range(k + 1, n):
                    s = load(a, i * n + j) * load(v, j) + s
                s = s * inverse
                store(e, i, s)
                product = s * load(v, i) + product
            along = product * inverse * half
            for i in range(k + 1, n):
                store(e, i, load(e, i) - load(v, i) * along)
            for i in range(k + 1, n):
                vi, qi = load(v, i), load(e, i)
                for j in range(k + 1, n):
                    store(a, i * n + j, load(a, i * n + j) - (vi * load(e, j) + qi * load(v, j)))
            store(e, k, norm)
        if n > 1:
            below = load(a, (n - 1) * n + n - 2)
            store(d, n - 2, load(a, (n - 2) * n + n - 2))
            store(e, n - 2, below * below)
        store(d, n - 1, load(a, n * n - 1))

    return reduce


def build(lanes, shape: str, beta: int):
    """One transition on one target; sizes are in `integers`."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt, select = lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt, lanes.select
    normals, elementary, matrix = rng.build(lanes).normals, functions.build(lanes), matrices(lanes, shape, beta)
    largest, absolute, powers_near = elementary.largest, elementary.absolute, elementary.powers_near
    drifted, fill, gram, reduce = matrix.drifted, matrix.fill, products(lanes), tridiagonals(lanes)
    eigenvalues, sort = tridiagonal.build_eigenvalues(lanes), order.build(lanes)
    zero, infinite, share = number(0), number(np.inf), number(1 / beta)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        n, m = integers[COLUMNS], integers[ROWS]
        large = beta * n
        count = n + beta * (n * (n - 1) // 2) if shape == "hermitian" else beta * m * n
        blocks = (count + 3) // 4
        z, a = part(scratch, 0, 4 * blocks), part(scratch, 4 * blocks, large * large)
        rest = 4 * blocks + large * large
        d, e = part(scratch, rest, large + 1), part(scratch, rest + large + 1, large)
        v = part(scratch, rest + 2 * large + 1, large)
        normals(z, blocks, 0, rng.LEVELS, s, replica, key0, key1)
        top = full(reals[SPREAD])
        for i in range(n):
            top = largest(top, absolute(drifted(state, i, reals)))
        up, down = powers_near(top)
        if shape == "hermitian":
            fill(a, state, z, reals, n, n, down)
        else:
            w = part(scratch, rest + 4 * large + 1, beta * m * large)
            fill(w, state, z, reals, m, n, down)
            gram(a, w, beta * m, large)
        reduce(a, d, e, v, large)
        eigenvalues(d, e, large)
        sort(d, large)
        total = full(zero)
        for i in range(n):
            level = full(zero)
            for k in range(beta):
                level = level + load(d, beta * i + k)
            level = level * share
            if shape == "rectangular":
                level = sqrt(select(zero < level, level, full(zero)))
            level = level * up
            total = level * level + total
            store(state, i, level)
        return total < infinite

    return step
