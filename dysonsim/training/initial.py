"""The weights at the start of a recorded training: an .npz file beside the journal, read one layer at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from .. import _checks
from .._files import read_array, write_whole

__all__ = ["StoredWeights"]


class StoredWeights(Mapping[str, np.ndarray]):
    """Weight matrices in an .npz file, with names and shapes as the recording has them."""

    def __init__(self, path: Path, shapes: dict[str, tuple[int, int]]) -> None:
        self.path, self.shapes = path, shapes

    @staticmethod
    def beside(path: Path) -> Path:
        """Where the initial weights of a journal are."""
        return path.with_name(path.name + ".initial.npz")

    @classmethod
    def write(cls, path: Path, weights: Mapping[str, np.ndarray]) -> StoredWeights:
        """Write them, whole or not at all, one after the other."""
        shapes: dict[str, tuple[int, int]] = {}

        def archive(file) -> None:
            with zipfile.ZipFile(file, "w") as members:
                for name in weights:
                    array = weights[name]
                    shapes[name] = array.shape  # type: ignore[assignment]
                    with members.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)

        write_whole(path, archive)
        return cls(path, shapes)

    def __getitem__(self, layer: str) -> np.ndarray:
        if layer not in self.shapes:
            raise KeyError(f"layer = {_checks.shown(layer)}: must be one of {', '.join(map(repr, self.shapes))}")
        try:
            array = read_array(self.path, layer, "f")
            if array.shape != self.shapes[layer]:
                raise ValueError(f"{layer} has shape {array.shape}, in the recording {self.shapes[layer]}")
        except ValueError as error:
            raise ValueError(f"{str(self.path)!r} is not what ds.watch wrote ({error})") from None
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)
