"""One step of Dyson Brownian motion by splitting the repulsion into pairs and moving each pair exactly.

    dx_i = [K_i(x) + sum_{j != i} G_ij/(x_i - x_j)] dt + sqrt(2) g_i(x_i) dB_i

where G_ij may differ from G_ji if levels feel different noise, G_ij = beta g_i^2.

A step of length h is, in this order,

    drift for h/2;  far pairs for h/2;  normals: x_i += sqrt(2 h) g_i z_i;  neighbours for h;  far pairs for h/2;
    drift for h/2

A pair keeps its (weighted) mean and opens its gap y by the noise that the two eigenvectors feel: far pairs by the mean
of it, y^2 <- y^2 + 4 G h; neighbours by y^2 <- y^2 + 4 G h chi^2_beta/beta (for beta = 1 the eigenvalues of the 2 x 2
matrix that gets an off-diagonal kick), G = (G_ij + G_ji)/2, in two halves: one sweep upwards and one downwards with half
of the same opening. The second sweep of the far pairs undoes the order of the first.

What is exact. Two levels with linear drift: any h (the gap is a Bessel process of dimension 1 + beta in the clock
tau = sinh(rate h)/rate, which `terms` supplies). E sum x_i^2 at any n: every sub-step has its exact mean.
Nothing overshoots: no sub-step has a singularity. Weak order 2 at fixed gaps: to second order in h the generator of a
step is a sum over products of two generators; those within a pair of neighbours are exact (its noise comes first),
all others come in both orders alike. Gaps smaller than sqrt(4 G h) are not resolved.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from . import functions, gamma, rng

# Constants in `reals`, before those of the terms.
DT, BETA, LIMIT, TERMS = range(4)
u32 = np.uint32


def scratch(n: int) -> int:
    """Numbers of working space that one gas needs, besides that of its terms."""
    return 8 * -(-n // 4)


def draws(beta: float) -> str:
    """How chi-squared numbers of beta degrees of freedom are drawn."""
    return {1.0: "one", 2.0: "two", 4.0: "four"}.get(beta, "any")


def pairs(lanes, chi: str) -> SimpleNamespace:
    """Ordering of levels, and the chi-squared numbers of the neighbours."""
    jit, number = lanes.jit, lanes.number
    load, store, select, any_lane = lanes.load, lanes.store, lanes.select, lanes.any
    generator = rng.build(lanes)
    normals, words, uniform, real = generator.normals, generator.words, generator.uniform, lanes.real
    log = functions.build(lanes).log
    chi_squared = gamma.build(lanes)
    minus_two = number(-2)

    @jit
    def order(x, n):
        """Sort in place: passes over neighbours until none is out of order in any lane."""
        top = n - 1
        while top > 0:
            moving = load(x, 0)
            wrong = moving < moving
            for i in range(top):
                upper = load(x, i + 1)
                swap = upper < moving
                wrong = wrong | swap
                store(x, i, select(swap, upper, moving))
                moving = select(swap, moving, upper)
            store(x, top, moving)
            top = top - 1 if any_lane(wrong) else 0

    @jit
    def openings(c, count, beta, s, replica, key0, key1):
        """`count` chi-squared numbers of beta degrees of freedom; c holds 4 ceil(count / 4)."""
        if chi == "any":
            for i in range(count):
                store(c, i, chi_squared(beta, i, rng.PAIRS, s, replica, key0, key1))
        elif chi == "one":
            normals(c, (count + 3) // 4, 0, rng.PAIRS, s, replica, key0, key1)
            for i in range(count):
                z = load(c, i)
                store(c, i, z * z)
        elif chi == "two":
            for q in range((count + 3) // 4):
                a, b, d, e = words(u32(q), u32(rng.PAIRS), u32(s), replica, key0, key1)
                store(c, 4 * q, log(real(uniform(a))) * minus_two)
                store(c, 4 * q + 1, log(real(uniform(b))) * minus_two)
                store(c, 4 * q + 2, log(real(uniform(d))) * minus_two)
                store(c, 4 * q + 3, log(real(uniform(e))) * minus_two)
        else:
            for q in range((count + 1) // 2):
                a, b, d, e = words(u32(q), u32(rng.PAIRS), u32(s), replica, key0, key1)
                store(c, 2 * q, log(real(uniform(a) * uniform(b))) * minus_two)
                store(c, 2 * q + 1, log(real(uniform(d) * uniform(e))) * minus_two)

    return SimpleNamespace(order=order, openings=openings)


def build(lanes, n: int, chi: str, terms, **sizes):
    """One step on one target. `terms` is the builder of the coefficients, see `kernels/dyson_terms.py`."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt = lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt
    normals = rng.build(lanes).normals
    tools = pairs(lanes, chi)
    order, openings = tools.order, tools.openings
    coefficients = terms(lanes, n, **sizes)
    prepare, flow, kick = coefficients.prepare, coefficients.flow, coefficients.kick
    pair, share, work_size = coefficients.pair, coefficients.share, coefficients.work
    blocks = -(-n // 4)
    half, two = number(0.5), number(2)

    @jit
    def apart(i, j, a, b, opening, constants, work):
        """Two levels moved so that the square of their gap grows by `opening`."""
        gap = b - a
        reach = sqrt(gap * gap + opening)
        a = a + (gap - reach) * share(i, j, constants, work)
        return a, a + reach

    @jit
    def far_upwards(x, part_of_step, constants, work):
        for i in range(n - 2):
            a = load(x, i)
            for j in range(i + 2, n):
                b = load(x, j)
                a, b = apart(i, j, a, b, pair(i, j, a, b, constants, work) * part_of_step, constants, work)
                store(x, j, b)
            store(x, i, a)

    @jit
    def far_downwards(x, part_of_step, constants, work):
        for i in range(n - 3, -1, -1):
            a = load(x, i)
            for j in range(n - 1, i + 1, -1):
                b = load(x, j)
                a, b = apart(i, j, a, b, pair(i, j, a, b, constants, work) * part_of_step, constants, work)
                store(x, j, b)
            store(x, i, a)

    @jit
    def neighbours(x, c, upwards, scale, constants, work):
        for q in range(n - 1):
            i = q if upwards else n - 2 - q
            a, b = load(x, i), load(x, i + 1)
            opening = pair(i, i + 1, a, b, constants, work) * load(c, i) * scale
            a, b = apart(i, i + 1, a, b, opening, constants, work)
            store(x, i, a)
            store(x, i + 1, b)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        x = state  # the levels come first
        z, c = part(scratch, 0, 4 * blocks), part(scratch, 4 * blocks, 4 * blocks)
        work = part(scratch, 8 * blocks, work_size)
        constants = reals[TERMS:]
        prepare(reals[DT], constants, work)
        flow(x, reals[DT] * half, constants, work)
        far_upwards(x, two, constants, work)
        normals(z, blocks, 0, rng.LEVELS, s, replica, key0, key1)
        for i in range(n):
            store(x, i, kick(i, load(x, i), load(z, i), constants, work))
        order(x, n)
        openings(c, n - 1, reals[BETA], s, replica, key0, key1)
        neighbours(x, c, True, two / reals[BETA], constants, work)
        neighbours(x, c, False, two / reals[BETA], constants, work)
        far_downwards(x, two, constants, work)
        flow(x, reals[DT] * half, constants, work)
        order(x, n)
        squares = full(number(0))
        for i in range(n):
            v = load(x, i)
            squares = v * v + squares
        return squares < reals[LIMIT]

    return step
