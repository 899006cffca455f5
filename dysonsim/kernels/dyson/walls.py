"""One step of levels between two walls that repel each other and their mirror images in both: the Jacobi process.

    dy_i = [K_i(y) + g^2 k_0/y_i - g^2 k_1/(L - y_i)
            + (beta g^2/2) sum_{j != i} (1/(y_i - y_j) + 1/(y_i + y_j) + 1/(y_i + y_j - 2 L))] dt + g dB_i

for angles y from 0 to L = pi/2, where the noise is additive; K is what the curved interval leaves (1/y - cot y is
smooth). The levels are divided into blocks. Repulsion and noise within a block, and the images in the wall of the first
and of the last block, are an exact transition (`kernels/dyson/bordering.py`), whatever the gaps are. The rest is what
levels of different blocks do, and images in a wall that is not the block's. A step of length h is

    K, then the rest for h/2;  all blocks for h;  gaps of neighbors in two blocks;  the rest for h/2, then K

Where blocks end moves from step to step. All that is no part of a block goes by the mean of squares, gap^2 += g^2 beta
h in half a step, but neighbors in two blocks: small gaps between them open by chi-squared numbers after the noise,
gap^2 += 2 g^2 h chi^2_beta, as is exact for a pair alone, wide ones half before and half after; the share that goes
before is gap^2/2 over gap^2 + `WIDE` (1 + beta) g^2 h. What moves after the noise moves close levels together, by all
but gap^2/(gap^2 + `CLOSE` g^2 h) of their difference: else it would close or open small gaps, whose share has just been
made right. One level alone goes by its wall that is nearer. Nothing is singular anywhere, and nothing overshoots.

Every step is divided, for each replica by itself, into parts g^2 h (1 + beta/2) <= `RESOLUTION` x (local mean gap)^2,
of the smallest mean over the three gaps around where blocks end, mirror images counted, and never more than twice that
of any two of these, which are where three levels start together. Their length is chosen
before noise is drawn: none is rejected. The weak order is 2 where gaps are wide against g sqrt(h); what counts are the
others, and biases fall about as h. Measured in the stationary state at RESOLUTION = .1 and .03 (in brackets the
statistical error of the last digits), n = 3, a = 0, b = .5, beta = 1.5: variance of the middle gap -2.5% and -.6 (6)%,
mean of the lowest level -1.0% and -.1 (4)%, gaps below a fifth of the mean -12% and -8 (4)%; n = 12, b = 1: -1.4% and
+.2 (7)%, -1.0% and -.5 (10)%, 0% and +7 (4)%.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from ..common import functions, gamma, order, rng
from . import bordering

# Constants in `reals`: g^2 h, beta, 2 k_0, 2 k_1, and how far a part of a step may reach, see `RESOLUTION`.
VARIANCE, BETA, WALL_0, WALL_1, REACH = range(5)
LENGTH = math.pi / 2  # where the second wall is
DEGREE = 8
BLOCK = 16  # levels of a block, at most
WINDOW = 3  # gaps in a local mean
RESOLUTION = 0.02
WIDE = 4.0
CLOSE = 2.0
SHORTEST = (
    1e-4  # of a step: no part is shorter; what levels that start together make wrong is forgotten in ten times it
)
u32 = np.uint32


def sizes(n: int) -> np.ndarray:
    """The kernel's `integers`: levels; of a block, never all, since it has one wall; random numbers of a stream in a
    part of a step."""
    block = min(BLOCK, (n + 1) // 2)
    return np.array([n, block, (-(-n // block) + 1) * bordering.draws(block)])


def scratch(n: int) -> int:
    """Numbers of working space that one gas needs."""
    return 6 * n + 14 + 7 * int(sizes(n)[1])


def remainder(shift: float) -> list[float]:
    """Coefficients in y^2 of sum_{k >= 0} 2/((k + shift)^2 pi^2 - y^2), |y| < pi/2; errors below 1e-10.

    It is (1/y - cot y)/y for shift = 1 and (tan y)/y - 2/(pi^2/4 - y^2) for shift = 3/2.
    """
    from scipy.special import zeta

    powers = 2.0 * np.arange(1, 41)
    series = np.polynomial.Polynomial(2 * zeta(powers, shift) / np.pi**powers)
    points = LENGTH**2 * (1 + np.cos((np.arange(100) + 0.5) * np.pi / 100)) / 2
    fit = np.polynomial.Chebyshev.fit(points, series(points), DEGREE, domain=[0, LENGTH**2])
    return fit.convert(kind=np.polynomial.Polynomial).coef.tolist()


def curved(lanes) -> SimpleNamespace:
    """What is left of the cotangents of angles beside 1/y, by the midpoint rule."""
    jit, number, load, store, part, full = lanes.jit, lanes.number, lanes.load, lanes.store, lanes.part, lanes.full
    near = tuple(number(c) for c in remainder(1.0))
    far = tuple(number(c) for c in remainder(1.5))
    half, length, zero = number(0.5), number(LENGTH), number(0)

    @jit
    def odd(y, coefficients):
        square = y * y
        p = full(coefficients[DEGREE])
        for k in range(1, DEGREE + 1):
            p = p * square + coefficients[DEGREE - k]
        return p * y

    @jit
    def drift(out, y, n, reals):
        """K/g^2."""
        for i in range(n):
            v = load(y, i)
            wall = odd(length - v, near) * reals[WALL_1] - odd(v, near) * reals[WALL_0]
            store(out, i, wall * half)
        strength = reals[BETA] * half
        for i in range(n):
            v, own = load(y, i), full(zero)
            for j in range(i + 1, n):
                w = load(y, j)
                gap, total = odd(w - v, near), odd(v + w - length, far)
                own = own + (gap - total)
                store(out, j, load(out, j) - (gap + total) * strength)
            store(out, i, load(out, i) + own * strength)

    @jit
    def flow(y, n, time, reals, work):
        """For `time`, in units of 1/g^2."""
        middle, out = part(work, 0, n), part(work, n, n)
        drift(out, y, n, reals)
        for i in range(n):
            store(middle, i, load(y, i) + load(out, i) * (time * half))
        drift(out, middle, n, reals)
        for i in range(n):
            store(y, i, load(y, i) + load(out, i) * time)

    return SimpleNamespace(flow=flow)


def build(lanes):
    """One step on one target."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt, select, any_lane = (
        lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt, lanes.select, lanes.any
    )  # fmt: skip
    helpers = functions.build(lanes)
    absolute, least, largest, sum_of_squares = (
        helpers.absolute, helpers.least, helpers.largest, helpers.sum_of_squares
    )  # fmt: skip
    chi_squared, sort = gamma.build(lanes).chi_squared, order.build(lanes)
    exact = bordering.transitions(lanes)
    hermite, laguerre = exact.hermite, exact.laguerre
    flow = curved(lanes).flow
    half, one, two, zero = number(0.5), number(1), number(2), number(0)
    length, twice = number(LENGTH), number(2 * LENGTH)
    shortest, rest_of_step, infinite = number(SHORTEST), number(1e-6), number(np.inf)

    @jit
    def repel(y, i, j, n, block, shift, opening):
        """Pair i < j for half a step, by the mean: gap, sum and its distance from twice the second wall, if no block
        does."""
        mine, other = (i + shift) // block, (j + shift) // block
        a, b = load(y, i), load(y, j)
        gap, total = b - a, a + b
        if mine != other and j > i + 1:
            gap = sqrt(gap * gap + opening)
        if j + shift >= block:
            total = sqrt(total * total + opening)
        if mine < (n - 1 + shift) // block:
            rest = twice - total
            total = twice - sqrt(rest * rest + opening)
        store(y, i, (total - gap) * half)
        store(y, j, (total + gap) * half)

    @jit
    def walls(y, n, block, shift, low, high):
        """Of the levels whose blocks do not have that wall, for half a step by the mean."""
        for i in range(n):
            v = load(y, i)
            if n > 1 and i + shift >= block:
                v = sqrt(v * v + low)
            v = length - v
            if n > 1 and (i + shift) // block < (n - 1 + shift) // block:
                v = sqrt(v * v + high)
            store(y, i, length - v)

    @jit
    def arrange(y, n):
        """Mirrored into the interval, ascending."""
        for i in range(n):
            v = absolute(load(y, i))
            store(y, i, length - absolute(length - v))
        sort(y, n)

    @jit
    def one_level(y, variance, first, reals, work, s, replica, key0, key1):
        """By the wall that is nearer; the other pushes by its mean, before and after."""
        v = load(y, 0)
        lower = v < length * half
        near = select(lower, v, length - v)
        far_push = select(lower, full(reals[WALL_1]), full(reals[WALL_0])) * variance * half
        rest = length - near
        near = length - sqrt(rest * rest + far_push)
        store(work, 0, near)
        laguerre(
            part(work, 0, 1),
            part(work, 2, 6 * (1 + 2)),
            1,
            variance,
            reals[BETA],
            reals[WALL_0] + one,
            first,
            s,
            replica,
            key0,
            key1,
        )
        store(work, 1, near)
        laguerre(
            part(work, 1, 1),
            part(work, 2, 6 * (1 + 2)),
            1,
            variance,
            reals[BETA],
            reals[WALL_1] + one,
            first,
            s,
            replica,
            key0,
            key1,
        )
        near = select(lower, load(work, 0), load(work, 1))
        rest = absolute(length - near)
        near = length - sqrt(rest * rest + far_push)
        store(y, 0, select(lower, near, length - near))

    @jit
    def blocks(y, base, n, block, shift, variance, sub, draws, reals, work, s, replica, key0, key1):
        """Exact transitions of the blocks, then the gaps between them."""
        turned, own = part(work, 0, block), part(work, block, 6 * (block + 2))
        shares = part(work, 7 * block + 12, n + 2)
        last = (n - 1 + shift) // block
        for q in range(1, last + 1):
            i = q * block - shift
            a, b = load(y, i - 1), load(y, i)
            gap = b - a
            wide = gap * gap
            early = wide * half / (wide + variance * (reals[BETA] + one) * number(WIDE))
            store(shares, q, early)
            push = (sqrt(wide + variance * (reals[BETA] * two) * early) - gap) * half
            store(y, i - 1, a - push)
            store(y, i, b + push)
        for q in range(last + 1):
            begin, end = max(0, q * block - shift), min(n, (q + 1) * block - shift)
            count, first = end - begin, sub * draws + q * block * (block + 1)
            if q == 0:
                laguerre(
                    part(y, 0, count),
                    own,
                    count,
                    variance,
                    reals[BETA],
                    reals[WALL_0] + one,
                    first,
                    s,
                    replica,
                    key0,
                    key1,
                )
            elif q == last:
                for i in range(count):
                    store(turned, i, length - load(y, n - 1 - i))
                laguerre(turned, own, count, variance, reals[BETA], reals[WALL_1] + one, first, s, replica, key0, key1)
                for i in range(count):
                    store(y, n - 1 - i, length - load(turned, i))
            else:
                hermite(
                    part(y, begin, count), own, count, variance * half, reals[BETA], one, first, s, replica, key0, key1
                )
        arrange(y, n)
        for i in range(n):
            store(base, i, load(y, i))
        for q in range(1, last + 1):
            i = q * block - shift
            early = load(shares, q)
            c = chi_squared(reals[BETA], sub * n + i, rng.MOMENTA, s, replica, key0, key1) - reals[BETA]
            c = ((one - early) * reals[BETA] + sqrt(one - early * two) * c) * variance * two
            c = largest(c, full(zero))
            a, b = load(y, i - 1), load(y, i)
            gap = b - a
            push = (sqrt(gap * gap + c) - gap) * half
            store(y, i - 1, a - push)
            store(y, i, b + push)

    @jit
    def together(y, before, i, variance):
        """Levels i - 1 and i, since `before`, moved together as far as they were close."""
        a, b = load(before, i - 1), load(before, i)
        square = (b - a) * (b - a)
        kept = square / (square + variance * number(CLOSE))
        u, v = load(y, i - 1) - a, load(y, i) - b
        mean, rest = (u + v) * half, (v - u) * kept * half
        store(y, i - 1, a + (mean - rest))
        store(y, i, b + (mean + rest))

    @jit
    def move(y, base, opened, n, block, variance, shift, sub, draws, reals, work, s, replica, key0, key1):
        """All levels for the time variance/g^2; `sub` counts the parts of a step, which have their own numbers."""
        opening = variance * reals[BETA]
        low, high = variance * (reals[WALL_0] * half), variance * (reals[WALL_1] * half)
        flow(y, n, variance * half, reals, work)
        for i in range(n):
            for j in range(i + 1, n):
                repel(y, i, j, n, block, shift, opening)
        walls(y, n, block, shift, low, high)
        arrange(y, n)
        if n == 1:
            one_level(y, variance, sub * draws, reals, work, s, replica, key0, key1)
        else:
            blocks(y, base, n, block, shift, variance, sub, draws, reals, work, s, replica, key0, key1)
            for i in range(n):
                store(opened, i, load(y, i))
        walls(y, n, block, shift, low, high)
        for i in range(n - 1, -1, -1):
            for j in range(n - 1, i, -1):
                repel(y, i, j, n, block, shift, opening)
        flow(y, n, variance * half, reals, work)
        if n > 1:
            for i in range(1, n):
                if (i + shift) % block == 0:
                    together(y, opened, i, variance)
            for i in range(1, n):
                if (i + shift) % block != 0:
                    together(y, base, i, variance)
        arrange(y, n)

    @jit
    def mirrored(y, i, n):
        """Level i of those and their images, -n <= i < 2 n."""
        if i < 0:
            return full(zero) - load(y, -1 - i)
        if i >= n:
            return full(twice) - load(y, 2 * n - 1 - i)
        return load(y, i)

    @jit
    def room(y, n, block, shift, reals):
        """The variance that the gaps around the ends of blocks allow, from the levels as they are."""
        narrowest = full(twice)
        for q in range(1, (n - 1 + shift) // block + 1):
            i = q * block - shift
            below, above = mirrored(y, i - 1, n), mirrored(y, i, n)
            lower, upper = mirrored(y, i - 2, n), mirrored(y, i + 1, n)
            narrowest = least(narrowest, upper - lower)
            narrowest = least(narrowest, least(above - lower, upper - below) * (two + one))
        return narrowest * narrowest * reals[REACH]

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        n, block, draws = integers[0], integers[1], integers[2]
        y, kept, base, opened = state, part(scratch, 0, n), part(scratch, n, n), part(scratch, 2 * n, n)
        work = part(scratch, 3 * n, 3 * n + 14 + 7 * block)
        total = full(reals[VARIANCE])
        left, sub = full(one), 0
        while any_lane(zero < left):
            shift = (s + sub) % block
            allowed = room(y, n, block, shift, reals)
            share = least(largest(allowed / total, full(shortest)), left)
            share = select(share < left, least(share, left * half), share)
            for i in range(n):
                store(kept, i, load(y, i))
            move(y, base, opened, n, block, share * total, shift, sub, draws, reals, work, s, replica, key0, key1)
            for i in range(n):  # replicas that are through wait as they are
                store(y, i, select(zero < left, load(y, i), load(kept, i)))
            left = left - share
            left = select(left < rest_of_step, full(zero), left)
            sub += 1
        return sum_of_squares(y, n) < infinite

    return step
