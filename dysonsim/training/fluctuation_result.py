"""`Fluctuations`: what `fluctuations` found, to print, plot and store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._text import aligned, plain, with_error
from ..inference.estimates import Estimate
from ..inference.stationarity import LEAST_WINDOW, Slope
from .pairs import Pair, pooled
from .pieces import FEWEST_RECORDS

__all__ = ["Fluctuations"]

_SHOWN = 40  # levels in print


@dataclass(frozen=True, eq=False, repr=False)
class Fluctuations:
    """Result of `fluctuations`; arrays are (levels,), errors are standard errors from pieces.

    Attributes
    ----------
    layer : str
    records, steps : int, (int, int)
        How many records, from which step to which.
    learning_rate, batch_size : float
        NaN where they are not known.
    mean : (levels,)
    width, width_error : (levels,)
        Standard deviation of each level about its mean.
    kicks, kicks_error : (levels,) or None
        g, of one step: half the variance of a kick is g^2. None where kicks were not recorded.
    lags : (lags,)
        In steps.
    noise_by_lag, noise_by_lag_error : (lags, levels)
        g^2 from the changes over each lag, the Ornstein-Uhlenbeck way: -width^2 log(1 - D/2 width^2)/lag, where D is
        the mean square of the change. Does not depend on the lag where a level is one Ornstein-Uhlenbeck mode; NaN
        where the level has forgotten.
    memory, memory_error : (levels,) or None
        Memory index g^2 tau/(2 width^2), tau the integrated autocorrelation time in steps, g of the kicks: of the sum
        of the levels of its group, in which the repulsion cancels. NaN where records do not resolve the memory.
    groups : tuple of tuple of int
        Neighbors that are nearer to each other than three widths.
    relaxation : (levels,)
        Relaxation times, in steps: half the integrated autocorrelation time of the beginning of the memory.
    window : (levels,)
        Relaxation times in the records.
    slope : Slope
        Of the test for a trend: change, z, pvalue, share of the trend in the variance.
    status : tuple of str
        Of each level: "stationary", "drifts", "window too short", "near zero", "constant" or "too few records".
    pairs : tuple of Pair
        Neighbors, with `levels`, `apart`, `beta` (an Estimate, or None) and `reason`.
    pieces : int
        Behind the errors of widths, kicks and memory.

    Examples
    --------
    >>> import numpy as np, types, dysonsim as ds
    >>> motion = ds.Dyson(n=2, beta=1.0, rate=0.01, noise=0.02, center=3.0)
    >>> run = ds.simulate(motion, replicas=1, times=np.arange(1e3, 3e4, 10.0), seed=1)
    >>> layer = types.SimpleNamespace(singular_values=run.eigenvalues[0], kicks=None, steps=np.arange(0, 29000, 10),
    ...                               learning_rate=0.1, batch_size=32)
    >>> found = ds.fluctuations({"fc": layer}, "fc")
    >>> found.verdict
    'stationary'
    >>> print(abs(found.beta.deviation(1.0)) < 3)
    True
    """

    layer: str
    records: int
    steps: tuple[int, int]
    every: float
    learning_rate: float
    batch_size: float
    mean: np.ndarray
    width: np.ndarray
    width_error: np.ndarray
    kicks: np.ndarray | None
    kicks_error: np.ndarray | None
    lags: np.ndarray
    noise_by_lag: np.ndarray
    noise_by_lag_error: np.ndarray
    memory: np.ndarray | None
    memory_error: np.ndarray | None
    relaxation: np.ndarray
    window: np.ndarray
    groups: tuple[tuple[int, ...], ...]
    slope: Slope | None
    status: tuple[str, ...]
    pairs: tuple[Pair, ...]
    pieces: int

    @property
    def followed(self) -> np.ndarray:
        """(levels,) bool: neither near zero nor constant."""
        return np.array([s not in ("near zero", "constant") for s in self.status])

    @property
    def stationary(self) -> np.ndarray:
        """(levels,) bool: no trend, and a window of 50 relaxation times."""
        return np.array([s == "stationary" for s in self.status])

    @property
    def verdict(self) -> str:
        """Say "stationary", or "not determined" with the reason."""
        followed = [s for s in self.status if s not in ("near zero", "constant")]
        if not followed:
            return "not determined: no level moves away from zero"
        if "too few records" in followed:
            return f"not determined: only {self.records} records (at least {FEWEST_RECORDS} are needed)"
        drifting, short = followed.count("drifts"), followed.count("window too short")
        reasons = []
        if drifting:
            reasons.append(f"{drifting} of {len(followed)} levels drift")
        if short:
            least = float(self.window[self.followed].min())
            reasons.append(
                f"the window is shorter than {LEAST_WINDOW:g} relaxation times for {short} of {len(followed)} levels "
                f"({least:.2g} for the slowest)"
            )
        return f"not determined: {', '.join(reasons)}" if reasons else "stationary"

    @property
    def beta(self) -> Estimate | None:
        """Dyson index, the mean over all pairs that collide; None where none does.

        1 for any real noise without a preferred direction, and therefore no sign of learning.
        """
        return pooled(self.pairs)

    def __repr__(self) -> str:
        return f"<Fluctuations of {self.layer!r}: {self.verdict}>"

    def __str__(self) -> str:
        setting = f"learning rate {self.learning_rate:g}, batch size {self.batch_size:g}"
        head = (
            f"fluctuations of {self.layer!r}: {self.records} records from step {self.steps[0]} to {self.steps[1]}, "
            f"{setting}, errors from {self.pieces} pieces"
        )
        rows = [["level", "mean", "width", "g of kicks", "memory", "window", "trend", "status"]]
        for i in range(len(self.mean))[:_SHOWN]:
            z = "" if self.slope is None else f"{self.slope.z[i]:+.1f} sigma"
            kicks, memory = (
                "" if a is None or b is None or np.isnan(a[i]) else with_error(float(a[i]), float(b[i]))
                for a, b in ((self.kicks, self.kicks_error), (self.memory, self.memory_error))
            )
            width = with_error(float(self.width[i]), float(self.width_error[i]))
            rows.append([str(i), f"{self.mean[i]:.5g}", width, kicks, memory, f"{self.window[i]:.3g}", z,
                         self.status[i]])  # fmt: skip
        lines = [head, aligned(rows)]
        if len(self.mean) > _SHOWN:
            lines.append(f"  and {len(self.mean) - _SHOWN} more levels")
        lines += self._lines_by_lag() + self._lines_of_pairs()
        lines.append(f"  verdict: {self.verdict}")
        return "\n".join(lines)

    def _lines_by_lag(self) -> list[str]:
        """g^2 over its value at the first lag, the median of the levels."""
        if not len(self.lags):
            return []
        first = self.noise_by_lag[0]
        rows = [["lag (steps)", *(f"{lag:g}" for lag in self.lags)], ["g^2 over the first, median"]]
        with np.errstate(divide="ignore", invalid="ignore"):
            for row in self.noise_by_lag:
                known = (row / first)[self.followed & np.isfinite(row) & (first > 0)]
                rows[1].append(f"{np.median(known):.2f}" if known.size else "")
        return [aligned(rows)]

    def _lines_of_pairs(self) -> list[str]:
        known = [pair for pair in self.pairs if pair.beta is not None]
        apart = sum("do not collide" in pair.reason for pair in self.pairs)
        rows = [[f"beta of {p.levels[0]} and {p.levels[1]}", str(p.beta), f"gap/widths {p.apart:.2f}"] for p in known]
        lines = [aligned(rows[:_SHOWN])] if rows else []
        if self.beta is not None:
            lines.append(f"  beta of all pairs that collide: {self.beta}")
        if self.pairs:
            lines.append(f"  {apart} of {len(self.pairs)} pairs lie too far apart for an index")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        values = dict(vars(self)) | {
            "slope": None if self.slope is None else vars(self.slope),
            "pairs": [pair.to_dict() for pair in self.pairs],
            "verdict": self.verdict,
            "beta": None if self.beta is None else {"value": self.beta.value, "error": self.beta.error},
        }
        return plain(values)

    def plot(self, ax: Any = None, what: str = "widths") -> Any:
        """Draw the widths of the levels ("widths"), or g^2 by lag ("lags"), on `ax`; returns the axes."""
        what = _checks.choice("what", what, ("widths", "lags"))
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        if what == "widths":
            for status in sorted(set(self.status)):
                at = np.array([s == status for s in self.status])
                ax.errorbar(self.mean[at], self.width[at], self.width_error[at], fmt="o", markersize=4, capsize=2,
                            label=status)  # fmt: skip
            ax.set(xlabel=r"mean singular value", ylabel=r"width $\sigma$", ylim=(0, None))
            ax.legend(fontsize="small")
        else:
            shown = self.followed
            if self.kicks is not None:
                ax.plot(np.ones(shown.sum()), self.kicks[shown] ** 2, "k_", label="kicks of one step")
                ax.legend(fontsize="small")
            ax.plot(self.lags, self.noise_by_lag[:, shown], ".-", linewidth=0.8)
            ax.set(xlabel="lag (steps)", ylabel="$g^2$", xscale="log", yscale="log")
        ax.set_title(f"{self.layer}: {self.verdict}", fontsize="small", wrap=True)
        return ax
