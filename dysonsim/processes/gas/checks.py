"""Checked fields of a Coulomb gas that is given by a training, or is a classical ensemble.

`gas` is a `CoulombGas` throughout, whose module imports this one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import _checks
from ..base import network_process
from ..confined import MOST_DEGREES
from .wells import checked_walls

__all__ = ["of_ensemble", "of_model"]


def of_ensemble(gas: Any) -> dict[str, Any]:
    """Return parameters and walls of a classical ensemble; ValueError for a field that it leaves no room for."""
    for name in ("sgd", "centers", "widths", "potential"):
        if getattr(gas, name) is not None:
            raise ValueError(f"{name}: must be left out where ensemble = {gas.ensemble!r}, which determines it")
    if gas.ensemble == "circular":
        return of_circle(gas)
    names = {"laguerre": ("m", "width"), "jacobi": ("a", "b")}[gas.ensemble]
    if not isinstance(gas.parameters, (tuple, list)) or len(gas.parameters) != 2:
        raise ValueError(
            f"parameters = {gas.parameters!r}: must be ({', '.join(names)}) for ensemble = {gas.ensemble!r}; use "
            f"CoulombGas.{gas.ensemble}"
        )
    lowest = (gas.n - 1, 0) if gas.ensemble == "laguerre" else (-1, -1)
    values = zip(names, gas.parameters, lowest, strict=True)
    walls = (0.0, None) if gas.ensemble == "laguerre" else (0.0, 1.0)
    if gas.walls is not None and checked_walls(gas.walls) != checked_walls(walls):
        raise ValueError(f"walls = {gas.walls!r}: must be left out, levels of this ensemble have walls at {walls}")
    if gas.ensemble == "laguerre":
        width = _checks.real("width", gas.parameters[1], above=0)
        if not 1e-150 < width < 1e150:
            raise ValueError(
                f"width = {width:g}: must be between 1e-150 and 1e150, levels have its square; choose other units"
            )
    parameters = tuple(_checks.real(name, value, above=least) for name, value, least in values)
    return {"parameters": parameters, "walls": walls}


def of_circle(gas: Any) -> dict[str, Any]:
    """Check that a circular ensemble is given nothing but n and beta."""
    if not isinstance(gas.parameters, tuple) or gas.parameters:
        raise ValueError(f"parameters = {_checks.shown(gas.parameters)}: must be left out for ensemble = 'circular'")
    if gas.walls is not None:
        raise ValueError(f"walls = {gas.walls!r}: must be left out, there are none on a circle")
    if gas.method not in ("auto", "exact"):
        raise ValueError(f"method = {gas.method!r}: must be 'auto' or 'exact' for ensemble = 'circular'")
    if gas.beta > MOST_DEGREES:
        raise ValueError(f"beta = {gas.beta:g}: must be at most {MOST_DEGREES:g} for ensemble = 'circular'")
    return {}


def of_model(gas: Any) -> dict[str, Any]:
    """Return centers and widths that a training predicts; ValueError for a field that it leaves no room for."""
    sgd = network_process(gas.sgd)
    for name in ("centers", "widths", "potential", "n", "walls"):
        value = getattr(gas, name)
        if value is not None:
            raise ValueError(f"{name} = {_checks.shown(value)}: must be left out where sgd is given, which sets it")
    if gas.beta != 1:
        given = _checks.exact(gas.beta)
        raise ValueError(f"beta = {given}: must be left out where sgd is given; real weights have beta = 1")
    widths = sgd.stationary_widths()
    if (widths <= 0).any():
        level = int(np.argmin(widths))
        raise ValueError(f"sgd: level {level} of {sgd.model} does not fluctuate, so there is no gas of all levels")
    return {"centers": sgd.fixed_point(), "widths": widths}
