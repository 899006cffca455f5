"""What trains a linear network: its fields, and the kernels of SGD and Langevin. `linear.py` has the predictions."""

from __future__ import annotations

import dataclasses
import math
from functools import cached_property

import numpy as np

from ... import _checks
from ...backend import Kernel
from ...kernels.networks import linear, linear_large
from ..base import Model
from .written import WrittenLinear

LARGE = 64  # rows and columns from which BLAS, sample by sample, is faster than networks side by side


class LinearTraining(Model):
    """Fields and kernels of a linear network; see `dysonsim.models.linear.linear` for symbols and noises."""

    teacher: np.ndarray
    gradient_noise: float
    label_noise: float
    dataset_size: int | None
    sampling: str

    def _check_fields(self) -> None:
        object.__setattr__(self, "teacher", _checks.matrix("teacher", self.teacher))
        for name in ("gradient_noise", "label_noise"):
            object.__setattr__(self, name, _checks.scale(name, getattr(self, name), zero=True))
        _checks.choice("sampling", self.sampling, ("auto", "at_once", "sample_by_sample"))
        if self.dataset_size is not None:
            object.__setattr__(self, "dataset_size", _checks.integer("dataset_size", self.dataset_size, 1))

    @property
    def weight_shape(self) -> tuple[int, int]:
        """(p, n), the shape of the teacher."""
        return self.teacher.shape[0], self.teacher.shape[1]

    @property
    def layer(self) -> np.ndarray:
        """Z, shape (q, p)."""
        return np.eye(self.weight_shape[0])

    def kernel(self, learning_rate: float, batch_size: int) -> Kernel:
        """Return the update by stochastic gradient descent, `dysonsim.kernels.networks.linear`."""
        learning_rate, batch_size = self._rates(learning_rate, batch_size)
        p, n = self.weight_shape
        q = self.layer.shape[0]
        # Far outside any stable run: the squares of teacher, start and fluctuations are of the order of those summed.
        kicks = learning_rate * (self.gradient_noise**2 + self.label_noise**2)
        limit = min(1e300, 1e6 * (n * p * (1 + kicks) + float((self.teacher**2).sum())))
        noise = self.gradient_noise / math.sqrt(batch_size)
        sampling = self._fastest_sampling()
        constants = [learning_rate, 1 / batch_size, noise, self.label_noise, limit]
        return Kernel(
            build=linear.build,
            sizes={
                "inputs": n,
                "width": p,
                "outputs": q,
                "identity": bool(np.array_equal(self.layer, np.eye(p))),
                "gradient_noise": self.gradient_noise > 0,
                "label_noise": self.label_noise > 0,
                "sampling": sampling,
            },
            reals=np.concatenate([constants, self.teacher.ravel(), self.hessian.ravel(), self.layer.T.ravel()]),
            integers=np.array([batch_size, 0 if self.dataset_size is None else self.dataset_size // batch_size]),
            weights=p * n,
            scratch=linear.scratch(n, p, q),
            work=batch_size * (3.0 * n * p + 2.0 * p * q + 50.0 * (n + q)) if sampling == "sample_by_sample" else 0.0,
            vectors=linear.vectors(n, p, q),
        )

    def large_kernel(self, learning_rate: float, batch_size: int) -> Kernel | None:
        """Return the same update for one network at a time, `dysonsim.kernels.networks.linear_large`."""
        p, n = self.weight_shape
        learning_rate, batch_size = self._rates(learning_rate, batch_size)
        if self._fastest_sampling() != "sample_by_sample" or n * p < LARGE**2:
            return None
        kernel = self.kernel(learning_rate, batch_size)
        sizes = {name: size for name, size in kernel.sizes.items() if name != "sampling"}
        scratch = linear_large.scratch(n, p, self.layer.shape[0], batch_size)
        return dataclasses.replace(
            kernel, build=linear_large.build, sizes=sizes, scratch=scratch, vectors=1, whole=True
        )

    def langevin_kernel(self, learning_rate: float, batch_size: int, correlated: bool | None = None) -> Kernel:
        """Return the update with Gaussian data and label noise, `kernels.networks.linear`; data sets repeat batches."""
        if correlated is not None and _checks.flag("correlated", correlated):
            raise ValueError("correlated = True: must be False, successive batches of a linear network are independent")
        kernel = self.kernel(learning_rate, batch_size)
        return dataclasses.replace(kernel, sizes=kernel.sizes | {"sampling": "gaussian"})

    def written(self) -> Model:
        """Return the same step in matrix notation; NotImplementedError for a fixed data set, whose batches repeat."""
        if self.dataset_size is not None:
            raise NotImplementedError(
                f"dataset_size = {self.dataset_size}: its steps are not independent of each other"
            )
        return WrittenLinear(self.teacher, self.layer, self.gradient_noise, self.label_noise)

    def _fastest_sampling(self) -> str:
        """How the kernel of SGD draws a batch."""
        if self.sampling != "auto":
            return self.sampling
        return "sample_by_sample" if min(self.weight_shape) >= LARGE else "at_once"

    @cached_property
    def hessian(self) -> np.ndarray:
        """P = Z^T Z, shape (p, p): the Hessian of the loss for each column of W."""
        return np.eye(self.weight_shape[0])

    def check_batch_size(self, batch_size: int) -> int:
        """Return the batch size as int; ValueError if a fixed data set cannot be cut into such batches."""
        batch = super().check_batch_size(batch_size)
        if self.dataset_size is not None and self.dataset_size % batch:
            raise ValueError(f"batch_size = {batch}: must divide dataset_size = {self.dataset_size}")
        return batch
