"""The Laguerre process: matrices, bordering, moments, the law from coinciding levels and the stationary one, input.

Statistical tests allow 4.5 standard errors (a false alarm in 150 000 runs) or p = 1e-5, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from exact_draws import differences, laguerre, spacing_ratio
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
def test_moments_of_any_beta(beta, m):
    """Any beta and real m, from levels of which two coincide on the wall."""
    process = ds.LaguerreProcess(m=m, beta=beta, initial=START, **COMMON)
    run = ds.simulate(process, replicas=40_000, times=TIMES, seed=4, threads=2)
    assert (deviations(run) < SIGMAS).all()
    wrong = ds.LaguerreProcess(m=m + 0.1, beta=beta, initial=START, **COMMON)
    assert (deviations(run, wrong) > SIGMAS).any()  # control


@pytest.mark.parametrize(("beta", "m"), [(1, 3), (2, 5)])
def test_bordering_against_matrices(beta, m):
    """Levels one by one, from a start where two of them lie on the wall."""
    runs = [
        ds.simulate(
            ds.LaguerreProcess(m=m, beta=beta, initial=START, scheme=scheme, **COMMON), replicas=30_000, times=TIMES,
            seed=5 + i, threads=2,
        ).singular_values
        for i, scheme in enumerate(("matrix", "bordering"))
    ]  # fmt: skip
    for record in range(len(TIMES)):
        for off, error in differences(runs[1][:, record], runs[0][:, record]).values():
            assert abs(off) < SIGMAS * error


@pytest.mark.parametrize(("n", "m", "beta", "t"), [(5, 5.5, 1.5, 9.0), (3, 3.5, 2.0, 0.1), (4, 5.2, 0.5, 0.4)])
def test_law_from_levels_that_coincide(n, m, beta, t):
    """The scaled ensemble at any time: lowest level, gaps, small gaps, and all that is measured of them."""
    scale = 0.64 * -np.expm1(-1.4 * t) / 1.4
    run = ds.simulate(ds.LaguerreProcess(m=m, n=n, beta=beta, **COMMON), replicas=40_000, times=[t], seed=20)
    x, exact = run.eigenvalues[:, 0] / scale, laguerre(n, m, beta, 40_000, 21)
    for name, (off, error) in differences(np.sqrt(x), np.sqrt(exact)).items():
        assert abs(off) < SIGMAS * error, name
    wrong = differences(np.sqrt(x), np.sqrt(laguerre(n, m + 0.1, beta, 40_000, 22)))
    assert abs(wrong["lowest"][0]) > SIGMAS * wrong["lowest"][1]  # control: 3% or more


@pytest.mark.parametrize(("n", "m", "beta"), [(50, 60.5, 1.5), (12, 12.0, 20.0)])
def test_many_levels_stay_in_equilibrium(n, m, beta):
    """From the stationary law, after a time in which gaps, then the whole spectrum, forget their start."""
    start = laguerre(n, m, beta, 1500, 23)
    process = ds.LaguerreProcess(m=m, beta=beta, rate=0.5, initial=start)
    x = np.sqrt(ds.simulate(process, replicas=1500, times=[0.1, 3.0], seed=24).eigenvalues)
    other = np.sqrt(laguerre(n, m, beta, 1500, 25))
    for record in range(2):
        for name, (off, error) in differences(x[:, record], other).items():
            assert abs(off) < SIGMAS * error, name
    wrong = spacing_ratio(np.sqrt(laguerre(n, 1.25 * m, beta / 1.25, 1500, 26)))
    right = spacing_ratio(x[:, 0])
    assert abs(wrong.mean() - right.mean()) > SIGMAS * np.hypot(wrong.std(), right.std()) / np.sqrt(1500)  # control


@pytest.mark.parametrize("beta", [0.5, 1.5, 6.0])
def test_records_on_the_way_change_nothing(beta):
    """A transition is the same in one piece and in many, also from levels that are not at the wall."""
    process = ds.LaguerreProcess(m=2.5 + 1 / beta, beta=beta, initial=[0.01, 0.4, 4.0], **COMMON)
    one = ds.simulate(process, replicas=40_000, times=[0.4], seed=30).singular_values[:, -1]
    many = ds.simulate(process, replicas=40_000, times=np.linspace(0.08, 0.4, 5), seed=31).singular_values[:, -1]
    for name, (off, error) in differences(one, many).items():
        assert abs(off) < SIGMAS * error, name
    for i in range(3):
        assert stats.ks_2samp(one[:, i], many[:, i]).pvalue > 1e-5


def test_units_are_free():
    """Scales at the edge of floating point are those of 1, in both float types; what cannot be held is refused."""
    kinds = [{"m": 3.5, "n": 3, "beta": 1.5}, {"m": 4, "n": 3, "beta": 2}]
    for kind in kinds:
        for dtype in ("float64", "float32"):
            plain = ds.simulate(ds.LaguerreProcess(**kind), replicas=20, times=[0.5, 2.0], seed=8, dtype=dtype)
            for noise in (2.0**400, 2.0**-400):
                run = ds.simulate(
                    ds.LaguerreProcess(**kind, noise=noise), replicas=20, times=[0.5, 2.0], seed=8, dtype=dtype
                )
                np.testing.assert_allclose(run.singular_values / noise, plain.singular_values, rtol=1e-12)
    with pytest.raises(ValueError, match="noise = 1e\\+200"):
        ds.LaguerreProcess(m=3.5, n=3, noise=1e200)
    far = ds.LaguerreProcess(m=3.5, beta=1.5, initial=[1.0, 2.0, 1e80], rate=1.0)
    x = ds.simulate(far, replicas=5, times=[1.0], seed=8).eigenvalues[:, 0]
    np.testing.assert_allclose(x[:, 2], 1e80 * np.exp(-2.0), rtol=1e-9)
    assert (x[:, 0] < x[:, 1]).all()


def test_dt_and_the_old_name_of_a_scheme_change_nothing():
    times = {"replicas": 20, "times": [0.5, 300.0], "seed": 8}
    first = ds.simulate(ds.LaguerreProcess(m=3.5, n=3, beta=1.5), **times)
    for given in ({"dt": 1000.0}, {"scheme": "pairs"}, {"scheme": "bordering", "dt": 1e-3}):
        again = ds.simulate(ds.LaguerreProcess(m=3.5, n=3, beta=1.5, **given), **times)
        assert (again.eigenvalues == first.eigenvalues).all()


@pytest.mark.parametrize(("beta", "m"), [(1.5, 1), (0.5, 4.0), (3, 1.5)])
def test_one_level_is_a_bessel_process(beta, m):
    """x/(g^2 tau) is chi^2 of beta m degrees, non-central by the decayed start; one step of any length."""
    process = ds.LaguerreProcess(m=m, beta=beta, initial=[0.3], scheme="bordering", **COMMON)
    run = ds.simulate(process, replicas=40_000, times=[0.9], seed=7, threads=2)
    decay = np.exp(-1.4 * 0.9)
    scale = 0.64 * (1 - decay) / 1.4
    x = run.eigenvalues[:, 0, 0] / scale
    assert stats.kstest(x, stats.ncx2(beta * m, 0.3 * decay / scale).cdf).pvalue > 1e-5
    assert stats.kstest(x, stats.ncx2(1.1 * beta * m, 0.3 * decay / scale).cdf).pvalue < 1e-5


def test_two_levels_without_a_wall_are_exact():
    """Gap and sum of two singular values are independent Bessel processes if beta (m - n + 1) = 1."""
    process = ds.LaguerreProcess(m=2, beta=1, initial=[0.2, 1.0], scheme="bordering", **COMMON)
    run = ds.simulate(process, replicas=40_000, times=[0.9], seed=8, threads=2)
    decay, y = np.exp(-0.7 * 0.9), run.singular_values[:, 0]
    scale = 2 * 0.64 * (1 - decay**2) / 1.4
    # A reflection of the lower level exchanges gap and sum: the larger of two independent numbers, and the smaller.
    both = np.array([y[:, 1] - y[:, 0], y[:, 1] + y[:, 0]]) ** 2 / scale
    laws = [stats.ncx2(2, (s * decay) ** 2 / scale) for s in (1 - np.sqrt(0.2), 1 + np.sqrt(0.2))]
    assert stats.kstest(both[1], lambda v: laws[0].cdf(v) * laws[1].cdf(v)).pvalue > 1e-5
    assert stats.kstest(both[0], lambda v: 1 - laws[0].sf(v) * laws[1].sf(v)).pvalue > 1e-5


def test_threads_company_and_free_motion():
    for scheme in ("matrix", "bordering"):
        process = ds.LaguerreProcess(m=3, beta=1, rate=0.0, noise=0.8, initial=START, scheme=scheme)
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
        ({"m": 3, "n": 3, "beta": 1e290}, "beta = 1e.290"),
        ({"m": 1e290, "n": 3}, "m = 1e.290"),
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
