"""`Run`: the levels of an ensemble as recorded, with what made them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np

from .. import _checks
from .._files import checked_path, read_arrays, write_whole
from .._fingerprint import fingerprint, without_caches
from ..numerics.singular_values import singular_values
from ..processes import Process
from .file import KINDS, told
from .labels import to_xarray
from .layers import SAME, cut, differ, kept_numbers, numbers_of, singular_values_of
from .observable import Choice, observable_of
from .schedule import MAX_STEPS

__all__ = ["Run", "mean_and_error", "singular_values"]


def mean_and_error(values: np.ndarray, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and its standard error over independent entries along `axis` (networks, in a Run).

    Examples
    --------
    >>> import dysonsim as ds
    >>> mean, error = ds.mean_and_error([1.0, 2.0, 3.0, 4.0])
    >>> print(mean.round(3), error.round(3))
    2.5 0.645
    """
    v = _checks.array("values", values, "an array of real numbers", finite=False, empty=True)
    if v.ndim == 0:
        raise ValueError(f"values = {values}: must be an array, with two or more entries along axis {axis!r}")
    axis = _checks.integer("axis", axis, -v.ndim, v.ndim - 1)
    if v.shape[axis] < 2:
        raise ValueError(f"values have shape {v.shape}: must have two or more entries along axis {axis}")
    v = _checks.array("values", v, "an array with one entry or more along every axis")
    unit = _checks.unit(v, axis)
    inside, back = v / unit, unit.squeeze(axis)
    return inside.mean(axis) * back, inside.std(axis, ddof=1) / np.sqrt(v.shape[axis]) * back


def record_at(times: np.ndarray, time: float, what: str) -> int:
    """Find the index of a time among those of the records; ValueError, which calls times `what`, if it is not there."""
    found = np.flatnonzero(times == _checks.real("time", time, at_least=0))
    if not len(found):
        given = _checks.exact(float(time))
        raise ValueError(f"time = {given}: no record was taken at that {what}; recorded {what}s are {_shorten(times)}")
    return int(found[0])


@dataclass(frozen=True)
class Run:
    """Result of `simulate`: the recorded spectra, and what is needed to resume. Its arrays are read-only.

    Attributes
    ----------
    process : Process
        What was simulated.
    seed : int
        Seed of the random numbers.
    times : (records,) float array
        When the levels were recorded, ascending: in SGD steps, or in the unit of time of a general process.
    steps : (records,) int array
        Number of steps up to each record: SGD steps, iterations of a Markov chain, or steps of an integrator.
    eigenvalues : (replicas, records, n) float array
        Recorded levels, ascending. For a network these are the eigenvalues of X = W^T W.
    singular_values : (replicas, records, n) float array
        Square roots of `eigenvalues`: the singular values of W. ValueError if some eigenvalues are negative.
    weights : (replicas, records, p, n) float array or None
        Weights W whose singular values were recorded, if `keep_weights` was set.
    layers : tuple of (replicas, records, rows, columns) float arrays or None
        Weights of all layers, that of the inputs first, if `keep_weights` was set.
    device, dtype, version : str
        Device, float type and version of dysonsim that the run was computed with.
    state : (replicas, m) float array
        State after the last step (weights and persistent chains, or levels), from which ``simulate(..., resume=run)``
        continues.
    diagnostics : object or None
        For a Markov chain: acceptance, autocorrelation and convergence.
    first_replica : int
        Number of the first replica: row r of the arrays is replica ``first_replica + r`` of the seed.

    Examples
    --------
    >>> import dysonsim as ds
    >>> run = ds.simulate(ds.CoulombGas.hermite(n=3, beta=2.0), replicas=64, seed=1)
    >>> run.eigenvalues.shape
    (64, 1, 3)
    >>> gaps = run.spacings((0, 1, 2))
    >>> gaps.shape
    (64, 2)
    >>> print(gaps.mean(axis=0).round(1))
    [1.8 1.8]
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
    first_replica: int = 0
    kept: np.ndarray | None = field(default=None, repr=False)  # of several layers, all weights one after the other

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for name in ("times", "steps", "spectra", "weights", "state", "kept"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _read_only(getattr(self, name)))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of a pickle what is computed on request."""
        return without_caches(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields, and make the arrays read-only again."""
        vars(self).update(state)
        self.__post_init__()  # a pickle forgets that arrays are read-only

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        """Levels as eigenvalues of W^T W, (replicas, records, n), ascending."""
        return self.spectra if self.coordinate == "eigenvalues" else _read_only(self.spectra**2)

    @cached_property
    def singular_values(self) -> np.ndarray:
        """Square roots of the eigenvalues, (replicas, records, n), ascending; ValueError if one is negative."""
        if self.coordinate == "singular_values":
            return self.spectra
        if (self.spectra < 0).any():
            raise ValueError("singular_values: some levels are negative, so they are no squares; look at eigenvalues")
        return _read_only(np.sqrt(self.spectra))

    @property
    def layers(self) -> tuple[np.ndarray, ...] | None:
        """Weights of all layers, each (replicas, records, rows, columns); None if they were not kept."""
        if self.weights is None:
            return None
        return (self.weights,) if self.kept is None else cut(self.process, self.kept)

    def singular_values_of(self, layer: int | str) -> np.ndarray:
        """Return the singular values of one layer of a network, or of the product of all.

        Parameters
        ----------
        layer : int or "product"
            0 for the weights that the inputs meet first, up to L - 1; "product" for W_L ... W_1.

        Returns
        -------
        (replicas, records, n) array
            Ascending; n is the number of columns, and where there are fewer rows the first ones are 0.

        Raises
        ------
        TypeError, ValueError
            If there is no such layer; if the weights were not kept, for levels other than `singular_values`.

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), learning_rate=0.1, batch_size=16)
        >>> run = ds.simulate(sgd, replicas=10, steps=20, seed=1)
        >>> np.array_equal(run.singular_values_of(0), run.singular_values)
        True
        """
        return singular_values_of(self, layer)

    @property
    def replicas(self) -> int:
        """Number of independent replicas."""
        return self.spectra.shape[0]

    def __repr__(self) -> str:
        """Give process, shape, seed, float type and device in one line."""
        shape = " x ".join(map(str, self.spectra.shape))
        how = f"seed {self.seed}, {self.dtype} on {self.device}"
        return f"<Run of {self.process}: {shape} (replicas x records x n), {how}>"

    def record(self, time: float) -> int:
        """Find the index of the record taken at `time` (for SGD: at that step); ValueError if there is none."""
        return record_at(self.times, time, "time" if self.process.continuous else "step")

    def spacings(
        self,
        group: tuple[int, ...],
        record: int = -1,
        observable: Choice | None = None,
        singular: bool | None = None,
    ) -> np.ndarray:
        """Return the gaps between neighboring levels.

        Parameters
        ----------
        group : tuple of int
            Neighboring level indices, ascending; `sgd.degenerate_groups()` lists those that share a well.
        record : int
            Index of the record.
        observable : str, Observable or callable(run) -> (replicas, records, n) array, optional
            Of what: "eigenvalues", the default, "singular_values", or a function with one number for each level.
        singular : bool, optional
            The old spelling of ``observable="singular_values"``, with a DeprecationWarning.

        Returns
        -------
        (replicas, len(group) - 1) array

        Examples
        --------
        >>> import numpy as np, dysonsim as ds
        >>> sgd = ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), learning_rate=0.1, batch_size=16)
        >>> run = ds.simulate(sgd, replicas=100, steps=200, seed=1)
        >>> run.spacings((0, 1), observable="singular_values").shape
        (100, 1)
        """
        if not isinstance(group, (tuple, list, range)):
            raise TypeError(f"group = {_checks.shown(group)}: must be a tuple of level indices")
        record = _checks.integer("record", record, -len(self.times), len(self.times) - 1)
        if isinstance(observable, (bool, np.bool_)):  # the old third argument
            observable, singular = None, bool(observable)
        if singular is not None:
            singular = _checks.flag("singular", singular)
            old = "singular_values" if singular else "eigenvalues"
            observable = _checks.renamed("singular", old, "observable", observable)
        observable = "eigenvalues" if observable is None else observable
        chosen = observable_of(observable, of_levels="`spacings` takes the differences of levels")
        n = self.spectra.shape[-1]
        allowed = f"two or more neighboring level indices from 0 to {n - 1}, ascending"
        levels = _checks.array("group", group, allowed, dimensions=(1,), empty=True)
        if len(levels) < 2 or not np.array_equal(levels, np.arange(int(levels[0]), int(levels[0]) + len(levels))):
            raise ValueError(f"group = {_checks.shown(group)}: must be {allowed}")
        if levels[0] < 0 or levels[-1] >= n:
            raise ValueError(f"group = {_checks.shown(group)}: must be {allowed}")
        return np.diff(chosen.of_levels(self)[:, record, int(levels[0]) : int(levels[-1]) + 1], axis=-1)

    def to_xarray(self) -> Any:
        """Return it as an xarray.Dataset: dimensions replica, time and level, units and what made it as attributes.

        Needs the extra `scan`. ``arviz.from_dict({"eigenvalues": run.eigenvalues})`` takes chains as they are.
        """
        return to_xarray(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything but the process and the diagnostics to an .npz file; `Run.load` needs the process again.

        An existing file is replaced only when the new one is complete. An error, a full disk, Ctrl-C or the end of the
        process before that leaves the old file in place.

        Raises
        ------
        TypeError, ValueError
            If `path` is not the path of a file but a file descriptor, a directory or a device.
        OSError
            If the file cannot be written.
        """
        about = {
            "process": fingerprint(self.process), "described": repr(self.process), "seed": self.seed,
            "coordinate": self.coordinate, "device": self.device, "dtype": self.dtype, "version": self.version,
            "last_time": self.last_time, "last_step": self.last_step, "first_replica": self.first_replica,
        }  # fmt: skip
        arrays = {"times": self.times, "steps": self.steps, "spectra": self.spectra, "state": self.state}
        if self.weights is not None:
            arrays["weights"] = self.weights
        if self.kept is not None:
            arrays["kept"] = self.kept
        about["sha256"] = fingerprint((arrays, about))
        whole = arrays | {"about": np.array(json.dumps(about))}
        write_whole(checked_path("path", path), lambda file: np.savez(file, **whole))  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | PathLike[str], process: Process) -> Run:
        """Read a run that `save` wrote.

        Functions of the process are compared by their code and what they capture, under one version of Python.

        Parameters
        ----------
        path : path
        process : Process
            What was simulated, with the same parameters.

        Raises
        ------
        TypeError, ValueError
            If `path` is not the path of a file; if the file is not one that `save` wrote, or is damaged; or if it was
            made by another process. Everything in a file is checked before it is used: sizes, types, a hash of all that
            was saved, shapes, finite and ascending levels, times and steps, and that the state has the levels that were
            recorded last.
        OSError
            If the file cannot be opened.
        """
        found = checked_path("path", path)
        if not isinstance(process, Process):
            raise TypeError(f"process = {process!r}: must be the dysonsim process that the run is of")
        try:
            arrays: dict[str, Any] = {"weights": None, "kept": None, **read_arrays(found, KINDS)}
            about = told(arrays.pop("about", None))
            saved = about.pop("sha256")
            if saved != fingerprint(({name: a for name, a in arrays.items() if a is not None}, about)):
                raise ValueError("the arrays, or their description, are not what was saved")
            made_by, described = about.pop("process"), about.pop("described")
            other = made_by != fingerprint(process)
            run = None if other else cls(process=process, **about, **arrays)
            fault = "" if run is None else run.fault()
        except (ValueError, TypeError) as error:  # TypeError: an array is missing
            fault, other = str(error), False
        if fault:
            raise ValueError(f"path = {str(path)!r}: must be a file that Run.save wrote ({fault})") from None
        if other or run is None:
            raise ValueError(f"{path} was made by {described} with other parameters than {process}")
        return run

    def fault(self) -> str:
        """Say what is inconsistent in this run; empty if nothing is.

        This is for numbers that were changed, or read from a file: they go into compiled code when the run is resumed.
        """
        replicas, records, _ = np.shape(self.spectra) if np.ndim(self.spectra) == 3 else (0, 0, 0)
        wanted = {
            "spectra": ((replicas, records, self.process.n), {"float64"}),
            "times": ((records,), {"float64"}), "steps": ((records,), {"int64"}),
            "state": ((replicas, self.process.state_size), {"float64", self.dtype}),
        }  # fmt: skip
        if self.weights is not None:
            wanted["weights"] = ((replicas, records, *(self.process.weight_shape or ())), {"float64"})
            if kept_numbers(self.process):
                wanted["kept"] = ((replicas, records, kept_numbers(self.process)), {"float64"})
        for name, (shape, dtypes) in wanted.items():
            array = getattr(self, name)
            if array is None:
                return f"{name} is missing"
            if array.shape != shape or 0 in shape or array.dtype.name not in dtypes:
                allowed = f"{shape} of {' or '.join(sorted(dtypes))}"
                return f"{name} has shape {array.shape} of {array.dtype}, must have {allowed}"
            if not np.isfinite(array).all():
                return f"{name} holds numbers that are not finite"
        return self._fault_of_times() or self._fault_of_levels()

    def _fault_of_levels(self) -> str:
        if self.coordinate != self.process.coordinate:
            return f"coordinate = {self.coordinate!r}, must be {self.process.coordinate!r}"
        now = self.process.spectra(np.asarray(self.state, np.float64))
        for name, levels in (("spectra", self.spectra), ("state", now)):
            if not (np.diff(levels, axis=-1) >= 0).all():
                return f"{name}: levels do not ascend"
            if self.coordinate == "singular_values" and (levels < 0).any():
                return f"{name}: singular values are negative"
        if self.steps[-1] == self.last_step:
            last = self.spectra[:, -1]
            if (np.abs(now - last) > SAME * np.abs(last).max(axis=-1, keepdims=True)).any():
                return "state: has other levels than the last record"
            state = np.asarray(self.state, np.float64)
            if self.weights is not None and differ(self.weights[:, -1], self.process.weights(state)):
                return "state: has other weights than the last record"
            if self.kept is not None and differ(self.kept[:, -1], numbers_of(self.process, state)):
                return "state: has other layers than the last record"
        return self.process.fault_of_state(self.state)

    def _fault_of_times(self) -> str:
        ends = self.last_time, self.last_step
        if not isinstance(self.last_step, (int, np.integer)) or not isinstance(self.last_time, (int, float)):
            return f"last_time, last_step = {ends}: must be a number and an integer"
        continuous = self.process.continuous
        ascend = (np.diff(self.times) > 0).all() and (np.diff(self.steps) >= 0).all()
        if not ascend or self.steps[0] < 0 or self.times[0] < 0:
            return "times or steps do not ascend from 0 on"
        if self.steps[-1] > self.last_step or self.times[-1] > self.last_time or self.last_step > MAX_STEPS:
            return f"last_time, last_step = {ends}: are before the last record, or too large"
        if continuous and ends != (self.times[-1], self.steps[-1]):
            return f"last_time, last_step = {ends}: are not those of the last record"
        if not continuous and ((self.times != self.steps).any() or self.last_time != self.last_step):
            return "times are not the steps"
        return ""


def _read_only(array: np.ndarray) -> np.ndarray:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def _shorten(times: np.ndarray) -> str:
    shown = [str(s) for s in times]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:3], "...", *shown[-2:]])
