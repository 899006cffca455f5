"""dysonsim on a CUDA device, against PyTorch and against arithmetic.

- RBM 10x10, |B| = 16, k = 3: a step of many networks, dysonsim's kernel against batched PyTorch on the same card, plain
  and as CUDA graphs, each with the number of networks that suits it best. Contestants take turns; ratios are taken
  within a round. Where the kernel's numbers live is varied as well (`backend/cuda/plan.py` chooses one of the places).
- the same for other sizes, against CUDA graphs.
- the papers' RBM data set, 8.25e9 updates: from a run of `simulate` that is long enough, start and spectra included.
- Dyson Brownian motion, N = 10 with 10^6 replicas and N = 10^4 with 16, against the least time that the card's
  arithmetic units need (`gpu_bounds.py` counts).

Each of these has a process of its own: they compile beside each other, and have the card one after the other. What has
been measured is printed and stored at once, so that nothing is lost where a run is cut short.
Exit status 1 where there is no CUDA device.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np

import dysonsim as ds
from benchmarks import cases, gpu_bounds, harness, peers
from benchmarks.harness import announce, quartiles, reached, skipped, steps_for, timed
from benchmarks.peers import CAPTURED, Peer
from dysonsim.backend import usable_cores
from dysonsim.backend.cuda.plan import alone, in_device_memory, in_teams

DATA_SET = 8.25e9  # updates of the papers' RBM data set
LIBRARY, PLAIN, GRAPH = "dysonsim", "PyTorch batched", "PyTorch batched, CUDA graph"
BAR, DATA_SET_BAR, BOUND_BAR = 5.0, 60.0, 4.0
PLACES = {"a thread a network": alone, "in teams": in_teams, "device memory": in_device_memory}
MAIN = {"n": 10, "batch": 16, "k": 3}
OTHERS = (
    {"n": 4}, {"n": 20}, {"n": 50}, {"n": 64}, {"batch": 4}, {"batch": 64}, {"k": 1}, {"k": 10},
)  # fmt: skip
NETWORKS = (2**12, 2**14, 2**16)  # in the caches, and beyond them
WIDE = 20  # units from which a quarter of them is enough
REPLICAS, LEVELS = 10**6, 10**4
LOCK = Path(tempfile.gettempdir()) / "dysonsim-benchmarks-gpu.lock"


def add_arguments(parser) -> None:
    """Offer to measure without other processes, and to be one of them."""
    parser.add_argument("--in-turn", action="store_true", help="all in this process")
    parser.add_argument("--task", help="one of the measurements, as JSON: what the other processes are asked for")


def run(options, keep) -> dict | None:
    """Print and keep one measurement after the other; exit status 1 where there is no device."""
    if options.task:
        print(json.dumps(done(json.loads(options.task))))
        return None
    obstacle = no_device()
    if obstacle:
        print(f"benchmarks.gpu: no CUDA device, nothing is measured: {obstacle}", file=sys.stderr)
        raise SystemExit(1)
    report = {"machine": announce() | {"card": card()}, **{what: [] for what in WHAT}}
    print("card:", report["machine"]["card"], "\n", flush=True)
    if not has_torch():
        skipped("PyTorch with CUDA: its peers and the bars")
    tasks = all_tasks(options.quick)
    results = map(done, tasks) if options.in_turn else beside_each_other(tasks)
    for task, result in zip(tasks, results, strict=True):
        report[task["what"]] += result if isinstance(result, list) else [result]
        print(shown(task["what"], result), flush=True)
        keep(report)
    return report


def has_torch() -> bool:
    """Whether PyTorch is there and has a device."""
    if not peers.HAS_TORCH:
        return False
    import torch

    return torch.cuda.is_available()


def all_tasks(quick: bool) -> list[dict]:
    """What is measured, each with the rounds and the seconds of a contestant in one."""
    length = {"rounds": 3, "seconds": 0.1} if quick else {"rounds": 7, "seconds": 0.3}
    tasks = [{"what": "places", "dtype": dtype, **length} for dtype in cases.DTYPES]
    tasks += [{"what": "data set", "dtype": dtype, "seconds": 1.0 if quick else 6.0} for dtype in cases.DTYPES]
    tasks += [{"what": "many", "dtype": dtype, **length} for dtype in cases.DTYPES]
    tasks += [{"what": "large", "dtype": "float64", **length}]
    shorter = length | {"seconds": length["seconds"] / 2}
    return tasks + [{"what": "size", "dtype": d, "size": s, **shorter} for s in OTHERS for d in cases.DTYPES]


def done(task: dict):
    """One measurement."""
    task = dict(task)
    return WHAT[task.pop("what")](**task)


def beside_each_other(tasks: list[dict]) -> Iterator:
    """The results of tasks, each in a process of its own, in the order of the tasks."""

    def one(task: dict):
        command = [sys.executable, "-m", "benchmarks", "gpu", "--task", json.dumps(task)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(f"benchmarks.gpu: {task} failed:\n{run.stderr[-2000:]}")
        return json.loads(run.stdout.splitlines()[-1])

    with ThreadPoolExecutor(usable_cores()) as pool:
        yield from pool.map(one, tasks)


@contextmanager
def card_to_itself() -> Iterator[None]:
    """What runs in here has the card while no other process of this benchmark does."""
    with LOCK.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def no_device() -> str:
    """Why no device can be timed; empty if one can."""
    from dysonsim.backend.cuda.driver import SIMULATED, why_not

    return "Numba's simulator is on (NUMBA_ENABLE_CUDASIM)" if SIMULATED else why_not()


def card() -> dict[str, object]:
    """The device, in the numbers that bounds are made of."""
    from numba import cuda

    device = cuda.get_current_device()
    name = device.name.decode() if isinstance(device.name, bytes) else str(device.name)
    return {
        "name": name,
        "capability": list(device.compute_capability),
        "multiprocessors": device.MULTIPROCESSOR_COUNT,
        "numba-cuda": metadata.version("numba-cuda"),
        "hertz": device.CLOCK_RATE * 1e3,  # the highest that the card allows itself: bounds are the lower for it
        "shared bytes of a block": device.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
    }


def rbm(size: dict) -> ds.SGD:
    return cases.rbm(**MAIN | size)


def counts(sgd: ds.SGD) -> tuple[int, ...]:
    """Numbers of networks of which each contestant takes the best."""
    return tuple(count // 4 if len(sgd.model.target) >= WIDE else count for count in NETWORKS)


def compare(
    dtype: str, rounds: int, seconds: float, size: dict | None = None, places: dict | None = None
) -> list[dict]:
    """One row a contestant: ns per update of one network, and how many times as long as dysonsim it takes."""
    sgd, size = rbm(size or {}), size or {}
    with_torch = has_torch()
    everyone, steps = {}, {}

    def enter(name: str, make, networks: tuple[int, ...]) -> None:
        ensembles = [make(sgd, count, dtype, 1) for count in networks]
        ensembles[0].advance(CAPTURED)  # compiled or captured by now
        with card_to_itself():
            trials = [steps_of(ensemble, seconds / 4) for ensemble in ensembles]
            costs = [timed(e, s) / (s * e.networks) for e, s in zip(ensembles, trials, strict=True)]
        best = int(np.argmin(costs))
        everyone[name], steps[name] = ensembles[best], 4 * trials[best]

    enter(LIBRARY, library, counts(sgd))
    if with_torch:
        from benchmarks.peers import torch_cuda

        if places:
            enter(PLAIN, lambda *arguments: torch_cuda.rbm(*arguments, graph=False), counts(sgd))
        enter(GRAPH, lambda *arguments: torch_cuda.rbm(*arguments, graph=True), counts(sgd))
    for place, plan in (places or {}).items():
        chosen = (everyone[LIBRARY].networks,)
        enter(f"dysonsim, {place}", lambda *arguments, plan=plan: library(*arguments, plan), chosen)
    times = {name: np.empty(rounds) for name in everyone}
    with card_to_itself():
        for r in range(rounds):
            for name, ensemble in everyone.items():
                times[name][r] = timed(ensemble, steps[name]) / (steps[name] * ensemble.networks) * 1e9
    theirs = [name for name in (PLAIN, GRAPH) if name in times]
    barred = min(theirs, key=lambda n: np.median(times[n]), default=None) if places else None
    rows = []
    for name, nanoseconds in times.items():
        found = quartiles(nanoseconds / times[LIBRARY])
        bar = BAR if name == barred else None
        rows.append(
            {
                "dtype": dtype, "by": name, "size": MAIN | size, "networks": everyone[name].networks,
                "ns per update": float(np.median(nanoseconds)), **found, "bar": bar,
                "reached": None if bar is None else bool(found["ratio"] >= bar),
                "ns of each round": nanoseconds.tolist(),
            }
        )  # fmt: skip
    return rows


def compare_places(dtype: str, rounds: int, seconds: float) -> list[dict]:
    """The papers' RBM, beside the places where its numbers could live."""
    return compare(dtype, rounds, seconds, places=PLACES)


def library(sgd: ds.SGD, networks: int, dtype: str, seed: int, chosen=None) -> Peer:
    """The kernel alone, without `simulate` around it; `chosen` as of `CudaDriver`."""
    from dysonsim.backend.cuda.driver import CudaDriver

    program = (CudaDriver(chosen) if chosen else CudaDriver()).prepare(sgd.kernel(), dtype)
    ensemble, done = program.open(sgd.start(networks, seed), 0, seed), 0

    def advance(steps: int) -> None:
        nonlocal done
        ensemble.advance(done, steps)
        done += steps

    return Peer(networks, advance, lambda: sgd.weights(ensemble.state()))


def steps_of(ensemble: Peer, seconds: float) -> int:
    """Steps that take about so long, a whole number of graphs."""
    steps = steps_for(ensemble, seconds)
    return -(-steps // CAPTURED) * CAPTURED


def papers_data_set(dtype: str, seconds: float) -> dict:
    """Time for 8.25e9 updates, in proportion to a run of about so many seconds."""
    networks, steps = NETWORKS[-1], 64

    def run(count: int) -> float:
        began = time.perf_counter()
        ds.simulate(rbm({}), networks, count, 1, dtype=dtype, device="cuda", progress=False)
        return time.perf_counter() - began

    run(steps)
    with card_to_itself():
        base = run(steps)
        while (taken := run(2 * steps)) < seconds / 4:
            steps *= 2
        per_step = max(taken - base, 1e-9) / (2 * steps)  # without the start and the spectra, to choose the length
        steps = max(steps, round(seconds / per_step))
        taken = run(steps)
    whole = taken * DATA_SET / (networks * steps)
    return {
        "dtype": dtype, "networks": networks, "steps": steps, "measured s": taken, "updates": networks * steps,
        "extrapolated s": whole, "bar": DATA_SET_BAR, "reached": bool(whole < DATA_SET_BAR),
    }  # fmt: skip


def motion_of_many(dtype: str, rounds: int, seconds: float, n: int = 10) -> dict:
    """A step of many small systems by the pair splitting."""
    process = ds.Dyson(n=n, beta=1, scheme="pairs")
    return against_bound(process, REPLICAS, dtype, gpu_bounds.splitting(n, dtype), rounds, seconds)


def motion_of_large(dtype: str, rounds: int, seconds: float, replicas: int = 16) -> dict:
    """A step of a few large systems, by direct sums of all far forces."""
    from dysonsim.kernels.many_levels.cooperative import CHUNK

    n = LEVELS
    process = ds.Dyson(n=n, beta=1, scheme="fast", initial=np.linspace(-1, 1, n) * np.sqrt(2 * n))
    return against_bound(process, replicas, dtype, gpu_bounds.large(n, CHUNK), rounds, seconds)


def against_bound(process, replicas: int, dtype: str, counted, rounds: int, seconds: float) -> dict:
    """Time of a step of all replicas, and over the bound."""
    program = process.prepare("cuda", dtype, 1)
    start, size = process.start(replicas, 1), program.unit * program.width
    ensembles = [program.open(start[a : a + size], a, 1) for a in range(0, replicas, size)]
    for ensemble in ensembles:
        ensemble.set_reals(process.constants(process.step))
    done = 0

    def advance(steps: int) -> None:
        nonlocal done
        for ensemble in ensembles:
            ensemble.advance(done, steps)
        for ensemble in ensembles:
            ensemble.left()  # waits until the device is through
        done += steps

    moved = Peer(replicas, advance, lambda: np.empty(0))
    moved.advance(1)
    with card_to_itself():
        steps = steps_for(moved, seconds)
        each = np.array([timed(moved, steps) / steps for _ in range(rounds)])
    about = card()
    bound = replicas * counted.seconds(tuple(about["capability"]), about["multiprocessors"], about["hertz"])
    found = quartiles(each / bound)
    return {
        "n": process.n, "replicas": replicas, "dtype": dtype, "s per step": float(np.median(each)), "bound s": bound,
        "instructions of a system": vars(counted), **found, "bar": BOUND_BAR,
        "reached": bool(found["ratio"] <= BOUND_BAR),
    }  # fmt: skip


WHAT = {
    "places": compare_places, "size": compare, "data set": papers_data_set, "many": motion_of_many,
    "large": motion_of_large,
}  # fmt: skip


def shown(what: str, result) -> str:
    """A result in words."""
    if what in ("places", "size"):
        return table(result)
    return sentence(result) if what == "data set" else bound_sentence(result)


def table(rows: list[dict]) -> str:
    head = "RBM, by default 10x10, |B| = 16, k = 3"
    lines = [f"{head:52}{'networks':>10}{'ns/update':>11}{'ratio':>8}  quartiles       bar"]
    for row in rows:
        low, high = row["quartiles"]
        bar = "" if row["bar"] is None else f">= {row['bar']:g}: {reached(row['reached'])}"
        size = "" if row["size"] == MAIN else "N = {n}, |B| = {batch}, k = {k}, ".format(**row["size"])
        times = f"{row['ns per update']:>11.2f}{row['ratio']:>8.2f}"
        numbers = f"{row['networks']:>10}{times}  {f'{low:.2f} to {high:.2f}':<16}"
        lines.append(f"{size + row['dtype'] + ' ' + row['by']:<52}{numbers}{bar}".rstrip())
    return "\n".join(lines)


def sentence(row: dict) -> str:
    verdict = reached(row["reached"])
    return (
        f"{DATA_SET:g} updates in {row['dtype']}: {row['extrapolated s']:.1f} s (bar {row['bar']:g} s: {verdict}), in "
        f"proportion to {row['updates']:.3g} updates in {row['measured s']:.2f} s"
    )


def bound_sentence(row: dict) -> str:
    low, high = row["quartiles"]
    return (
        f"Dyson Brownian motion, N = {row['n']}, {row['replicas']} replicas, {row['dtype']}: "
        f"{row['s per step'] * 1e3:.3f} ms a step, {row['ratio']:.2f} times ({low:.2f} to {high:.2f}) the bound of "
        f"{row['bound s'] * 1e3:.3f} ms (bar {row['bar']:g}: {reached(row['reached'])})"
    )


if __name__ == "__main__":  # as `python -m benchmarks gpu`
    harness.main("gpu")
