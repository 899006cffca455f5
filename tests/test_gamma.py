"""Chi-squared numbers of any degrees of freedom, against their law; half degrees 200 is where the series takes over."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dysonsim.backend import Kernel, driver
from dysonsim.kernels import gamma, rng

REPLICAS = 200_000


def one_number(lanes):
    """A kernel whose step draws a number with reals[0] degrees of freedom."""
    chi_squared, store, full, zero = gamma.build(lanes), lanes.store, lanes.full, lanes.number(0)

    @lanes.jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        store(state, 0, chi_squared(reals[0], 3, rng.PAIRS, s, replica, key0, key1))
        return full(zero) < full(reals[0])

    return step


def drawn(degrees, dtype):
    kernel = Kernel(one_number, {}, np.array([degrees]), np.zeros(1), weights=1)
    ensemble = driver("cpu").prepare(kernel, dtype).open(np.zeros((REPLICAS, 1)), 0, 11)
    ensemble.advance(0, 1)
    return ensemble.state()[:, 0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("degrees", [0.3, 1.0, 1.9, 2.5, 7.3, 150.0, 399.0, 401.0, 2500.0])
def test_against_the_law(degrees, dtype):
    """One seed in 1e4 fails; a twentieth more degrees of freedom is the control."""
    numbers = drawn(degrees, dtype)
    assert stats.kstest(numbers, stats.chi2(degrees).cdf).pvalue > 1e-4
    assert stats.kstest(numbers, stats.chi2(1.05 * degrees).cdf).pvalue < 1e-6


@pytest.mark.parametrize("degrees", [2.5, 401.0])
def test_both_float_types_draw_the_same(degrees):
    """What accepts a proposal is decided in float32 in both."""
    np.testing.assert_allclose(drawn(degrees, "float32"), drawn(degrees, "float64"), rtol=2e-5)
