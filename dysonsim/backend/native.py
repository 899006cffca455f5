"""Machine code that a later process runs without Numba.

Numba takes a second to import and to make ready, a file of machine code a few milliseconds to load. What Numba makes
of a function becomes an object file here, which LLVM links into a process and ctypes calls; it is kept in the directory
that `cache.py` names. Every object file has an engine of its own, so that functions of one name in two of them cannot
be taken for each other.

For functions that raise nothing: an exception would not pass through C.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Any

import numpy as np
from llvmlite import binding

from .._patience import told_if_slow
from .cache import Unsuitable, processor, read, written
from .drivers import jit_disabled
from .threads import LINKING

__all__ = ["Code", "Native", "in_some_directory"]

SUFFIX = ".code"
Kind = tuple[str, int]  # an argument's type: a NumPy dtype's code, and the dimensions of the array; 0: a number
FLOAT, INTEGER, WORD = ("d", 0), ("q", 0), ("I", 0)
NUMBERS = ("float64", "float32", "int64", "uint32")  # that arrays may hold
# Where an array's fields are, in 64-bit words from the start of the object (NumPy's C interface, PyArrayObject).
DATA, DIMENSIONS, SHAPE, DTYPE, FLAGS = (object.__basicsize__ // 8 + field for field in (0, 1, 2, 5, 6))
GOOD = 0x101  # flags: C-contiguous, aligned
# How Numba's functions are called: where to put the result and the exception, then the arguments; 0 if all went well.
FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
RESULT, EXCEPTION = (ctypes.cast(ctypes.pointer(ctypes.c_void_p()), ctypes.c_void_p) for _ in range(2))
ENGINES: list[Any] = []  # what holds the machine code in memory
# Numba's code for the end of an array that owns its memory; those here do not.
NEVER_CALLED = """
target triple = "{triple}"
define void @NRT_MemInfo_call_dtor(ptr %array) {{ ret void }}
"""


@dataclass(frozen=True)
class Code:
    """An object file that holds a function `kernel`, the platform it is for, and what it calls from outside."""

    triple: str
    outside: tuple[str, ...]
    data: bytes

    def save(self, path: Path) -> None:
        """If it can be: else the next process compiles again."""
        head = json.dumps({"triple": self.triple, "outside": self.outside}).encode()
        body = head + b"\n" + self.data
        written(path, sha256(path, body) + b"\n" + body)

    @classmethod
    def read(cls, path: Path) -> Code | None:
        """None if it is not there, damaged, or not this user's alone."""
        try:
            digest, body = read(path).split(b"\n", 1)
            if digest != sha256(path, body):
                return None
            head, data = body.split(b"\n", 1)
            of = json.loads(head)
            return cls(of["triple"], tuple(of["outside"]), data)
        except (OSError, ValueError, KeyError, TypeError, Unsuitable):
            return None

    def load(self) -> int:
        """The address of the function, linked into this process; RuntimeError if what it calls is not here."""
        with LINKING:
            return self._link()

    def _link(self) -> int:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        for name in self.missing():
            address = in_process(name)
            if address is not None:
                binding.add_symbol(name, address)
        if self.missing():  # what Numba brings, such as its way to BLAS
            from numba.core.registry import cpu_target
            from numba.core.runtime import rtsys

            rtsys.initialize(cpu_target.target_context)
        if self.missing():  # LLVM would link all that comes from outside to address 0
            raise RuntimeError(f"machine code: it calls {', '.join(self.missing())}, not in this process")
        module = binding.parse_assembly(f'target triple = "{self.triple}"')
        engine = binding.create_mcjit_compiler(module, target_machine(self.triple))
        engine.add_object_file(binding.ObjectFileRef.from_data(self.data))
        engine.finalize_object()
        ENGINES.append(engine)
        return engine.get_function_address("kernel")

    def missing(self) -> list[str]:
        """What it calls from outside and LLVM does not know."""
        return [name for name in self.outside if binding.address_of_symbol(name) is None]


def in_process(name: str) -> int | None:
    """The address of what this process has under that name, such as C's square root; None if it has nothing."""
    try:
        return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value
    except (AttributeError, OSError, TypeError):  # not there, or no such handle on this system
        return None


class Native:
    """A function of C-contiguous arrays, integers and floats as machine code, for the argument types of its first call.

    Parameters
    ----------
    make : callable
        Returns the Python function; called only if there is something to compile.
    directory : Path or None
        Where the machine code is kept; None: nowhere.
    """

    def __init__(self, make: Callable[[], Callable[..., None]], directory: Path | None) -> None:
        self.make, self.directory = make, directory
        self.kinds: tuple[Kind, ...] = ()
        self.codes: dict[tuple[Kind, ...], Code] = {}

    def __call__(self, *arguments: Any) -> None:
        """Run it; other threads of Python run on meanwhile. TypeError for arguments of other types than at first."""
        if not self.kinds:
            self.load(kinds(arguments))
        # A microsecond or two in all: parts of a step of one large gas take less than a hundred.
        if self.function(RESULT, EXCEPTION, self.pack(*arguments), self.dtypes):
            again = tuple(map(plain, arguments))
            if kinds(again) != self.kinds or self.function(RESULT, EXCEPTION, self.pack(*again), self.dtypes):
                raise TypeError(f"arguments are not {in_words(self.kinds)}, or an array is not C-contiguous")

    def load(self, of: tuple[Kind, ...]) -> None:
        """Make ready for arguments of these kinds: machine code from the disk or compiled, and how they are passed.

        Several threads may do so at once, and a signal handler in the middle of it.
        """
        path = None if self.directory is None else self.directory / (in_words(of) + SUFFIX)
        code = None if path is None else Code.read(path)
        try:
            address = None if code is None else code.load()
        except Exception:  # whatever ails it: compiled anew
            address = None
        function = FUNCTION(self._compiled(of, path).load() if address is None else address)
        with LINKING:
            if not self.kinds:
                self._bind(function, of)

    def _bind(self, function: Any, of: tuple[Kind, ...]) -> None:
        self.function = function
        self.dtypes = Struct(f"{len(of)}q").pack(*[id(np.dtype(letter)) for letter, _ in of])
        names = ", ".join(f"x{i}" for i in range(len(of)))
        passed = ", ".join(f"id(x{i})" if dimensions else f"x{i}" for i, (_, dimensions) in enumerate(of))
        layout = Struct("".join("d" if kind == FLOAT else "q" for kind in of))
        self.pack = eval(f"lambda {names}: pack({passed})", {"pack": layout.pack})
        self.kinds = of

    def _compiled(self, of: tuple[Kind, ...], path: Path | None) -> Code:
        """Machine code that is new, if no other thread has just made it."""
        if jit_disabled():
            raise RuntimeError("NUMBA_DISABLE_JIT is set: this runs as compiled code only")
        from numba.core.compiler_lock import global_compiler_lock

        with global_compiler_lock:
            if of not in self.codes:
                kept = "this process alone" if path is None else "later ones too, on disk"
                told = told_if_slow(f"compiling a kernel, for {kept}")
                with no_garbage_collection(), in_some_directory(), told:
                    self.codes[of] = compiled(self.make(), of)
                if path is not None:
                    self.codes[of].save(path)
            return self.codes[of]


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """For what makes many objects and few that are garbage, such as Numba: the search takes it 6 to 8% of its time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


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


def kinds(arguments: tuple[Any, ...]) -> tuple[Kind, ...]:
    """The types of arguments."""
    found = []
    for x in arguments:
        if isinstance(x, np.ndarray):
            found.append((x.dtype.char, x.ndim))
        else:
            found.append(FLOAT if isinstance(x, float) else WORD if isinstance(x, np.uint32) else INTEGER)
    return tuple(found)


def plain(argument: Any) -> Any:
    """An array with NumPy's own object for its dtype, where it has another one of that meaning, as after a pickle."""
    return argument.view(argument.dtype.char) if isinstance(argument, np.ndarray) else argument


def in_words(kinds: tuple[Kind, ...]) -> str:
    """For the name of a file."""
    return "-".join(f"{np.dtype(code).name}{f'x{dimensions}' if dimensions else ''}" for code, dimensions in kinds)


def compiled(function: Callable[..., None], of: tuple[Kind, ...]) -> Code:
    """The machine code of a Python function for arguments of these kinds.

    It reads numbers from memory, and arrays from the fields with which every array of NumPy begins.
    """
    from numba import carray, njit, types

    from .llvm import llvm_code
    from .pointers import address, pointer

    lines, arguments = [f"integers, dtypes = carray(packed, {len(of)}), carray(dtypes, {len(of)})"], []
    lines.append(f"floats = carray(pointer(address(packed)), {len(of)}, float64)")
    for i, (code, dimensions) in enumerate(of):
        if dimensions:
            shape = "".join(f"shape{i}[{j}], " for j in range(dimensions))
            good = f"x{i}[{DTYPE}] == dtypes[{i}] and x{i}[{FLAGS}] & {GOOD} == {GOOD}"
            good += f" and x{i}[{DIMENSIONS}] & {2**32 - 1} == {dimensions}"
            lines.append(f"x{i} = carray(pointer(integers[{i}]), {FLAGS + 1}, int64)")
            lines.append(f"if not ({good}): raise TypeError")
            lines.append(f"shape{i} = carray(pointer(x{i}[{SHAPE}]), {dimensions}, int64)")
            arguments.append(f"carray(pointer(x{i}[{DATA}]), ({shape}), {np.dtype(code).name})")
        else:
            arguments.append({FLOAT: f"floats[{i}]", WORD: f"uint32(integers[{i}])"}.get((code, 0), f"integers[{i}]"))
    text = "\n    ".join(["def entry(packed, dtypes):", *lines, f"body({', '.join(arguments)})"])
    names: dict[str, Any] = {"carray": carray, "address": address, "pointer": pointer}
    names |= {number: getattr(np, number) for number in NUMBERS}
    # Put in before it is compiled: LLVM works on the whole once, not twice.
    names["body"] = njit(inline="always", error_model="numpy")(function)
    exec(text, names)
    text, name = llvm_code(names["entry"], (types.CPointer(types.int64), types.CPointer(types.int64)))
    return object_code(binding.parse_assembly(text), name)


def object_code(module: binding.ModuleRef, symbol: str) -> Code:
    """The machine code of the function `symbol` of a module that is optimised, and of what it calls."""
    module.link_in(binding.parse_assembly(NEVER_CALLED.format(triple=module.triple)))
    module.get_function(symbol).name = "kernel"
    for function in module.functions:
        if not function.is_declaration and function.name != "kernel":
            function.linkage = "internal"
    machine = target_machine(module.triple)
    passes = binding.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.run(module, binding.create_pass_builder(machine, binding.create_pipeline_tuning_options()))
    outside = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
    return Code(module.triple, tuple(outside), machine.emit_object(module))


def target_machine(triple: str) -> binding.TargetMachine:
    """This machine, for code that is linked in memory, as Numba describes it to LLVM."""
    name, features = processor()
    reloc = "static" if triple.startswith("x86") else "default"
    return binding.Target.from_triple(triple).create_target_machine(
        cpu=name, features=features, opt=3, reloc=reloc, codemodel="jitdefault"
    )


def sha256(path: Path, body: bytes) -> bytes:
    """Checksum of what a file holds and of its place."""
    return hashlib.sha256(f"{path.parent.name}/{path.name}\n".encode() + body).hexdigest().encode()
