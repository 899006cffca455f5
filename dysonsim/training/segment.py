"""Part of a recording in which nothing but the weights changes: one layer, one learning rate, one batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from ..ensembles.observable import Levels, indices
from ..ensembles.simulate import DivergenceError

__all__ = ["Segment", "constant_segments", "segment_of"]

FEWEST_RECORDS = 3
_LISTED = 8  # segments in a message
WANT = 'a Recording, such as dysonsim.watch gives: recording["name of a layer"] has singular_values and steps'


@dataclass(frozen=True, eq=False)
class Segment:
    """Equally spaced records of one layer at one learning rate and batch size.

    Attributes
    ----------
    layer : str
    levels : (records, n)
        Singular values, ascending, finite.
    kicks : (records, n) or None
        Singular values one step later minus these; NaN where they are missing.
    steps : (records,) int
    records : (records,) int
        Their places in the recording.
    learning_rate, batch_size : float
        NaN where they are not known.
    optimizer : dict
        Name and parameters.
    sampling : "with_replacement", "without_replacement" or None
    """

    layer: str
    levels: np.ndarray
    kicks: np.ndarray | None
    steps: np.ndarray
    records: np.ndarray
    learning_rate: float
    batch_size: float
    optimizer: dict[str, Any]
    sampling: str | None

    @property
    def every(self) -> float:
        """Steps between two records."""
        return float(self.steps[1] - self.steps[0])

    def part(self, first: int) -> Segment:
        """Return the segment from record `first` of it on."""
        kicks = None if self.kicks is None else self.kicks[first:]
        return replace(
            self, levels=self.levels[first:], kicks=kicks, steps=self.steps[first:], records=self.records[first:]
        )


@dataclass(frozen=True, eq=False)
class _Layer:
    """What a recording holds of one layer, checked."""

    name: str
    levels: np.ndarray
    kicks: np.ndarray | None
    steps: np.ndarray
    rates: np.ndarray
    batches: np.ndarray
    optimizer: dict[str, Any]
    sampling: str | None

    def runs(self, chosen: np.ndarray) -> list[np.ndarray]:
        """Split chosen records where the learning rate or the batch size changes."""
        settings = np.nan_to_num(np.array([self.rates[chosen], self.batches[chosen]]), nan=-1.0)
        changes = np.flatnonzero((np.diff(settings, axis=1) != 0).any(axis=0)) + 1
        return np.split(chosen, changes)

    def segment(self, chosen: np.ndarray) -> Segment:
        levels = self.levels[chosen]
        if not np.isfinite(levels).all():
            step = int(self.steps[chosen][~np.isfinite(levels).all(axis=1)][0])
            raise DivergenceError(f"layer {self.name!r} has singular values that are not finite at step {step}; choose "
                                  "records before it", step=step, layer=self.name)  # fmt: skip
        kicks = None if self.kicks is None else self.kicks[chosen]
        return Segment(self.name, levels, kicks, self.steps[chosen], chosen, float(self.rates[chosen[0]]),
                       float(self.batches[chosen[0]]), self.optimizer, self.sampling)  # fmt: skip


def segment_of(recording: Any, layer: Any, records: Levels = None) -> Segment:
    """Chosen records of one layer, all by default, in which learning rate and batch size must be constant."""
    found = _layer_of("recording", recording, layer)
    chosen = _records("records", records, len(found.levels), found.steps)
    runs = found.runs(chosen)
    if len(runs) > 1:
        where = [f"{run[0]} to {run[-1]} ({_setting(found, run)})" for run in runs[:_LISTED]]
        where += [f"and {len(runs) - _LISTED} more"] if len(runs) > _LISTED else []
        longest = max(runs, key=len)
        raise ValueError(
            f"records = {shown(records)}: learning rate or batch size change within them, must be constant; they are "
            f"in records {', '.join(where)}: choose one of these, such as records=slice({longest[0]}, "
            f"{longest[-1] + 1})"
        )
    return found.segment(chosen)


def constant_segments(name: str, recording: Any, layer: Any, records: Levels = None) -> list[Segment]:
    """Return all segments of a recording, of three records or more, between changes of learning rate or batch size."""
    found = _layer_of(name, recording, layer)
    size = len(found.levels)
    chosen = np.arange(size) if records is None else _records("records", records, size, found.steps)
    runs = [run[_equally_spaced(found.steps[run])] for run in found.runs(chosen)]
    return [found.segment(run) for run in runs if len(run) >= FEWEST_RECORDS]


def _setting(found: _Layer, run: np.ndarray) -> str:
    return f"learning_rate {found.rates[run[0]]:g}, batch_size {found.batches[run[0]]:g}"


def _records(name: str, records: Levels, size: int, steps: np.ndarray) -> np.ndarray:
    chosen = indices(name, records, size)
    chosen = np.where(chosen < 0, chosen + size, chosen)
    if records is None and len(chosen) >= FEWEST_RECORDS:
        chosen = chosen[_equally_spaced(steps)]
    if len(chosen) < FEWEST_RECORDS:
        raise ValueError(f"{name} = {shown(records)} leaves {len(chosen)} of {size} records: must be 3 or more")
    apart = np.diff(steps[chosen])
    if apart.min() <= 0 or apart.max() != apart.min():
        raise ValueError(
            f"{name} = {shown(records)}: records are {apart.min()} to {apart.max()} steps apart, must be ascending and "
            "equally spaced; choose such records"
        )
    return chosen


def _equally_spaced(steps: np.ndarray) -> slice:
    """Leave out a first and a last record that fit no regular distance, such as one after the last step."""
    apart = np.diff(steps)
    if len(apart) < 3:
        return slice(None)
    regular = np.median(apart)
    return slice(int(apart[0] != regular), len(steps) - int(apart[-1] != regular))


def _layer_of(name: str, recording: Any, layer: Any) -> _Layer:
    entry = _entry(name, recording, layer)
    label = f"{name}[{layer!r}]"
    try:
        parts = {k: getattr(entry, k) for k in ("singular_values", "steps", "learning_rate", "batch_size")}
        kicks = getattr(entry, "kicks", None)
    except Exception as error:
        raise TypeError(f"{name} = {shown(recording)}: must be {WANT} ({error})") from None
    levels = _checks.array(f"{label}.singular_values", parts.pop("singular_values"), "an array (records, levels)",
                           dimensions=(2,), finite=False, empty=True)  # fmt: skip
    if 0 in levels.shape:
        raise ValueError(f"{label} has singular values of shape {levels.shape}: must have records and levels")
    columns = {}
    for k, value in parts.items():
        column = _checks.array(f"{label}.{k}", value, "(records,)", finite=False)
        columns[k] = np.broadcast_to(column, levels.shape[:1]) if column.ndim == 0 else column
        if columns[k].shape != levels.shape[:1]:
            raise ValueError(f"{label}.{k} has shape {column.shape}: must be {levels.shape[:1]}, one a record")
    finite = levels[np.isfinite(levels).all(axis=1)]
    if (np.diff(finite, axis=1) < 0).any() or (finite < 0).any():
        raise ValueError(f"{label}.singular_values: must be ascending, and 0 or more")
    _checks.moderate(f"{label}.singular_values", finite) if finite.size else None
    if kicks is not None:
        kicks = _checks.array(f"{label}.kicks", kicks, "an array (records, levels)", finite=False, empty=True)
        if kicks.shape != levels.shape:
            raise ValueError(f"{label}.kicks has shape {kicks.shape}: must be {levels.shape}, as the singular values")
        kicks = None if not np.isfinite(kicks).all(axis=1).any() else kicks
    optimizer = getattr(entry, "optimizer", None) or getattr(recording, "optimizer", None) or {}
    sampling = getattr(recording, "sampling", None)
    steps = columns["steps"].astype(np.int64)
    return _Layer(layer, levels, kicks, steps, columns["learning_rate"], columns["batch_size"], dict(optimizer),
                  sampling if isinstance(sampling, str) else None)  # fmt: skip


def _entry(name: str, recording: Any, layer: Any) -> Any:
    """recording[layer], or an error that says which of the two is wrong."""
    try:
        names = getattr(recording, "layers", None)
        if names is None and isinstance(recording, Mapping):
            names = recording
        if not isinstance(names, Mapping | Sequence | set | frozenset) or isinstance(names, str | bytes):
            raise TypeError("it has no layers")
        names = [str(n) for n in names]
        first = recording[names[0]] if names else None
        if names and not hasattr(first, "singular_values"):
            raise TypeError("its layers have no singular_values")
    except Exception as error:
        raise TypeError(f"{name} = {shown(recording)}: must be {WANT} ({shown(error)})") from None
    if not isinstance(layer, str):
        raise TypeError(f"layer = {shown(layer)}: must be the name of a layer, one of {shown(names)}")
    if layer not in names:
        raise ValueError(f"layer = {layer!r}: must be one of the layers that were recorded, {', '.join(names)}")
    return recording[layer]
