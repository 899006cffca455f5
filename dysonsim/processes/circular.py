"""Dyson's circle process: eigenvalues of a Brownian motion on a unitary group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _checks
from ..backend import Kernel
from ..kernels.dyson import circle
from .base import Process
from .confined import MOST_DEGREES

__all__ = ["CircularProcess"]

JUMP = 0.3  # angle of a default step, of which all levels together take their share
COARSEST = 1.0  # the same, of the longest step that there is
FEWEST = 4  # default steps between two records, for each level
ALONE = 0.05  # default step of a single level, in units of its relaxation time
WIDEST = 300  # levels up to which four vectors of replicas together fit into the cache
LARGEST = 1e150  # noise that can be squared, and smallest the inverse


@dataclass(frozen=True, eq=False)
class CircularProcess(Process):
    """Dyson's circle process: n angles that repel each other with any Dyson index beta.

        dtheta_i = (beta noise^2/2) sum_{j != i} cot((theta_i - theta_j)/2) dt + sqrt(2) noise dB_i

    For beta = 2 these are the eigenvalues exp(i theta) of a Brownian motion on the unitary group, for beta = 1 and 4 on
    the symmetric spaces of the circular orthogonal and symplectic ensembles (F. J. Dyson, J. Math. Phys. 3 (1962)
    1191). The stationary law is the circular ensemble, prod_{i<j} |exp(i theta_i) - exp(i theta_j)|^beta, of which
    ``CoulombGas.circular(n, beta)`` draws. Angles are recorded in (-pi, pi], in ascending order.

    With p_k = sum_i exp(i k theta_i), two means obey linear equations:

        d/dt E p_1 = -r E p_1,  r = noise^2 [1 + beta (n - 1)/2],
        d/dt E |p_1|^2 = -2 r (E |p_1|^2 - c),  c = 2 n/(2 + beta (n - 1)).

    In the stationary state with beta = 2, E p_k(t) conj(p_k(0)) = exp(-s k n) sinh(s k^2)/sinh(s k) for k <= n and
    s = noise^2 t.

    Parameters
    ----------
    n : int, optional
        Number of levels. Needed only if `initial` is not given.
    beta : float
        Dyson index > 0.
    noise : float
        Strength of the noise, > 0, per square root of unit time. It sets the unit of time, noise^2 t, and nothing else.
    initial : (n,) or (replicas, n) array, optional
        Angles at time 0, in any order and of any winding; they may coincide. Default: evenly spaced, from -pi + pi/n.
        Replica r starts from row r.
    dt : float, optional
        Fixed step, for those who want to see its error. It is cut to what the scheme allows. Default: steps that move
        all levels together by an angle of 0.3, 2 n (n beta/2 + 1) noise^2 dt = 0.3^2, and at least 4 n of them from one
        record to the next.

    Notes
    -----
    The step (`dysonsim.kernels.dyson.circle`) keeps the order of the levels and has the circular ensemble as its exact
    invariant law, for any step; E p_1 and E |p_1|^2 are exact at all times as well. What has an error, of first order
    in the step, is how fast the rest relaxes: see the table there. Starting from levels that coincide, the first steps
    part one of them each. Records follow each other by at least 4 n steps, so that none shows them.

    To follow one replica for the time 1/r takes 2 n^2 (n beta/2 + 1)/(0.09 r) evaluations of a sum of n terms, or about
    3 us on one core for n = 3, 35 us for 10, .5 ms for 30 and 12 ms for 100, whatever beta is.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Examples
    --------
    >>> import dysonsim as ds
    >>> motion = ds.CircularProcess(n=3, beta=2.0)
    >>> run = ds.simulate(motion, replicas=16, times=[0.1, 0.2], seed=1)
    >>> bool((abs(run.eigenvalues) <= 3.1416).all())
    True
    """

    continuous: ClassVar[bool] = True
    own_units = True

    n: int = None  # type: ignore[assignment]
    beta: float = 1.0
    noise: float = 1.0
    initial: Any = None
    dt: float | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.n is None and self.initial is None:
            raise ValueError("n is missing: give n, or initial levels")
        shape = () if self.initial is None else _checks.shape_of("initial", self.initial)
        n = _checks.integer("n", shape[-1] if self.n is None and shape else self.n, 1, most=_checks.MOST_LEVELS)
        self._set(
            n=n,
            initial=_checks.levels("initial", self.initial, n),
            beta=_checks.real("beta", self.beta, above=0, below=MOST_DEGREES),
            noise=_checks.real("noise", self.noise, above=0),
            dt=None if self.dt is None else _checks.real("dt", self.dt, above=0),
        )
        if not 1 / LARGEST < self.noise < LARGEST:
            raise ValueError(f"noise = {self.noise:g}: must be between {1 / LARGEST:g} and {LARGEST:g}")

    @property
    def fastest(self) -> float:
        """Rate at which E p_1 relaxes."""
        return self.noise**2 * (1 + 0.5 * self.beta * (self.n - 1))

    def _time_of(self, angle: float) -> float:
        """Length of a step that moves all levels together by so much."""
        if self.n == 1:
            return ALONE * (angle / JUMP) ** 2 / self.fastest
        return angle**2 / (2 * self.n * (0.5 * self.n * self.beta + 1) * self.noise**2)

    @property
    def step(self) -> float:
        """Longest step: `dt`, or that by which all levels together move by an angle of 0.3."""
        return self._time_of(JUMP) if self.dt is None else min(self.dt, self._time_of(COARSEST))

    def step_count(self, duration: float) -> int:
        """Count steps not longer than `step`, and unless `dt` is given at least 4 n."""
        least = FEWEST * self.n if self.dt is None and self.n > 1 else 1
        return max(least, math.ceil(duration / self.step * (1 - 1e-12)))

    def constants(self, dt: float) -> np.ndarray:
        """Return the kernel's `reals` for steps of length dt."""
        time = self.noise**2 * dt
        a, variance = circle.jump(self.n, self.beta, time)
        cotangent = 1 / math.tan(0.5 * a) if a > 0 else math.inf
        return np.array([self.beta, cotangent, 0.5 * a / self.n, 0.5 * math.sqrt(variance)])

    def kernel(self) -> Kernel:
        """Of `dysonsim.kernels.dyson.circle`."""
        n = self.n
        return Kernel(
            circle.build, {}, self.constants(self.step), np.array([n]), weights=n, scratch=circle.scratch(n),
            vectors=4 if n <= WIDEST else 1,
        )  # fmt: skip

    def start(self, replicas: int, seed: int, first: int = 0) -> np.ndarray:
        """Return the tangents of half the initial angles, in the order of the circle."""
        angles = (2 * np.arange(self.n) + 1) * (np.pi / self.n) - np.pi if self.initial is None else self.initial
        tangents = np.tan(0.5 * np.sort(wrapped(angles), axis=-1))
        return _checks.for_replicas(tangents, replicas, first)

    def spectra(self, state: np.ndarray) -> np.ndarray:
        """Angles in (-pi, pi], ascending."""
        return np.sort(2 * np.arctan(state.astype(np.float64)), axis=-1)


def wrapped(angles: np.ndarray) -> np.ndarray:
    """Return angles in (-pi, pi]."""
    return -np.remainder(-np.asarray(angles, np.float64) + np.pi, 2 * np.pi) + np.pi
