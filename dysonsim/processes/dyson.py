"""Dyson Brownian motion of eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from .. import _validate
from ..backend import Ensemble, Kernel, Program
from ..kernels import dyson, dyson_terms, semi_implicit
from .base import NetworkProcess, Process, initial_weights, network_process
from .matrix_motion import hermitian, in_lanes, working_numbers

__all__ = ["Dyson"]

SCHEMES = ("auto", "matrix", "pairs", "fast", "semi_implicit")
LARGE = 400  # levels from which "auto" takes the fast sum
FAST_STEP = 0.05  # default step there, in units of (mean gap)^2/noise^2 at the start
VECTORS = 2  # of a lane value, measured best
STEP = 0.1  # default step of the integrator, in units of the fastest relaxation time
LIMIT = 1e300  # sum of squares of the levels from which a gas has run away; in float32 what it can hold
FAILED = 2  # numbers of the state behind the levels, where a user's function leaves word


@dataclass(frozen=True, eq=False)
class Dyson(Process):
    """Dyson Brownian motion, for a network's eigenvalues or in general.

    ``Dyson(sgd)`` takes K_i(x) and g_ij(x) from the model of a `SGD`,

        dx_i = [K_i(x) + sum_{j != i} g_ij^2 / (x_i - x_j)] dt + sqrt(2) g_ii dB_i       (arXiv:2412.20496, section 2)

    with time counted in SGD steps, from the spectrum of the same initial weights that `SGD` starts from. The general
    process is

        dx_i = K_i(x_i) dt + beta g_i^2 sum_{j != i} dt / (x_i - x_j) + sqrt(2) g_i dB_i

    with K_i = -rate_i (x_i - center_i), a function `drift`, or -dV/dx of a function `potential`. Its stationary state
    is the Coulomb gas P ~ prod_{i<j} |x_i - x_j|^beta exp(-sum_i V_i(x_i)/g_i^2) on ordered levels (level i keeps its
    place for beta >= 1), of widths g_i/sqrt(rate_i).

    Parameters
    ----------
    sgd : SGD, optional
        Take everything from this; then only `closure`, `dt` and `initial` may be given besides.
    n : int, optional
        Number of levels, where neither `initial` nor an array says it.
    beta : float
        Dyson index > 0 of the repulsion.
    rate : float or (n,) array, optional
        Rate > 0 (or 0: free motion) of a linear drift, per unit time. Default 1, if no function is given.
    center : float or (n,) array
        Where the linear drift leads to.
    drift : compiled function, optional
        K(x), or K(x, i) with i the level from 0, of one number: decorated with numba.njit, or plain Python, which is
        then compiled.
    potential : compiled function, optional
        V(x) or V(x, i) instead, which is differentiated numerically (error about 1e-10).
    noise : float or (n,) array
        g > 0, per square root of unit time.
    initial : (n,) or (replicas, n) array, optional
        Levels at time 0, in any order; they may coincide. Default: all at `center`, or at 0.
    closure : {"corrected", "independent"}
        How a model's eigenvectors enter, of `Dyson(sgd)`: "independent" is the paper's, wells that know nothing of
        each other; "corrected" keeps the mean rotation of the eigenvectors out of the target's basis.
    scheme : {"auto", "matrix", "pairs", "fast", "semi_implicit"}
        "matrix": exact transition of a matrix Ornstein-Uhlenbeck process, for any length of time; for beta = 1, 2, 4,
        linear drift, equal rates, centres and noise. "pairs": splitting, see `dysonsim.kernels.dyson`. "fast": one
        system of many levels, pairs for neighbours and a fast multipole sum for the rest (on "cuda" a direct sum), see
        `dysonsim.large`; any beta, linear drift, equal rates, centres and noise, initial levels that differ, float64.
        "auto": the first where it exists, but from 400 levels on the fast sum where it can be had.
        "semi_implicit": levels keep a strict order at every step, at the price of a large bias unless dt is small.
    dt : float, optional
        Longest step of the splitting. Default: 0.1 of the shortest relaxation time (of a user's function at the initial
        levels); there the bias of mean spacings is below 0.1%, that of the variance of spacings 1% (three levels) to 3%
        (six), see `dysonsim.kernels.dyson` for the weak order.
    tolerance : float, optional
        Of the splitting: divide steps where three levels come close, 4 g^2 beta h <= tolerance (x_{i+2} - x_i)^2, and
        where a curved drift bends by more than this part of the noise. Chosen before noise is drawn: none is rejected.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.
    """

    continuous: ClassVar[bool] = True

    sgd: NetworkProcess | None = None
    n: int = None  # type: ignore[assignment]  # known once the object is made
    beta: float = 1.0
    rate: Any = None
    center: Any = 0.0
    drift: Callable[..., float] | None = None
    potential: Callable[..., float] | None = None
    noise: Any = 1.0
    initial: Any = None
    closure: str = "corrected"
    scheme: str = "auto"
    dt: float | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        _validate.choice("closure", self.closure, ("corrected", "independent"))
        _validate.choice("scheme", self.scheme, SCHEMES)
        if self.dt is not None:
            self._set(dt=_validate.real("dt", self.dt, above=0))
        if self.tolerance is not None:
            self._set(tolerance=_validate.real("tolerance", self.tolerance, above=0))
        if self.sgd is not None:
            self._check_of_model()
        else:
            self._check_general()
        if self.scheme == "matrix" and self._why_no_matrix():
            raise ValueError(f"scheme = 'matrix': no exact transition is known for {self._why_no_matrix()}")
        if self.scheme == "semi_implicit":
            self._check_strict_order()
        if self.tolerance is not None and (self.exact or self.fast or self.scheme == "semi_implicit"):
            raise ValueError(
                f"tolerance = {self.tolerance:g}: steps are controlled in scheme = 'pairs' only; leave it out elsewhere"
            )
        if self.scheme == "fast" and self._why_not_fast():
            raise ValueError(f"scheme = 'fast': cannot be had for {self._why_not_fast()}")

    def _check_of_model(self) -> None:
        sgd = network_process(self.sgd)
        given = {"n": self.n, "rate": self.rate, "drift": self.drift, "potential": self.potential}
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{name} = {value!r}: must be left out where sgd is given, which says it all")
        for name, default in (("beta", 1.0), ("center", 0.0), ("noise", 1.0)):
            if np.ndim(getattr(self, name)) or getattr(self, name) != default:
                raise ValueError(f"{name} = {getattr(self, name)!r}: must be left out where sgd is given")
        if self.scheme == "matrix":
            raise ValueError("scheme = 'matrix': no exact transition is known for the drift of a model")
        n = sgd.n
        self._set(n=n, initial=_validate.levels("initial", self.initial, n))
        if self.initial is not None and (self.initial < 0).any():
            raise ValueError(f"initial: eigenvalues of W^T W must be >= 0, the smallest is {self.initial.min():g}")
        self._set(coordinate=self._terms.coordinate)

    def _check_general(self) -> None:
        arrays = [a for a in (self.initial, self.rate, self.center, self.noise) if a is not None and np.ndim(a)]
        if self.n is None and not arrays:
            raise ValueError("n is missing: give n, or initial levels")
        n = np.shape(arrays[0])[-1] if self.n is None else _validate.integer("n", self.n, 1)
        if n < 1:
            raise ValueError("initial is empty: must hold at least one level")
        functions = {"drift": self.drift, "potential": self.potential}
        given = [name for name in ("rate", *functions) if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other: give one of them")
        for name, function in functions.items():
            if function is not None:
                self._set(**{name: _validate.level_function(name, function)})
        rate = None
        if self.drift is None and self.potential is None:
            rate = _validate.vector("rate", 1.0 if self.rate is None else self.rate, n, at_least=0)
        self._set(
            n=n,
            beta=_validate.real("beta", self.beta, above=0),
            rate=rate,
            center=_validate.vector("center", self.center, n),
            noise=_validate.vector("noise", self.noise, n, above=0),
            initial=_validate.levels("initial", self.initial, n),
        )

    def _check_strict_order(self) -> None:
        if self.sgd is not None:
            raise ValueError("scheme = 'semi_implicit': cannot be had for the drift of a model, take 'pairs'")
        rows = np.atleast_2d(np.sort(self.center) if self.initial is None else self.initial)
        same = np.argwhere(np.diff(rows, axis=1) <= 0)
        if len(same):
            i, x = int(same[0, 1]), rows[tuple(same[0])]
            raise ValueError(
                f"initial: levels {i} and {i + 1} are both {x:g}, and scheme = 'semi_implicit' needs levels that differ"
            )

    def _why_no_matrix(self) -> str:
        """What stands in the way of the exact transition; empty if nothing does."""
        if self.beta not in (1, 2, 4):
            return f"beta = {self.beta:g} (it is for 1, 2 and 4)"
        return self._why_not_alike()

    def _why_not_fast(self) -> str:
        """What stands in the way of the fast sum; empty if nothing does."""
        if self.n < 2:
            return "one level"
        if self.initial is None or (np.diff(self.initial, axis=-1) <= 0).any():
            return "initial levels that coincide"
        return self._why_not_alike()

    def _why_not_alike(self) -> str:
        if self.rate is None:
            return "a drift that is not linear"
        for name in ("rate", "center", "noise"):
            if np.ptp(getattr(self, name)) > 0:
                return f"levels of different {name}"
        return ""

    @cached_property
    def _terms(self) -> Any:
        assert self.sgd is not None
        return self.sgd.model.dyson_terms(self.sgd.learning_rate, self.sgd.batch_size, closure=self.closure)

    @property
    def exact(self) -> bool:
        """Whether the transition from one record to the next is exact, whatever time lies between them."""
        if self.scheme != "auto":
            return self.scheme == "matrix"
        return self.sgd is None and not self._why_no_matrix() and not self.fast

    @cached_property
    def fast(self) -> bool:
        """Whether the repulsion of far levels is a fast sum."""
        large = self.scheme == "auto" and self.n >= LARGE and self.sgd is None
        return self.scheme == "fast" or (large and not self._why_not_fast())

    @cached_property
    def step(self) -> float:
        """Longest step of the integrator: `dt`, or its default."""
        if self.dt is not None:
            return self.dt
        if self.fast:
            gap = float(np.ptp(self.initial, axis=-1).min()) / (self.n - 1)
            return FAST_STEP * (gap / float(self.noise[0])) ** 2
        if self.sgd is not None:
            rates = self.sgd.model.relaxation_rates(self.sgd.learning_rate)
        elif self.rate is not None:
            rates = self.rate
        else:
            rates = self._slopes()
        fastest = float(np.max(rates[np.isfinite(rates)], initial=0.0))
        return STEP / fastest if fastest > 0 else STEP

    def _slopes(self) -> np.ndarray:
        """|dK/dx| of a user's function around the initial levels."""
        x = self._initial_rows(1)[0]
        spread = max(float(np.ptp(x)), float(self.noise.max()))
        points = np.linspace(x.min() - spread, x.max() + spread, 201)
        values = np.array([[self._drift_at(p, i) for p in points] for i in range(self.n)])
        if not np.isfinite(values).all():
            level, at = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
            name = "drift" if self.drift is not None else "potential"
            raise ValueError(
                f"{name}: level {level} at x = {points[at]:g} gives {values[level, at]}, no finite number; if levels "
                "never get there, give dt, the step of the integrator, and the function is not asked beforehand"
            )
        return np.abs(np.gradient(values, points, axis=1)).max(axis=1)

    def _drift_at(self, x: float, i: int) -> float:
        """K_i(x) of the general process, by the user's function in Python."""
        function = self.drift if self.drift is not None else self.potential
        assert function is not None
        call = _validate.calling(function)
        if self.drift is not None:
            return call(x, i)
        width = 1e-5 * (1 + abs(x))
        return (call(x - width, i) - call(x + width, i)) / (2 * width)

    def kernel(self) -> Kernel:
        """The splitting into pairs, `dysonsim.kernels.dyson`."""
        sizes: dict[str, Any] = {"n": self.n}
        extra, alike = np.empty(0), False
        if self.sgd is not None:
            terms = self._terms
            sizes |= {"terms": dyson_terms.of_model, "closure": terms.build, **terms.sizes}
            work = 3 * self.n + terms.scratch + 1
        elif self.rate is not None:
            alike = bool(np.ptp(self.rate) == 0 and np.ptp(self.noise) == 0)
            sizes |= {"terms": dyson_terms.linear, "alike": alike}
            work = 3 * self.n
        else:
            function = self.potential if self.drift is None else self.drift
            sizes |= {"terms": dyson_terms.by_function, "function": function, "potential": self.drift is None}
            work, extra = 2 * self.n, np.full(FAILED, -1.0)
        # Several vectors a lane value hide the latency of roots, where no replica waits for another.
        together = self.scheme != "semi_implicit" and self.tolerance is None and self.drift is None
        vectors = VECTORS if together and self.potential is None else 1
        code = semi_implicit if self.scheme == "semi_implicit" else dyson
        if self.scheme != "semi_implicit":
            sizes |= {"chi": dyson.draws(self.beta), "adaptive": self.tolerance is not None}
        return Kernel(
            build=code.build, sizes=sizes, reals=self.constants(self.step), integers=np.zeros(1), weights=self.n,
            extra=extra, scratch=code.scratch(self.n, len(extra)) + work,
            vectors=vectors, registers=alike and dyson.draws(self.beta) != "any",
        )  # fmt: skip

    def constants(self, dt: float) -> np.ndarray:
        """The kernel's `reals` for steps of length dt."""
        if self.fast:
            return np.array([dt, self.rate[0], self.noise[0], self.center[0]])
        head = [dt, self.beta, LIMIT, 0.0 if self.tolerance is None else self.tolerance]
        if self.sgd is not None:
            return np.concatenate([head, self._terms.reals])
        if self.rate is not None:
            return np.concatenate([head, [self.beta], self.center, self.rate, self.noise**2])
        return np.concatenate([head, [self.beta], self.noise**2])

    def step_count(self, duration: float) -> int:
        """One exact transition, or steps not longer than `step`."""
        return 1 if self.exact else max(1, math.ceil(duration / self.step * (1 - 1e-12)))

    def working_numbers(self, replicas: int) -> int:
        """Of the exact transitions."""
        count = self.n + int(self.beta) * (self.n * (self.n - 1) // 2) if self.exact else 0
        return working_numbers(count, replicas) if count else 0

    def prepare(self, device: str, dtype: str, threads: int) -> Program:
        """The exact transition, one large gas, or the splitting."""
        if not self.exact and not self.fast:
            return super().prepare(device, dtype, threads)
        if self.fast:
            return self._fast_program(device, threads)
        beta, motion = int(self.beta), (float(self.rate[0]), float(self.center[0]), float(self.noise[0]))
        if device == "cpu":
            return hermitian(self.n, beta, *motion)
        return in_lanes(device, dtype, "hermitian", self.n, self.n, beta, *motion)

    def _fast_program(self, device: str, threads: int) -> Program:
        """Systems one after the other, whose levels all threads share; on a GPU all at once."""
        from ..large import open_large  # brings Numba along, which `import dysonsim` does without

        def open_ensemble(start: np.ndarray, first_replica: int, seed: int) -> Ensemble:
            return open_large(start, first_replica, seed, self.beta, threads, device)

        return Program(open_ensemble, width=1, unit=2**32, parallel=False)

    def start(self, replicas: int, seed: int) -> np.ndarray:
        """The initial levels, ascending, and what the kernel keeps behind them."""
        kernel = self.kernel()
        if self.sgd is not None and self.initial is None:
            p, n = self.sgd.weight_shape
            w = initial_weights(replicas, p * n, seed) * self.sgd.init_scale
            levels = self.sgd.spectra(w)
            levels = levels if self.coordinate == "singular_values" else levels**2
        else:
            levels = self._initial_rows(replicas)
            levels = np.sqrt(levels) if self.coordinate == "singular_values" else levels
        return np.concatenate([levels, np.broadcast_to(kernel.extra, (replicas, len(kernel.extra)))], axis=1)

    def _initial_rows(self, replicas: int) -> np.ndarray:
        return _validate.for_replicas(np.sort(self.center) if self.initial is None else self.initial, replicas)

    def spectra(self, state: np.ndarray) -> np.ndarray:
        return state[:, : self.n]

    def why_left(self, step: int, state: np.ndarray) -> str:
        if self.drift is not None or self.potential is not None:
            level = state[self.n]
            if level >= 0 and not math.isfinite(self._drift_at(float(state[self.n + 1]), int(level))):
                name = "drift" if self.drift is not None else "potential"
                return f"{name} gives no finite number for level {int(level)} at x = {state[self.n + 1]:g}"
            return f"its levels run away: the drift must lead back, also in steps of dt = {self.step:g}"
        if self.sgd is not None:
            return self.sgd.why_left(step, state)
        return "its levels are no longer finite numbers"
