"""The mode of a Coulomb gas in log-gap coordinates and the Hessian there: what its Markov chain is scaled by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .wells import Wells

ITERATIONS = 200
SPREADS = np.logspace(-9, 9, 73)  # trial sizes of the gas, in units of its wells or of 1
SHIFTS = (0.0, 1.1, -1.1)  # of a trial, in units of its size: a function may end, in inf, at the bottom of a well
FLAT = 0.1  # curvatures below this (a convex gas has 1 and more) are taken as this
TOGETHER = 2.0  # wells closer than so many widths share their levels


@dataclass(frozen=True)
class Mode:
    """y = y0 + factor q has independent q of unit variance, to second order around the mode.

    Parameters
    ----------
    y0 : (n,) array
        The mode, in the coordinates of `dysonsim.kernels.gas.hmc`.
    factor : (n, n) array
        Upper triangular.
    levels : (n,) array
        x at the mode, in the order of the coordinates.
    order : (n,) array of int
        Labels in that order.
    temperature : float
        At which independent levels in these wells spread about as wide as the gas.
    """

    y0: np.ndarray
    factor: np.ndarray
    levels: np.ndarray
    order: np.ndarray
    temperature: float

    @property
    def scale(self) -> float:
        """A length of the order of the distance between neighbors."""
        n = len(self.levels)
        return float(np.ptp(self.levels)) / (n - 1) if n > 1 else self._single

    def unscaled(self, y: np.ndarray) -> np.ndarray:
        """Return q of coordinates y (rows, n); every row by the same operations, whatever rows there are beside it."""
        q = y - self.y0
        for k in range(len(self.y0) - 1, -1, -1):
            q[:, k] /= self.factor[k, k]
            q[:, :k] -= q[:, k, None] * self.factor[:k, k]
        return q

    @property
    def _single(self) -> float:
        return float(abs(self.factor[0, 0]))


class Coordinates:
    """Levels from the logarithms of their gaps, as in `dysonsim.kernels.gas.hmc`, with derivatives."""

    def __init__(self, wells: Wells) -> None:
        self.walls, self.n = wells.walls, wells.n
        self.free = 1 if self.walls == "none" else 0
        self.sign = -1.0 if self.walls == "upper" else 1.0
        self.origin = {"none": 0.0, "upper": wells.upper}.get(self.walls, wells.lower)
        self.length = wells.upper - wells.lower

    def gaps(self, y: np.ndarray) -> tuple[np.ndarray, float]:
        """Gaps of y (n,), and the minus logarithm of the Jacobian |dv/dy|."""
        gaps = np.concatenate([y[: self.free], np.exp(y[self.free :])])
        height = -float(y[self.free :].sum())
        if self.walls == "both":
            total = 1 + gaps.sum()
            gaps = gaps * (self.length / total)
            height += (self.n + 1) * float(np.log(total))
        return gaps, height

    def levels(self, v: np.ndarray) -> np.ndarray:
        """Return the levels at distances v from the wall, or at v if there is no wall."""
        return self.origin + self.sign * v

    def to_levels(self, y: np.ndarray) -> np.ndarray:
        """Levels of coordinates (..., n)."""
        gaps = np.concatenate([y[..., : self.free], np.exp(y[..., self.free :])], axis=-1)
        if self.walls == "both":
            gaps = gaps * (self.length / (1 + gaps.sum(axis=-1, keepdims=True)))
        return self.levels(np.cumsum(gaps, axis=-1))

    def of_levels(self, x: np.ndarray) -> np.ndarray:
        """Coordinates of levels (..., n) in order: ascending, descending from an upper wall."""
        v = self.sign * (x - self.origin)
        gaps = np.diff(v, axis=-1, prepend=0.0)
        if self.walls == "both":
            gaps = gaps / (self.length - v[..., -1:])
        return np.concatenate([gaps[..., : self.free], np.log(gaps[..., self.free :])], axis=-1)

    def derivatives(self, gaps: np.ndarray, slope: np.ndarray, curvature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient and Hessian in y of U(v) minus the logarithm of the Jacobian, from those in v."""
        n, free = self.n, self.free
        sums = np.tril(np.ones((n, n)))
        slope, curvature = sums.T @ slope, sums.T @ curvature @ sums  # in the gaps
        if self.walls != "both":
            rate = np.concatenate([np.ones(free), gaps[free:]])
            inside = np.arange(n) >= free
            bend = np.where(inside, slope * rate, 0.0)
            return slope * rate - inside, curvature * np.outer(rate, rate) + np.diag(bend)
        s = gaps / self.length
        jacobian = np.diag(gaps) - np.outer(gaps, s)
        moment = float(slope @ gaps)
        along = slope * gaps
        bend = np.diag(along) - np.outer(along, s) - np.outer(s, along) - moment * (np.diag(s) - 2 * np.outer(s, s))
        bend = bend + (n + 1) * (np.diag(s) - np.outer(s, s))
        return jacobian.T @ slope - 1 + (n + 1) * s, jacobian.T @ curvature @ jacobian + bend


def find_mode(wells: Wells, beta: float) -> Mode:
    """Newton's method from levels spread evenly over a trial range."""
    coordinates = Coordinates(wells)
    order = np.argsort(coordinates.sign * wells.bottoms, kind="stable")
    ordered = _in_order(wells, order)
    n = wells.n
    u = _trial(ordered, beta, coordinates.sign)
    x = ordered.place(u)[0]
    size = float(np.ptp(x)) / (n - 1) if n > 1 else _width(ordered)
    y = coordinates.of_levels(x)
    shape = np.ones(n)
    if coordinates.free:
        shape[0] = size  # gives y_0 the units of the other coordinates
    height, slope, curvature = _expand(ordered, coordinates, beta, y, size)
    for _ in range(ITERATIONS):
        step = shape * _newton(curvature * np.outer(shape, shape), slope * shape)
        if np.abs(step / shape).max() < 1e-8:
            break
        share = 1.0
        while share > 1e-8:
            trial = _expand(ordered, coordinates, beta, y - share * step, size)
            if trial[0] <= height:
                break
            share /= 2
        else:
            break
        y = y - share * step
        height, slope, curvature = trial
    values, vectors = np.linalg.eigh(curvature * np.outer(shape, shape))
    positive = (vectors * np.maximum(np.abs(values), FLAT)) @ vectors.T / np.outer(shape, shape)
    factor = np.linalg.inv(np.linalg.cholesky(positive)).T
    x = coordinates.levels(np.cumsum(coordinates.gaps(y)[0]))
    raised = _heights(ordered, x) - ordered.effective(ordered.bottoms)
    return Mode(y, factor, x, order, max(1.0, 2 * float(np.mean(raised))))


def _newton(curvature: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """curvature^-1 slope, downhill where the curvature is not positive."""
    from scipy.linalg import cho_factor, cho_solve

    try:
        return cho_solve(cho_factor(curvature), slope)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(curvature)
        return vectors @ ((vectors.T @ slope) / np.maximum(np.abs(values), FLAT))


def _in_order(wells: Wells, order: np.ndarray) -> Wells:
    """Return the wells as the levels meet them in order; those that share their levels with their means."""
    if wells.kind == "labeled":
        return replace(wells, labels=order)
    if wells.kind != "many":
        return wells
    assert wells.centers is not None
    assert wells.widths is not None
    centers, widths = wells.centers[order], wells.widths[order]
    apart = np.abs(np.diff(centers)) > TOGETHER * (widths[1:] + widths[:-1])
    group = np.concatenate([[0], np.cumsum(apart)])
    count = np.bincount(group)
    centers = (np.bincount(group, centers) / count)[group]
    widths = ((np.bincount(group, widths**-2) / count) ** -0.5)[group]
    return replace(wells, centers=centers, widths=widths)


def _width(wells: Wells) -> float:
    """Width of the well of a single level."""
    if wells.widths is not None and wells.walls == "none":
        return float(wells.widths[0])
    z = np.linspace(-2.0, 2.0, 41)[:, None]
    return max(float(wells.place(wells.draw(z, 1.0))[0].std()), 1e-300)


def _trial(wells: Wells, beta: float, sign: float) -> np.ndarray:
    """Levels u in order: the bottoms of the wells, spread by what makes the gas the likeliest."""
    n = wells.n
    bottoms = sign * np.sort(sign * wells.bottoms)
    if n == 1:
        return bottoms
    shape = sign * np.sin(np.pi * ((np.arange(n) + 0.5) / n - 0.5))
    best, found = np.inf, bottoms + shape
    unit = float(wells.widths.mean()) if wells.widths is not None and wells.walls == "none" else 1.0
    for spread, shift in ((s * unit, c) for c in SHIFTS for s in SPREADS):
        u = bottoms + spread * (shape + shift)
        if wells.walls != "none" and np.abs(u).max() > wells.grid[-1]:
            continue
        if shift and np.isfinite(best):
            break
        with np.errstate(all="ignore"):
            x = wells.place(u)[0]
            pairs = np.log(np.abs((x[:, None] - x)[np.triu_indices(n, 1)])).sum()
            height = float(wells.effective(u).sum() - beta * pairs)
        if height < best:
            best, found = height, u
    return found


def _heights(wells: Wells, x: np.ndarray) -> np.ndarray:
    below = np.log(x - wells.lower) if np.isfinite(wells.lower) else 0.0
    above = np.log(wells.upper - x) if np.isfinite(wells.upper) else 0.0
    return wells.values(x, below, above)


def _expand(
    wells: Wells, coordinates: Coordinates, beta: float, y: np.ndarray, size: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """-log of the density of y, its gradient and its Hessian."""
    n = wells.n
    with np.errstate(all="ignore"):
        gaps, height = coordinates.gaps(y)
        v = np.cumsum(gaps)
        x = coordinates.levels(v)
        differences = v[:, None] - v
        height += float(_heights(wells, x).sum())
        height -= beta * float(np.log(np.abs(differences[np.triu_indices(n, 1)])).sum())
        np.fill_diagonal(differences, np.inf)
        slope, bend = wells.derivatives(x, size)
        slope = coordinates.sign * slope - beta * (1 / differences).sum(axis=1)
        curvature = -beta / differences**2
        curvature[np.diag_indices(n)] = bend - curvature.sum(axis=1)
        slope, curvature = coordinates.derivatives(gaps, slope, curvature)
    finite = np.isfinite(height) and np.isfinite(slope).all() and np.isfinite(curvature).all()
    return (height if finite else np.inf), slope, curvature
