"""The taper of the form factor, and what it makes of a law: an average over times within its resolution."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._checks import shown

REACH = 24.0  # of the spectral window, in units of 1/width; beyond lies 1e-8 of it
NODES = 16  # Gauss-Legendre points to each unit


def taper(levels: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Weights sin^2(pi x) of levels at the fraction x of the window; 0 outside (Hann)."""
    low, high = window
    fraction = np.clip((levels - low) / (high - low), 0.0, 1.0)
    return np.sin(np.pi * fraction) ** 2


def transform(times: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Return int w(e) exp(2 pi i tau e) de: what levels of density 1 without fluctuations would give."""
    low, high = window
    width = high - low
    return 0.5 * width * _spectral(times * width) * np.exp(2j * np.pi * times * 0.5 * (low + high))


def smoothed(law: Any, times: np.ndarray, width: float) -> np.ndarray:
    """Average law(tau + u) over the power spectrum of the taper, |sinc(v)/(1 - v^2)|^2 with v = u width.

    This is the mean of a measured form factor, exactly so for a stationary process: of |sum w(e) exp(2 pi i tau e)|^2
    less what the mean density makes, over the mean of sum w(e)^2.
    """
    # between kinks of the laws, at whole times, and zeros of the spectral window, at whole v
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    result = np.empty(len(times))
    for k, time in enumerate(times):
        low, high = time - REACH / width, time + REACH / width
        kinks = np.arange(np.ceil(low), np.floor(high) + 1)
        edges = np.unique(np.concatenate([time + np.arange(-REACH, REACH + 1) / width, kinks]))
        half = 0.5 * np.diff(edges)[:, None]
        points = (edges[:-1, None] + half + half * nodes).ravel()
        weight = (half * weights).ravel() * _spectral((points - time) * width) ** 2
        values = np.asarray(law(np.abs(points)))
        if values.shape != points.shape:
            raise ValueError(f"law = {shown(law)}: must give one number for each of {points.size} times")
        result[k] = weight @ values / weight.sum()
    return result


def _spectral(v: np.ndarray) -> np.ndarray:
    """Return sinc(v)/(1 - v^2), which is 1/2 at |v| = 1."""
    rest = 1.0 - v**2
    close = np.abs(rest) < 1e-9
    return np.where(close, 0.5, np.sinc(v) / np.where(close, 1.0, rest))
