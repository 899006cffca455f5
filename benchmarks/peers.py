"""The same training as `dysonsim.simulate`, written with PyTorch and NumPy, as well as those libraries allow.

A peer is set up once and then advanced: `advance(steps)` moves every network by so many SGD steps. Each is built from
the same `dysonsim.SGD`, so that model, rates and batches cannot differ. All write into arrays that they hold, record no
gradients, and use the update of the papers (arXiv:2412.20496) in closed form, without automatic differentiation.

The RBMs have sigma = 1 and as many hidden as visible units; the linear networks have 2 x 2 weights and fresh samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from dysonsim import SGD

try:
    import torch
except ImportError:  # an optional peer
    torch = None


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


def torch_rbm(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """Every Gibbs step, all networks at once in batched products."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    n, kind, random = len(model.target), getattr(torch, dtype), torch.Generator().manual_seed(seed)
    beta, alpha = 1 / model.mu, 1 / model.mu**2
    w = torch.empty(networks, n, n, dtype=kind).normal_(0, sgd.init_scale, generator=random)
    target = torch.tensor(np.linalg.inv(model.target), dtype=kind).expand(networks, n, n)
    visible = torch.ones(networks, batch, n, dtype=kind)
    hidden, spare, mismatch, change = (torch.empty_like(a) for a in (visible, visible, w, w))

    def advance(steps: int) -> None:
        nonlocal visible, spare
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for _ in range(steps):
                for _ in range(model.gibbs_steps):
                    hidden.normal_(generator=random).baddbmm_(visible, w.mT)
                    spare.normal_(generator=random).baddbmm_(hidden, w, beta=beta, alpha=alpha)
                    visible, spare = spare, visible
                torch.baddbmm(target, visible.mT, visible, alpha=-1 / batch, out=mismatch)
                w.add_(torch.bmm(w, mismatch, out=change), alpha=rate)

    return Peer(networks, advance, lambda: w.double().numpy())


def torch_rbm_at_once(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """dysonsim's algorithm in PyTorch: the k Gibbs steps drawn as one, normals of single precision."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    n, kind, random = len(model.target), getattr(torch, dtype), torch.Generator().manual_seed(seed)
    w = torch.empty(networks, n, n, dtype=kind).normal_(0, sgd.init_scale, generator=random)
    target = torch.tensor(np.linalg.inv(model.target), dtype=kind).expand(networks, n, n)
    one = torch.eye(n, dtype=kind)
    visible = torch.ones(networks, batch, n, dtype=kind)
    noise, spare = torch.empty_like(visible), torch.empty_like(visible)
    single = noise if dtype == "float32" else torch.empty_like(noise, dtype=torch.float32)
    mismatch, change = torch.empty_like(w), torch.empty_like(w)

    def advance(steps: int) -> None:
        nonlocal visible, spare
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for _ in range(steps):
                a = torch.bmm(w.mT, w).mul_(1 / model.mu**2)
                power, series = a, one.expand_as(a)
                for _ in range(model.gibbs_steps - 1):
                    series = series + power
                    power = torch.bmm(power, a)
                series = torch.baddbmm(series, power, series)  # 1 + a + ... + a^(2k-1)
                factor = torch.linalg.cholesky_ex(series)[0]
                noise.copy_(single.normal_(generator=random))
                torch.bmm(noise, factor.mT, out=spare)
                spare.baddbmm_(visible, power, beta=1 / model.mu)
                visible, spare = spare, visible
                torch.baddbmm(target, visible.mT, visible, alpha=-1 / batch, out=mismatch)
                w.add_(torch.bmm(w, mismatch, out=change), alpha=rate)

    return Peer(networks, advance, lambda: w.double().numpy())


def torch_rbm_single(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """The papers' way: one network at a time, so one here, whatever `networks` says."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    n, kind, random = len(model.target), getattr(torch, dtype), torch.Generator().manual_seed(seed)
    w = torch.empty(n, n, dtype=kind).normal_(0, sgd.init_scale, generator=random)
    target = torch.tensor(np.linalg.inv(model.target), dtype=kind)
    visible = torch.ones(batch, n, dtype=kind)
    hidden, spare = torch.empty_like(visible), torch.empty_like(visible)

    def advance(steps: int) -> None:
        nonlocal visible, spare
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for _ in range(steps):
                for _ in range(model.gibbs_steps):
                    hidden.normal_(generator=random).addmm_(visible, w.T)
                    spare.normal_(generator=random).addmm_(hidden, w, beta=1 / model.mu, alpha=1 / model.mu**2)
                    visible, spare = spare, visible
                w.add_(w @ torch.addmm(target, visible.T, visible, alpha=-1 / batch), alpha=rate)

    return Peer(1, advance, lambda: w.double().numpy()[None])


def torch_linear(sgd: SGD, networks: int, dtype: str, seed: int, threads: int, normals: str | None = None) -> Peer:
    """All networks at once in batched products; `normals`: float type in which these are drawn, if not dtype."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    kind, random, kick = getattr(torch, dtype), torch.Generator().manual_seed(seed), _kick(sgd)
    w = torch.empty(networks, 2, 2, dtype=kind).normal_(0, sgd.init_scale, generator=random)
    teacher = torch.tensor(model.teacher, dtype=kind)
    hessian = None if _is_one(model.hessian) else torch.tensor(model.hessian, dtype=kind).expand_as(w)
    drawn = torch.empty(networks * (batch + 2) * 2, dtype=getattr(torch, normals or dtype))
    z = drawn if drawn.dtype == kind else torch.empty_like(drawn, dtype=kind)
    x, noise = z[: networks * batch * 2].view(networks, batch, 2), z[networks * batch * 2 :].view(networks, 2, 2)
    covariance, error, pulled = (torch.empty_like(w) for _ in range(3))

    def advance(steps: int) -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for _ in range(steps):
                drawn.normal_(generator=random)
                if z is not drawn:
                    z.copy_(drawn)
                torch.bmm(x.mT, x, out=covariance)
                torch.sub(teacher, w, out=error)
                pull = error if hessian is None else torch.bmm(hessian, error, out=pulled)
                w.baddbmm_(pull, covariance, alpha=rate / batch)
                w.add_(noise, alpha=kick).add_(noise.mT, alpha=kick)

    return Peer(networks, advance, lambda: w.double().numpy())


def numpy_rbm(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
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


def numpy_linear(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """The networks along the last axis, entry by entry: faster here than stacks of 2 x 2 products."""
    model, batch = sgd.model, sgd.batch_size
    kind, random = np.dtype(dtype).type, np.random.default_rng(seed)
    w = (random.standard_normal((2, 2, networks)) * sgd.init_scale).astype(dtype)
    teacher = model.teacher.astype(dtype)[:, :, None]
    hessian = None if _is_one(model.hessian) else model.hessian.astype(dtype)
    x = np.empty((batch + 2, 2, networks), dtype)  # the last two: the gradient noise
    products, covariance = np.empty((batch, networks), dtype), np.empty((2, 2, networks), dtype)
    step, kick = kind(sgd.learning_rate / batch), kind(_kick(sgd))

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


def _kick(sgd: SGD) -> float:
    """Factor of a + a^T, a of standard normals, in one update (its off-diagonal entries have variance 2)."""
    return sgd.learning_rate * sgd.model.gradient_noise / math.sqrt(2 * sgd.batch_size)


def _is_one(matrix: np.ndarray) -> bool:
    return np.array_equal(matrix, np.eye(len(matrix)))
