"""Which arrays of a source are layers, what they are called, which of them are wanted, and which hold several."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from .. import _checks
from .formats.stored import Stored

__all__ = ["Entry", "chosen", "entries", "patterns", "rules_of", "some", "split_up"]

ATTENTION = "*in_proj_weight", ("q", "k", "v")  # of torch.nn.MultiheadAttention
Rule = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class Entry:
    """One layer: an array of a source, or one of equal parts of its rows."""

    name: str
    stored: Stored
    names: tuple[str, ...]  # by which it is looked up
    aliases: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()  # names of what it is a part of
    part: tuple[int, int] = (0, 1)  # which, of how many

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        rows, columns = self.stored.matrix_shape
        return rows // self.part[1], columns

    @property
    def is_matrix(self) -> bool:
        """Whether it has a spectrum to speak of; what has no shape yet may."""
        return self.stored.shape is None or min(self.shape) > 1

    def matrix(self) -> np.ndarray:
        """Read it."""
        whole, (which, count) = self.stored.matrix(), self.part
        rows = self.shape[0]
        return whole if count == 1 else whole[which * rows : (which + 1) * rows].copy()

    def matches(self, pattern: str) -> bool:
        """Whether a name or a pattern means this layer, or what it is a part of."""
        return any(name == pattern or fnmatchcase(name, pattern) for name in (*self.names, *self.whole))


def _short(name: str, stored: Stored) -> str:
    """Return the layer's name, without what compiled and distributed models add."""
    if stored.called:
        return stored.called
    short = re.sub(r"(^|\.)_orig_mod\.", r"\1", name)
    while short.startswith("module."):
        short = short.removeprefix("module.")
    return short.removesuffix(".weight")


def entries(stored: Mapping[str, Stored]) -> list[Entry]:
    """Return all arrays under short names (full ones where two would have the same); tied ones once."""
    counts = Counter(_short(full, array) for full, array in stored.items())
    found: dict[Hashable, Entry] = {}
    for full, array in stored.items():
        short = _short(full, array)
        short = short if counts[short] == 1 else full
        names = tuple(dict.fromkeys((short, full)))
        key = full if array.identity is None else (array.identity, array.rows, array.columns)
        first = found.get(key)
        if first is None:
            found[key] = Entry(short, array, names)
        else:
            found[key] = replace(first, names=first.names + names, aliases=(*first.aliases, short))
    return list(found.values())


def patterns(name: str, value: Any) -> list[str]:
    """Return names or patterns as a list; one may stand alone."""
    allowed = "a name or a pattern such as 'layers.*', or a sequence of them"
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, Sequence | set | frozenset) or isinstance(given, bytes | bytearray):
        raise TypeError(f"{name} = {_checks.shown(value)}: must be {allowed}")
    if not all(isinstance(pattern, str) for pattern in given):
        raise TypeError(f"{name} = {_checks.shown(value)}: must be {allowed}")
    return list(given)


def rules_of(split: Any) -> list[Rule]:
    """Return the argument `split` as patterns with names of parts."""
    if split is None:
        return []
    allowed = "a dictionary of names or patterns to a number >= 1 or names of parts"
    if not isinstance(split, Mapping) or not all(isinstance(pattern, str) for pattern in split):
        raise TypeError(f"split = {_checks.shown(split)}: must be {allowed}")
    rules = []
    for pattern, parts in split.items():
        what = f"split[{pattern!r}]"
        if isinstance(parts, list | tuple):
            if not parts or len(set(map(str, parts))) < len(parts) or not all(isinstance(p, str) for p in parts):
                raise ValueError(f"{what} = {_checks.shown(parts)}: names of parts must be different strings")
            rules.append((pattern, tuple(parts)))
        else:
            rules.append((pattern, tuple(map(str, range(_checks.integer(what, parts, 1, 10_000))))))
    return rules


def split_up(found: Sequence[Entry], rules: Sequence[Rule], label: str) -> list[Entry]:
    """Return the layers with those divided that hold several."""
    for pattern, _ in rules:
        if not any(entry.matches(pattern) for entry in found if entry.is_matrix):
            raise ValueError(f"split: {pattern!r} matches nothing in {label}, which holds {some(found)}")
    result: list[Entry] = []
    for entry in found:
        parts = next((parts for pattern, parts in rules if entry.matches(pattern)), None)
        rows, columns = entry.shape
        if parts is None and fnmatchcase(entry.name, ATTENTION[0]) and rows == 3 * columns:
            parts = ATTENTION[1]
        if parts is None or len(parts) == 1 or not entry.is_matrix or entry.stored.refused:
            result.append(entry)
        elif rows % len(parts):
            raise ValueError(f"split: {entry.name} has {rows} rows, which are not {len(parts)} equal parts")
        else:
            for k, part in enumerate(parts):
                name = f"{entry.name}.{part}"
                result.append(Entry(name, entry.stored, (name,), (), entry.names, (k, len(parts))))
    twice = [name for name, count in Counter(entry.name for entry in result).items() if count > 1]
    if twice:
        raise ValueError(f"{label}: {twice[0]} is the name of two layers; give other names in split=")
    return result


def chosen(found: Sequence[Entry], wanted: Sequence[str] | None, unwanted: Sequence[str], label: str) -> list[Entry]:
    """Return the matrices that are wanted, in the order of the source; ValueError if there is none."""
    matrices = [entry for entry in found if entry.is_matrix]
    for pattern in wanted or ():
        if not any(entry.matches(pattern) for entry in matrices):
            other = [entry for entry in found if entry.matches(pattern)]
            what = f"is no matrix with two or more rows and columns ({some(other)})" if other else "matches nothing"
            raise ValueError(f"layers: {pattern!r} {what}; {label} holds {some(matrices or found)}")
    kept = matrices
    if wanted is not None:
        kept = [entry for entry in kept if any(map(entry.matches, wanted))]
    left = [entry for entry in kept if not any(map(entry.matches, unwanted))]
    if not left:
        none = "layers is empty" if wanted == [] else ""
        why = "skip leaves no matrix" if kept else none or "there is no matrix with two or more rows and columns"
        raise ValueError(f"{label}: {why}; it holds {some(kept or matrices or found)}")
    return left


def some(found: Iterable[Entry]) -> str:
    """Write names and shapes, not all of them if there are many."""
    shapes = ((entry.name, entry.shape if min(entry.shape) else entry.stored.shape or "") for entry in found)
    texts = [f"{name} {shape}".rstrip() for name, shape in shapes]
    more = f" and {len(texts) - 20} more" if len(texts) > 20 else ""
    return (", ".join(texts[:20]) or "nothing") + more
