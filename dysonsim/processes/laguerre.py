"""The Laguerre process: eigenvalues of W^T W where the entries of W are Ornstein-Uhlenbeck processes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _validate
from ..backend import Program
from .confined import LIMIT, Confined
from .matrix_motion import in_lanes, rectangular, working_numbers

__all__ = ["LaguerreProcess"]

SCHEMES = ("auto", "matrix", "pairs")


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
        be pulled into the wall at 0, which no scheme here can do.
    beta : float
        Dyson index > 0.
    rate : float
        >= 0, per unit time; 0 is free motion.
    noise : float
        > 0, per square root of unit time.
    initial : (n,) or (replicas, n) array, optional
        Eigenvalues at time 0, >= 0, in any order; they may coincide. Default: all 0.
    n : int, optional
        Number of levels, where `initial` does not say it.
    scheme : {"auto", "matrix", "pairs"}
        "matrix": exact transition for any length of time; for beta = 1, 2, 4 and whole m; on the CPU in float64.
        "pairs": splitting, see `dysonsim.kernels.walls`; E sum x is exact, the rest of weak order 2 in dt where gaps
        exceed noise sqrt(2 beta dt) (at the default step mean levels within 0.3%, variances of gaps within 4%). "auto":
        the first where it exists.
    dt : float, optional
        Longest step of the splitting; default 0.1/rate, or 0.1 at rate 0.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.
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
            m=_validate.real("m", self.m, at_least=self.n - 1 + 1 / self.beta),
            rate=_validate.real("rate", self.rate, at_least=0),
        )
        _validate.choice("scheme", self.scheme, SCHEMES)
        if self.scheme == "matrix" and not self._is_matrix:
            raise ValueError(
                f"scheme = 'matrix': needs beta = 1, 2 or 4 and a whole m >= n = {self.n}, not beta = "
                f"{_validate.exact(self.beta)} and m = {_validate.exact(self.m)}"
            )

    @property
    def _is_matrix(self) -> bool:
        return self.beta in (1, 2, 4) and self.m == int(self.m) and self.m >= self.n

    @property
    def exact(self) -> bool:
        """Whether the transition from one record to the next is exact, whatever time lies between them."""
        return self.scheme != "pairs" and self._is_matrix

    @property
    def fastest(self) -> float:
        return self.rate

    def constants(self, dt: float) -> np.ndarray:
        """The kernel's `reals` for steps of length dt; of the exact transition, dt alone."""
        if self.exact:
            return np.array([dt])
        turn = self.rate * dt
        clock = dt if turn == 0 else math.sinh(turn) / self.rate  # the noise acts between two decays of half a step
        wall = self.beta * (self.m - self.n + 1) - 1
        variance = self.noise**2 * clock
        return np.array([math.exp(-turn / 2), variance, self.beta, wall, 0.0, dt / 2, self.noise**2, LIMIT])

    def step_count(self, duration: float) -> int:
        """One exact transition, or steps not longer than `step`."""
        return 1 if self.exact else super().step_count(duration)

    def working_numbers(self, replicas: int) -> int:
        """Of the exact transitions."""
        return working_numbers(int(self.beta) * int(self.m) * self.n, replicas) if self.exact else 0

    def prepare(self, device: str, dtype: str, threads: int) -> Program:
        """The exact transition, or the splitting."""
        if not self.exact:
            return super().prepare(device, dtype, threads)
        sizes = int(self.m), self.n, int(self.beta)
        if device == "cpu":
            return rectangular(*sizes, self.rate, self.noise)
        return in_lanes(device, dtype, "rectangular", *sizes, self.rate, 0.0, self.noise)

    def _to_state(self, levels: np.ndarray) -> np.ndarray:
        return np.sqrt(levels)

    def spectra(self, state: np.ndarray) -> np.ndarray:
        return state
