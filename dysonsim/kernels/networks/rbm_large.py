"""One update of one large Gaussian RBM: that of `kernels/networks/rbm.py`, step by step.

Each lane has a sample of the batch. The same equations, constants and random numbers, with a diagonal target. W C, the
widest product, is BLAS's.
"""

from __future__ import annotations

import numpy as np

from ..common import one_network, rng
from .rbm import BATCH, GIBBS_STEPS, INVERSE_BATCH, INVERSE_MU, LIMIT, RATE, SIGMA, TARGET


def scratch(n_visible: int, n_hidden: int, batch: int) -> int:
    """Numbers of working space."""
    n, p = n_visible, n_hidden
    return p * n + one_network.padded(batch) * (n + p) + batch * max(n, p) + one_network.PADDING


def build(lanes, n_visible: int, n_hidden: int):
    """One step."""
    jit, number = lanes.jit, lanes.number
    tools = one_network.build(lanes)
    normals, thin = tools.normals, tools.thin
    width, widest = one_network.WIDTH[number.__name__], one_network.WIDEST
    n, p = n_visible, n_hidden
    size = p * n

    @jit
    def blend(o, weight, z, noise, units, batch, samples):
        """Do o = weight o + noise z, for z of shape (batch, units) and o of shape (units, samples)."""
        for i in range(units):
            for b in range(batch):
                o[i * samples + b] = o[i * samples + b] * weight + z[b * units + i] * noise

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        batch, k = integers[BATCH], integers[GIBBS_STEPS]
        samples = (batch + widest - 1) // widest * widest
        vectors = samples // width
        w, chains = state[:size], state[size:]
        push = scratch[:size]
        visible = scratch[size : size + n * samples]
        hidden = scratch[size + n * samples : size + (n + p) * samples]
        z = scratch[size + (n + p) * samples :]
        sigma, inverse_mu = reals[SIGMA], reals[INVERSE_MU]
        well = np.dot(w, w) * (sigma * inverse_mu) * (sigma * inverse_mu) < reals[LIMIT]
        for i in range(n):
            for b in range(samples):
                visible[i * samples + b] = chains[b * n + i] if b < batch else number(0)
        for g in range(k):
            more = rng.STRIDE * g
            normals(z, batch * p, rng.HIDDEN + more, s, replica, key0, key1)
            thin(hidden, w, p, n, n, 1, visible, vectors)
            blend(hidden, sigma * sigma, z, sigma, p, batch, samples)
            normals(z, batch * n, rng.VISIBLE + more, s, replica, key0, key1)
            thin(visible, w, n, p, 1, n, hidden, vectors)
            blend(visible, inverse_mu * inverse_mu, z, inverse_mu, n, batch, samples)
        thin(hidden, w, p, n, n, 1, visible, vectors)
        rows = visible.reshape((n, samples))
        np.dot(hidden.reshape((p, samples)), rows.T, push.reshape((p, n)))
        rate, share = reals[RATE], number(reals[RATE] * reals[INVERSE_BATCH])
        for i in range(p):
            for j in range(n):
                at = i * n + j
                w[at] += w[at] * (rate * reals[TARGET + j]) - push[at] * share
        for i in range(n):
            for b in range(batch):
                chains[b * n + i] = visible[i * samples + b]
        return well

    return step
