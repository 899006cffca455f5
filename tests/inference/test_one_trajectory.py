"""`estimate_dynamics` of one trajectory, cut into pieces: as of replicas, and told where it is not stationary."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import dysonsim as ds

STEP = 0.05


def trajectory(rng, n, records, repel=True):
    """Levels (records, n) of a GOE matrix Ornstein-Uhlenbeck process of rate 1 and g = 1, or independent, sorted."""
    decay = np.exp(-STEP)
    kicks = rng.normal(size=(records, n, n)) if repel else rng.normal(size=(records, n))
    kicks = (kicks + kicks.transpose(0, 2, 1)) / 2 if repel else kicks
    state, states = kicks[0], np.empty_like(kicks)
    for t in range(records):
        states[t] = state
        state = decay * state + np.sqrt(1 - decay**2) * kicks[t]
    return np.linalg.eigvalsh(states) if repel else np.sort(states, axis=1)


def estimate(x, **options):
    return ds.estimate_dynamics(x, STEP * np.arange(len(x)), **options)


def test_what_was_put_in_comes_out_of_one_trajectory():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = estimate(trajectory(np.random.default_rng(1), 2, 12000))
    assert found.replicas == 32
    for value, expected in ((found.rate, 1), (found.noise, 1), (found.beta, 1), (found.pair_noise, 1)):
        assert abs(value.deviation(expected)) < 4
    assert found.beta.deviation(2) < -4
    assert found.beta.deviation(0) > 4
    by_lag = found.noise_by_lag
    assert len(by_lag.x) >= 4
    assert (np.abs(by_lag.value - 1) < 4 * by_lag.error).all()
    assert "32 pieces of one trajectory" in str(found)
    assert "noise g over a lag of 0.1 " in str(found)
    json.dumps(found.to_dict())


def test_pieces_are_replicas():
    x = trajectory(np.random.default_rng(2), 2, 4000)
    cut = x.reshape(40, 100, 2)
    a, b = estimate(x, pieces=40), ds.estimate_dynamics(cut, STEP * np.arange(100))
    for name in ("beta", "rate", "noise"):
        one, other = getattr(a, name), getattr(b, name)
        assert np.allclose([one.value, one.error], [other.value, other.error], rtol=1e-8)
    assert b.noise_by_lag is None
    assert ds.estimate_dynamics(cut, STEP * np.arange(100), pieces=8).rate.error == b.rate.error


def test_levels_that_do_not_repel_have_beta_zero():
    found = estimate(trajectory(np.random.default_rng(3), 2, 12000, repel=False))
    assert abs(found.beta.deviation(0)) < 4
    assert found.beta.deviation(1) < -4


@pytest.mark.slow
def test_errors_from_pieces_cover_the_truth():
    """200 trajectories of 200 relaxation times: value +- 1.96 errors holds rate, g and beta in 95 +- 1.5%."""
    rng, held = np.random.default_rng(4), []
    for _ in range(200):
        found = estimate(trajectory(rng, 2, 4000))
        held.append([abs(e.deviation(1)) < 1.96 for e in (found.rate, found.noise, found.beta)])
    assert (np.mean(held, axis=0) > 0.905).all()


def test_a_trajectory_that_drifts_is_told():
    x = trajectory(np.random.default_rng(5), 2, 8000)
    with pytest.warns(RuntimeWarning, match=r"level \d drifts by .* of its widths.*not determined"):
        estimate(x + 4 * np.linspace(0, 1, len(x))[:, None])
    wandering = x + 3 * np.sin(2 * np.pi * np.arange(len(x)) / len(x))[:, None]
    with pytest.warns(RuntimeWarning, match=r"one stationary well: .*(relaxation times long|g depends on the lag)"):
        estimate(wandering)


def test_a_trajectory_that_is_too_short_is_told():
    x = trajectory(np.random.default_rng(6), 2, 160)
    with pytest.warns(RuntimeWarning, match="relaxation times long"):
        estimate(x, pieces=8)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"data": np.sort(np.random.default_rng(7).normal(size=(100, 2)))}, ValueError,
         r"data has shape \(100, 2\): one trajectory must have 4 records or more in each of pieces = 32, 128 in all"),
        ({"pieces": 4}, ValueError, "pieces = 4"),
        ({"pieces": 8.5}, TypeError, "pieces = 8.5"),
        ({"data": np.full((500, 2), np.nan)}, ValueError, r"data\[0, 0\] = nan"),
        ({"data": np.ones((500, 2)) * [2.0, 1.0]}, ValueError, r"data\[0\]: levels must be ascending"),
        ({"records": slice(0, 100)}, ValueError, "100 are chosen"),
    ],
)  # fmt: skip
def test_bad_input(change, error, message):
    data = np.sort(np.random.default_rng(8).normal(size=(500, 2)))
    arguments = {"data": data} | change
    with pytest.raises(error, match=message):
        ds.estimate_dynamics(times=np.arange(float(len(arguments["data"]))), **arguments)
