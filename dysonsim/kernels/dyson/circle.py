"""Levels on a circle that repel each other, any beta > 0: jumps that keep their order and the circular ensemble.

    dtheta_i = (beta g^2/2) sum_{j != i} cot((theta_i - theta_j)/2) dt + sqrt(2) g dB_i

One step of length h, with b = beta/2: the new angles are the roots x of

    sum_j q_j cot((x - theta_j)/2) = cot(alpha/2),    (q_1 ... q_n) ~ Dirichlet(b, ..., b),    alpha = +a or -a,

all of which are then turned by -alpha/n and by a normal angle of variance 2 g^2 h/n, nearly. For beta = 1, 2, 4 the
roots are the eigenvalues of U (1 + (exp(i alpha) - 1) v v^H) for a random unit vector v, a walk on the group or
symmetric space.

Order. There is one root between any two angles that follow each other, for alpha > 0 the next one after each: levels
never cross, whatever h is.

Invariant law. The weights q as functions of the roots x are a Cauchy matrix's, so that the density of x, given theta
and alpha, on sum (x - theta) = alpha is

    K(theta -> x) = C prod_{i<j} |D_ij(x)| |D_ij(theta)|^(1 - beta) prod_{i,j} |sin((x_i - theta_j)/2)|^(b - 1)

with D_ij = sin((x_i - x_j)/2) (P. J. Forrester, E. M. Rains, Int. Math. Res. Not. (2006) 48306). Multiplied by prod
|D_ij(theta)|^beta it is symmetric in x and theta, with -alpha for alpha: every step is in detailed balance with the
circular ensemble, for any beta and any a.

Order of accuracy. For small a, x_i - theta_i = alpha q_i + (alpha^2/2) sum_{j != i} q_i q_j cot((theta_i - theta_j)/2)
+ O(alpha^3). With E q_i q_j = (b^2 + b delta_ij)/(n b (n b + 1)) and a^2 = 2 n (n b + 1) g^2 h, drift and noise are
those of the equation up to O(h): weak order 1. The characteristic polynomial of the roots is linear in q, so that
E e_k(exp i x) = [1 + (k/n)(exp(i alpha) - 1)] e_k(exp i theta) for the elementary symmetric functions e_k, and E
|p_1|^2 obeys a linear equation with the exact limit: `jump` chooses a and the variance of the normal turn, which is 2
g^2 h/n + O(h^2), such that both decay at their exact rates for any h.

For beta = 2 the step multiplies each Schur function by a known number, so that the error of any average is known
without a simulation. At the default step, of E p_k(t) conj p_k(0) in the stationary state at the worst time and k <=
n, in percent of k; and of E p_2 from levels that start in one point, at .1, .3 and 1 times the relaxation time of p_1,
the largest of the three in percent of n:

    n        2     3     5     10    30    100
    worst    .24   .16   .06   .27   .6    .8
    k = 2    .24   .08   .05   .02   .004  0
    E p_2    .1    .1    .3    .8

How the roots are found. In t = tan((theta - c)/2) the equation is rational, sum_j q_j (1 + t_j^2)/(t - t_j) =
cot(alpha/2) - sum_j q_j t_j, and a turn is a Moebius map: no angle is ever formed. The state is tan(theta/2), in the
order of the circle. c is chosen opposite the middle of the largest gap, which is at least 2 pi/n, so that |t_j| is at
most of the order of n; the root in that gap follows from the product of all exp(i x). Angles may coincide, and weights
may be 1e-100 of others: a root is found by its distances from both poles beside it.
"""

from __future__ import annotations

import math

import numpy as np

from ..common import functions, gamma, order, rng
from ..common.once import once
from .bordering import TINY, secular_root

u32 = np.uint32
BETA, COTANGENT, TURN, SPREAD = range(4)  # in `reals`: beta; cot(a/2); a/2n; half the spread of the normal turn
LOGARITHMIC = 0.5  # beta below which the weights are drawn by their logarithms, which do not underflow
LARGEST = {"float64": 1e15, "float32": 1e7}  # tan(theta/2): nearer to pi there are no angles
FRACTIONS = 12  # terms of the continued fraction of the tangent


def scratch(n: int) -> int:
    """Numbers of working space that one replica needs."""
    return 3 * n


def jump(n: int, beta: float, time: float) -> tuple[float, float]:
    """Return a, and the variance of the normal turn, of a step of g^2 h = time, with r = 1 + beta (n - 1)/2.

    Such that E p_1 decays by exp(-time r) and E |p_1|^2 relaxes by exp(-2 time r). Where no normal turn could do that
    (n of thousands, or steps far beyond the default), the variance is 2 time/n and E p_1 alone is exact.
    """
    if n == 1:
        return 0.0, 2.0 * time
    rate = 1.0 + 0.5 * beta * (n - 1)
    # E |p_1|^2 loses the share 2 (1 - cos a) r/(n (n b + 1)) of its distance from the limit
    share = -0.25 * n * (0.5 * n * beta + 1.0) / rate * math.expm1(-2.0 * time * rate)
    if share < 1.0:
        a = 2.0 * math.asin(math.sqrt(share))
        variance = 2.0 * (time * rate + math.log1p(-_lost(n, a)))
        if variance > 0.0:
            return a, variance
    low, high = 0.0, math.pi
    for _ in range(200):
        a = 0.5 * (low + high)
        low, high = (a, high) if -math.log1p(-_lost(n, a)) < time * (rate - 1.0 / n) else (low, a)
    return a, 2.0 * time / n


def _lost(n: int, a: float) -> float:
    """1 - E exp(-i alpha/n) [1 + (exp(i alpha) - 1)/n], without cancellation."""
    return 2.0 * ((1 - 1 / n) * math.sin(0.5 * a / n) ** 2 + math.sin(0.5 * a * (1 - 1 / n)) ** 2 / n)


@once
def build_weights(lanes):
    """``weights(z, beta, n, first, s, replica, key0, key1)`` on one target."""
    jit, number = lanes.jit, lanes.number
    load, store, full, real = lanes.load, lanes.store, lanes.full, lanes.real
    helpers = functions.build(lanes)
    largest, log, exp = helpers.largest, helpers.log, helpers.exp
    generator = rng.build(lanes)
    words, uniform, single_log = generator.words, generator.uniform, generator.log
    chi_squared = gamma.build(lanes).chi_squared
    zero, two = number(0), number(2)
    tiny, logarithmic = number(TINY[number.__name__]), number(LOGARITHMIC)

    @jit
    def weights(z, beta, n, first, s, replica, key0, key1):
        """Draw n gamma numbers of shape beta/2 into z, up to a common factor; draws number `first` and on."""
        if beta < logarithmic:  # Gamma(b) = Gamma(b + 1) U^(1/b)
            highest = full(zero) - full(number(np.inf))
            for j in range(n):
                g = chi_squared(beta + two, first + j, rng.PAIRS, s, replica, key0, key1)
                u = uniform(words(u32(first + j), u32(rng.CHOICES), u32(s), replica, key0, key1)[0])
                v = log(largest(g, full(tiny))) + real(single_log(u)) * (two / beta)
                store(z, j, v)
                highest = largest(highest, v)
            for j in range(n):
                store(z, j, exp(load(z, j) - highest) + tiny)
        else:
            for j in range(n):
                store(z, j, chi_squared(beta, first + j, rng.PAIRS, s, replica, key0, key1) + tiny)

    return weights


def build(lanes):
    """One step on one target; the number of levels is in `integers`."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt = lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt
    select = lanes.select
    helpers = functions.build(lanes)
    least, largest, absolute = helpers.least, helpers.largest, helpers.absolute
    generator = rng.build(lanes)
    words, box_muller, uniform = generator.words, generator.box_muller, generator.uniform
    weights, sort, root = build_weights(lanes), order.build(lanes), secular_root(lanes)
    zero, half, one = number(0), number(0.5), number(1)
    tiny, top = number(TINY[number.__name__]), number(LARGEST[number.__name__])
    smallest = number(np.finfo(number).tiny)
    rounding = number(np.finfo(number).eps)

    @jit
    def tangent(y):
        """Return the tangent of y, by its continued fraction: to rounding for |y| < 2."""
        square = y * y
        value = full(number(2 * FRACTIONS + 1))
        for k in range(FRACTIONS - 1, -1, -1):
            value = full(number(2 * k + 1)) - square / value
        return y / value

    @jit
    def middle_of_largest_gap(t, n):
        """Cosine and sine, up to a common factor, of half the angle in the middle of the largest gap."""
        widest = full(zero) - full(number(np.inf))
        before, after = load(t, 0), load(t, 0)
        for j in range(n):
            a, b = load(t, j), load(t, j + 1 if j < n - 1 else 0)
            difference = b - a
            if j == n - 1:  # all levels in one point leave a gap of 2 pi, not of 0
                difference = difference - smallest
            gap = full(zero) - (one + a * b) / difference  # -cot of half the gap
            wider = widest < gap
            widest = select(wider, gap, widest)
            before, after = select(wider, a, before), select(wider, b, after)
        # perpendicular to the difference of the unit vectors at half the angles; half the angle of a level that is
        # reached by crossing pi is larger by pi
        first, second = one / sqrt(before * before + one), one / sqrt(after * after + one)
        second = select(before < after, second, full(zero) - second)
        return after * second - before * first, first - second

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        n = integers[0]
        d, z, v = part(scratch, 0, n), part(scratch, n, n), part(scratch, 2 * n, n)
        w0, w1, w2, _ = words(u32(0), u32(rng.LEVELS), u32(s), replica, key0, key1)
        turn = box_muller(w0, w1)[0] * reals[SPREAD]
        if n == 1:
            sine = tangent(turn)
            value = (load(state, 0) + sine) / (one - load(state, 0) * sine)
            store(state, 0, largest(least(value, full(top)), full(zero) - top))
            return full(zero) < full(one)
        sign = select(uniform(w2) < np.float32(0.5), full(zero) - one, full(one))
        turn = turn - sign * reals[TURN]
        cosine, sine = middle_of_largest_gap(state, n)
        for j in range(n):
            t = load(state, j)
            value = (cosine + t * sine) / (sine - t * cosine)  # -cot(theta/2 - middle)
            store(d, j, value)
        sort(d, n)
        weights(z, reals[BETA], n, 0, s, replica, key0, key1)
        total, corner = full(zero), full(zero)
        for j in range(n):
            q, u = load(z, j), load(d, j)
            total = total + q
            corner = corner + q * u
            store(z, j, q * (u * u + one))
        force = total * reals[COTANGENT]
        corner = corner - force * sign
        # of exp(i (sum x - sum theta - alpha)/2), for the last root; up to a common factor
        first, second = full(reals[COTANGENT]), sign
        ahead = zero < sign
        for j in range(n - 1):
            low, high = load(d, j), load(d, j + 1)
            width = largest(high - low, absolute(low) * rounding + tiny)
            # next to the pole that it leaves, a root lies z/force away from it for small alpha
            near = least(select(ahead, load(z, j), load(z, j + 1)) / force, width * half)
            far = width - near
            a, _ = root(d, z, n, j, zero, corner, select(ahead, near, far), select(ahead, far, near))
            x = least(low + a, largest(high, low))
            store(v, j, x)
            # times (1 + i low)(1 - i x)
            p, q = low * x + one, low - x
            first, second = first * p - second * q, first * q + second * p
            scale = one / (absolute(first) + absolute(second))
            first, second = first * scale, second * scale
        u = load(d, n - 1)
        first, second = first - second * u, first * u + second
        # back, by half the angle of the middle + pi/2 and of the turn: (cosine, sine) of it
        t = tangent(turn)
        cosine, sine = full(zero) - sine - cosine * t, cosine - sine * t
        for j in range(n - 1):
            x = load(v, j)
            value = (sine + cosine * x) / (cosine - sine * x)
            store(state, j, largest(least(value, full(top)), full(zero) - top))
        value = (sine * first + cosine * second) / (cosine * first - sine * second)
        store(state, n - 1, largest(least(value, full(top)), full(zero) - top))
        squares = full(zero)
        for j in range(n):
            squares = squares + absolute(load(state, j))
        return squares < full(number(np.inf))

    return step
