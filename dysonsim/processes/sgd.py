"""Training by stochastic gradient descent, with momentum and weight decay."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..models import Model
from ..models.optimizers.optimizer import Optimizer
from .descent import Descent

__all__ = ["SGD"]


@dataclass(frozen=True, repr=False)
class SGD(Descent):
    """Training by stochastic gradient descent with true mini-batches, as torch.optim.SGD does it.

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
    momentum : float
        m, 0 <= m < 1, by keyword: v <- m v + gradient, W <- W - alpha v, from v = 0.
    nesterov : bool
        W <- W - alpha (gradient + m v) instead; needs momentum.
    weight_decay : float
        lambda >= 0, by keyword: lambda W is added to the gradient.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Notes
    -----
    The gradient is what the model's own step of plain SGD moves the weights by, over -alpha. Predictions with momentum
    and weight decay are exact in alpha, |B| and m for `TeacherStudent` and `LinearNetwork`; those of `GaussianRBM` are
    of leading order, alpha/(1 - m) in place of alpha, and refuse weight decay. What is not known is a
    NotImplementedError. `CoulombGas` takes widths and fixed points from any optimizer; `Langevin` and `Dyson` are made
    of plain SGD, to which training with momentum is equivalent in the limit of small learning rates: see `effective`.

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

    With momentum the spacing of the levels is almost that of a learning rate alpha/(1 - m), but not quite:

    >>> print(sgd.mean_spacings().round(4), ds.SGD(model, 0.01, 16, momentum=0.9).mean_spacings().round(4))
    [0.0577] [0.0563]
    """

    model: Model
    learning_rate: float
    batch_size: int
    init_scale: float = 0.1
    momentum: float = field(default=0.0, kw_only=True)
    nesterov: bool = field(default=False, kw_only=True)
    weight_decay: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        """Check the fields."""
        self._check_training()
        checked = self.optimizer
        self._set(momentum=checked.momentum, nesterov=checked.nesterov, weight_decay=checked.weight_decay)

    @property
    def optimizer(self) -> Optimizer:
        """The rule by which gradients move weights."""
        return Optimizer.checked(momentum=self.momentum, nesterov=self.nesterov, weight_decay=self.weight_decay)

    def effective(self) -> SGD:
        """Return the plain SGD that moves as this one does to leading order in the learning rate.

        Its learning rate is alpha/(1 - m). Widths differ at relative order alpha/(1 - m) times the curvature; motion in
        fewer than 1/(1 - m) steps differs altogether.

        Returns
        -------
        SGD
            With momentum 0; itself if there is none.

        Raises
        ------
        ValueError
            If there is weight decay, which no plain SGD of the same model has.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), 0.01, 16, momentum=0.9)
        >>> round(sgd.effective().learning_rate, 3)
        0.1
        >>> motion = ds.Dyson(sgd.effective())
        """
        if self.weight_decay:
            raise ValueError(f"weight_decay = {self.weight_decay:g}: no plain SGD of this model moves alike")
        rate = self.learning_rate / (1 - self.momentum)
        return SGD(self.model, rate, self.batch_size, self.init_scale) if self.momentum else self
