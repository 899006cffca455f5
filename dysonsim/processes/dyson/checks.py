"""Checked fields of a Dyson process, of a training or with coefficients of its own.

`dyson` is a `Dyson` throughout, whose module imports this one.
"""

from __future__ import annotations

from typing import Any

from ... import _checks
from ..._functions import level_function
from ..base import plain_process

__all__ = ["of_levels", "of_model"]


def of_model(dyson: Any) -> dict[str, Any]:
    """Return n and initial levels; ValueError for a field that the training leaves no room for."""
    sgd = plain_process(dyson.sgd)
    for name in ("n", "rate", "drift", "potential"):
        value = getattr(dyson, name)
        if value is not None:
            shown = _checks.shown(value)
            raise ValueError(f"{name} = {shown}: must be left out where sgd is given, which determines it")
    for name, default in (("beta", 1.0), ("center", 0.0), ("noise", 1.0)):
        value = getattr(dyson, name)
        if _checks.shape_of(name, value) or _checks.real(name, value) != default:
            raise ValueError(f"{name} = {_checks.shown(value)}: must be left out where sgd is given")
    initial = _checks.levels("initial", dyson.initial, sgd.n)
    if initial is not None and (initial < 0).any():
        raise ValueError(f"initial: eigenvalues of W^T W must be >= 0, the smallest is {initial.min():g}")
    return {"n": sgd.n, "initial": initial}


def of_levels(dyson: Any) -> dict[str, Any]:
    """Return the coefficients, with one number for each level; ValueError if they do not go together."""
    arrays = {name: getattr(dyson, name) for name in ("initial", "rate", "center", "noise")}
    shapes = [_checks.shape_of(name, value) for name, value in arrays.items() if value is not None]
    sizes = [shape[-1] for shape in shapes if shape]
    if dyson.n is None and not sizes:
        raise ValueError("n is missing: give n, or initial levels")
    n = sizes[0] if dyson.n is None else _checks.integer("n", dyson.n, 1, most=_checks.MOST_LEVELS)
    if n < 1:
        raise ValueError("initial is empty: must hold at least one level")
    functions = {"drift": dyson.drift, "potential": dyson.potential}
    given = [name for name in ("rate", *functions) if getattr(dyson, name) is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other: give one of them")
    functions = {name: level_function(name, f, n) for name, f in functions.items() if f is not None}
    rate = None if functions else _checks.vector("rate", 1.0 if dyson.rate is None else dyson.rate, n, at_least=0)
    return functions | {
        "n": n,
        "beta": _checks.real("beta", dyson.beta, above=0),
        "rate": rate,
        "center": _checks.vector("center", dyson.center, n),
        "noise": _checks.vector("noise", dyson.noise, n, above=0),
        "initial": _checks.levels("initial", dyson.initial, n),
    }
