"""Elementary functions of lane values in the float type of the run: logarithm, exponential, comparisons, sums."""

from __future__ import annotations

import math
from types import SimpleNamespace

from .once import once

# Remez coefficients of FreeBSD's msun (e_log.c): log(1 + f) with s = f/(2 + f), error below 2^-58.
LOG = (
    6.666666666666735130e-1, 3.999999999940941908e-1, 2.857142874366239149e-1, 2.222219843214978396e-1,
    1.818357216161805012e-1, 1.531383769920937332e-1, 1.479819860511658591e-1,
)  # fmt: skip
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-1, 1.90821492927058770002e-10
TAYLOR = tuple(1 / math.factorial(i) for i in range(14))
ROUND = {"float64": 1.5 * 2.0**52, "float32": 1.5 * 2.0**23}
EXTREME = {"float64": 2.0**1000, "float32": 2.0**100}  # powers of two and their reciprocals must be normal numbers
RANGE = {"float64": (-708.0, 709.0), "float32": (-87.0, 88.0)}


@once
def build(lanes) -> SimpleNamespace:
    """`log`, `exp`, `least`, `largest`, `absolute`, `sum_of_squares`, `powers_near` on one target.

    Good to a few units in the last place.
    """
    jit, number, select, full = lanes.jit, lanes.number, lanes.select, lanes.full
    split, power_of_two, load = lanes.split, lanes.power_of_two, lanes.load
    name = number.__name__
    magic, lowest, highest = number(ROUND[name]), number(RANGE[name][0]), number(RANGE[name][1])
    huge, minute = number(EXTREME[name]), number(1 / EXTREME[name])
    L0, L1, L2, L3, L4, L5, L6 = (number(c) for c in LOG)
    T2, T3, T4, T5, T6, T7, T8, T9, T10, T11, T12, T13 = (number(c) for c in TAYLOR[2:])
    high, low, per_octave = number(LN2_HIGH), number(LN2_LOW), number(1 / math.log(2))
    zero, half, one, two = number(0), number(0.5), number(1), number(2)

    @jit
    def log(v):
        """Natural logarithm of a positive normal number."""
        mantissa, exponent = split(v)
        f = mantissa - one
        s = f / (f + two)
        z = s * s
        p = z * L6 + L5
        p = p * z + L4
        p = p * z + L3
        p = p * z + L2
        p = p * z + L1
        p = p * z + L0
        square = f * f * half
        return exponent * high - (square - (s * (square + p * z) + exponent * low) - f)

    @jit
    def exp(v):
        """Exponential; arguments are clipped to where it neither underflows nor overflows."""
        v = select(v < lowest, lowest, v)
        v = select(highest < v, highest, v)
        k = v * per_octave + magic
        k = k - magic
        r = v - k * high
        r = r - k * low
        p = r * T13 + T12
        p = p * r + T11
        p = p * r + T10
        p = p * r + T9
        p = p * r + T8
        p = p * r + T7
        p = p * r + T6
        p = p * r + T5
        p = p * r + T4
        p = p * r + T3
        p = p * r + T2
        p = p * r + one
        return (p * r + one) * power_of_two(k)

    @jit
    def least(a, b):
        return select(b < a, b, a)

    @jit
    def largest(a, b):
        return select(a < b, b, a)

    @jit
    def absolute(v):
        return select(v < zero, full(zero) - v, v)

    @jit
    def sum_of_squares(a, n):
        """Of the first n lane values of a."""
        total = full(zero)
        for i in range(n):
            v = load(a, i)
            total = v * v + total
        return total

    @jit
    def powers_near(v):
        """Return the power of two next to v >= 0 and its reciprocal, to scale numbers of that size to 1 and back."""
        _, exponent = split(largest(least(v, full(huge)), full(minute)))
        return power_of_two(exponent), power_of_two(full(zero) - exponent)

    return SimpleNamespace(
        log=log, exp=exp, least=least, largest=largest, absolute=absolute, sum_of_squares=sum_of_squares,
        powers_near=powers_near,
    )  # fmt: skip
