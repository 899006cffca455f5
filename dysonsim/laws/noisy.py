"""Spectra of a fixed matrix plus noise: symmetric (Pastur, Biane) and rectangular (Dozier, Silverstein)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ._free import Component, Curve, FreeLaw


@dataclass(frozen=True)
class NoisySymmetric(FreeLaw):
    """Eigenvalues of A + noise, as n -> infinity: the free convolution of those of A with a semicircle.

    A is symmetric (or Hermitian) with eigenvalues `values` in the proportions `weights`; the noise has independent
    entries of variance `variance`/n. The Stieltjes transform solves G = sum_i p_i/(x - variance G - a_i), and rho = -Im
    G/pi (L. Pastur, Theor. Math. Phys. 10 (1972) 67; P. Biane, Indiana Univ. Math. J. 46 (1997) 705). With one value it
    is `Semicircle` of radius 2 sqrt(variance).

    It is the density of levels under Dyson Brownian motion from any start: with noise g and no drift, variance = n beta
    g^2 t (`Dyson(beta=beta, rate=0, noise=g, initial=values)` at time t).

    Not valid at small n, where each value is a level of its own and the density leaks over the edges, nor for a few
    values among many (outliers), which are no part of a density.

    Parameters
    ----------
    values : array_like (k,)
        Eigenvalues of A, at most 1000. `fit` never estimates them and needs them.
    weights : array_like (k,), optional
        Their shares, which add up to 1. Default: equal ones.
    variance : float, > 0
        n times the variance of an off-diagonal entry of the noise.

    Notes
    -----
    `fit` is maximum likelihood, and the edges depend on the variance: resample for errors. Quantiles and variates are
    found by inversion.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.NoisySymmetric([-1.0, 1.0], variance=0.25)
    >>> [[round(edge, 4) for edge in piece] for piece in law.components()]
    [[-1.7602, -0.369], [0.369, 1.7602]]
    >>> round(law.pdf(1.0), 6)
    0.455623
    """

    values: tuple[float, ...]
    weights: tuple[float, ...] | None = None
    variance: float = 1.0

    _power: ClassVar[int] = 2

    @property
    def _solved(self) -> tuple[float, list[Component]]:
        return _solved_symmetric(self.values, self._shares, self.variance)

    def mean(self) -> float:
        """Return the mean of the values."""
        return float(np.dot(self.values, self._shares))

    def var(self) -> float:
        """Return the variance of the values plus that of the noise."""
        return float(np.dot((np.array(self.values) - self.mean()) ** 2, self._shares)) + self.variance

    @classmethod
    def _guess(cls, x: np.ndarray, values: np.ndarray, weights: np.ndarray, fixed: dict[str, Any]) -> float:
        return float(np.var(x) - weights @ (values - weights @ values) ** 2)


@dataclass(frozen=True)
class NoisyMatrix(FreeLaw):
    """Eigenvalues of W^T W/m, W = A + noise of shape (m, n), as m, n -> infinity with n/m = ratio.

    A^T A/m has the eigenvalues `values` in the proportions `weights`; the noise has independent entries of variance
    `variance`. m(z) = sum of p_i/[a_i/b - b z + variance (1 - ratio)], b = 1 + variance ratio m, and rho = Im m/pi
    (R. B. Dozier, J. W. Silverstein, J. Multivariate Anal. 98 (2007) 678). With the single value 0 it is
    `MarchenkoPastur`.

    Not valid at small m and n, nor for a few values among many (spikes), which are no part of a density.

    Parameters
    ----------
    values : array_like (k,)
        Eigenvalues of A^T A/m, >= 0, at most 1000. `fit` never estimates them and needs them.
    weights : array_like (k,), optional
        Their shares, which add up to 1. Default: equal ones.
    ratio : float, > 0 and <= 1
        n/m: columns over rows. For a matrix with more columns than rows take its transpose, whose eigenvalues are those
        that do not vanish, times m/n.
    variance : float, > 0
        Variance of the entries of the noise.

    Notes
    -----
    `fit` is maximum likelihood of the variance, and the edges depend on it: resample for errors. Quantiles and variates
    are found by inversion.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.NoisyMatrix([1.0, 4.0], [0.5, 0.5], ratio=0.5, variance=0.25)
    >>> round(law.mean(), 6)
    2.75
    >>> round(law.pdf(1.0), 6)
    0.467403
    """

    values: tuple[float, ...]
    weights: tuple[float, ...] | None = None
    ratio: float = 1.0
    variance: float = 1.0

    _positive: ClassVar[tuple[str, ...]] = ("ratio", "variance")
    _power: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        if min(self.values) < 0.0:
            raise ValueError(f"values contain {min(self.values):g}: eigenvalues of A^T A must be >= 0")
        if self.ratio > 1.0:
            raise ValueError(
                f"ratio = {self.ratio:g}: must be at most 1; of a matrix with more columns than rows take the transpose"
            )

    @property
    def _solved(self) -> tuple[float, list[Component]]:
        return _solved_matrix(self.values, self._shares, self.ratio, self.variance)

    def mean(self) -> float:
        """Return the mean of the values plus the variance of the noise."""
        return float(np.dot(self.values, self._shares)) + self.variance

    def var(self) -> float:
        """Return the variance, exact."""
        mean = float(np.dot(self.values, self._shares))
        spread = float(np.dot((np.array(self.values) - mean) ** 2, self._shares))
        return spread + self.variance * self.ratio * (2.0 * mean + self.variance)

    @classmethod
    def _guess(cls, x: np.ndarray, values: np.ndarray, weights: np.ndarray, fixed: dict[str, Any]) -> float:
        return float(np.mean(x) - weights @ values)


class _SymmetricCurve(Curve):
    """G = -F(w) and x = w + t G, F = sum p/(a - w)."""

    def __init__(self, atoms: np.ndarray, weights: np.ndarray, noise: float) -> None:
        self.noise = noise
        super().__init__(atoms, weights)

    def phi(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        f, slope = self._sum(w)
        return w - self.noise * f, 1.0 - self.noise * slope

    def valid(self, w: np.ndarray) -> np.ndarray:
        return ~np.isin(w, self.atoms)

    def first_edge(self) -> float | None:
        return None

    def density(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        return w.imag / (math.pi * self.noise)

    def below(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        """From the integral of G, sum p log(w - a) + t G^2/2."""
        turn = sum(p * np.arctan2(w.imag, a - w.real) for a, p in zip(self.atoms, self.weights, strict=True))
        return (turn + (x - w.real) * w.imag / self.noise) / math.pi


class _MatrixCurve(Curve):
    """m = F/q with q = 1 - s c F(w), F = sum p/(a - w), and x = w q^2 + s (1 - c) q."""

    def __init__(self, atoms: np.ndarray, weights: np.ndarray, ratio: float, noise: float) -> None:
        self.ratio, self.noise = ratio, noise
        super().__init__(atoms, weights)

    def phi(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        f, slope = self._sum(w)
        q, dq = 1.0 - self.noise * self.ratio * f, -self.noise * self.ratio * slope
        rest = self.noise * (1.0 - self.ratio)
        return q * (w * q + rest), q * q + dq * (2.0 * w * q + rest)

    def valid(self, w: np.ndarray) -> np.ndarray:
        inside = ~np.isin(w, self.atoms)
        return inside & (1.0 - self.noise * self.ratio * self._sum(np.where(inside, w, self.atoms[0] - 1.0))[0] > 0.0)

    def first_edge(self) -> float | None:
        """0, of a square matrix whose singular values reach it."""
        return 0.0 if self.ratio == 1.0 else None

    def density(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        f, _ = self._sum(w)
        return (f / (1.0 - self.noise * self.ratio * f)).imag / math.pi

    def below(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        """From the integral of m, -s c w F^2 - sum p log(a - w) + (1/c - 1)(log q - q)."""
        f, _ = self._sum(w)
        q = 1.0 - self.noise * self.ratio * f
        turn = sum(p * np.arctan2(w.imag, a - w.real) for a, p in zip(self.atoms, self.weights, strict=True))
        rest = (1.0 / self.ratio - 1.0) * (np.angle(q) - q.imag)
        return (turn - self.noise * self.ratio * (w * f * f).imag + rest) / math.pi


@lru_cache(maxsize=32)
@np.errstate(all="ignore")
def _solved_symmetric(
    values: tuple[float, ...], weights: tuple[float, ...], variance: float
) -> tuple[float, list[Component]]:
    unit = max(max(map(abs, values)), math.sqrt(variance))
    curve = _SymmetricCurve(np.array(values) / unit, np.array(weights), (math.sqrt(variance) / unit) ** 2)
    return unit, [Component(curve, *piece) for piece in curve.components]


@lru_cache(maxsize=32)
@np.errstate(all="ignore")
def _solved_matrix(
    values: tuple[float, ...], weights: tuple[float, ...], ratio: float, variance: float
) -> tuple[float, list[Component]]:
    unit = max(*values, variance) if len(values) > 1 else max(values[0], variance)
    curve = _MatrixCurve(np.array(values) / unit, np.array(weights), ratio, variance / unit)
    return unit, [Component(curve, *piece) for piece in curve.components]
