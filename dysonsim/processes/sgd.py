"""Training by stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

from ..backend import Kernel, Program
from ..models import Model
from .base import NetworkProcess

__all__ = ["SGD"]


@dataclass(frozen=True)
class SGD(NetworkProcess):
    """Training by stochastic gradient descent with true mini-batches.

    Parameters
    ----------
    model : Model
        The network to train: `GaussianRBM`, `TeacherStudent`, `LinearNetwork` or a model of your own.
    learning_rate : float
        alpha > 0 in the update W <- W - alpha * gradient.
    batch_size : int
        Number |B| >= 1 of samples in a mini-batch.
    init_scale : float
        Standard deviation of the entries of the initial weights, independent and normal; 0 starts from W = 0.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> sgd = ds.SGD(model, learning_rate=0.1, batch_size=16)
    >>> run = ds.simulate(sgd, replicas=64, steps=100, seed=1)
    >>> run.eigenvalues.shape
    (64, 1, 2)
    >>> print(run.eigenvalues.mean(axis=(0, 1)).round(2))
    [3.97 4.03]
    """

    model: Model
    learning_rate: float
    batch_size: int
    init_scale: float = 0.1

    def __post_init__(self) -> None:
        """Check the fields."""
        self._check_training()

    def kernel(self) -> Kernel:
        """Return the kernel."""
        return self.model.kernel(self.learning_rate, self.batch_size)

    def prepare(self, device: str, dtype: str, threads: int) -> Program:
        """Make ready to run; on "numpy" the update of a model, if it has one."""
        program = self.model.reference(self.learning_rate, self.batch_size, dtype, "cpu") if device == "numpy" else None
        return program or super().prepare(device, dtype, threads)

    def stand_in(self, device: str) -> Kernel | None:
        """Return the sizes of the kernel, for an update that runs as it is written."""
        return self.model.stand_in() if device == "numpy" else None

    def kernel_on(self, device: str) -> Kernel:
        """Many networks side by side; on the CPU large ones one at a time, with BLAS."""
        large = self.model.large_kernel(self.learning_rate, self.batch_size) if device == "cpu" else None
        return large or self.built(None)
