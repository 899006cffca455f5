"""One hidden layer: stationary densities of singular values compared with one species, two species, the exact law."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dysonsim import laws
from dysonsim._text import with_error
from dysonsim.comparison.compare import Comparison, compare
from dysonsim.comparison.likelihood import LikelihoodRatio, likelihood_ratio
from dysonsim.ensembles.run import mean_and_error
from dysonsim.models import LinearNetwork
from dysonsim.reproduce.ensembles import OUTPUT_LAYERS, TEACHER, Ensembles, Point
from dysonsim.reproduce.parts import (
    AGREES,
    DISAGREES,
    LEVEL,
    SIGMAS,
    Figure,
    Part,
    Row,
    Table,
    compare_finely,
    control_row,
    law_row,
    number_row,
    probability,
)
from dysonsim.reproduce.style import (
    SPECIES,
    THEORY,
    fill_histogram,
    label_panel,
    math_probability,
    new_figure,
    stored_law,
    styled,
)
from dysonsim.spectra.observables import histogram

FAMILIES = {"one species": laws.TwoLevel, "two species": laws.TwoSpecies, "exact": laws.SymmetricTwoByTwo}
WHY_TIED = "At this anisotropy the two densities are too close for these data: neither law is favored."
ALT = (
    "Four panels, two for each output layer. Stationary densities of the singular values with three fitted laws; "
    "below, the differences from the exact law of a 2 by 2 symmetric Gaussian matrix, which the data follow "
    "within their errors while one species does not."
)


def measure(ensembles: Ensembles) -> Part:
    """Compare both output layers with three laws, fitted and with predicted widths, and the laws with one another."""
    networks: dict[str, Any] = {}
    rows: list[Row] = []
    cells: list[list[str]] = []
    ratios: list[list[str]] = []
    said = []
    for name, point in ensembles.densities.items():
        study = _study(point, ensembles.size.resamples)
        networks[name] = {"z": OUTPUT_LAYERS[name], "point": point.about(), **_numbers(study)}
        rows += _rows(name, point, study)
        cells += _cells(name, point, study)
        ratios += [_ratio_cells(name, pair, ratio) for pair, ratio in study["ratios"].items()]
        said.append(_sentence(name, study))
    tables = [
        Table(
            "Laws of the singular values with all parameters fitted, and with predicted parameters (nothing fitted). "
            "Widths of two species are in ascending order; those of the exact law are σ₁₁, σ₂₂, σ₁₂.",
            ["Z", "law", "widths × 10³", "KS D", "p (KS)", "p (AD)"],
            cells,
        ),
        Table(
            "Likelihood ratios of the fitted laws, per network (natural logarithm): positive values favor the "
            "first law. ΔAIC counts the parameters as well; positive values favor the first law.",
            ["Z", "laws", "ln L₁ − ln L₂", "σ", "ΔAIC"],
            ratios,
        ),
    ]
    figure = Figure("densities", ALT, _caption(ensembles, said), _code(ensembles.densities["strong"]))
    return Part({"networks": networks}, [figure], tables, rows)


def _study(point: Point[LinearNetwork], resamples: int) -> dict[str, Any]:
    levels = point.singular_values
    values = levels.reshape(len(levels), -1)
    rates = point.learning_rate, point.batch_size
    widths = np.sort(point.model.singular_value_widths(*rates))
    exact = point.model.exact_two_by_two(*rates)
    narrow, wide = sorted(exact[:2])
    predicted = {
        "two species": laws.TwoSpecies(TEACHER, *widths),
        "exact": laws.SymmetricTwoByTwo(TEACHER, narrow, wide, exact[2]),
    }
    spacing, error = mean_and_error(np.diff(levels, axis=2)[:, :, 0].mean(axis=1))
    fits = {name: _compare(values, name, family, resamples) for name, family in FAMILIES.items()}
    return {
        "values": values,
        "snapshots": levels.shape[1],
        "predicted_laws": predicted,
        "fits": fits,
        "tests": {name: _compare(values, name, known, resamples) for name, known in predicted.items()},
        "ratios": {
            "exact / two species": _ratio(values, fits["exact"], fits["two species"]),
            "two species / one species": _ratio(values, fits["two species"], fits["one species"]),
        },
        "spacing": (float(spacing), float(error)),
        "spacing_predicted": float(point.model.singular_value_spacings(*rates)[0]),
    }


def _compare(values: np.ndarray, name: str, law: Any, resamples: int) -> Comparison:
    """Compare; only the exact law is claimed to describe the data, so that only its p-value may need many draws."""
    return (compare_finely if name == "exact" else compare)(values, law, resamples=resamples)


def _ratio(values: np.ndarray, first: Comparison, second: Comparison) -> LikelihoodRatio:
    """Compare two fitted laws without fitting them again; the parameters that AIC counts come from the fits."""
    assert first.fitted is not None
    assert second.fitted is not None
    ratio = likelihood_ratio(values, first.law, second.law)
    counted = 2 * (second.fitted.effective_parameters - first.fitted.effective_parameters)
    return replace(ratio, a=first.fitted, b=second.fitted, aic_difference=ratio.aic_difference + counted)


def _numbers(study: dict[str, Any]) -> dict[str, Any]:
    low, high = np.quantile(study["values"], [0.0005, 0.9995])
    bars = histogram(study["values"], np.linspace(low, high, 46))
    return {
        "snapshots": study["snapshots"],
        "histogram": {"edges": bars.edges, "density": bars.density, "error": bars.error},
        "fits": {law: test.to_dict() for law, test in study["fits"].items()},
        "predicted": {law: test.to_dict() for law, test in study["tests"].items()},
        "likelihood_ratios": {pair: ratio.to_dict() for pair, ratio in study["ratios"].items()},
        "mean_spacing": study["spacing"],
        "mean_spacing_predicted": study["spacing_predicted"],
    }


def _rows(name: str, point: Point[LinearNetwork], study: dict[str, Any]) -> list[Row]:
    title = f"Hidden layer, Z = diag{OUTPUT_LAYERS[name]}:"
    fit, known = study["fits"]["exact"], study["predicted_laws"]["exact"]
    spacing, error = (1e3 * v for v in study["spacing"])
    rows = [
        number_row(f"{title} mean spacing ⟨S⟩ × 10³", spacing, error, 1e3 * study["spacing_predicted"]),
        law_row(f"{title} exact law with the predicted widths", [study["tests"]["exact"]]),
        law_row(f"{title} exact law, fitted", [fit]),
    ]
    for width in ("std11", "std22", "std12"):
        symbol = {"std11": "σ₁₁", "std22": "σ₂₂", "std12": "σ₁₂"}[width]
        quantity = f"{title} {symbol} × 10³, fit of the exact law"
        rows.append(
            number_row(quantity, 1e3 * getattr(fit.law, width), 1e3 * fit.errors[width], 1e3 * getattr(known, width))
        )
    rows.append(control_row(f"{title} one species, fitted", study["fits"]["one species"].pvalue))
    rows.append(_favored(title, study["ratios"]["exact / two species"]))
    return rows


def _favored(title: str, ratio: LikelihoodRatio) -> Row:
    """Judge whether the exact law describes the singular values at least as well as two species do."""
    verdict = DISAGREES if ratio.z < -SIGMAS else AGREES
    why = WHY_TIED if abs(ratio.z) <= SIGMAS else ""
    return Row(
        f"{title} ln L(exact) − ln L(two species) per network", ratio.difference, ratio.error, None, ratio.z, verdict,
        why, expected="≥ 0",
    )  # fmt: skip


def _cells(name: str, point: Point[LinearNetwork], study: dict[str, Any]) -> list[list[str]]:
    lines = []
    for law, test in study["fits"].items():
        widths = ", ".join(
            with_error(1e3 * value, 1e3 * test.errors[key]) for key, value in test.parameters.items() if key != "loc"
        )
        lines.append([f"diag{OUTPUT_LAYERS[name]}", f"{law}, fitted", widths, *_tested_cells(test)])
    for law, test in study["tests"].items():
        widths = ", ".join(f"{1e3 * value:.4f}" for key, value in test.parameters.items() if key != "loc")
        lines.append([f"diag{OUTPUT_LAYERS[name]}", f"{law}, predicted", widths, *_tested_cells(test)])
    return lines


def _tested_cells(test: Comparison) -> list[str]:
    return [f"{test.ks.statistic:.4f}", probability(test.ks.pvalue), probability(test.ad.pvalue)]


def _ratio_cells(name: str, pair: str, ratio: LikelihoodRatio) -> list[str]:
    return [
        f"diag{OUTPUT_LAYERS[name]}",
        pair,
        with_error(ratio.difference, ratio.error),
        f"{ratio.z:+.1f}",
        f"{ratio.aic_difference:+.1f}",
    ]


def _sentence(name: str, study: dict[str, Any]) -> str:
    """Say in words what the data tell about the three laws."""
    fits, ratio = study["fits"], study["ratios"]["exact / two species"]
    exact, two = (study["tests"][name].pvalue for name in ("exact", "two species"))
    verdicts = []
    for law, test in fits.items():
        verdicts.append(f"{law} p = {probability(test.pvalue)}" + (" (ruled out)" if test.pvalue < LEVEL else ""))
    if ratio.z > SIGMAS:
        better = f"the exact law is favored over two species by {ratio.z:.1f}σ"
    elif ratio.z < -SIGMAS:
        better = f"two species are favored over the exact law by {-ratio.z:.1f}σ"
    else:
        better = f"two species and the exact law describe the data equally well ({ratio.z:+.1f}σ)"
    return (
        f"Z = diag{OUTPUT_LAYERS[name]}: {', '.join(verdicts)}; {better}; with the predicted widths, "
        f"nothing fitted, the exact law has p = {probability(exact)} and two species p = {probability(two)}"
    )


def _caption(ensembles: Ensembles, said: list[str]) -> str:
    point = ensembles.densities["mild"]
    snapshots = len(point.run.steps[point.settled])
    return (
        "Stationary density of the singular values ξ of W in the network with one hidden layer (W_t = 2·1, "
        f"ε = 0.1, α = {point.learning_rate:g}, |B| = {point.batch_size}; {point.replicas} networks, "
        f"{snapshots} snapshots each), for Z = diag{OUTPUT_LAYERS['mild']} (left) and "
        f"diag{OUTPUT_LAYERS['strong']} (right), with three laws fitted by maximum likelihood: one species "
        "(two levels of one width), two species (a Coulomb gas with two widths, the paper's generalized "
        "semicircle), and the exact law of a 2 × 2 symmetric Gaussian matrix with unequal variances. "
        "Bottom: data minus the exact law with predicted widths, in percent of its maximum; curves: the "
        "fitted laws minus the same. " + ". ".join(said) + "."
    )


def _code(point: Point[LinearNetwork]) -> str:
    return point.code() + (
        f"xi = run.singular_values[:, {point.settled_text()}].reshape(len(run.singular_values), -1)\n"
        "for law in (ds.laws.TwoLevel, ds.laws.TwoSpecies, ds.laws.SymmetricTwoByTwo):\n"
        "    print(ds.compare(xi, law))\n"
        f"print(model.exact_two_by_two({point.learning_rate}, {point.batch_size}))\n"
        "print(ds.likelihood_ratio(xi, ds.laws.SymmetricTwoByTwo, ds.laws.TwoSpecies))\n"
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw stationary densities with three laws; below, data and laws minus the exact law with predicted widths."""
    data = results["parts"]["densities"]["data"]
    fig = new_figure(10, 7)
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
        fill_histogram(upper, shown, "#7f9fc4")
        reference = stored_law(network["predicted"]["exact"])
        center = (edges[1:] + edges[:-1]) / 2
        scale = 100 / reference.pdf(x).max()
        difference = scale * (density - _binned(reference, edges))
        error = scale * np.array(bars["error"])
        style = {"fmt": "o", "color": "#4a6f9c", "markersize": 3, "elinewidth": 0.8}
        lower.errorbar(unit * (center - 2), difference, error, **style)
        for name, fit in network["fits"].items():
            fitted = stored_law(fit)
            dash = "--" if name == "two species" else "-"
            label = f"{name}, ${math_probability(fit['pvalue'])}$" if fit["pvalue"] >= 1e-3 else f"{name}, $p < 0.001$"
            upper.plot(unit * (x - 2), fitted.pdf(x) / unit, dash, color=SPECIES[name], label=label)
            lower.plot(unit * (x - 2), scale * (fitted.pdf(x) - reference.pdf(x)), dash, color=SPECIES[name])
        known = network["predicted"]["exact"]
        upper.plot(unit * (x - 2), reference.pdf(x) / unit, ":", color=THEORY,
                   label=f"exact, widths predicted, ${math_probability(known['pvalue'])}$")  # fmt: skip
        lower.axhline(0, color=THEORY, linestyle=":", linewidth=1)
        z = network["z"]
        label_panel(upper, "ab"[column], rf"$Z = \mathrm{{diag}}({z[0]:g},\, {z[1]:g})$")
        label_panel(lower, "cd"[column])
        lower.set_xlabel(r"$(\xi - 2) \times 10^3$")
        upper.set_ylim(0, 1.5 * shown["density"].max())
        upper.legend(loc="upper left", fontsize=10.5)
    axes[0, 0].set_ylabel(r"density of singular values, per $10^{-3}$")
    axes[1, 0].set_ylabel("difference from\npredicted exact law (%)")
    return fig


def _binned(reference: Any, edges: np.ndarray) -> np.ndarray:
    """Return the law averaged over each bin, as a histogram sees it."""
    return np.diff(reference.cdf(edges)) / np.diff(edges)
