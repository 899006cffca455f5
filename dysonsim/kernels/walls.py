"""One step of levels that repel each other and their mirror images in one wall or two: Laguerre and Jacobi processes.

    dy_i = [K_i(y) + g^2 k_0/y_i + (beta g^2/2) sum_{j != i} (1/(y_i - y_j) + 1/(y_i + y_j))] dt + g dB_i

in coordinates where the noise is additive, y >= 0; with a second wall at L the mirror images in it as well,
-g^2 k_1/(L - y_i) and (beta g^2/2)/(y_i + y_j - 2 L). K is linear (Laguerre, no second wall: y is a singular value) or
what a curved interval leaves (Jacobi, L = pi/2: y is an angle, and 1/y - cot y is smooth).

Gap and sum of two levels decouple, so that the flow of a pair is known: the squares of the gap, of the sum and of
2 L - sum grow by 2 beta g^2 h each. A step of length h is, as in `kernels/dyson.py`,

    K, then everything far for h/2;  y_i += g sqrt(h) z_i, mirrored into the interval;  everything near for h;
    everything far for h/2 in the opposite order, then K

Near are neighbours, a level and its own image in a wall, and the two levels next to a wall and each other's images,
whose sum is like a gap. They open by chi-squared numbers, gap^2 += 2 g^2 h chi^2_beta and y^2 += g^2 h chi^2_{2 k},
all others by the means of these. So a level alone beside a wall is an exact Bessel process of dimension 1 + 2 k, two
levels are exact for k = 0, and E sum y^2 is exact for linear K at any n. The weak order is 2 at fixed gaps, as there.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from . import functions, gamma, rng
from .dyson import pairs

# Constants in `reals`: of the linear K the decay in half a step, g^2 h, beta, 2 k_0, 2 k_1, h/2, g^2, the largest sum
# of squares.
DECAY, VARIANCE, BETA, WALL_0, WALL_1, HALF_STEP, STRENGTH, LIMIT = range(8)
LENGTH = math.pi / 2  # where the second wall is
DEGREE = 8


def scratch(n: int) -> int:
    """Numbers of working space that one gas needs."""
    return 4 * -(-n // 4) + 4 * -(-(n + 1) // 4) + 2 * n


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


def linear(lanes, n: int) -> SimpleNamespace:
    """K = -rate y: exact."""
    jit, load, store = lanes.jit, lanes.load, lanes.store

    @jit
    def flow(y, reals, work):
        for i in range(n):
            store(y, i, load(y, i) * reals[DECAY])

    return SimpleNamespace(flow=flow)


def curved(lanes, n: int) -> SimpleNamespace:
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
    def drift(out, y, reals):
        for i in range(n):
            v = load(y, i)
            wall = odd(length - v, near) * reals[WALL_1] - odd(v, near) * reals[WALL_0]
            store(out, i, wall * (reals[STRENGTH] * half))
        strength = reals[BETA] * reals[STRENGTH] * half
        for i in range(n):
            v, own = load(y, i), full(zero)
            for j in range(i + 1, n):
                w = load(y, j)
                gap, total = odd(w - v, near), odd(v + w - length, far)
                own = own + (gap - total)
                store(out, j, load(out, j) - (gap + total) * strength)
            store(out, i, load(out, i) + own * strength)

    @jit
    def flow(y, reals, work):
        middle, out = part(work, 0, n), part(work, n, n)
        drift(out, y, reals)
        for i in range(n):
            store(middle, i, load(y, i) + load(out, i) * (reals[HALF_STEP] * half))
        drift(out, middle, reals)
        for i in range(n):
            store(y, i, load(y, i) + load(out, i) * reals[HALF_STEP])

    return SimpleNamespace(flow=flow)


def build(lanes, n: int, chi: str, two: bool):
    """One step on one target; two: a second wall at pi/2, and K of a curved interval."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt, select = (
        lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt, lanes.select
    )  # fmt: skip
    helpers = functions.build(lanes)
    absolute, sum_of_squares = helpers.absolute, helpers.sum_of_squares
    normals, chi_squared = rng.build(lanes).normals, gamma.build(lanes).chi_squared
    tools = pairs(lanes, chi)
    order, openings = tools.order, tools.openings
    flow = (curved if two else linear)(lanes, n).flow
    blocks, chi_blocks = -(-n // 4), -(-(n + 1) // 4)
    half, twice, zero, length = number(0.5), number(2 * LENGTH), number(0), number(LENGTH)

    @jit
    def repel(y, i, j, opening):
        """Pair i < j for half a step: gap, sum and its distance from twice the second wall, as far as they are far."""
        a, b = load(y, i), load(y, j)
        gap, total = b - a, a + b
        if j > i + 1:
            gap = sqrt(gap * gap + opening)
        if j > 1:
            total = sqrt(total * total + opening)
        if two and i < n - 2:
            rest = twice - total
            total = twice - sqrt(rest * rest + opening)
        store(y, i, (total - gap) * half)
        store(y, j, (total + gap) * half)

    @jit
    def lower_wall(y, i, opening):
        v = load(y, i)
        store(y, i, sqrt(v * v + opening))

    @jit
    def upper_wall(y, i, opening):
        v = length - load(y, i)
        store(y, i, length - sqrt(v * v + opening))

    @jit
    def walls(y, low, high, reals):
        """For half a step, by the mean; low, high: of the levels next to them."""
        lower_wall(y, 0, low)
        for i in range(1, n):
            lower_wall(y, i, reals[WALL_0] * reals[VARIANCE] * half)
        if two:
            for i in range(n - 1):
                upper_wall(y, i, reals[WALL_1] * reals[VARIANCE] * half)
            upper_wall(y, n - 1, high)

    @jit
    def arrange(y):
        """Mirrored into the interval, ascending."""
        for i in range(n):
            v = absolute(load(y, i))
            if two:
                v = length - absolute(length - v)
            store(y, i, v)
        order(y, n)

    @jit
    def neighbours(y, c, upwards, scale):
        """Gaps, and the sums of the pairs next to a wall: there sum and gap are alike."""
        for q in range(n - 1):
            i = q if upwards else n - 2 - q
            a, b = load(y, i), load(y, i + 1)
            gap, total = b - a, a + b
            gap = sqrt(gap * gap + load(c, i) * scale)
            if i == 0:
                total = sqrt(total * total + load(c, n - 1) * scale)
            if two and i == n - 2:
                rest = twice - total
                total = twice - sqrt(rest * rest + load(c, n) * scale)
            store(y, i, (total - gap) * half)
            store(y, i + 1, (total + gap) * half)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        y = state
        z, c = part(scratch, 0, 4 * blocks), part(scratch, 4 * blocks, 4 * chi_blocks)
        work = part(scratch, 4 * (blocks + chi_blocks), 2 * n)
        variance = reals[VARIANCE]
        opening = reals[BETA] * variance
        # Chi-squared numbers where a level is close to a wall, their means where it is on the other side of the middle:
        # the pushes of a far wall and of K cancel near a wall, and must not be parted by a reflection.
        low, high, mean_low, mean_high = full(zero), full(zero), full(zero), full(zero)
        if reals[WALL_0] > zero:
            low = chi_squared(reals[WALL_0], 0, rng.LENGTHS, s, replica, key0, key1) * (variance * half)
        if two:
            if reals[WALL_1] > zero:
                high = chi_squared(reals[WALL_1], 1, rng.LENGTHS, s, replica, key0, key1) * (variance * half)
            close = load(y, 0) < full(length * half)
            mean_low = select(close, mean_low, reals[WALL_0] * variance * half)
            low = select(close, low, zero)
            close = full(length * half) < load(y, n - 1)
            mean_high = select(close, mean_high, reals[WALL_1] * variance * half)
            high = select(close, high, zero)
        flow(y, reals, work)
        for i in range(n):
            for j in range(i + 1, n):
                repel(y, i, j, opening)
        walls(y, mean_low, mean_high, reals)
        normals(z, blocks, 0, rng.LEVELS, s, replica, key0, key1)
        kick = sqrt(full(variance))
        for i in range(n):
            store(y, i, load(y, i) + kick * load(z, i))
        arrange(y)
        openings(c, n + 1 if two else n, reals[BETA], 0, s, replica, key0, key1)
        lower_wall(y, 0, low)
        if two:
            upper_wall(y, n - 1, high)
        neighbours(y, c, True, variance)
        neighbours(y, c, False, variance)
        if two:
            upper_wall(y, n - 1, high)
        lower_wall(y, 0, low)
        arrange(y)
        walls(y, mean_low, mean_high, reals)
        for i in range(n - 1, -1, -1):
            for j in range(n - 1, i, -1):
                repel(y, i, j, opening)
        flow(y, reals, work)
        arrange(y)
        return sum_of_squares(y, n) < reals[LIMIT]

    return step
