"""What a scan has found so far: measured numbers, what is done, and why points failed.

What is written of a piece is written in this order: numbers, then that they are there. So whatever ends the process in
between, what counts as done is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .arrays import FILL, Arrays, Region
from .pieces import FAILED, Block, Job, Layout, Task, tasks
from .points import Points
from .recipe import Outcome

__all__ = ["Table"]

CHUNK = 2**19  # numbers of a chunk, where records are many
STATUS, FAILURE, TIME = "status", "failure", "time"
OWN = (STATUS, FAILURE, TIME)
Place = tuple[int, ...]


@dataclass
class Table:
    """Numbers of all points, and what is done.

    Attributes
    ----------
    arrays : Arrays
        Measured ones have the dimensions of the points, then "replica", then their own.
    points, replicas, layout :
        What is to be done, and how it is divided.
    times_vary : bool
        Whether every point has records at times of its own.
    status : (points..., pieces) int array
        Replicas done of each piece, FAILED where the point cannot be run.
    failures : dict
        Why, by place.
    """

    arrays: Arrays
    points: Points
    replicas: int
    layout: Layout
    times_vary: bool
    status: np.ndarray = field(init=False)
    failures: dict[Place, str] = field(init=False)

    def __post_init__(self) -> None:
        """Make room for all points, and read what is done."""
        grid, pieces = self.points.shape, self.layout.pieces(self.replicas)
        self._fit(STATUS, "integer", ("piece",), (pieces,), (1,))
        self._fit(FAILURE, "text", (), (), ())
        for name in self.measured:
            trailing = self.arrays.shape(name)[len(grid) + 1 :]
            self._fit(name, "float", self.arrays.dims(name)[len(grid) :], (self.replicas, *trailing), ())
        if self.times_vary and TIME in self.arrays.names():
            self._fit(TIME, "float", ("record",), self.arrays.shape(TIME)[len(grid) :], ())
        self.status = np.array(self.arrays.read(STATUS))
        said = self.arrays.read(FAILURE)
        self.failures = {tuple(map(int, at)): str(said[tuple(at)]) for at in np.argwhere(self.failed)}

    @property
    def measured(self) -> list[str]:
        """Names of the measured arrays."""
        return [name for name in self.arrays.names() if name not in OWN and name not in self.points.names]

    @property
    def failed(self) -> np.ndarray:
        """Whether a point cannot be run, (points...)."""
        return (self.status == FAILED).any(axis=-1)

    @property
    def done(self) -> np.ndarray:
        """Whether all replicas of a point are there, (points...)."""
        return (self.status == self.layout.wanted(self.replicas)).all(axis=-1)

    @property
    def left(self) -> int:
        """Replicas that are still to be run, of all points."""
        wanted = self.layout.wanted(self.replicas)
        return int(np.where(self.failed[..., None], 0, wanted - self.status).sum())

    def tasks(self) -> Iterator[Task]:
        """Yield what is still to be done."""
        return tasks(self.status, self.layout, self.replicas)

    def write(self, task: Task, found: Sequence[tuple[Job, Outcome]]) -> None:
        """Keep what jobs of a task gave; those of points that have failed meanwhile are dropped."""
        found = [(job, outcome) for job, outcome in found if job.place not in self.failures]
        good = [(job, outcome) for job, outcome in found if not outcome.failure]
        bad = {job.place: outcome.failure for job, outcome in found if outcome.failure}
        if good:
            for name in good[0][1].measured:
                self._write_measured(name, task.block, good)
            self._write_times(task.block, good)
        if bad:
            self._write_failures(task.block, bad)
        self._write_status(task.block, found)

    def region_of(self, block: Block, first: int, stop: int) -> Region:
        """Return where replicas of a block lie in a measured array."""
        return (*block.slices, slice(first, stop))

    def _write_measured(self, name: str, block: Block, good: Sequence[tuple[Job, Outcome]]) -> None:
        own = good[0][1].measured[name].dims[1:]
        for _, outcome in good:
            if outcome.measured[name].dims[1:] != own:
                raise TypeError(f"measure {name!r} gives {_dims(outcome, name)} at one point, {own} at another")
        sizes = [outcome.measured[name].values.shape[1:] for _, outcome in good]
        trailing = self._room(name, ("replica", *own), (self.replicas, *np.max(sizes, axis=0, initial=0)))[1:]
        first, stop = min(job.first for job, _ in good), max(job.first + job.count for job, _ in good)
        region = self.region_of(block, first, stop)
        values = self._begun(name, block, first, stop, len(good), (stop - first, *trailing))
        for job, outcome in good:
            measured = outcome.measured[name].values
            where: Any = (*block.within(job.place), slice(job.first - first, job.first - first + job.count))
            values[(*where, *map(slice, measured.shape[1:]))] = measured
        self.arrays.write(name, (*region, *(slice(0, size) for size in trailing)), values)

    def _begun(self, name: str, block: Block, first: int, stop: int, points: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return what there is of a block, to be completed."""
        pieces = self.status[(*block.slices, slice(first // self.layout.replicas, None))]
        if points < np.prod(block.shape) and (pieces > 0).any():
            whole = (*self.region_of(block, first, stop), *(slice(0, size) for size in shape[1:]))
            return np.array(self.arrays.read(name, whole))
        return np.full((*block.shape, *shape), np.nan)

    def _write_times(self, block: Block, good: Sequence[tuple[Job, Outcome]]) -> None:
        if not self.times_vary:
            if TIME not in self.arrays.names():
                times = good[0][1].times
                self.arrays.create(TIME, "float", (TIME,), times.shape, times.shape)
                self.arrays.write(TIME, (slice(None),), times)
            return
        most = max(len(outcome.times) for _, outcome in good)
        (records,) = self._room(TIME, ("record",), (most,))
        times = np.array(self.arrays.read(TIME, (*block.slices, slice(0, records))))
        for job, outcome in good:
            times[block.within(job.place)][: len(outcome.times)] = outcome.times
        self.arrays.write(TIME, (*block.slices, slice(0, records)), times)

    def _write_failures(self, block: Block, bad: dict[Place, str]) -> None:
        """Keep why points failed, and nothing else of them: which pieces went well before depends on the division."""
        self.failures |= bad
        said = np.array(self.arrays.read(FAILURE, block.slices), dtype=object)
        for place, why in bad.items():
            said[block.within(place)] = why
        self.arrays.write(FAILURE, block.slices, said)
        for place in bad:
            there = np.flatnonzero(self.status[place] > 0)
            for name in self.measured if len(there) else ():
                stop = min((there[-1] + 1) * self.layout.replicas, self.replicas)
                shape = self.arrays.shape(name)[len(place) + 1 :]
                region = (*(slice(i, i + 1) for i in place), slice(0, int(stop)), *(slice(0, size) for size in shape))
                nothing = np.full([s.stop - s.start for s in region], FILL["float"])
                self.arrays.write(name, region, nothing)

    def _write_status(self, block: Block, found: Iterable[tuple[Job, Outcome]]) -> None:
        size = self.layout.replicas
        touched: set[int] = set()
        for job, outcome in found:
            if outcome.failure:
                self.status[job.place] = FAILED
                touched.update(range(self.status.shape[-1]))
                continue
            for piece in range(job.first // size, -(-(job.first + job.count) // size)):
                self.status[(*job.place, piece)] = min(job.first + job.count - piece * size, size)
                touched.add(piece)
        for piece in sorted(touched):
            region = (*block.slices, slice(piece, piece + 1))
            self.arrays.write(STATUS, region, self.status[region])

    def _room(self, name: str, dims: tuple[str, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
        """Make an array for a block's numbers, or make it longer; returns its shape without that of the points."""
        shape = tuple(map(int, shape))
        if name not in self.arrays.names():
            self._fit(name, "float", dims, shape, self._chunks(dims, shape))
            return shape
        grid = len(self.points.shape)
        if self.arrays.dims(name)[grid:] != self._named(dims):
            raise TypeError(f"measure {name!r} gives {dims} at this point, {self.arrays.dims(name)[grid:]} at others")
        shape = tuple(np.maximum(shape, self.arrays.shape(name)[grid:]).tolist())
        self._fit(name, "float", dims, shape, ())
        return shape

    def _named(self, dims: Sequence[str]) -> tuple[str, ...]:
        """Return names of dimensions: records at the same times everywhere are along "time"."""
        return tuple(TIME if dim == "record" and not self.times_vary else dim for dim in dims)

    def _chunks(self, dims: Sequence[str], shape: Sequence[int]) -> tuple[int, ...]:
        """Return the chunks of a measured array: a piece, and not too many records."""
        chunks = [max(1, size) for size in shape]
        if "replica" in dims:
            chunks[dims.index("replica")] = self.layout.replicas
        if "record" in dims:
            at = dims.index("record")
            row = int(np.prod(chunks)) // chunks[at]
            chunks[at] = max(1, min(chunks[at], CHUNK // row))
        return tuple(chunks)

    def _fit(self, name: str, kind: str, own: Sequence[str], trailing: Sequence[int], chunks: Sequence[int]) -> None:
        """Make an array along points and its own dimensions, or one that is there as long as that."""
        shape = (*self.points.shape, *trailing)
        if name not in self.arrays.names():
            dims = (*self.points.dims, *self._named(own))
            self.arrays.create(name, kind, dims, shape, (*self.layout.block, *chunks))
        elif any(a < b for a, b in zip(self.arrays.shape(name), shape, strict=True)):
            self.arrays.resize(name, np.maximum(shape, self.arrays.shape(name)).tolist())


def _dims(outcome: Outcome, name: str) -> tuple[str, ...]:
    return outcome.measured[name].dims[1:]
