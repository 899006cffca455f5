"""Parameters of models: how they are written, told apart and checked."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["batches_of", "by_value", "shown"]


def by_value(value: Any) -> Any:
    """Return what a parameter is told apart by: arrays and lists by what they hold."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, tuple):
        return tuple(map(by_value, value))
    return repr(value) if isinstance(value, (list, dict, set)) else value


def shown(value: Any) -> str:
    """Write a parameter, arrays by their shapes."""
    if isinstance(value, np.ndarray):
        return f"<{' x '.join(map(str, value.shape))}>"
    if isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value):
        return f"({', '.join(map(shown, value))})"
    return repr(value)


def batches_of(dataset_size: int, batch_size: int) -> int:
    """Return how many batches a fixed data set has; ValueError if it cannot be cut into them."""
    if dataset_size % batch_size:
        raise ValueError(f"batch_size = {batch_size}: must divide dataset_size = {dataset_size}")
    return dataset_size // batch_size
