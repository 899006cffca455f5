"""One step of matrix Langevin dynamics for a Gaussian restricted Boltzmann machine: `rbm.py` with Gaussian batches.

    W <- W + alpha sigma^2 W (K_target^-1 - C),   K = mu^2 - sigma^2 WtW,   A = sigma^2 WtW / mu^2

with a Gaussian matrix C of the same mean and covariance as the mean of phi phiT over B chains:

- "independent", chains in equilibrium: C = G^-T (1 + S / sqrt(B)) G^-1 / mu^2 with K / mu^2 = 1 - A = G GT and S
  symmetric with independent normals, of variance 1 off and 2 on the diagonal;
- "correlated", persistent chains: C is part of the state, and the chains' Gibbs steps phi' = A^k phi + noise of
  covariance Q = (1 + A + ... + A^(2k-1)) / mu^2 move it by C' = M + Q + eta with M = A^k C A^k and
  B Cov(eta_ij, eta_rs) = Q_ir Q_js + Q_ir M_js + M_ir Q_js + (r <-> s). Both are exact given the chains, which enter
  by C alone. With Q = F FT and Q + 2 M = H HT such noise is eta = (F Z HT + transpose) / sqrt(2 B), Z of n^2 normals.

Sums over chains are positive whatever happens, a Gaussian C need not be. Where Q + 2 M is not, the covariance above is
none, and the noise is drawn without its terms in M (at |B| >= 16 in the papers' range in less than 1 step of 10^4).
Independent noise ends where K is not positive.
"""

from __future__ import annotations

import math

from ..common import algebra, rng

# Constants in `reals`, before the inverse target; and in `integers`. FLUCTUATION is 1 / sqrt(B).
RATE, SIGMA, INVERSE_MU, FLUCTUATION, LIMIT, TARGET = range(6)
GIBBS_STEPS = 0


def drawn_blocks(n_visible: int, correlated: bool) -> int:
    """Blocks of four normals that a step takes."""
    return -(-(n_visible**2 if correlated else n_visible * (n_visible + 1) // 2) // 4)


def scratch(n_visible: int, n_hidden: int, correlated: bool) -> int:
    """Numbers of working space that one network needs."""
    widest = max(n_visible, n_hidden)
    return 5 * n_visible**2 + n_visible * widest + 4 * drawn_blocks(n_visible, correlated)


def build(lanes, n_visible: int, n_hidden: int, correlated: bool, tall: bool = False):
    """One step on one target."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part, select = lanes.load, lanes.store, lanes.full, lanes.part, lanes.select
    matrix = algebra.build(lanes, (n_visible, n_hidden), tall)
    gram, powers, cholesky, add_identity = matrix.gram, matrix.powers, matrix.cholesky, matrix.add_identity
    symmetric_product, times_transposed = matrix.symmetric_product, matrix.times_transposed
    add_product = matrix.add_product
    normals = rng.build(lanes).normals
    n, p, square = n_visible, n_hidden, n_visible**2
    blocks = drawn_blocks(n, correlated)
    WORK = 5 * square
    Z = WORK + n * max(n, p)
    zero, one, two, half_root, root = number(0), number(1), number(2), number(math.sqrt(0.5)), number(math.sqrt(2))

    @jit
    def fluctuate(x, z, size):
        """Compute x = 1 + size S with the normals z in the upper triangle of S, by rows."""
        d = 0
        for i in range(n):
            store(x, i * n + i, load(z, d) * (size * root) + one)
            d += 1
            for j in range(i + 1, n):
                store(x, i * n + j, load(z, d) * size)
                store(x, j * n + i, load(z, d) * size)
                d += 1

    @jit
    def solve_both_sides(x, factor):
        """Do x <- factor^-T x factor^-1 for a lower triangular factor."""
        for i in range(n - 1, -1, -1):
            for j in range(n):
                s = load(x, i * n + j)
                for m in range(i + 1, n):
                    s = s - load(factor, m * n + i) * load(x, m * n + j)
                store(x, i * n + j, s / load(factor, i * n + i))
        for j in range(n - 1, -1, -1):
            for i in range(n):
                s = load(x, i * n + j)
                for m in range(j + 1, n):
                    s = s - load(x, i * n + m) * load(factor, m * n + j)
                store(x, i * n + j, s / load(factor, j * n + j))

    @jit
    def draw_independent(c, a, factor, z, size, unit):
        """Draw c = C from equilibrium; return the smallest pivot of K / mu^2."""
        for i in range(square):
            store(c, i, full(zero) - load(a, i))
        add_identity(factor, c, n)
        pivot = cholesky(factor, n)
        fluctuate(c, z, size)
        solve_both_sides(c, factor)
        for i in range(square):
            store(c, i, load(c, i) * unit)
        return pivot

    @jit
    def move_chains(c, power, q, m, factor, z, size, unit):
        """C' from C, A^k and Q; Q and M = A^k C A^k in units of `unit`."""
        times_transposed(factor, power, c, n, one / unit, False)
        symmetric_product(m, power, factor, n)
        for i in range(square):
            store(c, i, (load(q, i) + load(m, i)) * unit)
        for i in range(square):
            store(factor, i, load(m, i) * two + load(q, i))
        cholesky(q, n)
        possible = zero < cholesky(factor, n)
        for i in range(square):
            store(factor, i, select(possible, load(factor, i), load(q, i)))
        times_transposed(m, factor, z, n, size * half_root * unit, True)
        times_transposed(factor, q, m, n, one, True)
        for i in range(n):
            for j in range(n):
                eta = load(factor, i * n + j) + load(factor, j * n + i)
                store(c, i * n + j, load(c, i * n + j) + eta)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        w = part(state, 0, p * n)
        a, area = part(scratch, 0, square), part(scratch, square, 3 * square)
        factor, work = part(scratch, 4 * square, square), part(scratch, WORK, Z - WORK)
        z = part(scratch, Z, 4 * blocks)
        size, unit = reals[FLUCTUATION], reals[INVERSE_MU] * reals[INVERSE_MU]
        gram(a, w, p, n, reals[SIGMA] * reals[SIGMA] * unit)
        trace = full(zero)
        for i in range(n):
            trace = trace + load(a, i * n + i)
        well = trace < reals[LIMIT]
        normals(z, blocks, 0, rng.CHAIN, s, replica, key0, key1)
        if correlated:
            c = part(state, p * n, square)
            power, series, free = powers(a, area, integers[GIBBS_STEPS], n)
            power, series, m = part(area, power, square), part(area, series, square), part(area, free, square)
            move_chains(c, power, series, m, factor, z, size, unit)
        else:
            c = part(area, 0, square)
            well = well & (zero < draw_independent(c, a, factor, z, size, unit))
        for i in range(square):
            store(a, i, full(reals[TARGET + i]) - load(c, i))
        add_product(w, reals[RATE], a, p, n, work)
        return well

    return step
