"""`gradient_noise`: noise and effective Dyson index of a layer from mini-batch gradients at fixed weights."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import shown
from .._extras import needs
from .._text import aligned, plain, with_error
from ..ensembles.simulate import DivergenceError

__all__ = ["GradientNoise", "gradient_noise"]

FEWEST_BATCHES = 8
_SHOWN = 40  # levels in print
PAIRS = "pairs (inputs, targets), or anything that loss(model, batch) takes"


@dataclass(frozen=True, eq=False, repr=False)
class GradientNoise:
    """Result of `gradient_noise`, for a learning rate of 1.

    Attributes
    ----------
    layer : str
    singular_values : (n,)
        Ascending.
    g_ii, g_ii_error : (n,)
        Noise of level i: its kicks have the variance 2 (alpha g_ii)^2. Standard errors are from the batches.
    g_ij : (n, n)
        Strength of the repulsion of levels i and j, symmetric; g_ii on the diagonal.
    beta_ij : (n, n)
        Effective index g_ij^2/[(g_ii^2 + g_jj^2)/2] of each pair; NaN on the diagonal.
    batches : int

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> identity = np.eye(2)
    >>> noise = ds.GradientNoise("fc", np.array([1.0, 2.0]), np.ones(2), np.zeros(2), np.ones((2, 2)),
    ...                          np.where(identity, np.nan, 1.0), 100)
    >>> noise.neighbors
    array([1.])
    """

    layer: str
    singular_values: np.ndarray
    g_ii: np.ndarray
    g_ii_error: np.ndarray
    g_ij: np.ndarray
    beta_ij: np.ndarray
    batches: int

    @property
    def neighbors(self) -> np.ndarray:
        """beta_ij of neighbors, (n - 1,)."""
        return np.diagonal(self.beta_ij, 1).copy()

    def __iter__(self) -> Iterator[np.ndarray]:
        """g_ii, g_ij, beta_ij: for unpacking."""
        return iter((self.g_ii, self.g_ij, self.beta_ij))

    def __repr__(self) -> str:
        return f"<GradientNoise of {self.layer!r}: {len(self.g_ii)} levels, {self.batches} batches>"

    def __str__(self) -> str:
        rows = [["level", "singular value", "g_ii", "beta with the next"]]
        following = [f"{b:.2f}" for b in self.neighbors] + [""]
        for i in range(len(self.g_ii))[:_SHOWN]:
            g = with_error(float(self.g_ii[i]), float(self.g_ii_error[i]))
            rows.append([str(i), f"{self.singular_values[i]:.5g}", g, following[i]])
        more = [f"  and {len(self.g_ii) - _SHOWN} more levels"] if len(self.g_ii) > _SHOWN else []
        head = f"gradient noise of {self.layer!r}, {self.batches} batches, for a learning rate of 1"
        return "\n".join([head, aligned(rows), *more])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return plain(dict(vars(self)))

    def plot(self, ax: Any = None) -> Any:
        """Draw beta_ij of all pairs against the distance of their levels on `ax`; returns the axes."""
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        i, j = np.triu_indices(len(self.g_ii), 1)
        gaps = self.singular_values[j] - self.singular_values[i]
        ax.plot(gaps, self.beta_ij[i, j], ".", markersize=3, color="gray", label="all pairs")
        ax.plot(np.diff(self.singular_values), self.neighbors, "o", markersize=4, color="C1", label="neighbors")
        ax.axhline(1, color="black", linewidth=0.6, linestyle="--")
        ax.set(xlabel="gap", ylabel=r"$\beta_{ij}$", title=self.layer)
        ax.legend(fontsize="small")
        return ax


def gradient_noise(model: Any, loss: Callable[..., Any], batches: Iterable[Any], layer: str) -> GradientNoise:
    """Compute the noise g_ii and the repulsion g_ij of a layer's levels from the gradients of mini-batches.

    Nothing is trained: the weights stay as they are, and so do gradients, buffers and the state of the random numbers.

    Parameters
    ----------
    model : torch.nn.Module
    loss : callable
        ``loss(model(inputs), targets)`` for batches (inputs, targets), such as ``torch.nn.CrossEntropyLoss()``; or
        ``loss(model, batch)``, where its first argument is called `model`. Returns a number: the mean over the batch.
    batches : iterable
        8 mini-batches or more, of the size and drawn in the way that training uses: a DataLoader, a list. Errors of
        g_ii are about g_ii/sqrt(2 batches).
    layer : str
        Name of a module with a weight, or of a parameter, of two dimensions or more (the first against all others).

    Returns
    -------
    GradientNoise
        Also unpacks: ``g_ii, g_ij, beta_ij = ds.gradient_noise(...)``.

    Raises
    ------
    TypeError, ValueError
        For what is no module, a layer that it does not have, batches or losses that do not fit, fewer than 8 batches.
    DivergenceError
        A gradient that is not finite; `step` is the number of the batch.
    ImportError
        Without torch.

    Notes
    -----
    With W = U S V^T and the gradient G of a batch, M = U^T G V. A step W - alpha G moves the singular value i by
    -alpha M_ii at first order, and by alpha^2 [(M_ij + M_ji)/2]^2/(s_i - s_j) for each other level at second order
    (that of (M_ij - M_ji)/2 has the denominator s_i + s_j, and no part in collisions). In the conventions of the
    library, dx_i = [K_i + sum_j g_ij^2/(x_i - x_j)] dt + sqrt(2) g_ii dB_i in units of steps,

        g_ii^2 = Var(M_ii)/2,  g_ij^2 = Var((M_ij + M_ji)/2),  beta_ij = 2 g_ij^2/(g_ii^2 + g_jj^2),

    times alpha^2. Noise that is the same in all directions has beta = 1. g^2 falls as 1/batch size. Weight decay is no
    noise and adds nothing.

    Not valid for momentum, whose kicks are correlated (one kick has the variance of g/sqrt(1 - m^2)), nor for Adam.
    Batches of a finite data set without replacement have slightly less variance, by the share that a batch is of it.

    Examples
    --------
    >>> import torch, dysonsim as ds
    >>> generator = torch.Generator().manual_seed(1)
    >>> model = torch.nn.Linear(4, 3)
    >>> draw = lambda *shape: torch.randn(*shape, generator=generator)
    >>> noise = ds.gradient_noise(model, torch.nn.MSELoss(), [(draw(16, 4), draw(16, 3)) for _ in range(50)], "weight")
    >>> noise.g_ij.shape
    (3, 3)
    """
    torch = needs("torch", "torch", "gradient_noise")
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model = {shown(model)}: must be a torch.nn.Module")
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(f"loss = {shown(loss)}: must be a function, loss(output, targets) or loss(model, batch)")
    parameter = _parameter(model, layer)
    weights = parameter.detach().reshape(len(parameter), -1).double().cpu().numpy()
    if not np.isfinite(weights).all():
        raise DivergenceError(f"layer {layer!r} has weights that are not finite", layer=layer)
    u, s, vt = np.linalg.svd(weights, full_matrices=False)
    u, s, vt = u[:, ::-1], s[::-1].copy(), vt[::-1]
    moments = _Moments(len(s))
    of_model = _takes_model(loss)
    with _unchanged(torch, model):
        for number, batch in enumerate(_iterated(batches)):
            gradient = _gradient(torch, model, loss, of_model, batch, parameter, number)
            if not np.isfinite(gradient).all():
                raise DivergenceError(
                    f"layer {layer!r} has a gradient that is not finite in batch {number}", step=number, layer=layer
                )
            moments.add(u.T @ gradient.reshape(weights.shape) @ vt.T)
    if moments.count < FEWEST_BATCHES:
        raise ValueError(f"batches: there are {moments.count}, must be {FEWEST_BATCHES} or more")
    return moments.result(layer, s)


class _Moments:
    """Sums over batches of M: about the first, so that no digits are lost where the mean is large."""

    def __init__(self, n: int) -> None:
        self.count = 0
        self.first = np.zeros((n, n))
        self.sum, self.squares = np.zeros((n, n)), np.zeros((n, n))
        self.diagonals: list[np.ndarray] = []

    def add(self, m: np.ndarray) -> None:
        symmetric = (m + m.T) / 2
        if not self.count:
            self.first = symmetric
        away = symmetric - self.first
        self.count += 1
        self.sum += away
        self.squares += away**2
        self.diagonals.append(np.diagonal(away).copy())

    def result(self, layer: str, levels: np.ndarray) -> GradientNoise:
        mean = self.sum / self.count
        variance = np.maximum(self.squares / self.count - mean**2, 0.0) * self.count / (self.count - 1)
        square = np.diagonal(variance) / 2
        g = np.sqrt(square)
        about = (np.array(self.diagonals) - np.diagonal(mean)) ** 2
        error = about.std(axis=0, ddof=1) / np.sqrt(self.count) / (4 * np.maximum(g, np.finfo(float).tiny))
        with np.errstate(divide="ignore", invalid="ignore"):
            beta = 2 * variance / (square[:, None] + square)
        np.fill_diagonal(beta, np.nan)
        pairs = np.sqrt(variance)
        np.fill_diagonal(pairs, g)
        return GradientNoise(layer, levels, g, error, pairs, beta, self.count)


def _parameter(model: Any, layer: Any) -> Any:
    known = {name: p for name, p in model.named_parameters() if p.ndim >= 2}
    names = [name.removesuffix(".weight") for name in known]
    if not isinstance(layer, str):
        raise TypeError(f"layer = {shown(layer)}: must be the name of a layer, one of {', '.join(names)}")
    found = known.get(layer, known.get(f"{layer}.weight"))
    if found is None:
        raise ValueError(f"layer = {layer!r}: must be one of {', '.join(names)}")
    if not found.requires_grad or found.is_complex():
        raise ValueError(f"layer = {layer!r}: must have real weights that are trained (requires_grad)")
    return found


def _takes_model(loss: Any) -> bool:
    """Whether it is loss(model, batch): its first argument is called so."""
    try:
        names = list(inspect.signature(loss).parameters)
    except (TypeError, ValueError):
        return False
    return len(names) >= 2 and names[0] == "model"


def _iterated(batches: Any) -> Iterator[Any]:
    if isinstance(batches, str | bytes | dict):
        raise TypeError(f"batches = {shown(batches)}: must be an iterable of {PAIRS}")
    try:
        return iter(batches)
    except TypeError:
        raise TypeError(f"batches = {shown(batches)}: must be an iterable of {PAIRS}") from None


def _gradient(torch: Any, model: Any, loss: Any, of_model: bool, batch: Any, parameter: Any, number: int) -> np.ndarray:
    if not of_model and not (isinstance(batch, list | tuple) and len(batch) == 2):
        raise TypeError(f"batches: number {number} is {shown(batch)}: must be {PAIRS}")
    with torch.enable_grad():
        value = loss(model, batch) if of_model else loss(model(batch[0]), batch[1])
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            raise TypeError(f"loss gives {shown(value)} for batches[{number}]: must be a tensor with one number")
        if not value.requires_grad:
            raise ValueError(f"loss of batches[{number}] does not depend on the weights: must have a gradient")
        (gradient,) = torch.autograd.grad(value.sum(), parameter, allow_unused=True)
    if gradient is None:
        raise ValueError(f"loss of batches[{number}] does not depend on this layer: must have a gradient")
    return np.asarray(gradient.detach().double().cpu().numpy())


@contextlib.contextmanager
def _unchanged(torch: Any, model: Any) -> Iterator[None]:
    """Buffers, such as running means, and the random numbers of dropout are put back."""
    buffers = {name: buffer.detach().clone() for name, buffer in model.named_buffers()}
    random = torch.random.get_rng_state()
    try:
        yield
    finally:
        torch.random.set_rng_state(random)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                if name in buffers:
                    buffer.copy_(buffers[name])
