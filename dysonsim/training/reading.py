"""Read a recording from its journal, which nobody vouches for."""

from __future__ import annotations

import json
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .._files import checked_path
from . import journal
from .recording import ABOUT, AFTER, NOTE, RECORD, ROW, SAMPLING, Recording

__all__ = ["load_recording", "read_journal"]


def load_recording(path: str | PathLike[str]) -> Recording:
    """Read what `watch(model, path=path)` recorded, also while it still records, or after it was killed.

    A record that was not written whole is left out.

    Raises
    ------
    OSError
        If the file cannot be opened.
    TypeError, ValueError
        If `path` is no path of a file, or the file is no recording, with the reason. Nothing in it is executed, and no
        more memory is taken than the file is long.

    Warns
    -----
    RuntimeWarning
        If the file is damaged before its end; what comes after that place is left out.

    Examples
    --------
    >>> import torch, dysonsim as ds
    >>> import tempfile
    >>> model, folder = torch.nn.Linear(4, 3), tempfile.TemporaryDirectory()
    >>> with ds.watch(model, every=10, path=f"{folder.name}/run.dsrec") as rec:
    ...     for _ in range(20):
    ...         rec.step(learning_rate=0.1, batch_size=5)
    >>> ds.load_recording(f"{folder.name}/run.dsrec").steps.tolist()
    [0, 10, 20]
    >>> folder.cleanup()
    """
    return read_journal(checked_path("path", path))[0]


def read_journal(path: Path, until: int | None = None) -> tuple[Recording, int]:
    """Return a recording up to step `until`, by default all of it, and where in the file that ends."""
    try:
        frames, lost = journal.read(path)
        if not frames or frames[0].kind != ABOUT:
            raise ValueError("its header is not whole")
        recording = Recording(_checked_header(frames[0].content), path)
        end, longest = frames[0].end, 8 * recording._width + 64
        for frame in frames[1:]:
            if not _take(recording, frame, until):
                break
            end = frame.end
    except (ValueError, RecursionError) as error:
        raise ValueError(f"path = {str(path)!r}: must be a file that ds.watch wrote ({error})") from None
    if lost > max(longest, 4096):
        text = f"path = {str(path)!r}: is damaged; {lost} bytes after step {recording.steps[-1:]} are left out"
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    return recording, end


def _take(recording: Recording, frame: journal.Frame, until: int | None) -> bool:
    """Add a frame to the recording, unless it is of a later step than `until`; ValueError if it makes no sense."""
    if frame.kind == NOTE:
        note = json.loads(frame.content)
        if not _is_note(note, len(recording.layers)):
            raise ValueError("a note on the optimizer is not one")
        if until is not None and note["step"] > until:
            return False
        recording._notes.append(note)
        return True
    if frame.kind != ROW or len(frame.content) != 8 * recording._width:
        raise ValueError(f"a frame of kind {frame.kind!r} has {len(frame.content)} bytes")
    row = np.frombuffer(frame.content, "<f8")
    before = recording._rows()[-1, 1] if recording._count else -1.0
    if row[0] not in (RECORD, AFTER) or not before < row[1] < 2**53 or row[1] % 1:
        raise ValueError(f"a record of kind {row[0]:g} and step {row[1]:g} follows step {before:g}")
    if until is not None and row[1] > until:
        return False
    recording._add_row(row)
    return True


def _checked_header(content: bytes) -> dict[str, Any]:
    about = json.loads(content)
    try:
        layers, top = about["layers"], about["top"]
        right = layers and isinstance(layers, dict) and isinstance(about["kicks"], bool)
        right = right and (about["sampling"] is None or about["sampling"] in SAMPLING)
        counts = [about["every"], *([] if top is None else [top])]
        for layer in layers.values():
            rows, columns = layer["shape"]
            counts += [rows, columns, layer["levels"]]
            right = right and layer["levels"] <= min(rows, columns)
        right = right and all(type(n) is int and 1 <= n < 2**53 for n in counts)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"its header lacks something: {error!r}") from None
    if not right:
        raise ValueError("its header makes no sense")
    return about


def _is_note(note: Any, layers: int) -> bool:
    try:
        named = note["optimizer"] is None or isinstance(note["optimizer"], str)
        numbers = [note["step"], note["batch_size"], *note["learning_rate"]]
        places = len(note["learning_rate"]) == len(note["group"]) == layers
        groups = all(g is None or isinstance(note["groups"][g], dict) for g in note["group"])
        return named and places and groups and all(type(x) in (int, float) for x in numbers)
    except (KeyError, TypeError, IndexError):
        return False
