"""Number variance, rigidity and form factor of wide linear networks whose levels all share one well."""

from __future__ import annotations

from typing import Any

import numpy as np

from dysonsim import laws
from dysonsim._text import with_error
from dysonsim.comparison.compare import compare
from dysonsim.comparison.curves import CurveComparison
from dysonsim.descriptions.hierarchy import Hierarchy, hierarchy
from dysonsim.models import TeacherStudent
from dysonsim.processes import SGD
from dysonsim.reproduce.ensembles import GRADIENT_NOISE, TEACHER, Ensembles
from dysonsim.reproduce.parts import Figure, Part, Row, Table, compare_curve_finely, control_row, curve_row, probability
from dysonsim.reproduce.style import THEORY, TITLES, label_panel, legend_above, mark_descriptions, new_figure, styled
from dysonsim.spectra.curve import Curve
from dysonsim.spectra.long_range import form_factor, number_variance, rigidity

LEARNING_RATE, BATCH_SIZE = 0.1, 64
RECORDS = (120, 160)  # steps; levels relax at the learning rate, so that exp(-12) of the beginning is left
LENGTHS = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0)
TIMES = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0)
STATISTICS: dict[str, tuple[Any, Any, str]] = {  # function, law, symbol
    "number variance": (number_variance, laws.NumberVariance, "Σ²(L)"),
    "rigidity": (rigidity, laws.Rigidity, "Δ₃(L)"),
    "form factor": (form_factor, laws.FormFactor, "K(τ)"),
}
DRAWN = {1: (THEORY, "-"), 2: ("#3a8a4d", "--"), 4: ("#8a5fb0", "-."), 0: ("#8a8a8a", ":")}
WHY = "SGD has steps of finite size and noise of the data, which theory leaves out, in α n/|B|."
ALT = (
    "Three panels: number variance, rigidity and form factor of SGD, Langevin, Dyson and Coulomb gas all lie on the "
    "curves of random matrix theory for beta = 1, below independent levels and above beta = 2."
)


def measure(ensembles: Ensembles) -> Part:
    """Compare the three curves of every description with the laws for beta = 1; beta = 2 and 0 are controls."""
    size, seed = ensembles.size, 1000 * ensembles.seed + 500
    result = _descriptions(size.units, size.unit_replicas, seed)
    points = {name: TIMES if name == "form factor" else _lengths(size.units) for name in STATISTICS}
    found: dict[str, dict[str, CurveComparison]] = {}
    curves: dict[str, dict[str, Curve]] = {}
    for name, (function, law, _) in STATISTICS.items():
        curves[name] = {level: function(run, points[name]) for level, run in result.runs.items()}
        found[name] = {level: compare_curve_finely(curve, law(1), size.resamples)
                       for level, curve in curves[name].items()}  # fmt: skip
    sgd = curves["number variance"]["sgd"]
    controls = {beta: compare(sgd, laws.NumberVariance(beta), resamples=size.resamples) for beta in (2, 0)}
    data = {
        "model": _model_text(size.units),
        "units": size.units,
        "replicas": size.unit_replicas,
        "seed": seed,
        "curves": {name: {level: curve.to_dict() for level, curve in by.items()} for name, by in curves.items()},
        "laws": {name: _drawn(curves[name]["gas"], law) for name, (_, law, _) in STATISTICS.items()},
        "pvalues": {name: {level: one.pvalue for level, one in by.items()} for name, by in found.items()},
        "controls": {str(beta): control.pvalue for beta, control in controls.items()},
    }
    rows = [_row(name, level, one) for name, by in found.items() for level, one in by.items()]
    rows += [
        control_row("Number variance of SGD on the curve for β = 2", controls[2].pvalue),
        control_row("Number variance of SGD on that of independent levels", controls[0].pvalue),
    ]
    figure = Figure("long_range", ALT, _caption(size.units, size.unit_replicas), _code(size.units, result))
    return Part(data, [figure], [_table(curves, found)], rows)


def _lengths(units: int) -> tuple[float, ...]:
    return tuple(length for length in LENGTHS if length <= units / 4)


def _descriptions(units: int, replicas: int, seed: int) -> Hierarchy:
    """Run all descriptions of a teacher-student of so many units, all of whose levels share one fixed point."""
    model = TeacherStudent(TEACHER * np.eye(units), gradient_noise=GRADIENT_NOISE)
    sgd = SGD(model, LEARNING_RATE, BATCH_SIZE)

    def observable(run: Any) -> Curve:
        return number_variance(run, _lengths(units))

    return hierarchy(sgd, replicas, records=RECORDS, path=0, observable=observable, seed=seed, resamples=1)


def _drawn(curve: Curve, law: Any) -> dict[str, Any]:
    """Return the laws as a curve would show them, on a fine grid."""
    x = np.linspace(curve.x.min(), curve.x.max(), 120)
    width = curve.window[1] - curve.window[0]
    return {"x": x} | {str(beta): curve.expected(law(beta), x) for beta in DRAWN} | {"width": width}


def _row(name: str, level: str, one: CurveComparison) -> Row:
    symbol = STATISTICS[name][2]
    allowed = BATCH_SIZE * LEARNING_RATE / BATCH_SIZE if level == "sgd" else 0.0
    return curve_row(f"{name.capitalize()} {symbol}, {TITLES[level]}, β = 1", one, allowed=allowed, why=WHY)


def _table(curves: dict[str, dict[str, Curve]], found: dict[str, dict[str, CurveComparison]]) -> Table:
    levels = list(curves["rigidity"])
    rows = []
    for name, by in curves.items():
        symbol = STATISTICS[name][2]
        law = found[name]["gas"].expected
        for k, x in enumerate(by["gas"].x):
            cells = [with_error(float(by[level].value[k]), float(by[level].error[k])) for level in levels]
            rows.append([f"{symbol[:-2]}{x:g})", f"{law[k]:.4f}", *cells])
        rows.append([f"p, {symbol}", "", *(probability(found[name][level].pvalue) for level in levels)])
    return Table(
        "Number variance, rigidity and form factor, and the p-value of each curve as a whole: replicas are resampled. "
        "The form factor of the law is averaged over the resolution of the window.",
        ["", "law, β = 1", *(TITLES[level] for level in levels)],
        rows,
    )


def _model_text(units: int) -> str:
    return f"ds.TeacherStudent({TEACHER} * np.eye({units}), gradient_noise={GRADIENT_NOISE})"


def _caption(units: int, replicas: int) -> str:
    return (
        f"Teacher–student with {units} units, W_t = 2·1: all {units} levels share one well, whose Coulomb gas is a "
        f"Gaussian orthogonal ensemble. {replicas} networks or gases of each description, levels unfolded by the "
        "density of the other replicas, middle half of the spectrum. (a) Number variance, (b) rigidity, (c) connected "
        "form factor, whose laws are averaged over the resolution of the window. Lines: random matrix theory for β = 1 "
        "(solid), 2, 4 and independent levels (dotted)."
    )


def _code(units: int, result: Hierarchy) -> str:
    run = result.runs["sgd"]
    return (
        "import numpy as np\nimport dysonsim as ds\n"
        f"model = {_model_text(units)}\n"
        f"sgd = ds.SGD(model, learning_rate={LEARNING_RATE}, batch_size={BATCH_SIZE})\n"
        f"run = ds.simulate(sgd, replicas={run.replicas}, steps={RECORDS[-1]}, seed={run.seed}, "
        f"record_steps={list(RECORDS)})\n"
        f"curve = ds.number_variance(run, {list(_lengths(units))})\n"
        "print(ds.compare(curve, ds.laws.NumberVariance(beta=1)))\n"
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw the three curves of all descriptions on the laws."""
    data = results["parts"]["long_range"]["data"]
    fig = new_figure(12, 4.4)
    panels = fig.subplots(1, 3)
    for axes, letter, (name, by) in zip(panels, "abc", data["curves"].items(), strict=True):
        drawn = data["laws"][name]
        for beta, (color, style) in DRAWN.items():
            label = f"$\\beta = {beta}$" if beta else "independent"
            axes.plot(drawn["x"], drawn[str(beta)], style, color=color, linewidth=1.2, label=label)
        x = np.array(by["gas"]["x"])
        values = {level: list(zip(curve["value"], curve["error"], strict=True)) for level, curve in by.items()}
        mark_descriptions(axes, x, values, 0.3 * float(np.ptp(x)), labels=True)
        most = max(max(curve["value"]) for curve in by.values())
        axes.set(xlim=(0, 1.05 * x.max()), ylim=(0, 1.25 * most))
        argument, symbol = ("\\tau", "K(\\tau)") if name == "form factor" else ("L", "\\Sigma^2(L)")
        axes.set_xlabel(f"${argument}$")
        axes.set_ylabel(r"$\Delta_3(L)$" if name == "rigidity" else f"${symbol}$")
        label_panel(axes, letter, name)
    lines = [line for line in panels[0].get_lines() if line.get_label().startswith(("$", "indep"))]
    panels[0].legend(lines, [line.get_label() for line in lines], loc="lower right")
    legend_above(fig, panels[0])
    return fig
