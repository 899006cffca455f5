"""Dyson Brownian motion of many levels at equal bias.

Levels start in the stationary state of beta = 1.5, drawn by LAPACK, and move for a few relaxation times. Relative bias
of the mean ratio of successive gaps, of the variance of a gap over its squared mean, of the share of gaps below a fifth
of the mean, and of the mean of the top level; against draws of their own, with standard errors. Cost is processor time
on one thread, in microseconds for a replica and a relaxation time: of the transitions by bordering, which are exact and
cost the same for any time, that of one record.

The peer is the splitting into pairs with a fixed step, at the step at which its mean ratio is right within half a per
cent. All take turns; the ratio of costs is the median over rounds.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

import dysonsim as ds
from benchmarks.harness import announce, quartiles

BETA = 1.5
STATISTICS = ("ratio", "variance", "small gaps", "top")
# Levels: replicas whose bias is measured, replicas whose time is, relaxation times, step of the pairs.
CASES = {
    3: (40_000, 4096, 4.0, 0.03), 10: (20_000, 1024, 3.0, 0.01), 30: (8000, 256, 2.0, 0.003),
    100: (1000, 32, 1.0, 0.001), 300: (96, 8, 0.2, 0.0003),
}  # fmt: skip
ROUNDS = 5


def draws(n: int, count: int, seed: int) -> np.ndarray:
    """Levels of the Gaussian beta-ensemble, (count, n), from tridiagonal matrices.

    By LAPACK, not by the library's sampler, which would hide an error that both share. The tests' sampler is no part of
    the benchmarks, and takes dense matrices, 2.7 times as long for 300 levels.
    """
    generator = np.random.default_rng(seed)
    degrees = BETA * np.arange(n - 1, 0, -1)
    return np.array(
        [
            eigvalsh_tridiagonal(generator.standard_normal(n), np.sqrt(generator.chisquare(degrees) / 2))
            for _ in range(count)
        ]
    )


def statistics(levels: np.ndarray, mean_gap: np.ndarray) -> np.ndarray:
    """STATISTICS of levels (..., n), the gaps those of the middle half."""
    gaps = np.diff(levels, axis=-1)
    ratios = np.minimum(gaps[..., 1:], gaps[..., :-1]) / np.maximum(gaps[..., 1:], gaps[..., :-1])
    middle = gaps[..., half(gaps.shape[-1])] / mean_gap
    return np.stack(
        [ratios[..., half(ratios.shape[-1])].mean(-1), ((middle - 1) ** 2).mean(-1), (middle < 0.2).mean(-1),
         levels[..., -1]], axis=-1,
    )  # fmt: skip


def half(count: int) -> slice:
    return slice(count // 4, max(3 * count // 4, count // 4 + 1))


def processes(n: int, start: np.ndarray, dt: float) -> dict[str, ds.Dyson]:
    """Contestants, the peer last."""
    given = {"beta": BETA, "initial": start}
    return {
        "bordering": ds.Dyson(**given, scheme="bordering"), "nested": ds.Dyson(**given, scheme="nested"),
        f"pairs, dt = {dt:g}": ds.Dyson(**given, scheme="pairs", dt=dt),
    }  # fmt: skip


def measure(n: int, quick: bool) -> list[dict]:
    replicas, few, duration, dt = CASES[n]
    replicas = max(16, replicas // 20) if quick else replicas
    reference = draws(n, 2 * replicas, seed=n)
    mean_gap = np.diff(reference, axis=1)[:, half(n - 1)].mean(0)
    exact = statistics(reference, mean_gap)
    scale, doubt = exact.mean(0), exact.std(0) / len(exact) ** 0.5
    times = duration * np.array([0.5, 0.75, 1.0])
    rows = []
    for name, process in processes(n, reference[:replicas], dt).items():
        levels = ds.simulate(process, replicas, times=times, seed=1).eigenvalues
        found = statistics(levels, mean_gap).mean(1)
        error = np.hypot(found.std(0) / replicas**0.5, doubt) / scale
        bias = found.mean(0) / scale - 1
        rows.append(
            {"levels": n, "scheme": name, "bias": dict(zip(STATISTICS, bias.tolist(), strict=True)),
             "error": dict(zip(STATISTICS, error.tolist(), strict=True))}
        )  # fmt: skip
    spent: dict[str, list[float]] = {row["scheme"]: [] for row in rows}
    for _ in range(2 if quick else ROUNDS):
        for name, process in processes(n, reference[: min(few, replicas)], dt).items():
            began = time.process_time()
            ds.simulate(process, min(few, replicas), times=[duration], seed=1, threads=1)
            worth = 1.0 if name == "bordering" else duration
            spent[name].append((time.process_time() - began) / min(few, replicas) / worth * 1e6)
    peer = np.array(spent[rows[-1]["scheme"]])
    for row in rows:
        mine = np.array(spent[row["scheme"]])
        row["microseconds"], row["cost of the peer over it"] = float(np.median(mine)), quartiles(peer / mine)
    return rows


def table(rows: list[dict]) -> str:
    head = "| levels | scheme | " + " | ".join(f"{name}, %" for name in STATISTICS) + " | µs | pairs over it |"
    lines = [head, "|---" * (len(STATISTICS) + 4) + "|"]
    for row in rows:
        biases = [f"{100 * row['bias'][s]:+.2f} ± {100 * row['error'][s]:.2f}" for s in STATISTICS]
        cost = f"{row['microseconds']:.3g} | {row['cost of the peer over it']['ratio']:.2g}"
        lines.append(f"| {row['levels']} | {row['scheme']} | {' | '.join(biases)} | {cost} |")
    return "\n".join(lines)


def run(options, keep) -> dict:
    """Print and keep the rows of one number of levels after the other."""
    report: dict[str, object] = {"machine": announce(), "beta": BETA, "rows": []}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="dt = .* is too coarse")
        for n in CASES:
            found = measure(n, options.quick)
            print(table(found) + "\n", flush=True)
            report["rows"] += found
            keep(report)
    return report
