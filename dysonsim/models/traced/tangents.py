"""A matrix of an update with its derivatives along some directions of the state: forward differentiation, exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...kernels.traced.nodes import View
from .notation import Matrix, Shape
from .stacks import Stack

__all__ = ["Tangent"]


# Derivatives of functions of entries by each of their arguments; the value comes first. None: it has none.
SLOPES: dict[str, Callable[..., tuple[Any, ...]]] = {
    "add": lambda f, a, b: (1.0, 1.0), "subtract": lambda f, a, b: (1.0, -1.0), "multiply": lambda f, a, b: (b, a),
    "divide": lambda f, a, b: (1 / b, -f / b), "negative": lambda f, a: (-1.0,), "absolute": lambda f, a: (np.sign(a),),
    "sqrt": lambda f, a: (0.5 / f,), "square": lambda f, a: (2 * a,), "exp": lambda f, a: (f,),
    "log": lambda f, a: (1 / a,), "tanh": lambda f, a: (1 - f * f,),
    "erf": lambda f, a: (2 / math.sqrt(math.pi) * np.exp(-a * a),),
    "maximum": lambda f, a, b: (a > b, ~(a > b)), "minimum": lambda f, a, b: (a < b, ~(a < b)),
    "where": lambda f, m, a, b: (None, m, ~m),
}  # fmt: skip


def aligned(array: np.ndarray, leading: int, missing: int) -> np.ndarray:
    """Put axes of length 1 between those of networks and directions and those of one network."""
    return array.reshape(array.shape[:leading] + (1,) * missing + array.shape[leading:])


def times(a: np.ndarray, b: np.ndarray, axes: tuple[int, int]) -> np.ndarray:
    """Multiply the vectors or matrices in the last axes."""
    if axes == (2, 2):
        return np.asarray(a @ b)
    if axes == (2, 1):
        return np.asarray((a @ b[..., None])[..., 0])
    return np.asarray((a[..., None, :] @ b)[..., 0, :]) if axes == (1, 2) else np.asarray((a * b).sum(axis=-1))


class Tangent(Matrix):
    """A `Stack` with `slopes`, (directions, networks or 1, *shape); None where it does not depend on the state."""

    def __init__(self, value: Stack, slopes: np.ndarray | None = None) -> None:
        self.value, self.slopes = value, slopes
        self.shape, self.mask = value.shape, value.mask

    def _constant(self, given: Any, values: np.ndarray) -> Tangent:
        return Tangent(self.value._constant(given, values))

    def _element(self, name: str, shape: Shape, sources: tuple[Any, ...]) -> Tangent:
        value = self.value._element(name, shape, tuple(source.value for source in sources))
        if name not in SLOPES or all(source.slopes is None for source in sources):
            return Tangent(value)
        missing = [len(shape) - len(source.shape) for source in sources]
        numbers = [aligned(s.value.numbers, 1, m) for s, m in zip(sources, missing, strict=True)]
        total: Any = 0.0
        for source, m, slope in zip(sources, missing, SLOPES[name](value.numbers, *numbers), strict=True):
            if source.slopes is not None and slope is not None:
                total = total + slope * aligned(source.slopes, 2, m)
        full = np.broadcast_shapes(np.shape(total), (1, 1, *shape))
        return Tangent(value, np.broadcast_to(total, full))

    def _product(self, shape: Shape, right: Tangent) -> Tangent:
        value = self.value._product(shape, right.value)
        axes = len(self.shape), len(right.shape)
        total: Any = None
        if self.slopes is not None:
            total = times(self.slopes, right.value.numbers, axes)
        if right.slopes is not None:
            more = times(self.value.numbers, right.slopes, axes)
            total = more if total is None else total + more
        return Tangent(value, total)

    def _sum(self, shape: Shape, axis: int | None) -> Tangent:
        value = self.value._sum(shape, axis)
        if self.slopes is None:
            return Tangent(value)
        axes = tuple(range(2, self.slopes.ndim)) if axis is None else (2 + axis,)
        return Tangent(value, self.slopes.sum(axis=axes))

    def _view(self, shape: Shape, view: View, index: tuple[Any, ...] | str) -> Tangent:
        value = self.value._view(shape, view, index)
        if self.slopes is None:
            return Tangent(value)
        if index == "T":
            return Tangent(value, np.swapaxes(self.slopes, -1, -2))
        if index == "diagonal":
            return Tangent(value, np.diagonal(self.slopes, axis1=-2, axis2=-1))
        return Tangent(value, self.slopes[(slice(None), slice(None), *index)])  # type: ignore[arg-type]
