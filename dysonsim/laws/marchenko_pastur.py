"""The Marchenko-Pastur law: spectra of random rectangular matrices, as at initialization."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .rectangular import RectangularLaw, edges


@dataclass(frozen=True)
class MarchenkoPastur(RectangularLaw):
    """Eigenvalues of W^T W/m, W of shape (m, n) with independent entries, as m, n -> infinity, n/m = ratio.

    rho(x) = sqrt((b - x)(x - a)) / (2 pi variance ratio x), a <= x <= b, a, b = variance (1 -+ sqrt ratio)^2.
    For ratio > 1 (more columns than rows) n - m of the eigenvalues vanish: the law has an *atom* at zero of
    weight 1 - 1/ratio, property `atom`. `pdf` and `logpdf` are the continuous part, whose integral is then
    1/ratio; `cdf`, `sf`, `ppf`, `rvs`, the moments and `loglikelihood` include the atom. ratio = 1 has a
    hard edge, rho ~ 1/sqrt(x) at 0.

    Not valid at small m and n, where the density leaks over the edges by O(m^(-2/3)), nor once training has
    correlated the entries.

    Parameters
    ----------
    ratio : float, > 0
        n/m: columns over rows.
    variance : float, > 0
        Variance of the entries of W, which have mean zero.

    Notes
    -----
    `fit` is maximum likelihood under this law, whose edges depend on the parameters: the support
    grows just beyond the outermost data, which therefore set the rate n^(-2/3); errors from a Hessian do
    not apply (resample instead). Zeros are read as the atom and force ratio > 1; without zeros, and
    with the variance free, ratio <= 1. Eigenvalues that vanish up to rounding count as zeros
    (`rectangular.zeros_of_rounding`), with a RuntimeWarning that says how many. A level far outside the others, such
    as the spike of a signal, would drag an edge with it: a RuntimeWarning gives the estimate without it.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.MarchenkoPastur(ratio=0.5)
    >>> print([round(edge, 4) for edge in law.support()])
    [0.0858, 2.9142]
    >>> round(law.mean(), 6)
    1.0
    """

    _power: ClassVar[int] = 2

    def mean(self) -> float:
        """Return the mean, exact."""
        return self.variance

    def var(self) -> float:
        """Return the variance of an eigenvalue, exact."""
        return self.variance**2 * self.ratio

    def _to_edges(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        low, high = edges(self.ratio, self.variance, 2)
        below, above = np.maximum((x - low[0]) - low[1], 0.0), np.maximum((high[0] - x) + high[1], 0.0)
        return np.sqrt(below), np.sqrt(above)

    def _from_squares(self, squares: np.ndarray) -> np.ndarray:
        return squares

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        below, above = self._to_edges(x)
        norm = math.log(2.0 * math.pi * self.ratio) + math.log(self.variance)
        value = np.log(below) + np.log(above) - np.log(x) - norm
        return np.where(below > 0.0, value, math.inf if self.ratio == 1.0 else -math.inf)


@dataclass(frozen=True)
class MarchenkoPasturSingular(RectangularLaw):
    """Singular values of W/sqrt(m) for W of shape (m, n): the law of sqrt(x) with x from `MarchenkoPastur`.

    rho(s) = sqrt((b - s^2)(s^2 - a)) / (pi variance ratio s), sqrt(a) <= s <= sqrt(b), a and b as there.
    All n values are meant: for ratio > 1 zero again has the weight `atom` = 1 - 1/ratio, and `pdf` is the
    continuous part. The m values that do not vanish follow the law with 1/ratio and variance * ratio.
    ratio = 1 is the quarter circle of radius 2 sqrt(variance).

    Parameters, validity and `fit` as for `MarchenkoPastur`.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.MarchenkoPasturSingular(ratio=0.25)
    >>> [round(edge, 4) for edge in law.support()]
    [0.5, 1.5]
    >>> round(law.cdf(1.0), 4)
    0.5534
    """

    _power: ClassVar[int] = 1

    def mean(self) -> float:
        """Return the mean, atom included."""
        return self._weight * math.sqrt(self.variance * max(self.ratio, 1.0)) * (1.0 - self._deficit())

    def var(self) -> float:
        """Return the variance of a singular value, without cancellation where it is small."""
        deficit = self._deficit()
        return self.variance * (self.atom + self._weight * deficit * (2.0 - deficit))

    @np.errstate(all="ignore")
    def _deficit(self) -> float:
        """1 - 2F1(1/2, -1/2; 2; q^2): the mean is short of the root of the mean square by this factor."""
        from scipy.special import hyp2f1

        z = min(self.ratio, 1.0 / self.ratio)
        if z > 0.5:
            return 1.0 - float(hyp2f1(0.5, -0.5, 2.0, z))
        k = np.arange(60.0)
        return -float(np.sum(np.cumprod(z * (0.5 + k) * (k - 0.5) / ((2.0 + k) * (1.0 + k)))))

    def _to_edges(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        low, high = edges(self.ratio, self.variance, 1)
        below, above = np.maximum((x - low[0]) - low[1], 0.0), np.maximum((high[0] - x) + high[1], 0.0)
        return np.sqrt(below) * np.sqrt(x + low[0]), np.sqrt(above) * np.sqrt(x + high[0])

    def _from_squares(self, squares: np.ndarray) -> np.ndarray:
        return np.sqrt(squares)

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        below, above = self._to_edges(x)
        norm = math.log(math.pi * self.ratio) + math.log(self.variance)
        if self.ratio == 1.0:
            return np.log(above) - norm
        value = np.log(below) + np.log(above) - np.log(x) - norm
        return np.where(below > 0.0, value, -math.inf)
