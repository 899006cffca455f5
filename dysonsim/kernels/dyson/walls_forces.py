"""Forces on levels between two walls, besides what opens gaps (`walls.py`); pairs by sums of reciprocals.

    cot(y_i - y_j) + cot(y_i + y_j) = sin 2 y_i/(x_i - x_j),    x = sin^2 y

so that a pair is one quotient, images included, which both levels share. Of more than `DIRECT` levels this is done for
those of the same group and the next; groups beyond act by the mean and the second and third moments of their x (the
fourth is that of an even spread), or level by level where these lie too far apart.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from ..common import functions
from ..common.once import once

LENGTH = math.pi / 2  # where the second wall is
DEGREE = 8
DIRECT, LEAST_GROUP = 40, 8  # levels up to which all pairs are summed; of a group else
FARTHEST = 0.12  # second moment of a group, next to the distance squared, up to which it acts by its moments
KURTOSIS = 1.8  # of levels that are spread evenly
TINY = 1e-30  # what is added to a divisor that may be 0


def group_size(n: int) -> int:
    """Levels of a group, all of few levels; the last group has up to twice as many."""
    return n if n <= DIRECT else max(LEAST_GROUP, round(0.7 * math.sqrt(n)))


def moments_of(n: int, size: int) -> int:
    """Numbers of working space for the moments of groups."""
    return 3 * (n // size)


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


def odd_functions(lanes) -> SimpleNamespace:
    """`odd`, a polynomial, and the coefficients of two odd functions: sin y and 1/y - cot y."""
    jit, full, number = lanes.jit, lanes.full, lanes.number
    sine = tuple(number(c) for c in polynomial(lambda z: np.sinc(np.sqrt(z) / np.pi)))
    bent = tuple(number(c) for c in polynomial(curvature))

    @jit
    def odd(y, coefficients):
        square = y * y
        p = full(coefficients[DEGREE])
        for k in range(1, DEGREE + 1):
            p = p * square + coefficients[DEGREE - k]
        return p * y

    return SimpleNamespace(odd=odd, sine=sine, bent=bent)


def reciprocals(lanes) -> SimpleNamespace:
    """Reciprocals that stop growing where a step no longer resolves them: `inverse`, `softened`."""
    jit, full, number = lanes.jit, lanes.full, lanes.number
    largest = functions.build(lanes).largest
    tiny, floor = number(TINY), number(1e-60 if number.__name__ == "float64" else 1e-18)

    @jit
    def inverse(y, soft):
        """1/y, but for y^2 < soft."""
        return y / largest(y * y, soft + tiny)

    @jit
    def softened(sine, soft):
        """Least square of a difference of x: that of angles whose repulsion a step still resolves."""
        return largest(soft * (sine * sine + soft), full(floor))

    return SimpleNamespace(inverse=inverse, softened=softened, largest=largest)


def wall_forces(lanes, n: int, curves: SimpleNamespace, largest):
    """`from_walls`: what both walls do to every level."""
    jit, number, load, store, full = lanes.jit, lanes.number, lanes.load, lanes.store, lanes.full
    odd, sine, bent = curves.odd, curves.sine, curves.bent
    zero, half, two, length, tiny = number(0), number(0.5), number(2), number(LENGTH), number(TINY)

    @jit
    def from_walls(out, y, squares, sines, wall_0, wall_1, v):
        """Write into `out`, and sin^2 y, sin 2 y into `squares`, `sines`.

        Of the force of a wall on the level beside it only what its opening leaves.
        """
        low, high = full(wall_0 * half), full(wall_1 * half)
        for i in range(n):
            a = load(y, i)
            s, c = odd(a, sine), odd(length - a, sine)
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

    return from_walls


def neighbor_forces(lanes, n: int, curves: SimpleNamespace, inverse):
    """`from_neighbors`: what is left of the forces of neighbors, and of images beside a wall, without the openings."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    odd, bent, one, two, twice = curves.odd, curves.bent, number(1), number(2), number(2 * LENGTH)

    @jit
    def from_neighbors(out, y, squares, sines, strength, soft):
        """Add to `out`."""
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

    return from_neighbors


def ends(lanes, n: int, size: int):
    """`end_of(g)`: the level before which group g ends."""
    last = n // size - 1

    @lanes.jit
    def end_of(g):
        return n if g == last else (g + 1) * size

    return end_of


def near_sums(lanes, n: int, size: int, end_of, softening: SimpleNamespace):
    """`from_near`: sums of 1/(x_i - x_j) over the levels j of the same group and the next ones, neighbors excepted."""
    jit, number, load, store, full = lanes.jit, lanes.number, lanes.load, lanes.store, lanes.full
    softened, largest, groups = softening.softened, softening.largest, n // size
    zero, one = number(0), number(1)

    @jit
    def from_near(sums, squares, sines, soft):
        """Write into `sums`."""
        for i in range(n):
            store(sums, i, full(zero))
        for i in range(n - 2):
            a, s, own = load(squares, i), load(sines, i), load(sums, i)
            least_square = softened(s, soft)
            end = end_of(min(i // size + 1, groups - 1))
            for j in range(i + 2, end - 1, 2):  # two quotients by one division
                d, e = load(squares, j) - a, load(squares, j + 1) - a
                p, q = largest(d * d, least_square), largest(e * e, least_square)
                both = one / (p * q)
                d, e = d * (q * both), e * (p * both)
                own = own - d - e
                store(sums, j, load(sums, j) + d)
                store(sums, j + 1, load(sums, j + 1) + e)
            if i + 2 < end and (end - i) % 2 == 1:
                d = load(squares, end - 1) - a
                d = d / largest(d * d, least_square)
                own = own - d
                store(sums, end - 1, load(sums, end - 1) + d)
            store(sums, i, own)

    return from_near


def far_sums(lanes, n: int, size: int, end_of, softening: SimpleNamespace):
    """`from_far`: sums of 1/(x_i - x_j) over the levels j of groups that are no neighbors, by their moments."""
    jit, number, load, store, full = lanes.jit, lanes.number, lanes.load, lanes.store, lanes.full
    select, any_lane, softened, largest = lanes.select, lanes.any, softening.softened, softening.largest
    zero, one, tiny = number(0), number(1), number(TINY)
    farthest, kurtosis, groups = number(FARTHEST), number(KURTOSIS), n // size

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
                exact = exact + d / largest(d * d, least_square)
            total = select(wide, exact, total)
        return total

    @jit
    def from_far(sums, squares, sines, moments, soft):
        """Add to `sums`."""
        summarize(moments, squares)
        for i in range(n):
            a, total, own = load(squares, i), load(sums, i), min(i // size, groups - 1)
            least_square = softened(load(sines, i), soft)
            for g in range(own - 1):
                total = total + of_group(a, g, moments, squares, least_square)
            for g in range(own + 2, groups):
                total = total + of_group(a, g, moments, squares, least_square)
            store(sums, i, total)

    return from_far


@once
def build(lanes, n: int, size: int):
    """`pushes` on one target; size: levels of a group."""
    jit, number, load, store, full = lanes.jit, lanes.number, lanes.load, lanes.store, lanes.full
    curves, softening = odd_functions(lanes), reciprocals(lanes)
    from_walls = wall_forces(lanes, n, curves, softening.largest)
    from_neighbors = neighbor_forces(lanes, n, curves, softening.inverse)
    end_of, half, groups = ends(lanes, n, size), number(0.5), n // size
    from_near, from_far = near_sums(lanes, n, size, end_of, softening), far_sums(lanes, n, size, end_of, softening)

    @jit
    def pushes(out, y, squares, sines, moments, wall_0, wall_1, beta, v):
        """Compute the force on every level beside noise and openings, of steps of variance v, over g^2.

        squares: sin^2 y, sines: sin 2 y; y is overwritten. wall_0, wall_1: 2 a + 1, 2 b + 1.
        """
        strength = full(beta * half)
        soft = strength * half * v
        from_walls(out, y, squares, sines, wall_0, wall_1, v)
        from_neighbors(out, y, squares, sines, strength, soft)
        sums = y  # which is read no more
        from_near(sums, squares, sines, soft)
        if groups > 2:
            from_far(sums, squares, sines, moments, soft)
        for i in range(n):
            store(out, i, load(out, i) + strength * (load(sums, i) * load(sines, i)))

    return pushes
