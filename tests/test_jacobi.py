"""The Jacobi process: relaxation, the stationary law, one level against spectral theory, input.

Statistical tests allow 4.5 standard errors (a false alarm in 150 000 runs) beside the stated bias, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import eval_jacobi

import dysonsim as ds

SIGMAS = 4.5


def expected_sum(process, t) -> np.ndarray:
    """E sum x of the linear equation."""
    n, beta = process.n, process.beta
    p, q = (2 * (c + 1) / beta + n - 1 for c in (process.a, process.b))
    limit = n * p / (p + q)
    return limit + (process.initial.sum() - limit) * np.exp(-beta * process.noise**2 * (p + q) * np.asarray(t))


@pytest.mark.parametrize(("a", "b", "beta"), [(0.0, 0.5, 1.5), (-0.5, -0.5, 0.5), (1.5, 0.0, 10.0)])
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


@pytest.mark.parametrize(("a", "b", "beta"), [(0.0, 0.5, 1.5), (-0.5, -0.5, 0.5), (1.5, 0.0, 10.0)])
def test_stationary_law_is_the_jacobi_ensemble(a, b, beta):
    """Means of the levels within 1% of their spread, variances within 4%: the bias of a step half the default one."""
    gas = ds.simulate(ds.CoulombGas.jacobi(3, a, b, beta), replicas=40_000, seed=2).eigenvalues[:, -1]
    dt = 0.025 / (a + b + 2 + 2 * beta)
    process = ds.JacobiProcess(a=a, b=b, beta=beta, initial=gas[:20_000], dt=dt)
    x = ds.simulate(process, replicas=20_000, times=[40 * dt], seed=3, threads=2).eigenvalues[:, 0]
    spread = gas.std(axis=0)
    assert (abs(x.mean(axis=0) - gas.mean(axis=0)) < (SIGMAS * np.sqrt(1 / 20_000 + 1 / 40_000) + 0.01) * spread).all()
    np.testing.assert_allclose(x.var(axis=0), gas.var(axis=0), rtol=0.04 + SIGMAS * np.sqrt(3 / 20_000))
    wrong = ds.simulate(ds.CoulombGas.jacobi(3, a + 0.2, b, beta), replicas=40_000, seed=4).eigenvalues[:, -1]
    assert (abs(x.mean(axis=0) - wrong.mean(axis=0)) > 0.03 * spread).any()  # control


@pytest.mark.parametrize(("a", "b"), [(-0.5, 3.0), (0.5, 0.0)])
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
        ({"a": 0, "b": 0, "n": 0}, "n = 0"),
        ({"a": 0, "b": 0}, "n is missing"),
        ({"a": 0, "b": 0, "initial": [0.1, 1.2]}, "initial.*from 0 to 1.*1.2"),
        ({"a": 0, "b": 0, "n": 2, "noise": 0.0}, "noise = 0"),
    ],
)
def test_bad_input(given, names):
    with pytest.raises(ValueError, match=names):
        ds.JacobiProcess(**given)
