"""How deep linear networks learn: balanced layers, aligned with the teacher, under the gradient of the population.

Every trained layer then has the same singular value u along a direction of the teacher, and one step of length alpha is

    u <- u + alpha c u^(M-1) (s - c u^M)        exactly,

with M trained layers and c the product of what the others have there.
"""

from __future__ import annotations

import numpy as np

__all__ = ["half_times", "path", "shrunk"]


def path(u: np.ndarray, s: np.ndarray, c: np.ndarray, many: int, alpha: float, steps: np.ndarray) -> np.ndarray:
    """Return u after each of `steps`, (len(steps), r)."""
    out = np.empty((len(steps), len(u)))
    order, at, u = np.argsort(steps, kind="stable"), 0, np.array(u, float)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond the stability limit it runs away
        for place in order:
            for _ in range(int(steps[place]) - at):
                new = u + alpha * c * u ** (many - 1) * (s - c * u**many)
                if np.array_equal(new, u) or not np.isfinite(new).all():  # arrived
                    u = new
                    break
                u = new
            at = int(steps[place])
            out[place] = u
    return np.where(np.isfinite(out), out, np.inf)


def half_times(u: np.ndarray, s: np.ndarray, c: np.ndarray, many: int, alpha: float) -> np.ndarray:
    """Return the time, in steps of gradient flow, at which the product reaches s/2; inf where it never does.

    0 where it starts beyond. With y = c u^M, dt = dy/[alpha M c^(2/M) y^(2-2/M) (s - y)].
    """
    from scipy.integrate import quad

    out = np.zeros(len(s))
    for i, (start, goal, rest) in enumerate(zip(c * u**many, s, c, strict=True)):
        if start >= goal / 2 and goal > 0:
            continue
        if goal <= 0 or start <= 0:
            out[i] = np.inf
            continue
        # in ln y the integrand is smooth over the decades of a plateau
        inside = quad(lambda z, goal=goal: np.exp(-z * (1 - 2 / many)) / (goal - np.exp(z)), np.log(start),
                      np.log(goal / 2), limit=500)[0]  # fmt: skip
        out[i] = inside / (alpha * many * rest ** (2 / many))
    return out


def shrunk(s: np.ndarray, c: np.ndarray, many: int, decay: float) -> np.ndarray:
    """Return u where the gradient balances weight decay, c u^(M-2) (s - c u^M) = decay: the stable root, or 0.

    The product c u^M then is what the network becomes.
    """
    from scipy.optimize import brentq

    out = np.zeros(len(s))
    for i, (goal, rest) in enumerate(zip(s, c, strict=True)):
        if goal <= 0 or rest <= 0:
            continue
        top = (goal / rest) ** (1 / many)
        if decay == 0:
            out[i] = top
        elif many == 1:
            out[i] = rest * goal / (rest**2 + decay)
        elif many == 2:
            out[i] = np.sqrt(max(0.0, (goal - decay / rest) / rest))
        else:

            def pull(u: float, goal: float = goal, rest: float = rest) -> float:
                return float(rest * u ** (many - 2) * (goal - rest * u**many) - decay)

            peak = top * ((many - 2) / (2 * many - 2)) ** (1 / many)  # below it the root is not stable
            if pull(peak) > 0:
                out[i] = brentq(pull, peak, top)
    return out
