"""Euler steps of Dyson Brownian motion for the library's vector layer, and probes of what its own step is made of.

    dx_i = [-x_i + beta sum_{j != i} 1/(x_i - x_j)] dt + sqrt(2) dB_i,    constants: h, beta

Written as the library's kernels are: many replicas a lane value, counted random numbers, divisions shared.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dysonsim.backend import Kernel
from dysonsim.kernels.common import functions, rng

TOLERANCE = 1e-3  # relative change of every gap in the last step of the semi-implicit solver: moves no result
ITERATIONS = 40


def euler(beta: float, dt: float, n: int) -> Kernel:
    return Kernel(build_euler, {"n": n}, np.array([dt, beta]), np.zeros(1), n, scratch=2 * n + 4, vectors=2)


def semi_implicit(beta: float, dt: float, n: int) -> Kernel:
    return Kernel(build_semi, {"n": n}, np.array([dt, beta]), np.zeros(1), n, scratch=6 * n + 4, vectors=4)


def probe(what: str, n: int) -> Kernel:
    return Kernel(build_probe, {"n": n, "what": what}, np.zeros(1), np.zeros(1), n, vectors=4)


def repulsion(lanes, n: int) -> Callable:
    """`forces(f, x)`: f_i = sum_j 1/(x_i - x_j), two pairs a division."""
    jit, load, store, full, number = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.number
    zero, one = number(0), number(1)

    @jit
    def forces(f, x):
        for i in range(n):
            store(f, i, full(zero))
        for i in range(n):
            v, mine = load(x, i), load(f, i)
            for j in range(i + 1, n - 1, 2):
                a, b = v - load(x, j), v - load(x, j + 1)
                r = one / (a * b)
                p, q = b * r, a * r
                mine = mine + (p + q)
                store(f, j, load(f, j) - p)
                store(f, j + 1, load(f, j + 1) - q)
            if (n - i) % 2 == 0:
                p = one / (v - load(x, n - 1))
                mine = mine + p
                store(f, n - 1, load(f, n - 1) - p)
            store(f, i, mine)

    return forces


def build_euler(lanes, n: int):
    """Tamed Euler: x <- x + h f/(1 + h |f|) + sqrt(2 h) z. Levels need no order: their law has none."""
    jit, load, store, full, part = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.part
    number, sqrt = lanes.number, lanes.sqrt
    normals, forces, absolute = rng.build(lanes).normals, repulsion(lanes, n), functions.build(lanes).absolute
    one, two = number(1), number(2)
    blocks = -(-n // 4)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        f, z = part(scratch, 0, n), part(scratch, n, 4 * blocks)
        h, beta = reals[0], reals[1]
        forces(f, state)
        normals(z, blocks, 0, rng.LEVELS, s, replica, key0, key1)
        size = sqrt(full(two * h))
        for i in range(n):
            v = load(state, i)
            push = (load(f, i) * beta - v) * h
            store(state, i, v + push / (absolute(push) + one) + size * load(z, i))
        return full(number(0)) < full(one)

    return step


def build_semi(lanes, n: int):
    """Semi-implicit Euler: y = rho x + noise + c sum_j 1/(y_i - y_j), ordered, rho = exp(-h), c = beta (1 - rho^2)/2.

    Newton's method with a tridiagonal Hessian, from the old levels: neighbors exactly, the others on the diagonal from
    the levels of the start. A step that would take more than nine tenths of a gap is shortened.
    """
    jit, load, store, full, part = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.part
    number, sqrt, any_lane, select = lanes.number, lanes.sqrt, lanes.any, lanes.select
    helpers = functions.build(lanes)
    normals, forces = rng.build(lanes).normals, repulsion(lanes, n)
    exp, absolute, largest = helpers.exp, helpers.absolute, helpers.largest
    zero, half, one, keep, tolerance = (number(v) for v in (0, 0.5, 1, 0.9, TOLERANCE))
    blocks = -(-n // 4)

    @jit
    def stiffness(far, x):
        """sum_j 1/(x_i - x_j)^2 without neighbors, two pairs a division."""
        for i in range(n):
            store(far, i, full(zero))
        for i in range(n):
            v, mine = load(x, i), load(far, i)
            for j in range(i + 2, n - 1, 2):
                a, b = v - load(x, j), v - load(x, j + 1)
                r = one / (a * b)
                p, q = b * r, a * r
                p, q = p * p, q * q
                mine = mine + (p + q)
                store(far, j, load(far, j) + p)
                store(far, j + 1, load(far, j + 1) + q)
            if i < n - 2 and (n - i) % 2 == 1:
                p = one / (v - load(x, n - 1))
                p = p * p
                mine = mine + p
                store(far, n - 1, load(far, n - 1) + p)
            store(far, i, mine)

    @jit
    def newton(x, b, c, far, r, diagonal, off):
        """One step: r is what x must be lowered by."""
        forces(r, x)
        below, d_below, r_below = full(zero), full(one), full(zero)
        for i in range(n):
            d = load(far, i) * c + one + below
            residual = load(x, i) - load(b, i) - load(r, i) * c
            above = full(zero)
            if i < n - 1:
                u = one / (load(x, i + 1) - load(x, i))
                above = u * u * c
                d = d + above
            m = below / d_below
            d_below = d - m * below
            r_below = residual + m * r_below
            store(diagonal, i, d_below)
            store(off, i, above)
            store(r, i, r_below)
            below = above
        last = full(zero)
        for i in range(n - 1, -1, -1):
            last = (load(r, i) + load(off, i) * last) / load(diagonal, i)
            store(r, i, last)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        x, b = state, part(scratch, 0, 4 * blocks)
        far, r = part(scratch, 4 * blocks, n), part(scratch, 4 * blocks + n, n)
        diagonal, off = part(scratch, 4 * blocks + 2 * n, n), part(scratch, 4 * blocks + 3 * n, n)
        rho = exp(full(zero) - full(reals[0]))
        spread = full(one) - rho * rho
        c, size = spread * (half * reals[1]), sqrt(spread)
        normals(b, blocks, 0, rng.LEVELS, s, replica, key0, key1)
        for i in range(n):
            store(b, i, load(x, i) * rho + load(b, i) * size)
        stiffness(far, x)
        pending = full(one)
        count = 0
        while any_lane(zero < pending) and count < ITERATIONS:
            newton(x, b, c, far, r, diagonal, off)
            shrinks, change = full(keep), full(zero)
            for i in range(n - 1):
                ratio = (load(r, i + 1) - load(r, i)) / (load(x, i + 1) - load(x, i))
                shrinks, change = largest(shrinks, ratio), largest(change, absolute(ratio))
            length = full(keep) / shrinks * pending
            for i in range(n):
                store(x, i, load(x, i) - load(r, i) * length)
            pending = select(tolerance < change, pending, full(zero))
            count += 1
        return pending < full(one)

    return step


def build_probe(lanes, n: int, what: str):
    """`n` operations that do not wait for each other, of one kind."""
    jit, load, store, full, number, sqrt = (
        lanes.jit, lanes.load, lanes.store, lanes.full, lanes.number, lanes.sqrt
    )  # fmt: skip
    normals = rng.build(lanes).normals
    one = number(1)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        if what == "normal":
            normals(state, n // 4, 0, rng.LEVELS, s, replica, key0, key1)
        else:
            for i in range(n):
                v = load(state, i) + one
                store(state, i, sqrt(v) if what == "square root" else one / v)
        return full(number(0)) < full(one)

    return step
