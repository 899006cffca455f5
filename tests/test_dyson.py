"""Dyson Brownian motion: transitions that are known exactly, the splitting against them, order, input.

Statistical tests hold a mean against its exact value within 4.5 standard errors of its own replicas; each of them
raises a false alarm once in 150 000 runs, and the seeds are fixed.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import dysonsim as ds

LEVELS = np.array([-1.0, -1.0, 0.0, 0.2, 2.0, 2.0])
TIMES = [0.05, 0.3, 1.5]
SIGMAS = 4.5


def expected_squares(process: ds.Dyson, times) -> np.ndarray:
    """E sum (x - c)^2 = S: dS/dt = -2 rate S + 2 g^2 [n + beta n (n - 1)/2]."""
    n, rate = process.n, float(process.rate[0])
    source = 2 * float(process.noise[0]) ** 2 * (n + process.beta * n * (n - 1) / 2)
    start = np.sum((process.initial - process.center) ** 2)
    t = np.asarray(times)
    if rate == 0:
        return start + source * t
    return source / (2 * rate) + (start - source / (2 * rate)) * np.exp(-2 * rate * t)


def deviation(values: np.ndarray, exact) -> np.ndarray:
    """Of the mean over replicas, in standard errors."""
    mean, error = ds.mean_and_error(values)
    return (mean - exact) / error


@pytest.mark.parametrize("rate", [0.7, 0.0])
@pytest.mark.parametrize(("beta", "scheme"), [(b, "matrix") for b in (1, 2, 4)] + [(b, "pairs") for b in (2, 10)])
def test_sum_of_squares_relaxes_as_its_linear_equation_says(beta, scheme, rate):
    """From levels that coincide; at any step of the splitting."""
    process = ds.Dyson(beta=beta, rate=rate, center=0.3, noise=0.8, initial=LEVELS, scheme=scheme, dt=0.2)
    run = ds.simulate(process, replicas=16_000, times=TIMES, seed=1, threads=2)
    squares = np.sum((run.eigenvalues - 0.3) ** 2, axis=-1)
    assert (abs(deviation(squares, expected_squares(process, TIMES))) < SIGMAS).all()
    stronger = ds.Dyson(beta=1.05 * beta, rate=rate, center=0.3, noise=0.8, initial=LEVELS)
    assert (abs(deviation(squares, expected_squares(stronger, TIMES))) > SIGMAS).any()  # control


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_matrix_transition_is_that_of_a_matrix(beta):
    """One transition from the centre gives the Gaussian ensemble: its joint density, by its exact one-point moments."""
    process = ds.Dyson(n=5, beta=beta, rate=0.5, noise=0.9, scheme="matrix")
    run = ds.simulate(process, replicas=20_000, times=[0.4, 1.0], seed=2, threads=2)
    for record, t in enumerate(run.times):
        width = 0.9 * np.sqrt((1 - np.exp(-2 * 0.5 * t)) / 0.5)
        gas = ds.simulate(ds.CoulombGas.hermite(5, beta, width), replicas=20_000, seed=3)
        for level in range(5):
            p = stats.ks_2samp(run.eigenvalues[:, record, level], gas.eigenvalues[:, -1, level]).pvalue
            assert p > 1e-5


@pytest.mark.parametrize("rate", [0.7, 0.0])
@pytest.mark.parametrize(
    ("beta", "scheme"), [(b, "matrix") for b in (1, 2, 4)] + [(b, "pairs") for b in (0.5, 1, 4, 10)]
)
def test_two_levels_are_a_bessel_process(beta, scheme, rate):
    """gap^2/(4 g^2 tau) is chi^2 of 1 + beta degrees, non-central by the decayed gap; one step of any length."""
    time, noise, gap = 0.9, 0.8, 0.6
    process = ds.Dyson(beta=beta, rate=rate, noise=noise, initial=[0.1, 0.1 + gap], scheme=scheme, dt=1.0)
    run = ds.simulate(process, replicas=40_000, times=[time], seed=4, threads=2)
    assert run.steps[-1] == 1
    tau = time if rate == 0 else (1 - np.exp(-2 * rate * time)) / (2 * rate)
    scale = 4 * noise**2 * tau
    y = np.diff(run.eigenvalues[:, 0], axis=-1)[:, 0] ** 2 / scale
    shift = gap**2 * np.exp(-2 * rate * time) / scale
    assert stats.kstest(y, stats.ncx2(1 + beta, shift).cdf).pvalue > 1e-5
    assert stats.kstest(y, stats.ncx2(1 + 1.1 * beta, shift).cdf).pvalue < 1e-5
    centre = stats.norm(np.exp(-rate * time) * (0.1 + gap / 2), noise * np.sqrt(tau))
    assert stats.kstest(run.eigenvalues[:, 0].mean(axis=-1), centre.cdf).pvalue > 1e-5


def test_transitions_compose():
    """Many exact transitions are one: the law at a time does not depend on the records before it."""
    process = ds.Dyson(beta=2, rate=0.7, noise=0.8, initial=LEVELS, scheme="matrix")
    often = ds.simulate(process, replicas=10_000, times=np.linspace(0, 1.0, 11), seed=5, threads=2)
    once = ds.simulate(process, replicas=10_000, times=[1.0], seed=6, threads=2)
    for level in range(len(LEVELS)):
        assert stats.ks_2samp(often.eigenvalues[:, -1, level], once.eigenvalues[:, -1, level]).pvalue > 1e-5
    assert (often.eigenvalues[:, 0] == np.sort(LEVELS)).all()


@pytest.mark.parametrize("scheme", ["matrix", "pairs"])
def test_replicas_do_not_depend_on_threads_or_company(scheme):
    process = ds.Dyson(beta=2, rate=0.7, noise=0.8, initial=LEVELS, scheme=scheme, dt=0.1)
    many = ds.simulate(process, replicas=1000, times=[0.2, 0.5], seed=7, threads=2)
    few = ds.simulate(process, replicas=13, times=[0.2, 0.5], seed=7, threads=1)
    assert (many.eigenvalues[:13] == few.eigenvalues).all()
    half = ds.simulate(process, replicas=13, times=[0.2], seed=7)
    assert (ds.simulate(process, replicas=13, times=[0.5], seed=7, resume=half).eigenvalues == few.eigenvalues).all()


def test_large_matrices():
    """A hundred levels: the edge of the semicircle and the sum of squares."""
    process = ds.Dyson(n=100, beta=2, noise=1.0, initial=np.linspace(-3, 3, 100))
    assert process.exact
    run = ds.simulate(process, replicas=40, times=[8.0], seed=8, threads=2)
    squares = np.sum(run.eigenvalues[:, 0] ** 2, axis=-1)
    assert abs(deviation(squares, expected_squares(process, [8.0])[0])) < SIGMAS
    assert run.eigenvalues.max() < 1.05 * np.sqrt(2 * 2 * 100)
