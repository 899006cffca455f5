"""Repulsion sums against extended precision; equality over threads and orders; refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal

from dysonsim.kernels.many_levels import direct_sum, fast_sum
from dysonsim.numerics.repulsion import SortedSums, expansion, repulsion

rng = np.random.default_rng(5)


def goe(n):
    return eigh_tridiagonal(
        np.sqrt(2) * rng.normal(size=n), np.sqrt(rng.chisquare(np.arange(n - 1, 0, -1))), eigvals_only=True
    )


def neighbors_in_floating_point(n):
    x = np.sort(rng.random(n))
    x[1::7] = np.nextafter(x[0::7][: len(x[1::7])], 2)
    return np.unique(x)


GASES = {
    **{f"uniform, {n}": rng.random(n) for n in (2, 3, 15, 16, 17, 47, 48, 49, 97, 801, 4999)},
    "GOE": goe(3000),
    "large offset": 1e6 + rng.random(5000),
    "clusters": np.concatenate([1e-12 * rng.random(3000), [1.0, 2.0, 5.0], 7 + 1e-6 * rng.random(2000)]),
    "geometric": 1.8 ** -np.arange(1000.0),
    "Cauchy": rng.standard_cauchy(10_000),
    "one far away": np.concatenate([rng.random(5000), [1e4]]),
    "gaps of 1e-200": np.concatenate([1e-200 * np.arange(40), rng.random(2000)]),
    "neighbors in floating point": neighbors_in_floating_point(5000),
    "huge": 1e305 * rng.normal(size=2000),
    "small": 1e-290 * rng.normal(size=2000),
}


def error(x, forces, rows):
    """Largest error in `rows`, relative to the sum of absolute values, against extended precision."""
    long = x.astype(np.longdouble)
    worst = 0.0
    for i in rows:
        terms = 1 / np.delete(long[i] - long, i)
        worst = max(worst, float(abs(forces[i] - terms.sum()) / abs(terms).sum()))
    return worst


@pytest.mark.parametrize("name", GASES)
def test_sums_are_as_accurate_as_they_say(name):
    x = GASES[name]
    rows = np.unique(np.concatenate([[0, len(x) - 1], rng.integers(0, len(x), 40)]))
    assert error(x, repulsion(x, method="direct"), rows) < 2e-14
    for tolerance in (1e-4, 1e-5, 9e-6, 1e-9, 1e-12):
        assert error(x, repulsion(x, method="fast", tolerance=tolerance), rows) < tolerance + 2e-14


def test_the_error_bound_is_a_bound_and_not_a_generous_one():
    """Charges at the worst place of a box, targets at the nearest place allowed: within 2.1 of the bound."""
    for tolerance in (1e-4, 1e-6, 1e-9, 1e-12):
        points, ratio = expansion(tolerance)
        z = fast_sum.tables(points)[:points]
        target, source = ratio, 1.0
        lagrange = np.array([np.prod(np.delete((source - z) / (z[b] - z + (z == z[b])), b)) for b in range(points)])
        off = abs(np.sum(lagrange / (target - z)) * (target - source) - 1)
        assert tolerance / 2.1 < off < tolerance


def test_levels_without_a_pair_and_with_one():
    assert repulsion([3.0]).tolist() == [0.0]
    assert repulsion([[1], [2]]).tolist() == [[0.0], [0.0]]
    assert repulsion([2, 4]).tolist() == [-0.5, 0.5]
    np.testing.assert_allclose(repulsion([0.0, 1.0, 3.0]), [-4 / 3, 1 / 2, 5 / 6], rtol=1e-15)


def test_forces_keep_the_center_and_the_virial():
    """sum F_i = 0 and sum x_i F_i = n (n - 1)/2, of a million pairs of boxes and more."""
    n = 200_000
    x = np.sort(rng.normal(size=n))
    forces = repulsion(x)
    assert abs(forces.sum()) < 1e-13 * abs(forces).sum()
    assert np.dot(x, forces) == pytest.approx(n * (n - 1) / 2, rel=1e-12)


@pytest.mark.parametrize("method", ["direct", "fast"])
def test_threads_and_order_change_no_bit(method):
    x = rng.normal(size=(2, 7001))
    one = repulsion(x, method=method, threads=1)
    for threads in (2, 3, 8):
        assert (repulsion(x, method=method, threads=threads) == one).all()
    assert (repulsion(x[1], method=method) == one[1]).all()
    order = rng.permutation(7001)
    assert (repulsion(x[:, order], method=method) == one[:, order]).all()


def test_scale_and_reflection_change_no_bit():
    x = np.sort(rng.normal(size=3000))
    assert (repulsion(2.0**40 * x) == 2.0**-40 * repulsion(x)).all()
    np.testing.assert_allclose(repulsion(-x), -repulsion(x), rtol=0, atol=1e-11 * abs(repulsion(x)).max())


def test_the_fast_sum_takes_over_from_the_direct_one():
    assert not SortedSums(600, "auto", 1e-12, 1).fast
    assert SortedSums(800, "auto", 1e-12, 1).fast
    assert SortedSums(10, "fast", 1e-12, 1).fast


def test_an_expansion_that_is_too_short_is_noticed():
    """Negative control: with the boxes nearer than the tolerance asks for, the error test must fail."""
    x = np.sort(rng.normal(size=20_000))
    sums = SortedSums(len(x), "fast", 1e-12, 1)
    sums.ratio = expansion(1e-9)[1] / 1.5
    assert error(x, sums(x), range(0, 20_000, 500)) > 1e-12


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (([1.0, np.nan],), ValueError, r"levels\[1\] = nan: every number must be finite"),
        (([[1.0, 2.0], [np.inf, 1.0]],), ValueError, r"levels\[1, 0\] = inf"),
        (([3.0, 1.0, 2.0, 1.0],), ValueError, r"levels\[1\] and levels\[3\] are both 1.0"),
        (([[0.0, 1.0], [2.0, 2.0]],), ValueError, r"levels\[1, 0\] and levels\[1, 1\] are both 2.0"),
        (([],), ValueError, r"levels is empty, of shape \(0,\)"),
        ((1.0,), ValueError, r"levels has shape \(\)"),
        ((np.zeros((2, 2, 2)),), ValueError, r"levels has shape \(2, 2, 2\)"),
        (([1j, 2.0],), TypeError, "levels is list of dtype complex128"),
        ((["a", "b"],), TypeError, "levels is list of dtype"),
        ((np.ma.masked_array([1.0, 2.0]),), TypeError, "levels is masked"),
    ],
)
def test_bad_levels_are_refused(arguments, kind, message):
    with pytest.raises(kind, match=message):
        repulsion(*arguments)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"method": "slow"}, ValueError, "method = 'slow'"),
        ({"tolerance": 1e-13}, ValueError, "tolerance = 1e-13: must be from 1e-12 to 0.0001"),
        ({"tolerance": 0.1}, ValueError, "tolerance = 0.1"),
        ({"tolerance": np.nan}, ValueError, "tolerance = nan"),
        ({"tolerance": "fine"}, TypeError, "tolerance = 'fine'"),
        ({"threads": 0}, ValueError, "threads = 0"),
        ({"threads": 1.5}, TypeError, "threads = 1.5"),
    ],
)
def test_bad_options_are_refused(options, kind, message):
    with pytest.raises(kind, match=message):
        repulsion([1.0, 2.0], **options)


def test_padding_lies_where_the_kernels_expect_it():
    assert fast_sum.LEAF % direct_sum.CHUNK == 0
    assert direct_sum.FAR**direct_sum.CHUNK < 1e300
