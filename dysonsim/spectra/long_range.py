"""`number_variance`, `rigidity`, `form_factor`: how evenly levels lie over many spacings."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from ..ensembles.observable import Choice, Levels
from ..numerics.windows import count_means, deviation_means
from .curve import Curve
from .rows import spectra_of
from .taper import taper, transform
from .unfolding import Density, by_halves, density_name, others_share, unfolded, warn_of_density

__all__ = ["form_factor", "number_variance", "rigidity"]

STRETCH = 0.05  # of lengths, for the derivative of a curve
BLOCKS = 8  # of a single spectrum
ENOUGH = 8  # spectra that unfold each other, from which values are right within a few percent
MOST_POINTS = 10**5
TAKEN_OUT = 0.2  # L degree/n above which a polynomial takes out more than a few percent of the number variance
LINE_ALREADY = 7 * TAKEN_OUT  # the same of the rigidity, which takes out a line itself: 1%
Window = tuple[float, float] | None


def number_variance(
    data: Any,
    lengths: Any,
    *,
    density: Density = "ensemble",
    window: Window = None,
    observable: Choice = "eigenvalues",
    levels: Levels = None,
    record: int = -1,
) -> Curve:
    """Measure the number variance Sigma^2(L): of how many levels lie in an interval that holds L of them on average.

    The spectra are unfolded, and (N - L)^2 is averaged over *all* positions of the interval in the window, exactly.

    Parameters
    ----------
    data : Run, or array (replicas, n) or (n,)
        Spectra, each row the ascending levels of one matrix; a point of a scan counts as a Run. Of a scan every point,
        and the result is a dict of Curves by place.
    lengths : array (K,)
        L > 0, in mean spacings, at most the length of the window.
    density : "ensemble", law or int
        How to unfold, see `unfold`: by the other replicas, by a law, or each spectrum by a polynomial of this degree,
        which takes out 5 to 8% where L degree = n/2 (a warning is given above n/5).
    window : (low, high), optional
        Part of the unfolded axis, from 0 to n, in which intervals lie. Default: the middle half, (n/4, 3n/4).
    observable, levels, record :
        What to take from a Run, as for `compare`; one record.

    Returns
    -------
    Curve
        With errors over replicas; of a single spectrum, over eight blocks of positions.

    Raises
    ------
    TypeError, ValueError
        For fewer than 8 levels, levels that coincide or are not ascending, lengths beyond the window, and as `unfold`.

    Warns
    -----
    RuntimeWarning
        For a polynomial of so high a degree, or a law that is not the density of these levels.

    Notes
    -----
    With "ensemble" the result is multiplied by (R - 1)/R, R the number of replicas, as the density of the others
    fluctuates as well. Measured on GOE, n = 50, middle half, over theory at L = 1, 2, 5, 10: R = 8: 0.97, 0.98, 0.99,
    0.99; R = 16: 0.99, 0.99, 1.00, 1.00. A density that includes a replica's own levels is 4 to 10% low at R = 8.

    n independent levels have L (1 - L/n), not L: their number is fixed.

    Examples
    --------
    >>> import dysonsim as ds
    >>> run = ds.simulate(ds.CoulombGas.hermite(n=50, beta=1.0), replicas=200, seed=1)
    >>> curve = ds.number_variance(run, [1, 2, 5])
    >>> (curve.value / ds.laws.NumberVariance(beta=1)(curve.x)).round(1)
    array([1., 1., 1.])
    >>> ds.compare(curve, ds.laws.NumberVariance(beta=1)).agrees
    True
    """
    if getattr(data, "is_scan", False) is True:
        how = {name: value for name, value in locals().items() if name not in ("data", "lengths")}
        return data.each(lambda point: number_variance(point, lengths, **how))

    def counts(rows: np.ndarray, within: tuple[float, float], x: np.ndarray, pieces: int) -> np.ndarray:
        return count_means(rows, within, x, pieces)[..., 1]

    rows = spectra_of(data, observable, levels, record)
    return _over_lengths("number variance", counts, rows, lengths, density, window)


def rigidity(
    data: Any,
    lengths: Any,
    *,
    density: Density = "ensemble",
    window: Window = None,
    observable: Choice = "eigenvalues",
    levels: Levels = None,
    record: int = -1,
) -> Curve:
    """Measure the rigidity Delta_3(L): the mean square deviation of the staircase of levels from its best line.

    The line is fitted in slope and offset to every interval of length L, and the deviation is averaged over *all*
    positions of the interval in the window, exactly.

    Parameters
    ----------
    data, lengths, density, window, observable, levels, record :
        As for `number_variance`. A polynomial does less harm here: within 1% to degree 7 at n = 50, L = 10; a warning
        is given above L degree = 1.4 n.

    Returns
    -------
    Curve
        With errors over replicas; of a single spectrum, over eight blocks of positions.

    Raises
    ------
    TypeError, ValueError
        As `number_variance`.

    Warns
    -----
    RuntimeWarning
        As `number_variance`.

    Notes
    -----
    With "ensemble" the fluctuations of the other replicas are taken out as the difference that half of them make
    (four replicas or more). Measured over theory at L = 1/2, 1, 2, 5, 10: GOE, n = 50: R = 8: 1.02, 1.03, 1.03, 1.03,
    1.03, R = 16: 1.00, 1.01, 1.01, 1.01, 1.01; independent levels: R = 16: 1.03, 1.02, 1.01, 1.00, 1.00.

    Examples
    --------
    >>> import dysonsim as ds
    >>> run = ds.simulate(ds.CoulombGas.hermite(n=50, beta=1.0), replicas=200, seed=1)
    >>> curve = ds.rigidity(run, [2, 5, 10])
    >>> (curve.value / ds.laws.Rigidity(beta=1)(curve.x)).round(1)
    array([1., 1., 1.])
    """
    if getattr(data, "is_scan", False) is True:
        how = {name: value for name, value in locals().items() if name not in ("data", "lengths")}
        return data.each(lambda point: rigidity(point, lengths, **how))
    rows = spectra_of(data, observable, levels, record)
    return _over_lengths("rigidity", deviation_means, rows, lengths, density, window)


def form_factor(
    data: Any,
    times: Any,
    *,
    density: Density = "ensemble",
    window: Window = None,
    observable: Choice = "eigenvalues",
    levels: Levels = None,
    record: int = -1,
) -> Curve:
    """Measure the connected form factor K(tau): |sum w(e) exp(2 pi i tau e)|^2 less the square of its mean.

    The sum is over unfolded levels e; w(e) = sin^2 tapers the window, so that its edges do not show (Hann), and K is in
    units of the mean of sum w^2. It tends to 1.

    Parameters
    ----------
    data, density, window, observable, levels, record :
        As for `number_variance`.
    times : array (K,)
        tau > 0, in units of the Heisenberg time (1 over the mean spacing of unfolded levels).

    Returns
    -------
    Curve
        With errors over replicas, and `disconnected`, the part of the mean. The resolution in tau is 2/(high - low);
        `Curve.expected` and `compare` average a law over it. Of a single spectrum the mean is unknown: it is averaged
        over eight blocks of the window, and only times above the resolution of a block are taken, where the taper has
        removed the mean.

    Raises
    ------
    TypeError, ValueError
        As `number_variance`; for a single spectrum, times below 16/(high - low).

    Warns
    -----
    RuntimeWarning
        As `number_variance`; for a polynomial, if times are below 5 degree/n, where it takes fluctuations out.

    Notes
    -----
    With "ensemble" the mean density is 1, and its transform is subtracted. The fluctuations of the other replicas are
    divided out as 1 + exp(-tau^2)/(R - 1), which was measured: on GOE of n = 50 it leaves 3% at R = 8, 1% at R = 64;
    on GSE near tau = 1, where K is infinite, 15% and 3%.

    Examples
    --------
    >>> import dysonsim as ds
    >>> run = ds.simulate(ds.CoulombGas.hermite(n=50, beta=2.0), replicas=400, seed=1)
    >>> curve = ds.form_factor(run, [0.3, 0.6, 2.0])
    >>> curve.expected(ds.laws.FormFactor(beta=2)).round(3)
    array([0.3, 0.6, 1. ])
    >>> ds.compare(curve, ds.laws.FormFactor(beta=2)).agrees
    True
    """
    if getattr(data, "is_scan", False) is True:
        how = {name: value for name, value in locals().items() if name not in ("data", "times")}
        return data.each(lambda point: form_factor(point, times, **how))
    rows = spectra_of(data, observable, levels, record)
    replicas, n = rows.shape
    tau, within = _points("times", times), _window(window, n)
    e = unfolded(rows, density)
    warn_of_density(e, within, density)
    degree = _degree(density)
    if degree and tau.min() * n < 5 * degree:
        _warn(
            f"density = {degree}: such a polynomial takes fluctuations out of the form factor below tau = "
            f"5 degree/n = {5 * degree / n:.3g}, and times begin at {tau.min():g}"
        )
    notes = _of_few(replicas, density)
    if replicas == 1:
        edges = np.linspace(*within, BLOCKS + 1)
        if tau.min() < 2 / (edges[1] - edges[0]):
            raise ValueError(
                f"times hold {tau.min():g}: must be {2 / (edges[1] - edges[0]):.3g} or more for a single spectrum, "
                f"which is divided in {BLOCKS} blocks of {edges[1] - edges[0]:.4g} levels; give several spectra"
            )
        parts = [_waves(e, tau, (low, high)) for low, high in pairwise(edges.tolist())]
        waves, norms = np.concatenate([z for z, _ in parts]), np.concatenate([w for _, w in parts])
        notes = (_of_blocks("parts of the window"),)
    else:
        waves, norms = _waves(e, tau, within)
    mean, power = waves.mean(axis=0), np.mean(norms)
    if replicas == 1:
        samples = np.abs(waves) ** 2 / power
    elif isinstance(density, str):  # whose mean density is 1, and fluctuates: its waves are seen up to tau = 1
        others = others_share("form factor", tau, replicas)
        samples = np.abs(waves - transform(tau, within)) ** 2 / (power * others)
    else:
        samples = replicas / (replicas - 1) * np.abs(waves - mean) ** 2 / power
    apart, name = np.abs(mean) ** 2 / power, density_name(density)
    return Curve("form factor", tau, samples.mean(axis=0), samples, replicas, n, within, name, notes, apart)


def _waves(e: np.ndarray, times: np.ndarray, window: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return sum_i w(e_i) exp(2 pi i tau e_i), (replicas, K), and sum_i w(e_i)^2, (replicas,)."""
    weights = taper(e, window)
    inside = weights > 0
    columns = np.flatnonzero(inside.any(axis=0))
    weights, e = weights[:, columns], e[:, columns]
    waves = np.stack([(weights * np.exp(2j * np.pi * time * e)).sum(axis=1) for time in times], axis=1)
    return waves, (weights**2).sum(axis=1)


def _over_lengths(
    statistic: str, means: Callable, rows: np.ndarray, lengths: Any, density: Density, window: Window
) -> Curve:
    replicas, n = rows.shape
    x, within = _points("lengths", lengths), _window(window, n)
    width = within[1] - within[0]
    if x.max() > width * (1 + 1e-12):
        raise ValueError(
            f"lengths hold {x.max():g}: must be at most the length of the window, {width:g}, which goes from "
            f"{within[0]:g} to {within[1]:g} of {n} levels"
        )
    x = np.minimum(x, width)
    levels = unfolded(rows, density)
    warn_of_density(levels, within, density)
    degree, most = _degree(density), TAKEN_OUT if statistic == "number variance" else LINE_ALREADY
    if degree and x.max() * degree > most * n:
        _warn(
            f"density = {degree}: such a polynomial takes part of the {statistic} out at lengths above {most:g} "
            f"n/degree = {most * n / degree:.3g}, and lengths go to {x.max():g}; unfold by an ensemble or a law"
        )
    if replicas > 1:
        samples = whole = means(levels, within, x, 1)[:, 0]
        if isinstance(density, str):
            shorter = means(levels, within, (1 - STRETCH) * x, 1)[:, 0]
            samples = whole - _by_density(levels, within, x, (whole - shorter).mean(axis=0) / STRETCH)
            if statistic == "rigidity":
                samples -= _by_others(means, rows, within, x, whole)
            else:
                samples /= others_share(statistic, x, replicas)
        notes = _of_few(replicas, density)
        return Curve(statistic, x, samples.mean(axis=0), samples, replicas, n, within, density_name(density), notes)
    samples = means(levels, within, x, BLOCKS)[0]
    value = samples.mean(axis=0)
    samples[:, (width - x) / BLOCKS < x] = np.nan
    notes = (_of_blocks("parts of the window, where they are longer than L"),)
    return Curve(statistic, x, value, samples, 1, n, within, density_name(density), notes)


def _by_density(levels: np.ndarray, window: tuple[float, float], x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return what each replica contributes through the density that it helps to estimate, (replicas, K), mean 0.

    A replica with a share epsilon more levels in the intervals raises their density by epsilon/R, so that lengths are
    measured longer by as much: the curve changes by its derivative, `slope`, with respect to ln L. Without it errors
    are too large, by a half for the rigidity at L = 1/2: they see that spectra have more levels or fewer, which an
    ensemble that is its own measure does not.
    """
    excess = count_means(levels, window, x)[:, 0, :, 0] / x
    return (excess - excess.mean(axis=0)) * slope


def _by_others(
    means: Callable, rows: np.ndarray, window: tuple[float, float], x: np.ndarray, whole: np.ndarray
) -> np.ndarray:
    """Return what fluctuations of the other replicas add to the rigidity of each, (replicas, K).

    It is proportional to 1 over their number: half of them add twice as much. How much depends on correlations: a line
    does not see what is longer than L.
    """
    replicas = len(rows)
    if replicas < 4:
        return np.zeros_like(whole)
    levels, noise = by_halves(rows)
    twice = np.mean([means(half, window, x, 1)[:, 0] for half in levels], axis=0) - whole
    usual = 1 / (replicas - 1)
    return (usual / (noise.mean(axis=0) - usual))[:, None] * twice


def _of_few(replicas: int, density: Density) -> tuple[str, ...]:
    """Say of too few spectra that each other's density does not unfold them well."""
    if not (isinstance(density, str) and 1 < replicas < ENOUGH):
        return ()
    return (
        f"{replicas} spectra unfolded by each other: off by up to a third at 2, a tenth at 4; take {ENOUGH} or more",
    )


def _of_blocks(what: str) -> str:
    return f"a single spectrum: errors are those of {BLOCKS} {what}, which are not quite independent"


def _degree(density: Density) -> int:
    """Of a polynomial; 0 for other densities."""
    return 0 if isinstance(density, str) or hasattr(density, "cdf") else int(density)


def _points(name: str, value: Any) -> np.ndarray:
    want = "numbers > 0, shape (K,)"
    x = np.atleast_1d(_checks.array(name, value, want, dimensions=(0, 1)))
    if len(x) > MOST_POINTS:
        raise ValueError(f"{name} has {len(x)} entries: must be at most {MOST_POINTS}")
    if not ((x > 0) & (x < 1e9)).all():
        raise ValueError(f"{name} hold {x[~((x > 0) & (x < 1e9))][0]:g}: must be > 0 and < 1e9")
    return x.copy()


def _window(window: Any, n: int) -> tuple[float, float]:
    if window is None:
        return 0.25 * n, 0.75 * n
    want = f"(low, high) with 0 <= low < high <= {n}, the number of levels"
    ends = _checks.array("window", window, want, dimensions=(1,))
    if ends.shape != (2,) or not 0 <= ends[0] < ends[1] <= n:
        raise ValueError(f"window = {shown(window)}: must be {want}")
    if ends[1] - ends[0] < 1:
        raise ValueError(f"window = {shown(window)}: must be at least one level long")
    return float(ends[0]), float(ends[1])


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=4)
