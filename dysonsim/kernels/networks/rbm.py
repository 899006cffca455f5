"""One update of a Gaussian restricted Boltzmann machine by persistent contrastive divergence.

    W <- W + alpha sigma^2 W (K_target^-1 - C),   C = (1/B) sum_b phi_b phi_bT           (arXiv:2412.20496, section 4)

with B persistent chains phi_b, each moved by k Gibbs steps phi -> h -> phi before C is taken. One Gibbs step is
linear and Gaussian, phi' = A phi + noise with A = sigma^2 WtW / mu^2 and noise covariance (1 + A) / mu^2, so that k
steps are one linear-Gaussian step: the same Markov chain in law. Two ways to draw it:

at_once     phi' = A^k phi + L z with L LT = (1 + A + ... + A^(2k-1)) / mu^2: N normals a sample, not 2 k N, and as many
            products of matrices as it takes to raise A to its powers
two_noises  phi' = A^k phi + q(A) xi + r(A) eta with xi, eta of covariance (1 + A) / mu^2 and the polynomials q and r of
            `noise_polynomials`: 2 N normals, and A meets nothing but samples, which are fewer than units in small
            batches of large networks

W C = (W phi) phiT / B is made of such thin products, too, where that is less (`diagonal`). Then W and phi are kept in
the basis in which the target is diagonal; training does not care: for orthogonal V and the target VT K_target V,
W V and VT phi are trained as W and phi are.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from ..common import algebra, rng

# Constants in `reals`, before the inverse target; and in `integers`.
RATE, SIGMA, INVERSE_MU, INVERSE_BATCH, LIMIT, TARGET = range(6)
BATCH, GIBBS_STEPS = range(2)
CHUNK = 4  # samples whose normals are drawn together: 4 n normals are whole blocks of the generator
NORMAL = 50  # multiply-adds that take as long as a normal
TEAM_CHUNKS = (16, 8)  # the same where a team of threads draws them: the first that fits into a matrix, or the last


def team_chunk(n_visible: int, n_hidden: int) -> int:
    """Count the samples that a team of threads draws together."""
    widest = max(n_visible, n_hidden)
    return next((chunk for chunk in TEAM_CHUNKS if chunk * widest <= n_visible**2), TEAM_CHUNKS[-1])


def scratch(n_visible: int, n_hidden: int, batch: int, sampling: str, diagonal: bool) -> int:
    """Numbers of working space that one network needs: four matrices, and room for samples, if not within them."""
    n, p = n_visible, n_hidden
    drawn = team_chunk(n, p) * max(n, p)
    own = 0 if drawn <= n * n else 2 * drawn  # after everything else
    needs = [3 * n * n + n * max(n, p) + own]
    needs += [2 * n * n + 3 * drawn] if sampling == "two_noises" else []
    needs += [n * n + batch * p] if diagonal else []
    return max(needs)


def costs(n: int, p: int, batch: int, k: int) -> dict[str, float]:
    """Compare what the two ways to draw the chains cost, in multiply-adds: these themselves, and normals."""
    samples = -(-batch // CHUNK) * CHUNK
    to_factor = n * n * p / 2 + n**3 / 6
    products = 2 * k.bit_length() + k.bit_count() - 3  # of matrices, half of each is computed: `algebra.powers`
    noise = n * n / 2 + NORMAL * n
    return {
        "at_once": to_factor + products * n**3 / 2 + samples * (n * n + noise),
        "two_noises": to_factor + samples * (k * n * n + (noise if k == 1 else 2 * noise)),
        "step_by_step": n * p + samples * k * (2 * n * p + NORMAL * (n + p)),
    }


def thin_learning(n: int, p: int, batch: int) -> bool:
    """Whether W C = (W phi) phiT / B takes fewer multiply-adds than C and W (K_target^-1 - C)."""
    return 2 * p * batch < p * n + n * batch / 2


def noise_polynomials(k: int) -> np.ndarray:
    """Coefficients (k, 2) of two polynomials, the constant ones first: q(x)^2 + r(x)^2 = 1 + x^2 + ... + x^(2k-2).

    q + i r is the product of x - e^(+-i pi j / k) for j = 1, ..., k - 1, the signs in turn: then no coefficient is
    larger than 1. They are taken from the values at roots of unity, which loses nothing at large k.
    """
    j, circle = np.arange(1, k), np.exp(2j * np.pi * np.arange(k) / k)
    roots = np.exp(1j * np.pi * j / k * (-1.0) ** (j + 1))
    with np.errstate(divide="ignore"):  # some are roots
        values = np.exp(np.log(circle[:, None] - roots).sum(axis=1))
    coefficients = np.fft.fft(values) / k
    return np.stack([coefficients.real, coefficients.imag], axis=1)


class Room(NamedTuple):
    """Samples that are drawn together, the numbers that they take, and whether these find room in a matrix."""

    chunk: int
    drawn: int
    within: bool

    @classmethod
    def of(cls, team: int, n: int, p: int) -> Room:
        """For a network of n visible and p hidden units, for each of which so many threads work."""
        chunk = CHUNK if team == 1 else team_chunk(n, p)
        drawn = chunk * max(n, p)
        return cls(chunk, drawn, drawn <= n * n)


def rows_of(lanes, matrix, n: int) -> SimpleNamespace:
    """Products into samples, rows of n numbers: `put`, with a factor; `kicks`, scale L z; `added`, that and more."""
    load, store = lanes.load, lanes.store

    @lanes.jit
    def put(o, i, b, s, scale):
        store(o, b * n + i, s * scale)

    @lanes.jit
    def so_far(o, i, b, more):
        return load(o, b * n + i)

    kicks = matrix.product(put, ragged=True, thin=True)
    return SimpleNamespace(kicks=kicks, added=matrix.product(put, so_far, thin=True))


def chains_at_once(lanes, matrix, normals, n: int, p: int):
    """``move(w, chains, scratch, reals, integers, source)``: phi <- A^k phi + L z.

    Here and below: A is the first matrix of `scratch`; returned is what is positive where such chains exist.
    """
    jit, full, part, (chunk, drawn, within) = lanes.jit, lanes.full, lanes.part, Room.of(lanes.team, n, p)
    powers, cholesky, copy = matrix.powers, matrix.cholesky, matrix.copy
    rows = rows_of(lanes, matrix, n)
    kicks, added = rows.kicks, rows.added
    one, square, buffers = lanes.number(1), n * n, 3 * n * n + n * max(n, p)

    @jit
    def move(w, chains, scratch, reals, integers, source):
        batch, inverse_mu = integers[BATCH], reals[INVERSE_MU]
        a, area = part(scratch, 0, square), part(scratch, square, 3 * square)
        power, series, free = powers(a, area, integers[GIBBS_STEPS], n)
        power, factor = part(area, power, square), part(area, series, square)
        cholesky(factor, n)
        if within:
            z, work = a, part(area, free, square)
        else:
            z, work = part(scratch, buffers, drawn), part(scratch, buffers + drawn, drawn)
        for at in range(0, batch, chunk):
            count = min(chunk, batch - at)
            normals(z, (count + CHUNK - 1) // CHUNK * n, (at // CHUNK) * n, rng.CHAIN, *source)
            kicks(work, factor, n, 1, z, n, 1, n, count, n, inverse_mu)
            some = part(chains, at * n, count * n)
            added(work, power, n, 1, some, n, 1, n, count, n, one)
            copy(some, work, count * n)
        return full(one)

    return move


def chains_by_two_noises(lanes, matrix, normals, n: int, p: int, polynomials: int):
    """``move``: phi <- A^k phi + q(A) xi + r(A) eta, by Horner's scheme; q and r are in `reals` from there on."""
    jit, load, store, full, part = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.part
    chunk, drawn, _ = Room.of(lanes.team, n, p)
    add_identity, cholesky, copy = matrix.add_identity, matrix.cholesky, matrix.copy
    kicks, one, square = rows_of(lanes, matrix, n).kicks, lanes.number(1), n * n

    @jit
    def with_noises(o, i, b, s, more):
        xi, eta, q, r = more
        at = b * n + i
        store(o, at, s + (load(xi, at) * q + load(eta, at) * r))

    horner = matrix.product(with_noises, thin=True)

    @jit
    def move_some(chains, at, count, a, xi, eta, work, k, polynomials):
        here, there = part(chains, at * n, count * n), part(work, 0, count * n)
        for j in range(k - 1, -1, -1):
            horner(there, a, n, 1, here, n, 1, n, count, n, (xi, eta, polynomials[2 * j], polynomials[2 * j + 1]))
            here, there = there, here
        if k % 2 == 1:
            copy(there, here, count * n)

    @jit
    def move(w, chains, scratch, reals, integers, source):
        batch, k, inverse_mu = integers[BATCH], integers[GIBBS_STEPS], reals[INVERSE_MU]
        a, factor = part(scratch, 0, square), part(scratch, square, square)
        add_identity(factor, a, n)
        cholesky(factor, n)
        z, xi = part(scratch, 2 * square, drawn), part(scratch, 2 * square + drawn, drawn)
        eta = part(scratch, 2 * square + 2 * drawn, drawn)
        for at in range(0, batch, chunk):
            count = min(chunk, batch - at)
            blocks, block = (count + CHUNK - 1) // CHUNK, (at // CHUNK) * n
            normals(z, blocks * n, block, rng.CHAIN, *source)
            kicks(xi, factor, n, 1, z, n, 1, n, count, n, inverse_mu)
            if k > 1:
                normals(z, blocks * n, block, rng.CHAIN + rng.STRIDE, *source)
                kicks(eta, factor, n, 1, z, n, 1, n, count, n, inverse_mu)
            else:  # r = 0, and zero times what lies there need not be zero
                eta = xi
            move_some(chains, at, count, a, xi, eta, z, k, reals[polynomials:])
        return full(one)

    return move


def chains_step_by_step(lanes, matrix, normals, n: int, p: int):
    """``move``: k times h = sigma^2 W phi + sigma z and phi = WT h / mu^2 + z / mu."""
    jit, load, store, full, part = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.part
    chunk, drawn, within = Room.of(lanes.team, n, p)
    one, square, buffers = lanes.number(1), n * n, 3 * n * n + n * max(n, p)

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
    def move(w, chains, scratch, reals, integers, source):
        batch, sigma, inverse_mu = integers[BATCH], reals[SIGMA], reals[INVERSE_MU]
        if within:
            z, hidden = part(scratch, 0, square), part(scratch, 3 * square, square)
        else:
            z, hidden = part(scratch, buffers, drawn), part(scratch, buffers + drawn, drawn)
        for at in range(0, batch, chunk):
            count = min(chunk, batch - at)
            blocks, block = (count + CHUNK - 1) // CHUNK, at // CHUNK
            for g in range(integers[GIBBS_STEPS]):
                more = rng.STRIDE * g
                normals(z, blocks * p, block * p, rng.HIDDEN + more, *source)
                gibbs_half(hidden, 0, p, chains, at, n, w, n, 1, z, count, sigma * sigma, sigma)
                normals(z, blocks * n, block * n, rng.VISIBLE + more, *source)
                gibbs_half(chains, at, n, hidden, 0, p, w, 1, n, z, count, inverse_mu * inverse_mu, inverse_mu)
        return full(one)

    return move


def fresh_chains(lanes, matrix, normals, n: int, p: int):
    """``move``: phi = L^-T z / mu with K / mu^2 = 1 - A = L LT, in equilibrium; returned is the smallest pivot."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part = lanes.load, lanes.store, lanes.full, lanes.part
    member, together, team = lanes.member, lanes.together, lanes.team
    chunk, drawn, within = Room.of(team, n, p)
    add_identity, cholesky = matrix.add_identity, matrix.cholesky
    zero, square, buffers = number(0), n * n, 3 * n * n + n * max(n, p)

    @jit
    def draw(chains, at, count, factor, z):
        """Compute phi = L^-T z, of covariance (L LT)^-1, for `count` samples; factor = L lower triangular."""
        for b in range(member(), count, team):
            for i in range(n - 1, -1, -1):
                s = load(z, b * n + i)
                for m in range(i + 1, n):
                    s = s - load(factor, m * n + i) * load(chains, (at + b) * n + m)
                store(chains, (at + b) * n + i, s / load(factor, i * n + i))
        together()

    @jit
    def move(w, chains, scratch, reals, integers, source):
        batch = integers[BATCH]
        a, factor, minus_a = part(scratch, 0, square), part(scratch, square, square), part(scratch, 2 * square, square)
        for i in range(member(), square, team):
            store(minus_a, i, full(zero) - load(a, i))
        together()
        add_identity(factor, minus_a, n)
        pivot = cholesky(factor, n)
        z = a if within else part(scratch, buffers, drawn)
        for at in range(0, batch, chunk):
            count = min(chunk, batch - at)
            normals(z, (count + CHUNK - 1) // CHUNK * n, (at // CHUNK) * n, rng.CHAIN, *source)
            for i in range(member(), count * n, team):
                store(z, i, load(z, i) * reals[INVERSE_MU])
            together()
            draw(chains, at, count, factor, z)
        return pivot

    return move


def learning(lanes, matrix, n: int, p: int):
    """``learn(w, chains, scratch, reals, batch)``: W <- W + rate W (K_target^-1 - C)."""
    jit, store, full, part = lanes.jit, lanes.store, lanes.full, lanes.part
    add_product, u64 = matrix.add_product, np.uint64

    @jit
    def less(o, i, j, s, more):
        target, scale = more
        s = full(target[u64(i * n + j)]) - s * scale
        store(o, i * n + j, s)
        store(o, j * n + i, s)

    missing = matrix.product(less, lower=True, unroll=TEAM_CHUNKS[-1])

    @jit
    def learn(w, chains, scratch, reals, batch):
        a = part(scratch, 0, n * n)  # K_target^-1 - C
        missing(a, chains, 1, n, chains, 1, n, n, n, batch, (reals[TARGET:], reals[INVERSE_BATCH]))
        add_product(w, reals[RATE], a, p, n, part(scratch, n * n, p * n))

    return learn


def diagonal_learning(lanes, matrix, n: int, p: int):
    """Do the same for a diagonal target, through -rate/B W phi_b of all b."""
    jit, load, store, part = lanes.jit, lanes.load, lanes.store, lanes.part

    @jit
    def put_answer(o, i, b, s, share):
        store(o, b * p + i, s * share)

    @jit
    def pulled(o, i, j, more):
        rate, inverse_target = more
        kept = load(o, i * n + j)
        return kept + kept * (rate * inverse_target[j])

    @jit
    def put(o, i, j, s, more):
        store(o, i * n + j, s)

    answers, push = matrix.product(put_answer, thin=True), matrix.product(put, pulled)

    @jit
    def learn(w, chains, scratch, reals, batch):
        rate, work = reals[RATE], part(scratch, n * n, batch * p)
        answers(work, w, n, 1, chains, n, 1, p, batch, n, -rate * reals[INVERSE_BATCH])
        push(w, work, 1, p, chains, 1, n, p, n, batch, (rate, reals[TARGET:]))

    return learn


def measured(lanes, matrix, n: int, p: int, by_entries: bool):
    """``put_a(a, w, scale)``: its trace, with A = scale WtW in a, if not by the entries of W alone."""
    load, full, gram, zero = lanes.load, lanes.full, matrix.gram, lanes.number(0)
    together = lanes.together

    @lanes.jit
    def put_a(a, w, scale):
        trace = full(zero)
        if by_entries:
            for i in range(p * n):
                trace = trace + load(w, i) * load(w, i)
            trace = trace * scale
        else:
            gram(a, w, p, n, scale)
            for i in range(n):
                trace = trace + load(a, i * n + i)
        together()
        return trace

    return put_a


def build(lanes, n_visible: int, n_hidden: int, sampling: str, tall: bool = False, diagonal: bool = False):
    """One step on one target.

    sampling: "at_once", "two_noises", "step_by_step" or "fresh" (k = infinity); tall: as in `algebra`; diagonal: the
    inverse target is (its n entries), and W meets no matrix.
    """
    jit, zero, part = lanes.jit, lanes.number(0), lanes.part
    n, p = n_visible, n_hidden
    tools = lanes, algebra.build(lanes, (n, p), tall), rng.build(lanes).normals
    matrix = tools[1]
    if sampling == "at_once":
        move = chains_at_once(*tools, n, p)
    elif sampling == "two_noises":
        move = chains_by_two_noises(*tools, n, p, TARGET + (n if diagonal else n * n))
    elif sampling == "step_by_step":
        move = chains_step_by_step(*tools, n, p)
    else:
        move = fresh_chains(*tools, n, p)
    learn = (diagonal_learning if diagonal else learning)(lanes, matrix, n, p)
    put_a = measured(lanes, matrix, n, p, sampling == "step_by_step" and lanes.team == 1)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        batch, source = integers[BATCH], (s, replica, key0, key1)
        w, chains = part(state, 0, p * n), part(state, p * n, batch * n)
        scale = (reals[SIGMA] * reals[INVERSE_MU]) * (reals[SIGMA] * reals[INVERSE_MU])
        well = put_a(part(scratch, 0, n * n), w, scale) < reals[LIMIT]
        pivot = move(w, chains, scratch, reals, integers, source)
        learn(w, chains, scratch, reals, batch)
        return well & (zero < pivot)

    return step
