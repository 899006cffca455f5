"""What a process says of theory is what its model says at its learning rate and batch size."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.processes.theory import Theory

ALPHA, BATCH = 0.02, 16
MODELS = {
    "rbm": ds.GaussianRBM.scalar_field(4, mass=2.0, mu=3.0),
    "teacher": ds.TeacherStudent(np.diag([1.0, 2.0, 2.0]), gradient_noise=0.1, label_noise=0.1),
    "hidden layer": ds.LinearNetwork(2 * np.eye(2), output_layer=np.diag([1.0, 3.0]), gradient_noise=0.1),
    "deep": ds.DeepLinearNetwork(np.diag([1.0, 2.0, 2.0]), (3,), label_noise=0.1),
}
RATES = (ALPHA, BATCH)
ASKED = {  # prediction: (arguments of the process, what follows them for the model)
    "fixed_point": ((), ()), "degenerate_groups": ((), ()), "drift": (("x",), RATES), "noise": (("x",), RATES),
    "relaxation_rates": ((), (ALPHA,)), "stationary_widths": ((), RATES), "mean_spacings": ((), RATES),
    "singular_value_widths": ((), RATES), "singular_value_spacings": ((), RATES), "max_learning_rate": ((), (BATCH,)),
    "mean_shift": ((), RATES), "weight_covariance": ((), RATES), "exact_two_by_two": ((), RATES),
    "relaxation": (([0, 7], "xi"), (ALPHA,)), "learning_curve": (([0, 7],), (ALPHA, 0.1)),
}  # fmt: skip


def answer(owner, name, arguments):
    try:
        return getattr(owner, name)(*arguments)
    except (NotImplementedError, AttributeError, ValueError) as error:
        return type(error), str(error)


def test_every_prediction_is_tried():
    assert set(ASKED) == {name for name in vars(Theory) if not name.startswith("_")}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ASKED)
def test_a_process_answers_for_its_model(name, model):
    model = MODELS[model]
    x = model.fixed_point() * np.linspace(0.9, 1.1, model.n)
    own, rates = ASKED[name]
    own = tuple({"x": x, "xi": np.sqrt(x)}.get(a, a) if isinstance(a, str) else a for a in own)
    others = (3 * r if r == BATCH else 2 * r for r in rates)
    expected, other = answer(model, name, (*own, *rates)), answer(model, name, (*own, *others))
    sgd = ds.SGD(model, ALPHA, BATCH)
    for process in (sgd, ds.Langevin(sgd), ds.Dyson(sgd).sgd, ds.CoulombGas(sgd).sgd):
        found = answer(process, name, own)
        if isinstance(expected, tuple) and expected[0] is AttributeError:  # which some models have
            assert found == (NotImplementedError, f"{type(model).__name__} states no prediction for {name}")
            continue
        assert str(found) == str(expected)
        if rates and not isinstance(expected, tuple):  # the control
            assert str(found) != str(other)


def test_a_model_of_ones_own_states_what_it_can():
    path = Path(__file__).parents[2] / "examples" / "my_own_model.py"
    spec = importlib.util.spec_from_file_location("my_own_model_and_theory", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their module up
    spec.loader.exec_module(module)
    sgd = ds.SGD(module.Decay(2 * np.eye(2), decay=0.5, gradient_noise=0.1), 0.1, 16)
    np.testing.assert_array_equal(sgd.singular_value_widths(), sgd.model.singular_value_widths(0.1, 16))
    x = np.ones(2)
    for name, (own, _) in ASKED.items():
        if name != "singular_value_widths":
            with pytest.raises(NotImplementedError, match=r"Decay states no prediction for \w+"):
                getattr(sgd, name)(*(x if isinstance(a, str) else a for a in own))


@pytest.mark.parametrize("name", ["drift", "noise"])
def test_bad_levels_are_named(name):
    with pytest.raises(ValueError, match=r"x has shape \(3,\): must be the 4 eigenvalues"):
        getattr(ds.SGD(MODELS["rbm"], ALPHA, BATCH), name)(np.ones(3))
