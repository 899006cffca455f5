"""Eigenvalues x_i(t) during training: SGD, Langevin and Dyson Brownian motion of the RBM from the same start."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dysonsim._text import with_error
from dysonsim.descriptions.quantities import REFERENCE
from dysonsim.ensembles.run import mean_and_error
from dysonsim.ensembles.simulate import simulate
from dysonsim.models import GaussianRBM
from dysonsim.processes import SGD, Dyson
from dysonsim.reproduce.ensembles import Descriptions, Ensembles
from dysonsim.reproduce.parts import Figure, Part, Row, Table, number_row
from dysonsim.reproduce.style import DESCRIPTIONS, TITLES, label_panel, legend_above, new_figure, styled

LATER = 50.0  # alpha x steps at which Dyson Brownian motion is also started, from the eigenvalues of SGD
LEVELS = ("langevin", "dyson", "independent")
TRACE = 0.01  # relative deviation that is allowed for the mean trace of X during training in the Langevin description
FOLLOWS = 0.04  # of the largest fixed point: how far apart the eigenvalues may be while they move
WHY_GAUSSIAN_WAY = (
    "During training the Markov chains, which start at φ = 1, are far from the equilibrium near which their noise is "
    "Gaussian."
)
WHY_TURNING = (
    "At W₀ the eigenvectors of X point anywhere; an equation for the eigenvalues alone takes them to be those of "
    "the target, so that the upper eigenvalues grow too early and the lower ones too late."
)

WHY_LATER = (
    "The eigenvectors of eigenvalues that still move have not quite aligned with those of the target; "
    f"{100 * FOLLOWS:g}% of the largest fixed point is allowed."
)
ALT = (
    "Three panels. Mean eigenvalues during training: Langevin follows SGD from the start, Dyson Brownian motion "
    "does not; one network of each; started later from the eigenvalues of SGD, Dyson Brownian motion follows SGD "
    "as well."
)


def measure(ensembles: Ensembles) -> Part:
    """Compare mean eigenvalues during training in every description, from W_0 and from a later start."""
    study = next(s for s in ensembles.rbm_descriptions if s.point is ensembles.spectrum)
    point, result = study.point, study.result
    sgd = SGD(point.model, point.learning_rate, point.batch_size)
    steps = result.path_steps
    paths = {name: result.path(name) for name in (REFERENCE, *LEVELS)}
    single = simulate(Dyson(sgd), 1, times=steps, seed=point.seed).eigenvalues[0]
    first = int(np.argmin(np.abs(point.learning_rate * steps - LATER)))
    later = _later(study, sgd, first)
    apart = {name: _largest(paths[name], paths[REFERENCE]) for name in LEVELS}
    apart_later = {name: _largest(path, _after(paths[REFERENCE], first)) for name, path in later.items()}
    data = {
        "point": point.about(),
        "time": point.learning_rate * steps,
        "fixed_point": point.model.fixed_point(),
        "paths": {name: {"mean": mean, "error": error} for name, (mean, error) in paths.items()},
        "single": {"sgd": point.run.eigenvalues[0, : len(steps)], "dyson": single},
        "later": {"first": first, "paths": {name: {"mean": m, "error": e} for name, (m, e) in later.items()}},
    }
    table = Table(
        "Largest distance of the mean eigenvalues of the RBM from those of SGD at the same step, over all eigenvalues "
        f"and records during training, started from W₀ and from the eigenvalues of SGD at t = "
        f"{point.learning_rate * steps[first]:g}, with the statistical error where it is largest.",
        ["description", "start", "largest |x̄ᵢ(t) − x̄ᵢ(t) of SGD|"],
        [[TITLES[name], "W₀", with_error(*apart[name])] for name in LEVELS]
        + [[TITLES[name], "eigenvalues of SGD", with_error(*apart_later[name])] for name in later],
    )
    figure = Figure("motion", ALT, _caption(study, apart, apart_later, first), _code(study, first))
    return Part(data, [figure], [table], _rows(study, apart, apart_later))


def _later(study: Descriptions[GaussianRBM], sgd: SGD, first: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return mean and error (records, n) of Dyson Brownian motion from SGD's eigenvalues at record `first`."""
    point, steps = study.point, study.result.path_steps
    start = point.run.eigenvalues[: study.replicas, first]
    found = {}
    for name, closure in (("dyson", "corrected"), ("independent", "independent")):
        process = Dyson(sgd, closure=closure, initial=start)
        seed = study.result.runs[name].seed
        run = simulate(process, len(start), times=steps[first:] - steps[first], seed=seed)
        found[name] = mean_and_error(run.eigenvalues)
    return found


def _after(path: tuple[np.ndarray, np.ndarray], first: int) -> tuple[np.ndarray, np.ndarray]:
    return path[0][first:], path[1][first:]


def _largest(path: tuple[np.ndarray, np.ndarray], reference: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """Return the largest difference of means over eigenvalues and records, and its standard error."""
    distance = np.abs(path[0] - reference[0])
    at = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[at]), math.hypot(path[1][at], reference[1][at])


def _rows(
    study: Descriptions[GaussianRBM], apart: dict[str, tuple[float, float]], later: dict[str, tuple[float, float]]
) -> list[Row]:
    result, rate = study.result, study.point.learning_rate
    traces = {
        name: mean_and_error(result.runs[name].eigenvalues[:, : len(result.path_steps)].sum(axis=2).mean(axis=1))
        for name in (REFERENCE, "langevin")
    }
    (base, base_error), (value, error) = traces[REFERENCE], traces["langevin"]
    ratio = float(value / base)
    ratio_error = math.hypot(float(error / base), float(ratio * base_error / base))
    largest = float(study.point.model.fixed_point().max())
    rows = [
        number_row(f"RBM, Σxᵢ(t) of Langevin over SGD's, mean over training, α = {rate:g}", ratio, ratio_error, 1.0,
                allowed=TRACE, why=WHY_GAUSSIAN_WAY)
    ]  # fmt: skip
    for name in ("dyson", "independent"):
        rows.append(
            number_row(f"RBM, largest |Δx̄ᵢ(t)| of {TITLES[name]} from SGD, start at W₀", *apart[name], 0.0,
                       allowed=largest, why=WHY_TURNING)
        )  # fmt: skip
        rows.append(
            number_row(f"RBM, largest |Δx̄ᵢ(t)| of {TITLES[name]} from SGD, start at SGD's eigenvalues at t = {LATER:g}",
                    *later[name], 0.0, allowed=FOLLOWS * largest, why=WHY_LATER)
        )  # fmt: skip
    return rows


def _caption(
    study: Descriptions[GaussianRBM],
    apart: dict[str, tuple[float, float]],
    later: dict[str, tuple[float, float]],
    first: int,
) -> str:
    point = study.point
    return (
        f"Eigenvalues of the Gaussian RBM during training, α = {point.learning_rate:g}, |B| = {point.batch_size}, "
        f"W₀ ~ N(0, 0.1²), t = α × steps. (a) Mean eigenvalues of SGD ({point.replicas} networks, points), Langevin "
        f"and Dyson Brownian motion ({study.replicas} each) from initial weights of the same law: Langevin follows SGD "
        f"(at most {with_error(*apart['langevin'])} away), Dyson Brownian motion does not (up to "
        f"{with_error(*apart['dyson'])} away), because at W₀ the eigenvectors have nothing to do with those of the "
        "target. "
        "(b) One network: SGD and Dyson "
        f"Brownian motion from the same W₀. (c) Dyson Brownian motion from SGD's eigenvalues at t = "
        f"{point.learning_rate * study.result.path_steps[first]:g}: once the eigenvectors have aligned, it "
        f"follows training (at most {with_error(*later['dyson'])} away). Dotted: fixed points."
    )


def _code(study: Descriptions[GaussianRBM], first: int) -> str:
    return study.code() + (
        f"start = run.eigenvalues[:{study.replicas}, {first}]  # SGD's eigenvalues, its eigenvectors aligned\n"
        f"later = ds.simulate(ds.Dyson(sgd, initial=start), {study.replicas}, seed=descriptions.runs['dyson'].seed,\n"
        f"                    times=descriptions.path_steps[{first}:] - descriptions.path_steps[{first}])\n"
        f"print(descriptions.path('dyson')[0] - descriptions.path('sgd')[0])\n"
        f"print(later.eigenvalues.mean(axis=0) - descriptions.path('sgd')[0][{first}:])\n"
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw mean eigenvalues from W_0, one network from W_0, and mean eigenvalues from a later start."""
    data = results["parts"]["motion"]["data"]
    time, fixed = np.array(data["time"]), np.unique(np.round(data["fixed_point"], 9))
    fig = new_figure(13.5, 5)
    means, single, late = fig.subplots(1, 3, sharey=True)
    for name in ("langevin", "dyson", "independent"):
        _draw_path(means, time, data["paths"][name], name)
    _draw_path(means, time, data["paths"]["sgd"], "sgd")
    for name, width in (("sgd", 0.9), ("dyson", 0.9)):
        single.plot(time, np.array(data["single"][name]), color=DESCRIPTIONS[name][1], linewidth=width)
    first = data["later"]["first"]
    for name in ("dyson", "independent"):
        _draw_path(late, time[first:], data["later"]["paths"][name], name)
    sgd = {key: np.array(values)[first:] for key, values in data["paths"]["sgd"].items()}
    _draw_path(late, time[first:], sgd, "sgd")
    late.axvline(time[first], color="#8a8a8a", linestyle="--", linewidth=0.9)
    later = rf"means, Dyson from $t={time[first]:g}$"
    texts = ("means, from the same law of $W_0$", "one network, from the same $W_0$", later)
    for axes, letter, text in zip((means, single, late), "abc", texts, strict=True):
        for x in fixed:
            axes.axhline(x, color="#8a8a8a", linestyle=":", linewidth=0.8)
        axes.set(xscale="log", xlim=(time[0], time[-1]), ylim=(0, None))
        axes.set_xlabel(r"time $t = \alpha \times$ SGD steps")
        axes.set_xticks([10, 30, 100, 300], ["10", "30", "100", "300"])
        axes.set_xticks([], minor=True)
        label_panel(axes, letter, text)
    late.set_xlim(0.8 * time[first], time[-1])
    means.set_ylabel(r"eigenvalues $x_i$ of $W^T W$")
    legend_above(fig, means)
    return fig


def _draw_path(axes: Any, time: np.ndarray, path: dict[str, Any], name: str) -> None:
    """Draw means with errors: points for SGD, lines for the descriptions derived from it."""
    label, color, marker = DESCRIPTIONS[name]
    mean, error = np.array(path["mean"]), np.array(path["error"])
    kept = np.arange(len(time))
    if name == "sgd":  # points at equal distances on the logarithmic axis
        wanted = np.geomspace(time[0], time[-1], 25)
        kept = np.unique(np.abs(np.log(time[:, None] / wanted)).argmin(axis=0))
    for i in range(mean.shape[1]):
        style = {"fmt": marker, "markersize": 3.5} if name == "sgd" else {
            "linewidth": 1.3, "linestyle": "--" if name == "independent" else "-"}  # fmt: skip
        axes.errorbar(time[kept], mean[kept, i], error[kept, i], color=color, elinewidth=0.8,
                      label=label if i == 0 else None, **style)  # fmt: skip
