"""The points of a scan: a product of axes, or a list; their values are numbers, strings or flags."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from .._checks import shown

__all__ = ["Points", "points_of", "seed_of"]

Value = bool | int | float | str
MOST = 10**7  # points: an iterable may have no end
POINT = "point"  # the dimension of a list
TAKEN = {POINT, "replica", "replicas", "record", "time", "level", "piece", "failed", "eigenvalues"}
WANTED = "a number, a string, True or False"


@dataclass(frozen=True)
class Points:
    """What is varied.

    Attributes
    ----------
    names : tuple of str
        Parameters.
    values : tuple of tuples
        For each of them the values of its axis, or, in a list, that of every point.
    product : bool
        Whether points are all combinations of the values, the last parameter running fastest.
    """

    names: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]
    product: bool

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions of the points."""
        return self.names if self.product else (POINT,)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many points in each dimension."""
        return tuple(map(len, self.values)) if self.product else (len(self.values[0]),)

    @property
    def size(self) -> int:
        """How many points."""
        return math.prod(self.shape)

    def parameters(self, at: Sequence[int]) -> dict[str, Value]:
        """Return the parameters of the point at a place of the grid."""
        places = at if self.product else [at[0]] * len(self.names)
        return {name: column[i] for name, column, i in zip(self.names, self.values, places, strict=True)}

    def coordinates(self) -> dict[str, tuple[str, np.ndarray]]:
        """For each parameter the dimension along which it varies, and its values."""
        return {
            name: (name if self.product else POINT, np.asarray(column))
            for name, column in zip(self.names, self.values, strict=True)
        }

    def place(self, parameters: Mapping[str, Any]) -> tuple[int, ...]:
        """Return where the one point with these parameters is; ValueError if there is none, or several."""
        unknown = [name for name in parameters if name not in self.names]
        if unknown:
            raise ValueError(f"{unknown[0]}: must be a parameter of the scan: {', '.join(self.names)}")
        if not self.product:
            columns = dict(zip(self.names, self.values, strict=True))
            wanted = parameters.items()
            found = [i for i in range(self.size) if all(columns[name][i] == value for name, value in wanted)]
            if len(found) != 1:
                raise ValueError(f"{shown(dict(parameters))}: must be the parameters of one point, are of {len(found)}")
            return (found[0],)
        at = []
        for name, axis in zip(self.names, self.values, strict=True):
            if name not in parameters and len(axis) > 1:
                raise ValueError(f"{name} is missing: must be one of {shown(list(axis))}")
            value = parameters.get(name, axis[0])
            if value not in axis:
                raise ValueError(f"{name} = {shown(value)}: must be one of {shown(list(axis))}")
            at.append(axis.index(value))
        return tuple(at)

    def begins(self, other: Points) -> str:
        """Say how these points differ from the first ones of `other`, in words; empty if they are these."""
        if (self.names, self.product) != (other.names, other.product):
            return f"points of {_kind(self)}: the store has {_kind(other)}"
        if self.product:
            for name, mine, theirs in zip(self.names, self.values, other.values, strict=True):
                if mine != theirs[: len(mine)]:
                    return f"{name} = {shown(list(mine))}: the store has {shown(list(theirs))}"
            return ""
        for i, (here, there) in enumerate(zip(self._rows(), other._rows(), strict=False)):
            if here != there:
                return f"point {i} = {shown(here)}: the store has {shown(there)}"
        return "" if self.size <= other.size else f"{self.size} points: the store has {other.size}"

    def extended(self, more: Points) -> Points:
        """Return these points and those of `more` that are not among them, behind: axes become longer, or the list."""
        if not self.product:
            old = set(map(_key, self._rows()))
            rows = [row for row in more._rows() if _key(row) not in old]
            if set(more.names) != set(self.names):
                raise ValueError(f"points have {', '.join(more.names)}: must have {', '.join(self.names)}")
            return Points(self.names, tuple(
                column + tuple(row[name] for row in rows) for name, column in zip(self.names, self.values, strict=True)
            ), False)  # fmt: skip
        longer = dict(zip(self.names, self.values, strict=True))
        for name, column in zip(more.names, more.values, strict=True):
            if name not in longer:
                raise ValueError(f"{name}: must be an axis of the scan: {', '.join(self.names)}")
            longer[name] += tuple(value for value in column if value not in longer[name])
        return Points(self.names, tuple(longer.values()), True)

    def _rows(self) -> list[dict[str, Value]]:
        return [self.parameters((i,)) for i in range(self.size)]

    @cached_property
    def told(self) -> dict[str, Any]:
        """For a file."""
        return {"product": self.product, "values": dict(zip(self.names, map(list, self.values), strict=True))}

    @classmethod
    def of_told(cls, told: Mapping[str, Any]) -> Points:
        """From a file."""
        return cls(tuple(told["values"]), tuple(map(tuple, told["values"].values())), bool(told["product"]))


def _kind(points: Points) -> str:
    return f"{', '.join(points.names)} ({'all combinations' if points.product else 'a list'})"


def points_of(given: Any, function: Callable[..., Any] | None = None) -> Points:
    """Return the points that a user gives.

    Parameters
    ----------
    given : dict of sequences, iterable of dicts or of tuples, or pandas.DataFrame
        All combinations of the values, or one point after the other; tuples are the function's parameters in order.
    function : callable, optional
        That takes the parameters, which is checked.

    Raises
    ------
    TypeError, ValueError
        For names that the function does not take, values that are no numbers, strings or flags, empty axes, values or
        points that come twice.
    """
    if isinstance(given, Mapping):
        points = _product(given)
    elif hasattr(given, "columns") and hasattr(given, "itertuples"):
        names = list(map(_name, given.columns))
        points = _listed([dict(zip(names, row, strict=True)) for row in given.itertuples(index=False, name=None)])
    elif isinstance(given, (str, bytes)) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        raise TypeError(
            f"points = {shown(given)}: must be a dict of sequences, whose combinations are the points, a list of "
            "dicts, a zip, or a pandas.DataFrame"
        )
    else:
        points = _listed([_row(i, row) for i, row in enumerate(islice(given, MOST + 1))], function)
    if points.size > MOST:
        raise ValueError(f"points are {points.size}: must be at most {MOST}")
    if function is not None:
        _check_taken(points, function)
    return points


def _product(given: Mapping[Any, Any]) -> Points:
    if not given:
        raise ValueError("points = {}: must name at least one parameter")
    columns = []
    for name, values in given.items():
        name = _name(name)
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise TypeError(
                f"points[{name!r}] = {shown(values)}: must be a sequence of values, such as [{shown(values)}]"
            )
        axis = tuple(_value(name, value) for value in islice(values, MOST + 1))
        if not axis:
            raise ValueError(f"{name} = {shown(values)}: is empty, must have one value or more")
        columns.append(axis)
        twice = _twice([_word(value) for value in axis])
        if twice is not None:
            raise ValueError(f"{name} = {shown(axis[twice])}: comes twice, must be given once")
    names = tuple(given)
    _check_alike(names, columns)
    return Points(names, tuple(columns), True)


def _row(i: int, row: Any) -> Any:
    """Return a point of a list, which may have no end: what is none is told at once."""
    if not isinstance(row, (Mapping, tuple)):
        raise TypeError(f"points[{i}] = {shown(row)}: must be a dict of parameters, or a tuple of values")
    return row


def _listed(rows: list[Any], function: Callable[..., Any] | None = None) -> Points:
    if not rows:
        raise ValueError("points = []: is empty, must have one point or more")
    if isinstance(rows[0], tuple) and function is not None:
        takes = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        if len(rows[0]) > len(takes):
            raise TypeError(f"points[0] = {shown(rows[0])}: must be values of {', '.join(takes)}")
        rows = [dict(zip(takes, row, strict=False)) if isinstance(row, tuple) else row for row in rows]
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or row.keys() != rows[0].keys() or not row:
            wanted = f"a dict of {', '.join(map(str, rows[0]))}" if isinstance(rows[0], Mapping) else "a dict"
            raise TypeError(f"points[{i}] = {shown(row)}: must be {wanted or 'a dict of parameters'}")
    names = tuple(map(_name, rows[0]))
    columns = [tuple(_value(f"points[{i}][{name!r}]", row[name]) for i, row in enumerate(rows)) for name in names]
    twice = _twice([_key(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)])
    if twice is not None:
        raise ValueError(f"points[{twice}] = {shown(rows[twice])}: comes twice, must be given once")
    _check_alike(names, columns)
    return Points(names, tuple(columns), False)


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.isidentifier():
        raise TypeError(f"points: {shown(name)} must be the name of a parameter")
    if name in TAKEN:
        raise ValueError(f"points: {name!r} is the name of something else in the result; call the parameter otherwise")
    return name


def _value(name: str, value: Any) -> Value:
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        value = value.item()
    if not isinstance(value, (bool, int, float, str)):
        raise TypeError(
            f"{name} = {shown(value)}: must be {WANTED}, which can be stored and told apart; let the function make "
            f"{type(value).__name__}s of such values"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} = {value}: must be finite")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{name} = {shown(value)}: must fit into 64 bits")
    return value


def _check_alike(names: Sequence[str], columns: Sequence[Sequence[Value]]) -> None:
    """Check that a parameter is always a number, always a string or always a flag: a coordinate has one type."""
    for name, column in zip(names, columns, strict=True):
        kinds = {bool if isinstance(v, bool) else str if isinstance(v, str) else float for v in column}
        if len(kinds) > 1:
            raise TypeError(f"{name} = {shown(list(column))}: must be all numbers, all strings or all flags")


def _check_taken(points: Points, function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin says nothing
        return
    taken = signature.parameters
    if not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        for name in points.names:
            if name not in taken or taken[name].kind is inspect.Parameter.POSITIONAL_ONLY:
                what = f"{getattr(function, '__name__', 'the function')}{signature}"
                raise TypeError(f"points: {name!r} must be a parameter of {what}")
    for name, p in taken.items():
        if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and name not in points.names:
            raise TypeError(f"points: {name!r} is missing, which {getattr(function, '__name__', 'the function')} needs")


def _twice(words: Sequence[str]) -> int | None:
    """Return the place of the first word that has been there before."""
    seen: set[str] = set()
    for i, word in enumerate(words):
        if word in seen:
            return i
        seen.add(word)
    return None


def _word(value: Value) -> str:
    """Write a value so that equal numbers are equal words."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)


def _key(parameters: Mapping[str, Value]) -> str:
    return ",".join(f"{name}={_word(parameters[name])}" for name in sorted(parameters))


def seed_of(seed: int, parameters: Mapping[str, Value]) -> int:
    """Return the seed of a point: of the scan's seed and the parameters, wherever in the scan the point is."""
    return int.from_bytes(hashlib.sha256(f"{seed};{_key(parameters)}".encode()).digest()[:8], "big")
