"""Draws of levels with a known law, for the tests of comparisons."""

from __future__ import annotations

import numpy as np


def goe_pairs(replicas: int, rng: np.random.Generator, beta: int = 1) -> np.ndarray:
    """Eigenvalues (replicas, 2) of a 2 x 2 Gaussian matrix; for beta = 1 pooled they follow TwoLevel(0, 1)."""
    a, b = rng.normal(size=(2, replicas))
    off = np.sqrt(rng.chisquare(beta, replicas) / 2)
    radius = np.hypot((a - b) / 2, off)
    return np.stack([(a + b) / 2 - radius, (a + b) / 2 + radius], axis=1)


def single_levels(replicas: int, rng: np.random.Generator) -> np.ndarray:
    """One level of each pair, picked at random: independent values of TwoLevel(0, 1)."""
    return goe_pairs(replicas, rng)[np.arange(replicas), rng.integers(0, 2, replicas)]


def circular_unitary(replicas: int, levels: int, rng: np.random.Generator) -> np.ndarray:
    """Eigenphases of Haar unitary matrices: rigid levels, each exactly uniform on (-pi, pi)."""
    z = rng.normal(size=(2, replicas, levels, levels))
    q, r = np.linalg.qr(z[0] + 1j * z[1])
    phase = np.einsum("rii->ri", r)
    return np.angle(np.linalg.eigvals(q * (phase / np.abs(phase))[:, None, :]))
