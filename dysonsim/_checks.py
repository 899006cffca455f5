"""Checks of arguments, shared by every layer; this module imports nothing but NumPy.

Each check returns the value in the type that the library works with, or raises a TypeError or ValueError
that names the argument, the value given and what is allowed. All numbers come in through `real`, `integer` or `array`,
so that what counts as a number is decided here: no complex ones, even with imaginary part zero; no bools, strings,
dates or times; nothing masked; no tensor that NumPy cannot read as it stands.
"""

from __future__ import annotations

import math
import operator
import reprlib
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np

LARGEST = 2**63 - 1  # kernels hold integers in 64 bits
SMALLEST = 1e-60  # smallest number that may set a scale; the largest is 1e60
MOST_LEVELS = 10**8
MOST_NUMBERS = 2**40  # of an array; a view can repeat itself, but a copy would take 8 TiB
LONGEST_RANGE = 10**7  # entries of a range that becomes an array; a longer one is a mistake, and takes minutes

_brief = reprlib.Repr()
_brief.maxlist = _brief.maxtuple = _brief.maxset = _brief.maxfrozenset = _brief.maxdict = 8
_brief.maxstring = _brief.maxlong = _brief.maxother = 160


def shown(value: Any) -> str:
    """Return the value in an error message: its repr, cut short, whatever its repr may do."""
    try:
        return _brief.repr(value)
    except Exception:  # of an integer with too many digits, or of a class of the user
        return f"<{type(value).__name__}>"


def exact(number: float) -> str:
    """Write a number with digits that tell it from all others: what is just outside a bound must not read as it."""
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def integer(name: str, value: Any, minimum: int, maximum: int | None = None, most: int = LARGEST) -> int:
    """Return a whole number between `minimum` and `maximum` (both included, by default what 64 bits hold).

    `most` is a maximum that no sensible call comes near; the message speaks of the minimum first.
    """
    bound = "< 2**63" if most == LARGEST else f"<= {most}"
    allowed = f"an integer >= {minimum} and {bound}" if maximum is None else f"an integer from {minimum} to {maximum}"
    if isinstance(value, bool):
        raise TypeError(f"{name} = {value!r}: must be {allowed}, not a bool")
    if hasattr(value, "__array__"):
        given = _given(name, value, allowed)
        if given.dtype.kind not in "iu" or given.ndim:
            raise TypeError(f"{name} = {shown(value)}: must be {allowed}")
        value = given.item()
    try:
        number = operator.index(value)
    except Exception:
        raise TypeError(f"{name} = {shown(value)}: must be {allowed}, not {type(value).__name__}") from None
    if number < minimum or number > (most if maximum is None else maximum):
        raise ValueError(f"{name} = {shown(number)}: must be {allowed}")
    return number


def real(
    name: str, value: Any, above: float = -math.inf, at_least: float = -math.inf, below: float = math.inf
) -> float:
    """Return a finite real number, `> above`, `>= at_least` and `< below`."""
    bounds = [f"> {exact(above)}"] if above > -math.inf else []
    bounds += [f">= {exact(at_least)}"] if at_least > -math.inf else []
    bounds += [f"< {exact(below)}"] if below < math.inf else []
    allowed = f"a finite number {' and '.join(bounds)}".rstrip()
    if hasattr(value, "__array__"):
        given = _given(name, value, allowed)
        if given.ndim:
            raise TypeError(f"{name} = {shown(value)}: must be {allowed}, not an array")
        value = given.item()
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError(f"{name} = {shown(value)}: must be {allowed}, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name}: must be {allowed}, and is too large for a float") from None
    except Exception:
        raise TypeError(f"{name} = {shown(value)}: must be {allowed}, not {type(value).__name__}") from None
    if not math.isfinite(number) or number <= above or number < at_least or number >= below:
        raise ValueError(f"{name} = {exact(number)}: must be {allowed}")
    return number


def scale(name: str, value: Any, zero: bool = False) -> float:
    """Check a number > 0 (or 0) that sets a scale: from 1e-60 to 1e60, so that products of powers stay floats."""
    number = real(name, value, at_least=0) if zero else real(name, value, above=0)
    if number and not SMALLEST <= number <= 1 / SMALLEST:
        raise ValueError(f"{name} = {exact(number)}: must be from {SMALLEST:g} to {1 / SMALLEST:g}; change the units")
    return number


def array(
    name: str,
    value: Any,
    want: str = "real numbers",
    *,
    dimensions: Collection[int] | None = None,
    finite: bool = True,
    empty: bool = False,
) -> np.ndarray:
    """Real numbers as a float64 array: the one gate for all of them.

    Parameters
    ----------
    name : str
        What the argument is called.
    value : Any
        An array, nested lists or tuples of one shape, a number, or what NumPy reads as such: a tensor in the memory of
        the CPU that needs no gradient, a series, a range.
    want : str
        What is allowed, for the message.
    dimensions : collection of int, optional
        How many are allowed; any number by default.
    finite, empty : bool
        Whether every number must be finite; whether there may be none at all.

    Returns
    -------
    float64 array, aligned; not a copy where `value` is one already.
    """
    given = _given(name, value, want)
    if given.size > MOST_NUMBERS:
        raise MemoryError(f"{name} has shape {given.shape}: so many numbers do not fit into any memory")
    with np.errstate(over="ignore"):
        numbers = np.require(given, np.float64, "A")
    if given.dtype.itemsize > 8 and (np.isinf(numbers) & np.isfinite(given)).any():
        raise ValueError(f"{name} holds {given.dtype} numbers that are too large for a float64: must be {want}")
    if dimensions is not None and numbers.ndim not in dimensions:
        raise ValueError(f"{name} has shape {numbers.shape}: must be {want}")
    if not empty and numbers.size == 0:
        raise ValueError(f"{name} is empty, of shape {numbers.shape}: must be {want}")
    if finite and not np.isfinite(numbers).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(numbers))[0])
        raise ValueError(f"{name}{place(where)} = {numbers[where]}: every number must be finite")
    return numbers


def moderate(name: str, x: np.ndarray) -> np.ndarray:
    """Check that squares of data and of their differences are floats: at most 1e100 in size, 1e-100 or more apart."""
    largest, spread = float(np.abs(x).max()), float(np.ptp(x))
    if largest > 1e100:
        where = tuple(int(i) for i in np.argwhere(np.abs(x) > 1e100)[0])
        raise ValueError(f"{name}{place(where)} = {x[where]}: must be at most 1e100 in size; change the units")
    if 0 < spread < 1e-100:
        raise ValueError(f"{name} differ by {spread:.3g} at most: must vary by 1e-100 or more; change the units")
    return x


def unit(x: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return a power of two in which squares of the numbers, along an axis, neither overflow nor vanish: mostly 1."""
    largest = np.abs(x).max(axis=axis, keepdims=axis is not None)
    extreme = (largest > 1e130) | ((largest < 1e-130) & (largest > 0))
    return np.ldexp(1.0, np.where(extreme, np.frexp(largest)[1] - 1, 0))


def place(where: tuple[int, ...]) -> str:
    """Write indices as behind a name."""
    return f"[{', '.join(map(str, where))}]" if where else ""


def _given(name: str, value: Any, want: str) -> np.ndarray:
    """Return what NumPy makes of a value, where that is integers or floats; TypeError otherwise."""
    if getattr(value, "requires_grad", False) is True:
        raise TypeError(f"{name} is a tensor that requires a gradient: must be {want}; give {name}.detach()")
    if isinstance(value, range) and value[LONGEST_RANGE:]:
        raise ValueError(f"{name} = {value!r}: must be {want}, of no more than {LONGEST_RANGE} entries")
    if isinstance(value, (str, bytes, bytearray)):  # NumPy reads the last as small integers
        raise TypeError(f"{name} is {type(value).__name__} {shown(value)}: must be {want}")
    try:
        given = np.asarray(value)
    except MemoryError as error:
        why = str(error) or "so many numbers do not fit"
        raise MemoryError(f"{name} is {type(value).__name__}: {why}") from None
    except Exception as error:  # ragged lists; tensors on another device, or of a type that NumPy lacks
        raise TypeError(f"{name} is {type(value).__name__}: must be {want} ({error})") from None
    inside = _types(value) if isinstance(value, (list, tuple)) else {type(value)}
    if any(issubclass(kind, np.ma.MaskedArray) for kind in inside):
        raise TypeError(f"{name} is masked: must be {want}; fill it, or take the entries that are not masked")
    if given.dtype.kind in "iuf" and inside.isdisjoint((bool, np.bool_)):
        return given
    what = "bool" if given.dtype.kind in "iuf" else f"{given.dtype}"
    if given.ndim == 0:
        raise TypeError(f"{name} is {type(value).__name__} {shown(value)}: must be {want}")
    raise TypeError(f"{name} is {type(value).__name__} of dtype {what}: must be {want}")


def _types(nested: list | tuple) -> set[type]:
    """Return the types of all that nested lists and tuples hold, which NumPy forgets: True beside 1.5 becomes 1.0."""
    found = set(map(type, nested))
    if any(issubclass(kind, (list, tuple)) for kind in found):
        for part in nested:
            if isinstance(part, (list, tuple)):
                found |= _types(part)
    return found


def matrix(name: str, value: Any, shape: tuple[int | None, int | None] = (None, None)) -> np.ndarray:
    """Return a finite, non-empty, read-only float64 matrix; `shape` fixes a dimension where it is not None."""
    want = " x ".join("any" if n is None else str(n) for n in shape)
    given = array(name, value, f"a real matrix ({want})", finite=False, empty=True)
    if given.ndim != 2 or 0 in given.shape or any(n not in (None, m) for n, m in zip(shape, given.shape, strict=True)):
        raise ValueError(f"{name} has shape {given.shape}: must be a non-empty matrix of shape {want}")
    fixed = array(name, given).copy()
    fixed.setflags(write=False)
    return fixed


def positive_definite(name: str, value: Any) -> np.ndarray:
    """Return a symmetric positive definite matrix (read-only float64)."""
    given = matrix(name, value)
    if given.shape[0] != given.shape[1]:
        raise ValueError(f"{name} has shape {given.shape}: must be a square, symmetric, positive definite matrix")
    largest = float(np.abs(given).max())
    with np.errstate(over="ignore"):
        asymmetry = float(np.abs(given - given.T).max())
    if asymmetry > 1e-10 * largest:
        raise ValueError(f"{name}: must be symmetric, but entries differ from the transpose by up to {asymmetry:.3g}")
    smallest = float(np.linalg.eigvalsh(given)[0])
    if smallest <= 0:
        raise ValueError(f"{name}: must be positive definite, but its smallest eigenvalue is {smallest:.6g}")
    return given


def choice(name: str, value: Any, allowed: Collection[Any]) -> Any:
    """One of a few allowed values."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} = {shown(value)}: must be one of {', '.join(repr(a) for a in allowed)}")
    return value


def renamed(old: str, value: Any, new: str, given: Any, stacklevel: int = 3) -> Any:
    """Return the value of an argument with a new name, `given`, or, with a warning, that of its old name, `value`.

    Each is None where it was left out; TypeError if neither was.
    """
    if value is None:
        return given
    if given is not None:
        raise TypeError(f"{old} = {shown(value)}: is the old name of {new}, which is given as well; leave {old} out")
    warnings.warn(f"{old}= goes with the next release: give {new}= instead", DeprecationWarning, stacklevel=stacklevel)
    return value


def flag(name: str, value: Any) -> bool:
    """Check a flag: True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} = {shown(value)}: must be True or False")
    return bool(value)


def shape_of(name: str, value: Any, want: str = "a number or an array of numbers") -> tuple[int, ...]:
    """Return the shape of a number or an array of numbers, whose entries may not be finite."""
    if hasattr(value, "__float__") and not hasattr(value, "__array__"):
        return ()
    return _given(name, value, want).shape


def vector(name: str, value: Any, size: int, above: float = -math.inf, at_least: float = -math.inf) -> np.ndarray:
    """Finite numbers (size,), read-only float64; one number stands for all of them."""
    if size > MOST_LEVELS:
        raise ValueError(f"n = {size}: must be at most {MOST_LEVELS} levels")
    shape = shape_of(name, value)
    if len(shape) > 1:
        raise ValueError(f"{name} has shape {shape}: must be a number or an array of {size}")
    if not shape:
        value = np.full(size, real(name, value, above, at_least))
    numbers = matrix(name, array(name, value, f"a number or an array of {size}")[None], (1, size))[0]
    for i in np.flatnonzero(~((numbers > above) & (numbers >= at_least))):
        real(f"{name}[{i}]", float(numbers[i]), above, at_least)
    return numbers


def levels(name: str, value: Any, n: int) -> np.ndarray | None:
    """Levels (n,) or (replicas, n), sorted and read-only; None stays None."""
    if value is None:
        return None
    given = array(name, value, f"levels, shape ({n},) or (replicas, {n})", dimensions=(1, 2))
    if given.shape[-1] != n:
        raise ValueError(f"{name} has shape {given.shape}: must be levels, shape ({n},) or (replicas, {n})")
    ascending = np.sort(given, axis=-1)
    ascending.setflags(write=False)
    return ascending


def size(value: Any) -> tuple[int, ...]:
    """Return the argument `size` of random variates, as a shape."""
    allowed = "None, an integer >= 0 or a tuple of them"
    sizes = value if isinstance(value, (tuple, list)) else (value,)
    try:
        shape = tuple(integer("size", entry, 0) for entry in sizes)
    except (TypeError, ValueError) as error:
        raise type(error)(f"size = {shown(value)}: must be {allowed}") from None
    if math.prod(shape) > LARGEST // 8:
        raise MemoryError(f"size = {shown(value)}: so many numbers do not fit into any memory")
    return shape


def generator(value: Any) -> np.random.Generator:
    """Return the argument `random_state` as a generator."""
    sources = np.random.Generator, np.random.BitGenerator, np.random.SeedSequence, np.random.RandomState
    try:
        if value is not None and not isinstance(value, (int, *sources)):
            value = _given("random_state", value, "integers")  # NumPy's own reading of a numpy.matrix crashes Python
            if value.dtype.kind not in "iu" or value.ndim > 1:
                raise TypeError
            value = value if value.ndim else int(value)
        if not isinstance(value, bool):
            return np.random.default_rng(value)
    except Exception:
        pass
    raise TypeError(
        f"random_state = {shown(value)}: must be None, an integer >= 0, a numpy.random.SeedSequence or a "
        "numpy.random.Generator"
    )


def for_replicas(initial: np.ndarray, replicas: int, first: int = 0) -> np.ndarray:
    """Levels (n,), the same for all, or (all replicas, n), as the (replicas, n) of those from number `first` on."""
    if initial.ndim == 2:
        if first + replicas > len(initial):
            where = f", from first_replica = {first} on" if first else ""
            raise ValueError(f"replicas = {replicas}{where}: initial has levels for {len(initial)}")
        initial = initial[first : first + replicas]
    return np.broadcast_to(initial, (replicas, initial.shape[-1]))
