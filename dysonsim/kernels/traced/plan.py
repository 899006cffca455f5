"""What is decided of a trace before its text is written: what is needed, and what is put into the working space."""

from __future__ import annotations

from .nodes import Node, View

__all__ = ["CHUNK", "Plan", "Whole", "backwards"]

CHUNK = 16  # samples drawn together: a multiple of four, so that they are whole blocks of the generator


class Whole(Exception):
    """The samples of a batch cannot be taken some at a time."""


class Plan:
    """The plan of outputs.

    Attributes
    ----------
    order : list of Node
        What the outputs are made of, each after its sources.
    axis : dict
        Along which axis of a matrix the samples of the batch lie, None if along none.
    phase : dict
        0 before the loop over chunks of samples, 1 in it, 2 after it.
    placed : set
        What is put into the working space, entry by entry.
    """

    def __init__(self, outputs: list[Node], batch_size: int, chunked: bool) -> None:
        self.outputs, self.batch_size, self.chunked = outputs, batch_size, chunked
        self.order = self._reachable()
        self.axis: dict[Node, int | None] = {}
        self.phase: dict[Node, int] = {}
        for node in self.order:
            self.axis[node] = self._batch_axis(node)
            self.phase[node] = self._phase(node)
        self.placed = self._placed()

    def _reachable(self) -> list[Node]:
        found, waiting = set(), list(self.outputs)
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting.extend(node.sources)
        return sorted(found, key=lambda node: node.number)

    def _batch_axis(self, node: Node) -> int | None:
        axes = [self.axis[source] for source in node.sources]
        if node.kind == "draw":
            return 0 if node.batch and self.chunked else None
        if all(axis is None for axis in axes):
            return None
        if node.kind == "element":
            return self._axis_of_element(node, axes)
        if node.kind == "view":
            return axis_of_view(node, axes[0])
        if node.kind == "sum":
            return None if node.data in (None, axes[0]) else 1  # a vector with one entry a sample
        left, right = axes
        if (left, right) == (1, 0):
            return None
        if (left, right) in ((0, None), (None, 1)):
            return left if right is None else right
        raise Whole

    def _axis_of_element(self, node: Node, axes: list[int | None]) -> int:
        found = {axis for axis in axes if axis is not None}
        if len(found) > 1:
            raise Whole
        along = found.pop()
        for source, axis in zip(node.sources, axes, strict=True):
            if axis is None and size_along(source, along) != 1:
                raise Whole
        if size_along(node, along) != self.batch_size:
            raise Whole
        return along

    def _phase(self, node: Node) -> int:
        phases = [self.phase[source] for source in node.sources]
        if self.axis[node] is not None:
            if 2 in phases:
                raise Whole
            return 1
        return 2 if max(phases, default=0) > 0 else 0

    def _placed(self) -> set[Node]:
        """Which matrices must lie somewhere, entry by entry."""
        uses: dict[Node, int] = {}
        placed: set[Node] = set()
        for output in self.outputs:
            uses[output] = uses.get(output, 0) + 1
        for node in reversed(self.order):
            if node.kind == "view" and backwards(node):
                through = False  # is put somewhere itself, if need be
            else:
                through = node.kind == "view" and (node in placed or uses.get(node, 0) > 1)
            for source in node.sources:
                uses[source] = uses.get(source, 0) + 1
                often = self.phase[source] == 0 and self.phase[node] == 1  # for every chunk anew
                repeated = node.kind == "element" and source.size < node.size
                if node.kind == "product" or through or often or repeated or uses[source] > 1:
                    placed.add(source)
        return placed


def backwards(view: Node) -> bool:
    """Whether a view runs through its source against the order of its entries."""
    steps: View = view.data
    return min(steps.ri, steps.rj, steps.ci, steps.cj) < 0


def size_along(node: Node, axis: int) -> int:
    return node.columns if axis else node.rows


def axis_of_view(node: Node, axis: int | None) -> int:
    """Return the axis of a view along which the samples of its source lie, if all do, in order."""
    v: View = node.data
    start, steps, others = (v.r, (v.ri, v.rj), (v.ci, v.cj)) if axis == 0 else (v.c, (v.ci, v.cj), (v.ri, v.rj))
    for along in (0, 1):
        alone = steps[along] == 1 and steps[1 - along] == 0 and others[along] == 0
        if start == 0 and alone and size_along(node, along) == size_along(node.sources[0], axis or 0):
            return along
    raise Whole
