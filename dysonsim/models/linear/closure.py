"""Closure of the equation of the singular values of a linear network, see `closures` for what that is.

Singular values and not their squares, because W has additive noise. Both singular vectors turn: with dW in the basis of
the singular vectors of W,

    dxi_i = dW_ii + sum_{j != i} [ s_ij^2/(xi_i - xi_j) + a_ij^2/(xi_i + xi_j) ] + sum_l dW_li^2/(2 xi_i),
    s_ij, a_ij = (dW_ij +- dW_ji)/2,

l running over the directions without a level of their own (W not square). s turns both vectors alike, a against each
other. The repulsion is g_ij^2 = Var s_ij; the rest is drift ("independent": as it stands, at the teacher's vectors).

Corrected. F = left^T (W - W_t) right obeys a linear equation, whose exact stationary covariance is known
(`LinearModel.weight_covariance`). To second order in F, E xi_i - t_i = sum_j [Var s_ij(F)/(t_i - t_j) +
Var a_ij(F)/(t_i + t_j)] + ..., so that levels of different wells repel with gamma_i Var s_ij(F) in place of g_ij^2
(half of it for isotropic noise: the teacher holds the vectors); the difference is the drift
(g_ij^2 - gamma_i Var s_ij)(t_i - t_j)/Var s_ij E sin^2 theta_ij, which stays finite at close approach. The terms in
xi_i + xi_j and in 1/xi_i take gamma_i Var as well. Rates are -log(1 - alpha z_i^2), the exact decay of a mean, and
g_ii^2 such that the variance of F_ii is exact, less what data noise adds: (alpha^2/|B|)(z_i^2 e_i)^2, e_i = xi_i - t_i.

Two levels in one well with different z^2 (hidden layer): W is F ~ 2 x 2, symmetric up to first order, with Gaussian
entries of variances s_11, s_22, s_12. The levels are at m -+ d/2, and the eigenvectors at the angle phi have the weight
exp(-Q(m, d, phi)), so that the levels are drawn from |d| I(m, d), I = int dphi exp(-Q): reversible motion has the
drift g^2 d(log I)/dxi_i. Far from the well one angle dominates and the two species relax each at its own rate, the
slow one behind; close to it no level belongs to a species, which is where the paper's gas of two species fails against
SGD. With gradient noise g is isotropic and this is the true projection up to relative order alpha z^2. With label
noise g is not: the stationary law is still exact, but relaxation close to the well has one rate, the geometric mean.

Not valid for teachers with singular values 0 or not large compared with the widths, for alpha z^2 >= 1, nor, to the
last percent, for Z^T Z that mixes different wells (the mean rotation is taken into account, not the mixing of the
rates). Correlations of F_ii and F_jj by the data, relative order alpha/|B|, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels.networks import linear_closure
from .._groups import level_groups
from ..closures import DysonTerms


@dataclass(frozen=True)
class Spread:
    """Variances of a matrix F in the basis of the teacher's singular vectors: of one step's change, or stationary.

    Attributes
    ----------
    symmetric, skew : (n, n) arrays
        Of (F_ij + F_ji)/2 and (F_ij - F_ji)/2; on the diagonal of the first Var F_ii, or half of it for one step.
    beside : (n,) array
        Sum of those of F in the directions that have no level.
    """

    symmetric: np.ndarray
    skew: np.ndarray
    beside: np.ndarray


@dataclass(frozen=True)
class Wells:
    """Where levels are held, and how.

    Attributes
    ----------
    target : (n,) array
        The teacher's singular values, ascending.
    mean : (n,) array
        Diagonal of the mean of the matrix in the teacher's basis.
    curvature : (n,) array
        Rates over alpha.
    null : int
        How many levels, the first ones, are always 0.
    data : float
        alpha^2/|B|.
    """

    target: np.ndarray
    mean: np.ndarray
    curvature: np.ndarray
    null: int
    data: float


def linear_terms(model: Any, alpha: float, batch: int, corrected: bool) -> DysonTerms:
    """Terms of the singular values of W for a linear network."""
    frame, (p, n) = model._frame, model.weight_shape
    wells = Wells(frame.xi, frame.xi, np.diag(frame.hessian).copy(), max(0, n - p), alpha**2 / batch)
    still = (lambda: _stationary(model, alpha, batch)) if corrected else None
    return terms(wells, alpha, _linear_noise(model, alpha, batch), still)


def terms(wells: Wells, alpha: float, step: Spread, stationary: Callable[[], Spread] | None) -> DysonTerms:
    """Terms of singular values that are held linearly: reals laid out as in `kernels.linear_closure`.

    step: of the noise of one step, at the teacher; stationary: of the stationary state, for the corrected closure.
    """
    t, z2, null, n = wells.target, wells.curvature, wells.null, len(wells.target)
    if t[null] <= 1e-9 * t[-1]:
        raise ValueError(
            f"teacher: its singular values must be > 0 for Dyson Brownian motion of singular values, "
            f"the smallest is {t[null]:g}"
        )
    levels = {name: np.zeros(n) for name in linear_closure.LEVEL_ARRAYS}
    pairs = {name: np.zeros((n, n)) for name in linear_closure.PAIR_ARRAYS}
    levels["fixed"], levels["curvature"], levels["curvature_above"] = wells.mean, z2, z2.copy()
    species = 0
    if stationary is None:
        levels["rate"], levels["wall"] = alpha * z2, step.beside / 2
        pairs["base"], pairs["skew"] = step.symmetric, step.skew
    else:
        species = _corrections(wells, alpha, step.symmetric, stationary, levels, pairs)
    levels["floor"] = _floors(levels, pairs["skew"], wells.data, null)
    inside = np.outer(np.arange(n) >= null, np.arange(n) >= null)
    reals = np.concatenate(
        [[wells.data], *levels.values(), *(np.where(inside, array, 0.0).ravel() for array in pairs.values())]
    )
    sizes = {"null": null, "species": species}
    return DysonTerms(linear_closure.build, sizes, reals, 1, "singular_values")


def _floors(levels: dict[str, np.ndarray], skew: np.ndarray, data: float, null: int) -> np.ndarray:
    """Where a drift c/xi, at its largest c, takes a level as far as its width, (n,)."""
    away, rate = levels["curvature"] * levels["fixed"], levels["rate"]
    strongest = (skew + data / 4 * (away[:, None] - away) ** 2)[:, null:].max(1)
    strongest = strongest + levels["wall"] + null * data / 2 * away**2
    return np.sqrt(np.divide(2 * strongest, rate, out=np.zeros(len(rate)), where=rate > 0) + 1e-24)


def _linear_noise(model: Any, alpha: float, batch: int) -> Spread:
    """Compute variances per step at W_t."""
    frame, (p, n) = model._frame, model.weight_shape
    label, gradient, z2 = model.label_noise**2, model.gradient_noise**2, np.diag(frame.hessian)
    own, cross = np.tile(label * z2[:, None] + gradient, (1, n)), np.zeros((n, n))
    if p == n:
        overlap = frame.left.T @ frame.right
        own = own + gradient * overlap**2
        cross = gradient * np.outer(np.diag(overlap), np.diag(overlap))
    scale = alpha**2 / batch
    symmetric, skew = scale * (own + own.T + 2 * cross) / 4, scale * (own + own.T - 2 * cross) / 4
    symmetric[np.diag_indices(n)] = scale * np.diag(own) / 2
    outside = float(np.trace(model.hessian)) - float(z2[max(0, n - p) :].sum())
    beside = label * outside + gradient * max(0, p - n) + max(0, n - p) * (label * z2 + gradient)
    return Spread(symmetric, skew, scale * beside)


def _stationary(model: Any, alpha: float, batch: int) -> Spread:
    """Return the exact stationary variances of W - W_t."""
    frame, (p, n) = model._frame, model.weight_shape
    null = max(0, n - p)
    response = model._response(alpha, batch)

    def moment(i: int, j: int, sign: int) -> float:
        ij, ji = model._covariance(response, i, j, i, j), model._covariance(response, j, i, j, i)
        return (ij + ji + sign * 2 * model._covariance(response, i, j, j, i)) / 4

    even = np.array([[moment(i, j, 1) for j in range(n)] for i in range(n)])
    odd = np.array([[moment(i, j, -1) for j in range(n)] for i in range(n)])
    beside = np.zeros(n)
    if p > n:  # rotations into the rows that have no level
        complement = np.eye(p) - frame.left @ frame.left.T
        basis = model._modes()[1]
        beside += float(np.einsum("ia,ij,ja->a", basis, complement, basis) @ response.identity)
    elif n > p:
        beside += [sum(model._covariance(response, i, j, i, j) for j in range(null)) for i in range(n)]
    return Spread(even, odd, beside)


def _corrections(
    wells: Wells,
    alpha: float,
    symmetric: np.ndarray,
    stationary: Callable[[], Spread],
    levels: dict[str, np.ndarray],
    pairs: dict[str, np.ndarray],
) -> int:
    """Fill in the constants of the corrected closure; bits of `species`."""
    t, z2, data = wells.target, wells.curvature, wells.data
    gamma = alpha * z2
    if (gamma >= 1).any():
        raise ValueError(
            f"learning_rate = {alpha:g}: alpha z^2 = {gamma.max():.3g} must be < 1, else W swings from side to side of "
            f"the teacher and follows no continuous path"
        )
    rate = -np.log1p(-gamma)
    still = stationary()
    even, odd = still.symmetric, still.skew
    own = np.diag(even)
    base = own * (rate - data * z2**2)
    pair_base = symmetric.copy()
    species = 0
    for group in level_groups(t**2):
        g = np.array(group)
        alike = np.ptp(own[g]) <= 1e-6 * own[g].max() and np.ptp(gamma[g]) <= 1e-6 * gamma[g].max()
        if not alike and len(g) > 2:
            raise ValueError(
                f"closure = 'corrected': levels {group} share a well but not their rate, and the law of more than two "
                f"such levels is not known; closure = 'independent' does without"
            )
        if not alike:
            i, j = group
            species |= 1 << i
            strength = math.sqrt(rate[i] * own[i] * rate[j] * own[j])
            levels["strength"][i] = strength
            levels["mean"][i] = (1 / own[i] + 1 / own[j]) / 2
            levels["difference"][i] = (1 / own[i] - 1 / own[j]) / 2
            levels["mixing"][i] = 1 / even[i, j]
            levels["reach"][g] = (30 * own[g].max()) ** 2
            levels["ratio"][g] = rate[g] * own[g] / strength
            levels["ratio_above"][g] = levels["ratio"][g[::-1]]
            levels["curvature_above"][g] = z2[g[::-1]]
            base[g] = strength - data * (z2[g] ** 2 * own[g]).mean()
        pair_base[np.ix_(g, g)] = base[g].mean()
    pair_base[np.diag_indices(len(base))] = base
    gap = t[:, None] - t
    apart = (np.abs(gap) > 1e-9 * t[-1]) & (even > 0)
    levels["rate"] = rate
    pairs["base"], pairs["skew"] = pair_base, rate[:, None] * odd
    np.divide(even, np.abs(gap), out=pairs["size"], where=apart)
    np.divide((pair_base - rate[:, None] * even) * gap, even, out=pairs["turn"], where=apart)
    levels["wall"] = rate / 2 * still.beside
    return species
