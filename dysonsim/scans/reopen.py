"""Tables of stores: made, continued, extended, read; and how another scan's store is told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._version import __version__
from .arrays import MemoryArrays
from .pieces import Layout, layout_of
from .points import Points
from .recipe import Recipe
from .store import ZarrArrays, of_json
from .table import Table

__all__ = ["about", "begun", "lengthened", "opened"]


def begun(path: Any, recipe: Recipe, points: Points, replicas: int, piece: int | None) -> Table:
    """Return the table of a scan: a new one, or that of the same scan that a store holds; ValueError if of another."""
    if path is None:
        return Table(MemoryArrays(), points, replicas, layout_of(recipe, points, replicas, piece), recipe.times_vary)
    arrays = ZarrArrays(path, write=True)
    try:
        if not arrays.told:
            _tell(arrays, recipe, points, replicas, layout_of(recipe, points, replicas, piece))
        else:
            different = _difference(arrays.told, recipe, points, replicas)
            if different:
                raise ValueError(
                    f"path = {arrays.path!r} holds another scan: {different}; give another path, or the same arguments"
                )
        return _checked(_table(arrays))
    except BaseException:
        arrays.close()
        raise


def lengthened(table: Table, recipe: Recipe, points: Points, replicas: int) -> Table:
    """Return the table of the same scan with more points or replicas."""
    if not isinstance(table.arrays, ZarrArrays):
        return Table(table.arrays, points, replicas, table.layout, table.times_vary)
    arrays = ZarrArrays(table.arrays.path, write=True)
    try:
        _tell(arrays, recipe, points, replicas, table.layout)
        return _checked(_table(arrays))
    except BaseException:
        arrays.close()
        raise


def opened(path: Any) -> tuple[Table, dict[str, str]]:
    """Read a store that nobody need have the function of: its table, and what made it."""
    arrays = ZarrArrays(path)
    if not arrays.told:
        raise FileNotFoundError(f"path = {arrays.path!r}: there is no scan")
    attributes = {k: v for k, v in arrays.group.attrs.asdict().items() if isinstance(v, str)}
    return _table(arrays), attributes


def about(recipe: Recipe) -> dict[str, str]:
    """Return what made a scan, for readers of its dataset."""
    told = {name: part["is"] for name, part in recipe.identity().items() if part["is"] != "None"}
    return told | {"dysonsim": __version__, "title": f"scan of {told['function']}"}


def _tell(arrays: ZarrArrays, recipe: Recipe, points: Points, replicas: int, layout: Layout) -> None:
    told = {
        "points": points.told, "replicas": replicas, "recipe": recipe.identity(), "times_vary": recipe.times_vary,
        "layout": {"block": list(layout.block), "replicas": layout.replicas}, "version": __version__,
    }  # fmt: skip
    arrays.tell(of_json(told), about(recipe))


def _table(arrays: ZarrArrays) -> Table:
    told = arrays.told
    layout = Layout(tuple(told["layout"]["block"]), int(told["layout"]["replicas"]))
    points = Points.of_told(told["points"])
    return Table(arrays, points, int(told["replicas"]), layout, bool(told["times_vary"]))


def _difference(told: Mapping[str, Any], recipe: Recipe, points: Points, replicas: int) -> str:
    """Say in what a scan differs from that of a store, in words; empty if it does not."""
    if told["version"] != __version__:
        return f"it was made by dysonsim {told['version']}, this is {__version__}, whose random numbers may differ"
    mine, theirs = of_json(recipe.identity()), told["recipe"]
    for name in [*mine, *(name for name in theirs if name not in mine)]:
        here, there = mine.get(name), theirs.get(name)
        if here is None or there is None:
            return f"{name} is {'given' if there is None else 'not given'}, and was {'not ' if there is None else ''}"
        if here["is"] != there["is"]:
            return f"{name} = {here['is']}, and was {there['is']}"
        if here["hash"] != there["hash"]:
            python = mine["python"]["is"] != theirs.get("python", {}).get("is")
            why = "it was made by another Python" if python else "its code, or what it uses, has changed"
            return f"{name} = {here['is']} is not what it was: {why}"
    different = points.begins(Points.of_told(told["points"]))
    if different:
        return f"{different} (Scan.extend adds points)"
    if replicas > told["replicas"]:
        return f"replicas = {replicas}, and was {told['replicas']} (Scan.extend adds replicas)"
    return ""


def _checked(table: Table) -> Table:
    """Take pieces whose file is not there, though it was written, for not done; a RuntimeWarning says so."""
    import warnings

    arrays, lost = table.arrays, 0
    assert isinstance(arrays, ZarrArrays)
    done = np.argwhere(table.status > 0)
    block = np.array([*table.layout.block, 1])
    chunks = done // block
    different, which = np.unique(chunks, axis=0, return_inverse=True) if len(chunks) else (chunks, np.empty(0, int))
    for name in table.measured if len(different) else ():
        gone = arrays.missing(name, [tuple(map(int, at)) for at in different])
        for place in done[np.isin(which.reshape(-1), gone)]:
            lost += int(table.status[tuple(place)] > 0)
            table.status[tuple(place)] = 0
    wanted = {name.removeprefix("measure ") for name in arrays.told["recipe"] if name.startswith("measure ")}
    if len(done) and not wanted <= set(table.measured):
        table.status[table.status > 0], lost = 0, len(done)
    if lost:
        warnings.warn(
            f"path = {arrays.path!r}: files of {lost} pieces are missing, which are run again", RuntimeWarning,
            stacklevel=5,
        )  # fmt: skip
    return table
