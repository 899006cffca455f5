"""What the layers of a deep linear network share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .._checks import shown
from ..ensembles.run import Run

__all__ = ["balancedness"]


def balancedness(run: Run) -> tuple[np.ndarray, ...]:
    """Return D_l = W_{l+1}^T W_{l+1} - W_l W_l^T of neighboring layers, which gradient flow conserves.

    One step of SGD on a linear network changes it by exactly alpha^2 (G_{l+1}^T G_{l+1} - G_l G_l^T), G the gradients:
    to first order in alpha nothing moves it but noise that layers do not share (`DeepLinearNetwork.gradient_noise`).
    Label noise takes it slowly to the flattest factors of the teacher, `DeepLinearNetwork.balancing_rate`.

    Parameters
    ----------
    run : Run
        Of a network with two layers or more, simulated with ``keep_weights=True``.

    Returns
    -------
    tuple of (replicas, records, units, units) arrays
        Symmetric; one for each hidden layer, inputs first.

    Raises
    ------
    TypeError, ValueError
        If it is no such run, or its layers are no chain.

    Notes
    -----
    Arora, Cohen, Hazan, "On the optimization of deep networks", arXiv:1802.06509. In networks that are not linear D_l
    is computed all the same, but nothing conserves it (its diagonal for relu).

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.DeepLinearNetwork(2 * np.eye(2), widths=(3,), label_noise=0.5)
    >>> run = ds.simulate(ds.SGD(model, 0.01, 16), replicas=10, steps=20, seed=1, keep_weights=True)
    >>> (D,) = ds.balancedness(run)
    >>> D.shape
    (10, 1, 3, 3)
    >>> bool(np.abs(D).max() < 0.01)
    True
    """
    if not isinstance(run, Run):
        raise TypeError(f"run = {shown(run)}: must be a Run of a network of two layers or more")
    shapes = run.process.layer_shapes
    if len(shapes) < 2:
        raise ValueError(f"run: {run.process} has {len(shapes)} layers: must have two or more")
    if any(below[0] != above[1] for below, above in pairwise(shapes)):
        raise ValueError(f"run: weights of shapes {', '.join(map(str, shapes))} are no chain of layers")
    if run.layers is None:
        raise ValueError("run: its weights were not kept; simulate with keep_weights=True")
    return tuple(
        above.swapaxes(-1, -2) @ above - below @ below.swapaxes(-1, -2) for below, above in pairwise(run.layers)
    )
