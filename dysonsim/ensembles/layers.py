"""Networks of several layers: how a run keeps all of their weights, and the singular values of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _checks
from ..models._layers import chained
from ..numerics.singular_values import singular_values
from ..processes import Process

__all__ = ["PRODUCT", "SAME", "cut", "differ", "kept_numbers", "numbers_of", "room_for_weights", "singular_values_of"]

PRODUCT = "product"
SAME = 1e-9  # of the largest level: what LAPACK on another machine may change


def kept_numbers(process: Process) -> int:
    """Count the numbers of a replica and record that are kept beside `Run.weights`: of several layers all weights."""
    shapes = process.layer_shapes
    return sum(map(math.prod, shapes)) if len(shapes) > 1 else 0


def numbers_of(process: Process, state: np.ndarray) -> np.ndarray:
    """Return the weights of all layers of states (rows, m), one after the other, (rows, `kept_numbers`)."""
    layers = process.layers(state)
    return np.concatenate([layer.reshape(len(state), -1) for layer in layers], axis=1)


def cut(process: Process, kept: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the layers of what was kept (..., `kept_numbers`), each (..., rows, columns): views."""
    out, at = [], 0
    for rows, columns in process.layer_shapes:
        out.append(kept[..., at : at + rows * columns].reshape(*kept.shape[:-1], rows, columns))
        at += rows * columns
    return tuple(out)


def room_for_weights(process: Process, replicas: int, records: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return arrays for the weights whose spectra are recorded and, of several layers, for the weights of all."""
    if kept_numbers(process) == 0:
        return np.empty((replicas, records, *(process.weight_shape or ()))), None
    kept = np.empty((replicas, records, kept_numbers(process)))
    if process.spectral_layer is not None:
        return cut(process, kept)[process.spectral_layer], kept
    return np.empty((replicas, records, *(process.weight_shape or ()))), kept


def differ(kept: np.ndarray, now: np.ndarray) -> bool:
    """Whether weights (replicas, ...) differ by more than rounding."""
    a, b = kept.reshape(len(kept), -1), now.reshape(len(now), -1)
    return bool((np.abs(a - b) > SAME * np.abs(a).max(axis=1, keepdims=True)).any())


def singular_values_of(run: Any, layer: int | str) -> np.ndarray:
    """Return those of one layer of a Run, or of the product of all layers."""
    process = run.process
    shapes = process.layer_shapes
    if not shapes:
        raise ValueError(f"layer = {_checks.shown(layer)}: {type(process).__name__} has levels only, no weights")
    if isinstance(layer, str):
        _checks.choice("layer", layer, (PRODUCT,))
        chain = [shape[1] for shape in shapes[1:]] == [shape[0] for shape in shapes[:-1]]
        if not chain:
            raise ValueError(
                f"layer = 'product': weights of shapes {', '.join(map(str, shapes))} are no chain of layers"
            )
    else:
        layer = _checks.integer("layer", layer, 0, len(shapes) - 1)
    recorded = process.spectral_layer
    if len(shapes) == 1 or layer == (PRODUCT if recorded is None else recorded):
        return np.asarray(run.singular_values)
    if run.layers is None:
        raise ValueError(
            f"layer = {layer!r}: the run kept the spectra of "
            f"{'the product' if recorded is None else f'layer {recorded}'} alone; simulate with keep_weights=True"
        )
    if layer != PRODUCT:
        return singular_values(run.layers[layer])
    return singular_values(chained(run.layers))
