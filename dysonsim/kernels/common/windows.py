"""Statistics of the levels in a window of an unfolded spectrum, as exact integrals over all its positions.

As a window (x, x + L] slides along, the levels inside change where one of its ends passes a level. Between two such
events the integrand is a polynomial in x: a constant for the number of levels, of fourth degree for the deviation of
the staircase from its best straight line, which three Gauss points integrate exactly. An event is O(1), so that all
positions together are O(n).

With z_k the m levels inside, relative to the center of the window (O. Bohigas, M.-J. Giannoni, Ann. Phys. 89 (1975)
393), the mean square deviation from the best line is

    m^2/16 - (S_1/L)^2 + (3/2) m S_2/L^2 - 3 (S_2/L^2)^2 + T/L,
    S_1 = sum z_k,  S_2 = sum z_k^2,  T = sum (m + 1 - 2 k) z_k.

Sums are taken anew, from an origin in the window, after about as many events as it holds levels: prefix sums over the
whole spectrum would lose the digits that its length adds to theirs.
"""

from __future__ import annotations

import math

RIGHT = math.sqrt(0.6)  # Gauss-Legendre points on (-1, 1): -RIGHT, 0, RIGHT, with weights 5/9, 8/9, 5/9


def build_counts(lanes):
    """``counts(levels, low, high, length, pieces, out)``: means over positions of N - L and (N - L)^2.

    levels : (rows, n), ascending. Positions run from `low` to `high` - L, in `pieces` equal parts; out : (rows, pieces,
    2). Without room to slide, the one position counts.
    """
    jit = lanes.jit

    @jit
    def counts(levels, low, high, length, pieces, out):
        rows, n = levels.shape
        span = (high - length - low) / pieces
        for r in range(rows):
            i = 0  # the first level that has not left: > x
            j = 0  # the first that has not come: > x + L
            for p in range(pieces):
                x = low + p * span
                end = x + span
                while i < n and levels[r, i] <= x:
                    i += 1
                while j < n and levels[r, j] <= x + length:
                    j += 1
                first, second = 0.0, 0.0
                if span <= 0.0:
                    first = j - i - length
                    second = first * first
                while x < end:
                    leaves = levels[r, i] if i < n else end
                    comes = levels[r, j] - length if j < n else end
                    stop = min(leaves, comes, end)
                    d = j - i - length
                    width = max(stop - x, 0.0)
                    first += width * d
                    second += width * d * d
                    if stop == end:
                        break
                    if leaves <= stop:
                        i += 1
                    if comes <= stop:
                        j += 1
                    x = stop
                scale = 1.0 / span if span > 0.0 else 1.0
                out[r, p, 0] = first * scale
                out[r, p, 1] = second * scale

    return counts


def build_deviations(lanes):
    """``deviations(levels, low, high, length, pieces, out)``: means over positions of the deviation from a line.

    As `build_counts`; out : (rows, pieces).
    """
    jit = lanes.jit

    @jit
    def deviation(m, s1, s2, t, shift, length):
        """At a center that lies `shift` beyond the origin of the sums; lengths in units of L."""
        u = shift / length
        a, b = s1 - m * u, s2 - 2.0 * u * s1 + m * u * u
        return m * m / 16.0 - a * a + 1.5 * m * b - 3.0 * b * b + t

    @jit
    def deviations(levels, low, high, length, pieces, out):
        rows, n = levels.shape
        span = (high - length - low) / pieces
        for r in range(rows):
            i, j = 0, 0
            origin, s1, s2, t = 0.0, 0.0, 0.0, 0.0
            left = 0  # events until sums are taken anew
            for p in range(pieces):
                x = low + p * span
                end = x + span
                while i < n and levels[r, i] <= x:
                    i += 1
                while j < n and levels[r, j] <= x + length:
                    j += 1
                left = 0
                total = 0.0
                while True:
                    if left == 0:
                        left = 16 + j - i
                        origin, s1, s2, t = x + 0.5 * length, 0.0, 0.0, 0.0
                        for k in range(i, j):
                            z = (levels[r, k] - origin) / length
                            s1 += z
                            s2 += z * z
                            t += (j + i - 1 - 2 * k) * z
                    leaves = levels[r, i] if i < n else end
                    comes = levels[r, j] - length if j < n else end
                    stop = min(leaves, comes, end)
                    m, half = float(j - i), 0.5 * max(stop - x, 0.0)
                    middle = x + half + 0.5 * length - origin
                    total += half / 9.0 * (
                        5.0 * deviation(m, s1, s2, t, middle - RIGHT * half, length)
                        + 8.0 * deviation(m, s1, s2, t, middle, length)
                        + 5.0 * deviation(m, s1, s2, t, middle + RIGHT * half, length)
                    )  # fmt: skip
                    if stop >= end:
                        if span <= 0.0:
                            total = deviation(m, s1, s2, t, x + 0.5 * length - origin, length)
                        break
                    left -= 1
                    if comes <= stop:
                        z = (levels[r, j] - origin) / length
                        t += s1 - (j - i) * z
                        s1 += z
                        s2 += z * z
                        j += 1
                    if leaves <= stop:
                        z = (levels[r, i] - origin) / length
                        t += s1 - (j - i) * z
                        s1 -= z
                        s2 -= z * z
                        i += 1
                    x = stop
                out[r, p] = total / span if span > 0.0 else total

    return deviations
