"""`Dynamics`: what `estimate_dynamics` found, to print, plot and store."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._text import aligned, plain, with_error
from .estimates import Curve, Estimate


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Result of `estimate_dynamics`: Estimates (value, error, deviation(expected)) and Curves (x, value, error).

    Attributes
    ----------
    rate, center : Estimate
        Of the linear drift -rate (x - center), from the center of mass; rate per unit of time.
    noise : Estimate
        g, from the center of mass.
    drift : Curve
        K(x), with neither the repulsion of the group nor an assumption on its form. The force of levels outside the
        group is part of it.
    noise_curve : Curve
        g(x).
    beta : Estimate or None
        Effective Dyson index beta_eff = g_ij^2/g^2 at small gaps, from their motion. None for a single level, and
        where gaps in the window are too few.
    pair_noise : Estimate or None
        g from the same small gaps, to compare with `noise`.
    beta_density : Estimate or None
        Exponent of the density of small gaps, P(y) ~ y^beta: as independent of `beta` as two numbers from the same
        trajectories can be. For levels that follow Dyson's equation in a stationary state both agree.
    repulsion : Curve or None
        beta by starting gap: flat if the repulsion is beta g^2/y.
    moves : int
        Number of transitions behind `beta`.
    observable, group, lag, interval, replicas, records :
        What was analyzed; `interval` is lag times the time between records.
    mean_gap : float
        Mean gap of neighbors in the group (nan for one level), the unit of `window`.
    window : (float, float)
        Range of gaps behind the betas.
    correlation : float
        Autocorrelation of the center of mass over the interval.
    step : float
        2 g sqrt(interval) / mean gap: how far a gap moves in an interval.
    noise_by_lag : Curve or None
        g of the center of mass from intervals once, twice, four times the first, ...: of one trajectory, whose pieces
        are counted as `replicas`. It does not depend on the lag where the center of mass is one Ornstein-Uhlenbeck
        process; it does on a trajectory that drifts, or whose noise has a memory. None for replicas.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> motion = ds.Dyson(n=2, beta=2.0, rate=1.0, noise=0.5)
    >>> run = ds.simulate(motion, replicas=64, times=np.arange(2, 6, 0.1), seed=1)
    >>> found = ds.estimate_dynamics(run)
    >>> print(abs(found.rate.deviation(1.0)) < 4)
    True
    >>> found.drift.x.shape
    (8,)
    """

    rate: Estimate
    center: Estimate
    noise: Estimate
    drift: Curve
    noise_curve: Curve
    beta: Estimate | None
    pair_noise: Estimate | None
    beta_density: Estimate | None
    repulsion: Curve | None
    moves: int
    observable: str
    group: tuple[int, ...]
    lag: int
    interval: float
    replicas: int
    records: int
    mean_gap: float
    window: tuple[float, float]
    correlation: float
    step: float
    noise_by_lag: Curve | None = None

    @property
    def centre(self) -> Estimate:
        """The old name of `center`, with a DeprecationWarning."""
        warnings.warn(
            "Dynamics.centre goes with the next release: it is called center now", DeprecationWarning, stacklevel=2
        )
        return self.center

    @property
    def coordinate(self) -> str:
        """The old name of `observable`, with a DeprecationWarning."""
        warnings.warn(
            "Dynamics.coordinate goes with the next release: it is called observable now",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.observable

    def per_step(self, step: float = 1.0) -> tuple[Estimate, Estimate]:
        """Rate and noise for a motion in jumps, such as SGD: (1 - e^{-rate step})/step and the kick's g.

        A linear map x <- x - a (x - c) + sqrt(2) g z, repeated, looks at its own steps like a continuous motion of
        rate -log(1 - a) and a noise larger by 1 + a/2 + .... Models state a and the g of one kick.
        """
        step = _checks.real("step", step, above=0)
        y = self.rate.value * step
        decay = math.exp(-y)
        factor = math.sqrt((1 - decay**2) / (2 * y)) if abs(y) > 1e-9 else 1.0
        # d log(factor) / d rate
        slope = step * (decay**2 / (1 - decay**2) - 1 / (2 * y)) if abs(y) > 1e-5 else -step / 2
        noise = self.noise.value * factor
        return (
            Estimate((1 - decay) / step, decay * self.rate.influence),
            Estimate(noise, factor * self.noise.influence + noise * slope * self.rate.influence),
        )

    def __str__(self) -> str:
        """Tabulate rate, center, noise and beta with their errors."""
        name = self.observable.replace("_", " ")
        which = (
            f"{name[:-1]} {self.group[0]}" if len(self.group) == 1 else f"{name} {self.group[0]} to {self.group[-1]}"
        )
        rows = [["rate", str(self.rate)], ["center", str(self.center)], ["noise g", str(self.noise)]]
        found = "not determined: too few small gaps"
        if len(self.group) > 1:
            rows += [
                ["noise g of the gaps", found if self.pair_noise is None else str(self.pair_noise)],
                ["beta, motion of small gaps", found if self.beta is None else f"{self.beta} ({self.moves} moves)"],
                ["beta, density of small gaps", found if self.beta_density is None else str(self.beta_density)],
            ]
        for name, curve in (("K(x)", self.drift), ("g(x)", self.noise_curve)):
            points = zip(curve.x, curve.value, curve.error, strict=True)
            rows += [[f"{name} at {x:.5g}", found if np.isnan(v) else with_error(v, error)] for x, v, error in points]
        by_lag = self.noise_by_lag
        if by_lag is not None:
            points = zip(by_lag.x[1:], by_lag.value[1:], by_lag.error[1:], strict=True)
            rows += [[f"noise g over a lag of {lag:g}", with_error(g, error)] for lag, g, error in points]
        parts = "replicas" if by_lag is None else "pieces of one trajectory"
        sizes = f"{self.replicas} {parts}, {self.records} records, interval {self.interval:g}"
        resolved = f"autocorrelation over an interval {self.correlation:.3f}"
        if len(self.group) > 1:
            resolved += f", step of a gap {self.step:.2g} mean gaps"
        return f"dynamics of {which}: {sizes} ({resolved})\n{aligned(rows)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""

        def stored(value: Any) -> Any:
            if isinstance(value, Estimate):
                return {"value": value.value, "error": value.error}
            return value.to_dict() if isinstance(value, Curve) else value

        return plain({name: stored(value) for name, value in vars(self).items()})

    def plot(self, ax: Any = None, what: str = "drift") -> Any:
        """Draw K(x) ("drift"), g(x) ("noise") or beta by starting gap ("repulsion") on `ax`; returns the axes."""
        what = _checks.choice("what", what, ("drift", "noise", "repulsion"))
        if what == "repulsion" and (self.repulsion is None or self.beta is None):
            raise ValueError("what = 'repulsion': there were too few small gaps, must be 'drift' or 'noise'")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        curve = {"drift": self.drift, "noise": self.noise_curve, "repulsion": self.repulsion}[what]
        assert curve is not None
        ax.errorbar(curve.x, curve.value, curve.error, fmt="o", markersize=4, capsize=2, color="C0")
        x = np.array([curve.x.min(), curve.x.max()])
        if what == "drift":
            label = f"center of mass: rate {self.rate}"
            ax.plot(x, -self.rate.value * (x - self.center.value), "C1-", label=label)
            ax.axhline(0, color="gray", linewidth=0.6)
            ax.set(xlabel="level x", ylabel="drift K(x)")
        elif what == "noise":
            _band(ax, self.noise, "C1", "center of mass: g = ")
            ax.set(xlabel="level x", ylabel="noise g(x)", ylim=(0, 1.5 * curve.value.max()))
        else:
            assert self.beta is not None
            _band(ax, self.beta, "C1", r"motion of small gaps: $\beta$ = ")
            if self.beta_density is not None:
                _band(ax, self.beta_density, "C2", r"density of small gaps: $\beta$ = ")
            ax.set(xlabel="gap y at the start", ylabel=r"$\beta$ from $d(y^2) = 4g^2(1+\beta)\,dt$")
            ax.set_ylim(*np.sort([0.0, 2.0 * max(self.beta.value, 1.0)]))
        ax.legend(fontsize="small")
        return ax


def _band(ax: Any, estimate: Estimate, color: str, text: str) -> None:
    ax.axhline(estimate.value, color=color, linewidth=1, label=f"{text}{estimate}")
    ax.axhspan(estimate.value - estimate.error, estimate.value + estimate.error, color=color, alpha=0.2, linewidth=0)
