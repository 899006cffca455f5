"""One step of Dyson Brownian motion by splitting the repulsion into pairs and moving each pair exactly.

    dx_i = [K_i(x) + sum_{j != i} G_ij/(x_i - x_j)] dt + sqrt(2) g_i(x_i) dB_i

where G_ij may differ from G_ji if levels feel different noise, G_ij = beta g_i^2.

A step of length h is, in this order,

    drift for h/2;  far pairs for h/2;  normals: x_i += sqrt(2 h) g_i z_i;  neighbors for h;  far pairs for h/2;
    drift for h/2

A pair keeps its (weighted) mean and opens its gap y by the noise that the two eigenvectors feel: far pairs by the mean
of it, y^2 <- y^2 + 4 G h; neighbors by y^2 <- y^2 + 4 G h chi^2_beta/beta (for beta = 1 the eigenvalues of the 2 x 2
matrix that gets an off-diagonal kick), G = (G_ij + G_ji)/2, in two halves: one sweep upwards and one downwards with
half of the same opening. The second sweep of the far pairs undoes the order of the first.

What is exact. Two levels with linear drift: any h (the gap is a Bessel process of dimension 1 + beta in the clock
tau = sinh(rate h)/rate, which `terms` supplies). E sum x_i^2 at any n: every sub-step has its exact mean.

Nothing overshoots: no sub-step has a singularity. Weak order 2 at fixed gaps: to second order in h the generator of a
step is a sum over products of two generators; those within a pair of neighbors are exact (its noise comes first),
all others come in both orders alike. Gaps smaller than sqrt(4 G h) are not resolved, and in a stationary state their
share, of order h^((1 + beta)/2), limits the order: the variance of gaps of three levels is 4% to 5% off at h = 0.4
relaxation times and 0.7% to 1% at 0.1, an order of 1.1 (beta = 1), 1.2 (2), 1.4 (4) there that rises toward small h.
Mean gaps are right within 0.15% at all of these.

With a tolerance a step is divided, for each replica by itself, into parts that are short where three levels meet, where
pairs are no longer alone, 4 G h <= tolerance (x_{i+2} - x_i)^2, and where the drift bends over its part of the motion.
Their length is chosen from the levels before noise is drawn. No step is rejected: that would select the noise.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ..common import functions, gamma, quantile, rng
from ..common.once import once

# Constants in `reals`, before those of the terms.
DT, BETA, LIMIT, TOLERANCE, TERMS = range(5)
SHORTEST = 1 / 256  # of a step: no sub-step is shorter, so that levels may start together
u32 = np.uint32


def scratch(n: int, extra: int) -> int:
    """Numbers of working space that one gas needs, besides that of its terms.

    extra: numbers of its state behind the levels.
    """
    return 8 * -(-n // 4) + n + extra


def draws(beta: float) -> str:
    """How chi-squared numbers of beta degrees of freedom are drawn."""
    return {1.0: "one", 2.0: "two", 4.0: "four"}.get(beta, "any")


def quick_draws(beta: float) -> str:
    """Say the same where the constants hold a table of `kernels/common/quantile.py`."""
    any_beta = "few" if beta <= quantile.HIGHEST else "many"
    return any_beta if draws(beta) == "any" else draws(beta)


@once
def pairs(lanes, chi: str) -> SimpleNamespace:
    """Ordering of levels, and the chi-squared numbers of the neighbors."""
    jit, number = lanes.jit, lanes.number
    load, store, any_lane = lanes.load, lanes.store, lanes.any
    generator = rng.build(lanes)
    normals, words, uniform, real = generator.normals, generator.words, generator.uniform, lanes.real
    log = generator.log  # of the generator's precision, as its uniforms are
    chi_squared = gamma.build(lanes).chi_squared
    minus_two, zero = number(-2), number(0)
    full, helpers = lanes.full, functions.build(lanes)
    least, largest = helpers.least, helpers.largest

    @jit
    def order(x, n):
        """Sort in place: passes over neighbors until none is out of order in any lane.

        The sign of the smallest gap says so; a mask carried through a loop is kept in bytes, which takes far longer.
        """
        top = n - 1
        while top > 0:
            moving = load(x, 0)
            worst = full(zero)
            for i in range(top):
                upper = load(x, i + 1)
                worst = least(worst, upper - moving)
                store(x, i, least(upper, moving))
                moving = largest(moving, upper)
            store(x, top, moving)
            top = top - 1 if any_lane(worst < zero) else 0

    @jit
    def openings(c, count, beta, first, source):
        """`count` chi-squared numbers of beta degrees of freedom from block `first` on; c holds 4 ceil(count / 4)."""
        s, replica, key0, key1 = source
        if chi == "any":
            for i in range(count):
                store(c, i, chi_squared(beta, first + i, rng.PAIRS, *source))
        elif chi == "one":
            normals(c, (count + 3) // 4, first, rng.PAIRS, *source)
            for i in range(count):
                z = load(c, i)
                store(c, i, z * z)
        elif chi == "two":
            for q in range((count + 3) // 4):
                a, b, d, e = words(u32(first + q), u32(rng.PAIRS), u32(s), replica, key0, key1)
                store(c, 4 * q, real(log(uniform(a))) * minus_two)
                store(c, 4 * q + 1, real(log(uniform(b))) * minus_two)
                store(c, 4 * q + 2, real(log(uniform(d))) * minus_two)
                store(c, 4 * q + 3, real(log(uniform(e))) * minus_two)
        else:
            for q in range((count + 1) // 2):
                a, b, d, e = words(u32(first + q), u32(rng.PAIRS), u32(s), replica, key0, key1)
                store(c, 2 * q, real(log(uniform(a) * uniform(b))) * minus_two)
                store(c, 2 * q + 1, real(log(uniform(d) * uniform(e))) * minus_two)

    return SimpleNamespace(order=order, openings=openings)


@once
def draw(lanes, n: int, chi: str):
    """`draw(z, c, sub, beta, table, source)`: normals z for n levels, chi-squared numbers c for the gaps of neighbors.

    source: step, replica and key of the random numbers. `sub` counts the parts of a step, which have random numbers of
    their own. Both arrays hold 4 ceil(n/4) numbers; for
    beta = 1 the second begins behind the n normals that are wanted, as `places` says. table: for chi = "few", the
    constants of `kernels/common/quantile.py`, of a number that is asked for anything.
    """
    jit, load, store = lanes.jit, lanes.load, lanes.store
    generator, gammas = rng.build(lanes), gamma.build(lanes)
    normals, words, openings = generator.normals, generator.words, pairs(lanes, chi).openings
    few, two_at_once = quantile.build(lanes), gammas.pair
    held, chi_squared = few.held, few.chi_squared
    blocks, together = -(-n // 4), -(-(2 * n - 1) // 4)

    @jit
    def draw(z, c, sub, beta, table, source):
        s, replica, key0, key1 = source
        if chi == "one":
            normals(z, together, sub * together, rng.LEVELS, *source)
            for i in range(n - 1):
                opening = load(c, i)
                store(c, i, opening * opening)
        else:
            normals(z, blocks, sub * blocks, rng.LEVELS, *source)
            if chi == "few":
                constants = held(table)
                for q in range(blocks):
                    a, b, d, e = words(u32(sub * blocks + q), u32(rng.PAIRS), u32(s), replica, key0, key1)
                    store(c, 4 * q, chi_squared(a, constants))
                    store(c, 4 * q + 1, chi_squared(b, constants))
                    store(c, 4 * q + 2, chi_squared(d, constants))
                    store(c, 4 * q + 3, chi_squared(e, constants))
            elif chi == "many":
                for q in range(n // 2):
                    first, second = two_at_once(beta, beta, sub * n + q, rng.PAIRS, *source)
                    store(c, 2 * q, first)
                    store(c, 2 * q + 1, second)
            else:
                openings(c, n - 1, beta, sub * n, source)

    return draw


def places(n: int, chi: str) -> tuple[int, int]:
    """Where the chi-squared numbers of `draw` lie behind its normals, and how many numbers both take."""
    return (n if chi == "one" else 4 * -(-n // 4)), 8 * -(-n // 4)


def build(lanes, n: int, chi: str, adaptive: bool, terms, **sizes):
    """One step on one target. `terms` is the builder of the coefficients, see `kernels/dyson/terms.py`."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt = lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt
    order, drawn, (behind, numbers) = pairs(lanes, chi).order, draw(lanes, n, chi), places(n, chi)
    coefficients = terms(lanes, n, **sizes)
    prepare, flow, kick = coefficients.prepare, coefficients.flow, coefficients.kick
    pair, share, work_size = coefficients.pair, coefficients.share, coefficients.work
    strain, kept_size, same = coefficients.strain, n + coefficients.extra, coefficients.same
    select, any_lane = lanes.select, lanes.any
    helpers = functions.build(lanes)
    least, largest, sum_of_squares = helpers.least, helpers.largest, helpers.sum_of_squares
    zero, half, one, two = number(0), number(0.5), number(1), number(2)
    shortest, tiny, rest = number(SHORTEST), number(1e-30), number(1e-6)

    @jit
    def apart(i, j, a, b, opening, constants, work):
        """Two levels moved so that the square of their gap grows by `opening`."""
        gap = b - a
        reach = sqrt(gap * gap + opening)
        a = a + (gap - reach) * share(i, j, constants, work)
        return a, a + reach

    @jit
    def far(x, outwards, part_of_step, constants, work):
        """All pairs but neighbors, by the distance of their indices: pairs that follow each other share no level."""
        for k in range(n - 2):
            d = k + 2 if outwards else n - 1 - k
            for q in range(n - d):
                i = q if outwards else n - d - 1 - q
                a, b = load(x, i), load(x, i + d)
                opening = pair(i, i + d, a, b, constants, work) * part_of_step
                a, b = apart(i, i + d, a, b, opening, constants, work)
                store(x, i, a)
                store(x, i + d, b)

    @jit
    def neighbors(x, c, upwards, scale, constants, work):
        for q in range(n - 1):
            i = q if upwards else n - 2 - q
            a, b = load(x, i), load(x, i + 1)
            opening = pair(i, i + 1, a, b, constants, work) * load(c, i) * scale
            a, b = apart(i, i + 1, a, b, opening, constants, work)
            store(x, i, a)
            store(x, i + 1, b)

    @jit
    def move(x, h, sub, scratch, reals, source):
        """All levels for the time h; `sub` counts the parts of a step, which have random numbers of their own."""
        z, c = part(scratch, 0, numbers), part(scratch, behind, numbers - behind)
        work, constants = part(scratch, numbers, work_size), reals[TERMS:]
        prepare(h, constants, work)
        flow(x, h * half, constants, work)
        far(x, True, two, constants, work)
        drawn(z, c, sub, reals[BETA], reals, source)
        for i in range(n):
            store(x, i, kick(i, load(x, i), load(z, i), constants, work))
        # Of different noise, levels that crossed part again as a pair, each by its share: a sort would swap them.
        if same:
            order(x, n)
        neighbors(x, c, True, two / reals[BETA], constants, work)
        if not same:
            order(x, n)
        neighbors(x, c, False, two / reals[BETA], constants, work)
        far(x, False, two, constants, work)
        flow(x, h * half, constants, work)
        order(x, n)

    @jit
    def room(x, scratch, reals):
        """Return the part of a step that the levels, as they are, allow: known before any noise is drawn."""
        work, constants = part(scratch, numbers, work_size), reals[TERMS:]
        prepare(reals[DT], constants, work)
        strained = strain(x, reals[DT], constants, work)
        allowed = sqrt(full(reals[TOLERANCE]) / largest(strained, full(tiny)))
        for i in range(n - 2):
            a, b = load(x, i), load(x, i + 2)
            triple = (b - a) * (b - a) / (pair(i, i + 2, a, b, constants, work) * (two + two))
            allowed = least(allowed, triple * reals[TOLERANCE])
        return least(largest(allowed, full(shortest)), full(one))

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        x, source = state, (s, replica, key0, key1)  # the levels come first
        if adaptive:
            kept = part(scratch, numbers + work_size, kept_size)
            left, sub = full(one), 0
            while any_lane(zero < left):
                share_of_step = least(room(x, scratch, reals), left)
                for i in range(kept_size):
                    store(kept, i, load(x, i))
                move(x, share_of_step * reals[DT], sub, scratch, reals, source)
                for i in range(kept_size):  # replicas that are through wait as they are
                    store(x, i, select(zero < left, load(x, i), load(kept, i)))
                left = left - share_of_step
                left = select(left < rest, full(zero), left)
                sub += 1
        else:
            move(x, reals[DT], 0, scratch, reals, source)
        return sum_of_squares(x, n) < reals[LIMIT]

    return step
