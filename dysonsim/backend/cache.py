"""Where compiled kernels are kept on disk.

Numba's own cache looks at one file; a kernel is made of many. Here the machine code lies in a directory named by a
hash of everything it depends on: every source file of `dysonsim.kernels` and `dysonsim.backend`, the compile-time
sizes, the versions of dysonsim, Python, Numba, LLVM and NumPy, Numba's settings, the processor. An edit or an upgrade
gives another directory, so that stale code cannot be loaded. Functions from outside dysonsim (a user's drift, a user's
own model) count with their code and with all that they capture.

Whoever can write there can run code as the user who reads it. So directories are made for their owner alone, and
nothing is read or written in what belongs to another user or what others may write to, links excepted that lead to what
is the user's own. Against damage, not malice, `seal` writes checksums: what is not `intact` is compiled anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
from llvmlite import binding

from .._fingerprint import fingerprint
from .._functions import LevelFunction
from .imported import IMPORTED
from .kernel import Kernel

PACKAGE = Path(__file__).parent.parent
NO_MATTER = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_ENABLE_CUDASIM"}  # settings that change no machine code
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
TEXT, SEAL = "advance.py", "sha256.json"  # files of a kernel, beside Numba's
UNFINISHED = ".tmp"
FORGOTTEN = 3600  # seconds after which an unfinished directory is what a killed process left


class Unsuitable(Exception):
    """Why nothing is kept in a place."""


class ByContent:
    """The builder of a kernel and its sizes, told apart by what they are.

    Functions from outside dysonsim are told apart by their code and the values that they capture now, so that a kernel
    is made anew when one of these has changed.
    """

    def __init__(self, build, sizes: tuple) -> None:
        self.build, self.sizes = build, sizes
        self.key = content(build), tuple((name, content(size)) for name, size in sizes)

    def __eq__(self, other: object) -> bool:
        """Compare what they are, not which objects."""
        return isinstance(other, ByContent) and self.key == other.key

    def __hash__(self) -> int:
        """Hash what equality compares."""
        return hash(self.key)


def content(value: Any) -> Any:
    """By what a part of a kernel is told apart."""
    return fingerprint(value) if callable(value) and outside(value) else (type(value), value)


def in_words(part: Any) -> Any:
    """Return a part of a kernel in words that are the same in every process."""
    if not callable(part):
        return part
    return fingerprint(part) if outside(part) else f"{part.__module__}.{part.__qualname__}"


def outside(function) -> bool:
    """Whether a function's text is not dysonsim's own."""
    code = getattr(getattr(function, "py_func", function), "__code__", None)
    return code is None or PACKAGE not in Path(code.co_filename).parents


def foreign(kernel: Kernel) -> bool:
    """Whether some of a kernel's text is not dysonsim's own: a user's step or closure, but no function of a level."""
    parts = [kernel.build, *kernel.sizes.values()]
    return any(callable(f) and not isinstance(f, LevelFunction) and outside(f) for f in parts)


def cache_directory(build, sizes: tuple = (), *parts: str) -> Path | None:
    """Where machine code is kept of what `build` makes with `sizes`; `parts` says what else is fixed.

    None if it cannot be kept, of which this warns once in a process.
    """
    words = [in_words(build), repr([(name, in_words(size)) for name, size in sizes]), *parts]
    try:
        key = [source_hash(), *words, *settings()]
        return private(cache_root(), hashlib.sha256("\0".join(key).encode()).hexdigest()[:24])
    except (OSError, RuntimeError, Unsuitable) as error:  # RuntimeError: no home directory
        say_once(str(error))
        return None


def private(root: Path, name: str) -> Path:
    """Return the directory root/name, which need not exist; Unsuitable or OSError if it is not this user's alone."""
    if not root.exists():
        above = next(path for path in root.absolute().parents if path.exists())
        if is_root() and above.stat().st_uid != 0:  # as with sudo: the owner could not use it afterwards
            raise Unsuitable(f"{above} belongs to another user")
        root.parent.mkdir(parents=True, exist_ok=True)
        root.mkdir(mode=0o700, exist_ok=True)
    if not os.access(root, os.W_OK):
        raise Unsuitable(f"{root} cannot be written to")
    directory = root / name
    found = [(root, root.stat())]
    with suppress(FileNotFoundError):
        found.append((directory, directory.lstat()))
    for path, status in found:
        check_ownership(str(path), status)
        if not stat.S_ISDIR(status.st_mode):
            raise Unsuitable(f"{path} is no directory")
    return directory


def check_ownership(name: str, status: os.stat_result) -> None:
    """Unsuitable if something belongs to another user, or others may write to it."""
    if not hasattr(os, "geteuid"):  # Windows has access lists, which a user's own directories inherit
        return
    if status.st_uid != os.geteuid():
        raise Unsuitable(f"{name} belongs to another user")
    if status.st_mode & OTHERS_MAY_WRITE:
        raise Unsuitable(f"others than its owner may write to {name}")


def is_root() -> bool:
    """Tell whether this process may do everything."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


@cache
def say_once(why: str) -> None:
    """Warn that kernels are not kept, and why."""
    warnings.warn(
        f"compiled kernels are not kept on disk: {why}. Every process compiles them anew, which takes seconds each; "
        "set DYSONSIM_CACHE_DIR to a directory that is yours and that nobody else may write to",
        RuntimeWarning,
        stacklevel=2,
    )


@dataclass
class Place:
    """Where Numba keeps what it compiles of one text: a directory that is sealed, or one that is to become it.

    Nothing is ever changed in a sealed directory. A new one is filled beside it and takes its place as a whole, so that
    processes that compile the same at once do not disturb each other.
    """

    folder: Path | None = None  # None: nowhere
    final: Path | None = None

    @property
    def sealed(self) -> bool:
        """Whether machine code is there already."""
        return self.folder is not None and self.folder == self.final

    def keep(self) -> None:
        """Seal a new directory, once all is compiled, and put it where later processes look."""
        if self.folder is None or self.final is None or self.sealed:
            return
        try:
            seal(self.folder)
            if not intact(self.final):
                forget(self.final)
                self.folder.rename(self.final)
        except (OSError, Unsuitable) as error:
            say_once(f"{self.final}: {error}")
        forget(self.folder)

    def drop(self) -> None:
        """Remove a new directory of what could not be compiled."""
        if self.folder is not None and not self.sealed:
            forget(self.folder)


def execute(text: str, names: dict[str, Any], directory: Path | None) -> Place:
    """Run `text`, the outermost functions of a kernel, in `names`; return where Numba can keep what it compiles."""
    place = Place()
    if directory is not None and intact(directory):
        place = Place(directory, directory)
    elif directory is not None:
        try:
            clear(directory.parent)
            folder = Path(tempfile.mkdtemp(prefix=f"{directory.name}.", suffix=UNFINISHED, dir=directory.parent))
            (folder / TEXT).write_text(text)
            place = Place(folder, directory)
        except OSError as error:
            say_once(f"{directory.parent}: {error.strerror or error}")
    filename = "<dysonsim>" if place.folder is None else str(place.folder / TEXT)  # Numba keeps functions beside it
    exec(compile(text, filename, "exec"), names)
    return place


def clear(root: Path) -> None:
    """Remove what killed processes left unfinished."""
    for folder in root.glob(f"*{UNFINISHED}"):
        with suppress(OSError):  # another process may have put it in its place just now
            if time.time() - folder.lstat().st_mtime > FORGOTTEN:
                forget(folder)


def read(path: Path) -> bytes:
    """Return what a file holds that is this user's alone; Unsuitable or OSError otherwise."""
    # Neither waits for the other end of a pipe nor follows a link.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))
    with open(handle, "rb") as file:
        status = os.fstat(handle)
        check_ownership(str(path), status)
        if not stat.S_ISREG(status.st_mode):
            raise Unsuitable(f"{path} is no file")
        return file.read()


def seal(folder: Path) -> None:
    """Note the checksums of all files of a kernel."""
    for path in folder.rglob("*"):  # Numba makes them as the user's mask says
        path.chmod(0o700 if path.is_dir() else 0o600)
    (folder / SEAL).write_text(json.dumps(checksums(folder)))
    (folder / SEAL).chmod(0o600)


def intact(folder: Path) -> bool:
    """Whether all files of a kernel are this user's alone and as they were when it was sealed."""
    try:
        return bool(json.loads(read(folder / SEAL)) == checksums(folder))
    except (OSError, ValueError, Unsuitable):
        return False


def checksums(folder: Path) -> dict[str, str]:
    """Of the files of a kernel, by their names."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            check_ownership(str(path), path.stat())
        elif path.name != SEAL:
            found[str(path.relative_to(folder))] = hashlib.sha256(read(path)).hexdigest()
    return found


def forget(folder: Path) -> None:
    """Remove the files of a kernel, as far as they can be."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.unlink()


def cache_root() -> Path:
    """$DYSONSIM_CACHE_DIR, or dysonsim/ in the user's cache directory."""
    chosen = os.environ.get("DYSONSIM_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dysonsim"


@cache
def settings() -> tuple[str, ...]:
    """Return what machine code depends on besides its source."""
    from .._version import __version__

    chosen = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_")]
    return (
        __version__, f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}",
        metadata.version("numba"), llvmlite.__version__, np.__version__, binding.get_process_triple(), *processor(),
        *(setting for setting in chosen if setting.partition("=")[0] not in NO_MATTER),
    )  # fmt: skip


@cache
def processor() -> tuple[str, str]:
    """Name and features for which LLVM makes machine code, as Numba lets users choose them."""
    name = os.environ.get("NUMBA_CPU_NAME") or binding.get_host_cpu_name()
    chosen = os.environ.get("NUMBA_CPU_FEATURES")
    return name, binding.get_host_cpu_features().flatten() if chosen is None else chosen


@cache
def source_hash() -> str:
    """Hash of every source file that compiled code can come from.

    Unsuitable if they are not there as files (in an archive, or a frozen application), or if one of them has changed
    since dysonsim was imported: then it is not what was imported.
    """
    digest = hashlib.sha256()
    files = [path for folder in ("kernels", "backend") for path in sorted((PACKAGE / folder).rglob("*.py"))]
    if not files:
        raise Unsuitable(f"{PACKAGE} holds no source files to tell them apart by")
    for path in files:
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for path in files:  # after they were read
        status = path.stat()
        if max(status.st_ctime, status.st_mtime) > IMPORTED:
            raise Unsuitable(f"{path} has changed since it was imported")
    return digest.hexdigest()
