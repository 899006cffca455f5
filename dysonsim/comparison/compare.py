"""Laws against data and data against data: fitted parameters, distances and p-values that can be trusted."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .._checks import choice, integer, shape_of, shown
from ..ensembles.observable import Choice, Levels
from ..laws.rectangular import zeros_of_rounding
from ..spectra.curve import Curve
from ..spectra.observables import is_run, moments, replicated, warn_of_one_spectrum
from . import null as statistics
from .curves import HOW, CurveComparison, check_left_out, compare_curves, curve_of, remembered
from .distributions import as_law, read
from .fit import Fit, FittedLaw, fit_law
from .result import METHODS, MOST_RESAMPLES, Comparison, Distance

__all__ = ["Comparison", "CurveComparison", "Distance", "compare"]

TOO_CLOSE = 0.999
"""p-values that only 1 of 1000 samples of independent values exceeds, but any spectrum of one large matrix."""


def compare(
    data: Any,
    reference: Any,
    *,
    fit: Fit = None,
    observable: Choice = "eigenvalues",
    levels: Levels = None,
    record: Levels = -1,
    method: str = "ks",
    resamples: int = 9999,
    seed: int = 0,
) -> Any:
    """Compare levels of independent networks with a law, or with other levels; or a curve of theirs.

    Parameters
    ----------
    data : Run, array (replicas,) or (replicas, levels), or Curve
        One row for each network. Rows must be independent; the levels in a row need not be, and are pooled. An array
        (replicas,) has one level from each network: do not pass the spectrum of a single large matrix, which `examine`
        tests. A `Curve` is what `number_variance`, `rigidity` or `form_factor` have measured.
    reference : law, class of laws, Run or array
        What to compare with. The parameters of a law are kept, except for those named in `fit`; all parameters of a
        class of laws are fitted. A frozen continuous distribution of scipy.stats is a law. A Run or an array is a
        second, independent sample, of shape (replicas,) or with as many levels as `data`. For a curve: a law of the
        same statistic, such as `laws.NumberVariance`, a function of x, or another curve.
    fit : None, "all" or sequence of names
        Parameters of the law to fit to the data, by maximum likelihood.
    observable : str, Observable or callable(run) -> array
        What to take from each Run: "eigenvalues", "singular_values", "spacings" (gaps between neighbors among the
        chosen `levels`), "singular_value_spacings", or what an `Observable` or a function of the run returns, which
        may be a curve: ``lambda run: ds.number_variance(run, lengths)``.
    levels, record : int, slice or sequence of int
        Levels (all by default) and recorded times (the last by default) of a Run.
    method : "ks" or "ad"
        The distance that `statistic`, `pvalue` and the verdict refer to; both are computed.
    resamples : int, >= 1
        Number of draws from the null distribution where it has no closed form; p-values are then multiples of
        1/(resamples + 1).
    seed : int, >= 0
        Seed of these draws.

    Returns
    -------
    Comparison, or CurveComparison for a curve

    Raises
    ------
    TypeError, ValueError
        For an argument that is not allowed; the message says what is.

    Warns
    -----
    RuntimeWarning
        If a sample looks like the spectrum of a single matrix, whose levels repel (`spectra.one_spectrum`, or both
        distances smaller than in 999 of 1000 samples of independent values): p-values and errors are then meaningless.
        If two runs have the same seed.

    Notes
    -----
    The null distribution is exact (KS) or the limiting one (AD) if all values are independent and nothing was fitted.
    Otherwise it is drawn from the Gaussian process that describes many replicas, with a covariance estimated from whole
    replicas, the effect of the fit included (`dysonsim.comparison.null`); it is asymptotic in the number of replicas.

    An atom of the law is taken into account, such as that of `MarchenkoPastur` at zero for W with more columns than
    rows. Values that are zero up to rounding count as zeros, which `Comparison.notes` then says. Not valid for other
    data with ties. Fitted parameters that move the support (semicircle, Marchenko-Pastur) have no standard error and
    count as known, which makes the p-value too large.

    The p-value of a curve is one for all its points: that of the largest deviation in standard errors, by resampling
    whole replicas (`dysonsim.comparison.curve_null`). Measured on GOE, n = 50, seven lengths or eight times: at a
    nominal 1% it rejects number variance, rigidity and form factor in 1.0, 0.7, 1.0% (16 replicas, 2000 samples or
    more), 1.1, 0.9, 1.0% (64, 1850 samples), 1.4, 0.8, 1.3% (128, 500 samples or more); of independent levels 1.5,
    1.3, 0.8% (16) and 1.0, 1.2, 1.6% (64).

    Seven of the nine parameters are optional: what to fit, what to look at (three) and how to test (three).

    Examples
    --------
    >>> import dysonsim as ds
    >>> gas = ds.CoulombGas.hermite(n=2, beta=1.0)
    >>> run = ds.simulate(gas, replicas=500, seed=1)
    >>> result = ds.compare(run.spacings((0, 1)), ds.laws.WignerSurmise)
    >>> result.agrees, result.pvalue > 0.01
    (True, True)
    >>> round(result.fitted.law.scale, 2)
    1.77
    """
    if getattr(data, "is_scan", False) is True:
        how = {"fit": fit, "observable": observable, "levels": levels, "record": record, "method": method}
        return data.compare(reference, resamples=resamples, seed=seed, **how)
    choice("method", method, METHODS)
    resamples = integer("resamples", resamples, 1, most=MOST_RESAMPLES)
    seed = integer("seed", seed, 0)
    observable = remembered(observable)
    curve = curve_of(data, observable)
    if curve is not None:
        check_left_out(fit, levels, record, method)
        return compare_curves(curve, curve_of(reference, observable) or reference, resamples, seed)
    if isinstance(reference, Curve) or hasattr(reference, "statistic"):
        raise TypeError(f"data = {shown(data)}: must be a curve, as reference is {shown(reference)}: {HOW}")
    choose: dict[str, Any] = {"observable": observable, "levels": levels, "record": record}
    values = replicated("data", data, **({} if is_run(reference) and not is_run(data) else choose))
    if hasattr(reference, "cdf"):
        reference = as_law("reference", reference)
        values, note = read(values, reference)
        fitted = fit_law(values, reference, fit)
        ks, ad = _against_law(values, fitted, resamples, seed)
        too_close = min(ks.pvalue, ad.pvalue) >= TOO_CLOSE and "both distances are smaller than of independent values"
        warn_of_one_spectrum("data", data, values, too_close or "")
        notes = (note,) if note else ()
        return Comparison(values, moments(values), method, ks, ad, fitted, None, None, resamples, seed, notes)
    allowed = "a law, a class of laws, a Run or an array"
    if not is_run(reference) and not shape_of("reference", reference, allowed):
        raise TypeError(f"reference = {shown(reference)}: must be {allowed}")
    if fit is not None:
        raise ValueError(f"fit = {shown(fit)}: must be None when reference is a sample")
    if is_run(data) and is_run(reference) and getattr(data, "seed", 0) == getattr(reference, "seed", 1):
        warnings.warn(
            f"data and reference have the same seed = {data.seed}: their replicas share random numbers, but the "
            "p-value takes them for independent; simulate one of them with another seed",
            RuntimeWarning,
            stacklevel=2,
        )
    other = replicated("reference", reference, **(choose if is_run(reference) else {}))
    if 1 not in (values.shape[1], other.shape[1]) and values.shape[1] != other.shape[1]:
        raise ValueError(
            f"reference has {other.shape[1]} levels: must have as many as data ({values.shape[1]}), or one"
        )
    values, other, note = _without_rounding(values, other)
    notes = (note,) if note else ()
    for name, given, sample in (("data", data, values), ("reference", reference, other)):
        warn_of_one_spectrum(name, given, sample)
    ks, ad = _against_sample(values, other, resamples, seed)
    return Comparison(values, moments(values), method, ks, ad, None, other, moments(other), resamples, seed, notes)


def _without_rounding(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Two samples with zeros of rounding, if both have some, as zeros: their order among them says nothing."""
    pooled = np.concatenate([first.ravel(), second.ravel()])
    zeros, _ = zeros_of_rounding(pooled, power=2)
    of_first, of_second = zeros[: first.size].reshape(first.shape), zeros[first.size :].reshape(second.shape)
    moved = int(np.count_nonzero(pooled[zeros]))
    if not (moved and of_first.any() and of_second.any()):
        return first, second, ""
    note = f"{np.count_nonzero(zeros)} of {pooled.size} data are read as zeros: {moved} differ from 0 by rounding"
    return np.where(of_first, 0.0, first), np.where(of_second, 0.0, second), note


@np.errstate(all="ignore")
def _against_law(values: np.ndarray, fitted: FittedLaw, resamples: int, seed: int) -> tuple[Distance, Distance]:
    distance, weighted = statistics.one_sample(values, fitted.law)
    atoms = getattr(fitted.law, "atoms", ())
    if values.shape[1] == 1 and not fitted.is_regular and not atoms:
        known = ", fitted parameters counted as known" if fitted.names else ""
        return (
            Distance(distance, statistics.ks_exact_pvalue(distance, values.size), "exact" + known),
            Distance(weighted, statistics.ad_asymptotic_pvalue(weighted), "limit law" + known),
        )
    probability, measure = statistics.grid_probabilities(values.shape[1])
    grid = np.asarray(fitted.law.ppf(probability))
    if atoms:  # all of it at one point of the grid, where F is what it has risen to
        probability = np.asarray(fitted.law.cdf(grid))
    covariance = statistics.replica_covariance(values, grid, fitted.scores if fitted.is_regular else None)
    if fitted.is_regular:
        influence = np.hstack([np.eye(grid.size), -fitted.cdf_gradient(grid) @ fitted.inverse_information])
        covariance = influence @ covariance @ influence.T
    weights = values.size * measure / (probability * (1 - probability))
    source = f"{resamples} resamples of whole replicas"
    if fitted.names:
        source += ", refitted" if fitted.is_regular else ", fitted parameters counted as known"
    return _resampled(distance, weighted, covariance / values.shape[0], weights, resamples, seed, values.size, source)


@np.errstate(all="ignore")
def _against_sample(first: np.ndarray, second: np.ndarray, resamples: int, seed: int) -> tuple[Distance, Distance]:
    distance, weighted = statistics.two_sample(first, second)
    if first.shape[1] == second.shape[1] == 1:
        from scipy import stats

        exact = stats.ks_2samp(first.ravel(), second.ravel())
        return (
            Distance(distance, float(exact.pvalue), "scipy.stats.ks_2samp"),
            Distance(weighted, statistics.ad_asymptotic_pvalue(weighted), "limit law"),
        )
    probability, measure = statistics.grid_probabilities(max(first.shape[1], second.shape[1]))
    pooled = np.sort(np.concatenate([first.ravel(), second.ravel()]))
    grid = np.quantile(pooled, probability, method="inverted_cdf")
    share = np.searchsorted(pooled, grid, side="right") / pooled.size
    variance = np.where(share < 1, share * (1 - share), np.inf)
    covariance = sum(statistics.replica_covariance(sample, grid) / sample.shape[0] for sample in (first, second))
    weights = first.size * second.size / pooled.size * measure / variance
    source = f"{resamples} resamples of whole replicas"
    return _resampled(distance, weighted, np.asarray(covariance), weights, resamples, seed, 0, source)


def _resampled(
    distance: float,
    weighted: float,
    covariance: np.ndarray,
    weights: np.ndarray,
    resamples: int,
    seed: int,
    size: int,
    source: str,
) -> tuple[Distance, Distance]:
    supremum, integral = statistics.draw_null(covariance, weights, resamples, seed)
    shifted = distance + (statistics.lattice_shift(size) if size else 0.0)
    return (
        Distance(distance, statistics.exceedance(shifted, supremum), source),
        Distance(weighted, statistics.exceedance(weighted, integral), source),
    )
