"""Dyson Brownian motion against Euler's methods, NumPy, PyTorch, JAX, diffrax.

Ten levels, linear drift, float64. Two tables:

- a step of 10^5 replicas on two threads, in ns of wall time a replica: the library's pair step, and a tamed Euler step
  of the same equation elsewhere. Contestants take turns; ratios are taken within a round.
- cost at equal bias: relative bias of three statistics of the stationary state against the step, for the pair
  splitting and for tamed and semi-implicit Euler steps written for the library's own vector layer (`motion_kernels`).
  The largest step within a target, from the measured curve, and its cost: ns of CPU a replica and relaxation time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import motion_bias as bias
from benchmarks import motion_kernels, peers
from benchmarks.harness import PAUSE, announce, in_turns, quartiles, reached

THREADS, REPLICAS = 2, 100_000
LIBRARY = "dysonsim, pair step"
BETAS = (1.0, 2.0, 2.5)
STEP_BAR, COST_BAR = 60.0, 50.0  # ns a replica and step; cost of the others over the pair splitting's
TARGETS = {"mean spacing": 0.001, "mean squared gap": 0.005, "smallest gap": 0.01}  # relative bias
PROBED = 40  # operations in a probe
# What one step of the pair splitting is made of, for beta = 1: two sweeps of 36 far pairs and two of 9 neighbors.
PARTS = {"square root": 90, "normal": 20, "division": 0}
STEPS = {
    bias.PAIRS: (0.0125, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0),
    bias.TAMED: (0.0001, 0.0002, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01),
    bias.SEMI: (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.03, 0.1),
}
QUICK = {bias.PAIRS: (0.1, 0.3, 0.5), bias.TAMED: (0.002, 0.01), bias.SEMI: (0.005, 0.03)}


def step_cost(replicas: int, rounds: int, count: int) -> dict:
    """Wall times of a step, all taking turns; and what the library's is made of, ns of CPU on one thread."""
    start = np.resize(bias.exact_draws(1, min(replicas, 20_000), 1), (replicas, bias.LEVELS))
    everyone = {f"{LIBRARY}, beta = {beta:g}": bias.Motion(bias.pairs(beta, 0.1, bias.LEVELS), start) for beta in BETAS}
    everyone["dysonsim's layer, tamed Euler"] = bias.Motion(motion_kernels.euler(1.0, 1e-3, bias.LEVELS), start)
    others = {name: make(start, 1.0, 1e-3, 1, THREADS) for name, make in contestants().items()}
    times = seconds_a_step(
        everyone | others, rounds, {**dict.fromkeys(everyone, 4 * count), **dict.fromkeys(others, count)}
    )
    first = next(iter(times))
    rows = []
    for name, seconds in times.items():
        ns = seconds / replicas * 1e9
        bar = STEP_BAR if name.startswith(LIBRARY) else None
        rows.append(
            {
                "by": name, "ns a step": float(np.median(ns)), **quartiles(seconds / times[first]), "bar": bar,
                "reached": None if bar is None else bool(np.median(ns) <= bar), "ns of each round": ns.tolist(),
            }
        )  # fmt: skip
    few = start[:4096]
    ones = np.ones((len(few), PROBED))
    probes = {what: bias.Motion(motion_kernels.probe(what, PROBED), ones, threads=1) for what in PARTS}
    probes["a whole step"] = bias.Motion(bias.pairs(1.0, 0.1, bias.LEVELS), few, threads=1)
    spent = seconds_a_step(probes, rounds, dict.fromkeys(probes, 50), time.process_time)
    ns = {what: float(np.min(seconds)) / len(few) * 1e9 for what, seconds in spent.items()}
    alone = ns.pop("a whole step")
    parts = [{"of": what, "count": PARTS[what], "ns each": ns[what] / PROBED} for what in PARTS]
    return {"rows": rows, "parts": parts, "alone": alone}


def contestants() -> dict[str, Callable[..., peers.Peer]]:
    """Name -> function of (start, beta, dt, seed, threads); only what is installed."""
    from benchmarks.peers import numpy

    everyone: dict[str, Callable[..., peers.Peer]] = {"NumPy": numpy.dyson, "NumPy, tuned": numpy.dyson_tuned}
    if peers.HAS_TORCH:
        from benchmarks.peers import torch

        everyone |= {
            "PyTorch": torch.dyson, "PyTorch, 1 thread": torch.dyson_one_thread, "PyTorch, tuned": torch.dyson_tuned
        }  # fmt: skip
    if peers.HAS_JAX:
        from benchmarks.peers import jax

        everyone |= {"JAX": jax.dyson, "JAX, tuned": jax.dyson_tuned}
        if peers.HAS_DIFFRAX:
            everyone["diffrax"] = jax.dyson_by_diffrax
    return everyone


def seconds_a_step(everyone: dict, rounds: int, counts: dict[str, int], clock=time.perf_counter) -> dict:
    """Seconds a step in each round."""
    calls = {name: partial(contestant.advance, counts[name]) for name, contestant in everyone.items()}
    return {name: taken / counts[name] for name, taken in in_turns(calls, rounds, clock, PAUSE).items()}


def bias_curves(beta: int, replicas: int, steps: dict[str, tuple]) -> list[dict]:
    draws = bias.exact_draws(beta, 10 * replicas, 7)
    values = bias.statistics(draws)
    exact, error = values.mean(0), values.std(0) / np.sqrt(len(values))
    exact[0], error[0] = bias.exact_mean_spacing(beta), 0.0
    rows = []
    for scheme, sizes in steps.items():
        # A splitting step is long: four times the replicas cost little.
        start = draws[: (4 if scheme == bias.PAIRS else 1) * replicas]
        rows += [bias.measure(scheme, beta, dt, start, exact, error) for dt in sizes]
    return rows


def largest_step(rows: list[dict], statistic: str, target: float) -> tuple[float, str]:
    """Largest dt up to which |bias| <= target, log-log between the measured steps.

    Also a sign: "<" where the shortest step misses the target already, so that dt is below it; ">" where all meet it.
    """
    dt = [row["dt"] for row in rows]
    size = [max(abs(row["bias"][statistic]), target / 10) for row in rows]  # what is smaller may be noise
    first = next((i for i, one in enumerate(size) if one > target), len(size))
    if first == 0:
        return dt[0], "<"
    if first == len(size):
        return dt[-1], ">"
    part = np.log(target / size[first - 1]) / np.log(size[first] / size[first - 1])
    return float(dt[first - 1] * (dt[first] / dt[first - 1]) ** part), ""


def step_error(rows: list[dict], statistic: str, target: float) -> list[float]:
    """Quartiles of `largest_step` over errors of the biases."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        moved = [
            row | {"bias": {statistic: row["bias"][statistic] + row["error"][statistic] * rng.standard_normal()}}
            for row in rows
        ]
        found.append(largest_step(moved, statistic, target)[0])
    return np.quantile(found, [0.25, 0.75]).tolist()


def equal_bias(beta: int, curve: list[dict], rounds: int) -> list[dict]:
    """Cost of a relaxation time at the largest step within the target; steps timed in turns, CPU of one thread."""
    start = bias.exact_draws(beta, 4096, 3)
    costs = []
    for statistic, target in TARGETS.items():
        by = {scheme: [row for row in curve if row["scheme"] == scheme] for scheme in bias.SCHEMES}
        found = {scheme: largest_step(rows, statistic, target) for scheme, rows in by.items()}
        runs = {
            scheme: bias.Motion(make(beta, found[scheme][0], bias.LEVELS), start, threads=1)
            for scheme, make in bias.SCHEMES.items()
        }
        spent = seconds_a_step(runs, rounds, dict.fromkeys(runs, 40), time.process_time)
        cost = {scheme: spent[scheme] / len(start) * 1e9 / found[scheme][0] for scheme in runs}
        for scheme in runs:
            barred = statistic == "mean spacing" and scheme != bias.PAIRS
            ratios = quartiles(cost[scheme] / cost[bias.PAIRS])
            costs.append(
                {
                    "beta": beta, "statistic": statistic, "target": target, "scheme": scheme,
                    "dt": found[scheme][0], "dt is": found[scheme][1],
                    "quartiles of dt": step_error(by[scheme], statistic, target),
                    "ns a step": float(np.median(spent[scheme])) / len(start) * 1e9,
                    "ns a relaxation time": float(np.median(cost[scheme])), **ratios,
                    "bar": COST_BAR if barred else None,
                    "reached": bool(ratios["ratio"] >= COST_BAR) if barred else None,
                }
            )  # fmt: skip
    return costs


def verdict(row: dict, sign: str) -> str:
    return "" if row["bar"] is None else f"{sign} {row['bar']:g}: {reached(row['reached'])}"


def step_table(rows: list[dict]) -> str:
    lines = [f"{'one step, 10 levels, two threads':40}{'ns/step':>10}{'ratio':>8}  {'quartiles':<16}bar"]
    for row in rows:
        low, high = row["quartiles"]
        spread = f"{low:.2f} to {high:.2f}"
        line = f"    {row['by']:<36}{row['ns a step']:>10.1f}{row['ratio']:>8.2f}  {spread:<16}{verdict(row, '<=')}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def parts_table(parts: list[dict], alone: float) -> str:
    lines = ["what the pair step (beta = 1) is made of, ns of CPU of one thread, smallest of all rounds"]
    for part in parts:
        total = part["count"] * part["ns each"]
        lines.append(f"    {part['count']:>3} x {part['of']:<14}{part['ns each']:>7.3f} each{total:>8.1f}")
    return "\n".join([*lines, f"    a whole step{alone:>31.1f}"])


def curve_table(curves: list[dict]) -> str:
    lines = [f"{'relative bias in %':40}{'ns/step':>10}" + "".join(f"{name:>22}" for name in bias.STATISTICS)]
    for row in curves:
        values = [f"{100 * row['bias'][name]:.3f} +- {100 * row['error'][name]:.3f}" for name in bias.STATISTICS]
        label = f"{row['scheme']}, beta = {row['beta']}, dt = {row['dt']:g}"
        lines.append(f"    {label:<36}{row['ns a step']:>10.1f}" + "".join(f"{value:>22}" for value in values))
    return "\n".join(lines)


def cost_table(costs: list[dict]) -> str:
    lines = [f"{'cost at equal bias':34}{'dt':>10}  {'quartiles':<20}{'ns/time':>10}{'ratio':>8}  bar"]
    for row in costs:
        if row["scheme"] == bias.PAIRS:
            lines.append(f"{row['statistic']} within {100 * row['target']:g}%, beta = {row['beta']}")
        low, high = row["quartiles of dt"]
        spread = f"{low:.2g} to {high:.2g}"
        step = f"{row['dt is']}{row['dt']:.2g}"
        numbers = f"{step:>10}  {spread:<20}{row['ns a relaxation time']:>10.0f}{row['ratio']:>8.1f}"
        lines.append(f"    {row['scheme']:<30}{numbers}  {verdict(row, '>=')}".rstrip())
    return "\n".join([*lines, "< or >: the measured steps do not reach the target, dt is a bound and so is the ratio"])


def plot(report: dict, file: Path) -> None:
    """|bias| against cost, one panel a statistic and beta."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.5), layout="constrained")
    panels = figure.subplots(2, len(bias.STATISTICS), sharex=True)
    for axes, (beta, statistic) in zip(panels.flat, ((b, s) for b in (1, 2) for s in bias.STATISTICS), strict=True):
        for scheme, color in zip(bias.SCHEMES, ("C3", "C0", "C2"), strict=True):
            rows = [row for row in report["bias"] if (row["scheme"], row["beta"]) == (scheme, beta)]
            cost = [row["ns a step"] / row["dt"] for row in rows]
            size = [100 * abs(row["bias"][statistic]) for row in rows]
            error = [100 * row["error"][statistic] for row in rows]
            axes.errorbar(cost, size, error, fmt="o-", color=color, markersize=4, label=scheme)
        axes.axhline(100 * TARGETS[statistic], color="0.5", linestyle=":")
        axes.set(xscale="log", yscale="log", title=f"{statistic}, beta = {beta}")
        axes.set_ylim(bottom=5e-3)
        axes.grid(alpha=0.4)
    for axes in panels[1]:
        axes.set_xlabel("ns of CPU a replica and relaxation time")
    for axes in panels[:, 0]:
        axes.set_ylabel("|bias|, %")
    panels[0, 0].legend()
    figure.savefig(file, dpi=120)


def run(options, keep) -> dict:
    """Print the cost of a step, then biases and what they cost."""
    rounds, count, few = (3, 2, 4_000) if options.quick else (9, 10, 40_000)
    report: dict[str, object] = {"machine": announce() | {"threads": THREADS}, "replicas": few}
    report["step"] = steps = step_cost(20_000 if options.quick else REPLICAS, rounds, count)
    print(step_table(steps["rows"]), "\n\n" + parts_table(steps["parts"], steps["alone"]), flush=True)
    keep(report)
    curves, costs = [], []
    for beta in (1, 2):
        curve = bias_curves(beta, few, QUICK if options.quick else STEPS)
        curves += curve
        costs += equal_bias(beta, curve, rounds)
    print("\n" + curve_table(curves) + "\n\n" + cost_table(costs))
    return report | {"bias": curves, "cost at equal bias": costs}
