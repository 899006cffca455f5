"""What a network of layers computes, and its derivative: for arrays and for the matrices of an update alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["ACTIVATIONS", "Activation", "forward", "jacobians"]


class Activation(NamedTuple):
    """A function of the entries, and the gradient behind it: `back(g, z, a)` is g times the slope, a = function(z)."""

    function: Callable[[Any], Any]
    back: Callable[[Any, Any, Any], Any]


def erf(z: Any) -> Any:
    """scipy.special.erf, which is slow to import."""
    from scipy import special

    return special.erf(z)


ACTIVATIONS = {
    "tanh": Activation(np.tanh, lambda g, z, a: g * (1.0 - a**2)),
    "erf": Activation(erf, lambda g, z, a: g * np.exp(-(z**2)) * (2 / math.sqrt(math.pi))),
    "relu": Activation(lambda z: np.maximum(z, 0.0), lambda g, z, a: np.where(z > 0, g, 0.0)),
    "linear": Activation(lambda z: z, lambda g, z, a: g),
}


def forward(layers: Sequence[Any], activation: Activation, x: Any) -> tuple[list[Any], list[Any]]:
    """Return what enters each layer, before and after the function: z and a, for rows x of inputs.

    ``a[0]`` is x, and the outputs are ``a[-1] @ layers[-1].T``; ``z[l]`` is what ``a[l]`` is the function of. Layers
    may be stacks of one network each, (networks, rows, columns).
    """
    z, a = [x], [x]
    for weights in layers[:-1]:
        z.append(a[-1] @ (weights.swapaxes(1, 2) if weights.ndim == 3 else weights.T))
        a.append(activation.function(z[-1]))
    return z, a


def jacobians(layers: Sequence[np.ndarray], activation: Activation, trained: Sequence[bool], x: np.ndarray) -> Any:
    """Differentiate the outputs by the trained weights, (samples, outputs, weights), at inputs x (samples, n)."""
    z, a = forward(layers, activation, x)
    back = np.broadcast_to(np.eye(len(layers[-1])), (len(x), len(layers[-1]), len(layers[-1])))
    found = []
    for number in range(len(layers) - 1, trained.index(True) - 1, -1):
        if trained[number]:
            here = back[:, :, :, None] * a[number][:, None, None, :]
            found.append(here.reshape(*here.shape[:2], -1))
        if number:
            back = activation.back(back @ layers[number], z[number][:, None], a[number][:, None])
    return np.concatenate(found[::-1], axis=2)
