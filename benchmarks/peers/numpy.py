"""By NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from benchmarks.peers import Peer, in_pieces, is_one, kick_of, row_blocks
from dysonsim import SGD


def rbm(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """Every Gibbs step, all networks at once in stacked products."""
    model, batch = sgd.model, sgd.batch_size
    n, kind, random = len(model.target), np.dtype(dtype).type, np.random.default_rng(seed)
    w = (random.standard_normal((networks, n, n)) * sgd.init_scale).astype(dtype)
    target = np.linalg.inv(model.target).astype(dtype)
    visible = np.ones((networks, batch, n), dtype)
    hidden, noise, change = np.empty_like(visible), np.empty_like(visible), np.empty_like(w)
    beta, alpha, rate, inverse_batch = (kind(a) for a in (1 / model.mu, 1 / model.mu**2, sgd.learning_rate, 1 / batch))

    def advance(steps: int) -> None:
        for _ in range(steps):
            for _ in range(model.gibbs_steps):
                np.matmul(visible, w.swapaxes(1, 2), out=hidden)
                random.standard_normal(dtype=dtype, out=noise)
                np.add(hidden, noise, out=hidden)
                np.matmul(hidden, w, out=visible)
                np.multiply(visible, alpha, out=visible)
                random.standard_normal(dtype=dtype, out=noise)
                np.multiply(noise, beta, out=noise)
                np.add(visible, noise, out=visible)
            mismatch = np.matmul(visible.swapaxes(1, 2), visible)
            mismatch *= -inverse_batch
            mismatch += target
            np.matmul(w, mismatch, out=change)
            np.multiply(change, rate, out=change)
            np.add(w, change, out=w)

    return Peer(networks, advance, lambda: w.astype(np.float64))


def linear(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """The networks along the last axis, entry by entry: faster here than stacks of 2 x 2 products."""
    model, batch = sgd.model, sgd.batch_size
    kind, random = np.dtype(dtype).type, np.random.default_rng(seed)
    w = (random.standard_normal((2, 2, networks)) * sgd.init_scale).astype(dtype)
    teacher = model.teacher.astype(dtype)[:, :, None]
    hessian = None if is_one(model.hessian) else model.hessian.astype(dtype)
    x = np.empty((batch + 2, 2, networks), dtype)  # the last two: the gradient noise
    products, covariance = np.empty((batch, networks), dtype), np.empty((2, 2, networks), dtype)
    step, kick = kind(sgd.learning_rate / batch), kind(kick_of(sgd))

    def advance(steps: int) -> None:
        for _ in range(steps):
            random.standard_normal(dtype=dtype, out=x)
            for i, j in ((0, 0), (1, 1), (0, 1)):
                np.multiply(x[:batch, i], x[:batch, j], out=products)
                np.sum(products, axis=0, out=covariance[i, j])
            covariance[1, 0] = covariance[0, 1]
            pull = teacher - w
            if hessian is not None:
                pull = np.tensordot(hessian, pull, 1)
            change = pull[:, :1] * covariance[:1]
            change += pull[:, 1:] * covariance[1:]
            change *= step
            noise = x[batch:] + x[batch:].swapaxes(0, 1)
            noise *= kick
            change += noise
            np.add(w, change, out=w)

    return Peer(networks, advance, lambda: w.transpose(2, 0, 1).astype(np.float64))


def dyson(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """All pairs of all replicas in one array, as one writes it first."""
    rng, x, own = np.random.default_rng(seed), start.copy(), np.arange(start.shape[1])

    def advance(steps: int) -> None:
        nonlocal x
        for _ in range(steps):
            differences = x[:, :, None] - x[:, None, :]
            differences[:, own, own] = np.inf
            push = dt * (beta * (1 / differences).sum(2) - x)
            x = x + push / (1 + np.abs(push)) + math.sqrt(2 * dt) * rng.standard_normal(x.shape)

    return Peer(len(start), advance, lambda: np.sort(x, axis=1))


def dyson_tuned(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """In place."""

    def make(start, beta, dt, seed):
        rng, x = np.random.default_rng(seed), np.ascontiguousarray(start.T)
        n = len(x)
        force, inverse, z = np.empty_like(x), np.empty_like(x), np.empty(x.shape, np.float32)

        def advance(steps: int) -> None:
            for _ in range(steps):
                force[:] = 0
                for i in range(1, n):
                    part = np.subtract(x[i], x[:i], out=inverse[:i])
                    np.divide(beta, part, out=part)
                    force[i] += part.sum(axis=0)
                    force[:i] -= part
                np.subtract(force, x, out=force)
                np.multiply(force, dt, out=force)
                np.abs(force, out=inverse)
                np.add(inverse, 1, out=inverse)
                np.divide(force, inverse, out=force)
                rng.standard_normal(dtype=np.float32, out=z)
                np.multiply(z, math.sqrt(2 * dt), out=inverse)
                np.add(x, force, out=x)
                np.add(x, inverse, out=x)

        return Peer(x.shape[1], advance, lambda: np.sort(x.T, axis=1))

    return in_pieces(make, start, beta, dt, seed, threads)


def repulsion(x: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """sum_j 1/(x_i - x_j) as one writes it, and in blocks of rows."""
    n, blocks = len(x), row_blocks(len(x))

    def rows(begin: int, end: int) -> np.ndarray:
        gaps = x[begin:end, None] - x
        gaps[np.arange(end - begin), np.arange(begin, end)] = np.inf
        return (1 / gaps).sum(axis=1)

    return {
        "NumPy": lambda: rows(0, n),
        "NumPy in blocks": lambda: np.concatenate([rows(a, b) for a, b in blocks]),
    }
