"""The same work by other libraries, as well as those allow: one file a library.

A peer is set up once and then advanced: `advance(steps)` moves every network by so many steps. Training (`rbm`,
`linear`) is built from the same `dysonsim.SGD`, so that model, rates and batches cannot differ. All write into arrays
that they hold, record no gradients, and use the update of the papers (arXiv:2412.20496) in closed form, without
automatic differentiation. The RBMs have sigma = 1 and as many hidden as visible units; the linear networks have 2 x 2
weights and fresh samples.

Dyson Brownian motion (`dyson`) goes by tamed Euler steps in float64,

    x_i <- x_i + h f_i/(1 + h |f_i|) + sqrt(2 h) z_i,    f_i = -x_i + beta sum_{j != i} 1/(x_i - x_j);

`weights()` is then the levels (replicas, n), sorted: the law of the step does not ask for an order. What is tuned goes
level by level with replicas fastest, draws normals in single precision as the library does, and (NumPy, PyTorch) works
on pieces that fit into a core's cache, on threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from dysonsim import SGD

HAS_TORCH, HAS_JAX, HAS_DIFFRAX = (find_spec(name) is not None for name in ("torch", "jax", "diffrax"))
PIECE = 4096  # replicas
ROWS = 64  # of a sum over pairs in blocks
CAPTURED = 16  # steps of one CUDA graph: an even number, after which both buffers of a chain are where they were


@dataclass
class Peer:
    """An ensemble and how to advance it; `weights()` is (networks, rows, columns)."""

    networks: int
    advance: Callable[[int], object]
    weights: Callable[[], np.ndarray]


def on_threads(make, sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """Equal shares of the networks on Python threads: left alone, both libraries draw normals on one thread."""
    parts = [make(sgd, networks // threads, dtype, seed + i, 1) for i in range(threads)]
    pool = ThreadPoolExecutor(threads)

    def advance(steps: int) -> None:
        for future in [pool.submit(part.advance, steps) for part in parts]:
            future.result()

    return Peer(networks // threads * threads, advance, lambda: np.concatenate([part.weights() for part in parts]))


def in_pieces(make, start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """`make(start, beta, dt, seed)` of every piece, one thread each at a time."""
    parts = [make(start[at : at + PIECE], beta, dt, seed + at) for at in range(0, len(start), PIECE)]
    pool = ThreadPoolExecutor(threads)

    def advance(steps: int) -> None:
        for _ in pool.map(lambda part: part.advance(steps), parts):
            pass

    return Peer(len(start), advance, lambda: np.concatenate([part.weights() for part in parts]))


def row_blocks(n: int) -> list[tuple[int, int]]:
    """Rows of an n x n array that stay in the cache."""
    return [(first, min(first + ROWS, n)) for first in range(0, n, ROWS)]


def kick_of(sgd: SGD) -> float:
    """Factor of a + a^T, a of standard normals, in one update (its off-diagonal entries have variance 2)."""
    return sgd.learning_rate * sgd.model.gradient_noise / math.sqrt(2 * sgd.batch_size)


def is_one(matrix: np.ndarray) -> bool:
    return np.array_equal(matrix, np.eye(len(matrix)))
