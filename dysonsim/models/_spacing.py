"""Mean spacings of levels that share a well, from covariances in the basis of singular vectors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ._goe import mean_goe_spacing

__all__ = ["mean_spacing", "pair_moments"]

Covariance = Callable[[int, int, int, int], float]  # Cov(F_ij, F_km) of i, j, k, m


def pair_moments(cov: Covariance, i: int, j: int) -> tuple[float, float, float]:
    """Var D, Var Y and Cov(D, Y) of D = F_ii - F_jj and Y = F_ij + F_ji: the gap is sqrt(D^2 + Y^2)."""
    var_d = cov(i, i, i, i) + cov(j, j, j, j) - 2 * cov(i, i, j, j)
    var_y = cov(i, j, i, j) + cov(j, i, j, i) + 2 * cov(i, j, j, i)
    cov_dy = cov(i, i, i, j) + cov(i, i, j, i) - cov(j, j, i, j) - cov(j, j, j, i)
    return var_d, var_y, cov_dy


def mean_spacing(cov: Covariance, group: tuple[int, ...], why: str, uneven: float = 1e-6) -> float:
    """Mean spacing of the singular values of one degenerate group, of a Gaussian F small compared with them.

    For a pair an elliptic integral; for more levels that of the GOE, which needs equal variances: ValueError, with
    the reason `why`, if they differ by more than the fraction `uneven`.
    """
    from scipy.special import ellipe

    pairs = list(zip(group, group[1:] + group[:1], strict=True)) if len(group) > 2 else [group]
    moments = np.array([pair_moments(cov, i, j) for i, j in pairs])
    if len(group) > 2:
        scale = float(moments[:, :2].mean())
        if np.abs(moments - [scale, scale, 0]).max() > uneven * scale:
            raise ValueError(
                f"mean spacing of levels {group}: their noise is not isotropic ({why}), and no closed form is known "
                "for more than two such levels"
            )
        return math.sqrt(scale / 2) * mean_goe_spacing(len(group))
    var_d, var_y, cov_dy = moments[0]
    small, large = np.linalg.eigvalsh([[var_d, cov_dy], [cov_dy, var_y]])
    return float(math.sqrt(2 * large / math.pi) * ellipe(1 - small / large)) if large > 0 else 0.0
