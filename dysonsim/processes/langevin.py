"""Matrix Langevin dynamics: training with the noise of mini-batches made Gaussian."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from .._checks import shown
from ..backend import Kernel
from ..models import Model
from .base import NetworkProcess, plain_process
from .descent import Descent
from .sgd import SGD

__all__ = ["Langevin"]

GAUSSIAN_ENOUGH = 0.005  # largest predicted deviation of widths and spacings from SGD's that is not warned of
SYMMETRIC_ENOUGH = 0.05  # the same for the ratio of the widths of a pair's levels


@dataclass(frozen=True)
class Langevin(NetworkProcess):
    """SGD with Gaussian noise: W <- W + E[dW | W] + noise, with the exact covariance of SGD's update at the current W.

    A step of Langevin is as long as a step of SGD. All that is missing are the third and higher cumulants of a batch:

    - Mean spacings, and the widths of levels with a well of their own, differ from those of SGD at relative order
      alpha/|B| (`gaussian_error`).
    - The widths of the two levels of a pair differ at order sqrt(alpha/|B|) (`asymmetry_error`). In SGD third cumulants
      skew the pair, so that one level is wider than the other. In a Gaussian RBM with kappa = 2, 2, 4, mu = 3, |B| =
      16, 3 Gibbs steps and alpha = 0.02, the upper level is 1.04 times as wide as the lower one in SGD, and 1.15 times
      here.

    In a Gaussian RBM the noise comes from the persistent chains. In the linear networks it comes from data, labels and
    gradients; a fixed data set (`dataset_size`) becomes a fixed sequence of Gaussian batches that every pass repeats.

    Parameters
    ----------
    sgd : SGD
        Model, learning rate, batch size and start. `Langevin.of(model, learning_rate, batch_size)` makes it on the way.
    correlated : bool, optional
        Whether the noise is correlated in time, as persistent chains make it. With True, the second moments C of the
        chains are carried from step to step; given C and W, their law at the next step is Gaussian with the exact mean
        and covariance. With False, C is drawn at each step from the equilibrium of the chains at the current W, which
        lacks the factor c_ij of `model.noise`. Default: True where SGD has such correlations, that is, for RBMs with
        finitely many Gibbs steps.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.
    NotImplementedError
        If the model does not state its noise (`Model.langevin_kernel`), or if SGD has momentum or weight decay.

    Notes
    -----
    Not valid where noise is far from Gaussian, that is, where batch_size is not large compared with what the noise
    multiplies. A mean over chains is always a positive matrix, but a Gaussian C need not be. For small batches or slow
    chains, a run that SGD survives may therefore end in a `DivergenceError` here. `simulate` warns if `gaussian_error`
    exceeds 0.5%, or `asymmetry_error` 5%.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> sgd = ds.SGD(model, learning_rate=0.1, batch_size=16)
    >>> run = ds.simulate(ds.Langevin(sgd), replicas=64, steps=100, seed=1)
    >>> print(run.eigenvalues.mean(axis=(0, 1)).round(2))
    [3.98 4.03]
    """

    sgd: SGD
    correlated: bool | None = None

    def __post_init__(self) -> None:
        """Check that there is an SGD, and that its model has a Langevin kernel."""
        if isinstance(self.sgd, Descent):
            plain_process(self.sgd)
        if not isinstance(self.sgd, SGD):
            raise TypeError(f"sgd = {shown(self.sgd)}: must be a dysonsim.SGD (or use Langevin.of(model, ...))")
        self.kernel()  # checks `correlated`, and that the model has one

    @classmethod
    def of(
        cls,
        model: Model,
        learning_rate: float,
        batch_size: int,
        init_scale: float = 0.1,
        correlated: bool | None = None,
    ) -> Langevin:
        """Make it from the arguments of `SGD`."""
        return cls(SGD(model, learning_rate, batch_size, init_scale), correlated)

    @property
    def model(self) -> Model:  # type: ignore[override]
        """The model that the SGD trains."""
        return self.sgd.model

    @property
    def learning_rate(self) -> float:  # type: ignore[override]
        """Learning rate of the SGD."""
        return self.sgd.learning_rate

    @property
    def batch_size(self) -> int:  # type: ignore[override]
        """Batch size of the SGD."""
        return self.sgd.batch_size

    @property
    def init_scale(self) -> float:  # type: ignore[override]
        """Width of the initial weights of the SGD."""
        return self.sgd.init_scale

    def kernel(self) -> Kernel:
        """Return the kernel."""
        return self.model.langevin_kernel(self.learning_rate, self.batch_size, self.correlated)

    def gaussian_error(self) -> np.ndarray:
        """Predict how far stationary widths and spacings are from SGD's, relative, shape (n,), for `correlated` noise.

        The model's prediction to leading order in alpha/|B|; NotImplementedError if it states none.
        """
        return self.model.gaussian_error(self.learning_rate, self.batch_size)

    def asymmetry_error(self) -> np.ndarray:
        """Predict how far sd(upper level)/sd(lower level) of every pair exceeds SGD's, relative, shape (groups,).

        The model's prediction to leading order in sqrt(alpha/|B|); NotImplementedError if it states none.
        """
        return self.model.asymmetry_error(self.learning_rate, self.batch_size)

    def why_left(self, step: int, state: np.ndarray) -> str:
        """Add what differs from SGD: Gaussian noise has no bound."""
        why = super().why_left(step, state)
        return f"{why}; Gaussian noise can leave the domain where SGD stays in it, a larger batch_size helps"

    def warn(self, stacklevel: int) -> None:
        """Say that the learning rate is beyond the limit, or that the noise is not Gaussian enough to follow SGD."""
        super().warn(stacklevel + 1)
        try:
            levels = [i for group in self.degenerate_groups() for i in group]
            error = float(np.abs(self.gaussian_error()[levels or slice(None)]).max())
        except (NotImplementedError, ValueError):  # none stated, or no stationary state
            return
        about = f"learning_rate = {self.learning_rate:g}, batch_size = {self.batch_size}, in proportion to"
        if error > GAUSSIAN_ENOUGH:
            warnings.warn(
                f"batches are not Gaussian enough for Langevin to follow SGD: widths and mean spacings are predicted "
                f"to differ by up to {100 * error:.2g}% at {about} learning_rate/batch_size",
                RuntimeWarning,
                stacklevel=stacklevel + 1,
            )
        try:
            skew = float(np.abs(self.asymmetry_error()).max(initial=0.0))
        except NotImplementedError:
            return
        if skew > SYMMETRIC_ENOUGH:
            warnings.warn(
                f"batches are not symmetric enough for Langevin to follow each level of a pair: the ratio of their "
                f"widths is predicted to differ from SGD's by up to {100 * skew:.2g}% at {about} the root of "
                f"learning_rate/batch_size; mean spacings do not show it",
                RuntimeWarning,
                stacklevel=stacklevel + 1,
            )
