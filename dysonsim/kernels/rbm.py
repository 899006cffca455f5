"""One update of a Gaussian restricted Boltzmann machine by persistent contrastive divergence.

    W <- W + alpha sigma^2 W (K_target^-1 - C),   C = (1/B) sum_b phi_b phi_bT           (arXiv:2412.20496, section 4)

with B persistent chains phi_b, each moved by k Gibbs steps phi -> h -> phi before C is taken. One Gibbs step is
linear and Gaussian, phi' = A phi + noise with A = sigma^2 WtW / mu^2 and noise covariance (1 + A) / mu^2, so that k
steps are drawn at once as phi' = A^k phi + L z with L LT = (1 + A + ... + A^(2k-1)) / mu^2: the same Markov chain in
law, at N instead of 2 k N normals a sample.
"""

from __future__ import annotations

from . import algebra, rng

# Constants in `reals`, before the inverse target; and in `integers`.
RATE, SIGMA, INVERSE_MU, INVERSE_BATCH, LIMIT, TARGET = range(6)
BATCH, GIBBS_STEPS = range(2)
CHUNK = 4  # samples whose normals are drawn together: 4 n normals are whole blocks of the generator


def scratch(n_visible: int, n_hidden: int) -> int:
    """Numbers of working space that one network needs."""
    widest = max(n_visible, n_hidden)
    return 3 * n_visible**2 + n_visible * widest + 2 * CHUNK * widest


def build(lanes, n_visible: int, n_hidden: int, sampling: str):
    """One step on one target; sampling is "at_once", "step_by_step" or "fresh" (k = infinity)."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part = lanes.load, lanes.store, lanes.full, lanes.part
    matrix = algebra.build(lanes)
    tile, normals = matrix.tile, rng.build(lanes).normals
    gram, cholesky = matrix.gram, matrix.cholesky
    store_symmetric, add_product = matrix.store_symmetric, matrix.add_product
    add_identity, powers = matrix.add_identity, matrix.powers
    n, p = n_visible, n_hidden
    widest = max(n, p)
    buffers = 3 * n * n + n * widest
    zero = number(0)

    @jit
    def move(chains, at, count, power, factor, z, scale, work):
        """phi <- power phi + scale factor z for `count` <= 4 chains from number `at` on; factor lower triangular."""
        for b in range(0, count, 2):
            c0, c1 = (at + b) * n, (at + min(b + 1, count - 1)) * n
            z0, z1 = b * n, min(b + 1, count - 1) * n
            for i in range(0, n, 2):
                i1 = min(i + 1, n - 1)
                s00, s01, s10, s11 = tile(power, i * n, i1 * n, 1, chains, c0, c1, 1, n)
                t00, t01, t10, t11 = tile(factor, i * n, i1 * n, 1, z, z0, z1, 1, i1 + 1)
                store(work, i, s00 + t00 * scale)
                store(work, n + i, s01 + t01 * scale)
                store(work, i1, s10 + t10 * scale)
                store(work, n + i1, s11 + t11 * scale)
            for i in range(n):
                store(chains, c0 + i, load(work, i))
                store(chains, c1 + i, load(work, n + i))

    @jit
    def gibbs_half(o, to, rows, a, at, inner, w, dw, dm, z, count, weight, noise):
        """o_b = weight w a_b + noise z_b for `count` samples: one half of a Gibbs step, of either direction."""
        for b in range(count):
            for i in range(rows):
                s = full(zero)
                for m in range(inner):
                    s = load(w, i * dw + m * dm) * load(a, (at + b) * inner + m) + s
                store(o, (to + b) * rows + i, s * weight + load(z, b * rows + i) * noise)

    @jit
    def draw(chains, at, count, factor, z):
        """phi = L^-T z, of covariance (L LT)^-1, for `count` samples; factor = L lower triangular."""
        for b in range(count):
            for i in range(n - 1, -1, -1):
                s = load(z, b * n + i)
                for m in range(i + 1, n):
                    s = s - load(factor, m * n + i) * load(chains, (at + b) * n + m)
                store(chains, (at + b) * n + i, s / load(factor, i * n + i))

    @jit
    def mismatch(o, chains, batch, scale, target):
        """o = target - scale sum_b phi_b phi_bT."""
        for i0 in range(0, n, 2):
            i1 = min(i0 + 1, n - 1)
            for j0 in range(0, i0 + 1, 2):
                j1 = min(j0 + 1, n - 1)
                s00, s01, s10, s11 = tile(chains, i0, i1, n, chains, j0, j1, n, batch)
                s00 = full(target[i0 * n + j0]) - s00 * scale
                s01 = full(target[i0 * n + j1]) - s01 * scale
                s10 = full(target[i1 * n + j0]) - s10 * scale
                s11 = full(target[i1 * n + j1]) - s11 * scale
                store_symmetric(o, i0, i1, j0, j1, s00, s01, s10, s11, n)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        w = part(state, 0, p * n)
        chains = part(state, p * n, integers[BATCH] * n)
        a, power = part(scratch, 0, n * n), part(scratch, n * n, n * n)
        series, work = part(scratch, 2 * n * n, n * n), part(scratch, 3 * n * n, n * widest)
        z, row = part(scratch, buffers, CHUNK * widest), part(scratch, buffers + CHUNK * widest, CHUNK * widest)
        batch, k, inverse_mu = integers[BATCH], integers[GIBBS_STEPS], reals[INVERSE_MU]
        gram(a, w, p, n, (reals[SIGMA] * inverse_mu) * (reals[SIGMA] * inverse_mu), work)
        trace = full(zero)
        for i in range(n):
            trace = trace + load(a, i * n + i)
        well = trace < reals[LIMIT]
        if sampling == "at_once":
            power, series = powers(a, power, series, work, k, n)
            cholesky(series, n)
        elif sampling == "fresh":  # the Cholesky factor of K / mu^2 = 1 - A
            for i in range(n * n):
                store(series, i, full(zero) - load(a, i))
            add_identity(power, series, n)
            pivot = cholesky(power, n)
            well = well & (zero < pivot)
        for at in range(0, batch, CHUNK):
            count = min(CHUNK, batch - at)
            if sampling == "step_by_step":
                for g in range(k):
                    block, more = at // CHUNK, rng.STRIDE * g
                    normals(z, p, block * p, rng.HIDDEN + more, s, replica, key0, key1)
                    gibbs_half(row, 0, p, chains, at, n, w, n, 1, z, count, reals[SIGMA] * reals[SIGMA], reals[SIGMA])
                    normals(z, n, block * n, rng.VISIBLE + more, s, replica, key0, key1)
                    gibbs_half(chains, at, n, row, 0, p, w, 1, n, z, count, inverse_mu * inverse_mu, inverse_mu)
            else:
                normals(z, n, (at // CHUNK) * n, rng.CHAIN, s, replica, key0, key1)
                if sampling == "at_once":
                    move(chains, at, count, power, series, z, inverse_mu, row)
                else:
                    for i in range(count * n):
                        store(z, i, load(z, i) * inverse_mu)
                    draw(chains, at, count, power, z)
        mismatch(a, chains, batch, reals[INVERSE_BATCH], reals[TARGET:])
        add_product(w, reals[RATE], a, p, n, row)
        return well

    return step
