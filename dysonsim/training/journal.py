"""An append-only file of frames, of which a process that is killed at any moment leaves a whole prefix. Bytes only.

The file is `MAGIC` and then frames: a kind (4 bytes), the length of the content (4 bytes, little endian), the content,
and a crc32 of these three. A frame is handed to the system in one call, so the end of the process cannot tear it; a
power cut can, and then the torn end is left out on reading and cut off before anything is appended.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MAGIC = b"dysonsim recording 1\n"
_HEAD, _CHECK = struct.Struct("<4sI"), struct.Struct("<I")
_AROUND = _HEAD.size + _CHECK.size


class Frame(NamedTuple):
    """What one `append` wrote, and where in the file it ends."""

    kind: bytes
    content: bytes
    end: int


class Journal:
    """A file that frames are appended to.

    Nothing is asked to be on the disk (fsync): what was appended survives the end of the process by whatever means, not
    that of the machine.
    """

    def __init__(self, path: Path, *, keep: int | None = None) -> None:
        """Make a new file; FileExistsError if there is one. With `keep`: open one and cut it to so many bytes."""
        self._file = open(path, "xb" if keep is None else "r+b", buffering=0)  # noqa: SIM115 (it stays open)
        try:
            self._lock(path)
            self._size = 0
            if keep is None:
                self._write(MAGIC)
            else:
                self._file.truncate(keep)
                self._size = self._file.seek(keep)
        except BaseException:
            self._file.close()
            raise

    def _lock(self, path: Path) -> None:
        """Refuse a file that another process appends to, where the system has locks: together they would spoil it."""
        if fcntl is not None:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                raise OSError(f"path = {os.fspath(path)!r}: another process records to it") from None
            except OSError:
                pass

    def append(self, kind: bytes, content: bytes) -> None:
        """Write a frame; OSError if it does not fit, and the file is then what it was."""
        frame = _HEAD.pack(kind, len(content)) + content
        self._write(frame + _CHECK.pack(zlib.crc32(frame)))

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except BaseException:
            with suppress(OSError):
                self._file.truncate(self._size)
                self._file.seek(self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()


def read(path: Path) -> tuple[list[Frame], int]:
    """Return the whole frames of a file, and how many bytes after them are none.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it does not begin as a journal does.
    """
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError(f"does not begin with {MAGIC.decode().strip()!r}")
    frames, at = [], len(MAGIC)
    while at + _AROUND <= len(data):
        kind, length = _HEAD.unpack_from(data, at)
        end = at + _AROUND + length
        if end > len(data):
            break
        inside = end - _CHECK.size
        if zlib.crc32(memoryview(data)[at:inside]) != _CHECK.unpack_from(data, inside)[0]:
            break
        frames.append(Frame(kind, data[at + _HEAD.size : inside], end))
        at = end
    return frames, len(data) - at
