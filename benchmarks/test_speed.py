"""Timings for pytest-benchmark: `pytest benchmarks --benchmark-only`."""

from __future__ import annotations

import pytest

from benchmarks import cases, starting

UPDATES = {cases.RBM: 100, cases.TEACHER: 1000, cases.HIDDEN: 1000}  # steps of an ensemble in one timed call
ALL = [(case, dtype, name) for case in cases.CASES for dtype in cases.DTYPES for name in cases.contestants(case)]


@pytest.mark.parametrize(("case", "dtype", "name"), ALL)
def test_training(benchmark, case, dtype, name):
    ensemble = cases.contestants(case)[name](cases.CASES[case], cases.NETWORKS, dtype, 1, cases.THREADS)
    steps = UPDATES[case]
    benchmark.group = f"{case}, |B| = 16, {dtype}"
    benchmark.pedantic(ensemble.advance, args=(steps,), rounds=3, warmup_rounds=1)
    benchmark.extra_info["updates of one network"] = steps * ensemble.networks
    if benchmark.stats is not None:  # timing was not disabled
        benchmark.extra_info["us per update"] = benchmark.stats.stats.median / steps / ensemble.networks * 1e6


def test_import(benchmark):
    benchmark.group = "new process"
    benchmark.pedantic(starting.seconds, args=(starting.IMPORT,), rounds=3, warmup_rounds=1)


def test_first_run_of_a_second_process(benchmark):
    benchmark.group = "new process"
    starting.seconds(starting.FIRST_RUN)
    benchmark.pedantic(starting.seconds, args=(starting.FIRST_RUN,), rounds=3)


def test_a_second_process_compiles_nothing():
    assert not starting.first_run_seconds()[2]
