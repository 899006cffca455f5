"""Forces on levels between two walls, besides what opens gaps (`walls.py`); pairs by sums of reciprocals.

    cot(y_i - y_j) + cot(y_i + y_j) = sin 2 y_i/(x_i - x_j),    x = sin^2 y

so that a pair is one quotient, images included, which both levels share. Of more than `DIRECT` levels this is done for
those of the same group and the next; groups beyond act by the mean and the second and third moments of their x (the
fourth is that of an even spread), or level by level where these lie too far apart.
"""

from __future__ import annotations

import math

import numpy as np

from ..common import functions
from ..common.once import once

LENGTH = math.pi / 2  # where the second wall is
DEGREE = 8
DIRECT, LEAST_GROUP = 40, 8  # levels up to which all pairs are summed; of a group else
FARTHEST = 0.12  # second moment of a group, next to the distance squared, up to which it acts by its moments
KURTOSIS = 1.8  # of levels that are spread evenly


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


@once
def build(lanes, n: int, size: int):
    """`pushes` on one target; size: levels of a group."""
    jit, number = lanes.jit, lanes.number
    load, store, full, select, any_lane = lanes.load, lanes.store, lanes.full, lanes.select, lanes.any
    helpers = functions.build(lanes)
    largest = helpers.largest
    sine_of = tuple(number(c) for c in polynomial(lambda z: np.sinc(np.sqrt(z) / np.pi)))
    bent = tuple(number(c) for c in polynomial(curvature))
    zero, half, one, two = (number(v) for v in (0, 0.5, 1, 2))
    length, twice, tiny, floor = (
        number(LENGTH),
        number(2 * LENGTH),
        number(1e-30),
        number(1e-60 if number.__name__ == "float64" else 1e-18),
    )
    farthest, kurtosis, groups = number(FARTHEST), number(KURTOSIS), n // size

    @jit
    def odd(y, coefficients):
        square = y * y
        p = full(coefficients[DEGREE])
        for k in range(1, DEGREE + 1):
            p = p * square + coefficients[DEGREE - k]
        return p * y

    @jit
    def inverse(y, soft):
        """1/y, but for y^2 < soft."""
        return y / largest(y * y, soft + tiny)

    @jit
    def softened(sine, soft):
        """Least square of a difference of x: that of angles whose repulsion a step still resolves."""
        return largest(soft * (sine * sine + soft), full(floor))

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
                exact = exact + d / largest(d * d, least_square)
            total = select(wide, exact, total)
        return total

    @jit
    def by_groups(out, squares, sines, moments, soft):
        """Add what levels of groups that are no neighbors do."""
        summarize(moments, squares)
        for i in range(n):
            a, total, own = load(squares, i), load(out, i), min(i // size, groups - 1)
            least_square = softened(load(sines, i), soft)
            for g in range(own - 1):
                total = total + of_group(a, g, moments, squares, least_square)
            for g in range(own + 2, groups):
                total = total + of_group(a, g, moments, squares, least_square)
            store(out, i, total)

    @jit
    def pushes(out, y, squares, sines, moments, wall_0, wall_1, beta, v):
        """The force on every level beside noise and openings, of steps of variance v, over g^2.

        squares: sin^2 y, sines: sin 2 y; y is overwritten. wall_0, wall_1: 2 a + 1, 2 b + 1.
        """
        low, high = full(wall_0 * half), full(wall_1 * half)
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
        strength = full(beta * half)
        soft = strength * half * v
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
            least_square = softened(s, soft)
            end = end_of(min(i // size + 1, groups - 1))
            for j in range(i + 2, end - 1, 2):  # two quotients by one division
                d, e = load(squares, j) - a, load(squares, j + 1) - a
                p, q = largest(d * d, least_square), largest(e * e, least_square)
                both = one / (p * q)
                d, e = d * (q * both), e * (p * both)
                own = own - d - e
                store(y, j, load(y, j) + d)
                store(y, j + 1, load(y, j + 1) + e)
            if i + 2 < end and (end - i) % 2 == 1:
                d = load(squares, end - 1) - a
                d = d / largest(d * d, least_square)
                own = own - d
                store(y, end - 1, load(y, end - 1) + d)
            store(y, i, own)
        if groups > 2:
            by_groups(y, squares, sines, moments, soft)
        for i in range(n):
            store(out, i, load(out, i) + strength * (load(y, i) * load(sines, i)))

    return pushes
