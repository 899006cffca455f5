"""One look for all figures: sizes, colours, and the marks that several of them share."""

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


def styled(draw: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    """Draw with STYLE."""

    @wraps(draw)
    def inner(results: dict[str, Any]) -> Any:
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(results)

    return inner


def figure(width: float, height: float) -> Any:
    """An empty figure, without pyplot: no window, no global state. It is saved with STYLE, too."""
    import matplotlib
    from matplotlib.figure import Figure

    class StyledFigure(Figure):
        def savefig(self, *args: Any, **options: Any) -> None:
            with matplotlib.rc_context(STYLE):  # ticks are made only now
                super().savefig(*args, **options)

    return StyledFigure(figsize=(width, height), layout="constrained")


def shades(name: str, count: int, low: float = 0.35, high: float = 1.0) -> list[Any]:
    """`count` colours out of a matplotlib colour map."""
    from matplotlib import colormaps

    return [colormaps[name](v) for v in np.linspace(low, high, count)]


def kappa_colours(count: int) -> list[Any]:
    """One colour for each distinct kappa, ascending."""
    return shades("viridis", count, 0.0, 0.85)


def ratio_axis(axes: Any) -> None:
    """Logarithmic axis for alpha/|B|, with few labels."""
    axes.set_xscale("log")
    axes.set_xlabel(r"$\alpha/|B|$")
    axes.set_xticks([0.001, 0.003, 0.01, 0.03], ["0.001", "0.003", "0.01", "0.03"])
    axes.set_xticks([], minor=True)


def panel(axes: Any, letter: str, text: str = "") -> None:
    """(a), (b), ... above the upper left corner."""
    axes.set_title(f"({letter})  {text}" if text else f"({letter})", loc="left")


def points(
    axes: Any, bars: Mapping[str, ArrayLike], colour: Any, label: str | None = None, **options: Any
) -> None:
    """A histogram as points with error bars at the centres of its bins; empty bins are left out."""
    edges, density, error = (np.array(bars[key]) for key in ("edges", "density", "error"))
    kept = density > 0
    centre = (edges[1:] + edges[:-1]) / 2
    options = {"fmt": "o", "markersize": 3.2, "elinewidth": 0.9, "capsize": 0, **options}
    axes.errorbar(centre[kept], density[kept], error[kept], color=colour, label=label, **options)


def filled(axes: Any, bars: Mapping[str, ArrayLike], colour: Any, scale: float = 1.0, **options: Any) -> None:
    """A histogram as a filled outline."""
    density = scale * np.array(bars["density"])
    axes.stairs(density, bars["edges"], color=colour, fill=True, alpha=0.45, **options)
    axes.stairs(density, bars["edges"], color=colour, linewidth=0.9, **options)


def law(comparison: dict[str, Any]) -> Any:
    """The law of a stored comparison."""
    from dysonsim import laws

    return getattr(laws, comparison["law"])(**comparison["parameters"])


def value(number: float, error: float) -> str:
    """Number with error in the last digits, for mathtext: 2.472(9)."""
    if not (np.isfinite(error) and error > 0):
        return f"{number:.4g}"
    decimals = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{number:.{decimals}f}({round(error * 10**decimals)})"


def probability(p: float) -> str:
    """A p-value with two digits, in mathtext."""
    if p >= 1e-4:
        return f"p = {p:.2g}"
    if p < 1e-300:
        return r"p < 10^{-300}"
    mantissa, exponent = f"{p:.0e}".split("e")
    return rf"p = {mantissa}\times 10^{{{int(exponent)}}}"
