"""Slow, obvious NumPy versions of one SGD step, and an independent simulator to compare predictions with.

Every step function takes its random numbers as arguments, in float64, for one network; `train_reference` draws its own.
"""

from __future__ import annotations

import math

import numpy as np

from dysonsim.models import GaussianRBM, LinearNetwork, Model, TeacherStudent

# Teachers and output layers without symmetries, all sources of noise.
Z_MIXED = np.array([[1.0, 0.3], [-0.4, 1.5], [0.2, 0.1]])
LINEAR = {
    "one layer": TeacherStudent([[2.0, 0.3], [0.3, 1.0]], gradient_noise=0.3, label_noise=0.4),
    "not symmetric": TeacherStudent([[1.0, 1.4], [-0.8, 0.5]], gradient_noise=0.3, label_noise=0.4),
    "tall": TeacherStudent([[2.0, 0.3], [0.3, 1.0], [0.5, -0.7]], gradient_noise=0.3, label_noise=0.4),
    "wide": LinearNetwork([[2.0, 0.3, 0.1], [0.3, 1.0, -0.6]], Z_MIXED, gradient_noise=0.3, label_noise=0.4),
    "hidden layer": LinearNetwork([[2.0, 0.3], [0.3, 1.0]], Z_MIXED, gradient_noise=0.3, label_noise=0.4),
}


def gibbs_chains(w, phi, z_hidden, z_visible, mu, sigma):
    """k Gibbs steps one by one. w (h, v), phi (B, v), z_hidden (k, B, h), z_visible (k, B, v) -> new phi (B, v)."""
    for zh, zv in zip(z_hidden, z_visible, strict=True):
        hidden = sigma**2 * phi @ w.T + sigma * zh
        phi = hidden @ w / mu**2 + zv / mu
    return phi


def at_once_chains(w, phi, z, mu, sigma, gibbs_steps):
    """The same k steps in one draw: phi' = A^k phi + L z, L L^T = (1 + A + ... + A^(2k-1))/mu^2. z (B, v)."""
    a = sigma**2 * w.T @ w / mu**2
    covariance = sum(np.linalg.matrix_power(a, power) for power in range(2 * gibbs_steps)) / mu**2
    factor = np.linalg.cholesky(covariance)
    return phi @ np.linalg.matrix_power(a, gibbs_steps).T + z @ factor.T


def two_noises_chains(w, phi, z, mu, sigma, gibbs_steps):
    """Again: phi' = A^k phi + q(A) xi + r(A) eta, q + i r = prod_j (x - e^(+-i pi j/k)), xi, eta = L z/mu."""
    a = sigma**2 * w.T @ w / mu**2
    one = np.eye(len(a))
    factor = np.linalg.cholesky(one + a)
    both = one.astype(complex)
    for j in range(1, gibbs_steps):
        both = both @ (a - np.exp((1j if j % 2 else -1j) * np.pi * j / gibbs_steps) * one)
    moved = phi @ np.linalg.matrix_power(a, gibbs_steps).T
    return moved + (z[0] @ factor.T @ both.real.T + z[1] @ factor.T @ both.imag.T) / mu


def fresh_chains(w, z, mu, sigma):
    """Independent samples of p(phi): phi = L^-T z, K = mu^2 - sigma^2 w^T w = L L^T. z (B, v)."""
    k = mu**2 * np.eye(w.shape[1]) - sigma**2 * w.T @ w
    return np.linalg.solve(np.linalg.cholesky(k).T, z.T).T


def rbm_update(w, phi, target, sigma, learning_rate):
    """W + alpha sigma^2 W (target^-1 - C) after the chains have moved to phi (B, v)."""
    c = sum(np.outer(sample, sample) for sample in phi) / len(phi)
    return w + learning_rate * sigma**2 * w @ (np.linalg.inv(target) - c)


def linear_update(w, teacher, output_layer, x, labels, noise, learning_rate):
    """One step of a linear network.

    w, teacher (p, n); output_layer (q, p); x (B, n) inputs; labels (B, q) label noise eta with its size; noise (p, n)
    the gradient noise A with its size (gradient_noise / sqrt(B) times a matrix of `gradient_matrix`).
    """
    gradient = np.zeros_like(w)
    for sample, eta in zip(x, labels, strict=True):
        residual = output_layer @ teacher @ sample + eta - output_layer @ w @ sample
        gradient += np.outer(output_layer.T @ residual, sample) / len(x)
    return w + learning_rate * (gradient + noise)


def gradient_matrix(normals):
    """S from independent normals (p, n): symmetric with variances 1 off and 2 on the diagonal if square, else as is.

    Of a square matrix the entries on and below the diagonal are used.
    """
    p, n = normals.shape
    if p != n:
        return normals.copy()
    lower = np.tril(normals, -1)
    return lower + lower.T + math.sqrt(2) * np.diag(np.diag(normals))


def train_reference(
    model: Model, learning_rate, batch_size, init_scale, replicas, steps, rng, weights=None, record_steps=None
) -> np.ndarray:
    """Train an ensemble with NumPy. Returns weights at `record_steps` (default: the end), (replicas, records, p, n).

    `weights` (p, n) or (replicas, p, n) replaces the random start N(0, init_scale^2).
    """
    shape = (replicas, *model.weight_shape)
    w = init_scale * rng.normal(size=shape) if weights is None else np.broadcast_to(weights, shape).copy()
    step = _rbm_stepper if isinstance(model, GaussianRBM) else _linear_stepper
    advance = step(model, learning_rate, batch_size, replicas, rng)
    wanted = [steps] if record_steps is None else list(record_steps)
    records = []
    for t in range(steps + 1):
        if t in wanted:
            records.append(w.copy())
        if t < steps:
            w = advance(w, t)
    return np.stack(records, axis=1)


def _rbm_stepper(model, learning_rate, batch, replicas, rng):
    v = model.n
    inverse = np.linalg.inv(model.target)
    phi = np.ones((replicas, batch, v))
    rate = learning_rate * model.sigma**2

    def advance(w, t):
        nonlocal phi
        if model.gibbs_steps == math.inf:
            covariance = np.linalg.inv(model.mu**2 * np.eye(v) - model.sigma**2 * w.swapaxes(1, 2) @ w)
            phi = rng.normal(size=phi.shape) @ np.linalg.cholesky(covariance).swapaxes(1, 2)
        else:  # step by step always: an independent check of the exact short cut
            for _ in range(int(model.gibbs_steps)):
                hidden = model.sigma**2 * phi @ w.swapaxes(1, 2) + model.sigma * rng.normal(
                    size=(replicas, batch, w.shape[1])
                )
                phi = hidden @ w / model.mu**2 + rng.normal(size=phi.shape) / model.mu
        return w + rate * w @ (inverse - phi.swapaxes(1, 2) @ phi / batch)

    return advance


def _linear_stepper(model, learning_rate, batch, replicas, rng):
    p, n = model.weight_shape
    z = model.output_layer if isinstance(model, LinearNetwork) else np.eye(p)
    assert isinstance(model, (LinearNetwork, TeacherStudent))

    def draw():
        x = rng.normal(size=(replicas, batch, n))
        eta = model.label_noise * rng.normal(size=(replicas, batch, z.shape[0]))
        s = rng.normal(size=(replicas, p, n))
        if p == n:
            s = (s + s.swapaxes(1, 2)) / math.sqrt(2)
        return x, eta, model.gradient_noise / math.sqrt(batch) * s

    batch = model.check_batch_size(batch)
    batches = None if model.dataset_size is None else [draw() for _ in range(model.dataset_size // batch)]

    def advance(w, t):
        x, eta, noise = draw() if batches is None else batches[t % len(batches)]
        residual = x @ (model.teacher - w).swapaxes(1, 2) @ z.T + eta
        gradient = z.T @ residual.swapaxes(1, 2) @ x / batch
        return w + learning_rate * (gradient + noise)

    return advance


def trained(model, learning_rate, batch, replicas, steps, seed, start):
    """Weights (replicas, p, n) of an ensemble after `steps` from `start`."""
    rng = np.random.default_rng(seed)
    return train_reference(model, learning_rate, batch, 0, replicas, steps, rng, weights=start)[:, 0]


def worst(samples: np.ndarray, predicted: np.ndarray) -> float:
    """Largest |z| of the means over axis 0 against the predictions."""
    error = samples.std(0, ddof=1) / math.sqrt(len(samples))
    return float(np.max(np.abs(samples.mean(0) - predicted) / error))
