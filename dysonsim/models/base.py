"""What every model offers: the shape of its weights and the predictions for the eigenvalues of X = W^T W.

Notation (arXiv:2412.20496): W weights, X = W^T W, x_i its eigenvalues in ascending order, xi_i = sqrt(x_i) the
singular values of W, alpha learning rate, |B| batch size, K_i drift and g_ij noise of Dyson Brownian motion,
dx_i = [K_i + sum_j g_ij^2 / (x_i - x_j)] dt + sqrt(2) g_ii dB_i with time t counted in SGD steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .. import _checks
from .._fingerprint import fingerprint
from ..backend import Kernel, Program
from ._groups import level_groups
from ._layers import chained
from ._parameters import by_value, shown
from .optimizers.optimizer import PLAIN, Optimizer
from .optimizers.stated import Stated
from .traced import update as traced

if TYPE_CHECKING:
    from .closures import DysonTerms


class Model:
    """A network that SGD trains, with its predictions.

    Subclasses are frozen dataclasses (this class compares array fields by value and prints them by shape). To be
    trained a model needs ``update(self, W, noise, learning_rate, batch_size)``, which returns the weights after one
    step, in matrix notation; it is traced into a kernel, once for every size. Or, as the models of dysonsim, a `kernel`
    of its own.

    W has `weight_shape`, by default that of the field `teacher`. An update of several matrices takes them all before
    `noise`, as ``*matrices`` where their number varies, and returns them as a tuple: `weight_shapes` has the shapes of
    the weights by name, `memory` what else a step remembers (velocities, ...), with its start values. `noise` has the
    random inputs: `normal`, `symmetric`, `samples`, `label`, `second_moment`. What an update may do is in the guide,
    examples/guide/my_own_model.md; what it may not is an error that names the line of your file.

    Predictions are there for models that can state them, and raise NotImplementedError otherwise. All predictions are
    for one set of levels in ascending order of x; every method states its order of approximation. Batch sizes and
    learning rates are checked, ValueError otherwise.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(np.diag([1.0, 2.0, 2.0]), gradient_noise=0.1)
    >>> isinstance(model, ds.Model)
    True
    >>> model.n, model.degenerate_groups()
    (3, [(1, 2)])

    Weight decay and symmetric gradient noise, on the mean of x x^T over a batch:

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Decay(ds.Model):
    ...     teacher: np.ndarray
    ...     decay: float
    ...     gradient_noise: float
    ...
    ...     def update(self, W, noise, learning_rate, batch_size):
    ...         C = noise.second_moment(W.shape[-1])
    ...         A = noise.symmetric(W.shape) * (self.gradient_noise / batch_size**0.5)
    ...         return W + learning_rate * ((self.teacher - W) @ C - self.decay * W + A)
    >>> sgd = ds.SGD(Decay(2 * np.eye(2), 0.5, 0.1), learning_rate=0.1, batch_size=16)
    >>> run = ds.simulate(sgd, replicas=1000, steps=200, seed=1)
    >>> print(run.singular_values.mean().round(2))  # 2/(1 + decay)
    1.33
    """

    leading_order: ClassVar[tuple[str, ...]] = ()  # predictions that with momentum hold at alpha/(1 - m)

    def __init_subclass__(cls, **also: Any) -> None:
        """Keep `dataclass` from writing its own comparison, hash and repr, which cannot do with arrays."""
        super().__init_subclass__(**also)
        for name in ("__eq__", "__hash__", "__repr__"):
            if name not in vars(cls):
                setattr(cls, name, getattr(cls, name))

    @property
    def weight_shape(self) -> tuple[int, int]:
        """Rows and columns of W; by default those of the field `teacher`, or of the first of `weight_shapes`."""
        several = traced.value_of(self, "weight_shapes")
        shape = next(iter(several.values())) if several else np.shape(getattr(self, "teacher", 0.0))
        if len(shape) != 2:
            raise TypeError(
                f"{type(self).__name__} must state weight_shape = (rows, columns) of its weights; only a model with a "
                "matrix named teacher has its shape without"
            )
        return int(shape[0]), int(shape[1])

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]] | None:
        """Shapes of the weights of an update with several, by the names of its arguments; None where W is the only one.

        Spectra are those of the first. A method without arguments or an attribute will do as well.
        """
        return None

    @property
    def memory(self) -> dict[str, Any]:
        """What a step of an update remembers beside the weights, with the values it starts from, by name.

        Numbers, vectors or matrices; weights start from independent normals of `init_scale`. A method without arguments
        or an attribute will do as well.
        """
        return {}

    def matrices(self, state: np.ndarray) -> dict[str, np.ndarray]:
        """Return all matrices of an update by name, each (replicas, *shape), from `Run.state`.

        Parameters
        ----------
        state : (replicas, m) array

        Raises
        ------
        TypeError
            If the model has no update.
        ValueError
            If the state is of another model.
        """
        self._check_trained()
        return traced.matrices(self, state)

    def initial_state(self, normals: Callable[[int], np.ndarray], process: Any) -> np.ndarray | None:
        """Return what networks start from, (networks, numbers); None for independent normals of `init_scale`.

        ``normals(count)`` returns standard normals (networks, count), always the same ones of each network. The numbers
        are the first of a network's state, of which its weights come first; what is left out starts as the kernel says.
        """
        return None

    def period(self, batch_size: int) -> int | None:
        """Return after how many steps the random inputs of an update repeat: the batches of a fixed data set.

        None for new ones at every step.
        """
        return None

    @property
    def layer_shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the weight matrices of all layers, that of the inputs first: `Run.layers`."""
        return traced.layers_of(self)[0] if self.is_traced else (self.weight_shape,)

    @property
    def spectral_layer(self) -> int | None:
        """Number of the layer whose singular values are recorded; None where they are those of the product of all."""
        return 0

    def layers(self, state: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the weights of all layers, (networks, rows, columns), of states, where they come first, in order."""
        shapes = self.layer_shapes
        places = traced.layers_of(self)[1] if self.is_traced else np.cumsum([0, *(p * n for p, n in shapes[:-1])])
        return tuple(state[:, at : at + p * n].reshape(-1, p, n) for at, (p, n) in zip(places, shapes, strict=True))

    def spectral_matrix(self, state: np.ndarray) -> np.ndarray:
        """Return the matrix W, (networks, *weight_shape), whose singular values are recorded, of states."""
        layers = self.layers(state)
        return layers[self.spectral_layer] if self.spectral_layer is not None else chained(layers)

    @property
    def is_traced(self) -> bool:
        """Whether its kernel is made of its `update`."""
        return hasattr(self, "update") and type(self).kernel is Model.kernel

    @property
    def weight_numbers(self) -> int:
        """How many numbers its weights are."""
        if self.is_traced:
            return traced.layout_of(self).weights
        return sum(rows * columns for rows, columns in self.layer_shapes)

    @property
    def fingerprint(self) -> str | None:
        """What runs are told apart by, for a model with an update: its parameters and its code; else None."""
        if not hasattr(self, "update"):
            return None
        kind = type(self)
        return fingerprint((f"{kind.__module__}.{kind.__qualname__}", self._fields(), kind.update))

    def _check_trained(self) -> None:
        if not hasattr(self, "update"):
            raise TypeError(
                f"{type(self).__name__} must state update(self, W, noise, learning_rate, batch_size), or a kernel"
            )

    @property
    def n(self) -> int:
        """Number of eigenvalues of X = W^T W, the columns of W."""
        return self.weight_shape[1]

    def kernel(self, learning_rate: float, batch_size: int) -> Kernel:
        """Return the kernel of one SGD step: the code, its compile-time sizes and its constants.

        By default that of `update`, which is traced.
        """
        self._check_trained()
        return traced.kernel_of(self, *self._rates(learning_rate, batch_size))

    def reference(
        self, learning_rate: float, batch_size: int, dtype: str, device: str, optimizer: Optimizer = PLAIN
    ) -> Program | None:
        """Return what ``device="numpy"`` runs, with random numbers of a device: `update` on NumPy stacks.

        None for a model that has a kernel of its own: its text then is run as ordinary Python.
        """
        if not self.is_traced:
            return None
        from .traced.reference import program_of

        return program_of(self, self._rates(learning_rate, batch_size), dtype, device, optimizer)

    def stand_in(self) -> Kernel | None:
        """Return the sizes of the kernel of an update, which ``device="numpy"`` runs untraced; None for others."""
        return traced.stand_in(self) if self.is_traced else None

    def large_kernel(self, learning_rate: float, batch_size: int) -> Kernel | None:
        """Return the same update for one network at a time, with BLAS; None where networks side by side are faster."""
        return None

    def langevin_kernel(self, learning_rate: float, batch_size: int, correlated: bool | None = None) -> Kernel:
        """Return the kernel for one step of `Langevin`: SGD with Gaussian batches.

        The update has the mean and the covariance of SGD's at the same state. correlated: whether its noise is
        correlated in time as SGD's is (None: where SGD's is); ValueError where that is impossible.
        """
        raise NotImplementedError(f"{type(self).__name__} states no Gaussian noise for Langevin (langevin_kernel)")

    def written(self) -> Model:
        """Return a model with the same step as an update, of which `stationary` takes derivatives: this one if it has.

        NotImplementedError for a model with a kernel of its own that states none.
        """
        if self.is_traced:
            return self
        raise NotImplementedError(f"{type(self).__name__} has no update in matrix notation (Model.written)")

    def under(self, optimizer: Optimizer) -> Any:
        """Return what is stated of training by an optimizer: this model for plain SGD.

        By default of momentum the fixed point, and what `leading_order` names at the learning rate alpha/(1 - m); of
        others nothing. What is not stated is a NotImplementedError of what is returned.
        """
        if optimizer.plain:
            return self
        fixed = () if optimizer.weight_decay else ("fixed_point", "degenerate_groups")
        return Stated(self, optimizer, fixed, () if optimizer.adam or not fixed else self.leading_order)

    def gaussian_error(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Predict the relative deviation of the stationary widths and spacings of `Langevin` from SGD's, shape (n,).

        For a level that shares a well, that of the spacing within the well. The deviation is of order alpha/|B|: it
        comes from the higher cumulants of a batch, which Gaussian noise lacks.
        """
        raise self._unpredicted("gaussian_error")

    def asymmetry_error(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Predict the relative excess of `Langevin` over SGD in sd(upper level)/sd(lower level), shape (groups,).

        For every pair in `degenerate_groups`. The excess is of order sqrt(alpha/|B|): it comes from the third cumulants
        of a batch. The levels of a pair show it long before their spacing does.
        """
        raise self._unpredicted("asymmetry_error")

    def is_defined(self, singular_values: np.ndarray) -> np.ndarray:
        """Tell whether weights with these singular values (..., n) define a model at all, shape (...), learned or not.

        Asked of every recorded spectrum, with a warning for those that are not.
        """
        values = _checks.array("singular_values", singular_values, finite=False, empty=True)
        return np.asarray(np.isfinite(values).all(axis=-1))

    def fixed_point(self) -> np.ndarray:
        """Return the eigenvalues of X at the fixed point of gradient descent, shape (n,), ascending."""
        raise self._unpredicted("fixed_point")

    def drift(self, x: np.ndarray, learning_rate: float, batch_size: int) -> np.ndarray:
        """Return the drift K_i of the levels per SGD step, shape (n,), without the repulsion of the levels."""
        raise self._unpredicted("drift")

    def noise(self, x: np.ndarray, learning_rate: float, batch_size: int) -> np.ndarray:
        """Return the noise strengths g_ij per SGD step, shape (n, n): g_ij^2 = Var dX_ij, 2 g_ii^2 = Var dX_ii."""
        raise self._unpredicted("noise")

    def dyson_terms(self, learning_rate: float, batch_size: int, closure: str = "corrected") -> DysonTerms:
        """Return what moves the levels of `Dyson(sgd)`: drift, noise and repulsion, in the form that kernels take.

        closure: "independent" is the paper's, where wells know nothing of each other. "corrected" includes the effect
        on the levels of rotations of the eigenvectors (`dysonsim.models.closures`).
        """
        raise self._unpredicted("dyson_terms")

    def stationary_widths(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Return the stationary standard deviation sigma_i of every eigenvalue x_i in its own well, shape (n,).

        For a level that shares its well, sigma_i is the *parameter* of the ensemble (the `scale` of the two-level law).
        It is not the standard deviation of the level, which its neighbors push about.
        """
        raise self._unpredicted("stationary_widths")

    def mean_spacings(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Return the stationary mean spacing of x in every group of `degenerate_groups`, in its order.

        A group of m > 2 levels has m - 1 gaps; their mean is given, (E x_max - E x_min)/(m - 1).
        """
        raise self._unpredicted("mean_spacings")

    def relaxation_rates(self, learning_rate: float) -> np.ndarray:
        """Return the rates per SGD step at which the eigenvalues approach the fixed point, shape (n,).

        To first order in alpha; inf for levels that are identically 0 because W has fewer rows than columns.
        """
        raise self._unpredicted("relaxation_rates")

    def max_learning_rate(self, batch_size: int) -> float:
        """Return the learning rate above which SGD is unstable near the fixed point."""
        raise self._unpredicted("max_learning_rate")

    def stability(self, learning_rate: float, batch_size: int) -> str:
        """Compare a learning rate in one sentence with the stability limit, for error messages."""
        return f"learning_rate = {learning_rate:g} at batch_size = {batch_size} is too large for {self}"

    def check_batch_size(self, batch_size: int) -> int:
        """Return the batch size as int, or TypeError/ValueError if this model cannot be trained with it."""
        return _checks.integer("batch_size", batch_size, 1)

    def degenerate_groups(self) -> list[tuple[int, ...]]:
        """List groups of two or more levels that share a fixed point, as level indices, in ascending order.

        Levels whose fixed point is x = 0 are left out: they sit on the wall and have no Gaussian well to share.
        """
        return level_groups(self.fixed_point())

    def singular_value_widths(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Stationary widths of the singular values, sigma_x / (2 xi), shape (n,); 0 where the fixed point is 0.

        Same order of approximation as `stationary_widths`, and valid for widths small compared with xi.
        """
        xi = np.sqrt(self.fixed_point())
        widths = self.stationary_widths(learning_rate, batch_size)
        return np.divide(widths, 2 * xi, out=np.zeros_like(xi), where=xi > 0)

    def singular_value_spacings(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Mean spacing of the singular values in every group of `degenerate_groups`: that of x over 2 xi."""
        xi = np.sqrt([self.fixed_point()[group[0]] for group in self.degenerate_groups()])
        return np.asarray(self.mean_spacings(learning_rate, batch_size) / (2 * xi))

    def _unpredicted(self, name: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} states no prediction for {name}")

    def _levels(self, x: Any) -> np.ndarray:
        """Check levels given by a caller: shape (n,), finite, >= 0."""
        want = f"the {self.n} eigenvalues of X, shape ({self.n},)"
        levels = _checks.array("x", x, want)
        if levels.shape != (self.n,):
            raise ValueError(f"x has shape {levels.shape}: must be {want}")
        if not ((levels >= 0) & (levels <= 1 / _checks.SMALLEST)).all():
            raise ValueError(
                f"x = {levels}: eigenvalues of X = W^T W must be finite, >= 0 and at most {1 / _checks.SMALLEST:g}"
            )
        return levels

    def _rates(self, learning_rate: float, batch_size: int) -> tuple[float, int]:
        return _checks.scale("learning_rate", learning_rate), self.check_batch_size(batch_size)

    def _key(self) -> tuple[Any, ...]:
        return tuple(by_value(value) for _, value in self._fields())

    def _fields(self) -> list[tuple[str, Any]]:
        """Names and values of the parameters; of a class that is no dataclass all that it holds."""
        if not dataclasses.is_dataclass(self):
            return list(vars(self).items())
        return [(field.name, getattr(self, field.name)) for field in dataclasses.fields(self)]

    def __eq__(self, other: object) -> bool:
        """Compare class and parameters, arrays by their values."""
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, Model)
        return self._key() == other._key()

    def __hash__(self) -> int:
        """Hash what equality compares."""
        return hash((type(self).__name__, self._key()))

    def __repr__(self) -> str:
        """Write the parameters as in a call, arrays by their shapes."""
        parts = [f"{name}={shown(value)}" for name, value in self._fields()]
        return f"{type(self).__name__}({', '.join(parts)})"
