"""What a scan costs beside a bare loop over `simulate`: here, with a store, on a LocalCluster; memory of large results.

Times are wall times on a quiet machine; processor times stand beside them. Bars, for points of one second and more: 3%
here, 10% on a LocalCluster.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
import warnings
from typing import Any

import numpy as np

import dysonsim as ds
from benchmarks.harness import announce, reached
from dysonsim._text import aligned
from dysonsim.scans.points import seed_of

BARS = {"in memory": 1.03, "in a store": 1.03, "LocalCluster": 1.10}
MODEL = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
LARGE = """
import resource, sys, numpy as np, dysonsim as ds
from benchmarks.scans import training
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
ds.scan(training, {"learning_rate": [0.1]}, replicas=50_000, steps=1000, record_every=1, seed=1, path=sys.argv[1],
        progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def training(learning_rate: float) -> ds.SGD:
    return ds.SGD(MODEL, learning_rate, 16)


def spacing(run: ds.Run) -> np.ndarray:
    return run.spacings((0, 1))


def bare(rates: list[float], how: dict[str, Any], threads: int | None = None) -> None:
    """What a scan does, by hand."""
    for rate in rates:
        seed = seed_of(1, {"learning_rate": rate})
        spacing(ds.simulate(training(rate), seed=seed, progress=False, threads=threads, **how))


def clock() -> tuple[float, float]:
    """Wall time, and processor time of this process."""
    return time.perf_counter(), time.process_time()


def timed(call: Any) -> tuple[float, float]:
    began = clock()
    call()
    return tuple(b - a for a, b in zip(began, clock(), strict=True))  # type: ignore[return-value]


def steps_of(seconds: float, replicas: int) -> int:
    """Steps of a point that takes so long on one thread."""
    some = 2000
    ds.simulate(training(0.1), replicas, 10, progress=False)
    return int(some * seconds / timed(lambda: ds.simulate(training(0.1), replicas, some, progress=False, threads=1))[1])


def ratios(rounds: int, points: int, seconds: float) -> dict[str, Any]:
    """Time over that of the bare loop in the same round: medians of wall and of processor time."""
    replicas = 1000
    how = {"replicas": replicas, "steps": steps_of(seconds, replicas)}
    rates = np.linspace(0.02, 0.1, points).tolist()
    scan = {"function": training, "points": {"learning_rate": rates}, "seed": 1, "progress": False,
            "measure": {"spacing": spacing}, **how}  # fmt: skip
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in BARS}
    for _ in range(rounds):
        loop = timed(lambda: bare(rates, how))
        here = timed(lambda: ds.scan(**scan))
        with tempfile.TemporaryDirectory() as folder:
            stored = timed(lambda: ds.scan(path=f"{folder}/scan.zarr", **scan))
        for name, taken in (("in memory", here), ("in a store", stored)):
            found[name].append((taken[0] / loop[0], taken[1] / loop[1]))
    import distributed

    local = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with local as cluster, distributed.Client(cluster) as client:
        ds.scan(**scan | {"points": {"learning_rate": [0.02, 0.1]}}, client=client)  # kernels are loaded
        for _ in range(rounds):
            loop = timed(lambda: bare(rates, how, threads=2))
            there = timed(lambda: ds.scan(client=client, **scan))
            found["LocalCluster"].append((there[0] / loop[0], float("nan")))
    return {name: np.median(taken, axis=0).tolist() for name, taken in found.items()}


def tiny(counts: tuple[int, ...]) -> dict[int, float]:
    """Processor milliseconds a point beyond those of `simulate`, by the number of points."""
    how, found = {"replicas": 8, "steps": 2}, {}
    for count in counts:
        rates = np.linspace(0.01, 0.1, count).tolist()
        loop = timed(lambda: bare(rates[:2000], how))[1] / min(count, 2000)
        with tempfile.TemporaryDirectory() as folder:
            taken = timed(lambda: ds.scan(
                training, {"learning_rate": rates}, seed=1, progress=False, measure={"spacing": spacing},
                path=f"{folder}/scan.zarr", **how,
            ))[1]  # fmt: skip
        found[count] = 1e3 * (taken / count - loop)
    return found


def large() -> float:
    """Peak memory, in GB, of a process whose scan records 10^8 numbers."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", LARGE, f"{folder}/scan.zarr"], capture_output=True, text=True, check=True
        )
    return float(done.stdout)


def run(options, keep) -> dict:
    """Print three parts as they are there."""
    warnings.simplefilter("ignore")
    quick = options.quick
    report: dict[str, Any] = {"machine": announce()}
    beside = ratios(1 if quick else 5, 4 if quick else 8, 1.0 if quick else 2.0)
    rows = [["scan over a bare loop", "wall", "processor", "bar"]]
    for name, (wall, processor) in beside.items():
        rows.append([name, f"{wall:.3f}", f"{processor:.3f}", f"{BARS[name]:.2f}: {reached(wall <= BARS[name])}"])
    print(aligned(rows), flush=True)
    report["ratios of wall and processor time"] = beside
    keep(report)
    found = tiny((500, 2000) if quick else (1000, 10_000, 100_000))
    print(found, "ms beyond simulate, by points", flush=True)
    report["processor ms of a tiny point beyond simulate"] = found
    report["GB at 10^8 recorded numbers"] = large()
    print(f"{report['GB at 10^8 recorded numbers']:.2f} GB at 10^8 recorded numbers (bar: 1)")
    return report | {"peak GB here": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
