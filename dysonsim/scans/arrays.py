"""Labeled arrays that grow: what a scan keeps its numbers in. In memory here, in a Zarr store in `store.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

__all__ = ["FILL", "KINDS", "Arrays", "MemoryArrays"]

KINDS: dict[str, Any] = {"float": np.float64, "integer": np.int64, "text": object}
FILL: dict[str, Any] = {"float": np.nan, "integer": 0, "text": ""}  # where nothing has been written
Region = tuple[slice, ...]


class Arrays(Protocol):
    """Arrays by name."""

    @property
    def path(self) -> str | None:
        """Return where they are, None in memory."""

    def names(self) -> list[str]:
        """Return which there are."""

    def dims(self, name: str) -> tuple[str, ...]:
        """Return the names of an array's dimensions."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Return its shape."""

    def create(self, name: str, kind: str, dims: Sequence[str], shape: Sequence[int], chunks: Sequence[int]) -> None:
        """Make an array of a kind, filled with `FILL`; what has the name is replaced."""

    def resize(self, name: str, shape: Sequence[int]) -> None:
        """Make it longer; what is new is filled."""

    def write(self, name: str, region: Region, block: np.ndarray) -> None:
        """Write a part: chunk by chunk, each of them whole or not at all."""

    def read(self, name: str, region: Region | None = None) -> np.ndarray:
        """Return a part, or all."""


@dataclass
class MemoryArrays:
    """In memory, for a scan without a path."""

    held: dict[str, tuple[str, tuple[str, ...], np.ndarray]] = field(default_factory=dict)

    @property
    def path(self) -> None:
        """None: there is no store."""
        return None

    def names(self) -> list[str]:
        """List the arrays."""
        return list(self.held)

    def dims(self, name: str) -> tuple[str, ...]:
        """Names of the dimensions of an array."""
        return self.held[name][1]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array."""
        return self.held[name][2].shape

    def create(self, name: str, kind: str, dims: Sequence[str], shape: Sequence[int], chunks: Sequence[int]) -> None:
        """Make an array, filled with what says that nothing is there yet."""
        self.held[name] = kind, tuple(dims), np.full(tuple(shape), FILL[kind], KINDS[kind])

    def resize(self, name: str, shape: Sequence[int]) -> None:
        """Make an array larger; what is new says that nothing is there yet."""
        kind, dims, old = self.held[name]
        new = np.full(tuple(shape), FILL[kind], KINDS[kind])
        new[tuple(map(slice, old.shape))] = old
        self.held[name] = kind, dims, new

    def write(self, name: str, region: Region, block: np.ndarray) -> None:
        """Put a block into a region of an array."""
        self.held[name][2][region] = block

    def read(self, name: str, region: Region | None = None) -> np.ndarray:
        """Return an array, or a region of it."""
        array = self.held[name][2]
        return array if region is None else array[region]
