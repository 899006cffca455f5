"""A Gaussian RBM learns a scalar field: where its eigenvalues go, and how a degenerate pair repels."""

from __future__ import annotations

import dysonsim as ds


def main(replicas: int = 4000, steps: int = 6000) -> dict[str, ds.Comparison]:
    model = ds.GaussianRBM.scalar_field(n_visible=10, mass=2.0, mu=3.0)
    sgd = ds.SGD(model, learning_rate=0.05, batch_size=16)
    run = ds.simulate(sgd, replicas, steps, seed=1)

    learned = model.to_lambda(run.eigenvalues[:, -1])
    mean, error = ds.mean_and_error(learned)
    print("level   kappa   learned lambda")
    for i, kappa in enumerate(model.kappa):
        print(f"{i:5d}  {kappa:6.3f}   {mean[i]:.4f} +- {error[i]:.4f}")

    pair = sgd.degenerate_groups()[-1]
    spacing = run.spacings(pair)[:, 0]
    print(f"\nmean spacing of the pair at kappa = {model.kappa[pair[0]]:.3f}: {spacing.mean():.4f}")
    print(f"leading order of theory: {sgd.mean_spacings()[-1]:.4f}\n")
    comparisons = {
        "spacing": ds.compare(spacing, ds.laws.WignerSurmise),
        "levels": ds.compare(run, ds.laws.TwoLevel, levels=pair),
    }
    for comparison in comparisons.values():
        print(comparison, "\n")
    return comparisons


if __name__ == "__main__":
    main()
