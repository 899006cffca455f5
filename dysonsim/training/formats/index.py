"""The index of weights in several files, as Hugging Face's libraries write it; all of them lie beside the index."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from .stored import Stored

__all__ = ["listed"]

LONGEST = 2**26  # bytes of an index; that of 1000 layers takes 100 kB


def listed(path: Path, reader_of: Callable[[Path], Callable[[Path], dict[str, Stored]]]) -> dict[str, Stored]:
    """Return the arrays that an index names, each from the file that it names.

    Parameters
    ----------
    path : Path
    reader_of : callable(path) -> callable(path) -> dict
        What lists the arrays of a file; it is asked for files only that lie beside the index.
    """
    if path.stat().st_size > LONGEST:
        raise ValueError(f"has {path.stat().st_size} bytes; an index has at most {LONGEST}")
    content = json.loads(path.read_bytes())
    where = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(where, Mapping) or not all(isinstance(name, str) for name in where.values()):
        raise ValueError('is no index: it has no "weight_map" of names to files')
    found: dict[str, Stored] = {}
    shards = {name: _beside(path, name) for name in dict.fromkeys(where.values())}
    readers = {name: reader_of(shard) for name, shard in shards.items()}
    for name, shard in shards.items():
        arrays = readers[name](shard.resolve())
        wanted = [key for key, file in where.items() if file == name]
        missing = [key for key in wanted if key not in arrays]
        if missing:
            raise ValueError(f"{name} does not hold {', '.join(map(repr, missing[:8]))}, which the index says it does")
        found |= {key: arrays[key] for key in wanted}
    return {key: found[key] for key in where}


def _beside(index: Path, name: str) -> Path:
    """Return a file that an index names, if it lies in the index's folder, links followed.

    Where the index itself is a link, as in the cache of Hugging Face, so are its files, into the same folder.
    """
    shard = index.parent / name
    real = shard.resolve()
    folders = index.parent.resolve(), index.resolve().parent
    if "\0" in name or not any(real.is_relative_to(folder) for folder in folders):
        raise ValueError(f"names {name!r}, which is outside of its folder; such files are not read")
    if not real.is_file():
        raise ValueError(f"names {name!r}, which is not there")
    return shard
