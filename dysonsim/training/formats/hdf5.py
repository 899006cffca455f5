"""HDF5 files, Keras' among them, and the archives of Keras 3, which hold one.

HDF5 can point at other files (external links, external and virtual datasets), decompress without end, and take the
memory that a header asks for. Links are looked at before anything is opened, sizes before anything is read.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..._extras import needs
from .keras_names import is_bias, layout_of, of_keras, short_name
from .npz import check_member
from .stored import Stored, check_expansion, same_file

__all__ = ["listed", "listed_keras"]

Opener = Callable[[], AbstractContextManager[Any]]
DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3  # filters of HDF5; others decompress without a limit
MEMBER = "model.weights.h5"
OPTIMIZERS = ("optimizer", "optimizer_weights", "_optimizer")  # groups at the top of Keras' files


def listed(path: Path) -> dict[str, Stored]:
    """Return the datasets of an HDF5 file by their paths."""
    h5py = needs("h5py", "keras", path.name)
    return _datasets(h5py, lambda: h5py.File(path, "r"), path.stat().st_size, same_file(path))


def listed_keras(path: Path) -> dict[str, Stored]:
    """Return the datasets of the HDF5 file within a .keras archive; nothing is extracted."""
    h5py = needs("h5py", "keras", path.name)
    with zipfile.ZipFile(path) as archive:
        if MEMBER not in archive.namelist():
            raise ValueError(f"holds no {MEMBER}: must be a model that Keras 3 saved")
        member = archive.getinfo(MEMBER)
        check_member(member, path.stat().st_size)

    @contextmanager
    def opened() -> Any:
        with ExitStack() as stack:
            inner = stack.enter_context(_inner(path, member))
            yield stack.enter_context(h5py.File(inner, "r"))

    return _datasets(h5py, opened, member.file_size, same_file(path))


@contextmanager
def _inner(path: Path, member: zipfile.ZipInfo) -> Any:
    """Open a member of an archive: a part of the archive where it is stored, in memory where it is compressed."""
    with open(path, "rb") as file:
        if member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1:
            file.seek(member.header_offset)
            local = struct.unpack("<4s5H3L2H", file.read(30))
            start = member.header_offset + 30 + local[-2] + local[-1]
            if local[0] != b"PK\3\4" or start + member.file_size > path.stat().st_size:
                raise ValueError(f"{member.filename}: has a damaged header")
            yield _Part(file, start, member.file_size)
        else:
            with zipfile.ZipFile(file) as archive, archive.open(member) as inflated:
                yield io.BytesIO(inflated.read(member.file_size))  # the number bounds what is inflated


class _Part(io.RawIOBase):
    """A stretch of a file, as a file."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file, self._start, self._size, self._at = file, start, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        self._file.seek(self._start + self._at)
        data = self._file.read(max(0, min(len(view), self._size - self._at)))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def _datasets(h5py: Any, opened: Opener, size: int, unchanged: Callable[[], None]) -> dict[str, Stored]:
    with opened() as file:
        found = {}
        for path, dataset in _walk(h5py, file).items():
            if path.split("/")[0] in OPTIMIZERS or is_bias(path):
                continue
            shape = dataset.shape or ()
            if len(shape) > 1:
                _check(path, dataset, size)
            keras = of_keras(path)
            rows, columns = layout_of(path, len(shape)) if keras else ((0,), None)
            found[path] = Stored(
                tuple(shape),
                _dtype(dataset),
                _reader(opened, path, size, unchanged),
                rows,
                columns,
                identity=_address(h5py, dataset),
                called=short_name(path) if keras else "",
            )
    return found


def _dtype(dataset: Any) -> str:
    """Return the type; Keras 3 marks its bfloat16 by an attribute.

    No attribute is read, though some hold the names of layers: in a damaged file that ends the process, within HDF5.
    """
    return "bfloat16" if dataset.dtype.str == "|V2" and "dtype" in dataset.attrs else dataset.dtype.name


def _address(h5py: Any, thing: Any) -> int:
    return h5py.h5o.get_info(thing.id).addr


def _walk(h5py: Any, file: Any) -> dict[str, Any]:
    """Return all datasets by their paths; ValueError at a link that leaves the file, none of which is followed."""
    datasets: dict[str, Any] = {}
    soft: dict[str, str] = {}
    waiting, seen = [("", file)], set()
    while waiting:
        folder, group = waiting.pop()
        if _address(h5py, group) in seen:
            continue
        seen.add(_address(h5py, group))
        below = []
        for key in group:
            path = f"{folder}/{key}".lstrip("/")
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.SoftLink):
                soft[path] = f"{'' if link.path.startswith('/') else folder}/{link.path}".strip("/")
            elif not isinstance(link, h5py.HardLink):
                raise ValueError(f"{path}: is a link to another file, which is not followed")
            elif (kind := group.get(key, getclass=True)) is h5py.Group:
                below.append((path, group[key]))
            elif kind is h5py.Dataset:
                datasets[path] = _local(path, group[key])
        waiting += reversed(below)
    for path, target in soft.items():
        if target not in datasets:
            raise ValueError(f"{path}: is a soft link to {target!r}, which is no dataset of this file")
    return datasets


def _local(path: str, dataset: Any) -> Any:
    """Check that the numbers are in this file."""
    if dataset.is_virtual or dataset.external:
        kind = "virtual" if dataset.is_virtual else "external"
        raise ValueError(f"{path}: is {kind} data, which lies in other files; nothing was read")
    return dataset


def _filters(dataset: Any) -> list[int]:
    plan = dataset.id.get_create_plist()
    return [plan.get_filter(k)[0] for k in range(plan.get_nfilters())]


def _check(path: str, dataset: Any, size: int) -> None:
    """Check what reading would take, from the header."""
    numbers = max(dataset.size, math.prod(dataset.chunks or ()))  # a chunk may exceed its dataset
    try:
        check_expansion(numbers * dataset.dtype.itemsize, dataset.id.get_storage_size(), size)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    filters = _filters(dataset)
    if not {DEFLATE, SHUFFLE, CHECKSUM}.issuperset(filters) or filters.count(DEFLATE) > 1:
        raise ValueError(f"{path}: is compressed by filters {filters} of HDF5; store it with gzip or uncompressed")


def _check_chunks(dataset: Any) -> None:
    """Check that each compressed chunk is as long as the header says: HDF5 itself inflates without a limit."""
    filters = _filters(dataset)
    if dataset.chunks is None or DEFLATE not in filters:
        return
    length = math.prod(dataset.chunks) * dataset.dtype.itemsize
    offsets: list[tuple[int, ...]] = []
    dataset.id.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    for offset in offsets:
        skipped, data = dataset.id.read_direct_chunk(offset)
        if skipped & 1 << filters.index(DEFLATE):
            continue
        if len(zlib.decompressobj().decompress(data, length + 1)) != length:
            raise ValueError(f"{dataset.name}: the chunk at {offset} does not hold {length} bytes")


def _reader(opened: Opener, path: str, size: int, unchanged: Callable[[], None]) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        unchanged()
        with opened() as file:
            dataset = _local(path, file[path])
            _check(path, dataset, size)
            _check_chunks(dataset)
            numbers = dataset[()]
            if _dtype(dataset) == "bfloat16":
                return (numbers.view("<u2").astype(np.uint32) << 16).view(np.float32)
            return numbers

    return read
