"""What moves the levels of Dyson Brownian motion besides the splitting: drift, noise and strength of the repulsion.

A builder `terms(lanes, n, **sizes)` returns the functions below, `work`, the numbers of working space they need, and
`extra`, the numbers of the state behind the levels:

- ``prepare(h, constants, work)``: called once a step of length h.
- ``flow(x, h, constants, work)``: the drift alone, for a time h (half a step); x is the whole state.
- ``kick(i, v, z, constants, work)``: level i at v after its noise of a whole step, z a standard normal.
- ``strain(x, h, constants, work)``: by how much the drift of a level bends over a step, largest, in units of its kick.
- ``pair(i, j, a, b, constants, work)``: G h, the mean strength of the repulsion between the levels i at a and j at b
  times the length of the step; ``share(i, j, constants, work)``: the part of their motion that i takes.

And `same`: whether the noise of all levels is the same, or the same function of them; `changes`: whether strengths
depend on where the levels are.

With `nested`, for `kernels/dyson/nested.py`, where noise and openings act for half a step before and after all else:

- ``glide(out, x, middle, push, h, constants, work)``: displacements by the drift and by what repulsion would do in a
  step, `push`; `middle`: the levels halfway. It reads `push` of a level before it writes that level's `out`.
- ``settle(x)``: levels that noise has carried out of their domain brought back.
"""

from __future__ import annotations

from types import SimpleNamespace

from ..common import functions

VARIANCE, ROOT = range(2)  # arrays of n numbers in the working space of constant noise


def by_variance(lanes, n: int, alike: bool) -> SimpleNamespace:
    """`kick`, `pair` and `share` of constant noise and G_ij = beta g_i^2, beta the first of the constants.

    `prepare` leaves in work at VARIANCE n + i g_i^2 times the clock, at ROOT n + i the size of the kick; alike: of one
    level for all.
    """
    jit, load, half = lanes.jit, lanes.load, lanes.number(0.5)

    @jit
    def kick(i, v, z, constants, work):
        return v + z * load(work, ROOT * n + (0 if alike else i))

    @jit
    def pair(i, j, a, b, constants, work):
        if alike:
            return load(work, VARIANCE * n) * constants[0]
        return (load(work, VARIANCE * n + i) + load(work, VARIANCE * n + j)) * (constants[0] * half)

    @jit
    def share(i, j, constants, work):
        if alike:
            return half
        mine = load(work, VARIANCE * n + i)
        return mine / (mine + load(work, VARIANCE * n + j))

    return SimpleNamespace(kick=kick, pair=pair, share=share, changes=False)


def anywhere(lanes):
    """`settle` of levels that may be any number."""

    @lanes.jit
    def settle(x):
        return

    return settle


def linear(lanes, n: int, alike: bool, nested: bool = False) -> SimpleNamespace:
    """K_i = -rate_i (x_i - center_i), constant noise g_i, G_ij = beta g_i^2: exact flow and clock.

    The clock is the time that noise must act for, so that two levels are exact: sinh(rate h)/rate between two decays of
    half a step, tanh(rate h)/rate if half of it comes before and half after one decay of a whole step (`nested`).

    constants: beta, then center, rate, g^2 of every level. alike: rate and g are the same for all levels.
    """
    jit, number, load, store, full, sqrt, select = (
        lanes.jit, lanes.number, lanes.load, lanes.store, lanes.full, lanes.sqrt, lanes.select
    )  # fmt: skip
    exp = functions.build(lanes).exp
    zero, half, one, two, sixth, small = (number(v) for v in (0, 0.5, 1, 2, 1 / 6, 1e-3))
    center, rate, noise = 1, 1 + n, 1 + 2 * n
    variance, root, decay = VARIANCE * n, ROOT * n, 2 * n  # in work, the last: exp(-rate h/2), nested: exp(-rate h)
    different = 1 if alike else n
    third = number(1 / 3)

    @jit
    def prepare(h, constants, work):
        for i in range(different):
            r = constants[rate + i]
            angle = full(h) * r
            if nested:
                shrunk = exp(full(zero) - angle)
                square = shrunk * shrunk
                clock = (full(one) - angle * angle * third) * h
                clock = select(small < angle, (full(one) - square) / ((square + one) * r), clock)
            else:
                grown = exp(angle * half)
                shrunk = full(one) / grown
                clock = (angle * angle * sixth + one) * h  # without the cancellation of sinh
                clock = select(small < angle, (grown * grown - shrunk * shrunk) / (two * r), clock)
            store(work, decay + i, shrunk)
            store(work, variance + i, clock * constants[noise + i])
            store(work, root + i, sqrt(clock * (two * constants[noise + i])))

    @jit
    def flow(x, h, constants, work):
        for i in range(n):
            c = constants[center + i]
            store(x, i, (load(x, i) - c) * load(work, decay + (0 if alike else i)) + c)

    @jit
    def strain(x, h, constants, work):
        return full(number(0))  # the flow is exact

    @jit
    def glide(out, x, middle, push, h, constants, work):
        for i in range(n):
            f = load(work, decay + (0 if alike else i))
            # (1 - f)/rate over the clock: a constant force for a step instead of openings for the time of noise.
            force = load(push, i) * ((f * f + one) / (f + one))
            store(out, i, (full(constants[center + i]) - load(x, i)) * (full(one) - f) + force)

    common = by_variance(lanes, n, alike)
    return SimpleNamespace(
        prepare=prepare, flow=flow, strain=strain, glide=glide, settle=anywhere(lanes), work=3 * n, extra=0,
        same=alike,
        **vars(common),
    )  # fmt: skip


def by_function(lanes, n: int, function, potential: bool, nested: bool = False) -> SimpleNamespace:
    """K_i(x_i) or V_i(x_i), K = -dV/dx, a user's compiled function; constant noise, G_ij = beta g_i^2.

    function: a `dysonsim._functions.LevelFunction`.

    constants: beta, then g^2 of every level. The drift flows by the midpoint rule, V is differentiated centrally.
    Where the function gives no finite number, the level and its x are kept in the state behind the levels, so that
    the error can name them: numbers n (-1 as long as all is well) and n + 1.
    """
    jit, number, load, store, sqrt, full, select = (
        lanes.jit, lanes.number, lanes.load, lanes.store, lanes.sqrt, lanes.full, lanes.select
    )  # fmt: skip
    absolute, largest = functions.build(lanes).absolute, functions.build(lanes).largest
    value = lanes.each(function)
    half, one, two, minus_one = number(0.5), number(1), number(2), number(-1)
    width = number(1e-5 if number.__name__ == "float64" else 1e-2)
    huge = number(1e30)
    variance, root = VARIANCE * n, ROOT * n

    if potential:

        @jit
        def drift(v, i):
            step = (absolute(v) + one) * width
            return (value(v - step, i) - value(v + step, i)) / (step * two)
    else:
        drift = value

    @jit
    def note(x, i, v, k):
        """Keep the first level for which the function gives no number, and where."""
        level = load(x, n)
        fails = select(absolute(k) < huge, full(minus_one), full(number(i)))  # NaN is below nothing
        first = level < full(number(0))
        store(x, n, select(first, fails, level))
        store(x, n + 1, select(first, v, load(x, n + 1)))

    @jit
    def prepare(h, constants, work):
        for i in range(n):
            g2 = full(h) * constants[1 + i]
            store(work, variance + i, g2)
            store(work, root + i, sqrt(g2 * two))

    @jit
    def flow(x, h, constants, work):
        for i in range(n):
            v = load(x, i)
            start = drift(v, i)
            middle = v + start * (h * half)
            k = drift(middle, i)
            store(x, i, v + k * h)
            note(x, i, select(absolute(start) < huge, middle, v), k)

    @jit
    def glide(out, x, middle, push, h, constants, work):
        for i in range(n):
            v = load(middle, i)
            k = drift(v, i)
            store(out, i, k * h + load(push, i))
            note(x, i, v, k)

    @jit
    def strain(x, h, constants, work):
        most = full(number(0))
        for i in range(n):
            v = load(x, i)
            k = drift(v, i)
            bend = absolute(drift(v + k * (h * half), i) - k) * h
            most = largest(most, bend / load(work, root + i))
        return most

    common = by_variance(lanes, n, alike=False)
    return SimpleNamespace(
        prepare=prepare, flow=flow, strain=strain, glide=glide, settle=anywhere(lanes), work=2 * n, extra=2,
        same=False,
        **vars(common),
    )  # fmt: skip


def of_model(lanes, n: int, closure, nested: bool = False, **sizes) -> SimpleNamespace:
    """Coefficients that depend on the levels: `closure(lanes, n, **sizes)` gives `drift`, `noise`, ... of a model.

    constants: those of the closure. Drift (with the Ito correction -g g') by the midpoint rule, noise along
    dx/ds = g(x) by the classical Runge-Kutta rule: with the symmetric splitting of a step, weak order 2.
    """
    jit, number, load, store, sqrt, part = (
        lanes.jit, lanes.number, lanes.load, lanes.store, lanes.sqrt, lanes.part
    )  # fmt: skip
    largest, full = functions.build(lanes).largest, lanes.full
    model = closure(lanes, n, **sizes)
    drift, noise, noise_slope, strength = model.drift, model.noise, model.noise_slope, model.pair
    half, zero, two, sixth, tiny = number(0.5), number(0), number(2), number(1 / 6), number(1e-30)
    model_work, length = model.work, 2 * n + model.work  # in work: the length of the step, then drifts
    absolute = functions.build(lanes).absolute

    @jit
    def prepare(h, constants, work):
        store(work, length, full(h))

    @jit
    def rates(out, x, constants, work):
        """Drift with the Ito correction."""
        drift(out, x, constants, part(work, 2 * n, model_work))
        for i in range(n):
            v = load(x, i)
            correction = noise(i, v, constants) * noise_slope(i, v, constants)
            store(out, i, load(out, i) - correction)

    @jit
    def midpoint(x, h, constants, work):
        """Compute the rates at x, left in the last n numbers of work, and half a step h on, in the second n."""
        middle, out, first = part(work, 0, n), part(work, n, n), part(work, length + 1, n)
        rates(first, x, constants, work)
        for i in range(n):
            store(middle, i, largest(load(x, i) + load(first, i) * (h * half), full(zero)))
        rates(out, middle, constants, work)

    @jit
    def flow(x, h, constants, work):
        midpoint(x, h, constants, work)
        out = part(work, n, n)
        for i in range(n):
            store(x, i, largest(load(x, i) + load(out, i) * h, full(zero)))

    @jit
    def glide(out, x, middle, push, h, constants, work):
        inside, rate = part(work, 0, n), part(work, n, n)
        for i in range(n):
            store(inside, i, largest(load(middle, i), full(zero)))
        rates(rate, inside, constants, work)
        for i in range(n):
            moved = load(x, i) + load(rate, i) * h + load(push, i)
            store(out, i, largest(moved, full(zero)) - load(x, i))

    @jit
    def settle(x):
        for i in range(n):
            store(x, i, largest(load(x, i), full(zero)))

    @jit
    def kick(i, v, z, constants, work):
        s = z * sqrt(load(work, length) * two)
        k1 = noise(i, v, constants)
        k2 = noise(i, v + k1 * s * half, constants)
        k3 = noise(i, v + k2 * s * half, constants)
        k4 = noise(i, v + k3 * s, constants)
        return v + s * (k1 + (k2 + k3) * two + k4) * sixth

    @jit
    def pair(i, j, a, b, constants, work):
        return strength(i, j, a, b, constants) * load(work, length)

    @jit
    def share(i, j, constants, work):
        return half

    @jit
    def strain(x, h, constants, work):
        midpoint(x, h, constants, work)
        out, first = part(work, n, n), part(work, length + 1, n)
        most = full(zero)
        for i in range(n):
            bend = absolute(load(out, i) - load(first, i)) * h
            size = noise(i, load(x, i), constants) * sqrt(load(work, length) * two)
            most = largest(most, bend / largest(size, full(tiny)))
        return most

    return SimpleNamespace(
        prepare=prepare, flow=flow, kick=kick, pair=pair, share=share, strain=strain, glide=glide, settle=settle,
        work=length + 1 + n, extra=0, same=True, changes=True,
    )  # fmt: skip
