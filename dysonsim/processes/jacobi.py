"""The Jacobi process: levels between two walls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _validate
from .confined import LIMIT, Confined

__all__ = ["JacobiProcess"]


@dataclass(frozen=True, eq=False)
class JacobiProcess(Confined):
    """The beta-Jacobi process of n levels in [0, 1].

        dx_i = beta noise^2 [p - (p + q) x_i + sum_{j != i} (x_i (1 - x_j) + x_j (1 - x_i))/(x_i - x_j)] dt
               + 2 noise sqrt(x_i (1 - x_i)) dB_i,        a = beta (p - n + 1)/2 - 1,  b = beta (q - n + 1)/2 - 1

    For beta = 1, 2 and whole p, q: the eigenvalues of U^H U, U the p x n corner of a Brownian motion on the orthogonal
    or unitary group of p + q dimensions. Y. Doumerc, thesis, Toulouse (2005); N. Demni, J. Theor. Probab. 23, 518
    (2010).
    For angles, x = sin^2 phi, where the noise is additive,

        dphi_i = noise^2 [(a + 1/2) cot phi_i - (b + 1/2) tan phi_i
                 + (beta/2) sum_{j != i} (cot(phi_i - phi_j) + cot(phi_i + phi_j))] dt + noise dB_i.

    The stationary law is the Jacobi ensemble, weight x^a (1 - x)^b:
    ``laws.gas_log_density(x, beta, "jacobi", a=a, b=b)``.
    E sum x obeys a linear equation, d/dt E sum x = beta noise^2 (n p - (p + q) E sum x).

    Integrated by splitting, see `dysonsim.kernels.walls`: weak order 2 in dt where gaps exceed noise sqrt(2 beta dt).
    At the default step mean levels have biases below 0.3% (1% next to a wall), variances of gaps of 2% to 4%.

    Parameters
    ----------
    a, b : float
        Exponents of the weight, >= -1/2; with less than that a level would be pulled into the wall at 0 (a) or 1 (b),
        which the scheme cannot do.
    beta : float
        Dyson index > 0.
    noise : float
        > 0, per square root of unit time; it sets the unit of time, noise^2 t, and nothing else.
    initial : (n,) or (replicas, n) array, optional
        Levels at time 0, from 0 to 1, in any order; they may coincide. Default: all 0.
    n : int, optional
        Number of levels, where `initial` does not say it.
    dt : float, optional
        Longest step; default 0.05/(noise^2 [a + b + 2 + beta (n - 1)]), in units of the time in which angles relax.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.
    """

    top: ClassVar[float] = 1.0

    a: float
    b: float
    beta: float = 1.0
    noise: float = 1.0
    initial: Any = None
    n: int = None  # type: ignore[assignment]
    dt: float | None = None

    def __post_init__(self) -> None:
        self._check()
        self._set(a=_validate.real("a", self.a, at_least=-0.5), b=_validate.real("b", self.b, at_least=-0.5))

    @property
    def fastest(self) -> float:
        return 2 * self.noise**2 * (self.a + self.b + 2 + self.beta * (self.n - 1))

    def constants(self, dt: float) -> np.ndarray:
        """The kernel's `reals` for steps of length dt."""
        strength = self.noise**2
        return np.array([1.0, strength * dt, self.beta, 2 * self.a + 1, 2 * self.b + 1, dt / 2, strength, LIMIT])

    def _to_state(self, levels: np.ndarray) -> np.ndarray:
        return np.arcsin(np.sqrt(levels))

    def spectra(self, state: np.ndarray) -> np.ndarray:
        """Square roots of the levels."""
        return np.sin(state)
