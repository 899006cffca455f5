"""A deep linear network under weight decay: where its singular values end, and how wide they are there."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _checks
from .._groups import level_groups
from ..optimizers.optimizer import Optimizer

__all__ = ["WithDecay"]


class WithDecay:
    """Predictions with weight decay, to leading order in alpha; with momentum m at alpha/(1 - m).

    Balanced layers have u with u^(L-2) (s - u^L) = weight_decay, so that xi = u^L; with e = s - xi, h = L u^(2L-2) and
    gamma = h - (L - 2) weight_decay a singular value relaxes at alpha gamma and has the variance
    alpha (sigma^2 + 2 e^2) h^2/(2 |B| gamma).
    """

    def __init__(self, model: Any, optimizer: Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self.weight_shape, self.n = model.weight_shape, model.n
        self.is_defined, self.check_batch_size = model.is_defined, model.check_batch_size

    def __repr__(self) -> str:
        """Write the model."""
        return repr(self.model)

    def _learned(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """xi, h and gamma of directions; 0 where decay wins."""
        model, decay = self.model, self.optimizer.weight_decay
        if not model._trained.all() or model.gradient_noise > 0 or model.product_noise > 0:
            raise NotImplementedError(
                f"{model} states no prediction of training with {self.optimizer}: they are for networks with label "
                "noise alone and all layers trained"
            )
        layers = model._start(decay)
        many, u = len(layers), layers[0]
        h = many * u ** (2 * many - 2)
        return u**many, h, np.where(u > 0, h - (many - 2) * decay, 0.0)

    def _rate(self, learning_rate: float) -> float:
        return _checks.scale("learning_rate", learning_rate) / (1 - self.optimizer.momentum)

    def fixed_point(self) -> np.ndarray:
        """Squares of xi, ascending, (n,)."""
        return np.asarray(self.model._of_levels(self._learned()[0] ** 2))

    def degenerate_groups(self) -> list[tuple[int, ...]]:
        """List groups of levels that share a fixed point."""
        return level_groups(self.fixed_point())

    def relaxation_rates(self, learning_rate: float) -> np.ndarray:
        """Alpha gamma, (n,)."""
        return np.asarray(self.model._of_levels(self._rate(learning_rate) * self._learned()[2], np.inf))

    def singular_value_widths(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Root of alpha (sigma^2 + 2 e^2) h^2/(2 |B| gamma), (n,); 0 for levels that decay takes to 0."""
        batch, (xi, h, gamma) = self.check_batch_size(batch_size), self._learned()
        noise = self.model.label_noise**2 + 2 * (self.model._values - xi) ** 2
        ratio = np.divide(h**2, gamma, out=np.zeros(len(h)), where=gamma > 0)
        return np.asarray(self.model._of_levels(np.sqrt(self._rate(learning_rate) * noise * ratio / (2 * batch))))

    def stationary_widths(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """2 xi times `singular_value_widths`, (n,)."""
        return 2 * np.sqrt(self.fixed_point()) * self.singular_value_widths(learning_rate, batch_size)
