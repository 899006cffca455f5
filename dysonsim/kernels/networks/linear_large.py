"""One update of one large linear network: that of `linear.py`, sample by sample, with BLAS for its products."""

from __future__ import annotations

import math

import numpy as np

from ..common import one_network, rng
from .linear import BATCH, GRADIENT_NOISE, INVERSE_BATCH, LABEL_NOISE, LIMIT, PERIOD, RATE, TEACHER, noise_blocks


def scratch(inputs: int, width: int, outputs: int, batch: int) -> int:
    """Numbers of working space."""
    n, p, q = inputs, width, outputs
    normals = max(4 * noise_blocks(n, p), batch * q)
    return 2 * p * n + batch * (n + 2 * p) + one_network.PADDING + normals + one_network.PADDING


def build(lanes, inputs: int, width: int, outputs: int, identity: bool, gradient_noise: bool, label_noise: bool):
    """One step."""
    jit, number = lanes.jit, lanes.number
    normals = one_network.build(lanes).normals
    n, p, q = inputs, width, outputs
    size = p * n
    GRAM = TEACHER + size
    Z_TRANSPOSED = GRAM + p * p
    kicks = 4 * noise_blocks(n, p)
    sqrt2 = number(math.sqrt(2))

    @jit
    def add_gradient_noise(w, a, scale):
        """Do w += scale S; the normals fill S by rows, from the diagonal on if S is symmetric."""
        d = 0
        for i in range(p):
            if n == p:
                w[i, i] += a[d] * (scale * sqrt2)
                for j in range(i + 1, n):
                    kick = a[d + j - i] * scale
                    w[i, j] += kick
                    w[j, i] += kick
                d += n - i
            else:
                for j in range(n):
                    w[i, j] += a[d + j] * scale
                d += n

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        batch, period = integers[BATCH], integers[PERIOD]
        t = s % period if period > 0 else s
        rate = reals[RATE]
        w = state.reshape((p, n))
        error, change = scratch[:size], scratch[size : 2 * size]
        at = 2 * size
        x = scratch[at : at + batch * n + one_network.PADDING]
        inputs_ = x[: batch * n].reshape((batch, n))
        at += batch * n + one_network.PADDING
        wrong = scratch[at : at + batch * p].reshape((batch, p))  # (W_t - W) x_b
        pulled = scratch[at + batch * p : at + 2 * batch * p].reshape((batch, p))
        a = scratch[at + 2 * batch * p :]
        normals(x, batch * n, rng.DATA, t, replica, key0, key1)
        squares = np.dot(state, state)
        for i in range(size):
            error[i] = reals[TEACHER + i] - state[i]
        np.dot(inputs_, error.reshape((p, n)).T, wrong)
        pull = wrong
        if not identity:
            np.dot(wrong, reals[GRAM : GRAM + p * p].reshape((p, p)), pulled)
            pull = pulled
        if label_noise:
            normals(a, batch * q, rng.LABEL_NOISE, t, replica, key0, key1)
            labels = wrong if not identity else pulled
            transposed = reals[Z_TRANSPOSED : Z_TRANSPOSED + p * q].reshape((p, q))
            np.dot(a[: batch * q].reshape((batch, q)), transposed.T, labels)
            for b in range(batch):
                for i in range(p):
                    pull[b, i] += labels[b, i] * reals[LABEL_NOISE]
        np.dot(pull.T, inputs_, change.reshape((p, n)))
        share = number(rate * reals[INVERSE_BATCH])
        for i in range(size):
            state[i] += change[i] * share
        if gradient_noise:
            normals(a, kicks, rng.GRADIENT_NOISE, t, replica, key0, key1)
            add_gradient_noise(w, a, number(rate * reals[GRADIENT_NOISE]))
        return squares < reals[LIMIT]

    return step
