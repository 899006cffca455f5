"""A small network that tests train, and what they look at. Skips the tests that import it where torch is not."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.optim import optimizer as torch_optimizer  # noqa: E402


def net(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    layers = torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Dropout(0.2), torch.nn.Linear(6, 3)
    return torch.nn.Sequential(*layers).to(dtype)


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), **({"lr": 0.1, "momentum": 0.9} | options))


def train(model, optimizer, steps=6, batch=5, accumulate=1, scaler=None, bad=(), schedule=None):
    dtype = next(model.parameters()).dtype
    for k in range(steps):
        optimizer.zero_grad()
        for _ in range(accumulate):
            loss = model(torch.randn(batch, 8, dtype=dtype)).square().mean() / accumulate
            loss = loss * float("inf") if k in bad else loss
            (scaler.scale(loss) if scaler else loss).backward()
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
        if schedule:
            schedule.step()


def spectrum(weight):
    return np.linalg.svd(weight.detach().double().reshape(len(weight), -1).numpy(), compute_uv=False)[::-1]


def hooks(model):
    """How many are there: of all optimizers, of modules, of parameters."""
    modules = sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in model.modules())
    parameters = sum(len(p._post_accumulate_grad_hooks or ()) for p in model.parameters())
    return len(torch_optimizer._global_optimizer_post_hooks), modules, parameters
