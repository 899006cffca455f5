"""Dyson Brownian motion of eigenvalues."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np

from ... import _checks
from ...backend import Kernel, Program
from ...kernels.common import quantile
from ...kernels.dyson import nested
from ..base import NetworkProcess, Process, initial_weights
from ..matrix_motion import LinearMotion, hermitian, in_lanes, working_numbers
from .checks import of_levels, of_model
from .common_point import from_common_point
from .gaps import check_strict_order, drift_at, gap_step, slopes, warn_after, warn_before
from .kernel import constants, fast_program, kernel

__all__ = ["Dyson"]

SCHEMES = ("auto", "matrix", "bordering", "nested", "pairs", "fast", "semi_implicit")
LARGE, LARGE_STEPS = 2000, 400  # levels from which "auto" takes the fast sum: without dt, and with dt
BORDERED = 100  # levels up to which "auto" takes exact transitions by bordering, whose cost grows as n^3
STEP = 0.1  # longest step of "pairs", in units of the fastest relaxation time
DIRECT = 32  # levels of a model up to which "nested" freezes no force
OUTER_STEPS = 20  # more levels than this shorten a step of "nested" in proportion, so that none takes long
LONGEST = 10.0  # longest step of any scheme, in the same unit: beyond, exp(rate dt) leaves floating point


@dataclass(frozen=True, eq=False)
class Dyson(Process):
    """Dyson Brownian motion of the eigenvalues of a network, or of any levels.

    ``Dyson(sgd)`` takes the drift K_i(x) and the noise g_ij(x) from the model of an `SGD`:

        dx_i = [K_i(x) + sum_{j != i} g_ij^2 / (x_i - x_j)] dt + sqrt(2) g_ii dB_i       (arXiv:2412.20496, section 2)

    Time counts SGD steps, and levels start from the spectrum of the initial weights of `SGD`. Without a training, the
    process is

        dx_i = K_i(x_i) dt + beta g_i^2 sum_{j != i} dt / (x_i - x_j) + sqrt(2) g_i dB_i

    where K_i is -rate_i (x_i - center_i), a function `drift`, or -dV/dx of a function `potential`. Its stationary state
    is the Coulomb gas P ~ prod_{i<j} |x_i - x_j|^beta exp(-sum_i V_i(x_i)/g_i^2) of ordered levels (for beta >= 1
    levels never cross). A linear drift gives wells of width g_i/sqrt(rate_i).

    Parameters
    ----------
    sgd : SGD, optional
        Take everything from this training. Only `closure`, `dt` and `initial` can then be given as well.
    n : int, optional
        Number of levels. Needed only if neither `initial` nor another array determines it.
    beta : float
        Dyson index > 0, the strength of the repulsion.
    rate : float or (n,) array, optional
        Rate >= 0 of a linear drift, per unit time; 0 means no drift. Default: 1, unless a function is given.
    center : float or (n,) array
        Fixed point of the linear drift.
    drift : function, optional
        K(x), or K(x, i) for level i = 0, 1, ..., of one number x. Plain Python, which Numba compiles together with the
        functions that it calls; or decorated with numba.njit; or a functools.partial of these. A second parameter
        without a default must be called i, and all others need defaults. Global variables, closures and arrays are
        captured when the process is made, and later changes have no effect. 1/0 gives inf and sqrt(-1) gives nan,
        without an error.
    potential : function, optional
        V(x) or V(x, i), instead of `drift`. It is differentiated numerically (error about 1e-10).
    noise : float or (n,) array
        g > 0, per square root of unit time.
    initial : (n,) or (replicas, n) array, optional
        Levels at time 0, in any order; they may coincide. Default: all at `center`, or at 0.
        Replica r starts from row r.
    closure : {"corrected", "independent"}
        For `Dyson(sgd)`: how the model's eigenvectors are treated. With "independent", as in the paper, they stay those
        of the target. With "corrected", their mean rotation away from the target's is included.
    scheme : {"auto", "matrix", "bordering", "nested", "pairs", "fast", "semi_implicit"}
        How levels are moved from one record to the next.

        - "matrix": exact transition of a matrix Ornstein-Uhlenbeck process, over any time. For beta = 1, 2, 4, a linear
          drift, and the same rate, center and noise for all levels.
        - "bordering": the same for any beta, one level after the other (`dysonsim.kernels.dyson.bordering`), in a time
          of order n^3 per record.
        - "nested": inner steps that follow the gaps, with far forces computed once in ten of them
          (`dysonsim.kernels.dyson.nested`). For any drift and noise.
        - "pairs": steps of fixed length (`dysonsim.kernels.dyson.pairs`).
        - "fast": for one system of many levels at a time. Neighbors move in pairs; the rest is a fast multipole sum, or
          on "cuda" a direct sum (`dysonsim.numerics.many_levels`). For any beta, in float64, under the conditions of
          "matrix", and for initial levels that are all different or all equal.
        - "semi_implicit": levels stay strictly ordered at every step, but the bias is large unless dt is small.
        - "auto": the first that applies of "fast" (2000 levels or more; 400 if `dt` is given), "matrix" and, if neither
          `dt` nor `tolerance` is given, "bordering" (up to 100 levels) and "nested"; else "pairs".
    dt : float, optional
        Longest step of "pairs", "fast" and "semi_implicit". It must resolve the gaps, which relax about n times faster
        than the levels. If it is too long, `simulate` warns and says which step would do. Default: 0.1 of the shortest
        relaxation time (of a function: at the initial levels), or 0.04 gap^2/(g^2 (1 + beta)) with the mean gap, if
        that is less.
    tolerance : float, optional
        For "pairs": shorten steps where three levels come close, to 4 g^2 beta h <= tolerance (x_{i+2} - x_i)^2, and
        where a curved drift changes by more than this fraction of the noise. Steps are chosen before noise is drawn.

    Notes
    -----
    Levels that all start from one point under the same linear drift follow a known law at any time: a scaled Gaussian
    beta-ensemble. "nested" and "fast" draw the first record from it.

    Biases measured for "nested" (n = 5 to 30, beta to 50): below 0.5% (mean ratio of successive gaps), 0.3% (mean gaps,
    top level), 0.6% (mean squares of gaps and levels) and 2% (smallest gap). For "fast" (2000 levels, beta = 0.5 and
    1.5, errors in brackets): -0.3 (0.2)%, -0.2 (0.1)% (mean ratio), +0.5 (0.4)%, +0.7 (0.4)% (variance of gaps), +4
    (1)%, +9 (2)% (number of gaps below a fifth of the mean).

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Examples
    --------
    >>> import dysonsim as ds
    >>> motion = ds.Dyson(n=3, beta=2.0, rate=1.0, noise=0.5)
    >>> run = ds.simulate(motion, replicas=64, times=[0.0, 0.5, 3.0], seed=1)
    >>> run.eigenvalues.shape
    (64, 3, 3)
    >>> print(run.eigenvalues.std(axis=(0, 2)).round(1))
    [0.  0.7 0.9]
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
        """Check the fields, and that the scheme can move these levels."""
        _checks.choice("closure", self.closure, ("corrected", "independent"))
        _checks.choice("scheme", self.scheme, SCHEMES)
        if self.dt is not None:
            self._set(dt=_checks.real("dt", self.dt, above=0))
        if self.tolerance is not None:
            self._set(tolerance=_checks.real("tolerance", self.tolerance, above=0))
        if self.sgd is not None:
            self._set(**of_model(self))
            self._set(coordinate=self.terms.coordinate)
        else:
            self._set(**of_levels(self))
        why = {"matrix": self._why_no_matrix, "bordering": self.why_not_alike}.get(self.scheme, str)()
        if why:
            raise ValueError(f"scheme = {self.scheme!r}: no exact transition is known for {why}")
        if self.scheme == "semi_implicit":
            check_strict_order(self)
        if self.tolerance is not None and (self.exact or self.fast or self.scheme in ("semi_implicit", "nested")):
            raise ValueError(
                f"tolerance = {self.tolerance:g}: steps are controlled in scheme = 'pairs' only; leave it out elsewhere"
            )
        if self.dt is not None and self.scheme == "nested":
            raise ValueError(f"dt = {self.dt:g}: scheme = 'nested' chooses its steps by the gaps; take 'pairs' for dt")
        if self.scheme == "fast" and self._why_not_fast():
            raise ValueError(f"scheme = 'fast': cannot be had for {self._why_not_fast()}")

    def _why_no_matrix(self) -> str:
        """Say what stands in the way of the exact transition; empty if nothing does."""
        if self.beta not in (1, 2, 4):
            return f"beta = {_checks.exact(self.beta)} (it is for 1, 2 and 4)"
        return self.why_not_alike()

    def _why_not_fast(self) -> str:
        """Say what stands in the way of the fast sum; empty if nothing does."""
        if self.n < 2:
            return "one level"
        if self.why_not_alike():
            return self.why_not_alike()
        if not self.from_common_point and (np.diff(self.initial, axis=-1) <= 0).any():
            return "initial levels that coincide, unless all of them do"
        return ""

    def why_not_alike(self) -> str:
        """Say why levels do not all move under the same linear drift and noise; empty if they do."""
        if self.rate is None:
            return "a drift that is not linear" if self.sgd is None else "the drift of a model"
        for name in ("rate", "center", "noise"):
            if np.ptp(getattr(self, name)) > 0:
                return f"levels of different {name}"
        return ""

    @cached_property
    def terms(self) -> Any:
        """Drift, noise and repulsion of the model, for the kernel."""
        assert self.sgd is not None
        return self.sgd.model.dyson_terms(self.sgd.learning_rate, self.sgd.batch_size, closure=self.closure)

    @property
    def exact(self) -> bool:
        """Whether the transition from one record to the next is exact, whatever time lies between them."""
        return self.in_matrices or self.bordered

    @property
    def in_matrices(self) -> bool:
        """Whether transitions are those of matrices."""
        if self.scheme != "auto":
            return self.scheme == "matrix"
        return self.sgd is None and not self._why_no_matrix() and not self.fast

    @property
    def bordered(self) -> bool:
        """Whether transitions are exact by bordering."""
        if self.scheme != "auto":
            return self.scheme == "bordering"
        given = self.dt is not None or self.tolerance is not None
        return not (given or self.n > BORDERED or self.in_matrices or self.why_not_alike())

    @cached_property
    def fast(self) -> bool:
        """Whether the repulsion of far levels is a fast sum."""
        large = self.scheme == "auto" and self.n >= (LARGE if self.dt is None else LARGE_STEPS) and self.sgd is None
        return self.scheme == "fast" or (large and not self._why_not_fast())

    @property
    def nested(self) -> bool:
        """Whether steps follow the gaps, with far forces once in ten of them."""
        if self.scheme != "auto":
            return self.scheme == "nested"
        return not (self.exact or self.fast) and self.dt is None and self.tolerance is None

    @property
    def direct(self) -> bool:
        """Whether "nested" freezes no force: of a model of few levels."""
        return self.sgd is not None and self.n <= DIRECT

    @cached_property
    def from_common_point(self) -> bool:
        """Whether all levels start from one point under the same linear drift: then their law is known at any time."""
        return not self.why_not_alike() and (self.initial is None or not np.ptp(self.initial, axis=-1).any())

    @property
    def jumps(self) -> bool:
        """Whether the first record is drawn from its exact law."""
        return self.n > 1 and (self.nested or self.fast) and self.from_common_point

    @cached_property
    def fastest(self) -> float:
        """Largest rate at which a level relaxes, 0 if none is known."""
        if self.sgd is not None:
            rates = self.sgd.relaxation_rates()
        elif self.rate is not None:
            rates = self.rate
        else:
            rates = slopes(self)
        return float(np.max(rates[np.isfinite(rates)], initial=0.0))

    @cached_property
    def gap_step(self) -> float:
        """Longest step of fixed length that resolves the gaps; infinite where none have to be."""
        return gap_step(self)

    @cached_property
    def step(self) -> float:
        """Longest step of the integrator: `dt`, or its default."""
        if self.dt is not None:
            relaxed = LONGEST / self.fastest if self.rate is not None and self.fastest > 0 else math.inf
            return min(self.dt, relaxed)
        if self.fast:
            return self.gap_step if self.gap_step < math.inf else STEP
        longest = STEP / self.fastest if self.fastest > 0 else math.inf
        if self.nested:
            return longest / 2 * nested.inner_steps(self.n, self.direct) / max(1.0, self.n / OUTER_STEPS)
        longest = min(longest, self.gap_step)
        return longest if longest < math.inf else STEP

    def kernel(self) -> Kernel:
        """Bordering, nested steps, the splitting into pairs or the strictly ordered scheme."""
        return kernel(self)

    def constants(self, dt: float) -> np.ndarray:
        """Return the kernel's `reals` for steps of length dt."""
        return constants(self, dt)

    @cached_property
    def table(self) -> np.ndarray:
        """Of the quantiles of the gaps' openings, `dysonsim.kernels.common.quantile`."""
        return quantile.constants(self.beta if self.sgd is None else 1.0)

    def step_count(self, duration: float) -> int:
        """One exact transition, or steps not longer than `step`."""
        return 1 if self.exact else max(1, math.ceil(duration / self.step * (1 - 1e-12)))

    def working_numbers(self, replicas: int) -> int:
        """Of the exact transitions."""
        count = self.n + int(self.beta) * (self.n * (self.n - 1) // 2) if self.in_matrices else 0
        return working_numbers(count, replicas) if count else 0

    def prepare(self, device: str, dtype: str, threads: int) -> Program:
        """Transitions of matrices, one large gas, or what `kernel` says."""
        if not self.in_matrices:
            program = fast_program(self, device, threads) if self.fast else super().prepare(device, dtype, threads)
            if not self.jumps:
                return program
            return from_common_point(program, device, dtype, self.n, self.beta, self._motion(), self._state)
        if device == "cpu":
            return hermitian(self.n, int(self.beta), self._motion())
        return in_lanes(device, dtype, "hermitian", self.n, self.n, int(self.beta), self._motion())

    def _motion(self) -> LinearMotion:
        """Return the motion of the first level, where all move alike."""
        return LinearMotion(float(self.rate[0]), float(self.center[0]), float(self.noise[0]))

    def start(self, replicas: int, seed: int, first: int = 0) -> np.ndarray:
        """Return the initial levels, ascending, and what the kernel keeps behind them."""
        if self.sgd is not None and self.initial is None:
            draw = partial(initial_weights, replicas, seed=seed, first=first)
            given = self.sgd.model.initial_state(draw, self.sgd)
            w = draw(self.sgd.model.weight_numbers) * self.sgd.init_scale if given is None else given
            levels = self.sgd.spectra(w)
            levels = levels if self.coordinate == "singular_values" else levels**2
        else:
            levels = self._initial_rows(replicas, first)
            levels = np.sqrt(levels) if self.coordinate == "singular_values" else levels
        return self._state(levels)

    def _state(self, levels: np.ndarray) -> np.ndarray:
        """Levels (replicas, n) and what the kernel keeps behind them."""
        if self.fast or self.exact:
            return np.array(levels)
        state = np.concatenate([levels, np.tile(self.built().extra, (len(levels), 1))], axis=1)
        if self.nested and self.n > 2:
            state[:, 2 - self.n :] = nested.first_averages(levels)
        return state

    def _initial_rows(self, replicas: int, first: int = 0) -> np.ndarray:
        return _checks.for_replicas(np.sort(self.center) if self.initial is None else self.initial, replicas, first)

    def spectra(self, state: np.ndarray) -> np.ndarray:
        """Return the levels, which come first in the state."""
        return state[:, : self.n]

    def warn(self, stacklevel: int) -> None:
        """Say that a step of fixed length is too coarse for the gaps."""
        warn_before(self, stacklevel + 1)

    def diagnose(self, run: Any) -> None:
        """Say the same after a run, where gaps could not be foreseen."""
        warn_after(self, run)

    def why_left(self, step: int, state: np.ndarray) -> str:
        """Name the level at which a function failed, or what makes levels run away."""
        if self.drift is not None or self.potential is not None:
            level, x = int(state[self.n]), float(state[self.n + 1])
            if level >= 0 and math.isfinite(x) and not math.isfinite(drift_at(self, x, level)):
                name = "drift" if self.drift is not None else "potential"
                return f"{name} gives no finite number for level {level} at x = {x:g}"
            return f"its levels run away: the drift must lead back, also in steps of dt = {self.step:g}"
        if self.sgd is not None:
            return self.sgd.why_left(step, state)
        return "its levels are no longer finite numbers"
