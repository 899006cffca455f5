"""The phase diagram: order parameters by hand, maps against those of arXiv:2509.01349, going on, and bad input."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.scans.order_parameters import INPUTS, SEED, order_parameters
from dysonsim.scans.phase_diagram import PhaseDiagram, _training

# Read off figures 3 and 4 of the paper: [sigma_W, T], 100 networks a point, 10^8 updates; colors saturate at the ends.
PAPER = np.load(Path(__file__).parents[1] / "reference" / "phase_2509.npz")
SMALL = ds.NeuralNetwork((2, 4, 3, 1), trained=(False, True, False), dataset_size=40, init="normal")


def by_hand(x, first, start, final, teacher, last, temperature, sigma):
    """Order parameters of one network, sample by sample."""
    size = len(final)
    s0, s, st, pushes = [], [], [], []
    for sample in x:
        hidden = np.tanh(first @ sample)
        s0.append(np.tanh(start @ hidden))
        s.append(np.tanh(final @ hidden))
        st.append(np.tanh(teacher @ hidden))
        gradient = np.outer((last @ st[-1] - last @ s[-1]) * last * (1 - s[-1] ** 2), hidden)
        pushes.append(final @ gradient.T + gradient @ final.T)
    s0, s, st = map(np.array, (s0, s, st))
    wanted = np.outer(st @ last, last)
    u = np.linalg.svd(final @ final.T)[0]
    drift, variance = u.T @ np.mean(pushes, axis=0) @ u, u.T @ np.var(pushes, axis=0) @ u
    k = abs(np.diag(drift))
    v = 2 * variance[0, -1] / (size - 1)
    v += sum((variance[0, m] + variance[-1, size - m]) / m for m in range(1, size - 1))
    levels = [np.linalg.eigvalsh(w @ w.T) for w in (start, final)]
    return {
        "overlap": (s0 * s).sum() / len(x) / size,
        "alignment": (wanted * s).sum() / np.linalg.norm(wanted) / np.linalg.norm(s) / len(x),
        "spacing_growth": math.log(np.diff(levels[1]).mean() / np.diff(levels[0]).mean()),
        "loss": ((st @ last - s @ last) ** 2).mean(),
        "confined": float((k[0] - k[-1]) / math.sqrt(2) / (size - 1) >= temperature * v / sigma**2 / 4),
    }


def test_order_parameters_are_those_by_hand():
    x = np.random.default_rng(SEED).standard_normal((INPUTS, 2))
    both = set()
    for inverse, temperature in ((2.0, 0.05), (0.5, 3.0)):
        sgd = _training(inverse, temperature, SMALL, 4)
        assert (sgd.learning_rate, sgd.init_scale) == (4 * temperature, pytest.approx(1 / inverse / 2))
        run = ds.simulate(sgd, 7, 40, seed=1, record_steps=[0, 40], keep_weights=True, device="numpy")
        found = order_parameters(run)
        (first, final, last), (_, teacher, _) = SMALL.networks(run.state)
        for r in range(7):
            start = run.weights[r, 0]
            wanted = by_hand(x, first[r], start, final[r], teacher[r], last[r, 0], temperature, 1 / inverse)
            for name, value in wanted.items():
                assert found[name][r] == pytest.approx(value, rel=1e-9), name
        both |= set(found["confined"])
    assert both == {0.0, 1.0}


def correlations(found, paper):
    return {name: np.corrcoef(found.maps[name].ravel(), paper[name].ravel())[0, 1] for name in paper}


def test_a_few_points_agree_with_the_paper_and_a_store_is_gone_on_with(tmp_path):
    """At 3 x 4 points with 1/20000 of the updates: correlations above .97 and .8. Control: the map upside down."""
    rows, columns = [0, 3, 6], [0, 5, 8, 11]
    axes = {"inverse_sigma": 1 / PAPER["sigma"][rows], "temperature": PAPER["temperature"][columns]}
    how = axes | {"updates": 5000, "replicas": 8, "seed": 1, "path": tmp_path / "scan.zarr", "progress": False}
    pytest.importorskip("zarr")
    found = ds.phase_diagram(**how)
    paper = {name: PAPER[name][np.ix_(rows, columns)] for name in ("overlap", "spacing_growth", "alignment")}
    agree = correlations(found, paper)
    assert min(agree["overlap"], agree["spacing_growth"]) > 0.97
    assert agree["alignment"] > 0.8
    turned = correlations(found, {name: values[:, ::-1] for name, values in paper.items()})
    assert max(turned.values()) < 0.7
    again = ds.phase_diagram(**how)  # of the store
    np.testing.assert_array_equal(again.maps["overlap"], found.maps["overlap"])
    assert "12 points x 8 networks, |B| = 4, after 5000 updates" in str(again)
    assert again.to_dict()["maps"]["loss"] == found.maps["loss"].tolist()
    with pytest.raises(ValueError, match="steps = 6000, and was 5000"):
        ds.phase_diagram(**how | {"updates": 6000})


@pytest.mark.slow
def test_maps_agree_with_the_paper():
    """At 10^5 updates, 8 networks, every second point: above .99 for overlaps and spacings, .9 for alignments.

    Control: the map of another spread of the start, a row further.
    """
    rows, columns = np.arange(0, 12, 2), np.arange(0, 12, 2)
    found = ds.phase_diagram(inverse_sigma=1 / PAPER["sigma"][rows], temperature=PAPER["temperature"][columns])
    names = ("overlap", "spacing_growth", "alignment")
    agree = correlations(found, {name: PAPER[name][np.ix_(rows, columns)] for name in names})
    assert min(agree["overlap"], agree["spacing_growth"]) > 0.99
    assert agree["alignment"] > 0.9
    moved = correlations(found, {name: PAPER[name][np.ix_(rows + 1, columns)] for name in names})
    assert moved["overlap"] < 0.99
    boundary = np.exp(np.interp(np.log(found.inverse_sigma[:4]), *np.log(PAPER["boundary"])[:, ::-1]))
    assert np.abs(np.log(found.critical_temperature()[:4] / boundary)).max() < np.log(4)


def test_the_boundary_is_where_the_share_falls_below_68_percent():
    maps = {"confined": np.array([
        [1.0, 1.0, 0.88, 0.48], [0.9, 0.7, 0.9, 0.1], [0.5, 0.3, 0.2, 0.1], [1.0, 0.9, 0.9, 0.8],
        [np.nan, 0.78, 0.58, np.nan],
    ])[:, [2, 0, 3, 1]]}  # fmt: skip
    temperature = np.array([1.0, 2.0, 4.0, 8.0])[[2, 0, 3, 1]]
    found = PhaseDiagram(SMALL, np.arange(5.0) + 1, temperature, 4, 100, 8, maps, {}, None)
    wanted = [4 * 2**0.5, 4 * 2 ** (0.12 / 0.7), np.nan, np.nan, 2 * 2**0.5]
    np.testing.assert_allclose(found.critical_temperature(), wanted)


@pytest.mark.filterwarnings("ignore:.*points failed")
def test_trainings_that_diverge_leave_a_gap():
    network = ds.NeuralNetwork((2, 4, 3, 1), "linear", None, (False, True, False), init="normal")
    found = ds.phase_diagram(
        network, inverse_sigma=[2.0], temperature=[0.02, 50.0], updates=100, replicas=3, device="numpy", progress=False
    )
    assert [np.isfinite(values).tolist() for values in found.maps.values()] == [[[True, False]]] * 5
    assert "2 points x 3 networks, 1 failed" in str(found)


def test_pictures_of_all_maps():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    maps = {name: np.array([[0.1, 0.9], [0.5, 0.2]]) for name in ("overlap", "loss", "confined")}
    found = PhaseDiagram(SMALL, np.array([2.0, 0.5]), np.array([0.1, 1.0]), 4, 100, 8, maps, {}, None)
    for name in maps:
        axes = found.plot(name, ax=figure.add_subplot())
        (image,) = axes.collections[:1]
        np.testing.assert_allclose(np.ravel(image.get_array()), maps[name][::-1].T.ravel())  # 1/sigma_W ascends
    with pytest.raises(ValueError, match="name = 'q': must be one of 'overlap'"):
        found.plot("q", ax=figure.add_subplot())


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (TypeError, {"network": "tanh"}, ["network", "'tanh'", "NeuralNetwork"]),
        (ValueError, {"network": ds.NeuralNetwork((2, 4, 3, 1))}, ["network", "trained", "(False, True, False)"]),
        (ValueError, {"network": ds.NeuralNetwork((2, 4, 3, 2), trained=(False, True, False), init="normal")},
         ["network", "widths", "one output"]),
        (ValueError, {"inverse_sigma": [1.0, -1.0]}, ["inverse_sigma", "> 0"]),
        (ValueError, {"temperature": [1.0, 1.0]}, ["temperature", "different"]),
        (ValueError, {"batch_size": 7}, ["batch_size = 7", "dataset_size = 40"]),
        (ValueError, {"updates": 0}, ["updates", "0", ">= 1"]),
        (TypeError, {"paths": "x"}, ["paths"]),
    ],
)  # fmt: skip
def test_bad_input(kind, changes, words):
    with pytest.raises(kind) as error:
        ds.phase_diagram(**({"network": SMALL, "updates": 10, "device": "numpy"} | changes))
    assert all(word in str(error.value) for word in words), error.value
