"""Closure of the eigenvalue equation of a Gaussian RBM, see `closures` for what that is.

Units with sigma = 1, time in SGD steps; x_i levels, k_i = mu^2 - x_i, R_i = 1/k_i, p_i = 1/kappa_i the target's,
e = alpha/|B|, d_i = x_i - (mu^2 - kappa_i), r_ij = (a_i a_j)^k, c_ij = (1 + r_ij)/(1 - r_ij). All corrections below are
relative to the leading order; those of order e and of order alpha are complete (up to products with r where said).

1. Slow motion of X. With N = C - R(X), dX = alpha {X, P - R - N} + alpha^2 (P - C) X (P - C) for P = target^-1, and N
   remembers (a_i a_j)^k a step. Summed over the memory: Var dX_ij = g_ij^2 = alpha e (x_i + x_j)^2 c_ij R_i R_j, and a
   mean drift from N X N, from {{X, N_s}, N_t} and from the change of A^k with X, the lines of order alpha^2/|B| in
   `kernels.rbm_closure`. They hold for any k, so that k = 1 needs nothing of its own. (The terms in r of their products
   with the third cumulants below are left out.)
2. Rotations. If an eigenvector turns by theta_im toward the mode m of another well, (U^T P U)_ii = p_i + sum_m
   theta_im^2 (p_m - p_i), and theta_im decays at G = alpha (x_i + x_m)(p_i - p_m)/(x_i - x_m), with noise of strength
   D = g_im^2/(2 (x_i - x_m)^2). The stationary P ~ exp(-(sum phi_i(x_i) + 1/2 sum theta_im^2/y_im)/e) obeys, to order
   theta^2 and with f_i = 2 alpha x_i (p_i - R_i),

       (f_i d_i + f_m d_m) y/2 + 2 alpha (p_m - p_i)(x_i phi_i' - x_m phi_m') y^2 - G y + D/e = 0.

   At the wells e y = e (x_i + x_m) c_im/(2 (x_i - x_m)^2); to first order in d_i, d_m one linear equation each. y is
   needed to that order and no further: it moves the stiffness of a well at relative order e. We write it as
   y = y_0 (gap_0/gap)(1 + ...), which is exact for two wells that come close, and put t = e y into E sin^2 theta.
3. Finite steps. An element H_ij and its N are a linear system with decay g = alpha (x_i + x_j) R_i R_j per step: it has
   Var H = (e/2)(x_i + x_j) c/(1 - g/(2c)), slow rate g (1 + c g/2) up to g^3. Hence the drift f (1 - c f'/2), and
   g_ij^2 times 1 + g (c + 1/c)/2.
4. Third cumulants of C (a Wishart matrix), <N_ij N_jm N_mi> = R_i R_j R_m/|B|^2 times a multiplicity. They are of
   order e in the widths as well, so that even matrix Langevin dynamics misses them: through the second derivative of f
   (the stiffness falls by tau_i = (16/3) e mu^2/k_i^2 for one or two levels), through N X N and through the mixing
   dX_im dX_mj/(x_i - x_m) (factors of g_ij^2), and through D (in the slopes of y). `third` and `cube` sum them over the
   memory of the chains.

Not valid where e n is not small. Against SGD with 10 modes, mu = 3, |B| = 16, at alpha = 0.1: every mean spacing within
1% (error 0.3%; 4 to 13% with independent wells), mean lambda/kappa within 4e-4 for k = 3 and inf, 1 to 2e-3 too large
for k = 1, single levels up to 3% too wide (9% for k = 1, where the two highest wells overlap); at 0.02 nothing shows
but the last, 0.2 and 1.5%.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...kernels.networks import rbm_closure
from .._groups import level_groups
from ..closures import DysonTerms


@np.errstate(under="ignore")
def rbm_terms(model: Any, alpha: float, batch: int, corrected: bool) -> DysonTerms:
    """Terms of the eigenvalues of X for a Gaussian RBM: reals laid out as in `kernels.rbm_closure`."""
    n, mu2, fresh = model.n, model.mu**2, model.gibbs_steps == math.inf
    rate, gibbs_steps = alpha * model.sigma**2, 0 if fresh else int(model.gibbs_steps)
    y, p = model.sigma**2 * model.fixed_point(), 1 / model.kappa
    tau, pairs = np.zeros(n), np.full((n, n), rate**2 / batch)
    size, slope = np.zeros((n, n)), np.zeros((n, n))
    if corrected:
        wells = np.arange(n)
        for group in level_groups(y):
            wells[list(group)] = group[0]
        tau, factors, size, slope = _rbm_corrections(y, p, mu2, gibbs_steps, wells, rate, batch)
        pairs = pairs * factors
    highest = mu2 - model.kappa[-1] / 3
    constants = [rate, model.sigma**2, mu2, highest]
    reals = np.concatenate([constants, p, y, tau, pairs.ravel(), size.ravel(), slope.ravel()])
    sizes = {"null": max(0, n - model.weight_shape[0]), "gibbs_steps": gibbs_steps, "corrected": corrected}
    return DysonTerms(rbm_closure.build, sizes, reals, rbm_closure.scratch(n), "eigenvalues")


def _rbm_corrections(
    y: np.ndarray, p: np.ndarray, mu2: float, gibbs_steps: int, wells: np.ndarray, rate: float, batch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return tau (n,), factors of g_ij^2, rotations and their relative slopes (n, n); units with sigma = 1."""
    n, epsilon, k = len(y), rate / batch, mu2 - y
    learned = y > 0
    q = (y / mu2) ** gibbs_steps if gibbs_steps else np.zeros(n)
    i, m = np.ix_(range(n), range(n))
    r = np.outer(q, q)
    c = (1 + r) / (1 - r)
    own, members = np.diag(c), (wells[:, None] == wells).sum(1)
    sums = y[i] + y[m]
    gamma = rate * sums / (k[i] * k[m])
    third = 1 + 6 * q**2 / (1 - q**2) ** 2
    tau = 4 / 3 * epsilon * (4 + np.maximum(members - 2, 0)) * mu2 / k**2 * third / own

    # within a well that of an off-diagonal element, by which its levels are kept apart
    quadratic = (y / k).sum() + y[i] / k[i] + y[m] / k[m]
    np.fill_diagonal(quadratic, (y / k).sum() + np.where(members > 1, 2, 3) * y / k)
    quadratic = np.divide(2 * epsilon * quadratic, sums, out=np.zeros((n, n)), where=sums > 0)

    apart = (wells[i] != wells[m]) & (learned[i] | learned[m])
    gap = np.where(apart, y[i] - y[m], 1.0)
    steep = np.where(apart, (p[i] - p[m]) / gap, 1.0)  # of the inverse target between the two levels, > 0
    variance = sums * c / (2 * k[i] * k[m] * steep) / gap**2 / (1 - gamma / (2 * c))
    size = np.where(apart, epsilon * variance * np.abs(gap), 0.0)
    turning = rate * sums * steep
    mixed = gap / (gap**2 + 2 * epsilon * (y * own)[i] + 2 * epsilon * (y * own)[m])
    relaxation = 2 * rate * y / k**2
    memory = np.divide(2 * gibbs_steps * r / (1 - r**2), y[i], out=np.zeros((n, n)), where=y[i] > 0)
    cube = 1 + 4 * r / (1 - r) + 2 * r**2 / (1 - r) ** 2 + 2 * (q**2 / (1 - q**2))[i] * c
    change = 1 / np.where(sums > 0, sums, 1.0) - 1 / gap + 1 / k[i] + memory
    change = change - 2 * cube / (c * own[i] * k[i]) - c / (2 * own[i] * gap)
    mixing = np.where(apart & (y[i] > 0), epsilon * sums**2 * cube * mixed, 0.0) / k[m]
    mixing = np.divide(mixing.sum(1), y * own, out=np.zeros(n), where=learned)
    factors = 1 + gamma * (c + 1 / c) / 2 - quadratic - (mixing[i] + mixing[m]) / 2
    slower = turning + relaxation[i] / 2
    slope = change * np.divide(turning, slower, out=np.ones((n, n)), where=slower > 0) + 1 / gap
    return tau, factors, size, np.where(apart & learned[i], slope, 0.0)
