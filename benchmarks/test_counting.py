"""Operations are counted as the text of a kernel has them, and the counting target computes what the compiled does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import bounds, cases, counting
from dysonsim.backend import Kernel, driver
from dysonsim.kernels.common import functions, rng

WIDTH = 4
NORMALS = (160, 6, 6, 20, 12, 12, 12)  # 10 x 16 of the RBM; 4 and a pair for lengths; 12 for ten levels or momenta


def counts_of(body: Callable, dtype: str = "float64", state: int = 16) -> dict[str, float]:
    """Of one step that calls ``body(lanes)(state, replica)``; nothing else in it is counted."""

    def build(lanes):
        inner, full, number = body(lanes), lanes.full, lanes.number

        def step(state, scratch, reals, integers, s, replica, key0, key1):
            inner(state, replica)
            return full(number(0)) < full(number(1))

        return step

    kernel = Kernel(build, {}, np.zeros(1), np.zeros(1), state)
    return counting.count(kernel, dtype, np.full((WIDTH, state), 2.0), 0)[0]


def arithmetic(lanes):
    load, store, sqrt, one = lanes.load, lanes.store, lanes.sqrt, lanes.number(1)

    def body(x, replica):
        a, b, c, d = load(x, 0), load(x, 1), load(x, 2), load(x, 3)
        product = a * b  # taken by one of two additions: the other stands alone
        store(x, 4, product + c)
        store(x, 5, product - d)
        store(x, 4, one - sqrt(a * c + b * d) / d)  # two products, one addition

    return body


def test_operations_of_a_few_lines():
    assert counts_of(arithmetic) == {
        "multiply-add": 3, "addition": 2, "root": 1, "division": 1, "load": 4, "store": 3,
        "numbers": 6, "read": 4, "written": 2,
    }  # fmt: skip


def test_an_inner_product_is_multiply_adds_and_a_factor_of_one_is_nothing():
    def body(lanes):
        load, store, full, zero, one = lanes.load, lanes.store, lanes.full, lanes.number(0), lanes.number(1)

        def product(x, replica):
            s = full(zero)
            for m in range(5):
                s = load(x, m) * load(x, 5 + m) + s
            store(x, 10, s * one)

        return product

    assert counts_of(body) == {"multiply-add": 5, "load": 10, "store": 1, "numbers": 11, "read": 10, "written": 1}


def random_numbers(lanes):
    generator, elementary = rng.build(lanes), functions.build(lanes)
    u32, load, store = np.uint32, lanes.load, lanes.store

    def body(x, replica):
        generator.normals(x, 2, 0, rng.DATA, 0, replica, u32(1), u32(2))
        a, b, _, _ = generator.words(u32(0), u32(rng.CHOICES), u32(0), replica, u32(1), u32(2))
        z, _ = generator.box_muller(a, b)
        store(x, 10, elementary.log(load(x, 12)) + elementary.exp(load(x, 13)) + z)

    return body


def test_random_numbers_and_functions_are_units():
    counts = counts_of(random_numbers)
    drawn = {name: counts[name] for name in ("normal", "word", "logarithm", "exponential")}
    assert drawn == {"normal": 8 + 2, "word": 2, "logarithm": 1, "exponential": 1}
    assert counts["addition"] == 2
    assert not {"multiply-add", "single multiply-add", "division", "root"} & set(counts)


@pytest.mark.parametrize(("name", "normals"), [*zip(bounds.PROCESSES, NORMALS, strict=True)])
def test_kernels_compute_what_is_counted(name, normals):
    """Rounding differs, since compiled multiply-adds do not round in between: by far less than one step moves."""
    process = bounds.PROCESSES[name]()
    kernel = process.kernel()
    program = driver("cpu").prepare(kernel, "float64")
    ensemble = program.open(process.start(program.width, 1), 0, 1)
    ensemble.advance(0, 50)
    before = ensemble.state().copy()
    counts, after = counting.count(kernel, "float64", before, 50)
    ensemble.advance(50, 1)
    moved = np.abs(ensemble.state() - before)[:, : kernel.weights].max()
    assert np.abs(ensemble.state() - after)[:, : kernel.weights].max() < 1e-4 * moved
    assert counts["normal"] == normals
    assert counts["numbers"] <= kernel.state + kernel.scratch


def test_work_of_an_rbm_grows_linearly_with_the_batch():
    counts = []
    for batch in (16, 32, 48):
        kernel = cases.rbm(batch=batch).kernel()
        start = np.full((WIDTH, kernel.state), 0.1)
        counts.append(counting.count(kernel, "float64", start, 0)[0])
    for what in ("multiply-add", "addition", "normal", "load", "store"):
        few, more, most = (each[what] for each in counts)
        assert more - few == most - more >= (0 if what == "addition" else 16 * 10), what


def test_terms_bound_and_sum():
    rates = {"float64": {"multiply-add": 2.0, "first-level bytes": 0.5}, "float32": {"multiply-add": 1.0}}
    counts = {"multiply-add": 3, "single multiply-add": 5, "load": 7, "read": 1, "written": 1, "numbers": 1}
    row = bounds.judge("x", "float64", counts, 64, 20.0, rates)
    assert row["terms, ns"] == {"multiply-add": 6.0, "single multiply-add": 5.0, "first-level bytes": 8.0}
    assert (row["bound"], row["sum"], row["fraction"]) == (8.0, 19.0, 0.4)


def test_the_report_runs_and_gives_the_tables(tmp_path, monkeypatch, capsys):
    few = {name: make for name, make in bounds.PROCESSES.items() if "teacher" in name}
    monkeypatch.setattr(bounds, "PROCESSES", few)
    out = tmp_path / "bounds.json"
    bounds.main(["--quick", "--out", str(out)])
    assert "multiply-adds" in capsys.readouterr().out
    bounds.main(["--markdown", "--out", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| teacher") for line in lines) == 1
    assert len({line.count("|") - line.count("\\|") for line in lines[:3]}) == 1
