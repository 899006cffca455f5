"""`hierarchy`: matched records, numbers against their definition, calibrated errors, levels that agree and a control.

Statistical tests have fixed seeds; a bound of 4.5 sigma on 30 numbers is passed by chance but for 2e-4 of the seeds.
"""

from __future__ import annotations

import json
import warnings
from functools import partial

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.descriptions import measure as measure

MODEL = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
SGD = ds.SGD(MODEL, learning_rate=0.05, batch_size=16)
REPLICAS = 800
PAIR = (0, 1)
STATIONARY = ("mean", "width", "width of the mean", "spacing")


def run(**changes):
    how = {"sgd": SGD, "replicas": REPLICAS, "observable": "singular_values", "resamples": 999, "seed": 5}
    return ds.hierarchy(**(how | changes))


@pytest.fixture(scope="module")
def whole():
    return run(closure="both")


def test_all_levels_are_recorded_at_the_same_steps(whole):
    assert whole.levels == ("sgd", "langevin", "dyson", "independent", "gas")
    assert whole.steps[0] == 500  # 25/(learning rate z^2)
    assert len(whole.steps) == 16
    assert whole.path_steps[0] == 0
    assert whole.path_steps[-1] < 500
    for name in whole.levels[:-1]:
        assert set(whole.runs[name].times) == {*whole.steps, *whole.path_steps}
    assert {whole.settled(name).shape for name in whole.levels} == {(REPLICAS, 16, 2)}
    assert len({r.seed for r in whole.runs.values()}) == 5


def test_numbers_are_what_they_are_called(whole):
    for name, sgd_run in whole.runs.items():
        xi = np.sqrt(sgd_run.eigenvalues[:, -16:])
        value, error = whole.quantity("spacing", PAIR).values[name]
        per_network = (xi[:, :, 1] - xi[:, :, 0]).mean(axis=1)
        np.testing.assert_allclose([value, error], [per_network.mean(), per_network.std(ddof=1) / REPLICAS**0.5])
        np.testing.assert_allclose(whole.quantity("width", PAIR).values[name][0], xi.std())
        np.testing.assert_allclose(whole.quantity("width of the mean", PAIR).values[name][0], xi.mean(axis=2).std())
        np.testing.assert_allclose(whole.quantity("mean", PAIR).values[name][0], xi.mean())
    spacing = whole.quantity("spacing", PAIR)
    (a, e), (b, f) = spacing.values["gas"], spacing.values["sgd"]
    assert spacing.deviation("gas").sigmas == pytest.approx((a - b) / np.hypot(e, f))
    assert spacing.deviation("gas").percent == pytest.approx(100 * (a / b - 1))
    halfway = whole.quantity("halfway", PAIR)
    record = whole.runs["dyson"].record(halfway.step)
    np.testing.assert_allclose(halfway.values["dyson"][0], whole.runs["dyson"].singular_values[:, record].mean())
    assert 0.6 < halfway.values["sgd"][0] < 1.6
    assert whole.quantity("mean", PAIR).expected == 2.0
    assert "gas" not in halfway.values


def test_levels_of_teacher_student_agree(whole):
    """Isotropic noise and one well: once there, every level describes it; on the way the eigenvalues alone do not."""
    for name in whole.levels[1:]:
        for key in STATIONARY:
            assert abs(whole.quantity(key, PAIR).deviation(name).sigmas) < 4.5, (name, key)
        assert whole.distribution("spacings", PAIR).comparisons[name].pvalue > 1e-3
    assert abs(whole.quantity("halfway", PAIR).deviation("langevin").sigmas) < 4.5
    assert whole.quantity("halfway", PAIR).deviation("dyson").sigmas > 5
    spacing = whole.quantity("spacing", PAIR).values["sgd"]
    assert abs(spacing[0] - MODEL.singular_value_spacings(0.05, 16)[0]) < 4.5 * spacing[1]


def test_a_langevin_of_another_batch_size_is_seen():
    """The control: |B| = 14 makes widths and spacings 7% larger, and nothing else."""
    wrong = ds.Langevin(ds.SGD(MODEL, 0.05, 14))
    found = run(levels=("sgd", "langevin"), given={"langevin": wrong}, path=0)
    for key in STATIONARY[1:]:
        deviation = found.quantity(key, PAIR).deviation("langevin")
        assert deviation.sigmas > 5
        assert abs(deviation.percent - 100 * ((16 / 14) ** 0.5 - 1)) < 4.5 * deviation.percent_error
    assert abs(found.quantity("mean", PAIR).deviation("langevin").sigmas) < 4.5
    assert found.distribution("spacings", PAIR).comparisons["langevin"].pvalue <= 1e-3
    assert "3 of 4 numbers more than 3.3 sigma" in str(found)


def test_errors_are_calibrated():
    """Deviations between two equal ensembles, records correlated in time: variance 1 (Student's, 2 x 24 networks)."""
    rng = np.random.default_rng(1)
    found = {key: [] for key in STATIONARY}

    def ensemble():
        still, moving = rng.normal(size=(24, 1, 3)), rng.normal(size=(24, 4, 3))
        a, b, c = np.moveaxis(0.8 * still + 0.6 * moving, 2, 0)
        return np.linalg.eigvalsh(np.stack([a, c / 2**0.5, c / 2**0.5, b], axis=-1).reshape(24, 4, 2, 2)) + 20

    for _ in range(400):
        values = {"sgd": ensemble(), "langevin": ensemble()}
        for quantity in measure.quantities(SGD, PAIR, values, {}, np.empty(0), "eigenvalues"):
            found[quantity.name].append(quantity.deviation("langevin").sigmas)
    for sigmas in found.values():  # 1.05 by theory; the standard deviation of 400 draws is known to 4%
        assert 0.88 < np.std(sigmas) < 1.22
        assert abs(np.mean(sigmas)) < 4.5 / 20


def test_a_level_does_not_depend_on_the_others(whole):
    alone = run(levels=("sgd", "gas"))
    for q in alone.quantities:
        assert all(q.values[name] == whole.quantity(q.name, q.group).values[name] for name in q.values)


def test_runs_that_exist_are_taken(whole):
    other = ds.simulate(SGD, 100, steps=int(whole.steps[-1]), record_steps=whole.steps, seed=77)
    again = run(levels=("sgd", "gas"), given={"sgd": whole.runs["sgd"], "other seed": other}, path=0)
    assert again.runs["sgd"] is whole.runs["sgd"]
    assert again.levels == ("sgd", "gas", "other seed")
    assert again.quantity("spacing", PAIR).values["sgd"] == whole.quantity("spacing", PAIR).values["sgd"]
    assert abs(again.quantity("spacing", PAIR).deviation("other seed").sigmas) < 4.5


def test_levels_that_the_model_lacks_are_named():
    class Silent(ds.TeacherStudent):
        def dyson_terms(self, learning_rate, batch_size, closure="corrected"):
            raise NotImplementedError("Silent states no dyson_terms")

    sgd = ds.SGD(Silent(2 * np.eye(2), gradient_noise=0.1), 0.05, 16)
    found = run(sgd=sgd, replicas=20, path=0)
    assert found.levels == ("sgd", "langevin", "gas")
    assert found.missing == {"dyson": "Silent states no dyson_terms"}
    assert "Dyson is not available: Silent states no dyson_terms" in str(found)
    with pytest.raises(NotImplementedError, match="dyson_terms"):
        run(sgd=sgd, levels=("sgd", "dyson"))


def test_a_run_that_has_not_settled_is_warned_of():
    with pytest.warns(RuntimeWarning, match="has not settled.*larger settle") as caught:
        run(levels=("sgd", "langevin"), records=range(10, 50, 10), replicas=50)
    assert [str(w.message).split()[0] for w in caught] == ["SGD", "Langevin"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(levels=("sgd", "langevin"), replicas=50)


def test_prints_draws_and_stores(whole):
    text = str(whole)
    assert "800 networks a level, 16 records from step 500 to 725" in text
    for name in ("SGD", "Langevin", "Dyson, independent wells", "Coulomb gas", "spacing", "mean at step", "D, p"):
        assert name in text
    stored = json.loads(json.dumps(whole.to_dict()))
    assert stored["levels"]["gas"]["replicas"] == REPLICAS
    assert len(stored["paths"]["dyson"]["mean"]) == len(whole.path_steps)
    assert stored["quantities"][0]["deviations"]["dyson"]["percent"] == whole.quantities[0].deviation("dyson").percent
    figure = whole.plot()
    assert len(figure.axes) == 3
    mean, error = whole.path("dyson")
    assert mean.shape == error.shape == (len(whole.path_steps), 2)


# Runs for the bad input: eight networks, two records. They are made when a test asks for one, since each process of a
# test run collects all tests.
QUICK = {
    "sgd": partial(ds.simulate, SGD, 8, steps=20, record_every=10, seed=1),
    "other": partial(ds.simulate, ds.SGD(MODEL, 0.06, 16), 8, steps=20, record_every=10, seed=2),
    "few": partial(ds.simulate, SGD, 7, steps=20, record_every=10, seed=1),
    "twin": partial(ds.simulate, ds.Langevin(SGD), 8, steps=20, record_every=10, seed=1),
}
BARE = {"replicas": 8, "records": [10, 20], "path": 0, "levels": ("sgd", "langevin")}


@pytest.mark.parametrize(
    ("error", "changes", "named"),
    [
        (TypeError, {"sgd": MODEL}, ["sgd", "TeacherStudent", "dysonsim.SGD"]),
        (ValueError, {"replicas": 7}, ["replicas", "7", ">= 8"]),
        (ValueError, {"levels": ("sgd", "newton")}, ["levels", "'newton'", "'gas'"]),
        (ValueError, {"levels": ("langevin", "gas")}, ["levels", "'sgd'"]),
        (ValueError, {"levels": ("sgd",)}, ["levels", "two or more"]),
        (TypeError, {"levels": "sgd"}, ["levels", "sequence"]),
        (ValueError, {"closure": "free"}, ["closure", "'free'", "'both'"]),
        (ValueError, {"settle": 0, "records": 4}, ["settle", "0", ">= 1"]),
        (ValueError, {"settle": 10}, ["settle", "10", "records"]),
        (ValueError, {"records": 1}, ["records", "1", ">= 2"]),
        (ValueError, {"records": [5]}, ["records", "[5]", "2 steps"]),
        (TypeError, {"records": "all"}, ["records", "'all'"]),
        (TypeError, {"records": [1.5, 2]}, ["records", "1.5"]),
        (ValueError, {"path": -1}, ["path", "-1", ">= 0"]),
        (ValueError, {"observable": "entries"}, ["observable", "'entries'", "'singular_values'"]),
        (ValueError, {"seed": -1}, ["seed", "-1", ">= 0"]),
        (ValueError, {"resamples": 0}, ["resamples", "0", ">= 1"]),
        (ValueError, {"dtype": "float16"}, ["dtype", "float16"]),
        (ValueError, {"device": "tpu"}, ["device", "tpu"]),
        (TypeError, {"given": [SGD]}, ["given", "dict"]),
        (TypeError, {"given": {"sgd": MODEL}}, ["given['sgd']", "a Process, a Run or a point"]),
        (ValueError, {"given": {"sgd": QUICK["other"]}}, ["given['sgd']", "0.06", "0.05"]),
        (ValueError, {"given": {"sgd": QUICK["few"]}}, ["given['sgd']", "7 replicas", "8"]),
        (ValueError, {"given": {"sgd": QUICK["sgd"], "langevin": QUICK["twin"]}}, ["same seed", "'langevin'"]),
        (ValueError, {"given": {"sgd": QUICK["sgd"]}, "records": [10, 15]}, ["no record", "15"]),
        (ValueError, {"given": {"x": ds.Dyson(n=3)}}, ["given['x']", "3 levels", "2"]),
    ],
)
def test_bad_input_is_named(error, changes, named):
    if isinstance(given := changes.get("given"), dict):
        changes = changes | {"given": {name: run() if isinstance(run, partial) else run for name, run in given.items()}}
    with pytest.raises(error) as caught:
        run(**(BARE | changes))
    for word in named:
        assert word in str(caught.value)


def test_questions_without_answer_are_named(whole):
    with pytest.raises(ValueError, match=r"name = 'width'.*'width' of \(0, 1\)"):
        whole.quantity("width", (0,))
    with pytest.raises(ValueError, match=r"name = 'gaps'.*'spacings'"):
        whole.distribution("gaps", PAIR)
    with pytest.raises(ValueError, match=r"level = 'newton'.*'sgd'"):
        whole.settled("newton")
    with pytest.raises(ValueError, match=r"level = 'gas'.*no time"):
        whole.path("gas")


def test_curves_take_the_place_of_wells():
    """Ten steps are too few to settle; levels that have not moved apart are compared all the same."""
    sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(8), gradient_noise=0.1), 0.1, 16)

    def variance(run):
        return ds.number_variance(run, [0.5, 2.0])

    how = {"replicas": 8, "records": [1, 2], "path": [0], "device": "numpy", "resamples": 99, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        result = ds.hierarchy(sgd, levels=("sgd", "langevin"), observable=variance, **how)
    assert set(result.curves) == {"sgd", "langevin"}
    assert [q.name for q in result.quantities] == ["number variance at 0.5", "number variance at 2"]
    value, error = result.quantities[1].values["langevin"]
    curve = variance(result.runs["langevin"])
    assert (value, error) == (curve.value[1], curve.error[1])
    (apart,) = result.distributions
    known = ds.compare(result.curves["sgd"], curve, resamples=99)
    assert apart.comparisons["langevin"].pvalue == known.pvalue
    assert "number variance of 8 networks" in str(result)
    assert "largest deviation of a curve" in str(result)
    assert set(json.loads(json.dumps(result.to_dict()))["curves"]) == {"sgd", "langevin"}
    assert len(result.plot().axes) == 2
