"""Levels of independent networks as data: where they come from, and descriptive numbers with honest errors.

The unit of all statistics is the *replica* (one network): rows are independent, the entries of a row are not,
because levels of one matrix repel and drift together. Every error below is taken over whole rows, so that no
autocorrelation or level correlation has to be estimated.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from ..ensembles.observable import Choice, Levels, observable_of
from .one_spectrum import one_spectrum

MINIMUM_REPLICAS = 8  # fewer rows give no usable estimate of an error


def is_run(data: Any) -> bool:
    """Whether `data` is a Run (anything with recorded eigenvalues) rather than an array."""
    return hasattr(data, "eigenvalues")


def replicated(
    name: str, data: Any, observable: Choice = "eigenvalues", levels: Levels = None, record: Levels = -1
) -> np.ndarray:
    """Bring a Run or an array into the form (replicas, levels) of independent rows.

    Parameters
    ----------
    name : str
        What to call the argument in an error.
    data : Run, or array (replicas,) or (replicas, levels)
        Rows are independent. For a Run the other arguments say what to take; an array is taken as it is, and they
        must be left out.
    observable : str, Observable or callable(run) -> array
        "eigenvalues", "singular_values", "spacings" (the gaps between neighbors among the chosen `levels`), ...: see
        `dysonsim.Observable`. `levels` and `record` choose from what a callable returns if that is (replicas,
        records, n); else it has done its own choosing, and they are not applied.
    levels : int, slice, sequence of int, optional
        Which levels, 0 the lowest; all by default.
    record : int, slice, sequence of int
        Which recorded times; several become further, dependent, columns.

    Returns
    -------
    (replicas, levels) float64, finite, at least MINIMUM_REPLICAS rows.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the value and what is allowed.
    """
    chosen = observable_of(observable)
    if not is_run(data):
        if observable != "eigenvalues" or levels is not None or not (isinstance(record, int) and record == -1):
            raise ValueError(
                f"observable = {shown(observable)}, levels = {shown(levels)}, record = {shown(record)}: "
                f"choose from a Run, and {name} is an array: must be left out"
            )
        return _checked(name, data)
    values = chosen.values(data, levels, record)
    if getattr(values, "ndim", 0) == 3:  # several records are further columns
        values = values.reshape(values.shape[0], -1)
    return _checked(name, values)


def _checked(name: str, data: Any) -> np.ndarray:
    want = "a Run or a real array (replicas,) or (replicas, levels)"
    given = _checks.array(name, data, want, dimensions=(1, 2), empty=True)
    values = given.reshape(given.shape[0], -1).copy() if given.size else given
    if values.shape[0] < MINIMUM_REPLICAS or values.size == 0:
        raise ValueError(
            f"{name} has shape {given.shape}: must have at least {MINIMUM_REPLICAS} replicas and one level; rows count "
            "as replicas, so that the levels of one matrix are not enough: dysonsim.examine tests one matrix"
        )
    _checks.moderate(name, values)
    if values.min() == values.max():
        raise ValueError(f"{name}: all entries equal {values.flat[0]:g}, must vary")
    return values


def warn_of_one_spectrum(name: str, given: Any, values: np.ndarray, why: str = "") -> None:
    """Warn, in the name of a function that calls this, of an array (replicas,) that could be one matrix's levels.

    Parameters
    ----------
    name : str
        What to call the argument.
    given : Any
        The argument: a Run is never one spectrum.
    values : (replicas, levels)
        What was made of it.
    why : str
        What else speaks for it, if its values themselves do not (`one_spectrum`).
    """
    if is_run(given) or values.shape[1] > 1:
        return
    why = one_spectrum(values[:, 0]) or why
    if why:
        warnings.warn(
            f"{name} counts as {len(values)} independent networks with one level each, but {why}, like those of the "
            "levels of one matrix: if they are, no p-value or error here means anything; dysonsim.examine "
            "tests one matrix; give an array (replicas, levels) of several, or look at distances only",
            RuntimeWarning,
            stacklevel=3,
        )


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of the pooled levels, with standard errors from whole replicas."""

    mean: float
    mean_error: float
    std: float
    std_error: float


@np.errstate(all="ignore")
def moments(values: np.ndarray) -> Moments:
    """Moments of (replicas, levels) data.

    The error of the standard deviation s is that of its influence function ((x - m)^2 - s^2) / (2 s),
    averaged over the levels of a replica (first order in 1/replicas; needs a finite fourth moment).
    """
    mean = float(values.mean())
    squares = (values - mean) ** 2
    std = math.sqrt(float(squares.mean()))
    root = math.sqrt(values.shape[0])
    return Moments(
        mean=mean,
        mean_error=float(values.mean(axis=1).std(ddof=1)) / root,
        std=std,
        std_error=float((squares.mean(axis=1) / (2 * std)).std(ddof=1)) / root,
    )


@dataclass(frozen=True)
class Histogram:
    """Density in bins: edges (bins + 1,), density (bins,), its standard error from whole replicas (bins,)."""

    edges: np.ndarray
    density: np.ndarray
    error: np.ndarray


def bin_edges(values: np.ndarray, most: int = 1000) -> np.ndarray:
    """Edges of equal bins of the Freedman-Diaconis width 2 IQR / n^(1/3), n the number of pooled levels.

    At most `most` bins, so that one far outlier cannot ask for millions; one bin by Sturges's rule when the
    quartiles coincide.
    """
    low, high = float(values.min()), float(values.max())
    lower, upper = np.quantile(values, [0.25, 0.75])
    width = 2.0 * float(upper - lower) / values.size ** (1 / 3)
    wanted = (high - low) / width if width > 0 else math.log2(values.size) + 1
    return np.linspace(low, high, 1 + min(most, max(1, math.ceil(wanted))))


def histogram(values: np.ndarray, edges: np.ndarray | None = None) -> Histogram:
    """Histogram of (replicas, levels) data, a density over all pooled levels.

    A bin's error is the standard deviation of its count per replica: exact for dependent levels, and the
    binomial error when a replica has one level.
    """
    edges = bin_edges(values) if edges is None else edges
    bins = edges.size - 1
    replicas = values.shape[0]
    index = np.searchsorted(edges, values, side="right") - 1
    index[values == edges[-1]] = bins - 1  # the last bin includes its upper edge
    total, squares = np.zeros(bins), np.zeros(bins)
    for first in range(0, replicas, 4096):  # bounded memory: a table (replicas, bins) at a time
        block = index[first : first + 4096]
        inside = (block >= 0) & (block < bins)
        row = np.broadcast_to(np.arange(block.shape[0])[:, None], block.shape)
        count = np.bincount((row * bins + block)[inside], minlength=block.shape[0] * bins)
        count = count.reshape(block.shape[0], bins)
        total += count.sum(axis=0)
        squares += (count**2).sum(axis=0)
    norm = values.size * np.diff(edges)
    variance = np.maximum(squares - total**2 / replicas, 0.0) / (replicas - 1)
    return Histogram(edges, total / norm, np.sqrt(replicas * variance) / norm)
