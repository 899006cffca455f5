"""Everything public goes to another process and comes back: by fork, by spawn, by a dask worker, by cloudpickle."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import math
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import dysonsim as ds
from dysonsim import laws
from dysonsim._fingerprint import fingerprint
from dysonsim.processes.gas.diagnostics import GasDiagnostics

STIFFNESS = 1.0
SGD = ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), 0.05, 4)
UNSTABLE = ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), learning_rate=1.5, batch_size=1)


def force(x):
    return -STIFFNESS * x


def of_closure(k):
    return lambda x, i: -k * (i + 1) * x


PROCESSES = {
    "sgd": SGD, "rbm": ds.SGD(ds.GaussianRBM.scalar_field(4, 1.5, 2.8), 0.05, 6),
    "network": ds.SGD(ds.LinearNetwork(2 * np.eye(2), np.diag([1, 1.5]), 0.1), 0.1, 16),
    "langevin": ds.Langevin(SGD), "dyson of sgd": ds.Dyson(SGD), "gas of sgd": ds.CoulombGas(SGD),
    "dyson": ds.Dyson(n=3, beta=1.5), "matrix": ds.Dyson(n=3, beta=2), "drift": ds.Dyson(n=2, drift=force, dt=0.1),
    "lambda": ds.Dyson(n=2, drift=of_closure(2.0), dt=0.1), "potential": ds.CoulombGas(n=2, potential=lambda x: x * x),
    "laguerre": ds.LaguerreProcess(m=3.5, n=3, beta=1.5), "jacobi": ds.JacobiProcess(a=0.3, b=0.0, n=3, beta=1.5),
}  # fmt: skip


def used(process):
    """With all that it keeps once it has been asked for."""
    for name, value in inspect.getmembers(type(process)):
        if name != "tuning" and (hasattr(value, "func") or isinstance(value, property)):  # it takes seconds
            try:
                getattr(process, name)
            except (AssertionError, AttributeError, NotImplementedError, TypeError, ValueError):
                continue
    return process


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_the_same_in_a_pickle_and_holds_no_caches(name):
    process = used(PROCESSES[name])
    data = pickle.dumps(process)
    back = pickle.loads(data)
    assert fingerprint(back) == fingerprint(process) == fingerprint(copy.deepcopy(process))
    assert len(pickle.dumps(used(back))) <= len(data) + 100
    assert (back.n, back.state_size) == (process.n, process.state_size)


def test_runs_results_and_errors():
    gas = ds.simulate(PROCESSES["potential"], 30, seed=1)
    run = ds.simulate(SGD, 200, 40, record_every=20, seed=1)
    objects = [
        gas, run, gas.diagnostics, ds.compare(run.spacings((0, 1)), laws.WignerSurmise),
        ds.compare(run, laws.TwoLevel(4.0, 1.0)), ds.scaling_fit([1.0, 2.0, 3.0], [1.0, 2.1, 2.9], [0.1, 0.1, 0.1]),
    ]  # fmt: skip
    assert run.eigenvalues.shape == (200, 2, 2)
    assert isinstance(gas.diagnostics, GasDiagnostics)
    for one in objects:
        back = pickle.loads(pickle.dumps(one))
        assert repr(back) == repr(one)
    back = pickle.loads(pickle.dumps(run))
    np.testing.assert_array_equal(back.eigenvalues, run.eigenvalues)
    assert not back.spectra.flags.writeable
    assert len(pickle.dumps(back)) < 1.5 * run.spectra.nbytes + 10_000  # the squares are not carried
    for error in (ds.DivergenceError("replica 3 left", 3, 7), ds.MixingError("no")):
        back = pickle.loads(pickle.dumps(error))
        assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


LAWS = [laws.WignerSurmise(2), laws.TwoLevel(0.0, 1.0), laws.Semicircle(0.0, 1.0), laws.MarchenkoPastur(0.5)]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
def test_laws(law):
    x = law.mean()
    before = law.pdf(x), law.cdf(x)  # and what they keep
    back = pickle.loads(pickle.dumps(law))
    assert (back.pdf(x), back.cdf(x), repr(back)) == (*before, repr(law))


def work(process):
    """What a worker makes of a process: its function's content and a value, and it sends the process back."""
    return process.drift.fingerprint, process.drift.at(1.0, 1), process


def run_of(process):
    return ds.simulate(process, 3, 20, seed=1)


def diverge(_):
    ds.simulate(UNSTABLE, 100, steps=2000, seed=1)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore")
def test_runs_and_errors_come_back_from_other_processes(method):
    """A run; a module-level function and a lambda; an error."""
    context = multiprocessing.get_context(method)
    changed = replace(PROCESSES["drift"], drift=of_closure(3.0))
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for process in (PROCESSES["drift"], changed):
            content, value, back = pool.submit(work, process).result(timeout=120)
            assert (content, value) == work(process)[:2]
            assert fingerprint(back) == fingerprint(process)
        run = pool.submit(run_of, SGD).result(timeout=120)
        np.testing.assert_array_equal(run.spectra, run_of(SGD).spectra)
        assert fingerprint(run.process) == fingerprint(SGD)
        with pytest.raises(ds.DivergenceError, match="replica") as caught:
            pool.submit(diverge, 0).result(timeout=120)
    assert f"step {caught.value.step}" in str(caught.value)


def test_an_error_does_not_hang_a_pool():
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool, pytest.raises(ds.DivergenceError):
        pool.apply_async(diverge, (0,)).get(timeout=120)


def test_what_a_function_captured_travels_with_it(monkeypatch):
    monkeypatch.setitem(globals(), "STIFFNESS", 9.0)
    data = pickle.dumps(ds.Dyson(n=2, drift=force, dt=0.1))
    monkeypatch.undo()
    assert pickle.loads(data).drift.at(1.0, 0) == -9.0
    assert fingerprint(pickle.loads(data)) != fingerprint(ds.Dyson(n=2, drift=force, dt=0.1))
    program = "import sys, pickle; p = pickle.load(sys.stdin.buffer); print(p.drift.at(1.0, 0), p.drift.fingerprint)"
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    assert done.stdout.decode().split() == ["-9.0", pickle.loads(data).drift.fingerprint]


def test_a_pickle_of_another_python_is_refused_in_words():
    tag = sys.implementation.cache_tag.encode()
    data = pickle.dumps(ds.Dyson(n=2, drift=force, dt=0.1)).replace(tag, b"cpython-399")
    with pytest.raises((ValueError, pickle.UnpicklingError)):
        pickle.loads(data)


@pytest.mark.skipif(importlib.util.find_spec("cloudpickle") is None, reason="cloudpickle is not installed")
def test_cloudpickle():
    import cloudpickle

    k = 4.0
    function = cloudpickle.loads(cloudpickle.dumps(lambda: work(ds.Dyson(n=2, drift=lambda x: -k * x, dt=0.1))))
    assert fingerprint(function()[2]) == fingerprint(ds.Dyson(n=2, drift=lambda x: -k * x, dt=0.1))
    for name in ("lambda", "potential"):
        back = cloudpickle.loads(cloudpickle.dumps(PROCESSES[name]))
        assert fingerprint(back) == fingerprint(PROCESSES[name])


@pytest.mark.filterwarnings("ignore")
def test_a_dask_worker():
    distributed = pytest.importorskip("distributed")
    process = ds.Dyson(n=2, drift=lambda x: -math.pi * x, dt=0.1)
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        run = client.submit(ds.simulate, process, 3, times=[0.1], seed=1).result(timeout=120)
        assert run.eigenvalues.shape == (3, 1, 2)
        assert fingerprint(run.process) == fingerprint(process)
        with pytest.raises(ds.DivergenceError):
            client.submit(diverge, 0, retries=0).result(timeout=120)
