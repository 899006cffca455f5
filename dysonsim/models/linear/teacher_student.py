"""Teacher-student network with one linear layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .linear import LinearModel


@dataclass(frozen=True, eq=False, repr=False)
class TeacherStudent(LinearModel):
    """One linear layer W that learns a teacher W_t: y = W_t x + eta, loss |y - W x|^2 / 2 (arXiv:2412.20496, sec. 5).

    The update is W <- W + alpha [(W_t - W) C + (1/|B|) sum_b eta_b x_b^T + A] with standard normal inputs x_b, the mean
    C of x_b x_b^T over the mini-batch, label noise eta_b and gradient noise A (`dysonsim.models.linear.linear`). For a
    2 x 2 teacher W_t = 2 1 both singular values xi of W share a well, with sigma_xi^2 = (alpha gradient_noise^2/|B|)
    /(1 - alpha/2) and mean spacing sqrt(pi) sigma_xi to leading order in 1/|B|.

    Parameters
    ----------
    teacher : array, shape (p, n)
        W_t, any finite matrix.
    gradient_noise : float
        Scale >= 0 of the random matrix that is added to the gradient of each sample, symmetric if W is square.
    label_noise : float
        Standard deviation >= 0 of the noise of each label. It adds noise with the covariance of the Hessian.
    dataset_size : int, optional
        Size of a fixed data set, a multiple of the batch size, which is passed over again and again in the same order;
        each replica has its own, noise included. Default: new samples at every step.
    sampling : {"auto", "at_once", "sample_by_sample"}
        How C and sum_b eta_b x_b^T are drawn: for the batch at once, or sample by sample. The law is the same; "auto"
        takes the faster, which is the first for small networks.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> sgd = ds.SGD(model, learning_rate=0.1, batch_size=16)
    >>> print(model.fixed_point())
    [4. 4.]
    >>> print(sgd.mean_spacings().round(4))
    [0.0577]
    """

    teacher: np.ndarray
    gradient_noise: float = 0.0
    label_noise: float = 0.0
    dataset_size: int | None = None
    sampling: str = "auto"

    def __post_init__(self) -> None:
        """Check the fields."""
        self._check_fields()
