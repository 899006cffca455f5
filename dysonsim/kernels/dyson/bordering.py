"""Exact transitions of levels that repel each other, any beta > 0 and any length of time: one level after the other.

Levels are added to those that are there by a row and a column of noise. What these are in the basis of the levels is
known without the basis: independent chi-squared numbers of beta degrees of freedom, whatever the basis is.

- Hermite (Dyson Brownian motion without drift): x = eigenvalues of diag(x_0) + noise. A level joins the eigenvalues d
  of the others in an arrow matrix: lambda - x_0 - sqrt(2 tau) z = sum_j zeta_j/(lambda - d_j), zeta_j = tau chi^2_beta.
- Laguerre: y = singular values of diag(y_0) + noise, of m rows and n columns. First a row joins, of noise alone, a
  rank-one matrix added to diag(s_j^2): 1 = sum_j zeta_j/(lambda - s_j^2). Then the column of the level y_0 does, rank
  one again, whose shares in the left singular vectors are y_0 u_j + noise, u_j those of the new row in them:
  1 = c/lambda + sum_j c_j/(lambda - t_j^2), c_j = tau chi^2_beta, non-central by y_0^2 u_j^2/tau, and c that of all
  other directions, of beta (m - n + 1) degrees.

Why it is exact. For beta = 1, 2, 4 these are matrices of real, complex and quaternion noise. For any beta the arrow
step is the Dixon-Anderson integral by which the multivariate Bessel function of k variables is made from that of k - 1
(A. Okounkov, G. Olshanski, Math. Res. Lett. 4, 69 (1997); V. Gorin, M. Shkolnikov, Ann. Inst. H. Poincare 51, 1264
(2015)), and Delta(x)^beta exp(-(x^2 + x_0^2)/4 tau) times this function of x and x_0 is the transition density of Dyson
Brownian motion (M. Rosler, Commun. Math. Phys. 192, 519 (1998), for type A and multiplicity beta/2). Likewise from
levels that are all 0, for Laguerre at any beta. From other levels at other beta there is no proof of the Laguerre steps
here: transitions do not depend on how a time is divided (means, squares and fourth powers of levels and of gaps, in one
piece against four, within the errors, about 2e-4, of 4 million samples at n = 2 and 2 million at n = 3, at beta = .5,
1.5, 3, 10) nor on the order in which levels are added (40 000 samples), and have the stationary law.

Accuracy. A root is found by its distances from both poles beside it, in sums of positive terms. One transition takes
about 2 n^3 (Hermite) or 4 n^3 (Laguerre) divisions and 6 n numbers of memory.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ..common import functions, gamma, rng
from ..common.once import once

# Constants in `reals`: what the levels shrink by; tau; beta; Hermite: where they shrink to; Laguerre: beta (m - n + 1).
DECAY, VARIANCE, BETA, CENTER, LIMIT = range(5)
DEGREES = CENTER
ITERATIONS = 60  # of one root; four are usual
TOLERANCE = {"float64": 1e-6, "float32": 1e-4}  # relative change of a root's distance that is the last; converges twice
# Weights of poles count from here on, next to usual ones of 1; the smallest variance that is told from none.
TINY = {"float64": 1e-100, "float32": 1e-12}
LEAST_VARIANCE = {"float64": 1e-200, "float32": 1e-25}
TERMS = 1000  # of a Poisson distribution, whose mean is a few beta; more are never met
u32 = np.uint32


def scratch(n: int) -> int:
    """Numbers of working space that one replica needs."""
    return 6 * (n + 2)


def draws(n: int) -> int:
    """Numbers of draws of its random streams that one transition takes."""
    return n * (n + 1)


@once
def secular_root(lanes):
    """``root(d, z, k, j, slope, corner, a, b)`` of ``secular``, from a start at the distances a and b from its poles.

    Returns its distance from d[j], and the weight of the corner in its vector, -1/f'(root).
    """
    jit, number, load, full = lanes.jit, lanes.number, lanes.load, lanes.full
    sqrt, select, any_lane = lanes.sqrt, lanes.select, lanes.any
    helpers = functions.build(lanes)
    least, largest = helpers.least, helpers.largest
    zero, half, one, two = number(0), number(0.5), number(1), number(2)
    tolerance, tiny = number(TOLERANCE[number.__name__]), number(TINY[number.__name__])

    @jit
    def root(d, z, k, j, slope, corner, a, b):
        low, high = load(d, j), load(d, j + 1)
        width = a + b
        floor, ceiling = full(zero), width  # between which a lies
        pending, total, iteration = full(one), full(one), 0
        while any_lane(zero < pending) and iteration < ITERATIONS:
            value = corner - slope * (low + a)
            below, above = full(slope * half), full(slope * half)
            for l in range(j + 1):
                inverse = one / (a + (low - load(d, l)))
                term = load(z, l) * inverse
                value = value + term
                below = below + term * inverse
            for l in range(j + 1, k):
                inverse = one / (b + (load(d, l) - high))
                term = load(z, l) * inverse
                value = value - term
                above = above + term * inverse
            total = select(zero < pending, below + above, total)
            floor = select(zero < value, a, floor)
            ceiling = select(zero < value, ceiling, a)
            # constant + p/a - q/b with this value and both slopes: its root lies between the poles as well. Both
            # distances are found without a difference of like numbers.
            p, q = below * a * a, above * b * b
            constant = (value - below * a + above * b) * width
            root = constant + p - q
            root = sqrt(root * root + p * q * (two + two))
            down, up = p + q - constant, p + q + constant
            gentle = zero < down
            new_a = select(gentle, p * two, root - down) / select(gentle, root + down, constant * two) * width
            gentle = zero < up
            new_b = select(gentle, q * two, up - root) / select(gentle, root + up, constant * two) * width
            new_a, new_b = largest(new_a, tiny), largest(new_b, tiny)
            # The model's slope is right, so that it errs beyond the other bound only.
            over = select(zero < value, new_a - ceiling, floor - new_a)
            middle = (floor + ceiling) * half
            new_a = select(zero < over, middle, new_a)
            new_b = select(zero < over, largest(width - middle, tiny), new_b)
            change = select(new_a < a, a - new_a, new_a - a)
            moving = least(new_a, new_b) * tolerance < change
            now = zero < pending
            a, b = select(now, new_a, a), select(now, new_b, b)
            pending = select(moving & now, full(one), full(zero))
            iteration += 1
        return a, one / total

    return root


@once
def secular(lanes):
    """``roots(d, z, k, first, last, slope, corner, out, share)`` on one target.

    Of f(v) = corner - slope v + sum_{l < k} z_l/(v - d_l), d ascending, z > 0: that between d[j] and d[j + 1] into
    out[j], for j = first ... last - 1; z may be 0 at the ends, which bound the root then. share[j] becomes
    -1/f'(root), the weight of the corner in the new vector j.
    """
    jit, number, load, store, full = lanes.jit, lanes.number, lanes.load, lanes.store, lanes.full
    helpers = functions.build(lanes)
    least, largest, root = helpers.least, helpers.largest, secular_root(lanes)
    zero, half = number(0), number(0.5)
    tiny, rounding = number(TINY[number.__name__]), number(np.finfo(number).eps)

    @jit
    def roots(d, z, k, first, last, slope, corner, out, share):
        for j in range(first, last):
            low, high = load(d, j), load(d, j + 1)
            width = largest(high - low, largest(low * rounding, full(zero) - low * rounding) + tiny)
            middle = width * half
            a, weight = root(d, z, k, j, slope, corner, middle, middle)
            store(out, j, least(low + a, largest(high, low)))
            store(share, j, weight)

    return roots


@once
def transitions(lanes) -> SimpleNamespace:
    """`hermite` and `laguerre` of so many levels on one target, in place.

    ``(levels, scratch, n, variance, beta, degrees, first, s, replica, key0, key1)``: variance is tau, a lane value;
    degrees those of the wall; random numbers are draws number first ... first + draws(n) - 1 of the step's streams.
    """
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt, select = (
        lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt, lanes.select
    )  # fmt: skip
    any_lane, real = lanes.any, lanes.real
    helpers = functions.build(lanes)
    least, largest, exp = helpers.least, helpers.largest, helpers.exp
    generator = rng.build(lanes)
    words, single_normals, uniform, log = generator.words, generator.single_normals, generator.uniform, generator.log
    chi_squared, roots = gamma.build(lanes).chi_squared, secular(lanes)
    zero, half, one, two = number(0), number(0.5), number(1), number(2)
    tiny, least_variance = number(TINY[number.__name__]), number(LEAST_VARIANCE[number.__name__])

    @jit
    def normal(draw, s, replica, key0, key1):
        a, b, _, _ = words(u32(draw), u32(rng.LEVELS), u32(s), replica, key0, key1)
        return real(single_normals(a, b)[0])

    @jit
    def row(z, k, first, beta, variance, s, replica, key0, key1):
        """Draw k chi-squared numbers of beta degrees times the variance into z; return their sum."""
        total = full(zero)
        for j in range(k):
            v = (chi_squared(beta, first + j, rng.PAIRS, s, replica, key0, key1) + tiny) * variance
            store(z, j, v)
            total = total + v
        return total

    @jit
    def off_center(mean, degrees, variance, draw, s, replica, key0, key1):
        """Draw the square of a normal vector of `degrees` dimensions whose mean has this length."""
        if degrees < one:  # a Poisson number of pairs of dimensions more
            rate = mean * mean * (half / variance)
            u = real(uniform(words(u32(draw), u32(rng.LEVELS), u32(s), replica, key0, key1)[0]))
            share = exp(full(zero) - rate)
            sum_of_shares, more = share, full(zero)
            count = 0
            while any_lane(sum_of_shares < u) and count < TERMS:
                count += 1
                e = uniform(words(u32(draw), u32(rng.CHOICES + rng.STRIDE * count), u32(s), replica, key0, key1)[0])
                more = select(sum_of_shares < u, more - real(log(e)) * two, more)
                share = share * rate * number(one / count)
                sum_of_shares = sum_of_shares + share
            rest = chi_squared(degrees, draw, rng.LENGTHS, s, replica, key0, key1)
            return (rest + more) * variance
        v = mean + normal(draw, s, replica, key0, key1) * sqrt(variance)
        v = v * v
        if degrees > one:
            v = v + chi_squared(degrees - one, draw, rng.LENGTHS, s, replica, key0, key1) * variance
        return v + tiny * variance

    @jit
    def ascending(a, out, n):
        """Copy a into out, no number less than the one before, which rounding may have done."""
        v = load(a, 0)
        for i in range(n):
            v = largest(v, load(a, i))
            store(out, i, v)

    @jit
    def hermite(x, scratch, n, variance, beta, degrees, first, s, replica, key0, key1):
        """d, z have a place below and one above for the bounds."""
        d, z = part(scratch, 0, n + 2), part(scratch, n + 2, n + 2)
        out, share = part(scratch, 2 * n + 4, n + 2), part(scratch, 3 * n + 6, n + 2)
        variance = largest(variance, full(least_variance))
        kick = sqrt(variance * two)
        store(d, 1, load(x, 0) + normal(first, s, replica, key0, key1) * kick)
        for k in range(1, n):
            total = row(part(z, 1, n), k, first + k * n, beta, variance, s, replica, key0, key1)
            corner = load(x, k) + normal(first + k, s, replica, key0, key1) * kick
            reach = sqrt(total) * two
            store(d, 0, least(corner, load(d, 1)) - reach)
            store(d, k + 1, largest(corner, load(d, k)) + reach)
            store(z, 0, full(zero))
            roots(d, z, k + 1, 0, k + 1, one, corner, out, share)
            ascending(out, part(d, 1, n), k + 1)
        for i in range(n):
            store(x, i, load(d, i + 1))

    @jit
    def laguerre(y, scratch, n, variance, beta, degrees, first, s, replica, key0, key1):
        """From the largest down: the means of the columns' shares are then small."""
        squares, z = part(scratch, 0, n + 2), part(scratch, n + 2, n + 2)  # of the levels that are there
        joined, c = part(scratch, 2 * n + 4, n + 2), part(scratch, 3 * n + 6, n + 2)  # with the row; of the column
        out, share = part(scratch, 4 * n + 8, n + 2), part(scratch, 5 * n + 10, n + 2)
        variance = largest(variance, full(least_variance))
        store(squares, 0, off_center(load(y, n - 1), degrees, variance, first, s, replica, key0, key1))
        for k in range(1, n):
            level = load(y, n - 1 - k)
            total = row(z, k, first + k * (n + 1), beta, variance, s, replica, key0, key1)
            store(squares, k, load(squares, k - 1) + total * two)
            roots(squares, z, k, 0, k, zero, full(zero) - one, out, share)
            ascending(out, part(joined, 1, n), k)
            left, total = full(one), full(zero)
            for j in range(k):
                square = load(share, j) / load(joined, j + 1)
                left = left - square
                mean = level * sqrt(square)
                v = off_center(mean, beta, variance, first + k * (n + 1) + j + 1, s, replica, key0, key1)
                store(c, j + 1, v)
                total = total + v
            mean = level * sqrt(largest(left, full(zero)))
            v = off_center(mean, degrees, variance, first + k * (n + 1), s, replica, key0, key1)
            store(c, 0, v)
            store(joined, 0, full(zero))
            store(joined, k + 1, load(joined, k) + (total + v) * two)
            roots(joined, c, k + 1, 0, k + 1, zero, full(zero) - one, out, share)
            ascending(out, squares, k + 1)
        for i in range(n):
            store(y, i, sqrt(load(squares, i)))

    return SimpleNamespace(hermite=hermite, laguerre=laguerre)


def build(lanes, ensemble: str):
    """One transition on one target; ensemble is "hermite" or "laguerre", the number of levels is in `integers`."""
    jit, load, store, full, sqrt = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.sqrt
    one, sum_of_squares = lanes.number(1), functions.build(lanes).sum_of_squares
    transition = getattr(transitions(lanes), ensemble)
    centered = ensemble == "hermite"

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        n = integers[0]
        for i in range(n):
            v = load(state, i)
            if centered:
                store(state, i, (v - reals[CENTER]) * reals[DECAY] + reals[CENTER])
            else:
                store(state, i, v * reals[DECAY])
        # In units of levels and noise together: fourth powers of them occur, which would overflow or vanish.
        kick = sqrt(full(reals[VARIANCE]))
        unit = sqrt(sum_of_squares(state, n) + kick * kick)
        inverse = one / unit
        for i in range(n):
            store(state, i, load(state, i) * inverse)
        kick = kick * inverse
        transition(state, scratch, n, kick * kick, reals[BETA], reals[DEGREES], 0, s, replica, key0, key1)
        for i in range(n):
            store(state, i, load(state, i) * unit)
        return sum_of_squares(state, n) < reals[LIMIT]

    return step
