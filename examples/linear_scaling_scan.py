"""The linear scaling rule of the RBM and of teacher-student learning, each from one scan: a figure of both.

Mean spacings of a pair of levels go as sqrt(learning_rate / batch_size), to leading order (arXiv:2412.20496,
arXiv:2407.16427). ``python examples/linear_scaling_scan.py STORE`` keeps results, and goes on from there.
"""

from __future__ import annotations

import math
import sys

import matplotlib.pyplot as plt
import numpy as np

import dysonsim as ds

RATES = [0.02, 0.05, 0.1]
RBM = ds.GaussianRBM.scalar_field(n_visible=10, mass=2.0, mu=3.0)
TEACHER = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
PAIR = RBM.degenerate_groups()[-1]  # the highest


def rbm(learning_rate, batch_size):
    return ds.SGD(RBM, learning_rate, batch_size)


def teacher(learning_rate, batch_size):
    return ds.SGD(TEACHER, learning_rate, batch_size)


def main(replicas: int = 2000, path: str = "linear_scaling_scan.png", store: str | None = None) -> list[ds.ScalingFit]:
    apart = RBM.mu**2 - RBM.kappa[PAIR[0]]
    scans = {
        "Gaussian RBM, highest pair": (
            ds.scan(
                rbm, {"learning_rate": RATES, "batch_size": [16, 32, 64]}, replicas=replicas, seed=1,
                steps=lambda point: round(60 / point["learning_rate"]),  # ten relaxation times of the pair
                measure={"spacing": lambda run: run.spacings(PAIR)}, path=store and f"{store}-rbm.zarr",
            ),
            f"sqrt({apart} * learning_rate / batch_size)", r"$\sqrt{(\alpha/|B|)(\mu^2-\kappa)}$",
            math.sqrt(2 * math.pi),
        ),
        "teacher–student": (
            ds.scan(
                teacher, {"learning_rate": RATES, "batch_size": [4, 16, 64]}, replicas=replicas, seed=2,
                steps=lambda point: round(10 / point["learning_rate"]),
                measure={"spacing": lambda run: run.spacings((0, 1), observable="singular_values")},
                path=store and f"{store}-teacher.zarr",
            ),
            f"sqrt({TEACHER.gradient_noise**2} * learning_rate / batch_size)", r"$\sqrt{\alpha\,\varepsilon^2/|B|}$",
            math.sqrt(math.pi),
        ),
    }  # fmt: skip
    fits = []
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for ax, (title, (scan, x, label, prediction)) in zip(axes, scans.items(), strict=True):
        print(f"{title}\n{scan.mean('spacing')}")
        fit = scan.scaling_fit("spacing", x=x, trend="learning_rate / batch_size", prediction=prediction)
        print(fit, "\n")
        fit.plot(ax)
        ax.set(title=title, xlabel=label, ylabel="mean spacing", xlim=(0, None), ylim=(0, None))
        fits.append(fit)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return fits


if __name__ == "__main__":
    main(store=sys.argv[1] if len(sys.argv) > 1 else None)
