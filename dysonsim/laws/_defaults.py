"""What a law need not state: quantiles, moments and fits, from its density and distribution function."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from ._numerics import invert, minimize

DOUBLINGS = 400  # of a range that is searched, which then spans all numbers that a law accepts


def quantile(law: Any, log_cdf: np.ndarray, log_sf: np.ndarray) -> np.ndarray:
    """Find where a law has the smaller of these logarithms of cdf and sf.

    Parameters
    ----------
    law : Law
    log_cdf, log_sf : (n,)

    Returns
    -------
    (n,) array, as accurate as `cdf` and `sf` of the law are there.
    """
    if not log_cdf.size:
        return np.empty(0)
    low, high = _bracket(law, float(np.exp(log_cdf.min())), float(np.exp(log_sf.min())))
    result = np.empty_like(log_cdf)
    lower = log_cdf < log_sf
    for chosen, target, tail, sign in ((lower, log_cdf, law.cdf, 1.0), (~lower, log_sf, law.sf, -1.0)):

        def increasing(x: np.ndarray, tail: Any = tail, sign: float = sign) -> tuple[np.ndarray, np.ndarray]:
            value = tail(x)
            return sign * np.log(value), law.pdf(x) / value

        count = np.count_nonzero(chosen)
        ends = np.full(count, low), np.full(count, high)
        result[chosen] = invert(increasing, sign * target[chosen], np.full(count, 0.5 * (low + high)), *ends)
    return result


def _bracket(law: Any, least_cdf: float, least_sf: float) -> tuple[float, float]:
    """Find ends between which cdf and sf take all values from these on."""
    low, high = law.support()
    unit = abs(law.parameters.get("scale", 1.0))
    anchor = next((end for end in (low, high) if math.isfinite(end)), law.parameters.get("loc", 0.0))
    left, right = low, high
    for k in range(DOUBLINGS):
        if math.isfinite(low) or law.cdf(left := anchor - unit * 2.0**k) <= least_cdf:
            break
    for k in range(DOUBLINGS):
        if math.isfinite(high) or law.sf(right := anchor + unit * 2.0**k) <= least_sf:
            break
    return left, right


def moment(law: Any, power: int, about: float) -> float:
    """E (x - about)^power, by quadrature in units of the quartiles."""
    from scipy.integrate import quad

    middle, unit = law.median(), float(law.ppf(0.75) - law.ppf(0.25))
    low, high = ((end - middle) / unit for end in law.support())

    def integrand(u: float) -> float:
        x = middle + unit * u
        return float((x - about) ** power * law.pdf(x) * unit)

    pieces = ((low, 0.0), (0.0, high))
    return math.fsum(quad(integrand, *ends, epsabs=0.0, epsrel=1e-10, limit=200)[0] for ends in pieces)


def estimate(cls: Any, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
    """Maximize the likelihood by Nelder-Mead: `loc` and `scale` start at those of the data, others at their defaults.

    Raises
    ------
    ValueError
        A parameter without a default, from which the search could start, or data that have no likelihood there.
    """
    names = [name for name in cls.shape if name not in fixed]
    unit = float(np.std(x)) or 1.0
    start: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(cls)}
    start |= {"loc": float(np.mean(x)), "scale": unit}
    for name in names:
        if start[name] is dataclasses.MISSING:
            raise ValueError(f"{name} has no default in {cls.__name__} to search from: give it one, or hold it fixed")

    def parameters(point: np.ndarray) -> dict[str, float]:
        return {
            name: float(start[name] * math.exp(p) if name in cls._positive else start[name] + unit * p)
            for name, p in zip(names, point, strict=True)
        }

    def cost(point: np.ndarray) -> float:
        return -float(np.mean(cls(**fixed, **parameters(point)).logpdf(x)))

    origin = [0.0] * len(names)
    if not math.isfinite(cost(np.array(origin))):
        first = cls(**fixed, **parameters(np.array(origin)))
        raise ValueError(f"data have no likelihood under {first}, from which the search would start")
    return parameters(minimize(cost, [origin], [(-100.0, 100.0)] * len(names)))
