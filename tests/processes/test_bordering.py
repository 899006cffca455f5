"""Exact transitions by bordering: roots, Dyson Brownian motion of any beta; the Laguerre process has its own file.

Statistical tests allow 4.5 standard errors (a false alarm in 150 000 numbers) or p = 1e-5, with fixed seeds.
"""

from __future__ import annotations

import numpy as np
import pytest
from exact_draws import differences, hermite
from scipy import stats

from dysonsim.backend import STILL_WELL, Kernel, driver
from dysonsim.backend import reference as plain
from dysonsim.kernels.dyson import bordering

SIGMAS = 4.5


def moved(start, time, beta, steps=1, seed=1, dtype="float64", rate=1.0):
    """Levels of dx = [-rate x + sum beta/(x_i - x_j)] dt + sqrt(2) dB after a time."""
    n, dt = start.shape[1], time / steps
    tau = -np.expm1(-2 * rate * dt) / (2 * rate) if rate else dt
    kernel = Kernel(
        bordering.build, {"ensemble": "hermite"}, np.array([np.exp(-rate * dt), tau, beta, 0.0, np.inf]),
        np.array([n]), weights=n, scratch=bordering.scratch(n),
    )  # fmt: skip
    ensemble = driver("cpu").prepare(kernel, dtype).open(start, 0, seed)
    ensemble.advance(0, steps)
    assert (ensemble.left() == STILL_WELL).all()
    return ensemble.state()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_roots_are_eigenvalues(dtype):
    """Of rank-one matrices and arrow matrices; poles that nearly or wholly coincide, weights that nearly vanish."""
    rng = np.random.default_rng(1)
    roots = bordering.secular(plain.lanes(dtype, 1))
    for k in (1, 2, 3, 8):
        for case in range(8):
            d = np.sort(rng.normal(size=k))
            if case > 3 and k > 2:
                d[1] = d[2] = d[0] + (0.0 if case > 5 else 1e-5)
            z = rng.chisquare(1, k) * 10.0 ** (-rng.integers(0, 9, k) * (case % 2))
            out, share = np.zeros(k + 2, dtype), np.zeros(k + 2, dtype)
            poles = np.append(d, d[-1] + 2 * z.sum()).astype(dtype)
            roots(poles, np.append(z, 0).astype(dtype), k, 0, k, 0.0, np.full(1, -1.0, dtype), out, share)
            right, vectors = np.linalg.eigh(np.diag(d) + np.outer(np.sqrt(z), np.sqrt(z)))
            close = {"rtol": 0, "atol": 1e-12 if dtype == "float64" else 3e-6}
            np.testing.assert_allclose(out[:k], right, **close)
            if case < 4:
                np.testing.assert_allclose(share[:k], (np.sqrt(z) @ vectors) ** 2, rtol=1e-3, atol=3e-6)
            corner = rng.normal()
            arrow = np.diag(np.append(d, corner))
            arrow[-1, :-1] = arrow[:-1, -1] = np.sqrt(z)
            reach = 2 * np.sqrt(z.sum())
            poles = np.concatenate([[min(d[0], corner) - reach], d, [max(d[-1], corner) + reach]]).astype(dtype)
            weights = np.concatenate([[0], z, [0]]).astype(dtype)
            roots(poles, weights, k + 1, 0, k + 1, 1.0, np.full(1, corner, dtype), out, share)
            np.testing.assert_allclose(out[: k + 1], np.linalg.eigvalsh(arrow), **close)


@pytest.mark.parametrize(("n", "beta"), [(5, 2.5), (4, 0.5), (10, 1.5), (3, 40.0)])
def test_hermite_from_one_point(n, beta):
    """At any time the scaled ensemble, in one transition; it stays what it is in others."""
    x = moved(np.zeros((30_000, n)), 0.3, beta) / np.sqrt(-np.expm1(-0.6))
    y = hermite(n, beta, 30_000, 2)
    later = moved(y, 0.1, beta, steps=2, seed=3)
    wrong = hermite(n, 1.15 * beta, 30_000, 4)
    for name, (off, error) in differences(x, y).items():
        assert abs(off) < SIGMAS * error, name
    for name, (off, error) in differences(later, hermite(n, beta, 30_000, 5)).items():
        assert abs(off) < SIGMAS * error, name
    assert max(abs(off) / error for off, error in differences(x, wrong).values()) > SIGMAS


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_hermite_does_not_know_how_time_is_divided(beta):
    start = np.tile([-1.0, -0.8, 0.5, 2.0], (40_000, 1))
    one, many = moved(start, 0.4, beta), moved(start, 0.4, beta, steps=5, seed=2)
    wrong = moved(start, 0.4, 1.15 * beta, steps=5, seed=3)
    for of in (lambda x: x, lambda x: np.diff(x, axis=1)):
        a, b = of(one), of(many)
        assert min(stats.ks_2samp(a[:, i], b[:, i]).pvalue for i in range(a.shape[1])) > 1e-5
    pvalues = [stats.ks_2samp(np.diff(one)[:, i], np.diff(wrong)[:, i]).pvalue for i in range(3)]
    assert min(pvalues) < 1e-5  # control
    squares = (one**2).sum(axis=1)
    exact = (start[0] ** 2).sum() * np.exp(-0.8) - np.expm1(-0.8) * (4 + 6 * beta)
    assert abs(squares.mean() - exact) < SIGMAS * squares.std() / np.sqrt(len(squares))


def test_hermite_is_the_motion_of_matrices():
    """beta = 1 against eigenvalues of diag(x) + sqrt(tau) G."""
    rng = np.random.default_rng(5)
    start = np.array([-1.0, 0.0, 0.1, 0.7])
    x = moved(np.tile(start, (40_000, 1)), 0.2, 1.0, rate=0.0)
    g = rng.standard_normal((40_000, 4, 4)) * np.sqrt(0.2)
    y = np.linalg.eigvalsh(np.diag(start) + (g + g.transpose(0, 2, 1)) / np.sqrt(2))
    for i in range(4):
        assert stats.ks_2samp(x[:, i], y[:, i]).pvalue > 1e-5


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("beta", [0.05, 1.0, 50.0])
def test_levels_stay_finite_and_in_order(beta, dtype):
    """From levels that coincide in groups, or do up to rounding, in steps of any length."""
    start = np.repeat([0.0, 1.0, 1.0 + 1e-16, 1e4], 5)
    for time in (1e-20, 1e-8, 1.0, 1e6):
        x = moved(np.tile(start, (200, 1)), time, beta, steps=3, dtype=dtype)
        assert np.isfinite(x).all()
        assert (np.diff(x, axis=1) >= 0).all()


@pytest.mark.parametrize(("dtype", "powers"), [("float64", (-440, 440)), ("float32", (-46, 46))])
def test_units_do_not_matter(dtype, powers):
    """Levels and noise times a power of two, as far as squares are numbers: the same numbers times it."""
    start = np.tile([-1.0, -1.0, 0.5, 2.0], (20, 1))
    one = np.array([0.9, 0.3, 1.5, 0.1, np.inf])  # decay, variance, beta, center, limit
    results = []
    for power in (0, *powers):
        unit = 2.0**power
        reals = one * [1, unit**2, 1, unit, 1]
        kernel = Kernel(
            bordering.build, {"ensemble": "hermite"}, reals, np.array([4]), weights=4, scratch=bordering.scratch(4)
        )
        ensemble = driver("cpu").prepare(kernel, dtype).open(start * unit, 0, 1)
        ensemble.advance(0, 3)
        results.append(ensemble.state().astype(float) / unit)
    assert np.isfinite(results[0]).all()
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])
