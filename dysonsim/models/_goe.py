"""Mean level spacing of a small Gaussian orthogonal ensemble, needed for degenerate groups of levels."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=64)
def mean_goe_spacing(levels: int) -> float:
    """Mean nearest-neighbor spacing of P(x) ~ prod_{i<j} |x_i - x_j| exp(-sum x_i^2 / 2), averaged over all gaps.

    This is 2 E x_max / (levels - 1), sqrt(pi) for two levels. E x_max comes from the distribution of the largest level,
    a ratio of Pfaffians (de Bruijn, 1955): P(all x < s) = Pf A(s) / Pf A(inf), with the Hermite functions f_j and
    A_jk(s) = int int_{x,y<s} sgn(y - x) f_j(x) f_k(y), for odd `levels` bordered by int_{x<s} f_j. Relative error
    about 1e-7 up to a few dozen levels (tested by sampling and the closed form).

    Parameters
    ----------
    levels : int
        Number of levels, >= 2. The cost grows as levels^3: 10 ms for 10 levels, seconds for 200.
    """
    reach = math.sqrt(2.0 * levels) + 7.0
    panels = math.ceil(reach / 0.025)  # of width 0.05, the scale on which P(all x < s) is resolved
    inside = 2 * math.ceil(0.5 * math.sqrt(levels))  # intervals in a panel: the functions oscillate faster
    s, h = np.linspace(-reach, reach, panels * inside + 1, retstep=True)
    f = np.empty((levels, s.size))
    f[0] = np.pi**-0.25 * np.exp(-(s**2) / 2)
    f[1] = math.sqrt(2.0) * s * f[0]
    for j in range(2, levels):
        f[j] = math.sqrt(2.0 / j) * s * f[j - 1] - math.sqrt((j - 1) / j) * f[j - 2]
    # cumulative integrals by cubics through four neighboring points (the functions vanish beyond both ends)
    padded = np.pad(f, ((0, 0), (1, 1)))
    pieces = h / 24 * (-padded[:, :-3] + 13 * padded[:, 1:-2] + 13 * padded[:, 2:-1] - padded[:, 3:])
    below = np.concatenate([np.zeros((levels, 1)), np.cumsum(pieces, axis=1)], axis=1)
    simpson = h / 3 * np.array([1.0, *([4.0, 2.0] * (inside // 2))])
    simpson[-1] = h / 3
    size = levels + levels % 2
    area = np.zeros((levels, levels))
    log_pfaffian = np.full(panels + 1, -np.inf)
    for panel in range(1, panels + 1):
        part = slice((panel - 1) * inside, panel * inside + 1)
        area += (below[:, part] * simpson) @ f[:, part].T
        end = panel * inside
        if s[end] < reach - 15:  # eight below the edge of the semicircle: no chance that all levels are there
            continue
        skew = np.zeros((size, size))
        skew[:levels, :levels] = area - area.T
        if levels % 2:
            skew[:levels, levels] = below[:, end]
            skew[levels, :levels] = -below[:, end]
        sign, log_determinant = np.linalg.slogdet(skew)
        if sign > 0:
            log_pfaffian[panel] = log_determinant / 2
    cumulative = np.exp(log_pfaffian - log_pfaffian[-1])
    mean_largest = reach - float(np.sum(cumulative[:-1] + cumulative[1:]) * h * inside / 2)
    return 2 * mean_largest / (levels - 1)
