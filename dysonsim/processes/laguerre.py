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
    """Eigenvalues of W^T W (Wishart, or Laguerre process) with dW = -rate W dt + noise dB, W of shape (m, n).

    Every one of the beta real components of an entry of W has a Brownian motion B of its own. So

        dx_i = [-2 rate x_i + beta noise^2 (m + sum_{j != i} (x_i + x_j)/(x_i - x_j))] dt + 2 noise sqrt(x_i) dB_i,

    and for singular values, x = xi^2, where the noise is additive,

        dxi_i = [-rate xi_i + noise^2 (beta (m - n + 1) - 1)/(2 xi_i)
                 + (beta noise^2/2) sum_{j != i} (1/(xi_i - xi_j) + 1/(xi_i + xi_j))] dt + noise dB_i.

    M.-F. Bru, J. Theor. Probab. 4, 725 (1991); W. Konig, N. O'Connell, Elect. Comm. Probab. 6, 107 (2001). The
    stationary law is the Laguerre ensemble, weight x^(beta (m - n + 1)/2 - 1) exp(-x/2 s^2), s^2 = noise^2/(2 rate):
    ``laws.gas_log_density(x, beta, "laguerre", scale=s, m=m)``. E sum x and E sum x^2 obey linear equations,

        d/dt E sum x = -2 rate E sum x + beta noise^2 m n,
        d/dt E sum x^2 = -4 rate E sum x^2 + noise^2 (2 beta (m + n - 1) + 4) E sum x.

    Parameters
    ----------
    m : float
        Rows, m >= n - 1 + 1/beta; a whole number for the scheme "matrix". Less than that, and the lowest level would
        be pulled into the wall at 0, which neither scheme can do.
    beta : float
        Dyson index > 0.
    rate : float
        >= 0, per unit time; 0 is free motion.
    noise : float
        > 0, per square root of unit time.
    initial : (n,) or (replicas, n) array, optional
        Eigenvalues at time 0, >= 0, in any order; they may coincide. Default: all 0.
        Replica r starts from row r.
    n : int, optional
        Number of levels, where `initial` does not say it.
    scheme : {"auto", "matrix", "bordering"}
        Both are exact transitions for any length of time. "matrix": singular values of W; for beta = 1, 2, 4 and whole
        m; on the CPU in float64. "bordering": one level after the other, see `dysonsim.kernels.dyson.bordering`; for
        any beta and m. "auto": the first where it exists. ("pairs", the name of a splitting that there was, is taken
        for "bordering".)
    dt : float, optional
        Has no influence any more: there are no steps. Accepted so that older scripts run.

    Notes
    -----
    No step, no bias: the law at every time is exact to rounding, from levels that coincide as well. A transition of
    n levels takes a time of order n^3 whatever its length: on one core about 0.5 us for n = 3, 8 us for 10, 3 ms for
    100, and 5 s for 1000, during which nothing can interrupt it. So it pays to record no more often than needed. Proved
    for beta = 1, 2, 4, and for any beta from levels that are all 0; for other beta see
    `dysonsim.kernels.dyson.bordering`. Float32 has levels to about 1e-6 of the largest, and noise below 1e-12 of the
    levels is not told from none.

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
        return state * self._unit
