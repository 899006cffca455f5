"""Training by descent along gradients of mini-batches: what SGD and Adam share."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import Any

from ..backend import Kernel, Program
from ..models.optimizers.optimizer import Optimizer
from .base import NetworkProcess

__all__ = ["Descent"]


class Descent(NetworkProcess):
    """A process that trains a model by an `optimizer`; subclasses are frozen dataclasses, with its parameters."""

    @property
    def optimizer(self) -> Optimizer:
        """The rule by which gradients move weights."""
        raise NotImplementedError

    @cached_property
    def _stated(self) -> Any:  # type: ignore[override]
        """The model's predictions of training by the optimizer."""
        return self.model.under(self.optimizer)

    def __repr__(self) -> str:
        """Write the parameters as in a call, those by keyword where they are not the default."""
        given = [(field, getattr(self, field.name)) for field in fields(self)]  # type: ignore[arg-type]
        shown = [f"{field.name}={value!r}" for field, value in given if not field.kw_only or value != field.default]
        return f"{type(self).__name__}({', '.join(shown)})"

    def kernel(self) -> Kernel:
        """Return the kernel: the model's own step of plain SGD, with the optimizer around it."""
        return self.optimizer.kernel(self.model.kernel(self.learning_rate, self.batch_size), self.learning_rate)

    def reference(self, dtype: str, device: str) -> Program | None:
        """Return what ``device="numpy"`` runs of a model with an update, with random numbers of a device; else None."""
        return self.model.reference(self.learning_rate, self.batch_size, dtype, device, self.optimizer)

    def prepare(self, device: str, dtype: str, threads: int) -> Program:
        """Make ready to run; on "numpy" the update of a model, if it has one."""
        program = self.reference(dtype, "cpu") if device == "numpy" else None
        return program or super().prepare(device, dtype, threads)

    def stand_in(self, device: str) -> Kernel | None:
        """Return the sizes of the kernel, for an update that runs as it is written."""
        plain = self.model.stand_in() if device == "numpy" else None
        return plain and self.optimizer.kernel(plain, self.learning_rate)

    def kernel_on(self, device: str) -> Kernel:
        """Many networks side by side; on the CPU large ones one at a time, with BLAS."""
        large = self.model.large_kernel(self.learning_rate, self.batch_size) if device == "cpu" else None
        return self.optimizer.kernel(large, self.learning_rate) if large else self.built(None)
