"""Every law against mpmath (40 digits): pdf, logpdf, cdf and sf, from the center to far beyond any data.

The references are written from the definitions (densities as in the docstrings; distribution functions as
integrals of the density, or a closed form at high precision) and share no formula for the tails with the package.
"""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from dysonsim.laws import (
    Law,
    MarchenkoPastur,
    MarchenkoPasturSingular,
    Normal,
    Semicircle,
    SymmetricTwoByTwo,
    TwoLevel,
    TwoSpecies,
    WignerSurmise,
)

RELATIVE = 1e-11  # ten times below what is promised; measured: 3e-13
SIGMAS = np.array([-38.0, -20.0, -6.0, -2.5, -0.4, -1e-6, 0.0, 1e-3, 0.7, 1.3, 5.9, 6.1, 12.5, 30.0, 40.0, 1000.0])


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(40):
        yield


def gauss(u):
    return mp.exp(-u * u / 2)


def erf_term(u):
    """2 exp(-u^2/2) + sqrt(2 pi) u erf(u/sqrt 2)."""
    return 2 * gauss(u) + mp.sqrt(2 * mp.pi) * u * mp.erf(u / mp.sqrt(2))


# Each reference gives (pdf, sf, cdf) at one x as mpmath numbers.


def surmise(law, x):
    s, scale = mp.mpf(x) / law.scale, mp.mpf(law.scale)
    norm, rate = {
        1: (mp.pi / 2, mp.pi / 4),
        2: (32 / mp.pi**2, 4 / mp.pi),
        4: (mp.mpf(2) ** 18 / (3**6 * mp.pi**3), 64 / (9 * mp.pi)),
    }[law.beta]
    a, t = mp.mpf(law.beta + 1) / 2, rate * s * s
    pdf = norm * s**law.beta * mp.exp(-t) / scale
    return pdf, mp.gammainc(a, t, mp.inf, regularized=True), mp.gammainc(a, 0, t, regularized=True)


def normal(law, x):
    u = (mp.mpf(x) - law.loc) / law.scale
    upper = mp.erfc(u / mp.sqrt(2)) / 2
    return gauss(u) / mp.sqrt(2 * mp.pi) / law.scale, upper, mp.erfc(-u / mp.sqrt(2)) / 2


def upper_by_integration(pdf, u, width):
    """int_u^inf pdf to 20 digits. Scaled by pdf(u): mpmath judges convergence by an absolute error."""
    step, top = width / (1 + u / width), pdf(u)
    with mp.workdps(30):
        return top * mp.quad(lambda v: pdf(v) / top, [u + k * step for k in (0, 3, 8, 20, 50)])


def symmetric(pdf, law, x, width):
    u = mp.mpf(x) - law.loc
    upper = upper_by_integration(pdf, abs(u), width)
    return pdf(u), (upper if u >= 0 else 1 - upper), (upper if u <= 0 else 1 - upper)


def two_level(law, x):
    def pdf(u):
        u = u / law.scale
        return gauss(u) * erf_term(u) / (4 * mp.sqrt(mp.pi) * law.scale)

    return symmetric(pdf, law, x, mp.mpf(law.scale))


def two_species(law, x):
    s1, s2 = mp.mpf(law.scale1), mp.mpf(law.scale2)
    norm = 2 * mp.sqrt(2 * mp.pi) * s1 * s2 * mp.sqrt(s1**2 + s2**2)

    def pdf(u):
        return (s2**2 * gauss(u / s1) * erf_term(u / s2) + s1**2 * gauss(u / s2) * erf_term(u / s1)) / norm / 2

    return symmetric(pdf, law, x, max(s1, s2))


def semicircle(law, x):
    u = (mp.mpf(x) - law.loc) / law.radius
    pdf = 2 * mp.sqrt((1 - u) * (1 + u)) / (mp.pi * law.radius)
    upper, lower = ((mp.acos(v) - v * mp.sqrt((1 - v) * (1 + v))) / mp.pi for v in (u, -u))
    return pdf, upper, lower


def marchenko_pastur(law, x):
    r, v = mp.mpf(law.ratio), mp.mpf(law.variance)
    a, b = v * (1 - mp.sqrt(r)) ** 2, v * (1 + mp.sqrt(r)) ** 2
    weight, q = min(1, 1 / r), mp.sqrt(min(r, 1 / r))
    singular = isinstance(law, MarchenkoPasturSingular)
    y = mp.mpf(x) ** 2 if singular else mp.mpf(x)
    pdf = mp.sqrt((b - y) * (y - a)) / (2 * mp.pi * v * r * y) * (2 * mp.mpf(x) if singular else 1)
    theta = 2 * mp.atan2(mp.sqrt(y - a), mp.sqrt(b - y))

    def weight_of_angle(t):
        # rho(x) dx after x = a + (b - a) sin^2(t/2), divided by the weight of the continuous part
        return 2 / mp.pi * mp.sin(t) ** 2 / ((1 - q) ** 2 + 4 * q * mp.sin(t / 2) ** 2)

    def integral(low, high):
        points = sorted({low, high, *(p for p in (1 - q, 10 * (1 - q)) if low < p < high)})
        with mp.workdps(25):
            return mp.quad(weight_of_angle, points)

    return pdf, weight * integral(theta, mp.pi), 1 - weight + weight * integral(mp.mpf(0), theta)


def two_by_two(law, x):
    """M = R(t) diag(x, x - y) R(t)^T, y integrated in closed form, the trapezoidal rule in the period of t.

    The package averages over another angle, with other nodes; only the joint density is common ground.
    """
    a, b, c = (mp.mpf(std) ** 2 for std in (law.std11, law.std22, law.std12))
    u = abs(mp.mpf(x) - law.loc)
    total = 1 / a + 1 / b

    def terms(t):
        s2, c2 = mp.sin(t) ** 2, mp.cos(t) ** 2
        p, q = s2**2 / a + c2**2 / b + s2 * c2 / c, s2 / a + c2 / b
        slope, rate = q / mp.sqrt(p), total - q**2 / p
        wave = mp.sqrt(2 * mp.pi) * slope * mp.exp(-rate * u * u / 2) * mp.erf(slope * u / mp.sqrt(2))
        narrow = mp.sqrt(mp.pi / (2 * total)) * mp.erfc(u * mp.sqrt(total / 2))
        return mp.matrix([(2 * gauss(u * mp.sqrt(total)) + u * wave) / p, (2 * total * narrow + wave) / (p * rate)])

    n = 64
    value = sum((terms(mp.pi * k / (2 * n)) for k in range(1, n)), (terms(mp.mpf(0)) + terms(mp.pi / 2)) / 2) / n
    while True:
        finer = (value + sum((terms(mp.pi * (2 * k + 1) / (4 * n)) for k in range(n)), mp.matrix([0, 0])) / n) / 2
        n, settled, value = 2 * n, all(abs(finer[i] - value[i]) < 1e-14 * finer[i] for i in (0, 1)), finer
        if settled:
            break
    ratio = mp.sqrt((a + b) / (4 * c))
    norm = mp.pi / 2 / (a * b * (mp.pi / (2 * ratio)) * 4 * total * mp.sqrt(mp.pi / (2 * total)))
    pdf, upper = norm * value[0], norm * value[1]
    above = mp.mpf(x) >= law.loc
    return pdf, (upper if above else 1 - upper), (1 - upper if above else upper)


def edges(low: float, high: float) -> np.ndarray:
    """Points that close in on both ends of an interval."""
    near = np.array([1e-13, 1e-10, 1e-6, 1e-3, 0.05, 0.3, 0.5]) * (high - low)
    return np.concatenate([low + near, high - near[:-1]])


def spectrum(law: Law) -> np.ndarray:
    low, high = math.sqrt(law.variance) * abs(1 - math.sqrt(law.ratio)), math.sqrt(law.variance * law.ratio)
    high += math.sqrt(law.variance)
    return edges(low, high) if isinstance(law, MarchenkoPasturSingular) else edges(low**2, high**2)


CASES: list = [
    *((law, surmise, law.scale * np.array([1e-40, 1e-9, 0.01, 0.4, 1.0, 1.7, 3.0, 6.0, 12.0, 25.0, 40.0]))
      for law in (WignerSurmise(1), WignerSurmise(2, 0.37), WignerSurmise(4, 12.5))),
    *((law, normal, law.loc + law.scale * SIGMAS) for law in (Normal(0, 1), Normal(4.38, 0.061))),
    *((law, two_level, law.loc + law.scale * SIGMAS[1::3]) for law in (TwoLevel(0, 1), TwoLevel(4.38, 0.061))),
    *((law, two_species, law.loc + np.concatenate([law.scale1 * SIGMAS[[3, 8]], law.scale2 * SIGMAS[2::3]]))
      for law in (TwoSpecies(0.3, 0.06, 0.117), TwoSpecies(0, 0.01, 1), TwoSpecies(0, 5, 0.5))),
    *((law, semicircle, edges(*law.support())) for law in (Semicircle(0, 1), Semicircle(0.3, 1.7))),
    *((cls(ratio, 0.7), marchenko_pastur, spectrum(cls(ratio, 0.7)))
      for cls in (MarchenkoPastur, MarchenkoPasturSingular) for ratio in (1e-4, 0.3, 0.99, 3.0)),
    *((law, marchenko_pastur, spectrum(law)[1:]) for law in (MarchenkoPastur(1, 2), MarchenkoPasturSingular(1, 2))),
    *((law, two_by_two, law.loc + law.std() * SIGMAS[[0, 2, 4, 6, 8, 10, 11, 12, 14]])
      for law in (SymmetricTwoByTwo(0, 1, 1, math.sqrt(0.5)), SymmetricTwoByTwo(0.1, 1, 2, 1),
                  SymmetricTwoByTwo(0, 1, 3, 0.6), SymmetricTwoByTwo(0, 1, 0.2, 2))),
]  # fmt: skip


@pytest.mark.parametrize(("law", "reference", "points"), CASES, ids=[str(case[0]) for case in CASES])
def test_against_mpmath(law, reference, points):
    inside = [x for x in points if law.support()[0] < x < law.support()[1]]
    assert len(inside) >= len(points) - 2
    for x in map(float, inside):
        pdf, sf, cdf = reference(law, x)
        # the natural parameter of rounding is the exponent: 1e-16 of it is lost when it is exponentiated
        for name, want in (("pdf", pdf), ("sf", sf), ("cdf", cdf)):
            if want > 1e-300:
                got = getattr(law, name)(x)
                assert abs(got - want) <= RELATIVE * want, f"{law}.{name}({x!r}) = {got!r}, not {mp.nstr(want, 20)}"
        log = mp.log(pdf)
        assert abs(law.logpdf(x) - log) <= RELATIVE * max(1, abs(log)), f"{law}.logpdf({x!r})"


def test_the_comparison_above_can_fail():
    """Negative control: a width off by 1e-9, or a tail computed as 1 - cdf, does not pass."""
    pdf, sf, _ = two_level(TwoLevel(0, 1), 8.0)
    wrong = TwoLevel(0, 1 + 1e-9)
    assert abs(wrong.pdf(8.0) - pdf) > 100 * RELATIVE * pdf
    assert abs(1 - TwoLevel(0, 1).cdf(8.0) - sf) > 100 * RELATIVE * sf


@pytest.mark.parametrize(
    "law",
    [TwoLevel(0.3, 2), TwoSpecies(0.3, 1, 0.01), SymmetricTwoByTwo(0.3, 1, 2, 0.5), SymmetricTwoByTwo(0, 1, 0.1, 3)],
    ids=str,
)
def test_logpdf_does_not_underflow(law):
    """Very far out log pdf is -u^2/2V^2 + O(log u), with V the larger of the two widths (or set by std12)."""
    widest = {
        "TwoLevel": lambda: law.scale,
        "TwoSpecies": lambda: max(law.scale1, law.scale2),
        "SymmetricTwoByTwo": lambda: max(
            math.sqrt(np.linalg.eigvalsh(_entries(law, angle))[-1]) for angle in np.linspace(0, np.pi / 2, 2001)
        ),
    }[type(law).__name__]()
    for sigmas in (100.0, 1e4, 1e8, 1e12):
        u = sigmas * law.std()
        leading = -0.5 * (u / widest) ** 2
        # 1e-6: the grid of directions in which the widest one was sought
        assert abs(law.logpdf(law.loc + u) - leading) < 5 + 2 * math.log(sigmas) + 1e-6 * abs(leading)
        assert law.pdf(law.loc + u) == 0.0
        assert law.sf(law.loc + u) == 0.0
        assert law.cdf(law.loc + u) == 1.0


def _entries(law, angle):
    """Variance of the quadratic form n^T M n at n = (cos, sin), as a 1 x 1 matrix."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[law.std11**2 * c**4 + law.std22**2 * s**4 + 4 * law.std12**2 * c**2 * s**2]])


@pytest.mark.parametrize("widths", [(1, 2, 0.7), (1, 1, 1e-3), (0.05, 1, 3), (1, 1e-3, 0.5), (1e-5, 1, 1e-5)])
def test_table_for_many_points_equals_direct_sums(widths):
    law = SymmetricTwoByTwo(0.2, *widths)
    x = 0.2 + law.std() * np.concatenate([np.linspace(-7, 7, 2001), np.geomspace(1e-7, 6, 500)])
    for name in ("pdf", "logpdf", "cdf", "sf"):
        many = getattr(law, name)(x)
        few = np.concatenate([getattr(law, name)(part) for part in np.array_split(x, 5)])
        np.testing.assert_allclose(many, few, rtol=2e-12, atol=2e-12 if name == "logpdf" else 0)


INVERTIBLE = [case[0] for case in CASES]


@pytest.mark.parametrize("law", INVERTIBLE, ids=str)
def test_quantiles_invert_the_distribution_function(law):
    atom = getattr(law, "atom", 0.0)
    q = np.concatenate([np.geomspace(1e-12, 0.4, 13), np.linspace(0.45, 0.55, 5), 1 - np.geomspace(0.4, 1e-12, 13)])
    low, high = law.support()
    x = law.ppf(atom + (1 - atom) * q)
    inner = x[(x > low) & (x < high)]
    assert np.all(np.diff(inner) > 0)
    small = law.cdf(inner) < 0.5
    back = np.where(small, law.ppf(law.cdf(inner)), law.isf(law.sf(inner)))
    # where the density vanishes at an edge, or in a far tail, x is only as good as the probability: eps/pdf
    slack = 1e-10 * law.std() + 4e-16 * np.minimum(law.cdf(inner), law.sf(inner)) / law.pdf(inner)
    assert np.all(np.abs(back - inner) <= slack)
    assert (law.ppf(0), law.ppf(1)) == (low, high)
    assert (law.isf(0), law.isf(1)) == (high, low)
    tail = np.array([1e-300, 1e-100, 1e-30])
    if math.isinf(high):
        np.testing.assert_allclose(law.sf(law.isf(tail)), tail, rtol=1e-11)
    if math.isinf(low):
        np.testing.assert_allclose(law.cdf(law.ppf(tail)), tail, rtol=1e-11)
