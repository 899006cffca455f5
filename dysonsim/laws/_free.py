"""Spectral densities of a fixed matrix plus noise: free convolutions whose subordination function is explicit.

Both laws have a Stieltjes transform that is an explicit function of a point w of the upper half plane, and x = phi(w)
with an explicit phi. A law says what phi, its density and its distribution function are at w; found here are the edges,
which are the extrema of phi on the real line, and w at a given x.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import _checks
from ._numerics import LARGEST, gauss_legendre, invert, lone_extremes, minimize_on_interval, real
from .base import Law

MOST_ATOMS = 1000
_GRID = np.linspace(-34.0, 34.0, 1201)  # logits of the points of an interval where phi' is looked at
_DEGREES = (32, 64, 128, 256, 512)
_TAIL = 1e-3  # of a component's probability: below, the density is integrated from the edge
_ORDER = 40  # Gauss-Legendre nodes there


class Curve:
    """phi of one law, in units where atoms and noise are of order one.

    Parameters
    ----------
    atoms, weights : (k,)
        Ascending and different; positive, of sum 1.
    """

    def __init__(self, atoms: np.ndarray, weights: np.ndarray) -> None:
        self.atoms, self.weights = atoms, weights
        self.components = self._components()

    @abstractmethod
    def phi(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return x and dx/dw."""

    @abstractmethod
    def valid(self, w: np.ndarray) -> np.ndarray:
        """Whether real points w belong to points x outside the support where phi increases."""

    @abstractmethod
    def first_edge(self) -> float | None:
        """Lowest point of the support, where it is no extremum of phi."""

    @abstractmethod
    def density(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Of x at w."""

    @abstractmethod
    def below(self, w: np.ndarray, x: np.ndarray) -> np.ndarray:
        """P(X <= x), absolutely accurate."""

    def _sum(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F = sum p/(a - w) and dF/dw."""
        f, slope = np.zeros_like(w), np.zeros_like(w)
        for a, p in zip(self.atoms, self.weights, strict=True):
            inverse = 1.0 / (a - w)
            f += p * inverse
            slope += p * inverse**2
        return f, slope

    # ---- edges -----------------------------------------------------------------------------------------------------

    def _components(self) -> list[tuple[float, float, float, float]]:
        """Lower edge, upper edge, probability below and inside, of every interval of the support."""
        span = float(self.atoms[-1] - self.atoms[0]) + 1.0
        outer = self.atoms[-1] + 1e3 * span
        grids = [self.atoms[0] - 1e3 * span * _logistic(-_GRID)]
        grids += [
            low + (high - low) * _logistic(_GRID) for low, high in zip(self.atoms[:-1], self.atoms[1:], strict=True)
        ]
        grids += [self.atoms[-1] + (outer - self.atoms[-1]) * _logistic(_GRID)]
        edges: list[float] = []
        below = [0.0]
        for k, grid in enumerate(grids):
            turns = self._turns(grid)
            if k == 0:
                first = self.first_edge()
                edges.append(first if first is not None and not turns else float(self.phi(np.array(turns[:1]))[0][0]))
            elif k == len(grids) - 1:
                edges.append(float(self.phi(np.array(turns[-1:]))[0][0]))
            elif len(turns) >= 2:
                edges += self.phi(np.array([turns[0], turns[-1]]))[0].tolist()
                below.append(float(self.weights[:k].sum()))
        below.append(1.0)
        lows, highs = edges[::2], edges[1::2]
        return [
            (low, high, start, end - start)
            for low, high, start, end in zip(lows, highs, below[:-1], below[1:], strict=True)
        ]

    def _turns(self, grid: np.ndarray) -> list[float]:
        """Roots of phi' between these points where they are valid."""
        from scipy.optimize import brentq, minimize_scalar

        def slope(w: float) -> float:
            return float(self.phi(np.array([w]))[1][0])

        grid = np.unique(grid[self.valid(grid)])
        if grid.size < 3:
            return []
        values = self.phi(grid)[1]
        top = int(np.argmax(values))
        if 0 < top < grid.size - 1 and values[top] <= 0.0:  # a narrow gap may lie between the points
            found = minimize_scalar(lambda w: -slope(w), bounds=(grid[top - 1], grid[top + 1]), method="bounded")
            grid, values = np.insert(grid, top, found.x), np.insert(values, top, -found.fun)
            order = np.argsort(grid)
            grid, values = grid[order], values[order]
        changes = np.flatnonzero((values[:-1] > 0.0) != (values[1:] > 0.0))
        return [float(brentq(slope, grid[i], grid[i + 1], xtol=1e-300, rtol=1e-15)) for i in changes]

    # ---- w at x ----------------------------------------------------------------------------------------------------

    def continued(self, x: np.ndarray) -> np.ndarray:
        """Return w at x by Newton's method, from far above the real line down to it."""
        height = 4.0 * (1.0 + float(np.abs(self.atoms).max()))
        w = x + 1j * height
        for eta in height * np.geomspace(1.0, 1e-13, 64):
            for _ in range(2):
                value, slope = self.phi(w)
                w = w - (value - x - 1j * eta) / slope
                w = np.where(w.imag > 0.0, w, w.real + 1e-300j)
        return self.polished(w, x)

    def polished(self, w: np.ndarray, x: np.ndarray, steps: int = 8) -> np.ndarray:
        """Newton's method on the real line of x; w stays above its own."""
        for _ in range(steps):
            value, slope = self.phi(w)
            step = (value - x) / slope
            w = w - np.where(np.isfinite(step), step, 0.0)
            w = w.real + 1j * np.abs(w.imag)
        return w


def _logistic(y: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-y))


class Component:
    """One interval of the support: w as a function of the angle, x = low + (high - low) sin^2(angle/2)."""

    def __init__(self, curve: Curve, low: float, high: float, start: float, share: float) -> None:
        self.curve, self.low, self.high, self.start, self.share = curve, low, high, start, share
        for degree in _DEGREES:
            angles = math.pi * (np.arange(degree) + 0.5) / degree
            w = curve.continued(self.x(angles))
            modes = np.cos(np.outer(np.arange(degree), angles)) * (2.0 / degree)
            modes[0] *= 0.5
            self.real, self.imag = modes @ w.real, modes @ (w.imag / np.sin(angles))
            size = np.abs(self.real).max() + np.abs(self.imag).max()
            if max(np.abs(self.real[-4:]).max(), np.abs(self.imag[-4:]).max()) < 1e-9 * size:
                break

    def x(self, angle: np.ndarray) -> np.ndarray:
        return self.low + (self.high - self.low) * np.sin(0.5 * angle) ** 2

    def w(self, x: np.ndarray) -> np.ndarray:
        """At points x inside."""
        share = np.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)
        cosine, sine = 1.0 - 2.0 * share, 2.0 * np.sqrt(share * (1.0 - share))
        chebval = np.polynomial.chebyshev.chebval
        w = chebval(cosine, self.real) + 1j * np.maximum(sine * chebval(cosine, self.imag), 0.0)
        return self.curve.polished(w, x, 5)

    def density(self, x: np.ndarray) -> np.ndarray:
        return np.maximum(self.curve.density(self.w(x), x), 0.0)

    def tails(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability of this component to the left and to the right of x, each to full relative accuracy."""
        left = np.clip(self.curve.below(self.w(x), x) - self.start, 0.0, self.share)
        right = self.share - left
        for tail, other, edge, sign in ((left, right, self.low, 1.0), (right, left, self.high, -1.0)):
            near = tail < _TAIL * self.share
            if near.any():
                distance = sign * (x[near] - edge)
                nodes, weights = gauss_legendre(_ORDER)
                root = np.sqrt(np.maximum(distance, 0.0))
                points = np.multiply.outer(root, nodes)
                density = self.density(np.clip(edge + sign * points**2, self.low, self.high).ravel())
                tail[near] = 2.0 * root * ((density.reshape(points.shape) * points) @ weights)
                other[near] = self.share - tail[near]
        return left, right

    def quantile(self, probability: np.ndarray, upper: bool) -> np.ndarray:
        """Where the probability to the left, or to the right, has these values."""

        def function(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            angle = np.exp(z)
            x = self.x(math.pi - angle if upper else angle)
            value = self.tails(x)[1 if upper else 0]
            slope = self.density(x) * 0.5 * (self.high - self.low) * np.sin(angle) * angle
            return np.log(value), slope / value

        limit = np.full(probability.size, math.log(math.pi) - 1e-12)
        share = np.log(probability / self.share)
        start = np.minimum(share / 3.0 + 0.5, limit - 0.2)  # at a soft edge; at a hard one the tail is the angle's
        z = invert(function, np.log(probability), start, np.minimum(start, share) - 8.0, limit)
        return self.x(math.pi - np.exp(z) if upper else np.exp(z))


@dataclass(frozen=True)
class FreeLaw(Law):
    """A law of `values` and their `weights`, to which noise of a `variance` is added."""

    shape: ClassVar[tuple[str, ...]] = ("variance",)
    _positive: ClassVar[tuple[str, ...]] = ("variance",)
    _power: ClassVar[int]
    """Of the unit of the values, that the variance has."""

    @property
    @abstractmethod
    def _solved(self) -> tuple[float, list[Component]]:
        """Unit of x, and the components in it."""

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        if name not in ("values", "weights"):
            return real(name, value, above=0.0 if name in cls._positive else -math.inf)
        if name == "weights" and value is None:
            return None
        array = _checks.array(name, value, "one or more real numbers", dimensions=(0, 1)).ravel()
        if array.size > MOST_ATOMS:
            raise ValueError(f"{name} has {array.size} numbers: must be at most {MOST_ATOMS}; take a histogram of them")
        for number in array:
            real(name, float(number))
        return tuple(array.tolist())

    def __post_init__(self) -> None:
        """Check the parameters; weights become positive ones of sum 1, values different and ascending."""
        super().__post_init__()
        values = np.array(self.values)  # type: ignore[attr-defined]
        weights = np.full(values.size, 1.0 / values.size) if self.weights is None else np.array(self.weights)  # type: ignore[attr-defined]
        if weights.size != values.size:
            raise ValueError(f"weights: must be one for each of the {values.size} values, not {weights.size}")
        if weights.min() < 0.0:
            raise ValueError(f"weights contain {weights.min():g}: must be >= 0")
        if abs(weights.sum() - 1.0) > 1e-6:
            raise ValueError(f"weights add up to {weights.sum():.9g}: must add up to 1")
        values, place = np.unique(values, return_inverse=True)
        weights = np.bincount(place, weights)
        weights = weights / weights.sum()
        keep = weights > 0.0
        object.__setattr__(self, "values", tuple(values[keep].tolist()))
        object.__setattr__(self, "weights", tuple(weights[keep].tolist()))

    @property
    def _shares(self) -> tuple[float, ...]:
        """Return the weights, which are numbers once they are checked."""
        return self.weights  # type: ignore[attr-defined,no-any-return]

    def support(self) -> tuple[float, float]:
        """Return the outermost edges; `components` has those of the gaps between."""
        pieces = self.components()
        return pieces[0][0], pieces[-1][1]

    def components(self) -> list[tuple[float, float]]:
        """Return lower and upper edge of every interval of the support."""
        unit, components = self._solved
        return [(unit * c.low, unit * c.high) for c in components]

    def _each(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return density, cdf and sf at x."""
        unit, components = self._solved
        y = x / unit
        density, lower, upper = np.zeros(x.size), np.zeros(x.size), np.ones(x.size)
        for c in components:
            inside, above = (y >= c.low) & (y <= c.high), y > c.high
            lower[above], upper[above] = c.start + c.share, 1.0 - c.start - c.share
            if inside.any():
                density[inside] = c.density(y[inside]) / unit
                left, right = c.tails(y[inside])
                lower[inside], upper[inside] = c.start + left, right + (1.0 - c.start - c.share)
        upper[y > components[-1].high] = 0.0
        return density, lower, upper

    def _pdf(self, x: np.ndarray) -> np.ndarray:
        unit, components = self._solved
        y = x / unit
        density = np.zeros(x.size)
        for c in components:
            inside = (y >= c.low) & (y <= c.high)
            if inside.any():
                density[inside] = c.density(y[inside]) / unit
        return density

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        return np.log(self._pdf(x))

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        return self._each(x)[1]

    def _sf(self, x: np.ndarray) -> np.ndarray:
        return self._each(x)[2]

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        return self._inverse(q, 1.0 - q)

    def _isf(self, q: np.ndarray) -> np.ndarray:
        return self._inverse(1.0 - q, q)

    def _inverse(self, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        unit, components = self._solved
        x = np.empty(lower.size)
        for c in components:
            rest = max(1.0 - c.start - c.share, 0.0)
            left, right = lower - c.start, upper - (rest if c is not components[-1] else 0.0)
            here = (left > 0.0) & (right >= 0.0) if c is not components[0] else right >= 0.0
            by_left = here & (left <= 0.5 * c.share)
            by_right = here & ~by_left
            x[by_left] = c.quantile(np.maximum(left[by_left], 1e-300), False)
            x[by_right] = c.quantile(np.maximum(right[by_right], 1e-300), True)
        return unit * x

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """By inversion, on a table of the angle where that is fine enough: no finite matrix has this law."""
        unit, components = self._solved
        uniform = rng.random(size)
        x = np.empty(size)
        for c in components:
            here = (
                (uniform >= c.start) & (uniform < c.start + c.share) if c is not components[-1] else uniform >= c.start
            )
            angles = np.linspace(0.0, math.pi, 2049)
            table = np.concatenate([[0.0], c.tails(c.x(angles[1:-1]))[0], [c.share]])
            # the cube root of the smaller tail is smooth in the angle, so that interpolation is good at the edges
            x[here] = c.x(np.interp(uniform[here] - c.start, np.maximum.accumulate(table), angles))
        return unit * x

    def _doubt(self, x: np.ndarray, fixed: dict[str, float]) -> str:
        return lone_extremes(self, x, x, fixed)

    @classmethod
    def _guess(cls, x: np.ndarray, values: np.ndarray, weights: np.ndarray, fixed: dict[str, Any]) -> float:
        """Return the variance that a moment of the data asks for; it may be negative."""
        raise NotImplementedError

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, Any]) -> dict[str, float]:
        """One-dimensional search in the logarithm of the variance."""
        if "values" not in fixed:
            raise ValueError("values are not estimated: pass values=, and weights= unless they are equal, to fit")
        law = cls(**{**fixed, "variance": 1.0})
        guess = cls._guess(x, np.array(law.values), np.array(law.weights), fixed)  # type: ignore[attr-defined]
        spread = float(np.var(x)) if cls._power == 2 else float(np.std(x))
        if not 0.0 < spread < LARGEST:
            raise ValueError(f"data do not differ from {x[0]:g} (or overflow): two different values needed")
        middle = math.log(max(guess, 1e-6 * spread))

        def cost(z: float) -> float:
            try:
                return -float(np.mean(cls(**{**fixed, "variance": math.exp(z)}).logpdf(x)))
            except (ValueError, ArithmeticError):
                return math.inf

        best = minimize_on_interval(cost, middle - 2.5, middle + 2.5)
        if not math.isfinite(cost(best)):
            raise ValueError(f"data from {x.min():g} to {x.max():g} lie outside the support of every variance tried")
        return {"variance": math.exp(best)}
