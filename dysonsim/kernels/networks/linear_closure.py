"""Drift, noise and repulsion of the singular values of a linear network; `models/closures.py` derives them.

With e_i = xi_i - t_i the distance to the teacher's singular values, the drift per SGD step is

    -rate_i e_i - sum_j turn_ij (1 - I_1(a)/I_0(a))/2 + sum_j skew_ij/(xi_i + xi_j) + wall_i/xi_i,

a = (xi_i - xi_j)/(4 size_ij), except for two levels that share a well but not their rate: theirs is the gradient of the
logarithm of a 2 x 2 matrix ensemble with the variances s_11, s_22, s_12 of its entries, averaged over its eigenvectors,

    g^2 d/de_i log int dphi exp(-a^2/(2 s_11) - b^2/(2 s_22) - c^2/(2 s_12)),
    (a, b) = m +- (d/2) cos 2 phi, c = (d/2) sin 2 phi, m = (e_1 + e_2)/2, d = e_2 - e_1.

The denominators xi_i are kept above floor_i, where 1/xi would carry a level across in one step, and far outside its
well a level of such a pair has its own rate back. The data add (alpha^2/4B)(z_i^2 e_i - z_j^2 e_j)^2 to skew_ij and
beside wall_i (alpha^2/2B) z_i^4 e_i^2 for every level that is always 0. Noise: g_ij^2 = base_ij +
(alpha^2/4B)(z_i^2 e_i + z_j^2 e_j)^2.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

from ..common import functions, turning

# Constants in `reals`: alpha^2/B, then arrays of n numbers and of n^2.
DATA = 0
LEVEL_ARRAYS = (
    "fixed", "rate", "curvature", "curvature_above", "wall", "floor",
    "mean", "difference", "mixing", "strength", "reach", "ratio", "ratio_above",
)  # fmt: skip
PAIR_ARRAYS = ("base", "size", "turn", "skew")
NODES = 24  # intervals of the trapezoidal rule in the angle; exact to 1e-9 up to exponents of about 60


def build(lanes, n: int, null: int, species: int) -> SimpleNamespace:
    """`drift`, `noise`, `noise_slope`, `pair`, see `kernels/dyson/terms.py`.

    The first `null` levels are always 0 (more columns than rows). Bit i of `species`: the levels i and i + 1 share a
    well but not their rate.
    """
    jit, number = lanes.jit, lanes.number
    load, store, full, sqrt, select = lanes.load, lanes.store, lanes.full, lanes.sqrt, lanes.select
    helpers = functions.build(lanes)
    exp, largest = helpers.exp, helpers.largest
    turned = turning.build(lanes)
    zero, half, one, two, quarter = number(0), number(0.5), number(1), number(2), number(0.25)
    tiny = number(1e-12)
    offset = {name: 1 + n * place for place, name in enumerate(LEVEL_ARRAYS)}
    after = 1 + n * len(LEVEL_ARRAYS)
    offset |= {name: after + n * n * place for place, name in enumerate(PAIR_ARRAYS)}
    fixed, rate, curvature, curvature_above, wall, floor = (offset[name] for name in LEVEL_ARRAYS[:6])
    mean, difference, mixing, strength, reach, ratio, ratio_above = (offset[name] for name in LEVEL_ARRAYS[6:])
    base, size, turn, skew = (offset[name] for name in PAIR_ARRAYS)
    cosines = tuple(number(math.cos(math.pi * k / NODES)) for k in range(NODES + 1))
    weights = tuple(number(0.5 if k in (0, NODES) else 1) for k in range(NODES + 1))

    @jit
    def bent(i, v, reals):
        """z^2 of the level i at v, and z^2 e: of two that share a well the slow one lags behind, on either side."""
        e = v - reals[fixed + i]
        z2 = select(e < zero, full(reals[curvature + i]), full(reals[curvature_above + i]))
        return z2, z2 * e

    @jit
    def averages(a, b):
        """Mean of C and C^2, C = cos of a uniform angle, under the weight exp(-a C^2 - b C)."""
        highest = full(zero) - a - b
        for k in range(NODES + 1):
            highest = largest(highest, (a * cosines[k] + b) * (zero - cosines[k]))
        total, first, second = full(zero), full(zero), full(zero)
        for k in range(NODES + 1):
            w = exp((a * cosines[k] + b) * (zero - cosines[k]) - highest) * weights[k]
            total = total + w
            first = w * cosines[k] + first
            second = w * (cosines[k] * cosines[k]) + second
        return first / total, second / total

    @jit
    def shared(i, lower, upper, reals):
        """Drift of the two levels i and i + 1 at distances lower < upper from their well."""
        p, q, r = reals[mean + i], reals[difference + i], reals[mixing + i]
        m, d = (lower + upper) * half, upper - lower
        first, second = averages(d * d * (quarter * (p - half * r)), m * d * q)
        along = m * (p * two) + d * first * q
        apart = d * (r * quarter) + d * second * (half * p - quarter * r) + m * first * q
        return (apart - along * half) * reals[strength + i], (full(zero) - apart - along * half) * reals[strength + i]

    @jit
    def hastened(i, e, reals):
        """Factor that brings the drift far outside the well to the level's own rate."""
        fourth = e * e * e * e
        own = select(e < zero, full(reals[ratio + i]), full(reals[ratio_above + i]))
        return fourth / (fourth + reals[reach + i]) * (own - one) + one

    @jit
    def drift(out, x, reals, work):
        for i in range(null, n):
            xi = load(x, i)
            e = xi - reals[fixed + i]
            away = bent(i, xi, reals)[1]
            total = (away * away * (half * number(null) * reals[DATA]) + reals[wall + i]) / largest(
                xi, full(reals[floor + i])
            )
            if (species >> i) & 1 == 0 and (i == 0 or (species >> (i - 1)) & 1 == 0):
                total = total - e * reals[rate + i]
            store(out, i, total)
        for i in range(null):
            store(out, i, full(zero))
        for i in range(n - 1):
            if (species >> i) & 1:
                a, b = load(x, i) - reals[fixed + i], load(x, i + 1) - reals[fixed + i + 1]
                lower, upper = shared(i, a, b, reals)
                store(out, i, load(out, i) + lower * hastened(i, a, reals))
                store(out, i + 1, load(out, i + 1) + upper * hastened(i + 1, b, reals))
        for i in range(null, n):
            xi = load(x, i)
            ei = bent(i, xi, reals)[1]
            total = load(out, i)
            for j in range(null, i):
                xj = load(x, j)
                difference = ei - bent(j, xj, reals)[1]
                data = difference * difference * (quarter * reals[DATA])
                inverse = full(one) / largest(xi + xj, full(reals[floor + i] + reals[floor + j]))
                mine = (data + reals[skew + i * n + j]) * inverse
                other = (data + reals[skew + j * n + i]) * inverse
                if reals[size + i * n + j] > zero:
                    angle = turned(full(reals[size + i * n + j]) / largest(xi - xj, full(tiny)))
                    mine = mine - angle * reals[turn + i * n + j]
                    other = other - angle * reals[turn + j * n + i]
                total = total + mine
                store(out, j, load(out, j) + other)
            store(out, i, total)

    @jit
    def noise(i, v, reals):
        e = bent(i, v, reals)[1]
        g2 = e * e * reals[DATA] + reals[base + i * n + i]
        return sqrt(g2)

    @jit
    def noise_slope(i, v, reals):
        z2, e = bent(i, v, reals)
        g = noise(i, v, reals)
        return e * z2 * reals[DATA] / select(g < tiny, full(tiny), g)

    @jit
    def pair(i, j, a, b, reals):
        if i < null or j < null:
            return full(zero)
        e = bent(i, a, reals)[1] + bent(j, b, reals)[1]
        return e * e * (quarter * reals[DATA]) + reals[base + i * n + j]

    return SimpleNamespace(drift=drift, noise=noise, noise_slope=noise_slope, pair=pair, work=1)
