"""The project in one figure: a spectrum, the Wigner surmise and linear scaling, from the parts that measured them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dysonsim import laws
from dysonsim.reproduce.parts import Figure, Part, redraw
from dysonsim.reproduce.scaling import ROOT, RULE, pairs_with_marks
from dysonsim.reproduce.style import (
    DATA,
    THEORY,
    draw_histogram,
    fill_histogram,
    kappa_colors,
    label_panel,
    new_figure,
    shades,
    stored_law,
    styled,
)

SHOWN = ("spectrum", "surmise", "scaling")


def measure(results: dict[str, Any]) -> Part:
    """Return the figure, which shows what the parts SHOWN have put into the results; nothing new is simulated."""
    missing = [name for name in SHOWN if results["parts"].get(name, {}).get("status") != "ok"]
    if missing:
        raise RuntimeError(f"the overview needs the parts {', '.join(missing)}, which did not run")
    alt = (
        "Three panels: stationary eigenvalue densities of a trained RBM around its target eigenvalues; spacing "
        "distributions of SGD at all learning rates and batch sizes on the Wigner surmise; mean spacings on the line "
        "of the linear scaling rule."
    )
    caption = (
        "Stochastic gradient descent as Dyson Brownian motion. (a) Stationary eigenvalues of a trained Gaussian RBM "
        "and their targets (dashed). (b) Spacings of a degenerate pair of eigenvalues at every learning rate and batch "
        "size, in units of their mean, and the Wigner surmise. (c) Mean spacings of all pairs and the linear scaling "
        "rule, without a free parameter."
    )
    return Part({}, [Figure("overview", alt, caption, redraw("overview"))])


@styled
def draw(results: dict[str, Any]) -> Any:
    """Spectrum, collapse on the surmise and linear scaling side by side."""
    parts = results["parts"]
    fig = new_figure(13, 4.3)
    left, middle, right = fig.subplots(1, 3)
    modes = parts["spectrum"]["data"]["modes"]
    for mode, color in zip(modes.values(), kappa_colors(len(modes)), strict=True):
        fitted = stored_law(mode["comparison"])
        x = np.linspace(mode["edges"][0], mode["edges"][-1], 300)
        fill_histogram(left, mode, color, scale=mode["levels"])
        left.plot(x, mode["levels"] * fitted.pdf(x), color=THEORY, linewidth=1)
        left.axvline(mode["kappa"], color=THEORY, linestyle="--", linewidth=0.8)
    left.set(xlabel=r"eigenvalues $\lambda = \mu^2 - x$", ylabel="density of eigenvalues", ylim=(0, None))
    label_panel(left, "a", "a trained RBM finds its target spectrum")
    data = parts["surmise"]["data"]
    for scan, cmap, mark in (("scan_batch_size", "Blues", "o"), ("scan_learning_rate", "Oranges", "s")):
        for k, color in zip(data[scan], shades(cmap, len(data[scan])), strict=True):
            draw_histogram(middle, data["points"][k]["s"], color, fmt=mark, markersize=3)
    s = np.linspace(0, 3.4, 300)
    middle.plot(s, laws.WignerSurmise(1).pdf(s), color=THEORY, label="Wigner surmise", zorder=5)
    middle.plot([], [], "o", color=DATA, markersize=4, label=r"SGD, $|B|$ varied")
    middle.plot([], [], "s", color="#e08a1e", markersize=4, label=r"SGD, $\alpha$ varied")
    middle.set(xlabel=r"$s = S/\langle S\rangle$", ylabel="$P(s)$", xlim=(0, 3.4), ylim=(0, None))
    middle.legend(loc="upper right")
    label_panel(middle, "b", "its eigenvalues repel as in Dyson's theory")
    data = parts["scaling"]["data"]
    for pair, color, marker in pairs_with_marks(data):
        style = {"fmt": marker, "color": color, "markersize": 4.5, "elinewidth": 0.9}
        right.errorbar(
            pair["x"], pair["spacing"], pair["spacing_error"], label=rf"$\kappa={pair['kappa']:.3f}$", **style
        )
    end = np.array(
        [
            0.8 * min(min(pair["x"]) for pair in data["pairs"]),
            1.2 * max(max(pair["x"]) for pair in data["pairs"]),
        ]
    )
    right.plot(end, np.sqrt(2 * np.pi) * end, color=THEORY, linestyle="--", linewidth=1, label=RULE)
    right.set(xscale="log", yscale="log", xlim=end, xlabel=rf"${ROOT}$", ylabel=r"mean spacing $\langle S\rangle$")
    ticks = [0.02, 0.05, 0.1, 0.2, 0.4, 0.8]
    for axis in (right.xaxis, right.yaxis):
        low, high = axis.get_view_interval()
        shown = [tick for tick in ticks if low <= tick <= high]
        axis.set_ticks(shown, [f"{tick:g}" for tick in shown])
        axis.set_ticks([], minor=True)
    right.legend(loc="upper left")
    label_panel(right, "c", r"and their spacing scales with $\sqrt{\alpha/|B|}$")
    return fig
