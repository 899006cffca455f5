"""Scans in memory: what they find is what `simulate` finds, however they are divided; what is read off them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import dysonsim as ds

MODEL = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
AXES = {"learning_rate": [0.05, 0.1], "batch_size": [4, 16]}
HOW = {"steps": 40, "record_every": 20, "seed": 3, "progress": False, "replicas": 40}


def training(learning_rate, batch_size=4):
    return ds.SGD(MODEL, learning_rate, batch_size)


def spacing(run):
    return run.spacings((0, 1))


@pytest.fixture(scope="module")
def plain():
    return ds.scan(training, AXES, measure={"spacing": spacing, "eigenvalues": "eigenvalues"}, **HOW)


def arrays(scan):
    return {name: scan.table.arrays.read(name) for name in scan.table.measured}


def same(one, other):
    first, second = arrays(one), arrays(other)
    assert first.keys() == second.keys()
    return all(np.array_equal(first[name], second[name], equal_nan=True) for name in first)


def test_a_point_is_a_run_of_its_own_seed(plain):
    for point in plain:
        run = ds.simulate(point.process, 40, 40, point.seed, record_every=20, progress=False)
        assert np.array_equal(point["eigenvalues"], run.eigenvalues)
        assert np.array_equal(point["spacing"], spacing(run))
        assert np.array_equal(point.times, run.times)
    assert len({point.seed for point in plain}) == 4


@pytest.mark.parametrize("piece", [1, 7, 16])
def test_the_division_does_not_matter(plain, piece):
    measure = {"spacing": spacing, "eigenvalues": "eigenvalues"}
    assert same(plain, ds.scan(training, AXES, measure=measure, piece=piece, **HOW))


def test_common_random_numbers():
    scan = ds.scan(training, {"learning_rate": [0.05, 0.1]}, common=True, **HOW)
    assert [point.seed for point in scan] == [3, 3]
    run = ds.simulate(training(0.1), 40, 40, 3, record_every=20, progress=False)
    assert np.array_equal(scan.point(learning_rate=0.1).eigenvalues, run.eigenvalues)


def test_longer_scans_keep_their_numbers(plain):
    measure = {"spacing": spacing, "eigenvalues": "eigenvalues"}
    scan = ds.scan(training, {"learning_rate": [0.1], "batch_size": [4, 16]}, measure=measure, piece=16, **HOW)
    calls = []
    scan.recipe.measures["spacing"].__dict__["of"] = lambda run: calls.append(run.replicas) or spacing(run)
    longer = scan.extend({"learning_rate": [0.05]}, replicas=50, progress=False)
    assert sum(calls) == 2 * 10 + 2 * 50  # nothing twice
    assert longer.replicas == 50
    for point in plain:
        assert np.array_equal(longer.point(**point.parameters)["spacing"][:40], point["spacing"])
    with pytest.raises(ValueError, match="replicas = 10: must be at least the 50"):
        scan.extend(replicas=10)


def test_means_fits_and_plots(plain):
    value, error = plain.mean("spacing")
    point = plain.point(learning_rate=0.1, batch_size=16)
    expected = ds.mean_and_error(point["spacing"][:, 0])
    assert (value[1, 1], error[1, 1]) == pytest.approx(expected, rel=1e-12)
    levels = plain.mean("eigenvalues", record=0)
    assert levels.value.shape == (2, 2, 2)
    assert levels.value[1, 1] == pytest.approx(point.eigenvalues[:, 0].mean(axis=0), rel=1e-12)
    assert plain.mean("eigenvalues", level=1).value[1, 1] == pytest.approx(point.eigenvalues[:, 1, 1].mean(), rel=1e-12)
    root = np.sqrt(np.outer([0.05, 0.1], [1 / 4, 1 / 16]))
    by_hand = ds.scaling_fit(root.ravel(), value.ravel(), error.ravel())
    for x in "sqrt(learning_rate / batch_size)", root, lambda p: np.sqrt(p["learning_rate"] / p["batch_size"]):
        assert plain.scaling_fit("spacing", x=x).slope == pytest.approx(by_hand.slope, rel=1e-12)
    axes = plain.plot("spacing", x="learning_rate")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["batch size 4", "batch size 16"]
    assert "0.0" in str(plain.mean("spacing"))


def test_compare_takes_scans_and_points(plain):
    point = plain.point(learning_rate=0.1, batch_size=4)
    one = ds.compare(point["spacing"], ds.laws.WignerSurmise)
    every = plain.compare(ds.laws.WignerSurmise, "spacing")
    assert every[1, 0].pvalue == one.pvalue
    assert every.pvalues.shape == (4,)
    of_run = ds.compare(point, ds.laws.WignerSurmise, observable="spacings")
    assert of_run.statistic == pytest.approx(one.statistic, abs=1e-12)
    narrow = plain.compare(
        lambda point: ds.laws.WignerSurmise(scale=1e-3 * point.parameters["learning_rate"]), "spacing"
    )
    assert (narrow.pvalues < 1e-3).all()  # the control
    alone = ds.scan(training, {"learning_rate": [0.1]}, measure={"spacing": spacing}, **HOW)
    assert ds.compare(alone, ds.laws.WignerSurmise)[0].statistic == alone.compare(ds.laws.WignerSurmise)[0].statistic


def test_hierarchy_takes_points():
    scan = ds.scan(training, {"learning_rate": [0.1]}, **HOW)
    how = {"replicas": 16, "levels": ("sgd", "gas"), "records": 2, "path": 0, "resamples": 99, "progress": False}
    found = ds.hierarchy(scan.point(learning_rate=0.1), **how)
    assert list(found.runs) == ["sgd", "gas"]
    assert ds.hierarchy(scan, **how)[0,].quantities[0] == found.quantities[0]


@pytest.mark.filterwarnings("ignore:training may not be stable")
def test_points_that_fail_are_kept_apart():
    rates = {"learning_rate": [0.1, 3.0], "batch_size": [4, 0]}
    with pytest.warns(RuntimeWarning, match="3 of 4 points failed, the first of them .*batch_size = 0"):
        scan = ds.scan(training, rates, piece=16, **HOW)
    assert [failure.parameters for failure in scan.failures] == [
        {"learning_rate": 0.1, "batch_size": 0}, {"learning_rate": 3.0, "batch_size": 4},
        {"learning_rate": 3.0, "batch_size": 0},
    ]  # fmt: skip
    assert "DivergenceError" in scan.failures[1].message
    assert np.isfinite(scan.mean("eigenvalues").value).any(axis=-1).sum() == 1
    assert scan.complete
    assert not np.isfinite(arrays(scan)["eigenvalues"][1]).any()
    with pytest.raises(ValueError, match=r"point .* has failed: DivergenceError"):
        _ = scan.point(learning_rate=3.0, batch_size=4)["eigenvalues"]
    with pytest.raises(ValueError, match=r"'learning_rate': 3.0.* cannot be run: DivergenceError"):
        ds.scan(training, {"learning_rate": [3.0]}, on_error="raise", **HOW)


def test_points_of_different_sizes():
    def gas(n):
        return ds.CoulombGas.hermite(n, 2.0)

    scan = ds.scan(gas, {"n": [2, 3]}, replicas=20, seed=1, progress=False)
    assert scan.point(n=2).eigenvalues.shape == (20, 1, 2)
    assert scan.mean().value.shape == (2, 3)
    assert np.isnan(scan.mean().value[0, 2])
    assert np.array_equal(scan.point(n=3).eigenvalues, ds.simulate(gas(3), 20, seed=scan.point(n=3).seed).eigenvalues)


def test_times_may_depend_on_the_point():
    steps = {"steps": lambda point: round(4 / point["learning_rate"]), "record_every": 20}
    scan = ds.scan(training, {"learning_rate": [0.05, 0.1]}, replicas=20, seed=1, progress=False, **steps)
    assert scan.point(learning_rate=0.1).times.tolist() == [20, 40]
    assert scan.point(learning_rate=0.05).times.tolist() == [20, 40, 60, 80]
    last = scan.point(learning_rate=0.1).eigenvalues[:, 1].mean(axis=0)
    assert scan.mean().value[1] == pytest.approx(last, rel=1e-12)


def test_the_ten_lines_of_a_beginner_need_no_extra(monkeypatch):
    for name in ("xarray", "zarr", "distributed", "fsspec"):
        monkeypatch.setitem(sys.modules, name, None)
    scan = ds.scan(training, {"learning_rate": [0.1]}, **HOW)
    assert scan.mean("eigenvalues").value.shape == (1, 2)
    with pytest.raises(ImportError, match=r'Scan.dataset needs xarray: pip install "dysonsim\[scan\]"'):
        _ = scan.dataset
    with pytest.raises(ImportError, match=r'needs zarr: pip install "dysonsim\[scan\]"'):
        ds.scan(training, {"learning_rate": [0.1]}, path="never", **HOW)


def test_labels(plain):
    pytest.importorskip("xarray")
    dataset = plain.dataset
    assert dataset["eigenvalues"].dims == ("learning_rate", "batch_size", "replica", "time", "level")
    assert dataset["time"].attrs["units"] == "steps"
    assert dataset["learning_rate"].attrs["long_name"] == "learning rate"
    assert {"function", "seed", "steps", "dysonsim"} <= dataset.attrs.keys()
    lines = dataset["eigenvalues"].mean("replica").isel(level=0, batch_size=0, time=-1).plot()
    assert lines[0].axes.get_xlabel() == "learning rate"
    table = plain.to_pandas("spacing")
    assert len(table) == 4 * 40
    run = ds.simulate(training(0.1), 5, 4, first_replica=7, record_every=2, progress=False)
    labeled = run.to_xarray()
    assert labeled["replica"].values.tolist() == [7, 8, 9, 10, 11]
    assert np.array_equal(labeled["singular_values"], run.singular_values)


def one(**changes):
    return ds.scan(**{"function": training, "points": {"learning_rate": [0.1]}, **HOW, **changes})


WRONG = {
    "no function": ({"function": 3}, TypeError, "function = 3: must be a function that returns a process"),
    "no process": ({"function": lambda learning_rate: 1}, TypeError, r"\(learning_rate=0.1\) returns 1: must return"),
    "replicas": ({"replicas": 0}, ValueError, "replicas = 0"),
    "steps": ({"steps": -1}, ValueError, "steps = -1"),
    "times": ({"times": "ab", "steps": None}, TypeError, "times = 'ab': must be a sequence of numbers"),
    "record_steps": ({"record_steps": [1.5]}, ValueError, "record_steps = .*must be steps >= 0"),
    "dtype": ({"dtype": "half"}, ValueError, "dtype = 'half'"),
    "device": ({"device": "tpu"}, ValueError, "device = 'tpu'"),
    "client": ({"client": 3}, TypeError, "client = 3: must be a dask.distributed.Client"),
    "on_error": ({"on_error": "stop"}, ValueError, "on_error = 'stop'"),
    "piece": ({"piece": 0}, ValueError, "piece = 0"),
    "common": ({"common": 1}, TypeError, "common = 1"),
    "progress": ({"progress": 1}, TypeError, "progress = 1"),
    "measure": ({"measure": "width"}, ValueError, "observable = 'width'"),
    "a measure": ({"measure": {"a": 3}}, ValueError, r"measure\['a'\]: observable = 3"),
    "measures": ({"measure": {}}, ValueError, "must name at least one observable"),
    "name": ({"measure": {"time": "eigenvalues"}}, ValueError, "'time' must be a name"),
    "clash": ({"measure": {"learning_rate": "eigenvalues"}}, ValueError, "'learning_rate' is the name of a parameter"),
    "no row": ({"measure": {"a": lambda run: 1.0}}, TypeError, "measure 'a' gives an array of shape .*one row"),
    "text": ({"measure": {"a": lambda run: ["x"] * run.replicas}}, TypeError, "measure 'a'"),
    "path": ({"path": 3}, TypeError, "path = 3: must be a path or an address"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_bad_input(name):
    changes, error, told = WRONG[name]
    with pytest.raises(error, match=told):
        one(**changes)


def test_questions_that_have_no_answer(plain):
    for ask, told in (
        (lambda: plain.mean("width"), "name = 'width': must be one of"),
        (lambda: plain.mean(), "name = None: must be one of"),
        (lambda: plain.mean("spacing", level=0), "level = 0: spacing has no levels"),
        (lambda: plain.scaling_fit("eigenvalues", x="learning_rate"), "level is missing"),
        (lambda: plain.scaling_fit("spacing", x="rate"), "must be an expression in learning_rate, batch_size"),
        (lambda: plain.scaling_fit("spacing", x=[1.0]), r"must be that of the points, \(2, 2\)"),
        (lambda: plain.plot("spacing", x="rate"), "x = 'rate': must be a parameter"),
        (lambda: plain.point(learning_rate=0.3, batch_size=4), "learning_rate = 0.3: must be one of"),
        (lambda: plain.point(learning_rate=0.1), "batch_size is missing"),
        (lambda: plain.point(rate=0.1), "rate: must be a parameter of the scan"),
    ):
        with pytest.raises(ValueError, match=told):
            ask()


def gas(beta):
    return ds.CoulombGas.hermite(n=24, beta=beta)


def variance(run):
    return ds.number_variance(run, [0.5, 1.0, 2.0])


def test_curves_of_every_point():
    scan = ds.scan(gas, {"beta": [1.0, 2.0]}, replicas=100, seed=3, progress=False)
    found = scan.compare(ds.laws.NumberVariance(1), observable=variance)
    assert [p > 1e-3 for p in found.pvalues] == [True, False]
    varying = scan.compare(lambda point: ds.laws.NumberVariance(int(point.parameters["beta"])), observable=variance)
    assert (varying.pvalues > 1e-3).all()
    curves = ds.number_variance(scan, [0.5, 1.0, 2.0])
    assert list(curves) == [(0,), (1,)]
    np.testing.assert_array_equal(curves[1,].value, variance(scan.point(beta=2.0)).value)
    assert ds.rigidity(scan, 2.0)[0,].value > ds.rigidity(scan, 2.0)[1,].value
    assert set(ds.form_factor(scan, [0.5])) == {(0,), (1,)}
