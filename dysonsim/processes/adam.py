"""Training by Adam."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..models import Model
from ..models.optimizers.optimizer import Optimizer
from .descent import Descent

__all__ = ["Adam"]


@dataclass(frozen=True, repr=False)
class Adam(Descent):
    """Training by Adam with true mini-batches, as torch.optim.Adam does it.

    a <- beta1 a + (1 - beta1) g, q <- beta2 q + (1 - beta2) g^2, entry by entry for the gradient g of a batch, and
    W <- W - alpha (a/c1)/(sqrt(q/c2) + eps) after t steps, c1 = 1 - beta1^t, c2 = 1 - beta2^t (Kingma and Ba,
    arXiv:1412.6980).

    Parameters
    ----------
    model : Model
        The network to train.
    learning_rate : float
        alpha > 0, about the distance that an entry of W moves in a step.
    batch_size : int
        Number |B| >= 1 of samples in a mini-batch.
    init_scale : float
        Standard deviation of the entries of the initial weights.
    beta1, beta2 : float
        By keyword: how much of the mean gradient and of the mean square is kept in a step, >= 0 and < 1.
    eps : float
        By keyword: >= 0, keeps moves finite where gradients vanish.
    weight_decay : float
        lambda >= 0, by keyword: lambda W is added to the gradient before all else (L2, not decoupled).

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Notes
    -----
    Near a minimum where noise dominates the gradients, the root of the mean square is their standard deviation, z^(1/2)
    with z = sigma^2/|B|, so that the learning rate is alpha/z^(1/2) and weights have the variance alpha z^(1/2)/2: the
    *square-root* rule alpha/|B|^(1/2), where that of SGD is alpha/|B|. `TeacherStudent`, and `LinearNetwork` with
    orthogonal columns of the output layer, predict widths and spacings to leading order in 1 - beta2, self-consistently
    in the rest. Other models' predictions are a NotImplementedError.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), label_noise=0.5)
    >>> adam = ds.Adam(model, learning_rate=0.01, batch_size=16)
    >>> run = ds.simulate(adam, replicas=64, steps=10, seed=1)
    >>> print(run.singular_values.mean(axis=(0, 1)).round(2))  # at most 10 alpha in ten steps
    [0.06 0.2 ]
    >>> wider = ds.Adam(model, learning_rate=0.02, batch_size=64)  # alpha/|B|^(1/2) is the same
    >>> print((wider.mean_spacings() / adam.mean_spacings()).round(1))
    [1.]
    """

    model: Model
    learning_rate: float
    batch_size: int
    init_scale: float = 0.1
    beta1: float = field(default=0.9, kw_only=True)
    beta2: float = field(default=0.999, kw_only=True)
    eps: float = field(default=1e-8, kw_only=True)
    weight_decay: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        """Check the fields."""
        self._check_training()
        checked = self.optimizer
        self._set(
            beta1=checked.momentum, beta2=checked.beta2, eps=checked.epsilon, weight_decay=checked.weight_decay
        )  # fmt: skip

    @property
    def optimizer(self) -> Optimizer:
        """The rule by which gradients move weights."""
        return Optimizer.checked(beta1=self.beta1, beta2=self.beta2, eps=self.eps, weight_decay=self.weight_decay)
