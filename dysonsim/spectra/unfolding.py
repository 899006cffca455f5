"""`unfold`: levels measured by how many of them are expected below, so that their density is 1."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from ..ensembles.observable import Choice, Levels
from .rows import is_one_row, spectra_of

__all__ = ["Density", "by_halves", "density_name", "others_share", "unfold", "unfolded"]

Density = Any  # "ensemble", a law, or the degree of a polynomial
ALLOWED = "'ensemble', a law with a cdf, or the degree of a polynomial for each spectrum alone"
MOST_DEGREE = 50


def unfold(
    data: Any,
    density: Density = "ensemble",
    *,
    observable: Choice = "eigenvalues",
    levels: Levels = None,
    record: int = -1,
) -> np.ndarray:
    """Unfold spectra: map every level to the number of levels expected below it, so that their mean density is 1.

    Parameters
    ----------
    data : Run, or array (replicas, n) or (n,)
        Spectra, each row ascending; a point of a scan counts as a Run.
    density : "ensemble", law or int
        "ensemble": the pooled levels of all *other* spectra (leave-one-out), interpolated between neighbors; needs two
        spectra or more, and makes no assumption but that all have one density. A law (`dysonsim.laws`, scipy.stats): n
        times its cdf. An int: each spectrum alone, by a polynomial of this degree through its own staircase; see Notes.
    observable, levels, record :
        What to take from a Run, as for `compare`; one record.

    Returns
    -------
    (replicas, n) or (n,) array
        From about 0 to n, ascending.

    Raises
    ------
    TypeError, ValueError
        For fewer than two levels, levels that coincide or are not ascending, a law whose cdf is not one at these levels
        or that has atoms, a polynomial that falls between levels.

    Notes
    -----
    A polynomial follows the levels that it should leave alone, and takes fluctuations out. Measured on GOE, middle
    half, number variance over theory for degrees 5, 9, 15: n = 50 at L = 5: 0.92, 0.81, 0.61, at L = 10: 0.77, 0.57,
    0.47; n = 200 at L = 20: 0.95, 0.87, 0.73. The loss is 5 to 8% where L degree = n/2; prefer an ensemble. At the ends
    of a spectrum a polynomial may fall; its values are sorted there.

    With "ensemble", the fluctuations of the other spectra are added to those of each: variances of counts are R/(R - 1)
    times too large for R replicas. `number_variance`, `rigidity` and `form_factor` correct for it.

    Examples
    --------
    >>> import dysonsim as ds
    >>> run = ds.simulate(ds.CoulombGas.hermite(n=20, beta=1.0), replicas=200, seed=1)
    >>> levels = ds.unfold(run)
    >>> levels.shape
    (200, 20)
    >>> spacings = levels[:, 6:15] - levels[:, 5:14]
    >>> round(float(spacings.mean()), 1)
    1.0
    """
    rows = spectra_of(data, observable, levels, record, least=2)
    found = unfolded(rows, density)
    return found[0] if is_one_row(data) else found


def unfolded(rows: np.ndarray, density: Density) -> np.ndarray:
    """Unfold checked spectra (replicas, n)."""
    if isinstance(density, str):
        _checks.choice("density", density, ("ensemble",))
        return _by_ensemble(rows)
    if hasattr(density, "cdf"):
        return _by_law(rows, density)
    try:
        degree = _checks.integer("density", density, 1, MOST_DEGREE)
    except TypeError:
        raise TypeError(f"density = {shown(density)}: must be {ALLOWED}") from None
    return _by_polynomial(rows, degree)


def others_share(statistic: str, x: np.ndarray, replicas: int) -> np.ndarray:
    """By what a statistic at lengths or times x is too large, since the density of the others fluctuates as well.

    1 + D/(R - 1). Counts in a long interval see all of those fluctuations, D = 1; what is shorter than the distance of
    neighbors neither counts nor phases see. The forms of D were fitted to GOE, n = 50, R = 8 to 128, and hold for
    independent levels as well; the form factor of GSE near tau = 1 stays 15% low at R = 8.
    """
    seen = -np.expm1(-2.0 * x) if statistic == "number variance" else np.exp(-(x**2))
    return 1.0 + seen / (replicas - 1)


def density_name(density: Density) -> str:
    """Name it in print."""
    if isinstance(density, str):
        return "density of the other replicas"
    return type(density).__name__ if hasattr(density, "cdf") else f"polynomial of degree {int(density)}"


def _by_ensemble(rows: np.ndarray) -> np.ndarray:
    """Interpolate the staircase of all other spectra; k + 1/2 at the k-th of their levels."""
    replicas, n = rows.shape
    if replicas < 2:
        raise ValueError(
            "density = 'ensemble': needs two spectra or more; for a single one give the law of its density, or the "
            "degree of a polynomial"
        )
    order = np.argsort(rows, axis=None, kind="stable")
    pooled, owner, rank = rows.ravel()[order], order // n, order % n
    # neighbors in the pooled levels that belong to another spectrum: those beside the run of levels of this one
    starts = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
    run = np.cumsum(np.isin(np.arange(order.size), starts)) - 1
    below, above = starts[run] - 1, np.concatenate([starts[1:], [order.size]])[run]
    found = np.empty(order.size)
    found[order] = _interpolated(pooled, pooled, below, above, np.arange(order.size) - rank, replicas - 1)
    return found.reshape(rows.shape)


def _interpolated(
    x: np.ndarray, pooled: np.ndarray, below: np.ndarray, above: np.ndarray, others: np.ndarray, spectra: int
) -> np.ndarray:
    """Levels below x per spectrum, from `others` below it and the places `below`, `above` of its neighbors in `pooled`.

    Outside all of them there is nothing to interpolate: on with the density of the outermost level of each, if these
    differ. A level that all spectra have in common counts as one half below itself.
    """
    low, high = pooled[np.maximum(below, 0)], pooled[np.minimum(above, pooled.size - 1)]
    gap = high - low
    share = np.divide(x - low, gap, out=np.full(np.shape(gap), 0.5), where=gap > 0)
    reach = min(spectra, pooled.size - 1)
    first, last = pooled[reach] - pooled[0], pooled[-1] - pooled[-1 - reach]
    share = np.where(below < 0, 1.0 + (x - high) * (reach / first if first > 0 else 0.0), share)
    share = np.where(above >= pooled.size, (x - low) * (reach / last if last > 0 else 0.0), share)
    return (others - 0.5 + share) / spectra


def by_halves(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unfold by each of two halves of the other spectra, (2, replicas, n); and 1 over how many those are (2, replicas).

    Four spectra or more. What depends on the fluctuations of the others is seen from the difference.
    """
    found, noise = np.empty((2, *rows.shape)), np.empty((2, len(rows)))
    for h in (0, 1):
        mine = np.arange(len(rows)) % 2 == h
        found[h, mine] = _by_ensemble(rows[mine])
        pooled = np.sort(rows[mine], axis=None)
        place = np.searchsorted(pooled, rows[~mine])
        found[h, ~mine] = _interpolated(rows[~mine], pooled, place - 1, place, place, int(mine.sum()))
        noise[h] = 1.0 / (mine.sum() - mine)
    return found, noise


def _by_law(rows: np.ndarray, law: Any) -> np.ndarray:
    if isinstance(law, type):
        raise TypeError(f"density = {law.__name__}: must be a law with its parameters, not a class")
    if getattr(law, "atoms", ()):
        raise ValueError(
            f"density = {type(law).__name__} has an atom at {law.atoms[0][0]:g}, where levels coincide: must be the "
            "law of the other levels alone"
        )
    below = np.asarray(law.cdf(rows), dtype=np.float64)
    if below.shape != rows.shape or not ((below >= 0) & (below <= 1)).all() or (np.diff(below, axis=1) < 0).any():
        raise ValueError(
            f"density = {shown(law)}: its cdf must be from 0 to 1 and ascending; at data[0] it goes from "
            f"{np.ravel(below)[0]:g} to {np.ravel(below)[min(rows.shape[1], below.size) - 1]:g}"
        )
    return rows.shape[1] * below


def _by_polynomial(rows: np.ndarray, degree: int) -> np.ndarray:
    n = rows.shape[1]
    if degree > n // 2:
        raise ValueError(f"density = {degree}: must be at most half of the number of levels, {n}")
    staircase = np.arange(n) + 0.5
    found = np.empty_like(rows)
    for r, row in enumerate(rows):
        center, half = 0.5 * (row[0] + row[-1]), 0.5 * (row[-1] - row[0])
        matrix = np.polynomial.chebyshev.chebvander((row - center) / half, degree)
        found[r] = matrix @ np.linalg.lstsq(matrix, staircase, rcond=None)[0]
    falls = np.diff(found, axis=1)[:, n // 4 : n - n // 4] <= 0
    if falls.any():
        r, i = (int(k) for k in np.argwhere(falls)[0])
        raise ValueError(
            f"density = {degree}: the polynomial falls between data[{r}, {i + n // 4}] and the next level: lower it"
        )
    return np.sort(found, axis=1)  # at the ends of a spectrum it may fall


def warn_of_density(levels: np.ndarray, window: tuple[float, float], density: Density) -> None:
    """Warn of unfolded levels (replicas, n) whose density in the window is not 1; ValueError if none is there."""
    low, high = window
    count = int(((levels > low) & (levels <= high)).sum())
    if count == 0:
        raise ValueError(f"window = ({low:g}, {high:g}): no level is there, after unfolding by {density_name(density)}")
    mean = count / (len(levels) * (high - low))
    if abs(mean - 1) > 0.05 + 4 / np.sqrt(count):
        warnings.warn(
            f"after unfolding by {density_name(density)}, the density of levels in the window is {mean:.3g}, not 1: it "
            "is not the density of these spectra",
            RuntimeWarning,
            stacklevel=4,
        )
