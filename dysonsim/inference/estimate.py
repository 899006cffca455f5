"""`estimate_dynamics`: read a trajectory backwards, from recorded levels to the equation that moved them.

dx_i = [K(x_i) + beta g^2 sum_{j != i} 1/(x_i - x_j)] dt + sqrt(2) g dB_i  for the levels of one group, which share a
well. Estimated are K, g and beta, each from the part of the data where the others do not matter:

- the center of mass, in which the repulsion cancels, gives rate and noise of a linear drift (`inference_drift`);
- smooth sums over the levels give K(x) and g(x) as curves;
- small gaps give beta, from how they move and, independently, from how rare they are (`inference_gaps`).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ..ensembles.observable import Choice, Levels, observable_of
from ..spectra.observables import is_run
from .drift import CenterOfMass, Drift, DriftSums, center_of_mass, noise_curve, points_of
from .estimates import Curve, Estimate
from .gaps import Collisions, Transitions, collisions, repulsion_curve, small_gap_exponent, transitions
from .input import trajectories, window_of
from .result import Dynamics
from .stationarity import LEAST_WINDOW, memory, slope_test

__all__ = ["Dynamics", "estimate_dynamics"]

WHY_LEVELS = "the drift, noise and repulsion that are estimated are those of levels, and spacings have no such equation"
LEAST_CORRELATION = 0.2  # of the center of mass over the interval; below, records are as good as independent
COARSE_CORRELATION = 0.6  # below, a drift that is not linear is averaged over the interval
TURNS = 20  # at most, in which K, g and beta find one another
COARSE_SLOPE = 0.2  # standard deviation of K' times the interval, above which g(x), and then the rest, is off
COARSE_STEP = 0.35  # step of a gap over the mean gap, above which a third level arrives within the interval


def estimate_dynamics(
    data: Any,
    times: ArrayLike | None = None,
    *,
    group: Sequence[int] | None = None,
    observable: Choice | None = None,
    records: Levels = None,
    lag: int = 1,
    window: float | tuple[float, float] = (0.02, 0.5),
    points: int = 8,
    beta: float | None = None,
    pieces: int = 32,
    coordinate: str | None = None,
) -> Dynamics:
    """Estimate drift, noise and Dyson index of levels that share a well, with errors over replicas.

    The levels of a group are taken to obey

        dx_i = [K(x_i) + beta g^2 sum_{j != i} 1/(x_i - x_j)] dt + sqrt(2) g dB_i

    and K, g and beta are estimated.

    Parameters
    ----------
    data : Run, or array (replicas, records, n) or (records, n)
        Recorded levels, ascending: of at least 8 independent replicas, or one long stationary trajectory, which is cut
        into `pieces`.
    times : (records,), optional
        When the records of an array were taken, equally spaced. A Run knows its times.
    group : sequence of int, optional
        Neighboring levels with the same K and g, ascending; `sgd.degenerate_groups()` lists them. Default: all levels,
        which is an error for a model with several wells. A group of one level has no repulsion.
    observable : str, Observable or callable(run) -> (replicas, records, n) array, optional
        What moves, of a Run: "eigenvalues" (the default), "singular_values", or a function with one number for each
        level, ascending. Noise that comes with the data or the gradient is additive in singular values. Spacings are
        refused, since no equation of this form moves them. An array is taken as it is.
    records : slice or sequence of int, optional
        Which records, equally spaced in time. Default: all.
    lag : int
        Increments are taken over this many records, from every record, so that they overlap. The noise of persistent
        chains has a memory (`GaussianRBM.noise`: g^2 ~ c_ij): c = 1 at a lag of one step, and the full c once the lag
        exceeds the memory. Compare a few lags. What survives at long lags is the noise that the slow motion feels.
    window : float or (float, float)
        Which gaps the estimates of beta use, as fractions of the mean gap; a single number is the upper end. If the
        recorded motion has steps that do not resolve collisions (an Euler scheme), the lower end should exceed 2 g
        sqrt(dt) of a step. The steps of SGD itself are matrix steps, for which the estimator is exact.
    points : int
        Number of points of K(x), at quantiles of the levels, and of the repulsion by gap. g(x) has half as many plus
        one.
    beta : float, optional
        Known index to take out of K(x) instead of the estimate, whose error dominates that of K in short records.
    pieces : int
        Into how many pieces one trajectory (records, n) is cut, at least 8. They stand for replicas and are taken as
        independent, so that each should be longer than 1/rate. Few pieces say little of their own spread: with eight,
        1.96 errors hold the truth in 84 to 88%. Replicas are never cut.
    coordinate : str, optional
        The old name of `observable`, with a DeprecationWarning.

    Returns
    -------
    Dynamics

    Raises
    ------
    TypeError, ValueError
        For levels that are not ascending or not finite, and for records that are not equally spaced or too few. Also
        for data that cannot tell:

        - Records are so far apart that the center of mass has forgotten the last one (autocorrelation below 0.2). There
          is no dynamics in them.
        - Levels lie in different wells, so that beta could come out as any number. With a model, the gap between the
          wells exceeds 1.5 times the sum of their widths. Without one, levels are uncorrelated in a state that no
          longer spreads.

    Warns
    -----
    RuntimeWarning
        If the interval between records is coarse:

        - The autocorrelation is below 0.6, so that a curved drift is averaged.
        - K' times the interval varies by more than 0.2. Measured in a double well: at 0.46 beta is right and g(x) up to
          9% low; at 1.0 beta is 22% and g(x) up to 20% low.
        - With three or more levels, a gap moves by more than 0.35 mean gaps, so that a third level arrives within an
          interval. Measured for 10 levels: pair_noise is 2% low at 0.35 and 7% low at 0.7; beta stays within 2%.

        If one trajectory drifts (by the slope of the means of 16 blocks), is shorter than 50 relaxation times, or has a
        g that depends on the lag. Its rate and g are then those of no stationary state, however small their errors.

        Also if there are too few small gaps, and if levels may lie in different wells but the data do not suffice to
        tell.

    Notes
    -----
    Bias from the interval tau. Rate, center and g have none for a linear drift, else it is of second order in K' tau.
    K(x) has none of its own in a stationary state, but inherits that of g and beta. The bias of g(x) is of second
    order. beta has none for two levels in a quadratic well, and a bias of second order in K' tau in another well,
    because K is taken out of the motion of each gap where the gap is (a double well K = 3x - x^3 with beta = 1: 0.97
    (2) at tau = 0.02, 0.99 (2) at 0.05). With more levels it is of first order in g^2 tau/D^2, where D is the distance
    of the third level; the forces of all other levels at the start of the interval are taken out before. K(x) assumes
    that g is constant within the group: where g varies, K(x) is off by (g^2)'.

    Errors are those of the jackknife over replicas, times Student's t over 1.96. So value +- 1.96 errors is meant to
    hold the truth in 95% of cases even for 8 replicas; one error is then more than one standard deviation.

    All parameters but `data` are optional. Five say what to look at (times, group, observable, records, lag), three how
    the estimates are made (window, points, beta), and `coordinate` is an old name.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> motion = ds.Dyson(n=2, beta=2.0, rate=1.0, noise=0.5)
    >>> run = ds.simulate(motion, replicas=64, times=np.arange(2, 6, 0.1), seed=1)
    >>> found = ds.estimate_dynamics(run)
    >>> print(abs(found.noise.deviation(0.5)) < 4, abs(found.beta.deviation(2.0)) < 4)
    True True
    """
    observable = _checks.renamed("coordinate", coordinate, "observable", observable)
    looked_at = observable_of("eigenvalues" if observable is None else observable, of_levels=WHY_LEVELS)
    pieces = _checks.integer("pieces", pieces, 8, 10**6)
    x, time, chosen, whole = trajectories(data, times, group, looked_at, records, pieces)
    replicas, count, m = x.shape
    lag = _checks.integer("lag", lag, 1, max(1, (count - 1) // 2))
    points = _checks.integer("points", points, 4, 1000)
    if beta is not None:
        beta = _checks.real("beta", beta, above=-1, below=1e6)
    low, high = window_of(window)
    spacing = (time[-1] - time[0]) / (count - 1)
    interval = lag * spacing

    center = center_of_mass(x, lag, interval)
    if not center.correlation >= LEAST_CORRELATION:
        raise ValueError(
            f"records are {interval:g} apart: must be closer, because the center of mass has an autocorrelation of "
            f"{center.correlation:.2g} over that interval (at least {LEAST_CORRELATION} is needed, 0.8 is good)"
        )
    places = points_of(x, points)
    if places.size < points:
        raise ValueError(f"data: levels {chosen} do not vary enough for a drift K(x)")
    mean_gap = float(np.diff(x, axis=2).mean()) if m > 1 else math.nan
    step = 2 * center.noise.value * math.sqrt(interval) / mean_gap

    bounds = (max(low, 1e-4 * high) * mean_gap, high * mean_gap)
    moves = None
    if m > 1:
        moves = transitions(x, lag, interval, bounds)
        if not moves.enough:
            warnings.warn(
                f"beta is not determined: only {moves.replica.size} gaps of levels {chosen} are smaller than "
                f"{bounds[1]:.4g}; record more, or widen the window",
                RuntimeWarning,
                stacklevel=2,
            )
    sums = DriftSums(x, points, time[-1] - time[0])
    drift, noise, motion = _together(sums, center, moves if moves and moves.enough else None, beta, interval)
    _warn_if_coarse(center.correlation, step, m, drift.slope_spread(x), interval)
    by_lag = None if whole is None else _noise_by_lag(x, lag, spacing)
    if whole is not None and by_lag is not None:
        _warn_if_not_stationary(whole, chosen, by_lag)
    density = small_gap_exponent(x, bounds, drift, noise.value**2) if m > 1 else None
    return Dynamics(
        rate=center.rate,
        center=center.center,
        noise=noise,
        drift=drift.curve(places),
        noise_curve=noise_curve(x, points_of(x, points // 2 + 1), lag, interval),
        beta=motion.beta if motion else None,
        pair_noise=motion.noise if motion else None,
        beta_density=density,
        repulsion=repulsion_curve(moves, motion, drift, points) if moves and motion else None,
        moves=moves.replica.size if moves and motion else 0,
        observable=looked_at.name if is_run(data) else "levels",
        group=chosen,
        lag=lag,
        interval=interval,
        replicas=replicas,
        records=count,
        mean_gap=mean_gap,
        window=bounds,
        correlation=center.correlation,
        step=step,
        noise_by_lag=by_lag,
    )


def _noise_by_lag(x: np.ndarray, lag: int, spacing: float) -> Curve:
    """Noise g of the center of mass from intervals 1, 2, 4, ... times the first, while correlated; x in time."""
    found: list[tuple[float, Estimate]] = []
    while 3 * lag < x.shape[1]:
        center = center_of_mass(x, lag, lag * spacing)
        if found and not center.correlation >= LEAST_CORRELATION:
            break
        found.append((lag * spacing, center.noise))
        lag *= 2
    lags, noises = zip(*found, strict=True)
    return Curve(np.array(lags), np.array([g.value for g in noises]), np.array([g.influence for g in noises]))


def _warn_if_not_stationary(path: np.ndarray, chosen: tuple[int, ...], by_lag: Curve) -> None:
    reasons = []
    slope, memories = slope_test(path), memory(path)
    drifting = np.flatnonzero(slope.drifts(0.01))
    if drifting.size:
        k = int(drifting[np.argmax(np.abs(slope.z[drifting]))])
        widths = abs(slope.change[k]) / path[:, k].std()
        reasons.append(f"level {chosen[k]} drifts by {widths:.2g} of its widths, {abs(slope.z[k]):.2g} standard errors")
    if memories.too_short(len(path)).any():
        windows = len(path) / memories.relaxation
        reasons.append(f"it is only {windows.min():.2g} relaxation times long (at least {LEAST_WINDOW:g} are needed)")
    first, last = (Estimate(float(by_lag.value[k]), by_lag.influence[k]) for k in (0, -1))
    if len(by_lag.x) > 1 and abs(first.value / last.value - 1) > 0.15 and abs(first.deviation(last)) > 4:
        values = ", ".join(f"{g:.3g} at {t:g}" for t, g in zip(by_lag.x, by_lag.value, strict=True))
        reasons.append(f"g depends on the lag: {values}")
    if reasons:
        warnings.warn(
            f"data: the trajectory is not that of one stationary well: {'; '.join(reasons)}; rate, g and beta are not "
            "determined by it, however small their errors",
            RuntimeWarning,
            stacklevel=3,
        )


def _together(
    sums: DriftSums, center: CenterOfMass, moves: Transitions | None, beta: float | None, interval: float
) -> tuple[Drift, Estimate, Collisions | None]:
    """K, g and beta, each of which needs the others, in turn until they agree, with their errors.

    Small gaps see little of K, and K little of beta, so that a few turns are enough.
    """
    noise = center.noise
    motion = None if moves is None else collisions(moves, None, center.rate)
    for _ in range(TURNS):
        square = Estimate(noise.value**2, 2 * noise.value * noise.influence)
        drift = sums.solve(square, _strength(square, beta, motion, sums.levels))
        noise = _bent(center, drift, interval)
        if moves is None:
            continue
        last, motion = motion, collisions(moves, drift, center.rate, motion)
        assert last is not None
        error = motion.beta.error
        if abs(motion.beta.value - last.beta.value) < 1e-3 * error and abs(last.beta.error / error - 1) < 1e-2:
            break
    return drift, noise, motion


def _bent(center: CenterOfMass, drift: Drift, interval: float) -> Estimate:
    """Estimate g of the center of mass where K is no straight line.

    The linear fit leaves g^2 [1 + interval (rate + E K')/2] in a stationary state, to first order: E K' in the growth
    of the noise, and half of it taken back by what of K the line does not follow, whose variance is
    (g^2/m)(-E K' - rate) by reversibility.
    """
    noise, bend = center.noise, interval / 4 * (center.rate.value + drift.mean_slope.value)
    if not math.isfinite(bend):  # no index, no drift
        return noise
    influence = noise.influence - noise.value * interval / 4 * (center.rate.influence + drift.mean_slope.influence)
    return Estimate(noise.value * (1 - bend), influence)


def _strength(square: Estimate, beta: float | None, motion: Collisions | None, levels: int) -> Estimate:
    """Return beta g^2, from the known index or else from the collisions; nan where there is neither."""
    if levels == 1:
        return Estimate(0.0, 0.0 * square.influence)
    if beta is not None:
        return Estimate(beta * square.value, beta * square.influence)
    if motion is None:
        return Estimate(math.nan, math.nan * square.influence)
    value = motion.beta.value
    return Estimate(value * square.value, value * square.influence + square.value * motion.beta.influence)


def _warn_if_coarse(correlation: float, step: float, levels: int, spread: float, interval: float) -> None:
    reasons = []
    if correlation < COARSE_CORRELATION:
        reasons.append(f"the center of mass keeps an autocorrelation of only {correlation:.2g} (0.6 or more is good)")
    if levels > 2 and step > COARSE_STEP:
        reasons.append(f"a gap moves by {step:.2g} mean gaps (0.35 or less is good), so that third levels interfere")
    if spread * interval > COARSE_SLOPE:
        reasons.append(
            f"the drift bends, K' times the interval varies by {spread * interval:.2g} from place to place (0.2 or "
            f"less is good for g(x), 0.5 for beta)"
        )
    if reasons:
        warnings.warn(
            f"records are coarse: over an interval of {interval:g} " + ", and ".join(reasons) + "; record more often",
            RuntimeWarning,
            stacklevel=3,
        )
