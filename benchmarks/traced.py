"""Updates in matrix notation beside kernels written by hand, which train the same networks.

A linear layer learns its teacher with gradient noise, |B| = 16. By hand it is `ds.TeacherStudent`, which draws batches
sample by sample or their second moment at once; traced are three ways to write the same update. The bar is nine tenths
of the speed of the kernel by hand that draws sample by sample. Processor time of one thread, all taking turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import dysonsim as ds
from benchmarks.harness import announce, in_turns, quartiles, reached
from dysonsim.backend import driver

BATCH, NOISE, RATE, REPLICAS = 16, 0.1, 0.05, 256
SIZES = (2, 10)
DTYPES = ("float64", "float32")
BAR = 0.9
BY_HAND = "by hand, sample by sample"


@dataclass(frozen=True)
class Layer(ds.Model):
    teacher: np.ndarray

    def moved(self, W, gradient, noise, learning_rate, batch_size):
        A = noise.symmetric(W.shape) * (NOISE / batch_size**0.5)
        return W + learning_rate * (gradient + A)


class Samples(Layer):
    def update(self, W, noise, learning_rate, batch_size):
        X = noise.samples(W.shape[1])
        E = X @ (self.teacher - W).T
        return self.moved(W, E.T @ X / batch_size, noise, learning_rate, batch_size)


class MomentOfSamples(Layer):
    def update(self, W, noise, learning_rate, batch_size):
        X = noise.samples(W.shape[1])
        C = X.T @ X / batch_size
        return self.moved(W, (self.teacher - W) @ C, noise, learning_rate, batch_size)


class Moment(Layer):
    def update(self, W, noise, learning_rate, batch_size):
        C = noise.second_moment(W.shape[1])
        return self.moved(W, (self.teacher - W) @ C, noise, learning_rate, batch_size)


def models(n: int) -> dict[str, ds.Model]:
    teacher = 2 * np.eye(n)
    return {
        BY_HAND: ds.TeacherStudent(teacher, NOISE, sampling="sample_by_sample"),
        "by hand, at once": ds.TeacherStudent(teacher, NOISE, sampling="at_once"),
        "traced, E.T @ X": Samples(teacher), "traced, X.T @ X": MomentOfSamples(teacher),
        "traced, second_moment": Moment(teacher),
    }  # fmt: skip


def contestants(n: int, dtype: str, steps: int) -> dict[object, Callable[[], object]]:
    """Calls that do so many steps."""
    found: dict[object, Callable[[], object]] = {}
    for name, model in models(n).items():
        sgd = ds.SGD(model, RATE, BATCH)
        ensemble = driver("cpu").prepare(sgd.kernel(), dtype).open(sgd.start(REPLICAS, 1), 0, 1)
        found[name] = lambda ensemble=ensemble: ensemble.advance(0, steps)
    return found


def measure(n: int, dtype: str, quick: bool) -> list[dict]:
    steps = round((500 if quick else 3000) / (n / 2) ** 2)
    times = in_turns(contestants(n, dtype, steps), 5 if quick else 15, time.process_time)
    rows = []
    for name, seconds in times.items():
        micro = float(np.median(seconds)) / steps / REPLICAS * 1e6
        row = {"n": n, "dtype": dtype, "kernel": name, "microseconds": micro, **quartiles(times[BY_HAND] / seconds)}
        row["bar reached"] = bool(row["ratio"] >= BAR) if str(name).startswith("traced") else None
        rows.append(row)
    return rows


def table(rows: list[dict]) -> str:
    lines = ["| layer | dtype | kernel | µs an update | speed over that by hand | bar |", "|---" * 6 + "|"]
    for row in rows:
        low, high = row["quartiles"]
        speed = f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})"
        where = f"{row['n']} x {row['n']} | {row['dtype']} | {row['kernel']} | {row['microseconds']:.3f}"
        lines.append(f"| {where} | {speed} | {reached(row['bar reached'])} |")
    return "\n".join(lines)


def run(options, keep) -> dict:
    """Print and keep one size and float type after the other."""
    report: dict[str, object] = {"machine": announce(), "bar": BAR, "rows": []}
    for n in SIZES:
        for dtype in DTYPES:
            found = measure(n, dtype, options.quick)
            print(table(found) + "\n", flush=True)
            report["rows"] += found
            keep(report)
    return report
