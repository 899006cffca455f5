"""A user's function of one level: what may be one, compiled for each target, and carried to other processes."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from functools import cached_property
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

from ._fingerprint import Captured, fingerprint, without_caches, wrapped

__all__ = ["LevelFunction", "level_function", "scalar_function"]

ALLOWED = "a function f(x) of one level, or f(x, i) with i the level from 0, that Numba can compile"
CALL = "def level(x, i):\n    return function({})"
SOME = 0.5  # a level at which functions are tried


class LevelFunction:
    """f(x) or f(x, i) as it was when a process was made: what it captures is kept, later changes of it are not seen.

    Equal if code, default arguments and captured values are, in any process; carried to others by what it is, not by
    its name, so that a lambda can be pickled too (under one version of Python).

    Parameters
    ----------
    role, name : str
        The argument that it was given for, "drift" or "potential", and its own name.
    labeled : bool
        Whether it asks for the level.
    captured : Captured
        level(x, i), which calls it.
    """

    def __init__(self, role: str, name: str, labeled: bool, captured: Captured) -> None:
        self.role, self.name, self.labeled, self.captured = role, name, labeled, captured

    @cached_property
    def fingerprint(self) -> str:
        """Hash of code, defaults and captured values."""
        return fingerprint(self.captured)

    def made(self, jit: Callable[..., Any]) -> Any:
        """level(x, i), of two numbers, for one target: `jit(function, fast)` compiles it and each that it calls."""
        return self.captured.made(jit, {})

    @cached_property
    def compiled(self) -> Any:
        """For the CPU: 1/0 is inf, sqrt(-1) is nan, and an array is not read beyond its end: IndexError."""
        from numba import njit

        def jit(function: Any, fast: bool) -> Any:
            # A name of its own: machine code that comes from the disk is linked by name.
            function.__qualname__ = f"{function.__qualname__}_{self.fingerprint[:16]}"
            return njit(error_model="numpy", boundscheck=True, fastmath=fast)(function)

        return self.made(jit)

    @cached_property
    def over(self) -> Callable[..., None]:
        """over(x, out, labels): compiled, for arrays; labels go round as long as there are levels x."""
        from numba import njit

        level = self.compiled

        @njit(error_model="numpy")
        def fill(x, out, labels):
            for k in range(x.size):
                out[k] = level(x[k], labels[k % labels.size])

        return fill

    @cached_property
    def plain(self) -> Callable[..., Any]:
        """Not compiled."""
        return self.made(lambda f, fast: f)

    def __call__(self, x: float, i: int = 0) -> Any:
        return self.compiled(float(x), i)

    def at(self, x: float, i: int) -> float:
        """Its value, NaN where it raises an error."""
        try:
            return float(self(x, i))
        except Exception:  # of any kind: it is a user's
            return math.nan

    def check(self, n: int | None) -> None:
        """TypeError if it cannot be compiled or gives no number; ValueError if it fails for one of n levels."""
        how = f"{self.role} = {self.name}"
        try:
            found = self(SOME, 0)
        except (ArithmeticError, ValueError, IndexError):  # not defined there; a run will tell if levels go there
            found = 0.0
        except Exception as error:  # Numba's are of many kinds
            raise TypeError(f"{how}: cannot be compiled by Numba: {error}") from None
        signatures = getattr(self.compiled, "nopython_signatures", [])  # none where compiling is switched off
        kind = str(signatures[-1].return_type) if signatures else type(found).__name__
        if not kind.startswith(("Literal[int]", "float", "int", "uint", "bool")):
            raise TypeError(f"{how}: gives {kind}, must give one real number wherever it is asked")
        for level in range(n or 0) if self.labeled else ():
            try:
                self(SOME, level)
            except IndexError as error:
                raise ValueError(f"{how}: level {level} of {n} is beyond the end of an array ({error})") from None
            except Exception:  # not defined there
                continue

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LevelFunction):
            return NotImplemented
        return (self.role, self.fingerprint) == (other.role, other.fingerprint)

    def __hash__(self) -> int:
        return hash((self.role, self.fingerprint))

    def __getstate__(self) -> dict[str, Any]:
        return without_caches(self)


def level_function(role: str, value: Any, n: int | None = None) -> LevelFunction:
    """Return the function that a user has given as the argument `role`, for n levels.

    Parameters
    ----------
    role : str
        Name of the argument.
    value : function
        f(x), or f(x, i): only a second parameter without a default is the level, and it must be called i. All others
        need defaults. Python, or compiled by Numba; functools.partial of one.
    n : int, optional
        How many levels it will be asked for.

    Raises
    ------
    TypeError
        If it is no such function, cannot be compiled, or gives no real number.
    ValueError
        If it reads beyond the end of an array for one of the levels.
    """
    if not isinstance(value, LevelFunction):
        function = _of_parameters(role, value)
    elif role == value.role:
        function = value
    else:
        function = LevelFunction(role, value.name, value.labeled, value.captured)
    function.check(n)
    return function


def scalar_function(value: Any) -> LevelFunction:
    """For a kernel: what `level_function` let pass, or a function that has not been checked yet."""
    return value if isinstance(value, LevelFunction) else level_function("function", value)


def _of_parameters(role: str, value: Any) -> LevelFunction:
    """Find out what the parameters mean."""
    inner, first, named = value, (), {}  # type: Any, tuple[Any, ...], dict[str, Any]
    while isinstance(inner, functools.partial):  # partial of a partial is one; of something compiled it is not
        first, named, inner = inner.args + first, inner.keywords | named, inner.func
    plain = getattr(inner, "py_func", inner)
    if isinstance(inner, (BuiltinFunctionType, np.ufunc)):  # math.sin, numpy.sin
        return LevelFunction(role, inner.__name__, False, wrapped(CALL.format("x"), {"function": inner}))
    if not isinstance(plain, FunctionType):
        raise TypeError(f"{role} = {value!r}: must be {ALLOWED}, not {_kind(plain)}{_instead(plain)}")
    how = f"{role} = {plain.__name__}{inspect.signature(plain)}"
    code = plain.__code__
    if code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        raise TypeError(f"{how}: must be {ALLOWED}: write its parameters out instead of *args or **kwargs")
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        raise TypeError(f"{how}: must be {ALLOWED}, no generator and no coroutine")
    parameters = list(inspect.signature(plain, follow_wrapped=False).parameters.values())
    names = [p.name for p in parameters]
    taken, free = names[: len(first)], parameters[len(first) :]
    odd = [name for name in named if name in taken or name not in names]
    if odd or len(first) > len(parameters):
        raise TypeError(f"{how}: functools.partial gives it {odd[0] if odd else 'more'}, which it cannot take")
    if not free or free[0].kind is inspect.Parameter.KEYWORD_ONLY or free[0].name in named:
        raise TypeError(f"{how}: must be {ALLOWED}; it has no parameter left for x")
    values: dict[str, Any] = {f"given_{name}": value for name, value in zip(taken, first, strict=True)}
    labeled = False
    for p in free[1:]:
        if p.name in named or p.default is not p.empty:
            values[f"given_{p.name}"] = named.get(p.name, p.default)
        elif p.name != "i" or p.kind is p.KEYWORD_ONLY:
            raise TypeError(
                f"{how}: is {p.name} the level? A second parameter without a default is, and must be called i, from 0 "
                "to n - 1; give every other parameter a default, or a value by functools.partial"
            )
        else:
            labeled = True
    order = ["x" if p is free[0] else f"given_{p.name}" if f"given_{p.name}" in values else "i" for p in parameters]
    call = wrapped(CALL.format(", ".join(order)), values | {"function": inner})
    return LevelFunction(role, plain.__name__, labeled, call)


def _kind(value: Any) -> str:
    return "a bound method" if inspect.ismethod(value) else f"a {type(value).__name__}"


def _instead(value: Any) -> str:
    """Say what to write instead of something else that can be called."""
    if not callable(value):
        return ""
    return ": write a function of numbers, such as lambda x: -k * x with k taken out of the object first"
