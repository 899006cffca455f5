"""The RBM's training by PyTorch on a CUDA device, plain and as a CUDA graph.

As in `peers.torch.rbm`: every Gibbs step, batched products in place, no autograd, one float type throughout
(TF32 is off, as by default). A graph replays `CAPTURED` steps without a word from Python.
"""

from __future__ import annotations

import torch

from benchmarks.peers import CAPTURED, Peer
from dysonsim import SGD

WARM_UP = 4


def rbm(sgd: SGD, networks: int, dtype: str, seed: int, graph: bool, device: str = "cuda") -> Peer:
    """Every Gibbs step, all networks at once in batched products; steps of a `graph` are a multiple of `CAPTURED`."""
    model, batch, rate = sgd.model, sgd.batch_size, sgd.learning_rate
    n, options = len(model.target), {"dtype": getattr(torch, dtype), "device": device}
    torch.manual_seed(seed)
    beta, alpha = 1 / model.mu, 1 / model.mu**2
    w = torch.empty(networks, n, n, **options).normal_(0, sgd.init_scale)
    target = torch.linalg.inv(torch.tensor(model.target, dtype=torch.float64)).to(**options).expand(networks, n, n)
    visible = torch.ones(networks, batch, n, **options)
    hidden, spare, mismatch, change = (torch.empty_like(a) for a in (visible, visible, w, w))

    def several(steps: int) -> None:
        nonlocal visible, spare
        for _ in range(steps):
            for _ in range(model.gibbs_steps):
                hidden.normal_().baddbmm_(visible, w.mT)
                spare.normal_().baddbmm_(hidden, w, beta=beta, alpha=alpha)
                visible, spare = spare, visible
            torch.baddbmm(target, visible.mT, visible, alpha=-1 / batch, out=mismatch)
            w.add_(torch.bmm(w, mismatch, out=change), alpha=rate)

    captured = captured_steps(several) if graph else None

    def advance(steps: int) -> None:
        with torch.no_grad():
            if captured is None:
                several(steps)
            else:
                for _ in range(max(1, steps // CAPTURED)):
                    captured.replay()
            if device == "cuda":
                torch.cuda.synchronize()

    return Peer(networks, advance, lambda: w.double().cpu().numpy())


def captured_steps(several):
    """A CUDA graph of `CAPTURED` steps; the default generator counts on from one replay to the next."""
    with torch.no_grad():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            several(WARM_UP)  # libraries set themselves up outside a capture
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            several(CAPTURED)
    return graph
