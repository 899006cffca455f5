"""Checks of arguments, shared by every layer above `laws`.

Each check returns the value in the type that the library works with, or raises a TypeError or ValueError
that names the argument, the value given and what is allowed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection
from typing import Any

import numpy as np

LARGEST = 2**63 - 1  # kernels hold integers in 64 bits


def integer(name: str, value: Any, minimum: int, maximum: int | None = None) -> int:
    """A whole number between `minimum` and `maximum` (both included, by default what 64 bits hold)."""
    allowed = f"an integer >= {minimum} and < 2**63" if maximum is None else f"an integer from {minimum} to {maximum}"
    if isinstance(value, bool):
        raise TypeError(f"{name} = {value!r}: must be {allowed}, not a bool")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} = {value!r}: must be {allowed}, not {type(value).__name__}") from None
    if number < minimum or number > (LARGEST if maximum is None else maximum):
        raise ValueError(f"{name} = {number}: must be {allowed}")
    return number


def real(
    name: str, value: Any, above: float = -math.inf, at_least: float = -math.inf, below: float = math.inf
) -> float:
    """A finite real number, `> above`, `>= at_least` and `< below`."""
    bounds = [f"> {above:g}"] if above > -math.inf else []
    bounds += [f">= {at_least:g}"] if at_least > -math.inf else []
    bounds += [f"< {below:g}"] if below < math.inf else []
    allowed = " and ".join(["a finite number", *bounds])
    if isinstance(value, (bool, np.bool_, str, bytes)) or np.ndim(value) != 0:
        raise TypeError(f"{name} = {value!r}: must be {allowed}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name}: must be {allowed}, and is too large for a float") from None
    except (TypeError, ValueError):
        raise TypeError(f"{name} = {value!r}: must be {allowed}, not {type(value).__name__}") from None
    if not math.isfinite(number) or number <= above or number < at_least or number >= below:
        raise ValueError(f"{name} = {number:g}: must be {allowed}")
    return number


def matrix(name: str, value: Any, shape: tuple[int | None, int | None] = (None, None)) -> np.ndarray:
    """A finite, non-empty, read-only float64 matrix; `shape` fixes a dimension where it is not None."""
    want = " x ".join("any" if n is None else str(n) for n in shape)
    try:
        given = np.asanyarray(value)
    except ValueError as error:
        raise TypeError(f"{name}: must be a real matrix ({want}): {error}") from None
    if given.dtype.kind not in "iuf" or isinstance(given, np.ma.MaskedArray):
        what = "masked" if isinstance(given, np.ma.MaskedArray) else f"of dtype {given.dtype}"
        raise TypeError(f"{name} is {what}: must be a real matrix ({want})")
    array = np.array(given, dtype=np.float64)
    if array.ndim != 2 or 0 in array.shape or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} has shape {array.shape}: must be a non-empty matrix of shape {want}")
    if not np.isfinite(array).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}[{where[0]}, {where[1]}] = {array[where]}: every entry must be finite")
    array.setflags(write=False)
    return array


def positive_definite(name: str, value: Any) -> np.ndarray:
    """A symmetric positive definite matrix (read-only float64)."""
    array = matrix(name, value)
    if array.shape[0] != array.shape[1]:
        raise ValueError(f"{name} has shape {array.shape}: must be a square, symmetric, positive definite matrix")
    asymmetry = np.abs(array - array.T).max()
    if asymmetry > 1e-10 * np.abs(array).max():
        raise ValueError(f"{name}: must be symmetric, but entries differ from the transpose by up to {asymmetry:.3g}")
    smallest = float(np.linalg.eigvalsh(array)[0])
    if smallest <= 0:
        raise ValueError(f"{name}: must be positive definite, but its smallest eigenvalue is {smallest:.6g}")
    return array


def choice(name: str, value: Any, allowed: Collection[Any]) -> Any:
    """One of a few allowed values."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} = {value!r}: must be one of {', '.join(repr(a) for a in allowed)}")
    return value


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} = {value!r}: must be True or False")
    return bool(value)


def vector(name: str, value: Any, size: int, above: float = -math.inf, at_least: float = -math.inf) -> np.ndarray:
    """Finite numbers (size,), read-only float64; one number stands for all of them."""
    if np.ndim(value) == 0:
        value = [real(name, value, above, at_least)] * size
    array = matrix(name, np.atleast_2d(value), (1, size))[0] if np.ndim(value) == 1 else None
    if array is None:
        raise ValueError(f"{name} has shape {np.shape(value)}: must be a number or an array of {size}")
    for i, x in enumerate(array):
        if x <= above or x < at_least:
            real(f"{name}[{i}]", float(x), above, at_least)
    return array


def levels(name: str, value: Any, n: int) -> np.ndarray | None:
    """Levels (n,) or (replicas, n), sorted and read-only; None stays None."""
    if value is None:
        return None
    rows = matrix(name, np.atleast_2d(value), (None, n))
    ascending = np.sort(rows, axis=1)
    ascending = ascending[0] if np.ndim(value) < 2 else ascending
    ascending.setflags(write=False)
    return ascending


def for_replicas(initial: np.ndarray, replicas: int) -> np.ndarray:
    """Levels (n,), the same for all, or (replicas, n), as (replicas, n)."""
    if initial.ndim == 2 and len(initial) != replicas:
        raise ValueError(f"replicas = {replicas}: initial has levels for {len(initial)}")
    return np.broadcast_to(initial, (replicas, initial.shape[-1]))
