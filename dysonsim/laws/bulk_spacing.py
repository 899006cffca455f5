"""The exact law of the spacing of neighboring levels in the bulk of a large gas (Gaudin, Mehta)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.polynomial.polynomial import polyval

from ._bulk_orders import ORDERS, OrderStandard
from ._painleve import boundary_value
from .standard import ScaledLaw, Standard, one_of
from .tracy_widom import ZETA_PRIME

_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
_TAYLOR_BELOW, _SERIES_ABOVE = 1.0, 13.0
_STRETCH = {1: 1.0, 2: 1.0, 4: 2.0}
Pieces = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class BulkSpacing(ScaledLaw):
    """Spacing S >= 0 of levels in the bulk of a gas of Dyson index beta, N -> infinity, of mean spacing `scale`.

    From a level to its neighbor, or to the `order`-th level above it, with order - 1 others inside: the literature's
    p(k; s) with k levels inside is order k + 1. For beta = 4 levels are distinct: a pair of equal ones of a self-dual
    matrix counts as one.

    P(s) = E''(s), s = S/scale, where E(s) is the probability that an interval of length s holds no level. With D+-
    the Fredholm determinant of the sine kernel sin(pi(x - y))/(pi(x - y)) restricted to even (odd) functions on an
    interval of that length: E_1 = D+(s), E_2 = D+(s) D-(s), E_4 = (D+(2s) + D-(2s))/2 (Gaudin, Nucl. Phys. 25
    (1961) 447; Mehta, Random Matrices, chapters 6, 7 and 11). Variances .28553, .17999, .10409.

    Exact where the mean density does not vary over many spacings: unfold the levels first. For two levels use
    `WignerSurmise`, exact there, whose variances are .2732, .1781, .1045.

    Parameters
    ----------
    beta : 1, 2 or 4
        `fit` never estimates it: it is 1 unless given, as in ``BulkSpacing.fit(s, beta=2)``.
    scale : float, > 0
        Mean spacing of neighbors, in the units of S; the mean of the law is `order` times that.
    order : 1, 2 or 3
        1 for neighbors. Not estimated either. Variances of order 2: .41639, .24898, .13889; of order 3: .49746, .29017,
        .15949.

    Notes
    -----
    With R = -(log E_2)', w^2 = R', G = (s R)' and v = s w, the fifth Painleve equation takes the form
    v'' = 2 w G - pi^2 v, G' = 2 w v', and (log D-/D+)' = w. It is solved by a Taylor series in 60 digits near s = 0,
    as a boundary value problem between, and by its asymptotic series for large s (Dyson 1976), so that pdf, cdf
    and sf keep eleven digits in both tails. Orders 2 and 3 follow from derivatives of the same equations in the
    strength of the kernel, in many digits; their first use takes two seconds. Below 1e-55 their right tail is
    continued by its Gaussian factor, and only the leading digits of its logarithm are right. Variates are drawn by
    inversion.

    Examples
    --------
    >>> import dysonsim as ds
    >>> law = ds.laws.BulkSpacing(beta=2)
    >>> round(law.mean(), 6), round(law.var(), 4)
    (1.0, 0.18)
    >>> round(law.pdf(1.0), 4)
    0.9029
    """

    beta: int = 1
    scale: float = 1.0
    order: int = 1

    _what: ClassVar[str] = "spacings"

    @classmethod
    def _checked(cls, name: str, value: Any) -> float:
        if name == "beta":
            return one_of(name, value, (1, 2, 4))
        return one_of(name, value, (1, *ORDERS)) if name == "order" else super()._checked(name, value)

    @property
    def _standard(self) -> Any:
        return _standard(self.beta) if self.order == 1 else _of_order(self.beta, self.order)

    def mean(self) -> float:
        """Return the mean, which is order times scale."""
        return self.order * self.scale


@lru_cache(maxsize=3)
@np.errstate(all="ignore")
def _standard(beta: int) -> Standard:
    stretch = _STRETCH[beta]

    def logs(pieces: Pieces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        log_pdf, log_sf = _from_pieces(beta, pieces)
        return log_pdf, np.log1p(-np.exp(log_sf)), log_sf

    def exact(s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return logs(_pieces(stretch * s))

    def far(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        log_pdf, log_tail = np.empty_like(s), np.empty_like(s)
        near = s < 1.0
        pdf, cdf = _taylor_of_law(beta)
        with np.errstate(divide="ignore", under="ignore"):
            log_s = np.log(s[near])
            log_pdf[near] = beta * log_s + np.log(polyval(s[near], pdf))
            log_tail[near] = (beta + 1) * log_s + np.log(polyval(s[near], cdf))
        log_pdf[~near], _, log_tail[~near] = logs(_series(stretch * s[~near]))
        return log_pdf, log_tail

    # log sf < -(pi s)^2/16: below the smallest float at the upper end of the bracket
    low, high = _TAYLOR_BELOW / stretch, _SERIES_ABOVE / stretch
    return Standard(exact, far, low, high, (0.0, 60.0), start=0.0, power=beta + 1.0)


def _from_pieces(beta: int, pieces: Pieces) -> tuple[np.ndarray, np.ndarray]:
    """Return log P, log(-E') from L = -log E_2, R = L', mu = log(D-/D+), w = mu', w', all of s (beta = 4: of 2 s)."""
    big, rate, mu, w, slope = pieces
    even, odd = 0.5 * (rate + w), 0.5 * (rate - w)  # -(log D+-)'
    even_second, odd_second = even**2 - 0.5 * (w**2 + slope), odd**2 - 0.5 * (w**2 - slope)  # D+-''/D+-
    if beta == 1:
        return np.log(even_second) - 0.5 * (big + mu), np.log(even) - 0.5 * (big + mu)
    if beta == 2:
        return np.log((rate - w) * (rate + w)) - big, np.log(rate) - big
    with np.errstate(under="ignore"):
        small = np.exp(-mu)
    return (
        np.log(2.0 * (odd_second + small * even_second)) - 0.5 * (big - mu),
        np.log(odd + small * even) - 0.5 * (big - mu),
    )


@lru_cache(maxsize=1)
def _taylor() -> dict[str, list[Decimal]]:
    """Coefficients of D+ ("even") and D- ("odd") in powers of s, from the equations of the class.

    Both are entire functions, unlike w and R, whose series end at the nearest of their zeros.
    """
    order = 60
    with localcontext(prec=60):
        w, g = [Decimal(1)], [Decimal(1)]
        for k in range(order):
            pairs = range(k + 1)
            second = 2 * sum((w[j] * g[k - j] for j in pairs), Decimal(0)) - (_PI**2 * w[k - 1] if k else 0)
            g.append(2 * sum((w[j] * (k - j + 1) * w[k - j] for j in pairs), Decimal(0)) / (k + 1))
            w.append(second / ((k + 2) * (k + 1)))
        rate = [value / (k + 1) for k, value in enumerate(g)]
        result = {}
        for name, sign in (("even", 1), ("odd", -1)):
            series = [Decimal(1)]
            for k in range(order):
                total = sum(((rate[j] + sign * w[j]) * series[k - j] for j in range(k + 1)), Decimal(0))
                series.append(-total / (2 * (k + 1)))
            result[name] = series
    return result


@lru_cache(maxsize=3)
def _taylor_of_law(beta: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of P(s)/s^beta and cdf(s)/s^(beta + 1)."""
    series = _taylor()
    even, odd = series["even"], series["odd"]
    with localcontext(prec=60):
        if beta == 1:
            empty = even
        elif beta == 2:
            empty = [sum((even[j] * odd[k - j] for j in range(k + 1)), Decimal(0)) for k in range(len(even))]
        else:
            empty = [(a + b) / 2 * 2**k for k, (a, b) in enumerate(zip(even, odd, strict=True))]
        pdf = [k * (k - 1) * empty[k] for k in range(beta + 2, len(empty))]
        cdf = [k * empty[k] for k in range(beta + 2, len(empty))]
    return np.array(pdf, dtype=np.float64), np.array(cdf, dtype=np.float64)


@lru_cache(maxsize=1)
def _painleve() -> tuple[Chebyshev, ...]:
    """L, R, mu and w on [1, 13] as Chebyshev series."""
    interval = (_TAYLOR_BELOW, _SERIES_ABOVE)
    even, odd = (float(sum(series)) for series in _taylor().values())  # at s = 1
    even_slope, odd_slope = (
        float(sum(k * value for k, value in enumerate(series))) / total
        for series, total in zip(_taylor().values(), (even, odd), strict=True)
    )
    w_low, rate_low = odd_slope - even_slope, -odd_slope - even_slope
    w_high = float(_series(np.array([_SERIES_ABOVE]))[3][0])

    def right(s: np.ndarray, v: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        g = np.hypot(slope, math.pi * v)
        by_v = 2.0 * (g + (math.pi * v) ** 2 / g) / s - math.pi**2
        return 2.0 * v * g / s - math.pi**2 * v, by_v, 2.0 * v * slope / (s * g)

    ends = (_TAYLOR_BELOW * w_low, _SERIES_ABOVE * w_high)
    v = boundary_value(right, interval, ends, lambda s: 0.5 * math.pi * s, 120)
    w = Chebyshev.interpolate(lambda s: v(s) / s, 120, domain=list(interval))
    rate = rate_low + (w * w).integ(lbnd=_TAYLOR_BELOW)
    big = rate.integ(lbnd=_TAYLOR_BELOW) - math.log(even * odd)
    mu = w.integ(lbnd=_TAYLOR_BELOW) + math.log(odd / even)
    return big, rate, mu, w


@lru_cache(maxsize=6)
@np.errstate(all="ignore")
def _of_order(beta: int, order: int) -> OrderStandard:
    return OrderStandard(beta, order, pieces_beyond)


def pieces_beyond(s: np.ndarray) -> Pieces:
    """L, R, mu, w and w' for s >= 1."""
    near = s <= _SERIES_ABOVE
    result = np.empty((5, s.size))
    result[:, near], result[:, ~near] = _pieces(s[near]), _series(s[~near])
    return tuple(result)  # type: ignore[return-value]


def _pieces(s: np.ndarray) -> Pieces:
    """L, R, mu, w and w' on [1, 13]."""
    big, rate, mu, w = (series(s) for series in _painleve())
    g, v = rate + s * w**2, s * w
    # v'^2 = G^2 - pi^2 v^2 is a first integral: better than a derivative of the series
    return big, rate, mu, w, (np.sqrt((g - math.pi * v) * (g + math.pi * v)) - w) / s


@lru_cache(maxsize=1)
def _series_coefficients() -> tuple[np.ndarray, np.ndarray]:
    """a_k, r_k: w = (pi/2) sum a_k t^(-2k) and R = pi t sum r_k t^(-2k), t = pi s -> infinity."""
    a, g = [1.0, -0.5], [1.0, 0.0]
    for k in range(2, 14):
        inner = range(1, k)
        g.append((2 * k - 3) * (2 * k - 2) * a[k - 1] - sum(a[j] * g[k - j] for j in inner))
        a.append(((1 - 2 * k) * g[k] - sum(a[j] * (1 - 2 * (k - j)) * a[k - j] for j in inner)) / (2 - 2 * k))
    return np.array(a), 0.5 * np.array(g) - 0.25 * np.convolve(a, a)[: len(a)]


def _series(s: np.ndarray) -> Pieces:
    """L, R, mu, w and w' for s >= 13; the constants of integration are those of Dyson, CMP 47 (1976) 171."""
    a, r = _series_coefficients()
    t, k = math.pi * np.minimum(s, 1e150), np.arange(a.size)
    with np.errstate(under="ignore"):
        powers = t[:, None] ** (-2.0 * k)
        w = 0.5 * math.pi * (powers @ a)
        slope = -(math.pi**2) / t * (powers @ (k * a))
        mu = 0.5 * t * (powers @ (a / (1.0 - 2.0 * k))) - 0.5 * math.log(2.0)
        rate = math.pi * t * (powers @ r)
        higher = np.delete(powers, 1, axis=1) @ (np.delete(r, 1) / (2.0 - 2.0 * np.delete(k, 1)))
        big = t**2 * higher + 0.25 * np.log(0.5 * t) - math.log(2.0) / 12.0 - 3.0 * ZETA_PRIME
    return big, rate, mu, w, slope
