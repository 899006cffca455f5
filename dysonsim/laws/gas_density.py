"""The joint density of all levels of a Coulomb gas, with its normalization (Selberg, Mehta)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ._numerics import real, whole

ENSEMBLES = ("hermite", "laguerre", "jacobi")
_LARGEST_N = 10**6


@np.errstate(all="ignore")
def gas_log_normalization(
    n: int,
    beta: float,
    ensemble: str = "hermite",
    scale: float = 1.0,
    *,
    m: float | None = None,
    a: float | None = None,
    b: float | None = None,
) -> float:
    """Return log Z, Z = integral of prod_{i<j} |x_i - x_j|^beta prod_i w(x_i) over all of R^n, levels not ordered.

    Parameters, weights and errors as for `gas_log_density`; n is an integer from 1 to a million. Formulas: Mehta,
    Random Matrices, chapter 17; Forrester, Warnaar, Bull. AMS 45 (2008) 489. Exact to rounding, any beta > 0.

    Examples
    --------
    >>> import dysonsim as ds
    >>> round(ds.laws.gas_log_normalization(3, beta=2.0), 4)
    5.2417
    """
    from scipy.special import gammaln

    number = whole("n", n, _LARGEST_N)
    index, sigma, first, second = _checked(number, beta, ensemble, scale, m, a, b)
    half = 0.5 * index
    pairs = 0.5 * number * (number - 1)
    # Gamma(1 + (j+1) beta/2)/Gamma(1 + beta/2), j = 0 ... n - 1, stands in all three
    j = np.arange(float(number))
    result = float(np.sum(gammaln(1.0 + (j + 1.0) * half) - math.lgamma(1.0 + half)))
    if ensemble == "hermite":
        return result + 0.5 * number * math.log(2.0 * math.pi) + (number + index * pairs) * math.log(sigma)
    result += float(np.sum(gammaln(first + 1.0 + j * half)))
    if ensemble == "laguerre":
        return result + (number * (first + 1.0) + index * pairs) * math.log(2.0 * sigma * sigma)
    result += float(np.sum(gammaln(second + 1.0 + j * half)))
    return result - float(np.sum(gammaln(first + second + 2.0 + (number - 1.0 + j) * half)))


def gas_log_density(
    x: ArrayLike,
    beta: float,
    ensemble: str = "hermite",
    scale: float = 1.0,
    *,
    m: float | None = None,
    a: float | None = None,
    b: float | None = None,
) -> Any:
    """Return the logarithm of P(x_1 ... x_n) = prod_{i<j} |x_i - x_j|^beta prod_i w(x_i) / Z.

    ========== ============================================ ========================================================
    ensemble   w(x)                                         levels of
    ========== ============================================ ========================================================
    hermite    exp(-x^2 / 2 scale^2)                        symmetric matrices, diagonal variance scale^2 and
                                                            off-diagonal variance beta scale^2/2
    laguerre   x^(beta(m - n + 1)/2 - 1) exp(-x/2 scale^2)  W^T W, W of shape (m, n), every one of the beta real
                                                            components of an entry of variance scale^2; x > 0
    jacobi     x^a (1 - x)^b                                W1^T W1 (W1^T W1 + W2^T W2)^-1, W1 and W2 with m1 and m2
                                                            rows: a = beta(m1 - n + 1)/2 - 1, b from m2; 0 < x < 1
    ========== ============================================ ========================================================

    A density in the space of unordered (labeled) levels: it integrates to 1 over R^n. For ascending levels, as in
    ``Run.eigenvalues``, add log n!. It is the stationary law of one well shared by all levels; levels with wells or
    widths of their own have no closed normalization.

    Parameters
    ----------
    x : array of shape (..., n)
        Levels in any order; the leading axes are free.
    beta : float, > 0
        Dyson index.
    ensemble : "hermite", "laguerre" or "jacobi"
    scale : float, > 0
        Width of the well; must stay 1 for "jacobi".
    m : float, > n - 1
        "laguerre" only, and needed there: number of rows, not necessarily an integer.
    a, b : float, > -1
        "jacobi" only, and needed there: the exponents themselves.

    Returns
    -------
    (...,) array, or float for x of shape (n,)
        -inf where two levels coincide or one lies outside the support; NaN where one is NaN.

    Raises
    ------
    ValueError, TypeError
        A parameter that is not allowed, missing, or without meaning for the ensemble; x without levels or not real.

    Examples
    --------
    >>> import dysonsim as ds
    >>> round(ds.laws.gas_log_density([-1.0, 0.0, 1.0], beta=2.0), 4)
    -4.8554
    """
    levels = _checks.array("x", x, "real numbers, shape (..., n)", finite=False, empty=True)
    if levels.ndim == 0 or levels.shape[-1] == 0:
        raise ValueError(f"x has shape {levels.shape}: must be (..., n) with n >= 1 levels")
    n = levels.shape[-1]
    index, sigma, first, second = _checked(n, beta, ensemble, scale, m, a, b)
    log_norm = gas_log_normalization(n, beta, ensemble, scale, m=m, a=a, b=b)
    with np.errstate(all="ignore"):
        result = -log_norm + np.sum(_log_weight(levels, ensemble, sigma, first, second), axis=-1)
        for shift in range(1, n):  # n - 1 sums instead of an array with n^2 entries for each x
            result = result + index * np.sum(np.log(np.abs(levels[..., shift:] - levels[..., :-shift])), axis=-1)
    inside = np.isfinite(levels).all(-1)
    if ensemble != "hermite":
        inside &= (levels >= 0.0).all(-1)
    if ensemble == "jacobi":
        inside &= (levels <= 1.0).all(-1)
    # inf - inf: levels that coincide at a wall where w diverges
    result = np.where(inside & ~np.isnan(result), result, -math.inf)
    result = np.where(np.isnan(levels).any(-1), math.nan, result)
    return float(result) if result.ndim == 0 else result


def _log_weight(x: np.ndarray, ensemble: str, sigma: float, first: float, second: float) -> np.ndarray:
    from scipy.special import xlog1py, xlogy

    if ensemble == "hermite":
        return -0.5 * (x / sigma) ** 2
    if ensemble == "laguerre":
        return xlogy(first, x) - 0.5 * x / sigma**2
    return xlogy(first, x) + xlog1py(second, -x)


def _checked(n: int, beta: Any, ensemble: Any, scale: Any, m: Any, a: Any, b: Any) -> tuple[float, float, float, float]:
    """beta, scale and the exponents of x and 1 - x in the weight (0 where there is none)."""
    if not isinstance(ensemble, str) or ensemble not in ENSEMBLES:
        raise ValueError(f"ensemble = {_checks.shown(ensemble)}: must be one of {', '.join(ENSEMBLES)}")
    index, sigma = real("beta", beta, above=0.0), real("scale", scale, above=0.0)
    needed = {"hermite": (), "laguerre": ("m",), "jacobi": ("a", "b")}[ensemble]
    for name, value in (("m", m), ("a", a), ("b", b)):
        if name in needed and value is None:
            raise ValueError(f"{name} is missing: ensemble = {ensemble!r} needs {' and '.join(needed)}")
        if name not in needed and value is not None:
            raise ValueError(f"{name} = {_checks.shown(value)}: has no meaning for ensemble = {ensemble!r}")
    if ensemble == "laguerre":
        exponent = 0.5 * index * (real("m", m, above=n - 1.0) - n + 1.0) - 1.0
        if exponent <= -1.0:
            raise ValueError(f"beta = {index:g}: with n = {n}, m = {m} the weight rounds to 1/x, which has no integral")
        return index, sigma, exponent, 0.0
    if ensemble == "jacobi":
        if sigma != 1.0:
            raise ValueError(f"scale = {sigma:g}: must be 1 for ensemble = 'jacobi', whose levels lie in [0, 1]")
        return index, sigma, real("a", a, above=-1.0), real("b", b, above=-1.0)
    return index, sigma, 0.0, 0.0
