"""The CPU: kernels compiled to vector code, one thread an ensemble, the machine code cached on disk.

Numba's own cache looks at one file; a kernel is made of many. Here the machine code lies in a directory named by a
hash of everything it depends on, every source file of `dysonsim.kernels` and `dysonsim.backend`, the compile-time
sizes, the versions of Numba and LLVM, the processor. An edit or an upgrade gives another directory, so that stale code
cannot be loaded. Kernels that live outside dysonsim (a user's own model) are compiled anew by each process.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from functools import cache
from pathlib import Path

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba import njit

from . import vector
from .drivers import LOOP_OVER_BLOCKS, LOOP_OVER_STEPS, HostEnsemble, Kernel, Program, loop_names

WIDTH = {"float64": 8, "float32": 16}  # two AVX2 registers or one AVX-512 register a lane value: measured best
PACKAGE = Path(__file__).parent.parent

TEXT = LOOP_OVER_STEPS + LOOP_OVER_BLOCKS


class CpuDriver:
    """Runs kernels on the cores of this machine."""

    name = "cpu"
    parallel = True

    def prepare(self, kernel: Kernel, dtype: str) -> Program:
        run = compiled(kernel.build, tuple(sorted(kernel.sizes.items())), dtype)
        # Compile or load now: a call that does no step.
        HostEnsemble.open(run, kernel, dtype, WIDTH[dtype], np.zeros((1, kernel.state)), 0, 0).advance(0, 0)

        def open_ensemble(start, first_replica, seed):
            return HostEnsemble.open(run, kernel, dtype, WIDTH[dtype], start, first_replica, seed)

        return Program(open_ensemble, WIDTH[dtype], unit=8)


@cache
def compiled(build, sizes: tuple, dtype: str):
    """The compiled loop over blocks and steps of one kernel."""
    lanes = vector.lanes(dtype, WIDTH[dtype])
    names = loop_names(lanes, build(lanes, **dict(sizes)), WIDTH[dtype])
    directory = cache_directory(build, sizes, dtype)
    filename = "<dysonsim>" if directory is None else str(directory / "advance.py")
    exec(compile(TEXT, filename, "exec"), names)
    names["advance_block"] = njit(inline="always", error_model="numpy")(names["advance_block"])
    return njit(nogil=True, error_model="numpy", cache=directory is not None)(names["advance"])


def cache_directory(build, sizes: tuple, dtype: str) -> Path | None:
    """Where this kernel's machine code is kept, None if it must not or cannot be kept."""
    source = Path(build.__code__.co_filename)
    if PACKAGE not in source.parents:
        return None
    parts = [source_hash(), build.__module__, build.__qualname__, repr(sizes), dtype, numba.__version__]
    parts += [llvmlite.__version__, np.__version__, binding.get_host_cpu_name(), host_features()]
    try:
        directory = cache_root() / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
        directory.mkdir(parents=True, exist_ok=True)
        target = directory / "advance.py"
        if not target.exists():  # written whole under another name first: two processes may start at once
            with tempfile.NamedTemporaryFile("w", dir=directory, suffix=".tmp", delete=False) as file:
                file.write(TEXT)
            os.replace(file.name, target)
    except (OSError, RuntimeError):  # nowhere to write, or no home directory
        return None
    return directory


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
