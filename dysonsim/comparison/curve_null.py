"""p-values of whole curves: the largest deviation in standard errors, and its distribution over resampled replicas.

Values at different lengths are correlated, and what a replica contributes is skewed. Replicas are drawn with
replacement, each with its whole curve, and every draw has a mean and standard errors of its own: the distribution of
max_k |mean*_k - mean_k|/error*_k stands for that of max_k |mean_k - law_k|/error_k (bootstrap-t; P. Hall, The Bootstrap
and Edgeworth Expansion, Springer 1992; its joint use, J. P. Romano, M. Wolf, Econometrica 73 (2005) 1237). It is right
to second order in 1/sqrt(replicas), skewness included, where Hotelling's T^2 rejects two to four times too often.
"""

from __future__ import annotations

import numpy as np

BLOCK = 512  # draws at a time


def largest_deviation(deviation: np.ndarray, error: np.ndarray) -> float:
    """Return max_k |deviation_k|/error_k; where all replicas are equal, an error of 0 counts as no deviation if so."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(deviation == 0, 0.0, np.abs(deviation) / error)
    return float(ratio.max())


def draw_largest(samples: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Draw the largest deviation of a mean, or of the difference of two means, from the truth, (resamples,).

    Parameters
    ----------
    samples : one or two (replicas, K) arrays
        What each replica contributes.
    """
    rng = np.random.default_rng(seed)
    centered = [sample - sample.mean(axis=0) for sample in samples]
    found = np.empty(resamples)
    for first in range(0, resamples, BLOCK):
        size = min(BLOCK, resamples - first)
        apart, square, sign = 0.0, 0.0, 1.0
        for sample in centered:
            count = len(sample)
            chosen = rng.multinomial(count, np.full(count, 1 / count), size=size) / count
            mean = chosen @ sample
            variance = np.maximum(chosen @ sample**2 - mean**2, 0.0) / (count - 1)
            apart, square, sign = apart + sign * mean, square + variance, -sign
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(apart == 0, 0.0, np.abs(apart) / np.sqrt(square))
        found[first : first + size] = ratio.max(axis=1)
    return found
