"""`Curve`: a statistic of spectra as a function of a length or a time, with errors over replicas."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._text import aligned, plain, with_error
from .taper import smoothed

__all__ = ["Curve"]

SYMBOLS = {
    "number variance": ("L", r"\Sigma^2(L)"),
    "rigidity": ("L", r"\Delta_3(L)"),
    "form factor": (r"\tau", r"K(\tau)"),
}


@dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """Result of `number_variance`, `rigidity` and `form_factor`.

    Attributes
    ----------
    statistic : str
        "number variance", "rigidity" or "form factor".
    x : (K,)
        Lengths, or times.
    value : (K,)
    samples : (replicas, K)
        What each replica contributes: their mean is `value`. Of a single spectrum, what each of its blocks does, and
        NaN where blocks are shorter than a length.
    replicas : int
        How many spectra there were.
    levels : int
        In each spectrum.
    window : (low, high)
        Of the unfolded axis, from 0 to `levels`.
    density : str
        How the spectra were unfolded.
    notes : tuple of str
        What to know about the errors.
    disconnected : (K,) or None
        Of a form factor: the part that the mean density and the window make, in the same units; not in `value`.

    Examples
    --------
    >>> import dysonsim as ds
    >>> run = ds.simulate(ds.CoulombGas.hermite(n=40, beta=2.0), replicas=100, seed=1)
    >>> curve = ds.rigidity(run, [2, 5, 10])
    >>> curve.value.shape, curve.error.shape, curve.covariance.shape
    ((3,), (3,), (3, 3))
    >>> bool((abs(curve.value - ds.laws.Rigidity(beta=2)(curve.x)) < 4 * curve.error).all())
    True
    """

    statistic: str
    x: np.ndarray
    value: np.ndarray
    samples: np.ndarray
    replicas: int
    levels: int
    window: tuple[float, float]
    density: str
    notes: tuple[str, ...] = ()
    disconnected: np.ndarray | None = field(default=None)

    @property
    def error(self) -> np.ndarray:
        """Standard errors over replicas, or blocks, (K,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the values, (K, K): different lengths see the same levels."""
        away = self.samples - self.samples.mean(axis=0)
        count = len(away)
        return away.T @ away / (count * (count - 1))

    def expected(self, law: Any, x: Any = None) -> np.ndarray:
        """Return what the curve would be on average if a law holds, (K,); at other points than `x`, if given.

        The law itself for lengths. A form factor is measured with the resolution of its window: the law is averaged
        over times as the taper does, and must know all times.
        """
        points = self.x if x is None else np.asarray(x, dtype=np.float64)
        if self.statistic != "form factor":
            return np.asarray(law(points))
        if getattr(law, "n", None) is not None:
            raise ValueError(
                f"law = {law}: is known at times k/n alone, must be that of infinitely many levels, n=None"
            )
        width = self.window[1] - self.window[0]
        return smoothed(law, points, width if self.replicas > 1 else width / len(self.samples))

    @property
    def argument(self) -> str:
        """Name of x: "L" or "tau"."""
        return SYMBOLS[self.statistic][0].strip("\\")

    @property
    def what(self) -> str:
        """Statistic and sizes in words."""
        spectra = "1 spectrum" if self.replicas == 1 else f"{self.replicas} spectra"
        return f"{self.statistic} of {spectra} x {self.levels} levels"

    def __repr__(self) -> str:
        """Name statistic, sizes and range in one line."""
        return f"<Curve: {self.what}, {len(self.x)} points from {self.x.min():g} to {self.x.max():g}>"

    def __str__(self) -> str:
        """Tabulate values with errors."""
        low, high = self.window
        head = f"{self.what}, unfolded by {self.density}, window {low:g} to {high:g}"
        rows = [[self.argument, self.statistic]]
        rows += [[f"{x:g}", with_error(float(v), float(e))]
                 for x, v, e in zip(self.x, self.value, self.error, strict=True)]  # fmt: skip
        return "\n".join([head, aligned(rows), *(f"  {note}" for note in self.notes)])

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; None for what is not finite."""
        names = ("statistic", "x", "value", "error", "covariance", "replicas", "levels", "window", "density", "notes")
        found = {name: getattr(self, name) for name in names}
        return plain(found if self.disconnected is None else found | {"disconnected": self.disconnected})

    def plot(self, ax: Any = None, label: str | None = None, color: Any = None) -> Any:
        """Draw values with error bars on `ax`; returns the axes.

        Parameters
        ----------
        ax : matplotlib axes, optional
        label, color :
            Of the points.
        """
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        argument, symbol = SYMBOLS[self.statistic]
        ax.errorbar(self.x, self.value, self.error, fmt="o", markersize=4, linewidth=1, color=color, label=label)
        ax.set(xlabel=f"${argument}$", ylabel=f"{self.statistic} ${symbol}$")
        return ax
