"""Running sums over a Markov chain, enough for R-hat and the acceptance: of four observables, over two windows.

The observables are sum x, sum x^2, the lowest and the highest level, counted from a reference in its units. Nothing is
kept of the warm-up; window 0 has the next steps, window 1 all that follow.
"""

from __future__ import annotations

from types import SimpleNamespace

from ..common.once import once

OBSERVABLES = ("sum x", "sum x^2", "lowest", "highest")
# Numbers of the state: sums and sums of squares of every observable, of window 0, then of window 1; accepted share.
NUMBERS = 4 * len(OBSERVABLES) + 1
WARM_UP, SECOND = range(2)  # integers: the first step of window 0, and of window 1
CONSTANTS = 2 * len(OBSERVABLES)  # reals: reference of each, then one over its unit


@once
def build(lanes) -> SimpleNamespace:
    """`note(sums, x, n, accepted, s, constants, windows)`: add the state x after step s."""
    jit, number, load, store, select, full = (
        lanes.jit, lanes.number, lanes.load, lanes.store, lanes.select, lanes.full
    )  # fmt: skip
    zero = number(0)
    count = len(OBSERVABLES)

    @jit
    def add(sums, at, i, v, constants):
        v = (v - constants[i]) * constants[count + i]
        store(sums, at + i, load(sums, at + i) + v)
        store(sums, at + count + i, load(sums, at + count + i) + v * v)

    @jit
    def note(sums, x, n, accepted, s, constants, windows):
        if s >= windows[WARM_UP]:
            at = 0 if s < windows[SECOND] else 2 * count
            total, square = full(zero), full(zero)
            low, high = load(x, 0), load(x, 0)
            for i in range(n):
                v = load(x, i)
                total = total + v
                square = square + v * v
                low = select(v < low, v, low)
                high = select(high < v, v, high)
            add(sums, at, 0, total, constants)
            add(sums, at, 1, square, constants)
            add(sums, at, 2, low, constants)
            add(sums, at, 3, high, constants)
            store(sums, 4 * count, load(sums, 4 * count) + accepted)

    return SimpleNamespace(note=note)
