"""`Recording`: the singular values of a training as they were recorded, in memory and from a journal."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .._extras import needs
from .._text import aligned, plain
from .initial import StoredWeights

__all__ = ["RecordedLayer", "Recording"]

ABOUT, NOTE, ROW = b"head", b"note", b"row "  # kinds of frames
RECORD, AFTER = 1.0, 0.0  # kinds of rows: a record; the step after one, for the kick
HEAD = 3  # columns of a row before those of layers: its kind, step, batch size
SAMPLING = ("with_replacement", "without_replacement")


@dataclass(frozen=True, eq=False)
class RecordedLayer:
    """One weight matrix in a `Recording`.

    Attributes
    ----------
    name : str
    shape : (rows, columns)
        Of the matrix; that of a convolution is (out, in * k * k).
    steps : (records,) int array
    singular_values : (records, levels) float array
        Ascending; NaN where the weights were not finite. For float64 weights errors are about 1e-15 of the largest.
        From weights in lower precision the Gram matrix is taken: values below 1e-8 of the largest are rounding errors,
        as they are in the weights themselves.
    kicks : (records, levels) float array or None
        Singular values one step later minus those of the record; NaN where that step was not made. None without kicks.
    learning_rate : (records,) float array
        Of the step that led to the record, for the start that of the first step; NaN where unknown.
    batch_size : (records,) float array
        Likewise; NaN where unknown.
    optimizer : dict
        Name and parameters of the optimizer for this layer, as of the last step that was looked at.

    Examples
    --------
    >>> import torch, dysonsim as ds
    >>> model = torch.nn.Linear(4, 3)
    >>> with ds.watch(model, every=1) as rec:
    ...     for _ in range(2):
    ...         rec.step(learning_rate=0.1, batch_size=5)
    >>> layer = rec["weight"]
    >>> layer.shape, layer.singular_values.shape, layer.learning_rate.tolist()
    ((3, 4), (3, 3), [0.1, 0.1, 0.1])
    """

    name: str
    shape: tuple[int, int]
    steps: np.ndarray = field(repr=False)
    singular_values: np.ndarray = field(repr=False)
    kicks: np.ndarray | None = field(repr=False)
    learning_rate: np.ndarray = field(repr=False)
    batch_size: np.ndarray = field(repr=False)
    optimizer: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON knows it."""
        return plain(dict(vars(self)))

    def plot(self, ax: Any = None) -> Any:
        """Draw the singular values against the steps; returns the matplotlib axes."""
        import matplotlib.pyplot as plt

        ax = plt.subplots()[1] if ax is None else ax
        ax.plot(self.steps, self.singular_values, lw=0.8, color="C0", alpha=0.7)
        ax.set(xlabel="step", ylabel="singular values", title=f"{self.name}, {self.shape[0]} x {self.shape[1]}")
        return ax


class Recording(Mapping[str, RecordedLayer]):
    """Singular values of the weight matrices of a training: `rec["fc1"].singular_values`, a mapping of layers.

    `watch` yields one, which grows while the model trains, and `load_recording` reads one. What it returns are copies
    of what is there so far. Records are the start and then every `every` steps.

    Attributes
    ----------
    layers : tuple of str
    steps : (records,) int array
    every : int
    path : Path or None
        The journal; None in memory alone.
    sampling : "with_replacement", "without_replacement" or None
        How batches were drawn, as given to `watch`.
    optimizer : dict
        "name" and parameters of the optimizer ("momentum", "nesterov", "betas", "weight_decay", ...) for the first
        layer that it trains, as of the last record; empty before the first step, and in a loop written by hand.
    initial : mapping of str to array
        The weights at the start, (rows, columns) each: float64, or float32 for anything of 32 bits or fewer.
    overhead : float
        Share of the processor time, so far, that recording took; NaN where it was not measured here.

    Examples
    --------
    >>> import torch, dysonsim as ds
    >>> model = torch.nn.Linear(4, 3)
    >>> with ds.watch(model, every=10) as rec:
    ...     for _ in range(20):
    ...         rec.step(learning_rate=0.1, batch_size=5)
    >>> rec.layers, rec.steps.tolist()
    (('weight',), [0, 10, 20])
    """

    def __init__(self, about: dict[str, Any], path: Path | None = None, initial: Mapping | None = None) -> None:
        self._about, self._initial, self.path = about, initial, path
        self.every, self.sampling, self._kicks = about["every"], about["sampling"], about["kicks"]
        self.layers = tuple(about["layers"])
        self.overhead = math.nan
        self._columns: dict[str, tuple[int, int]] = {}  # where a layer's learning rate is, and where its levels end
        end = HEAD
        for name, layer in about["layers"].items():
            self._columns[name] = end, end + 1 + layer["levels"]
            end += 1 + layer["levels"]
        self._width, self._count = end, 0
        self._table = np.empty((0, end))
        self._notes: list[dict[str, Any]] = []
        self._step: Callable[..., None] | None = None  # while `watch` records

    # What `watch` and `load_recording` fill in.

    def _add_row(self, row: np.ndarray) -> None:
        if self._count == len(self._table):
            grown = np.empty((max(16, 2 * self._count), self._width))
            grown[: self._count] = self._table
            self._table = grown
        self._table[self._count] = row
        self._count += 1

    def _rows(self) -> np.ndarray:
        return self._table[: self._count]

    def _row_at(self, step: int) -> np.ndarray | None:
        found = np.flatnonzero(self._rows()[:, 1] == step)
        return self._rows()[found[0]] if len(found) else None

    # What is in it.

    @property
    def steps(self) -> np.ndarray:
        """(records,) int: steps that had been made."""
        rows = self._rows()
        return rows[rows[:, 0] == RECORD, 1].astype(np.int64)

    @property
    def optimizer(self) -> dict[str, Any]:
        """Name and parameters of the optimizer, of the first layer that one moves."""
        used = [name for name in self.layers if self._optimizer_of(name)]
        return self._optimizer_of(used[0]) if used else {}

    def _optimizer_of(self, layer: str) -> dict[str, Any]:
        if not self._notes or self._notes[-1]["optimizer"] is None:
            return {}
        last = self._notes[-1]
        group = last["group"][self.layers.index(layer)]
        if group is None:
            return {}
        options = {k: tuple(v) if isinstance(v, list) else v for k, v in last["groups"][group].items()}
        return {"name": last["optimizer"], **options}

    @property
    def initial(self) -> Mapping[str, np.ndarray]:
        """Weights at the start, name -> (rows, columns)."""
        if self._initial is None:
            shapes = {name: tuple(layer["shape"]) for name, layer in self._about["layers"].items()}
            self._initial = StoredWeights(StoredWeights.beside(self.path), shapes)  # type: ignore[arg-type]
        return self._initial

    def __getitem__(self, layer: str) -> RecordedLayer:
        if layer not in self._columns:
            raise KeyError(f"layer = {_checks.shown(layer)}: must be one of {', '.join(map(repr, self.layers))}")
        rate, end = self._columns[layer]
        rows = self._rows()
        at = np.flatnonzero(rows[:, 0] == RECORD)
        values, kicks = rows[at, rate + 1 : end], None
        if self._kicks:
            kicks = np.full_like(values, math.nan)
            followed = np.flatnonzero(np.diff(rows[:, 1], append=math.nan)[at] == 1)
            kicks[followed] = rows[at[followed] + 1, rate + 1 : end] - values[followed]
        rates, batches = rows[at, rate], rows[at, 2]
        if len(at) and rows[at[0], 1] == 0 and self._notes:  # nothing led to the start
            rates[0] = self._notes[0]["learning_rate"][self.layers.index(layer)]
            batches[0] = self._notes[0]["batch_size"]
        rows_columns = tuple(self._about["layers"][layer]["shape"])
        steps = rows[at, 1].astype(np.int64)
        return RecordedLayer(layer, rows_columns, steps, values, kicks, rates, batches, self._optimizer_of(layer))

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = object.__hash__

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_step": None, "_table": self._rows().copy()}

    def step(self, *, learning_rate: float | None = None, batch_size: int | None = None) -> None:
        """Say that one step was made, in a loop that updates weights without a torch optimizer.

        Parameters
        ----------
        learning_rate : float, optional
            Of this step and of those after it.
        batch_size : int, optional
            Likewise; by default the samples that went through the model, as in `watch`.

        Raises
        ------
        RuntimeError
            Outside of `watch`, and where the steps of an optimizer are counted already.
        """
        if self._step is None:
            raise RuntimeError("step: nothing is recorded any more; call it inside `with ds.watch(...) as rec`")
        if learning_rate is not None:
            learning_rate = _checks.real("learning_rate", learning_rate, at_least=0)
        if batch_size is not None:
            batch_size = _checks.integer("batch_size", batch_size, 1)
        self._step(learning_rate, batch_size)

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else str(self.path)
        return f"<Recording of {len(self)} layers, {len(self.steps)} records, {where}>"

    def __str__(self) -> str:
        steps, optimizer = self.steps, self.optimizer
        span = f" of steps {steps[0]} to {steps[-1]}" if len(steps) else ""
        lines = [f"Recording of {len(self)} layers: {len(steps)} records{span}, every {self.every}"]
        if optimizer:
            options = (f"{k} {v}" for k, v in optimizer.items() if k != "name" and v not in (0, None, False))
            lines.append(f"  {optimizer['name']}: {', '.join(options)}".rstrip(": "))
        rows = [["layer", "shape", "levels", "largest, first", "last", "learning rate", "batch size"]]
        for name, layer in self.items():
            largest = layer.singular_values[:, -1]
            ends = [f"{x:.6g}" for x in (largest[[0, -1]] if len(largest) else (math.nan, math.nan))]
            shape = f"{layer.shape[0]} x {layer.shape[1]}"
            known = [_range(layer.learning_rate), _range(layer.batch_size)]
            rows.append([name, shape, str(layer.singular_values.shape[1]), *ends, *known])
        return "\n".join([*lines, aligned(rows)])

    def to_xarray(self) -> Any:
        """Return an `xarray.DataTree` with one node a layer: singular_values and kicks (step, level).

        Learning rate and batch size are coordinates along "step"; "level" counts all levels of the matrix from 0, the
        smallest. `.to_zarr(path)` and `.to_netcdf(path)` store it.

        Raises
        ------
        ImportError
            Without xarray: pip install "dysonsim[xarray]".
        """
        xarray = needs("xarray", "xarray", "to_xarray")
        nodes = {}
        for name, layer in self.items():
            both = {"singular_values": layer.singular_values, "kicks": layer.kicks}
            levels = min(layer.shape)
            nodes[name] = xarray.Dataset(
                {key: (("step", "level"), values) for key, values in both.items() if values is not None},
                {
                    "step": layer.steps,
                    "level": np.arange(levels - layer.singular_values.shape[1], levels),
                    "learning_rate": ("step", layer.learning_rate),
                    "batch_size": ("step", layer.batch_size),
                },
                {"rows": layer.shape[0], "columns": layer.shape[1], "optimizer": json.dumps(layer.optimizer)},
            )
        tree = xarray.DataTree.from_dict(nodes)
        tree.attrs = {"every": self.every, "sampling": self.sampling or "unknown"}
        return tree


def _range(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    if not len(known):
        return "unknown"
    low, high = known.min(), known.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
