"""The generator: its publication's vectors, its normals, and independence between replicas, steps, draws, streams."""

from __future__ import annotations

import math

import numpy as np
import pytest
from kernel_draws import compiled_generator, kernel_normals
from scipy import stats

from dysonsim.backend import reference as plain
from dysonsim.backend.cpu import WIDTH
from dysonsim.kernels.common import rng

# kat_vectors of Random123, the generator's publication: counter, key, result of philox4x32 with 10 rounds.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def numbers(text):
    return [np.uint32(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
@pytest.mark.parametrize("target", ["numpy", "float64", "float32"])
def test_known_answers(counter, key, result, target):
    counter, key, result = numbers(counter), numbers(key), numbers(result)
    if target == "numpy":
        with np.errstate(over="ignore"):
            words = rng.build(plain.lanes("float64", 1)).words(*counter[:3], np.array([counter[3]]), *key)
        assert [int(w[0]) for w in words] == result
    else:
        out = np.empty(4 * WIDTH[target], np.uint32)
        compiled_generator(target)[1](out, np.array(counter[:3]), counter[3], *key)
        assert out.reshape(4, -1)[:, 0].tolist() == result  # lane 0 holds the replica asked for


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_compiled_and_plain_normals_are_the_same_numbers(dtype):
    compiled = kernel_normals(50, rng.DATA, 7, 21, 2**63 + 5, dtype)
    z = np.empty(52 * 21, dtype)
    with np.errstate(over="ignore"):
        normals = rng.build(plain.lanes(dtype, 21)).normals
        normals(z, 13, 0, rng.DATA, 7, np.arange(21, dtype=np.uint32), np.uint32(5), np.uint32(2**31))
    np.testing.assert_allclose(compiled, z.reshape(52, 21).T[:, :50], rtol=2e-6, atol=1e-6)


def standard_scores(z):
    """How many standard errors the moments 1 ... 6 and the tail counts of z lie from a normal's."""
    n = z.size
    scores = {}
    powers = np.ones_like(z)
    for power in range(1, 7):
        powers *= z
        mean = 0 if power % 2 else math.prod(range(1, power, 2))
        variance = math.prod(range(1, 2 * power, 2)) - mean**2
        scores[f"moment {power}"] = (powers.mean() - mean) * math.sqrt(n / variance)
    size = abs(z)
    for cut in (2.0, 4.0, 5.0):
        expected = 2 * stats.norm.sf(cut) * n
        scores[f"beyond {cut}"] = ((size > cut).sum() - expected) / math.sqrt(expected)
    return scores


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_normals_have_the_moments_and_tails_of_a_normal(dtype):
    # 2e7 draws, nine scores: a right generator exceeds 4.3 in one of them for one seed in 6000.
    z = kernel_normals(20_000, rng.DATA, 3, 1000, 2024, dtype).ravel().astype(np.float64)
    assert max(map(abs, standard_scores(z).values())) < 4.3, standard_scores(z)
    assert stats.kstest(z[:1_000_000], stats.norm.cdf).pvalue > 1e-4
    assert 5.0 < abs(z).max() < 6.67


def test_normals_scaled_by_a_thousandth_are_caught():
    z = 1.001 * kernel_normals(20_000, rng.DATA, 3, 1000, 2024).ravel()
    assert max(map(abs, standard_scores(z).values())) > 4.3


def correlation_score(a, b):
    return float((a * b).sum() / math.sqrt(a.size))


@pytest.mark.parametrize("other", ["draw", "replica", "step", "stream", "seed low", "seed high"])
def test_independence(other):
    """Neighbors in every word of counter and key, and their squares, are uncorrelated (one seed in 8000 fails)."""
    count, replicas = 4000, 256
    z = kernel_normals(count + 1, rng.DATA, 10, replicas + 1, 99)
    partner = {
        "draw": lambda: z[:-1, 1:],
        "replica": lambda: z[1:, :-1],
        "step": lambda: kernel_normals(count, rng.DATA, 11, replicas, 99),
        "stream": lambda: kernel_normals(count, rng.LABEL_NOISE, 10, replicas, 99),
        "seed low": lambda: kernel_normals(count, rng.DATA, 10, replicas, 98),
        "seed high": lambda: kernel_normals(count, rng.DATA, 10, replicas, 99 + 2**40),
    }[other]()
    z = z[:-1, :-1]
    assert abs(correlation_score(z, partner)) < 4
    assert abs(correlation_score(z**2 - 1, partner**2 - 1)) / 2 < 4
    assert abs(correlation_score(z, z)) > 4  # the control: a repeated stream is seen


def test_a_replica_is_itself_wherever_it_stands():
    a = kernel_normals(30, rng.CHAIN, 5, 40, 7)
    b = kernel_normals(30, rng.CHAIN, 5, 3, 7, first_replica=13)
    np.testing.assert_array_equal(a[13:16], b)


def test_streams_do_not_meet():
    """Streams of one step and their repetitions are different counter words."""
    streams = [rng.INITIAL, rng.CHAIN, rng.HIDDEN, rng.VISIBLE]
    streams += [rng.DATA, rng.GRADIENT_NOISE, rng.LABEL_NOISE, rng.LENGTHS]
    words = {s + rng.STRIDE * repetition for s in streams for repetition in range(100)}
    assert len(words) == 100 * len(streams)
