"""Deep linear network: the fields, the update and the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ... import _checks
from ...backend import Kernel, one_blas_thread
from ..traced import update as traced
from .theory import DeepTheory

__all__ = ["DeepLinearNetwork"]

STARTS = ("balanced", "small", "normal")


@dataclass(frozen=True, eq=False, repr=False)
class DeepLinearNetwork(DeepTheory):
    """Deep linear network y = W_L ... W_1 x that learns a teacher y = W_t x + eta, loss |y - P x|^2/2, P = W_L ... W_1.

    The update is W_l <- W_l - alpha (A_l^T E B_l^T + gradient noise), A_l and B_l the products of the layers after and
    before, with the error E = (P - W_t) C - (1/|B|) sum_b eta_b x_b^T + product noise and the mean C of x_b x_b^T over
    a batch of standard normal inputs. Spectra are those of the product P; `Run.singular_values_of` has those of layers,
    and `balancedness` what the layers share.

    Parameters
    ----------
    teacher : array, shape (p, n)
        W_t, any finite matrix.
    widths : sequence of int
        Of the hidden layers, inputs first; () for one layer. None below the rank of the teacher.
    label_noise : float
        Standard deviation >= 0 of the noise of each label.
    gradient_noise : float
        Standard deviation >= 0 of independent entries that are added to the gradient of each sample, in every layer.
        Balancedness then diffuses without bound: there is a stationary P, but none of the layers.
    product_noise : float
        Scale >= 0 of a random matrix added to the error of each sample: symmetric if the teacher is square, of variance
        2 product_noise^2 on its diagonal; else of independent entries.
    init : {"balanced", "small", "normal"}
        What `SGD` starts from. "balanced": equal singular values of all layers, whose product is the fixed point (the
        teacher; with weight decay what it becomes). "small": each layer has singular values `init_scale` of the process
        along the teacher's singular vectors (learning curves). "normal": independent entries of that standard
        deviation. The bases of hidden layers are random in the first two, other ones in each replica.
    trained : sequence of bool, optional
        Which layers are trained, inputs first; default: all. The others stay where they start.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Notes
    -----
    Predictions are for balanced layers near the fixed point, "early": while alpha^2 label_noise^2 sqrt(n p)/|B| times
    the steps is small. Label noise then leads the layers slowly to the flattest factors of the teacher. With two layers
    that changes the curvature only if n != p; with more, unless all singular values are equal. Predictions with an
    argument `when` take "late" for that end.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.DeepLinearNetwork(2 * np.eye(2), widths=(3,), label_noise=0.5)
    >>> sgd = ds.SGD(model, learning_rate=0.01, batch_size=16)
    >>> print(sgd.singular_value_spacings().round(4))
    [0.0317]
    >>> run = ds.simulate(sgd, replicas=10, steps=20, seed=1, keep_weights=True)
    >>> run.singular_values.shape, run.singular_values_of(0).shape, run.layers[1].shape
    ((10, 1, 2), (10, 1, 2), (10, 1, 2, 3))
    """

    teacher: np.ndarray
    widths: tuple[int, ...]
    label_noise: float = 0.0
    gradient_noise: float = 0.0
    product_noise: float = 0.0
    init: str = "balanced"
    trained: tuple[bool, ...] | None = None

    spectral_layer = None

    def __post_init__(self) -> None:
        """Check the fields, and that they fit each other."""
        set_to = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        set_to("teacher", _checks.matrix("teacher", self.teacher))
        for name in ("label_noise", "gradient_noise", "product_noise"):
            set_to(name, _checks.scale(name, getattr(self, name), zero=True))
        _checks.choice("init", self.init, STARTS)
        allowed = "the widths of the hidden layers, a tuple of integers >= 1, () for one layer"
        set_to("widths", tuple(_checks.integer("widths", w, 1) for w in _listed("widths", self.widths, allowed)))
        rank = int(np.count_nonzero(self._values))
        if self.widths and min(self.widths) < rank:
            raise ValueError(
                f"widths = {self.widths}: the teacher has rank {rank}, which no hidden layer must be below, or the "
                "network cannot learn it"
            )
        if self.trained is not None:
            given = _checks.shown(self.trained)
            allowed = f"{len(self.widths) + 1} truth values, one for each layer, inputs first, one of them True"
            trained = tuple(_checks.flag("trained", value) for value in _listed("trained", self.trained, allowed))
            if len(trained) != len(self.widths) + 1 or not any(trained):
                raise ValueError(f"trained = {given}: must be {allowed}")
            set_to("trained", trained)

    @property
    def weight_shape(self) -> tuple[int, int]:
        """(p, n), the shape of the product."""
        return self.teacher.shape[0], self.teacher.shape[1]

    @property
    def layer_shapes(self) -> tuple[tuple[int, int], ...]:
        """Shapes of W_1, ..., W_L."""
        units = (self.teacher.shape[1], *self.widths, self.teacher.shape[0])
        return tuple(zip(units[1:], units, strict=False))

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the layers that are trained, "W1", ..."""
        return {f"W{k + 1}": self.layer_shapes[k] for k in np.flatnonzero(self._trained)}

    @property
    def memory(self) -> dict[str, Any]:
        """The others: a step knows them and does not move them."""
        return {f"W{k + 1}": np.zeros(self.layer_shapes[k]) for k in np.flatnonzero(~self._trained)}

    @property
    def _order(self) -> list[int]:
        """Layers in the order of the state: those that are trained first."""
        return [*np.flatnonzero(self._trained), *np.flatnonzero(~self._trained)]

    def layers(self, state: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the weight matrices W_1, ..., W_L of states, each (networks, rows, columns)."""
        cut = traced.layout_of(self).cut(state)
        return tuple(cut[f"W{k + 1}"] for k in range(len(self._trained)))

    def update(self, *state: Any, noise: Any, learning_rate: float, batch_size: int) -> tuple[Any, ...]:
        """Return all layers after one step, those that are trained first."""
        layers = [state[self._order.index(k)] for k in range(len(state))]
        below = [layers[0]]  # W_l ... W_1
        for weights in layers[1:]:
            below.append(weights @ below[-1])
        behind = self.error(below[-1] - self.teacher, noise, batch_size)
        new = layers.copy()
        for k in reversed(range(len(layers))):
            if self._trained[k]:
                gradient = behind if k == 0 else behind @ below[k - 1].T
                if self.gradient_noise > 0:
                    gradient = gradient + noise.normal(layers[k].shape) * (self.gradient_noise / batch_size**0.5)
                new[k] = layers[k] - learning_rate * gradient
            if k > 0:
                behind = layers[k].T @ behind
        return tuple(new[k] for k in self._order)

    def error(self, distance: Any, noise: Any, batch_size: int) -> Any:
        """Return the mean of the error times x^T over a batch, with the noise of the product."""
        out, shape = self.seen(distance, noise, batch_size), self.weight_shape
        if self.product_noise > 0:
            push = noise.symmetric(shape) if shape[0] == shape[1] else noise.normal(shape)
            out = out + push * (self.product_noise / batch_size**0.5)
        return out

    def seen(self, distance: Any, noise: Any, batch_size: int) -> Any:
        """Return what a batch shows of the distance to the teacher, (P - W_t) C, and of the noise of labels."""
        p, n = self.weight_shape
        if self.label_noise == 0:
            return distance @ noise.second_moment(n)
        moment, labels = noise.second_moment(n, labels=p)
        return distance @ moment - labels * self.label_noise

    @one_blas_thread()
    def initial_state(self, normals: Callable[[int], np.ndarray], process: Any) -> np.ndarray | None:
        """Return balanced layers in random bases of the hidden units; None for independent normals."""
        if self.init == "normal":
            total = sum(rows * columns for rows, columns in self.layer_shapes)
            return None if self._trained.all() else normals(total) * process.init_scale
        decay = getattr(process, "weight_decay", 0.0)
        sizes = np.full(self._values.size, process.init_scale) if self.init == "small" else None
        layers = self._start(decay) if sizes is None else np.tile(sizes, (len(self.widths) + 1, 1))
        count = min(layers.shape[1], *self.widths) if self.widths else layers.shape[1]
        left, _, right = np.linalg.svd(self.teacher)
        drawn = normals(max(1, count * sum(self.widths)))
        bases, at = [np.broadcast_to(right[:count].T, (len(drawn), right.shape[1], count))], 0
        for width in self.widths:
            q, r = np.linalg.qr(drawn[:, at : at + width * count].reshape(-1, width, count))
            bases.append(q * np.sign(np.einsum("rii->ri", r))[:, None, :])
            at += width * count
        bases.append(np.broadcast_to(left[:, :count], (len(drawn), left.shape[0], count)))
        made = [(b * values[:count]) @ a.swapaxes(1, 2) for a, b, values in zip(bases, bases[1:], layers, strict=False)]
        return np.concatenate([made[k].reshape(len(drawn), -1) for k in self._order], axis=1)

    def langevin_kernel(self, learning_rate: float, batch_size: int, correlated: bool | None = None) -> Kernel:
        """Return the kernel of the same update with Gaussian batches."""
        if correlated is not None and _checks.flag("correlated", correlated):
            raise ValueError("correlated = True: must be False, successive batches of a linear network are independent")
        twin = GaussianBatches(**{field.name: getattr(self, field.name) for field in fields(self)})
        return traced.kernel_of(twin, *self._rates(learning_rate, batch_size))


def _listed(name: str, value: Any, allowed: str) -> list[Any]:
    """Return the entries of a tuple, list or array of one axis; TypeError for what may have no end."""
    if not isinstance(value, (tuple, list, range, np.ndarray)):
        raise TypeError(f"{name} = {_checks.shown(value)}: must be {allowed}")
    if np.ndim(_checks.array(name, value, allowed, empty=True) if name == "widths" else value) != 1:
        raise ValueError(f"{name} = {_checks.shown(value)}: must be {allowed}")
    return list(value)


@dataclass(frozen=True, eq=False, repr=False)
class GaussianBatches(DeepLinearNetwork):
    """The same network with Gaussian matrices for C and the labels' mean, of the same means and covariances."""

    def seen(self, distance: Any, noise: Any, batch_size: int) -> Any:
        """Return the same with those."""
        p, n = self.weight_shape
        out = distance + distance @ noise.symmetric(n) * (1 / batch_size**0.5)
        return out - noise.normal((p, n)) * (self.label_noise / batch_size**0.5) if self.label_noise > 0 else out
