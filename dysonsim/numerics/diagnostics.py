"""How far Markov chains are to be trusted: autocorrelation time, effective samples, R-hat.

Every function takes `chains`, an array (chains, draws) or (chains, draws, n): one observable, or n of them, followed
along several chains of equal length. Results have the shape of the last axis, or are floats.

Examples
--------
>>> import numpy as np, dysonsim as ds
>>> chains = np.random.default_rng(1).normal(size=(4, 500))
>>> bool(ds.diagnostics.r_hat(chains) < 1.01)
True
>>> bool(ds.diagnostics.effective_sample_size(chains) > 1000)
True
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks

__all__ = ["acceptance", "autocorrelation", "autocorrelation_time", "effective_sample_size", "r_hat"]

WINDOW, LEAST = 3.0, 5  # autocorrelations are summed up to this many times their own sum, and this many lags at least


def autocorrelation(chains: ArrayLike) -> np.ndarray:
    """Return the autocorrelation function over lags 0 ... draws - 1, shape (draws,) or (draws, n).

    Deviations are from the mean of all chains, and the result is averaged over chains. With many chains it is unbiased
    even if each chain is short. A constant observable has correlation 1 at every lag.
    """
    x = _checked(chains, 2)
    draws = x.shape[1]
    x = x - x.mean(axis=(0, 1))
    spectrum = np.fft.rfft(x, 2 * draws, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=0)
    sums = np.fft.irfft(power, 2 * draws, axis=0)[:draws] / np.arange(draws, 0, -1)[:, None]
    variance = sums[0]
    out = np.divide(sums, variance, out=np.ones_like(sums), where=variance > 0)
    return out if np.ndim(chains) == 3 else out[:, 0]


def autocorrelation_time(chains: ArrayLike, ranked: bool = False) -> Any:
    """Estimate the autocorrelation time tau = 1 + 2 sum_k rho_k, in draws: the variance of a mean is tau var/draws.

    The sum ends at the first lag that exceeds 3 tau, where an exponential memory is 0.3% short of the truth (A. Sokal,
    in Functional Integration, Plenum 1997). The error is about tau sqrt(12 tau/(chains draws)). The estimate can be
    trusted if chains are longer than about 50 tau. It is at least 1/draws, and 2 draws - 1 for a constant observable.

    ranked: take the normal scores of the ranks, as `r_hat` does. Levels that come near a wall, at distances of many
    orders of magnitude, have a memory that only the ranks show.
    """
    rho = autocorrelation(_normal_scores(_checked(chains, 2)).reshape(np.shape(chains)) if ranked else chains)
    shaped = rho.reshape(len(rho), -1)
    tau = 2.0 * np.cumsum(shaped, axis=0) - 1.0
    closed = np.arange(len(rho))[:, None] >= np.maximum(WINDOW * tau, LEAST)
    window = np.where(closed.any(axis=0), closed.argmax(axis=0), len(rho) - 1)
    result = np.maximum(tau[window, np.arange(shaped.shape[1])], 1.0 / len(rho))
    return result if np.ndim(chains) == 3 else float(result[0])


def effective_sample_size(chains: ArrayLike, ranked: bool = False) -> Any:
    """Estimate how many independent draws all chains are worth for the mean of the observable: chains draws / tau.

    ranked: take the normal scores of the ranks. ArviZ calls this the bulk effective sample size.
    """
    x = _checked(chains, 2)
    return x.shape[0] * x.shape[1] / autocorrelation_time(x, ranked)


def r_hat(chains: ArrayLike, ranked: bool = True) -> Any:
    """Compute the split R-hat: how much wider all half chains lie together than each of them does; 1 when mixed.

    Parameters
    ----------
    chains : (chains, draws) or (chains, draws, n) array
        At least 4 draws. One chain is enough, since it is split in two.
    ranked : bool
        True: rank-normalized, the larger of the values for location and for scale (Vehtari, Gelman, Simpson, Carpenter,
        Buerkner, Bayesian Analysis 16, 667 (2021)). This also detects infinite variances, and chains that differ only
        in width. False: the classic quantity of Gelman and Rubin on half chains.

    Notes
    -----
    Above 1.01 (ranked, with 4 chains and 400 draws or more) chains should not be trusted. Chains that all miss the same
    part of the law agree: start them apart.
    """
    ranked = _checks.flag("ranked", ranked)
    x = _checked(chains, 4)
    half = x.shape[1] // 2
    x = np.concatenate([x[:, :half], x[:, -half:]])
    if ranked:
        folded = np.abs(x - np.median(x, axis=(0, 1)))
        result = np.maximum(_classic(_normal_scores(x)), _classic(_normal_scores(folded)))
    else:
        result = _classic(x)
    return result if np.ndim(chains) == 3 else float(result[0])


def acceptance(chains: ArrayLike) -> float:
    """Return the share of draws in which a chain moved, for Metropolis chains recorded after every iteration."""
    x = _checked(chains, 2)
    return float((np.diff(x, axis=1) != 0).any(axis=2).mean())


def r_hat_of_halves(means: np.ndarray, variances: np.ndarray, draws: float) -> np.ndarray:
    """Return the classic R-hat from mean and variance (chains, n) of pieces that are `draws` long."""
    within = variances.mean(axis=0)
    between = means.var(axis=0, ddof=1)
    total = (draws - 1) / draws * within + between
    constant = (within == 0) & (between == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(constant, 1.0, np.sqrt(total / within))


def _classic(x: np.ndarray) -> np.ndarray:
    return r_hat_of_halves(x.mean(axis=1), x.var(axis=1, ddof=1), x.shape[1])


def _normal_scores(x: np.ndarray) -> np.ndarray:
    """Every observable replaced by the normal quantile of its rank among all draws; ties share theirs."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    flat = x.reshape(-1, x.shape[-1])
    return ndtri((rankdata(flat, axis=0) - 0.375) / (len(flat) + 0.25)).reshape(x.shape)


def _checked(chains: ArrayLike, draws: int) -> np.ndarray:
    """(chains, draws, n) in float64."""
    want = f"real, (chains, draws) or (chains, draws, n), with {draws} draws or more"
    x = _checks.array("chains", chains, want, dimensions=(2, 3))
    if x.shape[1] < draws:
        raise ValueError(f"chains have shape {x.shape}: must be {want}")
    x = x / _checks.unit(x)  # everything here is the same in all units, but squares might overflow
    return x[..., None] if x.ndim == 2 else x
