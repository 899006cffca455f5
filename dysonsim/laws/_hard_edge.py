"""Distribution of the smallest singular value, in the variable u = sigma_min sqrt(n) and for entries of E|w|^2 = 1.

Every function returns the logarithms of density, cdf and sf, each to full relative accuracy.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.polynomial.polynomial import polyval

from ._numerics import gauss_legendre

Logs = tuple[np.ndarray, np.ndarray, np.ndarray]
_NODES = 120  # of Gauss-Jacobi quadrature, enough for exp(2 v x) up to v = 60
_BEYOND = 60.0
_TERMS = {1: 100, 2: 100, 4: 70}  # of the power series in u

# ---- n = infinity ----------------------------------------------------------------------------------------------------
#
# With V the integral operator of kernel (r/2) J_a(r sqrt(x y)) on (0, 1), r = 2 v, the gap probabilities are F- = det(1
# - V) for beta = 1, a = d; F- F+ for beta = 2, a = d; (F- + F+)/2 at v = 2 u for beta = 4, a = 2 d. The determinants
# are averages over compact groups, exp(-v^2/2) E exp(v tr): F- over Sp(a - 1) and F+ over O+(a + 1) for odd a; over the
# two components of O(a + 1) for even a. An average is a Hankel determinant of the weight exp(2 v x) times a Jacobi one.


def _group(a: int, sign: int) -> tuple[int, float, float, float]:
    """Dimension of the Hankel determinant, exponents of 1 - x and 1 + x, and the eigenvalue that is left over."""
    if a % 2:
        return ((a - 1) // 2, 0.5, 0.5, 0.0) if sign < 0 else ((a + 1) // 2, -0.5, -0.5, 0.0)
    return (a // 2, -0.5, 0.5, -1.0) if sign < 0 else (a // 2, 0.5, -0.5, 1.0)


def _determinant(a: int, sign: int, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log F and -d log F/dv."""
    size, minus, plus, fixed = _group(a, sign)
    log_value, slope = -0.5 * v**2 + fixed * v, v - fixed
    if size == 0:
        return log_value, slope
    angles, weights = _gauss_chebyshev(minus, plus)
    y = 2.0 * np.sin(0.5 * angles) ** 2  # 1 - x, small where the weight is large
    norm = float(np.sum(_log_norms(y, np.log(weights)[None, :], size)[0]))
    for block in np.array_split(np.arange(v.size), max(1, v.size // 500)):
        logs, means = _log_norms(y, np.log(weights) - 2.0 * v[block, None] * y, size)
        log_value[block] += logs.sum(0) - norm + 2.0 * size * v[block]
        slope[block] -= 2.0 * means.sum(0)
    return log_value, slope


def _gauss_chebyshev(minus: float, plus: float) -> tuple[np.ndarray, np.ndarray]:
    """Angles and weights of Gauss's quadrature in x = cos(angle) for (1 - x)^minus (1 + x)^plus, exponents +-1/2."""
    count = _NODES + 0.5 * (minus + plus + 1.0)
    angles = math.pi * (np.arange(_NODES) + 0.5 * (1.5 + minus)) / count
    half, power = 0.5 * angles, 0.5 * (minus + plus + 1.0)
    weights = 4.0**power * math.pi / count * np.sin(half) ** (2 * minus + 1) * np.cos(half) ** (2 * plus + 1)
    return angles, weights


def _log_norms(y: np.ndarray, log_weights: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return logs of squared norms of monic orthogonal polynomials, and means of x under their squares.

    Stieltjes' procedure for the variable y = 1 - x; y (k,), log_weights (m, k) -> (size, m) each.
    """
    weights = np.exp(log_weights)
    total = weights.sum(1)
    logs, means = [np.log(total)], []
    before, now = np.zeros_like(weights), np.broadcast_to(1.0 / np.sqrt(total)[:, None], weights.shape)
    off = np.zeros(total.size)
    for _ in range(size):
        center = (weights * now**2) @ y
        means.append(1.0 - center)
        after = (y - center[:, None]) * now - off[:, None] * before
        off = np.sqrt((weights * after**2).sum(1))
        before, now = now, after / off[:, None]
        logs.append(logs[-1] + 2.0 * np.log(off))
    return np.array(logs[:size]), np.array(means)


@lru_cache(maxsize=32)
def _moments(a: int, sign: int, count: int) -> list[int]:
    """E tr^k of the group, k < count: closed walks of length k among its representations, which tr multiplies.

    The group is symplectic or even orthogonal of rank `size`, or SO(2 size + 1) up to the sign of every element.
    """
    size, _, _, fixed = _group(a, sign)
    if a % 2 and sign > 0 and size > 0:  # O(2 size): diagrams whose first two columns have at most 2 size boxes
        return _walks(count, lambda shape: _columns(shape, 2) <= 2 * size, stay=False, parity=1.0)
    if a % 2:
        return _walks(count, lambda shape: len(shape) <= size, stay=False, parity=1.0)
    return _walks(count, lambda shape: len(shape) <= size, stay=True, parity=fixed, rows=size)


def _columns(shape: tuple[int, ...], count: int) -> int:
    return sum(sum(1 for row in shape if row > c) for c in range(count))


def _walks(
    count: int, allowed: Callable[[tuple[int, ...]], bool], stay: bool, parity: float, rows: int = -1
) -> list[int]:
    """Count closed walks on diagrams, a box more or less at a time; with `stay`, one of `rows` rows may stay."""
    shapes: Counter[tuple[int, ...]] = Counter({(): 1})
    found = [1]
    for k in range(1, count):
        following: Counter[tuple[int, ...]] = Counter()
        for shape, ways in shapes.items():
            if sum(shape) > count - k:  # will not be back in time
                continue
            for i in range(len(shape) + 1):
                row = shape[i] if i < len(shape) else 0
                if i == 0 or shape[i - 1] > row:
                    larger = (*shape[:i], row + 1, *shape[i + 1 :])
                    if allowed(larger):
                        following[larger] += ways
                if row and (i + 1 == len(shape) or shape[i + 1] < row):
                    smaller = (*shape[:i], row - 1, *shape[i + 1 :])
                    following[smaller if smaller[-1] else smaller[:-1]] += ways
            if stay and len(shape) == rows:
                following[shape] += ways
        shapes = following
        found.append(int(parity**k) * shapes[()])
    return found


@lru_cache(maxsize=32)
def _series(d: int, beta: int) -> tuple[int, np.ndarray, np.ndarray]:
    """First power p, and the series of cdf/(c u^(p + 1)) and pdf/(c u^p) over exp(-beta u^2/2), c the factor in front.

    1 - F = exp(-k u^2/2) sum_j (g_j - a_j) u^j/j! with g_j the moments of a normal number of variance k = beta, and pdf
    = exp(-k u^2/2) sum_j (k j a_{j-1} - a_{j+1}) u^j/j!, in exact integers.
    """
    a = _average(d, beta)
    count = len(a)
    normal = [
        0 if j % 2 else math.factorial(j) // math.factorial(j // 2) * beta ** (j // 2) // 2 ** (j // 2)
        for j in range(count)
    ]
    lower = [normal[j] - a[j] for j in range(count)]
    first = next(j for j, value in enumerate(lower) if value)
    density = [(beta * j * a[j - 1] if j else 0) - a[j + 1] for j in range(count - 1)]
    cdf = np.array([lower[j] / math.factorial(j) for j in range(first, count)])
    pdf = np.array([density[j] / math.factorial(j) for j in range(first - 1, count - 1)])
    return first - 1, cdf, pdf


def _normal_moment(half: int) -> int:
    """E z^(2 half) of a standard normal number z."""
    return math.factorial(2 * half) // (math.factorial(half) * 2**half)


def _average(d: int, beta: int) -> list[int]:
    """Return j! times the coefficients of exp(beta u^2/2) F in powers of u, exact."""
    count = _TERMS[beta] + beta * (d + 1)
    if beta == 1:
        return _moments(d, -1, count)
    if beta == 4:  # the mean over both signs of tr(2 u)
        both = _moments(2 * d, 1, count)
        return [0 if j % 2 else 2**j * both[j] for j in range(count)]
    # sum over diagrams of j boxes in at most d rows of the square of the number of standard tableaux (Gessel)
    shapes: Counter[tuple[int, ...]] = Counter({(): 1})
    found = [1]
    for j in range(1, count // 2 + 1):
        following: Counter[tuple[int, ...]] = Counter()
        for shape, ways in shapes.items():
            for i in range(min(len(shape) + 1, d)):
                row = shape[i] if i < len(shape) else 0
                if i == 0 or shape[i - 1] > row:
                    following[(*shape[:i], row + 1, *shape[i + 1 :])] += ways
        shapes = following
        squares = sum(ways**2 for ways in shapes.values())
        found += [0, squares * math.factorial(2 * j) // math.factorial(j) ** 2]
    return found


def limit(d: int, beta: int, u: np.ndarray) -> Logs:
    """Of n = infinity, with d = m - n."""
    log_pdf, log_cdf, log_sf = np.full((3, u.size), -math.inf)
    turn = series_end(d, beta)
    near = u <= turn
    power, cdf, pdf = _series(d, beta)
    v = u[near]
    common = (power * np.log(v) if power else 0.0) - 0.5 * beta * v**2
    log_pdf[near] = common + np.log(polyval(v, pdf))
    log_cdf[near] = common + np.log(v) + np.log(polyval(v, cdf))
    log_sf[near] = np.log1p(-np.exp(log_cdf[near]))
    # far beyond, nothing but the Gaussian factor changes in the logarithm by much: exp(-beta u^2/2 + beta d u)
    v = np.minimum(u[~near], _BEYOND)
    excess = 0.5 * beta * (u[~near] ** 2 - v**2) - (beta * d + (beta == 4) * 2 - (beta == 1)) * (u[~near] - v)
    if beta == 1:
        value, hazard = _determinant(d, -1, v)
    elif beta == 2:
        (value, hazard), (other, rate) = _determinant(d, -1, v), _determinant(d, 1, v)
        value, hazard = value + other, hazard + rate
    else:
        (value, hazard), (other, rate) = _determinant(2 * d, -1, 2.0 * v), _determinant(2 * d, 1, 2.0 * v)
        share = 1.0 / (1.0 + np.exp(value - other))
        value = other + np.log1p(np.exp(value - other)) - math.log(2.0)
        hazard = 2.0 * (hazard * (1.0 - share) + rate * share)
    log_sf[~near] = value - excess
    log_cdf[~near] = np.log1p(-np.exp(log_sf[~near]))
    log_pdf[~near] = log_sf[~near] + np.log(hazard + beta * np.maximum(u[~near] - v, 0.0))
    return log_pdf, log_cdf, log_sf


def series_end(d: int, beta: int) -> float:
    """Where the power series hands over to the determinants: below the median, where 1 - F has lost no digits."""
    return 0.5 + (0.36 if beta == 4 else 0.45) * d


# ---- finite n --------------------------------------------------------------------------------------------------------


def finite(d: int, beta: int, n: int) -> Callable[[np.ndarray], Logs] | None:
    """Return the function of u for n columns where a closed form is known, else None.

    With lambda = u^2/n and k = beta (d + 1)/2 - 1: k = 0: sf = exp(-beta u^2/2). k = 1: sf = exp(-beta u^2/2) 1F1(-n;
    2/beta; -lambda). beta = 2, d = 2: exp(-u^2) sum_{j<=n} L_j(-lambda)^2/(n + 1). beta = 1, d = 0: Edelman (1988).
    """
    if beta * (d + 1) == 2:
        return lambda u: _exponential(beta, u)
    if beta * (d + 1) == 4:
        return lambda u: _one_polynomial(beta, n, u)
    if beta == 2 and d == 2:
        return lambda u: _two_polynomials(n, u)
    if beta == 1 and d == 0:
        return lambda u: _edelman(n, u)
    return None


def _exponential(beta: int, u: np.ndarray) -> Logs:
    exponent = 0.5 * beta * u**2
    return math.log(beta) + np.log(u) - exponent, np.log(-np.expm1(-exponent)), -exponent


def _log_positive_series(n: int, c: float, x: np.ndarray) -> np.ndarray:
    """Return log 1F1(-n; c; -x), x >= 0: a sum of n + 1 positive terms, with the scale taken out as it grows."""
    term, total, shift = np.ones_like(x), np.ones_like(x), np.zeros_like(x)
    for k in range(n):
        term = term * ((n - k) * x / ((c + k) * (k + 1)))
        total = total + term
        large = total > 1e200
        scale = np.where(large, 1e-200, 1.0)
        term, total, shift = term * scale, total * scale, shift + np.where(large, 200.0 * math.log(10.0), 0.0)
        if (term < 1e-17 * total).all() and k > 2:
            break
    return np.log(total) + shift


def _from_density(u: np.ndarray, log_pdf: Callable[[np.ndarray], np.ndarray], log_sf: np.ndarray) -> Logs:
    """Add the cdf: the integral of the density where it is small."""
    density = log_pdf(u)
    log_cdf = np.log1p(-np.exp(log_sf))
    near = (log_sf > -0.2) & (u > 0.0)
    log_cdf[u == 0.0] = -math.inf
    nodes, weights = gauss_legendre(40)
    v = u[near]
    if v.size:
        inner = log_pdf(np.multiply.outer(v, nodes).ravel()).reshape(v.size, -1)
        log_cdf[near] = density[near] + np.log(np.exp(inner - density[near, None]) @ weights) + np.log(v)
    return density, log_cdf, np.where(near, np.log1p(-np.exp(log_cdf)), log_sf)


def _one_polynomial(beta: int, n: int, u: np.ndarray) -> Logs:
    c = 2.0 / beta
    front = math.log((n + c) / (c * c * (c + 1.0)) * 2.0)

    def log_pdf(v: np.ndarray) -> np.ndarray:
        x = v * v / n
        return front + 3.0 * np.log(v) - math.log(n) - 0.5 * beta * v**2 + _log_positive_series(n - 1, c + 2.0, x)

    return _from_density(u, log_pdf, -0.5 * beta * u**2 + _log_positive_series(n, c, u * u / n))


def _log_sum_of_squares(n: int, alpha: int, x: np.ndarray) -> np.ndarray:
    """Log of sum_{j<=n} L_j^(alpha)(-x)^2 j!/(j + alpha)!, a sum of positive terms, by the recurrence."""
    before, now, shift = np.zeros_like(x), np.ones_like(x), np.zeros_like(x)
    weight = 1.0 / math.factorial(alpha)
    total = weight * now**2
    for j in range(n):
        before, now = now, ((2 * j + 1 + alpha + x) * now - (j + alpha) * before) / (j + 1)
        weight *= (j + 1) / (j + 1 + alpha)
        total = total + weight * now**2
        large = now > 1e100
        scale = np.where(large, 1e-100, 1.0)
        before, now, total = before * scale, now * scale, total * scale**2
        shift = shift + np.where(large, 200.0 * math.log(10.0), 0.0)
    return np.log(total) + shift


def _two_polynomials(n: int, u: np.ndarray) -> Logs:
    # the density of lambda is lambda^2 exp(-n lambda) sum_{j<n} L_j^(2)(-lambda)^2 j!/(j+2)!
    front = math.log(2.0) - 3.0 * math.log(n)

    def log_pdf(v: np.ndarray) -> np.ndarray:
        return front + 5.0 * np.log(v) - v**2 + _log_sum_of_squares(n - 1, 2, v * v / n)

    return _from_density(u, log_pdf, -(u**2) + _log_sum_of_squares(n, 0, u * u / n) - math.log(n + 1.0))


@lru_cache(maxsize=16)
def _edelman_mixture(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights, adding up to 1, and stretches k of the normal numbers u sqrt(k) that the law is a mixture of.

    The density is proportional to the integral of sin^2 w cos^(n-2) w exp(-u^2/2 (1 + cot^2(w)/n)) over 0 < w < pi/2;
    double exponential quadrature, whose points crowd where cot w is large.
    """
    if n == 1:
        return np.ones(1), np.ones(1)
    top = min(0.5 * math.pi, 40.0 / math.sqrt(n))
    t = np.linspace(-4.4, 4.4 if top == 0.5 * math.pi else 3.2, 501)
    inner = 0.5 * math.pi * np.sinh(t)
    fraction = 1.0 / (1.0 + np.exp(-2.0 * inner))
    w = top * fraction
    rest = top / (1.0 + np.exp(2.0 * inner)) + (0.5 * math.pi - top)  # pi/2 - w
    jacobian = 0.5 * math.pi * np.cosh(t) / np.cosh(inner) ** 2
    stretch = 1.0 + (np.sin(rest) / np.sin(w)) ** 2 / n
    log_weights = 2.0 * np.log(np.sin(w)) + (n - 2) * np.log(np.sin(rest)) - 0.5 * np.log(stretch) + np.log(jacobian)
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum(), stretch


def _edelman(n: int, u: np.ndarray) -> Logs:
    from scipy.special import erf, log_ndtr

    weights, stretch = _edelman_mixture(n)
    log_pdf, log_cdf, log_sf = np.empty((3, u.size))
    for block in np.array_split(np.arange(u.size), max(1, u.size // 1000)):
        z = u[block, None] * np.sqrt(stretch)
        norm = np.log(weights) + 0.5 * np.log(stretch) + 0.5 * math.log(2.0 / math.pi)
        log_pdf[block] = _log_sum(norm - 0.5 * z**2)
        log_sf[block] = _log_sum(np.log(weights) + math.log(2.0) + log_ndtr(-z))
        log_cdf[block] = np.log(erf(z * math.sqrt(0.5)) @ weights)
    return log_pdf, log_cdf, log_sf


def _log_sum(terms: np.ndarray) -> np.ndarray:
    largest = terms.max(1)
    return largest + np.log(np.exp(terms - largest[:, None]).sum(1))
