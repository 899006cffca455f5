"""Levels of independent networks as data: where they come from, and descriptive numbers with honest errors.

The unit of all statistics is the *replica* (one network): rows are independent, the entries of a row are not,
because levels of one matrix repel and drift together. Every error below is taken over whole rows, so that no
autocorrelation or level correlation has to be estimated.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from .one_spectrum import one_spectrum

MINIMUM_REPLICAS = 8  # fewer rows give no usable estimate of an error
_OBSERVABLES = ("eigenvalues", "singular_values", "spacings")

Levels = int | slice | Sequence[int] | None
Observable = str | Callable[[Any], Any]


def is_run(data: Any) -> bool:
    """Whether `data` is a Run (anything with recorded eigenvalues) rather than an array."""
    return hasattr(data, "eigenvalues")


def replicated(
    name: str, data: Any, observable: Observable = "eigenvalues", levels: Levels = None, record: Levels = -1
) -> np.ndarray:
    """Bring a Run or an array into the form (replicas, levels) of independent rows.

    Parameters
    ----------
    name : str
        What to call the argument in an error.
    data : Run, or array (replicas,) or (replicas, levels)
        Rows are independent. For a Run the other arguments say what to take; an array is taken as it is, and they
        must be left out.
    observable : "eigenvalues", "singular_values", "spacings" or callable(run) -> array
        Spacings are the gaps between neighbours among the chosen `levels` of the eigenvalues. A callable does
        its own choosing: `levels` and `record` are not applied to what it returns.
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
    if not callable(observable) and not (isinstance(observable, str) and observable in _OBSERVABLES):
        allowed = ", ".join(repr(o) for o in _OBSERVABLES)
        raise ValueError(f"observable = {shown(observable)}: must be one of {allowed}, or a function of the run")
    if not is_run(data):
        if observable != "eigenvalues" or levels is not None or not (isinstance(record, int) and record == -1):
            raise ValueError(
                f"observable = {shown(observable)}, levels = {shown(levels)}, record = {shown(record)}: "
                f"choose from a Run, and {name} is an array: must be left out"
            )
        return _checked(name, data)
    if callable(observable):
        return _checked(name, observable(data))
    values = np.asarray(data.singular_values if observable == "singular_values" else data.eigenvalues)
    values = values[:, indices("record", record, values.shape[1])][:, :, indices("levels", levels, values.shape[2])]
    if observable == "spacings":
        if values.shape[2] < 2:
            raise ValueError(f"levels = {shown(levels)}: spacings need at least two levels")
        values = np.diff(values, axis=2)
    return _checked(name, values.reshape(values.shape[0], -1))


def indices(name: str, choice: Levels, size: int) -> np.ndarray:
    """The chosen positions as a non-empty array of integers."""
    allowed = f"an integer from {-size} to {size - 1}, a slice or a sequence of such integers"
    if choice is None:
        return np.arange(size)
    if isinstance(choice, slice):
        try:
            chosen = np.arange(size)[choice]
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} = {shown(choice)}: must be {allowed} ({error})") from None
    else:
        _checks.array(name, choice, allowed, dimensions=(0, 1), empty=True)
        chosen = np.atleast_1d(np.asarray(choice))
        if chosen.size and chosen.dtype.kind not in "iu":
            raise TypeError(f"{name} = {shown(choice)}: must be {allowed}")
    if chosen.size == 0 or chosen.min() < -size or chosen.max() >= size:
        raise ValueError(f"{name} = {shown(choice)}: must be {allowed}")
    return chosen


def _checked(name: str, data: Any) -> np.ndarray:
    want = "a Run or a real array (replicas,) or (replicas, levels)"
    given = _checks.array(name, data, want, dimensions=(1, 2), empty=True)
    values = given.reshape(given.shape[0], -1).copy() if given.size else given
    if values.shape[0] < MINIMUM_REPLICAS or values.size == 0:
        raise ValueError(
            f"{name} has shape {given.shape}: must have at least {MINIMUM_REPLICAS} replicas and one level"
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
            "levels of one matrix: if they are, no p-value or error here means anything; give an array "
            "(replicas, levels) of several matrices, or look at distances only",
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
