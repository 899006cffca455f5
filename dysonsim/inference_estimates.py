"""Estimates that remember which replica said what, so that errors propagate through everything built on them.

An estimate theta from R independent replicas is to first order theta + mean_r of an *influence* u_r with mean zero
(the infinitesimal jackknife; Jaeckel 1972, Efron and Stein, Ann. Stat. 9, 586 (1981)). Its standard error is
std(u)/sqrt(R), and a function of several estimates has the influence sum_k (df/dtheta_k) u_r^(k): correlations
between estimates from the same replicas are counted without ever being written down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._table import with_error


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number with its standard error over replicas.

    Attributes
    ----------
    value : float
    influence : (replicas,)
        First-order change of the estimate that each replica causes, times the number of replicas; mean zero.
    """

    value: float
    influence: np.ndarray = field(repr=False)

    @property
    def error(self) -> float:
        """Standard error: std(influence) / sqrt(replicas)."""
        return float(standard_errors(self.influence[None])[0])

    def deviation(self, expected: float | Estimate) -> float:
        """(value - expected) / error; against another estimate of the same replicas the errors' correlation counts."""
        if isinstance(expected, Estimate):
            if expected.influence.shape != self.influence.shape:
                raise ValueError(
                    f"expected is from {expected.influence.size} replicas: must be a number, or from the same "
                    f"{self.influence.size} replicas"
                )
            return Estimate(self.value - expected.value, self.influence - expected.influence).deviation(0.0)
        return (self.value - expected) / self.error

    def __str__(self) -> str:
        return with_error(self.value, self.error)


@dataclass(frozen=True, eq=False)
class Curve:
    """A function at some points: x (points,), value (points,), influence (points, replicas)."""

    x: np.ndarray
    value: np.ndarray
    influence: np.ndarray = field(repr=False)

    @property
    def error(self) -> np.ndarray:
        """Standard errors, (points,)."""
        return standard_errors(self.influence)

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the values, (points, points): neighbouring points share data."""
        replicas = self.influence.shape[1]
        return np.asarray(self.influence @ self.influence.T / (replicas * (replicas - 1)))

    def to_dict(self) -> dict[str, Any]:
        """x, value and error."""
        return {"x": self.x, "value": self.value, "error": self.error}


def standard_errors(influence: np.ndarray) -> np.ndarray:
    """Standard errors of estimates with influences (estimates, replicas)."""
    return np.asarray(influence.std(axis=1, ddof=1) / math.sqrt(influence.shape[1]))


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ratios of means over replicas and their influences, both from arrays (..., replicas)."""
    below = denominator.mean(axis=-1, keepdims=True)
    value = numerator.mean(axis=-1, keepdims=True) / below
    return value[..., 0], (numerator - value * denominator) / below
