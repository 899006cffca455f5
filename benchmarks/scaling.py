"""How time and memory grow: with networks, steps, N, |B| and threads.

The RBM of the papers (10x10, |B| = 16, k = 3, 1024 networks) with one number changed at a time, two threads unless they
are what is changed, beside batched PyTorch on two threads where it is installed, and dysonsim on a CUDA device where
there is one. Times are of steps alone; those against steps and threads are of `simulate`, start and spectrum included.
Contestants take turns, and medians over the rounds are shown. The gain of a second thread is the median of ratios of
neighboring runs. Memory is the largest resident size of a new process, with ten records whatever the steps.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

import dysonsim as ds
from benchmarks import cases, peers, probes
from benchmarks.harness import PAUSE, announce, quartiles, reached, skipped, steps_for, timed
from benchmarks.starting import ROOT
from dysonsim.backend import driver, usable_cores

LIBRARY, TORCH, CUDA = cases.LIBRARY, cases.BATCHED, "dysonsim, CUDA"
MACHINE = "multiply-adds alone"
GAIN_BAR, GROWTH_BAR = 1.85, 1.05  # of a second thread; exponents of networks and steps
MEMORY_BAR = 4.0  # MiB that more steps may add: what the allocator leaves over differs by this much
MEMORY = """
import sys
from pathlib import Path
import dysonsim as ds
model = ds.GaussianRBM.scalar_field(n_visible=10, mass=2.0, mu=3.0, gibbs_steps=3)
steps = int(sys.argv[1])
ds.simulate(ds.SGD(model, 0.1, 16), replicas=64, steps=steps, record_every=steps // 10, seed=1)
status = Path("/proc/self/status").read_text()
print(int(status.split("VmHWM:")[1].split()[0]) / 1024)
"""
Points = list[tuple[int, ds.SGD, int]]  # what is changed, the process, networks
FIT = {"networks": 1024, "steps": 1000, "N": 10, "|B|": 16}  # exponents are of what is at least so large


def sizes(quick: bool) -> dict[str, Points]:
    """Panel -> points."""
    networks = (64, 1024, 8192) if quick else (64, 256, 1024, 4096, 16384, 65536)
    units = (4, 10, 20) if quick else (2, 4, 10, 20, 50, 128)
    batches = (4, 16, 64) if quick else (1, 4, 16, 64, 256)
    return {
        "networks": [(count, cases.rbm(), count) for count in networks],
        "N": [(n, cases.rbm(n=n), fewer(n)) for n in units],
        "|B|": [(batch, cases.rbm(batch=batch), cases.NETWORKS) for batch in batches],
    }


def fewer(n: int) -> int:
    """Networks with n units that make a round short enough."""
    return cases.NETWORKS if n <= 20 else 256 if n <= 50 else 16


def contestants(sgd: ds.SGD, networks: int) -> dict[tuple[str, str], peers.Peer]:
    """(by, dtype) -> what advances."""
    makes = {LIBRARY: cases.library_steps}
    if peers.HAS_TORCH:
        from benchmarks.peers import torch

        makes[TORCH] = torch.rbm
    if has_cuda():
        makes[CUDA] = partial(cases.library_steps, device="cuda")
    return {
        (by, dtype): make(sgd, networks, dtype, 1, cases.THREADS)
        for by, make in makes.items()
        for dtype in cases.DTYPES
    }


def has_cuda() -> bool:
    try:
        driver("cuda")
    except (RuntimeError, ImportError):
        return False
    return True


def curve(panel: str, points: Points, rounds: int, seconds: float) -> list[dict]:
    """us per update of one network, one row a point and contestant; steps that take about so long."""
    everyone = {(x, *key): peer for x, sgd, networks in points for key, peer in contestants(sgd, networks).items()}
    return taken(panel, everyone, {key: steps_for(peer, seconds) for key, peer in everyone.items()}, rounds)


def step_curve(quick: bool, rounds: int) -> list[dict]:
    """The same of whole calls of `simulate` that differ in their steps."""
    everyone = {
        (steps, LIBRARY, dtype): cases.library(cases.rbm(), 64, dtype, 1, cases.THREADS)
        for steps in ((100, 1000, 10_000) if quick else (100, 1000, 10_000, 50_000))
        for dtype in cases.DTYPES
    }
    for peer in everyone.values():
        peer.advance(10)
    return taken("steps", everyone, {key: key[0] for key in everyone}, rounds)


def taken(panel: str, everyone: dict, steps: dict, rounds: int) -> list[dict]:
    """All points take turns, so that what else the machine does bends no line."""
    times = {key: np.empty(rounds) for key in everyone}
    for r in range(rounds):
        for key, peer in everyone.items():
            time.sleep(PAUSE)
            times[key][r] = timed(peer, steps[key]) / steps[key] / peer.networks * 1e6
    return [
        {
            "panel": panel, "x": x, "by": by, "dtype": dtype, "networks": everyone[x, by, dtype].networks,
            "steps": steps[x, by, dtype], "us per update": float(np.median(us)), "us of each round": us.tolist(),
        }
        for (x, by, dtype), us in times.items()
    ]  # fmt: skip


def exponents(rows: list[dict]) -> list[dict]:
    """Growth of the time of a run with what is changed, from a straight line through logarithms."""
    found = []
    for panel, least in FIT.items():
        lines = {(row["by"], row["dtype"]) for row in rows if row["panel"] == panel}
        for by, dtype in sorted(lines):
            line = [row for row in rows if (row["panel"], row["by"], row["dtype"]) == (panel, by, dtype)]
            line = [row for row in line if row["x"] >= least]
            if len(line) < 2:
                continue
            x = np.array([row["x"] for row in line], float)
            y = np.array([row["us per update"] for row in line]) * (x if panel in ("networks", "steps") else 1)
            slope = float(np.polyfit(np.log(x), np.log(y), 1)[0])
            bar = GROWTH_BAR if by == LIBRARY and panel in ("networks", "steps") else None
            found.append(
                {
                    "panel": panel, "by": by, "dtype": dtype, "from": int(x[0]), "to": int(x[-1]), "exponent": slope,
                    "bar": bar, "reached": None if bar is None else slope <= bar,
                }
            )  # fmt: skip
    return found


def gains(rounds: int, seconds: float) -> list[dict]:
    """Time on one thread over time on two, `simulate` as it is called; and of multiply-adds alone, in the same rounds.

    A machine that lends its cores to others, or clocks down when both are busy, does not give two threads twice.
    """
    everyone = {}
    for dtype in cases.DTYPES:
        for name in (cases.RBM, cases.TEACHER, cases.HIDDEN):
            case = cases.CASES[name]
            everyone[name, dtype] = {t: cases.library(case.sgd, case.networks, dtype, 1, t) for t in (1, 2)}
    everyone[MACHINE, "float64"] = {t: multiply_adds(t) for t in (1, 2)}
    ratios: dict[tuple[str, str], list[float]] = {key: [] for key in everyone}
    steps = {key: steps_for(both[1], seconds) for key, both in everyone.items()}
    for r in range(-1, rounds):  # one before those that count
        for key, both in everyone.items():
            taken = {t: timed(both[t], steps[key]) for t in ((1, 2) if r % 2 else (2, 1))}
            ratios[key] += [taken[1] / taken[2]] if r >= 0 else []
    rows = []
    for (name, dtype), of_rounds in ratios.items():
        found = quartiles(np.array(of_rounds))
        bar = None if name == MACHINE else GAIN_BAR
        rows.append(
            {
                "case": name, "dtype": dtype, "gain": found["ratio"], "quartiles": found["quartiles"], "bar": bar,
                "reached": None if bar is None else bool(found["ratio"] >= bar), "gain of each round": of_rounds,
            }
        )  # fmt: skip
    return rows


def multiply_adds(threads: int) -> peers.Peer:
    """What needs neither memory nor anything of ours but the threads: what they gain is the machine's doing."""
    program = driver("cpu").prepare(probes.probing(probes.MULTIPLY_ADD, probes.REPEATS, probes.CHAINS, 1), "float64")
    start = np.full((program.width, probes.CHAINS), 0.5)
    ensembles = [program.open(start, 0, 1) for _ in range(64)]

    def advance(steps: int) -> None:
        cases.steps_alone(ensembles, 0, steps, threads)

    return peers.Peer(program.width * len(ensembles), advance, lambda: start)


def memory(quick: bool) -> dict:
    """MiB of new processes that do few steps and many; of the kernel's own account of this program alone.

    (`getrusage` would count what its parent held when it was forked.)
    """
    few, many, repeats = (1000, 10_000, 1) if quick else (1000, 100_000, 3)
    mib = {steps: statistics.median(memory_of(steps) for _ in range(repeats)) for steps in (few, many)}
    more = mib[many] - mib[few]
    return {"steps": [few, many], "MiB": list(mib.values()), "bar, MiB more": MEMORY_BAR, "reached": more <= MEMORY_BAR}


def memory_of(steps: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(steps)], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def verdict(row: dict, sign: str) -> str:
    return "" if row["bar"] is None else f"{sign} {row['bar']:g}: {reached(row['reached'])}"


def panel_table(rows: list[dict]) -> str:
    """us per update, a line for each contestant."""
    xs = list(dict.fromkeys(row["x"] for row in rows))
    lines = [f"us per update against {rows[0]['panel']}".ljust(36) + "".join(f"{x:>10}" for x in xs)]
    for by, dtype in dict.fromkeys((row["by"], row["dtype"]) for row in rows):
        values = {row["x"]: row["us per update"] for row in rows if (row["by"], row["dtype"]) == (by, dtype)}
        lines.append(f"    {by + ', ' + dtype:<32}" + "".join(f"{values[x]:>10.3g}" for x in xs))
    return "\n".join(lines) + "\n"


def summary(growth: list[dict], threads: list[dict], needed: dict) -> str:
    lines = ["exponents of growth of the time of a run"]
    for row in growth:
        span = f"{row['panel']}, {row['from']} to {row['to']}"
        lines.append(
            f"    {span:<32}{row['by'] + ', ' + row['dtype']:<28}{row['exponent']:>6.2f}  {verdict(row, '<=')}"
        )
    lines.append("\ngain of a second thread")
    for row in threads:
        low, high = row["quartiles"]
        line = f"    {row['case'] + ', ' + row['dtype']:<44}{row['gain']:>6.2f}  {low:.2f} to {high:.2f}  "
        lines.append(line + verdict(row, ">="))
    spent = " and ".join(
        f"{mib:.1f} MiB for {steps} steps" for steps, mib in zip(needed["steps"], needed["MiB"], strict=True)
    )
    bar = f"at most {needed['bar, MiB more']:g} MiB more: {'reached' if needed['reached'] else 'MISSED'}"
    return "\n".join([*lines, "", f"memory: {spent}; {bar}"])


def plot(report: dict, file: Path) -> None:
    """One panel for everything that is changed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 7.5), layout="constrained")
    panels = list(figure.subplots(2, 3).flat)
    for axes, panel in zip(panels, FIT, strict=False):
        plot_curves(axes, panel, [row for row in report["curves"] if row["panel"] == panel])
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    names = [f"{row['case'].split(',')[0]}\n{row['dtype']}" for row in report["threads"]]
    gained = [row["gain"] for row in report["threads"]]
    plot_bars(panels[4], names, gained, GAIN_BAR, "gain of a second thread (dotted: aim)")
    needed = report["memory"]
    names = [f"{steps} steps" for steps in needed["steps"]]
    plot_bars(panels[5], names, needed["MiB"], needed["MiB"][0] + MEMORY_BAR, "MiB of the process (dotted: at most)")
    figure.savefig(file, dpi=110)


def plot_curves(axes, panel: str, rows: list[dict]) -> None:
    """us per update, both axes logarithmic, whole decades of time."""
    from matplotlib.ticker import NullFormatter

    colors = {LIBRARY: "C3", TORCH: "C0", CUDA: "C2"}
    for by, dtype in dict.fromkeys((row["by"], row["dtype"]) for row in rows):
        line = [row for row in rows if (row["by"], row["dtype"]) == (by, dtype)]
        x, y = [row["x"] for row in line], [row["us per update"] for row in line]
        style = "o-" if dtype == "float64" else "s--"
        axes.plot(x, y, style, color=colors[by], label=f"{by}, {dtype}", markersize=4, lw=1.2)
    times = [row["us per update"] for row in rows]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(10 ** np.floor(np.log10(min(times))), 10 ** np.ceil(np.log10(max(times))))
    xs = sorted({row["x"] for row in rows})
    axes.set_xticks(xs, [f"{x:g}" for x in xs], fontsize=8)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.set_xlabel(panel)
    axes.set_ylabel("µs per update of one network")


def plot_bars(axes, names: list[str], values: list[float], bar: float, label: str) -> None:
    axes.barh(range(len(names)), values, color="C3", height=0.6)
    axes.axvline(bar, color="black", ls=":", lw=1.2)
    for i, value in enumerate(values):
        axes.text(value * 0.98, i, f"{value:.3g}", ha="right", va="center", color="white", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(label)


def run(options, keep) -> dict:
    """Print and keep one panel after the other, then gains and memory."""
    about = announce() | {"threads": cases.THREADS}
    if not peers.HAS_TORCH:
        skipped("PyTorch")
    if not has_cuda():
        print("No CUDA device can be used: SKIPPED.")
    if usable_cores() < cases.THREADS:
        print(f"Only {usable_cores()} core may be used: a second thread can gain nothing.")
    rounds, seconds = (3, 0.05) if options.quick else (5, 0.2)
    curves: list[dict] = []
    for panel, points in sizes(options.quick).items():
        found = curve(panel, points, rounds, seconds)
        print(panel_table(found), flush=True)
        curves += found
        keep({"machine": about, "curves": curves})
    found = step_curve(options.quick, rounds)
    print(panel_table(found), flush=True)
    curves += found
    growth, threads = exponents(curves), gains(5 if options.quick else 11, 2 * seconds)
    needed = memory(options.quick)
    print(summary(growth, threads, needed))
    return {"machine": about, "curves": curves, "exponents": growth, "threads": threads, "memory": needed}
