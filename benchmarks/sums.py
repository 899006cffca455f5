"""How fast repulsion sums and the large Dyson step are.

Contestants take turns, several times over; a ratio is taken within each round, and the median over rounds and its
quartiles are shown. Peers that are not installed are skipped in sight of the reader.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module

import numpy as np
from scipy.special import betaincinv

from benchmarks import peers
from benchmarks.harness import PAUSE, announce, quartiles, skipped
from benchmarks.peers import numpy
from dysonsim.numerics.many_levels import open_large
from dysonsim.numerics.repulsion import SortedSums, repulsion

THREADS = 2
LIBRARY = "dysonsim"
BARS = {"NumPy": 50.0, "JAX": 100.0, "PyTorch": 100.0}
NS_PER_PAIR, FAST_MS, FAST_ERROR, EXPONENT, STEP_MS = 0.06, 30.0, 1e-11, 1.1, 100.0
SHORT = {LIBRARY: 20}  # calls in a run of a hundredth of the others' length


def semicircle(n: int) -> np.ndarray:
    """Levels like those of a random matrix: quantiles of the semicircle, moved by a quarter of the local gap."""
    x = 2 * betaincinv(1.5, 1.5, (np.arange(n) + 0.5) / n) - 1
    return np.sort(x + 0.25 * np.gradient(x) * np.random.default_rng(1).normal(size=n))


def error(x: np.ndarray, forces: np.ndarray, rows: int = 40) -> float:
    """Largest error, relative to sum_j 1/abs(x_i - x_j), in a few rows, against extended precision."""
    long, worst = x.astype(np.longdouble), 0.0
    for i in np.random.default_rng(2).integers(0, len(x), rows):
        terms = 1 / np.delete(long[i] - long, i)
        worst = max(worst, float(abs(forces[i] - terms.sum()) / abs(terms).sum()))
    return worst


def in_turns(
    contestants: dict[str, Callable[[], object]], rounds: int, repeats: dict[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Seconds (2, rounds) of each: on the clock, and of processor time for each of the threads.

    The second is what the first would be on a machine that has nothing else to do, if the threads share evenly.
    """
    times = {name: np.empty((2, rounds)) for name in contestants}
    for run in contestants.values():
        run()
    for r in range(rounds):
        for name, run in contestants.items():
            time.sleep(PAUSE)
            began = time.perf_counter(), time.process_time()
            count = (repeats or {}).get(name, 1)
            for _ in range(count):
                run()
            times[name][0, r] = (time.perf_counter() - began[0]) / count
            times[name][1, r] = (time.process_time() - began[1]) / count / THREADS
    return times


def contestants(x: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """The peers that are installed: the sum over all pairs as one writes it, and in blocks of rows."""
    found = numpy.repulsion(x)
    for library, there in (("torch", peers.HAS_TORCH), ("jax", peers.HAS_JAX)):
        if there:
            found |= import_module(f"benchmarks.peers.{library}").repulsion(x, THREADS)
        else:
            skipped(library)
    return found


def direct_sum(n: int, rounds: int) -> list[dict]:
    """Times and ratios at n levels, one row a contestant."""
    x = np.random.default_rng(0).normal(size=n)
    everyone: dict[str, Callable[[], np.ndarray]] = {}
    everyone[LIBRARY] = lambda: repulsion(x, method="direct", threads=THREADS)
    # Before the peers: their threads go on spinning after a call, and would be counted.
    alone = float(np.median(in_turns(dict(everyone), rounds, SHORT)[LIBRARY][1])) / n**2 * 1e9
    everyone |= contestants(x)
    reference = everyone[LIBRARY]()
    for name, run in everyone.items():  # all of them sum the same
        np.testing.assert_allclose(run(), reference, rtol=0, atol=1e-9 * abs(reference).max(), err_msg=name)
    times = in_turns(everyone, rounds, SHORT)
    rows = []
    for name, (seconds, _) in times.items():
        found = quartiles(seconds / times[LIBRARY][0])
        pair = float(np.median(seconds)) / n**2 * 1e9
        bar = BARS.get(name)
        reached = bool(pair <= NS_PER_PAIR) if name == LIBRARY else None if bar is None else bool(found["ratio"] >= bar)
        rows.append({
            "direct sum": name, "levels": n, "ns per ordered pair": pair, "shortest": float(seconds.min()) / n**2 * 1e9,
            "processor": alone if name == LIBRARY else None,
            **found,
            "bar": f"<= {NS_PER_PAIR} ns" if name == LIBRARY else bar and f">= {bar:g}", "reached": reached,
        })  # fmt: skip
    return rows


def fast_sum(sizes: list[int], rounds: int) -> list[dict]:
    """Times, errors and the exponent of growth, one row a size and tolerance."""
    rows = []
    for tolerance in (1e-11, 1e-5):
        medians = []
        for n in sizes:
            x = semicircle(n)
            sums = SortedSums(n, "fast", tolerance, THREADS)
            repeats = max(1, 10**5 // n)

            def kept(sums=sums, x=x, repeats=repeats):
                for _ in range(repeats):
                    sums(x)

            def public(x=x, tolerance=tolerance, repeats=repeats):
                for _ in range(repeats):
                    repulsion(x, method="fast", tolerance=tolerance, threads=THREADS)

            times = {name: t / repeats * 1e3 for name, t in in_turns({"kept": kept, "public": public}, rounds).items()}
            medians.append(float(np.median(times["kept"][0])))
            off = error(x, sums(x))
            row = {
                "fast sum": f"tolerance {tolerance:g}", "levels": n, "ms": medians[-1],
                "shortest": float(times["kept"][0].min()), "processor": float(np.median(times["kept"][1])),
                "ms of repulsion()": float(np.median(times["public"][0])),
                "error": off,
            }  # fmt: skip
            if n == 10**6 and tolerance == FAST_ERROR:
                row |= {"bar": f"<= {FAST_MS:g} ms", "reached": bool(medians[-1] <= FAST_MS and off <= FAST_ERROR)}
            rows.append(row)
        grown = [(n, t) for n, t in zip(sizes, medians, strict=True) if n >= 10**4]
        slope = float(np.polyfit(np.log([n for n, _ in grown]), np.log([t for _, t in grown]), 1)[0])
        rows.append({
            "fast sum": f"tolerance {tolerance:g}", "levels": f"10^4 to {sizes[-1]:g}", "exponent of growth": slope,
            "bar": f"<= {EXPONENT}", "reached": bool(slope <= EXPONENT),
        })  # fmt: skip
    return rows


def crossover(rounds: int) -> list[dict]:
    """The direct over the fast sum, one thread and two."""
    rows = []
    for threads in (1, THREADS):
        for n in (250, 500, 700, 1000, 1400, 2000, 4000):
            x = semicircle(n)
            both = {m: SortedSums(n, m, 1e-12, threads) for m in ("direct", "fast")}

            def run(sums, x=x):
                for _ in range(20):
                    sums(x)

            times = in_turns({m: (lambda s=s: run(s)) for m, s in both.items()}, 3 * rounds)
            rows.append({
                "crossover": f"direct/fast, {threads} threads", "levels": n,
                **quartiles((times["direct"] / times["fast"])[0]),
            })  # fmt: skip
    return rows


def dyson_step(n: int, rounds: int) -> list[dict]:
    """Milliseconds of one step of n levels near their stationary state."""
    x = semicircle(n) * np.sqrt(2 * n)
    gap = x[n // 2 + 50] - x[n // 2 - 50]
    rows = []
    for beta in (1.0, 2.0, 2.5):
        ensemble = open_large(x[None], 0, 1, beta, THREADS)
        ensemble.set_reals(np.array([0.1 * (gap / 100) ** 2, 1.0, 1.0, 0.0]))
        ensemble.advance(0, 2)
        times = in_turns({"step": lambda ensemble=ensemble: ensemble.advance(2, 1)}, rounds)["step"] * 1e3
        median, processor = (float(q) for q in np.median(times, axis=1))
        row = {"Dyson step": f"beta = {beta:g}", "levels": n, "ms": median, "shortest": float(times[0].min())}
        row["processor"] = processor
        rows.append(row | ({"bar": f"<= {STEP_MS:g} ms", "reached": bool(median <= STEP_MS)} if n == 10**6 else {}))
    return rows


def show(rows: list[dict]) -> list[dict]:
    """Print rows as they are stored."""
    for row in rows:
        cells = []
        for name, value in row.items():
            if name == "reached" and value is not None:
                cells.append("reached" if value else "MISSED")
            elif value is not None and name != "reached":
                listed = value if isinstance(value, list) else [value]
                text = " to ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in listed)
                cells.append(f"{name} {text}")
        print("   ".join(cells), flush=True)
    print()
    return rows


def run(options, keep) -> dict:
    """Print every row as it is there."""
    rounds = 3 if options.quick else 9
    report: dict[str, object] = {"machine": announce() | {"threads": THREADS}, "rounds": rounds}
    report["direct"] = show(direct_sum(10_000, rounds))
    report["fast"] = show(fast_sum([10**3, 10**4, 10**5, 10**6] + ([] if options.quick else [4 * 10**6]), rounds))
    report["crossover"] = show(crossover(rounds))
    report["step"] = show(dyson_step(10**5 if options.quick else 10**6, rounds))
    return report
