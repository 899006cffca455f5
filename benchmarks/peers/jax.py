"""By JAX, and by diffrax, which stands on it."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import Peer

jax.config.update("jax_enable_x64", True)


def tamed(beta: float, dt: float) -> Callable:
    """(replicas, n) -> (replicas, n): f/(1 + h |f|), by JAX, which fuses the differences with their sum."""

    def drift(x):
        differences = x[:, :, None] - x[:, None, :] + jnp.diag(jnp.full(x.shape[1], jnp.inf))
        force = beta * (1 / differences).sum(2) - x
        return force / (1 + dt * jnp.abs(force))

    return drift


def jax_loop(start: np.ndarray, drift: Callable, dt: float, seed: int, normals: str) -> Peer:
    """The whole loop compiled; XLA takes the threads that it wants. `normals`: float type in which these are drawn."""

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


def dyson(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    peer = jax_loop(start, tamed(beta, dt), dt, seed, "float64")
    return Peer(len(start), peer.advance, lambda: np.sort(peer.weights(), axis=1))


def dyson_tuned(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """Level by level, replicas fastest, and normals of single precision."""

    def drift(x):
        rows = range(len(x))
        force = beta * jnp.stack([sum(1 / (x[i] - x[j]) for j in rows if j != i) for i in rows]) - x
        return force / (1 + dt * jnp.abs(force))

    peer = jax_loop(np.ascontiguousarray(start.T), drift, dt, seed, "float32")
    return Peer(len(start), peer.advance, lambda: np.sort(peer.weights().T, axis=1))


def dyson_by_diffrax(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    """diffrax's Euler, constant steps, its cheapest Brownian path; the tamed force as the drift."""
    import diffrax
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


def repulsion(x: np.ndarray, threads: int) -> dict[str, Callable[[], np.ndarray]]:
    """sum_j 1/(x_i - x_j), which XLA fuses."""

    @jax.jit
    def sums(v):
        one = jnp.eye(len(x), dtype=bool)
        return jnp.where(one, 0.0, 1 / jnp.where(one, 1.0, v[:, None] - v)).sum(axis=1)

    v = jnp.asarray(x)
    return {"JAX": lambda: np.asarray(sums(v))}
