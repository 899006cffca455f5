"""One writer at a time on a store: the second is refused, and a writer that was killed holds nothing.

On a file system the lock is the kernel's, on a file beside the store: it ends with the process that holds it, whatever
ends that. Where addresses are not files (object stores) there is no such thing: there a lease, which its holder renews,
runs out after a minute, and two that come within the same second may both be let in.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

__all__ = ["Lease", "LockFile", "Locked"]

LEASE = 60.0  # seconds
RENEWED = 15.0


class Locked(ValueError):
    """Somebody else writes to the store."""

    def __init__(self, path: str, who: str) -> None:
        super().__init__(
            f"path = {path!r}: {who or 'another process'} is writing to this store; wait until it ends, or give "
            "another path"
        )


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


class LockFile:
    """The kernel's lock on ``path``.lock, from now until `release` or the end of the process."""

    def __init__(self, path: str) -> None:
        self.file = Path(f"{path.rstrip('/' + os.sep)}.lock")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        while True:
            self.handle = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
            if not _locked(self.handle):
                who = os.read(self.handle, 200).decode(errors="replace")
                os.close(self.handle)
                raise Locked(path, who)
            with suppress(FileNotFoundError):  # who held it may have taken the file away in between
                if os.path.samestat(os.stat(self.file), os.fstat(self.handle)):
                    break
            os.close(self.handle)
        os.truncate(self.handle, 0)
        os.write(self.handle, _me().encode())

    def release(self) -> None:
        """Let others write; nothing is left behind."""
        if self.handle >= 0:
            with suppress(OSError):
                self.file.unlink()
            os.close(self.handle)
            self.handle = -1


def _locked(handle: int) -> bool:
    """Take the kernel's lock of an open file, if nobody has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Lease:
    """A file beside the store that says who writes and until when, renewed until `release`."""

    def __init__(self, files: Any, path: str) -> None:
        self.files, self.file = files, f"{path.rstrip('/')}.lock"
        self.token, self.over = secrets.token_hex(8), Event()
        told = self._told()
        if told.get("until", 0) > time.time():
            raise Locked(path, told.get("who", ""))
        self._renew()
        if self._told().get("token") != self.token:
            raise Locked(path, self._told().get("who", ""))
        self.thread = Thread(target=self._keep, name="dysonsim-lease", daemon=True)
        self.thread.start()

    def _told(self) -> dict[str, Any]:
        try:
            told = json.loads(self.files.cat_file(self.file))
        except (OSError, ValueError):  # there is none, or it is being written
            return {}
        return told if isinstance(told, dict) else {}

    def _renew(self) -> None:
        told = {"who": _me(), "token": self.token, "until": time.time() + LEASE}
        self.files.pipe_file(self.file, json.dumps(told).encode())

    def _keep(self) -> None:
        while not self.over.wait(RENEWED):
            with suppress(OSError):
                self._renew()

    def release(self) -> None:
        """Let others write."""
        if not self.over.is_set():
            self.over.set()
            self.thread.join()
            with suppress(OSError):
                self.files.rm_file(self.file)
