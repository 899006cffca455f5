"""Which kernel runs a Dyson process, and with which constants.

`process` is a `Dyson` throughout, whose module imports this one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backend import Ensemble, Kernel, Program
from ...kernels.dyson import bordering, nested, semi_implicit
from ...kernels.dyson import pairs as dyson
from ...kernels.dyson import terms as dyson_terms
from ..matrix_motion import decay_and_spread

__all__ = ["constants", "fast_program", "kernel"]

VECTORS = 2  # of a lane value, measured best
LIMIT = 1e300  # sum of squares of the levels from which a gas has run away; in float32 what it can hold
FAILED = 2  # numbers of the state behind the levels, where a user's function leaves word
NESTED_STEP = 0.075  # of "nested", in units of gap^2/(noise^2 (1 + beta)), gap half the rms distance of next neighbors
# Longest inner step of "nested", in units of the fastest relaxation time: without frozen forces, and with them.
DIRECT_CAP, CAP = 0.1, 0.05


def kernel(process: Any) -> Kernel:
    """Of `dysonsim.kernels`, what the process is run by, but for matrices and large systems."""
    if process.bordered:
        return Kernel(
            bordering.build, {"ensemble": "hermite"}, constants(process, process.step), np.array([process.n]),
            weights=process.n, scratch=bordering.scratch(process.n),
        )  # fmt: skip
    sizes: dict[str, Any] = {"n": process.n}
    extra, alike = np.empty(0), False
    if process.sgd is not None:
        terms = process.terms
        sizes |= {"terms": dyson_terms.of_model, "closure": terms.build, **terms.sizes}
        work = 3 * process.n + terms.scratch + 1
    elif process.rate is not None:
        alike = bool(np.ptp(process.rate) == 0 and np.ptp(process.noise) == 0)
        sizes |= {"terms": dyson_terms.linear, "alike": alike}
        work = 3 * process.n
    else:
        function = process.potential if process.drift is None else process.drift
        sizes |= {"terms": dyson_terms.by_function, "function": function, "potential": process.drift is None}
        work, extra = 2 * process.n, np.full(FAILED, -1.0)
    # Several vectors a lane value hide the latency of roots, where no replica waits for another.
    together = process.scheme != "semi_implicit" and process.tolerance is None and not process.nested
    vectors = VECTORS if together and process.drift is None and process.potential is None else 1
    code: Any = semi_implicit if process.scheme == "semi_implicit" else nested if process.nested else dyson
    if code is not semi_implicit:
        sizes |= {"chi": (dyson.quick_draws if code is nested else dyson.draws)(process.beta)}
    if code is dyson:
        sizes |= {"adaptive": process.tolerance is not None}
    if code is nested:
        sizes |= {"direct": process.direct}
        extra = np.concatenate([extra, np.zeros(nested.extra(process.n))])
        work += nested.scratch(process.n, process.n + len(extra), process.direct, process.sgd is not None)
    else:
        work += code.scratch(process.n, len(extra))
    return Kernel(
        build=code.build, sizes=sizes, reals=constants(process, process.step), integers=np.zeros(1), weights=process.n,
        extra=extra, scratch=work, vectors=vectors,
        registers=code is dyson and alike and dyson.draws(process.beta) != "any",
    )  # fmt: skip


def constants(process: Any, dt: float) -> np.ndarray:
    """Return the kernel's `reals` for steps of length dt."""
    if process.fast:
        return np.array([dt, process.rate[0], process.noise[0], process.center[0]])
    if process.bordered:
        rate, center, noise = float(process.rate[0]), float(process.center[0]), float(process.noise[0])
        decay, spread = decay_and_spread(rate, dt)
        return np.array([decay, (noise * spread) ** 2, process.beta, center, LIMIT])
    head = [dt, process.beta, LIMIT, 0.0 if process.tolerance is None else process.tolerance]
    if process.nested:
        beta = 1.0 if process.sgd is not None else process.beta
        head[-1:] = [NESTED_STEP / 4 * beta / (1 + beta), longest_inner_step(process), *process.table]
    if process.sgd is not None:
        return np.concatenate([head, process.terms.reals])
    if process.rate is not None:
        return np.concatenate([head, [process.beta], process.center, process.rate, process.noise**2])
    return np.concatenate([head, [process.beta], process.noise**2])


def fast_program(process: Any, device: str, threads: int) -> Program:
    """Systems one after the other, whose levels all threads share; on a GPU all at once."""
    from ...numerics.many_levels import open_large  # brings Numba along, which `import dysonsim` does without

    def open_ensemble(start: np.ndarray, first_replica: int, seed: int) -> Ensemble:
        return open_large(start, first_replica, seed, process.beta, threads, device)

    return Program(open_ensemble, width=1, unit=2**32, parallel=False)


def longest_inner_step(process: Any) -> float:
    """Of "nested", where the gaps allow more; two levels of the same linear drift are exact at any length."""
    exact = process.n < 3 and not process.why_not_alike()
    cap = DIRECT_CAP if process.direct else CAP
    return cap / process.fastest if process.fastest > 0 and not exact else 1e300
