"""The Laguerre process: matrices, splitting, moments, the stationary law, and its input.

Statistical tests allow 4.5 standard errors (a false alarm in 150 000 runs) or p = 1e-5, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import dysonsim as ds

START = [0.0, 0.0, 1.5]
TIMES = [0.2, 2.5]
COMMON = {"rate": 0.7, "noise": 0.8}
SIGMAS = 4.5


def moments(process, t: float) -> np.ndarray:
    """E sum x and E sum x^2 at a time, from their linear equations."""
    from scipy.linalg import expm

    m, n, beta, g2 = process.m, process.n, process.beta, process.noise**2
    equations = np.zeros((3, 3))  # of (1, sum x, sum x^2)
    equations[1] = beta * g2 * m * n, -2 * process.rate, 0
    equations[2] = 0, g2 * (2 * beta * (m + n - 1) + 4), -4 * process.rate
    start = 1.0, process.initial.sum(), (process.initial**2).sum()
    return (expm(equations * t) @ start)[1:]


def deviations(run, exact_of=None) -> np.ndarray:
    """Of both moments at all times, in standard errors."""
    exact = np.array([moments(exact_of or run.process, t) for t in run.times])
    x = run.eigenvalues
    mean, error = ds.mean_and_error(np.stack([x.sum(-1), (x**2).sum(-1)], axis=-1))
    return abs(mean - exact) / error


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_matrix_moments(beta):
    process = ds.LaguerreProcess(m=4, beta=beta, initial=START, **COMMON)
    assert process.exact
    run = ds.simulate(process, replicas=12_000, times=TIMES, seed=1, threads=2)
    assert (deviations(run) < SIGMAS).all()
    wrong = ds.LaguerreProcess(m=4.2, beta=beta, initial=START, **COMMON)
    assert (deviations(run, wrong) > SIGMAS).any()  # control


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_matrix_reaches_the_laguerre_ensemble(beta):
    process = ds.LaguerreProcess(m=4, n=3, beta=beta, **COMMON)
    run = ds.simulate(process, replicas=10_000, times=[12.0], seed=2, threads=2)
    gas = ds.simulate(ds.CoulombGas.laguerre(3, 4, beta, width=0.8 / np.sqrt(1.4)), replicas=10_000, seed=3)
    for level in range(3):
        assert stats.ks_2samp(run.eigenvalues[:, 0, level], gas.eigenvalues[:, -1, level]).pvalue > 1e-5


@pytest.mark.parametrize(("beta", "m"), [(0.7, 4.5), (1.5, 3.0), (10, 4.5)])
def test_splitting_moments(beta, m):
    """Any beta and real m; E sum x is exact at any step, E sum x^2 within 0.3% at steps of 0.05."""
    process = ds.LaguerreProcess(m=m, beta=beta, initial=START, dt=0.05, **COMMON)
    run = ds.simulate(process, replicas=16_000, times=TIMES, seed=4, threads=2)
    exact = np.array([moments(process, t) for t in TIMES])
    x = run.eigenvalues
    mean, error = ds.mean_and_error(np.stack([x.sum(-1), (x**2).sum(-1)], axis=-1))
    assert (abs(mean - exact)[:, 0] < SIGMAS * error[:, 0]).all()
    assert (abs(mean - exact)[:, 1] < SIGMAS * error[:, 1] + 0.003 * exact[:, 1]).all()


@pytest.mark.parametrize(("beta", "m"), [(1, 3), (1, 5)])
def test_splitting_against_matrices(beta, m):
    """Levels one by one, from a start where two of them lie on the wall."""
    runs = [
        ds.simulate(
            ds.LaguerreProcess(m=m, beta=beta, initial=START, scheme=scheme, dt=0.05, **COMMON), replicas=30_000,
            times=TIMES, seed=5 + i, threads=2,
        ).singular_values
        for i, scheme in enumerate(("matrix", "pairs"))
    ]  # fmt: skip
    (a, ea), (b, eb) = (ds.mean_and_error(r) for r in runs)
    assert (abs(a - b) < SIGMAS * np.hypot(ea, eb) + 0.003 * a).all()
    variances = [np.diff(r, axis=-1).var(axis=0) for r in runs]
    np.testing.assert_allclose(variances[1], variances[0], rtol=0.06)


@pytest.mark.parametrize(("beta", "m"), [(1.5, 1), (0.5, 4.0), (3, 1.5)])
def test_one_level_is_a_bessel_process(beta, m):
    """x/(g^2 tau) is chi^2 of beta m degrees, non-central by the decayed start; one step of any length."""
    process = ds.LaguerreProcess(m=m, beta=beta, initial=[0.3], scheme="pairs", dt=1.0, **COMMON)
    run = ds.simulate(process, replicas=40_000, times=[0.9], seed=7, threads=2)
    decay = np.exp(-1.4 * 0.9)
    scale = 0.64 * (1 - decay) / 1.4
    x = run.eigenvalues[:, 0, 0] / scale
    assert stats.kstest(x, stats.ncx2(beta * m, 0.3 * decay / scale).cdf).pvalue > 1e-5
    assert stats.kstest(x, stats.ncx2(1.1 * beta * m, 0.3 * decay / scale).cdf).pvalue < 1e-5


def test_two_levels_without_a_wall_are_exact():
    """Gap and sum of two singular values are independent Bessel processes if beta (m - n + 1) = 1."""
    process = ds.LaguerreProcess(m=2, beta=1, initial=[0.2, 1.0], scheme="pairs", dt=1.0, **COMMON)
    run = ds.simulate(process, replicas=40_000, times=[0.9], seed=8, threads=2)
    decay, y = np.exp(-0.7 * 0.9), run.singular_values[:, 0]
    scale = 2 * 0.64 * (1 - decay**2) / 1.4
    # A reflection of the lower level exchanges gap and sum: the larger of two independent numbers, and the smaller.
    both = np.array([y[:, 1] - y[:, 0], y[:, 1] + y[:, 0]]) ** 2 / scale
    laws = [stats.ncx2(2, (s * decay) ** 2 / scale) for s in (1 - np.sqrt(0.2), 1 + np.sqrt(0.2))]
    assert stats.kstest(both[1], lambda v: laws[0].cdf(v) * laws[1].cdf(v)).pvalue > 1e-5
    assert stats.kstest(both[0], lambda v: 1 - laws[0].sf(v) * laws[1].sf(v)).pvalue > 1e-5


def test_threads_company_and_free_motion():
    for scheme in ("matrix", "pairs"):
        process = ds.LaguerreProcess(m=3, beta=1, rate=0.0, noise=0.8, initial=START, scheme=scheme, dt=0.05)
        many = ds.simulate(process, replicas=4000, times=TIMES, seed=9, threads=2)
        few = ds.simulate(process, replicas=11, times=TIMES, seed=9, threads=1)
        assert (many.eigenvalues[:11] == few.eigenvalues).all()
        x = many.eigenvalues.sum(-1)
        mean, error = ds.mean_and_error(x)
        assert (abs(mean - 1.5 - 0.64 * 9 * np.array(TIMES)) < SIGMAS * error).all()


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"m": 3, "n": 3, "beta": 0}, "beta = 0"),
        ({"m": 2.5, "n": 3, "beta": 1}, "m = 2.5"),
        ({"m": 3.5, "n": 3, "beta": 2, "scheme": "matrix"}, "scheme = 'matrix'.*m = 3.5"),
        ({"m": 3, "n": 3, "beta": 3, "scheme": "matrix"}, "scheme = 'matrix'.*beta = 3"),
        ({"m": 3, "n": 3, "rate": -1}, "rate = -1"),
        ({"m": 3, "n": 3, "noise": 0}, "noise = 0"),
        ({"m": 3, "initial": [-0.1, 1.0]}, "initial.*>= 0.*-0.1"),
        ({"m": 3, "initial": [np.nan, 1.0]}, "initial"),
        ({"m": 3, "n": 3, "initial": [1.0, 2.0]}, "initial"),
        ({"m": 3}, "n is missing"),
        ({"m": 3, "n": 2, "dt": 0}, "dt = 0"),
        ({"m": 3, "n": 2, "scheme": "euler"}, "scheme = 'euler'"),
    ],
)
def test_bad_input(given, names):
    with pytest.raises(ValueError, match=names):
        ds.LaguerreProcess(**given)


def test_rows_of_initial_levels_must_match_the_replicas():
    process = ds.LaguerreProcess(m=3, initial=[[0.1, 0.2], [0.3, 0.4]])
    with pytest.raises(ValueError, match="replicas = 3"):
        ds.simulate(process, replicas=3, times=[1.0])
    assert ds.simulate(process, replicas=2, times=[0.0]).eigenvalues[1, 0] == pytest.approx([0.3, 0.4])
