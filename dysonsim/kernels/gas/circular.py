"""Independent draws of the circular ensembles, prod |exp(i theta_i) - exp(i theta_j)|^beta, any beta > 0.

One step is one draw: one angle after the other joins, as many as there are Verblunsky coefficients in the matrices of
R. Killip and I. Nenciu (Int. Math. Res. Not. 50, 2665 (2004)). The weights q of k - 1 angles theta in the first vector
are Dirichlet(beta/2, ...), whatever the angles are. The coefficient a that comes before those of their measure is, as
a complex number, two coordinates of a random point of the sphere in beta (k - 1) + 2 dimensions; the measure is then
that of k angles x, which are the roots of

    sum_j q_j cot((x - theta_j)/2) + A cot((x - phi)/2) + B = 0,    A + i B = (1 - conj a)/(1 + conj a),
    exp(i phi) = (1 + conj a)/(1 + a).

In u = tan((x - phi + pi)/2) the new pole lies at infinity, and this is the secular equation of `dyson/bordering`. The
state is tan(theta/2).
"""

from __future__ import annotations

import numpy as np

from ..common import functions, gamma, order, rng
from ..dyson.bordering import TINY, secular
from ..dyson.circle import LARGEST, build_weights

BETA = 0  # in `reals`
u32 = np.uint32


def scratch(n: int) -> int:
    """Numbers of working space that one replica needs."""
    return 4 * (n + 2)


def build(lanes):
    """One draw on one target; the number of levels is in `integers`."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, sqrt = lanes.load, lanes.store, lanes.full, lanes.part, lanes.sqrt
    helpers = functions.build(lanes)
    least, largest, sum_of_squares = helpers.least, helpers.largest, helpers.sum_of_squares
    generator = rng.build(lanes)
    words, box_muller = generator.words, generator.box_muller
    weights, roots, sort = build_weights(lanes), secular(lanes), order.build(lanes)
    chi_squared = gamma.build(lanes).chi_squared
    zero, one, two, four = number(0), number(1), number(2), number(4)
    tiny, top, infinite = number(TINY[number.__name__]), number(LARGEST[number.__name__]), number(np.inf)

    @jit
    def clipped(v):
        return largest(least(v, full(top)), full(zero) - top)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        n = integers[0]
        d, z = part(scratch, 0, n + 2), part(scratch, n + 2, n + 2)  # with a place for the bounds at either end
        out, share = part(scratch, 2 * n + 4, n + 2), part(scratch, 3 * n + 6, n + 2)
        w0, w1, _, _ = words(u32(0), u32(rng.LEVELS), u32(s), replica, key0, key1)
        g1, g2 = box_muller(w0, w1)
        store(state, 0, clipped(g2 / g1))
        for k in range(1, n):
            w0, w1, _, _ = words(u32(k), u32(rng.LEVELS), u32(s), replica, key0, key1)
            g1, g2 = box_muller(w0, w1)
            rest = chi_squared(reals[BETA] * k, k, rng.LENGTHS, s, replica, key0, key1) + tiny
            size = sqrt(g1 * g1 + g2 * g2 + rest)
            real = size + g1  # of (1 + a) size
            inverse = one / (real * real + g2 * g2)
            slope, corner = rest * inverse, g2 * size * inverse * two
            weights(part(z, 1, n), reals[BETA], k, k * n, s, replica, key0, key1)
            total, moment, strength = full(zero), full(zero), full(zero)
            for j in range(k):
                q, u = load(z, j + 1), load(state, j)
                total, moment = total + q, moment + q * u
                q = q * (u * u + one)
                strength = strength + q
                store(z, j + 1, q)
                store(d, j + 1, u)
            inverse = one / total
            for j in range(k):
                store(z, j + 1, load(z, j + 1) * inverse)
            corner = corner + moment * inverse
            reach, center = sqrt(strength * inverse / slope) * two, corner / slope
            store(d, 0, largest(least(center, load(d, 1)) - reach, full(zero) - top * four))
            store(d, k + 1, least(largest(center, load(d, k)) + reach, full(top * four)))
            store(z, 0, full(zero))
            roots(d, z, k + 1, 0, k + 1, slope, corner, out, share)
            for j in range(k + 1):
                u = load(out, j)
                store(state, j, clipped((real + g2 * u) / (g2 - real * u)))
            sort(state, k + 1)
        return sum_of_squares(state, n) < infinite

    return step
