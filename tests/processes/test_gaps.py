"""Dyson Brownian motion with a step that is given: what the gaps allow, and that too coarse ones are warned of."""

import warnings

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.processes.dyson.gaps import levels_at_rest


def minus(x):
    return -0.7 * x


def parabola(x):
    return 0.35 * x * x


def double_well(x):
    return 3 * x - x**3


@pytest.mark.parametrize("more", [{"drift": minus}, {"potential": parabola}])
@pytest.mark.parametrize("n", [3, 5, 30, pytest.param(400, marks=pytest.mark.slow)])
def test_a_linear_drift_as_a_function_allows_the_step_of_the_linear_process(more, n):
    linear = ds.Dyson(n=n, beta=1.5, rate=0.7, noise=0.3)
    for start in (None, np.zeros(n), np.full(n, 4.0), 4 + 1e-7 * np.arange(n), np.linspace(-20.0, 30.0, n)):
        process = ds.Dyson(n=n, beta=1.5, noise=0.3, initial=start, **more)
        assert 0.8 < process.gap_step / linear.gap_step < 1.25
    gap = 0.3 * (2.5 * linear.gap_step / 0.04) ** 0.5
    narrow = ds.Dyson(n=n, beta=1.5, noise=0.3, initial=gap / 2 * np.arange(n), **more)
    assert 0.24 < narrow.gap_step / linear.gap_step < 0.26  # denser at first


def warned(call):
    """Messages of all warnings, which must name the line of the caller."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert all(w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught]


@pytest.mark.parametrize("more", [{"drift": minus}, {"potential": parabola}, {"drift": double_well}])
@pytest.mark.parametrize("n", [5, 30])
def test_coarse_steps_are_warned_of_with_a_step_that_would_do(more, n):
    process = ds.Dyson(n=n, beta=1.5, dt=0.08, **more)
    (message,) = warned(lambda: process.warn(stacklevel=1))
    assert f"dt = 0.08 is too coarse for the gaps between levels, whose statistics will be wrong: dt = {process.gap_step:.2g} would do" in message  # fmt: skip # noqa: E501
    fine = ds.Dyson(n=n, beta=1.5, dt=0.99 * process.gap_step, **more)
    assert not warned(lambda: fine.warn(stacklevel=1))


def test_a_run_warns_once():
    (message,) = warned(lambda: ds.simulate(ds.Dyson(n=5, beta=1.5, dt=0.08, drift=minus), 8, times=[0.16, 0.4]))
    assert "dt = 0.031 would do" in message


def test_levels_without_rest_are_measured_in_the_run():
    for more in ({"drift": lambda x: 0.0 * x + 3}, {"drift": lambda x: 0.1 * x}, {"rate": 0.0}):
        processes = [ds.Dyson(n=5, beta=1.5, dt=dt, **more) for dt in (0.1, 0.01)]
        assert processes[0].gap_step == np.inf
        assert levels_at_rest(processes[0]) is None
    coarse, fine = (warned(lambda p=p: ds.simulate(p, 8, times=[1.0, 2.0])) for p in processes)
    assert len(coarse) == 1
    assert "dt = 0.1 is too coarse" in coarse[0]
    assert not fine


@pytest.mark.parametrize("noise", [0.5, np.linspace(0.2, 0.6, 30)])
def test_forces_on_levels_at_rest_balance(noise):
    process = ds.Dyson(n=30, beta=1.5, drift=double_well, noise=noise, initial=np.linspace(0.5, 1.5, 30))
    x, labels = levels_at_rest(process)
    assert (labels == np.arange(30)).all()
    gaps, square = x[:, None] - x, process.noise**2
    np.fill_diagonal(gaps, np.inf)
    repulsion = 1.5 / 2 * ((square[:, None] + square) / gaps).sum(1)
    assert abs(double_well(x) + repulsion).max() < 0.02 * abs(repulsion).max()


def test_unequal_centers_count_as_one_crowd_where_they_are_close():
    near, same = (ds.Dyson(n=30, beta=1.5, center=c) for c in (np.linspace(0, 0.1, 30), 0.0))
    assert abs(near.gap_step / same.gap_step - 1) < 0.05
    assert ds.Dyson(n=30, beta=1.5, center=np.linspace(0, 3000, 30)).gap_step > 1
