"""tanh and erf of lane values, in the float type of the run: a few units in the last place.

tanh(v) = m/(m + 2) with m = exp(2 v) - 1, which is worked out without loss where it is small. erf is by rational
functions of the Cephes library (S. Moshier), ndtr.c; both branches are worked out for every lane.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

from . import functions
from .once import once

TERMS = {
    "float64": 12,
    "float32": 6,
}  # of (exp(r) - 1 - r)/r^2 for |r| <= log(2)/2: below half a unit in the last place
TANH_END = {"float64": 40.0, "float32": 20.0}  # twice the argument from which tanh is 1
ERF_T = (
    9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3, 7.00332514112805075473e3,
    5.55923013010394962768e4,
)  # fmt: skip
ERF_U = (
    3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3, 2.26290000613890934246e4,
    4.92673942608635921086e4,
)  # fmt: skip
ERFC_P = (
    2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0, 4.86371970985681366614e1,
    1.96520832956077098242e2, 5.26445194995477358631e2, 9.34528527171957607540e2, 1.02755188689515710272e3,
    5.57535335369399327526e2,
)  # fmt: skip
ERFC_Q = (
    1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2, 9.75708501743205489753e2,
    1.82390916687909736289e3, 2.24633760818710981792e3, 1.65666309194161350182e3, 5.57535340817727675546e2,
)  # fmt: skip
ERF_END = 6.5  # from where erf is 1


def horner(lanes, coefficients: tuple[float, ...], monic: bool):
    """Make a polynomial as a lane function, highest power first; monic: its leading coefficient, 1, is left out."""
    jit, number = lanes.jit, lanes.number
    values = tuple(number(c) for c in coefficients)
    lines = [f"    p = v + C{0}" if monic else "    p = v * C0 + C1"]
    lines += [f"    p = p * v + C{k}" for k in range(1 if monic else 2, len(values))]
    names = {f"C{k}": value for k, value in enumerate(values)}
    exec("\n".join(["def polynomial(v):", *lines, "    return p", ""]), names)
    return jit(names["polynomial"])


@once
def build(lanes) -> SimpleNamespace:
    """`tanh` and `erf` on one target."""
    jit, number, select, full = lanes.jit, lanes.number, lanes.select, lanes.full
    exp = functions.build(lanes).exp
    erf_t, erf_u = horner(lanes, ERF_T, False), horner(lanes, ERF_U, True)
    erfc_p, erfc_q = horner(lanes, ERFC_P, False), horner(lanes, ERFC_Q, True)
    name = number.__name__
    rest = horner(lanes, tuple(1 / math.factorial(k + 2) for k in range(TERMS[name]))[::-1], False)
    zero, one, two, end = (number(x) for x in (0, 1, 2, ERF_END))
    lowest, highest, magic = number(-TANH_END[name]), number(TANH_END[name]), number(functions.ROUND[name])
    high, low, per_octave = (number(x) for x in (functions.LN2_HIGH, functions.LN2_LOW, 1 / math.log(2)))
    power_of_two = lanes.power_of_two

    @jit
    def tanh(v):
        v = v + v
        v = select(v < lowest, lowest, v)
        v = select(highest < v, highest, v)
        k = v * per_octave + magic
        k = k - magic
        r = v - k * high
        r = r - k * low
        p = rest(r)
        p = p * r
        p = p * r + r
        power = power_of_two(k)
        m = p * power + (power - one)
        return m / (m + two)

    @jit
    def erf(v):
        size = select(v < zero, full(zero) - v, v)
        size = select(end < size, full(end), size)  # what is no number stays so
        z = select(size < one, v * v, full(one))
        near = v * erf_t(z) / erf_u(z)
        far = one - exp(full(zero) - size * size) * erfc_p(size) / erfc_q(size)
        return select(size < one, near, select(v < zero, full(zero) - far, far))

    return SimpleNamespace(tanh=tanh, erf=erf)
