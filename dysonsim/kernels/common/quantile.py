"""Chi-squared numbers of few degrees of freedom, one random word each and nothing rejected, from their quantiles.

With a uniform s in (0, 1), E = -log s and a = degrees/2, the upper s-quantile of chi^2 is

    (1 - s)^(1/a) C(sqrt E),

where the first factor has the power law at 0 and C, smooth, the exponential tail: for a = 1, C = 2 E/(1 - exp(-E)). C
is a polynomial, fitted to SciPy's quantiles when a kernel's constants are made. Errors of the quantile, relative and at
their worst, next to 0: 2e-5 (degrees = 1 and 1.5), 2e-4 (0.5 and 2.5), 7e-4 (0.2); mean and variance are right to
1e-5. Beyond `HIGHEST` degrees the power at 0 is too high for a polynomial; there `kernels/common/gamma.py` rejects
little.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from . import rng
from .once import once

DEGREE = 14
LONGEST = 22.3  # E of the smallest uniform, 2^-32
HIGHEST = 4.0  # degrees of freedom
COUNT = DEGREE + 2  # constants: 1/a, then the coefficients, the highest first
f32 = np.float32


def constants(degrees: float) -> np.ndarray:
    """Return what `build` needs to know, (COUNT,); zeros where it must not be used."""
    from scipy.special import gammainccinv, gammaincinv

    if degrees > HIGHEST:
        return np.zeros(COUNT)
    a = degrees / 2
    nodes = np.cos((np.arange(400) + 0.5) * np.pi / 400 * 0.996)
    tail = LONGEST * ((nodes + 1) / 2) ** 2
    below = -np.expm1(-tail)
    power = below ** (1 / a)
    usable = power > 1e-280
    value = np.where(tail > math.log(2), gammainccinv(a, np.exp(-tail)), gammaincinv(a, below))[usable]
    smooth = 2 * value / power[usable]
    fit = np.polynomial.Chebyshev.fit(nodes[usable], smooth, DEGREE, domain=[-1, 1], w=1 / smooth)
    return np.concatenate([[1 / a], fit.convert(kind=np.polynomial.Polynomial).coef[::-1]])


@once
def build(lanes):
    """On one target.

    `held(table)` makes local numbers of the constants, which stay in registers, for `chi_squared(word, held)`.
    """
    jit, select, sqrt_single, real = lanes.jit, lanes.select, lanes.sqrt_single, lanes.real
    generator = rng.build(lanes)
    uniform, log, exp = generator.uniform, generator.log, generator.exp
    scale, least, lowest = f32(2 / math.sqrt(LONGEST)), f32(2.0**-33), f32(-87)
    zero, one = f32(0), f32(1)

    @jit
    def held(t):
        return (
            f32(t[0]), f32(t[1]), f32(t[2]), f32(t[3]), f32(t[4]), f32(t[5]), f32(t[6]), f32(t[7]), f32(t[8]),
            f32(t[9]), f32(t[10]), f32(t[11]), f32(t[12]), f32(t[13]), f32(t[14]), f32(t[15]),
        )  # fmt: skip

    @jit
    def chi_squared(word, held):
        inverse, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14 = held
        s = uniform(word)
        tail = zero - log(s)
        tail = select(tail < zero, zero, tail)
        below = one - s
        power = log(select(below < least, least, below)) * inverse
        power = select(power < lowest, lowest, power)
        y = sqrt_single(tail) * scale - one
        p = y * c0 + c1
        p = p * y + c2
        p = p * y + c3
        p = p * y + c4
        p = p * y + c5
        p = p * y + c6
        p = p * y + c7
        p = p * y + c8
        p = p * y + c9
        p = p * y + c10
        p = p * y + c11
        p = p * y + c12
        p = p * y + c13
        p = p * y + c14
        return real(p * exp(power))

    return SimpleNamespace(held=held, chi_squared=chi_squared)
