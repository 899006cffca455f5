"""Deep linear networks by PyTorch: all layers trained by batches with label noise, all networks at once."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.peers import Peer
from dysonsim import SGD

__all__ = ["at_once", "autograd", "by_hand"]


def layers_of(sgd: SGD, networks: int, dtype: str, seed: int) -> list[torch.Tensor]:
    """Start as dysonsim does."""
    layers = sgd.model.layers(sgd.start(networks, seed))
    return [torch.tensor(weights, dtype=getattr(torch, dtype)).contiguous() for weights in layers]


def product(layers: list[torch.Tensor]) -> torch.Tensor:
    out = layers[0]
    for weights in layers[1:]:
        out = torch.bmm(weights, out)
    return out


def peer(layers: list[torch.Tensor], networks: int, threads: int, step: Callable[[], object]) -> Peer:
    def advance(steps: int) -> None:
        torch.set_num_threads(threads)
        for _ in range(steps):
            step()

    return Peer(networks, advance, lambda: product([w.detach() for w in layers]).double().numpy())


def by_hand(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """Every sample forward and back, batched products in place."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    layers, random = layers_of(sgd, networks, dtype, seed), torch.Generator().manual_seed(seed)
    p, n = model.weight_shape
    teacher = torch.tensor(model.teacher, dtype=layers[0].dtype).expand(networks, p, n)
    x = torch.empty(networks, batch, n, dtype=layers[0].dtype)
    target, activity = x.new_empty(networks, batch, p), [x, *(x.new_empty(networks, batch, len(w[0])) for w in layers)]
    back = [torch.empty_like(a) for a in activity]

    def step() -> None:
        with torch.inference_mode():
            x.normal_(generator=random)
            target.normal_(generator=random).baddbmm_(x, teacher.mT, beta=model.label_noise)
            for k, weights in enumerate(layers):
                torch.bmm(activity[k], weights.mT, out=activity[k + 1])
            torch.sub(activity[-1], target, out=back[-1])
            for k in reversed(range(len(layers))):
                if k:
                    torch.bmm(back[k + 1], layers[k], out=back[k])
                layers[k].baddbmm_(back[k + 1].mT, activity[k], alpha=-rate / batch)

    return peer(layers, networks, threads, step)


def autograd(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """The loss, and its gradients by automatic differentiation."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    layers, random = layers_of(sgd, networks, dtype, seed), torch.Generator().manual_seed(seed)
    p, n = model.weight_shape
    teacher = torch.tensor(model.teacher, dtype=layers[0].dtype).expand(networks, p, n)
    for weights in layers:
        weights.requires_grad_()

    def step() -> None:
        x = torch.empty(networks, batch, n, dtype=layers[0].dtype).normal_(generator=random)
        eta = torch.empty(networks, batch, p, dtype=layers[0].dtype).normal_(generator=random)
        y = torch.baddbmm(eta, x, teacher.mT, beta=model.label_noise)
        for weights in layers:
            x = torch.bmm(x, weights.mT)
        loss = (x - y).square().sum() * (0.5 / batch)
        gradients = torch.autograd.grad(loss, layers)
        with torch.no_grad():
            for weights, gradient in zip(layers, gradients, strict=True):
                weights.sub_(gradient, alpha=rate)

    return peer(layers, networks, threads, step)


def at_once(sgd: SGD, networks: int, dtype: str, seed: int, threads: int) -> Peer:
    """dysonsim's algorithm: the batch as Bartlett's factor, the gradients from the product of all layers."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    layers, random = layers_of(sgd, networks, dtype, seed), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)  # of the gamma variates
    p, n = model.weight_shape
    kind = layers[0].dtype
    teacher = torch.tensor(model.teacher, dtype=kind)
    shapes = ((batch - torch.arange(n)) / 2).to(kind).expand(networks, n).contiguous()
    factor, error = (torch.empty(networks, size, n, dtype=kind) for size in (n, p))
    below = [torch.empty(networks, len(w[0]), n, dtype=kind) for w in layers[1:]]

    def step() -> None:
        with torch.inference_mode():
            factor.normal_(generator=random).tril_(-1)
            factor.diagonal(dim1=1, dim2=2).copy_(torch._standard_gamma(shapes).mul_(2).sqrt_())
            before = [layers[0]]
            for weights, room in zip(layers[1:], below, strict=True):
                before.append(torch.bmm(weights, before[-1], out=room))
            error.normal_(generator=random).baddbmm_(before[-1] - teacher, factor, beta=-model.label_noise)
            back = torch.bmm(error, factor.mT)
            for k in reversed(range(len(layers))):
                behind = torch.bmm(layers[k].mT, back) if k else back
                if k:
                    layers[k].baddbmm_(back, before[k - 1].mT, alpha=-rate / batch)
                else:
                    layers[k].sub_(back, alpha=rate / batch)
                back = behind

    return peer(layers, networks, threads, step)
