"""The phase diagram of a network whose middle layer is trained (arXiv:2509.01349): four maps with their boundaries.

About two minutes on one core: 12 x 12 points, 8 networks each, 100000 updates of every network. ``python
examples/phase_diagram.py STORE`` keeps results in a store, and goes on from there after an interruption.
"""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt

import dysonsim as ds

MAPS = ("overlap", "alignment", "spacing_growth", "loss")


def main(path: str = "phase_diagram.png", store: str | None = None, **how) -> ds.PhaseDiagram:
    found = ds.phase_diagram(path=store, **how)
    print(found)
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")
    for ax, name in zip(axes.ravel(), MAPS, strict=True):
        found.plot(name, ax=ax)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    return found


if __name__ == "__main__":
    main(store=sys.argv[1] if len(sys.argv) > 1 else None)
