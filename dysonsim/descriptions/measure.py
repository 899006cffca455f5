"""What `hierarchy` measures: the numbers and distributions of every well at every level of description."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import numpy as np

from ..comparison.compare import compare
from ..comparison.curves import curve_of
from ..ensembles.observable import Observable
from ..ensembles.run import Run, mean_and_error
from ..processes.descent import Descent
from ..spectra.curve import Curve
from ..spectra.observables import moments
from .quantities import REFERENCE, TITLES, Distribution, Quantity

FALSE_ALARM = 1e-3  # of the warning that a run has not settled
FAR = 4.0  # widths from start to end below which there is no way to be halfway of


def wells(sgd: Descent) -> list[tuple[int, ...]]:
    """List groups of levels that share a well, single levels included, ascending; without those that are always 0."""
    try:
        fixed, groups = sgd.fixed_point(), sgd.degenerate_groups()
    except NotImplementedError:
        return [(i,) for i in range(sgd.n)]
    shared = {i for group in groups for i in group}
    return sorted([*groups, *((i,) for i in range(sgd.n) if i not in shared and fixed[i] > 0)])


def warn_unsettled(values: Mapping[str, np.ndarray], groups: list[tuple[int, ...]], stacklevel: int) -> None:
    """Later half of the stationary records against the earlier: Student's t over replicas, all wells and levels."""
    from scipy.special import stdtr

    for name, levels in values.items():
        half = levels.shape[1] // 2
        for well in groups:
            means = levels[:, :, list(well)].mean(axis=2)
            change, error = mean_and_error(means[:, -half:].mean(axis=1) - means[:, :half].mean(axis=1))
            chance = 2 * stdtr(len(means) - 1, -abs(change) / error) if error > 0 else 1.0
            if chance * len(groups) * len(values) < FALSE_ALARM:
                warnings.warn(
                    f"{TITLES.get(name, name)} has not settled: from the first to the second half of its stationary "
                    f"records the mean of levels {well} changes by {change:.3g} ± {error:.2g}; take a larger settle",
                    RuntimeWarning, stacklevel=stacklevel + 1,
                )  # fmt: skip
                break


def quantities(
    sgd: Descent,
    well: tuple[int, ...],
    values: Mapping[str, np.ndarray],
    paths: Mapping[str, np.ndarray],
    way: np.ndarray,
    observable: str,
) -> list[Quantity]:
    """Measure the numbers of one well."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name, levels in values.items():
        x = levels[:, :, list(well)]
        pooled = moments(x.reshape(len(x), -1))
        numbers = {"mean": (pooled.mean, pooled.mean_error), "width": (pooled.std, pooled.std_error)}
        if len(well) > 1:
            center = moments(x.mean(axis=2))
            gap, error = mean_and_error(np.diff(x, axis=2).mean(axis=(1, 2)))
            numbers |= {"width of the mean": (center.std, center.std_error), "spacing": (float(gap), float(error))}
        for key, number in numbers.items():
            found.setdefault(key, {})[name] = number
    listed = [Quantity(key, well, by_name, expected=_fixed(sgd, well, observable) if key == "mean" else None)
                  for key, by_name in found.items()]  # fmt: skip
    if REFERENCE in paths:
        means = paths[REFERENCE][:, :, list(well)].mean(axis=(0, 2))
        end, width = found["mean"][REFERENCE][0], found["width"][REFERENCE][0]
        if abs(end - means[0]) > FAR * width:
            at = int(np.abs(means - (means[0] + end) / 2).argmin())
            there = {n: mean_and_error(p[:, at][:, list(well)].mean(axis=1)) for n, p in paths.items()}
            halfway = {name: (float(mean), float(error)) for name, (mean, error) in there.items()}
            listed.append(Quantity("halfway", well, halfway, step=int(way[at])))
    return listed


def _fixed(sgd: Descent, well: tuple[int, ...], observable: str) -> float | None:
    """Of the levels of a well, where the model states it and the observable is eigenvalues or their roots."""
    try:
        fixed = float(sgd.fixed_point()[well[0]])
    except NotImplementedError:
        return None
    return {"eigenvalues": fixed, "singular_values": math.sqrt(fixed)}.get(observable)


def distributions(well: tuple[int, ...], values: Mapping[str, np.ndarray], resamples: int) -> list[Distribution]:
    """Density of the well's levels and of their spacings, SGD against every other level."""
    taken = {"density": {name: levels[:, :, list(well)] for name, levels in values.items()}}
    if len(well) > 1:
        taken["spacings"] = {name: np.diff(x, axis=2) for name, x in taken["density"].items()}
    found = []
    for kind, by_name in taken.items():
        flat = {name: x.reshape(len(x), -1) for name, x in by_name.items()}
        against = {name: compare(flat[REFERENCE], x, resamples=resamples) for name, x in flat.items()
                   if name != REFERENCE}  # fmt: skip
        found.append(Distribution(kind, well, against))
    return found


def curves_of(observable: Observable, runs: Mapping[str, Run]) -> dict[str, Curve]:
    """Return the curve of every description, by name; empty where the observable is not one."""
    first = curve_of(runs[REFERENCE], observable)
    if first is None:
        return {}
    found = {name: first if name == REFERENCE else curve_of(run, observable) for name, run in runs.items()}
    return {name: curve for name, curve in found.items() if curve is not None}


def of_curves(curves: Mapping[str, Curve], resamples: int) -> tuple[list[Quantity], list[Distribution]]:
    """Measure every point of the curves, and compare SGD's with every other."""
    sgd = curves[REFERENCE]
    points = [
        Quantity(f"{sgd.statistic} at {x:g}", (),
                 {name: (float(curve.value[k]), float(curve.error[k])) for name, curve in curves.items()})
        for k, x in enumerate(sgd.x)
    ]  # fmt: skip
    against = {name: compare(sgd, curve, resamples=resamples) for name, curve in curves.items() if name != REFERENCE}
    return points, [Distribution(sgd.statistic, (), against)]
