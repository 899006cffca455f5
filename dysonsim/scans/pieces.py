"""How a scan is divided: blocks of neighboring points, and each point's replicas into pieces.

A block's piece is what one file of a store holds, so that it is written whole or not at all. Heavy points are blocks of
their own, of many pieces; light ones share a block, of one piece. What a point gives does not depend on any of this.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

import numpy as np

from .. import _checks
from .points import Points
from .recipe import FAILURES, Recipe

__all__ = ["FAILED", "Block", "Job", "Layout", "Task", "layout_of", "tasks"]

FAILED = -1
SECONDS = 4.0  # of one thread: a piece of a heavy point, roughly
SHARED = 1.0  # of one thread: a block of light points
MOST_BYTES = 2**24  # of a piece
MOST_SHARING = 4096  # points in a block
FEWEST_BLOCKS = 256  # that many points are divided into: a cluster wants many
COST = 3e-8  # seconds of a thread: a step of one replica, times n^2
ROUND = 16  # replicas that share a lane value, at most
TRIED = 20  # points that are asked for their size

Place = tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """Points of a block along each dimension, and replicas of a piece."""

    block: tuple[int, ...]
    replicas: int

    def pieces(self, replicas: int) -> int:
        """Return how many pieces a point has."""
        return -(-replicas // self.replicas)

    def wanted(self, replicas: int) -> np.ndarray:
        """Return how many replicas each piece of a point has, (pieces,)."""
        return np.minimum(self.replicas, replicas - self.replicas * np.arange(self.pieces(replicas)))

    def blocks(self, shape: tuple[int, ...]) -> Iterator[Block]:
        """Yield all blocks of points."""
        for at in product(*(range(0, size, step) for size, step in zip(shape, self.block, strict=True))):
            yield Block(tuple(
                slice(a, min(a + step, size)) for a, step, size in zip(at, self.block, shape, strict=True)
            ))  # fmt: skip


@dataclass(frozen=True)
class Block:
    """Neighboring points."""

    slices: tuple[slice, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many points in each dimension."""
        return tuple(s.stop - s.start for s in self.slices)

    def within(self, place: Place) -> Place:
        """Return where in the block a point is."""
        return tuple(i - s.start for i, s in zip(place, self.slices, strict=True))


@dataclass(frozen=True)
class Job:
    """Replicas of a point that are to be run."""

    place: Place
    first: int
    count: int


@dataclass(frozen=True)
class Task:
    """Jobs of one block that are run by one worker, one after the other, and written together."""

    block: Block
    jobs: tuple[Job, ...]

    @property
    def replicas(self) -> int:
        """Replicas of all its jobs."""
        return sum(job.count for job in self.jobs)


def tasks(status: np.ndarray, layout: Layout, replicas: int) -> Iterator[Task]:
    """Yield what is still to be done, piece by piece, of `status` (points..., pieces): replicas done, or FAILED."""
    wanted = layout.wanted(replicas)
    for block in layout.blocks(status.shape[:-1]):
        done = status[block.slices]
        left = (done < wanted) & ~(done == FAILED).any(axis=-1, keepdims=True)
        for piece in np.flatnonzero(left.any(axis=tuple(range(left.ndim - 1)))):
            jobs = []
            for within in zip(*np.nonzero(left[..., piece]), strict=True):
                place = tuple(int(i) + s.start for i, s in zip(within, block.slices, strict=True))
                begun = int(done[(*within, piece)])
                jobs.append(Job(place, int(piece) * layout.replicas + begun, int(wanted[piece]) - begun))
            yield Task(block, tuple(jobs))


def layout_of(recipe: Recipe, points: Points, replicas: int, chosen: int | None) -> Layout:
    """Choose a division for points of the cost and the size that the first of them has, as far as that can be seen.

    Parameters
    ----------
    chosen : int, optional
        Replicas of a piece, by the user.
    """
    one = (1,) * len(points.shape)
    if chosen is not None:
        return Layout(one, min(replicas, _checks.integer("piece", chosen, 1)))
    seconds, size = _weights(recipe, points)
    most = min(SECONDS / seconds, MOST_BYTES / size)
    if replicas > most:
        many = max(1, int(most))
        return Layout(one, many - many % ROUND if many > ROUND else many)
    room = min(SHARED / seconds, MOST_BYTES / size) / replicas
    return Layout(_shared(points.shape, int(min(room, MOST_SHARING, points.size / FEWEST_BLOCKS))), replicas)


def _shared(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    """Share so many points, at most, among the dimensions, the last one first."""
    block: list[int] = []
    for size in reversed(shape):
        block.append(max(1, min(size, count)))
        count //= block[-1]
    return tuple(reversed(block))


def _weights(recipe: Recipe, points: Points) -> tuple[float, float]:
    """Seconds of a thread, and recorded bytes, of one replica, roughly."""
    for at in islice(np.ndindex(*points.shape), TRIED):
        parameters = points.parameters(at)
        try:
            process, options = recipe.process(parameters), recipe.options_at(parameters)
            steps = _steps(process, options)
        except FAILURES:
            continue
        size = 8.0 * process.n * _records(options, steps)
        return max(COST * process.n**2 * max(steps, 1), 1e-9), max(size, 8.0)
    return 1e-6, 8.0


def _steps(process: Any, options: Mapping[str, Any]) -> float:
    if process.continuous:
        last = float(np.max(np.fromiter(options["times"], float))) if options["times"] is not None else 0.0
        return float(process.step_count(last)) if last > 0 else 1.0
    return float(options["steps"] or process.default_steps() or 1)


def _records(options: Mapping[str, Any], steps: float) -> float:
    for name in ("times", "record_steps"):
        if options[name] is not None:
            return float(len(np.fromiter(options[name], float)))
    return 1.0 if options["record_every"] is None else math.ceil(steps / options["record_every"])
