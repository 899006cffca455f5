"""One hidden layer: how the eigenvalues relax, x_i(t) = [xi_t + (xi_0 - xi_t) exp(-gamma_i t)]^2, t = alpha x steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dysonsim._text import with_error
from dysonsim.ensembles.run import mean_and_error
from dysonsim.models import LinearNetwork
from dysonsim.reproduce.ensembles import OUTPUT_LAYERS, Ensembles, Point
from dysonsim.reproduce.parts import Figure, Part, Row, Table, number_row
from dysonsim.reproduce.style import DATA, THEORY, label_panel, math_value, new_figure, styled

START = 2.0  # in alpha x steps: the singular vectors have aligned
AT_REST = 5.0  # closer than this many stationary widths an eigenvalue no longer relaxes but is repelled
DRAWN = 20  # networks shown one by one
BLOCKS = 20  # of the jackknife
WHY_MIXED = (
    "The law is that of one entry of W; the off-diagonal entries that W starts with and the repulsion of the "
    "eigenvalues change it by the square of their size over the gap; up to 2% is allowed."
)
ALT = (
    "Two panels, one for each output layer. Two eigenvalues grow from 0 to their common fixed point at 4, faster "
    "for the larger z; dashed fits of the relaxation law lie on the means over networks."
)


@dataclass(frozen=True)
class PathFit:
    """Parameters (xi_t, xi_0, gamma) of a mean path with jackknife errors, fitted from `start` to `stop`."""

    start: float
    stop: float
    parameters: np.ndarray
    errors: np.ndarray

    @property
    def gamma(self) -> float:
        """Fitted rate of relaxation."""
        return float(self.parameters[2])

    def left_at(self, time: float) -> float:
        """Distance of the fitted path from its end at this time."""
        xi_t, xi_0, gamma = self.parameters
        return abs(float(relaxation_law(np.array(time), xi_t, xi_0, gamma)) - xi_t**2)

    @property
    def gamma_error(self) -> float:
        """Standard error of the rate."""
        return float(self.errors[2])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        names = ("xi_t", "xi_0", "gamma")
        fitted = {name: float(v) for name, v in zip(names, self.parameters, strict=True)}
        errors = {name: float(v) for name, v in zip(names, self.errors, strict=True)}
        return {"start": self.start, "stop": self.stop, **fitted, "errors": errors}


def measure(ensembles: Ensembles) -> Part:
    """Fit the mean paths of both eigenvalues for the mild and the strong output layer Z.

    Every eigenvalue is fitted twice: from t = START to the end, as in the paper, if it still moves then, and over its
    own relaxation, from START/z^2 until it is within AT_REST stationary widths of rest.
    """
    networks: dict[str, Any] = {}
    rows: list[Row] = []
    cells: list[list[str]] = []
    said: list[str] = []
    for name, point in ensembles.paths.items():
        z = OUTPUT_LAYERS[name]
        paths = point.levels
        time = point.learning_rate * point.run.steps[point.settled]
        mean, error = mean_and_error(paths)
        levels = []
        for level, weight in enumerate(z):  # The row with the larger z is ahead: the upper eigenvalue.
            gamma = -math.log1p(-point.learning_rate * weight**2) / point.learning_rate
            own = _own_window(time, paths[:, :, level], weight**2)
            fits = {"own": fit_path(time, paths[:, :, level], *own)}
            if fits["own"].left_at(START) > 2 * paths[:, -1, level].std():
                fits["late"] = fit_path(time, paths[:, :, level], START, float(time[-1]))
            fit = fits["own"]
            rows.append(_row(z, weight, fit, gamma))
            cells += [_cells(z, weight, one, gamma) for one in fits.values()]
            said.append(f"γ = {with_error(fit.gamma, fit.gamma_error)} for z = {weight:g} (expected {gamma:.4f})")
            fitted = {w: {**f.to_dict(), "curve": relaxation_law(time, *f.parameters)} for w, f in fits.items()}
            levels.append({"z": weight, "gamma_predicted": gamma, "fits": fitted})
        networks[name] = {
            "point": point.about(),
            "z": z,
            "time": time,
            "mean": mean,
            "error": error,
            "single": paths[:DRAWN],
            "levels": levels,
        }
    table = Table(
        "Fits of x(t) = [ξ_t + (ξ_0 − ξ_t) e^(−γt)]², t = α × steps, to the mean path of one eigenvalue; errors "
        f"by jackknife over networks. Each is fitted over its own relaxation (from {START:g}/z² until "
        f"{AT_REST:g} widths from rest) and, as in the paper, from t = {START:g} to the end, where "
        "repulsion at rest biases γ. Expected: −ln(1 − αz²)/α, which is z² for α → 0.",
        ["Z", "row", "window in t", "ξ_t", "ξ_0", "γ", "expected γ"],
        cells,
    )
    figure = Figure("relaxation", ALT, _caption(ensembles, said), _code(ensembles.paths["mild"]))
    return Part({"networks": networks, "start": START}, [figure], [table], rows)


def relaxation_law(time: np.ndarray, xi_t: float, xi_0: float, gamma: float) -> np.ndarray:
    """[xi_t + (xi_0 - xi_t) exp(-gamma t)]^2 (arXiv:2412.20496)."""
    return (xi_t + (xi_0 - xi_t) * np.exp(-gamma * time)) ** 2


def fit_path(time: np.ndarray, paths: np.ndarray, start: float, stop: float) -> PathFit:
    """Fit the mean of `paths` (networks, records) between `start` and `stop` by weighted least squares.

    Records of one path are correlated; the errors are therefore those of a jackknife over blocks of networks.
    """
    inside = (time >= start - 1e-9) & (time <= stop + 1e-9)
    t, x = time[inside], paths[:, inside]
    spread = x.std(axis=0)
    best = _least_squares(t, x.mean(axis=0), spread)
    blocks = np.array_split(np.arange(len(x)), BLOCKS)
    left_out = np.array([_least_squares(t, np.delete(x, b, axis=0).mean(axis=0), spread, best) for b in blocks])
    errors = np.sqrt((BLOCKS - 1) / BLOCKS * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    return PathFit(start, stop, best, errors)


def _least_squares(t: np.ndarray, mean: np.ndarray, spread: np.ndarray, guess: np.ndarray | None = None) -> np.ndarray:
    from scipy.optimize import curve_fit

    if guess is None:
        end = math.sqrt(mean[-1]) + 1e-3
        distance = end - np.sqrt(mean)
        fallen = t[np.argmax(distance < distance[0] / math.e)] - t[0]
        gamma = 1 / max(float(fallen), float(t[1] - t[0]) / 2)
        guess = np.array([end, end - distance[0] * math.exp(min(gamma * float(t[0]), 50.0)), gamma])
    return np.asarray(curve_fit(relaxation_law, t, mean, p0=guess, sigma=spread, maxfev=20000)[0])


def _own_window(time: np.ndarray, paths: np.ndarray, rate: float) -> tuple[float, float]:
    """Return START/rate, and when the mean comes within AT_REST standard deviations of the last record of its end."""
    mean, width = paths.mean(axis=0), float(paths[:, -1].std())
    first = int(np.argmax(time >= START / rate - 1e-9))
    moving = np.abs(mean - mean[-1]) > AT_REST * width
    last = max(int(np.flatnonzero(moving)[-1]) if moving.any() else 0, first + 5)
    return float(time[first]), float(time[last])


def _row(z: tuple[float, float], weight: float, fit: PathFit, gamma: float) -> Row:
    quantity = f"Hidden layer, Z = diag{z}: relaxation rate γ/α of the row with z = {weight:g}"
    return number_row(quantity, fit.gamma, fit.gamma_error, gamma, allowed=0.02 * gamma, why=WHY_MIXED)


def _cells(z: tuple[float, float], weight: float, fit: PathFit, gamma: float) -> list[str]:
    numbers = [with_error(float(v), float(e)) for v, e in zip(fit.parameters, fit.errors, strict=True)]
    return [f"diag{z}", f"z = {weight:g}", f"{fit.start:.1f} to {fit.stop:.1f}", *numbers, f"{gamma:.4f}"]


def _caption(ensembles: Ensembles, said: list[str]) -> str:
    point = ensembles.paths["mild"]
    return (
        "Linear network with one hidden layer, ŷ = ZWx with fixed Z, teacher W_t = 2·1 (2 × 2), gradient "
        f"noise ε = 0.1, SGD with α = {point.learning_rate:g}, |B| = {point.batch_size}, W₀ ~ N(0, 0.1²). "
        f"Eigenvalues x of WᵀW as functions of t = α × steps: {DRAWN} networks (faint), mean of {point.replicas} "
        f"(solid), and fits of [ξ_t + (ξ_0 − ξ_t) e^(−γt)]² from t = {START:g} (dotted line) on, or from "
        f"{START:g}/z² for a row that is at rest by then (dashed). (a) Z = diag{OUTPUT_LAYERS['mild']}, "
        f"(b) Z = diag{OUTPUT_LAYERS['strong']}. By t = 2 the singular vectors of W have aligned with those of W_t. "
        "Fitted over its own relaxation (table) each row gives "
        + "; ".join(said)
        + ". Later the eigenvalues repel each other, which is not relaxation and biases a fit to the end."
    )


def _code(point: Point[LinearNetwork]) -> str:
    return point.code() + (
        "from dysonsim.reproduce.relaxation import fit_path\n"
        f"time = {point.learning_rate} * run.steps\n"
        f"print(fit_path(time, run.eigenvalues[:, :, 0], start={START}, stop=time[-1]).to_dict())\n"
        f"print(model.relaxation_rates({point.learning_rate}) / {point.learning_rate})\n"
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw single networks, mean and fit of both eigenvalues for the mild and the strong output layer."""
    data = results["parts"]["relaxation"]["data"]
    fig = new_figure(10, 4.6)
    for axes, letter, network in zip(fig.subplots(1, 2, sharey=True), "ab", data["networks"].values(), strict=True):
        time, mean, single = (np.array(network[key]) for key in ("time", "mean", "single"))
        for k, (level, color) in enumerate(zip(network["levels"], (DATA, "#e08a1e"), strict=True)):
            axes.plot(time, single[:, :, k].T, color=color, linewidth=0.5, alpha=0.3)
            axes.plot(time, mean[:, k], color=color, linewidth=2)
            own = level["fits"]["own"]
            fit = level["fits"].get("late", own)
            late = time >= fit["start"] - 1e-9
            axes.plot(time[late], np.array(fit["curve"])[late], color=THEORY, linestyle="--", linewidth=1.2)
            gamma = math_value(own["gamma"], own["errors"]["gamma"])
            rates = rf"$\gamma={gamma}$, expected {level['gamma_predicted']:.4f}"
            axes.plot([], [], color=color, linewidth=2, label=rf"$z={level['z']:g}$: {rates}")
        axes.plot([], [], color=THEORY, linestyle="--", linewidth=1.2, label="fits")
        axes.axvline(data["start"], color="#8a8a8a", linestyle=":", linewidth=1)
        axes.axhline(4, color="#8a8a8a", linestyle=":", linewidth=1)
        axes.set(xlim=(0, 8), ylim=(0, 4.4), xlabel=r"time $t = \alpha \times$ SGD steps")
        axes.legend(loc="lower right", title="relaxation rate of each row", title_fontsize=11, alignment="left")
        label_panel(axes, letter, rf"$Z = \mathrm{{diag}}({network['z'][0]:g},\, {network['z'][1]:g})$")
    fig.axes[0].set_ylabel(r"eigenvalues $x_i$ of $W^T W$")
    return fig
