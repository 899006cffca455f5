"""Dyson Brownian motion of one system of a thousand to ten million levels.

    dx_i = -rate (x_i - center) dt + beta noise^2 sum_{j != i} 1/(x_i - x_j) dt + sqrt(2) noise dB_i

What `simulate` does in lanes of networks for small systems is done here in lanes of levels, by threads that share the
system, with the fast sum for the force of all but the nearest levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..backend import STILL_WELL, Ensemble
from ..backend import many_levels as lanes_of_levels
from ..backend.kernel import split_seed
from ..kernels.many_levels import cooperative as large_cooperative
from ..kernels.many_levels import dyson as kernel
from .repulsion import SortedSums

__all__ = ["LargeDyson", "open_large"]

TOLERANCE = 1e-5  # of the force, a bound: errors are a hundred times smaller, and do not accumulate
ALONE = 10_000  # levels below which threads cost more than they gain
DT, RATE, NOISE, CENTER = range(4)


def open_large(
    start: np.ndarray, first_replica: int, seed: int, beta: float, threads: int, device: str = "cpu"
) -> Ensemble:
    """Systems to advance; `set_reals` gives them [dt, rate, noise, center] before that.

    Parameters
    ----------
    start : (replicas, n) array
        Levels, ascending, no two equal.
    first_replica, seed : int
        Replica r of a seed has the random numbers of (seed, first_replica + r).
    beta : float
        Dyson index, > 0.
    threads : int
        How many share a system on the CPU. They change no bit of the result.
    device : {"cpu", "cuda"}
        On "cuda" forces are summed directly, with the random numbers of the CPU; results differ by the tolerance of the
        fast sum and by rounding.

    Raises
    ------
    ValueError
        If levels are not strictly ascending. Levels that start together repel beyond what a step of this kind resolves.
    """
    levels = np.array(start, dtype=np.float64, ndmin=2)
    unordered = np.argwhere(~(levels[:, 1:] > levels[:, :-1]))
    if len(unordered):
        r, i = unordered[0].tolist()
        raise ValueError(
            f"start[{r}, {i}] = {levels[r, i]} and start[{r}, {i + 1}] = {levels[r, i + 1]}: levels of a large system "
            "must be strictly ascending"
        )
    if device == "cuda":
        from ..backend.cuda.many_levels import CudaLarge

        constants = partial(_cooperative_constants, beta=float(beta))
        return CudaLarge(levels, first_replica, seed, large_cooperative, _normals(beta), constants)
    return LargeDyson(levels, first_replica, seed, float(beta), threads)


def _normals(beta: float) -> int:
    """How many normals make a chi-squared number, 0 where that is no way to draw it."""
    return int(beta) if beta in (1.0, 2.0, 3.0) else 0


def _cooperative_constants(reals: np.ndarray, beta: float) -> np.ndarray:
    """Return what `kernels/many_levels/cooperative.py` calls constants."""
    of = parts_of_step(reals, beta)
    return np.array([of.shrink, reals[CENTER], of.strength / of.shrink**2, of.strength, of.opening, of.noise, beta])


@dataclass(frozen=True)
class StepParts:
    """A step in numbers: the contraction at either end, the force's strength, opening and noise of the pairs."""

    shrink: float
    strength: float  # of the far force, which acts twice for half the time
    opening: float
    noise: float


def parts_of_step(reals: np.ndarray, beta: float) -> StepParts:
    """Of [dt, rate, noise, center]."""
    dt, rate, noise, _ = reals
    tau = math.sinh(rate * dt) / rate if rate else dt
    return StepParts(
        math.exp(-0.5 * rate * dt), 0.5 * tau * beta * noise**2, 4.0 * noise**2 * tau, math.sqrt(2 * tau) * noise
    )


class LargeDyson:
    """An `Ensemble` of large systems, one after the other.

    A step of length dt moves all levels by exp(-rate dt/2) toward the center, without drift for the time
    tau = sinh(rate dt)/rate, and by exp(-rate dt/2) again, which is exact for linear drift. The motion without drift is

        far force for tau/2;  pairs two and three ranks apart for tau/2;  noise;  neighbors for tau;
        pairs two and three ranks apart for tau/2;  far force for tau/2

    Exact: two levels, any dt; E sum (x_i - center)^2 at any n and dt, because every part has its exact mean (after a
    push by the far force all distances from the mean are scaled, by a factor that differs from 1 in the second order of
    dt, to the sum of squares that the exact flow has). Not resolved: gaps below sqrt(4 beta noise^2 tau). At
    dt = 0.1 (mean gap)^2/noise^2 the mean gap of neighbors is unbiased within the error of 0.05%, its variance is 2.3%
    too large and the mean ratio of successive gaps 1.5% too small (beta = 1; 1.2 and 0.9% for beta = 2); at 0.03 it is
    1 and 0.6% for both (n = 1000, errors 0.2 and 0.1%). At beta = 1, 2 and dt = 0.3 the variance is 5 to 7% too small.
    """

    def __init__(self, start: np.ndarray, first_replica: int, seed: int, beta: float, threads: int) -> None:
        self.replicas, self.n = start.shape
        self.first_replica, self.seed, self.beta = first_replica, seed, beta
        self.threads = threads if self.n >= ALONE else 1
        self.blocks = -(-self.n // kernel.BLOCK)
        size = self.blocks * kernel.BLOCK + 2 * kernel.PAD
        self.x = np.empty((self.replicas, size))
        self.y, self.g, self.c = np.empty(size), np.zeros(size), np.zeros(size)
        for row in (*self.x, self.y):
            pad(row, self.n)
        self.x[:, self._inner] = start
        self.sums = np.empty(self.blocks * kernel.SUMS)
        self.forces = SortedSums(self.n, "auto", TOLERANCE, self.threads)
        self.table = kernel.roles()
        self.marks = np.full(self.replicas, STILL_WELL, np.uint32)
        self._far = lanes_of_levels.compiled(kernel.build_far)
        self._before = lanes_of_levels.compiled(kernel.build_before, normals=_normals(beta))
        self._after = lanes_of_levels.compiled(kernel.build_after)
        self._move = lanes_of_levels.compiled(kernel.build_move)
        self._mend = lanes_of_levels.compiled(kernel.build_mend)

    @property
    def _inner(self) -> slice:
        return slice(kernel.PAD, kernel.PAD + self.n)

    def set_reals(self, reals: np.ndarray) -> None:
        """[dt, rate, noise, center] from the next step on."""
        self.reals = np.array(reals, dtype=np.float64)

    def state(self) -> np.ndarray:
        """(replicas, n) levels, ascending."""
        return self.x[:, self._inner].copy()

    def left(self) -> np.ndarray:
        """(replicas,) the step at which a system stopped being finite, STILL_WELL where it did not."""
        return self.marks

    def advance(self, first: int, count: int) -> None:
        """Do steps number first, ..., first + count - 1."""
        for r in range(self.replicas):
            for s in range(first, first + count):
                if self.marks[r] == STILL_WELL and not self._step(self.x[r], s, self.first_replica + r):
                    self.marks[r] = s

    def _step(self, x: np.ndarray, s: int, replica: int) -> bool:
        """One step in place; False if the system is no longer finite."""
        of, center = parts_of_step(self.reals, self.beta), float(self.reals[CENTER])
        shrink, strength, opening = of.shrink, of.strength, of.opening
        n, parity, key = self.n, s & 1, split_seed(self.seed)

        push = self._push(x, strength / shrink**2)
        if push is None:
            return False
        # The contraction comes first: distances shrink, the force that was taken before it grows.
        constants = np.array([
            shrink * push.shift + (1 - shrink) * center, shrink * push.scale, shrink * push.force,
            0.5 * opening * self.beta, of.noise, self.beta,
        ])  # fmt: skip

        def before(a: int, b: int) -> None:
            work = np.zeros(2 * kernel.WINDOW)
            self._before(
                x, self.g, self.y, self.c, self.table, a, b, n, constants, parity, work, replica, s, *key
            )  # fmt: skip

        def after(a: int, b: int) -> None:
            work = np.zeros(3 * kernel.WINDOW)
            self._after(self.y, self.c, x, self.table, a, b, n, opening, self.beta, parity, work)

        self._share(before, self.y)
        self._share(after, x)
        push = self._push(x, strength)
        if push is None:
            return False

        def move(a: int, b: int) -> None:
            shift = shrink * push.shift + (1 - shrink) * center
            self._move(x, self.g, x, a, b, n, shift, shrink * push.scale, shrink * push.force)

        self._share(move, x)
        return True

    def _share(self, task, levels: np.ndarray) -> None:
        """Do a task on all blocks, after which `levels` are sorted in each of them; sort the whole."""
        lanes_of_levels.in_parallel(task, self.blocks, self.threads)
        pad(levels, self.n)
        self._mend(levels, self.n)

    def _push(self, x: np.ndarray, strength: float) -> Push | None:
        """Far forces of levels x, into `g`; what moves the levels by `strength` times these."""
        n = self.n
        inner = x[self._inner]
        if not math.isfinite(inner.sum()):
            return None
        forces, origin = self.forces(inner), inner[n // 2]

        def far(a: int, b: int) -> None:
            self._far(x, forces, self.g, a, b, n, origin, self.sums)

        lanes_of_levels.in_parallel(far, self.blocks, self.threads)
        s, ss, h, sh, hh = self.sums.reshape(-1, kernel.SUMS).sum(axis=0).tolist()
        spread, mean, drift = ss - s * s / n, origin + s / n, h / n
        near = min(kernel.REACH, n - 1)
        far_pairs = n * (n - 1) // 2 - (near * n - near * (near + 1) // 2)
        if not math.isfinite(spread + hh + strength):
            return None
        if not far_pairs:
            return Push(0.0, 1.0, 0.0)
        after = spread + 2 * strength * (sh - s * drift) + strength**2 * (hh - n * drift**2)
        scale = math.sqrt((spread + 2 * strength * far_pairs) / after)
        return Push(mean - scale * (mean + strength * drift), scale, scale * strength)


@dataclass(frozen=True)
class Push:
    """x -> shift + scale x + force g."""

    shift: float
    scale: float
    force: float


def pad(levels: np.ndarray, n: int) -> None:
    """Put what stands before and behind n levels."""
    levels[: kernel.PAD] = -kernel.ENDS
    levels[kernel.PAD + n :] = kernel.ENDS
