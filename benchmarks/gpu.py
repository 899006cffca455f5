"""dysonsim on a CUDA device, against PyTorch and against arithmetic: `python -m benchmarks.gpu [--quick]`.

- RBM 10x10, |B| = 16, k = 3: a step of many networks, dysonsim's kernel against batched PyTorch on the same card, plain
  and as CUDA graphs, each with the number of networks that suits it best. Contestants take turns; ratios are taken
  within a round. Where the kernel's numbers live is varied as well (`backend/cuda_plan.py` chooses one of the places).
- the papers' RBM data set, 8.25e9 updates: from a run of `simulate` that is long enough, start and spectra included.
- Dyson Brownian motion, N = 10 with 10^6 replicas and N = 10^4 with 16, against the least time that the card's
  arithmetic units need (`gpu_bounds.py` counts).

Exit status 1 where there is no CUDA device.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

import dysonsim as ds
from benchmarks import cases, gpu_bounds, gpu_peers, peers
from benchmarks.report import RESULTS, announce, quartiles, steps_for, store, timed
from dysonsim.backend.cuda_plan import alone, in_device_memory, in_teams

SGD = cases.CASES[cases.RBM].sgd
DATA_SET = 8.25e9  # updates of the papers' RBM data set
LIBRARY, PLAIN, GRAPH = "dysonsim", "PyTorch batched", "PyTorch batched, CUDA graph"
NETWORKS = (2**12, 2**14, 2**16)  # in the caches, and beyond them
BAR, DATA_SET_BAR, BOUND_BAR = 5.0, 60.0, 4.0
PLACES = {"a thread a network": alone, "in teams": in_teams, "device memory": in_device_memory}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute or two, mostly of compiling; larger errors")
    parser.add_argument("--out", type=Path, help="JSON file to write (results/gpu.json)")
    options = parser.parse_args(arguments)
    out = options.out or RESULTS / ("gpu-quick.json" if options.quick else "gpu.json")
    obstacle = no_device()
    if obstacle:
        print(f"benchmarks.gpu: no CUDA device, nothing is measured: {obstacle}", file=sys.stderr)
        raise SystemExit(1)
    rounds, seconds = (3, 0.3) if options.quick else (9, 1.0)

    about = announce() | {"card": card()}
    print("card:", about["card"], "\n")
    if peers.torch is None or not peers.torch.cuda.is_available():
        print("PyTorch with CUDA is not installed: SKIPPED its peers, and with them the bars.\n")
    rows = [row for dtype in cases.DTYPES for row in compare(dtype, rounds, seconds)]
    print(table(rows), flush=True)
    data_set = [papers_data_set(dtype, 1.0 if options.quick else 10.0) for dtype in cases.DTYPES]
    print("\n" + "\n".join(map(sentence, data_set)), flush=True)
    small = 2**17 if options.quick else 10**6
    motion = [motion_of_many(10, small, dtype, rounds, seconds) for dtype in cases.DTYPES]
    motion.append(motion_of_large(2000 if options.quick else 10**4, 16, rounds, seconds))
    print("\n" + "\n".join(map(bound_sentence, motion)))
    store({"machine": about, "rounds": rounds, "rbm": rows, "data set": data_set, "motion": motion}, out)
    print(f"\nwritten: {out}")


def no_device() -> str:
    """Why no device can be timed; empty if one can."""
    from dysonsim.backend.cuda import SIMULATED, why_not

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
        "hertz": device.CLOCK_RATE * 1e3,  # the highest that the card allows itself: bounds are the lower for it
        "shared bytes of a block": device.MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
    }


def compare(dtype: str, rounds: int, seconds: float) -> list[dict]:
    """One row a contestant: ns per update of one network, and how many times as long as dysonsim it takes."""
    makers = {LIBRARY: gpu_peers.dysonsim_rbm}
    if peers.torch is not None and peers.torch.cuda.is_available():
        makers[PLAIN] = lambda *arguments: gpu_peers.torch_rbm(*arguments, graph=False)
        makers[GRAPH] = lambda *arguments: gpu_peers.torch_rbm(*arguments, graph=True)
    everyone, counts = {}, {}
    for name, make in makers.items():
        ensembles = [make(SGD, networks, dtype, 1) for networks in NETWORKS]
        trials = [steps_of(ensemble, seconds / 4) for ensemble in ensembles]
        costs = [timed(e, steps) / (steps * e.networks) for e, steps in zip(ensembles, trials, strict=True)]
        best = int(np.argmin(costs))
        everyone[name], counts[name] = ensembles[best], 4 * trials[best]
    chosen = everyone[LIBRARY].networks
    for place, plan in PLACES.items():
        everyone[f"dysonsim, {place}"] = gpu_peers.dysonsim_rbm(SGD, chosen, dtype, 1, plan)
        counts[f"dysonsim, {place}"] = steps_of(everyone[f"dysonsim, {place}"], seconds)
    times = {name: np.empty(rounds) for name in everyone}
    for r in range(rounds):
        for name, ensemble in everyone.items():
            times[name][r] = timed(ensemble, counts[name]) / (counts[name] * ensemble.networks) * 1e9
    barred = min((name for name in (PLAIN, GRAPH) if name in times), key=lambda n: np.median(times[n]), default=None)
    rows = []
    for name, nanoseconds in times.items():
        found = quartiles(nanoseconds / times[LIBRARY])
        bar = BAR if name == barred else None
        rows.append(
            {
                "dtype": dtype, "by": name, "networks": everyone[name].networks,
                "ns per update": float(np.median(nanoseconds)), **found, "bar": bar,
                "reached": None if bar is None else bool(found["ratio"] >= bar),
                "ns of each round": nanoseconds.tolist(),
            }
        )  # fmt: skip
    return rows


def steps_of(ensemble: peers.Peer, seconds: float) -> int:
    """Steps that take about so long, a whole number of graphs."""
    steps = steps_for(ensemble, seconds)
    return -(-steps // gpu_peers.CAPTURED) * gpu_peers.CAPTURED


def papers_data_set(dtype: str, seconds: float) -> dict:
    """Time for 8.25e9 updates, in proportion to a run of about so many seconds."""
    networks, steps = NETWORKS[-1], 64

    def run(count: int) -> float:
        began = time.perf_counter()
        ds.simulate(SGD, networks, count, 1, dtype=dtype, device="cuda", progress=False)
        return time.perf_counter() - began

    run(steps)
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


def motion_of_many(n: int, replicas: int, dtype: str, rounds: int, seconds: float) -> dict:
    """A step of many small systems by the pair splitting."""
    process = ds.Dyson(n=n, beta=1, scheme="pairs")
    counts = gpu_bounds.splitting(n, dtype)
    return against_bound(process, replicas, dtype, counts, replicas, rounds, seconds)


def motion_of_large(n: int, replicas: int, rounds: int, seconds: float) -> dict:
    """A step of a few large systems, by direct sums of all far forces."""
    from dysonsim.kernels.large_cooperative import CHUNK

    process = ds.Dyson(n=n, beta=1, scheme="fast", initial=np.linspace(-1, 1, n) * np.sqrt(2 * n))
    return against_bound(process, replicas, "float64", gpu_bounds.large(n, CHUNK), replicas, rounds, seconds)


def against_bound(process, replicas: int, dtype: str, counts, systems: int, rounds: int, seconds: float) -> dict:
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

    moved = peers.Peer(replicas, advance, lambda: np.empty(0))
    steps = steps_for(moved, seconds)
    each = np.array([timed(moved, steps) / steps for _ in range(rounds)])
    about = card()
    bound = systems * counts.seconds(tuple(about["capability"]), about["multiprocessors"], about["hertz"])
    found = quartiles(each / bound)
    return {
        "n": process.n, "replicas": replicas, "dtype": dtype, "s per step": float(np.median(each)), "bound s": bound,
        "instructions of a system": vars(counts), **found, "bar": BOUND_BAR,
        "reached": bool(found["ratio"] <= BOUND_BAR),
    }  # fmt: skip


def table(rows: list[dict]) -> str:
    lines = [f"{'RBM 10x10, |B| = 16, k = 3':36}{'networks':>10}{'ns/update':>11}{'ratio':>8}  {'quartiles':<16}bar"]
    for row in rows:
        low, high = row["quartiles"]
        bar = "" if row["bar"] is None else f">= {row['bar']:g}: {'reached' if row['reached'] else 'MISSED'}"
        name = f"{row['dtype']} {row['by']}"
        times = f"{row['ns per update']:>11.2f}{row['ratio']:>8.2f}"
        numbers = f"{row['networks']:>10}{times}  {f'{low:.2f} to {high:.2f}':<16}"
        lines.append(f"{name:<36}{numbers}{bar}".rstrip())
    return "\n".join(lines)


def sentence(row: dict) -> str:
    verdict = "reached" if row["reached"] else "MISSED"
    return (
        f"{DATA_SET:g} updates in {row['dtype']}: {row['extrapolated s']:.1f} s (bar {row['bar']:g} s: {verdict}), in "
        f"proportion to {row['updates']:.3g} updates in {row['measured s']:.2f} s"
    )


def bound_sentence(row: dict) -> str:
    low, high = row["quartiles"]
    return (
        f"Dyson Brownian motion, N = {row['n']}, {row['replicas']} replicas, {row['dtype']}: "
        f"{row['s per step'] * 1e3:.3f} ms a step, {row['ratio']:.2f} times ({low:.2f} to {high:.2f}) the bound of "
        f"{row['bound s'] * 1e3:.3f} ms (bar {row['bar']:g}: {'reached' if row['reached'] else 'MISSED'})"
    )


if __name__ == "__main__":
    main()
