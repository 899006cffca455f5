"""Tamed Euler steps of Dyson Brownian motion with NumPy, PyTorch, JAX and diffrax, as well as those libraries allow.

    x_i <- x_i + h f_i/(1 + h |f_i|) + sqrt(2 h) z_i,    f_i = -x_i + beta sum_{j != i} 1/(x_i - x_j)

float64; `weights()` of a peer is its levels (replicas, n), sorted: the law of the step does not ask for an order. What
is tuned goes level by level with replicas fastest, draws normals in single precision as the library does, and (NumPy,
PyTorch) works on pieces that fit into a core's cache, on threads.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import numpy as np

from benchmarks.peers import Peer, torch

PIECE = 4096  # replicas


def contestants() -> dict[str, Callable[..., Peer]]:
    """Name -> function of (start, beta, dt, seed, threads); only what is installed."""
    everyone: dict[str, Callable[..., Peer]] = {"NumPy": numpy_batched, "NumPy, tuned": numpy_tuned}
    if torch is not None:
        everyone |= {"PyTorch": torch_batched, "PyTorch, 1 thread": one_thread, "PyTorch, tuned": torch_tuned}
    if importlib.util.find_spec("jax") is not None:
        everyone |= {"JAX": jax_batched, "JAX, tuned": jax_tuned}
        if importlib.util.find_spec("diffrax") is not None:
            everyone["diffrax"] = diffrax_euler
    return everyone


def versions() -> dict[str, str]:
    """Of the libraries that only this benchmark asks."""
    there = [name for name in ("jax", "diffrax") if importlib.util.find_spec(name) is not None]
    return {name: metadata.version(name) for name in there}


def in_pieces(make, start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """`make(start, beta, dt, seed)` of every piece, one thread each at a time."""
    parts = [make(start[at : at + PIECE], beta, dt, seed + at) for at in range(0, len(start), PIECE)]
    pool = ThreadPoolExecutor(threads)

    def advance(steps: int) -> None:
        for _ in pool.map(lambda part: part.advance(steps), parts):
            pass

    return Peer(len(start), advance, lambda: np.concatenate([part.weights() for part in parts]))


def numpy_batched(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
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


def numpy_tuned(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
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


def torch_batched(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """Arrays (n, n, replicas), all replicas at once, in place; PyTorch's own threads."""
    random = torch.Generator().manual_seed(seed)
    x = torch.tensor(np.ascontiguousarray(start.T))
    n = len(x)
    differences, own = torch.empty((n, *x.shape), dtype=x.dtype), torch.arange(n)
    push, size, z = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x)

    def advance(steps: int) -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for _ in range(steps):
                torch.sub(x[:, None], x[None, :], out=differences)
                differences[own, own] = math.inf
                torch.sum(differences.reciprocal_(), 1, out=push)
                push.mul_(beta).sub_(x).mul_(dt)
                torch.abs(push, out=size)
                x.addcdiv_(push, size.add_(1)).add_(z.normal_(generator=random), alpha=math.sqrt(2 * dt))

    return Peer(x.shape[1], advance, lambda: np.sort(x.numpy().T, axis=1))


def one_thread(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    return torch_batched(start, beta, dt, seed, 1)


def torch_tuned(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """As NumPy, tuned."""

    def make(start, beta, dt, seed):
        random = torch.Generator().manual_seed(seed)
        x = torch.tensor(np.ascontiguousarray(start.T))
        n = len(x)
        force, inverse, z = torch.empty_like(x), torch.empty_like(x), torch.empty_like(x, dtype=torch.float32)

        def advance(steps: int) -> None:
            with torch.inference_mode():
                for _ in range(steps):
                    torch.mul(x, -1 / beta, out=force)
                    for i in range(1, n):
                        part = torch.sub(x[i], x[:i], out=inverse[:i]).reciprocal_()
                        force[i].add_(part.sum(0))
                        force[:i].sub_(part)
                    force.mul_(dt * beta)
                    torch.abs(force, out=inverse)
                    x.addcdiv_(force, inverse.add_(1))
                    x.add_(inverse.copy_(z.normal_(generator=random)), alpha=math.sqrt(2 * dt))

        return Peer(x.shape[1], advance, lambda: np.sort(x.numpy().T, axis=1))

    peer = in_pieces(make, start, beta, dt, seed, threads)

    def advance(steps: int) -> None:
        torch.set_num_threads(1)
        peer.advance(steps)

    return Peer(peer.networks, advance, peer.weights)


def tamed(beta: float, dt: float) -> Callable:
    """(replicas, n) -> (replicas, n): f/(1 + h |f|), by JAX, which fuses the differences with their sum."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def drift(x):
        differences = x[:, :, None] - x[:, None, :] + jnp.diag(jnp.full(x.shape[1], jnp.inf))
        force = beta * (1 / differences).sum(2) - x
        return force / (1 + dt * jnp.abs(force))

    return drift


def jax_loop(start: np.ndarray, drift: Callable, dt: float, seed: int, normals: str) -> Peer:
    """The whole loop compiled; XLA takes the threads that it wants. `normals`: float type in which these are drawn."""
    import jax
    import jax.numpy as jnp

    def step(_, carry):
        x, key = carry
        key, now = jax.random.split(key)
        z = jax.random.normal(now, x.shape, normals).astype(x.dtype)
        return x + dt * drift(x) + math.sqrt(2 * dt) * z, key

    loop = jax.jit(lambda steps, carry: jax.lax.fori_loop(0, steps, step, carry))
    carry = jnp.asarray(start), jax.random.key(seed)

    def advance(steps: int) -> None:
        nonlocal carry
        carry = jax.block_until_ready(loop(steps, carry))

    return Peer(start.size, advance, lambda: np.asarray(carry[0]))


def jax_batched(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    peer = jax_loop(start, tamed(beta, dt), dt, seed, "float64")
    return Peer(len(start), peer.advance, lambda: np.sort(peer.weights(), axis=1))


def jax_tuned(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """Level by level, replicas fastest, and normals of single precision."""
    import jax.numpy as jnp

    def drift(x):
        rows = range(len(x))
        force = beta * jnp.stack([sum(1 / (x[i] - x[j]) for j in rows if j != i) for i in rows]) - x
        return force / (1 + dt * jnp.abs(force))

    tamed(beta, dt)  # sets 64 bits
    peer = jax_loop(np.ascontiguousarray(start.T), drift, dt, seed, "float32")
    return Peer(len(start), peer.advance, lambda: np.sort(peer.weights().T, axis=1))


def diffrax_euler(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """diffrax's Euler, constant steps, its cheapest Brownian path; the tamed force as the drift."""
    import diffrax
    import jax
    import jax.numpy as jnp
    import lineax

    drift = tamed(beta, dt)
    shape = jax.ShapeDtypeStruct(start.shape, jnp.float64)

    def diffusion(t, x, args):
        return lineax.DiagonalLinearOperator(jnp.full(x.shape, math.sqrt(2.0)))

    @jax.jit
    def solve(steps, x, key):
        path = diffrax.UnsafeBrownianPath(shape, key)
        terms = diffrax.MultiTerm(diffrax.ODETerm(lambda t, x, args: drift(x)), diffrax.ControlTerm(diffusion, path))
        end = dt * steps * (1 - 1e-9)  # no empty step at the end
        return diffrax.diffeqsolve(
            terms, diffrax.Euler(), 0.0, end, dt, x, max_steps=None, adjoint=diffrax.ForwardMode()
        ).ys[-1]  # fmt: skip

    x, key = jnp.asarray(start), jax.random.key(seed)

    def advance(steps: int) -> None:
        nonlocal x, key
        key, now = jax.random.split(key)
        x = jax.block_until_ready(solve(steps, x, now))

    return Peer(len(start), advance, lambda: np.sort(np.asarray(x), axis=1))
