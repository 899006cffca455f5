"""How one mode of a quadratic loss moves under an optimizer: exact for any learning rate.

The gradient of mode F with curvature h is g = h F + noise, independent from step to step. With velocity v a step is
(F, v) <- A (F, v) + b noise:

SGD         A = 1 - alpha h,                                       b = -alpha
heavy ball  A = ((1 - alpha h, -alpha m), (h, m)),                 b = (-alpha, 1)
Nesterov    A = ((1 - alpha h (1 + m), -alpha m^2), (h, m)),       b = (-alpha (1 + m), 1)

Adam whose mean squares of gradients stand still at G is the heavy ball with m = beta1 and the learning rate
alpha (1 - beta1)/sqrt(G).
"""

from __future__ import annotations

import math

import numpy as np

from .optimizer import Optimizer

__all__ = ["contraction", "covariance", "largest_rate", "mean_path"]


def one_step(optimizer: Optimizer, curvature: np.ndarray, rate: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Return A (..., 2, 2) and b (..., 2) of modes with curvatures (...) at learning rates (...)."""
    h, alpha = np.broadcast_arrays(np.asarray(curvature, float), np.asarray(rate, float))
    m = optimizer.momentum
    ahead = (1 + m, m**2) if optimizer.nesterov else (1.0, m)
    a, b = np.empty((*h.shape, 2, 2)), np.ones((*h.shape, 2))
    a[..., 0, 0], a[..., 0, 1] = 1 - alpha * h * ahead[0], -alpha * ahead[1]
    a[..., 1, 0], a[..., 1, 1] = h, m
    b[..., 0] = -alpha * ahead[0]
    return a, b


def covariance(
    optimizer: Optimizer,
    curvatures: tuple[np.ndarray, np.ndarray],
    rates: tuple[np.ndarray | float, np.ndarray | float],
) -> np.ndarray:
    """Return the stationary covariance of two modes whose noises have covariance 1, of any shape.

    SGD: alpha/(2 h - alpha h^2) for a mode with itself. Heavy ball: alpha/[h (2 (1 - m) + alpha h (2 m/(1 + m) - 1))].
    """
    (a, b), (c, d) = (one_step(optimizer, h, rate) for h, rate in zip(curvatures, rates, strict=True))
    if optimizer.momentum == 0:
        return np.asarray(b[..., 0] * d[..., 0] / (1 - a[..., 0, 0] * c[..., 0, 0]))
    pair = np.einsum("...ij,...kl->...ikjl", a, c)
    noise = np.einsum("...i,...k->...ik", b, d)
    left = np.eye(4) - pair.reshape(*pair.shape[:-4], 4, 4)
    return np.asarray(np.linalg.solve(left, noise.reshape(*noise.shape[:-2], 4, 1))[..., 0, 0])


def contraction(optimizer: Optimizer, curvature: np.ndarray, rate: float) -> np.ndarray:
    """Return the factor (...) by which a step brings the mean of modes nearer to 0, in the long run."""
    a, _ = one_step(optimizer, curvature, rate)
    if optimizer.momentum == 0:
        return np.abs(a[..., 0, 0])
    return np.asarray(np.abs(np.linalg.eigvals(a)).max(axis=-1))


def mean_path(optimizer: Optimizer, curvature: np.ndarray, rate: float, steps: np.ndarray) -> np.ndarray:
    """Return the mean of modes (k,) after steps (t,), relative to that at step 0, (t, k); velocities are 0 there."""
    a, _ = one_step(optimizer, curvature, rate)
    if optimizer.momentum == 0:
        return np.asarray(a[:, 0, 0] ** np.asarray(steps)[:, None])
    return np.array([np.linalg.matrix_power(a, int(t))[:, 0, 0] for t in steps])


def largest_rate(optimizer: Optimizer, curvature: float, kick: float) -> float:
    """Return the learning rate from which a mode has no stationary variance.

    kick: the variance of the noise of its gradient that is due to the mode itself, over the mode's variance. Without
    it, the mean diverges from 2 (1 + m)/h on, with Nesterov's momentum from 2 (1 + m)/[h (1 + 2 m)]. For the heavy ball
    and kick = h^2 (c - 1) it is 2 (1 - m)/[h (c - 2 m/(1 + m))].
    """
    from scipy import optimize

    if curvature <= 0:
        return math.inf
    m = optimizer.momentum
    limit = 2 * (1 + m) / (curvature * (1 + 2 * m if optimizer.nesterov else 1))
    if kick <= 0:
        return limit
    h = np.array([curvature])

    def excess(share: float) -> float:
        """1 at share 0 of the limit of the mean, 0 where the variance diverges."""
        return 1 - kick * float(covariance(optimizer, (h, h), (share * limit, share * limit))[0])

    return limit * float(optimize.brentq(excess, 1e-12, 1 - 1e-12, xtol=1e-15, rtol=1e-14))
