"""The variance of the number of levels in an interval (Dyson and Mehta)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .curve import CurveLaw

_FAR = 40.0  # from here on, asymptotic series of Si and Ci are exact to rounding
_NEAR = 2.0  # below, 1 - cos and ln - Ci cancel
_TERMS = 18


@dataclass(frozen=True)
class NumberVariance(CurveLaw):
    """Number variance Sigma^2(L): of how many levels lie in an interval that holds L of them on average.

    With I(r) = Si(pi r)/pi and the density of *distinct* levels equal to 1,

    Sigma^2_2(L) = [ln 2 pi L + gamma + 1 - cos 2 pi L - Ci 2 pi L]/pi^2 + L [1 - (2/pi) Si 2 pi L],
    Sigma^2_1(L) = 2 Sigma^2_2(L) + I(L)^2 - I(L),  Sigma^2_4(L) = Sigma^2_2(2 L)/2 + I(2 L)^2/4

    (Dyson and Mehta, J. Math. Phys. 4 (1963) 701; Mehta, Random Matrices, chapter 16). They grow as
    (2/(beta pi^2)) ln L. Independent levels (beta = 0) have Sigma^2 = L.

    Exact in the bulk of infinitely many levels whose mean density is 1: unfold them first, as
    `dysonsim.number_variance` does. Not valid for L comparable with the number n of levels (n independent levels have
    L (1 - L/n)), nor at the edge of a spectrum. At beta = 4 a doubly degenerate level counts once; who counts it twice
    has four times this Sigma^2 in intervals of 2 L levels.

    Parameters
    ----------
    beta : 0, 1, 2 or 4
        Dyson index; 0 for independent levels (Poisson).

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.NumberVariance(beta=1)
    >>> round(law(10.0), 6)
    0.908695
    >>> law([0.0, 1.0]).round(4)
    array([0.    , 0.4463])
    """

    statistic: ClassVar[str] = "number variance"
    symbol: ClassVar[str] = r"\Sigma^2(L)"

    def _values(self, x: np.ndarray) -> np.ndarray:
        return number_variance(self.beta, x)


def number_variance(beta: int, length: np.ndarray) -> np.ndarray:
    """Sigma^2 at lengths (k,) >= 0, to full relative accuracy."""
    if beta == 0:
        return length.copy()
    if beta == 2:
        return _unitary(length)
    if beta == 1:
        i = _integral(length)
        return 2.0 * _unitary(length) + i**2 - i
    return 0.5 * _unitary(2.0 * length) + 0.25 * _integral(2.0 * length) ** 2


def _integral(r: np.ndarray) -> np.ndarray:
    """I(r) = Si(pi r)/pi: of the sine kernel from 0 to r."""
    from scipy.special import sici

    result = sici(np.pi * r)[0] / np.pi
    far = np.pi * r > _FAR
    f, g = _auxiliary(np.pi * r[far])
    sine, cosine = _turns(0.5 * r[far])
    result[far] = 0.5 - (f * cosine + g * sine) / np.pi
    return result


def _unitary(length: np.ndarray) -> np.ndarray:
    """Sigma^2 at beta = 2."""
    from scipy.special import sici

    x = 2.0 * np.pi * length
    near, far = x < _NEAR, x > _FAR
    si, ci = sici(np.where(far, 1.0, x))
    sine, cosine = _turns(length)
    inner = np.where(near, _small(np.where(near, x, 0.0)), np.log(x) + np.euler_gamma + 1.0 - cosine - ci)
    result = inner / np.pi**2 + length * (1.0 - 2.0 / np.pi * si)
    f, g = _auxiliary(x[far])
    # Si = pi/2 - f cos - g sin and Ci = f sin - g cos: what cancels is never formed
    waves = cosine[far] * (x[far] * f + g - 1.0) + sine[far] * (x[far] * g - f)
    result[far] = (np.log(x[far]) + np.euler_gamma + 1.0 + waves) / np.pi**2
    return result


def _turns(length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of 2 pi L, of the fraction of L, which is exact."""
    angle = 2.0 * np.pi * (length - np.rint(length))
    return np.sin(angle), np.cos(angle)


def _small(x: np.ndarray) -> np.ndarray:
    """1 - cos x + (gamma + ln x - Ci x) = sum_k (-1)^(k+1) x^(2k)/(2k)! (1 + 1/(2k)), x < 2."""
    total, term = np.zeros_like(x), np.ones_like(x)
    for k in range(1, _TERMS):
        term = term * (-(x**2)) / ((2 * k - 1) * (2 * k))
        total -= term * (1.0 + 1.0 / (2 * k))
    return total


def _auxiliary(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum f = sum (-1)^k (2k)!/x^(2k+1) and g = sum (-1)^k (2k+1)!/x^(2k+2), x > 40 (Abramowitz and Stegun 5.2.34)."""
    f = sum((-1) ** k * math.factorial(2 * k) * x ** (-2.0 * k - 1) for k in range(_TERMS))
    g = sum((-1) ** k * math.factorial(2 * k + 1) * x ** (-2.0 * k - 2) for k in range(_TERMS))
    return np.asarray(f), np.asarray(g)
