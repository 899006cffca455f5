"""What a trace holds: matrices of lane values that are not yet there, each made of others.

A node has the shape that the user sees: (), (n,) or (p, n). For the text it is a matrix in every
case, a number 1 x 1 and a vector one row: `rows` and `columns`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Node", "Trace", "View"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class View:
    """Which entry of its source entry (i, j) of a view is: row = r + i ri + j rj, column = c + i ci + j cj."""

    r: int
    ri: int
    rj: int
    c: int
    ci: int
    cj: int


@dataclass(eq=False)
class Node:
    """One matrix of a trace.

    kind : "state", "constant", "draw", "element", "product", "view" or "sum"
    shape : of the user's notation
    sources : what it is made of
    data : of a state its number, of a constant its values, of an element the name of its function, of a view the
        `View`, of a sum the axis of the matrix that it is over, None for both; of a draw (name, stream, further sizes)
    mask : whether its entries are true or false
    batch : whether it is drawn with one row for each sample of the batch
    """

    number: int
    kind: str
    shape: Shape
    sources: tuple[Node, ...] = ()
    data: Any = None
    mask: bool = False
    batch: bool = False

    @property
    def rows(self) -> int:
        """Rows of the matrix that it is for the text."""
        return self.shape[0] if len(self.shape) == 2 else 1

    @property
    def columns(self) -> int:
        """Columns of that matrix."""
        return self.shape[-1] if self.shape else 1

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.rows * self.columns


@dataclass
class Trace:
    """All nodes in the order in which they were made, and the size of the batch."""

    batch_size: int
    nodes: list[Node] = field(default_factory=list)
    constants: dict[int, tuple[Any, Node]] = field(default_factory=dict)  # by identity, of what is kept here

    def add(self, kind: str, shape: Shape, sources: Sequence[Node] = (), data: Any = None, **also: Any) -> Node:
        """Append a node."""
        node = Node(len(self.nodes), kind, tuple(shape), tuple(sources), data, **also)
        self.nodes.append(node)
        return node

    def constant(self, given: Any, values: np.ndarray) -> Node:
        """Append values of the model; the same object is one constant, however often it is used, while it stays so."""
        _, known = self.constants.get(id(given), (None, None)) if values.ndim else (None, None)
        if known is not None and np.array_equal(known.data, values):
            return known
        node = self.add("constant", values.shape, data=np.array(values, np.float64))
        self.constants[id(given)] = given, node
        return node

    def view(self, source: Node, shape: Shape, view: View) -> Node:
        """Append a view of a node."""
        return self.add("view", shape, (source,), view, mask=source.mask)
