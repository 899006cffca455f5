"""How many samples went through a model since the last step of its training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
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
        self._forget()

    def _forget(self) -> None:
        self.whole, self.parts, self.gradients = 0, Counter[int](), False

    def hook(self, stack: ExitStack) -> None:
        """Count until the stack is closed."""
        if self.fixed is not None:
            return
        modules = {id(matrix.module): matrix.module for matrix in self.matrices if matrix.module is not self.model}
        for key, module in [(None, self.model), *modules.items()]:
            stack.callback(module.register_forward_pre_hook(_Hook(self, key), with_kwargs=True).remove)
        trained = [p for matrix in self.matrices for p in matrix.parameters() if p.requires_grad and p.is_leaf]
        if trained:
            self.first = trained[0]
            stack.callback(self.first.register_post_accumulate_grad_hook(self._has_gradient).remove)

    def take(self) -> float:
        """Return the samples since the last time; NaN if none were seen."""
        if self.fixed is not None:
            return float(self.fixed)
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

    def __reduce__(self) -> str:
        return "_nothing"


def _nothing(*_: Any) -> None:
    """Stand for a hook in a copy."""
