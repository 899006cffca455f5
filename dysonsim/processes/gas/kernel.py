"""Which kernel runs a Coulomb gas, and with which constants.

`gas` is a `CoulombGas` throughout, whose module imports this one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backend import Kernel
from ...kernels.gas import circular, tridiagonal
from ...kernels.gas import hmc as gas_hmc
from ...kernels.gas import metropolis as gas_metropolis
from .pilot import Tuning

__all__ = ["chain", "exact_draws"]

WIDEST = 300  # levels up to which 32 gases together fit into the cache


def exact_draws(gas: Any) -> Kernel:
    """Independent draws."""
    n, beta = gas.n, gas.beta
    if gas.ensemble == "circular":
        return Kernel(
            circular.build, {}, np.array([beta]), np.array([n]), weights=n, scratch=circular.scratch(n),
            vectors=_vectors(gas),
        )  # fmt: skip
    origin, unit = gas.units
    scale, center, name = 1.0, 0.0, gas.ensemble
    if gas.ensemble == "laguerre":
        m, width = gas.parameters
        degrees, scale = tridiagonal.laguerre_degrees(n, m, beta), (width / np.sqrt(unit)) ** 2
    elif gas.ensemble == "jacobi":
        a, b = gas.parameters
        degrees = tridiagonal.jacobi_degrees(n, a, b, beta)
    else:
        name, degrees = "hermite", tridiagonal.hermite_degrees(n, beta)
        scale, center = float(gas.widths[0] / unit), float((gas.centers[0] - origin) / unit)
    return Kernel(
        build=tridiagonal.build, sizes={"ensemble": name}, reals=np.concatenate([[scale, center], degrees]),
        integers=np.array([n]), weights=n, scratch=tridiagonal.scratch(n), vectors=_vectors(gas),
    )  # fmt: skip


def chain(gas: Any, tuning: Tuning) -> Kernel:
    """Return the Markov chain run in a certain way."""
    n, wells, mode = gas.n, gas.wells, gas.mode
    trace = np.concatenate([tuning.center, 1 / tuning.unit])
    held = wells.constants(mode.scale)
    windows = [tuning.warm_up, tuning.second]
    sizes = {"well": wells.kind, "walls": wells.walls, "function": wells.function}
    if gas.sampler == "hmc":
        upper, lower = np.triu_indices(n), np.tril_indices(n)
        reals = np.concatenate([
            [tuning.step, gas.beta, 1 / mode.scale], trace, held, mode.y0, mode.factor[upper], mode.factor.T[lower]
        ])  # fmt: skip
        integers = np.array([n, tuning.leaps, *windows])
        kernel, state, work = gas_hmc.build, gas_hmc.state_size(n, wells.kind), gas_hmc.scratch(n)
    else:
        reals = np.concatenate([[tuning.step, gas.beta], trace, held, _proposals(gas)])
        integers = np.array([n, *windows])
        kernel, state, work = (
            gas_metropolis.build, gas_metropolis.state_size(n, wells.kind), gas_metropolis.scratch(n)
        )  # fmt: skip
    rest = np.zeros(state - n)
    return Kernel(kernel, sizes, reals, integers, weights=n, extra=rest, scratch=work, vectors=_vectors(gas))


def _vectors(gas: Any) -> int:
    """Every gas waits for one number after the other; four vectors at once take half the time (Zen 3)."""
    return 4 if gas.n <= WIDEST else 1


def _proposals(gas: Any) -> np.ndarray:
    """Width of the proposals of every label: its well's or the distance to its neighbors."""
    widths = gas.wells.widths
    if gas.wells.walls == "none" and widths is not None:
        return np.minimum(widths, gas.mode.scale) if gas.n > 1 else widths
    return np.full(gas.n, gas.mode.scale)
