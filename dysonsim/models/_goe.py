"""Mean spacings of degenerate groups of levels: of a Gaussian orthogonal ensemble, and of unequal variances."""

from __future__ import annotations

import math
from collections.abc import Callable
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


def mean_gap(
    group: tuple[int, ...], covariance: Callable[[int, int, int, int], float], uneven: float = 1e-6
) -> float | None:
    """Mean spacing of singular values that share a fixed point, to first order in the displacement F of W.

    For a pair that of sqrt(D^2 + Y^2), D = F_11 - F_22, Y = F_12 + F_21, an elliptic integral; for more levels that of
    the GOE, which needs equal variances: None where these differ by more than the fraction `uneven`.

    Parameters
    ----------
    group : tuple of int
    covariance : callable
        ``covariance(i, j, k, m)`` is Cov(F_ij, F_km), F in the basis of the singular vectors of the fixed point.
    uneven : float
    """
    from scipy.special import ellipe

    pairs = list(zip(group, group[1:] + group[:1], strict=True)) if len(group) > 2 else [group]
    moments = np.array([pair_moments(covariance, i, j) for i, j in pairs])
    if len(group) > 2:
        scale = float(moments[:, :2].mean())
        if np.abs(moments - [scale, scale, 0]).max() > uneven * scale:
            return None
        return math.sqrt(scale / 2) * mean_goe_spacing(len(group))
    var_d, var_y, cov_dy = moments[0]
    small, large = np.linalg.eigvalsh([[var_d, cov_dy], [cov_dy, var_y]])
    return float(math.sqrt(2 * large / math.pi) * ellipe(1 - small / large)) if large > 0 else 0.0


def pair_moments(covariance: Callable[[int, int, int, int], float], i: int, j: int) -> tuple[float, float, float]:
    """Var D, Var Y and Cov(D, Y) of D = F_ii - F_jj and Y = F_ij + F_ji: the gap is sqrt(D^2 + Y^2)."""
    c = covariance
    var_d = c(i, i, i, i) + c(j, j, j, j) - 2 * c(i, i, j, j)
    var_y = c(i, j, i, j) + c(j, i, j, i) + 2 * c(i, j, j, i)
    cov_dy = c(i, i, i, j) + c(i, i, j, i) - c(j, j, i, j) - c(j, j, j, i)
    return var_d, var_y, cov_dy
