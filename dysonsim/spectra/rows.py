"""Whole spectra as rows: what statistics of many levels are computed from."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from ..ensembles.observable import Choice, Levels, observable_of
from .observables import is_run

__all__ = ["is_one_row", "spectra_of"]

MINIMUM_LEVELS = 8
WHY = "statistics of whole spectra count every level"


def spectra_of(
    data: Any,
    observable: Choice = "eigenvalues",
    levels: Levels = None,
    record: int = -1,
    least: int = MINIMUM_LEVELS,
) -> np.ndarray:
    """Bring a Run or an array into the form (replicas, n), each row the ascending levels of one matrix.

    Parameters
    ----------
    data : Run, or array (replicas, n) or (n,)
        For a Run (or a point of a scan) the other arguments say what to take; with an array they must be left out.
    observable : str, Observable or callable(run) -> (replicas, records, n) array
        One number for each level: "eigenvalues", "singular_values", ...
    levels : int, slice, sequence of int, optional
        Which levels, 0 the lowest; all by default. They must lie side by side: a spectrum with holes has other laws.
    record : int
        Which record. Records of one network are dependent, so that they do not count as replicas.
    least : int
        How many levels a spectrum must have.

    Raises
    ------
    TypeError, ValueError
        For fewer levels than `least`, levels that are not ascending, or that coincide; the message says which.
    """
    chosen = observable_of(observable, of_levels=WHY)
    if is_run(data):
        record = _checks.integer("record", record, -(2**31))
        found = chosen.values(data, levels, record)
        values = found[:, 0] if getattr(found, "ndim", 0) == 3 else found
    else:
        if observable != "eigenvalues" or levels is not None or not (isinstance(record, int) and record == -1):
            raise ValueError(
                f"observable = {shown(observable)}, levels = {shown(levels)}, record = {shown(record)}: "
                "choose from a Run, and data is an array: must be left out"
            )
        values = data
    want = "a Run or spectra, shape (replicas, n) or (n,), each row ascending"
    rows = np.atleast_2d(_checks.array("data", values, want, dimensions=(1, 2)))
    if rows.shape[1] < least:
        raise ValueError(
            f"data has {rows.shape[1]} levels in each spectrum: must have {least} or more; `compare` tests densities "
            "and spacings of few levels"
        )
    _checks.moderate("data", rows)
    steps = np.diff(rows, axis=1)
    if not (steps > 0).all():
        r, i = (int(k) for k in np.argwhere(~(steps > 0))[0])
        if steps[r, i] < 0:
            raise ValueError(
                f"data[{r}] is not ascending: {rows[r, i + 1]:g} follows {rows[r, i]:g}; every row must be one "
                "spectrum in order, see numpy.sort"
            )
        raise ValueError(
            f"data[{r}, {i}] and data[{r}, {i + 1}] are both {rows[r, i]:g}: levels of one spectrum must differ; leave "
            "out levels that are always 0, and of levels that are degenerate all but one"
        )
    return rows


def is_one_row(data: Any) -> bool:
    """Whether data are one spectrum (n,), so that what is made of its levels has one dimension as well."""
    return not is_run(data) and np.ndim(data) == 1
