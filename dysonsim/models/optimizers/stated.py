"""What a model states of training by an optimizer other than plain SGD: some predictions by name, no others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .optimizer import Optimizer

__all__ = ["Stated"]

ALWAYS = ("weight_shape", "n", "is_defined", "check_batch_size")


class Stated:
    """Predictions of a model, those of `names`; all others are a NotImplementedError that says why.

    leading : those of plain SGD that are asked at the learning rate alpha/(1 - m): of leading order in it
    """

    def __init__(self, model: Any, optimizer: Optimizer, names: Collection[str], leading: Collection[str] = ()) -> None:
        self.model, self.optimizer, self.names, self.leading = model, optimizer, names, leading

    def __getattr__(self, name: str) -> Any:
        """Find a prediction."""
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self.leading:
            return self._at_leading_order(getattr(self.model, name))
        if name in self.names or name in ALWAYS:
            return getattr(self.model, name)
        if name == "stability":
            return self._no_limit
        raise NotImplementedError(
            f"{type(self.model).__name__} states no prediction for {name} of training with {self.optimizer}"
        )

    def _at_leading_order(self, prediction: Callable[..., Any]) -> Callable[..., Any]:
        """Ask plain SGD; the learning rate is the first argument."""

        def asked(*rates: float) -> Any:
            return prediction(rates[0] / (1 - self.optimizer.momentum), *rates[1:])

        return asked

    def _no_limit(self, learning_rate: float, batch_size: int) -> str:
        return (
            f"learning_rate = {learning_rate:g} at batch_size = {batch_size} with {self.optimizer} is too large for "
            f"{self.model}"
        )
