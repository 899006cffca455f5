"""Numba's LLVM code of a function, without Numba's machine code of it.

`@njit` and `@cfunc` make machine code at once, of all they have. `native.py` makes its own, of what it leaves of the
LLVM code: the other would cost as much again, and nobody would call it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Flags, compile_extra
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

__all__ = ["llvm_code"]


class Library(JITCodeLibrary):
    """What Numba has compiled of a function: linked and optimised as ever, but not handed on for machine code."""

    def _finalize_final_module(self) -> None:
        self._finalized = True


@global_compiler_lock
def llvm_code(function: Callable[..., None], arguments: tuple[types.Type, ...]) -> tuple[str, str]:
    """Optimised LLVM code of a Python function and of what it calls, and the function's name there.

    Parameters
    ----------
    function : callable
        Returns nothing.
    arguments : tuple of Numba types

    The functions it calls are compiled as ever: Numba keeps them, and others may call them later.
    """
    typing, target = cpu_target.typing_context, cpu_target.target_context
    options = {"nopython": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    flags: Any = Flags()
    cpu_target.options.parse_as_flags(flags, options)
    flags.no_compile = True  # until the library is finalised
    library = Library(target.codegen(), function.__name__)
    made = compile_extra(typing, target, function, arguments, types.void, flags, locals={}, library=library)
    library.finalize()
    return library.get_llvm_str(), made.fndesc.llvm_func_name
