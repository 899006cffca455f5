"""Indices of a matrix of an update: integers, slices, None and ..., as NumPy takes them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ... import _checks
from ...kernels.traced.nodes import View
from .errors import fail

__all__ = ["resolved", "shown"]

Shape = tuple[int, ...]


def shown(shape: Shape) -> str:
    """Write a shape in a message."""
    return f"shape {shape}" if shape else "a number"


def resolved(shape: Shape, index: Any) -> tuple[Shape, View]:
    """Return the shape of what an index takes of a matrix, and where its entries are. IndexError, TypeError."""
    axes, begins = axes_of(shape, index)
    if len(axes) > 2:
        fail(IndexError, f"index {_checks.shown(index)} of shape {shape}: a matrix has two axes at most")
    steps = [[0, 0] for _ in shape]  # of each axis of the source, along rows and columns of the result
    for number, (_, step, source) in enumerate(axes):
        if source is not None:
            steps[source][number + 2 - len(axes)] = step
    # A vector is a row, a number its only entry.
    missing = 2 - len(shape)
    (r, c), ((ri, rj), (ci, cj)) = [0] * missing + begins, [[0, 0]] * missing + steps
    return tuple(size for size, _, _ in axes), View(r, ri, rj, c, ci, cj)


def axes_of(shape: Shape, index: Any) -> tuple[list[tuple[int, int, int | None]], list[int]]:
    """Return size, step and axis of the source of each axis of the result; and where each axis of the source begins."""
    axes: list[tuple[int, int, int | None]] = []
    begins: list[int] = []
    for part in parts_of(shape, index):
        if part is None:
            axes.append((1, 0, None))
            continue
        axis, size = len(begins), shape[len(begins)]
        if not isinstance(part, slice):
            begins.append(entry(shape, axis, part))
            continue
        try:
            start, stop, step = part.indices(size)
        except (TypeError, ValueError) as error:
            fail(TypeError, f"index {_checks.shown(index)}: {error}")
        count = len(range(start, stop, step))
        if not count:
            fail(IndexError, f"index {_checks.shown(index)} of shape {shape} leaves nothing")
        axes.append((count, step, axis))
        begins.append(start)
    return axes, begins


def parts_of(shape: Shape, index: Any) -> list[Any]:
    """Return an index with a part for every axis."""
    given = list(index) if isinstance(index, tuple) else [index]
    if sum(part is Ellipsis for part in given) > 1:
        fail(IndexError, "an index has one ... at most")
    many = len(shape) - sum(part is not None and part is not Ellipsis for part in given)
    if many < 0:
        fail(IndexError, f"index {_checks.shown(index)}: too many for shape {shape}")
    where = next((k for k, part in enumerate(given) if part is Ellipsis), len(given))
    given[where : where + 1] = [slice(None)] * many
    return given


def entry(shape: Shape, axis: int, part: Any) -> int:
    """Return the place along an axis that an integer means."""
    size = shape[axis]
    try:
        place = operator.index(part)
    except TypeError:
        fail(TypeError, f"index {_checks.shown(part)}: must be an integer, a slice, None or ...")
    if isinstance(part, (bool, np.bool_)):
        fail(TypeError, f"index {part}: must be an integer, a slice, None or ...")
    if not -size <= place < size:
        fail(IndexError, f"index {place} is out of bounds: axis {axis} of shape {shape} has {size} entries")
    return place % size
