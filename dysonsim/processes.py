"""Processes: how a model's weights move. Frozen, validated parameters; `dysonsim.simulate` runs them."""

from __future__ import annotations

from dataclasses import dataclass

from . import _validate
from .backend import Kernel
from .models import Model

__all__ = ["SGD"]


@dataclass(frozen=True)
class SGD:
    """Training by stochastic gradient descent with true mini-batches.

    Parameters
    ----------
    model : Model
        What is learnt.
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
        if not isinstance(self.model, Model):
            raise TypeError(f"model = {self.model!r}: must be a dysonsim model, such as GaussianRBM or TeacherStudent")
        object.__setattr__(self, "learning_rate", _validate.real("learning_rate", self.learning_rate, above=0))
        object.__setattr__(self, "batch_size", self.model.check_batch_size(self.batch_size))
        object.__setattr__(self, "init_scale", _validate.real("init_scale", self.init_scale, at_least=0))

    def kernel(self) -> Kernel:
        """What the kernel layer runs."""
        return self.model.kernel(self.learning_rate, self.batch_size)
