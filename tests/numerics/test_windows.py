"""Exact sliding integrals against the same by quadrature between events, with a least-squares fit in every window."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from dysonsim.numerics import windows
from dysonsim.numerics.windows import count_means, deviation_means

RNG = np.random.default_rng(3)
LEVELS = np.sort(RNG.uniform(0, 50, (3, 50)), axis=1)
LOW, HIGH = 12.0, 38.0


def least_squares(row, x, length):
    """min over a, b of the mean of [N(y) - a - b y]^2 in (x, x + L], from exact integrals of the staircase."""
    inside = row[(row > x) & (row <= x + length)]
    edges = np.concatenate([[x], inside, [x + length]]) - x - length / 2
    count, a, b = np.arange(inside.size + 1), edges[:-1], edges[1:]
    zeroth, first = (count * (b - a)).sum(), (count * (b**2 - a**2) / 2).sum()
    square = (count**2 * (b - a)).sum()
    return (square - zeroth**2 / length - first**2 / (length**3 / 12)) / length


def number(row, x, length):
    return float(((row > x) & (row <= x + length)).sum()) - length


def over_positions(function, row, low, high, length):
    """Mean over all positions: Gauss points between the events at which a level enters or leaves."""
    events = np.unique(np.concatenate([[low, high - length], row, row - length]))
    events = events[(events >= low) & (events <= high - length)]
    nodes, weights = np.polynomial.legendre.leggauss(5)
    total = 0.0
    for a, b in pairwise(events):
        points = (a + b) / 2 + nodes * (b - a) / 2
        total += (b - a) / 2 * sum(w * function(row, x, length) for w, x in zip(weights, points, strict=True))
    return total / (high - length - low)


@pytest.mark.parametrize("length", [0.4, 3.3, 12.0, 25.9])
def test_every_position_counts(length):
    found = deviation_means(LEVELS, (LOW, HIGH), np.array([length]))[:, 0, 0]
    known = [over_positions(least_squares, row, LOW, HIGH, length) for row in LEVELS]
    np.testing.assert_allclose(found, known, rtol=1e-12, atol=1e-13)
    counts = count_means(LEVELS, (LOW, HIGH), np.array([length]))[:, 0, 0]
    known = [over_positions(number, row, LOW, HIGH, length) for row in LEVELS]
    np.testing.assert_allclose(counts[:, 0], known, rtol=1e-12, atol=1e-13)
    known = [over_positions(lambda *a: number(*a) ** 2, row, LOW, HIGH, length) for row in LEVELS]
    np.testing.assert_allclose(counts[:, 1], known, rtol=1e-12)


def test_one_position():
    """A window as long as the interval; far from 0 nothing is lost that the levels have."""
    for shift in (0.0, 1e5):
        rows = LEVELS + shift
        found = deviation_means(rows, (LOW + shift, LOW + 7.0 + shift), np.array([7.0]))[:, 0, 0]
        known = [least_squares(row, LOW + shift, 7.0) for row in rows]
        np.testing.assert_allclose(found, known, rtol=1e-9 if shift else 1e-12)


def test_long_spectra_lose_no_digits():
    """Sums over the whole spectrum would be wrong in the seventh digit here."""
    row = np.sort(np.random.default_rng(4).uniform(0, 4000, (1, 4000)), axis=1)
    low, high, length = 3000.0, 3011.0, 1.3
    found = deviation_means(row, (low, high), np.array([length]))[0, 0, 0]
    assert found == pytest.approx(over_positions(least_squares, row[0], low, high, length), rel=1e-11)


def test_pieces_add_up_to_the_whole():
    lengths = np.array([1.0, 6.0])
    for function in (count_means, deviation_means):
        whole, parts = (function(LEVELS, (LOW, HIGH), lengths, pieces) for pieces in (1, 5))
        np.testing.assert_allclose(parts.mean(axis=1), whole[:, 0], rtol=1e-12)


def test_without_a_compiler(monkeypatch):
    lengths = np.array([2.5])
    compiled = [f(LEVELS, (LOW, HIGH), lengths) for f in (count_means, deviation_means)]
    monkeypatch.setattr(windows, "jit_disabled", lambda: True)
    for function, known in zip((count_means, deviation_means), compiled, strict=True):
        np.testing.assert_allclose(function(LEVELS, (LOW, HIGH), lengths), known, rtol=1e-12)
