"""The Wigner surmise: spacings of degenerate pairs of the RBM over the scans in |B| and alpha."""

from __future__ import annotations

from typing import Any

import numpy as np

from dysonsim import laws
from dysonsim.comparison.compare import Comparison, compare
from dysonsim.ensembles.run import mean_and_error
from dysonsim.models import GaussianRBM
from dysonsim.reproduce.ensembles import Ensembles, Point
from dysonsim.reproduce.parts import Figure, Part, Row, Table, hold, law_holds, probability, rejected
from dysonsim.reproduce.sizes import BATCH_SIZE, LEARNING_RATE
from dysonsim.spectra.observables import histogram

SHOWN = 1  # the pair drawn, by its place in degenerate_groups(): kappa = 6.618, farthest from other wells
BINS = np.linspace(0.0, 3.4, 25)  # of s = S / <S>
SMALL = 0.0026  # alpha/|B| up to which the surmise should hold without corrections that one can see


def surmise(ensembles: Ensembles) -> Part:
    """P(S) and P(s) at every point, KS p-values with the scale fitted, and the beta = 2 surmise as a control."""
    size = ensembles.size
    points = list(ensembles.rbm.values())
    groups = points[0].model.degenerate_groups()
    kappa = [float(points[0].model.kappa[group[0]]) for group in groups]
    records: list[dict[str, Any]] = []
    tests: dict[float, list[Comparison]] = {}
    cells = []
    for point in points:
        spacings = [np.diff(point.levels[:, :, list(group)], axis=2)[:, :, 0] for group in groups]
        results = [
            hold(s, laws.WignerSurmise(1, float(s.mean())), size.resamples, fit="all") for s in spacings
        ]
        tests.setdefault(point.ratio, []).extend(results)
        records.append(_record(point, spacings, results))
        cells.append(_cells(point, results))
    spectrum = ensembles.spectrum
    gap = np.diff(spectrum.levels[:, :, list(groups[SHOWN])], axis=2)[:, :, 0]
    control = compare(gap, laws.WignerSurmise(2, float(gap.mean())), fit="all", resamples=size.resamples)
    shown = kappa[SHOWN]
    data = {
        "kappa": kappa,
        "shown_kappa": shown,
        "points": records,
        "scan_batch_size": [_index(points, LEARNING_RATE, batch) for batch in size.batch_sizes],
        "scan_learning_rate": [_index(points, rate, BATCH_SIZE) for rate in size.learning_rates],
        "beta_2": control.to_dict(),
    }
    header = ["α", "|B|", "α/|B|", "networks × snapshots", *(f"κ = {k:.3f}" for k in kappa)]
    caption = (
        "Wigner surmise with fitted mean spacing against the spacings of every pair: p-value "
        "(Kolmogorov–Smirnov distance D). Networks are resampled whole, refitting included."
    )
    figure = Figure("surmise", _caption(data, size), _code(spectrum, groups[SHOWN]))
    return Part(data, [figure], [Table(caption, header, cells)], _rows(tests, control, points))


def _record(
    point: Point[GaussianRBM], spacings: list[np.ndarray], results: list[Comparison]
) -> dict[str, Any]:
    chosen = spacings[SHOWN]
    mean, error = mean_and_error(chosen.mean(axis=1))
    raw = histogram(chosen, BINS * float(mean))
    scaled = histogram(chosen / float(mean), BINS)
    return {
        "point": point.about(),
        "learning_rate": point.learning_rate,
        "batch_size": point.batch_size,
        "mean_spacing": mean,
        "mean_spacing_error": error,
        "S": {"edges": raw.edges, "density": raw.density, "error": raw.error},
        "s": {"edges": scaled.edges, "density": scaled.density, "error": scaled.error},
        "fitted_mean": [c.law.scale for c in results],
        "fitted_mean_error": [c.errors["scale"] for c in results],
        "statistic": [c.statistic for c in results],
        "pvalue": [c.pvalue for c in results],
        "anderson_darling_pvalue": [c.ad.pvalue for c in results],
    }


def _cells(point: Point[GaussianRBM], results: list[Comparison]) -> list[str]:
    snapshots = results[0].values.shape[1]
    return [
        f"{point.learning_rate:g}",
        str(point.batch_size),
        f"{point.ratio:.3g}",
        f"{point.replicas} × {snapshots}",
        *(f"p = {probability(c.pvalue)} ({c.ks.statistic:.4f})" for c in results),
    ]


def _rows(
    tests: dict[float, list[Comparison]], control: Comparison, points: list[Point[GaussianRBM]]
) -> list[Row]:
    small = [c for ratio, results in tests.items() if ratio <= SMALL for c in results]
    large = [c for ratio, results in tests.items() if ratio > SMALL for c in results]
    epsilon = points[0].model.n * max(tests)
    why = (
        "Where the levels are as wide as the wells are apart (n α/|B| no longer small), neighbouring wells "
        "push on the pair and its own well is no longer quadratic: the surmise is then the leading order "
        "only."
    )
    rows = []
    if small:
        rows.append(
            law_holds(f"RBM, Wigner surmise, all pairs at α/|B| ≤ {SMALL:g}", small, allowed=0.01, why=why)
        )
    if large:
        name = f"RBM, Wigner surmise, all pairs at α/|B| > {SMALL:g}"
        rows.append(law_holds(name, large, allowed=0.3 * epsilon, why=why))
    rows.append(rejected("RBM, control: surmise with β = 2 on the same spacings", control.pvalue))
    return rows


def _index(points: list[Point[GaussianRBM]], rate: float, batch: int) -> int:
    return next(k for k, p in enumerate(points) if (p.learning_rate, p.batch_size) == (rate, batch))


def _caption(data: dict[str, Any], size) -> str:
    least = data["scan_batch_size"] + data["scan_learning_rate"]
    pvalues = [data["points"][k]["pvalue"][SHOWN] for k in sorted(set(least))]
    replicas = [record["point"]["replicas"] for record in data["points"]]
    return (
        f"Spacing S of the degenerate pair at κ = {data['shown_kappa']:.3f} of the Gaussian RBM (N = 10, m "
        f"= 2, μ = 3, σ_h = 1, k = 3), {min(replicas)} to {max(replicas)} networks a point. Top: P(S), "
        "lines are the Wigner surmise with the fitted mean spacing (maximum likelihood); bottom: P(s), s = "
        f"S/⟨S⟩, on one curve without any parameter. Left: scan in |B| at α = {LEARNING_RATE:g}; right: "
        f"scan in α at |B| = {BATCH_SIZE}. Error bars from whole networks; p-values of the "
        f"Kolmogorov–Smirnov test with the scale fitted, {probability(min(pvalues))} to "
        f"{probability(max(pvalues))} for this pair, all pairs in the table. Dotted: the surmise for β = 2, "
        f"which the data rule out (p = {probability(data['beta_2']['pvalue'])} at α = "
        f"{size.spectrum_rate:g})."
    )


def _code(point: Point[GaussianRBM], group: tuple[int, ...]) -> str:
    lines = (
        f"spacings = np.diff(run.eigenvalues[:, {point.settled_text()}][:, :, {list(group)}], axis=2)[:, :, 0]\n"
        "print(ds.compare(spacings, ds.laws.WignerSurmise(beta=1, scale=1.0), fit='all'))\n"
    )
    return f"# one point of the scans; the others change learning_rate, batch_size and seed\n{point.code()}{lines}"
