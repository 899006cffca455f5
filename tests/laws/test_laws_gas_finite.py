"""Laws of finite gases against mpmath and brute force: one-point densities, ratios of spacings."""

from __future__ import annotations

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
from test_laws_gas import panels

from dysonsim.laws import GaussianEnsembleDensity, SpacingRatio, TwoLevel, UnfoldedSpacingRatio

RELATIVE = 1e-11  # ten times below what is promised; measured: 1e-13 to 2e-12


# ---- finite-n densities ----------------------------------------------------------------------------------------------


def test_two_levels_are_the_two_level_law():
    x = np.linspace(-30, 30, 121)
    first, second = GaussianEnsembleDensity(2, 1, 0.3, 0.8), TwoLevel(0.3, 0.8)
    np.testing.assert_allclose(first.pdf(x), second.pdf(x), rtol=3e-13)
    np.testing.assert_allclose(first.cdf(x), second.cdf(x), rtol=RELATIVE)
    assert first.var() == pytest.approx(second.var(), rel=1e-14)
    np.testing.assert_allclose(GaussianEnsembleDensity(1, 4, 0.3, 0.8).logpdf(x), mp_normal(x, 0.3, 0.8), rtol=1e-13)


def mp_normal(x, loc, scale):
    return -(((x - loc) / scale) ** 2) / 2 - math.log(scale * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_three_levels_by_integration_of_the_joint_density(beta):
    nodes, weights = np.polynomial.legendre.leggauss(60)

    def pieces(*breaks):
        for a, b in itertools.pairwise(breaks):
            yield 0.5 * (a + b) + 0.5 * (b - a) * nodes, 0.5 * (b - a) * weights

    def unnormalized(x):
        total = 0.0
        for ys, wy in pieces(-13, x, 13):
            for y, w in zip(ys, wy, strict=True):
                for z, wz in pieces(-13, *sorted((x, y)), 13):
                    joint = np.abs((x - y) * (x - z) * (y - z)) ** beta * np.exp(-(x * x + y * y + z * z) / 2)
                    total += w * wz @ joint
        return total

    norm = (2 * math.pi) ** 1.5
    norm *= math.prod(math.gamma(1 + j * beta / 2) / math.gamma(1 + beta / 2) for j in (1, 2, 3))
    for x in (0.0, 0.7, 2.9, 6.0):
        assert GaussianEnsembleDensity(3, beta).pdf(x) == pytest.approx(unnormalized(x) / norm, rel=1e-11)


@pytest.mark.parametrize("n", [4, 9])
def test_finite_densities_as_mehta_writes_them(n):
    """Sums of Hermite functions in 40 digits, the integrals of phi by quadrature."""

    def phi(order, y):
        before, now = mp.mpf(0), mp.exp(-y * y / 2) / mp.pi ** mp.mpf("0.25")
        values = [now]
        for k in range(1, order + 1):
            before, now = now, mp.sqrt(mp.mpf(2) / k) * y * now - mp.sqrt(mp.mpf(k - 1) / k) * before
            values.append(now)
        return values

    def half_sign_integral(order, y):
        def upper(at):
            step = mp.mpf(1)
            grid = [at + k * step for k in range(0, 31, 2)]
            return mp.quad(lambda t: phi(order, t)[-1], grid, maxdegree=4)

        # int sgn(y - t) phi(t) dt / 2 = int_{-inf}^{inf}/2 - int_y^inf
        return (upper(mp.mpf(0)) if order % 2 == 0 else 0) - upper(y)

    for u in (1.3, math.sqrt(4 * n), math.sqrt(4 * n) + 12):
        with mp.workdps(30):
            y = mp.mpf(u)
            values = phi(n, y)
            rho = mp.fsum(v * v for v in values[:n])
            rho += mp.sqrt(mp.mpf(n) / 2) * values[n - 1] * half_sign_integral(n, y)
            if n % 2:
                rho += values[n - 1] / (2 * mp.quad(lambda t: phi(n - 1, t)[-1], list(range(0, 31, 2)), maxdegree=4))
            assert GaussianEnsembleDensity(n, 1).pdf(u) == pytest.approx(float(rho / n), rel=RELATIVE, abs=0)
            y = mp.mpf(u) / mp.sqrt(2)
            values = phi(2 * n + 1, y)
            rho = mp.fsum(v * v for v in values[:n]) / n / mp.sqrt(2)
            assert GaussianEnsembleDensity(n, 2).pdf(u) == pytest.approx(float(rho), rel=RELATIVE, abs=0)
            rho = mp.fsum(v * v for v in values[: 2 * n + 1])
            rho += mp.sqrt(mp.mpf(2 * n + 1) / 2) * values[2 * n] * half_sign_integral(2 * n + 1, y)
            assert GaussianEnsembleDensity(n, 4).pdf(u) == pytest.approx(
                float(rho / (2 * n) / mp.sqrt(2)), rel=RELATIVE, abs=0
            )


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_finite_densities_of_hundreds_of_levels(beta):
    """E sum x^2 = sigma^2 [n + beta n(n-1)/2], norm, and finite logarithms far outside."""
    for n in (200, 401):
        law = GaussianEnsembleDensity(n, beta)
        nodes, weights = np.polynomial.legendre.leggauss(20)
        edges = np.linspace(0, math.sqrt(2 * beta * n) + 6, n)
        half = 0.5 * np.diff(edges)[:, None]
        x, w = (edges[:-1, None] + half * (1 + nodes)).ravel(), 2 * (half * weights).ravel()
        assert w @ law.pdf(x) == pytest.approx(1, rel=1e-12)
        assert n * (w @ (x * x * law.pdf(x))) == pytest.approx(n + beta * n * (n - 1) / 2, rel=1e-12)
        # far outside the other n - 1 levels sit at 0: rho = x^{beta(n-1)} exp(-x^2/2) Z_{n-1}/Z_n
        ratio = math.lgamma(1 + beta / 2) - math.lgamma(1 + n * beta / 2) - math.log(2 * math.pi) / 2
        for far in (1e6, 1e30):
            leading = beta * (n - 1) * math.log(far) - far**2 / 2 + ratio
            assert law.logpdf(far) == pytest.approx(leading, rel=1e-14)
        assert law.logpdf(1e200) == -math.inf


# ---- spacing ratios --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.3, 1, 2, 4, 17.5])
def test_spacing_ratio_from_its_definition(beta):
    """The integral over three levels in a quadratic well reduces to the formula; moments of Atas et al., table I."""
    b, law = mp.mpf(beta), SpacingRatio(beta)

    def shape(r):
        return (r + r * r) ** b / (1 + r + r * r) ** (1 + 3 * b / 2)

    def integral(function, low, high):
        # r = t^4 takes the power of beta out of the end
        top = function(mp.mpf(high))  # mpmath judges convergence by an absolute error
        ends = [mp.mpf(low) ** 0.25, mp.mpf(high) ** 0.25]
        return top * mp.quad(lambda t: function(t**4) / top * 4 * t**3, ends)

    with mp.workdps(25):
        norm = integral(shape, 0, 0.3) + integral(shape, 0.3, 1)
        mean = (integral(lambda r: r * shape(r), 0, 0.3) + integral(lambda r: r * shape(r), 0.3, 1)) / norm
        assert law.mean() == pytest.approx(float(mean), rel=1e-12)
        for r in (1e-3, 0.3, 0.95):
            assert law.pdf(r) == pytest.approx(float(shape(mp.mpf(r)) / norm), rel=1e-12)
            assert law.cdf(r) == pytest.approx(float(integral(shape, 0, r) / norm), rel=RELATIVE, abs=0)
            assert law.sf(r) == pytest.approx(float(integral(shape, r, 1) / norm), rel=RELATIVE, abs=0)


def test_spacing_ratio_means_in_closed_form():
    root = math.sqrt(3)
    exact = {1: 4 - 2 * root, 2: 2 * root / math.pi - 0.5, 4: 32 * root / (15 * math.pi) - 0.5}
    for beta, mean in exact.items():
        assert SpacingRatio(beta).mean() == pytest.approx(mean, rel=1e-13)


@pytest.mark.parametrize("beta", [0, 0.3, 1, 2, 4, 30])
def test_spacing_ratio_norm_moments_and_inverses(beta):
    folded, unfolded = SpacingRatio(beta), UnfoldedSpacingRatio(beta)
    t, weight = panels(0.0, 1.0)
    r, weight = t**5, 5 * weight * t**4
    mass = weight * folded.pdf(r)
    assert mass.sum() == pytest.approx(1, rel=1e-11)
    assert mass @ r == pytest.approx(folded.mean(), rel=1e-11)
    assert mass @ (r - folded.mean()) ** 2 == pytest.approx(folded.var(), rel=1e-10)
    if beta >= 1:
        # r and 1/r have the same law
        assert mass @ (r + 1 / r) / 2 == pytest.approx(unfolded.mean(), rel=1e-10)
    if beta > 1:
        second = mass @ (r**2 + r**-2.0) / 2
        assert second - unfolded.mean() ** 2 == pytest.approx(unfolded.var(), rel=1e-8)
    else:
        assert unfolded.var() == unfolded.std() == math.inf
    assert math.isfinite(unfolded.mean()) == (beta > 0)
    assert unfolded.folded() == folded
    x = np.array([1e-50, 1e-9, 0.01, 0.3, 0.9])
    np.testing.assert_allclose(2 * unfolded.pdf(x), folded.pdf(x), rtol=1e-13)
    np.testing.assert_allclose(unfolded.pdf(1 / x) / x**2, unfolded.pdf(x), rtol=1e-12)
    np.testing.assert_allclose(2 * unfolded.cdf(x), folded.cdf(x), rtol=1e-12)
    np.testing.assert_allclose(unfolded.sf(1 / x), unfolded.cdf(x), rtol=1e-12)
    close = np.append(x, 1 - 1e-9)
    np.testing.assert_allclose(folded.cdf(close) + folded.sf(close), 1, rtol=1e-14)
    assert (1 - folded.cdf(close[-1])) / 1e-9 == pytest.approx(folded.pdf(1.0), rel=1e-6)
    for q in (1e-300, 1e-100, 1e-12, 0.01, 0.3, 0.5, 0.7):
        assert folded.cdf(folded.ppf(q)) == pytest.approx(q, rel=1e-12, abs=0)
        assert unfolded.cdf(unfolded.ppf(q)) == pytest.approx(q, rel=1e-12, abs=0)
        assert unfolded.sf(unfolded.isf(q)) == pytest.approx(q, rel=1e-12, abs=0)
    assert folded.sf(folded.isf(0.01)) == pytest.approx(0.01, rel=1e-12)
    assert unfolded.median() == pytest.approx(1, rel=1e-12)
