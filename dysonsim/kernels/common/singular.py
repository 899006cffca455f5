"""Singular values of many small matrices, one matrix a lane: Householder bidiagonalization, then dqds.

Householder reflections from the left and the right make a matrix upper bidiagonal [1]_; each update of the matrix is
merged with the product that the next reflection needs, so that an entry is read twice a column and not four times. The
differential quotient-difference algorithm with shifts [2]_ then works on the squares q, e of the bidiagonal matrix. A
sweep with shift s replaces it by one whose squared singular values are smaller by s; a negative d says that s was too
large, the lane keeps what it had and tries a smaller shift. A lane goes its own way: it has its own size m, which drops
where the last q is a squared singular value to rounding, and its own shift. What it computes does not depend on its
neighbors, which only decide how long everybody goes on.

The shift is the lower eigenvalue of the last 2 x 2 block of B B^T, which lies above the lowest of all, less twice what
the neighbor can pull it down: the square of the residual of its eigenvector over the gap to the next eigenvalue.

Good to a few roundings of the largest singular value (the bidiagonal matrix's own to a few roundings of themselves);
those below 1e-50 of the largest are zero.

.. [1] G. Golub, W. Kahan, SIAM J. Numer. Anal. B 2, 205 (1965).
.. [2] K. V. Fernando, B. N. Parlett, Numer. Math. 67, 191 (1994); shifts and their repair: B. N. Parlett,
   O. A. Marques, Linear Algebra Appl. 309, 217 (2000).
"""

from __future__ import annotations

from types import SimpleNamespace

from . import functions, order
from .once import once

WIDTH = 8  # lanes
SWEEPS = 100  # for each singular value, and then a lane is given up; four are usual, fifty have been seen
FAINT = 1e-280  # a column of which this is the squared length counts as zero, next to a largest entry of about 1
LEAST_Q, LEAST_E = 1e-160, 1e-200  # stand for zero: the algorithm divides by sums of both
ROUNDING, NOTHING = 2.0**-51, 1e-34  # changes of a squared singular value that do not count: relative, absolute
ZERO = 1e-100  # squared singular values below this, and the two above, come from zeros
TILE = 256  # entries of each matrix that are put into lanes at a time, in the first-level cache
LARGEST_EXPONENT = 1000.0  # of the power of two that scales a matrix: the reciprocal must be a normal number
SMALL, LIFT = 1e-250, 2.0**100  # matrices with no larger entry are scaled in two steps: they may be subnormal


def working_numbers(p: int, n: int) -> int:
    """Length of `work` for matrices with p rows and n <= p columns."""
    return WIDTH * (p * n + 2 * p + 8 * n)


@once
def build_bidiagonal(lanes):
    """``bidiagonal(a, p, n, q, e, work)``: squares of the diagonal q and of what is beside it, e, of matrices a.

    a : p n lane values, by rows, p >= n; destroyed. q, e : n lane values, the last e is zero. work : 2 (p + n) more.
    """
    jit, load, store, part = lanes.jit, lanes.load, lanes.store, lanes.part
    select, sqrt, full = lanes.select, lanes.sqrt, lanes.full

    @jit
    def reflection(square, first):
        """v_0 and 2/|v|^2 of the reflection that turns x, with |x|^2 = square and x_0 = first, along the first axis."""
        root = sqrt(square)
        g = select(first < 0.0, root, full(0.0) - root)
        faint = square < FAINT
        return first - g, select(faint, full(0.0), 1.0 / select(faint, full(1.0), square - first * g))

    @jit
    def bidiagonal(a, p, n, q, e, work):
        v, x, y, u = part(work, 0, p), part(work, p, p), part(work, 2 * p, n), part(work, 2 * p + n, n)
        for j in range(n):
            store(u, j, full(0.0))
        for i in range(p):
            store(x, i, full(0.0))
        for k in range(n):
            # Column k, with the reflection from the right that is still due, makes the one from the left.
            square, right = full(0.0), load(u, k)
            for i in range(k, p):
                s = load(a, i * n + k) - load(x, i) * right
                store(v, i, s)
                square = s * s + square
            store(q, k, square)
            if k == n - 1:
                break
            first, h = reflection(square, load(v, k))
            store(v, k, first)
            for j0 in range(k + 1, n, 2):  # the rest too; two columns at a time, the last alone counts twice
                j1 = min(j0 + 1, n - 1)
                u0, u1, y0, y1 = load(u, j0), load(u, j1), full(0.0), full(0.0)
                for i in range(k, p):
                    xi, vi = load(x, i), load(v, i)
                    a0 = load(a, i * n + j0) - xi * u0
                    a1 = load(a, i * n + j1) - xi * u1
                    store(a, i * n + j0, a0)
                    store(a, i * n + j1, a1)
                    y0 = vi * a0 + y0
                    y1 = vi * a1 + y1
                store(y, j0, y0 * h)
                store(y, j1, y1 * h)
            # Row k of what the reflection from the left leaves makes the one from the right.
            square = full(0.0)
            for j in range(k + 1, n):
                s = load(a, k * n + j) - first * load(y, j)
                store(u, j, s)
                square = s * s + square
            store(e, k, square)
            first, h = reflection(square, load(u, k + 1))
            store(u, k + 1, first)
            for i0 in range(k + 1, p, 2):
                i1 = min(i0 + 1, p - 1)
                v0, v1, x0, x1 = load(v, i0), load(v, i1), full(0.0), full(0.0)
                for j in range(k + 1, n):
                    yj, uj = load(y, j), load(u, j)
                    a0 = load(a, i0 * n + j) - v0 * yj
                    a1 = load(a, i1 * n + j) - v1 * yj
                    store(a, i0 * n + j, a0)
                    store(a, i1 * n + j, a1)
                    x0 = a0 * uj + x0
                    x1 = a1 * uj + x1
                store(x, i0, x0 * h)
                store(x, i1, x1 * h)
        store(e, n - 1, full(0.0))

    return bidiagonal


@once
def build_shift(lanes):
    """``corner(q1, q2, q3, e1, e2)``: a shift from the last numbers of q and e, q1 and e1 the very last.

    Returns the shift and the two squared singular values of the last two rows alone.
    """
    jit, select, sqrt, full = lanes.jit, lanes.select, lanes.sqrt, lanes.full
    zero = 0.0

    @jit
    def corner(q1, q2, q3, e1, e2):
        beside, beyond = e1 * q1, e2 * q2  # squares beside the diagonal of B B^T
        half = 0.5 * (q2 + e1 - q1)
        upper = 0.5 * (q2 + e1 + q1) + sqrt(half * half + beside)
        lower = q2 * (q1 / upper)
        away = upper - q1
        norm = away * away + beside  # of the eigenvector of `lower`, whose square in row m - 2 is beside/norm
        next_ = q3 + e2
        gap = select(next_ < upper, next_, upper) - sqrt(beyond) - lower
        pull = beyond * beside
        usable = pull < select(zero < gap, gap * gap * norm, full(zero))
        shift = lower - 2.0 * (pull / select(usable, norm * gap, full(1.0)))
        quarter = 0.25 * lower
        shift = select(usable, shift, quarter)
        return select(shift < quarter, quarter, shift), lower, upper

    return corner


@once
def build_masked(lanes) -> SimpleNamespace:
    """Make what lanes that go their own ways share: `keep` and `range_of`.

    A store of what a mask selects compiles to masked stores, which some processors do very slowly, and masks made of
    two comparisons are slow to carry over a branch. Hence sums with zeros, and one comparison a mask.
    """
    jit, load, store = lanes.jit, lanes.load, lanes.store
    select, full, any_lane, half = lanes.select, lanes.full, lanes.any, 0.5

    @jit
    def keep(new, old, mask, n):
        """Put the first n lane values of `old` back into `new` where the mask is true."""
        for k in range(n):
            zero = full(0.0)
            store(new, k, select(mask, load(old, k), zero) + select(mask, zero, load(new, k)))

    @jit
    def range_of(m, low, high):
        """Least m above zero, and largest m: no m has grown, and none but those that are zero now by more than one."""
        while high > 0 and not any_lane(high - 0.5 < m):
            high -= 1
        low = max(1, min(low - 1, high))
        while low < high and not any_lane((half < m) & (m < low + 0.5)):
            low += 1
        return low, high

    return SimpleNamespace(keep=keep, range_of=range_of)


@once
def build_dqds(lanes):
    """``dqds(q, e, out, n, ready, work, limit)``: squared singular values, in any order, to out; true where found.

    q, e : n > 1 lane values; overwritten. ready : lanes that are to be done at all. work : 2 n lane values. limit :
    sweeps for each singular value.
    """
    jit, load, store, part = lanes.jit, lanes.load, lanes.store, lanes.part
    select, full, any_lane = lanes.select, lanes.full, lanes.any
    elementary = functions.build(lanes)
    least, largest = elementary.least, elementary.largest
    corner, masked, half = build_shift(lanes), build_masked(lanes), 0.5
    keep, range_of = masked.keep, masked.range_of

    @jit
    def dqds(q, e, out, n, ready, work, limit):
        nq, ne = part(work, 0, n), part(work, n, n)
        zero = full(0.0)
        for k in range(n):
            store(q, k, largest(load(q, k), full(LEAST_Q)))
            store(e, k, largest(load(e, k), full(LEAST_E)))
            store(out, k, zero)
        m = select(ready, full(1.0) * n, zero)  # rows that a lane still works on
        low, high = range_of(m, n + 1, n)
        s, tries, shifts, lost, bound = zero, zero, zero, zero, zero  # shifts - lost: the sum of all s
        for _ in range(limit * n):
            if high == 0:
                break
            # The rows that all lanes have. This loop and the next do the same to a lane, bit for bit.
            d, lowest = load(q, 0) - s, full(1e300)
            for k in range(low - 1):
                lowest = least(lowest, d)
                beside = load(e, k)
                row = d + beside
                t = load(q, k + 1) / row
                store(nq, k, row)
                store(ne, k, largest(beside * t, full(LEAST_E)))
                d = d * t - s
            # The rest, where lanes end.
            before = lowest
            for k in range(low - 1, high):
                inside, on = k + 0.5 < m, k + 1.5 < m
                before = select(inside, lowest, before)
                lowest = select(inside, least(lowest, d), lowest)
                beside = load(e, k)
                row = select(on, d + beside, largest(d, full(LEAST_Q)))
                t = load(q, min(k + 1, n - 1)) / row
                store(nq, k, row)
                store(ne, k, largest(beside * t, full(LEAST_E)))
                d = select(on, d * t - s, d)

            lowest = select(half < m, lowest, full(1e300))
            failed = lowest < 0.0
            if any_lane(failed):
                keep(nq, q, failed, high)
                keep(ne, e, failed, high)
            q, nq = nq, q
            e, ne = ne, e
            step = s - lost
            sum_ = shifts + step
            lost = select(failed, lost, (sum_ - shifts) - step)
            shifts = select(failed, shifts, sum_)
            bound = select(failed, bound, lowest)  # the lowest squared singular value is not above it

            # The last numbers: q1 = q[m - 1], q2 = q[m - 2], ...; e1 = e[m - 2], ...
            q1, q2, q3, q4, e1, e2, e3 = zero, zero, zero, zero, zero, zero, zero
            for k in range(low - 1, high):
                here = k + 0.5 < m
                k2, k3, k4 = max(k - 1, 0), max(k - 2, 0), max(k - 3, 0)
                q1, e1 = select(here, load(q, k), q1), select(here, load(e, k2), e1)
                q2, e2 = select(here, load(q, k2), q2), select(here, load(e, k3), e2)
                q3, e3 = select(here, load(q, k3), q3), select(here, load(e, k4), e3)
                q4 = select(here, load(q, k4), q4)

            level = shifts + (q1 - lost)
            change = level * ROUNDING + NOTHING
            weight = select(m < 2.5, full(1e300), e1 * largest(q1, change))  # the last two are done at once, below
            done = select(failed, full(1e300), weight) < change * change
            finished = any_lane(done)
            if finished:
                row = select(done, m - 1.0, full(-1.0))
                for k in range(low - 1, high):
                    away = row - k
                    store(out, k, load(out, k) + select(away * away < 0.25, level, zero))
                q1, q2, q3 = select(done, q2, q1), select(done, q3, q2), select(done, q4, q3)
                e1, e2 = select(done, e2, e1), select(done, e3, e2)
                bound = select(done, before, bound)
                m = select(done, m - 1.0, m)

            wanted, lower, upper = corner(q1, q2, q3, e1, e2)
            away = (m - 2.0) * (m - 2.0) + lower * 0.0  # no pair where `lower` is no number
            pair = select(failed, full(1.0), away) < 0.25
            if any_lane(pair):
                store(out, 0, load(out, 0) + select(pair, shifts + (upper - lost), zero))
                store(out, 1, load(out, 1) + select(pair, shifts + (lower - lost), zero))
                m = select(pair, zero, m)
                finished = True
            if finished:
                low, high = range_of(m, low, high)

            # If only one d is negative, s + d is right to rounding. If that fails too: a quarter, at last no shift.
            nearer = s + lowest
            quarter = 0.25 * s
            repaired = select(tries < 2.5, select(quarter < nearer, nearer * (1.0 - 2.0 * ROUNDING), quarter), quarter)
            repaired = select(tries < 3.5, repaired, zero)
            wanted = select(bound < wanted, 0.25 * bound, wanted)
            s = select(failed, repaired, wanted)
            tries = select(failed, tries + 1.0, zero)
        return ready & (m < 0.5)

    return dqds


def build(lanes):
    """``singular_values(given, out, found, count, p, n, down, across, limit, work)`` of `count` matrices.

    given : the matrices one after the other, entry (i, j) of each at i down + j across, where p >= n. out : (count n,)
    ascending. found : (count,) 1 where they were, 0 where a matrix is not finite or took more than `limit` sweeps for
    each singular value. work : `working_numbers(p, n)` numbers.
    """
    jit, load, store, part, select = lanes.jit, lanes.load, lanes.store, lanes.part, lanes.select
    full, sqrt, split, power_of_two = lanes.full, lanes.sqrt, lanes.split, lanes.power_of_two
    number_at, put = lanes.number_at, lanes.put
    elementary = functions.build(lanes)
    largest, absolute = elementary.largest, elementary.absolute
    bidiagonal, dqds, sort = build_bidiagonal(lanes), build_dqds(lanes), order.build(lanes)
    zero = 0.0

    @jit
    def scaled(a, size):
        """Bring the largest entry near 1, exactly; returns the powers of two that undo it; whether all is finite."""
        top, check = full(0.0), full(0.0)
        for i in range(size):
            x = load(a, i)
            check = x * 0.0 + check
            top = largest(top, absolute(x))
        lift = select(top < SMALL, full(LIFT), full(1.0))
        _, exponent = split(select(zero < top, top * lift, full(1.0)))
        exponent = select(exponent < LARGEST_EXPONENT, exponent, full(LARGEST_EXPONENT))
        scale = power_of_two(full(0.0) - exponent)
        for i in range(size):
            store(a, i, load(a, i) * lift * scale)
        return power_of_two(exponent), 1.0 / lift, check < 1.0

    @jit
    def singular_values(given, out, found, count, p, n, down, across, limit, work):
        size = p * n
        a, rest = part(work, 0, size), part(work, size, 2 * p + 8 * n)
        q, e, x = part(rest, 0, n), part(rest, n, n), part(rest, 2 * n, n)
        rest = part(rest, 3 * n, 2 * p + 5 * n)
        rows = max(1, TILE // n)
        for first in range(0, count, WIDTH):
            for top in range(0, p, rows):
                for lane in range(WIDTH):
                    begin = min(first + lane, count - 1) * size
                    for i in range(top, min(top + rows, p)):
                        for j in range(n):
                            put(a, (i * n + j) * WIDTH + lane, number_at(given, begin + i * down + j * across))
            back, fall, finite = scaled(a, size)
            bidiagonal(a, p, n, q, e, rest)
            if n > 1:
                good = dqds(q, e, x, n, finite, rest, limit)
            else:
                good = finite
                store(x, 0, load(q, 0))
            sort(x, n)
            for k in range(n):
                v = load(x, k)
                store(x, k, select(v < ZERO, full(0.0), sqrt(v)) * back * fall)
            store(q, 0, select(good, full(1.0), full(0.0)))
            for lane in range(min(WIDTH, count - first)):
                put(found, first + lane, number_at(q, lane))
                for k in range(n):
                    put(out, (first + lane) * n + k, number_at(x, k * WIDTH + lane))

    return singular_values
