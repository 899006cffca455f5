"""Laws of the infinite gas against Fredholm determinants in 40 digits, published values, asymptotics."""

from __future__ import annotations

import math
from functools import lru_cache

import mpmath as mp
import numpy as np
import pytest

from dysonsim.laws import BulkSpacing, TracyWidom, WignerSurmise
from dysonsim.laws._painleve import boundary_value, sharp_gauss_legendre
from dysonsim.laws.tracy_widom import ZETA_PRIME

RELATIVE = 1e-11  # ten times below what is promised; measured: 1e-13 to 2e-12


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(40):
        yield


@lru_cache(maxsize=4)
def gauss(order):
    """Gauss-Legendre on [0, 1], from the roots of the Legendre polynomial."""
    nodes, weights = [], []
    for guess in np.polynomial.legendre.leggauss(order)[0].tolist():
        t = mp.mpf(guess)
        for _ in range(3):
            before, value = mp.mpf(1), t
            for j in range(2, order + 1):
                before, value = value, ((2 * j - 1) * t * value - (j - 1) * before) / j
            slope = order * (before - t * value) / (1 - t * t)
            t -= value / slope
        nodes.append((1 + t) / 2)
        weights.append(1 / ((1 - t * t) * slope**2))
    return nodes, weights


def fredholm(kernel, length, order):
    """det(1 - K) and det(1 + K) on (0, length), Bornemann's method."""
    nodes, weights = gauss(order)
    x, root = [length * t for t in nodes], [mp.sqrt(length * w) for w in weights]
    k = mp.matrix(order, order)
    for i in range(order):
        for j in range(i + 1):
            k[i, j] = k[j, i] = root[i] * kernel(x[i], x[j]) * root[j]
    return mp.det(mp.eye(order) - k), mp.det(mp.eye(order) + k)


# ---- numerical tools -------------------------------------------------------------------------------------------------


def test_quadrature_has_sharp_ends():
    nodes, weights = sharp_gauss_legendre(48)
    exact = gauss(48)
    np.testing.assert_allclose(nodes, [float(t) for t in exact[0]], rtol=3e-16)
    np.testing.assert_allclose(weights, [float(w) for w in exact[1]], rtol=3e-16)


def test_boundary_value_problem_with_a_known_solution():
    """y = 1/(1 + x) solves y'' = 2 y^3 + x (y' + y^2): both partial derivatives are at work."""
    solution = boundary_value(
        lambda x, y, s: (2 * y**3 + x * (s + y * y), 6 * y * y + 2 * x * y, x),
        (0.0, 2.0), (1.0, 1 / 3), lambda x: 1 - x / 3, 60,
    )  # fmt: skip
    x = np.linspace(0, 2, 41)
    np.testing.assert_allclose(solution(x), 1 / (1 + x), rtol=1e-14)
    with pytest.raises(ArithmeticError, match="no convergence"):
        # Bratu's problem on too long an interval: it has no solution
        boundary_value(lambda x, y, s: (-np.exp(y), -np.exp(y), 0 * y), (0.0, 9.0), (0.0, 0.0), lambda x: 0 * x, 20)


# ---- Tracy-Widom -----------------------------------------------------------------------------------------------------

PUBLISHED = {  # Bornemann 2010: mean, variance, skewness, excess kurtosis; beta = 4 in the scaling of Tracy and Widom
    1: (-1.206533574582, 1.607781034581, 0.29346452408, 0.1652429384),
    2: (-1.771086807411, 0.8131947928329, 0.224084203610, 0.0934480876),
    4: (-2.306884893241, 0.5177237207726, 0.16550949435, 0.0491951565),
}


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_tracy_widom_moments(beta):
    law = TracyWidom(beta, scale=2 ** (1 / 6) if beta == 4 else 1.0)
    mean, variance, skewness, kurtosis = PUBLISHED[beta]
    assert law.mean() == pytest.approx(mean, abs=1e-12)
    assert law.var() == pytest.approx(variance, abs=1e-12)
    x, dx = np.linspace(-13, 12, 2001, retstep=True)  # the trapezium rule is exact to rounding here
    mass, z = dx * law.pdf(x), (x - law.mean()) / law.std()
    assert mass @ z**3 == pytest.approx(skewness, abs=2e-11)
    assert mass @ z**4 - 3 == pytest.approx(kurtosis, abs=2e-10)
    if beta == 4:
        assert TracyWidom(4).mean() == pytest.approx(-2.0552, abs=5e-5)
        assert TracyWidom(4, scale=2 ** (2 / 3)).mean() == pytest.approx(-3.262427902855, abs=1e-12)


@pytest.mark.parametrize(
    ("t", "length", "order"), [(-7.5, 16.5, 36), (-3.0, 13.0, 30), (1.5, 10.0, 26), (7.0, 7.0, 22)]
)
def test_tracy_widom_against_determinants(t, length, order):
    """The kernel Ai(x + y + t) in 40 digits; densities from central differences."""
    h = mp.mpf(10) ** -15
    both = [fredholm(lambda x, y, s=t + k * h: mp.airyai(x + y + s), length, order) for k in (-1, 1)]
    functions = {
        1: [minus for minus, plus in both],
        2: [minus * plus for minus, plus in both],
        4: [(minus + plus) / 2 for minus, plus in both],
    }
    for beta, (before, after) in functions.items():
        stretch = 2 ** (2 / 3) if beta == 4 else 1.0
        law = TracyWidom(beta, scale=stretch)  # in t
        cdf, pdf = (before + after) / 2, (after - before) / (2 * h)
        assert law.cdf(t) == pytest.approx(float(cdf), rel=RELATIVE, abs=0)
        assert law.sf(t) == pytest.approx(float(1 - cdf), rel=RELATIVE, abs=0)
        assert law.pdf(t) == pytest.approx(float(pdf), rel=RELATIVE, abs=0)
        assert law.logpdf(t) == pytest.approx(float(mp.log(pdf)), abs=RELATIVE)


def test_tracy_widom_is_not_the_airy_kernel_in_disguise():
    """F_2 from the kernel (Ai(x) Ai'(y) - Ai'(x) Ai(y))/(x - y): another operator, the same determinant."""
    s = mp.mpf("-2.7")

    def kernel(x, y):
        x, y = x + s, y + s
        a, b = mp.airyai(x), mp.airyai(x, derivative=1)
        if x == y:
            return b * b - x * a * a
        return (a * mp.airyai(y, derivative=1) - b * mp.airyai(y)) / (x - y)

    with mp.workdps(25):
        reference, _ = fredholm(kernel, 14, 26)
    assert TracyWidom(2).cdf(-2.7) == pytest.approx(float(reference), rel=1e-11)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_tracy_widom_far_tails(beta):
    """Right: Dumaz and Virag (2013), relative correction O(s^(-3/2)). Left: Baik, Buckingham, DiFranco (2008)."""
    law = TracyWidom(beta)
    for s in (20.0, 60.0, 300.0):
        leading = math.lgamma(beta / 2) - beta / 2 * math.log(4 * beta) - math.log(2 * math.pi)
        leading += -0.75 * beta * math.log(s) - 2 / 3 * beta * s**1.5
        hazard = beta * math.sqrt(s)  # pdf/sf
        assert law.logpdf(s) == pytest.approx(leading + math.log(hazard), abs=6 / s**1.5)
        if s < 30:
            assert math.log(law.sf(s)) == pytest.approx(leading, abs=6 / s**1.5)
    stretch = 2 ** (2 / 3) if beta == 4 else 1.0
    for y in (10.0, 14.0, 20.0):
        big = -(y**3) / 12 - math.log(y) / 8 + math.log(2) / 24 + ZETA_PRIME + 3 / (64 * y**3)
        mu = math.sqrt(2) / 3 * y**1.5 + math.log(2) / 2
        log_cdf = {1: (big - mu) / 2, 2: big, 4: (big + mu) / 2 - math.log(2)}[beta]
        if log_cdf > -700:
            assert math.log(law.cdf(-y / stretch)) == pytest.approx(log_cdf, abs=0.05 / y**1.5)
    assert float(mp.zeta(-1, derivative=1)) == pytest.approx(ZETA_PRIME, rel=1e-15)
    assert -math.inf < law.logpdf(-1e6) < -1e16
    assert -math.inf < law.logpdf(1e6) < -1e8


# ---- bulk spacing ----------------------------------------------------------------------------------------------------


def even_and_odd(s, order):
    """D+ and D-: the sine kernel on (0, s/2), folded."""

    def folded(sign):
        return lambda x, y: mp.sincpi(x - y) + sign * mp.sincpi(x + y)

    return tuple(fredholm(folded(sign), s / 2, order)[0] for sign in (1, -1))


@pytest.mark.parametrize(("s", "order"), [(0.01, 10), (0.6, 14), (1.5, 20), (4.0, 26), (7.5, 34)])
def test_bulk_spacing_against_determinants(s, order):
    h = mp.mpf(10) ** -8
    with mp.workdps(50):
        points = [(mp.mpf(s) + k * h, *even_and_odd(mp.mpf(s) + k * h, order)) for k in (-1, 0, 1)]
        functions = {
            1: [even for _, even, odd in points],
            2: [even * odd for _, even, odd in points],
            4: [(even + odd) / 2 for _, even, odd in points],
        }
        for beta, (before, at, after) in functions.items():
            stretch = 2.0 if beta == 4 else 1.0  # E_4(s/2) is the function at hand
            law = BulkSpacing(beta)
            sf, pdf = -(after - before) / (2 * h) * stretch, (after - 2 * at + before) / h**2 * stretch**2
            assert law.pdf(s / stretch) == pytest.approx(float(pdf), rel=RELATIVE, abs=0)
            assert law.sf(s / stretch) == pytest.approx(float(sf), rel=RELATIVE, abs=0)
            assert law.cdf(s / stretch) == pytest.approx(float(1 - sf), rel=RELATIVE, abs=0)


def test_bulk_spacing_moments():
    """Variances as published (Mehta, appendix 13: .2855, .1800, .1041), and not those of the surmise."""
    for beta, variance in ((1, 0.28553), (2, 0.17999), (4, 0.10410)):
        law = BulkSpacing(beta)
        assert round(law.var(), 5) == variance
        assert law._standard.mean == pytest.approx(1, abs=1e-12)
        assert abs(law.var() / WignerSurmise(beta).var() - 1) > 0.003
    # the integral of s^2 P is twice that of E, here from determinants in floats
    x, weights = np.polynomial.legendre.leggauss(40)
    root = np.sqrt(weights / 2)
    kernels = [s * root[:, None] * np.sinc(s * (x[:, None] - x) / 2) * root for s in 4 * (1 + x)]
    empty = 4 * weights @ [np.linalg.det(np.eye(40) - kernel) for kernel in kernels]
    assert BulkSpacing(2).var() == pytest.approx(2 * empty - 1, rel=1e-11)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_bulk_spacing_at_both_ends(beta):
    """Mehta: pi^2 s/6, pi^2 s^2/3, 16 pi^4 s^4/135 at 0; log E as Dyson has it at infinity."""
    law = BulkSpacing(beta)
    leading = {1: math.pi**2 / 6, 2: math.pi**2 / 3, 4: 16 * math.pi**4 / 135}[beta]
    for s in (1e-3, 1e-20):
        assert law.pdf(s) == pytest.approx(leading * s**beta, rel=20 * s * s + 1e-12, abs=0)
        assert law.cdf(s) == pytest.approx(leading * s ** (beta + 1) / (beta + 1), rel=20 * s * s + 1e-12, abs=0)
    for s in (9.0, 20.0, 1000.0):
        t = math.pi * s * (1 if beta == 4 else 0.5)
        log_empty = -(t**2) / 2 * (1 if beta == 2 else 0.5) - 0.25 * math.log(t) * (1 if beta == 2 else 0.5)
        log_empty += (math.log(2) / 12 + 3 * ZETA_PRIME) * (1 if beta == 2 else 0.5)
        log_empty += {1: math.log(2) / 4 - t / 2, 2: 0.0, 4: -math.log(2) / 4 - math.log(2) + t / 2}[beta]
        slope = {1: math.pi / 2 * (t / 2 + 0.5), 2: math.pi / 2 * t, 4: math.pi * (t / 2 - 0.5)}[beta]
        assert law.logpdf(s) == pytest.approx(log_empty + 2 * math.log(slope), abs=3 / t)
