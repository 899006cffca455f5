"""Independent draws of the beta-Hermite, -Laguerre and -Jacobi ensembles, any beta > 0, from tridiagonal matrices.

One step is one draw: the entries of a tridiagonal matrix, then its eigenvalues. The matrices, for unit width:

- Hermite: diagonal N(0, 1), squares of the off-diagonal chi^2[beta k]/2, k = n-1 ... 1 (Dumitriu, Edelman,
  J. Math. Phys. 43, 5830 (2002); their factor sqrt(2) taken out).
- Laguerre: B B^T, B lower bidiagonal, squares of its diagonal chi^2[beta (m - i)], i = 0 ... n-1, and of what is below
  it chi^2[beta k], k = n-1 ... 1 (same paper).
- Jacobi: B^T B, B upper bidiagonal of cosines and sines, c_i^2 ~ Beta(a + 1 + beta (i-1)/2, b + 1 + beta (i-1)/2) and
  c'_i^2 ~ Beta(beta i/2, a + b + 2 + beta (i-1)/2): diagonal c_n, c_{n-1} s'_{n-1}, ..., c_1 s'_1, above it
  s_n c'_{n-1}, ..., s_2 c'_1 (Edelman, Sutton, Found. Comput. Math. 8, 259 (2008)).

Eigenvalues are good to rounding of the largest; the lowest of a positive matrix to its digits, from the determinant.
Exponents of a Jacobi weight within 0.01 of -1 pile levels up where float64 has no numbers.
"""

from __future__ import annotations

import numpy as np

from ..common import functions, gamma, order, rng
from ..common.once import once

u32 = np.uint32
SCALE, CENTER, DEGREES = range(3)  # in `reals`; the degrees of freedom of the chi-squared numbers follow
ITERATIONS = 60  # of one eigenvalue; three are usual
SMALL = 1e-3  # of the largest level: lower ones are taken from the determinant
# Off-diagonals count as zero below this share of their neighbors; squares of entries below TINY, next to a largest
# entry of about 1, do too: its root is well below rounding, its square a normal number.
ACCURACY = {"float64": 1e-15, "float32": 5e-7}
TINY = {"float64": 1e-140, "float32": 1e-18}
USUAL = 0.01, 1e6  # sums of squares of matrices that are taken as they are; others are scaled


def hermite_degrees(n: int, beta: float) -> np.ndarray:
    """Degrees of freedom that `build` expects for "hermite", (n - 1,)."""
    return beta * np.arange(n - 1, 0, -1.0)


def laguerre_degrees(n: int, m: float, beta: float) -> np.ndarray:
    """Degrees of freedom for "laguerre", (2n - 1,): diagonal, then below it."""
    return np.concatenate([beta * (m - np.arange(n)), beta * np.arange(n - 1, 0, -1.0)])


def jacobi_degrees(n: int, a: float, b: float, beta: float) -> np.ndarray:
    """Degrees of freedom for "jacobi", (4n - 2,): pairs of c_i for i = n ... 1, pairs of c'_i for i = n-1 ... 1."""
    i = np.arange(n, 0, -1.0)
    cosines = np.stack([2 * (a + 1) + beta * (i - 1), 2 * (b + 1) + beta * (i - 1)], axis=1)
    primed = np.stack([beta * i, 2 * (a + b + 2) + beta * (i - 1)], axis=1)[1:]
    return np.concatenate([cosines.ravel(), primed.ravel()])


def scratch(n: int) -> int:
    """Numbers of working space that one replica needs."""
    return 4 * n


@once
def build_eigenvalues(lanes):
    """``eigenvalues(d, e, n)`` of tridiagonal matrices, on one target."""
    jit, number = lanes.jit, lanes.number
    load, store, full, sqrt = lanes.load, lanes.store, lanes.full, lanes.sqrt
    select, any_lane = lanes.select, lanes.any
    elementary = functions.build(lanes)
    largest, absolute, powers_near = elementary.largest, elementary.absolute, elementary.powers_near
    precision = number.__name__
    threshold, tiny = number(ACCURACY[precision] ** 2), number(TINY[precision])
    low, high = number(USUAL[0]), number(USUAL[1])
    zero, one, two = number(0), number(1), number(2)

    @jit
    def shift(d0, d1, e2):
        """Wilkinson's: the eigenvalue of the leading 2 x 2 block that is closer to d0."""
        root = sqrt(e2) + tiny
        q = (d1 - d0) / (two * root)
        r = sqrt(q * q + one)
        return d0 - root / (q + select(q < zero, full(zero) - r, r))

    @jit
    def scaled(d, e, n):
        """Bring the largest entry near 1, exactly, where it is far from it; returns the power of two that undoes it."""
        square, size = full(zero), full(zero)
        for i in range(n - 1):
            square = largest(square, load(e, i))
            size = size + load(e, i)
        for i in range(n):
            size = load(d, i) * load(d, i) + size
        far = (size < low) | (high < size)
        if not any_lane(far):
            return full(one)
        top = sqrt(square)
        for i in range(n):
            top = largest(top, absolute(load(d, i)))
        up, down = powers_near(select(far, top, one))
        for i in range(n):
            store(d, i, load(d, i) * down)
            store(e, i, load(e, i) * down * down)
        return up

    @jit
    def eigenvalues(d, e, n):
        """Diagonal d and squares e of the off-diagonal (e[n - 1] is not read): d becomes the eigenvalues, in any order.

        Root-free QL (Pal, Walker, Kahan; LAPACK's dsterf). A lane that is done is left as it is while others go on.

        Levels that are there twice split the matrix within, where LAPACK goes on with one part: squares beside the
        diagonal, and the square p that the next rotation turns into one of them, are then rounding or nothing. Squares
        of sine and cosine must add up to 1 even so, and p must stay gap^2/c, which is divided by c again: a p that
        counted as zero with a gap that did not gave levels of 1e13. Hence both become zero together, and what is
        beside the diagonal never does: levels move by the root of `tiny`.
        """
        store(e, n - 1, full(zero))
        up = scaled(d, e, n)
        for l in range(n - 1):
            for _ in range(ITERATIONS):
                d0, d1, first = load(d, l), load(d, l + 1), load(e, l)
                pending = (d0 * d0 + d1 * d1) * threshold + tiny < first
                if not any_lane(pending):
                    break
                sigma = shift(d0, d1, first)
                c, s = full(one), full(zero)
                gap = load(d, n - 1) - sigma
                p = gap * gap
                for i in range(n - 2, l - 1, -1):
                    square, diagonal = largest(load(e, i), full(tiny)), load(d, i)
                    faint = p < tiny
                    safe = select(faint, one, p)
                    p, old = select(faint, zero, p), select(faint, zero, gap)
                    r = p + square
                    both = one / (r * safe)  # one division: 1/r and 1/p
                    inverse = both * safe
                    store(e, i + 1, select(pending, s * r, load(e, i + 1)))
                    before = c
                    c, s = p * inverse, square * inverse
                    gap = c * (diagonal - sigma) - s * old
                    store(d, i + 1, select(pending, old + (diagonal - gap), load(d, i + 1)))
                    p = select(faint, before * square, gap * gap * (both * r) * r)
                store(e, l, select(pending, s * p, first))
                store(d, l, select(pending, sigma + gap, d0))
        for i in range(n):
            store(d, i, load(d, i) * up)

    return eigenvalues


def build(lanes, ensemble: str):
    """One draw on one target; ensemble is "hermite", "laguerre" or "jacobi", the number of levels is in `integers`."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part = lanes.load, lanes.store, lanes.full, lanes.part
    select, eigenvalues = lanes.select, build_eigenvalues(lanes)
    elementary = functions.build(lanes)
    log, exp = elementary.log, elementary.exp
    generator = rng.build(lanes)
    words, box_muller = generator.words, generator.box_muller
    chi_squared, sort = gamma.build(lanes).chi_squared, order.build(lanes)
    tiny = number(TINY[number.__name__])
    zero, half, one, small = number(0), number(0.5), number(1), number(SMALL)
    infinite = number(np.inf)

    @jit
    def lowest_from_determinant(d, logarithm, n):
        """Find the lowest of the ascending positive levels d from the logarithm of their product, where it is small."""
        rest = logarithm
        largest = load(d, n - 1)
        for i in range(1, n):
            v = load(d, i)
            rest = rest - log(select(tiny < v, v, tiny))
        lowest = load(d, 0)
        better = exp(rest)
        better = select(load(d, min(1, n - 1)) < better, lowest, better)
        store(d, 0, select(lowest < largest * small, better, lowest))

    @jit
    def chi(reals, i, s, replica, key0, key1):
        return chi_squared(reals[DEGREES + i], i, rng.PAIRS, s, replica, key0, key1)

    @jit
    def beta_number(reals, i, s, replica, key0, key1):
        """Draw number i of those with a beta distribution, and its complement."""
        x = chi(reals, 2 * i, s, replica, key0, key1) + tiny
        y = chi(reals, 2 * i + 1, s, replica, key0, key1) + tiny
        total = one / (x + y)
        return x * total, y * total

    @jit
    def hermite(d, e, reals, n, s, replica, key0, key1):
        for q in range((n + 3) // 4):
            w0, w1, w2, w3 = words(u32(q), u32(rng.LEVELS), u32(s), replica, key0, key1)
            z0, z1 = box_muller(w0, w1)
            z2, z3 = box_muller(w2, w3)
            store(d, 4 * q, z0)
            store(d, min(4 * q + 1, n), z1)
            store(d, min(4 * q + 2, n), z2)
            store(d, min(4 * q + 3, n), z3)
        for i in range(n - 1):
            store(e, i, chi(reals, i, s, replica, key0, key1) * half)
        return full(zero)

    @jit
    def laguerre(d, e, reals, n, s, replica, key0, key1):
        below, logarithm = full(zero), full(zero)
        for i in range(n):
            square = chi(reals, i, s, replica, key0, key1)
            logarithm = logarithm + log(square)
            store(d, i, square + below)
            if i < n - 1:
                below = chi(reals, n + i, s, replica, key0, key1)
                store(e, i, square * below)
        return logarithm

    @jit
    def jacobi(d, e, reals, n, s, replica, key0, key1):
        above, logarithm, sine = full(zero), full(zero), full(one)
        for i in range(n):
            c, complement = beta_number(reals, i, s, replica, key0, key1)
            square = c * sine
            logarithm = logarithm + log(square)
            store(d, i, square + above)
            if i < n - 1:
                primed, sine = beta_number(reals, n + i, s, replica, key0, key1)
                above = complement * primed
                store(e, i, square * above)
        return logarithm

    entries = {"hermite": hermite, "laguerre": laguerre, "jacobi": jacobi}[ensemble]
    positive = ensemble != "hermite"

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        n = integers[0]
        d, e = part(scratch, 0, n + 1), part(scratch, n + 1, n)
        logarithm = entries(d, e, reals, n, s, replica, key0, key1)
        eigenvalues(d, e, n)
        sort(d, n)
        if positive:
            lowest_from_determinant(d, logarithm, n)
        total = full(zero)
        for i in range(n):
            level = load(d, i) * reals[SCALE] + reals[CENTER]
            total = total + level * level
            store(state, i, level)
        return total < infinite

    return step
