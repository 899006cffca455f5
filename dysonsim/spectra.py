"""`Run`: the levels of an ensemble as recorded, with what made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np

from . import _validate
from .levels import singular_values
from .processes import Process

__all__ = ["Run", "mean_and_error", "singular_values"]


def mean_and_error(values: np.ndarray, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean and its standard error over independent entries along `axis` (networks, in a Run)."""
    v = _validate.array("values", values, "an array of real numbers", finite=False, empty=True)
    if v.ndim == 0:
        raise ValueError(f"values = {values}: must be an array, with two or more entries along axis {axis!r}")
    axis = _validate.integer("axis", axis, -v.ndim, v.ndim - 1)
    if v.shape[axis] < 2:
        raise ValueError(f"values have shape {v.shape}: must have two or more entries along axis {axis}")
    v = _validate.array("values", v, "an array with one entry or more along every axis")
    unit = _validate.unit(v, axis)
    inside, back = v / unit, unit.squeeze(axis)
    return inside.mean(axis) * back, inside.std(axis, ddof=1) / np.sqrt(v.shape[axis]) * back


@dataclass(frozen=True)
class Run:
    """What `dysonsim.simulate` returns.

    Attributes
    ----------
    process : Process
        What was simulated.
    seed : int
        Key of the random numbers: the same process and seed give the same run.
    times : (records,) float array
        When the levels were recorded, ascending. The unit is the SGD step, or that of a general process's rates.
    steps : (records,) int array
        Steps done by then: SGD steps, iterations of a Markov chain, or the steps of an integrator.
    eigenvalues : (replicas, records, n) float array
        The levels, ascending; of a network those of X = W^T W.
    singular_values : (replicas, records, n) float array
        Their square roots: of a network those of W, ascending. ValueError if there are negative levels.
    weights : (replicas, records, p, n) float array or None
        When `keep_weights` was asked for.
    device, dtype, version : str
        Where, in which float type and by which dysonsim it was computed.
    state : (replicas, m) float array
        Weights and persistent chains, or levels, after the last step; `simulate(..., resume=run)` goes on from it.
    diagnostics : object or None
        What the process says about the run: of a Markov chain acceptance, autocorrelation, convergence.
    """

    process: Process
    seed: int
    times: np.ndarray
    steps: np.ndarray
    spectra: np.ndarray = field(repr=False)  # as computed: eigenvalues or singular values, by `coordinate`
    coordinate: str
    weights: np.ndarray | None
    device: str
    dtype: str
    version: str
    state: np.ndarray = field(repr=False)
    last_time: float
    last_step: int
    diagnostics: Any = None

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        return self.spectra if self.coordinate == "eigenvalues" else self.spectra**2

    @cached_property
    def singular_values(self) -> np.ndarray:
        if self.coordinate == "singular_values":
            return self.spectra
        if (self.spectra < 0).any():
            raise ValueError("singular_values: some levels are negative, so they are no squares; look at eigenvalues")
        return np.sqrt(self.spectra)

    @property
    def replicas(self) -> int:
        return self.spectra.shape[0]

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.spectra.shape))
        how = f"seed {self.seed}, {self.dtype} on {self.device}"
        return f"<Run of {self.process}: {shape} (replicas x records x n), {how}>"

    def record(self, time: float) -> int:
        """Index of the record taken at `time` (for SGD: at that step); ValueError if there is none."""
        found = np.flatnonzero(self.times == _validate.real("time", time, at_least=0))
        if not len(found):
            what = "time" if self.process.continuous else "step"
            given = _validate.exact(float(time))
            raise ValueError(
                f"time = {given}: no record was taken at that {what}; recorded {what}s are {_shorten(self.times)}"
            )
        return int(found[0])

    def spacings(self, group: tuple[int, ...], record: int = -1, singular: bool = False) -> np.ndarray:
        """Gaps between neighbouring levels.

        Parameters
        ----------
        group : tuple of int
            Neighbouring level indices, ascending; a model's `degenerate_groups()` lists those that share a well.
        record : int
            Index of the record.
        singular : bool
            Gaps of singular values instead of eigenvalues.

        Returns
        -------
        (replicas, len(group) - 1) array
        """
        if not isinstance(group, (tuple, list, range)):
            raise TypeError(f"group = {_validate.shown(group)}: must be a tuple of level indices")
        record = _validate.integer("record", record, -len(self.times), len(self.times) - 1)
        singular = _validate.flag("singular", singular)
        n = self.spectra.shape[-1]
        allowed = f"two or more neighbouring level indices from 0 to {n - 1}, ascending"
        levels = _validate.array("group", group, allowed, dimensions=(1,), empty=True)
        if len(levels) < 2 or not np.array_equal(levels, np.arange(int(levels[0]), int(levels[0]) + len(levels))):
            raise ValueError(f"group = {_validate.shown(group)}: must be {allowed}")
        if levels[0] < 0 or levels[-1] >= n:
            raise ValueError(f"group = {_validate.shown(group)}: must be {allowed}")
        spectrum = self.singular_values if singular else self.eigenvalues
        return np.diff(spectrum[:, record, int(levels[0]) : int(levels[-1]) + 1], axis=-1)

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything but the process and the diagnostics to an .npz file; `Run.load` needs the process again."""
        about = {
            "process": fingerprint(self.process), "described": repr(self.process), "seed": self.seed,
            "coordinate": self.coordinate, "device": self.device, "dtype": self.dtype, "version": self.version,
            "last_time": self.last_time, "last_step": self.last_step,
        }  # fmt: skip
        arrays = {"times": self.times, "steps": self.steps, "spectra": self.spectra, "state": self.state}
        if self.weights is not None:
            arrays["weights"] = self.weights
        with open(path, "wb") as file:
            np.savez(file, **arrays, about=np.array(json.dumps(about)))  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | PathLike[str], process: Process) -> Run:
        """Read a run that `save` wrote; ValueError if it was made by another process."""
        try:
            with np.load(path) as file:
                about = json.loads(str(file["about"]))
                arrays = {name: file[name] for name in file.files if name != "about"}
        except (ValueError, KeyError, EOFError) as error:
            raise ValueError(f"path = {str(path)!r}: must be a file that Run.save wrote ({error})") from None
        if about.pop("process") != fingerprint(process):
            raise ValueError(f"{path} was made by {about['described']} with other parameters than {process}")
        del about["described"]
        return cls(process=process, **about, **({"weights": None} | arrays))


def fingerprint(value: Any) -> str:
    """Hash of a process's parameters, arrays by content."""
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def _canonical(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape}{value.dtype}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if hasattr(value, "__dataclass_fields__"):
        parts = [f"{name}={_canonical(getattr(value, name))}" for name in value.__dataclass_fields__]
        return f"{type(value).__name__}({','.join(parts)})"
    if isinstance(value, tuple):
        return f"({','.join(map(_canonical, value))})"
    if isinstance(value, Callable):  # type: ignore[arg-type]
        code = getattr(value, "py_func", value).__code__
        return f"{code.co_name}{code.co_code.hex()}{code.co_consts}{code.co_names}"
    return repr(value)


def _shorten(times: np.ndarray) -> str:
    shown = [str(s) for s in times]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:3], "...", *shown[-2:]])
