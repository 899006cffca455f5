"""Independent draws of the Hermite, Laguerre and Jacobi ensembles from tridiagonal matrices, with NumPy and LAPACK.

Written for the tests, beside the library's own sampler: I. Dumitriu, A. Edelman, J. Math. Phys. 43, 5830 (2002);
A. Edelman, B. D. Sutton, Found. Comput. Math. 8, 259 (2008). And what is measured of levels (draws, n).
"""

from __future__ import annotations

import numpy as np


def bidiagonal_levels(diagonal, above):
    """Squares of the singular values, ascending, of bidiagonal matrices (draws, n), (draws, n - 1)."""
    n = diagonal.shape[1]
    b = np.zeros((len(diagonal), n, n))
    b[:, np.arange(n), np.arange(n)] = diagonal
    b[:, np.arange(n - 1), np.arange(1, n)] = above
    return np.linalg.svd(b, compute_uv=False)[:, ::-1] ** 2


def hermite(n, beta, draws, seed):
    """Weight exp(-x^2/2)."""
    rng = np.random.default_rng(seed)
    a = np.zeros((draws, n, n))
    a[:, np.arange(n), np.arange(n)] = rng.standard_normal((draws, n))
    off = np.sqrt(rng.chisquare(beta * np.arange(n - 1, 0, -1.0), (draws, n - 1)) / 2)
    a[:, np.arange(n - 1), np.arange(1, n)] = a[:, np.arange(1, n), np.arange(n - 1)] = off
    return np.linalg.eigvalsh(a)


def laguerre(n, m, beta, draws, seed):
    """Weight x^(beta (m - n + 1)/2 - 1) exp(-x/2)."""
    rng = np.random.default_rng(seed)
    diagonal = rng.chisquare(beta * (m - np.arange(n)), (draws, n))
    above = rng.chisquare(beta * np.arange(n - 1, 0, -1.0), (draws, n - 1))
    return bidiagonal_levels(np.sqrt(diagonal), np.sqrt(above))


def jacobi(n, a, b, beta, draws, seed):
    """Weight x^a (1 - x)^b."""
    rng = np.random.default_rng(seed)
    i = np.arange(n, 0, -1.0)
    c = rng.beta(a + 1 + beta * (i - 1) / 2, b + 1 + beta * (i - 1) / 2, (draws, n))
    primed = rng.beta(beta * i[1:] / 2, a + b + 2 + beta * (i[1:] - 1) / 2, (draws, n - 1))
    diagonal = c.copy()
    diagonal[:, 1:] *= 1 - primed
    return bidiagonal_levels(np.sqrt(diagonal), np.sqrt((1 - c[:, :-1]) * primed))


def middle(x):
    """Gaps in the middle third, (draws, some)."""
    gaps = np.diff(x, axis=1)
    k = gaps.shape[1]
    return gaps[:, k // 3 : max(2 * k // 3, k // 3 + 1)]


def spacing_ratio(x):
    """Mean ratio of the smaller to the larger of two gaps that follow each other, of every draw, in the middle half."""
    gaps = np.diff(x, axis=1)
    ratio = np.minimum(gaps[:, 1:], gaps[:, :-1]) / np.maximum(gaps[:, 1:], gaps[:, :-1])
    k = ratio.shape[1]
    return ratio[:, k // 4 : max(3 * k // 4, k // 4 + 1)].mean(axis=1)


def measured(x):
    """Averages over draws, each with its standard error, by name; gaps in units of their mean, small below a fifth."""
    gaps = middle(x)
    unit = gaps / gaps.mean(axis=0)
    rows = {
        "lowest": x[:, 0], "top": x[:, -1], "sum": x.sum(axis=1), "variance of gaps": ((unit - 1) ** 2).mean(axis=1),
        "small gaps": (unit < 0.2).mean(axis=1), "square of the lowest": x[:, 0] ** 2,
    }  # fmt: skip
    if x.shape[1] > 2:
        rows["ratio"] = spacing_ratio(x)
    return {name: (row.mean(), row.std() / np.sqrt(len(row))) for name, row in rows.items()}


def differences(x, y):
    """Of all that is measured: (x - y)/y, and its standard error."""
    a, b = measured(x), measured(y)
    return {
        name: ((a[name][0] - b[name][0]) / b[name][0], np.hypot(a[name][1], b[name][1]) / abs(b[name][0]))
        for name in a
        if b[name][0] != 0
    }
