"""The pilot of a Markov chain for a Coulomb gas: 64 chains of a fixed seed that find its step and its memory.

What the pilot finds depends on the gas alone, so that replica r of a seed is the same whatever runs beside it. The step
is fixed when the run begins: nothing adapts while it is recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...backend import Kernel, driver
from ...kernels.gas import trace as gas_trace
from ...kernels.gas import wells as gas_wells
from ...numerics.diagnostics import autocorrelation_time, r_hat

CHAINS, SEED = 64, 20_241_220
TRAJECTORY = 1.5  # length of a Hamiltonian trajectory, a quarter of a period being pi/2
MOST_LEAPS = 64
ROUNDS, ITERATIONS = 24, 8  # of the search for a step
GRAIN = 0.125  # steps are powers of 2^GRAIN: rounding cannot change them
FIRST_STEP = {"hmc": 0.25, "metropolis": 1.0}
WANTED = {"hmc": 0.85, "metropolis": 0.45}  # acceptance
TRACED = 512  # records of a pilot, at most
SHORTEST, LONGEST, WORK = 256, 2**16, 32 * 10**6  # iterations, and iterations times n^2, of a pilot
HOPELESS = 2.0  # times the longest pilot: the search ends once chains would have to be followed for longer
MEMORIES = 40.0  # autocorrelation times that a pilot must see: 64 chains are worth 2500 draws then
WARM_UP, WINDOWS = 10.0, 30.0  # autocorrelation times of a default run
MIXED = 1.01  # largest R-hat of chains that have mixed (Vehtari et al. 2021); they must be 50 memories long to show it
UNKNOWN = 10.0  # what stands for an autocorrelation time that the pilot could not see


@dataclass(frozen=True)
class Tuning:
    """How a chain is run.

    Parameters
    ----------
    step : float
        Length of a leap, or width of a proposal in units of its own.
    leaps : int
    warm_up, second, steps : int
        Where the windows of the running sums begin, and the iterations of a default run.
    center, unit : (4,) arrays
        Mean and standard deviation of the observables of `dysonsim.kernels.gas.trace`.
    tau : (4,) array
        Their autocorrelation times in iterations, the longer one of those of the numbers and of their ranks.
    r_hat : (4,) array
        Of the pilot, of ranks.
    length : int
        Iterations of the pilot behind `tau` and `r_hat`.
    """

    step: float
    leaps: int
    warm_up: int
    second: int
    steps: int
    center: np.ndarray
    unit: np.ndarray
    tau: np.ndarray
    r_hat: np.ndarray
    length: int = 0

    @property
    def mixed(self) -> bool:
        """Whether R-hat and the length of the pilot say that the chains have mixed."""
        return bool(self.r_hat.max() <= MIXED and self.tau.max() * MEMORIES <= self.length)

    def why_not_mixed(self) -> str:
        """Say what keeps the pilot from being trusted."""
        names, worst = gas_trace.OBSERVABLES, int(np.argmax(self.r_hat))
        if self.r_hat[worst] > MIXED:
            return f"R-hat of {names[worst]} is {self.r_hat[worst]:.4g} (at most {MIXED} is allowed)"
        worst = int(np.argmax(self.tau))
        return f"{names[worst]} remembers {self.tau[worst]:.3g} iterations ({MEMORIES:g} times that must be followed)"


def untuned(method: str) -> Tuning:
    """Where the search begins."""
    step = FIRST_STEP[method]
    still = np.zeros(4)
    return Tuning(step, _leaps(method, step), 0, 2**62, 2**62, still, still + 1, still + 1, still + 1)


def run_pilot(
    method: str,
    n: int,
    kernel: Callable[[Tuning], Kernel],
    start: Callable[[int, int], np.ndarray],
    levels: Callable[[np.ndarray], np.ndarray],
    check: Callable[[np.ndarray], None],
) -> Tuning:
    """Find the step, then follow the chains until they are 40 autocorrelation times long and agree.

    Parameters
    ----------
    method : {"hmc", "metropolis"}
    n : int
        Levels.
    kernel, start, levels, check : callable
        The kernel of a tuning; start values of so many chains of a seed; ascending levels of states; raises an error
        for states that a user's function has spoilt.
    """
    tuning = untuned(method)
    state = start(CHAINS, SEED)
    iteration = 0

    def advance(state: np.ndarray, count: int, tuning: Tuning, every: int) -> tuple[np.ndarray, np.ndarray]:
        nonlocal iteration
        made = kernel(tuning)
        ensemble = driver("cpu").prepare(made, "float64").open(state, 0, SEED)
        seen = []
        for _ in range(0, count, every):
            ensemble.advance(iteration, every)
            iteration += every
            seen.append(levels(ensemble.state()))
        check(ensemble.state())
        return ensemble.state(), np.stack(seen, axis=1)

    logarithm = np.log2(tuning.step)
    for turn in range(ROUNDS):
        accepted = _accepted(state)
        state, _ = advance(state, ITERATIONS, tuning, ITERATIONS)
        moved = (_accepted(state) - accepted) / ITERATIONS
        logarithm += (moved - WANTED[method]) * (6.0 if turn < ROUNDS // 2 else 2.0)
        step = float(2 ** (GRAIN * round(logarithm / GRAIN)))
        tuning = replace(tuning, step=step, leaps=_leaps(method, step))

    longest = int(min(LONGEST, max(SHORTEST, WORK // n**2)))
    count = SHORTEST
    while True:
        every = max(1, count // TRACED)
        state, seen = advance(state, count, tuning, every)
        x = observables(seen)
        tau = np.maximum(autocorrelation_time(x), autocorrelation_time(x, ranked=True)) * every
        tau = np.maximum(tau, 1.0)
        spread = r_hat(x)
        tuning = replace(tuning, tau=tau, r_hat=spread, length=count)
        # While chains do not mix their memory is seen too short: what must be followed only grows.
        hopeless = not tuning.mixed and float(tau.max()) * MEMORIES > HOPELESS * longest
        if tuning.mixed or hopeless or 2 * count > longest:
            break
        count *= 2
    memory = float(tau.max()) if tuning.mixed else UNKNOWN
    warm_up = int(np.ceil(WARM_UP * memory)) + 10
    window = int(np.ceil(0.5 * WINDOWS * memory))
    unit = x.std(axis=(0, 1))
    return replace(
        tuning, warm_up=warm_up, second=warm_up + window, steps=warm_up + 2 * window,
        center=x.mean(axis=(0, 1)), unit=np.where(unit > 0, unit, 1.0),
    )  # fmt: skip


def observables(levels: np.ndarray) -> np.ndarray:
    """Return sum x, sum x^2, lowest and highest level of ascending levels (..., n), shape (..., 4)."""
    return np.stack([levels.sum(axis=-1), (levels**2).sum(axis=-1), levels[..., 0], levels[..., -1]], axis=-1)


def _leaps(method: str, step: float) -> int:
    return int(np.clip(np.ceil(TRAJECTORY / step), 1, MOST_LEAPS)) if method == "hmc" else 1


def _accepted(state: np.ndarray) -> float:
    """Proposals accepted so far, per chain."""
    return float(state[:, -1 - gas_wells.FAILED].mean())
