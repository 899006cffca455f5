"""The linear scaling rule of the RBM: <S> and sigma by sqrt((alpha/|B|)(mu^2 - kappa)); mean eigenvalues by kappa."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dysonsim import laws
from dysonsim._text import with_error
from dysonsim.comparison.compare import compare
from dysonsim.comparison.scaling import ScalingFit, scaling_fit
from dysonsim.ensembles.run import mean_and_error
from dysonsim.models import GaussianRBM
from dysonsim.reproduce.ensembles import Ensembles, Point
from dysonsim.reproduce.parts import NEXT_ORDER, WHY_NEXT_ORDER, Figure, Part, Row, Table, number_row, probability, span
from dysonsim.reproduce.sizes import BATCH_SIZE
from dysonsim.reproduce.style import THEORY, kappa_colors, label_panel, math_value, new_figure, ratio_axis, styled

# <S>/sqrt((alpha/|B|)(mu^2 - kappa)) of the same SGD, measured with independent code (|B| = 16, k = 3), by alpha and
# then in ascending kappa: value, error.
INDEPENDENT = {
    0.02: [(2.472, 0.009), (2.485, 0.010), (2.479, 0.010), (2.472, 0.010)],
    0.1: [(2.199, 0.015), (2.380, 0.016), (2.345, 0.016), (2.303, 0.016)],
}
WHY_CURVED = "The extrapolation takes the corrections as linear in α/|B|; their curvature is of order (n α/|B|)²."

WHY_SHIFT = "The prediction is the first order in α/|B|; the second is smaller by a factor of order n α/|B|."

ROOT = r"\sqrt{(\alpha/|B|)\,(\mu^2-\kappa)}"
RULE = rf"$\sqrt{{2\pi}}\,{ROOT}$"
MARKERS = ("o", "s", "D", "^")
ALT = (
    "Two panels. Mean spacings and widths of four degenerate pairs rise in proportion to the scaling variable, "
    "slightly below the dashed line at large values; their ratio to the leading order tends to 1 as alpha/|B| "
    "tends to 0."
)
LEVEL_ALT = (
    "Two panels. Mean eigenvalues of four degenerate pairs over their targets, growing linearly with alpha/|B| "
    "along the predicted lines; the ratio of measured to predicted shift is close to 1 except for the pair "
    "nearest to another well."
)


def measure(ensembles: Ensembles) -> Part:
    """Measure slopes, their limits for alpha/|B| -> 0 and mean eigenvalues of every pair; compare with predictions."""
    points = list(ensembles.rbm.values())
    model = points[0].model
    groups = model.degenerate_groups()
    pairs = [_pair(points, k, ensembles.size.resamples) for k in range(len(groups))]
    used = [k for k, p in enumerate(points) if _in_trend(p, ensembles)]
    ratios = np.array([point.ratio for point in points])
    rows: list[Row] = []
    cells = []
    for pair in reversed(pairs):  # ascending kappa, as the papers count
        fits = {name: _fits(pair, name, ratios, used) for name in ("spacing", "width")}
        pair["fits"] = {name: {which: f.to_dict() for which, f in both.items()} for name, both in fits.items()}
        rows += _slope_rows(pair, fits, points, used, model.n)
        cells.append(_cells(pair, fits))
    pairs.reverse()
    shift = _shift_fit(pairs, used)
    rows.append(_shift_row(shift, model.n * max(ratios[used])))
    rows += _point_rows(pairs, points, model.n)
    data = {
        "points": [point.about() for point in points],
        "ratio": ratios,
        "extrapolated_from": used,
        "pairs": pairs,
        "shift": shift.to_dict(),
    }
    table = Table(
        "y = slope × √((α/|B|)(μ² − κ)) through the origin, all points and extrapolated (α/|B| → 0 from "
        f"|B| = {BATCH_SIZE}, α ≤ {ensembles.size.trend_limit:g}: y = slope (1 + c α/|B|) x). A p-value "
        "near 0 means that one straight line does not describe all points: its slope is then a weighted "
        "mean.",
        ["κ", "y", "slope, all points", "p", "slope, α/|B| → 0", "p", "c", "√(2πc_κ)"],
        [line for lines in cells for line in lines],
    )
    figures = [
        Figure("scaling", ALT, _caption(data), _code(ensembles.spectrum, groups)),
        Figure("mean_levels", LEVEL_ALT, _level_caption(shift), _level_code(ensembles.spectrum)),
    ]
    return Part(data, figures, [table], rows)


def _in_trend(point: Point[GaussianRBM], ensembles: Ensembles) -> bool:
    return point.batch_size == BATCH_SIZE and point.learning_rate <= ensembles.size.trend_limit


def _pair(points: list[Point[GaussianRBM]], k: int, resamples: int) -> dict[str, Any]:
    """Return what is measured of the pair, in lists over the points."""
    model = points[0].model
    group = list(model.degenerate_groups()[k])
    kappa = float(model.kappa[group[0]])
    pair: dict[str, Any] = {"kappa": kappa, "slope_predicted": 0.0}
    names = ["x", "spacing", "spacing_error", "width", "width_error", "width_pvalue", "halves_differ_by"]
    names += ["level", "level_error", "level_predicted"]
    pair |= {name: [] for name in names}
    for point in points:
        rates = point.learning_rate, point.batch_size
        x = math.sqrt(point.ratio * (model.mu**2 - kappa))
        pair["slope_predicted"] = float(model.mean_spacings(*rates)[k]) / x
        levels = point.levels[:, :, group]
        gaps = np.diff(levels, axis=2)[:, :, 0]
        spacing, spacing_error = mean_and_error(gaps.mean(axis=1))
        fit = compare(levels.reshape(len(levels), -1), laws.TwoLevel, resamples=resamples)
        root_pi = math.sqrt(math.pi)
        mean, error = mean_and_error((model.mu**2 - levels).mean(axis=(1, 2)))
        predicted = kappa - float(model.mean_shift(*rates)[group[0]])
        values = (
            x, spacing, spacing_error, root_pi * fit.law.scale, root_pi * fit.errors["scale"], fit.pvalue,
            _drift(gaps), mean / kappa, error / kappa, predicted / kappa,
        )  # fmt: skip
        for name, value in zip(names, values, strict=True):
            pair[name].append(float(value))
    return pair


def _drift(gaps: np.ndarray) -> float:
    """Return the mean spacing of later minus that of earlier snapshots, in standard errors."""
    half = gaps.shape[1] // 2
    change, error = mean_and_error(gaps[:, -half:].mean(axis=1) - gaps[:, :half].mean(axis=1))
    return float(change / error)


def _fits(pair: dict[str, Any], name: str, ratios: np.ndarray, used: list[int]) -> dict[str, ScalingFit]:
    x, y, error = (np.array(pair[key]) for key in ("x", name, f"{name}_error"))
    predicted = pair["slope_predicted"]
    return {
        "all": scaling_fit(x, y, error, prediction=predicted),
        "small": scaling_fit(x[used], y[used], error[used], trend=ratios[used], prediction=predicted),
    }


def _shift_fit(pairs: list[dict[str, Any]], used: list[int]) -> ScalingFit:
    """Fit measured lambda/kappa - 1 as a multiple of the predicted one, all pairs at the points of extrapolation."""
    level, error, predicted = (
        np.array([pair[name] for pair in pairs])[:, used].ravel()
        for name in ("level", "level_error", "level_predicted")
    )
    return scaling_fit(predicted - 1, level - 1, error, prediction=1.0)


def _shift_row(fit: ScalingFit, epsilon: float) -> Row:
    quantity = "RBM, shift of the mean eigenvalues over perturbation theory, all pairs at small α"
    return number_row(quantity, fit.slope, fit.slope_error, 1.0, allowed=NEXT_ORDER * epsilon, why=WHY_SHIFT)


def _slope_rows(
    pair: dict[str, Any],
    fits: dict[str, dict[str, ScalingFit]],
    points: list[Point[GaussianRBM]],
    used: list[int],
    n: int,
) -> list[Row]:
    largest = n * max(points[k].ratio for k in used)
    rows = []
    for name, symbol in (("spacing", "⟨S⟩"), ("width", "√π σ")):
        trend = fits[name]["small"].trend
        assert trend is not None
        predicted = pair["slope_predicted"]
        quantity = f"RBM, {symbol}/√((α/|B|)(μ² − κ)) for α/|B| → 0 at κ = {pair['kappa']:.3f}"
        allowed = NEXT_ORDER * largest**2 * predicted
        rows.append(number_row(quantity, trend.slope, trend.slope_error, predicted, allowed=allowed, why=WHY_CURVED))
    return rows


def _point_rows(pairs: list[dict[str, Any]], points: list[Point[GaussianRBM]], n: int) -> list[Row]:
    """Compare single points with leading order, with independent code, and with perturbation theory."""
    rows = []
    for k, point in enumerate(points):
        if point.batch_size != BATCH_SIZE or point.learning_rate not in INDEPENDENT:
            continue
        at = f"α = {point.learning_rate:g}, κ = "
        epsilon = NEXT_ORDER * n * point.ratio
        for pair, (value, error) in zip(pairs, INDEPENDENT[point.learning_rate], strict=True):
            slope, slope_error = pair["spacing"][k] / pair["x"][k], pair["spacing_error"][k] / pair["x"][k]
            quantity = f"RBM, ⟨S⟩/√((α/|B|)(μ² − κ)), {at}{pair['kappa']:.3f}"
            predicted = pair["slope_predicted"]
            rows.append(
                number_row(
                    f"{quantity}: leading order",
                    slope,
                    slope_error,
                    predicted,
                    allowed=epsilon * predicted,
                    why=WHY_NEXT_ORDER,
                )
            )
            rows.append(number_row(f"{quantity}: independent code", slope, math.hypot(slope_error, error), value))
            level = pair["level_predicted"][k]
            rows.append(
                number_row(
                    f"RBM, mean λ/κ, {at}{pair['kappa']:.3f}: perturbation theory",
                    pair["level"][k],
                    pair["level_error"][k],
                    level,
                    allowed=epsilon * abs(level - 1),
                    why=WHY_SHIFT,
                )
            )
    return rows


def _cells(pair: dict[str, Any], fits: dict[str, dict[str, ScalingFit]]) -> list[list[str]]:
    lines = []
    for name, symbol in (("spacing", "⟨S⟩"), ("width", "√π σ")):
        line, trend = fits[name]["all"].line, fits[name]["small"].trend
        assert trend is not None
        lines.append(
            [
                f"{pair['kappa']:.3f}",
                symbol,
                with_error(line.slope, line.slope_error),
                probability(line.pvalue),
                with_error(trend.slope, trend.slope_error),
                probability(trend.pvalue),
                with_error(trend.coefficient, trend.coefficient_error),
                f"{pair['slope_predicted']:.4f}",
            ]
        )
    return lines


def _caption(data: dict[str, Any]) -> str:
    slopes = "; ".join(f"κ = {pair['kappa']:.3f}: {_limit(pair)}" for pair in data["pairs"])
    replicas = [point["replicas"] for point in data["points"]]
    return (
        "Linear scaling rule of the Gaussian RBM (N = 10, m = 2, μ = 3, σ_h = 1, k = 3): (a) mean spacing "
        "⟨S⟩ of the four degenerate pairs (filled) and √π σ with σ from the fit of the two-level law "
        f"(open) at every α and |B| of the two scans, {span(replicas)} networks per point; "
        "dashed: √(2π) x, the leading order without the correlation of the persistent chains. (b) The same "
        "data divided by the leading order √(2π c_κ) x, c_κ = (1 + a²ᵏ)/(1 − a²ᵏ), a = 1 − κ/μ², against "
        "α/|B|: the rule is the limit α/|B| → 0, and the curves are the linear trends fitted to |B| = "
        f"{BATCH_SIZE} at the small α. Extrapolated slopes of ⟨S⟩: {slopes}. SGD lies below "
        "the line because eigenvalues of other wells and the curvature of the well enter at order n α/|B|."
    )


def _limit(pair: dict[str, Any]) -> str:
    trend = pair["fits"]["spacing"]["small"]["trend"]
    return f"{with_error(trend['slope'], trend['slope_error'])} (predicted {pair['slope_predicted']:.4f})"


def _level_caption(shift: ScalingFit) -> str:
    return (
        "Mean eigenvalue of every degenerate pair in units of its target, ⟨λ⟩/κ with λ = μ² − x, by α/|B| "
        "(same networks as above). (a) Lines: second-order perturbation theory in the fluctuations of X, first "
        "order in α/|B| (GaussianRBM.mean_shift), with no parameter fitted. (b) The measured shift divided by "
        "the predicted one, symbols at one α/|B| side by side; all pairs at the small α of the scan at |B| = 16 give "
        f"{with_error(shift.slope, shift.slope_error)} (1 expected; χ²/dof = {shift.chi2:.1f}/{shift.dof}, "
        f"p = {probability(shift.pvalue)}). The pair at κ = 4.382 leaves the line first: κ₀ = 4 is so near "
        "that the two wells soon overlap, where perturbation theory ends."
    )


def _code(point: Point[GaussianRBM], groups: list[tuple[int, ...]]) -> str:
    return (
        "# one point of the scans; the others change learning_rate, batch_size and seed\n"
        + point.code()
        + (
            f"levels = run.eigenvalues[:, {point.settled_text()}]\n"
            f"rates = ({point.learning_rate}, {point.batch_size})\n"
            "for k, pair in enumerate(model.degenerate_groups()):\n"
            "    spacing, error = ds.mean_and_error(np.diff(levels[:, :, list(pair)], axis=2).mean(axis=(1, 2)))\n"
            "    loc, sigma = ds.laws.TwoLevel.fit(levels[:, :, list(pair)])\n"
            "    print(model.kappa[pair[0]], spacing, error, np.sqrt(np.pi) * sigma, model.mean_spacings(*rates)[k])\n"
        )
    )


def _level_code(point: Point[GaussianRBM]) -> str:
    return point.code() + (
        f"levels = run.eigenvalues[:, {point.settled_text()}]\n"
        "means, errors = ds.mean_and_error(model.to_lambda(levels).mean(axis=1))\n"
        f"shift = model.mean_shift({point.learning_rate}, {point.batch_size})\n"
        "print(means / model.kappa, errors / model.kappa, (model.kappa - shift) / model.kappa)\n"
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw spacings and widths by the scaling variable, and relative to their leading order by alpha/|B|."""
    data = results["parts"]["scaling"]["data"]
    fig = new_figure(10, 4.9)
    line, ratio = fig.subplots(1, 2)
    _draw_scaling(line, data)
    reach = np.array(data["ratio"])
    small = [data["ratio"][k] for k in data["extrapolated_from"]]
    epsilon = np.geomspace(min(small) / 1.6, max(small), 200)
    for pair, color, marker in pairs_with_marks(data):
        predicted = pair["slope_predicted"] * np.array(pair["x"])
        for name, style in _twice(color, marker):
            y, error = np.array(pair[name]) / predicted, np.array(pair[f"{name}_error"]) / predicted
            ratio.errorbar(reach * (0.98 if name == "spacing" else 1.02), y, error, **style)
        trend = pair["fits"]["spacing"]["small"]["trend"]
        curve = trend["slope"] * (1 + trend["coefficient"] * epsilon) / pair["slope_predicted"]
        slope = math_value(trend["slope"], trend["slope_error"])
        label = rf"$\kappa={pair['kappa']:.3f}$:  {slope}, predicted {pair['slope_predicted']:.3f}"
        ratio.plot(epsilon, curve, color=color, label=label)
    ratio.axhline(1, color=THEORY, linestyle="--", linewidth=0.9)
    ratio_axis(ratio)
    ratio.set(ylabel="measured / leading order", ylim=(0.5, 1.06))
    ratio.legend(loc="lower left", title=r"$\langle S\rangle/\sqrt{(\alpha/|B|)(\mu^2-\kappa)}$ for $\alpha/|B| \to 0$",
                 title_fontsize=11, alignment="left")  # fmt: skip
    label_panel(line, "a")
    label_panel(ratio, "b")
    return fig


def _draw_scaling(axes: Any, data: dict[str, Any]) -> None:
    reach = 1.06 * max(max(pair["x"]) for pair in data["pairs"])
    for pair, color, marker in pairs_with_marks(data):
        for name, style in _twice(color, marker):
            label = rf"$\kappa={pair['kappa']:.3f}$" if name == "spacing" else None
            axes.errorbar(pair["x"], pair[name], pair[f"{name}_error"], label=label, **style)
    end = np.array([0, reach])
    axes.plot(end, np.sqrt(2 * np.pi) * end, color=THEORY, linestyle="--", linewidth=1, label=RULE)
    axes.set(xlim=(0, reach), ylim=(0, np.sqrt(2 * np.pi) * reach))
    axes.set_xlabel(rf"${ROOT}$")
    axes.set_ylabel(r"$\langle S\rangle$ (filled),  $\sqrt{\pi}\,\sigma$ (open)")
    axes.legend(loc="upper left")


def _twice(color: Any, marker: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the styles of spacings (filled marks) and of widths (larger open ones around them)."""
    common = {"fmt": marker, "color": color, "elinewidth": 0.9}
    return [
        ("spacing", {**common, "markersize": 4}),
        ("width", {**common, "markersize": 7, "markerfacecolor": "none"}),
    ]


@styled
def draw_mean_levels(results: dict[str, Any]) -> Any:
    """Draw lambda/kappa by alpha/|B|, and the measured over the predicted shift."""
    data = results["parts"]["scaling"]["data"]
    fig = new_figure(10, 4.4)
    level, ratio = fig.subplots(1, 2)
    x = np.array(data["ratio"])
    end = np.array([0, 1.05 * x.max()])
    for k, (pair, color, marker) in enumerate(pairs_with_marks(data)):
        y, error, predicted = (np.array(pair[key]) for key in ("level", "level_error", "level_predicted"))
        options = {"fmt": marker, "color": color, "markersize": 4.5, "elinewidth": 0.9}
        level.errorbar(x, y, error, label=rf"$\kappa={pair['kappa']:.3f}$", **options)
        level.plot(end, 1 + end * (predicted[0] - 1) / x[0], color=color, linewidth=1)
        beside = x * 1.025 ** (k - 1.5)
        ratio.errorbar(beside, (y - 1) / (predicted - 1), error / np.abs(predicted - 1), **options)
    level.set(xlim=(0, end[1]), xlabel=r"$\alpha/|B|$", ylabel=r"$\langle\lambda\rangle/\kappa$")
    level.legend(loc="upper left")
    ratio.axhline(1, color=THEORY, linestyle="--", linewidth=0.9)
    ratio_axis(ratio)
    ratio.set(ylabel="measured / predicted shift", ylim=(0.55, 1.45))
    label_panel(level, "a")
    label_panel(ratio, "b")
    return fig


def pairs_with_marks(data: dict[str, Any]) -> Any:
    """Return the pairs, each with its color in the spectrum and a marker."""
    colors = kappa_colors(6)[1:5]
    return zip(data["pairs"], colors, MARKERS, strict=True)
