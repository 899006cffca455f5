"""Random numbers counted, not remembered: Philox4x32-10 and normals from it.

Philox (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011) turns a counter of
four 32-bit words and a key of two into four random words. Here

    key = seed (low, high),    counter = (block, stream, step, replica),

and draw number d of a stream is word d mod 4 of block d // 4. A random number is thus a function of what it is
for: replica r of a seed is the same network whatever runs beside it, wherever, and after a resumption.

Normals come from Box-Muller on single-precision polynomials in every float type: their distribution is that of
32-bit uniforms (rounded to 6e-8, cut at 6.66 standard deviations, beyond which a normal falls once in 4e10 draws).
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from .once import once

# Streams: what a draw is for. One number each over all kernels; a stream that repeats within a step adds
# STRIDE times the repetition.
INITIAL, CHAIN, HIDDEN, VISIBLE, DATA, GRADIENT_NOISE, LABEL_NOISE, LENGTHS, LEVELS, PAIRS, MOMENTA, CHOICES = range(12)
STRIDE = 16

u32, u64, f32 = np.uint32, np.uint64, np.float32
MULTIPLIER_0, MULTIPLIER_1 = u32(0xD2511F53), u32(0xCD9E8D57)
WEYL_0, WEYL_1 = u32(0x9E3779B9), u32(0xBB67AE85)
ROUNDS = 10

# Polynomials of the Cephes library (S. Moshier), logf, expf, sinf and cosf: relative errors below 2e-7.
LOG = tuple(f32(c) for c in (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
    -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1))  # fmt: skip
EXP = tuple(f32(c) for c in (
    1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1))  # fmt: skip
PER_OCTAVE, MAGIC = f32(1 / math.log(2)), f32(1.5 * 2.0**23)
LN2_HIGH, LN2_LOW = f32(0.693359375), f32(-2.12194440e-4)
SQRT_HALF_BITS, ONE_BITS = u32(0x3F3504F3), u32(0x3F800000)  # of the float32 numbers
SIN = tuple(f32(c) for c in (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1))
COS = tuple(f32(c) for c in (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2))


def single_functions(lanes) -> SimpleNamespace:
    """In float32: `log` and `exp`, and `sin_cos` of an angle of 32 bits."""
    jit, word, bits, from_bits = lanes.jit, lanes.word, lanes.bits, lanes.from_bits
    shift_signed, signed_to_single = lanes.shift_signed, lanes.signed_to_single
    select, nonzero = lanes.select, lanes.nonzero
    L0, L1, L2, L3, L4, L5, L6, L7, L8 = LOG
    S0, S1, S2 = SIN
    C0, C1, C2 = COS
    E0, E1, E2, E3, E4, E5 = EXP

    @jit
    def log(x):
        """Natural logarithm of a positive float32."""
        i = bits(x)
        e = shift_signed(word(i - SQRT_HALF_BITS), 23)
        f = from_bits(word(i - (e << u32(23)))) - f32(1)
        z = f * f
        p = f * L0 + L1
        p = p * f + L2
        p = p * f + L3
        p = p * f + L4
        p = p * f + L5
        p = p * f + L6
        p = p * f + L7
        p = p * f + L8
        exponent = signed_to_single(e)
        return f + (f * z * p + (exponent * LN2_LOW - z * f32(0.5))) + exponent * LN2_HIGH

    @jit
    def exp(x):
        """Exponential of a float32 from -87 to 88."""
        shifted = x * PER_OCTAVE + MAGIC
        k = shifted - MAGIC
        r = x - k * LN2_HIGH - k * LN2_LOW
        p = r * E0 + E1
        p = p * r + E2
        p = p * r + E3
        p = p * r + E4
        p = p * r + E5
        p = p * r * r + (r + f32(1))
        return from_bits(word(bits(p) + (bits(shifted) << u32(23))))

    @jit
    def sin_cos(angle):
        """Sine and cosine of 2 pi angle / 2^32."""
        quadrant = word(angle + u32(1 << 29)) >> u32(30)
        x = signed_to_single(word(angle - (quadrant << u32(30)))) * f32(math.pi * 2.0**-31)
        z = x * x
        s = ((z * S0 + S1) * z + S2) * z * x + x
        c = ((z * C0 + C1) * z + C2) * z * z - z * f32(0.5) + f32(1)
        odd = nonzero(quadrant & u32(1))
        sine, cosine = select(odd, c, s), select(odd, s, c)
        sine = from_bits(bits(sine) ^ ((quadrant & u32(2)) << u32(30)))
        cosine = from_bits(bits(cosine) ^ ((word(quadrant + u32(1)) & u32(2)) << u32(30)))
        return sine, cosine

    return SimpleNamespace(log=log, exp=exp, sin_cos=sin_cos)


def philox(lanes) -> SimpleNamespace:
    """`words`, four random words of a counter, and `words_of_blocks`."""
    jit, word, multiply_wide = lanes.jit, lanes.word, lanes.multiply_wide

    @jit
    def wide(a, b):
        """High and low half of the product of two numbers."""
        product = u64(a) * u64(b)
        return u32(product >> u64(32)), u32(product & u64(0xFFFFFFFF))

    def rounds(count):
        """So many rounds of Philox."""

        @jit
        def turned(c0, c1, c2, c3, key0, key1):
            for _ in range(count):
                high0, low0 = multiply_wide(MULTIPLIER_0, c0)
                high1, low1 = multiply_wide(MULTIPLIER_1, c2)
                c0, c1, c2, c3 = word(high1 ^ c1 ^ key0), low1, word(high0 ^ c3 ^ key1), low0
                key0, key1 = u32(key0 + WEYL_0), u32(key1 + WEYL_1)
            return c0, c1, c2, c3

        return turned

    all_rounds, last_rounds = rounds(ROUNDS), rounds(ROUNDS - 3)

    @jit
    def words(block, stream, step, replica, key0, key1):
        """Philox4x32-10: four random words; `replica` is a lane value, the rest of the counter is shared."""
        # In the first three rounds one factor or both are shared: what comes of these is no lane value yet.
        high0, low0 = wide(MULTIPLIER_0, block)
        high1, low1 = wide(MULTIPLIER_1, step)
        c0, c1, c2, c3 = u32(high1 ^ stream ^ key0), low1, word(replica ^ u32(high0 ^ key1)), low0
        key0, key1 = u32(key0 + WEYL_0), u32(key1 + WEYL_1)
        high0, low0 = wide(MULTIPLIER_0, c0)
        above, below = multiply_wide(MULTIPLIER_1, c2)
        d0, d1, d2, d3 = word(above ^ u32(c1 ^ key0)), below, u32(high0 ^ c3 ^ key1), low0
        key0, key1 = u32(key0 + WEYL_0), u32(key1 + WEYL_1)
        above, below = multiply_wide(MULTIPLIER_0, d0)
        high1, low1 = wide(MULTIPLIER_1, d2)
        e0, e1, e2, e3 = word(d1 ^ u32(high1 ^ key0)), word(low1), word(above ^ u32(d3 ^ key1)), below
        return last_rounds(e0, e1, e2, e3, u32(key0 + WEYL_0), u32(key1 + WEYL_1))

    @jit
    def words_of_blocks(block, stream, step, replica, key0, key1):
        """Do the same where `block` is a lane value; the rest of the counter may be one or be shared."""
        return all_rounds(block, word(stream), word(step), word(replica), key0, key1)

    return SimpleNamespace(words=words, words_of_blocks=words_of_blocks)


@once
def build(lanes) -> SimpleNamespace:
    """Make the generator on one target.

    `words`, `words_of_blocks`, `uniform`, `normals`, `box_muller`, and what these are made of, in float32: `log`,
    `exp`, `single_normals`.
    """
    jit, signed_to_single, sqrt_single = lanes.jit, lanes.signed_to_single, lanes.sqrt_single
    real, store, member, together, team = lanes.real, lanes.store, lanes.member, lanes.together, lanes.team
    generator, single = philox(lanes), single_functions(lanes)
    words, log, sin_cos = generator.words, single.log, single.sin_cos

    @jit
    def uniform(a):
        """Return a float32 in (0, 1]: the middle of one of 2^31 intervals."""
        return signed_to_single(a >> u32(1)) * f32(2.0**-31) + f32(2.0**-32)

    @jit
    def single_normals(a, b):
        """Two independent standard normals from two random words, in float32."""
        radius = sqrt_single(log(uniform(a)) * f32(-2))
        sine, cosine = sin_cos(b)
        return radius * cosine, radius * sine

    @jit
    def box_muller(a, b):
        """Do the same in the float type of the run."""
        y, z = single_normals(a, b)
        return real(y), real(z)

    @jit
    def normals(z, blocks, first, stream, step, replica, key0, key1):
        """Draws 4 first ... 4 (first + blocks) - 1 of a stream, into z[0], z[1], ..."""
        for q in range(member(), blocks, team):
            a, b, c, d = words(u32(first + q), u32(stream), u32(step), replica, key0, key1)
            z0, z1 = box_muller(a, b)
            z2, z3 = box_muller(c, d)
            store(z, 4 * q, z0)
            store(z, 4 * q + 1, z1)
            store(z, 4 * q + 2, z2)
            store(z, 4 * q + 3, z3)
        together()

    return SimpleNamespace(
        words=words, words_of_blocks=generator.words_of_blocks, uniform=uniform, log=log, exp=single.exp,
        single_normals=single_normals, box_muller=box_muller, normals=normals,
    )  # fmt: skip
