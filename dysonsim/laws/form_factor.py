"""The spectral form factor: the Fourier transform of the correlation of two levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ._numerics import whole
from .curve import CurveLaw

_MOST = 10**9
_ROUNDING = 1e-9


@dataclass(frozen=True)
class FormFactor(CurveLaw):
    """Connected spectral form factor K(tau) = 1 - int Y_2(r) exp(2 pi i tau r) dr, Y_2 the two-level cluster function.

    tau is the time in units of the Heisenberg time, 2 pi times the density of *distinct* levels, which is 1:

    K_1 = 2 tau - tau ln(1 + 2 tau) for tau <= 1, else 2 - tau ln[(2 tau + 1)/(2 tau - 1)];
    K_2 = min(tau, 1);  K_4 = tau/2 - (tau/4) ln|1 - tau| for tau <= 2, else 1

    (Mehta, Random Matrices, appendix A.12, and chapter 6). K_4 is infinite at tau = 1. Independent levels (beta = 0)
    have K = 1. It is the *connected* part: mean density and window are not in it, see `dysonsim.form_factor`.

    With `n`, K(tau) = E|sum_i exp(i k theta_i)|^2 / n at tau = k/n of n levels on a circle (COE, CUE, CSE): exact
    sums of Haake, Sommers and Weber (J. Phys. A 32 (1999) 6903). It is defined for whole k; at k = 0 it is 0.

    Parameters
    ----------
    beta : 0, 1, 2 or 4
        Dyson index; 0 for independent levels (Poisson).
    n : int, optional
        Levels on the circle; default: infinitely many, in the bulk of any ensemble.

    Examples
    --------
    >>> import dysonsim as ds
    >>> round(ds.laws.FormFactor(beta=1)(0.5), 6)
    0.653426
    >>> round(ds.laws.FormFactor(beta=1, n=2)(0.5), 6)
    0.666667
    """

    n: int | None = None

    statistic: ClassVar[str] = "form factor"
    symbol: ClassVar[str] = r"K(\tau)"
    _argument: ClassVar[str] = "times"

    def __post_init__(self) -> None:
        """Check beta and n."""
        super().__post_init__()
        if self.n is not None:
            object.__setattr__(self, "n", whole("n", self.n, _MOST))

    def __call__(self, x: ArrayLike) -> Any:
        """Return K at times x >= 0, of any shape; with `n`, multiples of 1/n; a number gives a float.

        Raises
        ------
        TypeError, ValueError
            For what is not real, not finite, negative or larger than 1e100; with `n`, for times that are no k/n.
        """
        points = _checks.array(self._argument, x, "numbers >= 0", empty=True)
        if self.n is not None:
            steps = points * self.n
            off = np.abs(steps - np.rint(steps)) > _ROUNDING * np.maximum(1.0, steps)
            if off.any():
                raise ValueError(
                    f"times hold {points[off].flat[0]:g}: must be whole multiples of 1/n = 1/{self.n}, as {self.n} "
                    "levels on a circle have no others"
                )
        return self._evaluated(points)

    def _values(self, x: np.ndarray) -> np.ndarray:
        if self.n is not None:
            return _circular(self.beta, self.n, np.rint(x * self.n))
        if self.beta == 0:
            return np.ones_like(x)
        if self.beta == 2:
            return np.minimum(x, 1.0)
        if self.beta == 1:
            late = np.maximum(x, 1.0)
            return np.where(x <= 1.0, 2.0 * x - x * np.log1p(2.0 * x), 2.0 - 2.0 * late * np.arctanh(0.5 / late))
        return np.where(x <= 2.0, 0.5 * x - 0.25 * x * _log_distance(x), 1.0)


def _log_distance(x: np.ndarray) -> np.ndarray:
    """Return ln|1 - x|, accurate for small x."""
    return np.where(x < 0.5, np.log1p(-np.minimum(x, 0.5)), np.log(np.abs(1.0 - x)))


def _circular(beta: int, n: int, k: np.ndarray) -> np.ndarray:
    """Of n levels on a circle, for whole k; sums of 1/(m + a) are differences of digamma functions."""
    from scipy.special import digamma

    if beta in (0, 2):
        value = np.ones_like(k) if beta == 0 else np.minimum(k, n) / n
    elif beta == 1:
        early, late = np.minimum(k, n), np.maximum(k, n)
        below = 2.0 * early - early * (digamma(early + 0.5 * (n + 1)) - digamma(0.5 * (n + 1)))
        above = 2.0 * n - late * (digamma(late + 0.5 * (n + 1)) - digamma(late - 0.5 * (n - 1)))
        value = np.where(k <= n, below, above) / n
    else:
        early = np.minimum(k, 2 * n - 1)
        # sum of 1/(n + 1/2 - m) over m <= k; by reflection digamma(1/2 - j) = digamma(1/2 + j)
        harmonic = digamma(n + 0.5) - digamma(0.5 + np.abs(n - early))
        value = np.where(k < 2 * n, 0.5 * early + 0.25 * early * harmonic, n) / n
    return np.where(k == 0, 0.0, value)
