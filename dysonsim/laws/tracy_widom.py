"""Tracy-Widom: the law of the largest level of a large gas."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar, Self

import numpy as np

from ._numerics import real, whole
from ._painleve import boundary_value, sharp_gauss_legendre
from .standard import Standard, StandardizedLaw, one_of

ZETA_PRIME = -0.16542114370045092
"""Derivative of Riemann's zeta function at -1, in the constants of both Fredholm determinants."""
_SERIES_BELOW, _JOIN, _SERIES_ABOVE = -13.0, -1.0, 16.0
_STRETCH = {1: 1.0, 2: 1.0, 4: 2.0 ** (2.0 / 3.0)}
Pieces = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class TracyWidom(StandardizedLaw):
    """Limit of the scaled largest level of P ~ prod |x_i - x_j|^beta exp(-sum x_i^2 / 2 width^2), N -> infinity.

    With A the integral operator of kernel Ai(x + y + s) on x, y > 0 and D-+ = det(1 -+ A): F_1 = D-(s),
    F_2 = D-(s) D+(s) and F_4 = (D-(t) + D+(t))/2 with t = 2^(2/3) s (Ferrari and Spohn, J. Phys. A 38 (2005)
    L557; Bornemann, Math. Comp. 79 (2010) 871). Means at loc = 0, scale = 1: -1.20653, -1.77109, -2.05520.

    The scaling is that of the beta-Hermite edge for every beta: minus the lowest eigenvalue of the stochastic
    Airy operator (Ramirez, Rider, Virag, J. AMS 24 (2011) 919), right tail exp(-(2/3) beta s^(3/2)). For
    beta = 4 two other scalings are in use: F_4 of Tracy and Widom (1996), with s = t/sqrt(2) and mean
    -2.306884893241 (``TracyWidom(4, scale=2**(1/6))``), and the one with s = t itself, natural for
    self-dual matrices of size 2N, with mean -3.262427902855 (``TracyWidom(4, scale=2**(2/3))``).

    Not the law at finite N, where corrections are O(N^(-1/3)) (O(N^(-2/3)) for beta = 2).

    Parameters
    ----------
    beta : 1, 2 or 4
        `fit` never estimates it: it is 2 unless given.
    loc : float
        Position of the edge.
    scale : float, > 0
        Unit of the fluctuations; `for_gas` gives loc and scale of a gas.

    Notes
    -----
    Right of t = -1 the determinants are taken by Gauss-Legendre quadrature; left of it, where they drown in rounding,
    log D-+ are integrals of the Hastings-McLeod solution q of q'' = s q + 2 q^3: -(log F_2)'' = q^2 and
    (log D+/D-)' = -q. Beyond t = -13 and 16 asymptotic series take over. pdf, cdf and sf keep ten digits in both tails.
    Variates are drawn by inverting the distribution function: no finite matrix has this law.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.TracyWidom(beta=2)
    >>> round(law.mean(), 4), round(law.var(), 4)
    (-1.7711, 0.8132)
    """

    beta: int = 2
    loc: float = 0.0
    scale: float = 1.0

    shape: ClassVar[tuple[str, ...]] = ("loc", "scale")
    _positive: ClassVar[tuple[str, ...]] = ("scale",)

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        return one_of(name, value, (1, 2, 4)) if name == "beta" else super()._checked(name, value)

    @classmethod
    def for_gas(cls, n: int, beta: int = 2, width: float = 1.0, loc: float = 0.0) -> Self:
        """Return the law of the largest of n levels in a well of the given width (sigma) centered at `loc`.

        Edge loc + width sqrt(2 beta n), unit width sqrt(beta/2) n^(-1/6). Leading order: see the class.
        """
        count = whole("n", n, 10**100)
        sigma, index = real("width", width, above=0.0), cls._checked("beta", beta)
        edge = real("loc", loc) + sigma * math.sqrt(2.0 * index * count)
        return cls(int(index), edge, sigma * math.sqrt(0.5 * index) * count ** (-1.0 / 6.0))

    @property
    def _standard(self) -> Standard:
        return _standard(self.beta)


@lru_cache(maxsize=3)
@np.errstate(all="ignore")
def _standard(beta: int) -> Standard:
    stretch = _STRETCH[beta]

    def logs(s: np.ndarray, pieces: Pieces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        log_cdf, slope = _log_cdf(beta, pieces)
        return log_cdf + np.log(slope) + math.log(stretch), log_cdf, np.log(-np.expm1(log_cdf))

    def exact(s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return logs(s, _pieces(stretch * s))

    def far(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_pdf, log_tail = np.empty_like(s), np.empty_like(s)
        left = s < 0.0
        log_pdf[left], log_tail[left], _ = logs(s[left], _left_series(stretch * s[left]))
        log_pdf[~left], log_tail[~left] = _right_series(beta, stretch * s[~left])
        log_pdf[~left] += math.log(stretch)
        return log_pdf, log_tail

    # log cdf < -|t|^3/24 at the left, log sf < -(2/3) t^(3/2) at the right: below the smallest float at these ends
    return Standard(exact, far, _SERIES_BELOW / stretch, _SERIES_ABOVE / stretch, (-40.0, 120.0))


def _log_cdf(beta: int, pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Return log F_beta and its derivative in t, from L = -log F_2, R = -L', mu = log(D+/D-) and q = -mu'."""
    big, slope, mu, q = pieces
    if beta == 1:
        return -0.5 * (big + mu), 0.5 * (slope + q)
    if beta == 2:
        return -big, slope
    half = 0.5 * mu
    # log cosh without cancellation where mu is small and without overflow where it is large
    small = 0.5 * np.log1p(np.sinh(np.minimum(half, 1.0)) ** 2)
    large = half + np.log1p(np.exp(-2.0 * half)) - math.log(2.0)
    return np.where(half < 1.0, small, large) - 0.5 * big, 0.5 * (slope - q * np.tanh(half))


def _pieces(t: np.ndarray) -> Pieces:
    """L, R, mu and q between the regions of the two series."""
    right = t >= _JOIN
    big, slope, mu, q = np.empty((4, t.size))
    big[right], slope[right], mu[right], q[right] = _determinants(t[right])
    big[~right], slope[~right], mu[~right], q[~right] = (series(t[~right]) for series in _hastings_mcleod())
    return big, slope, mu, q


def _determinants(t: np.ndarray) -> Pieces:
    """L, R, mu and q from the eigenvalues of A and their derivatives; accurate for t >= -2."""
    from scipy.special import airy

    nodes, weights = sharp_gauss_legendre(48)
    x, root = 16.0 * nodes, np.sqrt(16.0 * weights)
    pairs = np.triu_indices(x.size)  # the kernel is symmetric and Airy functions are slow
    place = np.zeros((x.size, x.size), dtype=np.int64)
    place[pairs] = np.arange(pairs[0].size)
    place = np.maximum(place, place.T)
    results = []
    for part in np.array_split(t, max(1, t.size // 200)):
        value, slope, _, _ = (f[:, place] for f in airy(part[:, None] + x[pairs[0]] + x[pairs[1]]))
        eigenvalues, vectors = np.linalg.eigh(root[:, None] * value * root)
        moved = np.einsum("nij,nij->nj", vectors, (root[:, None] * slope * root) @ vectors)
        ratio = -2.0 * moved / ((1.0 - eigenvalues) * (1.0 + eigenvalues))
        big, mu = -np.log1p(-(eigenvalues**2)), 2.0 * np.arctanh(eigenvalues)
        results.append([term.sum(1) for term in (big, eigenvalues * ratio, mu, ratio)])
    return tuple(np.concatenate(columns) for columns in zip(*results, strict=True))  # type: ignore[return-value]


@lru_cache(maxsize=1)
def _hastings_mcleod() -> tuple[Any, Any, Any, Any]:
    """L, R, mu and q on [-13, -1] as Chebyshev series."""
    interval = (_SERIES_BELOW, _JOIN)
    left = [float(piece[0]) for piece in _left_series(np.array([_SERIES_BELOW]))]
    right = [float(piece[0]) for piece in _determinants(np.array([_JOIN]))]
    q = boundary_value(
        lambda s, q, slope: (s * q + 2.0 * q**3, s + 6.0 * q**2, np.zeros_like(q)),
        interval, (left[3], right[3]), lambda s: np.sqrt(-0.5 * s), 90,
    )  # fmt: skip
    rate = right[1] - (q * q).integ(lbnd=_JOIN)
    big = right[0] - rate.integ(lbnd=_JOIN)
    mu = right[2] - q.integ(lbnd=_JOIN)
    return big, rate, mu, q


@lru_cache(maxsize=1)
def _left_coefficients() -> tuple[np.ndarray, np.ndarray]:
    """a_k, c_k: q = sqrt(y/2) sum a_k y^(-3k) and q^2 = (y/2) sum c_k y^(-3k), y = -t -> infinity."""
    a = [1.0]
    for k in range(1, 12):
        trial = np.array([*a, 0.0])
        cube = np.convolve(np.convolve(trial, trial), trial)[k]
        a.append(0.5 * (((3 * k - 3) ** 2 - 0.25) * a[-1] - cube))
    return np.array(a), np.convolve(a, a)[:12]


def _left_series(t: np.ndarray) -> Pieces:
    """L, R, mu and q for t <= -13; the constants of integration: Baik, Buckingham, DiFranco, CMP 280 (2008) 463."""
    a, c = _left_coefficients()
    y, k = np.minimum(-t, 1e100), np.arange(12)  # beyond, nothing but the overflow of y^3 changes
    with np.errstate(under="ignore"):
        powers = y[:, None] ** (-3.0 * k)
        q = np.sqrt(0.5 * y) * (powers @ a)
        slope = 0.5 * y**2 * (powers @ (c / (2.0 - 3.0 * k)))
        mu = math.sqrt(0.5) * y**1.5 * (powers @ (a / (1.5 - 3.0 * k))) + 0.5 * math.log(2.0)
        # the second term of R is 1/(8 y) and integrates to a logarithm
        twice = 0.5 * np.delete(c / (2.0 - 3.0 * k), 1) / (3.0 - 3.0 * np.delete(k, 1))
        big = y**3 * (np.delete(powers, 1, axis=1) @ twice) + 0.125 * np.log(y)
    return big - math.log(2.0) / 24.0 - ZETA_PRIME, slope, mu, q


@lru_cache(maxsize=3)
def _right_coefficients(beta: int) -> tuple[float, float, list[float], list[float]]:
    """rate, p and the series d, e of pdf = t^p exp(-rate zeta) sum d_k z^k / norm and sf = t^(p-1/2) ... sum e_k z^k.

    zeta = (2/3) t^(3/2), z = t^(-3/2); norm = 4 sqrt(pi) for beta = 1 and 4 pi else. In exact fractions, because for
    beta = 4 the leading terms cancel.
    """
    order = 24
    airy = [Fraction(1)]
    for k in range(1, order):
        step = Fraction((6 * k - 5) * (6 * k - 3) * (6 * k - 1), 216 * k * (2 * k - 1))
        airy.append(-Fraction(3, 2) * step * airy[-1])

    def integral(rate: int, power: Fraction, series: list[Fraction]) -> list[Fraction]:
        """Series of the integral from t to infinity."""
        out: list[Fraction] = []
        for k, term in enumerate(series):
            before = out[-1] * (power + 1 - Fraction(3 * k, 2)) if out else Fraction(0)
            out.append((term + before) / rate)
        return out

    def product(first: list[Fraction], second: list[Fraction]) -> list[Fraction]:
        return [sum((first[j] * second[k - j] for j in range(k + 1)), Fraction(0)) for k in range(order)]

    if beta == 1:
        rate, power, density = 1, Fraction(-1, 4), airy
    else:
        rate, power, density = 2, Fraction(-1), integral(2, Fraction(-1, 2), product(airy, airy))
    if beta == 4:
        both = product(airy, integral(1, Fraction(-1, 4), airy))
        density = [(a - b / 2) / 2 for a, b in zip(density, both, strict=True)]
    upper = integral(rate, power, density)
    return float(rate), float(power), [float(d) for d in density], [float(e) for e in upper]


def _right_series(beta: int, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log pdf and log sf for t >= 16. Left out: exp(-zeta) (beta = 1) or exp(-2 zeta), relative.

    pdf = Ai/2, R and (R - Ai int Ai / 2)/2 for beta = 1, 2, 4, with R = int Ai^2.
    """
    rate, power, density, upper = _right_coefficients(beta)
    lead = 1 if beta == 4 else 0
    t = np.minimum(t, 1e200)
    with np.errstate(under="ignore"):
        z = t**-1.5
        common = -rate / 1.5 * t**1.5 + (power - 1.5 * lead) * np.log(t)
    common -= math.log(4.0 * math.sqrt(math.pi) if beta == 1 else 4.0 * math.pi)
    log_pdf = common + np.log(np.polynomial.polynomial.polyval(z, density[lead:]))
    log_sf = common - 0.5 * np.log(t) + np.log(np.polynomial.polynomial.polyval(z, upper[lead:]))
    return log_pdf, log_sf
