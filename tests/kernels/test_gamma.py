"""Chi-squared numbers of any degrees of freedom, against their law; half degrees 200 is where the series takes over."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dysonsim.backend import Kernel, driver
from dysonsim.kernels.common import gamma, rng

REPLICAS = 200_000


def one_number(lanes):
    """A kernel whose step draws a number with reals[0] degrees of freedom."""
    chi_squared, store, full, zero = gamma.build(lanes).chi_squared, lanes.store, lanes.full, lanes.number(0)

    @lanes.jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        store(state, 0, chi_squared(reals[0], 3, rng.PAIRS, s, replica, key0, key1))
        return full(zero) < full(reals[0])

    return step


def two_numbers(lanes):
    """A kernel whose step draws two at once, with reals[0] and reals[1] degrees of freedom."""
    pair, store, full, zero = gamma.build(lanes).pair, lanes.store, lanes.full, lanes.number(0)

    @lanes.jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        x, y = pair(reals[0], reals[1], 3, rng.PAIRS, s, replica, key0, key1)
        store(state, 0, x)
        store(state, 1, y)
        return full(zero) < full(reals[0])

    return step


def drawn(dtype, *degrees):
    count = len(degrees)
    kernel = Kernel((one_number, two_numbers)[count - 1], {}, np.array(degrees), np.zeros(1), weights=count)
    ensemble = driver("cpu").prepare(kernel, dtype).open(np.zeros((REPLICAS, count)), 0, 11)
    ensemble.advance(0, 1)
    return ensemble.state()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("degrees", [0.3, 1.0, 1.9, 2.5, 7.3, 150.0, 399.0, 401.0, 2500.0])
def test_against_the_law(degrees, dtype):
    """One seed in 1e4 fails; a twentieth more degrees of freedom is the control."""
    numbers = drawn(dtype, degrees)[:, 0]
    assert stats.kstest(numbers, stats.chi2(degrees).cdf).pvalue > 1e-4
    assert stats.kstest(numbers, stats.chi2(1.05 * degrees).cdf).pvalue < 1e-6


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("degrees", [(3.0, 2.0), (16.0, 15.0), (405.0, 404.0), (64.0, 2000.0)])
def test_a_pair_against_its_laws(degrees, dtype):
    """Each of the two, and that they are independent: one seed in 3e3 fails; controls as above."""
    numbers, ranks = drawn(dtype, *degrees), []
    for column, of in zip(numbers.T, degrees, strict=True):
        assert stats.kstest(column, stats.chi2(of).cdf).pvalue > 1e-4
        assert stats.kstest(column, stats.chi2(1.05 * of).cdf).pvalue < 1e-6
        ranks.append(stats.chi2(of).cdf(column) - 0.5)
    assert abs(12 * np.mean(ranks[0] * ranks[1])) < 4 / np.sqrt(REPLICAS)
    assert abs(12 * np.mean(ranks[0] * ranks[0])) > 4 / np.sqrt(REPLICAS)


@pytest.mark.parametrize("degrees", [2.5, 401.0])
def test_both_float_types_draw_the_same(degrees):
    """What accepts a proposal is decided in float32 in both."""
    np.testing.assert_allclose(drawn("float32", degrees), drawn("float64", degrees), rtol=2e-5)
