"""Whether one trajectory is stationary: false alarms as rare as they should be, and trends that are found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter

from dysonsim.inference.stationarity import memory, odd_ends, slope_test


def paths(rng, windows, n, relaxation=10.0):
    """Ornstein-Uhlenbeck, variance 1: (windows relaxation times, n)."""
    decay = np.exp(-1 / relaxation)
    kicks = rng.normal(size=(int(windows * relaxation), n)) * np.sqrt(1 - decay**2)
    kicks[0] /= np.sqrt(1 - decay**2)
    return lfilter([1.0], [1.0, -decay], kicks, axis=0)


@pytest.mark.parametrize(("windows", "relaxation"), [(60, 10.0), (500, 4.0), (500, 0.2)])
def test_the_slope_test_has_its_size(windows, relaxation):
    """Of 2000 paths up to 5% (2 to 7) and 1% (0.1 to 2) are called trends: long paths rather fewer."""
    pvalue = slope_test(paths(np.random.default_rng(1), windows, 2000, relaxation)).pvalue
    assert 0.02 < (pvalue < 0.05).mean() < 0.07
    assert 0.001 < (pvalue < 0.01).mean() < 0.02


def test_a_trend_is_found():
    x = paths(np.random.default_rng(2), 500, 100)
    x += 2 * np.linspace(0, 1, len(x))[:, None]
    found = slope_test(x)
    assert found.drifts(0.01).mean() > 0.85
    assert abs(found.change.mean() / 2 - 1) < 0.05
    assert abs(found.share.mean() - 1 / 3 / (4 / 3)) < 0.2


def test_memory_of_one_mode_and_of_two():
    rng = np.random.default_rng(3)
    exact = (1 + np.exp(-0.1)) / (1 - np.exp(-0.1))
    found = memory(paths(rng, 500, 400))
    assert abs(found.time.mean() / exact - 1) < 0.04
    assert abs(found.relaxation.mean() / 10 - 1) < 0.08
    two = memory(paths(rng, 2000, 50) + paths(rng, 200, 50, 100.0))
    assert abs(two.time.mean() / ((exact + 200) / 2) - 1) < 0.15


@pytest.mark.parametrize("n", [1, 10])
def test_a_short_window_is_told_from_a_long_one(n):
    """60 relaxation times are let through; 10 are not, or not often for a single level."""
    rng = np.random.default_rng(4)

    def refused(windows):
        found = [memory(x := paths(rng, windows, n)).too_short(len(x)).any() for _ in range(100)]
        return np.mean(found)

    assert refused(60) <= 0.02
    assert refused(10) > (0.98 if n == 10 else 0.6)


def test_a_way_there_is_found_and_nothing_else():
    rng, alarms, found = np.random.default_rng(5), 0, 0
    for _ in range(200):
        x = paths(rng, 100, 5)
        windows = len(x) / memory(x).relaxation
        alarms += odd_ends(x, windows, 0.01).any()
        x[:, 2] += 8 * np.exp(-np.arange(len(x)) / 10)
        found += odd_ends(x, windows, 0.01)[2]
    assert alarms <= 7
    assert found > 190
