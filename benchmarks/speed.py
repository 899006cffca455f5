"""How many times as fast as other libraries dysonsim trains.

Three networks beside everyone, further sizes beside batched PyTorch; and how long a new process takes to start.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import cases, peers, starting
from benchmarks.harness import announce, quartiles, reached, skipped, steps_for, timed


def run(options, keep) -> dict:
    """Print a table a case as it is done; store after each."""
    report: dict[str, object] = {"machine": announce() | {"threads": cases.THREADS}, "quick": options.quick}
    if not peers.HAS_TORCH:
        skipped("PyTorch: its peers and the bars")
    print(HEAD)
    rows: list[dict] = []
    for name, case in cases.CASES.items():
        for dtype in cases.DTYPES:
            rounds, seconds = length(case, options.quick)
            found = compare(name, dtype, rounds, seconds)
            print(table(found), flush=True)
            rows += found
            keep(report | {"speed": rows})
    print("\n" + verdict(rows))
    start = starting.start_up(3 if options.quick else 7)
    print("\n" + starting.table(start))
    return report | {"speed": rows, "start": start}


def length(case: cases.Case, quick: bool) -> tuple[int, float]:
    """Rounds, and seconds of each contestant in one."""
    if quick:
        return 3, 0.15 if case.all_peers else 0.08
    return (7, 0.5) if case.all_peers else (5, 0.3)


def compare(name: str, dtype: str, rounds: int, seconds: float) -> list[dict]:
    """One row a contestant: us per update of one network, and how many times as long as dysonsim it takes."""
    case = cases.CASES[name]
    everyone = cases.set_up(case, dtype)
    steps = {by: steps_for(ensemble, seconds) for by, ensemble in everyone.items()}
    times = {by: np.empty(rounds) for by in everyone}
    for r in range(rounds):
        for by, ensemble in everyone.items():
            times[by][r] = timed(ensemble, steps[by]) / (steps[by] * ensemble.networks) * 1e6
    batched = [by for by in times if by.startswith(cases.BATCHED)]
    barred = min(batched, key=lambda by: np.median(times[by]), default=None)
    rows = []
    for by, microseconds in times.items():
        found = quartiles(microseconds / times[cases.LIBRARY])
        bar = case.bars.get(dtype) if by == barred else None
        most = case.most / cases.THREADS if case.most is not None and by == cases.LIBRARY else None
        met = None if bar is None else bool(found["ratio"] >= bar)
        if most is not None:
            met = bool(np.median(microseconds) <= most)
        rows.append(
            {
                "case": name, "dtype": dtype, "by": by, "us per update": float(np.median(microseconds)),
                **found, "bar": bar, "most us": most, "reached": met,
                "us of each round": microseconds.tolist(),
            }
        )  # fmt: skip
    return rows


HEAD = f"{'':40}{'us/update':>10}{'ratio':>8}  {'quartiles':<16}bar"


def table(rows: list[dict]) -> str:
    """One case in one float type."""
    lines = [f"{rows[0]['case']}, {rows[0]['dtype']}"]
    for row in rows:
        low, high = row["quartiles"]
        bar = "" if row["bar"] is None else f">= {row['bar']:g}: {reached(row['reached'])}"
        bar = bar if row["most us"] is None else f"<= {row['most us']:g} us: {reached(row['reached'])}"
        spread = f"{low:.2f} to {high:.2f}"
        times = f"{row['us per update']:>10.3f}{row['ratio']:>8.2f}  {spread:<16}"
        lines.append(f"    {row['by']:<36}{times}{bar}".rstrip())
    return "\n".join(lines)


def verdict(rows: list[dict]) -> str:
    """How many bars were reached, and which were not."""
    barred = [row for row in rows if row["reached"] is not None]
    missed = [f"{row['case']}, {row['dtype']}" for row in barred if not row["reached"]]
    return f"bars reached: {len(barred) - len(missed)} of {len(barred)}" + "".join(f"\n    missed: {m}" for m in missed)


def plot(report: dict, file: Path) -> None:
    """Left: time of one update beside everyone; right: further sizes, ratios to batched PyTorch and their bars."""
    from matplotlib.figure import Figure

    rows = report["speed"]
    full = [name for name, case in cases.CASES.items() if case.all_peers]
    height = 1.0 + 0.19 * sum(row["case"] in full for row in rows) + 0.19 * 2 * len(full)
    figure = Figure(figsize=(13, height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    plot_times([row for row in rows if row["case"] in full], left)
    plot_ratios([row for row in rows if row["bar"] is not None], right)
    figure.savefig(file, dpi=110)


def plot_times(rows: list[dict], axes) -> None:
    """Time of one update, logarithmic, one group a case and dtype; with the ratios."""
    heights, labels, at = [], [], 0.0
    for row in rows:
        mine = row["by"] == cases.LIBRARY
        at += 0.8 * mine
        axes.plot(row["us per update"], at, "o", color="C3" if mine else "C0", markersize=5)
        axes.text(row["us per update"], at, "" if mine else f"   {row['ratio']:.1f}x", va="center", fontsize=8)
        heights.append(at)
        labels.append(f"{row['case']}, {row['dtype']}: {row['by']}" if mine else row["by"])
        at += 1
    axes.set_yticks(heights, labels, fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.17)
    axes.set_ylim(at, -1)
    axes.grid(axis="x", alpha=0.4)
    axes.set_xlabel("µs per update of one network; factor: over dysonsim")


def plot_ratios(rows: list[dict], axes) -> None:
    """The ratios that have bars, and where these are; rows come from several cases, in pairs of float types."""
    colors = dict(zip(cases.DTYPES, ("C3", "C0"), strict=True))
    names = list(dict.fromkeys(row["case"] for row in rows))
    for row in rows:
        at = names.index(row["case"]) + 0.3 * cases.DTYPES.index(row["dtype"])
        axes.plot(row["quartiles"], [at, at], color=colors[row["dtype"]], lw=2)
        axes.plot(row["ratio"], at, "o", color=colors[row["dtype"]], markersize=5)
        axes.plot(row["bar"], at, "|", color="black", markersize=9, mew=2)
    for dtype, color in colors.items():
        axes.plot([], [], "o", color=color, label=dtype)
    axes.plot([], [], "|", color="black", mew=2, label="aim: at least")
    axes.set_yticks(np.arange(len(names)) + 0.15, names, fontsize=8)
    axes.set_ylim(len(names), -0.5)
    axes.set_xscale("log")
    axes.grid(axis="x", which="both", alpha=0.3)
    axes.set_xlabel("batched PyTorch (the faster) over dysonsim")
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
