"""Boundary value problems and quadrature to rounding error: what Painleve functions and Fredholm determinants need."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np
from numpy.polynomial import Chebyshev
from numpy.polynomial.chebyshev import chebint, chebvander

Right = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def boundary_value(
    right: Right,
    interval: tuple[float, float],
    ends: tuple[float, float],
    guess: Callable[[np.ndarray], np.ndarray],
    degree: int,
) -> Chebyshev:
    """Solve y'' = f(x, y, y') with y given at both ends, by Newton's method on Chebyshev collocation.

    The solutions wanted here are separatrices: integrated from one end they are unstable, as a boundary value problem
    they are well conditioned. The unknowns are the coefficients of y'', because integrating a series is stable where
    differentiating one twice would lose degree^4 units of rounding.

    Parameters
    ----------
    right : x, y, slope (k,) -> f, df/dy, df/dslope (k,)
    interval, ends : (a, b) and (y(a), y(b))
    guess : x (k,) -> y (k,)
        Its second derivative starts the iteration.
    degree : int
        Of the series of y''.

    Raises
    ------
    ArithmeticError
        The iteration did not converge.
    """
    (low, high), (first, last) = interval, ends
    length, count = high - low, degree + 1
    t = np.cos(np.pi * (np.arange(count) + 0.5) / count)
    x = low + 0.5 * length * (1.0 + t)
    once = 0.5 * length * chebint(np.eye(count), lbnd=-1)
    twice = 0.5 * length * chebint(once, lbnd=-1)
    # y = line + (double integral) - (x - a)/(b - a) * (its value at b)
    at_end = twice.sum(0)
    to_second = chebvander(t, degree)
    to_slope = chebvander(t, degree + 1) @ once - at_end / length
    to_value = chebvander(t, degree + 2) @ twice - np.outer((x - low) / length, at_end)
    line, slope = first + (last - first) * (x - low) / length, (last - first) / length

    start = Chebyshev.interpolate(guess, degree + 2, domain=[low, high]).deriv(2)
    series = np.linalg.solve(to_second, start(x))
    for _ in range(50):
        y = line + to_value @ series
        value, by_y, by_slope = right(x, y, slope + to_slope @ series)
        jacobian = to_second - by_y[:, None] * to_value - by_slope[:, None] * to_slope
        change = np.linalg.solve(jacobian, value - to_second @ series)
        series += change
        moved = np.abs(to_value @ change).max()
        if moved <= 1e-14 * np.abs(y).max():
            break
    else:
        raise ArithmeticError(f"no convergence on {interval}: last change {moved:g}")
    solution = twice @ series
    solution[:2] += np.array([0.5 * (first + last), 0.5 * (last - first)]) - 0.5 * at_end @ series
    return Chebyshev(solution, domain=[low, high])


@lru_cache(maxsize=8)
def sharp_gauss_legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1], read-only, every one of them to full relative accuracy.

    The usual routines lose four digits of the weights next to the ends, and a determinant that is nearly 1 inherits
    the error: here two Newton steps on the Legendre polynomial in 40 digits mend it.
    """
    nodes, weights = np.empty(order), np.empty(order)
    with localcontext(prec=40):
        for k, guess in enumerate(np.polynomial.legendre.leggauss(order)[0].tolist()):
            t = Decimal(guess)
            for _ in range(3):
                before, value = Decimal(1), t
                for j in range(2, order + 1):
                    before, value = value, ((2 * j - 1) * t * value - (j - 1) * before) / j
                slope = order * (before - t * value) / (1 - t * t)
                t -= value / slope
            nodes[k], weights[k] = float((1 + t) / 2), float(1 / ((1 - t * t) * slope * slope))
    nodes.setflags(write=False)
    weights.setflags(write=False)
    return nodes, weights
