"""Descriptions of one training, Gaussian RBM: SGD, Langevin, Dyson with both closures and the gas, by alpha/|B|."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dysonsim._text import with_error
from dysonsim.comparison.scaling import ScalingFit, scaling_fit
from dysonsim.descriptions.hierarchy import Hierarchy
from dysonsim.descriptions.quantities import REFERENCE
from dysonsim.ensembles.run import mean_and_error
from dysonsim.models import GaussianRBM
from dysonsim.reproduce.ensembles import Descriptions, Ensembles
from dysonsim.reproduce.parts import NEXT_ORDER, Figure, Part, Row, Table, number_row, probability, span
from dysonsim.reproduce.sizes import BATCH_SIZE
from dysonsim.reproduce.style import THEORY, TITLES, label_panel, legend_above, mark_descriptions, new_figure, styled

GAUSSIAN = 0.005  # relative, what Langevin may deviate by where its noise is Gaussian enough
FEWEST, PER_RATE = 0.01, 0.2  # relative, what Dyson with the corrected closure may: 1% at alpha = 0.02, 2% at 0.1
WHY_CUMULANTS = (
    "Langevin lacks the third cumulants of a batch, which change widths and spacings at order α/|B| (Langevin "
    f"warns of this); {100 * GAUSSIAN:g}% beyond the change that gaussian_error predicts is allowed."
)
WHY_CLOSED = (
    "The closure of the eigenvalue equation is perturbation theory in the fluctuations of X; what it leaves out "
    "is of the next order in α and α/|B| (1% of the spacings is allowed up to α = 0.05, 2% at 0.1)."
)

WHY_SHIFT_CLOSED = "A deviation of the next order, (n α/|B|)², is allowed."
WHY_INDEPENDENT = (
    "Each well is treated on its own: eigenvalues of different wells repel as if their eigenvectors were free to "
    f"rotate. This is an error of order n α/|B|; up to {NEXT_ORDER:g} n α/|B| is allowed."
)
WHY_GAS = (
    "The gas has quadratic wells at the fixed points with leading-order widths, and its levels repel as in "
    f"independent wells. This is an error of order n α/|B|; up to {NEXT_ORDER:g} n α/|B| is allowed."
)
WHY_CURVED = "The extrapolation takes the deviation as linear in α/|B|; its curvature is of order (n α/|B|)²."
ALT = (
    "Eight panels, two for each degenerate pair. Mean spacings and mean eigenvalues by alpha/|B| for SGD, "
    "Langevin, Dyson with both closures and the Coulomb gas: Langevin and Dyson stay with SGD, independent wells "
    "and the gas move away as alpha/|B| grows."
)


def measure(ensembles: Ensembles) -> Part:
    """Compare spacings and mean eigenvalues of every pair in every description with SGD's, also for alpha/|B| -> 0."""
    studies = ensembles.rbm_descriptions
    model = studies[0].point.model
    groups = model.degenerate_groups()[::-1]  # ascending kappa, as the papers count
    ratio = np.array([study.point.ratio for study in studies])
    names = studies[0].result.levels
    spacings = [relative_spacings(study.result, groups) for study in studies]
    shifts = [_shifts(study.result, model, groups) for study in studies]
    limits = {name: _limit([s[name] for s in spacings], ratio) for name in names[1:]}
    data = {
        "levels": [study.result.to_dict() | {"paths": {}} for study in studies],
        "learning_rate": [study.point.learning_rate for study in studies],
        "ratio": ratio,
        "pairs": [_pair(studies, model, group) for group in groups],
        "spacing_over_sgd": spacings,
        "shift": shifts,
        "limits": {name: fit.to_dict() for name, fit in limits.items()},
    }
    cells = [
        [f"{study.point.learning_rate:g}", TITLES[name], *_cells(study, name, spacing, shift)]
        for study, spacing, shift in zip(studies, spacings, shifts, strict=True)
        for name in names
    ]
    wells = len(studies[0].result.distributions)
    table = Table(
        f"Descriptions of the Gaussian RBM at |B| = {BATCH_SIZE}. ⟨S⟩ over SGD's and λ/κ − 1 are means of the "
        f"four pairs. Densities and spacings of all wells are compared with SGD's: largest Kolmogorov–Smirnov distance "
        f"D, and smallest p-value × {wells} (at least {wells}/{studies[0].resamples + 1}).",
        ["α", "description", "⟨S⟩/⟨S⟩ of SGD", "10³ (λ/κ − 1)", "largest D", f"{wells} × smallest p"],
        cells,
    )
    rows = [
        row
        for study, spacing, shift in zip(studies, spacings, shifts, strict=True)
        for row in _rows(study, spacing, shift, groups)
    ]
    allowed = NEXT_ORDER * (model.n * ratio.max()) ** 2
    for name, fit in limits.items():
        assert fit.trend is not None
        quantity = f"RBM, ⟨S⟩ of {TITLES[name]} over SGD's for α/|B| → 0"
        rows.append(number_row(quantity, fit.trend.slope, fit.trend.slope_error, 1.0, allowed=allowed, why=WHY_CURVED))
    figure = Figure("levels", ALT, _caption(studies, limits), studies[0].code() + "print(descriptions)\n")
    return Part(data, [figure], [table], rows)


def relative_spacings(result: Hierarchy, groups: list[tuple[int, ...]]) -> dict[str, tuple[float, float]]:
    """Return spacings over SGD's, mean of the groups, with errors over networks; for SGD itself, 1 and its own error.

    The errors of the other descriptions include SGD's.
    """
    base = [result.quantity("spacing", group).values[REFERENCE][0] for group in groups]
    found: dict[str, tuple[float, float]] = {}
    for name in result.levels:
        levels = result.settled(name)
        gaps = [np.diff(levels[:, :, list(group)], axis=2).mean(axis=(1, 2)) for group in groups]
        value, error = map(float, mean_and_error(np.mean([g / b for g, b in zip(gaps, base, strict=True)], axis=0)))
        if name != REFERENCE:
            error = math.hypot(error, value * found[REFERENCE][1])
        found[name] = value, error
    return found


def _shifts(result: Hierarchy, model: GaussianRBM, groups: list[tuple[int, ...]]) -> dict[str, tuple[float, float]]:
    """Return lambda/kappa - 1, mean of the groups."""
    found = {}
    for name in result.levels:
        lam = model.to_lambda(result.settled(name))
        parts = [lam[:, :, list(group)].mean(axis=(1, 2)) / model.kappa[group[0]] - 1 for group in groups]
        value, error = mean_and_error(np.mean(parts, axis=0))
        found[name] = float(value), float(error)
    return found


def _limit(values: list[tuple[float, float]], ratio: np.ndarray) -> ScalingFit:
    """Fit value and trend for alpha/|B| -> 0."""
    value, error = np.array(values).T
    return scaling_fit(np.ones(len(ratio)), value, error, trend=ratio, prediction=1.0)


def _pair(studies: list[Descriptions[GaussianRBM]], model: GaussianRBM, group: tuple[int, ...]) -> dict[str, Any]:
    """Return <S> over sqrt((alpha/|B|)(mu^2 - kappa)) and lambda/kappa with errors, (rates, 2) by description."""
    kappa = float(model.kappa[group[0]])
    spacing: dict[str, list[tuple[float, float]]] = {}
    level: dict[str, list[tuple[float, float]]] = {}
    for study in studies:
        unit = math.sqrt(study.point.ratio * (model.mu**2 - kappa))
        for name in study.result.levels:
            gap, gap_error = study.result.quantity("spacing", group).values[name]
            mean, error = study.result.quantity("mean", group).values[name]
            spacing.setdefault(name, []).append((gap / unit, gap_error / unit))
            level.setdefault(name, []).append((float(model.to_lambda(np.array(mean))) / kappa, error / kappa))
    k = model.degenerate_groups().index(group)
    point = studies[0].point
    rates = point.learning_rate, point.batch_size
    leading = float(model.mean_spacings(*rates)[k]) / math.sqrt(point.ratio * (model.mu**2 - kappa))
    shift = -float(model.mean_shift(*rates)[group[0]]) / kappa / point.ratio
    return {"kappa": kappa, "spacing": spacing, "level": level, "leading_order": leading, "shift_per_ratio": shift}


def _rows(
    study: Descriptions[GaussianRBM],
    spacing: dict[str, tuple[float, float]],
    shift: dict[str, tuple[float, float]],
    groups: list[tuple[int, ...]],
) -> list[Row]:
    point = study.point
    rates = point.learning_rate, point.batch_size
    order = point.model.n * point.ratio
    cumulants = abs(float(np.mean([point.model.gaussian_error(*rates)[list(group)] for group in groups])))
    allowed = {
        "langevin": (GAUSSIAN + cumulants, order**2, WHY_CUMULANTS, WHY_SHIFT_CLOSED),
        "dyson": (max(FEWEST, PER_RATE * rates[0]), order**2, WHY_CLOSED, WHY_SHIFT_CLOSED),
        "independent": (NEXT_ORDER * order, NEXT_ORDER * order, WHY_INDEPENDENT, WHY_INDEPENDENT),
        "gas": (NEXT_ORDER * order, NEXT_ORDER * order, WHY_GAS, WHY_GAS),
    }
    rows = []
    base, base_error = shift[REFERENCE]
    for name, (of_spacing, of_shift, why, why_shift) in allowed.items():
        end = f"mean of the pairs, α = {rates[0]:g}"
        quantity = f"RBM, ⟨S⟩ of {TITLES[name]} over SGD's, {end}"
        rows.append(number_row(quantity, *spacing[name], 1.0, allowed=of_spacing, why=why))
        value, error = shift[name]
        quantity = f"RBM, 10³ (λ/κ − 1) of {TITLES[name]} compared with SGD, {end}"
        error = 1e3 * math.hypot(error, base_error)
        rows.append(number_row(quantity, 1e3 * value, error, 1e3 * base, allowed=1e3 * of_shift, why=why_shift))
    return rows


def _cells(
    study: Descriptions[GaussianRBM],
    name: str,
    spacing: dict[str, tuple[float, float]],
    shift: dict[str, tuple[float, float]],
) -> list[str]:
    value, error = shift[name]
    cells = [with_error(*spacing[name]), with_error(1e3 * value, 1e3 * error)]
    if name == REFERENCE:
        return [*cells, "", ""]
    found = [d.comparisons[name] for d in study.result.distributions]
    worst = min(1.0, len(found) * min(c.pvalue for c in found))
    return [*cells, f"{max(c.statistic for c in found):.4f}", probability(worst)]


def _caption(studies: list[Descriptions[GaussianRBM]], limits: dict[str, ScalingFit]) -> str:
    networks = span([study.point.replicas for study in studies])
    said = []
    for name, fit in limits.items():
        assert fit.trend is not None
        said.append(f"{TITLES[name]} {with_error(fit.trend.slope, fit.trend.slope_error)}")
    return (
        "One training in four descriptions, Gaussian RBM (N = 10, m = 2, μ = 3, k = 3), |B| = 16: actual mini-batches "
        f"(SGD, {networks} networks), the matrix Langevin equation with their covariance, Dyson Brownian motion of the "
        "eigenvalues alone with the corrected closure and with the paper's independent wells, and the Coulomb gas "
        f"({studies[0].replicas} networks or gases each), all derived from one object by ds.hierarchy. Top: mean "
        "spacing of the four degenerate pairs over √((α/|B|)(μ² − κ)), with the leading order √(2πc_κ) (dashed). "
        "Bottom: mean eigenvalue over its target, with second-order perturbation theory (dashed). Symbols at one α/|B| "
        "are drawn side by side. Langevin agrees with SGD; so does Dyson Brownian motion, if its closure accounts for "
        "the rotation of the eigenvectors. With independent wells and in the gas, eigenvalues of different wells repel "
        f"too strongly, by an amount that vanishes with α. Spacings over SGD's for α/|B| → 0: {'; '.join(said)}."
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw spacings and mean eigenvalues of the four pairs by alpha/|B|."""
    data = results["parts"]["levels"]["data"]
    fig = new_figure(13, 6.6)
    axes = fig.subplots(2, 4, sharey="row", sharex=True)
    x = 1e3 * np.array(data["ratio"])
    end = np.array([0.0, 1.15 * x.max()])
    for column, (pair, letter) in enumerate(zip(data["pairs"], "abcd", strict=True)):
        upper, lower = axes[:, column]
        mark_descriptions(upper, x, pair["spacing"], end[1], labels=not column)
        upper.axhline(pair["leading_order"], color=THEORY, linestyle="--", linewidth=0.9)
        mark_descriptions(lower, x, pair["level"], end[1])
        lower.plot(end, 1 + 1e-3 * end * pair["shift_per_ratio"], color=THEORY, linestyle="--", linewidth=0.9)
        lower.axhline(1, color="#8a8a8a", linestyle=":", linewidth=0.9)
        lower.set(xlabel=r"$10^3\,\alpha/|B|$", xlim=end)
        label_panel(upper, letter, rf"$\kappa={pair['kappa']:.3f}$")
    axes[0, 0].set_ylabel(r"$\langle S\rangle / \sqrt{(\alpha/|B|)(\mu^2-\kappa)}$")
    axes[1, 0].set_ylabel(r"$\langle\lambda\rangle/\kappa$")
    legend_above(fig, axes[0, 0])
    return fig
