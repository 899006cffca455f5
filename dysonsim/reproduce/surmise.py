"""The Wigner surmise: spacings of degenerate pairs of the RBM at all batch sizes and learning rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from dysonsim import laws
from dysonsim.comparison.compare import Comparison, compare
from dysonsim.ensembles.run import mean_and_error
from dysonsim.models import GaussianRBM
from dysonsim.reproduce.ensembles import Ensembles, Point
from dysonsim.reproduce.parts import (
    LEVEL,
    Figure,
    Part,
    Row,
    Table,
    compare_finely,
    control_row,
    law_row,
    probability,
    span,
)
from dysonsim.reproduce.sizes import BATCH_SIZE, LEARNING_RATE, Size
from dysonsim.reproduce.style import (
    THEORY,
    draw_histogram,
    label_panel,
    math_probability,
    math_value,
    new_figure,
    shades,
    styled,
)
from dysonsim.spectra.observables import histogram

SHOWN = 1  # the pair drawn, by its index in degenerate_groups(): kappa = 6.618, farthest from other wells
BINS = np.linspace(0.0, 3.4, 25)  # of s = S / <S>
SMALL = 0.0026  # alpha/|B| up to which corrections to the surmise should not be visible
ALT = (
    "Four panels. Above, spacing distributions of a degenerate pair of eigenvalues, wider for smaller batches and "
    "larger learning rates; below, the same in units of their mean, all on the Wigner surmise for beta = 1 and "
    "off that for beta = 2."
)


def measure(ensembles: Ensembles) -> Part:
    """Compare the spacings at every point with the surmise, scale fitted, and with that of beta = 2 as a control."""
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
            compare_finely(s, laws.WignerSurmise(1, float(s.mean())), size.resamples, fit="all") for s in spacings
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
        "Spacings of every pair compared with the Wigner surmise, mean spacing fitted: p-value "
        "(Kolmogorov–Smirnov distance D). Networks are resampled as a whole, and the fit is repeated each time."
    )
    figure = Figure("surmise", ALT, _caption(data, size), _code(spectrum, groups[SHOWN]))
    return Part(data, [figure], [Table(caption, header, cells)], _rows(tests, control, points))


def _record(point: Point[GaussianRBM], spacings: list[np.ndarray], results: list[Comparison]) -> dict[str, Any]:
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


def _rows(tests: dict[float, list[Comparison]], control: Comparison, points: list[Point[GaussianRBM]]) -> list[Row]:
    small = [c for ratio, results in tests.items() if ratio <= SMALL for c in results]
    large = [c for ratio, results in tests.items() if ratio > SMALL for c in results]
    epsilon = points[0].model.n * max(tests)
    why = (
        "Where the levels are as wide as the wells are apart (n α/|B| no longer small), neighboring wells "
        "push on the pair and its own well is no longer quadratic: the surmise is then only the leading "
        "order."
    )
    rows = []
    if small:
        rows.append(law_row(f"RBM, Wigner surmise, all pairs at α/|B| ≤ {SMALL:g}", small, allowed=0.01, why=why))
    if large:
        name = f"RBM, Wigner surmise, all pairs at α/|B| > {SMALL:g}"
        rows.append(law_row(name, large, allowed=0.3 * epsilon, why=why))
    rows.append(control_row("RBM, control: surmise with β = 2 on the same spacings", control.pvalue))
    return rows


def _index(points: list[Point[GaussianRBM]], rate: float, batch: int) -> int:
    return next(k for k, p in enumerate(points) if (p.learning_rate, p.batch_size) == (rate, batch))


def _caption(data: dict[str, Any], size: Size) -> str:
    least = data["scan_batch_size"] + data["scan_learning_rate"]
    pvalues = [data["points"][k]["pvalue"][SHOWN] for k in sorted(set(least))]
    replicas = [record["point"]["replicas"] for record in data["points"]]
    return (
        f"Spacing S of the degenerate pair at κ = {data['shown_kappa']:.3f} of the Gaussian RBM (N = 10, m "
        f"= 2, μ = 3, σ_h = 1, k = 3), {span(replicas)} networks per point. Top: P(S); "
        "lines are the Wigner surmise with the mean spacing fitted (maximum likelihood). Bottom: P(s) with s = "
        f"S/⟨S⟩, all on one curve without a free parameter. Left: |B| varied at α = {LEARNING_RATE:g}; right: "
        f"α varied at |B| = {BATCH_SIZE}. Errors treat each network as one unit. The p-values of the "
        f"Kolmogorov–Smirnov test with the scale fitted are {probability(min(pvalues))} to "
        f"{probability(max(pvalues))} for this pair; the table has all pairs. Dotted: the surmise for β = 2, "
        f"which the data {'rule out' if data['beta_2']['pvalue'] < LEVEL else 'are too few to rule out'} "
        f"(p = {probability(data['beta_2']['pvalue'])} at α = "
        f"{size.spectrum_rate:g})."
    )


def _code(point: Point[GaussianRBM], group: tuple[int, ...]) -> str:
    lines = (
        f"spacings = np.diff(run.eigenvalues[:, {point.settled_text()}][:, :, {list(group)}], axis=2)[:, :, 0]\n"
        "print(ds.compare(spacings, ds.laws.WignerSurmise(beta=1, scale=1.0), fit='all'))\n"
    )
    return f"# one point of the scans; the others change learning_rate, batch_size and seed\n{point.code()}{lines}"


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw P(S) above P(s), with |B| varied on the left and alpha on the right."""
    data = results["parts"]["surmise"]["data"]
    fig = new_figure(10, 8)
    axes = fig.subplots(2, 2)
    scans = (
        ("scan_batch_size", "batch_size", "Blues", r"$|B|={}$"),
        ("scan_learning_rate", "learning_rate", "Oranges", r"$\alpha={:g}$"),
    )
    fixed = {"scan_batch_size": r"$\alpha=0.1$", "scan_learning_rate": r"$|B|=16$"}
    shown = [abs(k - data["shown_kappa"]) < 1e-9 for k in data["kappa"]].index(True)
    for column, (scan, key, cmap, form) in enumerate(scans):
        records = [data["points"][k] for k in data[scan]]
        for record, color in zip(records, shades(cmap, len(records)), strict=True):
            name = form.format(record[key])
            width = math_value(record["mean_spacing"], record["mean_spacing_error"])
            draw_histogram(axes[0, column], record["S"], color, rf"{name},  $\langle S\rangle={width}$")
            s = np.linspace(0, record["S"]["edges"][-1], 300)
            axes[0, column].plot(s, laws.WignerSurmise(1, record["fitted_mean"][shown]).pdf(s), color=color)
            label = f"{name},  ${math_probability(record['pvalue'][shown])}$"
            draw_histogram(axes[1, column], record["s"], color, label)
        s = np.linspace(0, 3.4, 300)
        axes[1, column].plot(
            s, laws.WignerSurmise(1).pdf(s), color=THEORY, label=r"$\frac{\pi}{2}\, s\, e^{-\pi s^2/4}$", zorder=5
        )
        axes[1, column].plot(
            s, laws.WignerSurmise(2).pdf(s), color=THEORY, linestyle=":", label=r"surmise, $\beta=2$", linewidth=1
        )
        axes[0, column].set(xlabel="$S$", ylabel="$P(S)$", ylim=(0, None))
        axes[0, column].set_xlim(0, 3.2 * max(r["mean_spacing"] for r in records))
        axes[1, column].set(xlabel=r"$s = S/\langle S\rangle$", ylabel="$P(s)$", xlim=(0, 3.4), ylim=(0, 0.98))
        for row, letter in zip(axes[:, column], ("ac", "bd")[column], strict=True):
            row.legend(loc="upper right")
            label_panel(row, letter, rf"{fixed[scan]}, pair at $\kappa={data['shown_kappa']:.3f}$")
    return fig
