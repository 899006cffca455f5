"""Figures of the Gaussian RBM: spectrum, Wigner surmise, linear scaling, mean levels, and the overview."""

from __future__ import annotations

from typing import Any

import numpy as np

from dysonsim.reproduce.style import (
    DATA,
    LAW,
    THEORY,
    figure,
    filled,
    kappa_colours,
    law,
    panel,
    points,
    probability,
    ratio_axis,
    shades,
    styled,
    value,
)  # fmt: skip

ROOT = r"\sqrt{(\alpha/|B|)\,(\mu^2-\kappa)}"
RULE = rf"$\sqrt{{2\pi}}\,{ROOT}$"
MARKERS = ("o", "s", "D", "^")


@styled
def spectrum(results: dict[str, Any]) -> Any:
    """Training and stationary densities of all ten levels; a pair and two single modes with their laws."""
    data = results["parts"]["spectrum"]["data"]
    modes = data["modes"]
    colours = dict(zip(modes, kappa_colours(len(modes)), strict=True))
    fig = figure(10, 8.2)
    top, bottom = fig.subfigures(2, 1, height_ratios=(1.12, 1))
    training, density = top.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    _draw_training(training, data, colours)
    for name, mode in modes.items():
        bars = mode["comparison"], mode["levels"]
        fitted = law(bars[0])
        height = bars[1]
        y = np.linspace(mode["edges"][0], mode["edges"][-1], 300)
        density.stairs(height * np.array(mode["density"]), mode["edges"], orientation="horizontal", fill=True,
                       color=colours[name], alpha=0.45)  # fmt: skip
        density.plot(height * fitted.pdf(y), y, color=colours[name])
        density.axhline(mode["kappa"], color=THEORY, linestyle="--", linewidth=0.8)
        text = rf"$\kappa={mode['kappa']:.3f}$" + (r" $(\times 2)$" if height == 2 else "")
        density.annotate(text, (0.98, mode["kappa"]), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                         fontsize=11)  # fmt: skip
    density.set_xlabel("stationary density of levels")
    density.set_xlim(0, 1.3 * max(mode["levels"] * max(mode["density"]) for mode in modes.values()))
    panel(density, "b")
    singles = data["singles"]
    for axes, letter, name in zip(bottom.subplots(1, 3), "cde", (data["pair"], *singles), strict=True):
        _draw_mode(axes, modes[name], colours[name])
        panel(axes, letter, rf"$\kappa={modes[name]['kappa']:.3f}$")
    return fig


def _draw_training(axes: Any, data: dict[str, Any], colours: dict[str, Any]) -> None:
    training = data["training"]
    time = np.array(training["time"])
    mean, low, high = (np.array(training[key]) for key in ("mean", "low", "high"))
    for level, kappa in enumerate(data["kappa"]):
        name = min(data["modes"], key=lambda n: abs(data["modes"][n]["kappa"] - kappa))
        axes.fill_between(time, low[:, level], high[:, level], color=colours[name], alpha=0.25, linewidth=0)
        axes.plot(time, mean[:, level], color=colours[name])
        axes.axhline(kappa, color=THEORY, linestyle="--", linewidth=0.8)
    axes.set_xlim(0, min(600.0, float(time[-1])))
    axes.set_xlabel(r"time $t = \alpha \times$ SGD steps")
    axes.set_ylabel(r"$\lambda_i = \mu^2 - x_i$")
    panel(axes, "a")


def _draw_mode(axes: Any, mode: dict[str, Any], colour: Any) -> None:
    """One pair or one level: histogram, fitted law, law with predicted width and mean."""
    comparison = mode["comparison"]
    fitted = law(comparison)
    filled(axes, mode, colour)
    points(axes, mode, colour, markersize=2.5)
    x = np.linspace(mode["edges"][0], mode["edges"][-1], 400)
    name = {"TwoLevel": "two-level law", "Normal": "Gaussian"}[comparison["law"]]
    width = value(fitted.scale, comparison["errors"]["scale"])
    axes.plot(x, fitted.pdf(x), color=LAW, label=rf"{name}, $\sigma={width}$")
    predicted = fitted.replace(**mode["predicted"])
    axes.plot(
        x,
        predicted.pdf(x),
        color=THEORY,
        linestyle=":",
        label=rf"leading order, $\sigma={predicted.scale:.4f}$",
    )
    axes.axvline(mode["kappa"], ymax=0.68, color=THEORY, linestyle="--", linewidth=0.8)
    axes.set_xlabel(r"$\lambda$")
    axes.set_ylabel("density")
    axes.set_ylim(0, 1.5 * max(mode["density"]))
    title = f"${probability(comparison['pvalue'])}$"
    axes.legend(loc="upper left", fontsize=10.5, title=title, title_fontsize=10.5, alignment="left")


@styled
def surmise(results: dict[str, Any]) -> Any:
    """P(S) above P(s), the scan in |B| on the left, that in alpha on the right."""
    data = results["parts"]["surmise"]["data"]
    fig = figure(10, 8)
    axes = fig.subplots(2, 2)
    scans = (
        ("scan_batch_size", "batch_size", "Blues", r"$|B|={}$"),
        ("scan_learning_rate", "learning_rate", "Oranges", r"$\alpha={:g}$"),
    )
    fixed = {"scan_batch_size": r"$\alpha=0.1$", "scan_learning_rate": r"$|B|=16$"}
    shown = [abs(k - data["shown_kappa"]) < 1e-9 for k in data["kappa"]].index(True)
    for column, (scan, key, cmap, form) in enumerate(scans):
        records = [data["points"][k] for k in data[scan]]
        for record, colour in zip(records, shades(cmap, len(records)), strict=True):
            name = form.format(record[key])
            width = value(record["mean_spacing"], record["mean_spacing_error"])
            points(axes[0, column], record["S"], colour, rf"{name},  $\langle S\rangle={width}$")
            s = np.linspace(0, record["S"]["edges"][-1], 300)
            axes[0, column].plot(
                s, _surmise(s / record["fitted_mean"][shown]) / record["fitted_mean"][shown], color=colour
            )
            points(axes[1, column], record["s"], colour, f"{name},  ${probability(record['pvalue'][shown])}$")
        s = np.linspace(0, 3.4, 300)
        axes[1, column].plot(
            s, _surmise(s), color=THEORY, label=r"$\frac{\pi}{2}\, s\, e^{-\pi s^2/4}$", zorder=5
        )
        axes[1, column].plot(
            s, _surmise(s, beta=2), color=THEORY, linestyle=":", label=r"surmise, $\beta=2$", linewidth=1
        )
        axes[0, column].set(xlabel="$S$", ylabel="$P(S)$", ylim=(0, None))
        axes[0, column].set_xlim(0, 3.2 * max(r["mean_spacing"] for r in records))
        axes[1, column].set(
            xlabel=r"$s = S/\langle S\rangle$", ylabel="$P(s)$", xlim=(0, 3.4), ylim=(0, 0.98)
        )
        for row, letter in zip(axes[:, column], ("ac", "bd")[column], strict=True):
            row.legend(loc="upper right")
            panel(row, letter, rf"{fixed[scan]}, pair at $\kappa={data['shown_kappa']:.3f}$")
    return fig


def _surmise(s: np.ndarray, beta: int = 1) -> np.ndarray:
    from dysonsim.laws import WignerSurmise

    return WignerSurmise(beta=beta).pdf(s)


@styled
def scaling(results: dict[str, Any]) -> Any:
    """Spacings and widths against the scaling variable, and over their leading order against alpha/|B|."""
    data = results["parts"]["scaling"]["data"]
    fig = figure(10, 4.9)
    line, ratio = fig.subplots(1, 2)
    _draw_scaling(line, data)
    reach = np.array(data["ratio"])
    small = [data["ratio"][k] for k in data["extrapolated_from"]]
    epsilon = np.geomspace(min(small) / 1.6, max(small), 200)
    for pair, colour, marker in _pairs(data):
        predicted = pair["slope_predicted"] * np.array(pair["x"])
        for name, style in _twice(colour, marker):
            y, error = np.array(pair[name]) / predicted, np.array(pair[f"{name}_error"]) / predicted
            ratio.errorbar(reach * (0.98 if name == "spacing" else 1.02), y, error, **style)
        trend = pair["fits"]["spacing"]["small"]["trend"]
        curve = trend["slope"] * (1 + trend["coefficient"] * epsilon) / pair["slope_predicted"]
        slope = value(trend["slope"], trend["slope_error"])
        label = rf"$\kappa={pair['kappa']:.3f}$:  {slope}, predicted {pair['slope_predicted']:.3f}"
        ratio.plot(epsilon, curve, color=colour, label=label)
    ratio.axhline(1, color=THEORY, linestyle="--", linewidth=0.9)
    ratio_axis(ratio)
    ratio.set(ylabel="measured / leading order", ylim=(0.5, 1.06))
    ratio.legend(loc="lower left", title=r"$\langle S\rangle/\sqrt{(\alpha/|B|)(\mu^2-\kappa)}$ for $\alpha/|B| \to 0$",
                 title_fontsize=11, alignment="left")  # fmt: skip
    panel(line, "a")
    panel(ratio, "b")
    return fig


def _pairs(data: dict[str, Any]) -> Any:
    """Pairs with the colours of the spectrum and a marker each."""
    colours = kappa_colours(6)[1:5]
    return zip(data["pairs"], colours, MARKERS, strict=True)


def _twice(colour: Any, marker: str) -> list[tuple[str, dict[str, Any]]]:
    """Spacings as filled marks, widths as larger open ones around them."""
    common = {"fmt": marker, "color": colour, "elinewidth": 0.9}
    return [
        ("spacing", {**common, "markersize": 4}),
        ("width", {**common, "markersize": 7, "markerfacecolor": "none"}),
    ]


def _draw_scaling(axes: Any, data: dict[str, Any]) -> None:
    reach = 1.06 * max(max(pair["x"]) for pair in data["pairs"])
    for pair, colour, marker in _pairs(data):
        for name, style in _twice(colour, marker):
            label = rf"$\kappa={pair['kappa']:.3f}$" if name == "spacing" else None
            axes.errorbar(pair["x"], pair[name], pair[f"{name}_error"], label=label, **style)
    end = np.array([0, reach])
    axes.plot(end, np.sqrt(2 * np.pi) * end, color=THEORY, linestyle="--", linewidth=1, label=RULE)
    axes.set(xlim=(0, reach), ylim=(0, np.sqrt(2 * np.pi) * reach))
    axes.set_xlabel(rf"${ROOT}$")
    axes.set_ylabel(r"$\langle S\rangle$ (filled),  $\sqrt{\pi}\,\sigma$ (open)")
    axes.legend(loc="upper left")


@styled
def mean_levels(results: dict[str, Any]) -> Any:
    """lambda/kappa against alpha/|B|, and the measured over the predicted shift."""
    data = results["parts"]["scaling"]["data"]
    fig = figure(10, 4.4)
    level, ratio = fig.subplots(1, 2)
    x = np.array(data["ratio"])
    end = np.array([0, 1.05 * x.max()])
    for pair, colour, marker in _pairs(data):
        y, error, predicted = (np.array(pair[key]) for key in ("level", "level_error", "level_predicted"))
        options = {"fmt": marker, "color": colour, "markersize": 4.5, "elinewidth": 0.9}
        level.errorbar(x, y, error, label=rf"$\kappa={pair['kappa']:.3f}$", **options)
        level.plot(end, 1 + end * (predicted[0] - 1) / x[0], color=colour, linewidth=1)
        ratio.errorbar(x, (y - 1) / (predicted - 1), error / np.abs(predicted - 1), **options)
    level.set(xlim=(0, end[1]), xlabel=r"$\alpha/|B|$", ylabel=r"$\langle\lambda\rangle/\kappa$")
    level.legend(loc="upper left")
    ratio.axhline(1, color=THEORY, linestyle="--", linewidth=0.9)
    ratio_axis(ratio)
    ratio.set(ylabel="measured / predicted shift", ylim=(0.55, 1.45))
    panel(level, "a")
    panel(ratio, "b")
    return fig


@styled
def overview(results: dict[str, Any]) -> Any:
    """Spectrum, collapse on the surmise and linear scaling side by side."""
    parts = results["parts"]
    fig = figure(13, 4.3)
    left, middle, right = fig.subplots(1, 3)
    modes = parts["spectrum"]["data"]["modes"]
    for mode, colour in zip(modes.values(), kappa_colours(len(modes)), strict=True):
        fitted = law(mode["comparison"])
        x = np.linspace(mode["edges"][0], mode["edges"][-1], 300)
        filled(left, mode, colour, scale=mode["levels"])
        left.plot(x, mode["levels"] * fitted.pdf(x), color=THEORY, linewidth=1)
        left.axvline(mode["kappa"], color=THEORY, linestyle="--", linewidth=0.8)
    left.set(xlabel=r"eigenvalues $\lambda = \mu^2 - x$", ylabel="density of levels", ylim=(0, None))
    panel(left, "a", "a trained RBM finds its target spectrum")
    data = parts["surmise"]["data"]
    for scan, cmap, mark in (("scan_batch_size", "Blues", "o"), ("scan_learning_rate", "Oranges", "s")):
        for k, colour in zip(data[scan], shades(cmap, len(data[scan])), strict=True):
            points(middle, data["points"][k]["s"], colour, fmt=mark, markersize=3)
    s = np.linspace(0, 3.4, 300)
    middle.plot(s, _surmise(s), color=THEORY, label="Wigner surmise", zorder=5)
    middle.plot([], [], "o", color=DATA, markersize=4, label=r"SGD, scan in $|B|$")
    middle.plot([], [], "s", color="#e08a1e", markersize=4, label=r"SGD, scan in $\alpha$")
    middle.set(xlabel=r"$s = S/\langle S\rangle$", ylabel="$P(s)$", xlim=(0, 3.4), ylim=(0, None))
    middle.legend(loc="upper right")
    panel(middle, "b", "its levels repel as Dyson says")
    data = parts["scaling"]["data"]
    for pair, colour, marker in _pairs(data):
        style = {"fmt": marker, "color": colour, "markersize": 4.5, "elinewidth": 0.9}
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
    right.set(
        xscale="log", yscale="log", xlim=end, xlabel=rf"${ROOT}$", ylabel=r"mean spacing $\langle S\rangle$"
    )
    ticks = [0.02, 0.05, 0.1, 0.2, 0.4, 0.8]
    for axis in (right.xaxis, right.yaxis):
        low, high = axis.get_view_interval()
        shown = [tick for tick in ticks if low <= tick <= high]
        axis.set_ticks(shown, [f"{tick:g}" for tick in shown])
        axis.set_ticks([], minor=True)
    right.legend(loc="upper left")
    panel(right, "c", r"and their spacing scales with $\sqrt{\alpha/|B|}$")
    return fig
