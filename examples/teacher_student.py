"""Linear scaling rule: the mean spacing of a teacher-student network against the learning rate over the batch size."""

from __future__ import annotations

import math

import numpy as np

import dysonsim as ds


def main(replicas: int = 4000) -> ds.ScalingFit:
    noise = 0.1
    model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=noise)
    x, y, error, ratio = [], [], [], []
    points = [(0.02, 64), (0.02, 16), (0.05, 16), (0.1, 16), (0.1, 8), (0.1, 4)]
    for seed, (learning_rate, batch_size) in enumerate(points):  # one seed each: runs of one seed share their noise
        sgd = ds.SGD(model, learning_rate, batch_size)
        run = ds.simulate(sgd, replicas, steps=int(10 / learning_rate), seed=seed)
        spacing, uncertainty = ds.mean_and_error(run.spacings((0, 1), observable="singular_values")[:, 0])
        x.append(math.sqrt(learning_rate * noise**2 / batch_size))
        y.append(float(spacing))
        error.append(float(uncertainty))
        ratio.append(learning_rate / batch_size)
    fit = ds.scaling_fit(x, y, error, trend=ratio, prediction=math.sqrt(math.pi))
    print(fit)
    return fit


if __name__ == "__main__":
    main()
