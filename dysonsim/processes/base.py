"""What `dysonsim.simulate` asks of a process: its kernel, where it starts, what its spectrum is, what can go wrong.

A process is a frozen dataclass. Its state is a row of numbers for each replica; one step of its kernel advances it.
Processes in discrete time (SGD, Langevin, Markov chains) count `steps`; those in continuous time (Dyson Brownian
motion) set `continuous = True`, are run to `times`, and say how the time between two records is divided.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np

from .. import _checks
from .._fingerprint import without_caches
from ..backend import Kernel, Program, driver
from ..backend import reference as plain
from ..backend.kernel import split_seed
from ..kernels.common import rng
from ..models import Model
from ..models.optimizers.optimizer import PLAIN
from ..numerics.singular_values import singular_values
from .theory import Theory

__all__ = ["NetworkProcess", "Process", "initial_weights"]

INITIAL_CHUNK = 2**16  # blocks of four initial weights that are drawn at once
START_CHUNK = 2**18  # initial weights that are turned into start values at once
_BUILT: dict[int, dict[str | None, Kernel]] = {}  # kernels by device, of the processes (by id) that are being run


class Process(ABC):
    """Something whose levels `dysonsim.simulate` can follow.

    Examples
    --------
    >>> import dysonsim as ds
    >>> gas = ds.CoulombGas.hermite(n=3, beta=2.0)
    >>> isinstance(gas, ds.Process)
    True
    >>> gas.n, gas.continuous
    (3, False)
    """

    continuous: ClassVar[bool] = False
    marks_after_step: ClassVar[bool] = True  # whether its kernel looks at a replica after its step or before
    coordinate: str = "eigenvalues"  # what `spectra` returns: these or "singular_values", whose squares are the levels
    spreads: ClassVar[tuple[str, ...]] = ("noise", "widths")  # which of `lengths` must not vanish
    own_units: bool = False  # whether the kernel works in units that the process chooses, for any float type
    weight_shape: tuple[int, int] | None = None  # of the matrices behind the levels, None if there are none
    layer_shapes: tuple[tuple[int, int], ...] = ()  # of the weights of all layers of a network, inputs first
    spectral_layer: int | None = 0  # whose levels are recorded; None for the product of all layers

    @property
    @abstractmethod
    def n(self) -> int:
        """Number of levels."""

    @abstractmethod
    def kernel(self) -> Kernel:
        """Return the kernel."""

    @abstractmethod
    def start(self, replicas: int, seed: int, first: int = 0) -> np.ndarray:
        """Start values, (replicas, kernel.state), of the replicas from number `first` on."""

    @abstractmethod
    def spectra(self, state: np.ndarray) -> np.ndarray:
        """Ascending levels (rows, n) of states (rows, kernel.state), in `coordinate`."""

    @property
    def state_size(self) -> int:
        """Numbers of a replica's state."""
        return self.built().state

    def fault_of_state(self, state: np.ndarray) -> str:
        """Say what is wrong with states (replicas, `state_size`) beyond their levels, in words; empty if nothing is."""
        return ""

    def weights(self, state: np.ndarray) -> np.ndarray:
        """Matrices (rows, p, n) of states, where there are any (`weight_shape`)."""
        raise NotImplementedError

    def layers(self, state: np.ndarray) -> tuple[np.ndarray, ...]:
        """Weight matrices (rows, *shape) of states, one for each of `layer_shapes`."""
        raise NotImplementedError

    def prepare(self, device: str, dtype: str, threads: int) -> Program:
        """Make the process ready to run on a device; RuntimeError or ValueError if it cannot."""
        return driver(device).prepare(self.built(device), dtype)

    def kernel_on(self, device: str) -> Kernel:
        """Return the kernel that is fastest on a device; its state is that of `kernel`."""
        return self.built(None)

    def built(self, device: str | None = "cpu") -> Kernel:
        """`kernel_on(device)`, or of None `kernel()`, each of which is called once in a run."""
        kernels = _BUILT.get(id(self), {})
        if device not in kernels:
            kernels[device] = self.kernel() if device is None else self.kernel_on(device)
        return kernels[device]

    @contextmanager
    def building_once(self, device: str = "cpu") -> Iterator[None]:
        """Keep what `built` returns until this ends: for a run, in which nobody changes what kernels are made of."""
        kernel = self.stand_in(device)
        _BUILT[id(self)] = {} if kernel is None else {"cpu": kernel, None: kernel, device: kernel}
        try:
            yield
        finally:
            _BUILT.pop(id(self), None)  # another thread's run of the same process may have ended before

    def stand_in(self, device: str) -> Kernel | None:
        """Return the sizes of a kernel, for a run on a device that needs none of its own; None where it needs one."""
        return None

    def constants(self, dt: float) -> np.ndarray:
        """Of a continuous process: the kernel's `reals` for steps of length dt."""
        raise NotImplementedError

    def step_count(self, duration: float) -> int:
        """Of a continuous process: how many equal steps a stretch of time is divided into."""
        raise NotImplementedError

    @property
    def jumps(self) -> bool:
        """Of a continuous process: whether step 0 leads to the first record, however far off it is."""
        return False

    def default_steps(self) -> int | None:
        """Return the steps that `simulate` makes by default; None if there is no default."""
        return None

    def degrees(self) -> dict[str, float]:
        """Arguments that say how many degrees of freedom its chi-squared numbers have."""
        return {name: getattr(self, name) for name in ("beta", "m", "a", "b") if hasattr(self, name)}

    def lengths(self) -> dict[str, Any]:
        """Arguments in the unit of the levels, as `coordinate` has them: how large levels are, and how they spread."""
        found = {name: getattr(self, name, None) for name in ("noise", "center", "initial", "centers", "widths")}
        lengths = {name: value for name, value in found.items() if value is not None}
        if self.coordinate == "singular_values" and "initial" in lengths:
            lengths["initial"] = np.abs(np.asarray(lengths["initial"], float)) ** 0.5
        return lengths

    def working_numbers(self, replicas: int) -> int:
        """Numbers of eight bytes that a thread needs to work with, beside the kernel's state and scratch."""
        return 0

    def warn(self, stacklevel: int) -> None:  # noqa: B027 (most have nothing to say)
        """Warn of what can be foreseen before a run."""

    def is_defined(self, spectra: np.ndarray) -> np.ndarray:
        """Whether levels (..., n), in `coordinate`, are in the domain of the process, shape (...)."""
        return np.isfinite(spectra).all(axis=-1)

    def why_left(self, step: int, state: np.ndarray) -> str:
        """Why a replica may have left the domain at a step, for an error message; `state` is its row now."""
        return "its levels are no longer finite numbers"

    def diagnose(self, run: Any) -> Any:
        """Return what a finished run carries besides its levels (`Run.diagnostics`); warn if it cannot be trusted."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of a pickle what is computed on request."""
        return without_caches(self)  # which are made again when they are asked for

    def _set(self, **fields: Any) -> None:
        """Put checked values into a frozen dataclass."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)


class NetworkProcess(Theory, Process):
    """A process whose state is the weights of a network: subclasses have the attributes below."""

    coordinate = "singular_values"
    spreads: ClassVar[tuple[str, ...]] = ("mu", "sigma", "size of the weights")
    marks_after_step = False
    model: Model
    learning_rate: float
    batch_size: int
    init_scale: float

    @property
    def n(self) -> int:
        """Number of columns of W, and so of levels."""
        return self.model.n

    @property
    def weight_shape(self) -> tuple[int, int]:  # type: ignore[override]
        """Shape (p, n) of W, as the model says."""
        return self.model.weight_shape

    @property
    def layer_shapes(self) -> tuple[tuple[int, int], ...]:  # type: ignore[override]
        """Shapes of the weights of all layers, as the model says."""
        return self.model.layer_shapes

    @property
    def spectral_layer(self) -> int | None:  # type: ignore[override]
        """Whose singular values are recorded, as the model says."""
        return self.model.spectral_layer

    def lengths(self) -> dict[str, Any]:
        """Add the model's parameters with the unit of the weights, and the largest of all of them."""
        names = ("teacher", "gradient_noise", "label_noise", "mu", "sigma")
        found = {name: getattr(self.model, name, None) for name in names} | {"init_scale": self.init_scale}
        found = {name: value for name, value in found.items() if value is not None}
        for name, value in found.items():
            if isinstance(value, tuple):  # of several layers
                found[name] = np.concatenate([np.ravel(matrix) for matrix in value])
        largest = max(float(np.max(np.abs(np.asarray(value)))) for value in found.values())
        return found | ({"size of the weights": largest} if largest > 0 else {})

    def prepare(self, device: str, dtype: str, threads: int) -> Program:
        """Check first that the model's kernel moves as many weights as W has."""
        weights = self.built(device).weights
        if weights != self.model.weight_numbers:
            raise ValueError(
                f"model: the Kernel of {type(self.model).__name__} has weights = {weights}, must have "
                f"{self.model.weight_numbers}, for weight_shape = {self.weight_shape}"
            )
        program = super().prepare(device, dtype, threads)
        singular_values(np.zeros((1, *self.weight_shape)))  # compiled or loaded here, not by each of the threads
        return program

    def start(self, replicas: int, seed: int, first: int = 0) -> np.ndarray:
        """Draw what the networks start from, (replicas, kernel.state): normal weights, or as the model says."""
        kernel = self.built()
        start = np.empty((replicas, kernel.state))
        rows = max(1, START_CHUNK // kernel.weights)
        for at in range(0, replicas, rows):
            some = start[at : at + rows]
            draw = partial(initial_weights, len(some), seed=seed, first=first + at)
            given = self.model.initial_state(draw, self)
            if given is not None:
                some[:] = np.concatenate([np.zeros(kernel.weights), kernel.extra.reshape(-1)])
                some[:, : given.shape[1]] = given
                continue
            weights = draw(kernel.weights) * self.init_scale
            if kernel.basis is not None:
                weights = (weights.reshape(-1, *self.weight_shape) @ kernel.basis).reshape(weights.shape)
            some[:, : kernel.weights] = weights
            some[:, kernel.weights :] = kernel.extra.reshape(-1)
        return start

    def weights(self, state: np.ndarray) -> np.ndarray:
        """Weight matrices (rows, p, n) of states."""
        weights = self.model.spectral_matrix(state).astype(np.float64)
        return weights if self._basis is None else weights @ self._basis.T

    def layers(self, state: np.ndarray) -> tuple[np.ndarray, ...]:
        """Weight matrices of all layers of states; of one layer those of `weights`."""
        return self.model.layers(state) if len(self.layer_shapes) > 1 else (self.weights(state),)

    @cached_property
    def _basis(self) -> np.ndarray | None:
        """That of the kernel, which every record would make anew."""
        return self.built().basis

    def spectra(self, state: np.ndarray) -> np.ndarray:
        """Singular values (rows, n) of W, ascending."""
        return singular_values(self.model.spectral_matrix(state))

    def is_defined(self, spectra: np.ndarray) -> np.ndarray:
        """Tell whether the model is defined at singular values (..., n), shape (...)."""
        return self.model.is_defined(spectra)

    def why_left(self, step: int, state: np.ndarray) -> str:
        """Say whether the initial weights are to blame, or what the model knows of stability."""
        if step == 0:
            return f"the initial weights, of init_scale = {self.init_scale:g}, are outside the model's domain"
        return self._stated.stability(self.learning_rate, self.batch_size)

    def warn(self, stacklevel: int) -> None:
        """Say that the learning rate is beyond the limit that the model states, if it states one."""
        import warnings

        try:
            limit = self.max_learning_rate()
        except (NotImplementedError, ValueError):  # not stated, or no unique fixed point
            return
        if self.learning_rate >= limit:
            why = self._stated.stability(self.learning_rate, self.batch_size)
            warnings.warn(f"training may not be stable: {why}", RuntimeWarning, stacklevel=stacklevel + 1)

    def _check_training(self) -> None:
        """Validate the four fields of a frozen dataclass."""
        if not isinstance(self.model, Model):
            given = _checks.shown(self.model)
            raise TypeError(f"model = {given}: must be a dysonsim model, such as GaussianRBM or TeacherStudent")
        self._set(
            learning_rate=_checks.scale("learning_rate", self.learning_rate),
            batch_size=self.model.check_batch_size(self.batch_size),
            init_scale=_checks.scale("init_scale", self.init_scale, zero=True),
        )


def network_process(sgd: Any) -> NetworkProcess:
    """Return what a level of description is derived from; TypeError if it is no process of a network."""
    if not isinstance(sgd, NetworkProcess):
        given = _checks.shown(sgd)
        raise TypeError(f"sgd = {given}: must be a process of a network such as dysonsim.SGD(model, ...)")
    return sgd


def plain_process(sgd: Any) -> NetworkProcess:
    """Return the same; NotImplementedError for training with momentum, weight decay or Adam."""
    process = network_process(sgd)
    optimizer = getattr(process, "optimizer", PLAIN)
    if not optimizer.plain:
        hint = "" if optimizer.adam or optimizer.weight_decay else "; sgd.effective() is, to leading order"
        raise NotImplementedError(
            f"sgd: training with {optimizer} has no such description, whose weights alone do not say how they move "
            f"on: must be plain SGD{hint}"
        )
    return process


def initial_weights(replicas: int, count: int, seed: int, first: int = 0) -> np.ndarray:
    """Draw standard normals (replicas, count) of the replicas from number `first` on, the same on every device."""
    generator = rng.build(plain.lanes("float64", 1))
    key0, key1 = split_seed(seed)
    blocks = np.arange(-(-count // 4), dtype=np.uint32)
    out = np.empty((replicas, count))
    rows = max(1, INITIAL_CHUNK // len(blocks))
    for at in range(0, replicas, rows):
        replica = np.arange(first + at, first + min(at + rows, replicas), dtype=np.uint32)
        with np.errstate(over="ignore"):  # 32-bit integers wrap on purpose
            block, lane = np.tile(blocks, len(replica)), np.repeat(replica, len(blocks))
            a, b, c, d = generator.words_of_blocks(block, np.uint32(rng.INITIAL), np.uint32(0), lane, key0, key1)
            z = np.stack([*generator.box_muller(a, b), *generator.box_muller(c, d)], axis=-1)
        out[at : at + rows] = z.reshape(len(replica), -1)[:, :count]
    return out
