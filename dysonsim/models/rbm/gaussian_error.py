"""How far matrix Langevin dynamics of a Gaussian RBM is from SGD: what the third cumulants of the noise do.

A batch's C = mean of phi phi^T is a Wishart matrix, for fresh samples with third cumulants
(1 + d_ij)(1 + d_im)(1 + d_jm)/(B^2 k_i k_j k_m) of N_ij, N_jm, N_mi, N = C - K^-1; a Gaussian C of the same covariance
has none. They give H = X - X_fixed third moments, to leading order in alpha (sigma = 1)

    T_ijm = E H_ij H_jm H_mi = -alpha^3 (x_i + x_j)(x_j + x_m)(x_m + x_i) kappa3_ijm / (g_ij + g_jm + g_mi),

g_ij = alpha (x_i + x_j)/(k_i k_j), and with them, relative to the variance of H, corrections of order alpha/B to it:
through the second order of the drift, -2 alpha mu^2/(k_i k_j) sum_m H_im H_mj/k_m; through the noise of second order in
one step, alpha^2 N X N; and through the mixing with other wells, H_im H_mj/(x_i - x_m), which is cut off where wells
are closer than they are wide. Persistent chains carry
innovations on, N_ij by (a_i a_j)^k a step; the third cumulant of an innovation counts the ways in which at most one of
the three visible units is remembered.

Of first order in these moments, and therefore of relative order sqrt(alpha/B), is what they do to the levels of a pair
one by one: the lower and the upper one lie at m -+ d/2, and E m (d^2 - E d^2) != 0 makes one of them wider.
"""

from __future__ import annotations

import numpy as np


def _third_moments(
    y: np.ndarray, k: np.ndarray, learned: np.ndarray, memory: np.ndarray, alpha: float, batch: int
) -> np.ndarray:
    """T_ijm = E H_ij H_jm H_mi in SGD less that in Langevin, (n, n, n); arguments as in `width_error`."""
    n = len(y)
    i, j, m = np.ix_(range(n), range(n), range(n))
    kept = memory**2
    lost = 1 - kept
    innovation = lost[i] * lost[j] * lost[m]
    innovation += kept[i] * lost[j] * lost[m] + lost[i] * kept[j] * lost[m] + lost[i] * lost[j] * kept[m]
    decay = 1 - np.outer(memory, memory)
    multiplicity = (1.0 + (i == j)) * (1 + (i == m)) * (1 + (j == m))
    third = multiplicity * innovation / (decay[i, j] * decay[j, m] * decay[m, i]) / (batch**2 * k[i] * k[j] * k[m])
    sums = np.add.outer(y, y)
    rates = np.divide(alpha * sums, np.outer(k, k))
    total = rates[i, j] + rates[j, m] + rates[m, i]
    amplitude = -(alpha**3) * sums[i, j] * sums[j, m] * sums[m, i] * third
    return np.divide(amplitude, total, out=np.zeros((n, n, n)), where=learned[i] & learned[j] & learned[m])


def asymmetry_error(
    y: np.ndarray,
    k: np.ndarray,
    learned: np.ndarray,
    memory: np.ndarray,
    groups: list[tuple[int, ...]],
    alpha: float,
    batch: int,
) -> np.ndarray:
    """Relative excess of Langevin over SGD in sd(upper level)/sd(lower level) of every pair, (groups,).

    With D = H_ii - H_jj and Y = 2 H_ij, Gaussian of variance 4v up to the third moments, d = |(D, Y)| and
    m = (H_ii + H_jj)/2: E m d^2 = (T_iii + T_jjj + 4 T_iij + 4 T_jji)/2, to first order
    Cov(m, d) = sqrt(pi/2) E m d^2 / (8 sqrt v), and the widths are Var m + Var d/4 +- Cov(m, d), the first two
    (3 - pi/2) v. For fresh samples the excess is 1.65 sigma_i/kappa_i, sigma_i the width of the well. Of more than two
    levels in one well that of the first two alone.
    """
    moment = _third_moments(y, k, learned, memory, alpha, batch)
    out = []
    for i, j, *_ in groups:
        r = memory[i] * memory[j]
        v = alpha / (2 * batch) * (y[i] + y[j]) * (1 + r) / (1 - r)
        third = (moment[i, i, i] + moment[j, j, j]) / 2 + 2 * (moment[i, i, j] + moment[j, j, i])
        common = np.sqrt(np.pi / 2) * third / (8 * np.sqrt(v))
        out.append(-common / ((3 - np.pi / 2) * v))
    return np.array(out)


def width_error(
    y: np.ndarray, k: np.ndarray, learned: np.ndarray, memory: np.ndarray, wells: np.ndarray, alpha: float, batch: int
) -> np.ndarray:
    """Relative excess of the widths of Langevin over those of SGD, shape (n,), to leading order in alpha/B.

    Of the distance to a level of the same well, where there is one, of the level itself otherwise. All in units with
    sigma = 1.

    Parameters
    ----------
    y, k : (n,) arrays
        Fixed points x_i and k_i = mu^2 - x_i.
    learned : (n,) bool array
        Which of the levels fluctuate.
    memory : (n,) array
        a_i^gibbs_steps, the correlation of a chain's visible mode from one update to the next.
    wells : (n,) int array
        Number of the well of each level.
    alpha, batch : float, int
        Learning rate and batch size.
    """
    n = len(y)
    i, j, m = np.ix_(range(n), range(n), range(n))
    decay = 1 - np.outer(memory, memory)
    multiplicity = (1.0 + (i == j)) * (1 + (i == m)) * (1 + (j == m))
    sums = np.add.outer(y, y)
    rates = np.divide(alpha * sums, np.outer(k, k))
    learned3 = learned[i] & learned[j] & learned[m]
    moment = _third_moments(y, k, learned, memory, alpha, batch)

    partner = np.arange(n)
    for a in range(n):
        others = [b for b in range(n) if wells[b] == wells[a] and b != a]
        partner[a] = others[0] if others and learned[a] else a
    own = np.arange(n), partner
    correlation = (2 - decay) / decay  # (1 + r)/(1 - r), r = memory_i memory_j
    variance = alpha / (2 * batch) * (sums * (1 + np.eye(n)) * correlation)[own]
    drift = -2 * alpha * (y + k)[0] * (moment / k[m]).sum(2) / np.outer(k, k)
    step = np.where(learned3, multiplicity * y[m] / k[m], 0.0).sum(2) / (batch**2 * np.outer(k, k))
    source = 2 * (drift - alpha**3 * sums * step * correlation)[own]
    apart = wells[:, None] != wells
    gap = np.where(apart & learned[:, None] & learned, y[:, None] - y, 0.0)
    widths = alpha / batch * y * correlation.diagonal()
    mixing = moment[own] * np.divide(gap, gap**2 + widths[:, None] + widths, out=np.zeros((n, n)), where=gap != 0)
    # The excess of SGD's variance.
    excess = np.divide(source, 2 * rates[own], out=np.zeros(n), where=learned) + 2 * mixing.sum(1)
    return np.where(learned, -np.divide(excess, 2 * variance, out=np.zeros(n), where=learned), 0.0)
