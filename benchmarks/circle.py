"""Dyson's circle process and draws of circular ensembles: cost of a step, of a relaxation time, of a draw.

One thread, float64, beta = 1 and 2: ns of CPU a replica and step, us a replica and relaxation time of E p_1 at the
default step, us a draw; and how far two-time averages of the stationary state are off at that step for beta = 2, where
E p_k(t) conj p_k(0) is known: percent of k, over k <= n, at the worst time, with the standard error.
"""

from __future__ import annotations

import time

import numpy as np

import dysonsim as ds
from benchmarks.harness import announce
from dysonsim.backend import driver

SIZES, BETAS = (3, 10, 30, 100), (1.0, 2.0)
SECONDS, ROUNDS = 0.3, 5


def ns_a_step(process: ds.Process, start: np.ndarray) -> float:
    """Best of some rounds; one block of replicas."""
    program = driver("cpu").prepare(process.kernel(), "float64")
    replicas = program.width * program.unit
    ensemble = program.open(np.resize(start, (replicas, start.shape[1])), 0, 1)
    began = time.process_time()
    ensemble.advance(0, 2)
    steps = max(2, int(SECONDS / ROUNDS / (time.process_time() - began) * 2))
    spent = []
    for r in range(ROUNDS):
        began = time.process_time()
        ensemble.advance(2 + r * steps, steps)
        spent.append(time.process_time() - began)
    return min(spent) / steps / replicas * 1e9


def two_time_error(n: int, replicas: int) -> dict[str, float]:
    """Worst deviation of E p_k(t) conj p_k(0) from exp(-t k n) sinh(t k^2)/sinh(t k), in percent of k."""
    angles = ds.simulate(ds.CoulombGas.circular(n, 2.0), replicas, seed=1).eigenvalues[:, 0]
    process = ds.CircularProcess(beta=2.0, initial=angles)
    t = 0.3 / process.fastest
    moved = ds.simulate(process, replicas, times=[t], seed=2).eigenvalues[:, 0]
    worst = {"percent": 0.0, "error": 0.0, "k": 0}
    for k in range(1, n + 1):
        one, other = np.exp(1j * k * moved).sum(1), np.exp(-1j * k * angles).sum(1)
        product = (one * other).real / k
        off = product.mean() - np.exp(-t * k * n) * np.sinh(t * k * k) / np.sinh(t * k) / k
        if abs(off) > abs(worst["percent"] / 100):
            worst = {"percent": 100 * off, "error": 100 * product.std() / replicas**0.5, "k": k}
    return worst


def run(options, keep) -> dict:
    """Print one size after the other."""
    report: dict[str, object] = {"machine": announce() | {"threads": 1}}
    rows = []
    for n in SIZES[:3] if options.quick else SIZES:
        for beta in BETAS:
            process, gas = ds.CircularProcess(n, beta), ds.CoulombGas.circular(n, beta)
            step = ns_a_step(process, process.start(1, 1))
            row = {
                "n": n, "beta": beta, "ns a step": step, "us a relaxation": step / process.step / process.fastest / 1e3,
                "us a draw": ns_a_step(gas, gas.start(1, 1)) / 1e3,
            }  # fmt: skip
            if beta == 2 and n <= 10:
                row["two-time error"] = two_time_error(n, 20_000 if options.quick else 200_000)
            rows.append(row)
            print("  ".join(f"{name} {value:.4g}" if not isinstance(value, dict) else
                            f"worst E p_k p_k*/k: {value['percent']:+.2f} ({value['error']:.2f})% at k = {value['k']}"
                            for name, value in row.items()), flush=True)  # fmt: skip
    return report | {"rows": rows}
