"""The Jacobi process: levels between two walls."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from .. import _checks
from ..backend import Kernel
from ..kernels.common import quantile
from ..kernels.dyson import walls, walls_forces
from ..kernels.dyson.pairs import quick_draws
from .confined import MOST_DEGREES, Confined
from .dyson.gaps import warn_of_gaps

__all__ = ["JacobiProcess"]

# Longest inner step: in units of d^2/(noise^2 (1 + beta)), d the rms distance of next neighbors, and in units of the
# time in which the sum of the levels relaxes.
REACH, CAP = 0.05, 0.15
LONGEST = 4.0  # step, in the unit of the second
COARSE = 2.0  # steps so much longer than those that would do are warned of
LARGEST = 1e150  # noise that can be squared, and smallest the inverse


@dataclass(frozen=True, eq=False)
class JacobiProcess(Confined):
    """Jacobi process: n levels in [0, 1] that repel each other with any Dyson index beta.

        dx_i = beta noise^2 [p - (p + q) x_i + sum_{j != i} (x_i (1 - x_j) + x_j (1 - x_i))/(x_i - x_j)] dt
               + 2 noise sqrt(x_i (1 - x_i)) dB_i,        a = beta (p - n + 1)/2 - 1,  b = beta (q - n + 1)/2 - 1

    For beta = 1, 2 and whole p, q these are the eigenvalues of U^H U, where U is the p x n corner of a Brownian motion
    on the orthogonal or unitary group of p + q dimensions. Y. Doumerc, thesis, Toulouse (2005); N. Demni, J. Theor.
    Probab. 23, 518 (2010).

    The noise is additive for the angles phi, x = sin^2 phi:

        dphi_i = noise^2 [(a + 1/2) cot phi_i - (b + 1/2) tan phi_i
                 + (beta/2) sum_{j != i} (cot(phi_i - phi_j) + cot(phi_i + phi_j))] dt + noise dB_i.

    The stationary law is the Jacobi ensemble, with weight x^a (1 - x)^b:
    ``laws.gas_log_density(x, beta, "jacobi", a=a, b=b)``. The mean of the sum obeys a linear equation,
    d/dt E sum x = beta noise^2 (n p - (p + q) E sum x).

    Parameters
    ----------
    a, b : float
        Exponents of the weight, >= -1/2. With less, a level would be pulled into the wall at 0 (a) or at 1 (b), which
        the scheme cannot handle.
    beta : float
        Dyson index > 0.
    noise : float
        Strength of the noise, > 0, per square root of unit time. It sets the unit of time, noise^2 t, and nothing else.
    initial : (n,) or (replicas, n) array, optional
        Levels at time 0, from 0 to 1, in any order; they may coincide. Default: all 0. Replica r starts from row r.
    n : int, optional
        Number of levels. Needed only if `initial` is not given.
    dt : float, optional
        Fixed step, for those who want to see its bias. It is cut to the time in which E sum x relaxes, and `simulate`
        warns if it is too coarse for the gaps. Default: steps that follow the gaps, at most 0.15 of that time.

    Notes
    -----
    Steps follow the gaps of each replica (`dysonsim.kernels.dyson.walls`). They have a bias: no matrix or ensemble is
    known that has the law of the levels at a finite time. The bias was measured in the stationary state. The table has
    it in percent, with the standard error of the last digits in brackets. Small gaps are those below a fifth of the
    mean, and the lowest and the top angle are distances from their walls.

        n, beta, a, b        mean ratio   mean square gap   small gaps   lowest angle   top angle    sum of levels
        3, 1.5, 0, 0.5       -.11 (4)     +.15 (8)          +3.1 (7)     -.10 (5)       -.07 (4)     -.00 (2)
        10, 1.5, 0, 0.5      -.07 (7)     +.09 (15)         +2.0 (13)    +.14 (18)      +.11 (15)    +.04 (3)
        10, 0.5, -0.5, 1     +.14 (9)     +.09 (22)         -.6 (6)      -.11 (27)      +.16 (13)    -.00 (5)
        30, 2.5, 1.5, 0      +.07 (11)    -.12 (14)         +1 (4)       -.22 (32)      -.42 (50)    -.02 (2)
        100, 1.5, -0.5, 1    -.12 (21)    -.04 (19)         +5 (4)       -1.4 (22)      +.6 (10)     -.01 (2)

    The bias is not measured beyond n = 100.

    Levels may start together, on a wall or between the walls. The first inner steps are then 2^-30 of a step (2^-20 in
    float32), and wrong; that is forgotten long before the first record.

    To follow one replica for the time in which E sum x relaxes takes 1 us on one core for n = 3, 7 us for 10, 75 us for
    30 and 1.6 ms for 100 (beta = 1.5), and from there on grows about as n^2.5. It takes longer at small beta, and next
    to walls that do not repel (a or b = -1/2).

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Examples
    --------
    >>> import dysonsim as ds
    >>> motion = ds.JacobiProcess(a=0.3, b=0.0, n=3, beta=1.5)
    >>> run = ds.simulate(motion, replicas=16, times=[0.1, 0.2], seed=1)
    >>> bool((run.eigenvalues > 0).all() and (run.eigenvalues < 1).all())
    True
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
        """Check the fields."""
        self._check()
        if not 1 / LARGEST < self.noise < LARGEST:
            raise ValueError(f"noise = {self.noise:g}: must be between {1 / LARGEST:g} and {LARGEST:g}")
        for name in ("a", "b"):
            self._set(**{name: _checks.real(name, getattr(self, name), at_least=-0.5, below=MOST_DEGREES)})

    @property
    def fastest(self) -> float:
        """Rate at which E sum x relaxes."""
        return 2 * self.noise**2 * (self.a + self.b + 2 + self.beta * (self.n - 1))

    @property
    def step(self) -> float:
        """Longest step: `dt`, or a few times the relaxation time of the sum of the levels; gaps divide it further."""
        longest = LONGEST / self.fastest / max(1.0, self.n / 100)
        return longest if self.dt is None else min(self.dt, 1 / self.fastest)

    def step_count(self, duration: float) -> int:
        """Count steps not longer than `step`."""
        return max(1, math.ceil(duration / self.step * (1 - 1e-12)))

    @cached_property
    def _tables(self) -> np.ndarray:
        few = [quick_draws(self.beta) == "few", *(walls.wall_draws(d) == "few" for d in self._degrees[1:])]
        tables = [
            quantile.constants(d) if yes else np.zeros(quantile.COUNT)
            for d, yes in zip(self._degrees, few, strict=True)
        ]
        return np.concatenate(tables)

    @property
    def _degrees(self) -> tuple[float, float, float]:
        """Degrees of freedom of the openings: of gaps, of both walls."""
        return self.beta, 2 * self.a + 1, 2 * self.b + 1

    def constants(self, dt: float) -> np.ndarray:
        """Return the kernel's `reals` for steps of length dt."""
        limits = [REACH / (1 + self.beta), CAP * self.noise**2 / self.fastest] if self.dt is None else [math.inf] * 2
        return np.array([self.noise**2 * dt, *self._degrees, *limits, *self._tables])

    def kernel(self) -> Kernel:
        """Of `dysonsim.kernels.dyson.walls`."""
        n, group = self.n, walls_forces.group_size(self.n)
        sizes = {
            "n": n, "chi": quick_draws(self.beta), "walls": tuple(walls.wall_draws(d) for d in self._degrees[1:]),
            "inner": walls.INNER if self.dt is None else 1, "size": group,
        }  # fmt: skip
        return Kernel(
            walls.build, sizes, self.constants(self.step), np.zeros(1), weights=n, extra=np.zeros(walls.extra(n)),
            scratch=walls.scratch(n, group),
        )  # fmt: skip

    def warn(self, stacklevel: int) -> None:
        """Say that `dt` is too coarse for the gaps, which are pi/2n on average."""
        gap = math.pi / (2 * self.n)
        fine = 4 * REACH * (gap / self.noise) ** 2 / (1 + self.beta)
        if self.dt is not None and self.dt > COARSE * fine:
            warn_of_gaps(self.dt, fine, stacklevel + 1)

    def _to_state(self, levels: np.ndarray) -> np.ndarray:
        angles = np.arcsin(np.sqrt(levels))
        return np.concatenate([angles, walls.first_averages(angles)], axis=-1)

    def spectra(self, state: np.ndarray) -> np.ndarray:
        """Square roots of the levels."""
        return np.sin(state[:, : self.n])
