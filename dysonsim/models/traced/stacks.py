"""A matrix of numbers for each of several networks: what is done with it is done at once, by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...kernels.traced.nodes import View
from .notation import Matrix, Shape

__all__ = ["Stack"]


def erf(x: np.ndarray) -> np.ndarray:
    from scipy import special

    return np.asarray(special.erf(x))


ELEMENTS: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "negative": np.negative,
    "absolute": np.abs, "sqrt": np.sqrt, "square": np.square, "exp": np.exp, "log": np.log, "tanh": np.tanh, "erf": erf,
    "maximum": np.maximum, "minimum": np.minimum, "less": np.less, "and": np.logical_and, "or": np.logical_or,
    "not": np.logical_not, "where": np.where, "number": lambda x: x,
}  # fmt: skip


class Stack(Matrix):
    """Numbers (networks, *shape): one matrix a network. `numbers` is the array; `shape` that of one network."""

    def __init__(self, numbers: np.ndarray, kind: np.dtype) -> None:
        self.numbers, self.kind = numbers, kind
        self.shape, self.mask = numbers.shape[1:], numbers.dtype == bool

    def __repr__(self) -> str:
        """Write the numbers of all networks."""
        return repr(self.numbers)

    def __str__(self) -> str:
        """Write the numbers of all networks, as NumPy prints them."""
        return str(self.numbers)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Copy the numbers, (networks, *shape)."""
        return np.array(self.numbers, dtype=dtype)

    def _stack(self, numbers: np.ndarray) -> Stack:
        return Stack(np.asarray(numbers), self.kind)

    def _constant(self, given: Any, values: np.ndarray) -> Stack:
        return self._stack(values.astype(self.kind)[None])

    def _element(self, name: str, shape: Shape, sources: tuple[Any, ...]) -> Stack:
        numbers = []
        for source in sources:  # axes of one network are aligned at the last, as NumPy does
            array = source.numbers
            numbers.append(array.reshape(array.shape[:1] + (1,) * (len(shape) - len(source.shape)) + array.shape[1:]))
        if name == "number":
            return self._stack(numbers[0].astype(self.kind))
        return self._stack(ELEMENTS[name](*numbers))

    def _product(self, shape: Shape, right: Stack) -> Stack:
        a, b = self.numbers, right.numbers
        if a.ndim == 3 and b.ndim == 3:
            return self._stack(a @ b)
        if a.ndim == 3:
            return self._stack((a @ b[:, :, None])[:, :, 0])
        if b.ndim == 3:
            return self._stack((a[:, None, :] @ b)[:, 0, :])
        return self._stack((a * b).sum(axis=1))

    def _sum(self, shape: Shape, axis: int | None) -> Stack:
        if axis is None:
            return self._stack(self.numbers.reshape(len(self.numbers), -1).sum(axis=1))
        return self._stack(self.numbers.sum(axis=1 + axis))

    def _view(self, shape: Shape, view: View, index: tuple[Any, ...] | str) -> Stack:
        if index == "T":
            return self._stack(np.swapaxes(self.numbers, 1, 2))
        if index == "diagonal":
            return self._stack(np.diagonal(self.numbers, axis1=1, axis2=2))
        return self._stack(self.numbers[(slice(None), *index)])  # type: ignore[arg-type]
