"""What the two forms of the Marchenko-Pastur law share: edges, distribution function, sampling, fit."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ._numerics import EPSILON, gauss_legendre, invert, lone_extremes, minimize, minimize_on_interval, split
from .base import Law

SMALLEST_SQUARES = 1e-300  # on average: a variance of 1e-100 is the smallest that the laws take
_ORDER = 24  # Gauss-Legendre nodes, where the closed form of the distribution function cancels

Edges = tuple[tuple[float, float], tuple[float, float]]


@lru_cache(maxsize=64)
def edges(ratio: float, variance: float, power: int) -> Edges:
    """[sqrt(variance) (sqrt(ratio) -+ 1)]^power, each as high + low.

    power = 1 gives the edges of the singular values, 2 those of the eigenvalues.
    """
    with localcontext(prec=60):
        root, width = Decimal(ratio).sqrt(), Decimal(variance).sqrt()
        return split((width * abs(root - 1)) ** power), split((width * (root + 1)) ** power)


@np.errstate(all="ignore")
def zeros_of_rounding(x: np.ndarray, power: int) -> tuple[np.ndarray, float]:
    """Return which of the data are 0 up to the rounding of an eigenvalue or singular value solver, and the tolerance.

    A zero eigenvalue comes out as some eps times the largest one, of either sign. So the tolerance is min(n, 1000) eps
    max x (its root for singular values, which may be roots of such eigenvalues), with the eps of float32 if the data
    are float32 numbers. So small a number may also be a true one, of a square W, whose law has a hard edge at 0. There
    the k smallest squares lie a factor g below the rest with probability g^(-k/2). Numbers therefore count as zeros
    only if some of them are negative, or if they lie so far below the rest that this probability is 1e-4 or less; and
    in any case a hundred times below.

    Parameters
    ----------
    x : (n,)
    power : 2 for eigenvalues, 1 for singular values

    Returns
    -------
    mask (n,), and the tolerance, in units of x
    """
    largest = float(np.abs(x).max())
    is_single = bool(np.all(x.astype(np.float32) == x)) if largest < 1e38 else False
    epsilon = float(np.finfo(np.float32).eps) if is_single else EPSILON
    tolerance = (min(x.size, 1000) * epsilon) ** (0.5 * power) * largest
    zeros = np.abs(x) <= tolerance
    count = int(np.count_nonzero(zeros))
    top = float(np.abs(x[zeros]).max()) if count else 0.0
    if top == 0.0 or count == x.size:
        return x == 0.0, tolerance
    gap = 100.0 if (x[zeros] < 0.0).any() else max(100.0, 1e8 ** (1.0 / count))
    rest = x[~zeros]
    is_apart = float(rest.min()) >= gap ** (0.5 * power) * top
    return (zeros if is_apart else x == 0.0), tolerance


@dataclass(frozen=True)
class RectangularLaw(Law):
    """What the eigenvalues x of W^T W/m and the singular values sqrt(x) share.

    With q^2 = min(ratio, 1/ratio) and x = lower + (upper - lower) sin^2(theta/2), the continuous part has the
    distribution function F(theta) = (2/pi) int_0^theta sin^2 t / (1 - 2 q cos t + q^2) dt, with F(pi) = 1.
    """

    ratio: float
    variance: float = 1.0

    shape: ClassVar[tuple[str, ...]] = ("ratio", "variance")
    _positive: ClassVar[tuple[str, ...]] = ("ratio", "variance")
    _power: ClassVar[int]

    @property
    def atom(self) -> float:
        """Probability of exactly zero: 1 - 1/ratio where ratio > 1, else 0."""
        return (self.ratio - 1.0) / self.ratio if self.ratio > 1.0 else 0.0

    @property
    def _weight(self) -> float:
        """Probability of the continuous part."""
        return 1.0 / max(self.ratio, 1.0)

    @property
    def _q(self) -> tuple[float, float]:
        """Return q and 1 - q^2, the latter without cancellation."""
        gap = 1.0 - self.ratio if self.ratio <= 1.0 else self.atom
        return math.sqrt(min(self.ratio, 1.0 / self.ratio)), gap

    def support(self) -> tuple[float, float]:
        """Return the edges of the continuous part; from 0 if there is an atom there."""
        (low, _), (high, _) = edges(self.ratio, self.variance, self._power)
        return (0.0 if self.ratio > 1.0 else low), high

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """The exact zeros of a matrix with more columns than rows: (0, their share), if there are any."""
        return ((0.0, self.atom),) if self.ratio > 1.0 else ()

    @classmethod
    def read(cls, x: np.ndarray) -> tuple[np.ndarray, str]:
        """Zeros that rounding has moved become 0: see `zeros_of_rounding`."""
        zeros, tolerance = zeros_of_rounding(x, cls._power)
        moved = int(np.count_nonzero(x[zeros]))
        if not moved:
            return x, ""
        note = (
            f"{int(np.count_nonzero(zeros))} of {x.size} data are read as zeros: {moved} of them differ from 0 by "
            f"rounding, by up to {np.abs(x[zeros]).max():.2g} (allowed: {tolerance:.2g})"
        )
        return np.where(zeros, 0.0, x), note

    @abstractmethod
    def _to_edges(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Roots of eigenvalue - lower edge and of upper edge - eigenvalue, to full relative accuracy."""

    @abstractmethod
    def _from_squares(self, squares: np.ndarray) -> np.ndarray:
        """Return x from squared singular values."""

    def log_terms(self, x: ArrayLike) -> Any:
        """Return the log density, and at 0 the log of the atom's probability."""
        terms = self.logpdf(x)
        return np.where(np.asarray(x) == 0.0, math.log(self.atom), terms) if self.ratio > 1.0 else terms

    # ---- distribution function -------------------------------------------------------------------

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        below, above = self._to_edges(x)
        return self.atom + self._weight * self._lower_tail(2.0 * np.arctan2(below, above))

    def _sf(self, x: np.ndarray) -> np.ndarray:
        below, above = self._to_edges(x)
        return self._weight * self._upper_tail(2.0 * np.arctan2(above, below))

    def _lower_tail(self, theta: np.ndarray) -> np.ndarray:
        """F(theta) to full relative accuracy."""
        q, gap = self._q
        # near 0 the closed form cancels, but there the integrand is smooth: its pole is at i log(1/q)
        near = (theta <= -2.0 * math.log(q)) & (gap > 0.0)
        result = np.empty(theta.size)
        result[near] = self._integral(theta[near], -1.0)
        t = theta[~near]
        alpha = np.arctan2(q * np.sin(t), gap / (1.0 + q) + 2.0 * q * np.sin(0.5 * t) ** 2)
        result[~near] = (t + np.sin(t) / q - gap * alpha / q**2) / math.pi
        return result

    def _upper_tail(self, eta: np.ndarray) -> np.ndarray:
        """1 - F(pi - eta) to full relative accuracy."""
        near = eta <= 2.0
        result = np.empty(eta.size)
        result[near] = self._integral(eta[near], 1.0)
        result[~near] = 1.0 - self._lower_tail(math.pi - eta[~near])
        return result

    def _integral(self, end: np.ndarray, sign: float) -> np.ndarray:
        """(2/pi) int_0^end sin^2 t / (1 + 2 sign q cos t + q^2) dt."""
        nodes, weights = gauss_legendre(_ORDER)
        result = np.empty(end.size)
        for first in range(0, end.size, 4096):  # in blocks, to bound the memory of points x nodes
            block = end[first : first + 4096]
            result[first : first + 4096] = self._angular_density(np.multiply.outer(block, nodes), sign) @ weights
        return end * result

    def _angular_density(self, t: np.ndarray, sign: float) -> np.ndarray:
        q, gap = self._q
        if sign < 0.0:
            denominator = (gap / (1.0 + q)) ** 2 + 4.0 * q * np.sin(0.5 * t) ** 2
        else:
            denominator = 1.0 + q * q + 2.0 * q * np.cos(t)
        return 2.0 / math.pi * np.sin(t) ** 2 / denominator

    # ---- inversion -------------------------------------------------------------------------------

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        return self._inverse((q - self.atom) / self._weight, (1.0 - q) / self._weight)

    def _isf(self, q: np.ndarray) -> np.ndarray:
        return self._inverse((self._weight - q) / self._weight, q / self._weight)

    def _inverse(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return x from the probabilities of the continuous part to its left and to its right."""
        x = np.zeros(lower.size)
        left = (lower > 0.0) & (lower <= 0.5)
        right = lower > 0.5
        product = 4.0 * self.variance * math.sqrt(self.ratio)  # upper edge - lower edge, of eigenvalues
        (lowest, _), (highest, _) = edges(self.ratio, self.variance, 2)
        sine = np.sin(0.5 * self._angle(lower[left], -1.0))
        if self._power == 1:  # no square that underflows at the hard edge
            x[left] = np.hypot(math.sqrt(lowest), math.sqrt(product) * sine)
        else:
            x[left] = lowest + product * sine**2
        x[right] = self._from_squares(highest - product * np.sin(0.5 * self._angle(upper[right], 1.0)) ** 2)
        return x

    def _angle(self, p: np.ndarray, sign: float) -> np.ndarray:
        """Solve for theta with F = p (sign -1) or pi - theta with 1 - F = p (sign +1), from log p against log theta."""
        q, gap = self._q
        tail = self._lower_tail if sign < 0.0 else self._upper_tail

        def log_tail(log_angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            angle = np.exp(log_angle)
            value = tail(angle)
            return np.log(value), angle * self._angular_density(angle, sign) / value

        cubic = np.cbrt(1.5 * math.pi * p * (gap / (1.0 + q) if sign < 0.0 else 1.0 + q) ** 2)
        start = np.log(np.minimum(np.maximum(cubic, 0.5 * math.pi * q * p if sign < 0.0 else 0.0), 3.0))
        return np.exp(invert(log_tail, np.log(p), start, start - 3.0, np.full(p.size, math.log(math.pi))))

    # ---- sampling --------------------------------------------------------------------------------

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Rejection from a beta law of y = sin^2(theta/2), whichever accepts more: at least 38%."""
        q, gap = self._q
        small = (gap / (1.0 + q)) ** 2
        squares = np.zeros(size)
        todo = np.flatnonzero(rng.random(size) >= self.atom)
        (lowest, _), _ = edges(self.ratio, self.variance, 2)
        while todo.size:
            y = rng.beta(0.5 if q > small else 1.5, 1.5, todo.size)
            accept = (4.0 * q * y if q > small else small) / (small + 4.0 * q * y)
            taken = rng.random(todo.size) < accept
            squares[todo[taken]] = lowest + 4.0 * self.variance * math.sqrt(self.ratio) * y[taken]
            todo = todo[~taken]
        return self._from_squares(squares)

    # ---- fit -------------------------------------------------------------------------------------

    def _doubt(self, x: np.ndarray, fixed: dict[str, float]) -> str:
        return lone_extremes(self, x, x[x > 0.0], fixed)

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        if x.min() < 0.0:
            raise ValueError(f"data contain {x.min():g}: must be >= 0, and it is no rounding error of 0")
        positive = x[x > 0.0]
        zeros = positive.size < x.size
        if positive.size == 0 or positive.min() == positive.max():
            raise ValueError("data without two different values > 0: at least two are needed")
        # as singular values, whatever x is
        low, high = (float(y) ** (1.0 / cls._power) for y in (positive.min(), positive.max()))

        squares = positive ** (2.0 / cls._power)
        if float(np.mean(squares)) < SMALLEST_SQUARES:
            raise ValueError(f"data of at most {positive.max():.3g}: squares vanish; change the units")
        share = squares.size / x.size

        def cost(ratio: float, variance: float) -> float:
            """- loglikelihood / x.size, but for the terms without a parameter."""
            root, width = math.sqrt(ratio), math.sqrt(variance)
            to_edges = (squares - (width * (1.0 - root)) ** 2) * ((width * (1.0 + root)) ** 2 - squares)
            if to_edges.min() <= 0.0:
                return math.inf
            value = share * (0.5 * float(np.mean(np.log(to_edges))) - math.log(variance * ratio))
            return -value - (0.0 if share == 1.0 else (1.0 - share) * math.log1p(-1.0 / ratio))

        outside = f"data with singular values from {low:g} to {high:g} lie outside the support of every law with"
        if "ratio" in fixed:
            ratio, root = fixed["ratio"], math.sqrt(fixed["ratio"])
            least, most = 2.0 * math.log(high / (1.0 + root)), math.log(100.0) + 2.0 * math.log(high)
            if ratio != 1.0:
                most = min(most, 2.0 * math.log(low / abs(1.0 - root)))
            if least >= most or (zeros and ratio <= 1.0):
                raise ValueError(f"{outside} ratio = {ratio:g}" + ("; zeros need ratio > 1" if zeros else ""))
            log_variance = minimize_on_interval(lambda z: cost(ratio, math.exp(z)), least, most)
            return {"variance": math.exp(log_variance)}
        if "variance" in fixed:
            variance, width = fixed["variance"], math.sqrt(fixed["variance"])
            least, most = max(1.0 - low / width, high / width - 1.0, 1.0 if zeros else 0.0), 1.0 + low / width
            if least >= most:
                raise ValueError(f"{outside} variance = {variance:g}")
            return {"ratio": minimize_on_interval(lambda z: cost(z * z, variance), least, most) ** 2}

        def law_at(point: np.ndarray) -> tuple[float, float]:
            # the edges of the singular values: below and above all data
            lower, upper = low / (1.0 + math.exp(-point[0])), high * (1.0 + math.exp(point[1]))
            q, width = (upper - lower) / (upper + lower), 0.5 * (upper + lower)
            return (1.0 / q**2, (width * q) ** 2) if zeros else (q * q, width**2)

        mean = float(np.mean(squares))
        q = min(math.sqrt(float(np.var(squares))) / mean, 0.999)
        closeness = x.size ** (-2.0 / 3.0)
        lower = min(max(math.sqrt(mean) * (1.0 - q) / low, 0.01), 1.0 - closeness)
        upper = max(math.sqrt(mean) * (1.0 + q) / high - 1.0, closeness)
        start = [math.log(lower / (1.0 - lower)), math.log(upper)]
        best = minimize(lambda p: cost(*law_at(p)), [start, [0.0, start[1]]], [(-40.0, 36.0), (-36.0, 3.0)])
        return dict(zip(("ratio", "variance"), law_at(best), strict=True))
