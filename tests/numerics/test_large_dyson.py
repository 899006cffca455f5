"""Dyson Brownian motion of large systems: exact transitions and moments, independence of threads, spacings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import eigh_tridiagonal

from dysonsim.backend import STILL_WELL
from dysonsim.numerics.many_levels import open_large


def gaussian(rng, n, beta):
    """Levels of the stationary law for rate = noise = 1."""
    off = np.sqrt(rng.chisquare(beta * np.arange(n - 1, 0, -1)) / 2)
    return eigh_tridiagonal(rng.normal(size=n), off, eigvals_only=True)


def run(start, beta, reals, steps, seed=3, first_replica=0, threads=1, begin=0):
    ensemble = open_large(start, first_replica, seed, beta, threads)
    ensemble.set_reals(np.array(reals, dtype=float))
    ensemble.advance(begin, steps)
    assert (ensemble.left() == STILL_WELL).all()
    return ensemble.state()


def two_levels(beta, gap, dt, rate, noise, replicas):
    start = np.tile([1.0, 1.0 + gap], (replicas, 1))
    x = run(start, beta, [dt, rate, noise, 0.5], 1)
    return x.mean(axis=1), x[:, 1] - x[:, 0]


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0, 3.0, 4.0])
def test_two_levels_move_as_a_bessel_process_at_any_step(beta):
    """False alarms: 1e-3 for each of ten tests, with a fixed seed. Control: beta off by a fifth."""
    gap, dt, rate, noise = 0.7, 0.8, 0.9, 0.6
    mean, gaps = two_levels(beta, gap, dt, rate, noise, 4000)
    grown = (1 - np.exp(-2 * rate * dt)) / (2 * rate)
    unit = 4 * noise**2 * grown
    away = (gap * np.exp(-rate * dt)) ** 2 / unit
    assert stats.kstest(gaps**2 / unit, stats.ncx2(beta + 1, away).cdf).pvalue > 1e-3
    center = 0.5 + (1 + gap / 2 - 0.5) * np.exp(-rate * dt)
    assert stats.kstest(mean, stats.norm(center, noise * np.sqrt(grown)).cdf).pvalue > 1e-3
    assert stats.kstest(gaps**2 / unit, stats.ncx2(1.2 * beta + 1, away).cdf).pvalue < (0.05 if beta == 0.5 else 1e-3)


@pytest.mark.parametrize(("beta", "n"), [(1.0, 3), (2.0, 7), (0.5, 40), (2.5, 40)])
def test_second_moment_relaxes_exactly_at_any_step(beta, n):
    """d E S/dt = -2 rate E S + 2 noise^2 n + beta noise^2 n (n - 1), S the sum of (x - center)^2, in three long steps.

    Four standard errors: false alarms 6e-5. Control: five standard errors from beta off by 5%, where n is not tiny.
    """
    rate, noise, center, dt, replicas = 0.7, 0.8, -3.0, 0.4, 600
    start = center + np.tile(np.linspace(-1, 4, n), (replicas, 1))
    x = run(start, beta, [dt, rate, noise, center], 3)
    squares = ((x - center) ** 2).sum(axis=1)
    error = squares.std() / np.sqrt(replicas)

    def expected(index):
        late = noise**2 * (n + index * n * (n - 1) / 2) / rate
        return late + (((start[0] - center) ** 2).sum() - late) * np.exp(-2 * rate * 3 * dt)

    assert abs(squares.mean() - expected(beta)) < 4 * error
    if n == 40:
        assert abs(squares.mean() - expected(1.05 * beta)) > 5 * error


def test_second_moment_of_many_levels():
    """3000 levels (fast sum, four blocks), far from equilibrium: to 4 standard errors, which are 1e-4 of it."""
    rng = np.random.default_rng(2)
    n, dt = 3000, 0.05
    start = np.tile(2 * gaussian(rng, n, 2.0), (12, 1))
    squares = (run(start, 2.0, [dt, 1.0, 1.0, 0.0], 2) ** 2).sum(axis=1)
    late = n + n * (n - 1)
    expected = late + ((start[0] ** 2).sum() - late) * np.exp(-4 * dt)
    assert abs(squares.mean() - expected) < 4 * squares.std() / np.sqrt(12) < 1e-3 * expected


@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_neither_threads_nor_pauses_nor_company_change_a_bit(beta):
    rng = np.random.default_rng(0)
    start = np.sort(rng.normal(size=(2, 11_001)), axis=1) * 100
    reals = [1e-5, 1.0, 1.0, 0.0]
    alone = run(start, beta, reals, 4)
    for threads in (2, 3):
        assert (run(start, beta, reals, 4, threads=threads) == alone).all()
    halfway = run(start, beta, reals, 2)
    assert (run(halfway, beta, reals, 2, begin=2) == alone).all()
    assert (run(start[1], beta, reals, 4, first_replica=1) == alone[1]).all()
    assert (run(start, beta, reals, 4, seed=4) != alone).all()
    assert (alone[:, 1:] > alone[:, :-1]).all()


def ratio_and_gap(x):
    gaps = np.diff(x[:, x.shape[1] // 4 : -x.shape[1] // 4], axis=1)
    small, large = np.minimum(gaps[:, 1:], gaps[:, :-1]), np.maximum(gaps[:, 1:], gaps[:, :-1])
    return (small / large).mean(), gaps.mean()


@pytest.mark.parametrize(("beta", "expected"), [(1.0, 0.5307), (2.0, 0.5998), (4.0, 0.6744)])
def test_spacings_stay_those_of_the_stationary_law(beta, expected):
    """From the exact law, 60 steps of 0.1 (mean gap)^2: ratios of gaps to 3%, the mean gap to 0.5%.

    The scatter of a mean of 6000 ratios is 0.7%, the scheme's own errors at this step are 1.5% and below 0.1%. The
    control follows.
    """
    rng = np.random.default_rng(8)
    n = 1200
    start = np.array([gaussian(rng, n, beta) for _ in range(10)])
    _, gap = ratio_and_gap(start)
    ratio, after = ratio_and_gap(run(start, beta, [0.1 * gap**2, 1.0, 1.0, 0.0], 60))
    assert abs(ratio / expected - 1) < 0.03
    assert abs(after / gap - 1) < 5e-3


def test_levels_that_do_not_repel_enough_are_noticed():
    """Negative control of the test above: motion with beta = 1 of levels that should have beta = 2."""
    rng = np.random.default_rng(9)
    start = np.array([gaussian(rng, 1200, 2.0) for _ in range(10)])
    _, gap = ratio_and_gap(start)
    ratio, _ = ratio_and_gap(run(start, 1.0, [0.1 * gap**2, 1.0, 1.0, 0.0], 60))
    assert abs(ratio / 0.5998 - 1) > 0.05


def test_what_is_no_longer_finite_is_reported():
    ensemble = open_large(np.arange(200.0).reshape(2, 100), 0, 1, 1.0, 1)
    ensemble.set_reals(np.array([0.01, 0.0, 1.0, 0.0]))
    ensemble.advance(0, 3)
    assert (ensemble.left() == STILL_WELL).all()
    ensemble.set_reals(np.array([0.01, 0.0, np.inf, 0.0]))
    ensemble.advance(3, 4)
    assert ensemble.left().tolist() == [3, 3]


def test_levels_that_start_together_are_refused():
    with pytest.raises(ValueError, match=r"start\[0, 1\] = 1.0 and start\[0, 2\] = 1.0: .* strictly ascending"):
        open_large(np.array([[0.0, 1.0, 1.0]]), 0, 1, 1.0, 1)
