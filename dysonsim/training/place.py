"""Where a recording goes, in memory or a file, and the step from which it continues."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .. import _checks
from .._files import checked_path
from .initial import StoredWeights
from .journal import MAGIC, Journal
from .matrices import Matrix
from .reading import read_journal
from .recording import ABOUT, Recording

__all__ = ["Place"]

SAME = 1e-5  # singular values, over the largest, that are those of the same weights


class Place:
    """Where a recording goes, and where it starts."""

    def __init__(self, path: Any, resume: Any) -> None:
        self.path = None if path is None else checked_path("path", path)
        self.resume = bool(resume) if isinstance(resume, (bool, np.bool_)) else _checks.integer("resume", resume, 0)
        if self.resume is not False and self.path is None:
            raise ValueError(f"resume = {resume!r}: needs the path of the recording to continue")
        if self.path is not None:
            there = self.path.exists()
            if there and self.resume is False:
                raise FileExistsError(f"path = {str(self.path)!r}: exists; give another, or resume= to continue it")
            if not there and self.resume:
                raise FileNotFoundError(f"path = {str(self.path)!r}: there is no recording to resume; give resume=0")

    def open(self, about: dict[str, Any], matrices: list[Matrix]) -> tuple[Recording, Journal | None, int]:
        """Return the recording, its file if there is to be one, and the step at which the training is."""
        if self.path is None:
            return Recording(about, initial={m.name: m.array() for m in matrices}), None, 0
        if self.resume is not False and self.path.exists():
            if self.path.stat().st_size > len(MAGIC) or not MAGIC.startswith(self.path.read_bytes()):
                return self._continued(about, matrices)
            self.path.unlink()  # of a process that was killed as it began
        initial = StoredWeights.write(StoredWeights.beside(self.path), _Arrays(matrices))
        journal = Journal(self.path)
        journal.append(ABOUT, json.dumps(about).encode())
        return Recording(about, self.path, initial), journal, 0

    def _continued(self, about: dict[str, Any], matrices: list[Matrix]) -> tuple[Recording, Journal, int]:
        assert self.path is not None
        old, end = read_journal(self.path)
        steps = old.steps
        start = (int(steps[-1]) if len(steps) else 0) if self.resume is True else int(self.resume)
        _same(str(self.path), old._about, about)
        needed = start - start % old.every
        if self.resume is not True and start and needed not in steps:
            last = f"the last record before it is of step {steps[steps <= start][-1]}" if len(steps) else "it is empty"
            raise ValueError(
                f"resume = {start}: {str(self.path)!r} lacks the record of step {needed}; {last}, so resume from a "
                "checkpoint of that step, or record to another path"
            )
        recording, end = read_journal(self.path, until=start)
        _check_weights(recording, start, matrices)
        return recording, Journal(self.path, keep=end), start


class _Arrays(dict):
    """Weights by name, each copied when it is asked for, so that one at a time is in memory."""

    def __init__(self, matrices: list[Matrix]) -> None:
        super().__init__((matrix.name, matrix) for matrix in matrices)

    def __getitem__(self, name: str) -> np.ndarray:
        return super().__getitem__(name).array()


def _same(path: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Check that a recording can be continued with these layers and options."""
    if list(old["layers"].items()) != list(new["layers"].items()):
        shapes = [", ".join(f"{name} {tuple(x['shape'])}" for name, x in a["layers"].items()) for a in (old, new)]
        raise ValueError(f"resume: {path!r} is of layers {shapes[0]}; here they are {shapes[1]}")
    for option in ("every", "kicks", "top", "sampling"):
        if old[option] != new[option]:
            raise ValueError(
                f"{option} = {new[option]!r}: {path!r} was recorded with {old[option]!r}; resume needs the same"
            )


def _check_weights(recording: Recording, step: int, matrices: list[Matrix]) -> None:
    """Compare the model with what was recorded at the step that it is said to be at, if anything was."""
    row = recording._row_at(step)
    if row is None:
        return
    for matrix in matrices:
        rate, end = recording._columns[matrix.name]
        then = row[rate + 1 : end]
        now = matrix.singular_values()[-len(then) :]
        largest = np.nanmax([then[-1], now[-1], 0.0])
        if not np.isclose(then, now, rtol=0, atol=SAME * largest, equal_nan=True).all():
            raise ValueError(
                f"resume = {step}: the weights of layer {matrix.name!r} are not those recorded at that step; load the "
                "checkpoint before ds.watch, and give resume= its step"
            )
