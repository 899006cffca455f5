"""`Hierarchy`: what the levels of description of one training say about the same numbers; to print, plot and store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from .._checks import shown
from .._text import aligned, plain, with_error
from ..comparison.result import Comparison
from ..ensembles.observable import Observable
from ..ensembles.run import Run, mean_and_error
from ..processes import Process
from ..spectra.curve import Curve
from .quantities import BEYOND, REFERENCE, TITLES, Distribution, Quantity, on_path, settled, timeless

N = TypeVar("N", Quantity, Distribution)


@dataclass(frozen=True, eq=False, repr=False)
class Hierarchy:
    """Result of `hierarchy`.

    Attributes
    ----------
    sgd : SGD
        The training from which all descriptions are derived.
    observable : str
        Name of what was looked at: "eigenvalues", "singular_values", ...
    runs : dict of Run
        By description, "sgd" first.
    steps, path_steps : (S,) and (T,) int arrays
        Steps of the stationary records and of those before, in all descriptions but the gas.
    quantities : list of Quantity
    distributions : list of Distribution
    missing : dict
        Descriptions that are missing, with the reason.
    looked_at : Observable
        The observable whose name is `observable`.
    curves : dict of Curve
        By description, if the observable is a curve; else empty.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> sgd = ds.SGD(model, learning_rate=0.1, batch_size=16)
    >>> result = ds.hierarchy(sgd, replicas=64, levels=("sgd", "gas"), records=2, path=0, resamples=99)
    >>> result.runs["gas"].eigenvalues.shape
    (64, 2, 2)
    >>> sorted({quantity.name for quantity in result.quantities})
    ['mean', 'spacing', 'width', 'width of the mean']
    """

    sgd: Process
    observable: str
    runs: dict[str, Run]
    steps: np.ndarray
    path_steps: np.ndarray
    quantities: list[Quantity]
    distributions: list[Distribution]
    missing: dict[str, str]
    looked_at: Observable
    curves: dict[str, Curve] = field(default_factory=dict)

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of the levels of description, "sgd" first."""
        return tuple(self.runs)

    def quantity(self, name: str, group: tuple[int, ...]) -> Quantity:
        """Return the one of this name and group; ValueError if there is none."""
        return _named(self.quantities, name, group)

    def distribution(self, name: str, group: tuple[int, ...]) -> Distribution:
        """Return the one of this name ("density", "spacings") and group; ValueError if there is none."""
        return _named(self.distributions, name, group)

    def settled(self, level: str) -> np.ndarray:
        """Stationary values (replicas, S, n) of `observable` at a level of description."""
        return settled(self._run(level), self.looked_at, self.steps)

    def path(self, level: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard error, each (T, n), at `path_steps`; ValueError for the gas, which has no time."""
        run = self._run(level)
        if timeless(run):
            raise ValueError(f"level = {shown(level)}: {run.process} has no time")
        return mean_and_error(on_path(run, self.looked_at, self.path_steps))

    def _run(self, level: str) -> Run:
        if level not in self.runs:
            raise ValueError(f"level = {shown(level)}: must be one of {', '.join(map(repr, self.runs))}")
        return self.runs[level]

    def __repr__(self) -> str:
        """Name the training and the descriptions in one line."""
        return f"<Hierarchy of {self.sgd}: {', '.join(self.levels)}>"

    def __str__(self) -> str:
        """Tabulate how far every description is from training."""
        replicas = sorted({run.replicas for run in self.runs.values()})
        shown = f"{replicas[0]}" if len(replicas) == 1 else f"{replicas[0]} to {replicas[-1]}"
        what = self.curves[REFERENCE].statistic if self.curves else self.observable.replace("_", " ")
        head = (
            f"{self.sgd}\n{what} of {shown} networks a level, "
            f"{len(self.steps)} records from step {self.steps[0]} to {self.steps[-1]}"
        )
        others = [name for name in self.levels if name != REFERENCE]
        values = [["value ± error", "levels", *(TITLES.get(name, name) for name in self.levels)]]
        away = [["deviation from SGD (standard errors)", "levels", *(TITLES.get(name, name) for name in others)]]
        for q in self.quantities:
            cells = [with_error(*q.values[name]) if name in q.values else "" for name in self.levels]
            values.append([q.label, q.where, *cells])
            cells = [str(q.deviation(name)) if name in q.values else "" for name in others]
            away.append([q.label, q.where, *cells])
        measure = "largest deviation of a curve in standard errors" if self.curves else "Kolmogorov-Smirnov D"
        apart = [[f"distance from SGD: {measure}, p", "levels", *away[0][2:]]]
        for d in self.distributions:
            found = [f"{d.comparisons[name].statistic:.4f}, {d.comparisons[name].pvalue:.2g}" for name in others]
            apart.append([d.name, d.where, *found])
        lines = [head, aligned(values), aligned(away), aligned(apart), "\n".join(map(self._verdict, others))]
        lines += [f"{TITLES[name]} is not available: {why}" for name, why in self.missing.items()]
        return "\n\n".join(line for line in lines if line)

    def _verdict(self, level: str) -> str:
        """How many numbers deviate, and the largest relative deviation among them."""
        found = [(q, q.deviation(level)) for q in self.quantities if level in q.values]
        off = [(q, d) for q, d in found if not abs(d.sigmas) <= BEYOND]
        text = f"{TITLES.get(level, level)}: {len(off)} of {len(found)} numbers more than {BEYOND:g} sigma from SGD"
        if off:
            worst, by = max(off, key=lambda pair: abs(pair[1].percent))
            text += f", at most {by.percent:+.2f}% ({worst.label}, {worst.where})"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        others = [name for name in self.levels if name != REFERENCE]
        timed = [name for name in self.levels if len(self.path_steps) and not timeless(self.runs[name])]
        paths = {name: dict(zip(("mean", "error"), self.path(name), strict=True)) for name in timed}
        curves = {"curves": {name: curve.to_dict() for name, curve in self.curves.items()}} if self.curves else {}
        return plain({
            "sgd": repr(self.sgd),
            "observable": self.observable,
            "levels": {name: {"process": repr(r.process), "seed": r.seed, "replicas": r.replicas}
                       for name, r in self.runs.items()},
            "missing": self.missing,
            "steps": self.steps,
            "path_steps": self.path_steps,
            "quantities": [
                {"name": q.name, "group": q.group, "step": q.step, "expected": q.expected, "values": q.values,
                 "deviations": {name: vars(q.deviation(name)) for name in others if name in q.values}}
                for q in self.quantities
            ],
            "distributions": [
                {"name": d.name, "group": d.group,
                 "distances": {name: {"statistic": c.statistic, "pvalue": c.pvalue}
                               | ({"ad_pvalue": c.ad.pvalue} if isinstance(c, Comparison) else {})
                               for name, c in d.comparisons.items()}}
                for d in self.distributions
            ],
            "paths": paths,
        } | curves)  # fmt: skip

    def plot(self, group: tuple[int, ...] | None = None) -> Any:
        """Draw the path to the stationary state, the density in a well, and the deviations of its numbers.

        Where the observable is a curve: the curves of all descriptions, and the deviations of their points.

        Parameters
        ----------
        group : tuple of int, optional
            Well of the second panel. Default: the last with two or more levels, or else the last.
        """
        from .plot import draw, draw_curves

        return draw_curves(self) if self.curves else draw(self, group)


def _named(found: Sequence[N], name: str, group: tuple[int, ...]) -> N:
    for one in found:
        if (one.name, one.group) == (name, tuple(group)):
            return one
    allowed = ", ".join(sorted({f"{one.name!r} of {one.group}" for one in found}))
    raise ValueError(f"name = {shown(name)}, group = {shown(group)}: must be one of {allowed}")
