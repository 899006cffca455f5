"""The linear scaling rule for the RBM: <S> and sigma against sqrt((alpha/|B|)(mu^2 - kappa)), levels against kappa."""

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
from dysonsim.reproduce.parts import NEXT_ORDER, WHY_NEXT_ORDER, Figure, Part, Row, Table, against, probability
from dysonsim.reproduce.sizes import BATCH_SIZE

# <S>/sqrt((alpha/|B|)(mu^2 - kappa)) and mean lambda/kappa of the same SGD, measured with independent code
# (|B| = 16, k = 3, the project's prototype), by alpha and then in ascending kappa: value, error.
INDEPENDENT = {
    0.02: [(2.472, 0.009), (2.485, 0.010), (2.479, 0.010), (2.472, 0.010)],
    0.1: [(2.199, 0.015), (2.380, 0.016), (2.345, 0.016), (2.303, 0.016)],
}
WHY_CURVED = (
    "The extrapolation takes the corrections as linear in α/|B|; their curvature is of order (n α/|B|)²."
)
WHY_SHIFT = "The prediction is the first order in α/|B|; the second is smaller by a factor of order n α/|B|."


def scaling(ensembles: Ensembles) -> Part:
    """Slopes with errors for every pair, their limits alpha/|B| -> 0 and predictions; mean levels with mean_shift."""
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
        pair["fits"] = {
            name: {which: f.to_dict() for which, f in both.items()} for name, both in fits.items()
        }
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
        "near 0 says that one straight line does not describe all points: its slope is then a weighted "
        "mean.",
        ["κ", "y", "slope, all points", "p", "slope, α/|B| → 0", "p", "c", "√(2πc_κ)"],
        [line for lines in cells for line in lines],
    )
    figures = [
        Figure("scaling", _caption(data), _code(ensembles.spectrum, groups)),
        Figure("mean_levels", _level_caption(shift), _level_code(ensembles.spectrum)),
    ]
    return Part(data, figures, [table], rows)


def _in_trend(point: Point[GaussianRBM], ensembles: Ensembles) -> bool:
    return point.batch_size == BATCH_SIZE and point.learning_rate <= ensembles.size.trend_limit


def _pair(points: list[Point[GaussianRBM]], k: int, resamples: int) -> dict[str, Any]:
    """What the pair does at every point: lists over points."""
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
    """Mean spacing of the later half of the snapshots minus that of the earlier, in standard errors: stationary?"""
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
    """Measured against predicted lambda/kappa - 1, all pairs at the points of the extrapolation."""
    level, error, predicted = (
        np.array([pair[name] for pair in pairs])[:, used].ravel()
        for name in ("level", "level_error", "level_predicted")
    )
    return scaling_fit(predicted - 1, level - 1, error, prediction=1.0)


def _shift_row(fit: ScalingFit, epsilon: float) -> Row:
    quantity = "RBM, shift of the mean levels over perturbation theory, all pairs at small α"
    return against(quantity, fit.slope, fit.slope_error, 1.0, allowed=NEXT_ORDER * epsilon, why=WHY_SHIFT)


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
        rows.append(
            against(quantity, trend.slope, trend.slope_error, predicted, allowed=allowed, why=WHY_CURVED)
        )
    return rows


def _point_rows(pairs: list[dict[str, Any]], points: list[Point[GaussianRBM]], n: int) -> list[Row]:
    """Single points: leading order and independent code for the spacings, perturbation theory for the levels."""
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
                against(
                    f"{quantity}: leading order",
                    slope,
                    slope_error,
                    predicted,
                    allowed=epsilon * predicted,
                    why=WHY_NEXT_ORDER,
                )
            )
            rows.append(
                against(f"{quantity}: independent code", slope, math.hypot(slope_error, error), value)
            )
            level = pair["level_predicted"][k]
            rows.append(
                against(
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
        f"(open) at every α and |B| of the two scans, {min(replicas)} to {max(replicas)} networks a point; "
        "dashed: √(2π) x, the leading order without the correlation of the persistent chains. (b) The same "
        "data divided by the leading order √(2π c_κ) x, c_κ = (1 + a²ᵏ)/(1 − a²ᵏ), a = 1 − κ/μ², against "
        "α/|B|: the rule is the limit α/|B| → 0, and the curves are the linear trends fitted to |B| = "
        f"{BATCH_SIZE} at the small α. Extrapolated slopes of ⟨S⟩: {slopes}. SGD lies below "
        "the line because the levels of other wells and the curvature of the well enter at order n α/|B|."
    )


def _limit(pair: dict[str, Any]) -> str:
    trend = pair["fits"]["spacing"]["small"]["trend"]
    return f"{with_error(trend['slope'], trend['slope_error'])} (predicted {pair['slope_predicted']:.4f})"


def _level_caption(shift: ScalingFit) -> str:
    return (
        "Mean level of every degenerate pair in units of its target, ⟨λ⟩/κ with λ = μ² − x, against α/|B| "
        "(same networks as above). Lines: second-order perturbation theory in the fluctuations of X, first "
        "order in α/|B| (GaussianRBM.mean_shift), no parameter fitted. (b) The measured shift divided by "
        "the predicted one; all pairs at the small α of the scan at |B| = 16 give "
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
