"""Which of two laws describes the levels better: the likelihood ratio, with whole replicas as units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._checks import shown
from .._text import aligned, plain, with_error
from ..ensembles.observable import Choice, Levels
from ..spectra.observables import replicated, warn_of_one_spectrum
from .distributions import as_law, law_name, read
from .fit import Fit, FittedLaw, fit_law


@dataclass(frozen=True)
class LikelihoodRatio:
    """Result of `likelihood_ratio`. Positive numbers favor law a.

    Attributes
    ----------
    difference, error : float
        Mean over replicas of log L_a - log L_b, the log-likelihoods summed over the levels of a replica
        (natural logarithms), and its standard error.
    z, pvalue : float
        difference / error, and the two-sided normal p-value of the hypothesis that both laws are equally near
        to the truth in Kullback-Leibler distance.
    aic_difference : float
        AIC_b - AIC_a, with the effective number of parameters of each fit (Takeuchi): above 0 favors a.
    a, b : FittedLaw
    replicas, levels : int
    """

    difference: float
    error: float
    z: float
    pvalue: float
    aic_difference: float
    a: FittedLaw
    b: FittedLaw
    replicas: int
    levels: int

    def __str__(self) -> str:
        """Tabulate both laws, the difference with its error, and which law is better."""
        better = "equally good" if self.pvalue >= 1e-3 else f"{'a' if self.difference > 0 else 'b'} is better"
        rows = [
            ["law a", _described(self.a)],
            ["law b", _described(self.b)],
            ["log L_a - log L_b per replica", with_error(self.difference, self.error)],
            ["z, p-value", f"{self.z:.2f}, {self.pvalue:.3g}"],
            ["AIC_b - AIC_a", f"{self.aic_difference:.2f}"],
            ["verdict at 0.001", better],
        ]
        return f"likelihood ratio: {self.replicas} replicas x {self.levels} levels\n{aligned(rows)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return plain(
            {
                "law_a": _described(self.a),
                "law_b": _described(self.b),
                "difference": self.difference,
                "error": self.error,
                "z": self.z,
                "pvalue": self.pvalue,
                "aic_difference": self.aic_difference,
                "replicas": self.replicas,
                "levels": self.levels,
            }
        )


def _described(fitted: FittedLaw) -> str:
    """Name and parameters with six digits; the fitted ones with their errors."""
    parameters = getattr(fitted.law, "parameters", None)
    if parameters is None:
        return law_name(fitted.law)
    shown = {name: _shown(value, fitted.errors.get(name)) for name, value in parameters.items() if value is not None}
    values = ", ".join(f"{name} = {value}" for name, value in shown.items())
    return f"{type(fitted.law).__name__}: {values}"


def _shown(value: Any, error: float | None) -> str:
    """Write a parameter; of several numbers the first five."""
    if not isinstance(value, tuple):
        return with_error(value, error)
    more = ", ..." if len(value) > 5 else ""
    return f"({', '.join(f'{number:.6g}' for number in value[:5])}{more})"


def likelihood_ratio(
    data: Any,
    law_a: Any,
    law_b: Any,
    *,
    fit_a: Fit = None,
    fit_b: Fit = None,
    observable: Choice = "eigenvalues",
    levels: Levels = None,
    record: Levels = -1,
) -> LikelihoodRatio:
    """Compare two laws on the same data (Vuong, Econometrica 57, 307 (1989)).

    The unit is the replica: levels of one network may depend on each other in any way. Neither law need be true.

    Parameters
    ----------
    data, observable, levels, record
        As for `compare`.
    law_a, law_b : law or class of laws
        All parameters of a class are fitted.
    fit_a, fit_b : None, "all" or names
        Parameters of an instance that are fitted first, by maximum likelihood.

    Returns
    -------
    LikelihoodRatio

    Raises
    ------
    TypeError, ValueError
        For data or names that are not allowed, for something that is not a law, and for a law that gives some datum no
        density at all.

    Warns
    -----
    RuntimeWarning
        If the data could be the spectrum of one matrix: see `compare`.

    Notes
    -----
    z is standard normal under the null hypothesis if the laws differ there. If one law contains the other (`TwoLevel`
    in `TwoSpecies`) and the smaller one is true, the densities coincide. Then z is not normal and the p-value is too
    large: decide by `aic_difference`. If several levels are pooled, L is a composite likelihood and AIC its analog
    (Varin and Vidoni, Biometrika 92, 519 (2005)).

    Examples
    --------
    >>> import dysonsim as ds
    >>> data = ds.laws.WignerSurmise(2).rvs(500, random_state=1)
    >>> ratio = ds.likelihood_ratio(data, ds.laws.WignerSurmise(2), ds.laws.WignerSurmise(1))
    >>> bool(ratio.z > 3)
    True
    """
    values = replicated("data", data, observable, levels, record)
    warn_of_one_spectrum("data", data, values)
    fits = []
    for name, law, fit in (("law_a", law_a, fit_a), ("law_b", law_b, fit_b)):
        if not hasattr(law, "cdf"):
            raise TypeError(f"{name} = {shown(law)}: must be a law or a class of laws")
        law = as_law(name, law)
        fitted = fit_law(read(values, law)[0], law, fit, called=name.replace("law", "fit"))
        impossible = np.flatnonzero(~np.isfinite(fitted.log_likelihood))
        if impossible.size:
            raise ValueError(
                f"{name} = {_described(fitted)}: has no density at some level of replica {impossible[0]} of data"
            )
        fits.append(fitted)
    a, b = fits
    per_replica = a.log_likelihood - b.log_likelihood
    error = float(per_replica.std(ddof=1)) / math.sqrt(per_replica.size)
    difference = float(per_replica.mean())
    rounding = 1e-13 * float(np.abs(a.log_likelihood).mean())
    z = difference / error if error > rounding else 0.0  # the same density on all data
    return LikelihoodRatio(
        difference=difference,
        error=error,
        z=z,
        pvalue=math.erfc(abs(z) / math.sqrt(2)),
        aic_difference=2 * (float(per_replica.sum()) + b.effective_parameters - a.effective_parameters),
        a=a,
        b=b,
        replicas=values.shape[0],
        levels=values.shape[1],
    )
