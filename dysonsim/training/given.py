"""What counts as weights, and the matrices in it."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from ..ensembles.simulate import DivergenceError
from .weights import read_weights

__all__ = ["Tall", "chosen_layers", "matrices", "matrix_of", "one_matrix", "prepared"]

WANT = "a matrix, a mapping of matrices, a torch module, or the path of a file that read_weights reads"
ALONE = "matrix"  # the name of a matrix that is given alone


@dataclass(frozen=True)
class Tall:
    """A matrix with at least as many rows as columns, transposed if need be.

    Attributes
    ----------
    tall : (m, n) array, m >= n
    transposed : bool
    """

    tall: np.ndarray
    transposed: bool


def prepared(w: np.ndarray) -> Tall:
    """Bring a finite matrix into the form that the rest works with."""
    w = np.asarray(w, np.float64)
    transposed = w.shape[0] < w.shape[1]
    return Tall(np.ascontiguousarray(w.T if transposed else w), transposed)


def matrices(name: str, value: Any) -> Mapping[str, Any]:
    """Return weights as a mapping of names to matrices, which are read when they are asked for.

    Raises
    ------
    TypeError, ValueError
        If it is none of what is allowed; if there is no matrix.
    """
    if hasattr(value, "shapes") and isinstance(value, Mapping):
        return value
    if not isinstance(value, Mapping) and hasattr(value, "__array__") and not isinstance(value, type):
        return {ALONE: _checks.array(name, value, WANT, dimensions=(2,), finite=False)}
    if isinstance(value, (list, tuple)):
        return {ALONE: _checks.array(name, value, WANT, dimensions=(2,), finite=False)}
    if not isinstance(value, (str, os.PathLike, Mapping)) and not hasattr(value, "state_dict"):
        raise TypeError(f"{name} is {type(value).__name__} {shown(value)}: must be {WANT}")
    try:
        return read_weights(value)
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{name}: {error}") from None


def matrix_of(name: str, weights: Mapping[str, Any], layer: str) -> np.ndarray:
    """Return one matrix of weights; DivergenceError if a number in it is none, ValueError if squares do not fit."""
    w = _checks.array(f"{name}[{layer!r}]", weights[layer], "a real matrix", dimensions=(2,), finite=False)
    wrong = ~np.isfinite(w)
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DivergenceError(
            f"{name}: layer {layer!r} has {np.count_nonzero(wrong)} of {w.size} entries that are no finite numbers, "
            f"the first {w[where]} at {list(where)}: its training diverged; leave it out or take earlier weights",
            layer=layer,
            step=getattr(weights, "step", None),
        )
    return _checks.moderate(f"{name}[{layer!r}]", w)


def one_matrix(name: str, value: Any) -> np.ndarray:
    """Return the matrix that is given, alone or as the only one of a mapping."""
    found = matrices(name, value)
    if len(found) != 1:
        raise ValueError(f"{name} holds {len(found)} matrices, {_listed(list(found))}: give one, {name}[layer]")
    return matrix_of(name, found, next(iter(found)))


def chosen_layers(name: str, weights: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, Any]:
    """Layers whose names match one of some shell patterns, in their order; read at once.

    Raises
    ------
    ValueError
        If a pattern matches none; it lists what is there.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        found = [layer for layer in weights if fnmatch.fnmatchcase(layer, pattern)]
        if not found:
            raise ValueError(f"{name} = {pattern!r} matches no layer; there are {_listed(list(weights))}")
        chosen.update(found)
    return {layer: weights[layer] for layer in weights if layer in chosen}


def _listed(names: Sequence[Any], most: int = 40) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(repr(str(entry)) for entry in names[:most]) or "nothing") + more
