"""The Laguerre process: eigenvalues of W^T W where the entries of W are Ornstein-Uhlenbeck processes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from .. import _checks
from ..backend import Kernel, Program
from ..kernels.dyson import bordering
from .confined import MOST_DEGREES, Confined
from .matrix_motion import LinearMotion, in_lanes, rectangular, working_numbers

__all__ = ["LaguerreProcess"]

SCHEMES = ("auto", "matrix", "bordering", "pairs")  # the last was a splitting, and is taken for the third
LARGEST = 1e300  # stationary levels that there can be, and smallest the inverse


@dataclass(frozen=True, eq=False)
class LaguerreProcess(Confined):
    """Laguerre (Wishart) process: eigenvalues of W^T W, where W of shape (m, n) obeys dW = -rate W dt + noise dB.

    Entries of W are real for beta = 1, complex for 2, quaternions for 4. Each of their beta real components has a
    Brownian motion B of its own. The eigenvalues then obey

        dx_i = [-2 rate x_i + beta noise^2 (m + sum_{j != i} (x_i + x_j)/(x_i - x_j))] dt + 2 noise sqrt(x_i) dB_i,

    which is the definition for any other beta. The noise is additive for the singular values xi, x = xi^2:

        dxi_i = [-rate xi_i + noise^2 (beta (m - n + 1) - 1)/(2 xi_i)
                 + (beta noise^2/2) sum_{j != i} (1/(xi_i - xi_j) + 1/(xi_i + xi_j))] dt + noise dB_i.

    M.-F. Bru, J. Theor. Probab. 4, 725 (1991); W. Konig, N. O'Connell, Elect. Comm. Probab. 6, 107 (2001).

    The stationary law is the Laguerre ensemble, with weight x^(beta (m - n + 1)/2 - 1) exp(-x/2 s^2) and s^2 =
    noise^2/(2 rate): ``laws.gas_log_density(x, beta, "laguerre", scale=s, m=m)``. Two means obey linear equations:

        d/dt E sum x = -2 rate E sum x + beta noise^2 m n,
        d/dt E sum x^2 = -4 rate E sum x^2 + noise^2 (2 beta (m + n - 1) + 4) E sum x.

    Parameters
    ----------
    m : float
        Number of rows, at least n - 1 + 1/beta. For smaller m the lowest level would be pulled into the wall at 0,
        which neither scheme can handle. The scheme "matrix" needs a whole number.
    beta : float
        Dyson index > 0.
    rate : float
        Rate of the linear drift, >= 0, per unit time. With 0 the entries of W are free Brownian motions.
    noise : float
        Strength of the noise, > 0, per square root of unit time.
    initial : (n,) or (replicas, n) array, optional
        Eigenvalues at time 0, >= 0, in any order; they may coincide. Default: all 0.
        Replica r starts from row r.
    n : int, optional
        Number of levels. Needed only if `initial` is not given.
    scheme : {"auto", "matrix", "bordering"}
        How to get from one record to the next. Both schemes are exact for any length of time. "matrix" moves W and
        takes its singular values; for beta = 1, 2, 4 and whole m, on the CPU in float64. "bordering" draws one level
        after the other, for any beta and m (`dysonsim.kernels.dyson.bordering`). "auto" takes "matrix" where it
        applies. "pairs", the name of an older scheme, is read as "bordering".
    dt : float, optional
        Ignored, since there are no steps. Accepted so that older scripts run.

    Notes
    -----
    There are no time steps, and so no bias: the law at every time is exact up to rounding, even if levels start
    together. This is proved for beta = 1, 2, 4, and for any beta if all levels start at 0. For other cases see
    `dysonsim.kernels.dyson.bordering`.

    A transition takes a time of order n^3, whatever its length: on one core about 0.5 us for n = 3, 8 us for 10, 3 ms
    for 100, and 5 s for 1000. Nothing can interrupt it. So record no more often than you need.

    In float32, levels are good to about 1e-6 of the largest, and noise below 1e-12 of the levels counts as none.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Examples
    --------
    >>> import dysonsim as ds
    >>> motion = ds.LaguerreProcess(m=5, beta=1.0, n=3, initial=[1.0, 2.0, 3.0])
    >>> run = ds.simulate(motion, replicas=16, times=[0.0, 1.0], seed=1)
    >>> print(run.eigenvalues[0, 0].round(6))
    [1. 2. 3.]
    """

    top: ClassVar[float] = math.inf

    m: float
    beta: float = 1.0
    rate: float = 1.0
    noise: float = 1.0
    initial: Any = None
    n: int = None  # type: ignore[assignment]
    scheme: str = "auto"
    dt: float | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        self._check()
        self._set(
            m=_checks.real("m", self.m, at_least=self.n - 1 + 1 / self.beta, below=MOST_DEGREES),
            rate=_checks.real("rate", self.rate, at_least=0),
        )
        _checks.choice("scheme", self.scheme, SCHEMES)
        self._check_scale()
        if self.scheme == "matrix" and not self._is_matrix:
            raise ValueError(
                f"scheme = 'matrix': needs beta = 1, 2 or 4 and a whole m >= n = {self.n}, not beta = "
                f"{_checks.exact(self.beta)} and m = {_checks.exact(self.m)}"
            )

    def _check_scale(self) -> None:
        """Refuse levels that floating point cannot hold."""
        if self.rate > 0:
            size = math.log10(self.beta * self.m * self.n) + 2 * math.log10(self.noise) - math.log10(2 * self.rate)
        else:
            size = 2 * math.log10(self.noise)
        if abs(size) > math.log10(LARGEST):
            raise ValueError(
                f"noise = {self.noise:g}, rate = {self.rate:g}: levels would be of the size 10^{size:.0f}, which "
                "floating point cannot hold; choose other units"
            )

    @property
    def _is_matrix(self) -> bool:
        return self.beta in (1, 2, 4) and self.m == int(self.m) and self.m >= self.n

    @property
    def exact(self) -> bool:
        """Whether the transition from one record to the next is exact, whatever time lies between them: always."""
        return True

    @property
    def step(self) -> float:
        """A tenth of the relaxation time, or of the unit of time at rate 0; no transition needs to be that short."""
        return 0.1 / self.rate if self.rate > 0 else 0.1

    def step_count(self, duration: float) -> int:
        """One."""
        return 1

    @cached_property
    def _unit(self) -> float:
        """The power of two near the largest of the scales of singular values, in which the state is kept.

        So that float32 can hold it. The transitions by bordering have a unit of their own, of each replica at its time:
        at rate 0 levels outgrow any that is fixed, and their fourth powers occur.
        """
        scale = math.log2(self.noise) - (0.5 * math.log2(self.rate) if self.rate > 0 else 0.0)
        largest = 0.0 if self.initial is None else float(self.initial.max())
        if largest > 0:
            scale = max(scale, 0.5 * math.log2(largest))
        return math.ldexp(1.0, round(scale))

    @property
    def _in_matrices(self) -> bool:
        return self.scheme in ("auto", "matrix") and self._is_matrix

    def constants(self, dt: float) -> np.ndarray:
        """Return the kernel's `reals` for a transition of length dt; of matrices, dt alone."""
        return np.array([dt]) if self._in_matrices else self._reals(dt)

    def _reals(self, dt: float) -> np.ndarray:
        turn, noise = self.rate * dt, self.noise / self._unit
        variance = noise**2 * dt if turn == 0 else noise**2 * (-math.expm1(-2 * turn) / (2 * self.rate))
        return np.array([math.exp(-turn), variance, self.beta, self.beta * (self.m - self.n + 1), math.inf])

    def kernel(self) -> Kernel:
        """Return the transition by bordering."""
        n = self.n
        return Kernel(
            bordering.build, {"ensemble": "laguerre"}, self._reals(self.step), np.array([n]), weights=n,
            scratch=bordering.scratch(n),
        )  # fmt: skip

    def working_numbers(self, replicas: int) -> int:
        """Of the transitions of matrices."""
        return working_numbers(int(self.beta) * int(self.m) * self.n, replicas) if self._in_matrices else 0

    def prepare(self, device: str, dtype: str, threads: int) -> Program:
        """Transitions of matrices where there are such, else by bordering."""
        if not self._in_matrices:
            return super().prepare(device, dtype, threads)
        sizes, motion = (int(self.m), self.n, int(self.beta)), LinearMotion(self.rate, 0.0, self.noise / self._unit)
        if device == "cpu":
            return rectangular(*sizes, motion)
        return in_lanes(device, dtype, "rectangular", *sizes, motion)

    def _to_state(self, levels: np.ndarray) -> np.ndarray:
        return np.sqrt(levels) / self._unit

    def spectra(self, state: np.ndarray) -> np.ndarray:
        """Singular values of the matrix, in the user's units."""
        return state * self._unit
