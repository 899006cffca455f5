"""Whether numbers look like the levels of one matrix rather than like independent ones."""

from __future__ import annotations

import math

import numpy as np

POISSON_RATIO = 2 * math.log(2) - 1
POISSON_RATIO_STD = math.sqrt(2 - 4 * math.log(2) ** 2)


def one_spectrum(values: np.ndarray) -> str:
    """Say what makes a flat sample (n,) look like the levels of one matrix; "" if nothing does.

    There are two signs. A solver returns levels in order; independent values (n >= 8) come in order at most once in
    10^4 times. And levels repel: the mean ratio of neighboring spacings is 0.53 or more for levels, and 0.386 for
    independent values, with a standard deviation of 0.28/sqrt(n). A mean more than 4 deviations above is no accident
    (once in 10^4 times or less). Not for values with ties other than zeros.
    """
    steps = np.diff(values)
    if (steps >= 0).all() or (steps <= 0).all():
        return "its values are in order"
    spacings = np.diff(np.sort(values[values != 0]))
    if spacings.size < 8 or spacings.min() <= 0:
        return ""
    ratio = np.minimum(spacings[1:], spacings[:-1]) / np.maximum(spacings[1:], spacings[:-1])
    if ratio.mean() > POISSON_RATIO + 4 * POISSON_RATIO_STD / math.sqrt(ratio.size):
        return f"its values repel each other (mean spacing ratio {ratio.mean():.2f}, independent ones have 0.39)"
    return ""
