"""Bad input, one table for the whole library: the error's type, and a message that names argument, value, allowance.

(The models' own table, with all their arguments, is in test_models.py; laws and comparisons have theirs beside them.)
"""

from __future__ import annotations

import numpy as np
import pytest

import dysonsim as ds

MODEL = ds.GaussianRBM.scalar_field(4, mass=1.5, mu=2.8)
SGD = ds.SGD(MODEL, 0.05, 4)
OTHER = ds.SGD(MODEL, 0.06, 4)
RUN = ds.simulate(SGD, replicas=10, steps=4, seed=1)
DATA = np.random.default_rng(0).normal(size=100)
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
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_bad_input_names_argument_value_and_what_is_allowed(case):
    error, function, arguments, words = CASES[case]
    with pytest.raises(error) as caught:
        function(**arguments)
    assert type(caught.value) is error
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{caught.value!s} lacks {missing}"
