"""Add a model of your own: weight decay.

A model is one class with the update of one network, as one writes it on paper. dysonsim traces it into a kernel, which
runs compiled on all cores and on a GPU.

Here a 2 x 2 layer is pulled to its teacher by the full gradient and to zero by weight decay, under symmetric gradient
noise:  W <- W + alpha [W_t - W - decay W + A].  It is a discrete Ornstein-Uhlenbeck process: the levels of W are those
of a Gaussian matrix around W_t / (1 + decay) with off-diagonal variance alpha^2 eps^2 / B / (1 - q^2),
q = 1 - alpha (1 + decay), so that they follow the two-level law of width sqrt(2) times its root.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import dysonsim as ds


@dataclass(frozen=True)
class Decay(ds.Model):
    """Teacher-student with weight decay."""

    teacher: np.ndarray
    decay: float
    gradient_noise: float

    def update(self, W, noise, learning_rate, batch_size):
        A = noise.symmetric(W.shape) * (self.gradient_noise / batch_size**0.5)
        return W + learning_rate * (self.teacher - W - self.decay * W + A)

    def singular_value_widths(self, learning_rate, batch_size):
        """Exact for the symmetric matrix that W becomes."""
        memory = 1 - learning_rate * (1 + self.decay)
        variance = learning_rate**2 * self.gradient_noise**2 / batch_size / (1 - memory**2)
        return np.full(2, np.sqrt(2 * variance))


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
