"""Dictionaries of arrays in memory: NumPy's, torch's, and of all libraries that speak DLPack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..._extras import needs
from .stored import NARROW, Stored, widened
from .tensors import is_tensor, quantized, stored_tensor

__all__ = ["described"]


def described(mapping: Mapping[Any, Any]) -> dict[str, Stored]:
    """Describe the arrays of a dictionary; what is no array, such as a number or a text, is left out.

    A dictionary keeps its arrays; any other mapping is asked again when an array is read.
    """
    kept = isinstance(mapping, dict)
    found = {}
    for name in mapping:
        value = mapping[name]
        if not isinstance(name, str):
            raise TypeError(f"names of weights must be strings, not {name!r}")
        look_up = partial(_same, value) if kept else partial(mapping.__getitem__, name)
        if is_tensor(value):
            stored = replace(stored_tensor(value), read=partial(_read, name, look_up))
        elif isinstance(value, tuple) and any(map(is_tensor, value)):  # of quantized layers
            stored = quantized(str(next(filter(is_tensor, value)).dtype).removeprefix("torch."))
        elif isinstance(value, list):
            raise TypeError(f"{name}: is a list; give an array, such as numpy.asarray(...) of floats")
        elif any(hasattr(value, way) for way in ("__array__", "__dlpack__", "__array_interface__")):
            stored = _array(name, value, look_up)
        else:
            continue
        found[name] = stored if kept else replace(stored, identity=None)
    return found


def _same(value: Any) -> Any:
    return value


def _read(name: str, look_up: Callable[[], Any]) -> np.ndarray:
    return _numbers(name, look_up())


def _array(name: str, value: Any, look_up: Callable[[], Any]) -> Stored:
    known = value if hasattr(value, "shape") and hasattr(value, "dtype") else _numbers(name, value)
    shape = tuple(int(n) for n in known.shape)
    dtype = str(getattr(known.dtype, "name", known.dtype)).rpartition(".")[2]
    numpy = isinstance(value, np.ndarray)
    identity = (value.__array_interface__["data"][0], shape, value.strides, dtype) if numpy and value.size else None
    return Stored(
        shape,
        dtype,
        partial(_read, name, look_up),
        refused="masked: fill it" if isinstance(value, np.ma.MaskedArray) else "",
        identity=identity,
        needs_torch=dtype in NARROW and not hasattr(value, "__array__"),
    )


def _numbers(name: str, value: Any) -> np.ndarray:
    """Return what NumPy makes of an array of any library."""
    if isinstance(value, np.ndarray):
        return value
    if is_tensor(value):
        return widened(value)
    try:
        return np.asarray(value) if hasattr(value, "__array__") else np.from_dlpack(value)
    except Exception as first:
        try:
            torch = needs("torch", "torch", f"{name}, which NumPy cannot read ({first}),")
            return widened(torch.from_dlpack(value))
        except ImportError:
            raise
        except Exception as error:
            raise TypeError(
                f"{name}: is {type(value).__name__}, which cannot be read here ({error}); give it as a NumPy array"
            ) from None
