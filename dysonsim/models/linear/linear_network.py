"""Linear network with one hidden layer and a fixed output layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ... import _checks
from ...backend import one_blas_thread
from .linear import LinearModel


@dataclass(frozen=True, eq=False, repr=False)
class LinearNetwork(LinearModel):
    """Linear network Z W x with trained W and fixed Z; the teacher is Z W_t x (arXiv:2412.20496, sec. 6).

    The update is W <- W + alpha [Z^T Z (W_t - W) C + Z^T (1/|B|) sum_b eta_b x_b^T + A], with the symbols of
    `TeacherStudent`. In the eigenbasis of Z^T Z = diag(z_i^2) row i of W relaxes at the rate alpha z_i^2 and, under
    gradient noise, has stationary variance sigma_i^2 = alpha gradient_noise^2/(|B| z_i^2) to leading order in alpha.
    For a 2 x 2 teacher W_t = xi 1 this is a gas of two species (`laws.TwoSpecies`). Label noise alone gives both
    species the same width.

    Parameters
    ----------
    teacher : array, shape (p, n)
        W_t, any finite matrix.
    output_layer : array, shape (q, p)
        Z, any finite matrix. If Z^T Z is singular the network can be trained, but has no unique fixed point, and its
        predictions raise ValueError.
    gradient_noise, label_noise, dataset_size, sampling
        As for `TeacherStudent`.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.LinearNetwork(2 * np.eye(2), output_layer=np.diag([1.0, 2.0]), gradient_noise=0.1)
    >>> sgd = ds.SGD(model, learning_rate=0.01, batch_size=16)
    >>> print(sgd.relaxation_rates())
    [0.01 0.04]
    """

    teacher: np.ndarray
    output_layer: np.ndarray
    gradient_noise: float = 0.0
    label_noise: float = 0.0
    dataset_size: int | None = None
    sampling: str = "auto"

    def __post_init__(self) -> None:
        """Check the fields; the output layer must match the teacher."""
        self._check_fields()
        layer = _checks.matrix("output_layer", self.output_layer, (None, self.weight_shape[0]))
        object.__setattr__(self, "output_layer", layer)

    @property
    def layer(self) -> np.ndarray:
        """Z, shape (q, p)."""
        return self.output_layer

    @cached_property
    def hessian(self) -> np.ndarray:
        """P = Z^T Z, shape (p, p)."""
        with one_blas_thread():
            return self.output_layer.T @ self.output_layer
