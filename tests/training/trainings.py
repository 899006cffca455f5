"""Stand-ins for recordings: trainings whose levels have a known law, recorded as `dysonsim.watch` would."""

from __future__ import annotations

import math
import types

import numpy as np

import dysonsim as ds


class Recorded(dict):
    """Layers by name, with what is the same for all of them."""

    def __init__(self, layers, optimizer=None, sampling="with_replacement"):
        super().__init__(layers)
        self.layers = tuple(layers)
        self.optimizer = {"name": "SGD", "momentum": 0.0} if optimizer is None else optimizer
        self.sampling = sampling


def layer(levels, kicks=None, every=1, first=0, learning_rate=0.1, batch_size=16):
    records = len(levels)
    return types.SimpleNamespace(
        singular_values=levels,
        kicks=kicks,
        steps=first + every * np.arange(records),
        learning_rate=np.broadcast_to(np.asarray(learning_rate, float), records).copy(),
        batch_size=np.broadcast_to(np.asarray(batch_size, float), records).copy(),
        shape=(levels.shape[1], levels.shape[1]),
    )


def recording(levels, kicks=None, optimizer=None, sampling="with_replacement", **more):
    return Recorded({"fc": layer(levels, kicks, **more)}, optimizer, sampling)


def every_step(path, every=1, **more):
    """Of a path (steps + 1, n), with the kicks."""
    levels = path[:-1:every].copy()
    return recording(levels, path[1::every][: len(levels)] - levels, every=every, **more)


def normal_path(rng, steps, n, rate, noise=1.0):
    """Independent Ornstein-Uhlenbeck levels x <- (1 - rate) x + noise z, from their stationary law, (steps + 1, n)."""
    from scipy.signal import lfilter

    kicks = noise * rng.normal(size=(steps + 1, n))
    kicks[0] /= math.sqrt(1 - (1 - rate) ** 2)
    return lfilter([1.0], [1.0, rate - 1.0], kicks, axis=0)


def apart(path, start=1000.0):
    """Levels (steps, n) a hundred widths from each other."""
    return path + start + 100 * np.arange(path.shape[1])


def matrix_path(rng, steps, n, rate, center=10.0):
    """Levels of a GOE matrix W <- W - rate (W - center) + noise; each alone would have the width 1."""
    w = np.zeros((n, n))
    levels = np.empty((steps + 1, n))
    kicks = rng.normal(size=(steps + 1, n, n))
    kicks = (kicks + kicks.transpose(0, 2, 1)) / 2 * math.sqrt(1 - (1 - rate) ** 2)
    w = kicks[0] / math.sqrt(1 - (1 - rate) ** 2)
    states = np.empty_like(kicks)
    for t, kick in enumerate(kicks):
        states[t] = w
        w = (1 - rate) * w + kick
    levels = np.linalg.eigvalsh(states)
    return center + levels


def teacher(target, learning_rate, records, every, seed, batch_size=16, settle=1500):
    """One training of a linear network with isotropic noise in its gradient, by the library's own SGD."""
    model = ds.TeacherStudent(target, gradient_noise=0.1)
    sgd = ds.SGD(model, learning_rate=learning_rate, batch_size=batch_size)
    at = settle + every * np.arange(records)
    steps = np.unique(np.concatenate([at, at + 1]))
    run = ds.simulate(sgd, 1, int(steps[-1]), seed, record_steps=steps, progress=False)
    levels, after = (run.singular_values[0, np.searchsorted(steps, t)] for t in (at, at + 1))
    found = recording(levels, after - levels, every=every, first=settle, learning_rate=learning_rate,
                      batch_size=batch_size)  # fmt: skip
    return found, sgd
