"""A spectrum that melts: Dyson Brownian motion from levels in three groups, and the free convolution.

The density of many levels at any time is that of the first levels plus a semicircle whose variance grows as n beta
noise^2 t (`laws.NoisySymmetric`), a free convolution: groups broaden, merge and end as one semicircle. Transitions of
`ds.Dyson` are exact here, so that what is left between histogram and law is of finite n.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import dysonsim as ds

VALUES, WEIGHTS = (-2.0, 0.0, 3.0), (0.25, 0.25, 0.5)
VARIANCES = (0.05, 0.25, 1.0, 4.0)  # of the noise that has come by the times that are shown
BETA = 1.0


def main(replicas: int = 100, n: int = 100, path: str = "melting_spectrum.png") -> dict[float, tuple[float, float]]:
    """Largest distance of distribution functions by variance: to the law, and to that of a tenth more (the control)."""
    start = np.repeat(VALUES, np.round(n * np.array(WEIGHTS)).astype(int))
    process = ds.Dyson(beta=BETA, rate=0.0, noise=1.0, initial=start)
    times = np.array(VARIANCES) / (n * BETA)
    run = ds.simulate(process, replicas, times=times, seed=1)
    paths = ds.simulate(process, 1, times=np.geomspace(1e-3, VARIANCES[-1], 120) / (n * BETA), seed=2)
    laws = [ds.laws.NoisySymmetric(VALUES, WEIGHTS, variance) for variance in VARIANCES]
    distances = {}
    for record, law in enumerate(laws):
        levels = np.sort(run.eigenvalues[:, record].ravel())
        ranks = (np.arange(levels.size) + 0.5) / levels.size
        wider = law.replace(variance=1.1 * law.variance)
        distances[law.variance] = tuple(float(abs(one.cdf(levels) - ranks).max()) for one in (law, wider))
        parts = ", ".join(f"[{low:.2f}, {high:.2f}]" for low, high in law.components())
        print(f"variance {law.variance:4g}: support {parts}; distance {distances[law.variance][0]:.4f}")
    draw(run, paths, laws, n, path)
    return distances


def draw(run: ds.Run, paths: ds.Run, laws: list[ds.laws.NoisySymmetric], n: int, path: str) -> None:
    """Densities below each other, and one spectrum as it melts with the edges that the law predicts."""
    figure = plt.figure(figsize=(10, 5.2), layout="constrained")
    grid = figure.add_gridspec(len(laws), 2, width_ratios=(1.15, 1))
    left = figure.add_subplot(grid[:, 0])
    variances = paths.times * n * BETA
    left.plot(variances, paths.eigenvalues[0], color="tab:blue", lw=0.4, alpha=0.7)
    for variance in np.geomspace(variances[0], variances[-1], 60):
        for edges in ds.laws.NoisySymmetric(VALUES, WEIGHTS, float(variance)).components():
            left.plot([variance] * 2, edges, "k_", ms=4)
    left.set(xscale="log", xlabel=r"$n\beta g^2 t$", ylabel="levels", title="one spectrum, edges of the law")
    x = np.linspace(-7.0, 8.0, 1200)
    for record, law in enumerate(laws):
        ax = figure.add_subplot(grid[record, 1])
        ax.hist(run.eigenvalues[:, record].ravel(), bins=150, range=(-7, 8), density=True, color="tab:blue", alpha=0.4)
        ax.plot(x, law.pdf(x), "k", lw=1.2)
        ax.set(xlim=(-7, 8), yticks=[])
        ax.text(0.98, 0.8, rf"$n\beta g^2t = {law.variance:g}$", transform=ax.transAxes, ha="right")
        ax.tick_params(labelbottom=record == len(laws) - 1)
    ax.set_xlabel("level")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
