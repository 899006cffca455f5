"""Means over replicas at every point, piece by piece, so that no more than a piece is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from .._text import aligned, with_error
from .pieces import Block
from .table import TIME, Table

__all__ = ["Means", "means_of"]

SHOWN = 40  # rows of a table in print


@dataclass(frozen=True, eq=False)
class Means:
    """Means over replicas with standard errors, one for each point.

    ``value, error = means`` unpacks it, as what `mean_and_error` returns.

    Attributes
    ----------
    name : str
        What was measured.
    parameters : dict of (points...) arrays
        By name; a list of points has one dimension, a product one for each parameter.
    value, error : (points...) or (points..., levels) arrays
        NaN where a point failed or has not been run; errors also where it has one replica.
    replicas : (points...) int array
        How many were averaged.
    """

    name: str
    parameters: dict[str, np.ndarray]
    value: np.ndarray
    error: np.ndarray
    replicas: np.ndarray

    def __iter__(self) -> Iterator[np.ndarray]:
        yield self.value
        yield self.error

    @property
    def one_a_point(self) -> bool:
        """Whether there is one number for each point, and not one for each level."""
        return self.value.ndim == self.replicas.ndim

    def __str__(self) -> str:
        levels = 1 if self.one_a_point else self.value.shape[-1]
        names = [self.name] if self.one_a_point else [f"{self.name}[{k}]" for k in range(levels)]
        rows = [[*self.parameters, *names]]
        columns = [array.ravel() for array in self.parameters.values()]
        value, error = self.value.reshape(-1, levels), self.error.reshape(-1, levels)
        for i in range(min(len(value), SHOWN)):
            cells = [
                "failed or not run" if np.isnan(v) else with_error(float(v), float(e))
                for v, e in zip(value[i], error[i], strict=True)
            ]
            rows.append([*(str(column[i]) for column in columns), *cells])
        more = [f"  ... {len(value) - SHOWN} points more"] if len(value) > SHOWN else []
        return "\n".join([aligned(rows), *more])


def means_of(table: Table, name: str, record: int, level: int | None) -> Means:
    """Average an array over replicas, and within each over dimensions of its own that are neither records nor levels.

    Parameters
    ----------
    record : int
        Which, from the end if negative.
    level : int, optional
        Which; default: all, apart.
    """
    if name not in table.measured:
        raise ValueError(f"name = {shown(name)}: must be one of {', '.join(table.measured)}")
    grid = len(table.points.shape)
    own = table.arrays.dims(name)[grid + 1 :]
    sizes = dict(zip(own, table.arrays.shape(name)[grid + 1 :], strict=True))
    if level is not None and "level" not in own:
        raise ValueError(f"level = {shown(level)}: {name} has no levels, must be left out")
    level = None if level is None else _checks.integer("level", level, -sizes["level"], sizes["level"] - 1)
    records = sizes.get("record", sizes.get(TIME, 1))
    record = _checks.integer("record", record, -records, records - 1)
    kept = (sizes["level"],) if "level" in own and level is None else ()
    shape = (*table.points.shape, *kept)
    count, mean, spread = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for block, first, stop in _parts(table):
        values = table.arrays.read(name, (*table.region_of(block, first, stop), *(slice(0, s) for s in sizes.values())))
        rows = _rows(values, grid, own, _chosen(table, block, record), level)
        some = np.isfinite(rows).sum(axis=grid)
        with np.errstate(invalid="ignore", divide="ignore"):
            centers = np.where(some > 0, np.nansum(rows, axis=grid) / some, 0.0)
            around = np.nansum((rows - np.expand_dims(centers, grid)) ** 2, axis=grid)
            at = block.slices
            total, apart = count[at] + some, centers - mean[at]
            share = np.where(total > 0, some / total, 0.0)
        spread[at] += around + apart**2 * count[at] * share
        mean[at] += apart * share
        count[at] = total
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.where(count > 1, np.sqrt(spread / (count - 1) / count), np.nan)
    parameters = _parameters(table)
    replicas = (count if not kept else count.max(axis=-1, initial=0)).astype(int)
    return Means(name, parameters, np.where(count > 0, mean, np.nan), error, replicas)


def _parameters(table: Table) -> dict[str, np.ndarray]:
    values = {name: array for name, (_, array) in table.points.coordinates().items()}
    if table.points.product:
        return dict(zip(values, np.meshgrid(*values.values(), indexing="ij"), strict=True))
    return values


def _parts(table: Table) -> Iterator[tuple[Block, int, int]]:
    """Yield blocks of points and replicas of theirs that are in one chunk, where something is done."""
    size = table.layout.replicas
    for block in table.layout.blocks(table.points.shape):
        done = table.status[block.slices]
        for piece in np.flatnonzero((done > 0).any(axis=tuple(range(done.ndim - 1)))):
            yield block, int(piece) * size, min(int(piece + 1) * size, table.replicas)


def _chosen(table: Table, block: Block, record: int) -> Any:
    """Return which record to take: a number, or one for each point of a block where points have different ones."""
    if not table.times_vary or record >= 0 or TIME not in table.arrays.names():
        return record
    times = table.arrays.read(TIME, (*block.slices, slice(None)))
    return np.maximum(np.isfinite(times).sum(axis=-1) + record, 0)


def _rows(values: np.ndarray, grid: int, own: tuple[str, ...], record: Any, level: int | None) -> np.ndarray:
    """Return one number for each point, replica and, if they are kept, level."""
    names = list(own)
    for dim in ("record", TIME):
        if dim in names:
            at = grid + 1 + names.index(dim)
            index = np.asarray(record)
            if index.ndim:
                index = index.reshape(*index.shape, *[1] * (values.ndim - grid))
                values = np.take_along_axis(values, index, axis=at).squeeze(at)
            else:
                values = np.take(values, int(index), axis=at)
            names.remove(dim)
    if "level" in names and level is not None:
        values = np.take(values, level, axis=grid + 1 + names.index("level"))
        names.remove("level")
    pooled = tuple(grid + 1 + k for k, dim in enumerate(names) if dim != "level")
    if not pooled:
        return values
    with np.errstate(invalid="ignore", divide="ignore"):  # what was padded is NaN; so are points that were not run
        return np.nansum(values, axis=pooled) / np.isfinite(values).sum(axis=pooled)
