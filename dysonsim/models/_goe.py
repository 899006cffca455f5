"""Mean level spacing of a small Gaussian orthogonal ensemble, needed for degenerate groups of levels."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=64)
def mean_goe_spacing(levels: int) -> float:
    """Mean nearest-neighbour spacing of P(x) ~ prod_{i<j} |x_i - x_j| exp(-sum x_i^2 / 2), averaged over all gaps.

    This is (E x_max - E x_min) / (levels - 1), sqrt(pi) for two levels. E x_max comes from the distribution of the
    largest level, a ratio of Pfaffians (de Bruijn, 1955): P(all x < s) = Pf A(s) / Pf A(inf) with
    A_jk(s) = int int_{x,y<s} sgn(y - x) f_j(x) f_k(y), f_j the Hermite functions, for odd `levels` with one more
    row int_{x<s} f_j. Relative error about 1e-7 up to a few dozen levels (tested against sampling and closed forms).

    Parameters
    ----------
    levels : int
        Number of levels, >= 2. The cost grows as levels^3: 0.1 s for 10 levels, seconds for 100.
    """
    reach = math.sqrt(2.0 * levels) + 7.0
    half = math.ceil(reach / (0.12 / math.sqrt(levels)))
    s = np.linspace(-reach, reach, 4 * half + 1)
    h = s[1] - s[0]
    f = np.empty((levels, s.size))
    f[0] = np.pi**-0.25 * np.exp(-(s**2) / 2)
    if levels > 1:
        f[1] = math.sqrt(2.0) * s * f[0]
    for j in range(2, levels):
        f[j] = math.sqrt(2.0 / j) * s * f[j - 1] - math.sqrt((j - 1) / j) * f[j - 2]
    # cumulative integrals by parabolas through three neighbouring points (the functions vanish beyond both ends)
    padded = np.pad(f, ((0, 0), (1, 1)))
    pieces = h / 24 * (-padded[:, :-3] + 13 * padded[:, 1:-2] + 13 * padded[:, 2:-1] - padded[:, 3:])
    below = np.concatenate([np.zeros((levels, 1)), np.cumsum(pieces, axis=1)], axis=1)
    size = levels + levels % 2
    area = np.zeros((levels, levels))
    log_pfaffian = np.full(half * 2 + 1, -np.inf)
    for t in range(1, 2 * half + 1):  # Simpson's rule over two intervals at a time
        for point, weight in ((2 * t - 2, h / 3), (2 * t - 1, 4 * h / 3), (2 * t, h / 3)):
            area += weight * np.outer(below[:, point], f[:, point])
        edge = below[:, 2 * t]
        skew = np.zeros((size, size))
        skew[:levels, :levels] = area - area.T
        if levels % 2:
            skew[:levels, levels] = edge
            skew[levels, :levels] = -edge
        sign, log_determinant = np.linalg.slogdet(skew)
        if sign > 0:
            log_pfaffian[t] = log_determinant / 2
    cumulative = np.exp(log_pfaffian - log_pfaffian[-1])
    mean_largest = s[-1] - float(np.sum(cumulative[:-1] + cumulative[1:]) * h)
    return 2 * mean_largest / (levels - 1)
