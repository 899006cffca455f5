"""One object, four levels: SGD, Langevin, Dyson Brownian motion and the Coulomb gas of one hidden layer."""

from __future__ import annotations

import numpy as np

import dysonsim as ds


def main(replicas: int = 2000, path: str | None = None) -> ds.Hierarchy:
    model = ds.LinearNetwork(2 * np.eye(2), output_layer=np.diag([1.0, 3.0]), gradient_noise=0.1)
    sgd = ds.SGD(model, learning_rate=0.02, batch_size=16)
    levels = ds.hierarchy(sgd, replicas, closure="both", observable="singular_values", seed=1)
    print(levels)  # every number at every level, and how far it is from SGD's
    if path:
        levels.plot().savefig(path)
    return levels


if __name__ == "__main__":
    main(path="four_levels.png")
