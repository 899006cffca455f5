"""Chi-squared numbers of any positive, not necessarily whole, number of degrees of freedom.

G. Marsaglia, W. W. Tsang, "A simple method for generating gamma variables", ACM TOMS 26, 363 (2000): accepts 95% and
more of its proposals, of which a block of the generator makes two. Attempt q of a draw takes the stream
`stream + STRIDE q`, so that a lane that waits for its neighbors draws what it would draw alone. Whether a proposal is
accepted is decided in the precision of the uniform number that decides it.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from . import functions, rng
from .once import once

u32, f32 = np.uint32, np.float32
ATTEMPTS = 64  # all of them fail once in 10^80
SERIES_FROM = 200  # half degrees of freedom from which a series replaces what would lose its digits


@once
def build(lanes) -> SimpleNamespace:
    """Of one number and of two: degrees > 0 a number, draw the block.

    `chi_squared(degrees, draw, stream, step, replica, key0, key1)`
    `pair(degrees, others, draw, stream, step, replica, key0, key1)`, both >= 2, from half as many random words
    """
    jit, number, full, select = lanes.jit, lanes.number, lanes.full, lanes.select
    any_lane, real = lanes.any, lanes.real
    exp = functions.build(lanes).exp
    generator = rng.build(lanes)
    words, single_normals, uniform, log = generator.words, generator.single_normals, generator.uniform, generator.log
    zero, half, one, two, nine = (number(x) for x in (0, 0.5, 1, 2, 9))
    third = number(1 / 3)

    @jit
    def proposal(z, u, d, c, result, pending):
        """Take d (1 + c z)^3 where it is accepted by the uniform number u and none has been before."""
        t = z * f32(c)
        positive = f32(-1) < t
        # z^2/2 + d (1 - v + log v) with v = (1 + t)^3 and 9 d c^2 = 1.
        if d > SERIES_FROM:
            q = t * t
            level = q * q * ((t * f32(1 / 7) - f32(1 / 6) - q * f32(1 / 8)) * t * t + t * f32(1 / 5) - f32(1 / 4))
        else:
            t = select(positive, t, f32(0))
            level = log(t + f32(1)) - t + t * t * (f32(1 / 2) - t * f32(1 / 3))
        good = (log(u) < level * f32(3 * d)) & positive & (zero < pending)
        exact = real(z) * c + one
        return select(good, exact * exact * exact * d, result), select(good, zero, pending)

    @jit
    def chi_squared(degrees, draw, stream, step, replica, key0, key1):
        shape = degrees * half
        raised = shape < one  # Gamma(a) = Gamma(a + 1) U^(1/a)
        d = (shape + one if raised else shape) - third
        c = number(one / math.sqrt(nine * d))
        result = full(zero)
        pending = full(one)
        attempt = 0
        while any_lane(zero < pending) and attempt < ATTEMPTS:
            a, b, e, f = words(u32(draw), u32(stream + rng.STRIDE * attempt), u32(step), replica, key0, key1)
            y, z = single_normals(a, b)
            if raised:
                waiting = pending
                before = result
                result, pending = proposal(y, uniform(e), d, c, result, pending)
                less = result * exp(real(log(uniform(f))) * (one / shape))
                result = select(pending < waiting, less, before)
            else:
                result, pending = proposal(y, uniform(e), d, c, result, pending)
                result, pending = proposal(z, uniform(f), d, c, result, pending)
            attempt += 1
        return result * two

    @jit
    def pair(degrees, others, draw, stream, step, replica, key0, key1):
        d, other_d = degrees * half - third, others * half - third
        c, other_c = number(one / math.sqrt(nine * d)), number(one / math.sqrt(nine * other_d))
        result = other = full(zero)
        pending = other_pending = full(one)
        attempt = 0
        while any_lane(zero < pending + other_pending) and attempt < ATTEMPTS:
            a, b, e, f = words(u32(draw), u32(stream + rng.STRIDE * attempt), u32(step), replica, key0, key1)
            y, z = single_normals(a, b)
            result, pending = proposal(y, uniform(e), d, c, result, pending)
            other, other_pending = proposal(z, uniform(f), other_d, other_c, other, other_pending)
            attempt += 1
        return result * two, other * two

    return SimpleNamespace(chi_squared=chi_squared, pair=pair)
