"""`estimate_dynamics`: read a trajectory backwards, from recorded levels to the equation that moved them.

dx_i = [K(x_i) + beta g^2 sum_{j != i} 1/(x_i - x_j)] dt + sqrt(2) g dB_i  for the levels of one group, which share a
well. Estimated are K, g and beta, each from the part of the data where the others do not matter:

- the centre of mass, in which the repulsion cancels, gives rate and noise of a linear drift (`inference_drift`);
- smooth sums over the levels give K(x) and g(x) as curves;
- small gaps give beta, from how they move and, independently, from how rare they are (`inference_gaps`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _validate
from ._table import aligned, plain, with_error
from .inference_drift import centre_of_mass, drift_curve, noise_curve, points_of
from .inference_estimates import Curve, Estimate
from .inference_gaps import Collisions, collisions, small_gap_exponent, transitions
from .samples import MINIMUM_REPLICAS, Levels, _indices, is_run

LEAST_CORRELATION = 0.2  # of the centre of mass over the interval; below, records are as good as independent
COARSE_CORRELATION = 0.6  # below, a drift that is not linear is averaged over the interval
COARSE_STEP = 0.35  # step of a gap over the mean gap, above which a third level arrives within the interval


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Result of `estimate_dynamics`: Estimates (value, error, deviation(expected)) and Curves (x, value, error).

    Attributes
    ----------
    rate, centre : Estimate
        Of the linear drift -rate (x - centre), from the centre of mass; rate per unit of time.
    noise : Estimate
        g, from the centre of mass.
    drift : Curve
        K(x), with neither the repulsion of the group nor an assumption on its form. The force of levels outside the
        group is part of it.
    noise_curve : Curve
        g(x).
    beta : Estimate or None
        Effective Dyson index beta_eff = g_ij^2/g^2 at small gaps, from their motion. None for a single level, and
        where gaps in the window are too few.
    pair_noise : Estimate or None
        g from the same small gaps, to be held against `noise`.
    beta_density : Estimate or None
        Exponent of the density of small gaps, P(y) ~ y^beta: as independent of `beta` as two numbers from the same
        trajectories can be. For levels that follow Dyson's equation in a stationary state both agree.
    repulsion : Curve or None
        beta by starting gap: flat if the repulsion is beta g^2/y.
    moves : int
        Number of transitions behind `beta`.
    coordinate, group, lag, interval, replicas, records :
        What was analysed; `interval` is lag times the time between records.
    mean_gap : float
        Mean gap of neighbours in the group (nan for one level), the unit of `window`.
    window : (float, float)
        Range of gaps behind the betas.
    correlation : float
        Autocorrelation of the centre of mass over the interval.
    step : float
        2 g sqrt(interval) / mean gap: how far a gap moves in an interval.
    """

    rate: Estimate
    centre: Estimate
    noise: Estimate
    drift: Curve
    noise_curve: Curve
    beta: Estimate | None
    pair_noise: Estimate | None
    beta_density: Estimate | None
    repulsion: Curve | None
    moves: int
    coordinate: str
    group: tuple[int, ...]
    lag: int
    interval: float
    replicas: int
    records: int
    mean_gap: float
    window: tuple[float, float]
    correlation: float
    step: float

    def per_step(self, step: float = 1.0) -> tuple[Estimate, Estimate]:
        """Rate and noise for a motion in jumps, such as SGD: (1 - e^{-rate step})/step and the kick's g.

        A linear map x <- x - a (x - c) + sqrt(2) g z, repeated, looks at its own steps like a continuous motion of
        rate -log(1 - a) and a noise larger by 1 + a/2 + .... Models state a and the g of one kick.
        """
        step = _validate.real("step", step, above=0)
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
        levels = f"level {self.group[0]}" if len(self.group) == 1 else f"levels {self.group[0]} to {self.group[-1]}"
        rows = [["rate", str(self.rate)], ["centre", str(self.centre)], ["noise g", str(self.noise)]]
        if len(self.group) > 1:
            found = "not determined: too few small gaps"
            rows += [
                ["noise g of the gaps", found if self.pair_noise is None else str(self.pair_noise)],
                ["beta, motion of small gaps", found if self.beta is None else f"{self.beta} ({self.moves} moves)"],
                ["beta, density of small gaps", found if self.beta_density is None else str(self.beta_density)],
            ]
        for name, curve in (("K(x)", self.drift), ("g(x)", self.noise_curve)):
            points = zip(curve.x, curve.value, curve.error, strict=True)
            rows += [[f"{name} at {x:.5g}", with_error(value, error)] for x, value, error in points]
        sizes = f"{self.replicas} replicas, {self.records} records, interval {self.interval:g}"
        resolved = f"autocorrelation over an interval {self.correlation:.3f}"
        if len(self.group) > 1:
            resolved += f", step of a gap {self.step:.2g} mean gaps"
        title = f"dynamics of {self.coordinate.replace('_', ' ')}, {levels}: {sizes} ({resolved})"
        return f"{title}\n{aligned(rows)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""

        def stored(value: Any) -> Any:
            if isinstance(value, Estimate):
                return {"value": value.value, "error": value.error}
            return value.to_dict() if isinstance(value, Curve) else value

        return plain({name: stored(value) for name, value in vars(self).items()})

    def plot(self, ax: Any = None, what: str = "drift") -> Any:
        """Draw K(x) ("drift"), g(x) ("noise") or beta by starting gap ("repulsion") on `ax`; returns the axes."""
        what = _validate.choice("what", what, ("drift", "noise", "repulsion"))
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
            label = f"centre of mass: rate {self.rate}"
            ax.plot(x, -self.rate.value * (x - self.centre.value), "C1-", label=label)
            ax.axhline(0, color="grey", linewidth=0.6)
            ax.set(xlabel="level x", ylabel="drift K(x)")
        elif what == "noise":
            _band(ax, self.noise, "C1", "centre of mass: g = ")
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


def _band(ax: Any, estimate: Estimate, colour: str, text: str) -> None:
    ax.axhline(estimate.value, color=colour, linewidth=1, label=f"{text}{estimate}")
    ax.axhspan(estimate.value - estimate.error, estimate.value + estimate.error, color=colour, alpha=0.2, linewidth=0)


def estimate_dynamics(
    data: Any,
    times: ArrayLike | None = None,
    *,
    group: Sequence[int] | None = None,
    coordinate: str = "eigenvalues",
    records: Levels = None,
    lag: int = 1,
    window: float | tuple[float, float] = (0.02, 0.5),
    points: int = 8,
    beta: float | None = None,
) -> Dynamics:
    """Estimate drift, noise and Dyson index of levels that share a well, with errors over replicas.

    Parameters
    ----------
    data : Run, or array (replicas, records, n)
        Recorded levels, ascending; at least 8 independent replicas. One long trajectory can be cut into 8 or more
        pieces that are long against 1/rate.
    times : (records,), optional
        When an array's records were taken, equally spaced; a Run knows.
    group : sequence of int, optional
        Neighbouring levels with the same K and g, ascending; a model's `degenerate_groups()` lists them. By default
        all levels, which for a model with several wells is an error. A single level has no repulsion in its group.
    coordinate : "eigenvalues" or "singular_values"
        Of a Run; noise that comes with the data or the gradient is additive in singular values. An array is taken
        as it is.
    records : slice or sequence of int, optional
        Which records; all by default. They must be equally spaced in time.
    lag : int
        Increments over this many records (all starts, overlapping). A noise with memory, as that of persistent
        chains (`GaussianRBM.noise`: g^2 ~ c_ij), has c = 1 at a lag of one step and reaches its full c when the lag
        exceeds the memory: compare a few lags. What survives there is the noise that the slow motion feels.
    window : float or (float, float)
        Gaps behind the betas, as fractions of the mean gap; a number is the upper end. Where the recorded motion is
        in steps that do not resolve collisions (an Euler scheme), the lower end should exceed a step's 2 g sqrt(dt);
        the steps of SGD itself are matrix steps, for which the estimator is exact.
    points : int
        Points of K(x), at quantiles of the levels, and of the repulsion by gap; g(x) has half as many, plus one.
    beta : float, optional
        Known index to take out of K(x) in place of the estimate, whose error dominates that of K in short records.

    Returns
    -------
    Dynamics

    Raises
    ------
    TypeError, ValueError
        Levels that are not ascending or not finite, records not equally spaced, too few, or so far apart that the
        centre of mass has forgotten the last one (autocorrelation below 0.2): there is no dynamics in them.

    Warns
    -----
    RuntimeWarning
        If the interval is coarse: autocorrelation below 0.6 (a curved drift is averaged), or, with three or more
        levels, steps of a gap above 0.35 mean gaps (a third level arrives within an interval; measured for 10 levels,
        pair_noise is 2% low at 0.35 and 7% at 0.7, beta stays within 2%); and if there are too few small gaps.

    Notes
    -----
    Bias from the interval tau: rate, centre, g: none for linear drift, else second order in rate tau. K(x): none in a
    stationary state, apart from those of g and beta; g(x): second order. beta: none for two levels in a quadratic
    well; otherwise first order in g^2 tau/D^2, D the distance of the third level, after the forces of all other
    levels at the start of the interval have been taken out. Constant g within the group is assumed for K(x): where g
    varies, K(x) is off by (g^2)'.
    """
    x, time, chosen = _trajectories(data, times, group, coordinate, records)
    replicas, count, m = x.shape
    lag = _validate.integer("lag", lag, 1, max(1, (count - 1) // 2))
    points = _validate.integer("points", points, 4, 1000)
    if beta is not None:
        beta = _validate.real("beta", beta, above=-1)
    low, high = _window(window)
    spacing = (time[-1] - time[0]) / (count - 1)
    interval = lag * spacing

    centre = centre_of_mass(x, lag, interval)
    if not centre.correlation >= LEAST_CORRELATION:
        raise ValueError(
            f"records are {interval:g} apart: must be closer, because the centre of mass has an autocorrelation of "
            f"{centre.correlation:.2g} over that interval (at least {LEAST_CORRELATION} is needed, 0.8 is good)"
        )
    places = points_of(x, points)
    if places.size < points:
        raise ValueError(f"data: levels {chosen} do not vary enough for a drift K(x)")
    mean_gap = float(np.diff(x, axis=2).mean()) if m > 1 else math.nan
    step = 2 * centre.noise.value * math.sqrt(interval) / mean_gap
    _warn_if_coarse(centre.correlation, step, m, interval)

    bounds = (max(low, 1e-4 * high) * mean_gap, high * mean_gap)
    motion, density = None, None
    if m > 1:
        moves = transitions(x, lag, interval, bounds)
        motion = collisions(moves, centre.rate, points) if moves.enough else None
        density = small_gap_exponent(np.diff(x, axis=2), bounds)
        if motion is None:
            warnings.warn(
                f"beta is not determined: only {moves.replica.size} gaps of levels {chosen} are smaller than "
                f"{bounds[1]:.4g}; record more, or widen the window",
                RuntimeWarning,
                stacklevel=2,
            )
    square = Estimate(centre.noise.value**2, 2 * centre.noise.value * centre.noise.influence)
    return Dynamics(
        rate=centre.rate,
        centre=centre.centre,
        noise=centre.noise,
        drift=drift_curve(x, places, time[-1] - time[0], square, _strength(square, beta, motion, m)),
        noise_curve=noise_curve(x, points_of(x, points // 2 + 1), lag, interval),
        beta=motion.beta if motion else None,
        pair_noise=motion.noise if motion else None,
        beta_density=density,
        repulsion=motion.repulsion if motion else None,
        moves=motion.moves if motion else 0,
        coordinate=coordinate if is_run(data) else "levels",
        group=chosen,
        lag=lag,
        interval=interval,
        replicas=replicas,
        records=count,
        mean_gap=mean_gap,
        window=bounds,
        correlation=centre.correlation,
        step=step,
    )


def _strength(square: Estimate, beta: float | None, motion: Collisions | None, levels: int) -> Estimate:
    """beta g^2: from the known index, or else from the collisions; nan where there is neither."""
    if levels == 1:
        return Estimate(0.0, 0.0 * square.influence)
    if beta is not None:
        return Estimate(beta * square.value, beta * square.influence)
    if motion is None:
        return Estimate(math.nan, math.nan * square.influence)
    value = motion.beta.value
    return Estimate(value * square.value, value * square.influence + square.value * motion.beta.influence)


def _warn_if_coarse(correlation: float, step: float, levels: int, interval: float) -> None:
    reasons = []
    if correlation < COARSE_CORRELATION:
        reasons.append(f"the centre of mass keeps an autocorrelation of only {correlation:.2g} (0.6 or more is good)")
    if levels > 2 and step > COARSE_STEP:
        reasons.append(f"a gap moves by {step:.2g} mean gaps (0.35 or less is good), so that third levels interfere")
    if reasons:
        warnings.warn(
            f"records are coarse: over an interval of {interval:g} " + ", and ".join(reasons) + "; record more often",
            RuntimeWarning,
            stacklevel=3,
        )


def _trajectories(
    data: Any, times: Any, group: Any, coordinate: str, records: Levels
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Levels (replicas, records, m) and times (records,) as asked for, checked, and the level indices."""
    _validate.choice("coordinate", coordinate, ("eigenvalues", "singular_values"))
    if is_run(data):
        if times is not None:
            raise ValueError("times: must be left out for a Run, which knows its times")
        levels, clock = getattr(data, coordinate), getattr(data, "times", getattr(data, "steps", None))
        group = _only_group(data) if group is None else group
    else:
        if times is None:
            raise ValueError("times = None: must be given with an array, shape (records,)")
        if coordinate != "eigenvalues":
            raise ValueError(f"coordinate = {coordinate!r}: chosen from a Run; an array is taken as it is")
        levels, clock = data, times
    x = _real("data", levels)
    if x.ndim != 3 or 0 in x.shape or x.shape[0] < MINIMUM_REPLICAS:
        raise ValueError(
            f"data has shape {x.shape}: must be (replicas, records, n) with at least {MINIMUM_REPLICAS} replicas"
        )
    time = _real("times", clock)
    if time.shape != (x.shape[1],):
        raise ValueError(f"times has shape {time.shape}: must be ({x.shape[1]},), one for each record of data")
    chosen = _neighbours(group, x.shape[2])
    kept = _indices("records", records, x.shape[1])
    x, time = x[:, kept][:, :, list(chosen)], time[kept]
    if time.size < 3:
        raise ValueError(f"data has {time.size} records: must have 3 or more, {'as chosen' if records else 'in time'}")
    gaps = np.diff(time)
    if gaps.min() <= 0 or np.ptp(gaps) > 1e-6 * gaps.mean():
        raise ValueError(
            f"times differ by {gaps.min():g} to {gaps.max():g}: must be ascending and equally spaced; choose such "
            f"records with records="
        )
    if not np.isfinite(x).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise ValueError(f"data[{where[0]}, {int(kept[where[1]])}, {chosen[where[2]]}] = {x[where]}: must be finite")
    if (np.diff(x, axis=2) < 0).any():
        where = tuple(int(i) for i in np.argwhere(np.diff(x, axis=2) < 0)[0])
        raise ValueError(
            f"data[{where[0]}, {int(kept[where[1]])}]: levels must be ascending, and level {chosen[where[2] + 1]} is "
            f"below level {chosen[where[2]]}"
        )
    if not (np.ptp(x[:, :-1].mean(axis=2), axis=0) > 0).any():
        raise ValueError("data: all replicas move alike, must be independent trajectories")
    return x, time, chosen


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


def _neighbours(group: Any, n: int) -> tuple[int, ...]:
    chosen = tuple(int(i) for i in _indices("group", group, n))
    if chosen != tuple(range(chosen[0], chosen[0] + len(chosen))) or chosen[0] < 0:
        raise ValueError(f"group = {group!r}: must be neighbouring level indices from 0 to {n - 1}, ascending")
    return chosen


def _real(name: str, value: Any) -> np.ndarray:
    try:
        given = np.asarray(value)
    except ValueError as error:
        raise TypeError(f"{name}: must be a real array: {error}") from None
    if given.dtype.kind not in "iuf":
        raise TypeError(f"{name} has entries of type {given.dtype}: must be a real array")
    return given.astype(np.float64, copy=False)


def _window(window: Any) -> tuple[float, float]:
    try:
        low, high = (0.0, window) if np.ndim(window) == 0 else window
    except (TypeError, ValueError):
        raise TypeError(f"window = {window!r}: must be a number > 0, or two, ascending") from None
    low = _validate.real("window", low, at_least=0)
    return low, _validate.real("window", high, above=low)
