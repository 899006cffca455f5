"""`dysonsim scan FILE.py`: run the scan that a script defines, with what the command line says about it.

The script is an ordinary one that calls `dysonsim.scan`; while it is run from the command line, that call asks here.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from .._extras import needs
from .result import Scan
from .store import ZarrArrays

__all__ = ["COMMAND", "Command", "Told", "run_file", "status_of"]


@dataclass
class Command:
    """What the command line says, and the scans that were made."""

    client: Any = None
    resume: bool = False
    status: bool = False
    scans: list[Scan] = field(default_factory=list)

    def check(self, path: Any, say: Callable[[str], None] = print) -> None:
        """Refuse a store that is there, unless it is to be resumed; Told once its state has been said, if that is all.

        Raises
        ------
        Told, ValueError
        """
        if self.status:
            if path is None:
                raise ValueError("--status: the scan has no path, so nothing of it is kept")
            say(status_of(path))
            raise Told
        if path is not None and not self.resume and _there(path):
            raise ValueError(f"path = {os.fspath(path)!r} holds a scan already: give --resume to go on with it")


class Told(BaseException):
    """The state of a store has been said, and the script goes no further."""


COMMAND: ContextVar[Command | None] = ContextVar("COMMAND", default=None)


def _there(path: Any) -> bool:
    try:
        return bool(ZarrArrays(path).told)
    except FileNotFoundError:
        return False


def status_of(path: Any) -> str:
    """Say what of a store is done, failed and left, in words."""
    try:
        return str(Scan.open(path))
    except FileNotFoundError:
        return f"<No scan in {os.fspath(path)}: nothing done>"


def run_file(file: str, address: str | None, resume: bool, status: bool, say: Callable[[str], None] = print) -> bool:
    """Run a script, or say the state of its store; a store's path will do for the latter.

    Returns
    -------
    bool
        Whether every point of its scans was run.

    Raises
    ------
    ValueError, OSError, ImportError
        If there is no such file, it calls no `scan`, the scheduler does not answer; what `scan` raises.
    """
    if status and ("://" in file or os.path.isdir(file)):
        say(status_of(file))
        return True
    if not os.path.isfile(file):
        raise ValueError(f"FILE = {file!r}: must be a Python script that calls dysonsim.scan")
    connection: Any = nullcontext()
    if address is not None and not status:
        distributed = needs("distributed", "scan", f"--client {address}")
        connection = closing(distributed.Client(address))
    with connection as client:
        command = Command(client, resume, status)
        token, before = COMMAND.set(command), sys.path[:]
        sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
        try:
            runpy.run_path(file, run_name="__main__")
        except Told:
            return True
        finally:
            COMMAND.reset(token)
            sys.path[:] = before
    if not command.scans:
        raise ValueError(f"FILE = {file!r}: must call dysonsim.scan, and does not")
    for scan in command.scans:
        say(str(scan))
    return all(scan.complete and not scan.failures for scan in command.scans)
