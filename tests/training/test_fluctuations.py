"""One training, read off its records: known widths, kicks, memories and indices come out, and nothing else does.

Tolerances of 4 standard errors: a right estimator fails one comparison in 16 000, of which there are about 40 here.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from trainings import apart, every_step, matrix_path, normal_path, recording, teacher

import dysonsim as ds


def pulls(value, error, expected):
    return np.abs(np.asarray(value) - expected) / error


def test_a_linear_network_has_its_predicted_widths_kicks_and_memory():
    rate = 0.02
    found, sgd = teacher(np.diag([1.0, 2.0, 2.0]), rate, 6000, 5, seed=1)
    result = ds.fluctuations(found, "fc", pieces=64)
    assert result.verdict == "stationary"
    assert result.groups == ((0,), (1, 2))
    width = float(sgd.singular_value_widths()[0])
    assert pulls(result.width, result.width_error, width)[0] < 4
    assert abs(result.width[0] / width - 1) < 0.1
    g = rate * 0.1 / np.sqrt(16)
    assert (pulls(result.kicks, result.kicks_error, g) < 4).all()
    assert (pulls(result.memory, result.memory_error, 1.0) < 4).all()
    assert (np.abs(result.memory - 1) < 0.35).all()
    apart, collide = result.pairs
    assert apart.beta is None
    assert "do not collide" in apart.reason
    assert collide.collides
    assert abs(collide.beta.deviation(1.0)) < 4
    assert collide.beta.deviation(2.0) < -4


def test_errors_of_widths_and_kicks_are_calibrated():
    """200 levels, 200 relaxation times: value +- 1.96 errors holds the truth in 95 +- 1.5%, here in 90% to 99%."""
    path = normal_path(np.random.default_rng(1), 4000, 200, 0.05)
    result = ds.fluctuations(every_step(apart(path, 1e5)), "fc")
    width = 1 / np.sqrt(1 - 0.95**2)
    for value, error, expected in (
        (result.width, result.width_error, width),
        (result.kicks, result.kicks_error, 0.5**0.5),
    ):
        assert 0.90 < (pulls(value, error, expected) < 1.96).mean() < 0.99
    assert abs(result.width.mean() / width - 1) < 0.01
    assert sum(s != "stationary" for s in result.status) <= 4


@pytest.mark.parametrize(("rate", "steps"), [(0.05, 20000), (1.0, 4000)])
def test_levels_of_a_matrix_repel_with_beta_one(rate, steps):
    """Whether records are close or as good as independent."""
    result = ds.fluctuations(every_step(matrix_path(np.random.default_rng(2), steps, 2, rate)), "fc")
    (pair,) = result.pairs
    assert 1.0 < pair.apart < 1.1
    assert abs(pair.beta.deviation(1.0)) < 4
    assert abs(result.beta.deviation(0.0)) > 4
    assert abs(result.beta.deviation(2.0)) > 4


def test_errors_of_beta_are_calibrated():
    """Of 128 pairs value +- 1.96 errors holds beta = 1 in 95 +- 1.9%, here in 89% to 99%; and all of them pooled."""
    path = matrix_path(np.random.default_rng(14), 128 * 2000, 2, 0.3)[:-1].reshape(128, 2000, 2)
    path = (path - path.mean()) + 1000 + 100 * np.arange(128)[:, None, None]
    result = ds.fluctuations(recording(path.transpose(1, 0, 2).reshape(2000, 256)), "fc")
    known = [pair for pair in result.pairs if pair.beta is not None]
    held = [abs(pair.beta.deviation(1.0)) < 1.96 for pair in known]
    assert len(held) == 128
    assert 0.89 < np.mean(held) <= 0.99
    assert abs(result.beta.deviation(1.0)) < 4
    assert result.beta.error < 0.05


def test_levels_that_do_not_repel_have_no_index_of_one():
    """The control: independent levels that cross, sorted."""
    path = np.sort(normal_path(np.random.default_rng(4), 20000, 2, 0.05), axis=1)
    (pair,) = ds.fluctuations(every_step(100 + path), "fc").pairs
    assert abs(pair.beta.deviation(0.0)) < 4
    assert pair.beta.deviation(1.0) < -4


def test_levels_that_lie_apart_have_no_index():
    path = normal_path(np.random.default_rng(5), 4000, 3, 0.05) + np.array([100, 130, 175])
    result = ds.fluctuations(every_step(path), "fc")
    assert result.beta is None
    assert all(pair.apart > 1.5 and pair.beta is None and "do not collide" in pair.reason for pair in result.pairs)


def test_levels_that_drift_are_told():
    rng = np.random.default_rng(6)
    path = apart(normal_path(rng, 8000, 3, 0.05))
    path[:, 2] += 10 * np.linspace(0, 1, len(path))
    result = ds.fluctuations(every_step(path), "fc")
    assert result.status[2] in ("drifts", "window too short")
    assert result.slope.z[2] > 5
    assert result.verdict.startswith("not determined: 1 of 3 levels drift")
    pair = matrix_path(rng, 8000, 2, 0.05)
    assert ds.fluctuations(every_step(pair), "fc").beta is not None
    pair += 4 * np.linspace(0, 1, len(pair))[:, None]
    moving = ds.fluctuations(every_step(pair), "fc")
    assert moving.beta is None
    assert moving.verdict.startswith("not determined")


def test_levels_that_have_still_to_settle_are_told():
    """From 8 widths away, within the first hundredth of the records: no slope sees that."""
    path = apart(normal_path(np.random.default_rng(13), 4000, 2, 0.05))
    assert ds.fluctuations(every_step(path), "fc").verdict == "stationary"
    path[:, 1] += 25 * np.exp(-0.05 * np.arange(len(path)))
    result = ds.fluctuations(every_step(path), "fc")
    assert result.status == ("stationary", "drifts")
    assert ds.fluctuations(every_step(path), "fc", records=slice(200, None)).verdict == "stationary"


def test_a_window_that_is_too_short_is_told():
    path = 100 + normal_path(np.random.default_rng(7), 300, 6, 0.05) + 20 * np.arange(6)
    result = ds.fluctuations(every_step(path), "fc")
    assert "the window is shorter than 50 relaxation times" in result.verdict
    few = ds.fluctuations(recording(path[:20]), "fc")
    assert few.verdict == "not determined: only 20 records (at least 32 are needed)"
    assert few.beta is None
    assert few.kicks is None
    json.dumps(few.to_dict())
    assert "not determined" in str(few)


def test_noise_by_lag_is_flat_for_one_mode_and_shows_a_second():
    rng = np.random.default_rng(8)
    path = normal_path(rng, 40000, 4, 0.02)
    flat = ds.fluctuations(every_step(apart(path)), "fc")
    few = flat.noise_by_lag[:5]
    assert (pulls(few, flat.noise_by_lag_error[:5], few[0]) < 4).all()
    assert np.abs(flat.noise_by_lag[0] / flat.kicks**2 - 1).max() < 0.1
    # a slow mode of the same width besides: the index is 3
    two = path + 0.1**0.5 * normal_path(rng, 40000, 4, 0.002)
    slow = ds.fluctuations(every_step(apart(two)), "fc", pieces=16)
    assert (slow.memory > 1.5).all()


def test_levels_near_zero_are_not_followed():
    path = normal_path(np.random.default_rng(9), 4000, 3, 0.05)
    result = ds.fluctuations(every_step(np.abs(path * [0.001, 1, 1]) + np.array([0, 1000, 1100])), "fc")
    assert result.status[0] == "near zero"
    assert result.followed.tolist() == [False, True, True]
    assert result.verdict == "stationary"
    assert result.groups == ((1,), (2,))
    still = ds.fluctuations(recording(np.tile([1.0, 2.0], (100, 1))), "fc")
    assert still.verdict == "not determined: no level moves away from zero"


def test_kicks_that_were_missed_are_left_out():
    path = apart(normal_path(np.random.default_rng(10), 4000, 2, 0.05))
    full = every_step(path)
    holed = every_step(path)
    holed["fc"].kicks[::7] = np.nan
    a, b = (ds.fluctuations(r, "fc") for r in (full, holed))
    assert np.abs(a.kicks / b.kicks - 1).max() < 0.03
    assert (b.kicks_error > 0).all()
    holed["fc"].kicks[:] = np.nan
    assert ds.fluctuations(holed, "fc").kicks is None


def test_prints_stores_and_plots():
    import matplotlib as mpl

    mpl.use("Agg")
    result = ds.fluctuations(every_step(matrix_path(np.random.default_rng(11), 4000, 2, 0.05)), "fc")
    text = str(result)
    for word in ("fluctuations of 'fc'", "g of kicks", "beta of 0 and 1", "lag (steps)", "verdict: stationary"):
        assert word in text
    stored = json.loads(json.dumps(result.to_dict()))
    assert stored["verdict"] == "stationary"
    assert stored["pairs"][0]["beta"]["value"] == result.pairs[0].beta.value
    for what in ("widths", "lags"):
        assert result.plot(what=what).get_title() == "fc: stationary"
    with pytest.raises(ValueError, match="what = 'density'"):
        result.plot(what="density")


PATH = apart(normal_path(np.random.default_rng(12), 120, 2, 0.05))


def changed(**changes):
    found = every_step(PATH)
    for name, value in changes.items():
        getattr(found["fc"], name)[60:] = value
    return found


@pytest.mark.parametrize(
    ("given", "layer", "options", "error", "message"),
    [
        (changed(learning_rate=0.01), "fc", {}, ValueError,
         r"0 to 59 \(learning_rate 0.1, batch_size 16\), 60 to 119 \(learning_rate 0.01, .*slice\(0, 60\)"),
        (changed(batch_size=32), "fc", {"records": slice(10, None)}, ValueError, r"10 to 59 .*60 to 119"),
        (changed(singular_values=np.nan), "fc", {}, ds.DivergenceError, "layer 'fc' .*not finite at step 60"),
        (every_step(PATH), "fc2", {}, ValueError, "layer = 'fc2': must be one of .*fc"),
        (every_step(PATH), 3, {}, TypeError, "layer = 3"),
        (every_step(PATH), "fc", {"records": [0, 1]}, ValueError, r"records = \[0, 1\] leaves 2 of 120"),
        (every_step(PATH), "fc", {"records": [0, 1, 3]}, ValueError, "records are 1 to 2 steps apart"),
        (every_step(PATH), "fc", {"records": slice(500, None)}, ValueError, "records = slice"),
        (every_step(PATH), "fc", {"pieces": 4}, ValueError, "pieces = 4"),
        (recording(PATH[:, ::-1]), "fc", {}, ValueError, "ascending"),
        (recording(PATH, kicks=PATH[:-1]), "fc", {}, ValueError, "kicks has shape"),
        (PATH, "fc", {}, TypeError, "(?s)recording = .*must be a Recording"),
        ({"fc": PATH}, "fc", {}, TypeError, "(?s)recording = .*no singular_values"),
    ],
)  # fmt: skip
def test_bad_input(given, layer, options, error, message):
    with pytest.raises(error, match=message):
        ds.fluctuations(given, layer, **options)


def test_a_divergence_names_layer_and_step_and_earlier_records_are_good():
    found = changed(singular_values=np.nan)
    with pytest.raises(ds.DivergenceError) as caught:
        ds.fluctuations(found, "fc")
    assert (caught.value.layer, caught.value.step) == ("fc", 60)
    assert ds.fluctuations(found, "fc", records=slice(0, 60)).records == 60


def test_a_last_record_off_the_grid_is_left_out():
    found = every_step(PATH)
    found["fc"].steps[-1] += 3
    assert ds.fluctuations(found, "fc").records == 119
