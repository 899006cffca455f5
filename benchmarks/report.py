"""Print, store and plot how many times as fast as other libraries dysonsim is: `python -m benchmarks.report [--quick]`.

All contestants of a case run in turn, several times over, so that what else the machine does meets them alike; a ratio
is taken within each round, and the median over rounds and its quartiles are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from importlib import metadata
from pathlib import Path

import numpy as np

import dysonsim as ds
from benchmarks import cases, peers, starting
from dysonsim.backend.cpu import source_hash

RESULTS = Path(__file__).parent / "results"
IMPORT_BAR = 0.5
BUSY = 0.5  # load average before the start from which others disturb the timings


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="half a minute instead of three, with larger errors")
    parser.add_argument("--out", type=Path, help="JSON file to write, the picture goes beside it (results/speed.json)")
    options = parser.parse_args(arguments)
    out = options.out or RESULTS / ("speed-quick.json" if options.quick else "speed.json")
    rounds, seconds = (3, 0.15) if options.quick else (7, 0.6)

    about = announce()
    if peers.torch is None:
        print("PyTorch is not installed: SKIPPED its peers, and with them the bars.\n")
    rows = [row for case in cases.CASES for dtype in cases.DTYPES for row in compare(case, dtype, rounds, seconds)]
    print(table(rows))
    start = start_up(3 if options.quick else 7)
    print("\n" + "\n".join(f"{what}: {value}" for what, value in start.items()))

    report = {"machine": about, "rounds": rounds, "seconds a round": seconds, "speed": rows, "start": start}
    store(report, out)
    plot(rows, out.with_suffix(".png"))
    print(f"\nwritten: {out}, {out.with_suffix('.png')}")


def announce() -> dict[str, object]:
    """Print where the numbers are taken, and whether they can be trusted; returns what was printed."""
    about = machine()
    print("\n".join(f"{name}: {value}" for name, value in about.items()), "\n")
    if about["load before"] > BUSY:
        print(f"BUSY machine (load {about['load before']:.1f}): the numbers below are noise.\n")
    return about


def store(report: dict[str, object], out: Path) -> None:
    """Write a report as JSON, into a folder that need not be there yet."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


def quartiles(ratios: np.ndarray) -> dict[str, object]:
    """Median over the rounds, and quartiles."""
    low, ratio, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return {"ratio": float(ratio), "quartiles": [float(low), float(high)]}


def machine() -> dict[str, object]:
    """Where and with what the numbers were taken."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    versions = {name: metadata.version(name) for name in ("numba", "numpy", "scipy")}
    torch = "absent" if peers.torch is None else peers.torch.__version__
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "threads": cases.THREADS,
        "networks": cases.NETWORKS,
        "versions": {"python": platform.python_version(), "dysonsim": ds.__version__, **versions, "torch": torch},
        "kernel sources": source_hash()[:12],
    }


def compare(case: str, dtype: str, rounds: int, seconds: float) -> list[dict]:
    """One row a contestant: us per update of one network, and how many times as long as dysonsim it takes."""
    everyone = {
        name: make(cases.CASES[case], cases.NETWORKS, dtype, 1, cases.THREADS)
        for name, make in cases.contestants(case).items()
    }
    steps = {name: steps_for(ensemble, seconds) for name, ensemble in everyone.items()}
    times = {name: np.empty(rounds) for name in everyone}
    for r in range(rounds):
        for name, ensemble in everyone.items():
            times[name][r] = timed(ensemble, steps[name]) / (steps[name] * ensemble.networks) * 1e6
    batched = [name for name in (cases.BATCHED, cases.BATCHED_1) if name in times]
    barred = min(batched, key=lambda name: np.median(times[name]), default=None)
    rows = []
    for name, microseconds in times.items():
        found = quartiles(microseconds / times[cases.LIBRARY])
        bar = cases.BARS.get((case, dtype)) if name == barred else None
        rows.append(
            {
                "case": case, "dtype": dtype, "by": name, "us per update": float(np.median(microseconds)),
                **found, "bar": bar,
                "reached": None if bar is None else bool(found["ratio"] >= bar),
                "us of each round": microseconds.tolist(),
            }
        )  # fmt: skip
    return rows


def timed(ensemble: peers.Peer, steps: int) -> float:
    began = time.perf_counter()
    ensemble.advance(steps)
    return time.perf_counter() - began


def steps_for(ensemble: peers.Peer, seconds: float) -> int:
    """Steps that take about so long; warms up on the way."""
    steps = 2
    timed(ensemble, steps)
    while (taken := timed(ensemble, steps)) < seconds / 4:
        steps *= 2
    return max(1, round(steps * seconds / taken))


def start_up(repeats: int) -> dict[str, object]:
    """Seconds until a new process simulates."""
    importing = starting.import_seconds(repeats)
    compiling, cached, again = starting.first_run_seconds()
    return {
        "import dysonsim, s": importing,
        f"import below {IMPORT_BAR} s": importing < IMPORT_BAR,
        "first simulation of a first process (compiles), s": compiling,
        "first simulation of a second process, s": cached,
        "second process compiled nothing": not again,
    }


def table(rows: list[dict]) -> str:
    lines = [f"{'':40}{'us/update':>10}{'ratio':>8}  {'quartiles':<16}bar"]
    for row in rows:
        if row["by"] == cases.LIBRARY:
            lines.append(f"{row['case']}, |B| = 16, {row['dtype']}")
        low, high = row["quartiles"]
        bar = "" if row["bar"] is None else f">= {row['bar']:g}: {'reached' if row['reached'] else 'MISSED'}"
        spread = f"{low:.2f} to {high:.2f}"
        times = f"{row['us per update']:>10.3f}{row['ratio']:>8.2f}  {spread:<16}"
        lines.append(f"    {row['by']:<36}{times}{bar}".rstrip())
    return "\n".join(lines)


def plot(rows: list[dict], file: Path) -> None:
    """Time of one update, logarithmic, one group a case and dtype; with the ratios."""
    from matplotlib.figure import Figure

    groups = [(case, dtype) for case in cases.CASES for dtype in cases.DTYPES]
    figure = Figure(figsize=(7.5, 1.0 + 0.19 * (len(rows) + len(groups))), layout="constrained")
    axes = figure.subplots()
    heights, labels, at = [], [], 0.0
    for case, dtype in groups:
        for row in (row for row in rows if (row["case"], row["dtype"]) == (case, dtype)):
            mine = row["by"] == cases.LIBRARY
            axes.plot(row["us per update"], at, "o", color="C3" if mine else "C0", markersize=5)
            axes.text(row["us per update"], at, "" if mine else f"   {row['ratio']:.1f}x", va="center", fontsize=8)
            heights.append(at)
            labels.append(f"{case}, {dtype}: {row['by']}" if mine else row["by"])
            at += 1
        at += 0.8
    axes.set_yticks(heights, labels, fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set_ylim(at, -1)
    axes.grid(axis="x", alpha=0.4)
    axes.set_xlabel("microseconds per update of one network; factor: times dysonsim's")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
