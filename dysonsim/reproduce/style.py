"""One look for all figures: sizes, colors, and the marks that several of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

STYLE: Any = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 13,
    "axes.labelsize": 14,
    "axes.titlesize": 13,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.5,
    "savefig.dpi": 160,
}
DATA = "#3b6ea5"
LAW = "#c23b22"
THEORY = "black"
SPECIES = {"one species": "#8a8a8a", "two species": "#e08a1e", "exact": "#c23b22"}
DESCRIPTIONS: dict[str, tuple[str, str, str]] = {  # label, color, marker
    "sgd": ("SGD", THEORY, "o"),
    "langevin": ("Langevin", DATA, "s"),
    "dyson": ("Dyson", LAW, "D"),
    "independent": ("Dyson (independent wells)", "#e08a1e", "^"),
    "gas": ("Coulomb gas", "#7a7a7a", "v"),
}
TITLES = {name: label for name, (label, _, _) in DESCRIPTIONS.items()}
SIDE = 0.018  # between the marks of two descriptions, in units of the axis


def styled(draw: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Let a function draw with STYLE."""

    @wraps(draw)
    def inner(results: dict[str, Any]) -> Any:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(results)

    return inner


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure made without pyplot: no window, no global state. It is also saved with STYLE."""
    import matplotlib
    from matplotlib.figure import Figure

    class StyledFigure(Figure):
        def savefig(self, *args: Any, **options: Any) -> None:
            with matplotlib.rc_context(STYLE):  # ticks are made only now
                super().savefig(*args, **options)

    return StyledFigure(figsize=(width, height), layout="constrained")


def shades(name: str, count: int, low: float = 0.35, high: float = 1.0) -> list[Any]:
    """Return `count` colors out of a matplotlib color map."""
    from matplotlib import colormaps

    return [colormaps[name](v) for v in np.linspace(low, high, count)]


def kappa_colors(count: int) -> list[Any]:
    """Return one color for each distinct kappa, ascending."""
    return shades("viridis", count, 0.0, 0.85)


def ratio_axis(axes: Any) -> None:
    """Make the horizontal axis logarithmic in alpha/|B|, with few labels."""
    axes.set_xscale("log")
    axes.set_xlabel(r"$\alpha/|B|$")
    axes.set_xticks([0.001, 0.003, 0.01, 0.03], ["0.001", "0.003", "0.01", "0.03"])
    axes.set_xticks([], minor=True)


def label_panel(axes: Any, letter: str, text: str = "") -> None:
    """Write (a), (b), ... above the upper left corner."""
    axes.set_title(f"({letter})  {text}" if text else f"({letter})", loc="left")


def draw_histogram(
    axes: Any, bars: Mapping[str, ArrayLike], color: Any, label: str | None = None, **options: Any
) -> None:
    """Draw a histogram as points with error bars at the centers of its bins, without empty bins."""
    edges, density, error = (np.array(bars[key]) for key in ("edges", "density", "error"))
    kept = density > 0
    center = (edges[1:] + edges[:-1]) / 2
    options = {"fmt": "o", "markersize": 3.2, "elinewidth": 0.9, "capsize": 0, **options}
    axes.errorbar(center[kept], density[kept], error[kept], color=color, label=label, **options)


def fill_histogram(axes: Any, bars: Mapping[str, ArrayLike], color: Any, scale: float = 1.0, **options: Any) -> None:
    """Draw a histogram as a filled outline."""
    density = scale * np.array(bars["density"])
    axes.stairs(density, bars["edges"], color=color, fill=True, alpha=0.45, **options)
    axes.stairs(density, bars["edges"], color=color, linewidth=0.9, **options)


def stored_law(comparison: dict[str, Any]) -> Any:
    """Return the law of a stored comparison."""
    from dysonsim import laws

    return getattr(laws, comparison["law"])(**comparison["parameters"])


def math_value(number: float, error: float) -> str:
    """Write a number with its error in the last digits, for mathtext: 2.472(9)."""
    if not (np.isfinite(error) and error > 0):
        return f"{number:.4g}"
    decimals = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{number:.{decimals}f}({round(error * 10**decimals)})"


def math_probability(p: float) -> str:
    """Write a p-value with at most two digits, in mathtext."""
    if p >= 1e-4:
        return f"p = {p:.2g}"
    if p < 1e-300:
        return r"p < 10^{-300}"
    mantissa, exponent = f"{p:.0e}".split("e")
    return rf"p = {mantissa}\times 10^{{{int(exponent)}}}"


def mark_descriptions(axes: Any, x: np.ndarray, values: dict[str, Any], width: float, labels: bool = False) -> None:
    """Draw values with errors at every x, the descriptions side by side."""
    for k, (name, (label, color, marker)) in enumerate(DESCRIPTIONS.items()):
        if name not in values:
            continue
        value, error = np.array(values[name]).T
        at = x + SIDE * width * (k - (len(DESCRIPTIONS) - 1) / 2)
        axes.errorbar(at, value, error, fmt=marker, color=color, markersize=4.5, elinewidth=1,
                      label=label if labels else None)  # fmt: skip


def legend_above(fig: Any, axes: Any) -> None:
    """Put the legend of these axes in one row above the figure."""
    found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    labels = [label for label in TITLES.values() if label in found]
    fig.legend([found[label] for label in labels], labels, loc="outside upper center", ncols=len(labels), fontsize=12)
