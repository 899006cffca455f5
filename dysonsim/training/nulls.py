"""Levels of random matrices of one shape: what the spectrum of one matrix is held against.

Two nulls. *gaussian*: independent Gaussian entries of one variance, from the exact sampler of the Laguerre ensemble.
*shuffle*: the entries of the matrix itself in random order, exact for independent entries of any law.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..backend import one_blas_thread, usable_cores
from ..backend.threads import share
from ..ensembles.simulate import simulate
from ..processes import CoulombGas

__all__ = ["LEAST", "SHUFFLE_SECONDS", "choose_null", "gaussian_levels", "levels_of", "shuffled_levels"]

LEAST = 8
"""Levels below which nothing is decided."""

SHUFFLE_SECONDS = 60.0
"""Processor time, as estimated by `shuffle_cost`, up to which null="auto" shuffles the entries of a matrix."""

BLOCK = 32  # draws that a thread makes at once
Tick = Callable[[int], object]


def levels_of(w: np.ndarray) -> np.ndarray:
    """Eigenvalues, ascending, of the smaller Gram matrix of each w (..., m, n), so that none vanishes by shape alone.

    Those of W^T W cost a third to a ninth of a singular value decomposition; their error, 1e-16 of the largest, is far
    below the spacing of levels of a random matrix.
    """
    gram = w.swapaxes(-1, -2) @ w if w.shape[-2] >= w.shape[-1] else w @ w.swapaxes(-1, -2)
    return np.maximum(np.linalg.eigvalsh(gram), 0.0)


def shuffle_cost(m: int, n: int) -> float:
    """Seconds of one core that a shuffled m x n matrix takes, m >= n: permutation, Gram matrix, eigenvalues.

    Fitted to OpenBLAS on one core of 2024 within a factor 1.5, from 100 x 128 to 1024 x 1024 and 50000 x 64. The rule
    for null="auto" goes by this estimate and not by a clock, so that it is the same everywhere.
    """
    entry = 8.5e-9 + 5e-9 * max(0.0, math.log2(m * n / 2**18))  # slower where entries do not fit into the cache
    return entry * m * n + 25e-12 * m * n**2 + 25e-9 * n**2 + 6e-11 * n**3


def choose_null(null: str, m: int, n: int, draws: int) -> str:
    """Return "shuffle" or "gaussian": for "auto" the former where all draws take a minute of one core or less."""
    if null != "auto":
        return null
    return "shuffle" if draws * shuffle_cost(m, n) <= SHUFFLE_SECONDS else "gaussian"


def gaussian_levels(m: int, n: int, draws: int, seeds: np.random.SeedSequence, tick: Tick | None = None) -> np.ndarray:
    """Levels (draws, n), ascending, of m x n matrices, m >= n, with independent normal entries of unit variance."""
    gas = CoulombGas.laguerre(n=n, m=m, beta=1.0)
    block = max(64, min(draws, int(4e7 / n**2) // 64 * 64))  # a few seconds each, for progress and Ctrl-C
    found = []
    for first in range(0, draws, block):
        count = min(block, draws - first)
        seed = int(seeds.spawn(1)[0].generate_state(1, np.uint64)[0])
        found.append(simulate(gas, replicas=count, seed=seed, progress=False).eigenvalues[:, -1])
        if tick is not None:
            tick(count)
    return np.concatenate(found)


def shuffled_levels(
    w: np.ndarray, shape: tuple[int, int], draws: int, seeds: np.random.SeedSequence, tick: Tick | None = None
) -> np.ndarray:
    """Levels (draws, min(shape)), ascending, of matrices of some shape that are filled with the shuffled entries of w.

    Where `shape` is smaller than w, each has entries of w drawn without replacement. On all cores; draw number i is the
    same on any number of them.
    """
    flat, size = w.ravel(), math.prod(shape)
    found = np.empty((draws, min(shape)))
    entropy = seeds.generate_state(4)
    few = max(1, min(BLOCK, int(2**23 / size)))

    def draw(first: int) -> None:
        last = min(first + few, draws)
        batch = np.empty((last - first, *shape))
        for i in range(first, last):
            random = np.random.default_rng([*entropy, i])
            batch[i - first] = random.permutation(flat)[:size].reshape(shape)
        found[first:last] = levels_of(batch)
        if tick is not None:
            tick(last - first)

    with one_blas_thread():
        share(draw, range(0, draws, few), usable_cores())
    return found
