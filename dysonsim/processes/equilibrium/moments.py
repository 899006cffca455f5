"""Covariance of the state around a fixed point, from the mean and the fluctuations of the derivatives of a step.

A step takes z, the deviation of the state, to T z + noise, where T = J, the derivatives of a plain step, or with an
optimizer that remembers velocities what J and it make of (z, v). Then Sigma = E[T Sigma T^T] + Cov noise, exact in
alpha for steps that are linear in z, and otherwise to leading order in Sigma.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models.optimizers.optimizer import Optimizer

__all__ = ["Linear", "embedded", "solve"]

ROUNDS, CLOSE = 300, 1e-9
GROWN = 1e4  # times the variance without noise of the deviations themselves: it grows without bound
UNRESOLVED = 4.0  # standard errors within which a curvature may be 0


@dataclass(frozen=True)
class Linear:
    """The step of plain SGD near a fixed point, of a state whose first `weights` numbers are weights.

    slopes : (size, size), the mean derivatives; kicks : (size, size), the covariance of the step at the fixed point
    spread : (networks, size, size), derivatives of single steps less their mean
    networks : of the mean, in pairs
    """

    weights: int
    rate: float
    slopes: np.ndarray
    kicks: np.ndarray
    spread: np.ndarray
    networks: int

    @property
    def error(self) -> float:
        """Relative standard error of the mean curvature."""
        w = self.weights
        single = np.einsum("kii->k", self.spread[:, :w, :w]) / self.rate
        total = float(np.trace(self.curvature))
        return float(single.std() / (self.networks / 2) ** 0.5 / total) if total > 0 else 0.0

    @property
    def curvature(self) -> np.ndarray:
        """(weights, weights): mean Hessian of the loss, for steps along a gradient."""
        w = self.weights
        return np.asarray((np.eye(w) - self.slopes[:w, :w]) / self.rate)

    def scattered(self, covariance: np.ndarray) -> np.ndarray:
        """Noise of a step that is due to the deviation itself, whose covariance this is."""
        return np.asarray(np.einsum("kij,klj->il", self.spread @ covariance, self.spread) / len(self.spread))

    def inside(self, forced: np.ndarray) -> np.ndarray:
        """Directions of the state that fluctuate, as columns: `forced` ones of the weights, and memory that changes."""
        w, size = self.weights, len(self.slopes)
        still = (self.slopes[w:] == np.eye(size)[w:]).all(axis=1) & (np.diag(self.kicks)[w:] == 0)
        out = np.zeros((size, forced.shape[1] + size - w))
        out[:w, : forced.shape[1]] = forced
        out[w:, forced.shape[1] :] = np.eye(size - w)
        return np.delete(out, forced.shape[1] + np.flatnonzero(still), axis=1)

    def apart(self, decay: float) -> tuple[np.ndarray, np.ndarray]:
        """Orthonormal directions of the weights with and without a force, as columns.

        Without: those whose mean curvature cannot be told from 0.
        """
        h = self.curvature + decay * np.eye(self.weights)
        values, vectors = np.linalg.eigh((h + h.T) / 2)
        w, half = self.weights, len(self.spread) // 2
        pairs = (self.spread[:half, :w, :w] + self.spread[half : 2 * half, :w, :w]) / 2
        single = np.einsum("kij,ia,ja->ka", pairs, vectors, vectors, optimize=True) / self.rate
        error = single.std(axis=0) / max(half, 1) ** 0.5
        forced = (np.abs(values) > UNRESOLVED * error) & (np.abs(values) > 1e-9 * np.abs(values).max())
        return vectors[:, forced], vectors[:, ~forced]


def embedded(linear: Linear, optimizer: Optimizer, rates: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return T, and the matrix by which changes of a plain step enter it; rates: of Adam, for every weight."""
    w, size, alpha, j = linear.weights, len(linear.slopes), linear.rate, linear.slopes
    decay, m = optimizer.weight_decay, optimizer.momentum
    if optimizer.momentum == 0 and not optimizer.adam:
        t = j.copy()
        t[:w, :w] -= alpha * decay * np.eye(w)
        return t, np.eye(size)
    rate = np.full(w, alpha) if rates is None else rates
    ahead = (1 + m, m * m) if optimizer.nesterov else (1.0, m)
    one = np.eye(w, size)
    gradient = (one - j[:w]) / alpha + decay * one
    t, into = np.zeros((size + w, size + w)), np.zeros((size + w, size))
    t[:w, :size] = one - ahead[0] * rate[:, None] * gradient
    t[:w, size:] = -ahead[1] * np.diag(rate)
    t[w:size, :size] = j[w:]
    t[size:, :size], t[size:, size:] = gradient, m * np.eye(w)
    into[:w, :w] = np.diag(ahead[0] * rate / alpha)
    into[w:size, w:] = np.eye(size - w)
    into[size:, :w] = -np.eye(w) / alpha
    return t, into


def solve(linear: Linear, optimizer: Optimizer, forced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the covariance of the plain state (size, size), within the directions `forced`, and T there.

    ValueError if there is none.
    """
    from scipy.linalg import block_diag, solve_discrete_lyapunov

    size = len(linear.slopes)
    inside = linear.inside(forced)
    covariance, rates, first = np.zeros((size, size)), None, 0.0
    for _ in range(ROUNDS):
        noise = linear.kicks + linear.scattered(covariance)
        if optimizer.adam:
            rates = adam_rates(linear, optimizer, noise, covariance)
        t, into = embedded(linear, optimizer, rates)
        kept = block_diag(inside, forced) if len(t) > size else inside
        t, enters = kept.T @ t @ kept, kept.T @ into
        grows = float(np.abs(np.linalg.eigvals(t)).max(initial=0.0))
        if not grows < 1:
            raise ValueError(
                f"learning_rate = {linear.rate:g}: the fixed point is not stable, a step multiplies deviations by up "
                f"to {grows:.6g}: too large a learning rate, or a saddle point"
            )
        whole = solve_discrete_lyapunov(t, enters @ noise @ enters.T)
        part = inside @ whole[: inside.shape[1], : inside.shape[1]] @ inside.T
        change, covariance = float(np.abs(part - covariance).max()), (part + part.T) / 2
        first = first or float(np.trace(covariance))
        if not np.trace(covariance) <= GROWN * first:
            break
        if change <= CLOSE * np.abs(covariance).max():
            return covariance, t
    raise ValueError(
        f"learning_rate = {linear.rate:g}: the noise of batches grows with the deviations so fast that there is no "
        "stationary variance"
    )


def adam_rates(linear: Linear, optimizer: Optimizer, noise: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Rates of all weights: alpha (1 - beta1) over the root of the mean square of the gradient."""
    w, alpha = linear.weights, linear.rate
    gradient = (np.eye(w, len(covariance)) - linear.slopes[:w]) / alpha
    gradient[:, :w] += optimizer.weight_decay * np.eye(w)
    squares = np.diag(noise)[:w] / alpha**2 + np.einsum("ij,jk,ik->i", gradient, covariance, gradient)
    return np.asarray(alpha * (1 - optimizer.momentum) / (np.sqrt(squares) + optimizer.epsilon))
