"""Names and units that xarray's plots write beside their axes, and a run as a labeled dataset."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._extras import needs

__all__ = ["ARRAYS", "label_of", "time_label", "to_xarray"]

ARRAYS = {
    "eigenvalues": {"long_name": "eigenvalue", "units": "1"},
    "singular_values": {"long_name": "singular value", "units": "1"},
    "weights": {"long_name": "weight", "units": "1"},
    "level": {"long_name": "level index"},
    "replica": {"long_name": "replica"},
    "record": {"long_name": "record"},
}


def label_of(name: str) -> dict[str, str]:
    """Return the attributes of what has a name: a measured array, a parameter, a coordinate."""
    return ARRAYS.get(name, {"long_name": name.replace("_", " ")})


def time_label(continuous: bool) -> dict[str, str]:
    """Return the attributes of the times of records."""
    return {"long_name": "time", "units": "1"} if continuous else {"long_name": "time", "units": "steps"}


def to_xarray(run: Any) -> Any:
    """Return a Run as an xarray.Dataset."""
    xarray = needs("xarray", "scan", "Run.to_xarray")
    values: dict[str, Any] = {"eigenvalues": (("replica", "time", "level"), run.eigenvalues, label_of("eigenvalues"))}
    if run.coordinate == "singular_values":
        values["singular_values"] = ("replica", "time", "level"), run.singular_values, label_of("singular_values")
    if run.weights is not None:
        values["weights"] = ("replica", "time", "row", "column"), run.weights, label_of("weights")
        if run.kept is not None:
            for k, weights in enumerate(run.layers):
                dimensions = "replica", "time", f"row_{k}", f"column_{k}"
                values[f"layer_{k}"] = dimensions, weights, {"long_name": f"weight of layer {k}", "units": "1"}
    replica = run.first_replica + np.arange(run.replicas)
    coordinates = {
        "replica": ("replica", replica, label_of("replica")),
        "time": ("time", run.times, time_label(run.process.continuous)),
        "level": ("level", np.arange(run.eigenvalues.shape[2]), label_of("level")),
    }
    told = {
        "process": repr(run.process), "seed": str(run.seed), "dtype": run.dtype, "device": run.device,
        "dysonsim": run.version,
    }  # fmt: skip
    return xarray.Dataset(values, coordinates, told)
