"""Bad input, one table for the whole library: the error's type, and a message that names argument, value, allowance.

(The models' own table, with all their arguments, is in test_models.py; laws and comparisons have theirs beside them.)
Then every argument of every public function is given every value that no argument takes, and numbers at the edge of
floating point: what comes back is a result without NaN, or an error that names the argument.
"""

from __future__ import annotations

import decimal
import importlib.util
import itertools
import math
import re
import types
import warnings
from datetime import date, timedelta

import numpy as np
import pytest

import dysonsim as ds

MODEL = ds.GaussianRBM.scalar_field(4, mass=1.5, mu=2.8)
SGD = ds.SGD(MODEL, 0.05, 4)
OTHER = ds.SGD(MODEL, 0.06, 4)
RUN = ds.simulate(SGD, replicas=10, steps=4, seed=1)
DATA = np.random.default_rng(0).normal(size=100)
TORCH = importlib.util.find_spec("torch") is not None
nan, inf = float("nan"), float("inf")
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


class Raises:
    """Of a class of the user, where everything goes wrong."""

    def __float__(self):
        raise KeyError("float")

    __array__ = __index__ = __repr__ = __float__


class NeedsGradient:
    """What torch does with a tensor that requires a gradient."""

    requires_grad = True

    def __array__(self, *args, **kwargs):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")


class Bfloat16:
    """What torch does with a tensor of a type that NumPy lacks."""

    requires_grad = False

    def __array__(self, *args, **kwargs):
        raise TypeError("Got unsupported ScalarType BFloat16")

    def __float__(self):
        return 1.0


class Tensor:
    """What torch does with a tensor on the CPU without a gradient."""

    requires_grad = False

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, *args, **kwargs):
        return self.values


MASKED = np.ma.array([1.0, 2.0], mask=[False, True])
# What no number, and no array of numbers, is: by name, so that an argument can be exempt.
WRONG = {
    "str": "3", "bytes": b"3", "bytearray": bytearray(b"3"), "array of str": np.array("3"), "word": "word",
    "True": True, "np.True_": np.True_, "list with True": [True, 1.5], "array of bool": np.array([True, False]),
    "1j": 1j, "1 + 0j": 1 + 0j, "np.complex128": np.complex128(1), "list with 1j": [1j, 2.0],
    "array of complex": np.ones((10, 3), complex), "0-d complex": np.array(1 + 1j),
    "nan": nan, "inf": inf, "[nan]": [nan], "[[nan, 1]]": [[nan, 1.0], [1.0, 1.0]],
    "inf in 3-d": np.full((8, 4, 2), inf),
    "Decimal nan": decimal.Decimal("nan"), "signaling nan": decimal.Decimal("snan"),
    "masked": np.ma.masked, "masked array": MASKED, "list of masked": [MASKED, MASKED], "mask of none": MASKED[:1],
    "timedelta": timedelta(1), "timedelta64": np.timedelta64(3, "s"), "datetime64": np.datetime64("2020"),
    "date": date(2020, 1, 1), "array of times": np.array([1, 2], "m8[s]"),
    "ragged": [1, [2, 3]], "ragged rows": [[1.0], [2.0, 3.0]], "[]": [], "[[]]": [[]], "(0, 3)": np.empty((0, 3)),
    "dict": {"a": 1}, "set": {1, 2}, "object": object(), "class": int, "...": ...,
    "count": itertools.count(), "generator": (1 for _ in itertools.count()), "endless range": range(10**40),
    "10**400": 10**400, "10**5000": 10**5000, "longdouble": np.longdouble("1e4000"),
    "structured": np.zeros(3, "i4,f4"), "objects": np.array([None, 1], object),
    "raises": Raises(), "requires grad": NeedsGradient(), "bfloat16": Bfloat16(),
}  # fmt: skip
FLAG = {"True", "np.True_"}
SEEDS = {"[]", "[[]]", "(0, 3)", "ragged", "10**400", "10**5000"}  # what numpy.random.default_rng takes, too
EVALUATED = {"nan", "inf", "[nan]", "[[nan, 1]]", "inf in 3-d", "[]", "[[]]", "(0, 3)"}  # where a law is evaluated

HUGE, TINY = 1e300, 1e-300
EDGES = [0, -1, -0.5, 1.5, 1e308, -1e308, 1e200, 1e-200, 5e-324, 2**63, 2**64, 10**12, 1e16, HUGE, -HUGE, TINY]

RNG = np.random.default_rng(20)
ROWS, POSITIVE = RNG.normal(size=(20, 3)), np.abs(RNG.normal(size=60)) + 0.01
ONE_LAYER = {"singular_values": np.sort(np.random.default_rng(21).normal(size=(96, 2))) + 10, "steps": np.arange(96),
             "kicks": None, "learning_rate": 0.1}  # fmt: skip
RECORDINGS = tuple({"fc": types.SimpleNamespace(**ONE_LAYER, batch_size=b)} for b in (4, 8, 16))
PATHS = np.sort(np.cumsum(RNG.normal(size=(10, 6, 2)), axis=1), axis=2)
TEACHER = ds.TeacherStudent(np.diag([1.0, 2.0, 2.0]), gradient_noise=0.1)
DEEP = ds.DeepLinearNetwork(np.diag([1.0, 2.0]), (2,), label_noise=0.1)
DEEP_RUN = ds.simulate(ds.SGD(DEEP, 0.01, 4), 8, 2, 1, keep_weights=True, device="numpy")
LINEAR = ds.LinearNetwork(2 * np.eye(2), output_layer=np.diag([1.0, 1.5]), gradient_noise=0.1, label_noise=0.1)
LAWS = {
    ds.laws.Normal: {"loc": 0.0, "scale": 1.0},
    ds.laws.TwoLevel: {"loc": 0.0, "scale": 1.0},
    ds.laws.TwoSpecies: {"loc": 0.0, "scale1": 1.0, "scale2": 2.0},
    ds.laws.SymmetricTwoByTwo: {"loc": 0.0, "std11": 1.0, "std22": 2.0, "std12": 0.5},
    ds.laws.Semicircle: {"loc": 0.0, "radius": 2.0},
    ds.laws.MarchenkoPastur: {"ratio": 0.5, "variance": 1.0},
    ds.laws.MarchenkoPasturSingular: {"ratio": 2.0, "variance": 1.0},
    ds.laws.WignerSurmise: {"beta": 1, "scale": 1.0},
    ds.laws.BulkSpacing: {"beta": 2, "scale": 1.0},
    ds.laws.TracyWidom: {"beta": 2, "loc": 0.0, "scale": 1.0},
    ds.laws.GaussianEnsembleDensity: {"n": 3, "beta": 2, "loc": 0.0, "scale": 1.0},
    ds.laws.SpacingRatio: {"beta": 1.0},
    ds.laws.UnfoldedSpacingRatio: {"beta": 1.0},
}


def surface_of_laws():
    """(function, arguments, labels of WRONG that are right for an argument)."""
    for cls, parameters in LAWS.items():
        law = cls(**parameters)
        yield cls, parameters, {}
        yield law.replace, parameters, {}
        for method in (law.pdf, law.logpdf, law.cdf, law.sf):
            yield method, {"x": POSITIVE[:3]}, {"x": EVALUATED}
        for method in (law.ppf, law.isf):
            yield method, {"q": [0.1, 0.9]}, {"q": EVALUATED}
        yield law.loglikelihood, {"data": POSITIVE}, {}
        choices = {name: value for name, value in parameters.items() if name not in cls.shape}
        yield cls.fit, {"data": POSITIVE} | choices, {}
        yield law.rvs, {"size": 3, "random_state": 1}, {"size": {"[]"}, "random_state": SEEDS}
    yield ds.laws.TwoSpecies(0, 1, 2).pdf_species, {"x": [1.0], "species": 1}, {"x": EVALUATED}
    gases = {"hermite": {}, "laguerre": {"m": 4.0}, "jacobi": {"a": 0.0, "b": 0.0}}
    for ensemble, more in gases.items():
        more = {"beta": 1.0, "ensemble": ensemble, "scale": 1.0} | more
        yield ds.laws.gas_log_density, {"x": [0.1, 0.2, 0.3]} | more, {"x": EVALUATED - {"[]", "[[]]"}}
        yield ds.laws.gas_log_normalization, {"n": 3} | more, {}
    yield ds.laws.Semicircle.for_gas, {"n": 3, "beta": 1.0, "width": 1.0, "loc": 0.0}, {}
    yield ds.laws.TracyWidom.for_gas, {"n": 3, "beta": 1, "width": 1.0, "loc": 0.0}, {}


def surface_of_models():
    rates = {"learning_rate": 0.01, "batch_size": 16}
    rbm = {"target": 2 * np.eye(3), "mu": 3.0, "sigma": 1.0, "gibbs_steps": 2, "n_hidden": 3, "sampling": "auto"}
    yield ds.GaussianRBM, rbm | {"allow_unreachable": False}, {"allow_unreachable": FLAG, "gibbs_steps": {"inf"}}
    yield (
        ds.GaussianRBM.scalar_field,
        {"n_visible": 4, "mass": 1.5, "mu": 2.8, "sigma": 1.0, "gibbs_steps": 3},
        {"gibbs_steps": {"inf"}},
    )
    noises = {"gradient_noise": 0.1, "label_noise": 0.1, "dataset_size": 100, "sampling": "auto"}
    yield ds.TeacherStudent, {"teacher": 2 * np.eye(2)} | noises, {}
    yield ds.LinearNetwork, {"teacher": 2 * np.eye(2), "output_layer": np.eye(2)} | noises, {}
    deep = {"label_noise": 0.1, "gradient_noise": 0.1, "product_noise": 0.1, "init": "small"}
    yield ds.DeepLinearNetwork, {"teacher": 2 * np.eye(2)} | {"widths": (2, 3)} | deep, {"widths": {"[]"}}
    for name in ("product_variances", "layer_widths", "balancing_rate", "singular_value_shift", "weight_covariance"):
        further = {"layer": 0} if name == "layer_widths" else {}
        yield getattr(DEEP, name), rates | further, {}
    yield ds.balancedness, {"run": DEEP_RUN}, {}
    yield DEEP.learning_curve, {"steps": [1, 2], "learning_rate": 0.01, "init_scale": 0.1}, {}
    yield DEEP.half_times, {"learning_rate": 0.01, "init_scale": 0.1}, {}
    for model in (MODEL, TEACHER, LINEAR):
        levels = model.fixed_point()
        for method in (model.drift, model.noise):
            yield method, {"x": levels} | rates, {}
        for name in ("gaussian_error", "stationary_widths", "mean_spacings", "stability", "kernel", "large_kernel"):
            yield getattr(model, name), rates, {}
        for name in ("singular_value_widths", "singular_value_spacings"):
            yield getattr(model, name), rates, {}
        yield model.dyson_terms, rates | {"closure": "corrected"}, {}
        yield model.langevin_kernel, rates | {"correlated": False}, {"correlated": FLAG}
        yield model.relaxation_rates, {"learning_rate": 0.01}, {}
        yield model.max_learning_rate, {"batch_size": 16}, {}
        yield model.check_batch_size, {"batch_size": 16}, {}
        yield model.is_defined, {"singular_values": levels}, {"singular_values": EVALUATED}
    yield MODEL.mean_shift, rates, {}
    yield MODEL.to_lambda, {"x": [0.1, 0.2]}, {"x": {"[]", "[[]]", "(0, 3)"}}
    yield LINEAR.relaxation, {"steps": [1, 2], "singular_values": [1.0, 1.0], "learning_rate": 0.01}, {}
    yield LINEAR.weight_covariance, rates, {}
    yield LINEAR.exact_two_by_two, rates, {}


def surface_of_processes():
    yield ds.SGD, {"model": MODEL, "learning_rate": 0.05, "batch_size": 4, "init_scale": 0.1}, {}
    heavy = {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}
    yield (
        ds.SGD,
        {"model": MODEL, "learning_rate": 0.05, "batch_size": 4, "init_scale": 0.1} | heavy,
        {"nesterov": FLAG},
    )
    yield ds.Adam, {"model": MODEL, "learning_rate": 0.05, "batch_size": 4, "init_scale": 0.1, "beta1": 0.9,
                    "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}, {}  # fmt: skip
    yield ds.Langevin, {"sgd": SGD, "correlated": True}, {"correlated": FLAG}
    yield ds.Langevin.of, {"model": MODEL, "learning_rate": 0.05, "batch_size": 4, "init_scale": 0.1}, {}
    yield ds.Dyson, {"n": 3, "beta": 1.0, "rate": 1.0, "center": 0.0, "noise": 1.0, "dt": 0.1, "scheme": "pairs"}, {}
    yield ds.Dyson, {"n": 3, "beta": 2.0, "rate": np.ones(3), "center": np.zeros(3), "noise": np.ones(3),
                     "initial": [1.0, 2.0, 3.0], "tolerance": 0.1, "scheme": "pairs"}, {}  # fmt: skip
    yield ds.Dyson, {"sgd": SGD, "closure": "corrected", "dt": 0.1}, {}
    yield ds.LaguerreProcess, {"m": 5.0, "beta": 1.0, "rate": 1.0, "noise": 1.0, "initial": [1.0, 2.0], "n": 2,
                               "scheme": "auto", "dt": 0.1}, {}  # fmt: skip
    jacobi = {"a": 0.0, "b": 0.0, "beta": 1.0, "noise": 1.0, "initial": [0.1, 0.2], "n": 2, "dt": 0.01}
    yield ds.JacobiProcess, jacobi, {}
    wells = {"beta": 1.0, "n": 3, "centers": np.zeros(3), "widths": np.ones(3), "method": "auto", "ensemble": "wells"}
    yield ds.CoulombGas, wells, {}
    yield ds.CoulombGas, {"beta": 1.0, "n": 3, "walls": (0.0, None)}, {}
    yield ds.CoulombGas, {"sgd": SGD, "method": "auto"}, {}
    yield ds.CoulombGas.hermite, {"n": 3, "beta": 1.0, "width": 1.0, "center": 0.0, "method": "auto"}, {}
    yield ds.CoulombGas.laguerre, {"n": 3, "m": 4.0, "beta": 1.0, "width": 1.0, "method": "auto"}, {}
    yield ds.CoulombGas.jacobi, {"n": 3, "a": 0.0, "b": 0.0, "beta": 1.0, "method": "auto"}, {}


def surface_of_functions():
    keep = {"keep_weights": FLAG}
    yield ds.memory_needed, {"process": SGD, "replicas": 10, "records": 1, "keep_weights": False}, keep
    yield RUN.record, {"time": 4}, {}
    yield RUN.spacings, {"group": (0, 1), "record": -1, "observable": "eigenvalues"}, {"observable": FLAG}
    words = {"str", "word"}
    one = {"name": "roots", "of": np.sqrt, "among": np.diff, "least": 2, "symbol": "x"}
    yield ds.Observable, one, {"name": words, "symbol": words}
    yield RUN.spacings, {"group": (0, 1), "singular": False}, {"singular": FLAG}
    yield ds.mean_and_error, {"values": ROWS, "axis": 0}, {}
    for shape in ((4, 2, 2), (4, 3, 3)):
        yield ds.singular_values, {"weights": RNG.normal(size=shape)}, {"weights": {"[[]]", "(0, 3)"}}
    yield ds.repulsion, {"levels": [0.0, 1.0, 3.0], "method": "direct", "tolerance": 1e-8, "threads": 1}, {}
    chains = {"chains": RNG.normal(size=(3, 20))}
    for name in ("autocorrelation", "autocorrelation_time", "effective_sample_size", "acceptance"):
        yield getattr(ds.diagnostics, name), chains, {}
    yield ds.diagnostics.r_hat, chains | {"ranked": True}, {"ranked": FLAG}
    points = np.arange(1.0, 6.0)
    measured = {"x": points, "y": points + 0.1, "yerr": np.full(5, 0.1)}
    yield ds.scaling_fit, measured | {"trend": points, "prediction": 1.0}, {}
    law, other = ds.laws.Normal(0, 1), ds.laws.Normal(0, 1.1)
    yield ds.compare, {"data": ROWS, "reference": law, "fit": "all", "method": "ks", "resamples": 9, "seed": 0}, {}
    yield ds.compare, {"data": RUN, "reference": law, "levels": [0, 1], "record": -1, "resamples": 9}, {}
    yield ds.compare, {"data": ROWS, "reference": ROWS[::-1] + 0.1, "resamples": 9}, {}
    yield ds.likelihood_ratio, {"data": ROWS, "law_a": law, "law_b": other, "fit_a": "all"}, {}
    paths = {"data": PATHS, "times": np.arange(6.0), "group": (0, 1), "observable": "eigenvalues"}
    yield ds.estimate_dynamics, paths | {"records": [0, 1, 2], "lag": 1, "points": 5, "window": 1.0, "beta": 1.0}, {}
    walk = np.sin(np.arange(400.0) / 9)[:, None] + [0.0, 40.0]
    path = {"data": walk, "times": np.arange(400.0), "group": (0,)}
    yield ds.estimate_dynamics, path | {"pieces": 8}, {}
    yield ds.fluctuations, {"recording": RECORDINGS[0], "layer": "fc", "records": list(range(96)), "pieces": 8}, {}
    yield ds.scaling_rule, {"recordings": RECORDINGS, "layer": "fc", "records": slice(None), "pieces": 8}, {}
    w, paths = np.random.default_rng(1).normal(size=(12, 9)), {"str", "word"}
    tested = {"weights": w, "initial": w[::-1], "null": "auto", "draws": 9, "level": 0.1, "seed": 0}
    yield ds.examine, tested, {"weights": paths, "initial": paths}
    yield ds.spikes, {"weights": w, "variance": 1.0, "level": 0.01}, {"weights": paths}
    how = {"replicas": 8, "seed": 0, "dtype": "float64", "device": "cpu", "threads": 1}
    what = {"sgd": SGD, "levels": ("sgd", "langevin"), "closure": "corrected", "settle": 9, "records": 3, "path": 2,
            "observable": "eigenvalues", "resamples": 9, "given": {}}  # fmt: skip
    yield ds.check, {"model": TEACHER, "learning_rate": 0.05, "batch_size": 4, "seed": 0}, {}
    yield ds.stationary, {"process": ds.SGD(LINEAR, 0.05, 4), "start": np.ones(4), "seed": 0}, {}
    yield ds.hierarchy, how | what, {"path": {"[]", "dict", "set"}, "given": set()}
    network = {"source": {"a": np.eye(4), "b": np.eye(2)}, "layers": "a", "skip": "b", "split": {"a": 2}}
    yield ds.read_weights, network, {"skip": words | {"[]", "set", "dict"}, "split": {"dict"}}
    recorded = {"process": SGD, "steps": 4, "record_every": 2, "keep_weights": False, "progress": False}
    yield ds.simulate, how | recorded | {"first_replica": 3}, keep | {"progress": {"True"}}
    rates = {"function": trained, "points": {"learning_rate": [0.05]}, "measure": "eigenvalues", "common": False}
    yield ds.scan, how | rates | {"steps": 4, "piece": 4, "on_error": "raise", "client": None, "progress": False}, {
        "progress": {"True"}, "common": FLAG,
    }  # fmt: skip


def trained(learning_rate):
    return ds.SGD(MODEL, learning_rate, 4)


def surface_of_training():
    yield ds.load_recording, {"path": "none"}, {"path": {"str", "word"}}
    if TORCH:
        import torch

        model = torch.nn.Linear(3, 2)
        numbers = {"every": 10, "top": 2, "batch_size": 4, "resume": False}
        none = dict.fromkeys(("path", "sampling", "optimizer", "on_record"))
        right = {"kicks": FLAG, "path": {"str", "word"}, "on_record": {"class"}}
        yield ds.watch, {"model": model, "layers": "weight", "kicks": True} | numbers | none, right


def label(function):
    owner = getattr(function, "__self__", None)
    owner = owner.__name__ if isinstance(owner, type) else type(owner).__name__
    return function.__name__ if owner in ("NoneType", "module") else f"{owner}.{function.__name__}"


SURFACE = [*surface_of_models(), *surface_of_processes(), *surface_of_functions(), *surface_of_training()]
SLOW = (ds.check, ds.stationary, ds.hierarchy, ds.simulate, ds.load_recording, ds.scan)
QUICK = [case for case in SURFACE if case[0] not in SLOW]  # which run what they are given
WITH_LAWS = [*surface_of_laws(), *SURFACE]


def outcome(function, arguments, name):
    """What is wrong with a call whose argument `name` may be bad, and whether it was refused as it should be."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = function(**arguments)
        except (TypeError, ValueError, MemoryError) as error:
            named = re.search(rf"\b({name})\b", str(error))
            return "" if named else f"{type(error).__name__} does not name it: {error}", True
        except (NotImplementedError, ds.DivergenceError, ds.MixingError):
            return "", True
        except Exception as error:
            return f"raw {error!r}", True
    numpy = [str(w.message) for w in caught if "encountered in" in str(w.message) or "Degrees of" in str(w.message)]
    if numpy:
        return f"NumPy warns: {numpy[0]}", False
    numbers = result if isinstance(result, tuple) else (result,)
    none = any(isinstance(x, (float, np.ndarray)) and np.isnan(x).any() for x in numbers)
    return "NaN" if none else "", False


@pytest.mark.parametrize("case", range(len(WITH_LAWS)), ids=lambda case: label(WITH_LAWS[case][0]))
def test_what_is_no_number_is_refused_by_name(case):
    function, arguments, right = WITH_LAWS[case]
    found = []
    for name in arguments:
        for kind, value in WRONG.items():
            if kind in right.get(name, ()):
                continue
            problem, refused = outcome(function, arguments | {name: value}, name)
            if problem or not refused:
                found.append(f"{name} = {kind}: {problem or 'is taken'}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("case", range(len(QUICK)), ids=lambda case: label(QUICK[case][0]))
def test_numbers_at_the_edge_give_a_result_or_an_error(case):
    """One argument at an edge, or several of them."""
    function, arguments, _ = QUICK[case]
    rng, found = np.random.default_rng(case), []
    numeric = [n for n, v in arguments.items() if type(v) in (int, float, list, np.ndarray)]
    tries = [{name: edge} for name in numeric for edge in EDGES]
    for _ in range(20 if numeric else 0):
        some = rng.permutation(numeric)[: rng.integers(1, 4)]
        tries.append({str(name): EDGES[rng.integers(len(EDGES))] for name in some})
    for changes in tries:
        arrays = {n: np.asarray(arguments[n]) for n in changes if np.ndim(arguments[n])}
        with np.errstate(over="ignore"):
            changes |= {n: a * float(changes[n]) for n, a in arrays.items()}
        problem, _ = outcome(function, arguments | changes, "|".join(arguments))
        if problem:
            found.append(f"{changes}: {problem}")
    assert not found, "\n".join(found)


def test_the_whole_surface_is_tried():
    """A new public name belongs in a table above, or is no function that takes numbers."""
    tried = {part for function, *_ in WITH_LAWS for part in label(function).split(".")}
    results = {"Check", "Comparison", "DivergenceError", "Dynamics", "Examination", "Fluctuations", "GradientNoise",
               "Hierarchy", "MixingError", "Model", "Process", "Recording", "Run", "ScalingFit", "ScalingRule", "Scan",
               "Spikes", "Stationary", "Law", "Weights", "gradient_noise"}  # fmt: skip
    results |= set() if TORCH else {"watch"}
    public = {*ds.__all__, *ds.laws.__all__, *ds.diagnostics.__all__} - results
    missing = {n for n in public if n not in tried and not isinstance(getattr(ds, n, None), types.ModuleType)}
    assert not missing


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
    chains = RNG.normal(size=(4, 50))
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
