"""Exponents of known processes, and what is said of them: rules that hold, that fail, and what cannot be told."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.signal import lfilter
from trainings import apart, every_step, normal_path, recording

import dysonsim as ds

POINTS = [(0.02, 16), (0.04, 16), (0.08, 16), (0.16, 16), (0.04, 4), (0.04, 64)]
WINDOW = 200  # relaxation times


def sgd(
    points=POINTS, n=6, seed=1, noise=lambda alpha, batch: alpha / batch**0.5, optimizer=None, momentum=0.0, **more
):
    """Quadratic wells of curvature 1, one a level, and Gaussian noise in the gradient."""
    rng, found = np.random.default_rng(seed), []
    for alpha, batch in points:
        steps = int(WINDOW / alpha * (1 - momentum))
        kicks = noise(alpha, batch) * rng.normal(size=(steps + 1, n))
        if momentum:
            path = lfilter([1.0], [1.0, alpha - 1 - momentum, momentum], kicks, axis=0)[steps // 10 :]
        else:
            path = normal_path(rng, steps, n, alpha, noise(alpha, batch))
        found.append(every_step(apart(path), learning_rate=alpha, batch_size=batch, optimizer=optimizer, **more))
    return found


def data_set(points, epochs, n=8, samples=256, seed=1, **more):
    """Means of a data set: W <- W - alpha (W - mean of the batch), batches drawn with replacement or in epochs."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(samples, n))
    data -= data.mean(axis=0)
    found = []
    for alpha, batch in points:
        steps = int(60 / alpha)
        if epochs:
            each = samples // batch
            order = np.concatenate([rng.permutation(samples) for _ in range(-(-steps // each))])
        else:
            order = rng.integers(samples, size=steps * batch)
        kicks = alpha * data[order[: steps * batch]].reshape(steps, batch, n).mean(axis=1)
        path = lfilter([1.0], [1.0, alpha - 1.0], kicks, axis=0)[int(10 / alpha) :]
        found.append(every_step(apart(path), learning_rate=alpha, batch_size=batch, **more))
    return found


def test_sgd_with_replacement_follows_the_linear_rule():
    found = ds.scaling_rule(sgd(), "fc")
    assert found.verdict == "holds", found
    for e, expected in ((found.alpha, 1), (found.batch, -1), (found.kicks_alpha, 2), (found.kicks_batch, -1)):
        assert e.expected == expected
        assert abs(e.value - expected) < 0.1
        assert abs(e.deviation) < 4
    assert len(found.groups) == 6
    assert found.optimizer == "sgd"


def test_errors_of_exponents_are_calibrated():
    """40 scans: the spread of alpha's exponent is what is claimed, within 35% (three errors of a spread)."""
    points = [(0.04, 16), (0.08, 16), (0.16, 16)]
    found = [ds.scaling_rule(sgd(points, n=3, seed=seed), "fc").alpha for seed in range(40)]
    spread, claimed = np.std([e.value for e in found]), np.mean([e.error for e in found])
    assert 0.65 < spread / claimed < 1.35
    expected = np.log((2 - 0.04) / (2 - 0.16)) / np.log(4) + 1  # Var = alpha/(2 - alpha)/|B|
    assert abs(np.mean([e.value for e in found]) - expected) < 4 * claimed / np.sqrt(40)


SLOW = [(0.01, 8), (0.02, 8), (0.04, 8), (0.02, 4), (0.02, 16)]


@pytest.mark.parametrize("said", ["without_replacement", "with_replacement", None])
def test_batches_without_replacement_are_seen_whatever_the_recording_says(said):
    found = ds.scaling_rule(data_set(SLOW, epochs=True, sampling=said), "fc")
    assert found.verdict == "does not hold: batches without replacement", found
    assert 1.6 < found.ratio.value < 2.3
    assert found.kicks_alpha.near
    assert ("although" in found.reason) == (said == "with_replacement")


@pytest.mark.parametrize("said", ["without_replacement", "with_replacement"])
def test_batches_with_replacement_follow_the_rule_whatever_the_recording_says(said):
    found = ds.scaling_rule(data_set(SLOW, epochs=False, sampling=said), "fc")
    assert found.verdict == "holds", found


def test_momentum_is_compared_at_its_effective_rate():
    """alpha/(1 - m): also with runs of plain SGD beside them, which the bare rate would set apart by 1/(1 - m)."""
    optimizer = {"name": "SGD", "momentum": 0.9}
    heavy = sgd([(0.002, 16), (0.004, 16), (0.008, 16), (0.004, 64)], optimizer=optimizer, momentum=0.9)
    alone = ds.scaling_rule(heavy, "fc")
    assert alone.verdict == "holds", alone
    assert np.allclose([p.rate / p.learning_rate for p in alone.points], 10)
    both = ds.scaling_rule([*sgd(POINTS[:3]), *heavy], "fc")
    assert both.verdict == "holds", both
    for one in heavy:
        one.optimizer = {"name": "SGD", "momentum": 0.0}
    wrong = ds.scaling_rule([*sgd(POINTS[:3]), *heavy], "fc")
    assert wrong.verdict != "holds"


def test_adam_has_a_rule_of_its_own():
    adam = {"name": "AdamW", "betas": (0.9, 0.999)}
    root = ds.scaling_rule(sgd(noise=lambda alpha, batch: alpha / batch**0.25, optimizer=adam), "fc")
    assert root.rule.name == "square root: Var ~ alpha/sqrt(|B|)"
    assert root.batch.expected == -0.5
    assert root.verdict == "holds", root
    linear = ds.scaling_rule(sgd(optimizer=adam), "fc")
    assert linear.verdict == "does not hold"
    lion = ds.scaling_rule(sgd(optimizer={"name": "Lion"}), "fc")
    assert lion.verdict == "not determined"
    assert "no rule is known for the optimizer 'lion'" in lion.reason


def test_another_law_does_not_hold():
    """Noise that does not know of the batch size."""
    found = ds.scaling_rule(sgd(noise=lambda alpha, batch: alpha), "fc")
    assert found.verdict == "does not hold"
    assert abs(found.batch.value) < 0.1


def test_one_training_in_segments_is_cut_and_settles():
    rng, levels, rates = np.random.default_rng(3), [], []
    x = 10 * np.ones(4)  # far away at first
    for alpha in (0.03, 0.06, 0.12):
        kicks = alpha * rng.normal(size=(int(300 / alpha), 4))
        kicks[0] += (1 - alpha) * x
        path = lfilter([1.0], [1.0, alpha - 1.0], kicks, axis=0)
        x = path[-1]
        levels.append(path)
        rates.append(np.full(len(path), alpha))
    found = ds.scaling_rule([recording(apart(np.concatenate(levels)), learning_rate=np.concatenate(rates))], "fc")
    assert found.verdict == "holds", found
    assert found.points[0].steps[0] > 0
    assert found.batch is None
    assert found.kicks_alpha is None


def test_what_drifts_is_not_determined():
    runs = sgd()
    for level in range(6):
        width = runs[1]["fc"].singular_values[:, level].std()
        runs[1]["fc"].singular_values[:, level] += 4 * width * np.linspace(0, 1, len(runs[1]["fc"].steps))
    found = ds.scaling_rule(runs, "fc", records=slice(None))
    assert found.verdict == "not determined"
    assert "alpha 0.04, |B| 16: " in found.reason
    assert "drift" in found.reason or "relaxation times" in found.reason


def test_a_short_window_is_not_determined():
    found = ds.scaling_rule(sgd(), "fc", records=slice(0, 100))
    assert found.verdict == "not determined"
    assert "relaxation times, at least 50 are needed" in found.reason
    few = ds.scaling_rule(sgd(), "fc", records=slice(0, 20))
    assert (few.verdict, few.points) == ("not determined", ())
    assert "20 records" in few.reason
    json.dumps(few.to_dict())
    assert "not determined" in str(few)


def test_runs_that_differ_in_more_are_not_compared():
    runs = sgd()
    runs[0].optimizer = {"name": "SGD", "momentum": 0.0, "weight_decay": 0.1}
    assert "the runs differ in weight_decay" in ds.scaling_rule(runs, "fc").reason


def test_prints_stores_and_plots():
    import matplotlib as mpl

    mpl.use("Agg")
    found = ds.scaling_rule(sgd(), "fc")
    for word in ("linear: Var ~ alpha/|B|", "Var in alpha", "g^2 of kicks in |B|", "verdict: holds"):
        assert word in str(found)
    stored = json.loads(json.dumps(found.to_dict()))
    assert stored["alpha"]["value"] == found.alpha.value
    assert stored["verdict"] == "holds"
    assert found.plot().get_xlabel() == "alpha/|B|"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"recordings": sgd(POINTS[:2])}, ValueError, "recordings: have 2 points .*must have 3 or more"),
        ({"recordings": [*sgd(POINTS[:2]), *sgd(POINTS[:2])]}, ValueError, "have 2 points"),
        ({"recordings": []}, TypeError, r"recordings = \[\]"),
        ({"recordings": sgd(POINTS[:1])[0]}, TypeError, "recordings = "),
        ({"recordings": [1, 2, 3]}, TypeError, r"recordings\[0\] = 1: must be a Recording"),
        ({"layer": "fc7"}, ValueError, "layer = 'fc7'"),
        ({"records": 3}, TypeError, "records = 3"),
        ({"records": [slice(None)]}, ValueError, "records has 1 slices: must be 6"),
        ({"pieces": 2}, ValueError, "pieces = 2"),
    ],
)
def test_bad_input(change, error, message):
    with pytest.raises(error, match=message):
        ds.scaling_rule(**({"recordings": RUNS, "layer": "fc"} | change))


RUNS = sgd()


def test_settings_that_are_not_known_are_refused():
    runs = sgd()
    runs[2]["fc"].batch_size[:] = np.nan
    with pytest.raises(ValueError, match="batch_size = nan of layer 'fc' must be known"):
        ds.scaling_rule(runs, "fc")
    runs = sgd()
    runs[2]["fc"].singular_values[70] = np.nan
    with pytest.raises(ds.DivergenceError) as caught:
        ds.scaling_rule(runs, "fc")
    assert (caught.value.layer, caught.value.step) == ("fc", 70)
