"""Hamiltonian Monte Carlo for a Coulomb gas, one iteration a step.

    P(x) ~ prod_{i<j} |x_i - x_j|^beta exp(-sum_i V_i(x_i)),   every labeling of the levels included.

Levels move in order, in the logarithms of their gaps, where a collision is a harmless slope and a wall is one more gap:

============== ==================================== ===========================================
walls          gaps g_k = v_k - v_{k-1}             levels
============== ==================================== ===========================================
none           v_0 = y_0, g_k = exp(y_k)            x = v
lower or upper g_k = exp(y_k), from the wall on     x = lower + v, or upper - v
both           g_k = (upper - lower) s_k            x = lower + v, s_k = exp(y_k)/(1 + sum_j exp(y_j))
============== ==================================== ===========================================

and y = y* + S q: with S S^T the inverse Hessian at the mode all directions are alike. Where wells differ, labels hop
over one another and exchange their wells after each trajectory (`gas_species`): the chain visits every labeling, with
its weight.

Invariant for any forces and any step, the trajectory being reversible and its end accepted or not (Duane, Kennedy,
Pendleton, Roweth, Phys. Lett. B 195, 216 (1987)); a trajectory that meets no number is rejected. One iteration in ten,
and every other one of the warm-up, has a step five times shorter: it frees chains where the law is steep.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ..common import functions, rng
from ..common.once import once
from . import species as gas_species
from . import trace as gas_trace
from . import wells as gas_wells

u32 = np.uint32
EPSILON, BETA, INVERSE_SCALE, TRACE = range(4)
WELLS = TRACE + gas_trace.CONSTANTS
MODE = WELLS + gas_wells.CONSTANTS  # then S by rows, upper triangle, and S^T by rows, lower triangle
LEVELS, LEAPS, WINDOWS = range(3)  # in `integers`
FACTORS = 16  # differences whose product is taken before its logarithm
JITTER = 0.4  # relative range of the step length, so that no orbit closes
CAREFUL, SHORT = 0.1, 0.2  # share of the iterations with a shorter step, and by how much


def state_size(n: int, well: str) -> int:
    """x, q, gradient, tags; energy; running sums; word of failure."""
    return 3 * n + gas_wells.TAGS[well] * n + 1 + gas_trace.NUMBERS + gas_wells.FAILED


def scratch(n: int) -> int:
    """Numbers of working space that one chain needs."""
    return 6 * n + 1 + 4 * -(-n // 4)


def smallest(number):
    """Far below any size of what it is added to: where products of differences underflow, levels have met."""
    return number(1e-290 if number.__name__ == "float64" else 1e-37)


@once
def row_products(lanes):
    """``inner(row, a, first, count)``: sum_m row[m] a[first + m] for a row of numbers."""
    jit, load, full, zero = lanes.jit, lanes.load, lanes.full, lanes.number(0)

    @jit
    def inner(row, a, first, count):
        s0 = full(zero)
        s1, s2, s3 = s0, s0, s0
        whole = count - count % 4
        for m in range(0, whole, 4):
            s0 = load(a, first + m) * row[m] + s0
            s1 = load(a, first + m + 1) * row[m + 1] + s1
            s2 = load(a, first + m + 2) * row[m + 2] + s2
            s3 = load(a, first + m + 3) * row[m + 3] + s3
        for m in range(whole, count):
            s0 = load(a, first + m) * row[m] + s0
        return (s0 + s1) + (s2 + s3)

    return inner


def geometry(lanes, elementary, inner, walls: str) -> SimpleNamespace:
    """Coordinates and levels: `positions`, `coordinates`, `place`, `top`; `free`, the first logarithm of a gap."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, select = lanes.full, lanes.select
    log, exp = elementary.log, elementary.exp
    between, walled, mirrored = walls == "both", walls != "none", walls == "upper"
    wall = gas_wells.UPPER if mirrored else gas_wells.LOWER
    free = 0 if walled else 1
    one, zero, tiny = number(1), number(0), smallest(number)

    @jit
    def positions(q, y, gaps, v, reals, n):
        """y, the gaps and v of q; behind v, the logarithm of 1 + sum_j exp(y_j) if there are two walls."""
        at = MODE + n
        for i in range(n):
            store(y, i, inner(reals[at : at + n - i], q, i, n - i) + reals[MODE + i])
            at += n - i
        if free == 1:
            store(gaps, 0, load(y, 0))
        for i in range(free, n):  # a loop of its own, whose turns overlap
            store(gaps, i, exp(load(y, i)))
        if between:
            total = full(one)
            for i in range(n):
                total = total + load(gaps, i)
            store(v, n, log(total))
            share = full(reals[WELLS + gas_wells.UPPER] - reals[WELLS + gas_wells.LOWER]) / total
            for i in range(n):
                store(gaps, i, load(gaps, i) * share)
        level = full(zero)
        for i in range(n):
            level = level + load(gaps, i)
            store(v, i, level)

    @jit
    def place(v, constants):
        """Return x and its distances to the walls, the upper one of two excepted."""
        if mirrored:
            return full(constants[wall]) - v
        if walled:
            return v + constants[wall]
        return v

    @jit
    def top(gaps, v, constants, n):
        """Distance of the highest level to the upper of two walls."""
        length = constants[gas_wells.UPPER] - constants[gas_wells.LOWER]
        return exp(full(zero) - load(v, n)) * length if between else load(v, n - 1)

    @jit
    def coordinates(x, q, v, reals, n):
        """Compute q of levels in order, the inverse of `positions`; v is overwritten."""
        constants = reals[WELLS:MODE]
        for i in range(n):
            level = load(x, i)
            if mirrored:
                level = full(constants[wall]) - level
            elif walled:
                level = level - constants[wall]
            store(v, i, level)
        unit = full(one)
        if between:
            unit = one / (full(constants[gas_wells.UPPER] - constants[gas_wells.LOWER]) - load(v, n - 1))
        for i in range(n - 1, free - 1, -1):
            gap = (load(v, i) - load(v, i - 1) if i > 0 else load(v, i)) * unit
            store(v, i, log(select(tiny < gap, gap, tiny)))
        at = MODE + n + (n * (n + 1)) // 2
        for i in range(n - 1, -1, -1):
            at -= n - i
            rest = load(v, i) - reals[MODE + i] - inner(reals[at + 1 : at + n - i], q, i + 1, n - i - 1)
            store(q, i, rest / reals[at])

    return SimpleNamespace(free=free, positions=positions, coordinates=coordinates, place=place, top=top)


@once
def repulsions(lanes):
    """``repulsion(f, v, n)``: f_i = sum_j 1/(v_i - v_j); four pairs share a division."""
    jit, load, store, full = lanes.jit, lanes.load, lanes.store, lanes.full
    zero, one = lanes.number(0), lanes.number(1)

    @jit
    def repulsion(f, v, n):
        store(f, 0, full(zero))
        for i in range(1, n):
            level = load(v, i)
            total = full(zero)
            whole = i - i % 4
            for j in range(0, whole, 4):
                d0, d1 = level - load(v, j), level - load(v, j + 1)
                d2, d3 = level - load(v, j + 2), level - load(v, j + 3)
                a, b = d0 * d1, d2 * d3
                r = one / (a * b)
                a, b = r * b, r * a
                r0, r1, r2, r3 = a * d1, a * d0, b * d3, b * d2
                total = total + ((r0 + r1) + (r2 + r3))
                store(f, j, load(f, j) - r0)
                store(f, j + 1, load(f, j + 1) - r1)
                store(f, j + 2, load(f, j + 2) - r2)
                store(f, j + 3, load(f, j + 3) - r3)
            if i % 4 > 1:
                d0, d1 = level - load(v, whole), level - load(v, whole + 1)
                r = one / (d0 * d1)
                r0, r1 = r * d1, r * d0
                total = total + (r0 + r1)
                store(f, whole, load(f, whole) - r0)
                store(f, whole + 1, load(f, whole + 1) - r1)
            if i % 2 == 1:
                r = one / (level - load(v, i - 1))
                total = total + r
                store(f, i - 1, load(f, i - 1) - r)
            store(f, i, total)

    return repulsion


def forces(lanes, inner, levels, slope, walls: str):
    """``gradient(g, f, q, y, gaps, v, tags, failed, reals, n)``; levels: of `geometry`, slope: of `gas_wells`."""
    jit, number, load, store, full = lanes.jit, lanes.number, lanes.load, lanes.store, lanes.full
    positions, place, top, free = levels.positions, levels.place, levels.top, levels.free
    repulsion, between, mirrored = repulsions(lanes), walls == "both", walls == "upper"
    zero, one = number(0), number(1)

    @jit
    def gradient(g, f, q, y, gaps, v, tags, failed, reals, n):
        """Positions, and g = dU/dq."""
        positions(q, y, gaps, v, reals, n)
        repulsion(f, v, n)
        constants = reals[WELLS:MODE]
        above = top(gaps, v, constants, n)
        beyond, moment = full(zero), full(zero)
        for i in range(n - 1, -1, -1):  # sums over all levels beyond a gap, which move with it
            level = load(v, i)
            force = slope(place(level, constants), level, above if between else level, i, n, tags, constants, failed)
            if mirrored:
                force = full(zero) - force
            beyond = beyond + (force - load(f, i) * reals[BETA])
            along = beyond * load(gaps, i) if i >= free else beyond
            moment = moment + along
            store(f, i, along)
            above = above + load(gaps, i)
        if between:
            share = number(n + 1) - moment
            share = share / (constants[gas_wells.UPPER] - constants[gas_wells.LOWER])
            for i in range(n):
                store(f, i, load(f, i) + load(gaps, i) * share)
        for i in range(free, n):
            store(f, i, load(f, i) - one)
        at = MODE + n + (n * (n + 1)) // 2
        for i in range(n):
            store(g, i, inner(reals[at : at + i + 1], f, 0, i + 1))
            at += i + 1

    return gradient


def energies(lanes, elementary, levels, value, walls: str):
    """``energy(y, gaps, v, tags, failed, reals, n)``; levels: of `geometry`, value: of `gas_wells`."""
    jit, number, load, full = lanes.jit, lanes.number, lanes.load, lanes.full
    log, absolute = elementary.log, elementary.absolute
    place, top, free, between = levels.place, levels.top, levels.free, walls == "both"
    zero, one, tiny = number(0), number(1), smallest(number)

    @jit
    def energy(y, gaps, v, tags, failed, reals, n):
        """-log of the density of y."""
        constants = reals[WELLS:MODE]
        above = top(gaps, v, constants, n)
        total, logs = full(zero), full(zero)
        product, factors = full(one), 0
        for i in range(n - 1, -1, -1):
            level = load(v, i)
            x = place(level, constants)
            total = total + value(x, level, above if between else level, i, n, tags, constants, failed)
            above = above + load(gaps, i)
            if i >= free:
                total = total - load(y, i)
            for j in range(i):
                product = product * ((level - load(v, j)) * reals[INVERSE_SCALE])
                factors += 1
                if factors == FACTORS:
                    logs = logs + log(absolute(product) + tiny)
                    product, factors = full(one), 0
        logs = logs + log(absolute(product) + tiny)
        if between:
            total = total + load(v, n) * number(n + 1)
        return total - logs * reals[BETA]

    return energy


def build(lanes, well: str, walls: str, function=None):
    """One iteration on one target; what `well`, `walls` and `function` say is in `gas_wells`."""
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, part, select, real = lanes.full, lanes.part, lanes.select, lanes.real
    elementary, generator = functions.build(lanes), rng.build(lanes)
    log, sum_of_squares = elementary.log, elementary.sum_of_squares
    normals, words, uniform = generator.normals, generator.words, generator.uniform
    wells, note = gas_wells.build(lanes, well, walls, function), gas_trace.build(lanes).note
    inner = row_products(lanes)
    levels = geometry(lanes, elementary, inner, walls)
    place, coordinates = levels.place, levels.coordinates
    gradient = forces(lanes, inner, levels, wells.slope, walls)
    energy = energies(lanes, elementary, levels, wells.value, walls)
    species = gas_species.build(lanes, well, walls, wells.value)
    hop, exchange, order = species.hop, species.exchange, species.order
    tags_each = gas_wells.TAGS[well]
    zero, half, one, jitter = number(0), number(0.5), number(1), number(JITTER)
    careful, short = number(CAREFUL), number(SHORT)

    @jit
    def kinetic(p, n):
        return sum_of_squares(p, n) * half

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        n, leaps, source = integers[LEVELS], integers[LEAPS], (u32(s), replica, key0, key1)
        x, q, g = part(state, 0, n), part(state, n, n), part(state, 2 * n, n)
        tags, last = part(state, 3 * n, tags_each * n), (3 + tags_each) * n
        kept, sums = part(state, last, 1), part(state, last + 1, gas_trace.NUMBERS)
        failed = part(state, last + 1 + gas_trace.NUMBERS, gas_wells.FAILED)
        q1, g1, f = part(scratch, 0, n), part(scratch, n, n), part(scratch, 2 * n, n)
        y, gaps, v = part(scratch, 3 * n, n), part(scratch, 4 * n, n), part(scratch, 5 * n, n + 1)
        p = part(scratch, 6 * n + 1, 4 * ((n + 3) // 4))
        normals(p, (n + 3) // 4, 0, rng.MOMENTA, *source)
        draw, spread, care, _ = words(u32(0), u32(rng.CHOICES), *source)
        epsilon = (real(uniform(spread)) * jitter + (one - half * jitter)) * reals[EPSILON]
        share = half if s < integers[WINDOWS] else careful
        epsilon = select(real(uniform(care)) < share, epsilon * short, epsilon)
        if s == 0 or tags_each > 0:
            gradient(g, f, q, y, gaps, v, tags, failed, reals, n)
            store(kept, 0, energy(y, gaps, v, tags, failed, reals, n))
        before = load(kept, 0) + kinetic(p, n)
        for i in range(n):
            store(p, i, load(p, i) - load(g, i) * (epsilon * half))
            store(q1, i, load(q, i) + load(p, i) * epsilon)
        for leap in range(leaps):
            gradient(g1, f, q1, y, gaps, v, tags, failed, reals, n)
            if leap < leaps - 1:
                for i in range(n):
                    store(p, i, load(p, i) - load(g1, i) * epsilon)
                    store(q1, i, load(q1, i) + load(p, i) * epsilon)
        for i in range(n):
            store(p, i, load(p, i) - load(g1, i) * (epsilon * half))
        after = energy(y, gaps, v, tags, failed, reals, n)
        accepted = log(real(uniform(draw))) < before - (after + kinetic(p, n))
        constants = reals[WELLS:MODE]
        for i in range(n):
            store(x, i, select(accepted, place(load(v, i), constants), load(x, i)))
            store(q, i, select(accepted, load(q1, i), load(q, i)))
            store(g, i, select(accepted, load(g1, i), load(g, i)))
        store(kept, 0, select(accepted, after, load(kept, 0)))
        if tags_each > 0:
            hop(x, tags, failed, reals[BETA], constants, n, source)
            order(x, tags, n)
            exchange(x, tags, failed, constants, n, source)
            coordinates(x, q, v, reals, n)
        moved = select(accepted, full(one), full(zero))
        note(sums, x, n, moved, s, reals[TRACE:WELLS], integers[WINDOWS:])
        return load(failed, 0) < zero

    return step
