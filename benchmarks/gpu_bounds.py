"""The least time that a card's arithmetic units need for a step of Dyson Brownian motion, from counted operations.

Counts are of instructions a thread issues, by the unit that does them; a step cannot take less than its busiest unit,
nor than all instructions at the rate at which a multiprocessor issues them. Nothing is counted for loads, stores,
addresses, branches and integers of loops: a bound, not a prediction.
"""

from __future__ import annotations

from dataclasses import dataclass

# Results a clock and multiprocessor, by compute capability (CUDA C++ Programming Guide, table "Arithmetic throughput").
UNITS = {
    (8, 0): {"float64": 32, "float32": 64, "integer": 64, "special": 16},
    (9, 0): {"float64": 64, "float32": 128, "integer": 64, "special": 16},
}
ISSUED = 128  # four schedulers, a warp each
# A square root or a quotient, correctly rounded: a first guess by the special unit, then multiply-adds. These are usual
# lengths of the compiler's sequences, not looked up in machine code.
ROUNDED = {"float64": 10, "float32": 7}
PHILOX = 10 * 6  # integer instructions of four random words: two wide products, two three-way xors, two sums a round
BOX_MULLER = 45  # float32 instructions of two normals: two polynomials, and what surrounds them


@dataclass(frozen=True)
class Counts:
    """Instructions of one network and step, by unit."""

    float64: float = 0.0
    float32: float = 0.0
    integer: float = 0.0
    special: float = 0.0

    def seconds(self, capability: tuple[int, int], multiprocessors: int, hertz: float) -> float:
        units = UNITS.get(capability) or UNITS[max(c for c in UNITS if c <= max(capability, min(UNITS)))]
        clocks = [getattr(self, unit) / rate for unit, rate in units.items()]
        clocks.append((self.float64 + self.float32 + self.integer + self.special) / ISSUED)
        return max(clocks) / (multiprocessors * hertz)


def splitting(n: int, dtype: str) -> Counts:
    """One network of n levels, beta = 1, linear drift: `kernels/dyson/pairs.py`."""
    moves = 2 * ((n - 1) * (n - 2) // 2 + n - 1)  # far pairs and neighbors, two sweeps each
    pair = 6 + ROUNDED[dtype]  # gap, square and opening, difference, halves of it to both levels; the root
    sort = 4 * (n - 1)  # one pass over neighbors: a gap, the smallest of them, the lower and the upper level
    rest = 2 * 2 * n + 2 * sort + 2 * n + 2 * n  # two flows, two sorts, kicks, squares
    normals = -(-(2 * n - 1) // 4)  # blocks of four, for the levels and the neighbors' openings
    arithmetic = moves * pair + rest
    single = normals * 2 * BOX_MULLER
    special = moves + normals * 2
    if dtype == "float64":
        return Counts(float64=arithmetic, float32=single, integer=normals * PHILOX, special=special)
    return Counts(float32=arithmetic + single, integer=normals * PHILOX, special=special)


def large(n: int, share: int) -> Counts:
    """One gas of n levels: two direct sums of the forces, `share` pairs to a division; the rest is of order n."""
    pairs = 2.0 * n * n
    return Counts(float64=pairs * (3 + (1 + ROUNDED["float64"]) / share), special=pairs / share)
