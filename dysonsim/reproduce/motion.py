"""x_i(t) of SGD, Langevin and Dyson Brownian motion of the Gaussian RBM from the same start."""

from __future__ import annotations

import math

import numpy as np

from dysonsim._text import with_error
from dysonsim.descriptions.quantities import REFERENCE, TITLES
from dysonsim.ensembles.run import mean_and_error
from dysonsim.ensembles.simulate import simulate
from dysonsim.models import GaussianRBM
from dysonsim.processes import SGD, Dyson
from dysonsim.reproduce.ensembles import Ensembles, Levels
from dysonsim.reproduce.parts import Figure, Part, Row, Table, against

LATER = 50.0  # alpha x steps at which Dyson Brownian motion is started from the levels of SGD, too
LEVELS = ("langevin", "dyson", "independent")
TRACE = 0.01  # relative, what the mean trace of X on the way may deviate by at the level of Langevin
FOLLOWS = 0.04  # of the largest fixed point: what the levels may be apart while they move
WHY_GAUSSIAN_WAY = (
    "On the way the chains, which start at φ = 1, are far from the equilibrium about which their noise is Gaussian."
)
WHY_TURNING = (
    "At W₀ the eigenvectors of X point anywhere; an equation for the eigenvalues alone takes them as those of the "
    "target, and lets the upper levels grow too early and the lower ones too late."
)
WHY_LATER = (
    "The eigenvectors of the levels that still move have not quite turned into those of the target; allowed are "
    f"{100 * FOLLOWS:g}% of the largest fixed point."
)


def motion(ensembles: Ensembles) -> Part:
    """Mean levels on their way at every level of description, one network, and a later start."""
    study = next(s for s in ensembles.rbm_levels if s.point is ensembles.spectrum)
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
        "Largest distance of the mean levels of the RBM from those of SGD at the same step, over all levels and "
        f"records on the way, from W₀ and from the levels of SGD at t = {point.learning_rate * steps[first]:g}; "
        "statistical error where it is largest.",
        ["level", "start", "largest |x̄ᵢ(t) − x̄ᵢ(t) of SGD|"],
        [[TITLES[name], "W₀", with_error(*apart[name])] for name in LEVELS]
        + [[TITLES[name], "levels of SGD", with_error(*apart_later[name])] for name in later],
    )
    figure = Figure("motion", _caption(study, apart, apart_later, first), _code(study, first))
    return Part(data, [figure], [table], _rows(study, apart, apart_later))


def _later(study: Levels[GaussianRBM], sgd: SGD, first: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and error (records, n) of Dyson Brownian motion from SGD's levels at record `first`, by closure."""
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
    """Largest difference of means over levels and records, and its standard error."""
    distance = np.abs(path[0] - reference[0])
    at = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(distance[at]), math.hypot(path[1][at], reference[1][at])


def _rows(
    study: Levels[GaussianRBM], apart: dict[str, tuple[float, float]], later: dict[str, tuple[float, float]]
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
        against(f"RBM, Σxᵢ(t) of Langevin over SGD's, mean over the way, α = {rate:g}", ratio, ratio_error, 1.0,
                allowed=TRACE, why=WHY_GAUSSIAN_WAY)
    ]  # fmt: skip
    for name in ("dyson", "independent"):
        rows.append(
            against(f"RBM, largest |Δx̄ᵢ(t)| of {TITLES[name]} from SGD, from W₀", *apart[name], 0.0, allowed=largest,
                    why=WHY_TURNING)
        )  # fmt: skip
        rows.append(
            against(f"RBM, largest |Δx̄ᵢ(t)| of {TITLES[name]} from SGD, from its levels at t = {LATER:g}",
                    *later[name], 0.0, allowed=FOLLOWS * largest, why=WHY_LATER)
        )  # fmt: skip
    return rows


def _caption(
    study: Levels[GaussianRBM], apart: dict[str, tuple[float, float]], later: dict[str, tuple[float, float]], first: int
) -> str:
    point = study.point
    return (
        f"Eigenvalues of the Gaussian RBM on their way, α = {point.learning_rate:g}, |B| = {point.batch_size}, "
        f"W₀ ~ N(0, 0.1²), t = α × steps. (a) Mean levels of SGD ({point.replicas} networks, points), Langevin and "
        f"Dyson Brownian motion ({study.replicas} each) from initial weights of the same law: Langevin follows (at "
        f"most {with_error(*apart['langevin'])} away), eigenvalues alone do not (at most "
        f"{with_error(*apart['dyson'])}), because at W₀ the eigenvectors have nothing to do with those of the target. "
        "(b) One network: SGD and Dyson "
        f"Brownian motion from the same W₀. (c) Dyson Brownian motion from SGD's levels at t = "
        f"{point.learning_rate * study.result.path_steps[first]:g}: once the eigenvectors have turned, eigenvalues "
        f"alone follow training (at most {with_error(*later['dyson'])} away). Dotted: fixed points."
    )


def _code(study: Levels[GaussianRBM], first: int) -> str:
    return study.code() + (
        f"start = run.eigenvalues[:{study.replicas}, {first}]  # the levels of SGD once its eigenvectors have turned\n"
        f"later = ds.simulate(ds.Dyson(sgd, initial=start), {study.replicas}, seed=levels.runs['dyson'].seed,\n"
        f"                    times=levels.path_steps[{first}:] - levels.path_steps[{first}])\n"
        f"print(levels.path('dyson')[0] - levels.path('sgd')[0])\n"
        f"print(later.eigenvalues.mean(axis=0) - levels.path('sgd')[0][{first}:])\n"
    )
