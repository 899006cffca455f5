"""Spacings with levels inside: the law of `BulkSpacing` for orders 2 and 3.

With E(j; s) the probability that an interval of length s holds j levels, the distance from a level to that which
follows k others has P(S > s) = -A'(s) and density A''(s), A = sum_{j<=k} (k - j + 1) E(j; s). The determinants D+- of
the kernel z sin(pi(x - y))/(pi(x - y)) are sum_r E+-(r) (1 - z)^r, so that E+-(r) are their derivatives in 1 - z at z =
1. The equations of `bulk_spacing` hold for any z, with w = G = z at s = 0, and are solved here for power series in 1 -
z, in many digits: by a Taylor series at s = 0 up to s = 3 (5 for beta = 4, whose terms cancel most), and by Taylor
steps beyond.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyval

from ._numerics import Table, gauss_legendre

ORDERS = (2, 3)
_POWERS = 3  # of 1 - z: the terms 0, 1, 2
_SMALL, _STEPPED, _END = 1.0, 3.0, 22.0  # of the argument of D+-: plain series below; Taylor steps between
_START = {1: 3.0, 2: 3.0, 4: 5.0}  # by beta: up to here the series at 0 is tabulated, as long as terms of A cancel
_TERMS, _DIGITS = 200, 180  # of the series at 0
_STEP, _DEGREE, _CARRIED = 0.25, 32, 120  # length of a step, terms of its series, digits: it loses one in 0.37
_PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706"
    "7982148086513282306647093844609550582231725359408128481117450284102701938521105559"
)
_STRETCH = {1: 1.0, 2: 1.0, 4: 2.0}
# A as a sum over D+ (1), D- (-1) or their product (0), with what multiplies E(0), E(1), E(2) of it: for beta = 1 from
# E(2r - 1) + E(2r) = E+(r) and E(2r) + E(2r + 1) = E-(r), for beta = 4 E(r) is the mean of E+(r) and E-(r) at 2 s.
_PARTS: dict[tuple[int, int], tuple[tuple[int, tuple[float, ...]], ...]] = {
    (1, 2): ((1, (1.0,)), (-1, (1.0,))),
    (1, 3): ((1, (2.0, 1.0)), (-1, (1.0,))),
    (2, 2): ((0, (2.0, 1.0)),),
    (2, 3): ((0, (3.0, 2.0, 1.0)),),
    (4, 2): ((1, (1.0, 0.5)), (-1, (1.0, 0.5))),
    (4, 3): ((1, (1.5, 1.0, 0.5)), (-1, (1.5, 1.0, 0.5))),
}

Jets = list[list[Decimal]]
Zeroth = Callable[[np.ndarray], tuple[np.ndarray, ...]]
"""L, R, mu, w and w' at z = 1, of `bulk_spacing`."""


def _times(a: list[Decimal], b: list[Decimal]) -> list[Decimal]:
    return [sum((a[i] * b[r - i] for i in range(r + 1)), Decimal(0)) for r in range(_POWERS)]


def _product(a: Jets, b: Jets, k: int) -> list[Decimal]:
    """Coefficient k of the product of two power series."""
    zero = one = two = Decimal(0)
    for (a0, a1, a2), (b0, b1, b2) in zip(a[: k + 1], b[k::-1], strict=True):
        zero += a0 * b0
        one += a0 * b1 + a1 * b0
        two += a0 * b2 + a1 * b1 + a2 * b0
    return [zero, one, two]


@lru_cache(maxsize=1)
def _series_at_zero() -> dict[int, Jets]:
    """Coefficients of D+ (1), D- (-1) and their product (0), by powers of s, then of 1 - z, for s <= 5.

    They fall faster than any power, but are made of those of R and w, whose series end at the first zero of D+-: hence
    the digits.
    """
    with localcontext(prec=_DIGITS):
        start = [Decimal(1), Decimal(-1), Decimal(0)]
        w, g, slopes = [start], [start], []
        for k in range(_TERMS):
            second = [2 * value for value in _product(w, g, k)]
            if k:
                second = [a - _PI**2 * b for a, b in zip(second, w[k - 1], strict=True)]
            w.append([value / ((k + 2) * (k + 1)) for value in second])
            slopes.append([(k + 1) * value for value in w[k]])  # of v = s w
            g.append([2 * value / (k + 1) for value in _product(w, slopes, k)])
        rate = [[value / (k + 1) for value in jet] for k, jet in enumerate(g)]
        result: dict[int, Jets] = {}
        for sign in (1, -1):
            series: Jets = [[Decimal(1), Decimal(0), Decimal(0)]]
            both = [[a + sign * b for a, b in zip(x, y, strict=True)] for x, y in zip(rate, w, strict=True)]
            for k in range(_TERMS):
                series.append([-value / (2 * (k + 1)) for value in _product(both, series, k)])
            result[sign] = series
        result[0] = [_product(result[1], result[-1], k) for k in range(_TERMS + 1)]
    return result


@lru_cache(maxsize=6)
def _taylor(beta: int, order: int) -> tuple[int, list[Decimal]]:
    """First power p and coefficients of 1 + A'(u), u the argument of D+-: u^p sum c_k u^k."""
    with localcontext(prec=_DIGITS):
        total = [Decimal(0)] * (_TERMS + 1)
        for sign, weights in _PARTS[beta, order]:
            for k, jet in enumerate(_series_at_zero()[sign]):
                total[k] += sum((Decimal(c) * jet[r] for r, c in enumerate(weights)), Decimal(0))
        scale = int(_STRETCH[beta])
        slope = [scale * k * total[k] for k in range(1, len(total))]
        slope[0] += 1
        first = next(k for k, value in enumerate(slope) if abs(value) > Decimal("1e-40"))
        return first, slope[first:]


class _Steps:
    """E+-(r)/E+-(0) for r = 1, 2 as Taylor series about points from 3 to 22, divided by exp(r `logs`): they grow so.

    In `_CARRIED` digits, because E+-(0) is the one solution that does not grow, and because D+ hides D- in R and w.
    """

    def __init__(self) -> None:
        self.centers = np.arange(_STEPPED, _END, _STEP)
        shape = (self.centers.size, _DEGREE + 1, _POWERS)
        self.tables = {1: np.zeros(shape), -1: np.zeros(shape)}
        self.logs = np.zeros(self.centers.size)
        step = Decimal(_STEP)
        powers = [step**k for k in range(_DEGREE + 1)]
        state = self._first()
        with localcontext(prec=_CARRIED):
            for i, at in enumerate(self.centers.tolist()):
                series = self._expand(Decimal(at), state)
                jets = {sign: _exponential(series[sign]) for sign in (1, -1)}
                size = max(jets[1][0][1], jets[-1][0][1])
                self.logs[i] = float(size.ln())
                for sign, jet in jets.items():
                    self.tables[sign][i] = [[float(row[r] / size**r) for r in range(_POWERS)] for row in jet]
                state = {
                    name: [
                        sum((row[r] * x for row, x in zip(jet, powers, strict=True)), Decimal(0))
                        for r in range(_POWERS)
                    ]
                    for name, jet in series.items()
                }

    @staticmethod
    def _first() -> dict[Any, list[Decimal]]:
        """Return v = s w, v', G and log D+- (terms 1, 2) at the start, from the series at 0."""
        with localcontext(prec=_DIGITS):
            s = Decimal(_STEPPED)
            power = [s**k for k in range(_TERMS + 1)]
            logs, slopes, bends = {}, {}, {}
            for sign in (1, -1):
                series = _series_at_zero()[sign]
                jet, slope, second = (
                    [
                        sum((c(k) * series[k][r] * power[k] for k in range(_TERMS + 1)), Decimal(0))
                        for r in range(_POWERS)
                    ]
                    for c in (lambda k: Decimal(1), lambda k: Decimal(k) / s, lambda k: Decimal(k * (k - 1)) / s**2)
                )
                inverse = [1 / jet[0], -jet[1] / jet[0] ** 2, jet[1] ** 2 / jet[0] ** 3 - jet[2] / jet[0] ** 2]
                slopes[sign] = _times(slope, inverse)
                square = _times(slopes[sign], slopes[sign])
                bends[sign] = [a - b for a, b in zip(_times(second, inverse), square, strict=True)]
                ratio = [x / jet[0] for x in jet]
                logs[sign] = [Decimal(0), ratio[1], ratio[2] - ratio[1] ** 2 / 2]
            # (log D+-)' = -(R +- w)/2
            w = [b - a for a, b in zip(slopes[1], slopes[-1], strict=True)]
            dw = [b - a for a, b in zip(bends[1], bends[-1], strict=True)]
            square = _times(w, w)
            return {
                "v": [s * x for x in w], "dv": [x + s * y for x, y in zip(w, dw, strict=True)],
                "g": [s * x - a - b for x, a, b in zip(square, slopes[1], slopes[-1], strict=True)],
                1: logs[1], -1: logs[-1],
            }  # fmt: skip

    @staticmethod
    def _expand(at: Decimal, state: dict[Any, list[Decimal]]) -> dict[Any, Jets]:
        """Taylor series about `at` of all, from v'' = 2 w G - pi^2 v, G' = 2 w v', s w = v, R = G - v w."""
        v, dv, g = [state["v"]], [state["dv"]], [state["g"]]
        w: Jets = []
        result: dict[Any, Jets] = {1: [state[1]], -1: [state[-1]]}
        for k in range(_DEGREE):
            w.append([(a - (w[k - 1][r] if k else 0)) / at for r, a in enumerate(v[k])])
            rate = [a - b for a, b in zip(g[k], _product(v, w, k), strict=True)]
            for sign in (1, -1):
                slope = [-(a + sign * b) / (2 * (k + 1)) for a, b in zip(rate, w[k], strict=True)]
                result[sign].append([Decimal(0), *slope[1:]])
            force = _product(w, g, k)
            dv.append([(2 * a - _PI**2 * b) / (k + 1) for a, b in zip(force, v[k], strict=True)])
            g.append([2 * a / (k + 1) for a in _product(w, dv, k)])
            v.append([a / (k + 1) for a in dv[k]])
        return result | {"v": v, "dv": dv, "g": g}

    def _one(self, u: np.ndarray, sign: int) -> np.ndarray:
        """Value and two derivatives of the terms 0, 1, 2 of D+- over that at z = 1: (3, 3, n)."""
        i = np.clip(((u - _STEPPED) / _STEP).astype(int), 0, self.centers.size - 1)
        k = np.arange(_DEGREE + 1.0)
        powers = (u - self.centers[i])[None, :] ** k[:, None]
        table = self.tables[sign][i]
        value = np.einsum("nkr,kn->rn", table, powers)
        first = np.einsum("nkr,k,kn->rn", table[:, 1:], k[1:], powers[:-1])
        second = np.einsum("nkr,k,kn->rn", table[:, 2:], k[2:] * (k[2:] - 1.0), powers[:-2])
        return np.array([value, first, second])

    def __call__(self, u: np.ndarray, sign: int, zeroth: Zeroth) -> tuple[np.ndarray, ...]:
        """Return log E(0), `logs`, and E'(r), E''(r) over E(0) exp(r logs); of D+ (1), D- (-1) or their product (0)."""
        i = np.clip(((u - _STEPPED) / _STEP).astype(int), 0, self.centers.size - 1)
        big, rate, mu, w, slope = zeroth(u)
        if sign:
            p, d, dd = self._one(u, sign)
            log_zero, first, second = -0.5 * (big + sign * mu), -0.5 * (rate + sign * w), -0.5 * (w * w + sign * slope)
        else:
            (p, d, dd), (q, e, ee) = self._one(u, 1), self._one(u, -1)
            p, d, dd = (
                np.array([sum(f(r, j) for j in range(r + 1)) for r in range(_POWERS)])
                for f in (
                    lambda r, j: p[j] * q[r - j],
                    lambda r, j: d[j] * q[r - j] + p[j] * e[r - j],
                    lambda r, j: dd[j] * q[r - j] + 2.0 * d[j] * e[r - j] + p[j] * ee[r - j],
                )
            )
            log_zero, first, second = -big, -rate, -w * w
        return log_zero, self.logs[i], d + p * first, dd + 2.0 * d * first + p * (second + first**2)


def _exponential(series: Jets) -> Jets:
    """Terms 0, 1, 2 of the exponential of terms 1 and 2, as series."""
    result = []
    for k, row in enumerate(series):
        square = sum((series[j][1] * series[k - j][1] for j in range(k + 1)), Decimal(0))
        result.append([Decimal(1 if k == 0 else 0), row[1], square / 2 + row[2]])
    return result


@lru_cache(maxsize=1)
def _steps() -> _Steps:
    return _Steps()


class OrderStandard:
    """The law at scale = 1."""

    resolution = 0.0

    def __init__(self, beta: int, order: int, zeroth: Zeroth) -> None:
        self.zeroth, self.start = zeroth, _START[beta]
        self.beta, self.order, self.stretch = beta, order, _STRETCH[beta]
        self.mean = float(order)
        first, series = _taylor(beta, order)
        self.power = float(first)
        self._cdf_series = np.array([float(c) for c in series])
        self._pdf_series = np.array([float((first + k) * c) for k, c in enumerate(series)])
        self.bracket = (0.0, 60.0 / self.stretch)

        def between(u: np.ndarray, is_density: bool) -> np.ndarray:
            with localcontext(prec=_DIGITS):
                out = []
                for x in map(Decimal, u.tolist()):
                    total = Decimal(0)
                    for k in range(len(series) - 1, -1, -1):
                        total = total * x + ((first + k) * series[k] if is_density else series[k])
                    out.append(float((total * x ** (first - (1 if is_density else 0))).ln()))
            return np.array(out)

        self._log_pdf = Table(lambda u: between(u, True), _SMALL, self.start, 1e-13)
        self._log_cdf = Table(lambda u: between(u, False), _SMALL, self.start, 1e-13)
        nodes, weights = gauss_legendre(30)
        step = (order + 14.0) / self.stretch / 50
        x = step * (np.arange(50)[:, None] + nodes).ravel()
        mass = step * np.tile(weights, 50) * np.exp(self.log_pdf(x))
        self.var = float(mass @ (x - order) ** 2)

    def _logs(self, s: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u = self.stretch * s
        log_pdf, log_cdf, log_sf = np.empty((3, s.size))
        near, middle = u < _SMALL, (u >= _SMALL) & (u < self.start)
        v = u[near]
        log_pdf[near] = (self.power - 1.0) * np.log(v) + np.log(polyval(v, self._pdf_series))
        log_cdf[near] = self.power * np.log(v) + np.log(polyval(v, self._cdf_series))
        log_pdf[middle], log_cdf[middle] = self._log_pdf(u[middle]), self._log_cdf(u[middle])
        log_pdf[u < self.start] += math.log(self.stretch)
        log_sf[u < self.start] = np.log1p(-np.exp(log_cdf[u < self.start]))
        far = u >= self.start
        if far.any():
            log_pdf[far], log_sf[far] = self._tail(u[far])
            log_cdf[far] = np.log1p(-np.exp(log_sf[far]))
        return log_pdf, log_cdf, log_sf

    def _tail(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log A'' and log(-A') in s; beyond the last step nothing but the Gaussian factor changes."""
        v = np.minimum(u, _END)
        parts, logs = [], []
        for sign, weights in _PARTS[self.beta, self.order]:
            log_zero, scale, first, second = _steps()(v, sign, self.zeroth)
            for r, c in enumerate(weights):
                parts.append((c * first[r], c * second[r]))
                logs.append(log_zero + r * scale)
        largest = np.max(logs, axis=0)
        share = np.exp(np.array(logs) - largest)
        slope = sum(s * part[0] for s, part in zip(share, parts, strict=True))
        bend = sum(s * part[1] for s, part in zip(share, parts, strict=True))
        gaussian = (1.0 if self.beta == 2 else 0.5) * (math.pi**2 / 8.0) * (u**2 - v**2)
        growth = math.pi * (self.order - 1) * (0.5 if self.beta == 1 else 1.0) * (u - v)
        far = largest - gaussian + growth
        return far + np.log(bend) + 2.0 * math.log(self.stretch), far + np.log(-slope) + math.log(self.stretch)

    def log_pdf(self, s: np.ndarray) -> np.ndarray:
        return self._logs(s)[0]

    def log_cdf(self, s: np.ndarray) -> np.ndarray:
        return self._logs(s)[1]

    def log_sf(self, s: np.ndarray) -> np.ndarray:
        return self._logs(s)[2]

    def guess(self, log_tail: np.ndarray, side: float) -> np.ndarray:
        """Roughly where log cdf (side = 1) or log sf (side = -1) has this value."""
        from scipy.special import ndtri_exp

        if side > 0.0:
            start = _SMALL / self.stretch
            at_start = float(self.log_cdf(np.array([0.999 * start]))[0])
            low = start * np.exp((log_tail - at_start) / self.power)
            return np.where(
                log_tail < at_start, low, np.clip(self.mean + math.sqrt(self.var) * ndtri_exp(log_tail), start, None)
            )
        return np.clip(self.mean - math.sqrt(self.var) * ndtri_exp(log_tail), *self.bracket)
