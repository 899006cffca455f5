"""Tridiagonal samplers: entries and eigenvalues to rounding, moments exact for any beta, laws at beta = 1, 2, 4.

Statistical tests have fixed seeds; a deviation of 4.7 standard errors in any of the 240 moments would come by chance
once in 1600 seeds. The factor errors found in other packages are the negative controls.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from gas_moments import moments
from scipy import stats

from dysonsim import laws
from dysonsim.backend import STILL_WELL, Kernel, driver
from dysonsim.backend import reference as plain
from dysonsim.backend.kernel import split_seed
from dysonsim.backend.reference import ReferenceDriver
from dysonsim.kernels.common import gamma, order, rng
from dysonsim.kernels.gas import tridiagonal

BETAS = (0.5, 1.0, 2.0, 4.0, 10.0)
SIGMAS = 4.7


def kernel(ensemble, degrees, n, scale=1.0, center=0.0):
    constants = np.concatenate([[scale, center], degrees])
    size = tridiagonal.scratch(n)
    return Kernel(tridiagonal.build, {"ensemble": ensemble}, constants, np.array([n]), n, scratch=size)


def degrees_of(ensemble, n, beta):
    if ensemble == "hermite":
        return tridiagonal.hermite_degrees(n, beta), ()
    if ensemble == "laguerre":
        return tridiagonal.laguerre_degrees(n, n + 0.7, beta), (0.85 * beta - 1,)
    return tridiagonal.jacobi_degrees(n, 0.3, -0.4, beta), (0.3, -0.4)


def draw(made, replicas, seed=1, dtype="float64", target=None, first=0):
    ensemble = (target or driver("cpu")).prepare(made, dtype).open(np.zeros((replicas, made.state)), first, seed)
    ensemble.advance(3, 1)
    assert (ensemble.left() == STILL_WELL).all()
    return ensemble.state()


class Chi:
    """The chi-squared numbers of step 3 of a few replicas, as the kernels draw them."""

    def __init__(self, replicas, seed):
        lanes = plain.lanes("float64", replicas)
        self.lanes, self.draw, self.keys = lanes, gamma.build(lanes).chi_squared, split_seed(seed)
        self.words, self.normals = rng.build(lanes).words, rng.build(lanes).box_muller

    def __call__(self, degrees, i):
        with np.errstate(over="ignore"):
            return self.draw(degrees, i, rng.PAIRS, 3, self.lanes.index(), *self.keys)

    def normal(self, i):
        with np.errstate(over="ignore"):
            words = self.words(np.uint32(i // 4), np.uint32(rng.LEVELS), np.uint32(3), self.lanes.index(), *self.keys)
            return self.normals(*words[2 * (i % 4 // 2) :][:2])[i % 2]


def matrices(ensemble, n, beta, replicas, seed):
    """The dense matrices whose eigenvalues the kernel is to find."""
    chi = Chi(replicas, seed)
    degrees, _ = degrees_of(ensemble, n, beta)
    out = np.zeros((replicas, n, n))
    if ensemble == "hermite":
        for i in range(n):
            out[:, i, i] = chi.normal(i)
        for i in range(n - 1):
            out[:, i, i + 1] = out[:, i + 1, i] = np.sqrt(chi(degrees[i], i) / 2)
        return out
    if ensemble == "laguerre":
        for i in range(n):
            out[:, i, i] = np.sqrt(chi(degrees[i], i))
        for i in range(n - 1):
            out[:, i + 1, i] = np.sqrt(chi(degrees[n + i], n + i))
        return out @ out.swapaxes(1, 2)
    draws = np.array([chi(degrees[i], i) for i in range(4 * n - 2)]).reshape(2 * n - 1, 2, replicas)
    cosines, sines = np.sqrt(draws / draws.sum(axis=1, keepdims=True)).swapaxes(0, 1)
    for k in range(n):
        out[:, k, k] = cosines[k] * (sines[n + k - 1] if k > 0 else 1)
        if k < n - 1:
            out[:, k, k + 1] = sines[k] * cosines[n + k]
    return out.swapaxes(1, 2) @ out


@pytest.mark.parametrize("ensemble", ["hermite", "laguerre", "jacobi"])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 33, 100])
def test_eigenvalues_of_the_dense_matrices(ensemble, n):
    made = kernel(ensemble, degrees_of(ensemble, n, 1.3)[0], n)
    dense = np.linalg.eigvalsh(matrices(ensemble, n, 1.3, 5, 7))
    levels = draw(made, 5, seed=7)
    # Normals and lengths are drawn in single precision: 1e-6 is what two compilers make of the same numbers.
    np.testing.assert_allclose(levels, dense, rtol=0, atol=2e-6 * np.abs(dense).max())
    if n < 33:
        by_hand = draw(made, 5, seed=7, target=ReferenceDriver(width=5))
        np.testing.assert_allclose(by_hand, dense, rtol=0, atol=1e-13 * np.abs(dense).max())
    if ensemble == "hermite":
        single = draw(made, 5, seed=7, dtype="float32")
        np.testing.assert_allclose(single, levels, rtol=0, atol=3e-5 * np.abs(dense).max())


def build_levels(lanes):
    """A step that makes of n diagonal numbers and n squares beside them the eigenvalues, for matrices of our choice."""
    load, store, part = lanes.load, lanes.store, lanes.part
    eigenvalues, sort, infinite = tridiagonal.build_eigenvalues(lanes), order.build(lanes), lanes.number(np.inf)

    @lanes.jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        n = integers[0]
        d, e = part(scratch, 0, n + 1), part(scratch, n + 1, n)
        for i in range(n):
            store(d, i, load(state, i))
            store(e, i, load(state, n + i))
        eigenvalues(d, e, n)
        sort(d, n)
        for i in range(n):
            store(state, i, load(d, i))
        return load(d, n - 1) < infinite

    return step


def hard(n: int, rng: np.random.Generator, count: int = 200) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Diagonals (count, n) and squares beside them (count, n - 1): levels there twice, matrices that nearly split."""
    d, e = rng.normal(size=(count, n)), rng.exponential(size=(count, n - 1))
    size = max(2, n // 3)  # of a block that is there several times
    copies = d[:, np.arange(n) % size], e[:, np.arange(n - 1) % size % (n - 1)]
    joints = np.arange(1, n) % size == 0
    faint, rounding = 10.0 ** rng.uniform(-40, 0, e.shape), 10.0 ** rng.uniform(-20, -10, e.shape)
    fall = np.linspace(0, 12, n)
    return {
        "copies": (copies[0], np.where(joints, 0, copies[1])),
        "copies, hardly joined": (copies[0], np.where(joints, faint, copies[1])),
        "nearly copies": (copies[0] * (1 + 1e-7 * d), np.where(joints, rounding, copies[1])),
        "hardly joined": (d, faint),
        "constant diagonal": (np.ones_like(d), faint),
        "zero diagonal": (0 * d, np.where(rng.integers(2, size=e.shape) > 0, faint, e)),
        "few values": (rng.choice([0.3, 1.0], d.shape), rng.choice([0, 1e-19, 1e-17, 1e-14, 1.0], e.shape)),
        "whole numbers": (rng.integers(-1, 2, d.shape) * 1.0, rng.integers(2, size=e.shape) * 1.0),
        "graded": (d * 10.0**-fall, e * 10.0 ** -(2 * fall[1:])),
        "graded the other way": (d * 10.0 ** (fall - 12), e * 10.0 ** (2 * fall[:-1] - 24)),
        "zero": (0 * d, 0 * e),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", [driver("cpu"), ReferenceDriver(width=200)], ids=lambda target: target.name)
def test_eigenvalues_of_hard_matrices(target, dtype):
    """To 50 roundings of the largest, in any unit: with fused multiply-adds (cpu), and without (numpy)."""
    for n in (2, 3, 4, 8, 12):
        made = Kernel(build_levels, {}, np.zeros(1), np.array([n]), 2 * n, scratch=2 * n + 1)
        program = target.prepare(made, dtype)
        for name, (d, e) in hard(n, np.random.default_rng(n)).items():
            for unit in (1.0, 1e-3, 1e6):
                diagonal, squares = (d * unit).astype(dtype), (e * unit * unit).astype(dtype)
                ensemble = program.open(np.hstack([diagonal, squares, diagonal[:, :1]]), 0, 1)
                ensemble.advance(0, 1)
                beside = np.sqrt(squares.astype(float))[:, :, None] * np.eye(n)[1:]
                dense = np.zeros((len(d), n, n))
                dense[:, :-1] = beside
                dense = dense + dense.swapaxes(1, 2) + diagonal.astype(float)[:, :, None] * np.eye(n)
                levels = np.linalg.eigvalsh(dense)
                worst = abs(ensemble.state()[:, :n] - levels).max(axis=1) / (abs(levels).max(axis=1) + 1e-300)
                assert worst.max() < 50 * np.finfo(dtype).eps, (n, name, unit)


def test_a_draw_does_not_depend_on_its_neighbors():
    for ensemble in ("hermite", "laguerre", "jacobi"):
        made = kernel(ensemble, degrees_of(ensemble, 12, 0.6)[0], 12)
        whole = draw(made, 40)
        np.testing.assert_array_equal(draw(made, 9, first=13), whole[13:22])


def deviations(levels, exact):
    """Errors of E sum x^2, E sum x^4 and E (sum x)^2 in standard errors."""
    values = [(levels**2).sum(1), (levels**4).sum(1), levels.sum(1) ** 2]
    wanted = exact[(2,)], exact[(4,)], exact[(1, 1)]
    return [(v.mean() - w) / (v.std() / math.sqrt(len(v))) for v, w in zip(values, wanted, strict=True)]


@pytest.mark.parametrize("ensemble", ["hermite", "laguerre", "jacobi"])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 50])
def test_moments(ensemble, n):
    for beta in BETAS:
        degrees, exponents = degrees_of(ensemble, n, beta)
        levels = draw(kernel(ensemble, degrees, n), 20_000 if n < 50 else 3_000, seed=int(10 * beta) + n)
        assert (np.diff(levels, axis=1) >= 0).all()
        found = deviations(levels, moments(n, beta, ensemble, *exponents))
        assert np.abs(found).max() < SIGMAS, (beta, found)


@pytest.mark.parametrize(
    ("ensemble", "wrong"),
    [
        ("hermite", lambda d: d * 1.05),  # beta off by 5%
        ("hermite", lambda d: d * 2),  # the factor sqrt(2) lost
        ("hermite", lambda d: d + 1),
        ("laguerre", lambda d: np.concatenate([d[:10] * 1.05, d[10:]])),
        ("laguerre", lambda d: np.concatenate([d[:10], d[10:] * 1.05])),
        ("jacobi", lambda d: np.concatenate([d[:20], d[20:] * 1.6])),
        ("jacobi", lambda d: d + np.tile([0.3, 0.0], 19)),
    ],
)
def test_wrong_factors_are_caught(ensemble, wrong):
    degrees, exponents = degrees_of(ensemble, 10, 1.0)
    levels = draw(kernel(ensemble, wrong(degrees), 10), 20_000)
    assert np.abs(deviations(levels, moments(10, 1.0, ensemble, *exponents))).max() > 2 * SIGMAS


def test_a_width_off_by_two_percent_is_caught():
    levels = draw(kernel("hermite", tridiagonal.hermite_degrees(10, 1.0), 10, scale=1.02), 20_000)
    assert np.abs(deviations(levels, moments(10, 1.0, "hermite"))).max() > 2 * SIGMAS


@pytest.mark.parametrize("beta", [1, 2, 4])
@pytest.mark.parametrize("n", [2, 3, 10, 50])
def test_one_point_density_of_gaussian_matrices(beta, n):
    """One level of each matrix, picked at random: independent draws of the finite-n law. 12 p-values above 1e-4."""
    levels = draw(kernel("hermite", tridiagonal.hermite_degrees(n, beta), n, scale=0.7, center=-2.0), 6_000, seed=beta)
    picked = levels[np.arange(len(levels)), np.random.default_rng(n).integers(n, size=len(levels))]
    law = laws.GaussianEnsembleDensity(n, beta=beta, loc=-2.0, scale=0.7)
    assert stats.kstest(picked, law.cdf).pvalue > 1e-4


def test_the_lowest_level_keeps_its_digits():
    """n = 1: exactly chi-squared, and at n = 2 the law of the lowest level has a power -0.975 down to 1e-200."""
    levels = draw(kernel("laguerre", tridiagonal.laguerre_degrees(2, 1.1, 0.5), 2), 20_000)
    low = levels[:, 0]
    assert (low > 0).all()
    # P(lowest < t) = C t^0.025 (1 + small): the slope of the logarithm of the distribution, far below rounding
    share = [np.mean(low < t) for t in (1e-60, 1e-30)]
    slope = math.log(share[1] / share[0]) / math.log(1e30)
    error = math.sqrt((1 / share[0] - 1 / share[1]) / len(low)) / math.log(1e30)
    assert abs(slope - 0.025) < SIGMAS * error
