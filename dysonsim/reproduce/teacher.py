"""The linear scaling rule of teacher-student learning: singular values by sqrt(alpha epsilon^2/|B|)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dysonsim import laws
from dysonsim._text import with_error
from dysonsim.comparison.compare import Comparison
from dysonsim.comparison.scaling import ScalingFit, scaling_fit
from dysonsim.ensembles.run import mean_and_error
from dysonsim.models import TeacherStudent
from dysonsim.reproduce.ensembles import GRADIENT_NOISE, Ensembles, Point
from dysonsim.reproduce.parts import Figure, Part, Row, Table, compare_finely, law_row, number_row, probability
from dysonsim.reproduce.sizes import BATCH_SIZE, LEARNING_RATE
from dysonsim.reproduce.style import DATA, THEORY, label_panel, math_value, new_figure, styled

WHY_DATA = (
    "The formula neglects the noise of the data, which raises the variance by a relative (n + 1) α/2|B|; "
    "the exact variances (singular_value_spacings) include it."
)
WHY_TAILS = (
    "The noise of the data multiplies the displacement of W, which gives its entries an excess kurtosis of "
    "order α/|B|, which shows where α/|B| is largest."
)

WHY_LINE = "A straight line in α through points up to α = 0.1 misses the curvature, of order α²."

X = r"\sqrt{\alpha\,\varepsilon^2/|B|}"
SCANS = (("scan_batch_size", DATA, "o", r"$|B|$ varied at $\alpha=0.1$"),
         ("scan_learning_rate", "#e08a1e", "s", r"$\alpha$ varied at $|B|=16$"))  # fmt: skip
ALT = (
    "Two panels. Mean spacing and width of the two singular values lie on a straight line through the origin "
    "against the scaling variable; their ratio to it rises with the learning rate from the square root of pi, as "
    "predicted."
)


def measure(ensembles: Ensembles) -> Part:
    """Measure slopes of <S> and sqrt(pi) sigma and how they depend on alpha; compare with the exact variances."""
    points = list(ensembles.teacher.values())
    resamples = ensembles.size.resamples
    measured, surmises, pairs = _measured(points, resamples)
    batches = [k for k, p in enumerate(points) if p.learning_rate == LEARNING_RATE]
    rates = [k for k, p in enumerate(points) if p.batch_size == BATCH_SIZE]
    fits: dict[str, dict[str, ScalingFit]] = {}
    for name in ("spacing", "width"):
        x, y, error, alpha = (np.array(measured[key]) for key in ("x", name, f"{name}_error", "learning_rate"))
        exact = np.array(measured["exact"])
        fits[name] = {
            "batch_size": scaling_fit(x[batches], y[batches], error[batches], prediction=_slope(LEARNING_RATE)),
            "learning_rate": scaling_fit(
                x[rates], y[rates], error[rates], trend=alpha[rates], prediction=math.sqrt(math.pi)
            ),
            "exact": scaling_fit(exact, y, error, prediction=1.0),
        }
    data = {
        "points": [point.about() for point in points],
        "gradient_noise": GRADIENT_NOISE,
        "batch_size": [point.batch_size for point in points],
        **measured,
        "scan_batch_size": batches,
        "scan_learning_rate": rates,
        "fits": {name: {which: fit.to_dict() for which, fit in both.items()} for name, both in fits.items()},
        "slope_at_fixed_rate": _slope(LEARNING_RATE),
    }
    table = Table(
        "Singular values of W: mean spacing and √π σ (two-level fit) in units of √(αε²/|B|), formula "
        "√(π/(1 − α/2)), exact variances, and p-values of the Wigner surmise and the two-level law.",
        ["α", "|B|", "⟨S⟩/x", "√π σ/x", "formula", "exact", "p, surmise", "p, two-level"],
        [_cells(k, point, measured) for k, point in enumerate(points)],
    )
    figure = Figure("teacher", ALT, _caption(fits, points), _code(points[rates[-1]]))
    return Part(data, [figure], [table], _rows(fits, points, surmises, pairs))


def _measured(
    points: list[Point[TeacherStudent]], resamples: int
) -> tuple[dict[str, list[float]], list[Comparison], list[Comparison]]:
    names = ["learning_rate", "x", "spacing", "spacing_error", "width", "width_error", "exact"]
    names += ["surmise_pvalue", "width_pvalue"]
    measured: dict[str, list[float]] = {name: [] for name in names}
    surmises, pairs = [], []
    for point in points:
        levels = point.singular_values
        gaps = np.diff(levels, axis=2)[:, :, 0]
        spacing, error = mean_and_error(gaps.mean(axis=1))
        surmise = compare_finely(gaps, laws.WignerSurmise(1, float(spacing)), resamples, fit="all")
        pair = compare_finely(levels.reshape(len(levels), -1), laws.TwoLevel, resamples)
        exact = point.model.singular_value_spacings(point.learning_rate, point.batch_size)[0]
        root_pi = math.sqrt(math.pi)
        values = (
            point.learning_rate, GRADIENT_NOISE * math.sqrt(point.ratio), spacing, error, root_pi * pair.law.scale,
            root_pi * pair.errors["scale"], exact, surmise.pvalue, pair.pvalue,
        )  # fmt: skip
        for name, value in zip(names, values, strict=True):
            measured[name].append(float(value))
        surmises.append(surmise)
        pairs.append(pair)
    return measured, surmises, pairs


def _slope(rate: float) -> float:
    """<S>/sqrt(alpha epsilon^2/|B|) for isotropic gradient noise: sqrt(pi/(1 - alpha/2))."""
    return math.sqrt(math.pi / (1 - rate / 2))


def _rows(
    fits: dict[str, dict[str, ScalingFit]],
    points: list[Point[TeacherStudent]],
    surmises: list[Comparison],
    pairs: list[Comparison],
) -> list[Row]:
    rows = []
    small = max(point.ratio for point in points)
    data_noise = 3 * small / 2
    coefficient = _exact_coefficient(points[0])
    curved = LEARNING_RATE**2 * math.sqrt(math.pi)
    for name, symbol in (("spacing", "⟨S⟩"), ("width", "√π σ")):
        line, scan, exact = (fits[name][which] for which in ("batch_size", "learning_rate", "exact"))
        trend = scan.trend
        assert trend is not None
        rows += [
            number_row(
                f"Teacher–student, slope of {symbol} over √(αε²/|B|), |B| varied at α = "
                f"{LEARNING_RATE:g}",
                line.slope, line.slope_error, _slope(LEARNING_RATE), allowed=data_noise * line.slope, why=WHY_DATA,
            ),
            number_row(
                f"Teacher–student, slope of {symbol} for α → 0 at |B| = {BATCH_SIZE}",
                trend.slope, trend.slope_error, math.sqrt(math.pi), allowed=curved, why=WHY_LINE,
            ),
            number_row(
                f"Teacher–student, relative change of that slope per α ({symbol})",
                trend.coefficient, trend.coefficient_error, coefficient, allowed=LEARNING_RATE, why=WHY_LINE,
            ),
            number_row(
                f"Teacher–student, {symbol} over the exact variances, all {len(points)} points",
                exact.slope, exact.slope_error, 1.0,
            ),
        ]  # fmt: skip
    rows.append(law_row("Teacher–student, Wigner surmise at all points", surmises, allowed=small, why=WHY_TAILS))
    rows.append(law_row("Teacher–student, two-level law at all points", pairs, allowed=small, why=WHY_TAILS))
    return rows


def _exact_coefficient(point: Point[TeacherStudent]) -> float:
    """Return d log(<S>/sqrt(alpha))/d alpha at alpha = 0, |B| = 16 from the exact variances: 1/4 + 3/(4 |B|)."""
    rate = 1e-4
    spacing = point.model.singular_value_spacings(rate, BATCH_SIZE)[0]
    return (spacing / (GRADIENT_NOISE * math.sqrt(math.pi * rate / BATCH_SIZE)) - 1) / rate


def _cells(k: int, point: Point[TeacherStudent], measured: dict[str, list[float]]) -> list[str]:
    x = measured["x"][k]
    return [
        f"{point.learning_rate:g}",
        str(point.batch_size),
        with_error(measured["spacing"][k] / x, measured["spacing_error"][k] / x),
        with_error(measured["width"][k] / x, measured["width_error"][k] / x),
        f"{_slope(point.learning_rate):.4f}",
        f"{measured['exact'][k] / x:.4f}",
        probability(measured["surmise_pvalue"][k]),
        probability(measured["width_pvalue"][k]),
    ]


def _caption(fits: dict[str, dict[str, ScalingFit]], points: list[Point[TeacherStudent]]) -> str:
    line, scan = fits["spacing"]["batch_size"], fits["spacing"]["learning_rate"]
    assert scan.trend is not None
    return (
        f"Teacher–student with one linear layer, W_t = 2·1 (2 × 2), gradient noise ε = {GRADIENT_NOISE:g}: "
        "(a) mean spacing ⟨S⟩ of the two singular values (filled) and √π σ, σ from the fit of the "
        f"two-level law (open), {points[0].replicas} networks per point. The line through the origin fitted "
        f"to the scan in |B| at α = {LEARNING_RATE:g} has slope {with_error(line.slope, line.slope_error)} "
        f"(χ²/dof = {line.chi2:.1f}/{line.dof}, p = {probability(line.pvalue)}); √(π/(1 − α/2)) = "
        f"{_slope(LEARNING_RATE):.4f}. (b) The ratio as a function of α: √π for α → 0 (fitted "
        f"{with_error(scan.trend.slope, scan.trend.slope_error)}), rising as √(π/(1 − α/2)) because SGD "
        "makes finite steps; the thin line is the exact result with the noise of the data at |B| = 16. "
        "Points with different |B| are all at α = 0.1 and drawn side by side."
    )


def _code(point: Point[TeacherStudent]) -> str:
    return (
        "# one point of the scans; the others change learning_rate, batch_size and seed\n"
        + point.code()
        + (
            f"xi = run.singular_values[:, {point.settled_text()}]\n"
            "spacings = np.diff(xi, axis=2)[:, :, 0]\n"
            f"x = {GRADIENT_NOISE} * np.sqrt({point.learning_rate} / {point.batch_size})\n"
            "mean, error = ds.mean_and_error(spacings.mean(axis=1))\n"
            "print(mean / x, error / x, np.sqrt(np.pi) * ds.laws.TwoLevel.fit(xi).scale / x)\n"
            f"print(model.singular_value_spacings({point.learning_rate}, {point.batch_size}) / x)\n"
        )
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw <S> and sqrt(pi) sigma of the singular values by the scaling variable, and their ratio by alpha."""
    data = results["parts"]["teacher"]["data"]
    fig = new_figure(10, 4.8)
    line, ratio = fig.subplots(1, 2)
    x, alpha, exact = (np.array(data[key]) for key in ("x", "learning_rate", "exact"))
    for scan, color, marker, label in SCANS:
        k = data[scan]
        beside = alpha[k]
        if marker == "o":  # the points of the scan in |B| share one alpha
            beside = beside + 0.003 * (np.arange(len(k)) - (len(k) - 1) / 2)
            ratio.plot(beside, exact[k] / x[k], "_", color=color, markersize=9, label="exact variances, each $|B|$")
        else:
            ratio.plot(alpha[k], exact[k] / x[k], color=color, linewidth=1, label="exact variances, $|B|=16$")
        for name, size, face in (("spacing", 4, color), ("width", 7, "none")):
            y, error = np.array(data[name])[k], np.array(data[f"{name}_error"])[k]
            style = {
                "fmt": marker,
                "color": color,
                "markerfacecolor": face,
                "markersize": size,
                "elinewidth": 0.9,
            }
            line.errorbar(1e3 * x[k], 1e3 * y, 1e3 * error, label=label if name == "spacing" else None, **style)
            ratio.errorbar(beside + (0.0007 if name == "width" else 0.0), y / x[k], error / x[k], **style)
    end = np.array([0, 1.06 * x.max()])
    fit = data["fits"]["spacing"]["batch_size"]["line"]
    slope, formula = math_value(fit["slope"], fit["slope_error"]), data["slope_at_fixed_rate"]
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
    label_panel(line, "a")
    label_panel(ratio, "b")
    return fig
