"""Bad input, one table for the whole library: the error's type, and a message that names argument, value, allowance.

(The models' own table, with all their arguments, is in test_models.py; laws and comparisons have theirs beside them.)
"""

from __future__ import annotations

import decimal
import math

import numpy as np
import pytest
from arguments import MODEL, ROWS, RUN, SGD, NeedsGradient, Tensor, inf, nan

import dysonsim as ds

OTHER = ds.SGD(MODEL, 0.06, 4)
DATA = np.random.default_rng(0).normal(size=100)
asymmetric, indefinite = [[1.0, 0.5], [0.0, 1.0]], [[1.0, 2.0], [2.0, 1.0]]


def sgd(**changes):
    return ds.SGD(**({"model": MODEL, "learning_rate": 0.05, "batch_size": 4} | changes))


def simulate(**changes):
    return ds.simulate(**({"process": SGD, "replicas": 2, "steps": 4} | changes))


def student(**changes):
    return ds.TeacherStudent(**({"teacher": 2 * np.eye(2), "gradient_noise": 0.1} | changes))


CASES = [
    # models
    (ValueError, ds.GaussianRBM, {"target": asymmetric, "mu": 3}, ["target", "symmetric", "0.5"]),
    (ValueError, ds.GaussianRBM, {"target": indefinite, "mu": 3}, ["target", "positive definite", "-1"]),
    (ValueError, ds.GaussianRBM, {"target": [[1.0, nan], [nan, 1.0]], "mu": 3}, ["target", "nan", "finite"]),
    (ValueError, ds.GaussianRBM, {"target": np.eye(2)[:1], "mu": 3}, ["target", "(1, 2)", "square"]),
    (ValueError, ds.GaussianRBM, {"target": np.empty((0, 0)), "mu": 3}, ["target", "(0, 0)", "non-empty"]),
    (TypeError, ds.GaussianRBM, {"target": "ring", "mu": 3}, ["target", "real matrix"]),
    (ValueError, ds.GaussianRBM, {"target": 4 * np.eye(2), "mu": 2}, ["mu", "2", "exceed"]),
    (ValueError, ds.GaussianRBM, {"target": np.eye(2), "mu": -1}, ["mu", "-1", "> 0"]),
    (ValueError, ds.GaussianRBM, {"target": np.eye(2), "mu": 3, "sigma": 0}, ["sigma", "0", "> 0"]),
    (ValueError, ds.GaussianRBM, {"target": np.eye(2), "mu": 3, "gibbs_steps": 0}, ["gibbs_steps", "0", ">= 1"]),
    (ValueError, ds.GaussianRBM, {"target": np.eye(2), "mu": 3, "n_hidden": 0}, ["n_hidden", "0", ">= 1"]),
    (ValueError, ds.GaussianRBM, {"target": np.eye(2), "mu": 3, "sampling": "all"}, ["sampling", "'all'", "at_once"]),
    (ValueError, ds.GaussianRBM.scalar_field, {"n_visible": 1, "mass": 2, "mu": 3}, ["n_visible", "1", ">= 2"]),
    (ValueError, ds.GaussianRBM.scalar_field, {"n_visible": 4, "mass": inf, "mu": 3}, ["mass", "inf", "finite"]),
    (ValueError, student, {"teacher": [1.0, 2.0]}, ["teacher", "(2,)", "matrix"]),
    (ValueError, student, {"teacher": [[1.0, inf]]}, ["teacher[0, 1]", "inf", "finite"]),
    (ValueError, student, {"gradient_noise": -0.1}, ["gradient_noise", "-0.1", ">= 0"]),
    (ValueError, student, {"label_noise": nan}, ["label_noise", "nan", "finite"]),
    (ValueError, student, {"dataset_size": 0}, ["dataset_size", "0", ">= 1"]),
    (ValueError, ds.LinearNetwork, {"teacher": np.eye(2), "output_layer": np.eye(3)}, ["output_layer", "(3, 3)", "2"]),
    (TypeError, student, {"teacher": 1j * np.eye(2)}, ["teacher", "complex", "real"]),
    (TypeError, student, {"teacher": np.ma.masked_equal(np.eye(2), 0)}, ["teacher", "masked", "real"]),
    (TypeError, student, {"teacher": np.eye(2) > 0}, ["teacher", "bool", "real"]),
    # SGD
    (TypeError, sgd, {"model": "rbm"}, ["model", "'rbm'", "GaussianRBM"]),
    (ValueError, sgd, {"learning_rate": 0}, ["learning_rate", "0", "> 0"]),
    (ValueError, sgd, {"learning_rate": nan}, ["learning_rate", "nan", "finite"]),
    (TypeError, sgd, {"learning_rate": "fast"}, ["learning_rate", "'fast'", "number"]),
    (ValueError, sgd, {"batch_size": 0}, ["batch_size", "0", ">= 1"]),
    (TypeError, sgd, {"batch_size": 1.5}, ["batch_size", "1.5", "integer"]),
    (ValueError, sgd, {"batch_size": 2**70}, ["batch_size", str(2**70), "2**63"]),
    (ValueError, sgd, {"learning_rate": 10**400}, ["learning_rate", "finite", "too large"]),
    (TypeError, sgd, {"learning_rate": np.True_}, ["learning_rate", "True", "number"]),
    (MemoryError, simulate, {"process": ds.SGD(MODEL, 0.05, 2**40)}, ["GiB", "available"]),
    (ValueError, sgd, {"init_scale": -1}, ["init_scale", "-1", ">= 0"]),
    (ValueError, sgd, {"model": student(dataset_size=10)}, ["batch_size", "4", "dataset_size = 10"]),
    # simulate
    (TypeError, simulate, {"process": MODEL}, ["process", "GaussianRBM", "SGD"]),
    (ValueError, simulate, {"replicas": 0}, ["replicas", "0", "1"]),
    (TypeError, simulate, {"replicas": 2.0}, ["replicas", "2.0", "integer"]),
    (TypeError, simulate, {"replicas": True}, ["replicas", "True", "integer"]),
    (MemoryError, simulate, {"replicas": 2**32 - 1}, ["replicas", "4294967295", "GiB", "available"]),
    (ValueError, simulate, {"replicas": 2**32}, ["replicas", "4294967296"]),
    (ValueError, simulate, {"steps": 0}, ["steps", "0", "1"]),
    (ValueError, simulate, {"steps": -3}, ["steps", "-3", "1"]),
    (ValueError, simulate, {"steps": 2**32}, ["steps", "4294967296"]),
    (ValueError, simulate, {"seed": -1}, ["seed", "-1", "0"]),
    (ValueError, simulate, {"seed": 2**64}, ["seed", str(2**64)]),
    (ValueError, simulate, {"record_every": 0}, ["record_every", "0", "from 1 to 4"]),
    (ValueError, simulate, {"record_every": 5}, ["record_every", "5", "from 1 to 4"]),
    (ValueError, simulate, {"record_steps": [1, 5]}, ["record_steps", "5", "from 0 to 4"]),
    (ValueError, simulate, {"record_steps": [-1]}, ["record_steps", "-1", "from 0 to 4"]),
    (ValueError, simulate, {"record_steps": []}, ["record_steps", "empty"]),
    (TypeError, simulate, {"record_steps": 5}, ["record_steps", "5", "sequence"]),
    (TypeError, simulate, {"record_steps": [1.5]}, ["record_steps", "1.5", "integer"]),
    (ValueError, simulate, {"record_steps": [1], "record_every": 1}, ["record_every", "record_steps"]),
    (ValueError, simulate, {"dtype": "float16"}, ["dtype", "float16", "float32"]),
    (ValueError, simulate, {"device": "tpu"}, ["device", "tpu", "cuda"]),
    (ValueError, simulate, {"threads": 0}, ["threads", "0", ">= 1"]),
    (TypeError, simulate, {"keep_weights": "yes"}, ["keep_weights", "'yes'", "True or False"]),
    (TypeError, simulate, {"progress": 1}, ["progress", "1", "True, False or None"]),
    (TypeError, simulate, {"resume": "run.npz"}, ["resume", "run.npz", "Run"]),
    (ValueError, simulate, {"resume": RUN, "steps": 8, "replicas": 10, "seed": 2}, ["seed", "2", "1"]),
    (ValueError, simulate, {"resume": RUN, "steps": 8, "replicas": 9, "seed": 1}, ["replicas", "9", "10"]),
    (ValueError, simulate, {"resume": RUN, "steps": 4, "replicas": 10, "seed": 1}, ["steps", "4"]),
    (ValueError, simulate, {"resume": RUN, "process": OTHER, "steps": 8, "replicas": 10}, ["resume", "0.06"]),
    # Run
    (ValueError, RUN.record, {"time": 3}, ["step", "3", "4"]),
    (ValueError, RUN.spacings, {"group": (1,)}, ["group", "(1,)", "two or more"]),
    (ValueError, RUN.spacings, {"group": (3, 1)}, ["group", "(3, 1)", "ascending"]),
    (ValueError, RUN.spacings, {"group": (3, 4)}, ["group", "(3, 4)", "0 to 3"]),
    (TypeError, RUN.spacings, {"group": None}, ["group", "None", "tuple"]),
    (ValueError, RUN.spacings, {"group": (0, 1), "record": 1}, ["record", "1", "-1 to 0"]),
    (ValueError, ds.Run.load, {"path": __file__, "process": SGD}, ["path", "Run.save"]),
    (ValueError, ds.memory_needed, {"process": SGD, "replicas": -1}, ["replicas", "-1"]),
    (ValueError, ds.singular_values, {"weights": [1.0, 2.0]}, ["weights", "(2,)", "(..., p, n)"]),
    (ValueError, ds.mean_and_error, {"values": [1.0]}, ["values", "(1,)", "two or more"]),
    # comparison
    (ValueError, ds.compare, {"data": [], "reference": ds.laws.Normal}, ["data"]),
    (ValueError, ds.compare, {"data": [*DATA, nan], "reference": ds.laws.Normal}, ["data", "nan"]),
    (TypeError, ds.compare, {"data": DATA, "reference": "normal"}, ["reference", "normal", "law"]),
    (ValueError, ds.compare, {"data": DATA, "reference": ds.laws.Normal, "method": "chi2"}, ["method", "chi2", "ks"]),
    (ValueError, ds.laws.WignerSurmise, {"beta": 3}, ["beta", "3"]),
    (ValueError, ds.laws.TwoLevel, {"loc": 0, "scale": 0}, ["scale", "0"]),
    (ValueError, ds.scaling_fit, {"x": [1, 2], "y": [1], "yerr": [1, 1]}, ["y"]),
    # weights of a training
    (ValueError, ds.compare, {"data": [[1.0, 2.0, 3.0]], "reference": ds.laws.Normal}, ["(1, 3)", "dysonsim.examine"]),
    (ValueError, ds.examine, {"weights": np.eye(9), "draws": 9}, ["draws", "9", "level", "99"]),
    (ds.DivergenceError, ds.examine, {"weights": {"fc": np.full((9, 9), nan)}}, ["fc", "nan"]),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_bad_input_names_argument_value_and_what_is_allowed(case):
    error, function, arguments, words = CASES[case]
    with pytest.raises(error) as caught:
        function(**arguments)
    assert type(caught.value) is error
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{caught.value!s} lacks {missing}"


def test_what_are_numbers_is_taken():
    """Negative control: the gate lets in what it should, in every form."""
    expected = ds.laws.Normal.fit([1.0, 2.0, 4.0])
    for data in ((1, 2, 4), np.array([1, 2, 4], np.uint8), np.array([1, 2, 4], ">f4"), Tensor([1.0, 2.0, 4.0]),
                 np.array([[1.0, 2.0, 4.0]]), np.longdouble([1, 2, 4]), np.float16([1, 2, 4])):  # fmt: skip
        assert ds.laws.Normal.fit(data) == expected
    unaligned = np.frombuffer(b"x" + np.array([1.0, 2.0, 4.0]).tobytes(), np.uint8)[1:].view(np.float64)
    assert not unaligned.flags.aligned
    assert ds.laws.Normal.fit(unaligned) == expected
    for number in (2, 2.0, np.float32(2), np.array(2.0), decimal.Decimal(2), Tensor(2.0), np.int8(2)):
        assert ds.laws.Normal(0, number).scale == 2.0
    for count in (3, np.int64(3), np.array(3), Tensor(3)):
        assert ds.Dyson(n=count).n == 3


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ds.JacobiProcess(0, 0, initial=[0.2, 1.0000000000000002]), ["initial", "1.0000000000000002"]),
        (lambda: ds.LaguerreProcess(m=2.333333, n=2, beta=0.75), ["m = 2.333333", ">= 2.333333333333333"]),
        (lambda: ds.GaussianRBM(np.eye(2), mu=0.99999999), ["mu = 0.99999999", "0.9999999"]),
        (lambda: ds.repulsion([1.0, 2.0], tolerance=1.0000000001e-4), ["tolerance = 0.00010000000001", "0.0001"]),
        (lambda: ds.CoulombGas.laguerre(2, 1, 1.0), ["m = 1", "> 1"]),
        (lambda: ds.laws.SpacingRatio(-1e-300), ["beta = -1e-300", ">= 0"]),
        (lambda: ds.singular_values([[nan, 1], [1, 1]]), ["weights[0, 0] = nan", "finite"]),
        (lambda: ds.mean_and_error([[1.0, 2.0]] * 3, axis=5), ["axis = 5", "-2 to 1"]),
        (lambda: RUN.spacings((0.0, 1.5)), ["group", "0 to 3"]),
        (lambda: ds.memory_needed(None, 1), ["process", "None", "SGD"]),
        (lambda: ds.compare(1e160 * ROWS, ds.laws.Normal), ["data[0, 0]", "1e100", "units"]),
        (lambda: ds.compare(1e-160 * ROWS, ds.laws.Normal), ["data", "1e-100", "units"]),
        (lambda: ds.laws.Normal.fit(NeedsGradient()), ["data", "gradient", ".detach()"]),
    ],
)
def test_messages_show_what_is_wrong(make, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{caught.value!s} lacks {missing}"


def test_extreme_units_change_nothing_but_the_units():
    """What is the same in all units is so where squares would overflow or vanish."""
    chains = np.random.default_rng(20).normal(size=(4, 50))
    points = np.arange(1.0, 6.0)
    mean, error = ds.mean_and_error(ROWS)
    fit = ds.scaling_fit(points, points**1.1, 0.1 * points, trend=points)
    for unit in (2.0**600, 2.0**-600, 2.0**1000):
        for name in ("autocorrelation_time", "r_hat", "acceptance"):
            function = getattr(ds.diagnostics, name)
            assert function(unit * chains) == function(chains)
        scaled = ds.mean_and_error(unit * ROWS)
        np.testing.assert_array_equal(scaled[0], unit * mean)
        np.testing.assert_array_equal(scaled[1], unit * error)
        other = ds.scaling_fit(points, unit * points**1.1, unit * 0.1 * points, trend=points)
        assert other.trend.slope == pytest.approx(unit * fit.trend.slope, rel=1e-12)
        assert other.trend.coefficient_error == pytest.approx(fit.trend.coefficient_error, rel=1e-12)
        assert other.chi2 == pytest.approx(fit.chi2, rel=1e-12)
    assert math.isfinite(error.max())


EXTREME = [1e-300, *[1.0] * 20, 1e300]


@pytest.mark.parametrize(("call", "words"), [
    (lambda: ds.scaling_fit(EXTREME, EXTREME, EXTREME), "x, yerr: from .* differ too much in size"),
    (lambda: ds.laws.MarchenkoPasturSingular.fit(np.arange(1, 50) * 1e-200), "data .* squares vanish"),
    (lambda: ds.laws.MarchenkoPasturSingular.fit(np.arange(50) * 5e-324), "data .* squares vanish"),
])  # fmt: skip
def test_sizes_that_leave_nothing_to_fit(call, words):
    with pytest.raises(ValueError, match=words) as caught:
        call()
    assert type(caught.value) is ValueError  # not numpy.linalg.LinAlgError, which is one


@pytest.mark.parametrize("more", [{"rate": 5e-324}, {"initial": [0, 1e139, 2e139], "noise": 1e-139}])
def test_the_step_for_gaps_of_extreme_sizes_is_a_number(more):
    assert ds.Dyson(n=3, beta=1.5, **more).gap_step > 0


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_what_a_random_state_may_be():
    """A matrix of numbers recurses in NumPy until Python crashes, also within a list."""
    law = ds.laws.Normal(0.0, 1.0)
    expected = law.rvs(2, random_state=[1, 2])
    for value in ((1, 2), np.array([1, 2]), np.random.default_rng([1, 2]), np.random.SeedSequence([1, 2])):
        np.testing.assert_array_equal(law.rvs(2, random_state=value), expected)
    np.testing.assert_array_equal(law.rvs(2, random_state=np.int8(3)), law.rvs(2, random_state=3))
    assert law.rvs(random_state=10**40) != law.rvs(random_state=None)
    for value in (np.matrix([1.0, 2.0]), [np.matrix([1, 2])], np.array([[1, 2]]), 1.0, "a", [1.0], -1, True):
        with pytest.raises(TypeError, match=r"random_state = .*must be None, an integer"):
            law.rvs(2, random_state=value)


class Endless:
    def __len__(self):
        return 10**12

    def __getitem__(self, i):
        return 1.0


@pytest.mark.parametrize("data", [Endless(), np.broadcast_to(1.0, (10**7, 10**7))])
def test_what_fits_into_no_memory_is_named(data):
    with pytest.raises(MemoryError, match=r"data (is Endless|has shape)"):
        ds.laws.Normal.fit(data)
