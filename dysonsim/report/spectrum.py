"""The spectrum of the Gaussian RBM: all ten modes, one degenerate pair, the two single modes."""

from __future__ import annotations

import math

import numpy as np

from dysonsim import laws
from dysonsim._table import with_error
from dysonsim.comparison import Comparison
from dysonsim.models import GaussianRBM
from dysonsim.report.ensembles import Ensembles, Point
from dysonsim.report.parts import (
    NEXT_ORDER,
    WHY_NEXT_ORDER,
    Figure,
    Part,
    Row,
    Table,
    against,
    hold,
    law_holds,
)
from dysonsim.samples import histogram
from dysonsim.spectra import mean_and_error

PAIR = (3, 4)  # the levels of the pair shown: far from its neighbours on both sides
SHAPE = (
    "The laws hold for a quadratic well; SGD adds a skewness of relative order σ/x and curvature of order "
    "n α/|B|, which many networks resolve."
)


def spectrum(ensembles: Ensembles) -> Part:
    """All ten levels lambda = mu^2 - x against kappa, the pair PAIR with TwoLevel, kappa_0 and kappa_5 with Normal."""
    point = ensembles.spectrum
    model, size = point.model, ensembles.size
    levels = point.levels
    # hundreds of relaxation times on, a slowest mode below half its fixed point, ten widths away, is still growing
    grown = levels[:, 0, 0] > model.fixed_point()[0] / 2
    values = model.mu**2 - levels[grown]
    replicas, snapshots, n = values.shape
    widths = model.stationary_widths(point.learning_rate, point.batch_size)
    shift = model.mean_shift(point.learning_rate, point.batch_size)
    expected = model.kappa - shift
    epsilon = n * point.ratio

    modes = {name: values[:, :, list(group)].reshape(replicas, -1) for name, group in _groups(model).items()}
    drawn = {}
    tests = {}
    rows: list[Row] = []
    cells = []
    for name, group in _groups(model).items():
        law = laws.TwoLevel if len(group) > 1 else laws.Normal
        test = tests[name] = hold(modes[name], law, size.resamples)
        bars = histogram(modes[name], _edges(modes[name]))
        drawn[name] = {
            "kappa": model.kappa[group[0]],
            "levels": len(group),
            "edges": bars.edges,
            "density": bars.density,
            "error": bars.error,
            "comparison": test.to_dict(),
            "predicted": {"loc": expected[group[0]], "scale": widths[group[0]]},
        }
        mean, error = mean_and_error(modes[name].mean(axis=1))
        cells.append(
            [
                f"{model.kappa[group[0]]:.4f}",
                " and ".join(str(k) for k in group),
                with_error(float(mean), float(error)),
                f"{expected[group[0]]:.4f}",
                type(test.law).__name__,
                with_error(test.law.scale, test.errors["scale"]),
                f"{widths[group[0]]:.4f}",
                f"{test.ks.statistic:.4f}",
                f"{test.pvalue:.3g}",
            ]
        )
        rows.append(
            against(
                f"RBM, width σ of the level{'s' if len(group) > 1 else ''} at κ = "
                f"{model.kappa[group[0]]:.3f} ({type(test.law).__name__} fit)",
                test.law.scale,
                test.errors["scale"],
                widths[group[0]],
                allowed=NEXT_ORDER * epsilon * widths[group[0]],
                why=WHY_NEXT_ORDER,
            )
        )
    pairs = [test for name, test in tests.items() if drawn[name]["levels"] == 2]
    singles = [test for name, test in tests.items() if drawn[name]["levels"] == 1]
    rows.append(law_holds("RBM, pairs follow TwoLevel", pairs, allowed=_skew(model, widths), why=SHAPE))
    rows.append(
        law_holds("RBM, single modes follow Normal", singles, allowed=_skew(model, widths), why=SHAPE)
    )

    path = model.mu**2 - point.run.eigenvalues
    low, high = np.quantile(path, [0.16, 0.84], axis=0)
    data = {
        "point": point.about(),
        "snapshots": snapshots,
        "networks_left_out": int((~grown).sum()),
        "kappa": model.kappa,
        "mu": model.mu,
        "training": {
            "time": point.learning_rate * point.run.steps,
            "mean": path.mean(axis=0),
            "low": low,
            "high": high,
        },
        "modes": drawn,
        "pair": _name(PAIR),
        "singles": [_name((n - 1,)), _name((0,))],
    }
    header = ["κ", "levels", "mean λ", "predicted", "law", "σ fitted", "σ leading order", "KS D", "p"]
    caption = (
        f"Stationary levels λ = μ² − x at α = {point.learning_rate:g}, |B| = {point.batch_size}. "
        "Predicted mean: first order in α/|B| (GaussianRBM.mean_shift)."
    )
    figure = Figure("spectrum", _caption(point, tests, snapshots), _code(point))
    return Part(data, [figure], [Table(caption, header, cells)], rows)


def _groups(model: GaussianRBM) -> dict[str, tuple[int, ...]]:
    """Every well once, ascending kappa (descending x)."""
    pairs = model.degenerate_groups()
    shared = {level for group in pairs for level in group}
    wells = sorted([*pairs, *((k,) for k in range(model.n) if k not in shared)], reverse=True)
    return {_name(group): group for group in wells}


def _name(group: tuple[int, ...]) -> str:
    return "levels " + ",".join(map(str, group))


def _edges(values: np.ndarray, bins: int = 40) -> np.ndarray:
    """Bins that leave out nothing but far outliers, which would stretch the axis."""
    low, middle, high = np.quantile(values, [0.001, 0.5, 0.999])
    return np.linspace(middle - 1.25 * (middle - low), middle + 1.25 * (high - middle), bins + 1)


def _skew(model: GaussianRBM, widths: np.ndarray) -> float:
    """Distance that a skewness of relative order sigma/x gives: at most 0.07 of the skewness, taken as 4 sigma/x."""
    return 0.07 * 4 * float((widths / model.fixed_point()).max())


def _caption(point: Point[GaussianRBM], tests: dict[str, Comparison], snapshots: int) -> str:
    model = point.model
    pair = tests[_name(PAIR)]
    first, last = tests[_name((model.n - 1,))], tests[_name((0,))]
    predicted = model.stationary_widths(point.learning_rate, point.batch_size)

    def said(test: Comparison) -> str:
        return f"σ = {with_error(test.law.scale, test.errors['scale'])}, p = {test.pvalue:.2g}"

    return (
        "Gaussian RBM, scalar field on a ring of 10 sites (m = 2, μ = 3, σ_h = 1, k = 3 Gibbs steps), SGD "
        f"with α = {point.learning_rate:g}, |B| = {point.batch_size}: {point.replicas} networks, "
        f"{point.steps} steps, W₀ ~ N(0, 0.1²), seed {point.seed}. (a) Learnt eigenvalues λ = μ² − x during "
        "training (mean over networks, band: 16% to 84%), dashed: target κ. (b) Their stationary "
        f"densities, in the units of one level, with the fitted laws; {snapshots} snapshots a network, "
        f"{math.ceil(point.record_every * point.settled.step)} steps apart. Pairs repel, single levels do "
        f"not. (c) The pair at κ = {model.kappa[PAIR[0]]:.3f} with the two-level law: {said(pair)}; leading "
        f"order predicts σ = {predicted[PAIR[0]]:.4f}. (d), (e) The single modes with a Gaussian: κ₀ = "
        f"{model.kappa[-1]:.0f}, {said(first)} (leading order {predicted[-1]:.4f}); κ₅ = "
        f"{model.kappa[0]:.0f}, {said(last)} (leading order {predicted[0]:.4f}). Fits by maximum "
        "likelihood, errors and p-values (Kolmogorov–Smirnov) from whole networks. A small p-value with a "
        "curve that looks right says that the statistics resolve corrections of relative order σ/x and n "
        "α/|B|."
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
