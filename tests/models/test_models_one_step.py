"""One step: the references of the tests against each other, and drift and noise of one step from a given W.

Conventions of test_models.py: z-scores, false-alarm rates in comments, a negative control in every statistical test.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference
from reference import LINEAR, trained, worst

from dysonsim.models import GaussianRBM


def test_at_once_sampling_is_the_gibbs_chain():
    # Both are linear in their normals, so feeding unit vectors gives the exact transition matrix and noise covariance
    rng = np.random.default_rng(1)
    w, phi, steps = 0.5 * rng.normal(size=(4, 3)), rng.normal(size=(1, 3)), 3
    still = reference.gibbs_chains(w, phi, np.zeros((steps, 1, 4)), np.zeros((steps, 1, 3)), 2.0, 0.9)
    noise = []
    for unit in np.eye(steps * 7):
        z_hidden, z_visible = unit[: steps * 4].reshape(steps, 1, 4), unit[steps * 4 :].reshape(steps, 1, 3)
        noise.append(reference.gibbs_chains(w, phi, z_hidden, z_visible, 2.0, 0.9) - still)
    covariance = sum(step.T @ step for step in noise)
    at_once = reference.at_once_chains(w, np.repeat(phi, 4, 0), np.vstack([np.zeros(3), np.eye(3)]), 2.0, 0.9, steps)
    np.testing.assert_allclose(at_once[:1], still, rtol=1e-12)
    columns = at_once[1:] - still
    np.testing.assert_allclose(columns.T @ columns, covariance, rtol=1e-12)
    units = np.eye(7)[:, 1:].reshape(7, 2, 3).swapaxes(0, 1)  # nothing, and then every normal of the two noises alone
    two_noises = reference.two_noises_chains(w, np.repeat(phi, 7, 0), units, 2.0, 0.9, steps)
    np.testing.assert_allclose(two_noises[:1], still, rtol=1e-12)
    columns = two_noises[1:] - still
    np.testing.assert_allclose(columns.T @ columns, covariance, rtol=1e-12)
    fresh = reference.fresh_chains(0.5 * w, np.eye(3), 2.0, 0.9)
    np.testing.assert_allclose(np.linalg.inv(fresh.T @ fresh), 4 * np.eye(3) - 0.25 * 0.81 * w.T @ w, rtol=1e-12)


@pytest.mark.parametrize("name", LINEAR)
def test_single_step_references_agree_with_the_vectorized_one(name):
    model, batch = LINEAR[name], 3
    p, n = model.weight_shape
    z = getattr(model, "output_layer", np.eye(p))
    w0 = np.random.default_rng(2).normal(size=(p, n))
    got = reference.train_reference(model, 0.1, batch, 0, 1, 1, np.random.default_rng(3), weights=w0)[0, 0]
    rng = np.random.default_rng(3)
    x, eta, s = (
        rng.normal(size=(batch, n)),
        model.label_noise * rng.normal(size=(batch, len(z))),
        rng.normal(size=(p, n)),
    )
    s = (s + s.T) / math.sqrt(2) if p == n else s
    noise = model.gradient_noise / math.sqrt(batch) * s
    np.testing.assert_allclose(got, reference.linear_update(w0, model.teacher, z, x, eta, noise, 0.1), rtol=1e-12)


def test_rbm_step_agrees_with_the_vectorized_one():
    model = GaussianRBM.scalar_field(3, mass=2.0, mu=3.0, sigma=0.8, gibbs_steps=2, n_hidden=4)
    w0 = np.random.default_rng(2).normal(size=(4, 3))
    got = reference.train_reference(model, 0.1, 5, 0, 1, 1, np.random.default_rng(3), weights=w0)[0, 0]
    rng = np.random.default_rng(3)
    draws = [(rng.normal(size=(5, 4)), rng.normal(size=(5, 3))) for _ in range(2)]
    phi = reference.gibbs_chains(w0, np.ones((5, 3)), *zip(*draws, strict=True), 3.0, 0.8)
    np.testing.assert_allclose(got, reference.rbm_update(w0, phi, model.target, 0.8, 0.1), rtol=1e-12)


# One step from a given W ---------------------------------------------------------


def changes_of_x(model, learning_rate, batch, right, w0, replicas, seed):
    """Samples of delta X in the basis `right`, (replicas, n, n), for one SGD step from w0."""
    w = trained(model, learning_rate, batch, replicas, 1, seed, w0)
    return right.T @ (w.swapaxes(1, 2) @ w - w0.T @ w0) @ right


def check_one_step(model, x, left, right, fast, batch=4, replicas=200_000, seed=5):
    """Drift at the large learning rate `fast`, where alpha^2 counts, and g_ij at a small one, where it does not."""
    w0 = left * np.sqrt(x) @ right.T
    n = model.n
    moves = changes_of_x(model, fast, batch, right, w0, replicas, seed)
    diagonal = moves[:, range(n), range(n)]
    drift = model.drift(x, fast, batch)
    # 3 levels: false alarm 2e-5; a drift 5% off must be caught (statistical errors are about 1%)
    assert worst(diagonal, drift) < 4.5 < worst(diagonal, 1.05 * drift)
    slow = 1e-4
    moves = changes_of_x(model, slow, batch, right, w0, replicas, seed + 1)
    squares = (moves - moves.mean(0)) ** 2 / (1 + np.eye(n))
    g2 = model.noise(x, slow, batch) ** 2
    active = g2 > 0  # levels that are identically 0 do not move at first order among themselves
    assert worst(squares[:, active], g2[active]) < 4.7 < worst(squares[:, active], 1.05 * g2[active])
    return diagonal, squares


def test_rbm_drift_and_noise_of_one_step():
    rng = np.random.default_rng(6)
    a = rng.normal(size=(3, 3))
    model = GaussianRBM(a @ a.T / 3 + 2 * np.eye(3), mu=2.6, sigma=0.8, gibbs_steps=math.inf)
    _, basis = np.linalg.eigh(-model.target)  # ascending x is descending kappa
    left, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    x = np.array([1.0, 3.0, 5.5])
    diagonal, squares = check_one_step(model, x, left, basis, fast=0.4)
    # the alpha^2 part of the drift is seen too
    without = 2 * 0.4 * 0.64 * x * (1 / model.kappa - 1 / (2.6**2 - 0.64 * x))
    assert worst(diagonal, without) > 10
    # a forgotten factor 2 on the diagonal is seen
    assert worst(squares[:, 0, 0], 2 * model.noise(x, 1e-4, 4)[0, 0] ** 2) > 10


@pytest.mark.parametrize("name", LINEAR)
def test_linear_drift_and_noise_of_one_step(name):
    model = LINEAR[name]
    p, n = model.weight_shape
    u, _, vt = np.linalg.svd(model.teacher)
    left = np.hstack([np.zeros((p, max(0, n - p))), u[:, : min(p, n)][:, ::-1]])
    x = (np.sqrt(model.fixed_point()) * (1 + 0.4 * np.arange(1, n + 1))) ** 2
    diagonal, _ = check_one_step(model, x, left, vt[::-1].T, fast=0.3)
    half = model.drift(x, 0.15, 4)
    assert worst(diagonal, 2 * half) > 6  # the alpha^2 part is seen


def test_persistent_chains_multiply_the_summed_noise_by_c():
    model = GaussianRBM.scalar_field(3, mass=1.0, mu=2.2, gibbs_steps=1)
    y = np.array([1.0, 1.5, 3.5])
    steps, replicas = 60, 12_000
    k = 2.2**2 - y
    rng = np.random.default_rng(7)
    w = np.diag(np.sqrt(y))
    phi = rng.normal(size=(replicas, 3)) / np.sqrt(k)
    total = np.zeros((replicas, 3, 3))
    for _ in range(steps):
        phi = reference.gibbs_chains(
            w, phi, rng.normal(size=(1, replicas, 3)), rng.normal(size=(1, replicas, 3)), 2.2, 1.0
        )
        total += phi[:, :, None] * phi[:, None, :]
    squares = (total - total.mean(0)) ** 2 / steps
    # g^2 = alpha^2 (x_i + x_j)^2 c_ij/(|B| k_i k_j), here for W held fixed; the sum is finite, hence the edge term
    r = np.outer(y, y) / 2.2**4
    edge = 2 * r * (1 - r**steps) / (steps * (1 - r**2))
    c = (model.noise(y, 1.0, 1) / (y[:, None] + y)) ** 2 * np.outer(k, k)
    predicted = c * (1 - edge) * (1 + np.eye(3)) / np.outer(k, k)
    upper = np.triu_indices(3)
    z = worst(squares[:, *upper], predicted[upper])
    # 6 entries: false alarm 4e-5; controls: 5% off, and no memory at all
    assert z < 4.5
    assert worst(squares[:, *upper], (predicted / c)[upper]) > 20
    assert worst(squares[:, *upper], 1.08 * predicted[upper]) > 4.5
