"""What tells parameters and functions apart: their content, the same in every process and never an address.

A function is its bytecode (without names of its own, file, line numbers and docstring), its default arguments, and the
values that it captures: closures, the globals that it names, the attributes that it reads of a user's modules, nested
functions, and all of that of the functions that it calls. `Captured` holds these as they are at one moment.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import importlib
import marshal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

__all__ = ["Captured", "capture", "fingerprint", "without_caches", "wrapped"]

# Known by name: what they hold does not change between two runs of one installation.
LIBRARIES = {"dysonsim", "llvmlite", "numba", "numba_cuda", "numpy", "scipy"}
BETWEEN = {"CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL"}  # instructions that may stand before LOAD_ATTR


@dataclass(eq=False)
class Captured:
    """A function of a user and all that it captures, frozen: arrays are copied, functions are captured in turn.

    Parameters
    ----------
    name, module : str
        For messages.
    code : code
        Keyword-only parameters made ordinary ones, which Numba can pass.
    defaults : tuple
        Of the last parameters.
    names : dict
        Values of globals.
    cells : tuple
        Values of closures.
    fast : bool or set
        Numba's option "fastmath", where the user has compiled it.
    """

    name: str
    module: str
    code: CodeType
    defaults: tuple[Any, ...] = ()
    names: dict[str, Any] = field(default_factory=dict)
    cells: tuple[Any, ...] = ()
    fast: Any = False

    def made(self, jit: Callable[..., Any], done: dict[int, Any]) -> Any:
        """Make the function for one target: `jit(function, fast)` compiles it and what it calls; `done` is empty."""
        if id(self) not in done:
            names: dict[str, Any] = {"__builtins__": __builtins__, "__name__": self.module}
            cells = tuple(CellType() for _ in self.cells)
            function = FunctionType(self.code, names, self.name, self.defaults or None, cells)
            function.__module__, function.__qualname__ = self.module, self.name
            done[id(self)] = jit(function, self.fast)  # before what it captures: it may call itself
            names |= {name: _made(value, jit, done) for name, value in self.names.items()}
            for cell, value in zip(cells, self.cells, strict=True):
                cell.cell_contents = _made(value, jit, done)
        return done[id(self)]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"code": marshal.dumps(self.code), "python": sys.implementation.cache_tag}

    def __setstate__(self, state: dict[str, Any]) -> None:
        python = state.pop("python")
        if python != sys.implementation.cache_tag:
            raise ValueError(f"{state['name']} was pickled by {python}, this is {sys.implementation.cache_tag}")
        vars(self).update(state, code=marshal.loads(state["code"]))


@dataclass(frozen=True, eq=False)
class Module:
    """A module as a function sees it: one of a library by its name, a user's by the attributes that are read."""

    name: str
    attributes: dict[str, Any] | None = None  # None: of a library

    def made(self, jit: Callable[..., Any], done: dict[int, Any]) -> ModuleType:
        if self.attributes is None:
            return importlib.import_module(self.name)
        module = ModuleType(self.name)
        vars(module).update({name: _made(value, jit, done) for name, value in self.attributes.items()})
        return module


def _made(value: Any, jit: Callable[..., Any], done: dict[int, Any]) -> Any:
    if isinstance(value, (Captured, Module)):
        return value.made(jit, done)
    if isinstance(value, tuple):
        return _like(value, [_made(v, jit, done) for v in value])
    return value


def _like(value: tuple[Any, ...], parts: list[Any]) -> tuple[Any, ...]:
    """Return a tuple of the same type, which may have names for its fields."""
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


def wrapped(text: str, values: dict[str, Any]) -> Captured:
    """Return the function that `text` defines in terms of `values`, which are captured."""
    names: dict[str, Any] = {}
    exec(text, names)
    (function,) = (f for f in names.values() if isinstance(f, FunctionType))
    held = {name: _frozen(value, {}, {}) for name, value in values.items()}
    return Captured(function.__name__, __name__, function.__code__, names=held)


def capture(function: Any, seen: dict[int, Any] | None = None) -> Captured:
    """Return a Python function, or one that Numba has compiled, with what it captures now; `seen` is empty at first."""
    seen = {} if seen is None else seen
    plain = getattr(function, "py_func", function)
    if id(plain) in seen:
        return seen[id(plain)]
    code, keywords = plain.__code__, plain.__kwdefaults__ or {}
    only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    code = code.replace(co_argcount=code.co_argcount + len(only), co_kwonlyargcount=0)
    defaults = plain.__defaults__ or ()
    # Values that do not follow each other to the last parameter cannot be defaults any more: calls must give them.
    defaults = defaults + tuple(keywords[name] for name in only) if len(keywords) == len(only) else ()
    fast = getattr(function, "targetoptions", {}).get("fastmath", False)
    found = seen[id(plain)] = Captured(plain.__name__, plain.__module__ or "__main__", code, (), {}, (), fast)
    free = dict(zip(code.co_freevars, [_content(cell) for cell in plain.__closure__ or ()], strict=True))
    names, attributes = _read(code, plain.__globals__, free)

    def frozen(value: Any) -> Any:
        return _frozen(value, attributes, seen)

    found.names = {name: frozen(plain.__globals__[name]) for name in sorted(names)}
    found.cells = tuple(map(frozen, free.values()))
    found.defaults = tuple(map(frozen, defaults))
    return found


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _read(code: CodeType, names: dict[str, Any], free: dict[str, Any]) -> tuple[set[str], dict[int, set[str]]]:
    """Names of the globals that code reads, and which attributes of which module (by id)."""
    found: set[str] = set()
    attributes: dict[int, set[str]] = {}
    value = None
    for instruction in dis.get_instructions(code):
        operation, name = instruction.opname, instruction.argval
        if operation in BETWEEN:
            continue
        if operation in ("LOAD_GLOBAL", "LOAD_NAME"):
            value = names.get(name)
            found |= {name} & names.keys()
        elif operation == "LOAD_DEREF":
            value = free.get(name)
        elif operation in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(value, ModuleType):
            attributes.setdefault(id(value), set()).add(name)
            value = getattr(value, name, None)
        else:
            value = None
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            more, others = _read(inner, names, free)
            found |= more
            for module, read in others.items():
                attributes[module] = attributes.get(module, set()) | read
    return found, attributes


def _of_library(name: str | None) -> bool:
    top = (name or "").partition(".")[0]
    return top in LIBRARIES or (top in sys.stdlib_module_names and top != "__main__")


def _frozen(value: Any, attributes: dict[int, set[str]], seen: dict[int, Any]) -> Any:
    """Return what is captured of a value."""
    if isinstance(value, np.ndarray):
        copy = value.copy(order="K")
        copy.flags.writeable = False
        return copy
    if type(value) is tuple or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return _like(value, [_frozen(v, attributes, seen) for v in value])
    if isinstance(value, ModuleType):
        if _of_library(value.__name__):
            return Module(value.__name__)
        read = sorted(attributes.get(id(value), set()))
        return Module(value.__name__, {n: _frozen(getattr(value, n), attributes, seen) for n in read})
    plain = getattr(value, "py_func", value)
    if isinstance(plain, FunctionType) and not _of_library(plain.__module__):
        return capture(value, seen)
    return value


def fingerprint(value: Any) -> str:
    """Hash of parameters by their content: of a process, a model, a function, arrays, numbers."""
    return hashlib.sha256(_canonical(value, {}).encode()).hexdigest()


def _canonical(value: Any, seen: dict[int, tuple[int, Any]]) -> str:
    """Say in a text what `value` is; `seen` numbers what may lead back to itself, and keeps it alive with its id."""

    def all_of(values: Any) -> str:
        return ",".join(_canonical(v, seen) for v in values)

    def named(values: dict[str, Any]) -> str:
        return ",".join(f"{name}={_canonical(v, seen)}" for name, v in values.items())

    if isinstance(value, np.ndarray):
        return f"{value.shape}{value.dtype}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    if id(value) in seen:
        return f"number {seen[id(value)][0]}"
    if isinstance(value, Captured):
        seen[id(value)] = len(seen), value
        return f"{_code(value.code, seen)}({all_of(value.defaults)})({named(value.names)})({all_of(value.cells)})"
    if isinstance(getattr(value, "fingerprint", None), str):
        return value.fingerprint
    plain = getattr(value, "py_func", value)
    if isinstance(plain, FunctionType):
        return f"{plain.__module__}.{plain.__qualname__}" if _of_library(plain.__module__) else (
            _canonical(capture(value), seen)
        )  # fmt: skip
    if isinstance(value, functools.partial):
        return f"partial({_canonical(value.func, seen)},{all_of(value.args)},{named(value.keywords)})"
    if isinstance(value, Module):
        return f"{value.name}({named(value.attributes or {})})"
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "__dataclass_fields__"):
        return f"{type(value).__name__}({named({name: getattr(value, name) for name in value.__dataclass_fields__})})"
    if isinstance(value, (tuple, list)):
        return f"({all_of(value)})"
    if isinstance(value, (set, frozenset)):
        return f"{{{','.join(sorted(_canonical(v, seen) for v in value))}}}"
    if isinstance(value, dict):
        return f"{{{','.join(sorted(f'{_canonical(k, seen)}:{_canonical(v, seen)}' for k, v in value.items()))}}}"
    text = repr(value)
    if " at 0x" not in text:
        return text
    seen[id(value)] = len(seen), value
    held = without_caches(value) if hasattr(value, "__dict__") else {}  # an address says nothing: its attributes do
    return f"{type(value).__module__}.{type(value).__qualname__}({named(held)})"


def _code(code: CodeType, seen: dict[int, tuple[int, Any]]) -> str:
    """Bytecode, with nested code, and without the names of what it is and where it is written."""
    constants = list(code.co_consts)
    # A docstring is the first constant, and has a flag (CO_HAS_DOCSTRING) from Python 3.13 on.
    has_text = code.co_flags & 0x4000000 if sys.version_info >= (3, 13) else not code.co_name.startswith("<")
    if constants and isinstance(constants[0], str) and has_text:
        constants[0] = None
    told = ",".join(_code(c, seen) if isinstance(c, CodeType) else _canonical(c, seen) for c in constants)
    counts = code.co_argcount, code.co_kwonlyargcount, code.co_flags & 0x2C  # *args, **kwargs, generator
    return f"{code.co_code.hex()}{code.co_exceptiontable.hex()}{counts}{code.co_names}({told})"


def without_caches(value: Any) -> dict[str, Any]:
    """Return the attributes of an object without what a cached_property keeps: what a pickle of it holds."""
    kept = {k for c in type(value).__mro__ for k, v in vars(c).items() if isinstance(v, functools.cached_property)}
    return {name: held for name, held in vars(value).items() if name not in kept}
