"""One hidden layer: stationary densities of the singular values against one species, two species, and the exact law."""

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
    against,
    hold,
    law_holds,
    probability,
    rejected,
)
from dysonsim.spectra.observables import histogram

FAMILIES = {"one species": laws.TwoLevel, "two species": laws.TwoSpecies, "exact": laws.SymmetricTwoByTwo}
WHY_TIED = "At this anisotropy the two densities are too close for these data: neither law is favoured."


def densities(ensembles: Ensembles) -> Part:
    """Fits of the three laws, the laws with predicted widths, and likelihood ratios, for both output layers."""
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
            "Laws for the singular values, fitted in all parameters and with the predicted ones (no fit). "
            "Widths × 10³. Widths of two species and of the exact law: ascending; exact law: σ₁₁, σ₂₂, σ₁₂.",
            ["Z", "law", "widths × 10³", "KS D", "p (KS)", "p (AD)"],
            cells,
        ),
        Table(
            "Likelihood ratios of the fitted laws, per network (natural logarithm): positive favours the "
            "first. AIC: difference in favour of the first, parameters counted.",
            ["Z", "laws", "ln L₁ − ln L₂", "σ", "ΔAIC"],
            ratios,
        ),
    ]
    figure = Figure("densities", _caption(ensembles, said), _code(ensembles.densities["strong"]))
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
    """Only the exact law is claimed to hold: only its p-value may need many draws."""
    return (hold if name == "exact" else compare)(values, law, resamples=resamples)


def _ratio(values: np.ndarray, first: Comparison, second: Comparison) -> LikelihoodRatio:
    """Of two fitted laws, without fitting them again; the parameters that AIC counts come from the fits."""
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
        against(f"{title} mean spacing ⟨S⟩ × 10³", spacing, error, 1e3 * study["spacing_predicted"]),
        law_holds(f"{title} exact law with the predicted widths", [study["tests"]["exact"]]),
        law_holds(f"{title} exact law, fitted", [fit]),
    ]
    for width in ("std11", "std22", "std12"):
        symbol = {"std11": "σ₁₁", "std22": "σ₂₂", "std12": "σ₁₂"}[width]
        quantity = f"{title} {symbol} × 10³, fit of the exact law"
        rows.append(
            against(
                quantity, 1e3 * getattr(fit.law, width), 1e3 * fit.errors[width], 1e3 * getattr(known, width)
            )
        )
    rows.append(rejected(f"{title} one species, fitted", study["fits"]["one species"].pvalue))
    rows.append(_favoured(title, study["ratios"]["exact / two species"]))
    return rows


def _favoured(title: str, ratio: LikelihoodRatio) -> Row:
    """The exact law should describe the levels at least as well as two species."""
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
            with_error(1e3 * value, 1e3 * test.errors[key])
            for key, value in test.parameters.items()
            if key != "loc"
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
    """What the data say about the three laws, in words."""
    fits, ratio = study["fits"], study["ratios"]["exact / two species"]
    exact, two = (study["tests"][name].pvalue for name in ("exact", "two species"))
    verdicts = []
    for law, test in fits.items():
        verdicts.append(
            f"{law} p = {probability(test.pvalue)}" + (" (ruled out)" if test.pvalue < LEVEL else "")
        )
    if ratio.z > SIGMAS:
        better = f"the exact law is favoured over two species by {ratio.z:.1f}σ"
    elif ratio.z < -SIGMAS:
        better = f"two species are favoured over the exact law by {-ratio.z:.1f}σ"
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
        "(two levels of one width), two species (a Coulomb gas with two widths, the paper's generalised "
        "semicircle), and the exact law of a 2 × 2 symmetric Gaussian matrix with unequal variances. "
        "Bottom: data minus the exact law with predicted widths, over the largest density; curves: the "
        "other laws minus the same. " + ". ".join(said) + "."
    )


def _code(point: Point[LinearNetwork]) -> str:
    return point.code() + (
        f"xi = run.singular_values[:, {point.settled_text()}].reshape(len(run.singular_values), -1)\n"
        "for law in (ds.laws.TwoLevel, ds.laws.TwoSpecies, ds.laws.SymmetricTwoByTwo):\n"
        "    print(ds.compare(xi, law))\n"
        f"print(model.exact_two_by_two({point.learning_rate}, {point.batch_size}))\n"
        "print(ds.likelihood_ratio(xi, ds.laws.SymmetricTwoByTwo, ds.laws.TwoSpecies))\n"
    )
