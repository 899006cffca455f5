"""What a run of a Coulomb gas says about its own draws."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels.gas import trace as gas_trace
from ...kernels.gas import wells as gas_wells
from ...numerics.diagnostics import r_hat_of_halves
from .pilot import MIXED, Tuning

__all__ = ["GasDiagnostics", "MixingError", "diagnose_chains", "independent_draws"]


class MixingError(RuntimeError):
    """The Markov chains of a gas have not mixed: `simulate` cannot derive from them how long a run must be.

    Examples
    --------
    >>> import dysonsim as ds
    >>> try:
    ...     raise ds.MixingError("chains have not mixed")  # as `simulate` does, with the reason
    ... except RuntimeError as error:
    ...     print(error)
    chains have not mixed
    """


@dataclass(frozen=True)
class GasDiagnostics:
    """What a run of a `CoulombGas` says about its own draws (`Run.diagnostics`).

    Attributes
    ----------
    method : {"exact", "hmc", "metropolis"}
    acceptance : float
        Share of accepted proposals after the warm-up; 1 for independent draws, NaN if the run ended before.
    tau : dict
        Integrated autocorrelation time in iterations of "sum x", "sum x^2", "lowest" and "highest" level, from 64 pilot
        chains.
    ess : dict
        Independent draws that the records after the warm-up are worth for the mean of each.
    r_hat : dict
        Classic split R-hat of each over all iterations of all replicas after the warm-up; NaN if there were none.
    warm_up : int
        Iterations after which records are taken for draws of the law.
    """

    method: str
    acceptance: float
    tau: dict[str, float]
    ess: dict[str, float]
    r_hat: dict[str, float]
    warm_up: int

    def __str__(self) -> str:
        """Tabulate acceptance, autocorrelation time, effective draws and R-hat."""
        lines = [f"{self.method}: acceptance {self.acceptance:.3g}, warm-up {self.warm_up} iterations"]
        lines += [
            f"{name:>8}: tau {self.tau[name]:.3g}, effective draws {self.ess[name]:.4g}, R-hat {self.r_hat[name]:.4g}"
            for name in gas_trace.OBSERVABLES
        ]
        return "\n".join(lines)


def independent_draws(draws: int) -> GasDiagnostics:
    """Of an exact sampler."""
    one = dict.fromkeys(gas_trace.OBSERVABLES, 1.0)
    return GasDiagnostics("exact", 1.0, one, dict.fromkeys(one, float(draws)), one, 0)


def diagnose_chains(method: str, tuning: Tuning, run: Any) -> GasDiagnostics:
    """Of Markov chains, from the running sums in their states; RuntimeWarning if they disagree or are too short."""
    names, steps = gas_trace.OBSERVABLES, run.last_step
    used = run.steps[run.steps >= tuning.warm_up]
    span = float(used[-1] - used[0]) if len(used) else 0.0
    worth = [run.replicas * min(len(used), 1 + span / tau) for tau in tuning.tau]
    first, second = tuning.second - tuning.warm_up, steps - tuning.second
    at = run.state.shape[1] - gas_wells.FAILED - gas_trace.NUMBERS
    sums = run.state[:, at : at + gas_trace.NUMBERS].astype(np.float64)
    accepted, spread = np.nan, np.full(len(names), np.nan)
    if steps > tuning.warm_up:
        accepted = float(sums[:, -1].mean() / (steps - tuning.warm_up))
    if second >= 2:
        windows = sums[:, :-1].reshape(-1, 2, 2, len(names)) / np.array([first, second])[:, None, None]
        means = windows[:, :, 0].reshape(-1, len(names))
        variances = np.maximum(windows[:, :, 1].reshape(means.shape) - means**2, 0.0)
        spread = r_hat_of_halves(means, variances, 0.5 * (first + second))
    # what windows of this length show although the chains have mixed, with room for errors of tau and of R-hat itself
    short = tuning.tau * (0.5 / first + 0.5 / max(second, 1)) * (1.5 + 5 / np.sqrt(run.replicas))
    excess = np.sqrt(np.maximum(spread**2 - short, 0.0))
    why = ""
    if not tuning.mixed:
        why = f"{tuning.why_not_mixed()} over 64 pilot chains of {tuning.length} iterations"
    elif excess.max() > MIXED:
        at = int(np.argmax(excess))
        why = f"R-hat of {names[at]} is {spread[at]:.3g} (at most {np.hypot(MIXED, np.sqrt(short[at])):.3g} is allowed)"
    if why:
        warnings.warn(
            f"the chains of {run.process} have not mixed: {why}; averages depend on where chains started",
            RuntimeWarning, stacklevel=4,
        )  # fmt: skip
    elif steps < tuning.steps:
        warnings.warn(
            f"steps = {steps}: fewer than the {tuning.steps} after which a record is a fair draw of {run.process}",
            RuntimeWarning, stacklevel=4,
        )  # fmt: skip

    def named(values: Any) -> dict[str, float]:
        return dict(zip(names, map(float, values), strict=True))

    return GasDiagnostics(method, accepted, named(tuning.tau), named(worth), named(spread), tuning.warm_up)
