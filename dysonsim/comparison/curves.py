"""Curves against laws and against each other: one p-value for all points together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import choice, shown
from .._text import aligned, plain, with_error
from ..ensembles.observable import OBSERVABLES, Choice, Observable, observable_of
from ..spectra.curve import Curve
from ..spectra.observables import MINIMUM_REPLICAS, is_run
from .curve_null import draw_largest, largest_deviation
from .null import exceedance
from .result import METHODS, VERDICT_LEVEL

__all__ = ["HOW", "CurveComparison", "check_left_out", "compare_curves", "curve_of", "remembered"]

HOW = (
    "give that of dysonsim.number_variance(data, lengths), say, or as observable a function of the run that returns it"
)


@dataclass(frozen=True, eq=False, repr=False)
class CurveComparison:
    """Result of `compare` for a `Curve`.

    Attributes
    ----------
    curve : Curve
        The data.
    reference : law or Curve
    expected : (K,)
        The law's values, as the curve would have them on average (`Curve.expected`); or those of the other curve.
    error : (K,)
        Standard errors of `curve.value - expected`.
    statistic : float
        Largest deviation of all points, in standard errors.
    pvalue : float
        Probability of one at least as large if the hypothesis is true: joint, for all points together.
    resamples, seed : int

    Examples
    --------
    >>> import dysonsim as ds
    >>> run = ds.simulate(ds.CoulombGas.hermite(n=40, beta=1.0), replicas=200, seed=1)
    >>> curve = ds.number_variance(run, [1, 2, 5])
    >>> right, wrong = (ds.compare(curve, ds.laws.NumberVariance(beta=beta)) for beta in (1, 2))
    >>> right.agrees, wrong.agrees
    (True, False)
    """

    curve: Curve
    reference: Any
    expected: np.ndarray
    error: np.ndarray
    statistic: float
    pvalue: float
    resamples: int
    seed: int

    @property
    def law(self) -> Any:
        """The law; None for two curves."""
        return None if isinstance(self.reference, Curve) else self.reference

    @property
    def agrees(self) -> bool:
        """Whether the p-value is at least 0.001."""
        return self.pvalue >= VERDICT_LEVEL

    @property
    def deviations(self) -> np.ndarray:
        """Curve minus reference, in standard errors, (K,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = self.curve.value - self.expected
            return np.where(apart == 0, 0.0, apart / self.error)

    @property
    def _name(self) -> str:
        if isinstance(self.reference, Curve):
            return "the other curve"
        given = getattr(self.reference, "parameters", {})
        inside = ", ".join(f"{name}={value}" for name, value in given.items() if value is not None)
        name = getattr(self.reference, "__name__", type(self.reference).__name__)
        return f"{name}({inside})" if given else name

    def __repr__(self) -> str:
        """Name the reference, the statistic and the p-value in one line."""
        return f"<CurveComparison with {self._name}: {self.statistic:.3g} sigma, p = {self.pvalue:.3g}>"

    def __str__(self) -> str:
        """Tabulate both curves and their deviations, under a verdict in words."""
        low, high = self.curve.window
        other = isinstance(self.reference, Curve)
        errors = self.reference.error if other else [None] * len(self.expected)
        rows = [[self.curve.argument, self.curve.statistic, "other" if other else "law", "deviation"]]
        for x, value, error, there, its, off in zip(
            self.curve.x, self.curve.value, self.curve.error, self.expected, errors, self.deviations, strict=True
        ):
            cells = [with_error(float(value), float(error)), with_error(float(there), its)]
            rows.append([f"{x:g}", *cells, f"{off:+.2f} sigma"])
        verdict = f"no evidence against {self._name}" if self.agrees else f"the data do not follow {self._name}"
        return "\n".join([
            f"{self.curve.what} against {self._name}",
            f"  unfolded by {self.curve.density}, window {low:g} to {high:g}",
            aligned(rows),
            f"  largest deviation {self.statistic:.3g} sigma, p = {self.pvalue:.3g} for all {len(rows) - 1} points "
            f"together: {self.resamples} resamples of whole replicas",
            f"  verdict at {VERDICT_LEVEL:g}: {verdict} (p = {self.pvalue:.3g})",
        ])  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; None for what is not finite."""
        other = isinstance(self.reference, Curve)
        return plain({
            "curve": self.curve.to_dict(),
            "other" if other else "law": self.reference.to_dict() if other else self._name,
            "parameters": getattr(self.reference, "parameters", {}),
            "expected": self.expected,
            "deviations": self.deviations,
            "statistic": self.statistic,
            "pvalue": self.pvalue,
            "agrees": self.agrees,
            "resamples": self.resamples,
            "seed": self.seed,
        })  # fmt: skip

    def plot(self, ax: Any = None) -> Any:
        """Draw the curve with error bars and the law (or the other curve) on `ax`; returns the axes."""
        ax = self.curve.plot(ax, label="data")
        score = f"largest deviation {self.statistic:.2g} $\\sigma$, p = {self.pvalue:.2g}"
        if isinstance(self.reference, Curve):
            self.reference.plot(ax, label=f"other ({score})")
        else:
            x = np.linspace(self.curve.x.min(), self.curve.x.max(), 200)
            ax.plot(x, self.curve.expected(self.reference, x), "C1-", label=f"{self._name} ({score})")
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.2 * (high - low))  # room for the legend
        ax.legend(fontsize="small")
        return ax


def compare_curves(curve: Curve, reference: Any, resamples: int, seed: int) -> CurveComparison:
    """Compare a curve with a law, or with another curve of the same statistic at the same points."""
    _check_replicas("data", curve)
    if isinstance(reference, Curve):
        _check_replicas("reference", reference)
        _check_alike(curve, reference)
        samples, expected = [curve.samples, reference.samples], reference.value
        error = np.hypot(curve.error, reference.error)
    else:
        _check_law(curve, reference)
        expected = np.asarray(curve.expected(reference), dtype=np.float64)
        if expected.shape != curve.x.shape or not np.isfinite(expected).all():
            raise ValueError(f"reference = {shown(reference)}: must give a finite number for each point of the curve")
        samples, error = [curve.samples], curve.error
    largest = largest_deviation(curve.value - expected, error)
    pvalue = exceedance(largest, draw_largest(samples, resamples, seed))
    return CurveComparison(curve, reference, expected, error, largest, pvalue, resamples, seed)


def curve_of(data: Any, observable: Choice) -> Curve | None:
    """Return data if they are a curve, or the curve that a function of the run, as observable, makes of it."""
    if isinstance(data, Curve):
        if observable != "eigenvalues":
            raise ValueError(f"observable = {shown(observable)}: must be left out where data are a curve")
        return data
    looked_at = observable_of(observable)
    if not is_run(data) or OBSERVABLES.get(looked_at.name) is looked_at:
        return None
    found = looked_at.of(data)
    return found if isinstance(found, Curve) else None


def remembered(observable: Choice) -> Choice:
    """Return an observable that is read off every run once, however often it is asked for."""
    looked_at = observable_of(observable)
    if OBSERVABLES.get(looked_at.name) is looked_at:
        return observable
    found: dict[int, Any] = {}

    def of(run: Any) -> Any:
        if id(run) not in found:
            found[id(run)] = looked_at.of(run)
        return found[id(run)]

    return Observable(looked_at.name, of, looked_at.among, looked_at.least, looked_at.symbol)


def check_left_out(fit: Any, levels: Any, record: Any, method: str) -> None:
    """Refuse what has no meaning for a curve."""
    choice("method", method, METHODS)
    given = {"fit": (fit, None), "levels": (levels, None), "record": (record, -1), "method": (method, "ks")}
    for name, (value, default) in given.items():
        if value is not default and value != default:
            raise ValueError(f"{name} = {shown(value)}: must be left out for a curve, which has been measured already")


def _check_replicas(name: str, curve: Curve) -> None:
    if curve.replicas < MINIMUM_REPLICAS:
        raise ValueError(
            f"{name} is a curve of {curve.replicas} spectra: must be of {MINIMUM_REPLICAS} or more for a p-value; of "
            "fewer look at its errors"
        )


def _check_law(curve: Curve, law: Any) -> None:
    if isinstance(law, type) or hasattr(law, "cdf") or not callable(law):
        raise TypeError(
            f"reference = {shown(law)}: must be a law of the {curve.statistic} with its parameters (dysonsim.laws), a "
            "function of x, or a curve"
        )
    of = getattr(law, "statistic", curve.statistic)
    if of != curve.statistic:
        raise ValueError(f"reference = {shown(law)} is a law of the {of}: must be of the {curve.statistic}")


def _check_alike(curve: Curve, other: Curve) -> None:
    if other.statistic != curve.statistic:
        raise ValueError(f"reference is a curve of the {other.statistic}: must be of the {curve.statistic}")
    if other.x.shape != curve.x.shape or not np.allclose(other.x, curve.x, rtol=1e-12, atol=0.0):
        raise ValueError(f"reference is a curve at {shown(other.x)}: must be at the same points, {shown(curve.x)}")
    here, there = (one.window[1] - one.window[0] for one in (curve, other))
    if curve.statistic == "form factor" and not np.isclose(here, there):
        raise ValueError(
            f"reference is a form factor of a window of {there:g} levels: must be of {here:g}, for the same "
            "resolution in time"
        )
