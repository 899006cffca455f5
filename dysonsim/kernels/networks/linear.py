"""One update of a linear network y = Z W x that learns a teacher y = Z W_t x + noise by stochastic gradient descent.

    W <- W + alpha [ZtZ (W_t - W) C + (1/B) sum_b Zt eta_b x_bT + A],   C = (1/B) sum_b x_b x_bT

(arXiv:2412.20496, sections 5 and 6) with inputs x_b ~ N(0, 1), label noise eta_b ~ N(0, sigma_y^2) and gradient
noise A, the mean of B independent matrices, which is one Gaussian matrix of standard deviation epsilon / sqrt(B):
symmetric with sqrt(2) times that on the diagonal if W is square, of independent entries if not. TeacherStudent is the
case Z = 1.

The inputs enter through B C alone, a Wishart matrix, which Bartlett's decomposition draws at once as F FT: F is lower
triangular, with standard normals below the diagonal and F_ii^2 chi-squared of B - i degrees of freedom (i = 0, 1, ...;
columns from B on are zero). The label noise then is sum_b eta_b x_bT = sigma_y G FT with G of independent normals. The
same law as sample by sample, at n (n - 1)/2 normals and n chi-squared numbers instead of n B normals.

Matrix Langevin dynamics is the same update with Gaussian matrices in place of both sums, of the same means and
covariances: B C = B + sqrt(B) S with S symmetric, variances 1 off and 2 on the diagonal, and sigma_y sqrt(B) G.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

from ..common import algebra, gamma, rng

# Constants in `reals`, before the teacher (p n), ZtZ (p p) and Zt (p q); and in `integers`.
RATE, INVERSE_BATCH, GRADIENT_NOISE, LABEL_NOISE, LIMIT, TEACHER = range(6)
BATCH, PERIOD = range(2)  # PERIOD: batches of a fixed data set, 0 for fresh samples at every step
SMALL = 600  # numbers of a network up to which two vectors a lane value are as fast or faster: measured, n <= 8
CHUNK = 4  # samples drawn together: 4 n normals are whole blocks of the generator


def scratch(inputs: int, width: int, outputs: int) -> int:
    """Numbers of working space that one network needs."""
    n, p, q = inputs, width, outputs
    return 2 * n * n + q * n + 2 * p * n + 4 * drawn_blocks(n, p, q) + CHUNK * q + 4 * noise_blocks(n, p)


def vectors(inputs: int, width: int, outputs: int) -> int:
    """Vectors in a lane value (`backend.Kernel`): two where all numbers of a network are few."""
    return 2 if width * inputs + scratch(inputs, width, outputs) <= SMALL else 1


def drawn_blocks(n: int, p: int, q: int) -> int:
    """Blocks of four normals that are drawn together: a chunk of samples, or all of a step."""
    return max(n, -(-(n * (n + 1) // 2 + q * n + noise_numbers(n, p)) // 4))


def noise_numbers(n: int, p: int) -> int:
    """Count the normals that the gradient noise of a p x n matrix takes."""
    return n * (n + 1) // 2 if n == p else n * p


def noise_blocks(n: int, p: int) -> int:
    """Blocks of four of them."""
    return -(-noise_numbers(n, p) // 4)


def triangle_numbers(n: int, sampling: str) -> int:
    """Count the normals of a step that the matrix of the inputs takes: those below its diagonal, and on it."""
    return n * (n - 1) // 2 if sampling == "at_once" else n * (n + 1) // 2


def bartlett_sums(lanes, matrix, n: int, q: int, label_noise: bool, first: int = 0):
    """``sums(c, h, x, f, batch, source)`` with Bartlett's F in f: c = F FT and, with label noise, h = G FT.

    first: number of the first draw of the stream LENGTHS, of which there are n.
    """
    jit, number = lanes.jit, lanes.number
    load, store, full, sqrt = lanes.load, lanes.store, lanes.full, lanes.sqrt
    lengths = gamma.build(lanes)
    chi_squared, chi_squared_pair = lengths.chi_squared, lengths.pair
    symmetric = matrix.product(matrix.mirror, lower=True)
    triangle, zero, one = triangle_numbers(n, "at_once"), number(0), number(1)

    @jit
    def draw_factor(f, x, batch, source):
        """Bartlett's F, with the normals x below its diagonal by rows."""
        rows = min(n, batch)  # the columns from there on are zero
        for i in range(n):
            for j in range(n):
                store(f, i * n + j, load(x, i * (i - 1) // 2 + j) if j < min(i, rows) else full(zero))
        for i in range(0, rows, 2):
            degrees = batch - i
            if i + 1 < rows and degrees > 2:
                here, below = chi_squared_pair(number(degrees), number(degrees - 1), first + i, rng.LENGTHS, *source)
                store(f, i * n + i, sqrt(here))
                store(f, (i + 1) * n + i + 1, sqrt(below))
            else:
                for k in range(i, min(i + 2, rows)):
                    square = chi_squared(number(batch - k), first + k, rng.LENGTHS, *source)
                    store(f, k * n + k, sqrt(square))

    @jit
    def sums(c, h, x, f, batch, source):
        draw_factor(f, x, batch, source)
        symmetric(c, f, n, 1, f, n, 1, n, n, n, (n, one))
        if label_noise:
            for a in range(q):
                for j in range(n):
                    s = full(zero)
                    for m in range(n):
                        s = load(x, triangle + a * n + m) * load(f, j * n + m) + s
                    store(h, a * n + j, s)

    return sums


def gaussian_sums(lanes, n: int, q: int, label_noise: bool):
    """``sums(c, h, x, room, batch, source)``: Gaussian c and h of the same means and covariances; no room needed."""
    jit, number = lanes.jit, lanes.number
    load, store, full, sqrt = lanes.load, lanes.store, lanes.full, lanes.sqrt
    triangle, sqrt2 = triangle_numbers(n, "gaussian"), number(math.sqrt(2))

    @jit
    def sums(c, h, x, room, batch, source):
        size, d = sqrt(full(number(batch))), 0
        for i in range(n):
            for j in range(i):
                store(c, i * n + j, load(x, d) * size)
                store(c, j * n + i, load(x, d) * size)
                d += 1
            store(c, i * n + i, load(x, d) * size * sqrt2 + size * size)
            d += 1
        if label_noise:
            for i in range(q * n):
                store(h, i, load(x, triangle + i) * size)

    return sums


def sample_sums(lanes, matrix, normals, n: int, q: int, label_noise: bool):
    """``sums(c, h, x, e, batch, source)``: the same sample by sample, of inputs drawn into x, label noise into e."""
    jit, number = lanes.jit, lanes.number
    load, store, full = lanes.load, lanes.store, lanes.full
    zero = number(0)

    @jit
    def put(o, i, j, s, columns):
        store(o, i * columns + j, s)

    @jit
    def so_far(o, i, j, columns):
        return load(o, i * columns + j)

    added = matrix.product(put, so_far)

    @jit
    def accumulate(o, a, rows, b, columns, count):
        """Do o += sum over `count` samples of a_s b_sT; samples are the rows of a and b."""
        added(o, a, 1, rows, b, 1, columns, rows, columns, count, columns)

    @jit
    def sums(c, h, x, e, batch, source):
        for i in range(n * n):
            store(c, i, full(zero))
        for i in range(q * n):
            store(h, i, full(zero))
        for at in range(0, batch, CHUNK):
            count = min(CHUNK, batch - at)
            normals(x, n, (at // CHUNK) * n, rng.DATA, *source)
            accumulate(c, x, n, x, n, count)
            if label_noise:
                normals(e, q, (at // CHUNK) * q, rng.LABEL_NOISE, *source)
                accumulate(h, e, q, x, n, count)

    return sums


def pushes(lanes, n: int, p: int) -> SimpleNamespace:
    """Make what moves W: `add_scaled`, a matrix times another one, and `add_gradient_noise`."""
    jit, number = lanes.jit, lanes.number
    load, store, full = lanes.load, lanes.store, lanes.full
    zero, sqrt2 = number(0), number(math.sqrt(2))

    @jit
    def add_scaled(w, scratch, at, matrix, inner, scale):
        """Do w += scale matrix scratch[at:], for a matrix of shared numbers of shape (p, inner)."""
        for i in range(p):
            for j in range(n):
                s = full(zero)
                for m in range(inner):
                    s = load(scratch, at + m * n + j) * matrix[i * inner + m] + s
                store(w, i * n + j, load(w, i * n + j) + s * scale)

    @jit
    def add_gradient_noise(w, a, scale):
        """Do w += scale S; the normals fill S by rows, from the diagonal on if S is symmetric."""
        d = 0
        for i in range(p):
            if n == p:
                store(w, i * n + i, load(w, i * n + i) + load(a, d) * (scale * sqrt2))
                d += 1
                for j in range(i + 1, n):
                    kick = load(a, d) * scale
                    store(w, i * n + j, load(w, i * n + j) + kick)
                    store(w, j * n + i, load(w, j * n + i) + kick)
                    d += 1
            else:
                for j in range(n):
                    store(w, i * n + j, load(w, i * n + j) + load(a, d) * scale)
                    d += 1

    return SimpleNamespace(add_scaled=add_scaled, add_gradient_noise=add_gradient_noise)


def build(
    lanes,
    inputs: int,
    width: int,
    outputs: int,
    identity: bool,
    gradient_noise: bool,
    label_noise: bool,
    sampling: str,
):
    """One step on one target, for W of shape (width, inputs), Z of shape (outputs, width).

    identity: Z = 1; sampling: the batch "at_once" as a Wishart matrix, "sample_by_sample", or "gaussian".
    """
    jit, load, store, full, part = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.part
    n, p, q = inputs, width, outputs
    matrix, normals = algebra.build(lanes, (n, p, q)), rng.build(lanes).normals
    one_by_one = sampling == "sample_by_sample"
    if sampling == "at_once":
        sums = bartlett_sums(lanes, matrix, n, q, label_noise)
    elif sampling == "gaussian":
        sums = gaussian_sums(lanes, n, q, label_noise)
    else:
        sums = sample_sums(lanes, matrix, normals, n, q, label_noise)
    push = pushes(lanes, n, p)
    add_scaled, add_gradient_noise = push.add_scaled, push.add_gradient_noise
    kicks = triangle_numbers(n, sampling) + (q * n if label_noise else 0)  # normals before those of the gradient noise
    drawn = -(-(kicks + (noise_numbers(n, p) if gradient_noise else 0)) // 4)
    blocks, zero = noise_blocks(n, p), lanes.number(0)
    # In the working space: C, H, W_t - W, its product with C, F, normals, label noise, gradient noise.
    H = n * n
    D, M = H + q * n, H + q * n + p * n
    F = M + p * n
    X = F + n * n
    E = X + 4 * drawn_blocks(n, p, q)
    A = E + CHUNK * q
    ROOM, ROOM_SIZE = (E, CHUNK * q) if one_by_one else (F, n * n)
    GRAM = TEACHER + p * n
    Z_TRANSPOSED = GRAM + p * p

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        batch, period = integers[BATCH], integers[PERIOD]
        source = (s % period if period > 0 else s), replica, key0, key1
        rate = reals[RATE]
        c, h, room = part(scratch, 0, H), part(scratch, H, q * n), part(scratch, ROOM, ROOM_SIZE)
        x = part(scratch, X, E - X)
        if not one_by_one:
            normals(x, drawn, 0, rng.DATA, *source)
        sums(c, h, x, room, batch, source)
        squares = full(zero)
        for i in range(p * n):
            value = load(state, i)
            squares = squares + value * value
            store(scratch, D + i, full(reals[TEACHER + i]) - value)
        for i in range(p):  # M = (W_t - W) C, along the rows of the symmetric C
            for j in range(n):
                r = full(zero)
                for k in range(n):
                    r = load(scratch, D + i * n + k) * load(c, j * n + k) + r
                store(scratch, M + i * n + j, r)
        if identity:
            for i in range(p * n):
                store(state, i, load(state, i) + load(scratch, M + i) * (rate * reals[INVERSE_BATCH]))
        else:
            add_scaled(state, scratch, M, reals[GRAM:], p, rate * reals[INVERSE_BATCH])
        if label_noise:
            add_scaled(state, scratch, H, reals[Z_TRANSPOSED:], q, rate * reals[LABEL_NOISE] * reals[INVERSE_BATCH])
        if gradient_noise:
            if one_by_one:
                a = part(scratch, A, 4 * blocks)
                normals(a, blocks, 0, rng.GRADIENT_NOISE, *source)
            else:
                a = part(x, kicks, 4 * drawn - kicks)
            add_gradient_noise(state, a, rate * reals[GRADIENT_NOISE])
        return squares < reals[LIMIT]

    return step
