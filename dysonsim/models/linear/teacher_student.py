"""Teacher-student network with one linear layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .linear import LinearModel


@dataclass(frozen=True, eq=False, repr=False)
class TeacherStudent(LinearModel):
    """One linear layer W that learns a teacher W_t: y = W_t x + eta, loss |y - W x|^2 / 2 (arXiv:2412.20496, sec. 5).

    W <- W + alpha [(W_t - W) C + (1/|B|) sum_b eta_b x_b^T + A]; symbols and noises as in
    dysonsim.models.linear.linear. The observables are the singular values xi of W; for W_t = 2 1 (2 x 2) they are
    doubly degenerate with sigma_xi^2 = (alpha gradient_noise^2/|B|)/(1 - alpha/2), mean spacing sqrt(pi) sigma_xi,
    leading order in 1/|B|.

    Parameters
    ----------
    teacher : array, shape (p, n)
        W_t, any finite matrix. Kept read-only.
    gradient_noise : float
        Standard deviation epsilon >= 0 of the noise matrices added to each sample's gradient.
    label_noise : float
        Standard deviation >= 0 of the noise on each label; its gradient noise has the covariance of the Hessian.
    dataset_size : int, optional
        Size of a fixed data set (a multiple of the batch size), with its own noise, passed over again and again in
        one order, each replica with its own. Not given: fresh samples at every step.
    sampling : {"auto", "at_once", "sample_by_sample"}
        Draw what a batch enters by, its matrix C and its sum of eta_b x_b^T, at once or sample after sample. The law is
        the same; "auto" takes what is faster, the first for small networks.

    Raises
    ------
    ValueError, TypeError
        Names the argument, its value and what is allowed.
    """

    teacher: np.ndarray
    gradient_noise: float = 0.0
    label_noise: float = 0.0
    dataset_size: int | None = None
    sampling: str = "auto"

    def __post_init__(self) -> None:
        self._check_fields()
