"""Exact moments of the classical gases from their loop equations: no matrices, no sampling, any beta > 0.

Integrating sum_i d/dx_i [f(x_i) g(x) P(x)] over all x gives 0 where f vanishes at the walls. For
P = prod_{i<j} |x_i - x_j|^beta prod_i w(x_i), f = r x^k with w'/w = q/r, g = p_mu = prod_l (sum_i x_i^mu_l),

    E[ g sum_i (f' + f w'/w)(x_i) + g beta sum_{i<j} (f(x_i) - f(x_j))/(x_i - x_j) + sum_i f(x_i) d_i g ] = 0,

linear equations for the moments E p_lambda of all partitions lambda (Aomoto, SIAM J. Math. Anal. 18, 545 (1987)).
"""

from __future__ import annotations

from collections import Counter

import numpy as np

# r and q as polynomials, lowest power first: x^a (1 - x)^b has w'/w = (a (1 - x) - b x) / (x (1 - x)).
WEIGHTS = {
    "hermite": lambda: ([1.0], [0.0, -1.0]),
    "laguerre": lambda a: ([0.0, 1.0], [a, -0.5]),
    "jacobi": lambda a, b: ([0.0, 1.0, -1.0], [a, -a - b]),
}


def partitions(weight, largest=None):
    largest = weight if largest is None else largest
    if weight == 0:
        yield ()
    for part in range(min(weight, largest), 0, -1):
        for rest in partitions(weight - part, part):
            yield (part, *rest)


def moments(n, beta, ensemble, *exponents, weight=4):
    """E p_lambda for all partitions up to `weight`, as a dictionary {lambda: value}, unit width."""
    r, q = WEIGHTS[ensemble](*exponents)
    unknown = [part for w in range(1, weight + 1) for part in partitions(w)]
    rows = []
    for total in range(-1, weight + 1):
        for k in range(max(total, 0) + 1):
            rows += [row for mu in partitions(max(total - k, 0)) if (row := equation(n, beta, r, q, k, mu, weight))]
    matrix = np.array([[row[part] for part in unknown] for row in rows])
    right = np.array([-row[()] for row in rows])
    laguerre = 4 + 2 * sum(exponents) + 2 * beta * n
    level = {"hermite": np.sqrt(1 + beta * n), "laguerre": laguerre, "jacobi": 1.0}[ensemble]
    size = np.array([n ** len(part) * level ** sum(part) for part in unknown])  # unknowns and equations of order 1
    matrix = matrix * size
    scale = np.abs(matrix).max(axis=1)
    solution, _, rank, _ = np.linalg.lstsq(matrix / scale[:, None], right / scale, rcond=1e-13)
    assert rank == len(unknown)
    np.testing.assert_allclose(matrix @ solution / scale, right / scale, atol=1e-11)
    return dict(zip(unknown, solution * size, strict=True))


def equation(n, beta, r, q, k, mu, weight):
    """Coefficients of one equation by partition (the empty one: the constant), None if it needs heavier ones."""
    row = Counter()

    def add(coefficient, *parts):
        zeros = sum(part == 0 for part in parts)
        row[tuple(sorted((part for part in parts if part > 0), reverse=True))] += coefficient * float(n) ** zeros

    for power, c in enumerate(r):
        p = power + k
        if p > 0:
            add(c * p, p - 1, *mu)
            for l in range(p):
                add(0.5 * beta * c, l, p - 1 - l, *mu)
            add(-0.5 * beta * c * p, p - 1, *mu)
        for at, part in enumerate(mu):
            add(c * part, p + part - 1, *mu[:at], *mu[at + 1 :])
    for power, c in enumerate(q):
        add(c, power + k, *mu)
    row = Counter({part: c for part, c in row.items() if c != 0.0})
    return row if row and max(sum(part) for part in row) <= weight else None
