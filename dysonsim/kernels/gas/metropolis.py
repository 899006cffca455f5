"""Single-particle Metropolis for a Coulomb gas, one sweep a step: the plain algorithm, to compare the other with.

    P(x) ~ prod_{i<j} |x_i - x_j|^beta exp(-sum_i V_i(x_i)),   x_i the level of label i, in no order.

A sweep proposes x_i + delta_i z for every label in turn, which may pass its neighbors, and, where wells differ, the
exchange of two labels' levels; where there are walls, every fourth sweep multiplies the distances to one of them by
exp(z) instead, or levels would be stuck close to it. Nothing is shared with `gas_hmc` but the wells: no gradient, no
order, no change of variables.
"""

from __future__ import annotations

import numpy as np

from ..common import functions, rng
from . import trace as gas_trace
from . import wells as gas_wells

u32 = np.uint32
DELTA, BETA, TRACE = range(3)
WELLS = TRACE + gas_trace.CONSTANTS
SIZES = WELLS + gas_wells.CONSTANTS  # step of each label, in units of DELTA
LEVELS, WINDOWS = range(2)  # in `integers`
FACTORS = 16  # ratios of differences whose product is taken before its logarithm


def state_size(n: int, well: str) -> int:
    """x, tags, running sums, word of failure."""
    return n + gas_wells.TAGS[well] * n + gas_trace.NUMBERS + gas_wells.FAILED


def scratch(n: int) -> int:
    """Numbers of working space that one chain needs."""
    return 8 * -(-n // 4)


def build(lanes, well: str, walls: str, function=None):
    """One sweep on one target; what `well`, `walls` and `function` say is in `gas_wells`."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, part, select, real = lanes.full, lanes.part, lanes.select, lanes.real
    elementary = functions.build(lanes)
    log, exp, absolute = elementary.log, elementary.exp, elementary.absolute
    generator = rng.build(lanes)
    normals, words, uniform = generator.normals, generator.words, generator.uniform
    value = gas_wells.build(lanes, well, walls, function).value
    note = gas_trace.build(lanes).note
    tags_each = gas_wells.TAGS[well]
    has_lower, has_upper = walls in ("lower", "both"), walls in ("upper", "both")
    zero, one, infinite = number(0), number(1), number(np.inf)
    tiny = number(1e-290 if number.__name__ == "float64" else 1e-37)

    @jit
    def height(x, i, n, tags, failed, constants):
        """V of label i at x, infinite beyond the walls."""
        below, above = x - constants[gas_wells.LOWER], full(constants[gas_wells.UPPER]) - x
        inside = x < infinite
        if has_lower:
            inside = inside & (zero < below)
        if has_upper:
            inside = inside & (zero < above)
        safe = select(inside, x, constants[gas_wells.INSIDE])
        low, high = select(inside, below, one), select(inside, above, one)
        return select(inside, value(safe, low, high, i, n, tags, constants, failed), infinite)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        n = integers[LEVELS]
        x, tags = part(state, 0, n), part(state, n, tags_each * n)
        sums = part(state, (1 + tags_each) * n, gas_trace.NUMBERS)
        failed = part(state, (1 + tags_each) * n + gas_trace.NUMBERS, gas_wells.FAILED)
        constants = reals[WELLS:SIZES]
        blocks = (n + 3) // 4
        z, thresholds = part(scratch, 0, 4 * blocks), part(scratch, 4 * blocks, 4 * blocks)
        normals(z, blocks, 0, rng.MOMENTA, s, replica, key0, key1)
        for b in range(blocks):
            w0, w1, w2, w3 = words(u32(b), u32(rng.CHOICES), u32(s), replica, key0, key1)
            store(thresholds, 4 * b, log(real(uniform(w0))))
            store(thresholds, 4 * b + 1, log(real(uniform(w1))))
            store(thresholds, 4 * b + 2, log(real(uniform(w2))))
            store(thresholds, 4 * b + 3, log(real(uniform(w3))))
        moved = full(zero)
        lower, upper = constants[gas_wells.LOWER], constants[gas_wells.UPPER]
        from_lower, from_upper = has_lower and s % 4 == 1, has_upper and s % 4 == 3
        for i in range(n):
            old, kick = load(x, i), load(z, i)
            new = old + kick * (reals[DELTA] * reals[SIZES + i])
            jacobian = full(zero)
            if from_lower:
                new, jacobian = exp(kick) * (old - lower) + lower, kick
            if from_upper:
                new, jacobian = full(upper) - exp(kick) * (full(upper) - old), kick
            gain = jacobian + height(old, i, n, tags, failed, constants) - height(new, i, n, tags, failed, constants)
            for j0 in range(0, n, FACTORS):
                wide, narrow = full(one), full(one)
                end = min(n, j0 + FACTORS)
                for j in range(j0, min(i, end)):
                    wide = wide * (new - load(x, j))
                    narrow = narrow * (old - load(x, j))
                for j in range(max(i + 1, j0), end):
                    wide = wide * (new - load(x, j))
                    narrow = narrow * (old - load(x, j))
                gain = gain + log(absolute(wide / narrow) + tiny) * reals[BETA]
            accepted = load(thresholds, i) < gain
            store(x, i, select(accepted, new, old))
            moved = moved + select(accepted, full(one), full(zero))
        if tags_each > 0:
            for i in range(n - 1):
                j = i + 1 + s % (n - 1 - i)
                a, b = load(x, i), load(x, j)
                gain = height(a, i, n, tags, failed, constants) + height(b, j, n, tags, failed, constants)
                gain = gain - height(b, i, n, tags, failed, constants)
                gain = gain - height(a, j, n, tags, failed, constants)
                draw, _, _, _ = words(u32(i), u32(rng.CHOICES + rng.STRIDE), u32(s), replica, key0, key1)
                accepted = log(real(uniform(draw))) < gain
                store(x, i, select(accepted, b, a))
                store(x, j, select(accepted, a, b))
        note(sums, x, n, moved / number(n), s, reals[TRACE:WELLS], integers[WINDOWS:])
        return load(failed, 0) < zero

    return step
