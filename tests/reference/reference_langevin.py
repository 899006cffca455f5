"""Slow, obvious NumPy versions of one step of matrix Langevin dynamics, random numbers as arguments, one network."""

from __future__ import annotations

import math

import numpy as np


def symmetric(normals, n):
    """S with variances 1 off and 2 on the diagonal, from normals that fill its upper triangle by rows."""
    s = np.zeros((n, n))
    s[np.triu_indices(n)] = normals[: n * (n + 1) // 2]
    return s + s.T - np.diag(np.diag(s)) + (math.sqrt(2) - 1) * np.diag(np.diag(s))


def independent_covariance(w, normals, mu, sigma, batch):
    """C = K^-1 + L S L^T / sqrt(B) with K^-1 = L L^T, L upper triangular."""
    n = w.shape[1]
    k = mu**2 * np.eye(n) - sigma**2 * w.T @ w
    factor = np.linalg.inv(np.linalg.cholesky(k)).T
    return np.linalg.inv(k) + factor @ symmetric(normals, n) @ factor.T / math.sqrt(batch)


def correlated_covariance(w, c, normals, mu, sigma, gibbs_steps, batch):
    """C' = M + Q + eta from the C of B persistent chains, and whether Q + 2 M is positive."""
    n = w.shape[1]
    a = sigma**2 * w.T @ w / mu**2
    power = np.linalg.matrix_power(a, gibbs_steps)
    m = power @ c @ power
    q = sum(np.linalg.matrix_power(a, j) for j in range(2 * gibbs_steps)) / mu**2
    positive = np.linalg.eigvalsh(q + 2 * m)[0] > 0
    left, right = np.linalg.cholesky(q), np.linalg.cholesky(q + 2 * m if positive else q)
    eta = left @ normals[: n * n].reshape(n, n) @ right.T / math.sqrt(2 * batch)
    return m + q + eta + eta.T, positive


def gaussian_batch(normals, n, q, batch):
    """C and (1/B) sum_b eta_b x_b^T / sigma_y of a linear network; the normals fill the lower triangle by rows."""
    lower = np.zeros((n, n))
    lower[np.tril_indices(n)] = normals[: n * (n + 1) // 2]
    s = lower + lower.T - np.diag(np.diag(lower)) + (math.sqrt(2) - 1) * np.diag(np.diag(lower))
    labels = normals[n * (n + 1) // 2 : n * (n + 1) // 2 + q * n].reshape(q, n)
    return np.eye(n) + s / math.sqrt(batch), labels / math.sqrt(batch)


def linear_update(w, model, c, labels, noise, learning_rate):
    """W + alpha [Z^T Z (W_t - W) C + sigma_y Z^T H + A]."""
    z = model.layer
    return w + learning_rate * (z.T @ z @ (model.teacher - w) @ c + model.label_noise * z.T @ labels + noise)
