"""Optimizers: Adam's square-root rule beside the linear rule of SGD, with and without momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dysonsim.ensembles.run import mean_and_error
from dysonsim.ensembles.simulate import simulate
from dysonsim.models import TeacherStudent
from dysonsim.processes import SGD, Adam
from dysonsim.processes.descent import Descent
from dysonsim.reproduce.ensembles import Ensembles
from dysonsim.reproduce.parts import Figure, Part, Row, Table, number_row
from dysonsim.reproduce.style import THEORY, label_panel, new_figure, shades, styled

LABEL_NOISE = 0.5
BATCHES = (4, 16, 64)
KINDS: dict[str, tuple[str, dict[str, Any], tuple[float, ...]]] = {  # title, arguments of the process, learning rates
    "sgd": ("SGD", {}, (0.025, 0.05, 0.1)),
    "momentum": ("SGD, m = 0.9", {"momentum": 0.9}, (0.0025, 0.005, 0.01)),
    "nesterov": ("Nesterov, m = 0.9", {"momentum": 0.9, "nesterov": True}, (0.0025, 0.005, 0.01)),
    "adam": ("Adam", {}, (0.003125, 0.00625, 0.0125)),
}
RECORDS = 20
WHY = (
    "The prediction takes the weights to be Gaussian, and for Adam the mean squares of gradients to be constant: both "
    "up to O(α/|B|) and 1 − β₂; up to 1.5% is allowed."
)
ALT = (
    "Two panels with the mean spacing of two singular values, on logarithmic axes. Over alpha/|B|, SGD, heavy ball and "
    "Nesterov at all batch sizes lie on one line of slope one half, Adam does not; over alpha/|B|^(1/2) Adam does."
)


@dataclass(frozen=True)
class Spot:
    """One process, and what is recorded of it: at rest after `first` steps, and every `apart` steps from there on."""

    kind: str
    process: Descent
    first: int
    apart: int

    @classmethod
    def of(cls, kind: str, model: TeacherStudent, rate: float, batch: int) -> Spot:
        """Choose the steps by the relaxation time."""
        _, arguments, _ = KINDS[kind]
        if kind == "adam":
            adam = Adam(model, rate, batch)
            relaxation = LABEL_NOISE / batch**0.5 / rate
            first = 10 * relaxation + 3 / rate + 12 / (1 - adam.beta2)  # to the teacher, then the squares of the way
            return cls(kind, adam, round(first), max(1, round(2 * relaxation)))
        sgd = SGD(model, rate, batch, **arguments)
        relaxation = 1 / rate * (1 - sgd.momentum) + 1 / (1 - sgd.momentum)
        return cls(kind, sgd, round(12 * relaxation), round(2 * relaxation))

    @property
    def steps(self) -> list[int]:
        """Recorded steps."""
        return list(range(self.first, self.first + RECORDS * self.apart, self.apart))


def measure(ensembles: Ensembles) -> Part:
    """Measure mean spacings of a 2 x 2 teacher-student with label noise at all learning rates and batch sizes."""
    model = TeacherStudent(2 * np.eye(2), label_noise=LABEL_NOISE)
    replicas = max(32, ensembles.size.teacher_replicas // 2)
    points: dict[str, list[dict[str, float]]] = {}
    for kind, (_, _, rates) in KINDS.items():
        spots = [Spot.of(kind, model, rate, batch) for rate in rates for batch in BATCHES]
        points[kind] = [
            measured(spot, replicas, 1000 * ensembles.seed + 500 + 20 * list(KINDS).index(kind) + k)
            for k, spot in enumerate(spots)
        ]
    rows = [row for kind, found in points.items() for row in _rows(kind, found)]
    table = Table(
        "Exponents of the mean spacing, ⟨S⟩ ∝ α^a |B|^b by least squares in the logarithms, and those of the predicted "
        "spacings at the same points.",
        ["optimizer", "a", "b", "predicted a", "predicted b"],
        [_cells(kind, found) for kind, found in points.items()],
    )
    figure = Figure("optimizers", ALT, _caption(replicas), _code(points["adam"][1], replicas))
    return Part({"points": points, "replicas": replicas}, [figure], [table], rows)


def measured(spot: Spot, replicas: int, seed: int) -> dict[str, float]:
    """Mean spacing with its error over networks, and what is predicted."""
    run = simulate(spot.process, replicas, spot.steps[-1], seed, record_steps=spot.steps)
    mean, error = mean_and_error(np.diff(run.singular_values, axis=2)[:, :, 0].mean(axis=1))
    return {
        "learning_rate": spot.process.learning_rate,
        "batch_size": spot.process.batch_size,
        "first": spot.first,
        "apart": spot.apart,
        "seed": seed,
        "spacing": float(mean),
        "error": float(error),
        "predicted": float(spot.process.singular_value_spacings()[0]),
    }


def exponents(found: list[dict[str, float]], what: str = "spacing") -> tuple[np.ndarray, np.ndarray]:
    """Exponents of learning rate and batch size, and their errors."""
    logs = np.log([[p["learning_rate"], p["batch_size"]] for p in found])
    design = np.column_stack([logs, np.ones(len(logs))])
    inverse = np.linalg.pinv(design)
    errors = np.array([p["error"] / p["spacing"] for p in found])
    fitted = inverse @ np.log([p[what] for p in found])
    return fitted[:2], np.sqrt((inverse**2) @ errors**2)[:2]


def _rows(kind: str, found: list[dict[str, float]]) -> list[Row]:
    title = KINDS[kind][0]
    ratios = np.array([p["spacing"] / p["predicted"] for p in found])
    errors = np.array([p["error"] / p["predicted"] for p in found])
    weights = errors**-2 / (errors**-2).sum()
    mean, error = float(weights @ ratios), float((errors**-2).sum() ** -0.5)
    rows = [number_row(f"{title}: mean of ⟨S⟩ over prediction", mean, error, 1.0, allowed=0.015, why=WHY)]
    (of_rate, of_batch), (rate_error, batch_error) = exponents(found)
    (rate, batch), _ = exponents(found, "predicted")
    for name, value, spread, expected in (
        ("ln α", of_rate, rate_error, rate),
        ("ln |B|", of_batch, batch_error, batch),
    ):
        quantity = f"{title}: ∂ln⟨S⟩/∂{name}"
        rows.append(number_row(quantity, float(value), float(spread), float(expected), allowed=0.01, why=WHY))
    if kind == "adam":
        away = abs(of_batch + 0.5) / batch_error
        rows.append(
            Row(
                "Adam: the linear rule, ∂ln⟨S⟩/∂ln |B| = −1/2", None, None, None, None,
                "agrees" if away > 5 else "disagrees", "", f"{away:.0f} σ away", "more than 5 σ away",
            )
        )  # fmt: skip
    return rows


def _cells(kind: str, found: list[dict[str, float]]) -> list[str]:
    (of_rate, of_batch), (rate_error, batch_error) = exponents(found)
    (rate, batch), _ = exponents(found, "predicted")
    numbers = f"{of_rate:.4f} ± {rate_error:.4f}", f"{of_batch:.4f} ± {batch_error:.4f}"
    return [KINDS[kind][0], *numbers, f"{rate:.4f}", f"{batch:.4f}"]


def _caption(replicas: int) -> str:
    return (
        "Mean spacing ⟨S⟩ of the two singular values of a 2 × 2 teacher–student, W_t = 2·1, label noise "
        f"{LABEL_NOISE}, {replicas} networks, {RECORDS} snapshots, |B| = {', '.join(map(str, BATCHES))}. (a) Over "
        "α/|B|, and with momentum m over α/((1 − m)|B|): SGD, heavy ball and Nesterov follow the linear rule, "
        "⟨S⟩ ∝ (α/|B|)^½ with corrections of order α that the lines contain; Adam does not. (b) Over α/√|B| Adam's "
        "points lie on one curve, "
        "the square-root rule ⟨S⟩ ∝ (α/√|B|)^½: near a minimum it divides gradients by the root of their variance, "
        "which is ∝ 1/|B|. Lines: predictions for each batch size."
    )


def _code(point: dict[str, float], replicas: int) -> str:
    first, apart = int(point["first"]), int(point["apart"])
    return (
        "import numpy as np\nimport dysonsim as ds\n"
        f"model = ds.TeacherStudent(2 * np.eye(2), label_noise={LABEL_NOISE})\n"
        f"adam = ds.Adam(model, learning_rate={point['learning_rate']}, batch_size={point['batch_size']})\n"
        f"steps = range({first}, {first + RECORDS * apart}, {apart})\n"
        f"run = ds.simulate(adam, replicas={replicas}, steps=steps[-1], seed={point['seed']}, record_steps=steps)\n"
        "spacing = np.diff(run.singular_values).mean()\n"
        "print(spacing, adam.singular_value_spacings()[0])\n"
    )


@styled
def draw(results: dict[str, Any]) -> Any:
    """Draw spacings over alpha/|B|, of all optimizers, and over alpha/|B|^(1/2), of Adam."""
    points = results["parts"]["optimizers"]["data"]["points"]
    fig = new_figure(10, 4.6)
    left, right = fig.subplots(1, 2, sharey=True)
    marks = {"sgd": "o", "momentum": "s", "nesterov": "D", "adam": "^"}
    for axes, power, shown in ((left, 1.0, tuple(KINDS)), (right, 0.5, ("adam",))):
        for kind in shown:
            for batch, color in zip(BATCHES, shades("viridis", len(BATCHES), 0.0, 0.8), strict=True):
                some = [p for p in points[kind] if p["batch_size"] == batch]
                gain = 1 / (1 - KINDS[kind][1].get("momentum", 0.0))
                x = [gain * p["learning_rate"] / batch**power for p in some]
                spread = [p["error"] for p in some]
                axes.errorbar(
                    x, [p["spacing"] for p in some], spread, fmt=marks[kind], color=color, markersize=5, mfc="none"
                )
                axes.plot(x, [p["predicted"] for p in some], color=THEORY, linewidth=0.8)
        axes.set(xscale="log", yscale="log")
        axes.set_yticks([0.02, 0.05, 0.1], ["0.02", "0.05", "0.1"])
        axes.set_yticks([], minor=True)
    for kind in KINDS:
        left.plot([], [], marks[kind], color="#555555", mfc="none", label=KINDS[kind][0])
    for batch, color in zip(BATCHES, shades("viridis", len(BATCHES), 0.0, 0.8), strict=True):
        right.plot([], [], color=color, marker="^", mfc="none", linestyle="", label=f"$|B| = {batch}$")
    left.set(xlabel=r"$\alpha/|B|$, with momentum $\alpha/((1-m)|B|)$", ylabel=r"mean spacing $\langle S\rangle$")
    right.set(xlabel=r"$\alpha/\sqrt{|B|}$")
    right.set_xticks([0.0005, 0.001, 0.002, 0.005], ["0.0005", "0.001", "0.002", "0.005"])
    right.set_xticks([], minor=True)
    left.legend(loc="lower right")
    right.legend(loc="lower right")
    label_panel(left, "a", "linear rule")
    label_panel(right, "b", "Adam: square-root rule")
    return fig
