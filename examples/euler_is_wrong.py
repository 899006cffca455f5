"""Why Dyson Brownian motion must not be integrated by Euler's method with sorting.

Two levels much closer than the square root of a step are thrown apart by g^2 dt/gap, further than they would ever go.
Sorting hides that. Gaps are small so often that the mean of 1/gap^2, and with it E sum x^2 after one more step, is
infinite for beta = 1, however short the steps: what a run shows for it is the rarest event that it met. The splitting
into pairs has no force that could overshoot, its E sum x^2 is exact, and what is left of its error here is statistical.
Steps of a given length are there to be looked at, and most of these are too coarse for the gaps, of which `simulate`
warns: left to itself, `ds.Dyson` makes exact transitions here, of any length.
"""

from __future__ import annotations

import warnings

import matplotlib.pyplot as plt
import numpy as np

import dysonsim as ds

N, BETA, TIME = 5, 1.0, 2.0
STEPS = (5, 10, 20, 40, 80)


def euler_with_sorting(replicas: int, steps: int, seed: int) -> np.ndarray:
    """Levels (replicas, N) at TIME: the method that looks right and is wrong."""
    rng, dt = np.random.default_rng(seed), TIME / steps
    x = np.tile(np.linspace(-1.0, 1.0, N), (replicas, 1))
    for _ in range(steps):
        gaps = x[:, :, None] - x[:, None, :]
        gaps[:, range(N), range(N)] = np.inf
        x = x + (BETA * (1 / gaps).sum(axis=2) - x) * dt + np.sqrt(2 * dt) * rng.standard_normal(x.shape)
        x.sort(axis=1)
    return x


def exact_squares() -> float:
    """E sum x^2 at TIME, from its linear equation."""
    start, end = np.sum(np.linspace(-1.0, 1.0, N) ** 2), N + BETA * N * (N - 1) / 2
    return float(end + (start - end) * np.exp(-2 * TIME))


def main(replicas: int = 20_000, path: str = "euler_is_wrong.png") -> dict[str, np.ndarray]:
    """Relative errors of E sum x^2 and of the mean gap, and statistical errors: arrays (len(STEPS), 4) by method."""
    start = np.linspace(-1.0, 1.0, N)
    matrix = ds.Dyson(beta=BETA, initial=start, scheme="matrix")
    reference = np.diff(ds.simulate(matrix, 4 * replicas, times=[TIME], seed=1).eigenvalues[:, 0], axis=1).mean()
    names = {"Euler with sorting": "", "semi-implicit": "semi_implicit", "pairs": "pairs"}
    results = {}
    for name, scheme in names.items():
        rows = []
        for steps in STEPS:
            if scheme:
                process = ds.Dyson(beta=BETA, initial=start, scheme=scheme, dt=TIME / steps)
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "dt = .* is too coarse")  # which is what is shown
                    x = ds.simulate(process, replicas, times=[TIME], seed=2).eigenvalues[:, 0]
            else:
                x = euler_with_sorting(replicas, steps, seed=2)
            squares, gap = (x**2).sum(axis=1) / exact_squares(), np.diff(x, axis=1).mean(axis=1) / reference
            rows.append([*ds.mean_and_error(squares), *ds.mean_and_error(gap)])
        results[name] = np.array(rows) - [1, 0, 1, 0]
        last = results[name][-1]
        print(f"{name:20s} dt = {TIME / STEPS[-1]:g}: E sum x^2 off by {last[0]:+.1%}, mean gap by {last[2]:+.2%}")
    draw(results, path)
    return results


def draw(results: dict[str, np.ndarray], path: str) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    dt = TIME / np.array(STEPS)
    for name, rows in results.items():
        for ax, column in zip(axes, (0, 2), strict=True):
            ax.errorbar(dt, abs(rows[:, column]), rows[:, column + 1], fmt="o-", capsize=2, label=name)
    for ax, what in zip(axes, ("$E\\,\\sum x_i^2$", "the mean gap"), strict=True):
        ax.set(xscale="log", yscale="log", xlabel="step dt (relaxation times)", ylabel=f"relative error of {what}")
        ax.set_ylim(1e-5)
        ax.set_xticks(dt, [f"{t:g}" for t in dt])
        ax.minorticks_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
