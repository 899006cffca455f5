"""Add a model of your own: weight decay.

A model is one class that says how large its weights are and which kernel moves them. The kernel is written in lane
values (one number for each of several networks, see `dysonsim.backend`) and runs compiled, on all cores and on a GPU.

Here a 2 x 2 layer is pulled to its teacher by the full gradient and to zero by weight decay, under symmetric gradient
noise:  W <- W + alpha [W_t - W - decay W + A].  It is a discrete Ornstein-Uhlenbeck process: the levels of W are those
of a Gaussian matrix around W_t / (1 + decay) with off-diagonal variance alpha^2 eps^2 / B / (1 - q^2),
q = 1 - alpha (1 + decay), so that they follow the two-level law of width sqrt(2) times its root.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

import dysonsim as ds
from dysonsim.kernels import Kernel, rng


def build(lanes):
    """One step for all lanes: state is W, row by row; reals are alpha, decay, eps / sqrt(B) and the teacher."""
    load, store, full, number = lanes.load, lanes.store, lanes.full, lanes.number
    normals = rng.build(lanes).normals
    sqrt2 = number(math.sqrt(2))

    @lanes.jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        alpha, decay, noise = reals[0], reals[1], reals[2]
        normals(scratch, 1, 0, rng.GRADIENT_NOISE, s, replica, key0, key1)  # four normals, of which three are used
        store(scratch, 0, load(scratch, 0) * sqrt2)
        store(scratch, 3, load(scratch, 2) * sqrt2)
        store(scratch, 2, load(scratch, 1))  # now A is symmetric, row by row
        squares = full(number(0))
        for i in range(4):
            w = load(state, i)
            store(state, i, w + (load(scratch, i) * noise + reals[3 + i] - w - w * decay) * alpha)
            squares = squares + w * w
        return squares < number(1e6)  # false once a network has run away

    return step


@dataclass(frozen=True, eq=False, repr=False)
class Decay(ds.Model):
    """Teacher-student with weight decay; `teacher` is 2 x 2."""

    teacher: np.ndarray
    decay: float
    gradient_noise: float

    weight_shape = (2, 2)

    def kernel(self, learning_rate, batch_size):
        constants = [learning_rate, self.decay, self.gradient_noise / math.sqrt(batch_size)]
        reals = np.concatenate([constants, np.ravel(self.teacher)])
        return Kernel(build, sizes={}, reals=reals, integers=np.zeros(1), weights=4, scratch=4)

    def singular_value_widths(self, learning_rate, batch_size):
        """Exact for the symmetric matrix that W becomes."""
        memory = 1 - learning_rate * (1 + self.decay)
        variance = learning_rate**2 * self.gradient_noise**2 / batch_size / (1 - memory**2)
        return np.full(2, math.sqrt(2 * variance))


def main(replicas: int = 20_000) -> ds.Comparison:
    model = Decay(teacher=2 * np.eye(2), decay=0.5, gradient_noise=0.1)
    sgd = ds.SGD(model, learning_rate=0.1, batch_size=16)
    run = ds.simulate(sgd, replicas, steps=300, seed=1)
    law = ds.laws.TwoLevel(loc=2 / 1.5, scale=sgd.singular_value_widths()[0])
    comparison = ds.compare(run, law, observable="singular_values")
    print(comparison)
    return comparison


if __name__ == "__main__":
    main()
