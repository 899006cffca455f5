"""One hidden layer: two species of eigenvalues, and which law describes them."""

from __future__ import annotations

import numpy as np

import dysonsim as ds


def main(replicas: int = 20_000) -> dict[str, ds.Comparison]:
    model = ds.LinearNetwork(2 * np.eye(2), output_layer=np.diag([1.0, 3.0]), gradient_noise=0.1)
    sgd = ds.SGD(model, learning_rate=0.02, batch_size=16)
    run = ds.simulate(sgd, replicas, steps=1000, seed=1)
    exact = ds.laws.SymmetricTwoByTwo(2.0, *sgd.exact_two_by_two())
    comparisons = {
        "one species": ds.compare(run, ds.laws.TwoLevel, observable="singular_values"),
        "two species": ds.compare(run, ds.laws.TwoSpecies, observable="singular_values"),
        "exact": ds.compare(run, exact, observable="singular_values"),
    }
    for name, comparison in comparisons.items():
        print(f"== {name} ==\n{comparison}\n")
    return comparisons


if __name__ == "__main__":
    main()
