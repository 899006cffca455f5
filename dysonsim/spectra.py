"""`Run`: the spectra of an ensemble of networks, with what made them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _validate

if TYPE_CHECKING:
    from .processes import SGD

__all__ = ["Run", "mean_and_error", "singular_values"]


def singular_values(weights: np.ndarray) -> np.ndarray:
    """Square roots of the eigenvalues of W^T W.

    Parameters
    ----------
    weights : (..., p, n) array

    Returns
    -------
    (..., n) array of float64
        Ascending; where n > p the first n - p are zero.
    """
    if np.iscomplexobj(weights) or np.ndim(weights) < 2:
        raise ValueError(f"weights have shape {np.shape(weights)}: must be real matrices, shape (..., p, n)")
    w = np.asarray(weights, dtype=np.float64)
    p, n = w.shape[-2:]
    if (p, n) == (2, 2):  # closed form: two orders of magnitude faster than LAPACK on many small matrices
        a, b, c, d = w[..., 0, 0], w[..., 0, 1], w[..., 1, 0], w[..., 1, 1]
        sum_, difference = np.hypot(a + d, b - c), np.hypot(a - d, b + c)
        return np.stack([np.abs(sum_ - difference) / 2, (sum_ + difference) / 2], axis=-1)
    values = np.zeros((*w.shape[:-2], n))
    values[..., max(0, n - p) :] = np.linalg.svd(w, compute_uv=False)[..., ::-1]
    return values


def mean_and_error(values: np.ndarray, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean and its standard error over independent entries along `axis` (networks, in a Run)."""
    if np.iscomplexobj(values) or np.ndim(values) == 0 or np.shape(values)[axis] < 2:
        allowed = f"real, with two or more entries along axis {axis}"
        raise ValueError(f"values have shape {np.shape(values)}: must be {allowed}")
    v = np.asarray(values, dtype=np.float64)
    return v.mean(axis), v.std(axis, ddof=1) / np.sqrt(v.shape[axis])


@dataclass(frozen=True)
class Run:
    """What `dysonsim.simulate` returns.

    Attributes
    ----------
    process : SGD
        What was simulated.
    seed : int
        Key of the random numbers: the same process and seed give the same run.
    steps : (records,) int array
        SGD steps done when the spectra were recorded, ascending.
    singular_values : (replicas, records, n) float array
        Of the weights W (p x n), ascending.
    eigenvalues : (replicas, records, n) float array
        Of X = W^T W, ascending: the squares of the singular values.
    weights : (replicas, records, p, n) float array or None
        When `keep_weights` was asked for.
    device, dtype, version : str
        Where, in which float type and by which dysonsim it was computed.
    state : (replicas, m) float array
        Weights and persistent chains after the last step; `simulate(..., resume=run)` goes on from it.
    """

    process: SGD
    seed: int
    steps: np.ndarray
    singular_values: np.ndarray
    weights: np.ndarray | None
    device: str
    dtype: str
    version: str
    state: np.ndarray = field(repr=False)
    last_step: int

    @cached_property
    def eigenvalues(self) -> np.ndarray:
        return self.singular_values**2

    @property
    def replicas(self) -> int:
        return self.singular_values.shape[0]

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.singular_values.shape))
        how = f"seed {self.seed}, {self.dtype} on {self.device}"
        return f"<Run of {self.process}: {shape} (replicas x records x n), {how}>"

    def record(self, step: int) -> int:
        """Index of the record taken at `step`; ValueError if there is none."""
        found = np.flatnonzero(self.steps == _validate.integer("step", step, 0))
        if not len(found):
            raise ValueError(f"step = {step}: no record was taken there; recorded steps are {_shorten(self.steps)}")
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
            raise TypeError(f"group = {group!r}: must be a tuple of level indices")
        record = _validate.integer("record", record, -len(self.steps), len(self.steps) - 1)
        levels = list(group)
        n = self.singular_values.shape[-1]
        if len(levels) < 2 or levels not in [list(range(a, a + len(levels))) for a in range(n - len(levels) + 1)]:
            allowed = f"two or more neighbouring level indices from 0 to {n - 1}, ascending"
            raise ValueError(f"group = {group!r}: must be {allowed}")
        spectrum = self.singular_values if singular else self.eigenvalues
        return np.diff(spectrum[:, record, levels], axis=-1)

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything but the process to an .npz file; `Run.load` needs the process again."""
        about = {
            "process": fingerprint(self.process), "described": repr(self.process), "seed": self.seed,
            "device": self.device, "dtype": self.dtype, "version": self.version, "last_step": self.last_step,
        }  # fmt: skip
        arrays = {"steps": self.steps, "singular_values": self.singular_values, "state": self.state}
        if self.weights is not None:
            arrays["weights"] = self.weights
        with open(path, "wb") as file:
            np.savez(file, **arrays, about=np.array(json.dumps(about)))  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | PathLike[str], process: SGD) -> Run:
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
    return repr(value)


def _shorten(steps: np.ndarray) -> str:
    shown = [str(s) for s in steps]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:3], "...", *shown[-2:]])
