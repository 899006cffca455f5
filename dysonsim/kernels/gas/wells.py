"""What holds the levels of a Coulomb gas: wells, and hard walls.

A gas of several species moves labels from level to level, so that what tells its wells apart is not a constant of the
kernel but part of the state: `tags` of every level, n lane values each.

======== ============================================ ===========================================================
well     V(x)                                         tags
======== ============================================ ===========================================================
one      (x - c)^2 p/2                                none; constants c, p
many     the same, c and p of each label              c, then p, then the width of a hop
power    r x - a log(x - lower) - b log(upper - x)    none; constants r, a, b, and no walls where a or b is 0
function f(x), any compiled function                  none
labeled f(x, i), i the label                         the label, then the width of a hop
======== ============================================ ===========================================================
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ..common import functions

# In `reals`, from their own offset on; what a well needs follows.
# INSIDE: some x between the walls; WIDTH: of differences; FAR: a function may be NaN beyond.
LOWER, UPPER, INSIDE, WIDTH, FAR, FIRST, SECOND, THIRD, CONSTANTS = range(9)
TAGS = {"one": 0, "many": 3, "power": 0, "function": 0, "labeled": 2}
OF_DISTANCE = 0.01  # to a wall: width of differences near it
FAILED = 2  # numbers of the state where a function leaves word: label (-1: all is well) and x


def build(lanes, well: str, walls: str, function=None) -> SimpleNamespace:
    """``value(x, below, above, k, n, tags, constants, failed)`` and ``slope(...)``: V and dV/dx of level k of n at x.

    walls is "none", "lower", "upper" or "both"; below and above are the distances of x to those that there are.
    """
    jit, number, load, full = lanes.jit, lanes.number, lanes.load, lanes.full
    log, half = functions.build(lanes).log, number(0.5)
    has_lower, has_upper = walls in ("lower", "both"), walls in ("upper", "both")

    if well == "one":

        @jit
        def value(x, below, above, k, n, tags, constants, failed):
            d = x - constants[FIRST]
            return d * d * (constants[SECOND] * half)

        @jit
        def slope(x, below, above, k, n, tags, constants, failed):
            return (x - constants[FIRST]) * constants[SECOND]

    elif well == "many":

        @jit
        def value(x, below, above, k, n, tags, constants, failed):
            d = x - load(tags, k)
            return d * d * (load(tags, n + k) * half)

        @jit
        def slope(x, below, above, k, n, tags, constants, failed):
            return (x - load(tags, k)) * load(tags, n + k)

    elif well == "power":

        @jit
        def value(x, below, above, k, n, tags, constants, failed):
            v = x * constants[FIRST]
            if has_lower:
                v = v - log(below) * constants[SECOND]
            if has_upper:
                v = v - log(above) * constants[THIRD]
            return v

        @jit
        def slope(x, below, above, k, n, tags, constants, failed):
            v = full(constants[FIRST])
            if has_lower:
                v = v - full(constants[SECOND]) / below
            if has_upper:
                v = v + full(constants[THIRD]) / above
            return v

    else:
        value, slope = _asked(lanes, has_lower, has_upper, lanes.each(function), well == "labeled")

    return SimpleNamespace(value=value, slope=slope)


def _asked(lanes, has_lower: bool, has_upper: bool, call, labeled: bool):
    """`value` and `slope` of a user's function, which note where it gives NaN."""
    jit, number, load, store, full, select = (
        lanes.jit, lanes.number, lanes.load, lanes.store, lanes.full, lanes.select
    )  # fmt: skip
    elementary = functions.build(lanes)
    absolute, least, largest = elementary.absolute, elementary.least, elementary.largest
    zero, one, coarser = number(0), number(1), number(1 if number.__name__ == "float64" else 100)
    share, rounding = number(OF_DISTANCE), number(np.finfo(number).eps ** 0.5)

    @jit
    def asked(x, k, tags, constants, failed):
        """f(x); far out, where only a trajectory gone astray arrives, it may be NaN."""
        label = load(tags, k) if labeled else full(number(k))
        v = call(x, label)
        known = load(failed, 0)
        odd = select((zero < v) | (v < one), full(zero), one)
        odd = select(absolute(x) < constants[FAR], odd, zero)
        first = (zero < odd) & (known < zero)
        store(failed, 1, select(first, x, load(failed, 1)))
        store(failed, 0, select(first, label, known))
        return v

    @jit
    def value(x, below, above, k, n, tags, constants, failed):
        return asked(x, k, tags, constants, failed)

    @jit
    def slope(x, below, above, k, n, tags, constants, failed):
        """By central differences: an error that the Metropolis test makes good.

        A function may be a logarithm of the distance to a wall: they are a small part of that, and one-sided where x
        has no such digits.
        """
        h = full(constants[WIDTH]) * coarser
        finest = absolute(x) * rounding
        if has_lower:
            h = least(h, largest(below * share, finest))
        if has_upper:
            h = least(h, largest(above * share, finest))
        low, high = x - h, x + h
        if has_lower:
            low = select(below < h, x, low)
        if has_upper:
            high = select(above < h, x, high)
        upper = asked(high, k, tags, constants, failed)
        return (upper - asked(low, k, tags, constants, failed)) / (high - low)

    return value, slope
