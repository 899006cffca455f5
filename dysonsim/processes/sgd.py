"""Training by stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

from ..backend import Kernel
from ..models import Model
from .base import NetworkProcess

__all__ = ["SGD"]


@dataclass(frozen=True)
class SGD(NetworkProcess):
    """Training by stochastic gradient descent with true mini-batches.

    Parameters
    ----------
    model : Model
        What is learned.
    learning_rate : float
        The step alpha > 0 of the update W <- W - alpha * gradient.
    batch_size : int
        Samples |B| >= 1 in a mini-batch.
    init_scale : float
        Standard deviation of the independent normal entries of the initial weights W_0; 0 starts from W = 0.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.
    """

    model: Model
    learning_rate: float
    batch_size: int
    init_scale: float = 0.1

    def __post_init__(self) -> None:
        self._check_training()

    def kernel(self) -> Kernel:
        """What the kernel layer runs."""
        return self.model.kernel(self.learning_rate, self.batch_size)

    def kernel_on(self, device: str) -> Kernel:
        """Many networks side by side; on the CPU large ones one at a time, with BLAS."""
        large = self.model.large_kernel(self.learning_rate, self.batch_size) if device == "cpu" else None
        return large or self.built(None)
