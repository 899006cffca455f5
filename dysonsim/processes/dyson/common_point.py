"""Levels that start from one point: their first record is drawn from its exact law.

Under dx_i = -rate (x_i - center) dt + beta noise^2 sum_{j != i} dt/(x_i - x_j) + sqrt(2) noise dB_i, levels that are
all at x at time 0 are at time t

    center + (x - center) exp(-rate t) + noise sqrt((1 - exp(-2 rate t))/rate) h,

h the levels of the Gaussian beta-ensemble of unit width, P ~ prod |h_i - h_j|^beta exp(-sum h_i^2/2), for any beta > 0
and any number of them: in scaled time and space the process is the stationary one, entered from minus infinity.
Independent draws of h are eigenvalues of tridiagonal matrices (`dysonsim.kernels.gas.tridiagonal`). For beta = 1, 2, 4
it is F. J. Dyson, J. Math. Phys. 3, 1191 (1962); any beta, M. Rosler, Comm. Math. Phys. 192, 519 (1998).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...backend import STILL_WELL, Ensemble, Kernel, Program, driver
from ...kernels.gas import tridiagonal
from ..matrix_motion import LinearMotion, decay_and_spread

__all__ = ["from_common_point"]


@dataclass
class FromCommonPoint:
    """An ensemble whose step number 0 is the draw; `program` runs the others."""

    program: Program
    draws: Program
    move: Callable[[np.ndarray, np.ndarray, float], np.ndarray]  # (levels, draws, time) -> state
    n: int
    start: np.ndarray
    first_replica: int
    seed: int
    reals: np.ndarray | None = None
    inner: Ensemble | None = None

    def set_reals(self, reals: np.ndarray) -> None:
        self.reals = reals
        if self.inner is not None:
            self.inner.set_reals(reals)

    def advance(self, first: int, count: int) -> None:
        if count == 0:
            return
        if first == 0:
            assert self.reals is not None
            gas = self.draws.open(np.zeros((len(self.start), self.n)), self.first_replica, self.seed)
            gas.advance(0, 1)
            self.start = self.move(self.start, np.sort(gas.state().astype(np.float64), axis=1), float(self.reals[0]))
            first, count = 1, count - 1
        if self.inner is None:
            self.inner = self.program.open(self.start, self.first_replica, self.seed)
            if self.reals is not None:
                self.inner.set_reals(self.reals)
        if count:
            self.inner.advance(first, count)

    def state(self) -> np.ndarray:
        return self.start if self.inner is None else self.inner.state()

    def left(self) -> np.ndarray:
        return np.full(len(self.start), STILL_WELL) if self.inner is None else self.inner.left()


def from_common_point(
    program: Program,
    device: str,
    dtype: str,
    n: int,
    beta: float,
    motion: LinearMotion,
    to_state: Callable[[np.ndarray], np.ndarray],
) -> Program:
    """`program`, but for step number 0, which draws the levels at its end.

    to_state: makes states of levels (replicas, n). Its first constant must be the length of a step.
    """
    kernel = Kernel(
        tridiagonal.build, {"ensemble": "hermite"}, np.concatenate([[1.0, 0.0], tridiagonal.hermite_degrees(n, beta)]),
        np.array([n]), weights=n, scratch=tridiagonal.scratch(n), vectors=1 if n > 32 else 2,
    )  # fmt: skip
    draws = driver(device).prepare(kernel, dtype)

    def move(start: np.ndarray, drawn: np.ndarray, time: float) -> np.ndarray:
        decay, spread = decay_and_spread(motion.rate, time)
        center, noise = motion.center, motion.noise
        return to_state(center + (start[:, :n] - center) * decay + noise * 2**0.5 * spread * drawn)

    def open_ensemble(start: np.ndarray, first_replica: int, seed: int) -> FromCommonPoint:
        return FromCommonPoint(program, draws, move, n, np.array(start), first_replica, seed)

    return replace(program, open=open_ensemble)
