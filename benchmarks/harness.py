"""What every benchmark shares: its command line, where its numbers were taken, turns, medians, and where they are kept.

A benchmark is a module of this folder with

- `run(options, keep) -> dict`: measures and prints; returns what is to be stored, or None. `options.quick` asks for
  less; `keep(report)` stores what there is so far, so that nothing is lost where a long run is cut short.
- `plot(report, file)`, if there is a picture, and `add_arguments(parser)`, if there are further options.

Contestants take turns, several times over, so that what else the machine does meets them alike. A ratio is taken within
each round; the median over rounds and its quartiles are shown. A bar is what is aimed at.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np

import dysonsim as ds
from benchmarks.peers import Peer
from dysonsim.backend.cpu import source_hash

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
PAUSE = 0.1  # seconds before a run: threads of PyTorch and JAX spin for a while after a call, on the cores of the next
BUSY = 0.5  # load average before the start from which others disturb the timings
NAMES = (
    "speed", "bounds", "scaling", "samplers", "motion", "gaps", "sums", "sampling", "spectra", "traced", "recording",
    "examining", "scans", "long_range", "circle", "gpu",
)  # fmt: skip


def main(name: str, arguments: list[str] | None = None) -> None:
    """Run one benchmark from its command line, print its tables, and keep its numbers."""
    benchmark = importlib.import_module(f"benchmarks.{name}")
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=headline(name))
    parser.add_argument("--quick", action="store_true", help="shorter, with larger errors")
    parser.add_argument("--out", type=Path, help=f"JSON file to write; a picture goes beside it (results/{name}.json)")
    if hasattr(benchmark, "add_arguments"):
        benchmark.add_arguments(parser)
    options = parser.parse_args(arguments)
    options.out = options.out or RESULTS / (f"{name}-quick.json" if options.quick else f"{name}.json")

    def keep(report: dict) -> None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n")

    report = benchmark.run(options, keep)
    if report is None:
        return
    keep(report)
    written = [str(options.out)]
    if hasattr(benchmark, "plot"):
        benchmark.plot(report, options.out.with_suffix(".png"))
        written.append(str(options.out.with_suffix(".png")))
    print("\nwritten: " + ", ".join(written))


def headline(name: str) -> str:
    """Return the first line of a benchmark's text, without importing it."""
    return (FOLDER / f"{name}.py").read_text().split('"""')[1].splitlines()[0]


def announce() -> dict[str, object]:
    """Print where the numbers are taken, and whether they can be trusted; returns what was printed."""
    about = machine()
    print("\n".join(f"{name}: {value}" for name, value in about.items()), "\n")
    if about["load before"] > BUSY:
        print(f"BUSY machine (load {about['load before']:.1f}): the numbers below are noise.\n")
    return about


def machine() -> dict[str, object]:
    """Where and with what the numbers were taken."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = {name: metadata.version(name) for name in ("numba", "numpy", "scipy")}
    others = ("torch", "jax", "diffrax")
    versions |= {name: metadata.version(name) if find_spec(name) else "absent" for name in others}
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), "dysonsim": ds.__version__, **versions},
        "kernel sources": source_hash()[:12],
    }


def in_turns(
    everyone: Mapping[object, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    pause: float = 0.0,
) -> dict[object, np.ndarray]:
    """Seconds (rounds,) of one call of each contestant, all taking turns; the first call, which warms up, is not in."""
    times = {name: np.empty(rounds) for name in everyone}
    for call in everyone.values():
        call()
    for r in range(rounds):
        for name, call in everyone.items():
            time.sleep(pause)
            began = clock()
            call()
            times[name][r] = clock() - began
    return times


def quartiles(ratios: np.ndarray) -> dict[str, object]:
    """Median over the rounds, and quartiles."""
    low, ratio, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return {"ratio": float(ratio), "quartiles": [float(low), float(high)]}


def timed(ensemble: Peer, steps: int) -> float:
    """Seconds for so many steps."""
    began = time.perf_counter()
    ensemble.advance(steps)
    return time.perf_counter() - began


def steps_for(ensemble: Peer, seconds: float) -> int:
    """Steps that take about so long, without what a call costs besides; warms up on the way."""
    timed(ensemble, 1)
    steps = 1
    while True:
        few, many = timed(ensemble, steps), timed(ensemble, 4 * steps)
        if many > 2 * seconds or (many > seconds / 2 and many > 2 * few):
            return max(1, round(seconds * 3 * steps / max(many - few, many / 4)))
        steps *= 4


def reached(yes: bool | None) -> str:
    """What a table says of a bar."""
    return "" if yes is None else "reached" if yes else "MISSED"


def skipped(library: str) -> None:
    """Say on stderr that a contestant is absent."""
    print(f"{library} is not installed: SKIPPED", file=sys.stderr)
