"""Figures of the linear networks: teacher-student scaling, relaxation and densities with one hidden layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from dysonsim.reproduce.style import DATA, SPECIES, THEORY, figure, filled, law, panel, probability, styled, value

X = r"\sqrt{\alpha\,\varepsilon^2/|B|}"
SCANS = (("scan_batch_size", DATA, "o", r"scan in $|B|$ at $\alpha=0.1$"),
         ("scan_learning_rate", "#e08a1e", "s", r"scan in $\alpha$ at $|B|=16$"))  # fmt: skip


@styled
def teacher(results: dict[str, Any]) -> Any:
    """<S> and sqrt(pi) sigma of the singular values against the scaling variable, and their ratio against alpha."""
    data = results["parts"]["teacher"]["data"]
    fig = figure(10, 4.8)
    line, ratio = fig.subplots(1, 2)
    x, alpha, exact = (np.array(data[key]) for key in ("x", "learning_rate", "exact"))
    for scan, colour, marker, label in SCANS:
        k = data[scan]
        beside = alpha[k]
        if marker == "o":  # the points of the scan in |B| share one alpha
            beside = beside + 0.003 * (np.arange(len(k)) - (len(k) - 1) / 2)
            ratio.plot(
                beside, exact[k] / x[k], "_", color=colour, markersize=9, label="exact variances, each $|B|$"
            )
        else:
            ratio.plot(
                alpha[k], exact[k] / x[k], color=colour, linewidth=1, label="exact variances, $|B|=16$"
            )
        for name, size, face in (("spacing", 4, colour), ("width", 7, "none")):
            y, error = np.array(data[name])[k], np.array(data[f"{name}_error"])[k]
            style = {
                "fmt": marker,
                "color": colour,
                "markerfacecolor": face,
                "markersize": size,
                "elinewidth": 0.9,
            }
            line.errorbar(
                1e3 * x[k], 1e3 * y, 1e3 * error, label=label if name == "spacing" else None, **style
            )
            ratio.errorbar(beside + (0.0007 if name == "width" else 0.0), y / x[k], error / x[k], **style)
    end = np.array([0, 1.06 * x.max()])
    fit = data["fits"]["spacing"]["batch_size"]["line"]
    slope, formula = value(fit["slope"], fit["slope_error"]), data["slope_at_fixed_rate"]
    line.plot(
        1e3 * end,
        fit["slope"] * 1e3 * end,
        color=DATA,
        linewidth=1,
        label=rf"fit at $\alpha=0.1$: slope {slope}",
    )
    text = rf"$\sqrt{{\pi/(1-\alpha/2)}} = {formula:.4f}$"
    line.plot(1e3 * end, formula * 1e3 * end, color=THEORY, linestyle="--", linewidth=1, label=text)
    line.set(xlim=(0, 1e3 * end[1]), ylim=(0, None), xlabel=rf"$10^3\,{X}$")
    line.set_ylabel(r"$10^3\langle S\rangle$ (filled),  $10^3\sqrt{\pi}\,\sigma$ (open)")
    line.legend(loc="upper left")
    a = np.linspace(0, 0.115, 100)
    text = r"$\sqrt{\pi/(1-\alpha/2)}$"
    ratio.plot(a, np.sqrt(np.pi / (1 - a / 2)), color=THEORY, linestyle="--", linewidth=1, label=text)
    ratio.axhline(np.sqrt(np.pi), color="#8a8a8a", linestyle=":", linewidth=1, label=r"$\sqrt{\pi}$")
    ratio.set(xlim=(0, 0.115), xlabel=r"$\alpha$")
    ratio.set_ylabel(rf"$\langle S\rangle$, $\sqrt{{\pi}}\,\sigma$  over  ${X}$")
    ratio.legend(loc="upper left")
    panel(line, "a")
    panel(ratio, "b")
    return fig


@styled
def relaxation(results: dict[str, Any]) -> Any:
    """Single networks, mean and fit of both eigenvalues, mild and strong output layer."""
    data = results["parts"]["relaxation"]["data"]
    fig = figure(10, 4.6)
    for axes, letter, network in zip(
        fig.subplots(1, 2, sharey=True), "ab", data["networks"].values(), strict=True
    ):
        time, mean, single = (np.array(network[key]) for key in ("time", "mean", "single"))
        for k, (level, colour) in enumerate(zip(network["levels"], (DATA, "#e08a1e"), strict=True)):
            axes.plot(time, single[:, :, k].T, color=colour, linewidth=0.5, alpha=0.3)
            axes.plot(time, mean[:, k], color=colour, linewidth=2)
            own = level["fits"]["own"]
            fit = level["fits"].get("late", own)
            late = time >= fit["start"] - 1e-9
            axes.plot(time[late], np.array(fit["curve"])[late], color=THEORY, linestyle="--", linewidth=1.2)
            gamma = value(own["gamma"], own["errors"]["gamma"])
            rates = rf"$\gamma={gamma}$ ({level['gamma_predicted']:.4f})"
            axes.plot([], [], color=colour, linewidth=2, label=rf"$z={level['z']:g}$: {rates}")
        axes.plot([], [], color=THEORY, linestyle="--", linewidth=1.2, label="fits")
        axes.axvline(data["start"], color="#8a8a8a", linestyle=":", linewidth=1)
        axes.axhline(4, color="#8a8a8a", linestyle=":", linewidth=1)
        axes.set(xlim=(0, 8), ylim=(0, 4.4), xlabel=r"time $t = \alpha \times$ SGD steps")
        axes.legend(
            loc="lower right", title="row: fitted (expected) rate", title_fontsize=11, alignment="left"
        )
        panel(axes, letter, rf"$Z = \mathrm{{diag}}({network['z'][0]:g},\, {network['z'][1]:g})$")
    fig.axes[0].set_ylabel(r"eigenvalues $x_i$ of $W^T W$")
    return fig


@styled
def densities(results: dict[str, Any]) -> Any:
    """Stationary densities with three laws; below, data and laws minus the exact law with predicted widths."""
    data = results["parts"]["densities"]["data"]
    fig = figure(10, 7)
    axes = fig.subplots(2, 2, sharex="col", height_ratios=(2, 1))
    for column, network in enumerate(data["networks"].values()):
        upper, lower = axes[:, column]
        bars = network["histogram"]
        edges, density = np.array(bars["edges"]), np.array(bars["density"])
        x = np.linspace(edges[0], edges[-1], 500)
        unit = 1e3  # everything in units of 10^-3 about the teacher's singular value
        shown = {
            "edges": unit * (edges - 2),
            "density": density / unit,
            "error": np.array(bars["error"]) / unit,
        }
        filled(upper, shown, "#7f9fc4")
        reference = law(network["predicted"]["exact"])
        centre = (edges[1:] + edges[:-1]) / 2
        scale = 100 / reference.pdf(x).max()
        difference = scale * (density - _binned(reference, edges))
        error = scale * np.array(bars["error"])
        style = {"fmt": "o", "color": "#4a6f9c", "markersize": 3, "elinewidth": 0.8}
        lower.errorbar(unit * (centre - 2), difference, error, **style)
        for name, fit in network["fits"].items():
            fitted = law(fit)
            dash = "--" if name == "two species" else "-"
            label = (
                f"{name}, ${probability(fit['pvalue'])}$" if fit["pvalue"] >= 1e-3 else f"{name}, $p < 0.001$"
            )
            upper.plot(unit * (x - 2), fitted.pdf(x) / unit, dash, color=SPECIES[name], label=label)
            lower.plot(unit * (x - 2), scale * (fitted.pdf(x) - reference.pdf(x)), dash, color=SPECIES[name])
        known = network["predicted"]["exact"]
        upper.plot(unit * (x - 2), reference.pdf(x) / unit, ":", color=THEORY,
                   label=f"exact, widths predicted, ${probability(known['pvalue'])}$")  # fmt: skip
        lower.axhline(0, color=THEORY, linestyle=":", linewidth=1)
        z = network["z"]
        panel(upper, "ab"[column], rf"$Z = \mathrm{{diag}}({z[0]:g},\, {z[1]:g})$")
        panel(lower, "cd"[column])
        lower.set_xlabel(r"$(\xi - 2) \times 10^3$")
        upper.set_ylim(0, 1.5 * shown["density"].max())
        upper.legend(loc="upper left", fontsize=10.5)
    axes[0, 0].set_ylabel(r"density of singular values, per $10^{-3}$")
    axes[1, 0].set_ylabel("difference from\npredicted exact law (%)")
    return fig


def _binned(reference: Any, edges: np.ndarray) -> np.ndarray:
    """The law averaged over each bin, as a histogram sees it."""
    return np.diff(reference.cdf(edges)) / np.diff(edges)
