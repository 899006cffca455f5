"""Chi-squared numbers of any positive, not necessarily whole, number of degrees of freedom.

G. Marsaglia, W. W. Tsang, "A simple method for generating gamma variables", ACM TOMS 26, 363 (2000): accepts 95% and
more of its proposals. Attempt q of a draw takes the stream `stream + STRIDE q`, so that a lane that waits for its
neighbours draws what it would draw alone.
"""

from __future__ import annotations

import numpy as np

from . import functions, rng

u32, f32 = np.uint32, np.float32
ATTEMPTS = 64  # all of them fail once in 10^80


def build(lanes):
    """`chi_squared(degrees, draw, stream, step, replica, key0, key1)`, degrees > 0 a number, draw the block."""
    jit, number, full, select, sqrt = lanes.jit, lanes.number, lanes.full, lanes.select, lanes.sqrt
    any_lane, real = lanes.any, lanes.real
    elementary = functions.build(lanes)
    log, exp = elementary.log, elementary.exp
    generator = rng.build(lanes)
    words, box_muller, uniform = generator.words, generator.box_muller, generator.uniform
    zero, half, one, two, nine = (number(x) for x in (0, 0.5, 1, 2, 9))
    third = number(1 / 3)

    @jit
    def chi_squared(degrees, draw, stream, step, replica, key0, key1):
        shape = degrees * half
        raised = shape < one  # Gamma(a) = Gamma(a + 1) U^(1/a)
        d = (shape + one if raised else shape) - third
        c = one / sqrt(full(nine * d))
        result = full(zero)
        pending = full(one)
        attempt = 0
        while any_lane(zero < pending) and attempt < ATTEMPTS:
            a, b, e, f = words(u32(draw), u32(stream + rng.STRIDE * attempt), u32(step), replica, key0, key1)
            z, _ = box_muller(a, b)
            u = real(uniform(e))
            root = c * z + one
            v = root * root * root
            positive = zero < v
            v = select(positive, v, one)
            good = positive & (log(u) < z * z * half + (log(v) - v + one) * d)
            value = v * d
            if raised:
                value = value * exp(log(real(uniform(f))) * (one / shape))
            result = select(good & (zero < pending), value, result)
            pending = select(good, zero, pending)
            attempt += 1
        return result * two

    return chi_squared
