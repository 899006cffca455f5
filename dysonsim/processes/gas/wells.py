"""The wells and walls of a Coulomb gas as NumPy sees them: where levels start, and whether they are held at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ... import _checks
from ..._fingerprint import without_caches
from ..._functions import LevelFunction
from ...kernels.gas import wells as gas_wells

# Where a function is evaluated: 60 decades on either side of 0, or e^-69 ... e^69 from a wall.
DECADES = np.concatenate([-np.logspace(30, -30, 481), [0.0], np.logspace(-30, 30, 481)])
FROM_WALL = np.linspace(-69.0, 69.0, 553)
BETWEEN_WALLS = np.linspace(-34.0, 34.0, 545)
DEEP = 40.0  # in units of the temperature: nothing is drawn higher up
CELLS = 1024
ZOOMS = 16
BISECTIONS, STEEP = 200, 1e6  # of the edge of a function, and from which height on it is a slope that overflows
SMOOTH = 0.7  # width of finite differences, in distances between levels
HOP = 1.5  # width of a hop, in widths of its well


@dataclass(frozen=True)
class Wells:
    """V_i(x) of n labels, and x(u) where there are walls.

    Parameters
    ----------
    kind : str
        "one", "many", "power", "function" or "labeled", as in `dysonsim.kernels.gas.wells`.
    n : int
    lower, upper : float
        Walls, infinite where there is none.
    power : (3,) array
        r, a, b of the kind "power".
    centers, widths : (n,) arrays
        Of the kinds "one" and "many".
    function : LevelFunction
        Of the kinds "function" and "labeled".
    labels : (n,) array of int, optional
        Which label the function is asked for at every place; default: 0, 1, ...
    """

    kind: str
    n: int
    lower: float = -np.inf
    upper: float = np.inf
    power: tuple[float, float, float] = (0.0, 0.0, 0.0)
    centers: np.ndarray | None = None
    widths: np.ndarray | None = None
    function: LevelFunction | None = None
    labels: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of a pickle what is computed on request."""
        return without_caches(self)

    @property
    def walls(self) -> str:
        """Which walls there are: "none", "lower", "upper" or "both"."""
        return {(False, False): "none", (True, False): "lower", (False, True): "upper", (True, True): "both"}[
            bool(np.isfinite(self.lower)), bool(np.isfinite(self.upper))
        ]

    def up_to_edges(self) -> Wells:
        """With walls where a function that all levels share ends: where it becomes inf at a finite height.

        Levels then come as close to its edge as the law lets them, in the coordinates that walls have.
        """
        lower = self._edge(-1) if np.isinf(self.lower) else self.lower
        upper = self._edge(1) if np.isinf(self.upper) else self.upper
        return replace(self, lower=lower, upper=upper)

    def _edge(self, side: int) -> float:
        """Find the x nearest to the wells beyond which the function is inf; an infinity if there is none for all."""
        nowhere = side * np.inf
        x = self.place(self.grid)[0]
        with np.errstate(all="ignore"):
            values = self._call(np.broadcast_to(x[:, None], (len(x), self.n)))
        bottom = np.argmin(np.where(np.isfinite(values), values, np.inf), axis=0)
        outwards = side * (np.arange(len(x))[:, None] - bottom) > 0
        beyond = (values == np.inf) & outwards
        first = np.argmax(beyond, axis=0) if side > 0 else len(x) - 1 - np.argmax(beyond[::-1], axis=0)
        farther = side * (np.arange(len(x))[:, None] - first) > 0
        if not beyond.any(axis=0).all() or (farther & (values != np.inf)).any():  # no edge, or one of a hole
            return nowhere
        outside, inside = x[first], x[first - side]
        for _ in range(BISECTIONS):
            middle = inside + 0.5 * (outside - inside)
            ends = self._call(middle) == np.inf
            outside, inside = np.where(ends, middle, outside), np.where(ends, inside, middle)
        height = self._call(inside) - values[bottom, np.arange(self.n)]
        shared = np.ptp(outside) <= 1e-12 * np.abs(outside).max()
        return float(side * (side * outside).min()) if shared and (height < STEEP).all() else nowhere

    def place(self, u: np.ndarray) -> tuple[np.ndarray, ...]:
        """x(u), monotonous from all real u into the walls; log dx/du; logarithms of the distances to the walls."""
        if self.walls == "lower":
            return self.lower + np.exp(np.minimum(u, 700)), u, u, 0 * u
        if self.walls == "upper":
            return self.upper - np.exp(np.minimum(-u, 700)), -u, 0 * u, -u
        if self.walls == "both":
            length = np.log(self.upper - self.lower)
            below, above = length - np.logaddexp(0, -u), length - np.logaddexp(0, u)
            x = np.where(u > 0, self.upper - np.exp(above), self.lower + np.exp(below))
            return x, below + above - length, below, above
        return u, 0 * u, 0 * u, 0 * u

    def values(self, x: np.ndarray, below: Any, above: Any) -> np.ndarray:
        """V of every label along the last axis at x (..., n); below and above as `place` has them."""
        if self.centers is not None:
            return 0.5 * ((x - self.centers) / self.widths) ** 2
        if self.kind == "power":
            rate, a, b = self.power
            return rate * x - a * below - b * above
        return self._call(np.ascontiguousarray(x, dtype=np.float64))

    def effective(self, u: np.ndarray) -> np.ndarray:
        """V - log dx/du: minus the logarithm of the density of u that V alone makes."""
        x, jacobian, below, above = self.place(u)
        return self.values(x, below, above) - jacobian

    def derivatives(self, x: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """V' and V'' at ascending x (n,); of a function by differences as wide as levels move, or as walls are near."""
        if self.centers is not None and self.widths is not None:
            return (x - self.centers) / self.widths**2, self.widths**-2
        if self.kind == "power":
            rate, a, b = self.power
            below, above = x - self.lower, self.upper - x
            return rate - a / below + b / above, a / below**2 + b / above**2
        h = np.minimum(SMOOTH * scale, 0.5 * np.minimum(x - self.lower, self.upper - x))
        low, middle, high = (self._call(np.ascontiguousarray(at)) for at in (x - h, x, x + h))
        inside_low, inside_high = np.isfinite(low), np.isfinite(high)  # a function may end, in inf, on either side
        both = inside_low & inside_high
        low, high = np.where(inside_low, low, middle), np.where(inside_high, high, middle)
        slope = (high - low) / np.where(both, 2 * h, h)
        return slope, np.where(both, (high - 2 * middle + low) / h**2, 0.0)

    @cached_property
    def bottoms(self) -> np.ndarray:
        """Return u of the lowest `effective` of every label, (n,)."""
        if self.centers is not None and self.walls == "none":
            return self.centers
        at = np.clip(np.argmin(self._surveyed, axis=0), 1, len(self.grid) - 2)
        low, high = self.grid[at - 1], self.grid[at + 1]
        for _ in range(ZOOMS):
            trials = np.linspace(low, high, 17)
            values = np.nan_to_num(self.effective(trials), nan=np.inf)
            at = np.clip(np.argmin(values, axis=0), 1, 15)
            low, high = (np.take_along_axis(trials, at[None] + side, axis=0)[0] for side in (-1, 1))
        return 0.5 * (low + high)

    @property
    def grid(self) -> np.ndarray:
        """Where a function is looked at."""
        return {"none": DECADES, "both": BETWEEN_WALLS}.get(self.walls, FROM_WALL)

    @cached_property
    def _surveyed(self) -> np.ndarray:
        """`effective` on the grid, (points, n), infinite where it is no number."""
        with np.errstate(all="ignore"):
            values = self.effective(np.broadcast_to(self.grid[:, None], (len(self.grid), self.n)))
        return np.where(np.isnan(values), np.inf, values)

    def check_confinement(self, beta: float) -> None:
        """ValueError if a function is no number near its well, or levels escape from it.

        Far out one level feels exp(-V) |x|^(beta (n - 1)), which can be normalized if V grows faster than
        (1 + beta (n - 1)) log|x|; several that leave together are held by less.
        """
        with np.errstate(all="ignore"):
            values = self.effective(np.broadcast_to(self.grid[:, None], (len(self.grid), self.n)))
        x = self.place(self.grid)[0]
        labels = range(self.n if self.kind == "labeled" else 1)
        for label in labels:
            v = values[:, label]
            bad = np.isnan(v)
            if bad.all() or (v == -np.inf).any():
                at = int(np.argmax(bad | (v == -np.inf)))
                raise ValueError(f"potential: level {label} at x = {x[at]:g} gives {v[at]}, no height of a well")
            bottom = int(np.nanargmin(v))
            for step, wall in ((-1, self.lower), (1, self.upper)):
                outwards = np.arange(bottom, len(v) if step > 0 else -1, step)
                stop = int(np.argmax(bad[outwards])) if bad[outwards].any() else len(outwards)
                seen = outwards[:stop]
                if np.isinf(v[seen]).any() or np.isfinite(wall):
                    continue
                self._check_growth(label, x, v, seen, outwards[stop:], beta)

    def _check_growth(self, label: int, x: np.ndarray, v: np.ndarray, seen: Any, beyond: Any, beta: float) -> None:
        """Check that the last decade that was seen rises fast enough."""
        needed = 1 + beta * (self.n - 1)
        far = seen[-1]
        near = seen[max(0, len(seen) - 9)]
        distance = np.log(abs(x[far] - x[seen[0]]) / max(abs(x[near] - x[seen[0]]), 1e-300)) if far != near else 0.0
        rate = (v[far] - v[near]) / distance if distance > 0 else 0.0
        if rate > needed * (1 + 1e-9):
            return
        if len(beyond):
            raise ValueError(
                f"potential: level {label} at x = {x[beyond[0]]:g} gives nan; where levels must not go it has to be "
                "inf, or give walls=(a, b)"
            )
        raise ValueError(
            f"potential does not confine level {label}: toward x = {x[far]:g} it grows by {rate:.3g} for every factor "
            f"e in x, and must by more than 1 + beta (n - 1) = {needed:.6g}, or levels escape"
        )

    def draw(self, z: np.ndarray, temperature: float) -> np.ndarray:
        """Turn standard normals z (R, n) into independent u of all labels, density exp(-`effective` / temperature)."""
        if self.centers is not None and self.walls == "none":
            return self.centers + self.widths * np.sqrt(temperature) * z
        from scipy.special import ndtr

        out = np.empty_like(z)
        heights = self._surveyed - self._surveyed.min(axis=0)
        for label in range(self.n if self.kind == "labeled" else 1):
            inside = np.flatnonzero(heights[:, label] < DEEP * temperature)
            first, last = max(inside[0] - 1, 0), min(inside[-1] + 1, len(self.grid) - 1)
            fine = np.linspace(self.grid[first], self.grid[last], CELLS + 1)
            for _ in range(2):  # the grid of decades is coarse: look again where the weight is
                weight = self._weights(fine, label, temperature)
                there = np.flatnonzero(weight > np.exp(-DEEP) * weight.max())
                fine = np.linspace(fine[there[0]], fine[there[-1] + 1], CELLS + 1)
            share = np.concatenate([[0.0], np.cumsum(self._weights(fine, label, temperature))])
            columns = [label] if self.kind == "labeled" else slice(None)
            out[:, columns] = np.interp(ndtr(z[:, columns]), share / share[-1], fine)
        return out

    def _weights(self, edges: np.ndarray, label: int, temperature: float) -> np.ndarray:
        """Unnormalized probabilities of the cells between `edges`."""
        middle = 0.5 * (edges[1:] + edges[:-1])
        with np.errstate(all="ignore"):
            v = self.effective(np.broadcast_to(middle[:, None], (len(middle), self.n)))[:, label]
            v = np.where(np.isnan(v), np.inf, v)
            return np.exp(-(v - v.min()) / temperature)

    @cached_property
    def _call(self) -> Callable[[np.ndarray], np.ndarray]:
        """The compiled function over arrays (..., n)."""
        assert self.function is not None
        fill = self.function.over
        labels = np.arange(self.n) if self.labels is None else self.labels

        def call(x: np.ndarray) -> np.ndarray:
            out = np.empty(x.size)
            fill(np.ascontiguousarray(x).ravel(), out, labels)
            return out.reshape(x.shape)

        return call

    def constants(self, scale: float) -> np.ndarray:
        """Return what the kernels read of walls and wells, `dysonsim.kernels.gas.wells`."""
        lower, upper = np.nan_to_num([self.lower, self.upper], posinf=0.0, neginf=0.0)
        inside = {"lower": lower + 1, "upper": upper - 1, "both": (lower + upper) / 2, "none": 0.0}[self.walls]
        first, second, third = self.power
        if self.kind == "one":
            assert self.centers is not None
            assert self.widths is not None
            first, second, third = self.centers[0], self.widths[0] ** -2, 0.0
        out = np.empty(gas_wells.CONSTANTS)
        far = 1e3 * scale + np.abs(self.place(self.bottoms)[0]).max()
        out[:] = lower, upper, inside, 1e-4 * scale, far, first, second, third
        return out

    def tags(self, temperature: float) -> np.ndarray:
        """Return what tells labels apart, (tags, n), with the width of their hops."""
        if self.kind == "many":
            assert self.centers is not None
            assert self.widths is not None
            return np.stack([self.centers, self.widths**-2, HOP * self.widths])
        if self.kind == "labeled":
            z = np.tile(np.linspace(-2.0, 2.0, 41)[:, None], self.n)
            widths = self.place(self.draw(z, temperature))[0].std(axis=0)
            return np.stack([np.arange(float(self.n)), HOP * widths])
        return np.empty((0, self.n))


def checked_walls(value: Any) -> tuple[float, float] | None:
    """Check the argument `walls` of a gas; (lower, upper), infinite where there is none, or None without walls."""
    if value is None:
        return None
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        allowed = "a pair (lower, upper) of numbers, None where there is no wall"
        raise TypeError(f"walls = {_checks.shown(value)}: must be {allowed}")
    lower, upper = (
        default if w is None or (isinstance(w, float) and w == default) else _checks.real(f"walls[{i}]", w)
        for i, (w, default) in enumerate(zip(value, (-np.inf, np.inf), strict=True))
    )
    if not lower < upper:
        raise ValueError(f"walls = {_checks.shown(value)}: the lower wall must be below the upper one")
    return None if np.isinf(lower) and np.isinf(upper) else (lower, upper)
