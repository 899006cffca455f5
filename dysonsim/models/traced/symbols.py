"""A matrix of a trace: what is done with it is written down."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ...kernels.traced.nodes import Node, Trace, View
from .errors import fail
from .notation import Matrix, Shape

__all__ = ["Symbol"]


class Symbol(Matrix):
    """A node of a trace in matrix notation."""

    def __init__(self, trace: Trace, node: Node) -> None:
        self.trace_of, self.node = trace, node
        self.shape, self.mask = node.shape, node.mask

    def __repr__(self) -> str:
        """Write the shape: numbers are not there yet."""
        return f"<traced {' x '.join(map(str, self.shape)) or 'number'}>"

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse to become an array."""
        fail(TypeError, "an array of weights or random inputs: their numbers are not there yet; use them as they are")

    def _made(self, kind: str, shape: Shape, sources: tuple[Node, ...], data: Any, mask: bool = False) -> Symbol:
        return Symbol(self.trace_of, self.trace_of.add(kind, shape, sources, data, mask=mask))

    def _constant(self, given: Any, values: np.ndarray) -> Symbol:
        return Symbol(self.trace_of, self.trace_of.constant(given, values))

    def _element(self, name: str, shape: Shape, sources: tuple[Any, ...]) -> Symbol:
        mask = name in ("less", "not", "and", "or")
        return self._made("element", shape, tuple(source.node for source in sources), name, mask)

    def _product(self, shape: Shape, right: Symbol) -> Symbol:
        a, b = self.node, right.node
        if len(b.shape) == 1:
            b = self.trace_of.view(b, (b.shape[0], 1), View(0, 0, 0, 0, 1, 0))
        out = self._made("product", (a.rows, b.columns), (a, b), None)
        if len(shape) == 2:
            return out
        view = View(0, 0, 1, 0, 0, 0) if len(right.shape) == 1 else View(0, 0, 0, 0, 0, 1)
        return Symbol(self.trace_of, self.trace_of.view(out.node, shape, view))

    def _sum(self, shape: Shape, axis: int | None) -> Symbol:
        return self._made("sum", shape, (self.node,), axis)

    def _view(self, shape: Shape, view: View, index: tuple[Any, ...] | str) -> Symbol:
        return Symbol(self.trace_of, self.trace_of.view(self.node, shape, view))
