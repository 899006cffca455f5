"""The joint density of the gas: its norm by brute force, its moments, its marginals, symmetry and bad input."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from dysonsim.laws import GaussianEnsembleDensity, TwoLevel, gas_log_density, gas_log_normalization

CASES = [
    ("hermite", 1.3, {}),
    ("laguerre", 0.6, {"m": 4.5}),
    ("laguerre", 0.6, {"m": 2.2}),
    ("jacobi", 1.0, {"a": -0.5, "b": 0.7}),
]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


def axis(ensemble, scale, power):
    """x(t) and log dx/dt for t in (0, 1): substitutions that take the powers of the weight out of the ends."""
    if ensemble == "hermite":
        return (lambda t: scale * 8.5 * (2 * t - 1)), (lambda t: np.log(scale * 17) + 0 * t)
    if ensemble == "laguerre":
        top = 130 * scale**2
        return (lambda t: top * t**power), (lambda t: np.log(top * power) + (power - 1) * np.log(t))
    # x = incomplete beta integral of 140 t^3 (1 - t)^3: both ends
    return (
        lambda t: t**4 * (35 - 84 * t + 70 * t**2 - 20 * t**3),
        lambda t: np.log(140.0) + 3 * np.log(t * np.maximum(1 - t, 1e-17)),
    )


def ordered_integral(log_density, n, transform):
    """n! times the integral over 0 < t_1 < ... < t_n < 1, where the density is singular only at the ends."""
    x, log_slope = transform
    s, ds = 0.5 * (1 + NODES), 0.5 * WEIGHTS
    t, weight = s[:, None], ds
    for _ in range(n - 1):
        # a fractional power at the collision is smoothed by t = start + (1 - start) u^2 (3 - 2 u)
        start = t[:, -1:]
        new = start + (1 - start) * (s * s * (3 - 2 * s))
        jacobian = (1 - start) * 6 * s * (1 - s) * ds
        t = np.concatenate([np.repeat(t, s.size, axis=0), new.reshape(-1, 1)], 1)
        weight = np.repeat(weight, s.size) * jacobian.ravel()
    return math.factorial(n) * weight @ np.exp(log_density(x(t)) + log_slope(t).sum(1))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0, 3.3, 4.0])
@pytest.mark.parametrize(("ensemble", "scale", "shape"), CASES, ids=[f"{c[0]}{c[2]}" for c in CASES])
def test_norm(ensemble, scale, shape, beta, n):
    """Brute force; a factor 2 or sqrt(pi) that is wrong, or beta that is off by 1e-4, would show."""
    power = 4
    if ensemble == "laguerre":
        exponent = 0.5 * beta * (shape["m"] - n + 1) - 1
        power = max(3, math.ceil(2 / (exponent + 1)))
    norm = ordered_integral(
        lambda x: gas_log_density(x, beta, ensemble, scale, **shape), n, axis(ensemble, scale, power)
    )
    assert norm == pytest.approx(1, abs=2e-5 if beta % 1 else 1e-7)


def test_hermite_agrees_with_the_laws_of_one_level():
    x, weight = np.polynomial.legendre.leggauss(200)
    x, weight = 14 * x, 14 * weight
    for at in (0.0, 0.8, -2.5):
        for beta, law in ((1, TwoLevel(0, 1)), (2, GaussianEnsembleDensity(2, 2)), (4, GaussianEnsembleDensity(2, 4))):
            total = 0.0
            for low, high in ((-14.0, at), (at, 14.0)):
                y = low + 0.5 * (high - low) * (1 + x / 14)
                pairs = np.stack([np.full_like(y, at), y], -1)
                total += 0.5 * (high - low) / 14 * weight @ np.exp(gas_log_density(pairs, beta))
            assert total == pytest.approx(law.pdf(at), rel=1e-12)


def test_normalization_in_known_cases():
    assert gas_log_normalization(1, 2.7) == pytest.approx(math.log(math.sqrt(2 * math.pi)), rel=1e-15)
    # two levels, beta = 2: E (x - y)^2 = 2
    assert gas_log_normalization(2, 2) == pytest.approx(math.log(2 * math.pi * 2), rel=1e-14)
    # chi^2 and beta laws for one level
    assert gas_log_normalization(1, 1, "laguerre", m=7) == pytest.approx(
        math.lgamma(3.5) + 3.5 * math.log(2), rel=1e-14
    )
    expected = math.lgamma(1.5) + math.lgamma(3.2) - math.lgamma(4.7)
    assert gas_log_normalization(1, 1, "jacobi", a=0.5, b=2.2) == pytest.approx(expected, rel=1e-14)
    # d log Z/d log scale = E sum x^2/scale^2 = n + beta n (n - 1)/2
    for ensemble, shape in (("hermite", {}), ("laguerre", {"m": 12.5})):
        step = 1e-3
        slope = gas_log_normalization(9, 1.7, ensemble, math.exp(step), **shape)
        slope = (slope - gas_log_normalization(9, 1.7, ensemble, math.exp(-step), **shape)) / (2 * step)
        # Laguerre: E sum x/scale^2 = beta m n, the number of real components of W
        moment = 9 + 1.7 * 36 if ensemble == "hermite" else 1.7 * 12.5 * 9
        assert slope == pytest.approx(moment, rel=1e-10)
    # large n: no overflow
    assert math.isfinite(gas_log_normalization(5000, 2, "jacobi", a=1, b=1))
    # n -> n + 1 at beta -> 0 adds an independent level
    three = gas_log_normalization(3, 1e-9, "jacobi", a=0.5, b=2.2)
    assert three == pytest.approx(3 * expected, rel=1e-7)


def test_shapes_symmetry_and_scaling():
    x = np.random.default_rng(1).standard_normal((4, 5, 6))
    value = gas_log_density(x, 1.5, scale=0.7)
    assert value.shape == (4, 5)
    assert type(gas_log_density(x[0, 0], 1.5)) is float
    assert gas_log_density(x[2, 3], 1.5, scale=0.7) == pytest.approx(value[2, 3], rel=1e-14)
    np.testing.assert_allclose(gas_log_density(x[..., ::-1], 1.5, scale=0.7), value, rtol=1e-13)
    np.testing.assert_allclose(gas_log_density(3 * x, 1.5, scale=2.1), value - 6 * math.log(3), rtol=1e-12)
    # straight from the definition
    pairs = sum(math.log(abs(p - q)) for p, q in itertools.combinations(x[0, 0], 2))
    direct = 1.5 * pairs - (x[0, 0] ** 2).sum() / 2 - gas_log_normalization(6, 1.5)
    assert gas_log_density(x[0, 0], 1.5) == pytest.approx(direct, rel=1e-13)
    # reflection x -> 1 - x exchanges a and b
    y = np.random.default_rng(2).random(5)
    first = gas_log_density(y, 2.5, "jacobi", a=0.3, b=1.9)
    assert gas_log_density(1 - y, 2.5, "jacobi", a=1.9, b=0.3) == pytest.approx(first, rel=1e-11)
    # W^T W from the other side: m and n of the weight enter through m - n only for n levels
    z = np.array([0.5, 1.7, 3.0])
    ratio = gas_log_density(z, 1, "laguerre", m=5) - gas_log_density(z, 1, "laguerre", m=3)
    constant = gas_log_normalization(3, 1, "laguerre", m=3) - gas_log_normalization(3, 1, "laguerre", m=5)
    assert ratio == pytest.approx(np.log(z).sum() + constant, rel=1e-12)


def test_outside_and_coincident():
    assert gas_log_density([1.0, 1.0, 2.0], 1) == -math.inf
    assert gas_log_density([-0.1, 1.0], 1, "laguerre", m=3) == -math.inf
    assert gas_log_density([0.5, 1.1], 1, "jacobi", a=0, b=0) == -math.inf
    assert gas_log_density([0.0, 0.0], 1, "laguerre", m=1.5) == -math.inf
    assert gas_log_density([math.inf, 1.0], 1) == -math.inf
    assert math.isnan(gas_log_density([math.nan, -1.0], 1, "laguerre", m=3))
    assert np.isnan(gas_log_density([[math.nan, 1.0], [0.0, 1.0]], 1)).tolist() == [True, False]


def test_statistics_of_samples():
    """Tridiagonal matrices: the mean log density is minus the entropy; negative controls in beta and width.

    n = 2, beta = 1: E log P from 200 000 matrices against quadrature; a wrong model has a smaller mean.
    """
    rng = np.random.default_rng(3)
    a, b, c = rng.standard_normal((3, 200_000))
    radius = np.sqrt((a - b) ** 2 / 4 + c**2 / 2)
    levels = np.stack([(a + b) / 2 - radius, (a + b) / 2 + radius], -1)
    value = gas_log_density(levels, 1)
    # the gap is sqrt(2 chi^2_2): E log gap = log 2 - gamma/2; E sum x^2 = 3
    expected = math.log(2) - 0.5 * np.euler_gamma - 1.5 - gas_log_normalization(2, 1)
    error = value.std() / math.sqrt(value.size)
    assert abs(value.mean() - expected) < 4.5 * error  # false alarm: 7e-6
    for beta, scale in ((1.05, 1.0), (0.95, 1.0), (1.0, 1.02), (1.0, 0.98)):
        difference = value - gas_log_density(levels, beta, scale=scale)
        assert difference.mean() > 4.5 * difference.std() / math.sqrt(value.size)


BAD = [
    (lambda: gas_log_density([0.0, 1.0], 0), ValueError, "beta = 0: must be a finite number > 0"),
    (lambda: gas_log_density([0.0, 1.0], math.nan), ValueError, "beta = nan"),
    (lambda: gas_log_density([0.0, 1.0], "1"), TypeError, "beta = '1'"),
    (
        lambda: gas_log_density([0.0, 1.0], 1, "gauss"),
        ValueError,
        "ensemble = 'gauss': must be one of hermite, laguerre",
    ),
    (lambda: gas_log_density([0.0, 1.0], 1, scale=0), ValueError, "scale = 0"),
    (lambda: gas_log_density([0.0, 1.0], 1, "laguerre"), ValueError, "m is missing"),
    (lambda: gas_log_density([0.0, 1.0], 1, "laguerre", m=1), ValueError, "m = 1: must be a finite number > 1"),
    (lambda: gas_log_density([0.0, 1.0], 1, "jacobi", a=0), ValueError, "b is missing"),
    (lambda: gas_log_density([0.0, 1.0], 1, "jacobi", a=-1, b=0), ValueError, "a = -1: must be a finite number > -1"),
    (lambda: gas_log_density([0.0, 1.0], 1, "jacobi", 2.0, a=0, b=0), ValueError, "scale = 2: must be 1"),
    (lambda: gas_log_density([0.0, 1.0], 1, m=3), ValueError, "m = 3: has no meaning for ensemble = 'hermite'"),
    (lambda: gas_log_density(1.0, 1), ValueError, r"x has shape \(\)"),
    (lambda: gas_log_density(np.empty((3, 0)), 1), ValueError, r"x has shape \(3, 0\)"),
    (lambda: gas_log_density([1j, 2.0], 1), TypeError, "x is list of dtype complex128"),
    (lambda: gas_log_normalization(0, 1), ValueError, "n = 0: must be an integer >= 1"),
    (lambda: gas_log_normalization(1.5, 1), ValueError, "n = 1.5"),
]


@pytest.mark.parametrize(("make", "kind", "message"), BAD, ids=[case[2] for case in BAD])
def test_bad_input(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
