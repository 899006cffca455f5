"""Which steps of which optimizers move the recorded weights, and how."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from weakref import WeakSet, ref

from .. import _checks
from .matrices import Matrix, imported_torch

__all__ = ["Steps", "described"]

NOT_OPTIONS = {"params", "lr", "initial_lr", "foreach", "fused", "capturable", "differentiable", "param_names"}


class Steps:
    """Which calls of ``optimizer.step()`` are steps of the recorded weights."""

    def __init__(self, matrices: list[Matrix], chosen: Any) -> None:
        if chosen is not None:
            if not isinstance(chosen, imported_torch().optim.Optimizer):
                raise TypeError(f"optimizer = {_checks.shown(chosen)}: must be a torch.optim.Optimizer")
            if not _holds(chosen, matrices):
                name = type(chosen).__name__
                raise ValueError(f"optimizer = {name}: must hold the weights that are recorded; it holds none of them")
        self.matrices, self.chosen = matrices, chosen
        self.current: Callable[[], Any] = lambda: None
        self.made = 0  # by the current one
        self.former: WeakSet[Any] = WeakSet()

    def is_one(self, optimizer: Any) -> bool:
        """Whether this counts; ValueError if two optimizers take turns."""
        current = self.current()
        if self.chosen is not None:
            counts = optimizer is self.chosen
        else:
            counts = optimizer is current or _holds(optimizer, self.matrices)
        # A fused optimizer under a GradScaler is called for steps that it skips as well.
        skipped = getattr(optimizer, "found_inf", None)
        if not counts or (skipped is not None and float(skipped) > 0):
            return False
        if current is not optimizer:
            if current is not None and (self.made == 1 or optimizer in self.former):
                names = f"{type(current).__name__} and {type(optimizer).__name__}"
                raise ValueError(
                    f"optimizer: two of them ({names}) move the recorded weights in turn; "
                    "give optimizer= the one whose steps count, or layers= of one of them"
                )
            if current is not None:
                self.former.add(current)
            self.current, self.made = ref(optimizer), 0
        self.made += 1
        return True


def _holds(optimizer: Any, matrices: list[Matrix]) -> bool:
    """Whether an optimizer moves some of these matrices."""
    recorded = {id(p) for matrix in matrices for p in matrix.parameters()}
    return any(id(p) in recorded for group in optimizer.param_groups for p in group["params"])


def described(optimizer: Any, matrices: list[Matrix]) -> tuple[list[float], dict[str, Any]]:
    """Return the learning rate of each layer, and the optimizer in terms that JSON knows."""
    place = {id(p): k for k, group in enumerate(optimizer.param_groups) for p in group["params"]}
    group_of = [next((place[id(p)] for p in m.parameters() if id(p) in place), None) for m in matrices]
    rates = [math.nan if k is None else float(optimizer.param_groups[k]["lr"]) for k in group_of]
    groups = [
        {name: _plain(value) for name, value in group.items() if name not in NOT_OPTIONS and _plain(value) is not None}
        for group in optimizer.param_groups
    ]
    return rates, {"optimizer": type(optimizer).__name__, "groups": groups, "group": group_of}


def _plain(value: Any) -> Any:
    """Return a number, a flag, a word or a list of such; None for all else."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(x) for x in value]
    return value if isinstance(value, (bool, int, float, str)) else None
