"""Trajectories as `estimate_dynamics` takes them: brought into one form, and refused where they are none."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from ..ensembles.observable import Levels, Observable, indices
from ..processes import NetworkProcess
from ..spectra.observables import MINIMUM_REPLICAS, is_run
from .estimates import ratio, standard_errors

APART = 1.5  # gap over the sum of the widths, above which levels of different wells do not meet
SHORTEST_PIECE = 4  # records of a piece of one trajectory
TOGETHER = 0.3  # correlation of neighbors below which they do not share a well, for which it is 1/3 or more
VISITS = 0.003  # share of the records in which a level is at home in the other's place, for a well with two bottoms
GROWING = 2.0  # variance of the last quarter of the records over that of the first, above which levels still spread


def trajectories(
    data: Any, times: Any, group: Any, observable: Observable, records: Levels, pieces: int
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...], np.ndarray | None]:
    """Levels (replicas, records, m) and times (records,) as asked for, checked, and the level indices.

    One trajectory is cut into pieces that stand for replicas, and is returned as it was besides, (records, m).
    """
    if is_run(data):
        if times is not None:
            raise ValueError("times: must be left out for a Run, which knows its times")
        levels, clock = observable.of_levels(data), getattr(data, "times", None)
        group = _only_group(data) if group is None else group
    else:
        if times is None:
            raise ValueError("times = None: must be given with an array, shape (records,)")
        if observable.name != "eigenvalues":
            raise ValueError(f"observable = {observable.name!r}: chosen from a Run; an array is taken as it is")
        levels, clock = data, times
    x = _checks.array("data", levels, "a Run or a real array (replicas, records, n)", finite=False, empty=True)
    single = x.ndim == 2 and 0 not in x.shape
    x = x[None] if single else x
    if not single and (x.ndim != 3 or 0 in x.shape or x.shape[0] < MINIMUM_REPLICAS):
        raise ValueError(
            f"data has shape {x.shape}: must be (replicas, records, n) with at least {MINIMUM_REPLICAS} replicas, or "
            "one trajectory (records, n)"
        )
    time = _checks.array("times", clock, "a real array (records,)", empty=True)
    if time.shape != (x.shape[1],):
        raise ValueError(f"times has shape {time.shape}: must be ({x.shape[1]},), one for each record of data")
    count = x.shape[1]
    chosen = _neighbors(group, x.shape[2])
    kept = indices("records", records, count)
    x, time = x[:, kept][:, :, list(chosen)], time[kept]
    if single and time.size < SHORTEST_PIECE * pieces:
        raise ValueError(
            f"data has shape {x.shape[1:]}: one trajectory must have {SHORTEST_PIECE} records or more in each of "
            f"pieces = {pieces}, {SHORTEST_PIECE * pieces} in all, and {time.size} are chosen; an ensemble is "
            "(replicas, records, n)"
        )
    if time.size < 3:
        raise ValueError(f"records = {shown(records)} leaves {time.size} of {count} records: must be 3 or more")
    gaps = np.diff(time)
    if not _checks.SMALLEST <= abs(gaps.mean()) <= 1 / _checks.SMALLEST:
        raise ValueError(f"times are {gaps.mean():g} apart: must be from 1e-60 to 1e60; change the units")
    if gaps.min() <= 0 or np.ptp(gaps) > 1e-6 * gaps.mean():
        raise ValueError(
            f"times differ by {gaps.min():g} to {gaps.max():g}: must be ascending and equally spaced; choose such "
            f"records with records="
        )
    if not np.isfinite(x).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        first = "" if single else f"{where[0]}, "
        raise ValueError(f"data[{first}{int(kept[where[1]])}, {chosen[where[2]]}] = {x[where]}: must be finite")
    _checks.moderate("data", x)
    if (np.diff(x, axis=2) < 0).any():
        where = tuple(int(i) for i in np.argwhere(np.diff(x, axis=2) < 0)[0])
        first = "" if single else f"{where[0]}, "
        raise ValueError(
            f"data[{first}{int(kept[where[1]])}]: levels must be ascending, and level {chosen[where[2] + 1]} is "
            f"below level {chosen[where[2]]}"
        )
    whole = x[0] if single else None
    if single:
        size = time.size // pieces
        x, time = x[0, -pieces * size :].reshape(pieces, size, len(chosen)), time[:size]
    if not (np.ptp(x[:, :-1].mean(axis=2), axis=0) > 0).any():
        raise ValueError("data: all replicas move alike, must be independent trajectories")
    _refuse_different_wells(data if is_run(data) else None, x, chosen, observable.name)
    return x, time, chosen, whole


def _refuse_different_wells(run: Any, x: np.ndarray, chosen: tuple[int, ...], observable: str) -> None:
    """ValueError where neighbors lie in wells of their own, farther apart than 1.5 times the sum of their widths.

    A model knows its wells. Of other levels (replicas, records, m) the wells must be seen: two that share one lie as
    far apart where they repel strongly, but then they push each other about, and their correlation is 1/3 or more (1/3
    for beta = inf in a quadratic well, of two levels and of many). Levels apart have (d - d_0)/(d + d_0), d and d_0
    being the gap with the repulsion and without. Where the one well that they share has two bottoms they are less
    correlated, but both are now and then in the same one: then one is more often in the other's range than a normal
    law of its mean and width would have it. Nothing is said of levels that still spread from where they started.
    """
    known = _apart_in_model(run, chosen, observable)
    for k in range(x.shape[2] - 1):
        below, above = chosen[k], chosen[k + 1]
        apart, alone = (0.0, 0.0) if known is not None and known[k] == 0 else _apart_in_data(x[..., k : k + 2])
        if known is not None and known[k] > APART:
            apart, alone = known[k], 1.0
        what = f"{apart:.3g} times the sum of their widths"
        if apart > APART and alone > 0:
            raise ValueError(
                f"levels {below} and {above} lie in different wells, their gap is {what} (at most {APART} is allowed): "
                f"they share no drift K(x); give group= levels of one well"
            )
        if apart > APART and alone == 0:
            warnings.warn(
                f"levels {below} and {above} may lie in different wells: their gap is {what} (at most {APART} unless "
                f"they repel strongly), and there are too few data to tell from their correlation; if they do, beta "
                f"means nothing",
                RuntimeWarning,
                stacklevel=4,
            )


def _apart_in_model(run: Any, chosen: tuple[int, ...], observable: str) -> np.ndarray | None:
    """Distances of the wells over the sums of their widths, (m - 1,); None where no model states them."""
    process = getattr(run, "process", None)
    sgd = getattr(process, "sgd", None) or process
    if not isinstance(sgd, NetworkProcess):
        return None
    try:
        places = sgd.fixed_point()
        if observable == "singular_values":
            places, widths = np.sqrt(places), sgd.singular_value_widths()
        elif observable == "eigenvalues":
            widths = sgd.stationary_widths()
        else:
            return None
    except (AttributeError, NotImplementedError, ValueError):  # ValueError: there is no stationary state
        return None
    places, widths = (np.asarray(values)[list(chosen)] for values in (places, widths))
    gaps, sums = np.diff(places), widths[1:] + widths[:-1]
    # fixed points that coincide do so up to rounding, whatever the width
    gaps = np.where(gaps > 1e-9 * np.abs(places).max(), gaps, 0.0)
    return np.divide(gaps, sums, out=np.where(gaps > 0, np.inf, 0.0), where=sums > 0)


def _apart_in_data(x: np.ndarray) -> tuple[float, float]:
    """Gap over the sum of the widths of two levels (replicas, records, 2), and whether each moves alone.

    1 where they do, -1 where they push each other about, visit each other or still spread, 0 where that cannot be told.
    """
    from scipy.special import ndtr

    centered = x - x.mean(axis=0)
    squares = (centered**2).mean(axis=1).T  # (2, replicas)
    sums = float(np.sqrt(squares.mean(axis=1)).sum())
    gap = float((x[..., 1] - x[..., 0]).mean())
    spread = (centered**2).mean(axis=0)
    part = max(1, len(spread) // 4)
    if gap <= APART * sums or (spread[-part:].mean(axis=0) > GROWING * spread[:part].mean(axis=0)).any():
        return 0.0, -1.0
    widths = np.maximum(np.sqrt(squares.mean(axis=1)), np.finfo(float).tiny)
    for own, other, sign in ((0, 1, 1), (1, 0, -1)):
        border = float(np.quantile(sign * x[..., other], 0.16))  # beyond it lies most of the other's range
        expected = ndtr((float((sign * x[..., own]).mean()) - border) / widths[own])
        if (sign * x[..., own] > border).mean() > 2 * expected + VISITS:
            return gap / sums, -1.0
    # twice the covariance over the sum of the variances: the correlation where the widths are equal
    product = 2 * (centered[..., 0] * centered[..., 1]).mean(axis=1)
    value, influence = ratio(product[None], squares.sum(axis=0)[None])
    # Of 8 replicas that share a well (beta = 2 and 4), one error below would refuse 4 to 11 in 100, two 1 to 4.
    error = float(standard_errors(influence)[0])
    alone = float(value[0] + 2 * error < TOGETHER) - float(value[0] - error >= TOGETHER)
    return (gap / sums if sums > 0 else np.inf), alone


def _only_group(run: Any) -> Any:
    """None, or an error for a model whose levels lie in several wells."""
    model = getattr(getattr(run, "process", None), "model", None)
    try:
        groups = model.degenerate_groups()  # type: ignore[union-attr]
    except (AttributeError, NotImplementedError):
        return None
    n = np.shape(run.eigenvalues)[2]
    if n > 1 and (len(groups) != 1 or len(groups[0]) != n):
        raise ValueError(
            f"group = None: must be given, because the levels of {model} lie in several wells; choose one of {groups} "
            f"or a single level from 0 to {n - 1}"
        )
    return None


def _neighbors(group: Any, n: int) -> tuple[int, ...]:
    chosen = tuple(int(i) for i in indices("group", group, n))
    if chosen != tuple(range(chosen[0], chosen[0] + len(chosen))) or chosen[0] < 0:
        raise ValueError(f"group = {shown(group)}: must be neighboring level indices from 0 to {n - 1}, ascending")
    return chosen


def window_of(window: Any) -> tuple[float, float]:
    """Lower and upper end, from either both or the upper one."""
    shape = _checks.shape_of("window", window)
    if shape not in ((), (2,)):
        raise TypeError(f"window = {shown(window)}: must be a number > 0, or two, ascending")
    low, high = window if shape else (0.0, window)
    low = _checks.real("window", low, at_least=0)
    return low, _checks.real("window", high, above=low)
