"""`stationary`: the covariance of the weights of any model around its fixed point, from its update alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _checks
from ...models.traced.sampled import Steps
from ..descent import Descent
from .moments import Linear, solve
from .result import Stationary
from .search import fixed_point

__all__ = ["stationary"]

KICKS, SLOPES = 2**24, 2**22  # networks of the noise at the fixed point, and of the derivatives, times size and batch
MOST_KICKS, FEWEST_KICKS = 2**18, 2**14
MOST_SLOPES, FEWEST_SLOPES = 2**16, 2**12
KEPT = 2**23  # numbers of the derivatives that are kept one by one
MOST = 400  # numbers of the state
SHIFTED = 4096  # networks of the mean shift


def stationary(process: Descent, start: Any = None, *, seed: int = 0) -> Stationary:
    """Predict how weights fluctuate around a fixed point: covariance, mean, widths and spacings of the levels.

    For any model with an update, and the linear networks of dysonsim, under any optimizer, from the update alone. Its
    derivatives are exact; means over its random inputs are by NumPy's random numbers, `seed`.

    Parameters
    ----------
    process : SGD or Adam
        What is trained, and how.
    start : array or dict, optional
        Weights from which the fixed point is searched: (w,) numbers as in `Run.state`, an array of the shape of W, or a
        dict of arrays by the names of the update, or a tuple in its order. Default: those of the first network of a
        run. Where there are several fixed points the start chooses: give the teacher, if there is one.
    seed : int
        Of the random inputs.

    Returns
    -------
    Stationary
        Print it, or take its attributes.

    Raises
    ------
    TypeError
        If it is no `SGD` or `Adam`.
    NotImplementedError
        If the model has no update, nor states one (`Model.written`): RBMs, whose chains remember.
    ValueError
        If no fixed point is found, if it is not stable, or if there is no stationary variance.

    Notes
    -----
    A step takes the deviation z of the weights (with momentum, and of the velocities) to T z + noise with random T.
    Solved is Sigma = E[T Sigma T^T] + Cov(noise), whose T and noise are those at the fixed point; for plain SGD
    Sigma = A Sigma A + (alpha^2/|B|)[D + E(h Sigma h) - H Sigma H] with A = 1 - alpha H, h the Hessian of a sample, H
    its mean and D the covariance of its gradient. Exact for linear networks with one trained layer, at any learning
    rate. For others it is the leading order in Sigma: measured, the mean variance of networks with two layers is right
    within 2% where alpha times the largest curvature is at most .06. The mean is shifted by
    H m = -grad tr(Hess L Sigma)/2.

    Flat directions, whose curvature cannot be told from 0, are projected out and counted. Not valid where fluctuations
    along them are what matters, nor where one well of several is left in the time of a run.

    For Adam the mean squares of the gradients are taken to be constant, at their stationary value.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np, dysonsim as ds
    >>> @dataclass(frozen=True)
    ... class Tanh(ds.Model):
    ...     teacher: np.ndarray
    ...     output: np.ndarray
    ...
    ...     def update(self, W, noise, learning_rate, batch_size):
    ...         x = noise.samples(2)
    ...         h = np.tanh(x @ W.T)
    ...         error = (h - np.tanh(x @ self.teacher.T)) @ self.output.T - 0.05 * noise.label(2)
    ...         return W - learning_rate * ((error @ self.output) * (1 - h**2)).T @ x / batch_size
    >>> model = Tanh(np.array([[1.0, 0.2], [0.0, 1.5]]), np.eye(2))
    >>> result = ds.stationary(ds.SGD(model, learning_rate=0.1, batch_size=4), start=model.teacher)
    >>> print(np.abs(result.fixed_point - model.teacher.ravel()).max().round(6), result.flat_directions)
    0.0 0
    >>> label = 0.1 * 0.05**2 / (2 * 4)  # with label noise alone all weights have this variance, in any network
    >>> print(np.abs(np.diag(result.leading) / label - 1).max() < 0.05)
    True
    """
    if not isinstance(process, Descent):
        raise TypeError(f"process = {_checks.shown(process)}: must be a dysonsim.SGD or Adam")
    seed = _checks.integer("seed", seed, 0)
    steps = Steps(process.model.written(), process.learning_rate, process.batch_size, seed)
    size, weights = steps.layout.size, steps.layout.weights
    if size > MOST:
        raise ValueError(f"{process.model}: its state has {size} numbers, must have at most {MOST} for a covariance")
    optimizer, load = process.optimizer, size * process.batch_size
    networks = int(np.clip(KICKS // load, FEWEST_KICKS, MOST_KICKS)) // 2 * 2
    at = fixed_point(steps, started(process, steps, start), networks, optimizer.weight_decay)
    kicks, single = kicks_at(steps, at, networks)
    linear = linear_at(steps, at, kicks)
    forced, flat = linear.apart(optimizer.weight_decay)
    if not forced.shape[1]:
        raise ValueError(f"{process.model}: no direction of the weights has a restoring force, nothing is stationary")
    covariance, _ = solve(linear, optimizer, forced)
    gradient = kicks[:weights, :weights] / steps.rate**2
    leading = leading_order(linear, forced, gradient, optimizer.weight_decay) / (1 - optimizer.momentum)
    return Stationary(
        process,
        at[:weights],
        covariance[:weights, :weights],
        leading,
        shift(steps, at, linear, covariance, forced, optimizer.weight_decay),
        flat.shape[1],
        float(np.trace(flat.T @ gradient @ flat)),
        float(np.hypot(single, linear.error)),
        at[weights:],
    )


def started(process: Descent, steps: Steps, start: Any) -> np.ndarray:
    """Return the state from which the fixed point is searched."""
    layout = steps.layout
    if start is None:
        with process.building_once("numpy"):
            return np.asarray(process.start(1, 0)[0][: layout.size], float)
    names = [name for name in layout.names if layout.places[name] < layout.weights]
    if isinstance(start, (tuple, list)) and len(names) == len(start) > 1:  # as the update takes them
        start = dict(zip(names, start, strict=True))
    if isinstance(start, dict):
        if sorted(start) != sorted(names):
            raise ValueError(f"start has {', '.join(map(str, start))}: must have {', '.join(names)}")
        for name in names:
            if np.shape(start[name]) != layout.shapes[name]:
                raise ValueError(f"start[{name!r}] has shape {np.shape(start[name])}: must be {layout.shapes[name]}")
        start = np.concatenate([np.ravel(start[name]) for name in sorted(names, key=layout.places.__getitem__)])
    given = _checks.array("start", start).ravel()
    if len(given) not in (layout.weights, layout.size):
        raise ValueError(f"start has {len(given)} numbers: must have {layout.weights}, as many as weights")
    return np.concatenate([given, layout.start[len(given) - layout.weights :]])


def kicks_at(steps: Steps, state: np.ndarray, networks: int) -> tuple[np.ndarray, float]:
    """Covariance of a step from a state, and the relative standard error of its trace."""
    size = len(state)
    moments, mean, count = np.zeros((size, size)), np.zeros(size), 0
    squares: list[np.ndarray] = []
    for values in steps.values(state, networks):
        moved = values - state
        moments += moved.T @ moved
        mean += moved.sum(axis=0)
        squares.append((moved**2).sum(axis=1))
        count += len(values)
    mean /= count
    lengths = np.concatenate(squares)
    error = float(lengths.std() / lengths.mean() / (count / 2) ** 0.5) if lengths.mean() > 0 else 0.0  # pairs
    return moments / count - np.outer(mean, mean), error


def linear_at(steps: Steps, state: np.ndarray, kicks: np.ndarray) -> Linear:
    """Return the mean derivatives of a step, and those of single networks."""
    size = len(state)
    networks = int(np.clip(SLOPES // (size * steps.batch), FEWEST_SLOPES, MOST_SLOPES)) // 2 * 2
    total, kept, count, seen = np.zeros((size, size)), [], 0, 0
    for some in steps.slopes(state, networks):
        total += some.sum(axis=0)
        seen += len(some)
        if count + len(some) <= max(KEPT // size**2, len(some)):
            kept.append(some)
            count += len(some)
    mean = total / seen
    halves = [some[: len(some) // 2] for some in kept] + [some[len(some) // 2 :] for some in kept]
    return Linear(steps.layout.weights, steps.rate, mean, kicks, np.concatenate(halves) - mean, seen)


def leading_order(linear: Linear, forced: np.ndarray, gradient: np.ndarray, decay: float) -> np.ndarray:
    """Solve H S + S H = alpha Cov(gradient)."""
    h = forced.T @ linear.curvature @ forced + decay * np.eye(forced.shape[1])
    values, vectors = np.linalg.eigh((h + h.T) / 2)
    noise = vectors.T @ forced.T @ gradient @ forced @ vectors
    basis = forced @ vectors
    return np.asarray(basis @ (linear.rate * noise / (values[:, None] + values)) @ basis.T)


def shift(
    steps: Steps, state: np.ndarray, linear: Linear, covariance: np.ndarray, forced: np.ndarray, decay: float
) -> np.ndarray:
    """Mean of the weights less the fixed point: what the curvature of the mean step makes of the covariance."""
    weights, size = linear.weights, len(state)
    values, vectors = np.linalg.eigh(covariance)
    here, pull = steps.mean(state, SHIFTED), np.zeros(size)
    for value, vector in zip(values, vectors.T, strict=True):
        if value > 1e-12 * values[-1]:
            aside = value**0.5 * vector
            pull += (steps.mean(state + aside, SHIFTED) + steps.mean(state - aside, SHIFTED)) / 2 - here
    back = np.eye(size) - linear.slopes
    back[:weights, :weights] += steps.rate * decay * np.eye(weights)
    kept = linear.inside(forced)
    moved = kept @ np.linalg.solve(kept.T @ back @ kept, kept.T @ pull)
    return np.asarray(moved[:weights])
