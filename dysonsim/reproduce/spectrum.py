"""The spectrum of the Gaussian RBM: all ten eigenvalues, one degenerate pair, and the two single ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dysonsim import laws
from dysonsim._text import with_error
from dysonsim.comparison.result import Comparison
from dysonsim.ensembles.run import mean_and_error
from dysonsim.models import GaussianRBM
from dysonsim.reproduce.ensembles import Ensembles, Point
from dysonsim.reproduce.parts import (
    NEXT_ORDER,
    WHY_NEXT_ORDER,
    Figure,
    Part,
    Row,
    Table,
    compare_finely,
    law_row,
    number_row,
    probability,
)
from dysonsim.reproduce.style import (
    LAW,
    THEORY,
    draw_histogram,
    fill_histogram,
    kappa_colors,
    label_panel,
    math_probability,
    math_value,
    new_figure,
    stored_law,
    styled,
)
from dysonsim.spectra.observables import histogram

PAIR = (3, 4)  # indices of the pair shown, which is far from its neighbors on both sides
SKEWNESS = 0.3  # Kolmogorov-Smirnov distance over sigma/x: 0.07 of a skewness of 4 sigma/x, rounded up
SHAPE = (
    "The laws are those of a quadratic well; SGD adds a skewness of relative order σ/x and curvature of order "
    "n α/|B|, which show with this many networks."
)
ALT = (
    "Five panels. Ten eigenvalues of a Gaussian RBM converge to their dashed targets during training; their "
    "stationary densities lie around the targets; the density of a degenerate pair has two humps and follows the "
    "two-level law, those of the two single eigenvalues are Gaussian."
)


@dataclass(frozen=True)
class Mode:
    """One well: its eigenvalues, their stationary values (networks, snapshots x levels), fitted law and predictions."""

    group: tuple[int, ...]
    kappa: float
    values: np.ndarray
    test: Comparison
    mean: float
    width: float

    @property
    def name(self) -> str:
        """The levels of the mode, as the report names them."""
        return "levels " + ",".join(map(str, self.group))

    @property
    def law(self) -> str:
        """Name of the law that the mode is compared with."""
        return type(self.test.law).__name__

    @property
    def fitted(self) -> str:
        """Return the fitted width with its error as text."""
        return with_error(self.test.law.scale, self.test.errors["scale"])


def measure(ensembles: Ensembles) -> Part:
    """Compare lambda = mu^2 - x with kappa, degenerate pairs with `TwoLevel`, and kappa_0 and kappa_5 with `Normal`."""
    point = ensembles.spectrum
    model = point.model
    # Hundreds of relaxation times later, a slowest mode below half its fixed point, ten widths away, is still growing.
    grown = point.levels[:, 0, 0] > model.fixed_point()[0] / 2
    modes = _modes(point, model.mu**2 - point.levels[grown], ensembles.size.resamples)
    pair = next(mode for mode in modes if mode.group == PAIR)
    singles = [mode for mode in modes if len(mode.group) == 1]
    path = model.mu**2 - point.run.eigenvalues
    low, high = np.quantile(path, [0.16, 0.84], axis=0)
    data = {
        "point": point.about(),
        "networks_left_out": int((~grown).sum()),
        "kappa": model.kappa,
        "training": {
            "time": point.learning_rate * point.run.steps,
            "mean": path.mean(axis=0),
            "low": low,
            "high": high,
        },
        "modes": {mode.name: _drawn(mode) for mode in modes},
        "pair": pair.name,
        "singles": [mode.name for mode in singles],
    }
    caption = (
        f"Stationary eigenvalues λ = μ² − x at α = {point.learning_rate:g}, |B| = {point.batch_size}. "
        "The predicted mean is of first order in α/|B| (GaussianRBM.mean_shift)."
    )
    header = ["κ", "level indices", "mean λ", "predicted", "law", "σ fitted", "σ leading order", "KS D", "p"]
    table = Table(caption, header, [_cells(mode) for mode in modes])
    figure = Figure("spectrum", ALT, _caption(point, pair, singles), _code(point))
    return Part(data, [figure], [table], _rows(point, modes))


def _modes(point: Point[GaussianRBM], values: np.ndarray, resamples: int) -> list[Mode]:
    """Return every well once, in ascending kappa (descending x); `values` are lambda, (networks, snapshots, n)."""
    model, rates = point.model, (point.learning_rate, point.batch_size)
    widths = model.stationary_widths(*rates)
    means = model.kappa - model.mean_shift(*rates)
    pairs = model.degenerate_groups()
    shared = {level for group in pairs for level in group}
    singles = [(level,) for level in range(model.n) if level not in shared]
    modes = []
    for group in sorted([*pairs, *singles], reverse=True):
        level, law = group[0], laws.TwoLevel if len(group) > 1 else laws.Normal
        mine = values[:, :, list(group)].reshape(len(values), -1)
        test = compare_finely(mine, law, resamples)
        modes.append(Mode(group, float(model.kappa[level]), mine, test, float(means[level]), float(widths[level])))
    return modes


def _drawn(mode: Mode) -> dict[str, Any]:
    bars = histogram(mode.values, _edges(mode.values))
    return {
        "kappa": mode.kappa,
        "levels": len(mode.group),
        "edges": bars.edges,
        "density": bars.density,
        "error": bars.error,
        "comparison": mode.test.to_dict(),
        "predicted": {"loc": mode.mean, "scale": mode.width},
    }


def _cells(mode: Mode) -> list[str]:
    mean, error = mean_and_error(mode.values.mean(axis=1))
    return [
        f"{mode.kappa:.4f}",
        " and ".join(map(str, mode.group)),
        with_error(float(mean), float(error)),
        f"{mode.mean:.4f}",
        mode.law,
        mode.fitted,
        f"{mode.width:.4f}",
        f"{mode.test.ks.statistic:.4f}",
        probability(mode.test.pvalue),
    ]


def _rows(point: Point[GaussianRBM], modes: list[Mode]) -> list[Row]:
    rows = []
    for mode in modes:
        allowed = NEXT_ORDER * point.model.n * point.ratio * mode.width
        levels = "levels" if len(mode.group) > 1 else "level"
        quantity = f"RBM, width σ of the {levels} at κ = {mode.kappa:.3f} ({mode.law} fit)"
        scale, error = mode.test.law.scale, mode.test.errors["scale"]
        rows.append(number_row(quantity, scale, error, mode.width, allowed=allowed, why=WHY_NEXT_ORDER))
    skewed = SKEWNESS * max(mode.width / (point.model.mu**2 - mode.kappa) for mode in modes)
    for size, quantity in ((2, "RBM, pairs follow TwoLevel"), (1, "RBM, single modes follow Normal")):
        tests = [mode.test for mode in modes if len(mode.group) == size]
        rows.append(law_row(quantity, tests, allowed=skewed, why=SHAPE))
    return rows


def _edges(values: np.ndarray, bins: int = 40) -> np.ndarray:
    """Return bins that leave out only far outliers, which would stretch the axis."""
    low, middle, high = np.quantile(values, [0.001, 0.5, 0.999])
    return np.linspace(middle - 1.25 * (middle - low), middle + 1.25 * (high - middle), bins + 1)


def _caption(point: Point[GaussianRBM], pair: Mode, singles: list[Mode]) -> str:
    first, last = singles
    snapshots = pair.values.shape[1] // 2
    interval = point.record_every * point.settled.step

    def said(mode: Mode) -> str:
        return f"σ = {mode.fitted}, p = {probability(mode.test.pvalue)} (leading order {mode.width:.4f})"

    return (
        "Gaussian RBM, scalar field on a ring of 10 sites (m = 2, μ = 3, σ_h = 1, k = 3 Gibbs steps), SGD "
        f"with α = {point.learning_rate:g}, |B| = {point.batch_size}: {point.replicas} networks, "
        f"{point.steps} steps, W₀ ~ N(0, 0.1²), seed {point.seed}. (a) Learned eigenvalues λ = μ² − x during "
        "training (mean over networks; band: 16% to 84%) and their targets κ (dashed). (b) Their stationary densities "
        f"with the fitted laws; {snapshots} snapshots per network, {interval} steps apart. Eigenvalues of a pair "
        "repel each other."
        f" (c) The pair at κ = {pair.kappa:.3f} with the two-level law: {said(pair)}. "
        f"(d), (e) The single modes with a Gaussian: κ₀ = {first.kappa:.0f}, {said(first)}; κ₅ = "
        f"{last.kappa:.0f}, {said(last)}. Fits are by maximum likelihood; errors and p-values "
        "(Kolmogorov–Smirnov) treat each network as one unit. A small p-value with a curve that looks right means that "
        "there are enough networks to resolve corrections of relative order σ/x and n α/|B|."
    )


def _code(point: Point[GaussianRBM]) -> str:
    pair = list(PAIR)
    return point.code() + (
        f"x = run.eigenvalues[:, {point.settled_text()}]\n"
        "x = x[x[:, 0, 0] > model.fixed_point()[0] / 2]  # networks whose slowest mode has grown\n"
        "levels = model.to_lambda(x)\n"
        f"pair = levels[:, :, {pair}].reshape(len(levels), -1)\n"
        "print(ds.compare(pair, ds.laws.TwoLevel))\n"
        "print(ds.compare(levels[:, :, 9], ds.laws.Normal), ds.compare(levels[:, :, 0], ds.laws.Normal))\n"
        f"print(model.stationary_widths({point.learning_rate}, {point.batch_size}))\n"
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw training and stationary densities of all ten eigenvalues, and a pair and two single ones with their laws."""
    data = results["parts"]["spectrum"]["data"]
    modes = data["modes"]
    colors = dict(zip(modes, kappa_colors(len(modes)), strict=True))
    fig = new_figure(10, 8.2)
    top, bottom = fig.subfigures(2, 1, height_ratios=(1.12, 1))
    training, density = top.subplots(1, 2, sharey=True, width_ratios=(1.5, 1))
    _draw_training(training, data, colors)
    for name, mode in modes.items():
        bars = mode["comparison"], mode["levels"]
        fitted = stored_law(bars[0])
        height = bars[1]
        y = np.linspace(mode["edges"][0], mode["edges"][-1], 300)
        density.stairs(height * np.array(mode["density"]), mode["edges"], orientation="horizontal", fill=True,
                       color=colors[name], alpha=0.45)  # fmt: skip
        density.plot(height * fitted.pdf(y), y, color=colors[name])
        density.axhline(mode["kappa"], color=THEORY, linestyle="--", linewidth=0.8)
        text = rf"$\kappa={mode['kappa']:.3f}$" + (r" $(\times 2)$" if height == 2 else "")
        density.annotate(text, (0.98, mode["kappa"]), xycoords=("axes fraction", "data"), ha="right", va="bottom",
                         fontsize=11)  # fmt: skip
    density.set_xlabel("stationary density of eigenvalues")
    density.set_xlim(0, 1.3 * max(mode["levels"] * max(mode["density"]) for mode in modes.values()))
    label_panel(density, "b", "stationary state")
    singles = data["singles"]
    for axes, letter, name in zip(bottom.subplots(1, 3), "cde", (data["pair"], *singles), strict=True):
        _draw_mode(axes, modes[name], colors[name])
        label_panel(axes, letter, rf"$\kappa={modes[name]['kappa']:.3f}$")
    return fig


def _draw_training(axes: Any, data: dict[str, Any], colors: dict[str, Any]) -> None:
    training = data["training"]
    time = np.array(training["time"])
    mean, low, high = (np.array(training[key]) for key in ("mean", "low", "high"))
    for level, kappa in enumerate(data["kappa"]):
        name = min(data["modes"], key=lambda n: abs(data["modes"][n]["kappa"] - kappa))
        axes.fill_between(time, low[:, level], high[:, level], color=colors[name], alpha=0.25, linewidth=0)
        axes.plot(time, mean[:, level], color=colors[name])
        axes.axhline(kappa, color=THEORY, linestyle="--", linewidth=0.8)
    axes.set_xlim(0, min(600.0, float(time[-1])))
    axes.set_xlabel(r"time $t = \alpha \times$ SGD steps")
    axes.set_ylabel(r"$\lambda_i = \mu^2 - x_i$")
    label_panel(axes, "a", "during training")


def _draw_mode(axes: Any, mode: dict[str, Any], color: Any) -> None:
    """Draw a pair or a single eigenvalue: histogram, fitted law, law with predicted width and mean."""
    comparison = mode["comparison"]
    fitted = stored_law(comparison)
    fill_histogram(axes, mode, color)
    draw_histogram(axes, mode, color, markersize=2.5)
    x = np.linspace(mode["edges"][0], mode["edges"][-1], 400)
    name = {"TwoLevel": "two-level law", "Normal": "Gaussian"}[comparison["law"]]
    width = math_value(fitted.scale, comparison["errors"]["scale"])
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
    title = f"${math_probability(comparison['pvalue'])}$"
    axes.legend(loc="upper left", fontsize=10.5, title=title, title_fontsize=10.5, alignment="left")
