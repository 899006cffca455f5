"""Pictures of an examination."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..laws import MarchenkoPastur

__all__ = ["draw_examination", "draw_spectrum", "draw_verdict"]

LEVELS, LAW, SPIKE, SHUFFLED, INITIAL = "#3b6ea5", "#c23b22", "#d98200", "#555555", "#1b7f3b"
FAR = 4.0  # edges of the bulk from which on the axis is logarithmic
SHORT = 1e-4  # of the edge: levels below are drawn there, on a logarithmic axis


def axes_or_new(ax: Any) -> Any:
    """Return the axes, or new ones."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(7.5, 4.2), layout="constrained")
    return ax


def draw_spectrum(
    ax: Any, singular_values: np.ndarray, spikes: Any, others: dict[str, Any] | None = None, clean: bool = True
) -> Any:
    """Histogram of eigenvalues of W^T W/m with the bulk's law and edge, spikes, and outlines of `others`.

    Parameters
    ----------
    ax : Axes or None
    singular_values : (n,) array
    spikes : Spikes, or anything with its count, variance and shape
        How many of them are spikes, and the variance of the rest.
    others : dict of label to (singular values, color)
    clean : bool
        Whether the rest is a bulk, so that what stands out of it is called a spike.
    """
    ax = axes_or_new(ax)
    m, n = max(spikes.shape), min(spikes.shape)
    k = spikes.count or 0
    x = singular_values**2 / m
    variance = spikes.variance if spikes.count is not None else float(x.sum()) / n
    edge = variance * (1 + math.sqrt(n / m)) ** 2
    ends = np.array([[x[0], x[-1]], *(s[[0, -1]] ** 2 / m for s, _ in (others or {}).values())])
    least, most = float(ends[:, 0].min()), float(ends[:, 1].max())
    logarithmic = edge > 0 and most > FAR * edge
    edges = _bins(n, edge, least, most, logarithmic)
    heights = _heights(x, edges, logarithmic)
    ax.stairs(heights, edges, color=LEVELS, fill=True, alpha=0.4, label=f"eigenvalues ({n})")
    for label, (s, color) in (others or {}).items():
        outline = _heights(s**2 / m, edges, logarithmic)
        heights = np.maximum(heights, outline)
        ax.stairs(outline, edges, color=color, linewidth=1.3, label=label)
    if edge > 2 * edges[0]:
        law = MarchenkoPastur(n / m, variance)
        low, high = law.support()
        grid = np.linspace(math.sqrt(max(low, edges[0])), math.sqrt(high), 600)[1:-1] ** 2
        density = law.pdf(grid) * (grid if logarithmic else 1.0)
        ax.plot(grid, density * (n - k) / n, color=LAW, linewidth=1.6, label="Marchenko–Pastur")
        ax.axvline(edge, color=LAW, linewidth=1, linestyle=(0, (4, 3)), label="edge of the bulk")
    top = 1.12 * float(heights.max())  # the law may diverge at zero
    ax.plot(np.maximum(x, edges[0]), np.full(n, -0.02 * top), "|", color=LEVELS, markersize=5, clip_on=False)
    if k:
        label = f"{k} spike{'s' if k > 1 else ''}" if clean else f"{k} above the edge"
        ax.plot(x[n - k :], np.full(k, 0.04 * top), "v", color=SPIKE, markersize=5.5, label=label)
    ax.set_xlabel("eigenvalue of $W^TW/m$, m the longer side")
    ax.set_ylabel("density of the logarithm" if logarithmic else "density")
    if logarithmic:
        ax.set_xscale("log")
    ax.set_ylim(-0.045 * top, top)
    ax.set_xlim(edges[0] if logarithmic else -0.01 * edges[-1], edges[-1])
    ax.legend(frameon=False, fontsize="small")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax


def _bins(n: int, edge: float, least: float, most: float, logarithmic: bool) -> np.ndarray:
    """Edges of bins that divide the bulk into some twenty."""
    bulk = int(np.clip(1.5 * n**0.5, 10, 40))
    if not logarithmic:
        top = 1.04 * max(most, edge)
        return np.linspace(0.0, top, 1 + max(bulk, round(bulk * top / edge)) if edge else 1 + bulk)
    low = max(least, SHORT * edge, SHORT**2 * most)
    length = math.log(1.15 * most / low)
    return np.geomspace(low, 1.15 * most, 1 + int(np.clip(bulk * length / 4, 15, 60)))


def _heights(x: np.ndarray, edges: np.ndarray, logarithmic: bool) -> np.ndarray:
    """Density in each bin, of the logarithm on a logarithmic axis; what lies below the first bin counts there."""
    counts, _ = np.histogram(np.maximum(x, edges[0]), edges)
    return counts / len(x) / np.diff(np.log(edges) if logarithmic else edges)


def draw_verdict(ax: Any, row: Any, clean: bool) -> Any:
    """Draw the spectrum of one layer with its controls."""
    ax = axes_or_new(ax)
    spikes = row.spikes
    if spikes is None:
        variance = float(np.mean(row.singular_values**2)) / max(row.shape)
        spikes = SimpleNamespace(count=0, variance=variance, shape=row.shape)
    others = {}
    if row.shuffled is not None:
        others["entries shuffled"] = row.shuffled.singular_values, SHUFFLED
    if row.initial is not None:
        others["before training"] = row.initial.singular_values, INITIAL
    draw_spectrum(ax, row.singular_values, spikes, others, clean)
    p = "" if math.isnan(row.pvalue) else f" (p = {row.pvalue:.2g})"
    ax.set_title(f"{row.layer}, {row.shape[0]} x {row.shape[1]}: {row.verdict}{p}", fontsize="medium", loc="left")
    return ax


def draw_examination(ax: Any, examination: Any) -> Any:
    """Draw the p-values of all layers, with those of the controls."""
    rows = [row for row in examination.rows if row.determined]
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(7.5, 1.4 + 0.28 * max(len(rows), 3)), layout="constrained")
    y = np.arange(len(rows))
    for name, color, marker, shift in (("shuffled", SHUFFLED, "s", 0.22), ("initial", INITIAL, "^", -0.22)):
        found = [(k, getattr(row, name)) for k, row in enumerate(rows)]
        points = [(c.pvalue, k + shift) for k, c in found if c is not None and c.determined]
        if points:
            label = {"shuffled": "entries shuffled", "initial": "before training"}[name]
            ax.plot(*zip(*points, strict=True), marker, color=color, markersize=4, fillstyle="none", label=label)
    ax.plot([row.pvalue for row in rows], y, "o", color=LEVELS, markersize=6, label="weights")
    ax.axvline(examination.level, color=LAW, linewidth=1, linestyle=(0, (4, 3)), label=f"level {examination.level:g}")
    ax.set_xscale("log")
    ax.set_xlim(0.7 / (examination.draws + 1), 1.3)
    ax.set_yticks(y, [row.layer for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlabel("p-value of the whole spectrum")
    ax.legend(
        frameon=False, fontsize="small", loc="upper center", bbox_to_anchor=(0.5, 1.0 + 1.2 / (3 + len(rows))), ncols=4
    )
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax
