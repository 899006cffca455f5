"""What recorded spectra cost.

Singular values of many small matrices against batched NumPy and PyTorch, one thread each (NumPy as it comes); and the
share of a run's processor time that recording takes, from runs that record every 20 steps and runs that record once.
All take turns; the median over rounds and its quartiles are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

import dysonsim as ds
from benchmarks import cases
from benchmarks.harness import announce, in_turns, quartiles

LIBRARY = "dysonsim"
SIZES = (2, 4, 10, 20, 50)
EVERY = 100  # steps between two records: what the bar is about
DENSE = 20  # steps between two records of the runs that are timed: more of them, so that their cost shows
SHARE = 0.1  # of a run's time, the bar
STEPS = {cases.RBM: 600, cases.TEACHER: 6000}


def trained(n: int, count: int) -> np.ndarray:
    """Matrices (count, n, n) like those of a trained ensemble: levels in a band, each a little off its place."""
    rng = np.random.default_rng(n)
    left, right = (np.linalg.qr(rng.normal(size=(count, n, n)))[0] for _ in range(2))
    return left * (np.linspace(1, 2, n) + 0.02 * rng.normal(size=(count, 1, n))) @ right


def contestants(w: np.ndarray) -> dict[str, Callable[[], object]]:
    """Ascending singular values by each library that is installed."""
    found: dict[str, Callable[[], object]] = {
        LIBRARY: lambda: ds.singular_values(w),
        "NumPy": lambda: np.linalg.svd(w, compute_uv=False)[:, ::-1],
    }
    try:
        import torch
    except ImportError:
        print("PyTorch is not installed: SKIPPED")
    else:
        torch.set_num_threads(1)
        tensor = torch.from_numpy(w)
        found["PyTorch"] = lambda: torch.linalg.svdvals(tensor).numpy()[:, ::-1]
    return found


def matrices(n: int, rounds: int) -> list[dict]:
    """Microseconds for one matrix, one row a contestant."""
    count = max(64, 100_000 // n**2)
    everyone = contestants(trained(n, count))
    expected = everyone["NumPy"]()
    for name, run in everyone.items():  # all find the same
        np.testing.assert_allclose(run(), expected, rtol=0, atol=1e-12, err_msg=name)
    times = {name: seconds / count * 1e6 for name, seconds in in_turns(everyone, rounds).items()}
    rows = []
    for name, microseconds in times.items():
        found = quartiles(microseconds / times[LIBRARY])
        row = {"n": n, "by": name, "us a matrix": float(np.median(microseconds)), **found}
        rows.append(row | {"us of each round": microseconds.tolist()})
        low, high = found["quartiles"]
        took = f"{n:3} x {n:<3} {name:10}{row['us a matrix']:10.3f} us"
        print(f"{took}   {found['ratio']:7.2f} ({low:.2f} to {high:.2f})")
    return rows


def recording(case: str, dtype: str, rounds: int) -> dict:
    """The share of the processor time of a run on one thread that records take, one of them every `EVERY` steps."""
    steps = STEPS[case]
    process = cases.CASES[case].sgd
    records = cases.NETWORKS * (steps // DENSE - 1)

    def seconds(every: int) -> float:
        began = time.process_time()
        ds.simulate(process, cases.NETWORKS, steps, dtype=dtype, record_every=every, threads=1, progress=False)
        return time.process_time() - began

    seconds(steps)
    shares, each = np.empty(rounds), np.empty((2, rounds))
    for r in range(rounds):
        once, often = seconds(steps), seconds(DENSE)
        step, record = once / (cases.NETWORKS * steps), (often - once) / records
        each[:, r] = step * 1e6, record * 1e6
        shares[r] = record / (EVERY * step + record)
    found = quartiles(shares)
    reached = bool(found["ratio"] <= SHARE)
    low, high = found["quartiles"]
    step, record = (float(x) for x in np.median(each, axis=1))
    print(
        f"{case}, {dtype}: a step {step:.3f} us, a record {record:.3f} us; recorded every {EVERY} steps "
        f"{100 * found['ratio']:.1f}% ({100 * low:.1f} to {100 * high:.1f}) of the time; bar <= {100 * SHARE:.0f}%: "
        f"{'reached' if reached else 'MISSED'}"
    )
    return {
        "case": case, "dtype": dtype, "us a step": step, "us a record": record, "every": EVERY, "timed every": DENSE,
        "share": found["ratio"], "quartiles": found["quartiles"], "bar": SHARE, "reached": reached,
    }  # fmt: skip


def run(options, keep) -> dict:
    """Print every row as it is there."""
    rounds = 3 if options.quick else 11
    report: dict[str, object] = {"machine": announce(), "rounds": rounds}
    report["matrices"] = [row for n in SIZES for row in matrices(n, rounds)]
    report["recording"] = [recording(case, dtype, rounds) for case in STEPS for dtype in cases.DTYPES]
    return report
