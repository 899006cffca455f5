"""Drift, noise and repulsion of the eigenvalues of a Gaussian RBM; `models/closures.py` derives them.

In units with sigma = 1, x_i the levels, R_i = 1/(mu^2 - x_i), p_i the inverse eigenvalues of the target,
a_i = x_i/mu^2, r_ij = (a_i a_j)^k, c_ij = (1 + r_ij)/(1 - r_ij), V_ij = (alpha^2/B) (1 + d_ij) R_i R_j, the drift per
SGD step is

    2 alpha x_i (p_i - R_i) + alpha^2 x_i (p_i - R_i)^2 + sum_j x_j V_ij                              ("independent")
    + the same first line times -tau_i - c_ii f_i'/2, f_i = 2 alpha x_i (p_i - R_i)                    ("corrected")
    + 2 sum_j (x_i + x_j) V_ij [r_ij + 2 x_i D_ij a_i^k/(1 - r_ii)]/(1 - r_ij),  D_ij = (a_i^k - a_j^k)/(a_i - a_j)/mu^2
    + 2 alpha x_i sum_j E[sin^2 theta_ij] (p_j - p_i)

and g_ij^2 = pair_ij (x_i + x_j)^2 c_ij R_i R_j with constants pair_ij, alpha^2/B times corrections.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

from ..common import functions, turning

# Constants in `reals`, before arrays of n numbers (inverse target, fixed points, tau) and of n^2 (pair factors, size of
# the rotations, their slopes).
RATE, SCALE, MU2, HIGHEST, ARRAYS = range(5)


def scratch(n: int) -> int:
    """Numbers of working space that the drift of one gas needs."""
    return 3 * n


class Layout(NamedTuple):
    """Where the arrays begin in `reals`: three of n numbers, then three of n^2."""

    target: int
    fixed: int
    tau: int
    pairs: int
    size: int
    slope: int

    @classmethod
    def of(cls, n: int) -> Layout:
        """For n levels."""
        return cls(*(ARRAYS + k * n for k in range(3)), *(ARRAYS + 3 * n + k * n * n for k in range(3)))


def pieces(lanes, gibbs_steps: int) -> SimpleNamespace:
    """`inside`, a level as the coefficients take it; `power` and `divided_difference` of what chains remember."""
    jit, full, one, zero = lanes.jit, lanes.full, lanes.number(1), lanes.number(0)
    helpers = functions.build(lanes)
    least, largest = helpers.least, helpers.largest
    below = gibbs_steps.bit_length() - 2  # the second highest bit

    @jit
    def power(a, exponent):
        """a^exponent, a whole exponent >= 0."""
        result = full(one)
        while exponent > 0:
            if exponent & 1:
                result = result * a
            a = a * a
            exponent >>= 1
        return result

    @jit
    def inside(v, reals):
        """Return a level in units with sigma = 1, kept where the coefficients are finite."""
        return least(largest(v * reals[SCALE], full(zero)), full(reals[HIGHEST]))

    @jit
    def divided_difference(a, b):
        """S_k = (a^k - b^k)/(a - b) = sum_l a^l b^(k-1-l), by S_2k = S_k (a^k + b^k) and S_(k+1) = a S_k + b^k."""
        total, of_a, of_b = full(one), a, b
        for bit in range(below, -1, -1):
            total = total * (of_a + of_b)
            of_a, of_b = of_a * of_a, of_b * of_b
            if (gibbs_steps >> bit) & 1:
                total = total * a + of_b
                of_a, of_b = of_a * a, of_b * b
        return total

    return SimpleNamespace(power=power, inside=inside, divided_difference=divided_difference)


def drifts(lanes, n: int, null: int, gibbs_steps: int, corrected: bool, tools: SimpleNamespace):
    """``drift(out, x, reals, work)``, the first formula of the module."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, select = lanes.load, lanes.store, lanes.full, lanes.part, lanes.select
    helpers, turned = functions.build(lanes), turning.build(lanes)
    least, largest = helpers.least, helpers.largest
    inside, power, divided_difference = tools.inside, tools.power, tools.divided_difference
    zero, one, two, tiny = number(0), number(1), number(2), number(1e-12)
    memory, (target, fixed, tau, pairs, size, slope) = gibbs_steps > 0, Layout.of(n)

    @jit
    def drift(out, x, reals, work):
        y, r, q = part(work, 0, n), part(work, n, n), part(work, 2 * n, n)
        alpha, inverse_mu2 = reals[RATE], one / reals[MU2]
        for i in range(n):
            level = inside(load(x, i), reals)
            inverse = full(one) / (full(reals[MU2]) - level)
            store(y, i, level)
            store(r, i, inverse)
            force = full(reals[target + i]) - inverse
            step = level * force * (two * alpha) + level * force * force * (alpha * alpha)
            c = full(one)
            if memory:
                a = power(level * inverse_mu2, gibbs_steps)
                store(q, i, a)
                c = (a * a + one) / (full(one) - a * a)
            if corrected:
                steepness = (force - level * inverse * inverse) * alpha
                step = step * (full(one - reals[tau + i]) - c * steepness)
            store(out, i, step)
        for i in range(n):
            yi, ri = load(y, i), load(r, i)
            total = load(out, i) + yi * ri * ri * (two * reals[pairs + i * n + i])
            for j in range(i):
                yj, rj = load(y, j), load(r, j)
                v = ri * rj * reals[pairs + i * n + j]
                mine, other = v * (yi if j < null else yj), v * yi  # a level that is always 0 repels from here
                if corrected:
                    turn = reals[size + i * n + j]
                    if turn > zero:
                        shift = (yi - reals[fixed + i]) * reals[slope + i * n + j]
                        shift = (yj - reals[fixed + j]) * reals[slope + j * n + i] + shift
                        up = shift + one
                        down = full(one) / (full(one) - least(shift, full(zero)))
                        bend = select(full(zero) < shift, up, down)
                        angle = turned(bend * turn / largest(yi - yj, full(tiny)))
                        angle = angle * (two * alpha * (reals[target + j] - reals[target + i]))
                        mine = mine + angle * yi
                        other = other - angle * yj
                store(out, j, load(out, j) + other)
                total = total + mine
            store(out, i, total)
        if corrected and memory:
            for i in range(n):
                yi, ri, qi = load(y, i), load(r, i), load(q, i)
                back = yi * qi / (full(one) - qi * qi) * (two * inverse_mu2)
                total = full(zero)
                for j in range(n):
                    yj, qj = load(y, j), load(q, j)
                    bend = divided_difference(yi * inverse_mu2, yj * inverse_mu2) * back
                    twice = two * reals[pairs + i * n + j] * (two if i == j else one)
                    total = (yi + yj) * load(r, j) * twice * (qi * qj + bend) / (full(one) - qi * qj) + total
                store(out, i, load(out, i) + total * ri)
        for i in range(n):
            store(out, i, load(out, i) * (zero if i < null else one / reals[SCALE]))

    return drift


def noises(lanes, n: int, null: int, gibbs_steps: int, tools: SimpleNamespace) -> SimpleNamespace:
    """`noise` g_ii of a level, its slope, and `pair`, g_ij^2."""
    jit, number, full, sqrt = lanes.jit, lanes.number, lanes.full, lanes.sqrt
    inside, power = tools.inside, tools.power
    zero, one, two, steps = number(0), number(1), number(2), number(gibbs_steps)
    memory, pairs = gibbs_steps > 0, Layout.of(n).pairs

    @jit
    def noise(i, v, reals):
        level = inside(v, reals)
        c = full(reals[pairs + i * n + i])
        if memory:
            a = power(level * (one / reals[MU2]), 2 * gibbs_steps)
            c = c * (a + one) / (full(one) - a)
        return level * sqrt(c) * (two / reals[SCALE]) / (full(reals[MU2]) - level)

    @jit
    def noise_slope(i, v, reals):
        level = inside(v, reals)
        inverse = full(one) / (full(reals[MU2]) - level)
        c, bend = full(reals[pairs + i * n + i]), level * inverse + one
        if memory:
            before = power(level * (one / reals[MU2]), 2 * gibbs_steps - 1)
            a = before * level * (one / reals[MU2])
            c = c * (a + one) / (full(one) - a)
            bend = bend + a * (two * steps) / (full(one) - a * a)
        return sqrt(c) * inverse * bend * two

    @jit
    def pair(i, j, a, b, reals):
        if i < null or j < null:
            return full(zero)
        yi, yj = inside(a, reals), inside(b, reals)
        s = yi + yj
        g2 = s * s * (reals[pairs + i * n + j] / (reals[SCALE] * reals[SCALE]))
        g2 = g2 / ((full(reals[MU2]) - yi) * (full(reals[MU2]) - yj))
        if memory:
            r = power(yi * yj * (one / (reals[MU2] * reals[MU2])), gibbs_steps)
            g2 = g2 * (r + one) / (full(one) - r)
        return g2

    return SimpleNamespace(noise=noise, noise_slope=noise_slope, pair=pair)


def build(lanes, n: int, null: int, gibbs_steps: int, corrected: bool) -> SimpleNamespace:
    """`drift`, `noise`, `noise_slope`, `pair`, see `kernels/dyson/terms.py`.

    The first `null` levels are always 0 (fewer hidden than visible units); gibbs_steps = 0: fresh samples, r = 0.
    """
    tools = pieces(lanes, gibbs_steps)
    drift = drifts(lanes, n, null, gibbs_steps, corrected, tools)
    of = noises(lanes, n, null, gibbs_steps, tools)
    return SimpleNamespace(drift=drift, noise=of.noise, noise_slope=of.noise_slope, pair=of.pair, work=scratch(n))
