"""Singular values in lanes: to a few roundings of the largest, the same in any company, and never silently wrong."""

from __future__ import annotations

import subprocess
import sys

import mpmath
import numpy as np
import pytest

import dysonsim as ds
from dysonsim.kernels.common import singular
from dysonsim.numerics import singular_values as levels

EPS = np.finfo(float).eps
CLOSE = 6  # eps times the largest singular value: twice what was seen in thousands of matrices of up to 25 columns
SHAPES = [(1, 1), (1, 4), (4, 1), (2, 3), (3, 2), (3, 3), (4, 4), (5, 9), (9, 5), (10, 10), (17, 17), (40, 3), (50, 50)]


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest error in units of eps times the largest singular value."""
    return float((abs(found - expected).max(axis=-1) / expected.max(axis=-1)).max() / EPS)


def lapack(w: np.ndarray) -> np.ndarray:
    """Good to 4 eps of the largest in matrices of normals, to some tens or hundreds in clusters."""
    return np.linalg.svd(w, compute_uv=False)[..., ::-1]


def exact(w: np.ndarray) -> np.ndarray:
    """By arithmetic with 40 digits."""
    with mpmath.workdps(40):
        return np.array([sorted(map(float, mpmath.svd_r(mpmath.matrix(one.tolist()), compute_uv=False))) for one in w])


def rotated(values: np.ndarray, p: int, rng: np.random.Generator) -> np.ndarray:
    """Matrices (count, p, n) with given singular values (count, n), n <= p."""
    count, n = values.shape
    left = np.linalg.qr(rng.normal(size=(count, p, p)))[0][:, :, :n]
    right = np.linalg.qr(rng.normal(size=(count, n, n)))[0]
    return left * values[:, None, :] @ right


def degenerate(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Singular values (count, n) that are hard for one or other algorithm, in any order."""
    count = 24
    return {
        "pairs": np.repeat(rng.uniform(0.5, 2.0, (count, n)), 2, axis=1)[:, :n],
        "all equal": np.ones((count, n)),
        "two values": rng.choice([0.3, 1.0], (count, n)),
        "rank one": np.eye(n)[np.zeros(count, int)],
        "half the rank": np.repeat([[1.0, 0.0]], n, axis=0).ravel()[None, :n] * rng.uniform(1, 2, (count, n)),
        "nearly equal": 1 + 1e-9 * rng.normal(size=(count, n)),
        "graded": np.repeat(10.0 ** -np.linspace(0, 14, n)[None], count, axis=0),
        "one tiny": np.where(np.arange(n) == n // 2, 1e-15, rng.uniform(1, 2, (count, n))),
        "trained": np.linspace(1, 2, n) + 0.02 * rng.normal(size=(count, n)),
    }


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300, 2.0**-1060])
def test_against_lapack(shape, scale):
    w = np.random.default_rng(0).normal(size=(50, *shape))
    w[0] = 0
    w[1, -1] = w[1, 0]
    w = (w * 2.0**-6) * scale  # of the subnormal numbers some digits are lost: LAPACK sees the same ones
    found, p, n = ds.singular_values(w), *shape
    assert found.shape == (50, n)
    assert (np.diff(found) >= 0).all()
    assert (found[:, : max(0, n - p)] == 0).all()
    assert (found[0] == 0).all()
    lift = 1.0 if scale > 1e-305 else 2.0**1000
    expected = lapack(w * lift) / lift
    tolerance = 12 * EPS * expected[1:, -1:] + (5e-324 if scale < 1e-305 else 0.0)
    assert (abs(found[1:, max(0, n - p) :] - expected[1:]) <= tolerance).all()


@pytest.mark.parametrize("n", [2, 3, 4, 7, 10, 30])
def test_degenerate_matrices(n):
    rng = np.random.default_rng(n)
    for name, values in degenerate(n, rng).items():
        for p in (n, n + 3):
            w = rotated(values, p, rng)
            found = levels.in_lanes(w)
            assert error(found, np.sort(values, axis=1)) < 15, (name, p)  # the matrices themselves are rounded
            if n <= 10:
                assert error(found[:2], exact(w[:2])) < CLOSE, (name, p)


def test_structured_matrices():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 4, 4))
    zero = np.zeros_like(x)
    cases = {
        "diagonal": np.eye(8) * rng.normal(size=(40, 8, 1)),
        "permutation": np.eye(8)[rng.permuted(np.tile(np.arange(8), (40, 1)), axis=1)],
        "blocks of unequal size": np.block([[1e-7 * x, zero], [zero, x]]),
        "the other way round": np.block([[x, zero], [zero, 1e-7 * x]]),
        "triangular": np.tril(rng.normal(size=(40, 8, 8))) + 2 * np.eye(8),
        "Jordan": np.repeat((np.eye(8) + np.eye(8, k=1))[None], 40, axis=0),
        "ones": np.ones((40, 8, 8)),
        "zero columns": rng.normal(size=(40, 8, 8)) * (np.arange(8) % 3 > 0),
        "zero rows": rng.normal(size=(40, 8, 8)) * (np.arange(8) % 3 > 0)[:, None],
        "huge and tiny rows": rng.normal(size=(40, 8, 8)) * 10.0 ** rng.uniform(-200, 200, (40, 8, 1)),
        "huge and tiny columns": rng.normal(size=(40, 8, 8)) * 10.0 ** rng.uniform(-200, 200, (40, 1, 8)),
        "whole numbers": rng.integers(-2, 3, (40, 8, 8)).astype(float),
    }
    for name, w in cases.items():
        assert error(ds.singular_values(w[:4]), exact(w[:4])) < CLOSE, name
        if name == "permutation":
            np.testing.assert_array_equal(ds.singular_values(w), np.ones((40, 8)))


def test_a_bidiagonal_matrix_keeps_small_values_to_their_digits():
    """Graded by a thousand from row to row: what LAPACK, too, would lose in a full matrix."""
    d = 10.0 ** -np.arange(0.0, 18.0, 3.0)
    w = np.diag(d) + np.diag(d[:-1] / 3, k=1)
    # det = product of all; the inverse has the reciprocals as singular values
    inverse = 1 / np.linalg.svd(np.linalg.inv(w), compute_uv=False)[0]
    np.testing.assert_allclose(ds.singular_values(w)[0], inverse, rtol=1e-13)
    np.testing.assert_allclose(np.prod(ds.singular_values(w)), np.prod(d), rtol=1e-13)


def mixture(p: int, n: int) -> np.ndarray:
    """Matrices that converge in very different numbers of sweeps, some of them hard, some zero, shuffled."""
    rng = np.random.default_rng(p + n)
    few = min(p, n)
    parts = [rng.normal(size=(60, p, n)), np.zeros((10, p, n)), np.ones((5, p, n)), 1e-200 * rng.normal(size=(5, p, n))]
    for values in degenerate(few, rng).values():
        tall = rotated(values, max(p, n), rng)
        parts.append(tall if p >= n else tall.swapaxes(1, 2))
    return rng.permutation(np.concatenate(parts))


@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (10, 10), (7, 12), (25, 25)])
def test_the_same_bits_in_any_company(shape):
    w = mixture(*shape)
    whole = ds.singular_values(w)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(w))
    np.testing.assert_array_equal(ds.singular_values(w[order]), whole[order])
    for size in (1, 3, 8, 13):
        some = rng.choice(len(w), size, replace=False)
        np.testing.assert_array_equal(ds.singular_values(w[some]), whole[some])
    np.testing.assert_array_equal(np.stack([ds.singular_values(one) for one in w[:40]]), whole[:40])
    spoilt = np.array(w)
    spoilt[::2] *= 1e300  # squares overflow in their lanes
    np.testing.assert_array_equal(ds.singular_values(spoilt)[1::2], whole[1::2])


def test_what_the_comparisons_catch():
    """A few roundings too much in one value, a lane off by the last bit: each is found."""
    w = np.random.default_rng(8).normal(size=(6, 10, 10))
    found, expected = ds.singular_values(w), exact(w)
    assert error(found, expected) < CLOSE
    found[4, 2] += 2 * CLOSE * EPS * expected[4, -1]
    assert error(found, expected) > CLOSE
    again = ds.singular_values(w)
    again[3] = np.nextafter(again[3], np.inf)
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(again, ds.singular_values(w))


@pytest.mark.parametrize("sweeps", [0, 1, 2, 3])
def test_lanes_that_do_not_converge_go_to_lapack(sweeps):
    """With fewer sweeps than most need the result is LAPACK's for those, and no worse for the others."""
    w = mixture(10, 10)
    found, usual = levels.in_lanes(w, sweeps), levels.in_lanes(w)
    by_lapack, by_lanes = (found == lapack(w)).all(axis=1), (found == usual).all(axis=1)
    assert (by_lapack | by_lanes).all()
    assert by_lapack.sum() > 50
    if sweeps == 0:
        assert by_lapack.all()


def test_no_lane_needs_lapack(monkeypatch):
    calls = []
    svd = np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda w, **options: (calls.append(len(w)), svd(w, **options))[1])
    for n in (2, 3, 5, 10, 30):
        levels.in_lanes(mixture(n, n + 1))
    assert sum(calls) == 0


def test_shape_alone_decides_for_lapack():
    side = int(levels.MOST_ENTRIES**0.5)
    for p in (side, side + 1):
        w = np.random.default_rng(p).normal(size=(3, p, p))
        assert error(ds.singular_values(w), lapack(w)) < 40
        np.testing.assert_array_equal(ds.singular_values(w[2:]), ds.singular_values(w)[2:])


def test_numbers_that_are_none():
    for n in (2, 3, 120):
        for none in (np.inf, np.nan):
            w = np.ones((12, n, n))
            w[5, 1, 1] = none
            with pytest.raises(ValueError, match=rf"weights\[5, 1, 1\] = {none}: every number must be finite"):
                ds.singular_values(w)
    # negative control: the largest floats are numbers
    np.testing.assert_allclose(ds.singular_values(1.7e308 * np.eye(2)), 1.7e308)


def test_shapes_types_and_strides():
    w = np.random.default_rng(3).normal(size=(4, 5, 6, 3))
    whole = ds.singular_values(w)
    assert whole.shape == (4, 5, 3)
    np.testing.assert_array_equal(ds.singular_values(w[1, 2]), whole[1, 2])
    np.testing.assert_array_equal(ds.singular_values(np.asfortranarray(w)), whole)
    wide = ds.singular_values(w.swapaxes(2, 3))
    assert (wide[..., :3] == 0).all()
    np.testing.assert_array_equal(wide[..., 3:], whole)
    single = w.astype(np.float32)
    np.testing.assert_array_equal(ds.singular_values(single), ds.singular_values(single.astype(float)))
    np.testing.assert_allclose(ds.singular_values([[3, 0, 0], [0, 1, 0], [0, 0, 2]]), [1, 2, 3])
    assert ds.singular_values(np.zeros((0, 3, 3))).shape == (0, 3)
    assert ds.singular_values(np.zeros((2, 0, 3))).shape == (2, 3)
    assert ds.singular_values(np.zeros((2, 3, 0))).shape == (2, 0)


def test_import_does_without_numba():
    program = "import sys, dysonsim; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_working_space_is_enough():
    """The kernel writes nowhere else: guards at both ends stay as they were."""
    from dysonsim.backend import many_levels as lanes_of_levels

    run = lanes_of_levels.compiled(singular.build)
    for p, n in ((1, 1), (2, 2), (3, 2), (9, 4), (12, 12)):
        size, count = singular.working_numbers(p, n), 5
        work, out, found = np.full(size + 32, 7.5), np.full(count * n + 32, 7.5), np.full(count + 32, 7.5)
        given = np.random.default_rng(p).normal(size=count * p * n)
        given.flags.writeable = False  # of the type that `in_lanes` compiles for
        inner = work[16:-16], out[16:-16], found[16:-16]
        run(given, inner[1], inner[2], count, p, n, n, 1, singular.SWEEPS, inner[0])
        assert (inner[2] == 1).all()
        for guarded in (work, out, found):
            assert (guarded[:16] == 7.5).all()
            assert (guarded[-16:] == 7.5).all()


def test_unaligned_matrices():
    w = np.random.default_rng(0).normal(size=(2, 3, 4))
    shifted = np.frombuffer(b"x" + w.tobytes(), np.float64, w.size, 1).reshape(w.shape)
    assert not shifted.flags.aligned
    np.testing.assert_array_equal(ds.singular_values(shifted), ds.singular_values(w))


def test_arrays_that_nobody_may_write_to_are_taken():
    """As those of a Run are; the kernel is compiled once, for one type."""
    w = np.random.default_rng(7).normal(size=(5, 4, 3))
    frozen = w.copy()
    frozen.flags.writeable = False
    expected = levels.singular_values(w)
    for given in (frozen, w, frozen):
        np.testing.assert_array_equal(levels.singular_values(given), expected)
    assert not frozen.flags.writeable
    assert w.flags.writeable
