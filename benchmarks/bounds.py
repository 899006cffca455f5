"""How far the kernels are from what this machine can do, one thread.

What a step does is counted by running its text (`counting`), how fast the machine does each thing is probed
(`probes`), and a step is timed: CPU time of `advance` over many steps, with no spectra and no start. A term is a count
times the time of one such operation at its best. Two numbers are made of the terms:

- bound: the largest of them. Units that can work at the same time overlap, so no step of this text takes less.
- sum: all of them, what to expect if nothing overlaps. A step may well take less.

fraction = bound/time. Both are about the algorithm as it is written: one that needs less would have another bound.
Random numbers and elementary functions are terms at the rate of the library's own generator and functions. Bytes are
those of the state and working space that a step touches, read once and written once, at the rate of the cache that
holds a block of networks. All times are the shortest of several rounds in turn.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

import dysonsim as ds
from benchmarks import cases, counting, probes
from benchmarks.harness import announce
from dysonsim.backend import driver
from dysonsim.processes import Process

DTYPES = ("float64", "float32")
WARM_UP = 1000  # steps before those that are counted and timed: past the start, and the warm-up of the chains
SINGLE = "single "  # of a float32 lane value in a float64 run
PROCESSES: dict[str, Callable[[], Process]] = {
    "RBM 10×10, |B| = 16, k = 3": cases.rbm,
    "teacher–student 2×2, |B| = 16": lambda: cases.TEACHER_SGD,
    "hidden layer 2×2, |B| = 16": lambda: cases.HIDDEN_SGD,
    "deep linear 10×10, L = 2, |B| = 16": lambda: cases.deep(2),
    "deep linear 10×10, L = 3, |B| = 16": lambda: cases.deep(3),
    "tanh 10–10–1, |B| = 16": cases.neural,
    "tanh 3–32–16–1, middle layer trained, |B| = 4": cases.phase_network,
    "Dyson step, 10 levels, β = 1": lambda: ds.Dyson(n=10, beta=1.0, scheme="pairs", dt=0.1),
    "Dyson step, 10 levels, β = 2": lambda: ds.Dyson(n=10, beta=2.0, scheme="pairs", dt=0.1),
    "HMC iteration, 10 levels, β = 2": lambda: ds.CoulombGas.hermite(10, 2.0, method="hmc"),
    "Metropolis sweep, 10 levels, β = 2": lambda: ds.CoulombGas.hermite(10, 2.0, method="metropolis"),
}


class Subject:
    """A kernel in flight, its counts and what a step of one network takes."""

    def __init__(self, process: Process, dtype: str, seconds: float) -> None:
        kernel = process.kernel()
        program = driver("cpu").prepare(kernel, dtype)
        networks = program.width * program.unit
        ensemble = program.open(process.start(networks, 1), 0, 1)
        ensemble.advance(0, WARM_UP)
        states = ensemble.state()[: program.width]
        self.counts, _ = counting.count(kernel, dtype, states, WARM_UP)
        self.block = self.counts["numbers"] * program.width * np.dtype(dtype).itemsize
        self.timed = probes.Timed(ensemble, networks, done=WARM_UP).warm(seconds)


def measure(rounds: int, seconds: float) -> dict:
    """Rates and kernels, both float types."""
    everything: dict[tuple, probes.Timed] = {}
    subjects = {}
    for dtype in DTYPES:
        found = probes.probes(dtype)
        everything |= {("rate", dtype, *key): timed.warm(seconds) for key, timed in found.items()}
        for name, make in PROCESSES.items():
            subjects[name, dtype] = subject = Subject(make(), dtype, seconds)
            everything["kernel", dtype, name] = subject.timed
    times = {key: np.empty(rounds) for key in everything}
    for r in range(rounds):
        for key, timed in everything.items():
            times[key][r] = timed.seconds() * 1e9
    rates: dict[str, dict[str, float]] = {dtype: {} for dtype in DTYPES}
    for (kind, dtype, what, *_), ns in times.items():
        if kind == "rate":
            rates[dtype][what] = min(float(ns.min()), rates[dtype].get(what, np.inf))
    rows = []
    for (name, dtype), subject in subjects.items():
        ns = times["kernel", dtype, name]
        rows.append(judge(name, dtype, subject.counts, subject.block, float(ns.min()), rates))
        rows[-1]["ns of each round"] = ns.tolist()
    return {"ns of one": rates, "kernels": rows}


def judge(name: str, dtype: str, counts: dict[str, float], block: float, ns: float, rates: dict) -> dict:
    """Terms, bound and sum of one kernel."""
    first, second = probes.cache_sizes()
    level = probes.STREAMS[(block > first) + (block > second)]
    moved = (counts["read"] + counts["written"]) * np.dtype(dtype).itemsize
    terms = {level: moved * rates[dtype][level]}
    for what, count in counts.items():
        kind = "float32" if what.startswith(SINGLE) else dtype
        each = rates[kind].get(what.removeprefix(SINGLE))
        if each is not None:
            terms[what] = count * each
    largest = max(terms, key=terms.__getitem__)
    bound, total = terms[largest], sum(terms.values())
    return {
        "kernel": name, "dtype": dtype, "counts": counts, "bytes": moved, "bytes of a block": block,
        "ns": ns, "terms, ns": terms, "bound": bound, "bound by": largest, "sum": total,
        "fraction": bound / ns, "sum over time": total / ns,
    }  # fmt: skip


def together(counts: dict[str, float], *names: str) -> int:
    """Of several kinds, those of float32 lane values among them."""
    return round(sum(counts.get(prefix + name, 0.0) for name in names for prefix in ("", SINGLE)))


HEADS = (
    "kernel", "multiply-adds + additions", "normals + words", "log, exp", "÷, √", "bytes", "ns", "bound, ns",
    "fraction", "sum, ns",
)  # fmt: skip


def cells(pair: list[dict]) -> list[str]:
    """One kernel in both float types as text: counts, then what was measured, float64 / float32."""
    counts = pair[0]["counts"]

    def both(show: Callable[[dict], str]) -> str:
        shown = [show(row) for row in pair]
        return shown[0] if len(set(shown)) == 1 else " / ".join(shown)

    return [
        pair[0]["kernel"],
        f"{together(counts, 'multiply-add')} + {together(counts, 'addition')}",
        f"{together(counts, 'normal')} + {together(counts, 'word')}",
        f"{together(counts, 'logarithm', 'exponential')}",
        f"{together(counts, 'division', 'root')}",
        both(lambda row: f"{row['bytes']:.0f}"),
        both(lambda row: f"{row['ns']:.3g}"),
        bounds_of(pair),
        both(lambda row: f"{row['fraction']:.2f}"),
        both(lambda row: f"{row['sum']:.3g}"),
    ]


def bounds_of(pair: list[dict]) -> str:
    """Bounds and what they are by, which is said once where it is the same."""
    shown = [f"{row['bound']:.3g}" for row in pair]
    by = [f" ({row['bound by'].removesuffix('s')}s)" for row in pair]
    if len(set(by)) == 1:
        return " / ".join(shown) + by[0]
    return " / ".join(bound + why for bound, why in zip(shown, by, strict=True))


def rate_cells(report: dict) -> list[list[str]]:
    """What each thing takes, ns of one network; streams in GB/s."""
    rows = []
    for what in report["ns of one"]["float64"]:
        ns = [report["ns of one"][dtype][what] for dtype in DTYPES]
        stream = what in probes.STREAMS
        shown = [f"{1 / t:.0f} GB/s" if stream else f"{t:.3f} ns" for t in ns]
        rows.append([what, *shown])
    return rows


def pairs(report: dict) -> list[list[dict]]:
    rows = report["kernels"]
    return [[row for row in rows if row["kernel"] == name] for name in dict.fromkeys(row["kernel"] for row in rows)]


def table(report: dict) -> str:
    """For a terminal."""
    both = aligned([["one of these, one thread", *DTYPES], *rate_cells(report)])
    return both + "\n\n" + aligned([list(HEADS), *map(cells, pairs(report))])


def aligned(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return "\n".join(lines)


def markdown(report: dict) -> str:
    """The tables of the performance guide, from the JSON."""
    return "\n\n".join((markdown_kernels(report), markdown_rates(report)))


def markdown_kernels(report: dict) -> str:
    return as_markdown([list(HEADS), *map(cells, pairs(report))])


def markdown_rates(report: dict) -> str:
    return as_markdown([["one thread, one network", *DTYPES], *rate_cells(report)])


def as_markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    return "\n".join(lines)


def add_arguments(parser) -> None:
    """Offer the tables of what is stored."""
    parser.add_argument("--markdown", action="store_true", help="print the tables of the stored file, measure nothing")


def run(options, keep) -> dict | None:
    """Print all terms of all kernels; or the tables of what is stored."""
    if options.markdown:
        print(markdown(json.loads(options.out.read_text())))
        return None
    about = announce() | {"threads": 1}
    rounds, seconds = (3, 0.02) if options.quick else (9, 0.1)
    report = {"machine": about, "rounds": rounds, **measure(rounds, seconds)}
    print(table(report))
    return report
