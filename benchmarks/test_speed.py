"""Timings for pytest-benchmark: `pytest benchmarks --benchmark-only`."""

from __future__ import annotations

import numpy as np
import pytest

import dysonsim as ds
from benchmarks import cases, starting
from benchmarks.sums import semicircle

ROUNDS = 3
# Steps of a timed call: the same for all contestants of a case, some tenths of a second of PyTorch's.
TRAINING = {
    cases.RBM: 20, cases.TEACHER: 200, cases.HIDDEN: 200, "RBM 4x4, |B| = 16, k = 3": 40,
    "RBM 20x20, |B| = 16, k = 3": 8, "RBM 50x50, |B| = 16, k = 3": 2, "RBM 10x10, |B| = 4, k = 3": 40,
    "RBM 10x10, |B| = 64, k = 3": 5, "RBM 10x10, |B| = 16, k = 1": 40, "RBM 10x10, |B| = 16, k = 10": 8,
    "RBM 128x128, |B| = 16, k = 3, 16 networks": 10, cases.DEEP: 40, "deep linear 10x10, L = 3, |B| = 16": 40,
}  # fmt: skip
REPLICAS = 4096
ALL = [
    (case, dtype, name)
    for case in cases.CASES
    for dtype in cases.DTYPES
    for name in cases.contestants(cases.CASES[case])
]
STEPS = {
    "Langevin, RBM 10x10": (ds.Langevin(cases.rbm()), 50),
    "Langevin, teacher-student 2x2": (ds.Langevin(cases.TEACHER_SGD), 1000),
    "HMC, 10 levels, beta = 2": (ds.CoulombGas.hermite(10, 2.0, method="hmc"), 400),
    "Metropolis, 10 levels, beta = 2": (ds.CoulombGas.hermite(10, 2.0, method="metropolis"), 400),
}
DRAWS = {
    "Hermite": ds.CoulombGas.hermite(10, 2.0),
    "Laguerre": ds.CoulombGas.laguerre(10, 15, 2.0),
    "Jacobi": ds.CoulombGas.jacobi(10, 0.5, 1.5, 2.0),
}


def note(benchmark, what: str, units: float) -> None:
    """Microseconds of one unit, beside what pytest-benchmark shows."""
    benchmark.extra_info[f"{what}s in a call"] = units
    if benchmark.stats is not None:  # timing was not disabled
        benchmark.extra_info[f"us per {what}"] = benchmark.stats.stats.median / units * 1e6


@pytest.mark.parametrize(("case", "dtype", "name"), ALL)
def test_training(benchmark, case, dtype, name):
    """Steps alone, dysonsim's too; PyTorch one by one does them for one network."""
    of, steps = cases.CASES[case], TRAINING[case]
    make = cases.library_steps if name == cases.LIBRARY else cases.contestants(of)[name]
    ensemble = make(of.sgd, of.networks, dtype, 1, cases.THREADS)
    benchmark.group = f"{case}, {dtype}"
    benchmark.pedantic(ensemble.advance, args=(steps,), rounds=ROUNDS, warmup_rounds=1)
    note(benchmark, "update", steps * ensemble.networks)


@pytest.mark.filterwarnings("ignore:batches are not Gaussian enough")
@pytest.mark.parametrize("dtype", cases.DTYPES)
@pytest.mark.parametrize("name", STEPS)
def test_steps(benchmark, name, dtype):
    """Langevin and Markov chains: a whole `simulate`, steps above all."""
    process, steps = STEPS[name]
    benchmark.group = f"{name}, {REPLICAS} replicas"
    benchmark.pedantic(
        ds.simulate, args=(process, REPLICAS, max(steps, process.default_steps() or 1)),
        kwargs={"seed": 1, "dtype": dtype, "threads": cases.THREADS}, rounds=ROUNDS, warmup_rounds=1,
    )  # fmt: skip
    note(benchmark, "step", REPLICAS * max(steps, process.default_steps() or 1))


@pytest.mark.filterwarnings("ignore:dt = .* is too coarse")
@pytest.mark.parametrize("beta", [1.0, 2.0, 2.5])
def test_pair_steps_of_dyson_brownian_motion(benchmark, beta):
    process, steps = ds.Dyson(n=10, beta=beta, scheme="pairs", dt=0.1), 100
    benchmark.group = f"Dyson Brownian motion, 10 levels, {REPLICAS} replicas"
    benchmark.pedantic(
        ds.simulate, args=(process, REPLICAS), kwargs={"times": [0.1 * steps], "seed": 1, "threads": cases.THREADS},
        rounds=ROUNDS, warmup_rounds=1,
    )  # fmt: skip
    note(benchmark, "step", steps * REPLICAS)


@pytest.mark.parametrize("name", DRAWS)
def test_exact_draws(benchmark, name):
    count = 20_000
    benchmark.group = "exact draws of ten levels, beta = 2"
    benchmark.pedantic(
        ds.simulate, args=(DRAWS[name], count), kwargs={"seed": 1, "threads": cases.THREADS},
        rounds=ROUNDS, warmup_rounds=1,
    )  # fmt: skip
    note(benchmark, "draw", count)


@pytest.mark.parametrize(
    ("method", "levels"), [("direct", 1000), ("direct", 10_000), ("fast", 10_000), ("fast", 10**6)]
)
def test_repulsion_sums(benchmark, method, levels):
    x = semicircle(levels)
    benchmark.group = "repulsion sums"
    benchmark.pedantic(
        ds.repulsion, args=(x,), kwargs={"method": method, "threads": cases.THREADS}, rounds=ROUNDS, warmup_rounds=1
    )
    note(benchmark, "level", levels)
    assert np.isfinite(ds.repulsion(x, method=method)).all()


def test_import(benchmark):
    benchmark.group = "new process"
    benchmark.pedantic(starting.taken, args=(starting.IMPORT,), rounds=ROUNDS, warmup_rounds=1)


def test_first_run_of_a_second_process(benchmark):
    benchmark.group = "new process"
    starting.taken(starting.FIRST_RUN)
    benchmark.pedantic(starting.taken, args=(starting.FIRST_RUN,), rounds=ROUNDS)


def test_a_second_process_compiles_nothing():
    assert not starting.first_runs(1)[2]
