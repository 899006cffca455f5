"""The spectrum of the Gaussian RBM: all ten modes, one degenerate pair, the two single modes."""

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
    against,
    hold,
    law_holds,
    probability,
)
from dysonsim.spectra.observables import histogram

PAIR = (3, 4)  # the levels of the pair shown: far from its neighbours on both sides
SKEWNESS = 0.3  # Kolmogorov-Smirnov distance over sigma/x: 0.07 of a skewness of 4 sigma/x, rounded up
SHAPE = (
    "The laws hold for a quadratic well; SGD adds a skewness of relative order σ/x and curvature of order "
    "n α/|B|, which many networks resolve."
)


@dataclass(frozen=True)
class Mode:
    """One well: its levels, their stationary values (networks, snapshots x levels), the fitted law, the predictions."""

    group: tuple[int, ...]
    kappa: float
    values: np.ndarray
    test: Comparison
    mean: float
    width: float

    @property
    def name(self) -> str:
        return "levels " + ",".join(map(str, self.group))

    @property
    def law(self) -> str:
        return type(self.test.law).__name__

    @property
    def fitted(self) -> str:
        """Width with error."""
        return with_error(self.test.law.scale, self.test.errors["scale"])


def spectrum(ensembles: Ensembles) -> Part:
    """All ten levels lambda = mu^2 - x against kappa, the pair PAIR with TwoLevel, kappa_0 and kappa_5 with Normal."""
    point = ensembles.spectrum
    model = point.model
    # hundreds of relaxation times on, a slowest mode below half its fixed point, ten widths away, is still growing
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
        f"Stationary levels λ = μ² − x at α = {point.learning_rate:g}, |B| = {point.batch_size}. "
        "Predicted mean: first order in α/|B| (GaussianRBM.mean_shift)."
    )
    header = ["κ", "levels", "mean λ", "predicted", "law", "σ fitted", "σ leading order", "KS D", "p"]
    table = Table(caption, header, [_cells(mode) for mode in modes])
    figure = Figure("spectrum", _caption(point, pair, singles), _code(point))
    return Part(data, [figure], [table], _rows(point, modes))


def _modes(point: Point[GaussianRBM], values: np.ndarray, resamples: int) -> list[Mode]:
    """Every well once, ascending kappa (descending x). `values` are lambda, (networks, snapshots, n)."""
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
        test = hold(mine, law, resamples)
        modes.append(
            Mode(group, float(model.kappa[level]), mine, test, float(means[level]), float(widths[level]))
        )
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
        rows.append(against(quantity, scale, error, mode.width, allowed=allowed, why=WHY_NEXT_ORDER))
    skewed = SKEWNESS * max(mode.width / (point.model.mu**2 - mode.kappa) for mode in modes)
    for size, quantity in ((2, "RBM, pairs follow TwoLevel"), (1, "RBM, single modes follow Normal")):
        tests = [mode.test for mode in modes if len(mode.group) == size]
        rows.append(law_holds(quantity, tests, allowed=skewed, why=SHAPE))
    return rows


def _edges(values: np.ndarray, bins: int = 40) -> np.ndarray:
    """Bins that leave out nothing but far outliers, which would stretch the axis."""
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
        f"{point.steps} steps, W₀ ~ N(0, 0.1²), seed {point.seed}. (a) Learnt eigenvalues λ = μ² − x during "
        "training (mean over networks, band: 16% to 84%), dashed: target κ. (b) Their stationary densities "
        f"with the fitted laws; {snapshots} snapshots a network, {interval} steps apart. Pairs repel, single "
        f"levels do not. (c) The pair at κ = {pair.kappa:.3f} with the two-level law: {said(pair)}. "
        f"(d), (e) The single modes with a Gaussian: κ₀ = {first.kappa:.0f}, {said(first)}; κ₅ = "
        f"{last.kappa:.0f}, {said(last)}. Fits by maximum likelihood, errors and p-values "
        "(Kolmogorov–Smirnov) from whole networks. A small p-value with a curve that looks right says that "
        "the statistics resolve corrections of relative order σ/x and n α/|B|."
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
