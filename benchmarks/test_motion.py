"""The peers take the same step of Dyson Brownian motion; the reference of the biases is exact; the report runs.

LIMIT standard errors are allowed to each of 20 means and variances of levels: a false alarm in 10^5 tests with other
seeds. Two controls show that the comparison can fail.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import motion, motion_bias, motion_kernels

LIMIT = 5.5
REPLICAS, STEPS, BETA, DT = 20_000, 40, 1.5, 0.02
PEERS = motion.contestants()


def start() -> np.ndarray:
    return np.tile(np.linspace(-9, 9, motion_bias.LEVELS), (REPLICAS, 1))


def moments(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of the levels, and their squared errors."""
    centered = (levels - levels.mean(0)) ** 2
    values = np.hstack([levels, centered])
    return values.mean(0), values.var(0) / len(levels)


def deviation(one, other) -> float:
    """The largest, in standard errors."""
    one.advance(STEPS)
    other.advance(STEPS)
    levels = [m.levels() if isinstance(m, motion_bias.Motion) else m.weights() for m in (one, other)]
    (a, a_error), (b, b_error) = map(moments, levels)
    return float(np.max(np.abs(a - b) / np.sqrt(a_error + b_error)))


def tamed() -> motion_bias.Motion:
    return motion_bias.Motion(motion_kernels.euler(BETA, DT, motion_bias.LEVELS), start())


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_takes_the_same_step(name):
    assert deviation(tamed(), PEERS[name](start(), BETA, DT, 3, 2)) < LIMIT


@pytest.mark.parametrize(("beta", "dt"), [(1.05 * BETA, DT), (BETA, 1.05 * DT)])
def test_another_motion_is_noticed(beta, dt):
    assert deviation(tamed(), PEERS["NumPy, tuned"](start(), beta, dt, 3, 2)) > 1.5 * LIMIT


def test_semi_implicit_steps_of_the_library_and_of_the_benchmark_agree_where_steps_are_short():
    """Both have weak order 1 but treat the drift differently: compared where that is far below the errors."""
    import dysonsim as ds

    kernel = ds.Dyson(n=10, beta=2.0, scheme="semi_implicit", dt=1e-3, initial=start()[0]).kernel()
    mine = motion_kernels.semi_implicit(2.0, 1e-3, motion_bias.LEVELS)
    assert deviation(motion_bias.Motion(kernel, start()), motion_bias.Motion(mine, start(), seed=2)) < LIMIT


@pytest.mark.parametrize(("beta", "n", "exact"), [(1, 2, np.sqrt(np.pi)), (2, 2, 4 / np.sqrt(np.pi))])
def test_mean_spacing_of_two_levels(beta, n, exact):
    assert motion_bias.exact_mean_spacing(beta, n) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("beta", [1, 2])
def test_mean_spacing_of_ten_levels_against_matrices(beta):
    spacing = motion_bias.statistics(motion_bias.exact_draws(beta, 20_000, 5))[:, 0]
    error = spacing.std() / np.sqrt(len(spacing))
    exact = motion_bias.exact_mean_spacing(beta)
    assert abs(spacing.mean() - exact) < 4 * error
    assert 4 * error < 0.004 * exact  # half a percent off would be noticed


def test_largest_step_is_read_off_the_curve():
    rows = [{"dt": dt, "bias": {"x": 0.1 * dt**2}, "error": {"x": 1e-6}} for dt in (0.05, 0.1, 0.3)]
    assert motion.largest_step(rows, "x", 0.004) == (pytest.approx(0.2), "")
    assert motion.largest_step(rows, "x", 1.0) == (0.3, ">")
    assert motion.largest_step(rows, "x", 1e-5) == (0.05, "<")


def test_the_report_runs(tmp_path, monkeypatch, capsys):
    few = {motion_bias.PAIRS: (0.2, 1.0), motion_bias.TAMED: (0.05, 0.1), motion_bias.SEMI: (0.05, 0.1)}
    monkeypatch.setattr(motion, "QUICK", few)
    motion.main(["--quick", "--out", str(tmp_path / "motion.json")])
    assert "ns/step" in capsys.readouterr().out
    report = json.loads((tmp_path / "motion.json").read_text())
    assert {row["scheme"] for row in report["bias"]} == set(motion_bias.SCHEMES)
    assert (tmp_path / "motion.png").stat().st_size > 10_000
