"""A scan as an xarray.Dataset: in memory, or read from the store when it is needed."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import numpy as np

from .._extras import needs
from ..ensembles.labels import label_of, time_label
from .store import TOLD, ZarrArrays
from .table import FAILURE, STATUS, TIME, Table

__all__ = ["dataset_of", "label_store"]


def label_store(table: Table) -> None:
    """Put coordinates, units and long names into a store, for whoever opens it with xarray."""
    arrays = table.arrays
    if not isinstance(arrays, ZarrArrays):
        return
    for name, (dim, values) in table.points.coordinates().items():
        if name in arrays.names() and arrays.shape(name) == values.shape:
            continue
        kind = "text" if values.dtype.kind == "U" else "integer" if values.dtype.kind in "bi" else "float"
        arrays.create(name, kind, (dim,), values.shape, values.shape)
        arrays.write(name, (slice(None),), values.astype(object) if kind == "text" else values)
        arrays.label(name, label_of(name))
    for name in table.measured:
        if not arrays.attributes(name):
            arrays.label(name, label_of(name))


def label_times(table: Table, continuous: bool) -> None:
    """Say in a store what times are."""
    if isinstance(table.arrays, ZarrArrays) and TIME in table.arrays.names() and not table.arrays.attributes(TIME):
        table.arrays.label(TIME, time_label(continuous))


def dataset_of(table: Table, about: dict[str, Any], continuous: bool | None) -> Any:
    """Return all that was measured, with coordinates and what made it.

    continuous: whether times are counted in steps, None where the store says it.
    """
    xarray = needs("xarray", "scan", "Scan.dataset")
    arrays = table.arrays
    if isinstance(arrays, ZarrArrays):
        lazily: Any = {} if importlib.util.find_spec("dask") else None  # one chunk at a time, by dask where it is there
        where = arrays.path if arrays.files is not None else os.path.abspath(arrays.path)
        found = xarray.open_zarr(where, consolidated=False, chunks=lazily, decode_cf=False)
        found = found.drop_vars([name for name in (STATUS, FAILURE) if name in found])
        found.attrs.pop(TOLD, None)
    else:
        values = {name: (arrays.dims(name), arrays.read(name), label_of(name)) for name in table.measured}
        found = xarray.Dataset(values)
        if TIME in arrays.names():
            label = {} if continuous is None else time_label(continuous)
            found = found.assign_coords({TIME: (arrays.dims(TIME), arrays.read(TIME), label)})
    coordinates = {name: (dim, held, label_of(name)) for name, (dim, held) in table.points.coordinates().items()}
    coordinates["replica"] = "replica", np.arange(table.replicas), label_of("replica")
    found = found.assign_coords(coordinates)
    if TIME in found and TIME not in found.coords:
        found = found.set_coords(TIME)
    failed = {"long_name": "whether the point cannot be run"}
    found["failed"] = table.points.dims, table.failed, failed
    return found.assign_attrs(about)
