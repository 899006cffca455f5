"""What a scan costs beside a bare loop over `simulate`: here, with a store, on a LocalCluster; memory of large results.

Times are wall times on a quiet machine; processor times stand beside them. Bars, for points of one second and more: 3%
here, 10% on a LocalCluster.
"""

from __future__ import annotations

import json
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


def beside(quick: bool) -> dict[str, Any]:
    """Print and return the ratios to a bare loop."""
    found = ratios(1 if quick else 5, 4 if quick else 8, 1.0 if quick else 2.0)
    rows = [["scan over a bare loop", "wall", "processor", "bar"]]
    for name, (wall, processor) in found.items():
        rows.append([name, f"{wall:.3f}", f"{processor:.3f}", f"{BARS[name]:.2f}: {reached(wall <= BARS[name])}"])
    print(aligned(rows), flush=True)
    return found


def many(quick: bool) -> dict[int, float]:
    """Print and return what tiny points cost."""
    found = tiny((500, 2000) if quick else (1000, 10_000, 100_000))
    print(found, "processor ms beyond simulate, by points", flush=True)
    return found


def memory(quick: bool) -> float:
    """Print and return the memory of a large result."""
    found = large()
    print(f"{found:.2f} GB at 10^8 recorded numbers (bar: 1)", flush=True)
    return found


PARTS = {"ratios": beside, "tiny": many, "large": memory}


def add_arguments(parser) -> None:
    """Offer to measure some parts alone."""
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; all by default")


def run(options, keep) -> dict:
    """Measure the parts that are asked for; those of the stored file stay."""
    warnings.simplefilter("ignore")
    report = json.loads(options.out.read_text()) if options.out.exists() else {}
    report["machine"] = announce()
    for name in options.parts or PARTS:
        report[name] = PARTS[name](options.quick)
        keep(report)
    return report
