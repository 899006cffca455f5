"""Every argument of every public function is given every value that no argument takes, and numbers at the edge of
floating point: what comes back is a result without NaN, or an error that names the argument.
"""

from __future__ import annotations

import importlib.util
import re
import types
import warnings

import numpy as np
import pytest
from arguments import EDGES, EVALUATED, FLAG, MODEL, ROWS, RUN, SEEDS, SGD, WRONG

import dysonsim as ds

TORCH = importlib.util.find_spec("torch") is not None

RNG = np.random.default_rng(20)
POSITIVE = np.abs(RNG.normal(size=60)) + 0.01
MANY = np.sort(np.random.default_rng(22).normal(size=(9, 16)))
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
    ds.laws.BulkSpacing: {"beta": 2, "scale": 1.0, "order": 1},
    ds.laws.PoissonSpacing: {"scale": 1.0, "order": 2},
    ds.laws.SmallestSingularValue: {"excess": 1, "beta": 2, "n": 5, "scale": 1.0},
    ds.laws.PorterThomas: {"n": 50, "beta": 2},
    ds.laws.FussCatalan: {"factors": 2, "variance": 1.0},
    ds.laws.NoisyMatrix: {"values": [0.0, 1.0], "weights": [0.5, 0.5], "ratio": 0.5, "variance": 1.0},
    ds.laws.NoisySymmetric: {"values": [0.0, 1.0], "weights": [0.5, 0.5], "variance": 1.0},
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
    for curve in (ds.laws.NumberVariance, ds.laws.Rigidity, ds.laws.FormFactor):
        yield curve, {"beta": 1} | ({"n": 3} if curve is ds.laws.FormFactor else {}), {}
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
    layers = {"widths": (2, 2, 2), "activation": "tanh", "teacher": (np.eye(2), np.eye(2)), "trained": (True, False)}
    noises = {"label_noise": 0.1, "gradient_noise": 0.1, "dataset_size": 64, "init": "normal"}
    yield ds.NeuralNetwork, layers | noises, {"trained": {"array of bool"}}
    neural = ds.NeuralNetwork(**layers, **noises)
    for name in ("stationary_widths", "mean_spacings", "weight_covariance", "stability", "kernel"):
        yield getattr(neural, name), rates, {}
    for name in ("max_learning_rate", "check_batch_size", "period"):
        yield getattr(neural, name), {"batch_size": 16}, {}
    yield neural.networks, {"state": np.ones((3, 4))}, {}
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
    circle = {"n": 2, "beta": 1.0, "noise": 1.0, "initial": [0.1, 0.2], "dt": 0.01}
    yield ds.CircularProcess, circle, {}
    wells = {"beta": 1.0, "n": 3, "centers": np.zeros(3), "widths": np.ones(3), "method": "auto", "ensemble": "wells"}
    yield ds.CoulombGas, wells, {}
    yield ds.CoulombGas, {"beta": 1.0, "n": 3, "walls": (0.0, None)}, {}
    yield ds.CoulombGas, {"sgd": SGD, "method": "auto"}, {}
    yield ds.CoulombGas.hermite, {"n": 3, "beta": 1.0, "width": 1.0, "center": 0.0, "method": "auto"}, {}
    yield ds.CoulombGas.laguerre, {"n": 3, "m": 4.0, "beta": 1.0, "width": 1.0, "method": "auto"}, {}
    yield ds.CoulombGas.circular, {"n": 3, "beta": 1.0, "method": "auto"}, {}
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
    how = {"density": 3, "window": (2.0, 12.0), "observable": "eigenvalues", "record": -1}
    yield ds.number_variance, {"data": MANY, "lengths": [1.0, 3.0]} | how, {}
    yield ds.rigidity, {"data": MANY, "lengths": [1.0, 3.0]} | how, {}
    yield ds.form_factor, {"data": MANY, "times": [1.5, 3.0]} | how, {}
    yield ds.unfold, {"data": MANY, "density": 3, "observable": "eigenvalues", "record": -1}, {}
    yield ds.spacing_ratios, {"data": MANY, "order": 2, "observable": "eigenvalues", "record": -1}, {}
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

    middle = ds.NeuralNetwork((2, 3, 3, 1), trained=(False, True, False), init="normal")
    yield ds.phase_diagram, {
        "network": middle, "inverse_sigma": [1.0, 2.0], "temperature": [0.1], "batch_size": 4, "updates": 2,
        "replicas": 2, "seed": 0, "device": "numpy", "progress": False,
    }, {"progress": {"True"}}  # fmt: skip


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
SLOW = (ds.check, ds.stationary, ds.hierarchy, ds.simulate, ds.load_recording, ds.phase_diagram, ds.scan)
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
    results = {"Check", "Comparison", "Curve", "CurveComparison", "DivergenceError", "Dynamics", "Examination",
               "Fluctuations", "GradientNoise", "Hierarchy", "MixingError", "Model", "PhaseDiagram", "Process",
               "Recording", "Run", "ScalingFit", "ScalingRule", "Scan", "Spikes", "Stationary", "Law", "Weights",
               "gradient_noise"}  # fmt: skip
    results |= set() if TORCH else {"watch"}
    public = {*ds.__all__, *ds.laws.__all__, *ds.diagnostics.__all__} - results
    missing = {n for n in public if n not in tried and not isinstance(getattr(ds, n, None), types.ModuleType)}
    assert not missing
