"""One step of levels between two walls that repel each other and their mirror images in both: the Jacobi process.

    dy_i = g^2 [(a + 1/2) cot y_i - (b + 1/2) tan y_i + (beta/2) sum_{j != i} (cot(y_i - y_j) + cot(y_i + y_j))] dt
           + g dB_i

for angles y from 0 to pi/2, where the noise is additive. Time is counted by the variance v = g^2 t. As in
`nested.py`, steps follow the gaps of each replica, with their length chosen before noise is drawn,

    v = REACH min_i (distance of the two levels beside level i)^2/(1 + beta), but not beyond CAP,

images counted, the square a moving average that is part of the state; and an inner step separates the two kinds of
motion that a gap feels,

    N: noise, and the opening of every gap of neighbors, by 2 v chi^2_beta, of the distance of the levels beside a wall
       from the wall, by v chi^2 of 2 a + 1 or 2 b + 1 degrees, and of the two levels beside a wall from each other's
       images, by 2 v chi^2_beta, of the squares: a Bessel process each, exact if alone
    A: all other forces, at the middle of the motion

in the order N(v/2) A(v) N(v) A(v) ... N(v/2). What an opening gives to the gaps beside it, these see by half,
beforehand, from its mean; by none of it in the first N of a step and by all of it in the last, after which nothing
else would let small gaps be emptied again.

The last two openings are alike next to a wall that does not repel (a = -1/2): a level in it is pushed down by one and
up by the other, and what is left of both must vanish there. And a level that noise has carried through a wall has its
remaining motion turned: times 1 - 2 y^2/(y^2 + push), which is -1 where there is nothing but the reflection.

Forces of pairs that are no neighbors are sums of reciprocals, see `walls_forces.py`.

Weak order 2 at fixed gaps; gaps below g sqrt(h) limit it, and their share falls with the step as h^((1 + beta)/2).
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ..common import functions, gamma, quantile, rng
from . import walls_forces
from .pairs import draw, pairs, places
from .walls_forces import LENGTH

# Constants in `reals`: g^2 dt; beta; 2 a + 1, 2 b + 1; the longest inner step, in the unit of the first, that gaps of
# size 1 allow, and that anything does; tables of `kernels/common/quantile.py` for beta and both walls.
TOTAL, BETA, WALL_0, WALL_1, REACH, CAP, TABLE = range(7)
TABLE_0, TABLE_1 = TABLE + quantile.COUNT, TABLE + 2 * quantile.COUNT
INNER = 5  # inner steps of an outer step, after which their length follows the gaps
MEMORY = 1 / 8  # of the moving average that one outer step renews
MOST = 4  # times the present square: the average is no more, so that it follows levels that are driven together
SHORTEST = {"float64": 2.0**-30, "float32": 2.0**-20}  # part of a step below which no inner step goes
LEAST_DEGREES = 0.05  # of a wall's openings from quantiles
u32 = np.uint32


def extra(n: int) -> int:
    """Numbers of the state that hold the moving averages, behind the levels."""
    return n if n > 1 else 0


def next_neighbors(levels: np.ndarray) -> np.ndarray:
    """Distances (..., n) of levels two places apart, images included."""
    y = np.concatenate([-levels[..., :1], levels, 2 * LENGTH - levels[..., -1:]], axis=-1)
    return y[..., 2:] - y[..., :-2]


def first_averages(levels: np.ndarray) -> np.ndarray:
    """Start the moving averages, (..., extra): means over a few neighbors, not far above their own."""
    from scipy.ndimage import uniform_filter1d

    squares = next_neighbors(levels)[..., : extra(levels.shape[-1])] ** 2
    return np.minimum(uniform_filter1d(squares, 9, axis=-1, mode="nearest"), MOST * squares)


def wall_draws(degrees: float) -> str:
    """How the chi-squared numbers of a wall are drawn."""
    return "none" if degrees <= 0 else "few" if LEAST_DEGREES <= degrees <= quantile.HIGHEST else "many"


def space_of(n: int, size: int) -> int:
    """Numbers of working space without random numbers and what is kept of the state."""
    return 6 * n + 2 + walls_forces.moments_of(n, size)


def scratch(n: int, size: int) -> int:
    """Numbers of working space that one gas needs."""
    return 8 * -(-(n + 2) // 4) + space_of(n, size) + n + extra(n)


def mirror(lanes, helpers):
    """`inside(v)`: a level mirrored into the interval."""
    largest, absolute, full = helpers.largest, helpers.absolute, lanes.full
    zero, length = lanes.number(0), lanes.number(LENGTH)

    @lanes.jit
    def inside(v):
        return largest(length - absolute(length - absolute(v)), full(zero))

    return inside


def beside_walls(lanes, n: int, helpers) -> SimpleNamespace:
    """Make what moves the levels next to a wall: `images`, by each other's images, and `turned`, by the wall."""
    jit, number, load, full = lanes.jit, lanes.number, lanes.load, lanes.full
    sqrt, select, largest = lanes.sqrt, lanes.select, helpers.largest
    zero, half, two, twice, tiny = number(0), number(0.5), number(2), number(2 * LENGTH), number(1e-30)

    @jit
    def images(x, up, low, lifts, below, above):
        """Return how the two levels at each wall move by each other's images; below, above: what the squares gain."""
        s = load(x, 0) + load(x, 1) + (load(up, 0) - load(low, 1))
        rest = twice - load(x, n - 2) - load(x, n - 1) + (load(low, n - 1) - load(up, n - 2))
        if n == 2:
            s, rest = s - load(lifts, 1) * two, rest - load(lifts, 0) * two
        return (sqrt(s * s + below) - s) * half, (sqrt(rest * rest + above) - rest) * half

    @jit
    def turned(motion, distance, reach):
        """Turn the motion of a level that noise has carried through a wall, unless the wall's push does."""
        part_of = distance * distance * two / largest(reach * reach, full(tiny))
        return select(distance < zero, motion - motion * part_of, motion)

    return SimpleNamespace(images=images, turned=turned)


def mean_openings(lanes, n: int, images):
    """`foresee`: by how much gaps will open in the mean."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, sqrt, zero, half, length = lanes.full, lanes.sqrt, number(0), number(0.5), number(LENGTH)

    @jit
    def foresee(x, up, low, lifts, v, reals):
        """Compute by how much half of N, for the variance v, will open the gaps in the mean.

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

    return foresee


def openings(lanes, n: int, helpers, inside, order):
    """`open_gaps`, the motion N of one variance, and `foresee`, its mean beforehand."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, sqrt, any_lane, least = lanes.full, lanes.sqrt, lanes.any, helpers.least
    zero, half, two, length = number(0), number(0.5), number(2), number(LENGTH)
    beside = beside_walls(lanes, n, helpers)
    images, turned = beside.images, beside.turned

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

    return SimpleNamespace(open_gaps=open_gaps, foresee=mean_openings(lanes, n, images))


def wall_chi_squared(lanes, walls: tuple[str, str]):
    """`wall_openings`: chi-squared numbers of both walls, drawn as `wall_draws` says."""
    jit, full, zero, (lower, upper) = lanes.jit, lanes.full, lanes.number(0), walls
    generator = rng.build(lanes)
    few = quantile.build(lanes)
    words, chi_squared, held, by_quantile = generator.words, gamma.build(lanes).chi_squared, few.held, few.chi_squared

    @jit
    def wall_openings(k, s, reals, replica, key0, key1):
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

    return wall_openings


def lengths(lanes, n: int, inner: int, helpers) -> SimpleNamespace:
    """How long inner steps are: `divide` chooses, `renew` follows the gaps with the moving averages."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, select, least, largest = lanes.full, lanes.select, helpers.least, helpers.largest
    zero, half, twice, outer = number(0), number(0.5), number(2 * LENGTH), number(inner)
    memory, most, shortest = number(MEMORY), number(MOST), number(SHORTEST[number.__name__])

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

    return SimpleNamespace(divide=divide, renew=renew)


def build(lanes, n: int, chi: str, walls: tuple[str, str], inner: int, size: int):
    """One step on one target; chi, walls: how the openings are drawn; size: levels of a group."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, part, select, any_lane = lanes.full, lanes.part, lanes.select, lanes.any
    helpers = functions.build(lanes)
    inside, sum_of_squares, order = mirror(lanes, helpers), helpers.sum_of_squares, pairs(lanes, chi).order
    gaps, length = openings(lanes, n, helpers, inside, order), lengths(lanes, n, inner, helpers)
    foresee, open_gaps, divide, renew = gaps.foresee, gaps.open_gaps, length.divide, length.renew
    drawn, (behind, numbers) = draw(lanes, n + 2, chi), places(n + 2, chi)
    wall_openings, forces = wall_chi_squared(lanes, walls), walls_forces.build(lanes, n, size)
    zero, half, outer, rest_of_step = number(0), number(0.5), number(inner), number(1e-6)
    kept_size, space_size, moments_size = n + extra(n), space_of(n, size), walls_forces.moments_of(n, size)

    @jit
    def noise(x, v, seen, at, up, low, lifts, z, c, reals, s, replica, key0, key1):
        """N number `at` of a step, for the variance v; seen: of which half is foreseen."""
        foresee(x, up, low, lifts, seen, reals)
        drawn(z, c, at, reals[BETA], reals[TABLE:], (s, replica, key0, key1))
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
        moments = part(space, 6 * n + 2, moments_size)
        left, at = full(reals[TOTAL]), 1
        v = divide(averaged, left, reals)
        noise(x, v * half, full(zero), 0, up, low, lifts, z, c, reals, s, replica, key0, key1)
        for i in range(n):
            store(middle, i, load(x, i))
        forces(push, middle, squares, sines, moments, reals[WALL_0], reals[WALL_1], reals[BETA], v)
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
                forces(push, middle, squares, sines, moments, reals[WALL_0], reals[WALL_1], reals[BETA], v)
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
