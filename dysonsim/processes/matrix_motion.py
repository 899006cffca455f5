"""Exact transitions: the levels of matrices whose entries are independent Ornstein-Uhlenbeck processes.

Under noise that is invariant under rotations, the eigenvalues of a matrix move as if it had started from the diagonal
matrix of its levels. So the levels after any time are those of

    M' = center + exp(-rate t) (diag(x) - center) + s G,    s^2 = noise^2 (1 - exp(-2 rate t))/rate,

G Gaussian with independent entries, of variance 1 on the diagonal and beta/2 off it (1/2 for every one of its beta
real components): real symmetric (beta = 1), complex Hermitian (2) or quaternionic (4), the last as a complex matrix of
twice the size that has every level twice. F. J. Dyson, J. Math. Phys. 3, 1191 (1962). Rectangular matrices likewise:
M' = exp(-rate t) diag(xi) + s G with s^2 = noise^2 (1 - exp(-2 rate t))/(2 rate), all components of G of variance 1.

Normals are Philox's, counted by replica and step; LAPACK does the rest in double precision. On a GPU the same is a
kernel, `dysonsim.kernels.dyson.matrix_step`, in the float type of the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..backend import STILL_WELL, Ensemble, Kernel, Program, driver
from ..kernels.common import normals
from ..kernels.dyson import matrix_step

__all__ = ["LinearMotion", "exact_program", "hermitian", "in_lanes", "lanes_kernel", "rectangular", "working_numbers"]

CHUNK = 2**19  # numbers of the matrices that are worked on at once, on each thread
WIDTH = 8
COPIES = 20  # of the normals of a transition: matrices, those of twice the size for quaternions, and LAPACK's own

Transition = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


@dataclass
class MatrixEnsemble:
    """Levels that move by a transition (levels, standard normals, time) -> levels."""

    transition: Transition
    count: int
    draws: Program
    levels: np.ndarray
    first_replica: int
    seed: int
    time: float

    def set_reals(self, reals: np.ndarray) -> None:
        self.time = float(reals[0])

    def advance(self, first: int, count: int) -> None:
        if not count:
            return
        noise = self.draws.open(np.zeros((len(self.levels), self.count)), self.first_replica, self.seed)
        for step in range(first, first + count):
            noise.advance(step, 1)
            self.levels = self.transition(self.levels, noise.state(), self.time)

    def state(self) -> np.ndarray:
        return self.levels

    def left(self) -> np.ndarray:
        return np.full(len(self.levels), STILL_WELL)


def exact_program(transition: Transition, count: int) -> Program:
    """Return a program whose every step is one transition that takes `count` normals; `reals[0]` is its length."""
    kernel = Kernel(normals.build, {}, np.zeros(1), np.array([-(-count // 4)]), weights=4 * -(-count // 4))
    draws = driver("cpu").prepare(kernel, "float64")

    def open_ensemble(start: np.ndarray, first_replica: int, seed: int) -> MatrixEnsemble:
        return MatrixEnsemble(transition, kernel.weights, draws, np.array(start), first_replica, seed, 0.0)

    return Program(open_ensemble, WIDTH, unit=max(1, CHUNK // (WIDTH * count)))


def working_numbers(count: int, replicas: int) -> int:
    """Return what a thread needs for its transitions, of `count` normals each, in numbers of eight bytes."""
    return COPIES * count * min(replicas, max(WIDTH, CHUNK // count))


@dataclass(frozen=True)
class LinearMotion:
    """What levels do besides repelling each other: -rate (x - center) and noise, the same for all."""

    rate: float
    center: float
    noise: float


def decay_and_spread(rate: float, time: float) -> tuple[float, float]:
    """exp(-rate t), and the square root of (1 - exp(-2 rate t))/(2 rate), which is t at rate 0."""
    return math.exp(-rate * time), math.sqrt(time if rate == 0 else -math.expm1(-2 * rate * time) / (2 * rate))


def hermitian(n: int, beta: int, motion: LinearMotion) -> Program:
    """Eigenvalues of n x n matrices, beta = 1, 2 or 4: Dyson Brownian motion with a linear drift."""
    rows, columns = np.tril_indices(n, -1)
    diagonal, center = np.arange(n), motion.center
    pairs = len(rows)

    def transition(levels: np.ndarray, z: np.ndarray, time: float) -> np.ndarray:
        decay, spread = decay_and_spread(motion.rate, time)
        component = motion.noise * spread
        matrix = np.zeros((len(levels), n, n), np.float64 if beta == 1 else np.complex128)
        off = [z[:, n + k * pairs : n + (k + 1) * pairs] * component for k in range(beta)]
        matrix[:, diagonal, diagonal] = center + decay * (levels - center) + math.sqrt(2) * component * z[:, :n]
        matrix[:, rows, columns] = off[0] if beta == 1 else off[0] + 1j * off[1]
        if beta < 4:
            return np.linalg.eigvalsh(matrix)  # reads the lower triangle
        matrix[:, columns, rows] = off[0] - 1j * off[1]
        other = np.zeros_like(matrix)
        other[:, rows, columns] = off[2] + 1j * off[3]
        other[:, columns, rows] = -other[:, rows, columns]
        twice = np.linalg.eigvalsh(np.block([[matrix, other], [-other.conj(), matrix.conj()]]))
        return (twice[:, ::2] + twice[:, 1::2]) / 2

    return exact_program(transition, matrix_step.draws("hermitian", n, n, beta))


def rectangular(m: int, n: int, beta: int, motion: LinearMotion) -> Program:
    """Singular values of m x n matrices, m >= n, beta = 1, 2 or 4: the Laguerre process, centered at 0."""
    diagonal = np.arange(n)

    def transition(levels: np.ndarray, z: np.ndarray, time: float) -> np.ndarray:
        decay, spread = decay_and_spread(motion.rate, time)
        components = z[:, : beta * m * n].reshape(-1, beta, m, n) * (motion.noise * spread)
        components[:, 0, diagonal, diagonal] += decay * levels
        if beta == 1:
            return singular_values(components[:, 0])
        matrix = components[:, 0] + 1j * components[:, 1]
        if beta == 2:
            return singular_values(matrix)
        other = components[:, 2] + 1j * components[:, 3]
        twice = singular_values(np.block([[matrix, other], [-other.conj(), matrix.conj()]]))
        return (twice[:, ::2] + twice[:, 1::2]) / 2

    return exact_program(transition, matrix_step.draws("rectangular", m, n, beta))


def singular_values(matrix: np.ndarray) -> np.ndarray:
    """Ascending."""
    return np.linalg.svd(matrix, compute_uv=False)[:, ::-1]


@dataclass
class Transitions:
    """Levels on a device that move by a transition, whose constants follow from its length."""

    inner: Ensemble
    motion: LinearMotion

    def set_reals(self, reals: np.ndarray) -> None:
        decay, spread = decay_and_spread(self.motion.rate, float(reals[0]))
        self.inner.set_reals(np.array([decay, self.motion.noise * spread, self.motion.center]))

    def advance(self, first: int, count: int) -> None:
        self.inner.advance(first, count)

    def state(self) -> np.ndarray:
        return self.inner.state()

    def left(self) -> np.ndarray:
        return self.inner.left()


def lanes_kernel(shape: str, m: int, n: int, beta: int) -> Kernel:
    """Return the transition as a kernel; shape: "hermitian" (m = n) or "rectangular"."""
    return Kernel(
        matrix_step.build, {"shape": shape, "beta": beta}, np.zeros(3), np.array([n, m]), weights=n,
        scratch=matrix_step.scratch(shape, m, n, beta),
    )  # fmt: skip


def in_lanes(device: str, dtype: str, shape: str, m: int, n: int, beta: int, motion: LinearMotion) -> Program:
    """Return what `hermitian` and `rectangular` do, on a device, with the same random numbers."""
    program = driver(device).prepare(lanes_kernel(shape, m, n, beta), dtype)

    def open_ensemble(start: np.ndarray, first_replica: int, seed: int) -> Transitions:
        return Transitions(program.open(start, first_replica, seed), motion)

    return replace(program, open=open_ensemble)
