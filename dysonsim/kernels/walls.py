"""One step of levels between two walls that repel each other and their mirror images in both: the Jacobi process.

    dy_i = g^2 [(a + 1/2) cot y_i - (b + 1/2) tan y_i + (beta/2) sum_{j != i} (cot(y_i - y_j) + cot(y_i + y_j))] dt
           + g dB_i
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from . import functions, gamma, quantile, rng
from .dyson import draw, pairs, places, quick_draws

# Constants in `reals`: g^2 dt; beta; 2 a + 1, 2 b + 1; the longest inner step, in the unit of the first, that gaps of
# size 1 allow, and that anything does; tables of `kernels/quantile.py` for beta and both walls.
TOTAL, BETA, WALL_0, WALL_1, REACH, CAP, TABLE = range(7)
TABLE_0, TABLE_1 = TABLE + quantile.COUNT, TABLE + 2 * quantile.COUNT
LENGTH = math.pi / 2  # where the second wall is
DEGREE = 8
INNER = 5  # inner steps of an outer step, after which their length follows the gaps
DIRECT, LEAST_GROUP = 40, 8  # levels up to which all pairs are summed; of a group else
FARTHEST = 0.12  # second moment of a group, next to the distance squared, up to which it acts by its moments
MEMORY = 1 / 8  # of the moving average that one outer step renews
MOST = 4  # times the present square: the average is no more, so that it follows levels that are driven together
SHORTEST = {"float64": 2.0**-30, "float32": 2.0**-20}  # part of a step below which no inner step goes
LEAST_DEGREES = 0.05  # of a wall's openings from quantiles
f32, u32 = np.float32, np.uint32


def extra(n: int) -> int:
    """Numbers of the state that hold the moving averages, behind the levels."""
    return n if n > 1 else 0


def next_neighbors(levels: np.ndarray) -> np.ndarray:
    """Distances (..., n) of levels two places apart, images included."""
    y = np.concatenate([-levels[..., :1], levels, 2 * LENGTH - levels[..., -1:]], axis=-1)
    return y[..., 2:] - y[..., :-2]


def first_averages(levels: np.ndarray) -> np.ndarray:
    """What the moving averages begin with, (..., extra): means over a few neighbors, not far above their own."""
    from scipy.ndimage import uniform_filter1d

    squares = next_neighbors(levels)[..., : extra(levels.shape[-1])] ** 2
    return np.minimum(uniform_filter1d(squares, 9, axis=-1, mode="nearest"), MOST * squares)


def wall_draws(degrees: float) -> str:
    """How the chi-squared numbers of a wall are drawn."""
    return "none" if degrees <= 0 else "few" if LEAST_DEGREES <= degrees <= quantile.HIGHEST else "many"


def group_size(n: int) -> int:
    """Levels of a group, all of few levels; the last group has up to twice as many."""
    return n if n <= DIRECT else max(LEAST_GROUP, round(0.7 * math.sqrt(n)))


def space_of(n: int, size: int) -> int:
    """Numbers of working space without random numbers and what is kept of the state."""
    return 6 * n + 2 + 3 * (n // size)


def scratch(n: int, size: int) -> int:
    """Numbers of working space that one gas needs."""
    return 8 * -(-(n + 2) // 4) + space_of(n, size) + n + extra(n)


def polynomial(values, degree: int = DEGREE) -> list[float]:
    """Coefficients in y^2 of a smooth function of y^2, 0 <= y <= pi/2."""
    points = LENGTH**2 * (1 + np.cos((np.arange(100) + 0.5) * np.pi / 100)) / 2
    fit = np.polynomial.Chebyshev.fit(points, values(points), degree, domain=[0, LENGTH**2])
    return fit.convert(kind=np.polynomial.Polynomial).coef.tolist()


def curvature(squares: np.ndarray) -> np.ndarray:
    """(1/y - cot y)/y = sum_{k > 0} 2/(k^2 pi^2 - y^2)."""
    from scipy.special import zeta

    powers = 2.0 * np.arange(1, 41)
    return np.polynomial.Polynomial(2 * zeta(powers, 1.0) / np.pi**powers)(squares)


def build(lanes, n: int, chi: str, walls: tuple[str, str], inner: int, size: int):
    """One step on one target; chi, walls: how the openings are drawn; size: levels of a group."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt = lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt
    select, any_lane, real = lanes.select, lanes.any, lanes.real
    helpers, generator = functions.build(lanes), rng.build(lanes)
    least, largest, absolute, sum_of_squares = (
        helpers.least, helpers.largest, helpers.absolute, helpers.sum_of_squares
    )  # fmt: skip
    words, chi_squared, few = generator.words, gamma.build(lanes).chi_squared, quantile.build(lanes, generator)
    held, by_quantile = few.held, few.chi_squared
    order, drawn, (behind, numbers) = pairs(lanes, chi).order, draw(lanes, n + 2, chi), places(n + 2, chi)
    sine_of = tuple(number(c) for c in polynomial(lambda z: np.sinc(np.sqrt(z) / np.pi)))
    bent = tuple(number(c) for c in polynomial(curvature))
    zero, half, one, two, quarter = (number(v) for v in (0, 0.5, 1, 2, 0.25))
    length, twice = number(LENGTH), number(2 * LENGTH)
    memory, most, rest_of_step = number(MEMORY), number(MOST), number(1e-6)
    shortest, outer, tiny = number(SHORTEST[number.__name__]), number(inner), number(1e-30)
    floor = number(1e-15)
    lower, upper = walls
    kept_size, space_size, groups = n + extra(n), space_of(n, size), n // size
    farthest, kurtosis = number(FARTHEST), number(1.8)

    @jit
    def odd(y, coefficients):
        square = y * y
        p = full(coefficients[DEGREE])
        for k in range(1, DEGREE + 1):
            p = p * square + coefficients[DEGREE - k]
        return p * y

    @jit
    def inside(v):
        """Mirrored into the interval."""
        return largest(length - absolute(length - absolute(v)), full(zero))

    @jit
    def inverse(y, soft):
        """1/y, but for y^2 < soft."""
        return y / largest(y * y, soft + tiny)

    @jit
    def end_of(g):
        """Where group g ends."""
        return n if g == groups - 1 else (g + 1) * size

    @jit
    def summarize(moments, squares):
        """Mean, second and third central moment of sin^2 y in every group."""
        for g in range(groups):
            mean, second, third = full(zero), full(zero), full(zero)
            share = number(one / (end_of(g) - g * size))
            for j in range(g * size, end_of(g)):
                mean = mean + load(squares, j)
            mean = mean * share
            for j in range(g * size, end_of(g)):
                d = load(squares, j) - mean
                second, third = second + d * d, third + d * d * d
            store(moments, 3 * g, mean)
            store(moments, 3 * g + 1, second * share)
            store(moments, 3 * g + 2, third * share)

    @jit
    def of_group(a, g, moments, squares, least_square):
        """sum_j 1/(a - x_j) over the levels of a group, to the fourth order in their spread."""
        d, second = a - load(moments, 3 * g), load(moments, 3 * g + 1)
        square = d * d
        wide = square * farthest < second + tiny
        q = d / (square + tiny)
        square = q * q
        spread = square * second
        total = (spread * (spread * kurtosis + one) + square * q * load(moments, 3 * g + 2) + one) * q
        total = total * number(end_of(g) - g * size)
        if any_lane(wide):  # levels of a group that are not together
            exact = full(zero)
            for j in range(g * size, end_of(g)):
                d = a - load(squares, j)
                d = select(d < zero, least(d, full(zero) - least_square), largest(d, least_square))
                exact = exact + one / d
            total = select(wide, exact, total)
        return total

    @jit
    def by_groups(out, squares, moments, least_square):
        """Add what levels of groups that are no neighbors do."""
        summarize(moments, squares)
        for i in range(n):
            a, total, own = load(squares, i), load(out, i), i // size
            own = min(own, groups - 1)
            for g in range(own - 1):
                total = total + of_group(a, g, moments, squares, least_square)
            for g in range(own + 2, groups):
                total = total + of_group(a, g, moments, squares, least_square)
            store(out, i, total)

    @jit
    def pushes(out, y, squares, sines, moments, reals, v):
        """The force on every level beside noise and openings, of steps of variance v, over g^2.

        squares: sin^2 y, sines: sin 2 y.
        """
        low, high = full(reals[WALL_0] * half), full(reals[WALL_1] * half)
        for i in range(n):
            a = load(y, i)
            s, c = odd(a, sine_of), odd(length - a, sine_of)
            s2, sc = s * s, s * c
            store(squares, i, s2)
            store(sines, i, sc * two)
            if i == 0:
                wall = full(zero) - odd(a, bent) * low
            else:
                wall = sc * low / largest(s2, low * half * v + tiny)
            if i == n - 1:
                wall = wall + odd(length - a, bent) * high
            else:
                wall = wall - sc * high / largest(c * c, high * half * v + tiny)
            store(out, i, wall)
        strength = full(reals[BETA] * half)
        soft = strength * half * v
        least_square = largest(soft, full(floor))
        for i in range(n - 1):
            a, b, s, t = load(squares, i), load(squares, i + 1), load(sines, i), load(sines, i + 1)
            both = s + t
            image = (one - a - b) * two * inverse(both, soft * (two + two))
            bend = odd(load(y, i + 1) - load(y, i), bent)
            if i == 0:
                image = image - inverse(load(y, 0) + load(y, 1), soft)
            if i == n - 2:
                image = image + inverse(twice - load(y, i) - load(y, i + 1), soft)
            store(out, i, load(out, i) + strength * (image + bend))
            store(out, i + 1, load(out, i + 1) + strength * (image - bend))
        for i in range(n):  # in place of y, which is read no more
            store(y, i, full(zero))
        for i in range(n - 2):
            a, s, own = load(squares, i), load(sines, i), load(y, i)
            end = end_of(min(i // size + 1, groups - 1))
            for j in range(i + 2, min(i + 4, end)):
                d = load(squares, j) - a
                q = d / largest(d * d, soft * (s * load(sines, j) + soft) + tiny)
                own = own - q
                store(y, j, load(y, j) + q)
            for j in range(i + 4, end - 1, 2):  # two quotients by one division
                d, e = largest(load(squares, j) - a, least_square), largest(load(squares, j + 1) - a, least_square)
                q = one / (d * e)
                d, e = e * q, d * q
                own = own - d - e
                store(y, j, load(y, j) + d)
                store(y, j + 1, load(y, j + 1) + e)
            if i + 4 < end and (end - i) % 2 == 1:
                d = one / largest(load(squares, end - 1) - a, least_square)
                own = own - d
                store(y, end - 1, load(y, end - 1) + d)
            store(y, i, own)
        if groups > 2:
            by_groups(y, squares, moments, least_square)
        for i in range(n):
            store(out, i, load(out, i) + strength * (load(y, i) * load(sines, i)))

    @jit
    def images(x, up, low, lifts, below, above):
        """What the two levels beside each wall move by each other's images, whose distance squared grows by so much."""
        s = load(x, 0) + load(x, 1) + (load(up, 0) - load(low, 1))
        rest = twice - load(x, n - 2) - load(x, n - 1) + (load(low, n - 1) - load(up, n - 2))
        if n == 2:
            s, rest = s - load(lifts, 1) * two, rest - load(lifts, 0) * two
        return (sqrt(s * s + below) - s) * half, (sqrt(rest * rest + above) - rest) * half

    @jit
    def foresee(x, up, low, lifts, v, reals):
        """By how much half of N, for the variance v, will open the gaps in the mean.

        low[i] is what level i will give way by the gap above it, up[i] by that below; lifts: what both levels beside a
        wall will by each other's images.
        """
        store(lifts, 0, full(zero))
        store(lifts, 1, full(zero))
        opening, a = v * reals[BETA], load(x, 0)
        store(up, 0, sqrt(a * a + v * (reals[WALL_0] * half)) - a)
        for i in range(n - 1):
            b = load(x, i + 1)
            gap = b - a
            mine = (sqrt(gap * gap + opening) - gap) * half
            store(low, i, mine)
            store(up, i + 1, mine)
            a = b
        a = length - a
        store(low, n - 1, sqrt(a * a + v * (reals[WALL_1] * half)) - a)
        if n > 1:
            lift, drop = images(x, up, low, lifts, opening, opening)
            store(lifts, 0, lift)
            store(lifts, 1, drop)
            store(up, 1, load(up, 1) + lift)
            store(low, n - 2, load(low, n - 2) + drop)

    @jit
    def wall_openings(k, s, reals, replica, key0, key1):
        """Chi-squared numbers of both walls."""
        below, above = full(zero), full(zero)
        if lower == "few" or upper == "few":
            a, b, _, _ = words(u32(k), u32(rng.LENGTHS), u32(s), replica, key0, key1)
            if lower == "few":
                below = by_quantile(a, held(reals[TABLE_0:]))
            if upper == "few":
                above = by_quantile(b, held(reals[TABLE_1:]))
        if lower == "many":
            below = chi_squared(reals[WALL_0], k, rng.MOMENTA, s, replica, key0, key1)
        if upper == "many":
            above = chi_squared(reals[WALL_1], k, rng.CHOICES, s, replica, key0, key1)
        return below, above

    @jit
    def turned(motion, distance, reach):
        """Of a level that noise may have carried through a wall, which turns it back unless the wall's push does."""
        part_of = distance * distance * two / largest(reach * reach, full(tiny))
        return select(distance < zero, motion - motion * part_of, motion)

    @jit
    def open_gaps(x, up, low, lifts, z, c, v, below, above, reals):
        """N: noise, and what opens every gap meanwhile, for the variance v."""
        root = sqrt(v)
        for i in range(n):
            store(x, i, load(x, i) + load(z, i) * root)
        lift, drop = full(zero), full(zero)
        if n > 1:
            lift, drop = images(x, up, low, lifts, load(c, n - 1) * (v * two), load(c, n) * (v * two))
        a = load(x, 0)
        last = load(x, n - 1)
        near, far = a - load(low, 0) + load(lifts, 0), length - last - load(up, n - 1) + load(lifts, 1)
        reach, reach_up = sqrt(near * near + below * v), sqrt(far * far + above * v)
        raised, before, worst, level = full(zero), full(zero), full(zero), full(zero)
        for i in range(n - 1):
            b = load(x, i + 1)
            gap = b - a - (load(up, i) + load(low, i + 1))
            mine = (sqrt(gap * gap + load(c, i) * (v * two)) - gap) * half
            if i == 0:
                other = load(low, 0) - load(lifts, 0) + lift - mine
                if n == 2:
                    other = other - drop
                level = reach + turned(other, near, reach)
            else:
                level = a + (raised - mine)
                if i == 1:
                    level = level + lift
                if i == n - 2:
                    level = level - drop
            level = inside(level)
            store(x, i, level)
            worst = least(worst, level - before)
            a, raised, before = b, mine, level
        if n == 1:
            level = reach + turned(load(low, 0) + (far - reach_up), near, reach)
        else:
            other = load(up, n - 1) - load(lifts, 1) + drop - raised
            if n == 2:
                other = other - lift
            level = length - (reach_up + turned(other, far, reach_up))
        level = inside(level)
        store(x, n - 1, level)
        if any_lane(least(worst, level - before) < zero):
            order(x, n)

    @jit
    def next_neighbor(x, i):
        """Distance of the levels beside level i, images included."""
        below = full(zero) - load(x, 0)
        above = full(twice) - load(x, n - 1)
        if i > 0:
            below = load(x, i - 1)
        if i < n - 1:
            above = load(x, i + 1)
        return above - below

    @jit
    def divide(averaged, left, reals):
        """Variance of the inner steps of an outer step that the gaps allow, with so much left to do."""
        allowed = full(reals[CAP])
        if n > 1:
            for i in range(n):
                allowed = least(allowed, load(averaged, i) * reals[REACH])
        total = largest(allowed, full(reals[TOTAL] * shortest)) * outer
        return select(total < left, least(total, left * half), left) / outer

    @jit
    def renew(averaged, x):
        if n > 1:
            for i in range(n):
                distance = next_neighbor(x, i)
                square, average = distance * distance, load(averaged, i)
                store(averaged, i, least((square - average) * memory + average, square * most))

    @jit
    def noise(x, v, seen, at, up, low, lifts, z, c, reals, s, replica, key0, key1):
        """N number `at` of a step, for the variance v; seen: of which half is foreseen."""
        foresee(x, up, low, lifts, seen, reals)
        drawn(z, c, at, s, reals[BETA], reals[TABLE:], replica, key0, key1)
        below, above = wall_openings(at, s, reals, replica, key0, key1)
        open_gaps(x, up, low, lifts, z, c, v, below, above, reals)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        x, averaged = state, part(state, n, kept_size - n)  # the levels come first
        z, c = part(scratch, 0, numbers), part(scratch, behind, numbers - behind)
        space, kept = part(scratch, numbers, space_size), part(scratch, numbers + space_size, kept_size)
        push, middle = part(space, 0, n), part(space, n, n)
        squares, sines = part(space, 2 * n, n), part(space, 3 * n, n)
        up, low, lifts = part(space, 4 * n, n), part(space, 5 * n, n), part(space, 6 * n, 2)
        moments = part(space, 6 * n + 2, 3 * groups)
        left, at = full(reals[TOTAL]), 1
        v = divide(averaged, left, reals)
        noise(x, v * half, full(zero), 0, up, low, lifts, z, c, reals, s, replica, key0, key1)
        for i in range(n):
            store(middle, i, load(x, i))
        pushes(push, middle, squares, sines, moments, reals, v)
        while any_lane(zero < left):
            for i in range(kept_size):
                store(kept, i, load(state, i))
            rest = left - v * outer
            rest = select(rest < full(reals[TOTAL] * rest_of_step), full(zero), rest)
            renew(averaged, x)
            following = divide(averaged, rest, reals)
            for k in range(inner):
                for i in range(n):  # the middle of the motion is where the last one leads
                    store(middle, i, inside(load(x, i) + load(push, i) * (v * half)))
                pushes(push, middle, squares, sines, moments, reals, v)
                for i in range(n):
                    store(x, i, inside(load(x, i) + load(push, i) * v))
                variance, seen = v, v
                if k == inner - 1:
                    variance = (v + following) * half
                    seen = select(zero < following, variance, v)  # at the end all of it, none at the beginning
                noise(x, variance, seen, at, up, low, lifts, z, c, reals, s, replica, key0, key1)
                at += 1
            for i in range(kept_size):  # replicas that are through wait as they are
                store(state, i, select(zero < left, load(state, i), load(kept, i)))
            left, v = rest, following
        return sum_of_squares(x, n) < number(np.inf)

    return step
