"""`Scan`: what a scan has found, and what is read off it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import _checks
from .._checks import shown
from .._text import aligned
from ..comparison.compare import Comparison, compare
from ..comparison.scaling import ScalingFit, scaling_fit
from .dataset import dataset_of
from .means import Means, means_of
from .point import ScanPoint
from .points import Points
from .recipe import Recipe
from .reopen import opened
from .table import Table

__all__ = ["Comparisons", "Failure", "Scan"]

FUNCTIONS = {name: getattr(np, name) for name in ("sqrt", "log", "exp", "sin", "cos", "abs", "minimum", "maximum")}
SHOWN = 40  # lines in print


class Failure(NamedTuple):
    """A point that could not be run, and why."""

    parameters: dict[str, Any]
    message: str


@dataclass(frozen=True, eq=False)
class Comparisons(Mapping):
    """A comparison for each point of a scan, by place: ``comparisons[1, 2]``, or ``comparisons[3]`` of a list.

    Attributes
    ----------
    points : list of ScanPoint
    found : dict of Comparison
    """

    points: list[ScanPoint]
    found: dict[tuple[int, ...], Comparison]

    def __getitem__(self, place: Any) -> Comparison:
        return self.found[place if isinstance(place, tuple) else (place,)]

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def pvalues(self) -> np.ndarray:
        """P-values, (points,)."""
        return np.array([comparison.pvalue for comparison in self.found.values()])

    def __str__(self) -> str:
        rows = [[*self.points[0].parameters, "statistic", "p-value"]] if self.points else [["no points"]]
        for point, comparison in zip(self.points[:SHOWN], self.found.values(), strict=False):
            values = [str(value) for value in point.parameters.values()]
            rows.append([*values, f"{comparison.statistic:.4g}", f"{comparison.pvalue:.3g}"])
        return aligned(rows)


@dataclass(eq=False, repr=False)
class Scan:
    """Result of `scan`: measured numbers at every point, in memory or in a store.

    Attributes
    ----------
    points : Points
        What was varied: `names`, `values`, `shape`.
    replicas : int
        Of every point.
    path : str or None
        Of the store.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> def training(learning_rate):
    ...     return ds.SGD(model, learning_rate, batch_size=16)
    >>> scan = ds.scan(training, {"learning_rate": [0.05, 0.1]}, replicas=64, steps=100, seed=1, progress=False)
    >>> scan.point(learning_rate=0.1)["eigenvalues"].shape
    (64, 1, 2)
    >>> scan.mean("eigenvalues").value.round(1)
    array([[3.9, 4. ],
           [4. , 4. ]])
    """

    table: Table
    about: dict[str, str]
    held: Recipe | None
    continuous: bool | None = None
    again: Callable[..., Scan] | None = field(default=None)
    is_scan: ClassVar[bool] = True  # for `compare` and `hierarchy`, which know nothing of this class

    @property
    def points(self) -> Points:
        """The points, with names, values and shape."""
        return self.table.points

    @property
    def replicas(self) -> int:
        """Replicas of each point."""
        return self.table.replicas

    @property
    def path(self) -> str | None:
        """Where the store is; None without one."""
        return self.table.arrays.path

    @property
    def recipe(self) -> Recipe:
        """What is done at every point; ValueError if the scan was read from a store, which has no functions."""
        if self.held is None:
            raise ValueError("this scan was opened without its function: call dysonsim.scan with it and the same path")
        return self.held

    @property
    def failures(self) -> list[Failure]:
        """Points that could not be run, each with its parameters and the reason."""
        found = sorted(self.table.failures.items())
        return [Failure(self.points.parameters(place), why) for place, why in found]

    @property
    def complete(self) -> bool:
        """Whether every point has been run, or has failed."""
        return bool((self.table.done | self.table.failed).all())

    @property
    def dataset(self) -> Any:
        """All that was measured, as an xarray.Dataset with the dimensions of the points, replica, time and level.

        What a store holds is read when it is needed, chunk by chunk. Points that failed or have not been run are NaN.
        """
        return dataset_of(self.table, self.about, self.continuous)

    def to_pandas(self, name: str | None = None) -> Any:
        """Return a table with a row for each point, replica, record and level, as a pandas.DataFrame.

        Parameters
        ----------
        name : str, optional
            What was measured; default: all, one column each, where their dimensions are the same.
        """
        dataset = self.dataset
        chosen = dataset if name is None else dataset[[self._name(name)]]
        return chosen.to_dataframe().reset_index()

    def _name(self, name: str | None) -> str:
        """Return which measured array is meant: the only one, if none is named."""
        measured = self.table.measured
        if name is None and len(measured) == 1:
            return measured[0]
        if name not in measured:
            raise ValueError(f"name = {shown(name)}: must be one of {', '.join(measured) or 'none: no point was run'}")
        return name

    def point(self, **parameters: Any) -> ScanPoint:
        """Return one point, by its parameters; those with one value may be left out.

        Raises
        ------
        ValueError
            If there is no such point.
        """
        return ScanPoint(self, self.points.place(parameters))

    def __iter__(self) -> Iterator[ScanPoint]:
        """Iterate over the points that were run."""
        for at in np.argwhere(self.table.done & ~self.table.failed):
            yield ScanPoint(self, tuple(map(int, at)))

    def mean(self, name: str | None = None, *, record: int = -1, level: int | None = None) -> Means:
        """Average over replicas, with standard errors, at every point.

        Parameters
        ----------
        name : str, optional
            What was measured; may be left out if that is one thing.
        record : int
            Which record, of what was measured at several.
        level : int, optional
            Which level; default: each. Other dimensions of a measured array are averaged over.

        Returns
        -------
        Means
            Unpacks into value and error; prints as a table.
        """
        return means_of(self.table, self._name(name), _checks.integer("record", record, -(2**31)), level)

    def each(self, function: Callable[[ScanPoint], Any]) -> dict[tuple[int, ...], Any]:
        """Return what a function gives of every point that was run, by place."""
        return {point.place: function(point) for point in self}

    def compare(self, reference: Any, name: str | None = None, **how: Any) -> Comparisons:
        """Compare every point that was run with a law.

        Parameters
        ----------
        reference : law, class of laws, or callable
            As for `compare`; a function of the point, a `ScanPoint`, returns that of the point.
        name : str, optional
            What was measured: rows (replicas, k) as they are. Default: the only thing that was.
        **how
            Further arguments of `compare`, such as `levels` and `record` where eigenvalues were measured.
        """
        name = self._name(name)
        varies = callable(reference) and not (hasattr(reference, "cdf") or hasattr(reference, "statistic"))

        def compared(point: ScanPoint) -> Comparison:
            data = point if name == "eigenvalues" else point[name]
            return compare(data, reference(point) if varies else reference, **how)

        return Comparisons(list(self), self.each(compared))

    def scaling_fit(
        self, name: str | None = None, *, x: Any, trend: Any = None, prediction: float | None = None,
        record: int = -1, level: int | None = None,
    ) -> ScalingFit:  # fmt: skip
        """Fit mean = slope x over the points that were run, see `scaling_fit`.

        Parameters
        ----------
        name, record, level :
            What to average, as for `mean`; one number for each point.
        x, trend : str, callable or array
            What the mean is proportional to, and the small parameter: an expression in the parameters such as
            "sqrt(learning_rate / batch_size)", a function of a dict of them, or an array with the shape of the points.
        prediction : float, optional
            Expected slope.
        """
        means = self.mean(name, record=record, level=level)
        if not means.one_a_point:
            raise ValueError(f"level is missing: {means.name} has {means.value.shape[-1]} levels, choose one of them")
        there = np.isfinite(means.value)
        wanted = self._over_points("x", x, means)[there]
        small = None if trend is None else self._over_points("trend", trend, means)[there]
        return scaling_fit(wanted, means.value[there], means.error[there], trend=small, prediction=prediction)

    def _over_points(self, name: str, what: Any, means: Means) -> np.ndarray:
        """Return numbers of the shape of the points."""
        parameters, shape = means.parameters, means.replicas.shape
        if callable(what):
            places = list(np.ndindex(*shape))
            what = np.reshape([what(self.points.parameters(place)) for place in places], shape)
        elif isinstance(what, str):
            try:
                what = eval(compile(what, f"<{name}>", "eval"), {"__builtins__": {}} | FUNCTIONS, dict(parameters))
            except Exception as error:
                known = ", ".join([*parameters, *FUNCTIONS])
                raise ValueError(f"{name} = {what!r}: must be an expression in {known} ({error})") from None
        values = _checks.array(name, what, "an expression, a function of the parameters or an array")
        if values.shape != shape:
            raise ValueError(f"{name} has shape {values.shape}: must be that of the points, {shape}")
        return values

    def plot(
        self, name: str | None = None, *, x: str, ax: Any = None, record: int = -1, level: int | None = None
    ) -> Any:
        """Draw means with error bars against a parameter, a line for each combination of the others; returns the axes.

        Parameters
        ----------
        x : str
            A parameter whose values are numbers.
        name, record, level :
            As for `mean`; without `level` all levels are drawn.
        """
        means = self.mean(name, record=record, level=level)
        if x not in means.parameters or means.parameters[x].dtype.kind not in "iuf":
            numbers = [name for name, array in means.parameters.items() if array.dtype.kind in "iuf"]
            raise ValueError(f"x = {shown(x)}: must be a parameter whose values are numbers: {', '.join(numbers)}")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        count = math.prod(means.replicas.shape)
        value, error = means.value.reshape(count, -1), means.error.reshape(count, -1)
        across = means.parameters[x].ravel()
        others = {name: array.ravel() for name, array in means.parameters.items() if name != x}
        lines = list(zip(*others.values(), strict=True)) if self.points.product and others else [()] * count
        for line in dict.fromkeys(lines):
            mine = np.flatnonzero([one == line for one in lines])
            mine = mine[np.argsort(across[mine])]
            label = ", ".join(f"{name.replace('_', ' ')} {v}" for name, v in zip(others, line, strict=False))
            color = None
            for k in range(value.shape[1]):
                drawn = ax.errorbar(across[mine], value[mine, k], error[mine, k], fmt="o-", markersize=4, capsize=2,
                                    linewidth=1, color=color, label=label if label and k == 0 else None)  # fmt: skip
                color = drawn[0].get_color()
        ax.set_xlabel(x.replace("_", " "))
        ax.set_ylabel(f"mean {means.name.replace('_', ' ')}")
        if any(lines):
            ax.legend()
        return ax

    def extend(self, points: Any = None, *, replicas: int | None = None, **how: Any) -> Scan:
        """Run further points, or further replicas of all points; what has been run is kept as it is.

        Parameters
        ----------
        points : dict of sequences, list of dicts, ...; optional
            Further values of axes, ``{"learning_rate": [0.2]}``, or further points of a list. Those that are there
            already are left as they are.
        replicas : int, optional
            New number of replicas of every point.
        **how
            `client`, `threads`, `on_error`, `progress`: as for `scan`.

        Returns
        -------
        Scan
            This one, longer.
        """
        if self.again is None:
            _ = self.recipe
            raise ValueError("this scan cannot be extended")
        longer = self.again(self, points, replicas, **how)
        self.table, self.continuous = longer.table, longer.continuous
        return self

    @staticmethod
    def open(path: Any) -> Scan:
        """Read a store without its function: for `dataset`, `mean`, `failures` and the like.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is no scan's store.
        """
        return Scan(*opened(path), None)

    def __repr__(self) -> str:
        done, failed = int((self.table.done & ~self.table.failed).sum()), int(self.table.failed.sum())
        where = "in memory" if self.path is None else f"in {self.path}"
        measured = ", ".join(self.table.measured) or "nothing"
        return (
            f"<Scan of {self.points.size} points x {self.replicas} replicas ({', '.join(self.points.names)}): "
            f"{measured}; {done} done, {failed} failed, {self.points.size - done - failed} left; {where}>"
        )
