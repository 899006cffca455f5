"""Dyson Brownian motion by the schemes beside the pair splitting: strict order, many levels, sub-steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from kernel_draws import kernel_normals
from scipy.optimize import minimize

import dysonsim as ds
from dysonsim.kernels.common import rng


@pytest.mark.parametrize("n", [2, 5])
def test_a_semi_implicit_step_is_the_minimum_of_its_convex_function(n):
    start, dt, beta = np.linspace(-1, 1.5, n), 0.1, 1.5
    process = ds.Dyson(beta=beta, initial=start, scheme="semi_implicit", dt=dt)
    levels = ds.simulate(process, 5, times=[dt], seed=3).eigenvalues[:, 0]
    shrink, clock = math.exp(-dt / 2), math.sinh(dt)
    b = start * shrink + math.sqrt(2 * clock) * kernel_normals(n, rng.LEVELS, 0, 5, 3)
    gaps = np.subtract.outer
    for mine, target in zip(levels / shrink, b, strict=True):

        def slope(y, target=target):
            d = gaps(y, y)
            np.fill_diagonal(d, np.inf)
            return (y - target) / (beta * clock) - (1 / d).sum(1)

        assert (np.diff(mine) > 0).all()
        np.testing.assert_allclose(slope(mine), 0, atol=1e-7)

    def convex(y):
        if (np.diff(y) <= 0).any():
            return np.inf
        return ((y - b[0]) ** 2).sum() / (2 * beta * clock) - np.log(np.diff(y)).sum()

    if n == 2:  # by another method altogether
        np.testing.assert_allclose(levels[0] / shrink, minimize(convex, start, method="Nelder-Mead").x, atol=1e-3)


@pytest.mark.parametrize("end", [25.0, pytest.param(250.0, marks=pytest.mark.slow)])
def test_order_is_strict_in_ten_million_steps_and_in_a_hundred_million(end):
    """The kernel looks at the order after every step, and simulate raises where it is broken."""
    process = ds.Dyson(beta=1.0, initial=[-1.0, 0.0, 1.0], scheme="semi_implicit", dt=0.05)
    run = ds.simulate(process, 20_000, times=[end / 2, end], seed=5)
    assert run.replicas * run.steps[-1] == 20_000 * round(20 * end)
    assert (np.diff(run.eigenvalues, axis=2) > 0).all()


def test_many_levels_take_the_fast_sum_and_relax_as_they_must():
    """E sum x^2 obeys a linear equation; threads change no bit. The same levels by pairs, which are exact in this."""
    start, t = np.linspace(-30, 30, 450), 0.5
    fast = ds.Dyson(beta=1.5, initial=start, noise=0.8, dt=0.01)
    assert fast.fast
    runs = [ds.simulate(fast, 8, times=[t / 2, t], seed=1, threads=threads) for threads in (1, 2)]
    np.testing.assert_array_equal(runs[0].spectra, runs[1].spectra)
    n, squares = 450, (start**2).sum()
    end = 0.8**2 * (n + 1.5 * n * (n - 1) / 2)
    expected = end + (squares - end) * math.exp(-2 * t)
    value, error = ds.mean_and_error((runs[0].eigenvalues[:, -1] ** 2).sum(axis=1))
    assert abs(value - expected) < 4 * error
    assert error < 2e-2 * abs(squares - expected)
    assert ds.Dyson(beta=1.5, n=450).nested  # steps that follow the gaps, unless they are given
    assert not ds.Dyson(beta=1.5, initial=start, drift=lambda x: -x).fast


def quartic(x):
    return -50.0 * x * x * x


def test_sub_steps_are_each_replica_s_own_and_keep_a_steep_drift_at_bay():
    start = np.linspace(3.0, 4.0, 3)
    process = ds.Dyson(beta=1.0, drift=quartic, initial=start, dt=0.02, tolerance=0.1)
    run = ds.simulate(process, 4000, times=[0.5], seed=1)
    alone = ds.simulate(process, 3, times=[0.5], seed=1)
    np.testing.assert_array_equal(run.spectra[:3], alone.spectra)
    fine = ds.Dyson(beta=1.0, drift=quartic, initial=start, dt=0.0002)
    reference = ds.simulate(fine, 4000, times=[0.5], seed=2)
    for moment in (2, 4):
        (a, ea), (b, eb) = (ds.mean_and_error((r.eigenvalues[:, 0] ** moment).sum(axis=1)) for r in (run, reference))
        assert abs(a - b) < 4 * np.hypot(ea, eb)
    with pytest.raises(ds.DivergenceError, match="run away"):  # the control: equal steps of this length do not
        ds.simulate(ds.Dyson(beta=1.0, drift=quartic, initial=start, dt=0.02), 8, times=[0.5])


def test_sub_steps_keep_the_exact_mean_of_the_sum_of_squares_from_levels_that_start_together():
    process = ds.Dyson(n=4, beta=1.5, scheme="pairs", dt=0.1, tolerance=0.3)
    squares = (ds.simulate(process, 20_000, times=[0.3], seed=4).eigenvalues[:, 0] ** 2).sum(axis=1)
    value, error = ds.mean_and_error(squares)
    exact = (4 + 1.5 * 6) * (1 - math.exp(-0.6))
    assert abs(value - exact) < 4 * error < 0.04 * exact


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n": 3, "scheme": "semi_implicit"}, "levels 0 and 1 are both 0"),
        ({"initial": [1.0, 2.0, 2.0], "scheme": "semi_implicit"}, "levels 1 and 2 are both 2"),
        ({"initial": [1.0, 1.0, 2.0], "scheme": "fast"}, "initial levels that coincide"),
        ({"initial": [1.0, 2.0], "noise": [1.0, 2.0], "scheme": "fast"}, "different noise"),
        ({"initial": [1.0], "scheme": "fast"}, "one level"),
        ({"n": 2, "tolerance": 0.1}, "tolerance = 0.1: .* scheme = 'pairs' only"),
        ({"n": 2, "scheme": "pairs", "tolerance": 0.0}, "tolerance = 0: must be .* > 0"),
    ],
)
def test_schemes_say_what_they_cannot_do(options, words):
    with pytest.raises(ValueError, match=words):
        ds.Dyson(**options)
