"""The step of a linear network in matrix notation, for its derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..base import Model

__all__ = ["WrittenLinear"]


@dataclass(frozen=True)
class WrittenLinear(Model):
    """That of `LinearNetwork` with fresh samples, of the same law."""

    teacher: np.ndarray
    output_layer: np.ndarray
    gradient_noise: float
    label_noise: float

    def update(self, W: Any, noise: Any, learning_rate: float, batch_size: int) -> Any:
        """W + alpha [Z^T Z (W_t - W) C + Z^T N + A]."""
        z, (p, n) = self.output_layer, W.shape
        C, N = noise.second_moment(n, labels=len(z))
        A = noise.symmetric(n) if p == n else noise.normal((p, n))
        push = z.T @ (z @ ((self.teacher - W) @ C) + self.label_noise * N)
        return W + learning_rate * (push + A * (self.gradient_noise / batch_size**0.5))
