"""How many samples went through a model since the last step of its training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from .matrices import Matrix, imported_torch

__all__ = ["Samples"]


class Samples:
    """Count samples in forward pre-hooks, in training mode with gradients.

    What the whole model is given counts; what its layers are given, where the model itself is never called: Lightning
    calls parts of it. Samples whose gradient was thrown away, as by a GradScaler that skips a step, do not count.
    """

    def __init__(self, model: Any, matrices: list[Matrix], fixed: int | None) -> None:
        self.model, self.matrices, self.fixed = model, matrices, fixed
        self.torch = imported_torch()
        self.modules = {id(matrix.module): matrix.module for matrix in matrices if matrix.module is not model}
        if hasattr(model, "_orig_mod"):  # inside of what torch.compile made, hooks see nothing, and may spoil it
            self.modules = {}
        self.handles: list[Any] = []
        self._forget()

    def _forget(self) -> None:
        self.whole, self.parts, self.gradients = 0, Counter[int](), False

    def start(self) -> None:
        """Count from 0 on, with hooks; steps that nobody asks about pass without them."""
        self._forget()
        if self.fixed is not None or self.handles:
            return
        for key, module in [(None, self.model), *self.modules.items()]:
            self.handles.append(module.register_forward_pre_hook(_Hook(self, key), with_kwargs=True))
        trained = [p for matrix in self.matrices for p in matrix.parameters() if p.requires_grad and p.is_leaf]
        if trained:
            self.first = trained[0]
            self.handles.append(self.first.register_post_accumulate_grad_hook(self._has_gradient))

    def stop(self) -> None:
        """Take the hooks away."""
        while self.handles:
            self.handles.pop().remove()

    def take(self) -> float:
        """Return the samples since the last step, and count from 0; NaN if none were seen."""
        if self.fixed is not None:
            return float(self.fixed)
        if self.whole:  # so it is called, and its parts need no hooks the next time
            self.modules = {}
        usual = self.parts and Counter(self.parts.values()).most_common(1)[0][0]
        found = self.whole or usual
        self._forget()
        return float(found or math.nan)

    def called(self, key: int | None, module: Any, inputs: tuple, named: dict[str, Any]) -> None:
        """Count what the model (key None) or a part of it is given."""
        # Code that torch.compile makes must not depend on a count that changes with each call.
        if self.torch.compiler.is_compiling() or not (module.training and self.torch.is_grad_enabled()):
            return
        if self.gradients and self.first.grad is None:  # backward was run, and what it found was thrown away
            self._forget()
        if key is None:
            self.whole += self._length(inputs, named)
        else:
            self.parts[key] += self._length(inputs, named)

    def _length(self, inputs: tuple, named: dict[str, Any]) -> int:
        for given in (*inputs, *named.values()):
            for value in given.values() if isinstance(given, Mapping) else (given,):
                if isinstance(value, self.torch.Tensor) and value.ndim:
                    return int(value.shape[0])
        return 0

    def _has_gradient(self, _: Any) -> None:
        self.gradients = True


class _Hook:
    """Called before the forward pass of a module. A copy of the module, or one read from a pickle, is not counted."""

    def __init__(self, samples: Samples, key: int | None) -> None:
        self.samples, self.key = samples, key

    def __call__(self, module: Any, inputs: tuple, named: dict[str, Any]) -> None:
        self.samples.called(self.key, module, inputs, named)

    def __deepcopy__(self, memo: dict) -> Any:
        return _nothing

    def __reduce__(self) -> tuple:
        return _stand_in, ()


def _nothing(*_: Any) -> None:
    """Stand for a hook in a copy."""


def _stand_in() -> Any:
    return _nothing
