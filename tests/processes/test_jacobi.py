"""The Jacobi process: relaxation, the stationary law, one level against spectral theory, input.

Statistical tests allow 4.5 standard errors (a false alarm in 150 000 runs) beside the stated bias, with fixed seeds.
Sizes repeat, since every one is a kernel to compile.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from exact_draws import differences, hermite, jacobi, laguerre
from scipy.special import eval_jacobi

import dysonsim as ds
from dysonsim.backend import reference as plain
from dysonsim.kernels.dyson import walls_forces

SIGMAS = 4.5
SLOW = pytest.mark.slow  # kernels of their own


def expected_sum(process, t) -> np.ndarray:
    """E sum x of the linear equation."""
    n, beta = process.n, process.beta
    p, q = (2 * (c + 1) / beta + n - 1 for c in (process.a, process.b))
    limit = n * p / (p + q)
    return limit + (process.initial.sum() - limit) * np.exp(-beta * process.noise**2 * (p + q) * np.asarray(t))


@pytest.mark.parametrize(
    ("a", "b", "beta"), [(0.0, 0.5, 1.5), pytest.param(-0.5, 1.0, 0.5, marks=SLOW), (1.5, 0.0, 10.0)]
)
def test_relaxation_of_the_sum(a, b, beta):
    """From levels that coincide on a wall; the bias of the default step is below 0.3%."""
    process = ds.JacobiProcess(a=a, b=b, beta=beta, noise=0.7, initial=[0.0, 0.0, 0.6])
    times = np.array([0.2, 1.0]) / process.fastest
    run = ds.simulate(process, replicas=16_000, times=times, seed=1, threads=2)
    mean, error = ds.mean_and_error(run.eigenvalues.sum(-1))
    exact = expected_sum(process, times)
    assert (abs(mean - exact) < SIGMAS * error + 0.003 * exact).all()
    other = ds.JacobiProcess(a=a + 0.1 * (1 + beta), b=b, beta=beta, noise=0.7, initial=[0.0, 0.0, 0.6])
    assert (abs(mean - expected_sum(other, times)) > SIGMAS * error + 0.003 * exact).any()  # control


BIAS = {"ratio": 0.003, "variance of gaps": 0.012, "small gaps": 0.05}  # that is allowed; of levels 0.004


@pytest.mark.parametrize(
    ("n", "a", "b", "beta", "replicas"),
    [
        (3, 0.0, 0.5, 1.5, 40_000),
        pytest.param(3, -0.5, 1.0, 0.5, 40_000, marks=SLOW),
        (3, 1.5, 0.0, 10.0, 20_000),
        (30, 0.0, 1.0, 2.5, 1500),
    ],
)
def test_stationary_law_is_the_jacobi_ensemble(n, a, b, beta, replicas):
    """Angles, their gaps and ratios of gaps, at the default step, after gaps have forgotten their start."""
    start = jacobi(n, a, b, beta, replicas, 2)
    process = ds.JacobiProcess(a=a, b=b, beta=beta, initial=start)
    gap = np.pi / (2 * n)
    time = min(0.4 / process.fastest, gap**2)
    x = ds.simulate(process, replicas=replicas, times=[time], seed=3, threads=2).eigenvalues[:, 0]
    found = differences(np.arcsin(np.sqrt(x)), np.arcsin(np.sqrt(jacobi(n, a, b, beta, replicas, 4))))
    for name, (off, error) in found.items():
        assert abs(off) < SIGMAS * error + BIAS.get(name, 0.004), name
    wrong = differences(np.arcsin(np.sqrt(x)), np.arcsin(np.sqrt(jacobi(n, a, b, 1.3 * beta, replicas, 5))))
    assert any(abs(off) > SIGMAS * error + BIAS.get(name, 0.004) for name, (off, error) in wrong.items())  # control


def forces(y, a, b, beta):
    """Of the equation of motion, without what opens gaps: of neighbors, at the walls, of the images beside a wall."""
    gaps = y[:, None] - y[None, :]
    np.fill_diagonal(gaps, 1.0)
    pair = 1 / np.tan(gaps) + 1 / np.tan(y[:, None] + y[None, :])
    np.fill_diagonal(pair, 0.0)
    force = (a + 0.5) / np.tan(y) - (b + 0.5) * np.tan(y) + beta / 2 * pair.sum(1)
    opening = beta / 2 / np.diff(y)
    force[:-1] += opening
    force[1:] -= opening
    force[0] -= (a + 0.5) / y[0]
    force[-1] += (b + 0.5) / (np.pi / 2 - y[-1])
    force[:2] -= beta / 2 / (y[0] + y[1])
    force[-2:] += beta / 2 / (np.pi - y[-1] - y[-2])
    return force


@pytest.mark.parametrize(("n", "size"), [(2, 2), (3, 3), (9, 9), (59, 8)])
def test_forces(n, size):
    """Against the equation, of all pairs and of groups, also where one holds levels far apart."""
    a, b, beta = 0.3, -0.2, 1.7
    apart = np.where(np.arange(n) < 36, 1.0, 0.5) * np.linspace(0.02, 0.3, n) + np.where(np.arange(n) < 36, 0, 1.2)
    levels = np.array([np.arcsin(np.sqrt(jacobi(n, a, b, beta, 1, 3)[0])), np.linspace(0.1, 1.4, n), apart])
    levels = np.array([row for row in levels if (np.diff(row) > 0).all()])
    width = len(levels)
    step = walls_forces.build(plain.lanes("float64", width), n, size)
    out, squares, sines = (np.zeros(n * width) for _ in range(3))
    y, moments = levels.T.ravel().copy(), np.zeros(walls_forces.moments_of(n, size) * width)
    step(out, y, squares, sines, moments, 2 * a + 1, 2 * b + 1, beta, np.full(width, 1e-14))
    exact = np.array([forces(row, a, b, beta) for row in levels])
    allowed = 1e-7 if size == n else 2e-3 * n * beta  # of a force that is of order n beta for every pair of neighbors
    assert abs(out.reshape(n, width).T - exact).max() < allowed


def test_many_levels_that_start_together_between_the_walls():
    n, beta, time = 30, 2.5, 1e-5
    process = ds.JacobiProcess(a=0.0, b=1.0, beta=beta, initial=[0.5] * n)
    x = ds.simulate(process, replicas=600, times=[time], seed=12, threads=2).eigenvalues[:, 0]
    y = (np.arcsin(np.sqrt(x)) - np.pi / 4) / np.sqrt(time)
    found = differences(y, hermite(n, beta, 3000, 13))
    for name in ("ratio", "variance of gaps", "lowest", "top"):
        assert abs(found[name][0]) < SIGMAS * found[name][1] + BIAS.get(name, 0.004), name
    off, error = differences(y * 1.02, hermite(n, beta, 3000, 13))["top"]
    assert abs(off) > SIGMAS * error + 0.004  # control


def test_long_steps_of_the_user_warn_once_and_stay_finite():
    for dt in (0.2, 1000.0):
        process = ds.JacobiProcess(a=0.0, b=0.0, n=10, beta=1.5, dt=dt)
        with pytest.warns(RuntimeWarning, match=r"dt = .* is too coarse .* dt = 0\.002 would do") as caught:
            run = ds.simulate(process, replicas=8, times=[0.5, 2000.0 if dt > 1 else 1.0], seed=1)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        assert ((run.eigenvalues >= 0) & (run.eigenvalues <= 1)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds.simulate(ds.JacobiProcess(a=0.0, b=0.0, n=10, beta=1.5, dt=0.003), replicas=2, times=[0.01])


def test_threads_and_company_change_nothing():
    """Each replica has steps of its own, and waits for others without a trace."""
    start = np.concatenate([np.zeros((1, 3)), jacobi(3, 0.0, 0.5, 1.5, 20, 6)])
    process = ds.JacobiProcess(a=0.0, b=0.5, beta=1.5, initial=start)
    many = ds.simulate(process, replicas=21, times=[0.01, 0.03], seed=9, threads=2).eigenvalues
    few = ds.JacobiProcess(a=0.0, b=0.5, beta=1.5, initial=start[:1])
    assert (ds.simulate(few, replicas=1, times=[0.01, 0.03], seed=9, threads=1).eigenvalues == many[:1]).all()
    assert (np.diff(many, axis=-1) > 0).all()


def test_the_unit_of_time_is_free():
    one = ds.simulate(ds.JacobiProcess(a=0.0, b=0.5, n=3, beta=1.5), replicas=5, times=[0.01], seed=9).eigenvalues
    for noise in (2.0**30, 2.0**-200):
        process = ds.JacobiProcess(a=0.0, b=0.5, n=3, beta=1.5, noise=noise)
        run = ds.simulate(process, replicas=5, times=[0.01 / noise**2], seed=9)
        np.testing.assert_allclose(run.eigenvalues, one, rtol=1e-12)


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_levels_that_start_together(at):
    """On a wall or between the walls: soon afterwards they are a Laguerre or a Hermite ensemble."""
    n, a, b, beta, time = 3, 0.25, 0.5, 1.5, 1e-4
    process = ds.JacobiProcess(a=a, b=b, beta=beta, initial=[at] * n)
    angles = np.arcsin(np.sqrt(ds.simulate(process, replicas=5000, times=[time], seed=10).eigenvalues[:, 0]))
    y = {0.0: angles, 0.5: angles - np.pi / 4, 1.0: (np.pi / 2 - angles)[:, ::-1]}[at] / np.sqrt(time)

    def ensemble(beta, seed):
        if at == 0.5:
            return hermite(n, beta, 20_000, seed)
        return np.sqrt(laguerre(n, n - 1 + 2 * ((a if at == 0 else b) + 1) / beta, beta, 20_000, seed))

    for name, (off, error) in differences(y, ensemble(beta, 11)).items():
        if at != 0.5 or name not in ("sum", "lowest"):  # of both signs, or of mean 0
            assert abs(off) < SIGMAS * error + BIAS.get(name, 0.004), name
    off, error = differences(y, ensemble(3.0, 12))["variance of gaps"]
    assert abs(off) > SIGMAS * error + BIAS["variance of gaps"]  # control


@pytest.mark.parametrize(("a", "b"), [(-0.5, 3.0), pytest.param(0.5, -0.5, marks=SLOW)])
def test_one_level_decays_by_jacobi_polynomials(a, b):
    """E P_k(1 - 2 x) = exp(-2 k (k + a + b + 1) g^2 t) P_k(1 - 2 x_0), P_k the Jacobi polynomial of (a, b)."""
    process = ds.JacobiProcess(a=a, b=b, beta=2.0, noise=0.7, initial=[0.2])
    times = np.array([0.1, 0.5]) / process.fastest
    x = ds.simulate(process, replicas=40_000, times=times, seed=5, threads=2).eigenvalues[..., 0]
    for k in (1, 2, 3):
        values = eval_jacobi(k, a, b, 1 - 2 * x)
        exact = np.exp(-2 * k * (k + a + b + 1) * 0.49 * times) * eval_jacobi(k, a, b, 0.6)
        mean, error = ds.mean_and_error(values)
        assert (abs(mean - exact) < SIGMAS * error + 0.005 * values.std(axis=0)).all(), k


def test_mirror_image():
    """1 - x is the process with a and b exchanged."""
    kinds = [ds.JacobiProcess(a=1.5, b=0.0, beta=1.5, initial=[0.1, 0.2, 0.6])]
    kinds.append(ds.JacobiProcess(a=0.0, b=1.5, beta=1.5, initial=[0.4, 0.8, 0.9]))
    runs = [ds.simulate(p, replicas=16_000, times=[0.1], seed=6 + i).eigenvalues[:, 0] for i, p in enumerate(kinds)]
    (a, ea), (b, eb) = (ds.mean_and_error(x) for x in (runs[0], 1 - runs[1][:, ::-1]))
    assert (abs(a - b) < SIGMAS * np.hypot(ea, eb)).all()


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"a": -0.6, "b": 0, "n": 3}, "a = -0.6"),
        ({"a": 0, "b": -1, "n": 3}, "b = -1"),
        ({"a": 0, "b": 0, "n": 3, "beta": -1}, "beta = -1"),
        ({"a": 1e290, "b": 0, "n": 3}, "a = 1e.290"),
        ({"a": 0, "b": 0, "n": 0}, "n = 0"),
        ({"a": 0, "b": 0}, "n is missing"),
        ({"a": 0, "b": 0, "initial": [0.1, 1.2]}, "initial.*from 0 to 1.*1.2"),
        ({"a": 0, "b": 0, "n": 2, "noise": 0.0}, "noise = 0"),
        ({"a": 0, "b": 0, "n": 2, "noise": 1e200}, "noise = 1e.200"),
        ({"a": 0, "b": 0, "initial": [0.2, 1.0000000000000002]}, "one is 1.0000000000000002"),
    ],
)
def test_bad_input(given, names):
    with pytest.raises(ValueError, match=names):
        ds.JacobiProcess(**given)
