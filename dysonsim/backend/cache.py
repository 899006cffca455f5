"""Where compiled kernels are kept on disk.

Numba's own cache looks at one file; a kernel is made of many. Here the machine code lies in a directory named by a
hash of everything it depends on, every source file of `dysonsim.kernels` and `dysonsim.backend`, the compile-time
sizes, the versions of Numba and LLVM, the processor. An edit or an upgrade gives another directory, so that stale code
cannot be loaded. Kernels that live outside dysonsim (a user's own model) are compiled anew by each process.

Machine code of several kernels is linked into one process, where symbols of one name are taken for one function. Numba
numbers functions in the order in which a process meets them, so that two kernels compiled by two processes may use one
name for different functions, and a third process that loads both would run the wrong one. Here every compiled function
therefore carries a hash of its content in its name (`name_by_content`).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import types
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from llvmlite import binding

PACKAGE = Path(__file__).parent.parent


def execute(text: str, names: dict[str, Any], build, parts: list[str]) -> bool:
    """Run `text`, the outermost functions of a kernel, in `names`; True if what Numba makes of them can be cached.

    `build` is the function that made the kernel's inner parts, `parts` says which of its variants this is.
    """
    directory = cache_directory(text, build, parts)
    filename = "<dysonsim>" if directory is None else str(directory / "advance.py")
    exec(compile(text, filename, "exec"), names)
    tag = digest(text, build.__module__, build.__qualname__, *parts)
    for function in list(names.values()):
        if getattr(getattr(function, "__code__", None), "co_filename", None) == filename:
            function.__qualname__ += f"_{tag}"
    return directory is not None


def variant(build, sizes: tuple, *parts: str) -> tuple[Any, list[str]]:
    """Whose kernel it is and which of its variants, in words that are the same in every process, as `execute` wants it.

    A kernel that holds a function from outside dysonsim belongs to that function, and is not cached.
    """
    functions = [getattr(size, "py_func", size) for _, size in sizes if callable(size)]
    owner = next((f for f in functions if PACKAGE not in Path(f.__code__.co_filename).parents), build)
    words = [(name, f"{s.__module__}.{s.__qualname__}" if callable(s) else s) for name, s in sizes]
    return owner, [repr(words), *parts]


def digest(*parts: str) -> str:
    """A short hash of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def name_by_content(function, salt: str) -> str:
    """Give a function that is to be compiled a name that says what it does; returns the hash in it.

    The hash covers its code, the values that it closes over, and the hashes of the compiled functions among them.
    `salt` stands for what these values cannot tell: the target's own functions.
    """
    cells = [] if function.__closure__ is None else [cell.cell_contents for cell in function.__closure__]
    code = function.__code__
    values = [getattr(value, "content", None) or described(value) for value in cells]
    tag = digest(salt, code.co_code.hex(), described(code.co_consts), repr(code.co_names), *values)
    function.__qualname__ = f"{function.__name__}_{tag}"
    return tag


def described(value: Any) -> str:
    """A closed-over value in words that are the same in every process."""
    if isinstance(value, types.CodeType):
        return value.co_code.hex() + described(value.co_consts) + repr(value.co_names)
    if isinstance(value, tuple):
        return "".join(map(described, value))
    plain = getattr(value, "py_func", value)
    if hasattr(plain, "__code__"):
        return plain.__qualname__ + described(plain.__code__)
    return getattr(value, "_name", None) or f"{type(value).__name__} {value}"


def cache_directory(text: str, build, parts: list[str]) -> Path | None:
    """Where this kernel's machine code is kept, None if it must not or cannot be kept."""
    source = Path(build.__code__.co_filename)
    if PACKAGE not in source.parents:
        return None
    key = [source_hash(), text, build.__module__, build.__qualname__, *parts, numba.__version__]
    key += [llvmlite.__version__, np.__version__, binding.get_host_cpu_name(), host_features()]
    try:
        directory = cache_root() / digest(*key)
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / "advance.py"
        if not target.exists():  # written whole under another name first: two processes may start at once
            with tempfile.NamedTemporaryFile("w", dir=directory, suffix=".tmp", delete=False) as file:
                file.write(text)
            os.replace(file.name, target)
    except (OSError, RuntimeError):  # nowhere to write, or no home directory
        return None
    return directory


def holds_code(directory: Path) -> bool:
    """Whether a kernel's machine code lies there, as far as one can tell without loading it."""
    return any(directory.glob("**/*.nbc"))


def cache_root() -> Path:
    """$DYSONSIM_CACHE_DIR, or dysonsim/ in the user's cache directory."""
    chosen = os.environ.get("DYSONSIM_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dysonsim"


def host_features() -> str:
    return os.environ.get("NUMBA_CPU_FEATURES") or binding.get_host_cpu_features().flatten()


@cache
def source_hash() -> str:
    """Hash of every source file that compiled code can come from."""
    digest = hashlib.sha256()
    for folder in ("kernels", "backend"):
        for path in sorted((PACKAGE / folder).glob("*.py")):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
