"""The GPU benchmark: its peers train the same networks, its bounds count what kernels do, without a card it says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import dysonsim as ds
from benchmarks import cases, gpu, gpu_bounds, harness, peers
from benchmarks.test_peers import FEW, LIMIT, largest_deviation, mean_and_variance
from dysonsim.backend import reference as plain

TOP = Path(__file__).parent.parent
needs_torch = pytest.mark.skipif(not peers.HAS_TORCH, reason="PyTorch is not installed")
needs_card = pytest.mark.skipif(bool(gpu.no_device()), reason=f"no CUDA device: {gpu.no_device()[:80]}")


@needs_torch
@pytest.mark.parametrize("dtype", cases.DTYPES)
def test_pytorch_trains_the_same_networks(dtype):
    """On the CPU, what the GPU then does; limits as in `test_peers.py`."""
    from benchmarks.peers import torch_cuda

    peer = torch_cuda.rbm(cases.CASES[cases.RBM].sgd, FEW, dtype, 5, graph=False, device="cpu")
    assert largest_deviation(cases.RBM, cases.CASES[cases.RBM].sgd, [peer]) < LIMIT


class float64:
    """A number that keeps count of what is done with numbers."""

    tally: ClassVar[Counter[str]] = Counter()

    def __init__(self, value) -> None:
        self.value = float(getattr(value, "value", value))

    def _done(self, what: str, value: float) -> float64:
        self.tally[what] += 1
        return float64(value)

    def __add__(self, other):
        return self._done("sum", self.value + float64(other).value)

    def __sub__(self, other):
        return self._done("sum", self.value - float64(other).value)

    def __mul__(self, other):
        return self._done("product", self.value * float64(other).value)

    def __truediv__(self, other):
        return self._done("quotient", self.value / float64(other).value)

    def __lt__(self, other):
        self.tally["comparison"] += 1
        return self.value < float64(other).value


def counting_lanes():
    """Lanes of one number, which is counted; random numbers are not."""
    lanes = plain.lanes("float64", 1)
    lanes.number = lanes.full = float64
    lanes.real = lambda v: float64(v[0])
    lanes.load, lanes.part = (lambda a, i: a[i]), (lambda a, first, count: a[first : first + count])
    lanes.store = lambda a, i, v: a.__setitem__(i, v)
    lanes.select, lanes.any = (lambda condition, a, b: a if condition else b), bool
    lanes.sqrt = lambda v: v._done("root", v.value**0.5)
    lanes.split = lambda v: tuple(map(float64, np.frexp(v.value)))
    lanes.power_of_two = lambda k: float64(2.0**k.value)
    return lanes


@pytest.mark.parametrize("n", [4, 10])
def test_a_bound_counts_no_more_than_the_kernel_does_and_most_of_it(n):
    """Products and sums that fuse are one instruction, at best half of all; the bound leaves a little out."""
    kernel = ds.Dyson(n=n, beta=1, scheme="pairs").kernel()
    numbers = [np.array([float64(x) for x in row], object) for row in (np.arange(n), np.zeros(kernel.scratch))]
    reals = np.array([float64(x) for x in kernel.reals], object)
    step = kernel.build(counting_lanes(), **kernel.sizes)
    float64.tally.clear()
    with np.errstate(over="ignore"):
        step(*numbers, reals, kernel.integers, 0, np.zeros(1, np.uint32), np.uint32(1), np.uint32(2))
    done, rounded = float64.tally, gpu_bounds.ROUNDED["float64"]
    once = done["sum"] + done["product"] + done["comparison"]
    moves = 2 * ((n - 1) * (n - 2) // 2 + n - 1)
    assert done["root"] == pytest.approx(moves, abs=2)  # and one of the size of the kick
    counted = gpu_bounds.splitting(n, "float64").float64 - moves * rounded
    assert 0.5 * once < counted < once


def test_bounds_follow_the_busiest_unit():
    counts = gpu_bounds.Counts(float64=6400, float32=100, integer=64, special=16)
    assert counts.seconds((9, 0), 10, 1e9) == pytest.approx(100 / 10 / 1e9)
    assert counts.seconds((8, 0), 10, 1e9) == pytest.approx(200 / 10 / 1e9)
    assert counts.seconds((12, 0), 10, 1e9) == counts.seconds((9, 0), 10, 1e9)
    crowded = gpu_bounds.Counts(float64=64, float32=128, integer=64, special=16)
    assert crowded.seconds((9, 0), 1, 1.0) == pytest.approx(272 / 128)
    assert gpu_bounds.large(100, 16).float64 == pytest.approx(2e4 * (3 + 11 / 16))


def test_without_a_device_it_says_so_and_fails(tmp_path):
    if not gpu.no_device():
        pytest.skip("a device is here")
    command = [sys.executable, "-m", "benchmarks.gpu", "--quick", "--out", str(tmp_path / "gpu.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, check=False)
    assert done.returncode == 1
    assert "no CUDA device, nothing is measured" in done.stderr
    assert not (tmp_path / "gpu.json").exists()


TOY = """
    import sys, warnings
    import dysonsim as ds
    from benchmarks import gpu, harness

    warnings.simplefilter("ignore")
    gpu.no_device = lambda: ""
    gpu.card = lambda: {"name": "simulator", "capability": [9, 0], "multiprocessors": 1, "hertz": 1e9}
    gpu.MAIN, gpu.OTHERS, gpu.REPLICAS, gpu.LEVELS = {"n": 2, "batch": 2, "k": 1}, ({"n": 3},), 12, 5
    gpu.NETWORKS, gpu.cases.DTYPES, gpu.CAPTURED, gpu.peers.HAS_TORCH = (4,), ("float64",), 2, False
    gpu.steps_for = lambda ensemble, seconds: 1
    many, large, data_set = gpu.motion_of_many, gpu.motion_of_large, gpu.papers_data_set
    gpu.WHAT["many"] = lambda **how: many(n=3, **how)
    gpu.WHAT["large"] = lambda **how: large(replicas=1, **how)
    gpu.WHAT["data set"] = lambda dtype, seconds: data_set(dtype, 0.01)
    harness.main("gpu", ["--quick", "--in-turn", "--out", sys.argv[1]])
"""


def test_everything_that_is_timed_runs_in_the_simulator(tmp_path):
    """At toy size, with a made-up card; what it prints there means nothing."""
    file = tmp_path / "gpu.json"
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}
    command = [sys.executable, "-c", textwrap.dedent(TOY), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TOP, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(file.read_text())
    assert {row["by"] for row in report["places"]} == {gpu.LIBRARY, *(f"dysonsim, {place}" for place in gpu.PLACES)}
    assert [row["size"]["n"] for row in report["size"]] == [3]
    assert [row["n"] for row in report["many"] + report["large"]] == [3, 5]
    assert report["data set"][0]["extrapolated s"] > 0


@pytest.mark.gpu
@needs_card
@needs_torch
@pytest.mark.parametrize("graph", [False, True])
def test_pytorch_on_the_card_trains_the_same_networks(graph):
    import torch

    from benchmarks.peers import torch_cuda

    if not torch.cuda.is_available():
        pytest.skip("PyTorch is installed without CUDA")
    sgd, networks = cases.CASES[cases.RBM].sgd, FEW
    peer = torch_cuda.rbm(sgd, networks, "float64", 5, graph)
    if not graph:
        assert largest_deviation(cases.RBM, sgd, [peer]) < LIMIT
        return
    steps = 28 * peers.CAPTURED  # arrived, by whole replays
    peer.advance(steps)
    run = ds.simulate(sgd, networks, steps, seed=11, keep_weights=True)
    mine, my_error = mean_and_variance(run.weights[:, -1])
    theirs, their_error = mean_and_variance(peer.weights())
    assert np.max(np.abs(mine - theirs) / np.sqrt(my_error + their_error)) < LIMIT


@pytest.mark.gpu
@needs_card
def test_the_benchmark_runs_on_the_card(tmp_path):
    harness.main("gpu", ["--quick", "--out", str(tmp_path / "gpu.json")])
    assert (tmp_path / "gpu.json").exists()
