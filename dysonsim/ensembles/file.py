"""What the file of a run holds, and the facts that it tells about its arrays."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .. import _checks
from ..backend import DEVICES
from .schedule import MAX_STEPS

__all__ = ["KINDS", "MOST_REPLICAS", "told"]

# What a file holds: kinds of arrays, and kinds of the facts about them.
KINDS = {"times": "f", "steps": "i", "spectra": "f", "weights": "f", "kept": "f", "state": "f", "about": "U"}
ABOUT = {
    "process": str, "described": str, "seed": int, "coordinate": str, "device": str, "dtype": str, "version": str,
    "last_time": float, "last_step": int, "first_replica": int, "sha256": str,
}  # fmt: skip
MOST_REPLICAS = 2**32 - 1  # the generator counts them in 32 bits


def told(text: np.ndarray | None) -> dict[str, Any]:
    """Return what a file says about its arrays; ValueError if that is not what `Run.save` writes."""
    if text is None or text.ndim:
        raise ValueError("the description of the arrays is missing")
    try:
        about = json.loads(str(text))
    except RecursionError:
        raise ValueError("the description of the arrays is nested too deep") from None
    if not isinstance(about, dict):
        raise ValueError("the description of the arrays is no table")
    told = {"first_replica": 0} | about  # which older files do not tell
    if {name: type(value) for name, value in told.items()} != ABOUT:
        raise ValueError(f"does not tell {', '.join(ABOUT)}")
    _checks.integer("seed", about["seed"], 0, 2**64 - 1)
    _checks.integer("last_step", about["last_step"], 0, MAX_STEPS)
    _checks.integer("first_replica", told["first_replica"], 0, MOST_REPLICAS - 1)
    _checks.real("last_time", about["last_time"], at_least=0)
    for name, allowed in (("device", DEVICES), ("dtype", ("float64", "float32"))):
        _checks.choice(name, about[name], allowed)
    return about
