"""The simulated parameter points: each is run once, shared by the parts, and written as Python that repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from dysonsim.descriptions.hierarchy import Hierarchy, hierarchy
from dysonsim.ensembles.simulate import simulate
from dysonsim.models import GaussianRBM, LinearNetwork, Model, TeacherStudent
from dysonsim.processes import SGD
from dysonsim.reproduce.sizes import BATCH_SIZE, NETWORK_RATE, NETWORK_RATES, Size
from dysonsim.scans.points import seed_of
from dysonsim.scans.result import Scan
from dysonsim.scans.scan import scan

if TYPE_CHECKING:
    from dysonsim.ensembles.run import Run
    from dysonsim.scans.point import ScanPoint

GRADIENT_NOISE = 0.1
TEACHER = 2.0  # W_t = 2 in every direction
OUTPUT_LAYERS = {"mild": (1.0, 1.5), "strong": (1.0, 3.0)}  # diagonals of Z
CURVE = 5  # records per interval where training is drawn as a whole
MAX_SEED = 10**15
M = TypeVar("M", bound=Model)

RBM_TEXT = "ds.GaussianRBM.scalar_field(n_visible=10, mass=2.0, mu=3.0, sigma=1.0, gibbs_steps=3)"
TEACHER_TEXT = f"ds.TeacherStudent({TEACHER} * np.eye(2), gradient_noise={GRADIENT_NOISE})"


def rbm_model() -> GaussianRBM:
    """Return the scalar field on a ring of ten sites, the papers' parameters."""
    return GaussianRBM.scalar_field(n_visible=10, mass=2.0, mu=3.0, sigma=1.0, gibbs_steps=3)


@dataclass(frozen=True)
class Grid:
    """A scan of one model over learning rates and batch sizes, as `scan` runs it: in a store, it goes on where it was.

    plans: (steps, record_every) by (learning rate, batch size).
    """

    model: Model
    replicas: int
    seed: int
    plans: dict[tuple[float, int], tuple[int, int]]
    store: Path | None

    @cached_property
    def scan(self) -> Scan:
        """The scan, run when it is first asked for."""
        points = [{"learning_rate": rate, "batch_size": batch} for rate, batch in self.plans]
        return scan(
            partial(SGD, self.model), points, replicas=self.replicas, seed=self.seed, steps=partial(self._plan, 0),
            record_every=partial(self._plan, 1), measure="eigenvalues", path=self.store, on_error="raise",
        )  # fmt: skip

    def _plan(self, which: int, point: Mapping[str, Any]) -> int:
        return self.plans[point["learning_rate"], point["batch_size"]][which]

    def seed_of(self, rate: float, batch: int) -> int:
        """Return the seed of a point, with which `simulate` gives the same."""
        return seed_of(self.seed, {"learning_rate": rate, "batch_size": batch})


@dataclass(frozen=True)
class Point(Generic[M]):
    """One run: model, parameters, seed. `settled` are the records taken in the stationary state.

    grid: the scan that it is a point of, which runs all of its points when one of them is asked for.
    """

    model: M
    text: str
    learning_rate: float
    batch_size: int
    replicas: int
    steps: int
    record_every: int
    seed: int
    settled: slice
    grid: Grid | None = None

    @property
    def ratio(self) -> float:
        """Learning rate over batch size, alpha / |B|."""
        return self.learning_rate / self.batch_size

    @cached_property
    def run(self) -> Run | ScanPoint:
        """The run, simulated when it is first asked for."""
        if self.grid is not None:
            return self.grid.scan.point(learning_rate=self.learning_rate, batch_size=self.batch_size)
        return simulate(
            SGD(self.model, self.learning_rate, self.batch_size),
            replicas=self.replicas,
            steps=self.steps,
            seed=self.seed,
            record_every=self.record_every,
        )

    @property
    def levels(self) -> np.ndarray:
        """Stationary eigenvalues (replicas, snapshots, n)."""
        return self.run.eigenvalues[:, self.settled]

    @property
    def singular_values(self) -> np.ndarray:
        """Stationary singular values (replicas, snapshots, n)."""
        return self.run.singular_values[:, self.settled]

    def code(self) -> str:
        """Return Python that makes the same run, as `run`, and leaves the model as `model`."""
        return (
            "import numpy as np\nimport dysonsim as ds\n"
            f"model = {self.text}\n"
            f"sgd = ds.SGD(model, learning_rate={self.learning_rate}, batch_size={self.batch_size})\n"
            f"run = ds.simulate(sgd, replicas={self.replicas}, steps={self.steps}, seed={self.seed}, "
            f"record_every={self.record_every})\n"
        )

    def settled_text(self) -> str:
        """Return the index of the stationary records, as written in Python."""
        stride = self.settled.step
        return f"{self.settled.start}:" + (f":{stride}" if stride > 1 else "")

    def about(self) -> dict[str, float | int | str]:
        """Return what identifies the run, for results.json."""
        names = ("text", "learning_rate", "batch_size", "replicas", "steps", "record_every", "seed")
        about = {name: getattr(self, name) for name in names}
        return {"model": about.pop("text"), **about, "stationary_records": self.settled_text()}


@dataclass(frozen=True)
class Descriptions(Generic[M]):
    """A point's SGD and the other descriptions derived from it, recorded at the same steps.

    Those of a point whose training is drawn have records during training as well.
    """

    point: Point[M]
    replicas: int
    observable: str
    resamples: int
    seed: int

    @cached_property
    def result(self) -> Hierarchy:
        """The comparison of descriptions, computed when it is first asked for."""
        point, run = self.point, self.point.run
        sgd = SGD(point.model, point.learning_rate, point.batch_size)
        return hierarchy(
            sgd, self.replicas, closure="both", records=run.steps[point.settled], path=run.steps[: self._way],
            observable=self.observable, given={"sgd": run}, seed=self.seed, resamples=self.resamples,
        )  # fmt: skip

    @property
    def _way(self) -> int:
        return int(self.point.settled.start) if (self.point.settled.step or 1) > 1 else 0

    def code(self) -> str:
        """Return Python that makes the same, as `descriptions`; run, model and process are named as in `Point.code`."""
        return self.point.code() + (
            f"descriptions = ds.hierarchy(\n    sgd, replicas={self.replicas}, closure='both', "
            f"observable='{self.observable}',\n"
            f"    records=run.steps[{self.point.settled_text()}], path=run.steps[:{self._way}],\n"
            f"    given={{'sgd': run}}, seed={self.seed}, resamples={self.resamples},\n)\n"
        )


class Ensembles:
    """All points of a report, by kind; every point has a seed of its own, derived from that of the report."""

    def __init__(self, size: Size, seed: int, stores: Path | None = None) -> None:
        self.size = size
        self.seed = seed
        self.stores = stores
        self.rbm = self._rbm()
        self.teacher = self._teacher()
        self.paths = {name: self._network(name, number=200 + k, path=True) for k, name in enumerate(OUTPUT_LAYERS)}
        self.densities = {name: self._network(name, number=300 + k, path=False) for k, name in enumerate(OUTPUT_LAYERS)}
        self.rbm_descriptions = [
            self._descriptions(self.rbm[rate, BATCH_SIZE], 500 + k) for k, rate in enumerate(size.level_rates)
        ]
        self.teacher_descriptions = [
            self._descriptions(self.teacher[rate, BATCH_SIZE], 600 + k) for k, rate in enumerate(size.level_rates)
        ]
        self.network_descriptions = {
            name: [
                self._descriptions(
                    self.densities[name]
                    if rate == NETWORK_RATE
                    else self._network(name, number=400 + 10 * k + j, path=False, rate=rate),
                    700 + 10 * k + j,
                )
                for j, rate in enumerate(NETWORK_RATES)
            ]
            for k, name in enumerate(OUTPUT_LAYERS)
        }

    @property
    def spectrum(self) -> Point[GaussianRBM]:
        """The RBM whose modes are shown one by one."""
        return self.rbm[self.size.spectrum_rate, BATCH_SIZE]

    def _rbm(self) -> dict[tuple[float, int], Point[GaussianRBM]]:
        size = self.size
        times = (size.burn_in, size.duration, size.interval)
        finer = {(size.spectrum_rate, BATCH_SIZE): CURVE}
        return self._grid("rbm", rbm_model(), RBM_TEXT, size.rbm_replicas, times, 1, finer)

    def _teacher(self) -> dict[tuple[float, int], Point[TeacherStudent]]:
        size = self.size
        model = TeacherStudent(TEACHER * np.eye(2), gradient_noise=GRADIENT_NOISE)
        times = (size.linear_burn_in, size.linear_duration, size.linear_interval)
        return self._grid("teacher", model, TEACHER_TEXT, size.teacher_replicas, times, 100, {})

    def _grid(
        self, name: str, model: M, text: str, replicas: int, times: tuple[float, float, float], number: int,
        finer: Mapping[tuple[float, int], int],
    ) -> dict[tuple[float, int], Point[M]]:  # fmt: skip
        """Make the points of a grid; `finer` has how many times as many records are taken at some of them."""
        points = {
            at: self._point(model, text, at, replicas, times, number, finer.get(at, 1)) for at in self.size.points()
        }
        plans = {at: (point.steps, point.record_every) for at, point in points.items()}
        store = None if self.stores is None else self.stores / f"{name}-{self.size.name}-{self.seed}.zarr"
        grid = Grid(model, replicas, 1000 * self.seed + number, plans, store)
        return {at: replace(point, grid=grid, seed=grid.seed_of(*at)) for at, point in points.items()}

    def _descriptions(self, point: Point[M], number: int) -> Descriptions[M]:
        size, seed = self.size, 1000 * self.seed + number
        shown = -(-size.resamples // 4)  # for p-values that are shown but not judged
        if isinstance(point.model, GaussianRBM):
            return Descriptions(point, size.level_replicas, "eigenvalues", shown, seed)
        resamples = size.resamples if point.learning_rate == NETWORK_RATE else shown
        return Descriptions(point, size.linear_level_replicas, "singular_values", resamples, seed)

    def _network(self, name: str, number: int, path: bool, rate: float = NETWORK_RATE) -> Point[LinearNetwork]:
        size = self.size
        layer = OUTPUT_LAYERS[name]
        model = LinearNetwork(TEACHER * np.eye(2), np.diag(layer), gradient_noise=GRADIENT_NOISE)
        text = f"ds.LinearNetwork({TEACHER} * np.eye(2), np.diag({list(layer)}), gradient_noise={GRADIENT_NOISE})"
        if path:
            times, replicas = (0.1, 10.0, 0.1), size.path_replicas
        else:
            times = (size.linear_burn_in, size.linear_duration, size.linear_interval)
            replicas = size.density_replicas if rate == NETWORK_RATE else size.linear_level_replicas
        return self._point(model, text, (rate, BATCH_SIZE), replicas, times, number)

    def _point(
        self,
        model: M,
        text: str,
        at: tuple[float, int],
        replicas: int,
        times: tuple[float, float, float],
        number: int,
        stride: int = 1,
    ) -> Point[M]:
        """Convert `times` (burn-in, duration, interval), in units of alpha x steps, to whole numbers of steps.

        at: learning rate and batch size.
        """
        (rate, batch), (burn_in, duration, interval) = at, times
        every = max(1, round(interval / stride / rate))
        first, last = round(burn_in / interval), round(duration / interval)
        return Point(
            model, text, rate, batch, replicas, steps=last * stride * every, record_every=every,
            seed=1000 * self.seed + number, settled=slice(first * stride - 1, None, stride),
        )  # fmt: skip
