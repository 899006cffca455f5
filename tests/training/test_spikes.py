"""Spikes: their number, their p-values, and the signal that they stand for."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.training.edge import count_spikes, largest_pvalue, largest_pvalue_known, overlaps, signal
from dysonsim.training.nulls import gaussian_levels


def spiked(random, shape, strengths):
    """Noise of unit variance with signals in units of the threshold, and their vectors."""
    m, n = shape
    u, v = (np.linalg.qr(random.normal(size=(size, len(strengths))))[0] for size in shape)
    return random.normal(size=shape) + (u * np.array(strengths) * (m * n) ** 0.25) @ v.T, u, v


@pytest.mark.parametrize(("m", "n"), [(64, 48), (400, 40), (30, 16)])
def test_pvalues_of_the_largest_level_are_uniform(m, n):
    """4000 random matrices: 5 and 1% within 4 errors (once in 10^4 seeds each). Control: levels 2% too large."""
    x = gaussian_levels(m, n, 4000, np.random.SeedSequence(5))
    over = x[:, -1] / x.mean(axis=1)
    # p-values fall with the level: where they pass 5 and 1% is found once
    for a in (0.05, 0.01):
        low, high = float(over.min()), 2 * float(over.max())
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if largest_pvalue(middle, m, n) > a else (low, middle)
        error = math.sqrt(a * (1 - a) / 4000)
        assert abs(np.mean(over >= high) - a) < 4 * error + 0.06 * a
        assert abs(np.mean(1.08 * over >= high) - a) > 4 * error + 0.06 * a


def test_pvalues_with_the_variance_known():
    """The Tracy-Widom law: 1% of 4000 within 4 errors, once in 10^4 seeds; control: a variance 5% too small."""
    x = gaussian_levels(60, 40, 4000, np.random.SeedSequence(6))[:, -1]
    p = np.array([largest_pvalue_known(level, 60, 40) for level in np.sort(x)[-400:]])
    assert abs(np.sum(p < 0.01) - 40) < 26
    assert np.sum([largest_pvalue_known(1.05 * level, 60, 40) < 0.01 for level in np.sort(x)[-400:]]) > 80


@pytest.mark.parametrize(("shape", "spikes"), [((96, 48), 1), ((48, 96), 3), ((120, 100), 10)])
def test_number_of_spikes_at_twice_the_threshold(shape, spikes):
    """Exact in 95% or more of 40 (fewer than 34 of 40: once in 10^3 seeds at .95). Control: at half the threshold."""
    random = np.random.default_rng(3)
    counts = [ds.spikes(spiked(random, shape, [2.2] * spikes)[0]).count for _ in range(40)]
    assert np.sum(np.equal(counts, spikes)) >= 34
    counts = [ds.spikes(spiked(random, shape, [0.5] * spikes)[0]).count for _ in range(40)]
    assert np.sum(np.equal(counts, spikes)) <= 6


def test_noise_has_no_spike():
    """1% of 300 (more than 10: once in 3000 seeds). Control: at level 0.2 there are many."""
    noise = np.random.default_rng(1).normal(size=(300, 40, 64))
    assert sum(ds.spikes(w).count > 0 for w in noise) <= 10
    assert sum(ds.spikes(w, level=0.2).count > 0 for w in noise) > 35


@pytest.mark.parametrize("shape", [(300, 120), (120, 300), (200, 200)])
def test_strengths_and_overlaps_are_those_of_the_signal(shape):
    """Means over 20 matrices within 5% and 0.03. Control: the singular values themselves, and the other overlap."""
    random = np.random.default_rng(7)
    found, measured = [], []
    for _ in range(20):
        w, u, v = spiked(random, shape, [2.5])
        result = ds.spikes(w)
        left, _, right = np.linalg.svd(w)
        found.append([result.strengths[0], result.overlaps_left[0], result.overlaps_right[0], result.values[0]])
        measured.append([(left[:, 0] @ u[:, 0]) ** 2, (right[0] @ v[:, 0]) ** 2])
    strength, of_left, of_right, value = np.mean(found, axis=0)
    true = 2.5 * (shape[0] * shape[1]) ** 0.25
    assert abs(strength / true - 1) < 0.05
    assert value / true > 1.1
    left, right = np.mean(measured, axis=0)
    assert abs(of_left - left) < 0.03
    assert abs(of_right - right) < 0.03
    assert shape[0] == shape[1] or abs(of_left - right) > 0.05


@pytest.mark.parametrize("ratio", [0.1, 0.7, 1.0])
def test_the_signal_is_the_inverse_of_what_it_does_to_a_level(ratio):
    theta = ratio**0.25 * np.array([1.001, 1.5, 4.0])
    s = np.sqrt((1 + theta**2) * (ratio + theta**2) / theta**2)
    np.testing.assert_allclose(signal(s, ratio), theta, rtol=1e-6)
    long, short = overlaps(theta, ratio)
    assert (np.diff(long) > 0).all()
    assert (short >= long - 1e-12).all()
    assert long[0] < 0.01
    assert long[-1] > 0.8


def test_the_variance_of_the_noise():
    """Estimated from the rest within 4 errors, once in 10^4 seeds; given, it is used. Control: that of all entries."""
    w, _, _ = spiked(np.random.default_rng(2), (200, 100), [8.0])
    result = ds.spikes(0.1 * w)
    assert abs(result.variance / 0.01 - 1) < 4 * math.sqrt(2 / w.size)
    assert abs(np.mean(w**2) - 1) > 4 * math.sqrt(2 / w.size)
    assert ds.spikes(w, variance=1.0).variance == 1.0
    assert ds.spikes(w, variance=1e4).count == 0
    assert ds.spikes(w, variance=0.25).count > 20
    assert math.isclose(result.edge, math.sqrt(result.variance) * (math.sqrt(200) + math.sqrt(100)))


def test_units_and_transposition_change_nothing_else():
    w, _, _ = spiked(np.random.default_rng(4), (60, 40), [3.0, 2.0])
    one = ds.spikes(w)
    for scale in (1e-90, 1e-30, 1e90):
        other = ds.spikes(scale * w)
        np.testing.assert_allclose(other.pvalues, one.pvalues, rtol=1e-6)
        np.testing.assert_allclose(other.strengths, scale * one.strengths, rtol=1e-9)
    turned = ds.spikes(w.T)
    np.testing.assert_allclose(turned.overlaps_left, one.overlaps_right)
    np.testing.assert_allclose(turned.values, one.values)


def test_matrices_without_noise_and_without_levels():
    random = np.random.default_rng(5)
    lowrank = random.normal(size=(40, 3)) @ random.normal(size=(3, 30))
    assert ds.spikes(lowrank).count == 3
    np.testing.assert_allclose(ds.spikes(lowrank).strengths, np.linalg.svd(lowrank)[1][:3], rtol=1e-6)
    for w, why in ((np.ones((20, 9)), "all entries are equal"), (random.normal(size=(50, 7)), "fewer than 8 levels")):
        result = ds.spikes(w)
        assert result.count is None
        assert why in str(result)
        json.dumps(result.to_dict(), allow_nan=False)
    assert count_spikes(np.r_[np.ones(7), 1e6], 8, 0.01)[0] == pytest.approx([1 / 20_000])


def test_what_is_printed_and_stored():
    w, _, _ = spiked(np.random.default_rng(6), (60, 40), [4.0])
    result = ds.spikes({"fc1": w})
    assert "1 spike at level 0.01" in str(result)
    assert "overlap" in str(result)
    stored = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert stored["count"] == 1
    assert len(stored["singular_values"]) == 40


def test_bad_input():
    w = np.random.default_rng(0).normal(size=(20, 10))
    with pytest.raises(ValueError, match=r"weights holds 2 matrices, 'a', 'b': give one"):
        ds.spikes({"a": w, "b": 2 * w})
    with pytest.raises(ValueError, match="level = 1: must be a finite number > 0 and < 1"):
        ds.spikes(w, level=1)
    with pytest.raises(ValueError, match="variance = 0"):
        ds.spikes(w, variance=0)
    with pytest.raises(ValueError, match=r"weights has shape \(200,\)"):
        ds.spikes(w.ravel())
    w[3, 2] = math.nan
    with pytest.raises(ds.DivergenceError, match=r"layer 'matrix' has 1 of 200 entries .* nan at \[3, 2\]") as caught:
        ds.spikes(w)
    assert caught.value.layer == "matrix"
