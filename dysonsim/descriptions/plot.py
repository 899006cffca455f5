"""The picture of a `Hierarchy`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..spectra.observables import bin_edges, histogram
from .quantities import REFERENCE, TITLES, timeless

SPREAD = 0.12  # between the marks of two levels of description, in units of the distance of two quantities


def draw(result: Any, group: tuple[int, ...] | None = None) -> Any:
    """Mean levels on their way, the density of one well, and all deviations from SGD in percent."""
    import matplotlib.pyplot as plt

    wells = list(dict.fromkeys(q.group for q in result.quantities))
    shared = [well for well in wells if len(well) > 1] or wells
    group = result.distribution("density", shared[-1] if group is None else group).group
    colors = {name: f"C{k}" for k, name in enumerate(result.levels)}
    figure = plt.figure(figsize=(11, 8), layout="constrained")
    way, density, away = figure.subplot_mosaic([["way", "density"], ["away", "away"]]).values()
    what = result.looked_at.label
    for name, run in result.runs.items():
        title, color = TITLES.get(name, name), colors[name]
        if len(result.path_steps) and not timeless(run):
            mean, error = result.path(name)
            style = {"marker": "o", "markersize": 3, "linestyle": ""} if name == REFERENCE else {"linewidth": 1.2}
            for i in range(mean.shape[1]):
                way.errorbar(result.path_steps, mean[:, i], error[:, i], color=color, **style)
        values = result.settled(name)[:, :, list(group)]
        values = values.reshape(len(values), -1)
        if name == REFERENCE:
            edges = bin_edges(values)
        bars = histogram(values, edges)
        if name == REFERENCE:
            density.stairs(bars.density, edges, color=color, fill=True, alpha=0.3)
        density.errorbar((edges[1:] + edges[:-1]) / 2, bars.density, bars.error, color=color, label=title,
                         **({"fmt": "o", "markersize": 3} if name == REFERENCE else {"linewidth": 1.2}))  # fmt: skip
    way.set(xlabel="SGD steps", ylabel=f"mean {what}")
    density.set(xlabel=f"{what} {group}", ylabel="density", ylim=(0, None))
    _deviations(result, away, colors)
    figure.legend(*density.get_legend_handles_labels(), loc="outside upper center", ncols=len(result.levels))
    return figure


def draw_curves(result: Any) -> Any:
    """Draw the curves of all descriptions, and the deviations of their points from SGD in percent."""
    import matplotlib.pyplot as plt

    colors = {name: f"C{k}" for k, name in enumerate(result.levels)}
    figure = plt.figure(figsize=(11, 4.5), layout="constrained")
    curves, away = figure.subplots(1, 2)
    for name, curve in result.curves.items():
        curve.plot(curves, label=TITLES.get(name, name), color=colors[name])
    _deviations(result, away, colors)
    figure.legend(*curves.get_legend_handles_labels(), loc="outside upper center", ncols=len(result.levels))
    return figure


def _deviations(result: Any, axes: Any, colors: dict[str, str]) -> None:
    """Of the stationary numbers; the way there is in the first panel."""
    others = [name for name in result.levels if name != REFERENCE]
    shown = [q for q in result.quantities if q.step is None]
    for k, name in enumerate(others):
        found = [q.deviation(name) for q in shown]
        at = np.arange(len(shown)) + SPREAD * (k - (len(others) - 1) / 2)
        axes.errorbar(at, [d.percent for d in found], [d.percent_error for d in found], fmt="o", markersize=3,
                      color=colors[name])  # fmt: skip
    axes.axhline(0, color="black", linewidth=0.8, linestyle="--")
    axes.set_xticks(
        range(len(shown)),
        [f"{q.name} {q.where}" if q.group else q.name for q in shown],
        rotation=60,
        ha="right",
        fontsize="small",
    )
    axes.set_ylabel("deviation from SGD (%)")
