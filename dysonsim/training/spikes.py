"""`spikes`: levels of one matrix that stand out of the bulk, and the signal that they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._text import aligned, plain
from .edge import count_spikes, overlaps, signal
from .given import Tall, one_matrix, prepared
from .nulls import LEAST, levels_of

__all__ = ["Spikes", "found_spikes", "spikes"]

TOO_FEW = f"fewer than {LEAST} levels"
ALL_EQUAL = "all entries are equal"


@dataclass(frozen=True, eq=False, repr=False)
class Spikes:
    """Result of `spikes`: the singular values of a matrix above the bulk, in descending order.

    Attributes
    ----------
    count : int or None
        Number of spikes; None where it is not determined, for `reason`.
    values : (count,) array
        Their singular values.
    pvalues : (count,) array
        Each was tested with those above it taken away.
    next_pvalue : float or None
        That of the first level that is no spike; None where nothing was left to test.
    strengths : (count,) array
        Singular values of the signal: those of W without the noise, which pushes them up.
    overlaps_left, overlaps_right : (count,) array
        Squared overlap, 0 to 1, of the singular vector (of length rows and columns) with that of the signal.
    variance : float
        Of the entries of the noise: estimated from the rest, or given.
    edge : float
        Upper edge of the bulk in singular values, sqrt(variance) (sqrt(rows) + sqrt(columns)).
    threshold : float
        Strength below which a signal leaves no spike, sqrt(variance) (rows columns)^(1/4).
    level : float
    shape : (rows, columns)
    singular_values : (levels,) array
        All of them, ascending.
    reason : str
        Why nothing is determined; "" mostly.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> noise = np.random.default_rng(1).normal(size=(200, 100))
    >>> print(ds.spikes(noise))
    200 x 100: no spike at level 0.01; noise of standard deviation 0.9941, edge 24, threshold 11.82
    """

    count: int | None
    values: np.ndarray
    pvalues: np.ndarray
    next_pvalue: float | None
    strengths: np.ndarray
    overlaps_left: np.ndarray
    overlaps_right: np.ndarray
    variance: float
    edge: float
    threshold: float
    level: float
    shape: tuple[int, int]
    singular_values: np.ndarray
    reason: str = ""

    def __repr__(self) -> str:
        return f"<Spikes of a {self.shape[0]} x {self.shape[1]} matrix: {self._counted()}>"

    def _counted(self) -> str:
        if self.count is None:
            return f"not determined ({self.reason})"
        return "no spike" if not self.count else f"{self.count} spike{'s' if self.count > 1 else ''}"

    def __str__(self) -> str:
        title = f"{self.shape[0]} x {self.shape[1]}: {self._counted()}"
        if self.count is None:
            return title
        title += (
            f" at level {self.level:g}; noise of standard deviation {math.sqrt(self.variance):.4g}, "
            f"edge {self.edge:.4g}, threshold {self.threshold:.4g}"
        )
        if not self.count:
            return title
        rows = [["singular value", "p-value", "strength", "overlap left", "right"]]
        columns = self.values, self.pvalues, self.strengths, self.overlaps_left, self.overlaps_right
        for value, p, strength, left, right in zip(*columns, strict=True):
            rows.append([f"{value:.4g}", f"{p:.2g}", f"{strength:.4g}", f"{left:.3f}", f"{right:.3f}"])
        return f"{title}\n{aligned(rows)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; None for what is not finite."""
        return plain(dict(vars(self)))

    def plot(self, ax: Any = None) -> Any:
        """Draw the eigenvalues of W^T W with the bulk's law and edge and the spikes; returns the axes."""
        from .draw import draw_spectrum

        return draw_spectrum(ax, self.singular_values, self)


def spikes(weights: Any, *, variance: float | None = None, level: float = 0.01) -> Spikes:
    """Find the singular values of one matrix that stand out above its bulk, and the signal that they stand for.

    The largest level is held against that of a Gaussian matrix of the same shape; if its p-value is at most `level` it
    is a spike, and the next is held against an (m - 1) x (n - 1) matrix, and so on until one is none. So a matrix
    without signal has a spike with probability `level`, and one with k strong signals k + 1 spikes or more.

    Parameters
    ----------
    weights : matrix
        (rows, columns), or a mapping, torch module or file that holds one matrix.
    variance : float, optional
        Of the entries of the noise, where it is known; else the rest of the levels gives it.
    level : float, > 0 and < 1

    Returns
    -------
    Spikes
        `count` is None ("not determined") for fewer than 8 rows or columns, and if all entries are equal.

    Raises
    ------
    TypeError, ValueError
        For an argument that is not allowed.
    DivergenceError
        If the matrix holds nan or inf.

    Notes
    -----
    W = S + noise, S of low rank, noise of independent entries of one variance. A singular value of S above the
    threshold sqrt(variance) (rows columns)^(1/4) pushes one of W out of the bulk (Baik, Ben Arous and Peche, Ann.
    Probab. 33 (2005) 1643); strengths and overlaps are those of Benaych-Georges and Nadakuditi, J. Multivar. Anal. 111
    (2012) 120, in the limit of a large matrix; the nearer to the threshold, the less they are worth. p-values are those
    of Gaussian entries: `dysonsim.training.edge.largest_pvalue` says how and how well.

    Not valid for entries with heavy tails, of which single ones stand out: `examine` with null="shuffle" holds against
    that. Entries whose mean is not zero have a spike along (1, ..., 1).

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> random = np.random.default_rng(2)
    >>> u, v = np.full(200, 200**-0.5), np.full(100, 100**-0.5)
    >>> result = ds.spikes(random.normal(size=(200, 100)) + 40 * np.outer(u, v))
    >>> result.count, result.strengths.round(1), result.overlaps_left.round(2)
    (1, array([40.9]), array([0.89]))
    """
    level = _checks.real("level", level, above=0, below=1)
    w = one_matrix("weights", weights)
    variance = None if variance is None else _checks.scale("variance", variance)
    if reason := undetermined(w):
        return _nothing(w, level, reason)
    given = prepared(w)
    x = levels_of(given.tall)
    found, following = count_spikes(x, len(given.tall), level, variance)
    return found_spikes(given, x, found, following, level, variance)


def undetermined(w: np.ndarray) -> str:
    """Say why a matrix has no levels to judge; "" where it has."""
    if min(w.shape) < LEAST:
        return TOO_FEW
    return ALL_EQUAL if w.min() == w.max() else ""


def _nothing(w: np.ndarray, level: float, reason: str) -> Spikes:
    none, s = np.empty(0), np.linalg.svd(np.asarray(w, np.float64), compute_uv=False)[::-1]
    rows, columns = w.shape
    nan = math.nan
    return Spikes(None, none, none, None, none, none, none, nan, nan, nan, level, (rows, columns), s, reason)


def found_spikes(
    given: Tall, x: np.ndarray, pvalues: list[float], following: float | None, level: float, variance: float | None
) -> Spikes:
    """Give spikes of levels x of a matrix, whose p-values are known, strengths and overlaps.

    `variance` None: from the rest.
    """
    m, n = given.tall.shape
    k = len(pvalues)
    if variance is None:
        variance = float(x[: n - k].sum()) / ((m - k) * (n - k))
    scale = math.sqrt(variance * m)
    values = np.sqrt(x[n - k :][::-1])
    if scale > 1e-7 * math.sqrt(x[-1]):
        theta = signal(values / scale, n / m)
        long, short = overlaps(theta, n / m)
    else:  # no noise to speak of
        theta, long, short = values / scale if scale else values, np.ones(k), np.ones(k)
        scale = scale or 1.0
    left, right = (short, long) if given.transposed else (long, short)
    root = math.sqrt(variance)
    return Spikes(
        count=k, values=values, pvalues=np.array(pvalues), next_pvalue=following,
        strengths=theta * scale, overlaps_left=left, overlaps_right=right,
        variance=variance, edge=root * (math.sqrt(m) + math.sqrt(n)), threshold=root * (m * n) ** 0.25, level=level,
        shape=(n, m) if given.transposed else (m, n), singular_values=np.sqrt(x),
    )  # fmt: skip
