"""Network of several layers with nonlinear units, which learns a network of the same shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from ... import _checks
from .._groups import level_groups
from .._parameters import batches_of
from .._spacing import mean_spacing
from ..base import Model
from .fluctuations import MOST, Fluctuations, normal_points
from .layers import ACTIVATIONS, forward, jacobians

__all__ = ["NeuralNetwork"]

INITS = ("teacher", "normal")
MOST_LAYERS = 100
UNEVEN = 0.1  # of the variances in a group of three or more levels, up to which its spacing is that of the GOE


@dataclass(frozen=True, eq=False, repr=False)
class NeuralNetwork(Model):
    """Network without biases that learns a teacher of the same shape: f(x) = W_L a(... a(W_2 a(W_1 x))).

    The loss of a sample is |f(x) - f_t(x) - eta|^2/2 with inputs x ~ N(0, 1), the teacher f_t and label noise eta; an
    update is W_l <- W_l - alpha [mean over the batch of its gradient + A_l] for every layer that is trained. The
    others are the teacher's. Spectra are those of the first trained layer; ``run.singular_values_of(layer)`` has those
    of each, of runs that keep their weights.

    Predictions are of first order in the fluctuations about the teacher, where the loss of a sample has the Hessian
    J^T J: with label noise alone, to leading order in alpha, weights fluctuate independently with the variance alpha
    label_noise^2/(2|B|), whatever the network. They are there for given teachers with at most 256 trained weights, and
    for networks that stay at the teacher: start there, since networks that start elsewhere may end in another minimum,
    such as the teacher with its units exchanged.

    Parameters
    ----------
    widths : sequence of int
        Number of inputs, of units of each hidden layer, of outputs.
    activation : {"tanh", "erf", "relu", "linear"}
        The function a of hidden units; outputs are linear.
    teacher : sequence of matrices, optional
        W_1, ..., W_L of the teacher, of shapes (widths[1], widths[0]), (widths[2], widths[1]), ... Default: drawn anew
        for every network, entries of W_l normal with variance 1/widths[l - 1].
    trained : sequence of bool, optional
        Which layers are trained; default: all.
    label_noise : float
        Standard deviation >= 0 of eta for each output.
    gradient_noise : float
        >= 0: A_l has independent normal entries with standard deviation gradient_noise/sqrt(|B|).
    dataset_size : int, optional
        Size of a fixed data set, a multiple of the batch size, which is passed over again and again in the same order;
        each network has its own, noise included. Default: new samples at every step.
    init : {"teacher", "normal"}
        Where trained layers start: at the teacher, or at independent normals with the standard deviation `init_scale`
        of `SGD`.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.NeuralNetwork((2, 2, 2), "tanh", teacher=(np.eye(2), np.eye(2)), trained=(True, False),
    ...                          label_noise=0.05)
    >>> sgd = ds.SGD(model, learning_rate=0.1, batch_size=4)
    >>> print(sgd.singular_value_spacings().round(4), round((np.pi * 0.1 * 0.05**2 / 8) ** 0.5, 4))
    [0.0101] 0.0099
    >>> run = ds.simulate(sgd, replicas=100, steps=500, seed=1)
    >>> run.singular_values.shape
    (100, 1, 2)
    """

    widths: tuple[int, ...]
    activation: str = "tanh"
    teacher: tuple[np.ndarray, ...] | None = None
    trained: tuple[bool, ...] | None = None
    label_noise: float = 0.0
    gradient_noise: float = 0.0
    dataset_size: int | None = None
    init: str = "teacher"

    def __post_init__(self) -> None:
        """Check the fields."""
        widths = tuple(_checks.integer(f"widths[{k}]", n, 1) for k, n in enumerate(_parts("widths", self.widths, 2)))
        _checks.choice("activation", self.activation, ACTIVATIONS)
        _checks.choice("init", self.init, INITS)
        shapes = tuple(zip(widths[1:], widths[:-1], strict=True))
        teacher, trained = self.teacher, (True,) * len(shapes)
        if teacher is not None:
            given = _parts("teacher", teacher, len(shapes), len(shapes))
            teacher = tuple(_checks.matrix(f"teacher[{k}]", m, shapes[k]) for k, m in enumerate(given))
        if self.trained is not None:
            given = _parts("trained", self.trained, len(shapes), len(shapes))
            trained = tuple(_checks.flag(f"trained[{k}]", flag) for k, flag in enumerate(given))
        if not any(trained):
            raise ValueError(f"trained = {trained}: at least one layer must be trained")
        if self.dataset_size is not None:
            object.__setattr__(self, "dataset_size", _checks.integer("dataset_size", self.dataset_size, 1))
        for name in ("label_noise", "gradient_noise"):
            object.__setattr__(self, name, _checks.scale(name, getattr(self, name), zero=True))
        for name, value in (("widths", widths), ("teacher", teacher), ("trained", trained)):
            object.__setattr__(self, name, value)

    # What is trained, and how.

    @property
    def layer_shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of all layers, that of the inputs first."""
        return tuple(zip(self.widths[1:], self.widths[:-1], strict=True))

    @property
    def spectral_layer(self) -> int:
        """Number of the first trained layer."""
        return self._trained.index(True)

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the trained layers."""
        return {f"layer_{k}": shape for k, shape in enumerate(self.layer_shapes) if self._trained[k]}

    @property
    def memory(self) -> dict[str, Any]:
        """What networks whose teachers were drawn have of their own: fixed layers, and the teacher's trained ones."""
        if self.teacher is not None:
            return {}
        own = {f"{'teacher' if self._trained[k] else 'layer'}_{k}": shape for k, shape in enumerate(self.layer_shapes)}
        return {name: np.zeros(shape) for name, shape in own.items()}

    @property
    def _trained(self) -> tuple[bool, ...]:
        assert self.trained is not None
        return self.trained

    def period(self, batch_size: int) -> int | None:
        """Return the batches of the data set, if it is fixed."""
        batch = super().check_batch_size(batch_size)
        return None if self.dataset_size is None else batches_of(self.dataset_size, batch)

    def check_batch_size(self, batch_size: int) -> int:
        """Return the batch size as int; ValueError if a fixed data set cannot be cut into such batches."""
        batch = super().check_batch_size(batch_size)
        self.period(batch)
        return batch

    def _networks(self, named: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        """Return all layers of the network, and of the teacher, of matrices by name."""
        fixed = self.teacher or [named.get(f"layer_{k}") for k in range(len(self._trained))]
        student = [named[f"layer_{k}"] if trained else fixed[k] for k, trained in enumerate(self._trained)]
        teacher = [
            named[f"teacher_{k}"] if trained and self.teacher is None else fixed[k]
            for k, trained in enumerate(self._trained)
        ]
        return student, teacher

    def update(self, *matrices: Any, noise: Any, learning_rate: float, batch_size: int) -> tuple[Any, ...]:
        """Return the trained layers after one step, and with them what networks have of their own."""
        names = [*self.weight_shapes, *self.memory]
        student, teacher = self._networks(dict(zip(names, matrices, strict=True)))
        activation, first, last = ACTIVATIONS[self.activation], self.spectral_layer, len(student) - 1
        z, a = forward(student, activation, noise.samples(self.widths[0]))
        _, wanted = forward(teacher[first:], activation, a[first])  # what lies before the trained layers is shared
        if self._trained[-1]:
            error = a[-1] @ student[-1].T - wanted[-1] @ teacher[-1].T
        else:
            error = (a[-1] - wanted[-1]) @ student[-1].T
        if self.label_noise:
            error = error - self.label_noise * noise.label(self.widths[-1])
        moved: list[Any] = []
        for k in range(last, first - 1, -1):
            if self._trained[k]:
                weights = student[k] - (learning_rate / batch_size) * (error.T @ a[k])
                if self.gradient_noise:
                    kick = learning_rate * self.gradient_noise / math.sqrt(batch_size)
                    weights = weights - kick * noise.normal(self.layer_shapes[k])
                moved.insert(0, weights)
            if k > first:
                error = activation.back(error @ student[k], z[k], a[k])
        return (*moved, *matrices[len(moved) :])

    def initial_state(self, normals: Callable[[int], np.ndarray], process: Any) -> np.ndarray:
        """Return trained layers at the teacher or at normals; with them the teacher, where it is drawn."""
        shapes = self.layer_shapes
        counts = [math.prod(shape) for shape in shapes]
        moving = sum(count for count, trained in zip(counts, self._trained, strict=True) if trained)
        z = normals(moving + (sum(counts) if self.teacher is None else 0))
        if self.teacher is None:
            scales = np.repeat([n**-0.5 for _, n in shapes], counts)
            drawn = np.split(z[:, moving:] * scales, np.cumsum(counts)[:-1], axis=1)
        else:
            drawn = [np.broadcast_to(matrix.ravel(), (len(z), matrix.size)) for matrix in self.teacher]
        start = z[:, :moving] * process.init_scale
        if self.init == "teacher":
            start = np.concatenate([m for m, trained in zip(drawn, self._trained, strict=True) if trained], axis=1)
        return np.concatenate([start, *(drawn if self.teacher is None else [])], axis=1)

    def layers(self, state: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the matrices of all layers, each (networks, rows, columns), of states."""
        student, _ = self.networks(state)
        return student

    def networks(self, state: np.ndarray) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Return all layers of the networks, and of their teachers, each (networks, rows, columns), of states.

        Parameters
        ----------
        state : (networks, numbers) array
            Such as `Run.state`.

        Examples
        --------
        >>> import dysonsim as ds
        >>> sgd = ds.SGD(ds.NeuralNetwork((3, 4, 1), trained=(True, False)), learning_rate=0.1, batch_size=4)
        >>> student, teacher = sgd.model.networks(sgd.start(replicas=5, seed=1))
        >>> [layer.shape for layer in teacher], bool((student[1] == teacher[1]).all())
        ([(5, 4, 3), (5, 1, 4)], True)
        """
        state = _checks.array("state", state, "states (networks, numbers)", dimensions=(2,), finite=False)
        found = self._networks(self.matrices(state))
        student, teacher = (tuple(np.broadcast_to(m, (len(state), *m.shape[-2:])) for m in layers) for layers in found)
        return student, teacher

    # What theory predicts.

    @property
    def _matrix(self) -> np.ndarray:
        """That of the teacher whose spectrum is followed."""
        if self.teacher is None:
            raise self._unpredicted("levels of teachers that are drawn anew for every network")
        return self.teacher[self.spectral_layer]

    @cached_property
    def _fluctuations(self) -> Fluctuations:
        count = sum(math.prod(shape) for shape in self.weight_shapes.values())
        if self.teacher is None or count > MOST:
            raise self._unpredicted(f"fluctuations of {count} weights (at most {MOST}, about a given teacher)")
        x = normal_points(self.widths[0])
        return Fluctuations(jacobians(self.teacher, ACTIVATIONS[self.activation], self._trained, x))

    def fixed_point(self) -> np.ndarray:
        """Squares of the singular values of the teacher's first trained layer, ascending, shape (n,)."""
        return self._frame[0] ** 2

    @cached_property
    def _frame(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Singular values (n,) of that layer, ascending, left (p, n) and right (n, n) vectors; zeros where none are."""
        p, n = self._matrix.shape
        left, values, right = np.linalg.svd(self._matrix)
        rank = min(p, n)
        xi, u = np.zeros(n), np.zeros((p, n))
        xi[n - rank :], u[:, n - rank :] = values[::-1], left[:, :rank][:, ::-1]
        return xi, u, right[::-1].T

    def weight_covariance(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Stationary covariance E[(W - W_t)_ai (W - W_t)_bj] of the first trained layer, shape (p, n, p, n).

        To first order in the fluctuations, for any alpha: `dysonsim.models.neural.fluctuations`. For fresh samples;
        with a fixed data set while its inputs determine the weights.
        """
        alpha, batch = self._rates(learning_rate, batch_size)
        found = self._fluctuations
        noise = self.label_noise**2 * found.curvatures + self.gradient_noise**2
        p, n = self.weight_shape
        return found.covariance(alpha, batch, noise)[: p * n, : p * n].reshape(p, n, p, n)

    def _covariance(self, learning_rate: float, batch_size: int) -> Callable[[int, int, int, int], float]:
        """Cov(F_ij, F_km) of the displacement F in the basis of the teacher's singular vectors."""
        _, u, v = self._frame
        sigma = self.weight_covariance(learning_rate, batch_size)
        turned = np.einsum("ai,bj,abcd,ck,dm->ijkm", u, v, sigma, u, v, optimize=True)
        return lambda i, j, k, m: float(turned[i, j, k, m])

    def singular_value_widths(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Stationary widths of the singular values, shape (n,); first order in the fluctuations over xi.

        In a group that shares a fixed point the `scale` of an ensemble with the variance of the group's symmetric
        part. 0 for levels whose fixed point is 0.
        """
        covariance, xi = self._covariance(learning_rate, batch_size), self._frame[0]
        widths = np.sqrt([covariance(i, i, i, i) for i in range(self.n)])
        for group in level_groups(xi**2):
            pairs = [(i, j) for i in group for j in group]
            square = sum((covariance(i, j, i, j) + covariance(i, j, j, i)) / 2 for i, j in pairs)
            widths[list(group)] = math.sqrt(2 * square / (len(group) * (len(group) + 1)))
        return np.where(xi > 0, widths, 0.0)

    def singular_value_spacings(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Mean spacing of the singular values in every degenerate group, first order in the fluctuations over xi."""
        covariance = self._covariance(learning_rate, batch_size)
        why = "it is that of the gradients at the teacher"
        return np.array([mean_spacing(covariance, group, why, UNEVEN) for group in self.degenerate_groups()])

    def stationary_widths(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """2 xi_i times `singular_value_widths`, shape (n,)."""
        return 2 * self._frame[0] * self.singular_value_widths(learning_rate, batch_size)

    def mean_spacings(self, learning_rate: float, batch_size: int) -> np.ndarray:
        """Mean spacing of x in every degenerate group, 2 xi times `singular_value_spacings`."""
        xi = np.array([self._frame[0][group[0]] for group in self.degenerate_groups()])
        return 2 * xi * self.singular_value_spacings(learning_rate, batch_size)

    def max_learning_rate(self, batch_size: int) -> float:
        """Learning rate below which E|W - W_t|^2 shrinks at every step near the teacher, whatever the direction.

        2 over the largest eigenvalue of H^-1/2 E h_B^2 H^-1/2, h_B the Hessian of a batch and H its mean: the exact
        limit of mean-square stability for one linear layer, and for other networks a little below it. Beyond the limit
        networks whose units saturate (tanh, erf) leave the teacher, and do not diverge.
        """
        return self._fluctuations.max_learning_rate(self.check_batch_size(batch_size))

    def stability(self, learning_rate: float, batch_size: int) -> str:
        """Sentence for error messages."""
        alpha, batch = self._rates(learning_rate, batch_size)
        try:
            limit = self.max_learning_rate(batch)
        except NotImplementedError:
            return super().stability(alpha, batch)
        return (
            f"learning_rate = {alpha:g} is {'above' if alpha >= limit else 'below'} the limit {limit:.4g} below which "
            f"networks near the teacher approach it, at batch_size = {batch}"
        )


def _parts(name: str, given: Any, least: int, most: int = MOST_LAYERS) -> Sequence[Any]:
    """Return what a sequence holds, one entry a layer; TypeError or ValueError if it is none or has another length."""
    want = f"a sequence of {least} {f'to {most} entries' if most > least else 'entries, one a layer'}"
    if isinstance(given, (str, bytes, dict, set)) or not hasattr(given, "__iter__"):
        raise TypeError(f"{name} = {_checks.shown(given)}: must be {want}")
    try:
        parts = list(islice(given, most + 1))
    except TypeError:
        raise TypeError(f"{name} = {_checks.shown(given)}: must be {want}") from None
    if not least <= len(parts) <= most:
        raise ValueError(f"{name} has {'more' if len(parts) > most else len(parts)} entries: must be {want}")
    return parts
