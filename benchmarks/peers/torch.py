"""By PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.peers import Peer, in_pieces, is_one, kick_of, row_blocks
from dysonsim import SGD


def rbm(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
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


def rbm_at_once(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
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


def rbm_single(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
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


def linear(sgd: SGD, networks: int, dtype: str, seed: int, threads: int, normals: str | None = None) -> Peer:
    """All networks at once in batched products; `normals`: float type in which these are drawn, if not dtype."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    kind, random, kick = getattr(torch, dtype), torch.Generator().manual_seed(seed), kick_of(sgd)
    w = torch.empty(networks, 2, 2, dtype=kind).normal_(0, sgd.init_scale, generator=random)
    teacher = torch.tensor(model.teacher, dtype=kind)
    hessian = None if is_one(model.hessian) else torch.tensor(model.hessian, dtype=kind).expand_as(w)
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


def neural(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """Layers forward and back by hand, all networks at once in batched products; inputs are drawn anew."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    random = torch.Generator().manual_seed(seed)
    layers, teacher = _layers(sgd, networks, dtype, seed)
    widths, kind, first = model.widths, layers[0].dtype, model.trained.index(True)
    x = torch.empty(networks, batch, widths[0], dtype=kind)
    label = torch.empty(networks, batch, widths[-1], dtype=kind)
    hidden = [x, *(torch.empty(networks, batch, n, dtype=kind) for n in widths[1:])]
    wanted = [torch.empty_like(h) for h in hidden]
    back = [torch.empty_like(h) for h in hidden]

    def outputs(matrices: list, rows: list, begin: int) -> None:
        for k in range(begin, len(matrices)):
            if matrices[k].dim() == 2:  # one for all networks
                torch.mm(rows[k].view(-1, widths[k]), matrices[k].T, out=rows[k + 1].view(-1, widths[k + 1]))
            else:
                torch.bmm(rows[k], matrices[k].mT, out=rows[k + 1])
            if k < len(matrices) - 1:
                rows[k + 1].tanh_()

    def advance(steps: int) -> None:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for _ in range(steps):
                x.normal_(generator=random)
                outputs(layers, hidden, 0)
                wanted[first] = hidden[first]  # the layers before are shared
                outputs(teacher, wanted, first)
                error = torch.sub(hidden[-1], wanted[-1], out=back[-1])
                if model.label_noise:
                    error.add_(label.normal_(generator=random), alpha=-model.label_noise)
                for k in range(len(layers) - 1, first - 1, -1):
                    if k > first:
                        below = torch.bmm(error, layers[k], out=back[k])
                    if model.trained[k]:
                        layers[k].baddbmm_(error.mT, hidden[k], alpha=-rate / batch)
                    if k > first:
                        wanted[k].copy_(hidden[k]).square_().mul_(below)
                        error = below.sub_(wanted[k])

    return Peer(networks, advance, lambda: layers[first].double().numpy())


def neural_autograd(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """The same with PyTorch's own gradients."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    random = torch.Generator().manual_seed(seed)
    layers, teacher = _layers(sgd, networks, dtype, seed)
    kind, first = layers[0].dtype, model.trained.index(True)
    trained = [layer.requires_grad_() for layer, flag in zip(layers, model.trained, strict=True) if flag]

    def outputs(matrices: list, rows: torch.Tensor) -> torch.Tensor:
        for weights in matrices[:-1]:
            rows = torch.tanh(rows @ weights.mT)
        return rows @ matrices[-1].mT

    def advance(steps: int) -> None:
        torch.set_num_threads(threads)
        for _ in range(steps):
            x = torch.empty(networks, batch, model.widths[0], dtype=kind).normal_(generator=random)
            with torch.no_grad():
                for k in range(first):
                    x = torch.tanh(x @ layers[k].mT)
                y = outputs(teacher[first:], x)
                if model.label_noise:
                    y += torch.empty_like(y).normal_(0, model.label_noise, generator=random)
            loss = (outputs(layers[first:], x) - y).square().sum() * (0.5 / batch)
            with torch.no_grad():
                for weights, gradient in zip(trained, torch.autograd.grad(loss, trained), strict=True):
                    weights.sub_(gradient, alpha=rate)

    return Peer(networks, advance, lambda: layers[first].detach().double().numpy())


def _layers(sgd: SGD, networks: int, dtype: str, seed: int) -> tuple[list, list]:
    """All layers, (networks, rows, columns) each, and the teacher's; those of a given teacher (rows, columns)."""
    kind = getattr(torch, dtype)
    start = sgd.start(networks, seed)
    layers, teacher = ([torch.tensor(m.copy(), dtype=kind) for m in ms] for ms in sgd.model.networks(start))
    if sgd.model.teacher is not None:
        teacher = [torch.tensor(matrix.copy(), dtype=kind) for matrix in sgd.model.teacher]
    return layers, teacher


def dyson(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
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


def dyson_one_thread(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
    return dyson(start, beta, dt, seed, 1)


def dyson_tuned(start: np.ndarray, beta: float, dt: float, seed: int, threads: int) -> Peer:
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


def repulsion(x: np.ndarray, threads: int) -> dict[str, Callable[[], np.ndarray]]:
    """sum_j 1/(x_i - x_j) as one writes it, and in blocks of rows."""
    torch.set_num_threads(threads)
    n, blocks, t = len(x), row_blocks(len(x)), torch.from_numpy(x)

    def rows(begin: int, end: int):
        gaps = t[begin:end, None] - t
        gaps[torch.arange(end - begin), torch.arange(begin, end)] = torch.inf
        return (1 / gaps).sum(dim=1)

    return {
        "PyTorch": lambda: rows(0, n).numpy(),
        "PyTorch in blocks": lambda: torch.cat([rows(a, b) for a, b in blocks]).numpy(),
    }
