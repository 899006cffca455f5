"""Bias of steps of Dyson Brownian motion in the stationary state, and what a step costs, for ten levels.

A run starts from independent draws of the exact law and relaxes to that of the scheme, at least by exp(-2 t) in what is
measured here. Statistics are averages over replicas and RECORDS; errors come from the spread over groups of replicas.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import hermite_e
from scipy import special

import dysonsim as ds
from benchmarks import motion_kernels
from dysonsim.backend import Kernel, driver
from dysonsim.backend.threads import share

LEVELS = 10
RECORDS = (3.0, 4.0, 5.0, 6.0)  # relaxation times
GROUPS = 32
STATISTICS = ("mean spacing", "mean squared gap", "smallest gap")
TARGET = 1e-3  # relative bias of the mean spacing
PAIRS, TAMED, SEMI = "pair splitting", "tamed Euler", "semi-implicit Euler"


def pairs(beta: float, dt: float, n: int) -> Kernel:
    return ds.Dyson(n=n, beta=beta, scheme="pairs", dt=dt).kernel()


SCHEMES: dict[str, Callable[[float, float, int], Kernel]] = {
    PAIRS: pairs, TAMED: motion_kernels.euler, SEMI: motion_kernels.semi_implicit,
}  # fmt: skip


@dataclass
class Motion:
    """Replicas in flight on threads."""

    kernel: Kernel
    start: np.ndarray
    threads: int = 2
    seed: int = 1

    def __post_init__(self) -> None:
        program = driver("cpu").prepare(self.kernel, "float64")
        unit, count = program.unit * program.width, len(self.start)
        rows = np.concatenate([self.start, np.broadcast_to(self.kernel.extra, (count, len(self.kernel.extra)))], axis=1)
        self.parts = [program.open(rows[i : i + unit], i, self.seed) for i in range(0, count, unit)]
        self.steps = 0

    def advance(self, steps: int) -> None:
        first, self.steps = self.steps, self.steps + steps
        share(lambda part: part.advance(first, steps), self.parts, self.threads)

    def levels(self) -> np.ndarray:
        """Sorted, (replicas, levels)."""
        rows = np.concatenate([part.state() for part in self.parts])
        return np.sort(rows[:, : self.kernel.weights], axis=1)


def exact_mean_spacing(beta: int, n: int = LEVELS) -> float:
    """E (x_n - x_1)/(n - 1) of P ~ prod |x_i - x_j|^beta exp(-sum x^2/2), beta = 1 (n even) or 2.

    P(x_n < s) is a determinant (beta = 2) or a Pfaffian (beta = 1: of the double integrals over x, y < s of
    sgn(y - x) p_j(x) p_k(y); de Bruijn 1955) of polynomials times the weight. E x_n = s_max - integral of P.
    """
    edge = 2 * np.sqrt(beta * n / 2) + 8
    grid, weight, panels = *np.polynomial.legendre.leggauss(16), 800
    ends = np.linspace(-edge, edge, panels + 1)
    width = ends[1] - ends[0]
    x = (ends[:-1, None] + width * (grid + 1) / 2).reshape(-1)
    w = np.tile(weight * width / 2, panels)
    p = hermite_e.hermevander(x, n - 1) * np.exp(-(x[:, None] ** 2) / (4 if beta == 2 else 2))
    scale = special.factorial(np.arange(n)) ** 0.5
    scale = scale * scale[:, None]

    def until(values: np.ndarray) -> np.ndarray:
        return np.cumsum(values.reshape(panels, 16, *values.shape[1:]).sum(1), axis=0)

    if beta == 2:
        below = np.linalg.det(until(np.einsum("x,xj,xk->xjk", w, p, p)) / scale)
    else:
        # Integrals of He_j exp(-x^2/2) below x: its antiderivative is -He_{j-1} exp(-x^2/2).
        g = np.concatenate([np.sqrt(2 * np.pi) * special.ndtr(x)[:, None], -p[:, :-1]], axis=1)
        twice = until(np.einsum("x,xj,xk->xjk", w, g, p))
        below = np.sqrt(np.abs(np.linalg.det((twice - twice.transpose(0, 2, 1)) / scale)))
    below /= below[-1]
    values = np.concatenate([[0.0], below])
    return float((edge - _simpson(values, width)) * 2 / (n - 1))


def _simpson(values: np.ndarray, width: float) -> float:
    return float(width / 3 * (values[0] + values[-1] + 4 * values[1:-1:2].sum() + 2 * values[2:-1:2].sum()))


def exact_draws(beta: int, count: int, seed: int, n: int = LEVELS) -> np.ndarray:
    """Eigenvalues of dense Gaussian matrices, real symmetric (beta = 1) or Hermitian (2), unit variance on the
    diagonal: nothing of the library's.
    """
    rng = np.random.default_rng(seed)
    out = []
    for first in range(0, count, 50_000):
        a = rng.standard_normal((min(50_000, count - first), n, n))
        if beta == 2:
            a = a + 1j * rng.standard_normal(a.shape)
        out.append(np.linalg.eigvalsh((a + a.conj().swapaxes(1, 2)) / 2))
    return np.concatenate(out)


def statistics(levels: np.ndarray) -> np.ndarray:
    """(replicas, STATISTICS)"""
    gaps = np.diff(levels, axis=1)
    return np.stack([gaps.mean(1), (gaps**2).mean(1), gaps.min(1)], axis=1)


def measure(scheme: str, beta: int, dt: float, start: np.ndarray, exact: np.ndarray, exact_error: np.ndarray) -> dict:
    """Relative biases with standard errors, and ns of CPU a replica and step on the way."""
    motion = Motion(SCHEMES[scheme](beta, dt, LEVELS), start, seed=round(dt * 1e7))
    means, at, spent = np.zeros((len(start), len(STATISTICS))), 0, 0.0
    for record in RECORDS:
        steps = round(record / dt) - at
        at += steps
        began = time.process_time()
        motion.advance(steps)
        spent += time.process_time() - began
        means += statistics(motion.levels()) / len(RECORDS)
    groups = np.stack([group.mean(0) for group in np.array_split(means, GROUPS)])
    error = groups.std(0, ddof=1) / np.sqrt(GROUPS)
    bias = means.mean(0) / exact - 1
    return {
        "scheme": scheme, "beta": beta, "dt": dt, "ns a step": spent / (at * len(start)) * 1e9,
        "bias": dict(zip(STATISTICS, bias.tolist(), strict=True)),
        "error": dict(zip(STATISTICS, (np.hypot(error, exact_error) / exact).tolist(), strict=True)),
    }  # fmt: skip
