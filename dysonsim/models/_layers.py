"""Weights of several layers."""

from __future__ import annotations

import numpy as np

__all__ = ["chained"]


def chained(layers: tuple[np.ndarray, ...]) -> np.ndarray:
    """Multiply W_L ... W_1 of layers (W_1, ..., W_L), each (..., rows, columns)."""
    product = layers[0]
    for weights in layers[1:]:
        product = weights @ product
    return product
