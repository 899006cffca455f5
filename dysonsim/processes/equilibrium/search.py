"""The fixed point of the mean step of an update."""

from __future__ import annotations

import numpy as np

from ...models.traced.sampled import Steps

__all__ = ["fixed_point"]

DESCENT, NETWORKS = 3000, 256  # steps of descent at most, and networks of their mean
NEWTON, MORE = 60, 2048  # the same of Newton's method
CLOSE = 1e-10  # of the size of the state
FLAT = 1e-4  # slopes below this times the largest are left alone by Newton's method: beside a point where all networks
# rest, those of flat directions are 0 up to how far off it is, and what batches leave of it
FAR = 3.0  # times as far from 0 as where descent ended: farther off Newton's method has gone somewhere else
REFINED = 8  # steps with all networks at most
ATTEMPTS, SHORT = 4, 0.05  # of Newton's method, each where moves are this much shorter, or after as many steps
FORWARD = 1e-2  # slopes that lead away, over the largest, from which a point is a saddle


def mean_move(steps: Steps, state: np.ndarray, networks: int, decay: float) -> np.ndarray:
    """Return the mean change of the state in a step; `decay`: of the weights, by the optimizer."""
    weights = steps.layout.weights
    move = steps.mean(state, networks) - state
    move[:weights] -= steps.rate * decay * state[:weights]
    return move


def mean_slopes(steps: Steps, state: np.ndarray, networks: int, decay: float) -> np.ndarray:
    """Return the derivatives of the mean change of the state."""
    size, weights = steps.layout.size, steps.layout.weights
    slopes = sum(some.sum(axis=0) for some in steps.slopes(state, networks)) / networks - np.eye(size)
    slopes[:weights, :weights] -= steps.rate * decay * np.eye(weights)
    return np.asarray(slopes)


def fixed_point(steps: Steps, start: np.ndarray, networks: int, decay: float) -> np.ndarray:
    """Return the state that a step leaves as it is in the mean, which descent from `start` leads to.

    ValueError if there is none.
    """
    with np.errstate(all="ignore"):
        for attempt in range(1, ATTEMPTS + 1):  # from farther down, where Newton's method fails or ends at a saddle
            start = descended(steps, start, decay, SHORT**attempt)
            try:
                state = by_newton(steps, start, MORE, decay)
            except ValueError:
                if attempt == ATTEMPTS:
                    raise
                continue
            slopes = mean_slopes(steps, state, MORE, decay)
            if np.linalg.eigvals(slopes).real.max() < FORWARD * np.abs(slopes).max():
                break
        inverse = np.linalg.pinv(slopes, rcond=FLAT)
        for _ in range(REFINED):  # with the mean of more networks, and the same slopes
            change = -inverse @ mean_move(steps, state, networks, decay)
            state = state + change
            if np.abs(change).max() <= 1e-6 * max(np.abs(state).max(), 1e-3):
                break
        if not np.isfinite(state).all():
            raise ValueError(f"no fixed point of the mean step of {steps.model} was found; give start= near one")
    return state


def descended(steps: Steps, state: np.ndarray, decay: float, short: float) -> np.ndarray:
    """Follow the mean step, until it is `short` beside the longest."""
    first = None
    for _ in range(DESCENT):
        move = mean_move(steps, state, NETWORKS, decay)
        size = float(np.abs(move).max())
        if not np.isfinite(size):
            raise ValueError(
                f"learning_rate = {steps.rate:g}: the mean step of {steps.model} leads to numbers that are not finite; "
                "take a smaller one, or give start= near the fixed point"
            )
        first = size if first is None else max(first, size)
        state = state + move
        if size <= short * first or size < CLOSE * max(1e-3, np.abs(state).max()):
            break
    return state


def by_newton(steps: Steps, start: np.ndarray, networks: int, decay: float) -> np.ndarray:
    """Find where the mean of some networks moves no more, not far from the start."""
    state, move = start, mean_move(steps, start, networks, decay)
    for _ in range(NEWTON):
        if np.abs(move).max() <= CLOSE * max(1e-3, np.abs(state).max()):
            break
        slopes = mean_slopes(steps, state, networks, decay)
        change = -np.linalg.lstsq(slopes, move, rcond=FLAT)[0]
        for shorter in 0.5 ** np.arange(12):
            there = state + shorter * change
            moved = mean_move(steps, there, networks, decay)
            if np.linalg.norm(moved) < np.linalg.norm(move):
                break
        else:
            break
        state, move = there, moved
    rests = np.abs(move).max() <= 1e-6 * max(1e-3, np.abs(state).max())
    if rests and np.linalg.norm(state - start) <= FAR * max(float(np.linalg.norm(start)), 1e-3):
        return state
    raise ValueError(
        f"no fixed point of the mean step of {steps.model} was found from this start: "
        + ("the next one is far off" if rests else f"it still moves by {np.abs(move).max():.2g} a step")
        + "; give start= near one"
    )
