"""Momentum, by hand: a velocity beside the weights, in ten lines.

A 2 x 3 layer learns a teacher from batches of inputs x ~ N(0, 1) with label noise sigma, by heavy-ball momentum m:
V <- m V + gradient, W <- W - alpha V. In the stationary state every weight has the variance
alpha z/[2 (1 - m) + alpha (2 m/(1 + m) - c)], z = sigma^2/B, c = 1 + (n + 1)/B for n inputs: exact, where the rule
"alpha becomes alpha/(1 - m)" says alpha z/[2 (1 - m)]. For any model `ds.SGD(model, ..., momentum=m)` does the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import dysonsim as ds


@dataclass(frozen=True)
class Momentum(ds.Model):
    teacher: np.ndarray
    momentum: float
    label_noise: float

    def memory(self):
        return {"V": np.zeros(self.teacher.shape)}

    def update(self, W, V, noise, learning_rate, batch_size):
        C, N = noise.second_moment(W.shape[1], labels=W.shape[0])
        V = self.momentum * V + (W - self.teacher) @ C - self.label_noise * N
        return W - learning_rate * V, V


def main(replicas: int = 4000) -> dict[str, tuple[float, float]]:
    """Ratio of the measured variance to each prediction, with its error."""
    model = Momentum(np.array([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]]), momentum=0.9, label_noise=0.2)
    alpha, m, batch = 0.05, model.momentum, 4
    run = ds.simulate(ds.SGD(model, alpha, batch), replicas, steps=400, seed=1, keep_weights=True)
    variance, error = ds.mean_and_error(((run.weights[:, -1] - model.teacher) ** 2).mean(axis=(1, 2)))
    z, c = model.label_noise**2 / batch, 1 + (3 + 1) / batch
    predicted = {
        "exact": alpha * z / (2 * (1 - m) + alpha * (2 * m / (1 + m) - c)),
        "alpha/(1 - m)": alpha * z / (2 * (1 - m)),
    }
    ratios = {name: (float(variance / value), float(error / value)) for name, value in predicted.items()}
    for name, (ratio, spread) in ratios.items():
        print(f"variance of the weights over prediction, {name}: {ratio:.3f} ± {spread:.3f}")
    return ratios


if __name__ == "__main__":
    main()
