"""What a comparison found: numbers with errors, a table, a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._text import aligned, plain, with_error
from ..spectra.observables import Moments, bin_edges, histogram
from .distributions import law_name
from .fit import FittedLaw

VERDICT_LEVEL = 1e-3
MOST_RESAMPLES = 10**7  # they are kept, to be counted
METHODS = {"ks": "Kolmogorov-Smirnov", "ad": "Anderson-Darling"}


@dataclass(frozen=True)
class Distance:
    """A test statistic, its p-value, and where its null distribution came from."""

    statistic: float
    pvalue: float
    null: str


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Result of `compare`.

    Attributes
    ----------
    values : (replicas, levels)
        The data.
    moments : Moments
        Mean and standard deviation of the data with errors from whole replicas.
    method : "ks" or "ad"
        Which distance `statistic`, `pvalue` and the verdict refer to.
    ks, ad : Distance
        Kolmogorov-Smirnov D and Anderson-Darling A^2 with p-values.
    fitted : FittedLaw or None
        The law with what was fitted (names, covariance); None for two samples.
    other, other_moments : (replicas, levels) and Moments, or None
        The second sample; None for a law.
    resamples, seed : int
    notes : tuple of str
        What was done to the data, such as zeros of rounding that were read as zeros.

    Examples
    --------
    >>> import dysonsim as ds
    >>> data = ds.laws.Semicircle(0.0, 2.0).rvs(500, random_state=1)
    >>> result = ds.compare(data, ds.laws.Normal)
    >>> result.agrees
    True
    >>> round(result.statistic, 2)
    0.05
    """

    values: np.ndarray
    moments: Moments
    method: str
    ks: Distance
    ad: Distance
    fitted: FittedLaw | None
    other: np.ndarray | None
    other_moments: Moments | None
    resamples: int
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def statistic(self) -> float:
        """D or A^2, as `method` says."""
        return self._chosen.statistic

    @property
    def pvalue(self) -> float:
        """Probability of a distance at least as large if the hypothesis is true."""
        return self._chosen.pvalue

    @property
    def _chosen(self) -> Distance:
        return self.ks if self.method == "ks" else self.ad

    @property
    def law(self) -> Any:
        """The law with fitted parameters; None for two samples."""
        return None if self.fitted is None else self.fitted.law

    @property
    def parameters(self) -> dict[str, float]:
        """All parameters of the law, fitted or given."""
        return {} if self.fitted is None else dict(getattr(self.fitted.law, "parameters", {}))

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors of the fitted parameters."""
        return {} if self.fitted is None else self.fitted.errors

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the fitted parameters, in the order of `errors`."""
        return np.empty((0, 0)) if self.fitted is None else self.fitted.covariance

    @property
    def agrees(self) -> bool:
        """Whether the p-value is at least 0.001."""
        return self.pvalue >= VERDICT_LEVEL

    @property
    def deviations(self) -> dict[str, float]:
        """Mean and standard deviation of the data minus those of the reference, in standard errors.

        Empty when parameters were fitted: they follow the data then.
        """
        if self.fitted is not None and self.fitted.names:
            return {}
        m, reference = self.moments, self._reference_moments
        mean_error = math.hypot(m.mean_error, reference.mean_error)
        std_error = math.hypot(m.std_error, reference.std_error)
        return {
            "mean": (m.mean - reference.mean) / mean_error,
            "std": (m.std - reference.std) / std_error,
        }

    @property
    def _reference_moments(self) -> Moments:
        if self.other_moments is not None:
            return self.other_moments
        return Moments(float(self.law.mean()), 0.0, float(self.law.std()), 0.0)

    def __repr__(self) -> str:
        """Give the law, the statistic and the p-value in one line."""
        name = "another sample" if self.other is not None else law_name(self.law)
        return f"<Comparison with {name}: {self.method} {self.statistic:.4g}, p = {self.pvalue:.3g}>"

    def __str__(self) -> str:
        """Tabulate statistic, p-value, parameters and moments, under a verdict in words."""
        name = "the other sample" if self.other is not None else law_name(self.law)
        shape = "{} replicas x {} levels".format
        title = f"{shape(*self.values.shape)} against {name}"
        if self.other is not None:
            title += f" ({shape(*self.other.shape)})"
        verdict = f"no evidence against {name}" if self.agrees else f"the data do not follow {name}"
        lines = [title]
        if self.parameters:
            lines.append(aligned(self._parameter_rows()))
        lines.append(aligned(self._moment_rows()))
        lines.append(aligned(self._distance_rows()))
        lines += [f"  {note}" for note in self.notes]
        lines.append(f"  verdict at {VERDICT_LEVEL:g}: {verdict} (p = {self.pvalue:.3g})")
        return "\n".join(lines)

    def _parameter_rows(self) -> list[list[str]]:
        errors = self.errors
        return [
            [name, with_error(value, errors.get(name)), "fitted" if name in errors else "given"]
            for name, value in self.parameters.items()
        ]

    def _moment_rows(self) -> list[list[str]]:
        m, r, off = self.moments, self._reference_moments, self.deviations
        sample = self.other is not None
        return [
            ["", "data", "other" if sample else "law", "deviation" if off else ""],
            [
                "mean",
                with_error(m.mean, m.mean_error),
                with_error(r.mean, r.mean_error if sample else None),
                f"{off['mean']:+.2f} sigma" if off else "",
            ],
            [
                "std",
                with_error(m.std, m.std_error),
                with_error(r.std, r.std_error if sample else None),
                f"{off['std']:+.2f} sigma" if off else "",
            ],
        ]

    def _distance_rows(self) -> list[list[str]]:
        rows = [["", "statistic", "p-value", "null distribution"]]
        for method, distance in (("ks", self.ks), ("ad", self.ad)):
            star = " *" if method == self.method else ""
            rows.append([METHODS[method] + star, f"{distance.statistic:.5g}", f"{distance.pvalue:.3g}", distance.null])
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; None for what is not finite."""
        result: dict[str, Any] = {
            "replicas": self.values.shape[0],
            "levels": self.values.shape[1],
            "moments": vars(self.moments),
            "deviations": self.deviations,
            "method": self.method,
            "statistic": self.statistic,
            "pvalue": self.pvalue,
            "agrees": self.agrees,
            "ks": vars(self.ks),
            "ad": vars(self.ad),
            "resamples": self.resamples,
            "seed": self.seed,
            "notes": self.notes,
        }
        if self.other is not None and self.other_moments is not None:
            result["other"] = {
                "replicas": self.other.shape[0],
                "levels": self.other.shape[1],
                "moments": vars(self.other_moments),
            }
        else:
            result |= {
                "law": law_name(self.law),
                "parameters": self.parameters,
                "errors": self.errors,
                "covariance": self.covariance,
                "law_mean": float(self.law.mean()),
                "law_std": float(self.law.std()),
            }
        return plain(result)

    def plot(self, ax: Any = None) -> Any:
        """Histogram with error bars and the law (or the other sample) on `ax`; returns the axes."""
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        edges = bin_edges(self.values if self.other is None else np.concatenate([self.values.flat, self.other.flat]))
        score = f"{'D' if self.method == 'ks' else '$A^2$'} = {self.statistic:.3g}, p = {self.pvalue:.2g}"
        _draw_histogram(ax, self.values, edges, "C0", "data")
        if self.other is not None:
            _draw_histogram(ax, self.other, edges, "C1", f"other sample ({score})")
        else:
            x = np.linspace(edges[0], edges[-1], 400)
            ax.plot(x, self.law.pdf(x), "C1-", label=f"{law_name(self.law)} ({score})")
        ax.set_ylabel("density")
        ax.set_ylim(0.0, 1.3 * ax.get_ylim()[1])  # room for the legend
        ax.legend(fontsize="small")
        return ax


def _draw_histogram(ax: Any, values: np.ndarray, edges: np.ndarray, color: str, label: str) -> None:
    bars = histogram(values, edges)
    center = (edges[1:] + edges[:-1]) / 2
    ax.stairs(bars.density, edges, color=color, alpha=0.3, fill=True)
    ax.errorbar(center, bars.density, bars.error, fmt=".", color=color, markersize=3, linewidth=1, label=label)
