"""Figures of the levels of description: SGD, Langevin, Dyson with both closures and the Coulomb gas."""

from __future__ import annotations

from typing import Any

import numpy as np

from dysonsim.reproduce.style import DATA, LAW, THEORY, figure, panel, styled

LEVELS: dict[str, tuple[str, str, str]] = {  # label, colour, marker
    "sgd": ("SGD", THEORY, "o"),
    "langevin": ("Langevin", DATA, "s"),
    "dyson": ("Dyson", LAW, "D"),
    "independent": ("Dyson, independent wells", "#e08a1e", "^"),
    "gas": ("Coulomb gas", "#7a7a7a", "v"),
}
SIDE = 0.018  # between the marks of two levels, in units of the axis


def _marks(axes: Any, x: np.ndarray, values: dict[str, Any], width: float, labels: bool = False) -> None:
    """Values with errors at every x, the levels of description side by side."""
    for k, (name, (label, colour, marker)) in enumerate(LEVELS.items()):
        if name not in values:
            continue
        value, error = np.array(values[name]).T
        at = x + SIDE * width * (k - (len(LEVELS) - 1) / 2)
        axes.errorbar(at, value, error, fmt=marker, color=colour, markersize=4.5, elinewidth=1,
                      label=label if labels else None)  # fmt: skip


def _legend(fig: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=12)


@styled
def levels(results: dict[str, Any]) -> Any:
    """Spacings and mean levels of the four pairs against alpha/|B|."""
    data = results["parts"]["levels"]["data"]
    fig = figure(13, 6.6)
    axes = fig.subplots(2, 4, sharey="row", sharex=True)
    x = 1e3 * np.array(data["ratio"])
    end = np.array([0.0, 1.15 * x.max()])
    for column, (pair, letter) in enumerate(zip(data["pairs"], "abcd", strict=True)):
        upper, lower = axes[:, column]
        _marks(upper, x, pair["spacing"], end[1], labels=not column)
        upper.axhline(pair["leading_order"], color=THEORY, linestyle="--", linewidth=0.9)
        _marks(lower, x, pair["level"], end[1])
        lower.plot(end, 1 + 1e-3 * end * pair["shift_per_ratio"], color=THEORY, linestyle="--", linewidth=0.9)
        lower.axhline(1, color="#8a8a8a", linestyle=":", linewidth=0.9)
        lower.set(xlabel=r"$10^3\,\alpha/|B|$", xlim=end)
        panel(upper, letter, rf"$\kappa={pair['kappa']:.3f}$")
    axes[0, 0].set_ylabel(r"$\langle S\rangle / \sqrt{(\alpha/|B|)(\mu^2-\kappa)}$")
    axes[1, 0].set_ylabel(r"$\langle\lambda\rangle/\kappa$")
    _legend(fig, axes[0, 0])
    return fig


@styled
def linear_levels(results: dict[str, Any]) -> Any:
    """Spacings over the exact ones against alpha/|B|; densities minus the exact law."""
    networks = results["parts"]["linear_levels"]["data"]["networks"]
    fig = figure(12.5, 7)
    axes = fig.subplots(2, 3)
    for column, (name, network) in enumerate(networks.items()):
        upper, lower = axes[:, column]
        x = 1e3 * np.array(network["ratio"])
        end = np.array([0.0, 1.15 * x.max()])
        _marks(upper, x, network["spacing"], end[1], labels=not column)
        upper.axhline(1, color=THEORY, linestyle="--", linewidth=0.9)
        if network["z"] is not None:
            upper.plot(x, network["gas_expected"], color=LEVELS["gas"][1], linewidth=1)
        upper.set(xlim=end, xlabel=r"$10^3\,\alpha/|B|$")
        z = network["z"]
        panel(upper, "abc"[column], name if z is None else rf"$Z = \mathrm{{diag}}({z[0]:g},\, {z[1]:g})$")
        _draw_density(lower, network["density"])
        panel(lower, "def"[column], rf"$\alpha={network['density']['learning_rate']:g}$")
    axes[0, 0].set_ylabel(r"$\langle S\rangle$ / exact")
    axes[1, 0].set_ylabel("density minus exact law\n(% of its maximum)")
    _legend(fig, axes[0, 0])
    return fig


def _draw_density(axes: Any, density: dict[str, Any]) -> None:
    """SGD, Dyson and the gas; the other levels are left out for the sake of the scale."""
    edges, exact = np.array(density["edges"]), np.array(density["exact"])
    x = 1e3 * ((edges[1:] + edges[:-1]) / 2 - 2)
    scale = 100 / exact.max()
    for name in ("gas", "dyson", "sgd"):
        bars = density["levels"][name]
        y, error = scale * (np.array(bars["density"]) - exact), scale * np.array(bars["error"])
        _, colour, marker = LEVELS[name]
        axes.errorbar(x, y, error, fmt=f"{marker}-" if name == "gas" else marker, color=colour, markersize=3.5,
                      elinewidth=0.8, linewidth=1)  # fmt: skip
    axes.axhline(0, color=THEORY, linestyle="--", linewidth=0.9)
    axes.set_xlabel(r"$(\xi - 2) \times 10^3$")


@styled
def motion(results: dict[str, Any]) -> Any:
    """Mean levels from W_0, one network from W_0, mean levels from a later start."""
    data = results["parts"]["motion"]["data"]
    time, fixed = np.array(data["time"]), np.unique(np.round(data["fixed_point"], 9))
    fig = figure(13.5, 5)
    means, single, late = fig.subplots(1, 3, sharey=True)
    for name in ("langevin", "dyson", "independent"):
        _draw_path(means, time, data["paths"][name], name)
    _draw_path(means, time, data["paths"]["sgd"], "sgd")
    for name, width in (("sgd", 0.9), ("dyson", 0.9)):
        single.plot(time, np.array(data["single"][name]), color=LEVELS[name][1], linewidth=width)
    first = data["later"]["first"]
    for name in ("dyson", "independent"):
        _draw_path(late, time[first:], data["later"]["paths"][name], name)
    sgd = {key: np.array(values)[first:] for key, values in data["paths"]["sgd"].items()}
    _draw_path(late, time[first:], sgd, "sgd")
    late.axvline(time[first], color="#8a8a8a", linestyle="--", linewidth=0.9)
    later = rf"means, Dyson from $t={time[first]:g}$ on"
    texts = ("means, from the same law of $W_0$", "one network, from the same $W_0$", later)
    for axes, letter, text in zip((means, single, late), "abc", texts, strict=True):
        for x in fixed:
            axes.axhline(x, color="#8a8a8a", linestyle=":", linewidth=0.8)
        axes.set(xscale="log", xlim=(time[0], time[-1]), ylim=(0, None))
        axes.set_xlabel(r"time $t = \alpha \times$ SGD steps")
        axes.set_xticks([10, 30, 100, 300], ["10", "30", "100", "300"])
        axes.set_xticks([], minor=True)
        panel(axes, letter, text)
    late.set_xlim(0.8 * time[first], time[-1])
    means.set_ylabel(r"eigenvalues $x_i$ of $W^T W$")
    _legend(fig, means)
    return fig


def _draw_path(axes: Any, time: np.ndarray, path: dict[str, Any], name: str) -> None:
    """Means with errors: points for SGD, lines for the levels derived from it."""
    label, colour, marker = LEVELS[name]
    mean, error = np.array(path["mean"]), np.array(path["error"])
    kept = np.arange(len(time))
    if name == "sgd":  # points at equal distances on the logarithmic axis
        wanted = np.geomspace(time[0], time[-1], 25)
        kept = np.unique(np.abs(np.log(time[:, None] / wanted)).argmin(axis=0))
    for i in range(mean.shape[1]):
        style = {"fmt": marker, "markersize": 3.5} if name == "sgd" else {
            "linewidth": 1.3, "linestyle": "--" if name == "independent" else "-"}  # fmt: skip
        axes.errorbar(time[kept], mean[kept, i], error[kept, i], color=colour, elinewidth=0.8,
                      label=label if i == 0 else None, **style)  # fmt: skip
