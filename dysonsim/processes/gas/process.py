"""The Coulomb gas of eigenvalues: the stationary state that Dyson Brownian motion ends in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ... import _checks
from ..._functions import LevelFunction, level_function
from ..._patience import told_if_slow
from ...backend import Kernel
from ...kernels.gas import trace as gas_trace
from ...kernels.gas import wells as gas_wells
from ..base import NetworkProcess, Process, initial_weights
from .checks import of_ensemble, of_model
from .diagnostics import GasDiagnostics, MixingError, diagnose_chains, independent_draws
from .kernel import chain, exact_draws
from .mode import Coordinates, Mode, find_mode
from .pilot import Tuning, run_pilot, untuned
from .wells import Wells, checked_walls

__all__ = ["CoulombGas", "GasDiagnostics", "MixingError"]

DISPERSION = 1.5  # spread of many levels at the start, where sum x is as wide as in the law
MATCH = {"float64": 1e-9, "float32": 1e-3}  # relative tolerance between levels and the position of their chain
RESOLVED = (
    1e12  # beta up to which the energies of a chain are good to 1e-3 (measured: they still are at 1e14, not at 1e16)
)
METHODS = ("auto", "exact", "hmc", "metropolis")


@dataclass(frozen=True, eq=False, repr=False)
class CoulombGas(Process):
    """Coulomb gas: levels with the joint density prod_{i<j} |x_i - x_j|^beta exp(-sum_i V_i(x_i)), any x_i.

    ``CoulombGas(sgd)`` takes beta = 1 and the wells from a model: V_i = (x - x_i^s)^2 / 2 sigma_i^2 around its fixed
    points x_i^s, with sigma_i^2 = g_ii^2/Omega_i to leading order in alpha/|B| (arXiv:2412.20496). As in the paper, all
    pairs repel alike. Levels of different wells then repel more than in SGD; `Dyson` has a closure that corrects this.

    Levels are recorded in ascending order. A well belongs to a label, though, and not to a rank: the level of a narrow
    well may lie on either side of its neighbor. For two levels this is `laws.TwoSpecies`.

    Parameters
    ----------
    sgd : SGD, optional
        Take everything from this training. Only `method` can then be given as well.
    beta : float
        Dyson index > 0.
    centers, widths : float or (n,) array
        V_i = (x - centers_i)^2 / 2 widths_i^2. Default: 0 and 1.
    potential : function, optional
        V(x), or V(x, i) for label i = 0, 1, ..., of one number, instead of wells. Plain Python or decorated with
        numba.njit, as for `Dyson`. It must grow faster than (1 + beta (n - 1)) log|x|. It may be inf where no level can
        be; where it becomes inf at one x for all levels, there is a wall.
    n : int, optional
        Number of levels. Needed only if no array determines it.
    walls : (float or None, float or None), optional
        Lower and upper bound of all levels.
    method : {"auto", "exact", "hmc", "metropolis"}
        "exact" draws independent levels from tridiagonal matrices, one draw a step. It applies to equal quadratic
        wells, `laguerre` and `jacobi`, and in another way to `circular`. "hmc" and "metropolis" are Markov chains, one
        iteration a step, for any gas (`dysonsim.kernels.gas`). "auto" takes the first that applies.

        Chains are tuned by 64 pilot chains. If the rank-normalized split R-hat of these stays above 1.01, `simulate`
        raises a `MixingError`, or warns if `steps` are given. That happens with barriers, and at walls with a weight
        x^(c - 1) where c is below about 0.02 for "hmc", or 0.2 for "metropolis".
    ensemble, parameters : {"wells", "laguerre", "jacobi", "circular"}, tuple
        Set by the class methods: (m, width) for `laguerre`, (a, b) for `jacobi`.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed, and for a potential that does not confine the levels or is not a number.

    Examples
    --------
    >>> import dysonsim as ds
    >>> gas = ds.CoulombGas.hermite(n=3, beta=2.0)
    >>> run = ds.simulate(gas, replicas=64, seed=1)
    >>> print(run.eigenvalues.mean(axis=(0, 1)).round(1))
    [-1.7  0.1  1.9]
    """

    sgd: NetworkProcess | None = None
    beta: float = 1.0
    centers: Any = None
    widths: Any = None
    potential: Callable[..., float] | None = None
    n: int = None  # type: ignore[assignment]
    walls: Any = None
    method: str = "auto"
    ensemble: str = "wells"
    parameters: tuple[float, ...] = ()

    @classmethod
    def hermite(
        cls, n: int, beta: float, width: float = 1.0, center: float = 0.0, *, method: str = "auto"
    ) -> CoulombGas:
        """Make a Gaussian ensemble: weight exp(-(x - center)^2 / 2 width^2), `width` > 0.

        E sum (x - center)^2 is width^2 [n + beta n (n - 1)/2].
        """
        return cls(
            beta=beta, n=n, method=method,
            centers=_checks.real("center", center), widths=_checks.real("width", width, above=0),
        )  # fmt: skip

    @classmethod
    def laguerre(cls, n: int, m: float, beta: float, width: float = 1.0, *, method: str = "auto") -> CoulombGas:
        """Make a Laguerre ensemble: weight x^(beta (m - n + 1)/2 - 1) exp(-x / 2 width^2), x > 0.

        These are eigenvalues of W^T W for W of shape (m, n), where each of the beta real components of an entry has
        variance width^2. m > n - 1 need not be an integer.
        """
        return cls(beta=beta, n=n, method=method, ensemble="laguerre", parameters=(m, width))

    @classmethod
    def jacobi(cls, n: int, a: float, b: float, beta: float, *, method: str = "auto") -> CoulombGas:
        """Make a Jacobi ensemble: weight x^a (1 - x)^b on 0 < x < 1, a and b > -1.

        For correlations between matrices, a = beta (m1 - n + 1)/2 - 1.
        """
        return cls(beta=beta, n=n, method=method, ensemble="jacobi", parameters=(a, b))

    @classmethod
    def circular(cls, n: int, beta: float, *, method: str = "auto") -> CoulombGas:
        """Make a circular ensemble: angles theta with the density prod_{i<j} |exp(i theta_i) - exp(i theta_j)|^beta.

        Angles are recorded in (-pi, pi], in ascending order. This is the stationary law of `CircularProcess`. Draws are
        independent and exact for any beta (`dysonsim.kernels.gas.circular`); E |sum exp(i theta)|^2 is
        2 n/(2 + beta (n - 1)).

        Examples
        --------
        >>> import dysonsim as ds
        >>> run = ds.simulate(ds.CoulombGas.circular(n=5, beta=2.0), replicas=64, seed=1)
        >>> run.eigenvalues.shape
        (64, 1, 5)
        """
        return cls(beta=beta, n=n, method=method, ensemble="circular")

    def __post_init__(self) -> None:
        """Check the fields, and that the wells hold the levels."""
        _checks.choice("method", self.method, METHODS)
        _checks.choice("ensemble", self.ensemble, ("wells", "laguerre", "jacobi", "circular"))
        self._set(beta=_checks.real("beta", self.beta, above=0))
        if self.sgd is not None:
            self._set(**of_model(self))
        arrays = {"centers": self.centers, "widths": self.widths}
        shapes = [_checks.shape_of(name, value) for name, value in arrays.items() if value is not None]
        sizes = [shape[-1] for shape in shapes if shape]
        if self.n is None and not sizes:
            raise ValueError("n is missing: give n, or centers or widths of every level")
        n = sizes[0] if self.n is None else self.n
        self._set(n=_checks.integer("n", n, 1))
        if self.ensemble != "wells":
            self._set(**of_ensemble(self))
        elif not isinstance(self.parameters, tuple) or self.parameters:
            raise ValueError(f"parameters = {_checks.shown(self.parameters)}: must be left out for wells")
        self._set(walls=checked_walls(self.walls))
        if self.potential is not None:
            for name in ("centers", "widths"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} and potential exclude each other: give one of them")
            self._set(potential=level_function("potential", self.potential, self.n))
            self.wells.check_confinement(self.beta)
        elif self.ensemble == "wells":
            centers = _checks.vector("centers", 0.0 if self.centers is None else self.centers, self.n)
            widths = _checks.vector("widths", 1.0 if self.widths is None else self.widths, self.n, above=0)
            if float(widths.max()) / float(widths.min()) > 1e60:
                raise ValueError(f"widths from {widths.min():g} to {widths.max():g}: no more than a factor 1e60 apart")
            self._set(centers=centers, widths=widths)
        if self.sampler != "exact" and self.beta > RESOLVED:
            raise ValueError(
                f"beta = {self.beta:g}: a Markov chain weighs differences of energies, which rounding hides beyond "
                f"beta = {RESOLVED:g}"
            )
        if self.method == "exact" and self._why_not_exact():
            raise ValueError(f"method = 'exact': no independent draws are known for {self._why_not_exact()}")

    def __repr__(self) -> str:
        """Write the call that makes this gas."""
        how = "" if self.method == "auto" else f", method={self.method!r}"
        if self.sgd is not None:
            return f"CoulombGas({self.sgd!r}{how})"
        if self.ensemble == "laguerre":
            return f"CoulombGas.laguerre({self.n}, {self.parameters[0]:g}, {self.beta:g}, {self.parameters[1]:g}{how})"
        if self.ensemble == "jacobi":
            return f"CoulombGas.jacobi({self.n}, {self.parameters[0]:g}, {self.parameters[1]:g}, {self.beta:g}{how})"
        if self.ensemble == "circular":
            return f"CoulombGas.circular({self.n}, {self.beta:g}{how})"
        walls = "" if self.walls is None else f", walls={self.walls}"
        if self.potential is not None:
            return f"CoulombGas(beta={self.beta:g}, potential={self.potential}, n={self.n}{walls}{how})"
        shown = [
            f"{float(a[0]):g}" if np.ptp(a) == 0 else np.array2string(a, threshold=8)
            for a in (self.centers, self.widths)
        ]
        return f"CoulombGas(beta={self.beta:g}, n={self.n}, centers={shown[0]}, widths={shown[1]}{walls}{how})"

    @cached_property
    def units(self) -> tuple[float, float]:
        """Origin and length in which levels are drawn, so that nothing depends on the units of a user.

        The length is a power of two: a change of units costs no rounding. A function of the user is taken as it is.
        """
        if self.potential is not None or self.ensemble in ("jacobi", "circular"):
            return 0.0, 1.0
        if self.ensemble == "laguerre":
            return 0.0, _power_of_two(self.parameters[1]) ** 2
        return float((self.centers / self.n).sum()), _power_of_two(np.exp(np.log(self.widths).mean()))

    @cached_property
    def wells(self) -> Wells:
        """The wells and walls for NumPy, in `units`."""
        origin, unit = self.units
        lower, upper = (-np.inf, np.inf) if self.walls is None else ((w - origin) / unit for w in self.walls)
        if self.potential is not None:
            assert isinstance(self.potential, LevelFunction)
            kind = "labeled" if self.potential.labeled else "function"
            return Wells(kind, self.n, lower, upper, function=self.potential).up_to_edges()
        if self.ensemble == "laguerre":
            m, width = self.parameters[0], self.parameters[1] / np.sqrt(unit)
            power = (0.5 / width**2, 0.5 * self.beta * (m - self.n + 1) - 1, 0.0)
            return Wells("power", self.n, lower, upper, power)
        if self.ensemble == "jacobi":
            a, b = self.parameters
            return Wells("power", self.n, lower, upper, (0.0, a, b))
        kind = "one" if np.ptp(self.centers) == 0 and np.ptp(self.widths) == 0 else "many"
        centers, widths = (self.centers - origin) / unit, self.widths / unit
        return Wells(kind, self.n, lower, upper, centers=centers, widths=widths)

    def _why_not_exact(self) -> str:
        if self.potential is not None:
            return "a potential of one's own"
        if self.ensemble != "wells":
            return ""
        if self.walls is not None:
            return "quadratic wells between walls"
        return "" if self.wells.kind == "one" else "levels of different wells"

    @property
    def sampler(self) -> str:
        """Which of "exact", "hmc" and "metropolis" is used."""
        if self.method != "auto":
            return self.method
        return "hmc" if self._why_not_exact() else "exact"

    @cached_property
    def mode(self) -> Mode:
        """The most likely levels and the curvature there, which scale the moves."""
        import scipy.linalg  # noqa: F401 (a BLAS that is loaded later would not be limited)

        from ...backend.cpu import one_blas_thread

        with one_blas_thread():
            return find_mode(self.wells, self.beta)

    @cached_property
    def tuning(self) -> Tuning:
        """Step and length of the Markov chain, from a pilot run of 64 chains with a seed of its own."""
        with told_if_slow("finding step and length of a Markov chain, by a pilot of 64 chains"):
            return run_pilot(self.sampler, self.n, self._chain, self._dispersed, self._ascending, self._check_word)

    def kernel(self) -> Kernel:
        """Return the kernel."""
        return exact_draws(self) if self.sampler == "exact" else self._chain(self.tuning)

    def _chain(self, tuning: Tuning) -> Kernel:
        """Return the Markov chain run in a certain way."""
        return chain(self, tuning)

    def _dispersed(self, replicas: int, seed: int, first: int = 0) -> np.ndarray:
        """States of chains that start as far apart as the law is wide, and farther."""
        wells, mode, n = self.wells, self.mode, self.n
        coordinates = Coordinates(wells)
        x = wells.place(wells.draw(initial_weights(replicas, n, seed, first), mode.temperature))[0]
        order = np.argsort(coordinates.sign * x, axis=1)
        x = np.take_along_axis(x, order, axis=1)
        if n > 1:  # independent levels lie too close together and too far out: move them toward the mode
            x = mode.levels + min(0.5, DISPERSION / np.sqrt(n * max(self.beta, 1.0))) * (x - mode.levels)
        tags = [tag[order] for tag in wells.tags(mode.temperature)]
        middle, last = [], []
        if self.sampler == "hmc":
            q = mode.unscaled(coordinates.of_levels(x))
            middle, last = [q, np.zeros((replicas, n))], [np.zeros((replicas, 1))]
        else:
            back = np.argsort(order, axis=1)  # a sweep expects every label in its place
            x, tags = np.take_along_axis(x, back, axis=1), [np.take_along_axis(t, back, axis=1) for t in tags]
        ends = [np.zeros((replicas, gas_trace.NUMBERS)), np.tile([-1.0, 0.0], (replicas, 1))]
        return np.concatenate([x, *middle, *tags, *last, *ends], axis=1)

    @property
    def state_size(self) -> int:
        """Numbers of a replica's state; an exact sampler keeps the levels only."""
        return self.n if self.sampler == "exact" else self._chain(untuned(self.sampler)).state

    def fault_of_state(self, state: np.ndarray) -> str:
        """Whether a chain has another word of failure, or stands elsewhere than its levels say."""
        if self.sampler == "exact":
            return ""
        if (state[:, -gas_wells.FAILED] >= 0).any():
            return "state: says that the potential gave no number"
        lower, upper = self.wells.lower, self.wells.upper
        levels = np.asarray(state[:, : self.n], np.float64)
        if not ((levels >= lower) & (levels <= upper)).all():
            return "state: has levels beyond the walls"
        if self.sampler == "hmc":
            y = self.mode.y0 + np.asarray(state[:, self.n : 2 * self.n], np.float64) @ self.mode.factor.T
            with np.errstate(all="ignore"):
                off = np.abs(Coordinates(self.wells).to_levels(y) - levels)
            if not (off <= MATCH[state.dtype.name] * (self.mode.scale + np.abs(levels).max())).all():
                return "state: has levels where its chain is not"
        return ""

    def start(self, replicas: int, seed: int, first: int = 0) -> np.ndarray:
        """Draw start values more dispersed than the stationary law; zeros for an exact sampler."""
        if self.sampler == "exact":
            return np.zeros((replicas, self.n))
        return self._dispersed(replicas, seed, first)

    def spectra(self, state: np.ndarray) -> np.ndarray:
        """Return ascending levels in the user's units."""
        origin, unit = self.units
        return origin + unit * self._ascending(state)

    def _ascending(self, state: np.ndarray) -> np.ndarray:
        """Levels of states in `units`."""
        if self.ensemble == "circular":  # the state are the tangents of half the angles
            return np.sort(2 * np.arctan(state.astype(np.float64)), axis=1)
        return np.sort(state[:, : self.n].astype(np.float64), axis=1)

    def degrees(self) -> dict[str, float]:
        """Of the exact draws."""
        own = {"laguerre": ("m",), "jacobi": ("a", "b")}.get(self.ensemble, ())
        return {"beta": self.beta} | dict(zip(own, self.parameters, strict=False))

    @property
    def own_units(self) -> bool:  # type: ignore[override]
        """Whether the kernel works in units of the wells, which it does unless a function or [0, 1] fixes them."""
        return self.potential is None and self.ensemble != "jacobi"

    def lengths(self) -> dict[str, Any]:
        """Those of the wells; of `laguerre` the square of the width, which is the unit of the levels."""
        if self.ensemble == "laguerre":
            return {"widths": np.float64(self.parameters[1]) ** 2}
        return super().lengths()

    def default_steps(self) -> int:
        """One draw, or 40 autocorrelation times; MixingError if the pilot's chains disagree."""
        if self.sampler == "exact":
            return 1
        if not self.tuning.mixed:
            exact = "" if self._why_not_exact() else "; method = 'exact' needs no chains"
            raise MixingError(
                f"the chains of {self} have not mixed: {self.tuning.why_not_mixed()} over 64 pilot chains of "
                f"{self.tuning.length} iterations, the most that are tried. Levels that barriers keep apart, or that a "
                "wall draws, are weighted by where chains start, not by the law; give steps= to run regardless"
                f"{exact}"
            )
        return self.tuning.steps

    def why_left(self, step: int, state: np.ndarray) -> str:
        """Name the level at which the potential gave nan."""
        if self.potential is not None and self.sampler != "exact" and state[-2] >= 0:
            level = f"label {int(state[-2])}" if self.wells.kind == "labeled" else f"level {int(state[-2])}"
            return f"potential gives nan for {level} at x = {state[-1]:g}; it must be inf where no level can be"
        return super().why_left(step, state)

    def _check_word(self, state: np.ndarray) -> None:
        """ValueError if the potential was no number in one of these states of chains."""
        spoilt = np.flatnonzero(state[:, -2] >= 0)
        if len(spoilt):
            raise ValueError(self.why_left(0, state[spoilt[0]]))

    def diagnose(self, run: Any) -> GasDiagnostics:
        """Return acceptance, memory and agreement of the chains; RuntimeWarning if they disagree or are too short."""
        if self.sampler == "exact":
            return independent_draws(run.replicas * len(run.steps))
        return diagnose_chains(self.sampler, self.tuning, run)


def _power_of_two(length: float) -> float:
    return float(2.0 ** np.round(np.log2(length)))
