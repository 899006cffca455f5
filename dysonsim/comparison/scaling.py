"""The linear scaling rule: whether a width is proportional to its prediction, and how it leaves the line.

Stationary widths go as sqrt(alpha / |B|) (arXiv:2412.20496, arXiv:2407.16427): y = slope x, with y a mean
spacing or sqrt(pi) times a standard deviation, and x = sqrt((alpha/|B|)(mu^2 - kappa)) or sqrt(alpha
epsilon^2 / |B|). The rule is the leading order in alpha, so that precise data leave the line; the trend in
alpha/|B| (or alpha) says how.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import array, exact, real
from .._text import aligned, plain, with_error


@dataclass(frozen=True)
class Line:
    """Weighted least squares: slope, standard error, chi^2, degrees of freedom and P(larger chi^2)."""

    slope: float
    slope_error: float
    chi2: float
    dof: int
    pvalue: float


@dataclass(frozen=True)
class Trend(Line):
    """y = slope (1 + coefficient eps) x: `slope` is the limit eps -> 0.

    `correlation` is that of the errors of slope and coefficient.
    """

    coefficient: float
    coefficient_error: float
    correlation: float


@dataclass(frozen=True, eq=False)
class ScalingFit:
    """Result of `scaling_fit`.

    Attributes
    ----------
    x, y, yerr : (points,)
    line : Line
        y = slope x; also as `slope`, `slope_error`, `chi2`, `dof`, `pvalue` of the fit itself.
    trend_variable : (points,) or None
        eps, for example alpha/|B|.
    trend : Trend or None
    prediction : float or None
        Expected slope.

    Examples
    --------
    >>> import dysonsim as ds
    >>> fit = ds.scaling_fit([1.0, 2.0, 3.0], [2.1, 3.9, 6.0], yerr=[0.1, 0.1, 0.1])
    >>> round(fit.chi2, 2), fit.dof
    (1.93, 2)
    >>> bool(fit.pvalue > 0.05)
    True
    """

    x: np.ndarray
    y: np.ndarray
    yerr: np.ndarray
    line: Line
    trend_variable: np.ndarray | None
    trend: Trend | None
    prediction: float | None

    @property
    def slope(self) -> float:
        """Slope of the straight line through the origin."""
        return self.line.slope

    @property
    def slope_error(self) -> float:
        """Its standard error; meaningful only if the line describes the data (see `pvalue`)."""
        return self.line.slope_error

    @property
    def chi2(self) -> float:
        """Sum of squared residuals of the line, in units of yerr."""
        return self.line.chi2

    @property
    def dof(self) -> int:
        """Points minus one."""
        return self.line.dof

    @property
    def pvalue(self) -> float:
        """Probability of a chi^2 at least as large if the line is true."""
        return self.line.pvalue

    @property
    def pulls(self) -> np.ndarray:
        """(y - slope x) / yerr, (points,)."""
        return (self.y - self.slope * self.x) / self.yerr

    @property
    def deviation(self) -> float | None:
        """(slope - prediction) / slope_error of the line; None without a prediction."""
        return None if self.prediction is None else (self.slope - self.prediction) / self.slope_error

    @property
    def trend_deviation(self) -> float | None:
        """The same for the slope extrapolated to eps -> 0."""
        if self.prediction is None or self.trend is None:
            return None
        return (self.trend.slope - self.prediction) / self.trend.slope_error

    def __str__(self) -> str:
        """Tabulate slope, chi2 and p-value of the fits."""
        rows = [
            ["", "slope", "chi2/dof", "p-value"],
            ["y = slope x", *_fit_cells(self.line)],
        ]
        if self.trend is not None:
            rows.append(["y = slope (1 + c eps) x", *_fit_cells(self.trend)])
        lines = [f"scaling fit of {self.x.size} points", aligned(rows)]
        rows = []
        if self.trend is not None:
            rows.append(["c", with_error(self.trend.coefficient, self.trend.coefficient_error)])
        if self.prediction is not None:
            off = [f"{self.deviation:+.2f} sigma for the line"]
            off += [f"{self.trend_deviation:+.2f} sigma at eps -> 0"] if self.trend is not None else []
            rows.append(["predicted slope", f"{self.prediction:.6g}: " + ", ".join(off)])
        return "\n".join([*lines, aligned(rows)] if rows else lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return plain(
            {
                "x": self.x,
                "y": self.y,
                "yerr": self.yerr,
                "line": vars(self.line),
                "trend_variable": self.trend_variable,
                "trend": None if self.trend is None else vars(self.trend),
                "prediction": self.prediction,
                "deviation": self.deviation,
                "trend_deviation": self.trend_deviation,
            }
        )

    def plot(self, ax: Any = None, label: str | None = None) -> Any:
        """Points with error bars and the line through the origin on `ax`; returns the axes."""
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        points = ax.errorbar(self.x, self.y, self.yerr, fmt="o", markersize=4, capsize=2, label=label)
        end = np.array([0.0, 1.05 * float(self.x.max())])
        text = f"slope {with_error(self.slope, self.slope_error)}, $\\chi^2$/dof {self.chi2:.3g}/{self.dof}"
        ax.plot(end, self.slope * end, color=points[0].get_color(), linewidth=1, label=text)
        if self.prediction is not None:
            ax.plot(end, self.prediction * end, "k--", linewidth=1, label=f"predicted slope {self.prediction:.5g}")
        ax.legend()
        return ax


def _fit_cells(line: Line) -> list[str]:
    return [with_error(line.slope, line.slope_error), f"{line.chi2:.4g}/{line.dof}", f"{line.pvalue:.3g}"]


def scaling_fit(
    x: ArrayLike,
    y: ArrayLike,
    yerr: ArrayLike,
    *,
    trend: ArrayLike | None = None,
    prediction: float | None = None,
) -> ScalingFit:
    """Fit y = slope x by weighted least squares and test it; optionally fit how it fails with a second variable.

    Parameters
    ----------
    x : (points,), > 0
        What theory says y is proportional to.
    y, yerr : (points,)
        Measured values and their standard errors, > 0, independent between points.
    trend : (points,), optional
        The small parameter eps of the rule: alpha/|B|, or alpha. Adds the fit y = slope (1 + c eps) x, whose slope is
        the extrapolation to eps -> 0.
    prediction : float, optional
        Expected slope: sqrt(2 pi) for the RBM and sqrt(pi) for teacher-student, to leading order.

    Returns
    -------
    ScalingFit

    Raises
    ------
    TypeError, ValueError
        For arrays of different or too small size, entries that are not finite, x or yerr not positive, or constant
        `trend`.

    Notes
    -----
    Errors follow from yerr and are never rescaled by chi^2. If the p-value is small, the line does not describe the
    data, and its slope is a weighted mean that depends on the points chosen. x is taken as exact.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> fit = ds.scaling_fit(x, [2.1, 3.9, 6.0], yerr=[0.1, 0.1, 0.1])
    >>> round(fit.slope, 3), round(fit.slope_error, 3)
    (1.993, 0.027)
    """
    x = _points("x", x, positive=True)
    y = _points("y", y, size=x.size)
    yerr = _points("yerr", yerr, size=x.size, positive=True)
    expected = None if prediction is None else real("prediction", prediction)
    if x.size < 2:
        raise ValueError(f"x has {x.size} point: must have at least 2")
    with np.errstate(all="ignore"):  # what overflows is refused below
        coefficients, errors, _, chi2 = _least_squares(x[:, None], y, yerr)
    line = Line(float(coefficients[0]), float(errors[0]), chi2, x.size - 1, _chi2_pvalue(chi2, x.size - 1))
    if trend is None:
        return _finite(ScalingFit(x, y, yerr, line, None, None, expected))
    eps = _points("trend", trend, size=x.size)
    if x.size < 3 or np.ptp(eps) <= 1e-12 * np.abs(eps).max():
        raise ValueError(f"trend = {eps}: must have at least 3 points that are not all equal")
    with np.errstate(all="ignore"):
        return _finite(ScalingFit(x, y, yerr, line, eps, _fit_trend(x, y, yerr, eps), expected))


def _finite(fit: ScalingFit) -> ScalingFit:
    """Return the fit, if all its numbers are; ValueError otherwise."""
    lines = [fit.line] if fit.trend is None else [fit.line, fit.trend]
    for line in lines:
        for name, value in vars(line).items():
            if not math.isfinite(value):
                what = type(line).__name__.lower()
                sizes = f"{fit.x.max():.3g}, {np.abs(fit.y).max():.3g}, {fit.yerr.min():.3g}"
                raise ValueError(
                    f"x, y, yerr: their sizes ({sizes}) make the {name} of the {what} {value}: must give a slope that "
                    "is not 0 and a chi^2 that a float can hold"
                )
    return fit


def _fit_trend(x: np.ndarray, y: np.ndarray, yerr: np.ndarray, eps: np.ndarray) -> Trend:
    """Linear in (slope, slope c); the error of c by propagation."""
    unit = float(np.abs(eps).max())
    (slope, product), errors, correlation, chi2 = _least_squares(np.stack([x, x * (eps / unit)], axis=1), y, yerr)
    coefficient = product / slope
    gradient = np.array([-coefficient * errors[0], errors[1]]) / slope  # of c, times the errors
    size = np.abs(gradient).max()
    direction = gradient / size
    spread = float(np.sqrt(direction @ correlation @ direction))
    return Trend(
        slope=float(slope),
        slope_error=float(errors[0]),
        chi2=chi2,
        dof=x.size - 2,
        pvalue=_chi2_pvalue(chi2, x.size - 2),
        coefficient=float(coefficient / unit),
        coefficient_error=float(size * spread / unit),
        correlation=float(correlation[0] @ direction) / spread,
    )


def _least_squares(
    design: np.ndarray, y: np.ndarray, yerr: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Coefficients, their errors and correlations, and chi^2 of y = design . coefficients, in any units."""
    units, unit = np.abs(design).max(axis=0), yerr.min()
    weighted, target = design / units / (yerr / unit)[:, None], y / yerr
    if not np.isfinite(target).all():
        raise ValueError(f"yerr: as small as {unit:.3g} for y up to {np.abs(y).max():.3g}, y/yerr must be a float")
    coefficients = np.linalg.lstsq(weighted, target, rcond=None)[0]
    chi2 = float(np.sum((target - weighted @ coefficients) ** 2))
    try:
        covariance = np.linalg.inv(weighted.T @ weighted)
    except np.linalg.LinAlgError:
        sizes = f"{np.abs(design).min():.3g} to {np.abs(design).max():.3g} and {yerr.min():.3g} to {yerr.max():.3g}"
        raise ValueError(f"x, yerr: from {sizes}, which differ too much in size for a fit") from None
    errors = np.sqrt(np.diag(covariance))
    back = unit / units
    return coefficients * back, errors * back, covariance / np.outer(errors, errors), chi2


def _chi2_pvalue(chi2: float, dof: int) -> float:
    from scipy.special import gammaincc

    return float(gammaincc(dof / 2, chi2 / 2))


def _points(name: str, value: ArrayLike, size: int | None = None, positive: bool = False) -> np.ndarray:
    """Return a finite 1-D float64 array, of the size of x."""
    want = "a real array (points,)" if size is None else f"a real array ({size},), the shape of x"
    points = array(name, value, want, dimensions=(1,))
    if size is not None and points.size != size:
        raise ValueError(f"{name} has shape {points.shape}: must be {want}")
    if positive and points.min() <= 0:
        where = int(np.argmax(points <= 0))
        raise ValueError(f"{name}[{where}] = {exact(points[where])}: must be finite and > 0")
    return points.copy()
