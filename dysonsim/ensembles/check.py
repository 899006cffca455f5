"""`check`: whether the kernel of a model does what its update says, on every device there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._text import aligned
from ..backend import driver, one_blas_thread, usable_devices
from ..models import Model
from ..models.optimizers.optimizer import PLAIN, Optimizer
from ..processes import SGD
from ..processes.descent import Descent

__all__ = ["Check", "check"]

REPLICAS, STEPS = 19, 3
# Of the size of the numbers, after a few steps: rounding that an update amplifies moderately. A kernel of one's own has
# no reference but its own text in plain Python, whose normals differ in the last digits of single precision.
TOLERANCE = {"float64": 1e-10, "float32": 1e-3}
TOLERANCE_OF_NORMALS = {"float64": 1e-4, "float32": 1e-3}


@dataclass(frozen=True)
class Check:
    """What `check` found.

    Attributes
    ----------
    model : Model
    learning_rate, batch_size : float, int
    deviations : dict
        By (device, dtype): the largest deviation from the reference, relative to the largest number.
    reference : str
        What the kernel was compared with.
    optimizer : Optimizer
        The rule that moved the weights, plain SGD for a model.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> result = ds.check(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1))
    >>> max(result.deviations.values()) < 1e-3
    True
    """

    model: Model
    learning_rate: float
    batch_size: int
    deviations: dict[tuple[str, str], float]
    reference: str
    optimizer: Optimizer = PLAIN

    def __str__(self) -> str:
        """Write the deviations as a table."""
        head = f"{self.model} at learning_rate = {self.learning_rate:g}, batch_size = {self.batch_size}"
        head += "" if self.optimizer.plain else f", {self.optimizer}"
        rows = [[device, dtype, f"{value:.1e}"] for (device, dtype), value in self.deviations.items()]
        lines = aligned([["device", "dtype", "deviation"], *rows])
        return "\n".join([head, f"kernel against {self.reference}, {STEPS} steps of {REPLICAS} networks", lines])

    __repr__ = __str__


def check(model: Model | Descent, learning_rate: float = 0.05, batch_size: int = 4, *, seed: int = 0) -> Check:
    """Compare the kernel of a model with its reference, with the same random numbers, on every device there is.

    A model with an `update`: the compiled kernel, its text in plain Python, where every place that it reads or writes
    is checked, and CUDA where there is a card, against the update on NumPy stacks. A model with a kernel of its own:
    the compiled kernel against its text in plain Python, checked likewise.

    It compares a few steps from random weights, and says nothing of the physics: compare a long run with theory.

    Parameters
    ----------
    model : Model, SGD or Adam
        What to check; of a training its learning rate, batch size and optimizer are taken.
    learning_rate : float
    batch_size : int
    seed : int
        Of the random inputs.

    Returns
    -------
    Check
        The largest deviations; print it.

    Raises
    ------
    TypeError, ValueError, IndexError
        If the update cannot be traced or a kernel goes beyond the end of an array; the message names the line of your
        file, or the array.
    RuntimeError
        If kernel and reference differ by more than rounding, or nothing can be compared because numbers are not finite.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np, dysonsim as ds
    >>> @dataclass(frozen=True)
    ... class Decay(ds.Model):
    ...     teacher: np.ndarray
    ...     decay: float
    ...
    ...     def update(self, W, noise, learning_rate, batch_size):
    ...         return W + learning_rate * ((self.teacher - W) @ noise.second_moment(2) - self.decay * W)
    >>> result = ds.check(Decay(2 * np.eye(2), decay=0.5))
    >>> result.deviations["cpu", "float64"] < 1e-12
    True
    """
    sgd = model if isinstance(model, Descent) else SGD(model, learning_rate, batch_size, init_scale=0.5)
    seed = _checks.integer("seed", seed, 0, 2**64 - 1)
    start, found = sgd.start(REPLICAS, seed), {}
    by_update = sgd.model.is_traced
    bounds = TOLERANCE if by_update else TOLERANCE_OF_NORMALS
    devices = ("numpy", *usable_devices()) if by_update else usable_devices()
    with np.errstate(all="ignore"), one_blas_thread():
        for device in devices:  # "numpy" first, which finds slips
            for dtype in ("float64", "float32"):
                found[device, dtype] = deviation(sgd, device, dtype, start, seed)
            wrong = [f"{at[0]}, {at[1]}" for at, value in found.items() if not value <= bounds[at[1]]]
            if wrong:
                break
    what = "its update on NumPy stacks" if by_update else "its text in plain Python"
    result = Check(sgd.model, sgd.learning_rate, sgd.batch_size, found, what, sgd.optimizer)
    if wrong:
        raise RuntimeError(f"kernel and reference differ on {'; '.join(wrong)}:\n{result}")
    return result


def deviation(sgd: Descent, device: str, dtype: str, start: np.ndarray, seed: int) -> float:
    """Return by how much the kernel on a device differs from the reference, relative to the largest number."""
    kernel = sgd.kernel()
    reference = sgd.reference(dtype, device)
    wanted = end(reference or driver("numpy").prepare(kernel, dtype), start, seed)
    given = end(driver(device).prepare(kernel, dtype), start, seed)
    finite = np.isfinite(wanted)
    if not finite.any(axis=0).all():
        raise RuntimeError(
            f"{sgd.model}: numbers are not finite after {STEPS} steps at learning_rate = {sgd.learning_rate:g}, "
            f"batch_size = {sgd.batch_size}, so that nothing can be compared: choose others"
        )
    if not (np.isfinite(given) == finite).all():
        return np.inf
    size = max(1.0, float(np.abs(wanted[finite]).max()))
    return float(np.abs(given[finite].astype(float) - wanted[finite]).max()) / size


def end(program: object, start: np.ndarray, seed: int) -> np.ndarray:
    ensemble = program.open(start, 0, seed)  # type: ignore[attr-defined]
    ensemble.advance(0, 1)
    ensemble.advance(1, STEPS - 1)
    return ensemble.state()
