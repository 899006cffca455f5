"""One point of a scan, as `compare`, `hierarchy` and the like take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._checks import shown
from ..ensembles.run import record_at
from ..processes import Process
from .pieces import Place
from .table import TIME

__all__ = ["ScanPoint"]


@dataclass(frozen=True, eq=False, repr=False)
class ScanPoint:
    """What a scan has of one point (`Scan.point`).

    `compare`, `likelihood_ratio` and `hierarchy` (as `given`) take it like a Run, if the scan has measured eigenvalues;
    the first two take it like an array, if the scan has measured one thing. ``point[name]`` is a measured array,
    (replicas, ...), ``point[name][:, record]`` of one record. An array (replicas, records, levels) is what ArviZ takes
    for chains: ``arviz.from_dict(dict(point))``.

    Attributes
    ----------
    parameters : dict
    seed : int
        Of its random numbers: ``simulate(point.process, replicas, seed=point.seed, ...)`` gives the same.
    process : Process
        What the scan's function returns for it.
    times, steps : (records,) arrays
        When its records are taken; `steps` of a process that counts steps.
    eigenvalues, singular_values : (replicas, records, n) arrays
        If they were measured.
    """

    scan: Any  # the Scan that it is of
    place: Place
    is_point_of_scan: ClassVar[bool] = True  # for `hierarchy`, which knows nothing of this class

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Name -> value."""
        return self.scan.points.parameters(self.place)

    @property
    def seed(self) -> int:
        """Of this point's random numbers."""
        return self.scan.recipe.seed_at(self.parameters)

    @property
    def process(self) -> Process:
        """What is run here."""
        return self.scan.recipe.process(self.parameters)

    @property
    def times(self) -> np.ndarray:
        """(records,): when its records are taken."""
        table = self.scan.table
        if not table.times_vary:
            return table.arrays.read(TIME)
        times = table.arrays.read(TIME, (*(slice(i, i + 1) for i in self.place), slice(None))).reshape(-1)
        return times[np.isfinite(times)]

    @property
    def steps(self) -> np.ndarray:
        """(records,): its times as integers, for processes that count steps."""
        return self.times.astype(np.int64)

    def record(self, time: float) -> int:
        """Find the index of the record taken at `time` (for SGD: at that step); ValueError if there is none."""
        return record_at(self.times, time, "time")

    @property
    def replicas(self) -> int:
        """How many there are of the point."""
        return int(np.maximum(self.scan.table.status[self.place], 0).sum())

    def keys(self) -> list[str]:
        """Return what was measured."""
        return self.scan.table.measured

    def __getitem__(self, name: str) -> np.ndarray:
        table = self.scan.table
        if name not in table.measured:
            raise KeyError(f"{shown(name)}: must be one of {', '.join(table.measured)}")
        if self.place in table.failures:
            raise ValueError(f"point {dict(self.parameters)} has failed: {table.failures[self.place]}")
        if not self.scan.table.done[self.place]:
            raise ValueError(f"point {dict(self.parameters)} has not been run to its end: scan again")
        sizes = table.arrays.shape(name)[len(self.place) + 1 :]
        region = (*(slice(i, i + 1) for i in self.place), slice(0, table.replicas), *(slice(0, s) for s in sizes))
        return _without_padding(table.arrays.read(name, region)[(0,) * len(self.place)])

    def __getattr__(self, name: str) -> np.ndarray:
        if name in ("eigenvalues", "singular_values") and name in self.scan.table.measured:
            return self[name]
        if name == "singular_values" and "eigenvalues" in self.scan.table.measured:
            return np.sqrt(self["eigenvalues"])
        raise AttributeError(f"{name}: the scan has measured {', '.join(self.scan.table.measured)}")

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        measured = self.scan.table.measured
        if len(measured) != 1:
            raise ValueError(f"a point has {', '.join(measured)}: choose one, such as point[{measured[0]!r}]")
        return np.asarray(self[measured[0]], dtype)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"<Point {values} of a scan: {', '.join(self.scan.table.measured)} of {self.replicas} replicas>"


def _without_padding(values: np.ndarray) -> np.ndarray:
    """Leave out what fills an array where other points have more records or levels."""
    for axis in range(1, values.ndim):
        others = tuple(k for k in range(values.ndim) if k != axis)
        there = np.flatnonzero(~np.isnan(values).all(axis=others))
        if len(there) and there[-1] + 1 < values.shape[axis]:
            values = np.take(values, np.arange(there[-1] + 1), axis=axis)
    return values
