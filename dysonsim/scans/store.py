"""A scan's arrays in a Zarr store: in a directory, or at an fsspec address.

A chunk is a file that is replaced as a whole. Opened with xarray it is a labeled dataset, whoever reads it. What was
asked for is told in the attribute `dysonsim_scan` of the group: points, replicas, layout, and what is done at a point.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._extras import needs
from .arrays import FILL, KINDS, Region
from .lock import Lease, LockFile

__all__ = ["TOLD", "ZarrArrays", "of_json"]

TOLD = "dysonsim_scan"
FORMAT = 1
ABOUT = {"format", "points", "replicas", "layout", "recipe", "times_vary", "version"}
FLAT = {"name": "v2", "separator": "."}  # files of chunks lie in one folder


class ZarrArrays:
    """Arrays of a store; see `dysonsim.scans.arrays.Arrays`.

    Parameters
    ----------
    path : str or path
        Of a directory, which may not be there yet, or an fsspec address such as "s3://bucket/scan.zarr".
    write : bool
        Whether to hold it for writing: a second writer is refused. Release it by `close`.

    Raises
    ------
    ImportError
        Without the extra `scan`.
    TypeError, ValueError
        If it is no path, or something else than a scan is there.
    FileNotFoundError
        If there is nothing, and it is not for writing.
    """

    def __init__(self, path: Any, write: bool = False) -> None:
        if isinstance(path, bytes) or not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"path = {path!r}: must be a path or an address, not {type(path).__name__}")
        self.path = os.fspath(path)
        if not self.path or "\0" in self.path:
            raise ValueError(f"path = {self.path!r}: must be a path or an address")
        self.zarr = needs("zarr", "scan", f"path = {self.path!r}")
        self.files, self.root = _place(self.path)
        self.known: list[str] | None = None
        self.open: dict[str, Any] = {}
        self.write_lock: Lease | LockFile | None = None
        if write:
            self.write_lock = LockFile(self.root) if self.files is None else Lease(self.files, self.root)
        try:
            self.group = self._opened(write)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let others write."""
        if self.write_lock is not None:
            self.write_lock.release()

    def _opened(self, write: bool) -> Any:
        """Open or make the group; ValueError if something else is there."""
        there = self._listed("")
        if not there and not write:
            raise FileNotFoundError(f"path = {self.path!r}: there is no scan")
        where = self.path if self.files is not None else self.root
        try:
            if there and "zarr.json" not in there:
                raise ValueError("holds something else")
            group = self.zarr.open_group(where, mode="a" if write else "r", zarr_format=3)
            self.told = group.attrs.asdict().get(TOLD, {})
        except Exception as error:  # Zarr's are of many kinds
            if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"path = {self.path!r}: must be a scan's store, or nothing yet ({error})") from None
        if there and not (isinstance(self.told, Mapping) and self.told.keys() == ABOUT):
            if not self.told and there == {"zarr.json"} and not group.attrs.asdict():
                return group  # made by one that was killed before it could say what for
            raise ValueError(f"path = {self.path!r}: is a Zarr store, but not of dysonsim's scan; give another path")
        if self.told and self.told["format"] != FORMAT:
            raise ValueError(
                f"path = {self.path!r}: has format {self.told['format']}, this version of dysonsim reads {FORMAT}"
            )
        return group

    def tell(self, told: Mapping[str, Any], further: Mapping[str, Any]) -> None:
        """Say what the store is of; readers see `further` as attributes of the dataset."""
        self.told = {"format": FORMAT, **told}
        self.group.attrs.put({**further, TOLD: self.told})

    def _listed(self, name: str) -> set[str]:
        """Names of files in the store, or in an array."""
        try:
            if self.files is None:
                return set(os.listdir(os.path.join(self.root, name)))
            self.files.invalidate_cache()
            return {str(at).rstrip("/").rpartition("/")[2] for at in self.files.ls(f"{self.root}/{name}", detail=False)}
        except FileNotFoundError:
            return set()
        except NotADirectoryError:
            raise ValueError(f"path = {self.path!r}: must be a scan's store, or nothing yet, and is a file") from None

    def names(self) -> list[str]:
        """List the arrays."""
        if self.known is None:
            # A folder without its description is of an array that a killed process was about to make.
            folders = self._listed("") - {"zarr.json"}
            self.known = sorted(name for name in folders if "zarr.json" in self._listed(name))
        return self.known

    def _array(self, name: str) -> Any:
        if name not in self.open:
            try:
                self.open[name] = self.group[name]
            except Exception as error:
                raise ValueError(f"path = {self.path!r}: its array {name!r} is damaged ({error})") from None
        return self.open[name]

    def dims(self, name: str) -> tuple[str, ...]:
        """Names of the dimensions of an array."""
        return tuple(self._array(name).metadata.dimension_names)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array."""
        return tuple(self._array(name).shape)

    def attributes(self, name: str) -> dict[str, Any]:
        """Return the attributes of an array."""
        return self._array(name).attrs.asdict()

    def create(self, name: str, kind: str, dims: Sequence[str], shape: Sequence[int], chunks: Sequence[int]) -> None:
        """Make an array, filled with what says that nothing is there yet."""
        codecs = self.zarr.codecs
        self.open[name] = self.group.create_array(
            name, shape=tuple(shape), chunks=tuple(max(1, c) for c in chunks),
            dtype=str if kind == "text" else KINDS[kind], fill_value=FILL[kind], dimension_names=list(dims),
            compressors=[codecs.ZstdCodec(level=1, checksum=True)], chunk_key_encoding=FLAT,
            config={"write_empty_chunks": True}, overwrite=True,
        )  # fmt: skip
        self.known = sorted({*self.names(), name})

    def label(self, name: str, attributes: Mapping[str, Any]) -> None:
        """Say of an array what xarray's plots write beside it."""
        self._array(name).attrs.put(dict(attributes))

    def resize(self, name: str, shape: Sequence[int]) -> None:
        """Make an array larger; what is new says that nothing is there yet."""
        self._array(name).resize(tuple(shape))

    def write(self, name: str, region: Region, block: np.ndarray) -> None:
        """Put a block into a region of an array; OSError that names the store if that fails."""
        try:
            self._array(name)[region] = block
        except OSError as error:  # a full disk, most of all
            why = error.strerror or str(error)
            told = f"{why}; what has been written stays: scan again with the same path to go on from there"
            raise OSError(error.errno, told, self.path) from error

    def read(self, name: str, region: Region | None = None) -> np.ndarray:
        """Return an array, or a region of it."""
        array = self._array(name)
        try:
            return np.asarray(array[... if region is None else region])
        except OSError:
            raise
        except Exception as error:  # of the codecs, of many kinds
            bad = ", ".join(f"{name}/{key}" for key in self._damaged(name)[:5])
            raise ValueError(
                f"path = {self.path!r}: is damaged ({type(error).__name__} in {bad or name}); remove the files named "
                "here and scan again, and their pieces are run anew"
            ) from None

    def _damaged(self, name: str) -> list[str]:
        """Return keys of chunks that cannot be read."""
        array, found = self._array(name), []
        for key in sorted(self._listed(name) - {"zarr.json"}):
            try:
                at = tuple(map(int, key.split(".")))
                _ = array[tuple(slice(i * c, (i + 1) * c) for i, c in zip(at, array.chunks, strict=True))]
            except Exception:
                found.append(key)
        return found

    def missing(self, name: str, chunks: Sequence[tuple[int, ...]]) -> list[int]:
        """Return which of these chunks (their first ones along further dimensions) have no file."""
        there, further = self._listed(name), len(self.shape(name))
        keys = (".".join(map(str, (*at, *[0] * (further - len(at))))) for at in chunks)
        return [i for i, key in enumerate(keys) if key not in there]


def _place(path: str) -> tuple[Any, str]:
    """Return the file system of an address, None for a directory here, and the path on it."""
    if "://" not in path:
        return None, os.path.abspath(path)
    fsspec = needs("fsspec", "scan", f"path = {path!r}")
    try:
        files, root = fsspec.core.url_to_fs(path)
    except (ValueError, ImportError) as error:
        raise ValueError(f"path = {path!r}: must be an address that fsspec knows ({error})") from None
    return (None, root) if type(files).__name__ == "LocalFileSystem" else (files, root)


def of_json(value: Any) -> Any:
    """Return what a value is after it has been written as JSON and read."""
    return json.loads(json.dumps(value))
