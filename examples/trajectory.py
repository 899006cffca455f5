"""Read the training of a teacher-student network backwards: drift, noise and repulsion from its recorded levels."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import dysonsim as ds


def main(replicas: int = 2000, path: str = "trajectory.png") -> ds.Dynamics:
    model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    sgd = ds.SGD(model, learning_rate=0.05, batch_size=16)
    run = ds.simulate(sgd, replicas, steps=300, seed=1, record_steps=range(100, 301))  # every step, once it is there
    dynamics = ds.estimate_dynamics(run, observable="singular_values")
    print(dynamics)
    rate, noise = dynamics.per_step()
    x = sgd.fixed_point()
    kick = sgd.noise(x)[0, 0] / (2 * np.sqrt(x[0]))  # of a singular value, the root of x
    print(f"one step of SGD: rate {rate} (theory {sgd.relaxation_rates()[0]:g}), g {noise} (theory {kick:g})")
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for ax, what in zip(axes, ("drift", "noise", "repulsion"), strict=True):
        dynamics.plot(ax, what)
    figure.savefig(path)
    return dynamics


if __name__ == "__main__":
    main()
