"""Functions that Numba compiles, and keeps on disk in its own cache, in the directories that `cache.py` names."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .._patience import told_if_slow
from .cache import execute
from .machine import jit_disabled

__all__ = ["Compiled"]

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# Numba keeps a function beside the file of its text: this one is written into the kernel's directory.
TEXT = "def run({0}):\n    return body({0})\n"


class Compiled:
    """A function of arrays, integers and floats, compiled for the argument types of its first call.

    Parameters
    ----------
    make : callable
        Returns the Python function. It is called once, when the function is first used.
    directory : Path or None
        Where the machine code is kept, used by nothing else; None: nowhere.
    """

    def __init__(self, make: Callable[[], Callable[..., Any]], directory: Path | None) -> None:
        self.make, self.directory = make, directory
        self.run: Any = None
        self.from_disk = False  # whether the machine code was there

    def __call__(self, *arguments: Any) -> Any:
        """Run it without Python's lock. TypeError for arguments of other types than at first."""
        if self.run is None:
            self.load(arguments)
        return self.run(*arguments)

    def load(self, arguments: tuple[Any, ...]) -> None:
        """Make ready for arguments of these types: machine code from the disk, or compiled.

        Several threads may do so at once, and a signal handler in the middle of it: each makes its own, the last stays.
        """
        if jit_disabled():
            raise RuntimeError("NUMBA_DISABLE_JIT is set: this runs as compiled code only")
        from numba import typeof
        from numba.core.compiler_lock import global_compiler_lock

        kept = "this process alone" if self.directory is None else "later ones too, on disk"
        told = told_if_slow(f"compiling a kernel, for {kept}")
        with global_compiler_lock, in_some_directory(), told:
            if self.run is not None:  # another thread has just made it
                return
            run = self._compiled(tuple(map(typeof, arguments)), self.directory)
            run.disable_compile()
            self.run = run

    def _compiled(self, types: tuple[Any, ...], directory: Path | None) -> Any:
        from numba import njit

        function = self.make()
        # Put in before it is compiled: LLVM works on the whole once, not twice.
        body = njit(inline="always", error_model="numpy")(function)
        names: dict[str, Any] = {"__name__": __name__, "body": body}  # a module that Numba finds again
        place = execute(TEXT.format(", ".join(inspect.signature(function).parameters)), names, directory)
        if directory is not None:  # machine code is linked by name, and that of every kernel comes here
            names["run"].__qualname__ = f"run_{directory.name}"
        try:
            run: Any = njit(cache=place.folder is not None, **OPTIONS)(names["run"])
            run.compile(types)
        except BaseException as error:  # an error of the function or of the files, or Ctrl-C
            place.drop()
            files = isinstance(error, OSError) or (place.sealed and isinstance(error, Exception))
            if place.folder is None or not files:
                raise
            return self._compiled(types, None)
        self.from_disk = bool(run.stats.cache_hits)
        place.keep()
        return run


@contextmanager
def in_some_directory() -> Iterator[None]:
    """Numba asks for the working directory, to shorten the names of files: in another one, if it has been removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        removed = os.open(".", os.O_RDONLY)
        try:
            os.chdir(os.path.dirname(__file__))
            yield
        finally:
            os.fchdir(removed)
            os.close(removed)
    else:
        yield
