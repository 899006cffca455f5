"""One step of Dyson Brownian motion whose levels keep a strict order whatever happens: repulsion taken at the end.

    y_i - c_i sum_{j != i} 1/(y_i - y_j) = b_i,    b = drift and noise of the step, c_i = beta g_i^2 h

has one solution with y_1 < ... < y_n, the minimum of the strictly convex sum_i (y_i - b_i)^2/2c_i - sum_{i<j}
log(y_j - y_i): found by Newton's method, steps shortened so that no gap loses more than nine tenths of itself. Two
levels in closed form. Weak order 1, and a large bias where h is not small compared with gap^2/g^2 (mean spacings of ten
levels 3% at h = 0.1 relaxation times, where the splitting of `kernels/dyson/pairs.py` has 0.05%): for where order
matters.
"""

from __future__ import annotations

from ..common import algebra, functions, rng
from .pairs import DT, LIMIT, TERMS

ITERATIONS = 60
PRECISION = {"float64": 1e-11, "float32": 1e-5}  # relative change of every gap at which a replica has converged


def scratch(n: int, extra: int) -> int:
    """Numbers of working space that one gas needs, besides that of its terms."""
    return n * n + 3 * n + 4 * -(-n // 4)


def build(lanes, n: int, terms, **sizes):
    """One step on one target; `terms` as in `kernels/dyson/terms.py`, of the general process."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt, select = lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt, lanes.select
    any_lane = lanes.any
    normals, cholesky = rng.build(lanes).normals, algebra.build(lanes, (n,)).cholesky
    helpers = functions.build(lanes)
    absolute, least, largest = helpers.absolute, helpers.least, helpers.largest
    sum_of_squares = helpers.sum_of_squares
    coefficients = terms(lanes, n, **sizes)
    prepare, flow, kick, pair = coefficients.prepare, coefficients.flow, coefficients.kick, coefficients.pair
    work_size = coefficients.work
    blocks = -(-n // 4)
    zero, half, one, two = number(0), number(0.5), number(1), number(2)
    precision, keep = number(PRECISION[number.__name__]), number(0.9)

    @jit
    def solve_two(x, b, constants, work):
        """D - (c_1 + c_2)/D = b_2 - b_1 for the gap D; the mean weighted with 1/c stays."""
        c0, c1 = pair(0, 0, zero, zero, constants, work), pair(1, 1, zero, zero, constants, work)
        b0, b1 = load(b, 0), load(b, 1)
        d = b1 - b0
        gap = (sqrt(d * d + (c0 + c1) * (two + two)) + absolute(d)) * half
        gap = select(d < full(zero), (c0 + c1) / gap, gap)
        low = b0 + (d - gap) * (c0 / (c0 + c1))
        store(x, 0, low)
        store(x, 1, low + gap)

    @jit
    def newton(x, b, r, hessian, constants, work):
        """One step for every lane: the largest relative change of a gap, and x itself moved where `moving`."""
        for i in range(n):
            xi = load(x, i)
            stiffness = full(one) / pair(i, i, xi, xi, constants, work)
            store(r, i, (xi - load(b, i)) * stiffness)
            store(hessian, i * n + i, stiffness)
        for i in range(n):
            for j in range(i):
                u = full(one) / (load(x, i) - load(x, j))
                store(r, i, load(r, i) - u)
                store(r, j, load(r, j) + u)
                store(hessian, i * n + i, load(hessian, i * n + i) + u * u)
                store(hessian, j * n + j, load(hessian, j * n + j) + u * u)
                store(hessian, i * n + j, full(zero) - u * u)
        cholesky(hessian, n)
        for i in range(n):
            s = load(r, i)
            for m in range(i):
                s = s - load(hessian, i * n + m) * load(r, m)
            store(r, i, s / load(hessian, i * n + i))
        for i in range(n - 1, -1, -1):
            s = load(r, i)
            for m in range(i + 1, n):
                s = s - load(hessian, m * n + i) * load(r, m)
            store(r, i, s / load(hessian, i * n + i))

    @jit
    def solve(x, b, r, hessian, constants, work):
        pending = full(one)
        count = 0
        while any_lane(zero < pending) and count < ITERATIONS:
            newton(x, b, r, hessian, constants, work)
            shrinks, change = full(zero), full(zero)
            for i in range(n - 1):
                ratio = (load(r, i + 1) - load(r, i)) / (load(x, i + 1) - load(x, i))
                shrinks = largest(shrinks, ratio)
                change = largest(change, absolute(ratio))
            length = least(full(keep) / largest(shrinks, full(keep)), full(one)) * pending
            for i in range(n):
                store(x, i, load(x, i) - load(r, i) * length)
            pending = select(precision < change, pending, full(zero))
            count += 1

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        x = state  # the levels come first
        hessian, b, r = part(scratch, 0, n * n), part(scratch, n * n, n), part(scratch, n * n + n, n)
        old, z = part(scratch, n * n + 2 * n, n), part(scratch, n * n + 3 * n, 4 * blocks)
        work = part(scratch, n * n + 3 * n + 4 * blocks, work_size)
        constants = reals[TERMS:]
        for i in range(n):
            store(old, i, load(x, i))
        prepare(reals[DT], constants, work)
        flow(x, reals[DT] * half, constants, work)
        normals(z, blocks, 0, rng.LEVELS, s, replica, key0, key1)
        for i in range(n):
            store(b, i, kick(i, load(x, i), load(z, i), constants, work))
            store(x, i, load(old, i))
        if n == 2:
            solve_two(x, b, constants, work)
        elif n == 1:
            store(x, 0, load(b, 0))
        else:
            solve(x, b, r, hessian, constants, work)
        flow(x, reals[DT] * half, constants, work)
        smallest = full(one)
        for i in range(n - 1):
            smallest = least(smallest, load(x, i + 1) - load(x, i))
        return (sum_of_squares(x, n) < reals[LIMIT]) & (zero < smallest)

    return step
