"""Where compiled kernels are kept on disk.

Numba's own cache looks at one file; a kernel is made of many. Here the machine code lies in a directory named by a
hash of everything it depends on: every source file of `dysonsim.kernels` and `dysonsim.backend`, the compile-time
sizes, the versions of Numba, LLVM and NumPy, Numba's settings, the processor. An edit or an upgrade gives another
directory, so that stale code cannot be loaded. Kernels that hold a function from outside dysonsim (a user's drift, a
user's own model) are compiled anew by each process.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np
from llvmlite import binding

from .._fingerprint import fingerprint
from .._functions import LevelFunction
from .drivers import Kernel

PACKAGE = Path(__file__).parent.parent
NO_MATTER = {"NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS"}  # settings of Numba that change no machine code


class ByContent:
    """The builder of a kernel and its sizes, told apart by what they are.

    Functions from outside dysonsim are told apart by their code and the values that they capture now, so that a kernel
    is made anew when one of these has changed.
    """

    def __init__(self, build, sizes: tuple) -> None:
        self.build, self.sizes = build, sizes
        self.key = content(build), tuple((name, content(size)) for name, size in sizes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByContent) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def content(value: Any) -> Any:
    """By what a part of a kernel is told apart."""
    return fingerprint(value) if callable(value) and outside(value) else (type(value), value)


def variant(build, sizes: tuple, *parts: str) -> tuple[Any, list[str]]:
    """Whose kernel it is and which of its variants, in words that are the same in every process.

    `build` is the function that makes the kernel, with `sizes`; `parts` says what else is fixed. A kernel that holds a
    function from outside dysonsim belongs to that function.
    """
    owner = next((size for _, size in sizes if callable(size) and outside(size)), build)
    words = [(name, f"{s.__module__}.{getattr(s, '__qualname__', s)}" if callable(s) else s) for name, s in sizes]
    return owner, [repr(words), *parts]


def outside(function) -> bool:
    """Whether a function's text is not dysonsim's own."""
    code = getattr(getattr(function, "py_func", function), "__code__", None)
    return code is None or PACKAGE not in Path(code.co_filename).parents


def foreign(kernel: Kernel) -> bool:
    """Whether some of a kernel's text is not dysonsim's own: a user's step or closure, but no function of a level."""
    parts = [kernel.build, *kernel.sizes.values()]
    return any(callable(f) and not isinstance(f, LevelFunction) and outside(f) for f in parts)


def cache_directory(build, parts: list[str]) -> Path | None:
    """Where machine code is kept of what `build` makes, as `variant` describes it; None if it cannot or must not be."""
    if outside(build):
        return None
    key = [source_hash(), build.__module__, build.__qualname__, *parts, *settings()]
    try:
        directory = cache_root() / hashlib.sha256("\0".join(key).encode()).hexdigest()[:24]
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # nowhere to write, or no home directory
        return None
    return directory


def execute(text: str, names: dict[str, Any], directory: Path | None) -> bool:
    """Run `text`, the outermost functions of a kernel, in `names`; True if Numba can keep what it compiles."""
    filename = "<dysonsim>"
    kept = directory is not None and os.access(directory, os.W_OK)
    if directory is not None and kept:
        file = directory / "advance.py"
        kept = file.exists() or written(file, text.encode())  # a newer file would make Numba compile anew
        filename = str(file) if kept else filename
    exec(compile(text, filename, "exec"), names)
    return kept


def written(path: Path, data: bytes) -> bool:
    """Write a file, whole or not at all, as two processes may at once; False if it cannot be: a full disk, say."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
            file.write(data)
        os.replace(file.name, path)
    except OSError:
        return False
    return True


def cache_root() -> Path:
    """$DYSONSIM_CACHE_DIR, or dysonsim/ in the user's cache directory."""
    chosen = os.environ.get("DYSONSIM_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dysonsim"


@cache
def settings() -> tuple[str, ...]:
    """What machine code depends on beside its source."""
    chosen = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("NUMBA_")]
    return (
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
    """Hash of every source file that compiled code can come from."""
    digest = hashlib.sha256()
    for folder in ("kernels", "backend"):
        for path in sorted((PACKAGE / folder).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
