"""One update of a Gaussian restricted Boltzmann machine by persistent contrastive divergence.

    W <- W + alpha sigma^2 W (K_target^-1 - C),   C = (1/B) sum_b phi_b phi_bT           (arXiv:2412.20496, section 4)

with B persistent chains phi_b, each moved by k Gibbs steps phi -> h -> phi before C is taken. One Gibbs step is
linear and Gaussian, phi' = A phi + noise with A = sigma^2 WtW / mu^2 and noise covariance (1 + A) / mu^2, so that k
steps are drawn at once as phi' = A^k phi + L z with L LT = (1 + A + ... + A^(2k-1)) / mu^2: the same Markov chain in
law, at N instead of 2 k N normals a sample.
"""

from __future__ import annotations

import numpy as np

from . import algebra, rng

# Constants in `reals`, before the inverse target; and in `integers`.
RATE, SIGMA, INVERSE_MU, INVERSE_BATCH, LIMIT, TARGET = range(6)
BATCH, GIBBS_STEPS = range(2)
CHUNK = 4  # samples whose normals are drawn together: 4 n normals are whole blocks of the generator
TEAM_CHUNKS = (16, 8)  # the same where a team of threads draws them: the first that fits into a matrix, or the last


def team_chunk(n_visible: int, n_hidden: int) -> int:
    """Samples that a team of threads draws together."""
    widest = max(n_visible, n_hidden)
    return next((chunk for chunk in TEAM_CHUNKS if chunk * widest <= n_visible**2), TEAM_CHUNKS[-1])


def scratch(n_visible: int, n_hidden: int) -> int:
    """Numbers of working space that one network needs: four matrices, and room to draw samples, if not within two."""
    n, widest = n_visible, max(n_visible, n_hidden)
    drawn = team_chunk(n, n_hidden) * widest
    return 3 * n * n + n * widest + (0 if drawn <= n * n else 2 * drawn)


def build(lanes, n_visible: int, n_hidden: int, sampling: str, tall: bool = False):
    """One step on one target; sampling is "at_once", "step_by_step" or "fresh" (k = infinity), tall as in `algebra`."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part = lanes.load, lanes.store, lanes.full, lanes.part
    matrix = algebra.build(lanes, (n_visible, n_hidden), tall)
    normals = rng.build(lanes).normals
    gram, cholesky, add_product = matrix.gram, matrix.cholesky, matrix.add_product
    add_identity, powers, copy = matrix.add_identity, matrix.powers, matrix.copy
    n, p = n_visible, n_hidden
    widest = max(n, p)
    member, together, team = lanes.member, lanes.together, lanes.team
    chunk = CHUNK if team == 1 else team_chunk(n, p)
    drawn = chunk * widest
    within, buffers = drawn <= n * n, 3 * n * n + n * widest
    zero, one, u64 = number(0), number(1), np.uint64

    @jit
    def by_sample(o, i, b, s, scale):
        store(o, b * n + i, s * scale)

    @jit
    def so_far(o, i, b, more):
        return load(o, b * n + i)

    kicks = matrix.product(by_sample, ragged=True, thin=True)
    added = matrix.product(by_sample, so_far, thin=True)

    @jit
    def move(chains, at, count, power, factor, z, scale, work):
        """phi <- power phi + scale factor z for `count` chains from number `at` on; factor lower triangular."""
        kicks(work, factor, n, 1, z, n, 1, n, count, n, scale)
        some = part(chains, at * n, count * n)
        added(work, power, n, 1, some, n, 1, n, count, n, one)
        copy(some, work, count * n)

    @jit
    def half_step(o, i, b, s, more):
        to, rows, weight, z, noise = more
        store(o, (to + b) * rows + i, s * weight + load(z, b * rows + i) * noise)

    halves = matrix.product(half_step, thin=True)

    @jit
    def gibbs_half(o, to, rows, a, at, inner, w, dw, dm, z, count, weight, noise):
        """o_b = weight w a_b + noise z_b for `count` samples: one half of a Gibbs step, of either direction."""
        samples = part(a, at * inner, count * inner)
        halves(o, w, dw, dm, samples, inner, 1, rows, count, inner, (to, rows, weight, z, noise))

    @jit
    def draw(chains, at, count, factor, z):
        """phi = L^-T z, of covariance (L LT)^-1, for `count` samples; factor = L lower triangular."""
        for b in range(member(), count, team):
            for i in range(n - 1, -1, -1):
                s = load(z, b * n + i)
                for m in range(i + 1, n):
                    s = s - load(factor, m * n + i) * load(chains, (at + b) * n + m)
                store(chains, (at + b) * n + i, s / load(factor, i * n + i))
        together()

    @jit
    def less(o, i, j, s, more):
        target, scale = more
        s = full(target[u64(i * n + j)]) - s * scale
        store(o, i * n + j, s)
        store(o, j * n + i, s)

    missing = matrix.product(less, lower=True, unroll=TEAM_CHUNKS[-1])

    @jit
    def mismatch(o, chains, batch, scale, target):
        """o = target - scale sum_b phi_b phi_bT."""
        missing(o, chains, 1, n, chains, 1, n, n, n, batch, (target, scale))

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        w = part(state, 0, p * n)
        chains = part(state, p * n, integers[BATCH] * n)
        a, area = part(scratch, 0, n * n), part(scratch, n * n, 3 * n * n)
        power, series, free = 0, n * n, 2 * n * n
        batch, k, inverse_mu = integers[BATCH], integers[GIBBS_STEPS], reals[INVERSE_MU]
        gram(a, w, p, n, (reals[SIGMA] * inverse_mu) * (reals[SIGMA] * inverse_mu))
        trace = full(zero)
        for i in range(n):
            trace = trace + load(a, i * n + i)
        well = trace < reals[LIMIT]
        together()
        if sampling == "at_once":
            power, series, free = powers(a, area, k, n)
            cholesky(part(area, series, n * n), n)
        elif sampling == "fresh":  # the Cholesky factor of K / mu^2 = 1 - A
            for i in range(member(), n * n, team):
                store(area, series + i, full(zero) - load(a, i))
            together()
            add_identity(part(area, power, n * n), part(area, series, n * n), n)
            pivot = cholesky(part(area, power, n * n), n)
            well = well & (zero < pivot)
        power, factor = part(area, power, n * n), part(area, series, n * n)
        if within:
            z, row = a, part(area, free, n * n)
        else:
            z, row = part(scratch, buffers, drawn), part(scratch, buffers + drawn, drawn)
        for at in range(0, batch, chunk):
            count = min(chunk, batch - at)
            blocks = (count + CHUNK - 1) // CHUNK
            if sampling == "step_by_step":
                for g in range(k):
                    block, more = at // CHUNK, rng.STRIDE * g
                    normals(z, blocks * p, block * p, rng.HIDDEN + more, s, replica, key0, key1)
                    gibbs_half(row, 0, p, chains, at, n, w, n, 1, z, count, reals[SIGMA] * reals[SIGMA], reals[SIGMA])
                    normals(z, blocks * n, block * n, rng.VISIBLE + more, s, replica, key0, key1)
                    gibbs_half(chains, at, n, row, 0, p, w, 1, n, z, count, inverse_mu * inverse_mu, inverse_mu)
            else:
                normals(z, blocks * n, (at // CHUNK) * n, rng.CHAIN, s, replica, key0, key1)
                if sampling == "at_once":
                    move(chains, at, count, power, factor, z, inverse_mu, row)
                else:
                    for i in range(member(), count * n, team):
                        store(z, i, load(z, i) * inverse_mu)
                    together()
                    draw(chains, at, count, power, z)
        mismatch(a, chains, batch, reals[INVERSE_BATCH], reals[TARGET:])
        add_product(w, reals[RATE], a, p, n, part(scratch, n * n, p * n))
        return well

    return step
