"""One `Observable` is taken alike by all that look at a run; its old spellings give the same numbers and a warning."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.ensembles import observable as module
from dysonsim.spectra.observables import replicated

SGD = ds.SGD(ds.TeacherStudent(2 * np.eye(3), gradient_noise=0.1), learning_rate=0.05, batch_size=16)
ROOTS = ds.Observable("roots", lambda run: np.sqrt(run.eigenvalues))


@pytest.fixture(scope="module", autouse=True)
def runs():
    """Two runs, made when the first test runs: each process of a test run collects all tests, and would compile."""
    global RUN, TWIN
    RUN, TWIN = (ds.simulate(SGD, 40, 130, seed, record_steps=range(100, 131)) for seed in (1, 2))


def cubes(run):
    return run.eigenvalues**3


def looked_at(observable, **options):
    """By each of the functions that let a user choose among levels."""
    law = ds.laws.Normal(0.0, 10.0)
    hierarchy = ds.hierarchy(
        SGD, 8, levels=("sgd",), given={"sgd": RUN, "twin": TWIN}, records=[129, 130], path=[100, 101],
        resamples=1, observable=observable,
    )  # fmt: skip
    return {
        "compare": ds.compare(RUN, law, observable=observable).values,
        "likelihood_ratio": ds.likelihood_ratio(RUN, law, law.replace(scale=11.0), observable=observable).difference,
        "spacings": RUN.spacings((0, 1, 2), observable=observable),
        "estimate_dynamics": ds.estimate_dynamics(RUN, observable=observable).rate.value,
        "hierarchy": hierarchy.settled("sgd"),
    }


def test_a_name_an_observable_and_a_function_are_taken_alike():
    by_name = looked_at("singular_values")
    for choice in (module.OBSERVABLES["singular_values"], ds.Observable("own", lambda run: run.singular_values),
                   lambda run: run.singular_values):  # fmt: skip
        for name, found in looked_at(choice).items():
            np.testing.assert_array_equal(found, by_name[name], err_msg=name)
    for name, found in looked_at("eigenvalues").items():  # the control
        assert (np.asarray(found) != by_name[name]).all(), name
    np.testing.assert_array_equal(by_name["compare"], RUN.singular_values[:, -1])
    np.testing.assert_array_equal(by_name["hierarchy"], RUN.singular_values[:, -2:])
    np.testing.assert_array_equal(by_name["spacings"], np.diff(RUN.singular_values[:, -1]))


def test_levels_and_records_are_chosen_before_what_is_made_among_them():
    x, xi = RUN.eigenvalues, RUN.singular_values
    every_other = {"levels": (0, 2), "record": [0, -1]}
    for choice, expected in [
        ("spacings", x[:, [0, -1], 2] - x[:, [0, -1], 0]),
        ("singular_value_spacings", xi[:, [0, -1], 2] - xi[:, [0, -1], 0]),
        (cubes, (x**3)[:, [0, -1]][:, :, [0, 2]].reshape(40, 4)),
        (lambda run: run.eigenvalues[:, 3, 0], x[:, 3, [0]]),  # has chosen for itself
    ]:
        np.testing.assert_array_equal(replicated("data", RUN, choice, **every_other), expected)
    np.testing.assert_array_equal(module.OBSERVABLES["spacings"](RUN), np.diff(x))


def test_one_entry_is_a_new_name_everywhere(monkeypatch):
    monkeypatch.setitem(module.OBSERVABLES, "roots", ROOTS)
    for name, found in looked_at("roots").items():
        np.testing.assert_array_equal(found, looked_at(ROOTS)[name], err_msg=name)
    with pytest.raises(ValueError, match=r"'modes': must be one of .*'roots'"):
        ds.compare(RUN, ds.laws.Normal, observable="modes")


@pytest.mark.parametrize("name", module.OBSERVABLES)
def test_named_observables_go_to_other_processes(name):
    one = module.OBSERVABLES[name]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one))(RUN), one(RUN))
    assert one.label == f"{name.replace('_', ' ')} ${one.symbol}$"


@pytest.mark.parametrize("choice", ["spacings", "singular_value_spacings"])
def test_spacings_are_refused_where_levels_are_needed(choice):
    for call, why in [
        (lambda: ds.estimate_dynamics(RUN, observable=choice), "no such equation"),
        (lambda: ds.hierarchy(SGD, 8, observable=choice), "in every well"),
        (lambda: RUN.spacings((0, 1), observable=choice), "differences"),
    ]:
        with pytest.raises(ValueError, match=f"observable = '{choice}': must be one of 'eigenvalues', .*{why}"):
            call()


def test_a_function_does_not_take_a_name_that_is_taken():
    """What the model says of eigenvalues is not said of what only is called so."""

    def eigenvalues(run):
        return run.eigenvalues + 1

    assert module.observable_of(eigenvalues).name == "own eigenvalues"
    with pytest.raises(ValueError, match="observable = 'own eigenvalues': chosen from a Run"):
        ds.estimate_dynamics(RUN.eigenvalues, RUN.times, observable=eigenvalues)


def test_bad_choices_are_named():
    for choice in ("modes", 3, None, int, np.ones(3)):
        with pytest.raises(ValueError, match=r"observable = .*'eigenvalues', .*function of the run"):
            ds.compare(RUN, ds.laws.Normal, observable=choice)
    for call in (lambda f: ds.estimate_dynamics(RUN, observable=f), lambda f: RUN.spacings((0, 1), observable=f)):
        with pytest.raises(ValueError, match=r"observable = first: .*\(40, 3\).*must give .*\(40, 31, 3\)"):
            call(ds.Observable("first", lambda run: run.eigenvalues[:, 0]))
    with pytest.raises(ValueError, match=r"observable = flat: `of` gives .*\(40, 3\), must give"):
        ds.compare(RUN, ds.laws.Normal, observable=ds.Observable("flat", lambda run: run.eigenvalues[:, 0], np.diff))
    with pytest.raises(ValueError, match="singular_value_spacings need at least two levels"):
        ds.compare(RUN, ds.laws.Normal, observable="singular_value_spacings", levels=1)


def test_old_spellings_give_the_same_numbers_and_a_warning():
    new = RUN.spacings((0, 1, 2), observable="singular_values")
    for old in (lambda: RUN.spacings((0, 1, 2), singular=True), lambda: RUN.spacings((0, 1, 2), -1, True)):
        with pytest.warns(DeprecationWarning, match="give observable= instead") as caught:
            np.testing.assert_array_equal(old(), new)
        assert caught[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="observable="):
        np.testing.assert_array_equal(RUN.spacings((0, 1), singular=False), RUN.spacings((0, 1)))
    for name in ("eigenvalues", "singular_values"):
        new = ds.estimate_dynamics(RUN, observable=name)
        with pytest.warns(DeprecationWarning, match="coordinate= .*observable= ") as caught:
            old = ds.estimate_dynamics(RUN, coordinate=name)
        assert caught[0].filename == __file__
        assert old.to_dict() == new.to_dict()
        with pytest.warns(DeprecationWarning, match="called observable"):
            assert new.coordinate == new.observable == name
        with pytest.warns(DeprecationWarning, match="called center"):
            assert new.centre is new.center


def test_both_spellings_are_refused():
    with pytest.raises(TypeError, match=r"coordinate = 'eigenvalues': is the old name of observable"):
        ds.estimate_dynamics(RUN, coordinate="eigenvalues", observable="eigenvalues")
    with pytest.raises(TypeError, match=r"singular.*observable"):
        RUN.spacings((0, 1), singular=True, observable="singular_values")
