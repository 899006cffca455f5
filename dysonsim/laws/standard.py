"""Laws that are a fixed law, known only numerically, shifted by loc and stretched by scale."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._numerics import Table, condense, gauss_legendre, invert, minimize, minimize_on_interval, real
from .base import Law


def one_of(name: str, value: Any, allowed: tuple[int, ...]) -> int:
    """`value` as an int, one of `allowed`; ValueError or TypeError otherwise."""
    number = real(name, value)
    if number not in allowed:
        raise ValueError(f"{name} = {value!r}: must be {', '.join(map(str, allowed[:-1]))} or {allowed[-1]}")
    return int(number)


class Standard:
    """The law at loc = 0 and scale = 1: tables of the logarithms of density and distribution functions.

    Parameters
    ----------
    exact : u (n,) -> log pdf, log cdf, log sf (n,)
        Slow and accurate, for low <= u <= high; the smaller of cdf and sf to full relative accuracy.
    far : u (n,) -> log pdf, log of the tail beyond u (n,)
        Closed forms for u < low (tail: cdf) and u > high (tail: sf).
    low, high : float
        Range of the tables; what lies above must not matter for the moments.
    bracket : (float, float)
        Every quantile of a probability that a float can hold lies inside.
    start : float or None
        Lower end of what matters for the moments; `low` unless given.
    power : float or None
        cdf ~ u^power at the lower end u = 0, if it does: the inversion then starts from there.
    """

    _TOLERANCE = 1e-12

    def __init__(
        self,
        exact: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]],
        far: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
        low: float,
        high: float,
        bracket: tuple[float, float],
        start: float | None = None,
        power: float | None = None,
    ) -> None:
        self.far, self.low, self.high, self.bracket, self.power = far, low, high, bracket, power
        self.resolution = 1e-17 if power is None else 0.0
        grid = np.linspace(low, high, 33)  # the tables may meet anywhere near the median
        _, log_cdf, log_sf = exact(grid)
        self.middle = float(grid[np.argmin(np.abs(log_cdf - log_sf))])
        self._log_pdf = Table(lambda u: exact(u)[0], low, high, self._TOLERANCE)
        self._log_cdf = Table(lambda u: exact(u)[1], low, self.middle, self._TOLERANCE)
        self._log_sf = Table(lambda u: exact(u)[2], self.middle, high, self._TOLERANCE)
        nodes, weights = gauss_legendre(20)
        bottom = low if start is None else start
        step = (high - bottom) / 40
        x = bottom + step * (np.arange(40)[:, None] + nodes).ravel()
        mass = step * np.tile(weights, 40) * np.exp(self.log_pdf(x))
        self.mean = float(mass @ x)
        self.var = float(mass @ (x - self.mean) ** 2)

    def log_pdf(self, u: np.ndarray) -> np.ndarray:
        """Return the log density at u: tabulated in the middle, asymptotic beyond."""
        result = np.empty_like(u)
        near = (u >= self.low) & (u <= self.high)
        result[near] = self._log_pdf(u[near])
        result[~near] = self.far(u[~near])[0]
        return result

    def _log_tail(self, u: np.ndarray) -> np.ndarray:
        """Return log cdf below the middle, log sf above it."""
        result = np.empty_like(u)
        near = (u >= self.low) & (u <= self.high)
        left = near & (u < self.middle)
        right = near & ~left
        result[left] = self._log_cdf(u[left])
        result[right] = self._log_sf(u[right])
        result[~near] = self.far(u[~near])[1]
        return result

    def log_cdf(self, u: np.ndarray) -> np.ndarray:
        """Return log cdf, precise in both tails."""
        tail = self._log_tail(u)
        return np.where(u < self.middle, tail, np.log1p(-np.exp(tail)))

    def log_sf(self, u: np.ndarray) -> np.ndarray:
        """Return log (1 - cdf), precise in both tails."""
        tail = self._log_tail(u)
        return np.where(u < self.middle, np.log1p(-np.exp(tail)), tail)

    def guess(self, log_tail: np.ndarray, side: float) -> np.ndarray:
        """Roughly where log cdf (side = 1) or log sf (side = -1) has this value."""
        from scipy.special import ndtri_exp

        if self.power is not None and side > 0.0:
            at_low = float(self.far(np.array([0.5 * self.low]))[1][0])
            return 0.5 * self.low * np.exp((log_tail - at_low) / self.power)
        return np.clip(self.mean + side * math.sqrt(self.var) * ndtri_exp(log_tail), *self.bracket)


@dataclass(frozen=True)
class StandardizedLaw(Law):
    """A law whose parameters are `scale`, perhaps `loc`, and discrete ones that choose the standard law.

    A subclass supplies the fields, with defaults for loc and scale, and `_standard`. Variates are drawn by
    inversion unless it also supplies `_sample`.
    """

    @property
    @abstractmethod
    def _standard(self) -> Any:
        """The law at loc = 0 and scale = 1: mean, var, bracket, resolution, log_pdf, log_cdf, log_sf, guess."""

    @property
    def _origin_and_unit(self) -> tuple[float, float]:
        return self.parameters.get("loc", 0.0), self.parameters["scale"]

    def _standardize(self, x: np.ndarray) -> np.ndarray:
        loc, scale = self._origin_and_unit
        return (x - loc) / scale

    def mean(self) -> float:
        """Return the mean of the standard law, scaled and shifted."""
        loc, scale = self._origin_and_unit
        return loc + scale * self._standard.mean

    def var(self) -> float:
        """Return the variance of the standard law, scaled."""
        return self._origin_and_unit[1] ** 2 * self._standard.var

    def _logpdf(self, x: np.ndarray) -> np.ndarray:
        return self._standard.log_pdf(self._standardize(x)) - math.log(self._origin_and_unit[1])

    def _cdf(self, x: np.ndarray) -> np.ndarray:
        return np.exp(self._standard.log_cdf(self._standardize(x)))

    def _sf(self, x: np.ndarray) -> np.ndarray:
        return np.exp(self._standard.log_sf(self._standardize(x)))

    def _ppf(self, q: np.ndarray) -> np.ndarray:
        return self._inverse(np.log(q), np.log1p(-q))

    def _isf(self, q: np.ndarray) -> np.ndarray:
        return self._inverse(np.log1p(-q), np.log(q))

    def _inverse(self, log_cdf: np.ndarray, log_sf: np.ndarray) -> np.ndarray:
        """Where the smaller of the two logarithms is reached."""
        standard, (loc, scale) = self._standard, self._origin_and_unit
        low, high = standard.bracket
        result = np.empty_like(log_cdf)
        for side, target, tail in ((1.0, log_cdf, standard.log_cdf), (-1.0, log_sf, standard.log_sf)):
            chosen = log_cdf < log_sf if side > 0.0 else ~(log_cdf < log_sf)
            aim = target[chosen]

            def increasing(
                u: np.ndarray, side: float = side, tail: Callable[[np.ndarray], np.ndarray] = tail
            ) -> tuple[np.ndarray, np.ndarray]:
                value = tail(u)
                return side * value, np.exp(standard.log_pdf(u) - value)

            start = standard.guess(aim, side)
            ends = np.full(aim.size, low), np.full(aim.size, high)
            result[chosen] = invert(increasing, side * aim, start, *ends, resolution=standard.resolution)
        return loc + scale * result

    def _sample(self, size: int, rng: np.random.Generator) -> np.ndarray:
        return self._ppf(1.0 - rng.random(size))

    @classmethod
    def _choices(cls, fixed: dict[str, float]) -> dict[str, Any]:
        """Return the discrete parameters of a fit: given, or their defaults."""
        choices = {}
        for field in dataclasses.fields(cls):
            if field.name not in cls.shape:
                choices[field.name] = fixed.get(field.name, field.default)
                if choices[field.name] is dataclasses.MISSING:
                    raise ValueError(f"{field.name} is not estimated: pass {field.name}= to fit")
        return choices

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """Nelder-Mead on loc and log scale, in units of the spread of the sample."""
        choices = cls._choices(fixed)
        standard = cls(**choices)
        mean, std = standard.mean(), standard.std()
        center = fixed.get("loc", float(np.mean(x)))
        spread = math.sqrt(float(np.mean((x - center) ** 2)))
        if not (math.isfinite(spread) and spread > 0.0):
            raise ValueError(f"data have no spread about {center:g} (or overflow): two different values needed")
        unit = (x - center) / spread
        scale = fixed.get("scale", spread * (1.0 / std if "loc" not in fixed else 1.0 / math.hypot(mean, std))) / spread
        start = {"loc": 0.0 if "loc" in fixed else -scale * mean, "scale": math.log(scale)}
        free = [name for name in cls.shape if name not in fixed]
        bounds = [(-20.0, 20.0) if name == "loc" else (start["scale"] - 7.0, start["scale"] + 7.0) for name in free]

        def at(point: np.ndarray) -> Law:
            values = {**start, **dict(zip(free, point.tolist(), strict=True))}
            return cls(**{**choices, "loc": values["loc"], "scale": math.exp(values["scale"])})

        best = np.array([start[name] for name in free])
        # the data are condensed on a lattice, refined until it does not matter: densities may oscillate
        for step in (1.0 / 32.0, 1.0 / 128.0, 0.0):
            points, weights = condense(unit, step) if step and x.size > 200 else (unit, np.ones(x.size))

            def cost(point: np.ndarray, points: np.ndarray = points, weights: np.ndarray = weights) -> float:
                return -float(weights @ at(point).logpdf(points)) / x.size

            best = minimize(cost, [best.tolist()], bounds)
            if points is unit or abs(cost(best) * x.size + at(best).loglikelihood(unit)) < 0.03:
                break
        fitted = at(best).parameters
        return {name: center + spread * fitted[name] if name == "loc" else spread * fitted[name] for name in free}


@dataclass(frozen=True)
class ScaledLaw(StandardizedLaw):
    """A standardized law of positive numbers: `scale` is its only parameter to fit."""

    shape: ClassVar[tuple[str, ...]] = ("scale",)
    _positive: ClassVar[tuple[str, ...]] = ("scale",)
    _what: ClassVar[str] = "they"
    """What the data are, in the error for those that are not positive."""

    def support(self) -> tuple[float, float]:
        """Return (0, inf)."""
        return 0.0, math.inf

    @classmethod
    def _estimate(cls, x: np.ndarray, fixed: dict[str, float]) -> dict[str, float]:
        """One-dimensional search in log scale; the data are condensed in log x, where log pdf is smooth."""
        if x.min() <= 0.0:
            raise ValueError(f"data contain {x.min():g}: {cls._what} must be > 0")
        law = cls(**cls._choices(fixed))
        unit = float(np.mean(x)) / law.mean()
        points, weights = np.log(x / unit), np.ones(x.size)
        if x.size > 200 and points.std() > 0.0:
            points, weights = condense(points, 1.0 / 64.0)

        def cost(log_scale: float) -> float:
            return log_scale - float(weights @ law.logpdf(np.exp(points - log_scale))) / x.size

        return {"scale": unit * math.exp(minimize_on_interval(cost, -3.0, 3.0))}
