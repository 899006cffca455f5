"""Deep linear networks: plateaus of learning, stationary widths of the product of all layers, and where layers end.

Left: a network of L layers learns the singular values 1, 3, 3 from small weights. From one step to the next each layer
has u <- u + alpha u^(L-1) (s - u^L); with three layers a plateau of u_0^(2-L)/(alpha s (L-2)) steps comes first.
Middle: in the stationary state the two levels at 3 repel each other; their mean spacing sqrt(pi V) grows with depth:
V = v h/(1 - alpha h c/2), v = alpha sigma^2/(2|B|), h = L s^(2-2/L), c = 1 + (n + 1)/|B|.
Right: two layers with 2 inputs and 6 outputs. Label noise moves them slowly from balanced to the flattest factors of
the teacher; the curvature h changes, and with it the variances of the product, while its mean stays.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

import dysonsim as ds

DEPTHS, COLORS = (1, 2, 3), ("C7", "C0", "C3")
TEACHER = np.diag([1.0, 3.0, 3.0])


def network(layers: int, init: str = "balanced") -> ds.DeepLinearNetwork:
    return ds.DeepLinearNetwork(TEACHER, widths=(3,) * (layers - 1), label_noise=0.5, init=init)


def learning(ax, replicas: int) -> float:
    """Draw paths of singular values; the largest distance of their means from the curve, for the pair."""
    steps, worst = np.arange(0, 1601, 25), 0.0
    for layers, color in zip(DEPTHS, COLORS, strict=True):
        sgd = ds.SGD(network(layers, "small"), learning_rate=0.01, batch_size=16, init_scale=0.1)
        run = ds.simulate(sgd, replicas, int(steps[-1]), seed=layers, record_steps=steps, progress=False)
        means, curve = run.singular_values.mean(axis=0), sgd.learning_curve(steps)
        ax.plot(steps, means[:, 0], "o", ms=2.5, color=color)
        ax.plot(steps, means[:, 1:].mean(axis=1), "o", ms=2.5, color=color, label=f"L = {layers}")
        every = np.arange(steps[-1] + 1)
        ax.plot(every, sgd.learning_curve(every)[:, [0, 2]], "-", lw=1, color=color)
        worst = max(worst, float(np.abs(means[:, 1:].mean(axis=1) - curve[:, 2]).max()))
    ax.set_xlabel("step")
    ax.set_ylabel("singular values of $W_L \\cdots W_1$")
    ax.legend(frameon=False, loc="center right")
    return worst


def spacings(ax, replicas: int) -> dict[int, list[float]]:
    """Draw mean spacings; their ratios to the prediction, by depth."""
    ratios: dict[int, list[float]] = {}
    for layers, color in zip(DEPTHS, COLORS, strict=True):
        model = network(layers)
        rates = np.geomspace(0.03, 0.5, 6) * model.max_learning_rate(16)
        predicted = np.array([ds.SGD(model, rate, 16).singular_value_spacings()[0] for rate in rates])
        h, found = layers * 3 ** (2 - 2 / layers), []
        for rate in rates:
            steps = int(8 / (rate * model.curvature().min()))
            run = ds.simulate(ds.SGD(model, rate, 16), replicas, steps, seed=10 + layers, progress=False)
            found.append(ds.mean_and_error(run.spacings((1, 2), observable="singular_values")[:, 0]))
        means, errors = np.array(found).T
        ax.errorbar(rates, means, 2 * errors, fmt="o", ms=3, color=color, label=f"L = {layers}")
        fine = np.geomspace(rates[0], rates[-1], 60)
        ax.plot(fine, [ds.SGD(model, rate, 16).singular_value_spacings()[0] for rate in fine], "-", lw=1, color=color)
        ax.plot(fine, np.sqrt(np.pi * fine * 0.25 / 32 * h), ":", lw=1, color=color)
        ratios[layers] = (means / predicted).tolist()
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("learning rate α")
    ax.set_ylabel("mean spacing of the pair")
    ax.legend(frameon=False, title="lines: theory\ndotted: leading order")
    return ratios


def flattening(ax, replicas: int) -> tuple[float, float]:
    """Draw variances on the way to the flattest factors; ratios to the early and the late prediction."""
    model = ds.DeepLinearNetwork(4 * np.eye(6, 2), widths=(2,), label_noise=1.0)
    sgd = ds.SGD(model, learning_rate=0.015, batch_size=4)
    steps = np.unique(np.geomspace(40, 6 / model.balancing_rate(0.015, 4), 40).astype(int))
    run = ds.simulate(sgd, replicas, int(steps[-1]), seed=20, record_steps=steps, keep_weights=True, progress=False)
    squares = ((run.weights - model.teacher) ** 2).mean(axis=0)
    ratios = []
    for rows, color, label in ((slice(0, 2), "C0", "the teacher's rows"), (slice(2, 6), "C3", "the other rows")):
        path = squares[:, rows].mean(axis=(1, 2))
        ax.plot(steps, path, "o", ms=3, color=color, label=label)
        for when, style in (("early", ":"), ("late", "--")):
            variance = model.product_variances(0.015, 4, when)[rows].mean()
            ax.axhline(variance, ls=style, lw=1, color=color)
            ratios.append(float((path[1:5] if when == "early" else path[-3:]).mean() / variance))
    ax.set_xscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("variance of entries of $W_2 W_1$")
    ax.legend(frameon=False, title="dotted: balanced layers\ndashed: flattest", loc="center left")
    return max(ratios), min(ratios)


def main(replicas: int = 2000, path: str = "deep_networks.png") -> dict[str, object]:
    figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    results = {
        "curve": learning(axes[0], max(20, replicas // 10)),
        "spacings": spacings(axes[1], replicas),
        "flattening": flattening(axes[2], replicas),
    }
    figure.savefig(path, dpi=110)
    print(f"largest distance of a mean path from its curve: {results['curve']:.3f}")
    for layers, ratios in results["spacings"].items():
        print(f"L = {layers}: mean spacing over theory {min(ratios):.3f} to {max(ratios):.3f}")
    return results


if __name__ == "__main__":
    main()
