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


def build(lanes, n_visible: int, n_hidden: int, sampling: str, tall: bool = False):
    """One step on one target; sampling is "at_once", "step_by_step" or "fresh" (k = infinity), tall as in `algebra`."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part = lanes.load, lanes.store, lanes.full, lanes.part
    matrix = algebra.build(lanes, tall)
    normals = rng.build(lanes).normals
    gram, cholesky, add_product = matrix.gram, matrix.cholesky, matrix.add_product
    add_identity, powers = matrix.add_identity, matrix.powers
    n, p = n_visible, n_hidden
    widest = max(n, p)
    buffers = 3 * n * n + n * widest
    zero, one = number(0), number(1)

    @jit
    def by_sample(o, i, b, s, scale):
        store(o, b * n + i, s * scale)

    @jit
    def so_far(o, i, b, more):
        return load(o, b * n + i)

    kicks = matrix.product(by_sample, ragged=True)
    added = matrix.product(by_sample, so_far)

    @jit
    def move(chains, at, count, power, factor, z, scale, work):
        """phi <- power phi + scale factor z for `count` <= 4 chains from number `at` on; factor lower triangular."""
        kicks(work, factor, n, 1, z, n, 1, n, count, n, scale)
        some = part(chains, at * n, count * n)
        added(work, power, n, 1, some, n, 1, n, count, n, one)
        for i in range(count * n):
            store(some, i, load(work, i))

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
    def less(o, i, j, s, more):
        target, scale = more
        s = full(target[i * n + j]) - s * scale
        store(o, i * n + j, s)
        store(o, j * n + i, s)

    missing = matrix.product(less, lower=True)

    @jit
    def mismatch(o, chains, batch, scale, target):
        """o = target - scale sum_b phi_b phi_bT."""
        missing(o, chains, 1, n, chains, 1, n, n, n, batch, (target, scale))

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        w = part(state, 0, p * n)
        chains = part(state, p * n, integers[BATCH] * n)
        a, power = part(scratch, 0, n * n), part(scratch, n * n, n * n)
        series, work = part(scratch, 2 * n * n, n * n), part(scratch, 3 * n * n, n * widest)
        z, row = part(scratch, buffers, CHUNK * widest), part(scratch, buffers + CHUNK * widest, CHUNK * widest)
        batch, k, inverse_mu = integers[BATCH], integers[GIBBS_STEPS], reals[INVERSE_MU]
        gram(a, w, p, n, (reals[SIGMA] * inverse_mu) * (reals[SIGMA] * inverse_mu))
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
        add_product(w, reals[RATE], a, p, n, work)
        return well

    return step
