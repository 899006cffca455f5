"""NumPy's archives, compressed or not, without pickle."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np

from .stored import Stored, check_expansion, same_file

__all__ = ["check_member", "listed"]


def listed(path: Path) -> dict[str, Stored]:
    """Return the arrays of an .npz file by their names; of each only the header is read."""
    size, unchanged = path.stat().st_size, same_file(path)
    found: dict[str, Stored] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".npy"):
                continue
            name = member.filename.removesuffix(".npy")
            if name in found:
                raise ValueError(f"{name}: is in the file twice")
            check_member(member, size)
            with archive.open(member) as file:
                shape, _, dtype = _header(file, member)
            found[name] = Stored(shape, dtype.name, _reader(path, member, unchanged))
    return found


def check_member(member: zipfile.ZipInfo, size: int) -> None:
    """Check what a member of an archive of `size` bytes would take, and that Python inflates it only as far as told."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename}: is compressed in another way than by deflate")
    try:
        check_expansion(member.file_size, member.compress_size, size)
    except ValueError as error:
        raise ValueError(f"{member.filename}: {error}") from None


def _reader(path: Path, member: zipfile.ZipInfo, unchanged: Callable[[], None]) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        unchanged()
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            shape, fortran, dtype = _header(file, member)
            data = file.read(math.prod(shape) * dtype.itemsize)  # at its end the checksum is compared
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")

    return read


def _header(file: IO[bytes], member: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and type of an array, which must fill its member."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{member.filename}: has a header of version {version}")
    one = version == (1, 0)
    shape, fortran, dtype = (np.lib.format.read_array_header_1_0 if one else np.lib.format.read_array_header_2_0)(file)
    length = member.file_size - file.tell()
    if dtype.hasobject:
        raise ValueError(f"{member.filename}: holds pickled objects, which are not loaded; store arrays of numbers")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != length:
        raise ValueError(f"{member.filename}: has {length} bytes; its header says shape {shape} of {dtype}")
    return shape, fortran, dtype
