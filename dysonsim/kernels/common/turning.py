"""How far an eigenvector turns away from its target's, from the variance that a small angle would have."""

from __future__ import annotations

from .once import once

# (1 - I_1(a)/I_0(a))/2 at a = 1/(4 t) as a ratio of polynomials in t, within 0.2% for all t > 0; t + ... up to 1/2.
ABOVE = 4.79895981, 35.45630355, 1115.22815629
BELOW = 3.37434817, 60.62080435, 344.03046067, 2 * 1115.22815629


@once
def build(lanes):
    """`turned(t)`: E sin^2 theta under the weight exp(cos(2 theta)/(4 t))."""
    jit, number = lanes.jit, lanes.number
    one = number(1)
    A1, A2, A3 = (number(c) for c in ABOVE)
    B1, B2, B3, B4 = (number(c) for c in BELOW)

    @jit
    def turned(t):
        above = (((t * A3 + A2) * t + A1) * t + one) * t
        below = (((t * B4 + B3) * t + B2) * t + B1) * t + one
        return above / below

    return turned
