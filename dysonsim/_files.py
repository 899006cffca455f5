"""Files that are written whole or not at all, and arrays read from files that nobody vouches for."""

from __future__ import annotations

import math
import os
import secrets
import stat
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import _checks

__all__ = ["checked_path", "read_array", "read_arrays", "write_whole"]

FORGOTTEN = 3600  # seconds after which nobody writes to a temporary file any more


def checked_path(name: str, path: Any) -> Path:
    """Return the path of a file, or of one that is to be made; TypeError or ValueError if it is none."""
    if isinstance(path, bytes) or not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{name} = {_checks.shown(path)}: must be a path, not {type(path).__name__}")
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise ValueError(f"{name} = {text!r}: must be a path")
    found = Path(text)
    if found.exists() and not found.is_file():
        raise ValueError(f"{name} = {text!r}: must be a file, not a {_kind(found)}")
    return found


def _kind(path: Path) -> str:
    mode = path.stat().st_mode
    return "directory" if stat.S_ISDIR(mode) else "pipe, socket or device"


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], Any]) -> None:
    """Call ``write(file)`` so that `path` holds all of it, on the disk, or what it held before.

    The file is made beside the old one, under a name that begins with a dot, and takes its place when it is complete;
    so whatever ends the process before (an error, a full disk, Ctrl-C, kill -9, a power cut) leaves the old one. All
    but the last two leave nothing else behind, and what these leave is cleared when something is written there an hour
    later. Permissions are those of the old file; a link stays a link.

    Raises
    ------
    OSError
        If it cannot be written; it names `path`, not the file beside it.
    """
    target = Path(os.path.realpath(path))
    name = target.parent / f".dysonsim-{secrets.token_hex(8)}.tmp"
    _clear(target.parent)
    try:
        with open(name, "xb") as file:
            with suppress(FileNotFoundError):
                os.chmod(name, stat.S_IMODE(target.stat().st_mode))
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from None
        raise
    _settle(target.parent)


def _clear(folder: Path) -> None:
    """Take away what processes left that were killed while they wrote."""
    for old in folder.glob(f".dysonsim-{'[0-9a-f]' * 16}.tmp"):
        with suppress(OSError):
            if time.time() - old.lstat().st_mtime > FORGOTTEN:
                old.unlink()


def _settle(folder: Path) -> None:
    """Put the new name on the disk, where the system lets one."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read_arrays(path: Path, kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file as `numpy.savez` writes it, read-only, whatever is in the file.

    No more memory is taken than the file is long: what is compressed is refused, and an array must be as long as its
    header says.

    Parameters
    ----------
    path : Path
    kinds : dict
        Names that may be there, with the kinds of dtype (numpy.dtype.kind) that each may have.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is anything else than such arrays, in whichever way it may be damaged.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                names = [member.filename.removesuffix(".npy") for member in members]
                if len(set(names)) < len(names) or not set(names) <= set(kinds):
                    raise ValueError(f"holds {', '.join(map(repr, names[:8]))}, not arrays {', '.join(kinds)}")
                if sum(member.file_size for member in members) > os.fstat(file.fileno()).st_size:
                    raise ValueError("declares more than the file holds")
                return {name: _array(archive, member, kinds[name]) for name, member in zip(names, members, strict=True)}
        except MemoryError:
            raise
        except Exception as error:  # a damaged file raises errors of a dozen kinds
            raise ValueError(str(error) or type(error).__name__) from None


def read_array(path: Path, name: str, kinds: str) -> np.ndarray:
    """Return one array of such a file, of a dtype of one of these kinds; errors are those of `read_arrays`."""
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                member = archive.getinfo(f"{name}.npy")
                if member.file_size > os.fstat(file.fileno()).st_size:
                    raise ValueError("declares more than the file holds")
                return _array(archive, member, kinds)
        except MemoryError:
            raise
        except Exception as error:  # a damaged file raises errors of a dozen kinds
            raise ValueError(str(error) or type(error).__name__) from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kinds: str) -> np.ndarray:
    """One array of an archive; an error of any kind if it is damaged."""
    name = member.filename
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ValueError(f"{name} is compressed")
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} has a header of another version")
        try:
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        except MemoryError:  # of Python's parser, which a nonsensical header exhausts
            raise ValueError(f"{name} has a damaged header") from None
        length = member.file_size - file.tell()
        if dtype.hasobject or dtype.kind not in kinds or not dtype.isnative:
            raise ValueError(f"{name} is of dtype {dtype}")
        if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != length:
            raise ValueError(f"{name} has {length} bytes, its header says shape {shape} of {dtype}")
        data = file.read()  # and its checksum is compared
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
