"""The numbers by which descriptions of one training are compared, and which records of a run they are taken from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ensembles.observable import Observable
from ..ensembles.run import Run

TITLES = {
    "sgd": "SGD",
    "langevin": "Langevin",
    "dyson": "Dyson",
    "independent": "Dyson, independent wells",
    "gas": "Coulomb gas",
}
REFERENCE = "sgd"
BEYOND = 3.3  # standard errors that are called a deviation: false alarms once in a thousand numbers


@dataclass(frozen=True)
class Deviation:
    """Of a number from SGD's: relative in percent with its standard error, and the difference in standard errors.

    With few replicas `sigmas` follows Student's t with about as many degrees of freedom, not the normal law.
    """

    percent: float
    percent_error: float
    sigmas: float

    def __str__(self) -> str:
        """Write the deviation in percent, and in standard errors in brackets."""
        return f"{self.percent:+.2f}% ({self.sigmas:+.1f})"


@dataclass(frozen=True)
class Quantity:
    """One number of one well, in every description.

    Attributes
    ----------
    name : str
        "mean", "width" (standard deviation of a level), "width of the mean" and "spacing" (of levels that share a
        well), all stationary; or "halfway" (mean at the recorded step at which SGD is nearest to half its way); or a
        point of a curve, such as "number variance at 2".
    group : tuple of int
        The levels of the well; the number is an average over them. Empty for a point of a curve.
    values : dict
        (value, standard error over replicas) by description; the gas has no "halfway".
    step : int or None
        Step of "halfway".
    expected : float or None
        For "mean", the model's fixed point; else None.
    """

    name: str
    group: tuple[int, ...]
    values: dict[str, tuple[float, float]]
    step: int | None = None
    expected: float | None = None

    def deviation(self, level: str) -> Deviation:
        """From SGD; KeyError for a level of description that does not have this quantity."""
        (value, error), (base, base_error) = self.values[level], self.values[REFERENCE]
        difference, spread = value - base, math.hypot(error, base_error)
        ratio_error = math.hypot(error, value / base * base_error) / abs(base) if base else math.nan
        relative = difference / abs(base) if base else math.nan
        return Deviation(100 * relative, 100 * ratio_error, difference / spread if spread > 0 else math.nan)

    @property
    def where(self) -> str:
        """The levels, or "all" where the number is one of the whole spectrum."""
        return str(self.group) if self.group else "all"

    @property
    def label(self) -> str:
        """What it is, with step and fixed point."""
        if self.step is not None:
            return f"mean at step {self.step}"
        return self.name if self.expected is None else f"mean (fixed point {self.expected:.6g})"


@dataclass(frozen=True, eq=False)
class Distribution:
    """The "density" of a well's levels, or of its "spacings": comparisons of SGD with every other level.

    Where the observable is a curve of the whole spectrum, such as the number variance: comparisons of the curve
    (CurveComparison), and an empty group.
    """

    name: str
    group: tuple[int, ...]
    comparisons: dict[str, Any]

    @property
    def where(self) -> str:
        """The levels, or "all" where the curve is one of the whole spectrum."""
        return str(self.group) if self.group else "all"


def timeless(run: Run) -> bool:
    """Whether the records of a run are draws of a stationary law, not taken at times (a gas)."""
    return run.process.weight_shape is None and not run.process.continuous


def on_path(run: Run, observable: Observable, steps: np.ndarray) -> np.ndarray:
    """Return recorded values (replicas, len(steps), n) at the given steps; ValueError where there is no record."""
    return observable.of_levels(run)[:, [run.record(step) for step in steps.tolist()]]


def settled(run: Run, observable: Observable, steps: np.ndarray) -> np.ndarray:
    """Values at the given steps, or of a gas its last len(steps) records."""
    if not timeless(run):
        return on_path(run, observable, steps)
    if len(run.steps) < len(steps):
        raise ValueError(f"{run.process} has {len(run.steps)} records: must have {len(steps)}, as many as the others")
    return observable.of_levels(run)[:, -len(steps) :]
