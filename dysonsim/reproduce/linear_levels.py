"""Descriptions of one training, linear networks: teacher-student, and one hidden layer with two species."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dysonsim import laws
from dysonsim._text import with_error
from dysonsim.descriptions.quantities import REFERENCE
from dysonsim.reproduce.ensembles import OUTPUT_LAYERS, TEACHER, Descriptions, Ensembles
from dysonsim.reproduce.levels import FEWEST, GAUSSIAN, PER_RATE, WHY_CLOSED, WHY_CUMULANTS, relative_spacings
from dysonsim.reproduce.parts import Figure, Part, Row, Table, control_row, law_row, number_row, probability
from dysonsim.reproduce.sizes import BATCH_SIZE, NETWORK_RATE
from dysonsim.reproduce.style import (
    DESCRIPTIONS,
    THEORY,
    TITLES,
    label_panel,
    legend_above,
    mark_descriptions,
    new_figure,
    styled,
)
from dysonsim.spectra.observables import histogram

PAIR = (0, 1)
BINS = 30
BY_RANK = 0.25  # relative deviation allowed for the independent closure where the rows relax at different rates
SAME_LAW = 0.02  # Kolmogorov-Smirnov distance from SGD that is allowed for a description that agrees with it
WHY_BY_RANK = (
    "Independent wells give each singular value, by rank, its own rate and width; the rows of W that have these do "
    "not keep their rank where the singular values meet. This does not vanish with α, but with the anisotropy of Z."
)

WHY_CONTINUOUS = "Relaxation by α instead of −ln(1 − α) per step: widths without the factor 1/√(1 − α/2)."
WHY_GAS_SPACING = "Both spacings are of first order in the ratio of width to singular value."
WHY_CLOSE = "The deviation is of the next order in α; the distance D says how far apart the distributions are."
ALT = (
    "Six panels, two for each of three linear networks. Mean spacings over the exact ones by alpha/|B| for SGD, "
    "Langevin, Dyson with both closures and the Coulomb gas; densities minus the exact law, from which only the "
    "gas departs when the two widths differ."
)


def measure(ensembles: Ensembles) -> Part:
    """Compare spacings and densities of the singular values in every description with SGD and with the exact law."""
    networks: dict[str, list[Descriptions[Any]]] = {
        "teacher–student": ensembles.teacher_descriptions,
        **ensembles.network_descriptions,
    }
    data: dict[str, Any] = {}
    cells: list[list[str]] = []
    rows: list[Row] = []
    for name, studies in networks.items():
        title = _title(name)
        spacings = [relative_spacings(study.result, [PAIR]) for study in studies]
        shown = next((study for study in studies if study.point.learning_rate == NETWORK_RATE), studies[0])
        data[name] = {
            "z": OUTPUT_LAYERS.get(name),
            "levels": [study.result.to_dict() for study in studies],
            "learning_rate": [study.point.learning_rate for study in studies],
            "ratio": [study.point.ratio for study in studies],
            "spacing": _over_exact(studies),
            "gas_expected": [_gas_spacing(study) for study in studies],
            "density": _densities(shown),
        }
        for study, spacing in zip(studies, spacings, strict=True):
            rows += _rows(title, study, spacing)
            cells += [_cells(title, study, level, spacing) for level in study.result.levels]
        rows += _density_rows(name, title, shown)
    table = Table(
        f"Descriptions of the linear networks at |B| = {BATCH_SIZE}: mean spacing of the two singular values, "
        "standard deviation of their mean, and Kolmogorov–Smirnov distance of the one-point density from "
        "SGD's with its p-value (at least 1/(draws + 1)).",
        ["network", "α", "description", "10³ ⟨S⟩", "⟨S⟩/⟨S⟩ of SGD", "10³ σ of the mean", "D", "p"],
        cells,
    )
    code = networks["strong"][1].code() + "print(descriptions)\n"
    figure = Figure("linear_levels", ALT, _caption(networks), code)
    return Part({"networks": data}, [figure], [table], rows)


def _title(name: str) -> str:
    return f"Hidden layer, Z = diag{OUTPUT_LAYERS[name]}" if name in OUTPUT_LAYERS else "Teacher–student"


def _exact(study: Descriptions[Any]) -> float:
    """Return SGD's mean spacing according to the exact variances of W."""
    point = study.point
    return float(point.model.singular_value_spacings(point.learning_rate, point.batch_size)[0])


def _gas_spacing(study: Descriptions[Any]) -> float:
    """Return the spacing of a gas of two species over SGD's: its density is y exp(-y^2/2 (sigma_1^2 + sigma_2^2))."""
    point = study.point
    widths = point.model.singular_value_widths(point.learning_rate, point.batch_size)
    return math.sqrt(math.pi / 2 * float((widths**2).sum())) / _exact(study)


def _over_exact(studies: list[Descriptions[Any]]) -> dict[str, list[tuple[float, float]]]:
    """Return mean spacings over the exact one, with errors, by description."""
    found: dict[str, list[tuple[float, float]]] = {}
    for study in studies:
        exact = _exact(study)
        for name, (value, error) in study.result.quantity("spacing", PAIR).values.items():
            found.setdefault(name, []).append((value / exact, error / exact))
    return found


def _densities(study: Descriptions[Any]) -> dict[str, Any]:
    """Return histograms of all descriptions in the same bins, and the exact law averaged over these."""
    point = study.point
    std11, std22, std12 = point.model.exact_two_by_two(point.learning_rate, point.batch_size)
    law = laws.SymmetricTwoByTwo(TEACHER, min(std11, std22), max(std11, std22), std12)
    values = {name: study.result.settled(name) for name in study.result.levels}
    low, high = law.ppf(np.array([0.001, 0.999]))
    edges = np.linspace(float(low), float(high), BINS + 1)
    bars = {name: histogram(x.reshape(len(x), -1), edges) for name, x in values.items()}
    return {
        "learning_rate": point.learning_rate,
        "edges": edges,
        "exact": np.diff(law.cdf(edges)) / np.diff(edges),
        "levels": {name: {"density": h.density, "error": h.error} for name, h in bars.items()},
    }


def _rows(title: str, study: Descriptions[Any], spacing: dict[str, tuple[float, float]]) -> list[Row]:
    point = study.point
    rate = point.learning_rate
    cumulants = abs(float(point.model.gaussian_error(rate, point.batch_size).mean()))
    isotropic = np.ptp(point.model.relaxation_rates(rate)) == 0
    corrected = max(FEWEST, PER_RATE * rate)
    free = (math.sqrt(1 - rate / 2), GAUSSIAN, WHY_CONTINUOUS) if isotropic else (1.0, BY_RANK, WHY_BY_RANK)
    expected = {
        "langevin": (1.0, GAUSSIAN + cumulants, WHY_CUMULANTS),
        "dyson": (1.0, corrected, WHY_CLOSED),
        "independent": free,
        "gas": (_gas_spacing(study), GAUSSIAN, WHY_GAS_SPACING),
    }
    return [
        number_row(f"{title}: ⟨S⟩ of {TITLES[name]} over SGD's, α = {rate:g}", *spacing[name], one, allowed=allowed,
                why=why)
        for name, (one, allowed, why) in expected.items()
    ]  # fmt: skip


def _density_rows(name: str, title: str, study: Descriptions[Any]) -> list[Row]:
    found = study.result.distribution("density", PAIR).comparisons
    end = f"density compared with SGD's, α = {study.point.learning_rate:g}"
    rows = [
        law_row(f"{title}: {TITLES[level]}, {end}", [found[level]], allowed=SAME_LAW, why=WHY_CLOSE)
        for level in ("langevin", "dyson")
    ]
    gas = f"{title}: {TITLES['gas']}, {end}"
    if name == "strong":  # Z at which even a quick report tells the two laws apart
        return [*rows, control_row(gas, found["gas"].pvalue)]
    why = "The gas of two species is not the law of a 2 × 2 matrix with unequal variances, but close to it at this Z."
    return [*rows, law_row(gas, [found["gas"]], allowed=SAME_LAW, why=why)]


def _cells(title: str, study: Descriptions[Any], level: str, spacing: dict[str, tuple[float, float]]) -> list[str]:
    result = study.result
    cells = [title, f"{study.point.learning_rate:g}", TITLES[level]]
    gap, error = result.quantity("spacing", PAIR).values[level]
    center, center_error = result.quantity("width of the mean", PAIR).values[level]
    cells += [with_error(1e3 * gap, 1e3 * error), with_error(*spacing[level])]
    cells.append(with_error(1e3 * center, 1e3 * center_error))
    if level == REFERENCE:
        return [*cells, "", ""]
    test = result.distribution("density", PAIR).comparisons[level]
    return [*cells, f"{test.statistic:.4f}", probability(test.pvalue)]


def _caption(networks: dict[str, list[Descriptions[Any]]]) -> str:
    study = networks["strong"][1]
    gas = study.result.distribution("density", PAIR).comparisons["gas"]
    dyson = study.result.distribution("density", PAIR).comparisons["dyson"]
    return (
        "The same descriptions for the linear networks, W_t = 2·1 (2 × 2), ε = 0.1, |B| = 16: "
        f"teacher–student, and one hidden layer with Z = diag{OUTPUT_LAYERS['mild']} and "
        f"diag{OUTPUT_LAYERS['strong']}. Top: mean spacing of the two singular values over that of the exact "
        "variances of W; gray line: spacing of a gas of two species with these widths. Bottom: one-point densities "
        "minus the exact law of a 2 × 2 symmetric Gaussian matrix (nothing fitted), in percent of its "
        "maximum, at the learning rate shown. Where the two rows of W have different widths, the gas of two species "
        "does not have the law of the matrix: at Z = diag"
        f"{OUTPUT_LAYERS['strong']}, α = {study.point.learning_rate:g} its density is D = {gas.statistic:.3f} from "
        f"SGD's (p = {probability(gas.pvalue)}; p-values are at least 1/(draws + 1)), that of Dyson Brownian motion "
        f"with the corrected closure D = {dyson.statistic:.4f} (p = {probability(dyson.pvalue)})."
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw spacings over the exact ones by alpha/|B|, and densities minus the exact law."""
    networks = results["parts"]["linear_levels"]["data"]["networks"]
    fig = new_figure(12.5, 7)
    axes = fig.subplots(2, 3)
    for column, (name, network) in enumerate(networks.items()):
        upper, lower = axes[:, column]
        x = 1e3 * np.array(network["ratio"])
        end = np.array([0.0, 1.15 * x.max()])
        mark_descriptions(upper, x, network["spacing"], end[1], labels=not column)
        upper.axhline(1, color=THEORY, linestyle="--", linewidth=0.9)
        if network["z"] is not None:
            upper.plot(x, network["gas_expected"], color=DESCRIPTIONS["gas"][1], linewidth=1)
        upper.set(xlim=end, xlabel=r"$10^3\,\alpha/|B|$")
        z = network["z"]
        label_panel(upper, "abc"[column], name if z is None else rf"$Z = \mathrm{{diag}}({z[0]:g},\, {z[1]:g})$")
        _draw_density(lower, network["density"])
        label_panel(lower, "def"[column], rf"$\alpha={network['density']['learning_rate']:g}$")
    axes[0, 0].set_ylabel(r"$\langle S\rangle$ / exact")
    axes[1, 0].set_ylabel("density minus exact law\n(% of its maximum)")
    legend_above(fig, axes[0, 0])
    return fig


def _draw_density(axes: Any, density: dict[str, Any]) -> None:
    """Draw SGD, Dyson and the gas; the other descriptions would need a larger scale."""
    edges, exact = np.array(density["edges"]), np.array(density["exact"])
    x = 1e3 * ((edges[1:] + edges[:-1]) / 2 - 2)
    scale = 100 / exact.max()
    for name in ("gas", "dyson", "sgd"):
        bars = density["levels"][name]
        y, error = scale * (np.array(bars["density"]) - exact), scale * np.array(bars["error"])
        _, color, marker = DESCRIPTIONS[name]
        axes.errorbar(x, y, error, fmt=f"{marker}-" if name == "gas" else marker, color=color, markersize=3.5,
                      elinewidth=0.8, linewidth=1)  # fmt: skip
    axes.axhline(0, color=THEORY, linestyle="--", linewidth=0.9)
    axes.set_xlabel(r"$(\xi - 2) \times 10^3$")
