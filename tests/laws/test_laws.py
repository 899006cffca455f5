"""Laws as laws: norms and moments, limits into each other, samples against distribution functions, the interface."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from scipy import integrate, stats

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

LAWS: list[Law] = [
    WignerSurmise(1, 0.37),
    WignerSurmise(2, 1.0),
    WignerSurmise(4, 2.5),
    TwoLevel(0.3, 0.061),
    TwoSpecies(0.1, 0.06, 0.117),
    SymmetricTwoByTwo(0.2, 1.0, 2.0, 0.7),
    SymmetricTwoByTwo(0.0, 1.0, 0.3, 2.0),
    Normal(1.0, 2.0),
    Semicircle(0.3, 1.7),
    MarchenkoPastur(0.3, 2.0),
    MarchenkoPastur(1.0, 0.5),
    MarchenkoPastur(3.0, 0.5),
    MarchenkoPasturSingular(0.3, 2.0),
    MarchenkoPasturSingular(1.0, 0.5),
    MarchenkoPasturSingular(3.0, 0.5),
]
by_name = pytest.mark.parametrize("law", LAWS, ids=str)


def atom(law: Law) -> float:
    return getattr(law, "atom", 0.0)


# ---- norm and moments ------------------------------------------------------------------------------------------------


@by_name
def test_norm_and_moments_equal_integrals_of_the_density(law):
    # x(t) maps (0, pi) onto the bulk of the law and takes the square roots out of the edges; 1e-14 is cut off
    low, high = max(law.support()[0], law.ppf(1e-16)), min(law.support()[1], law.isf(1e-16))
    if atom(law):
        low = law.ppf(law.atom * (1 + 1e-12))

    def moment(power):
        def integrand(t):
            x = low + (high - low) * math.sin(0.5 * t) ** 2
            return (x - law.mean()) ** power * law.pdf(x) * 0.5 * (high - low) * math.sin(t)

        value = integrate.quad(integrand, 0, math.pi, epsabs=1e-11 * law.std() ** power, epsrel=1e-11, limit=400)[0]
        return value + atom(law) * (-law.mean()) ** power

    assert moment(0) == pytest.approx(1, abs=1e-9)
    assert moment(1) == pytest.approx(0, abs=1e-9 * law.std())
    assert moment(2) == pytest.approx(law.var(), rel=1e-9)
    assert law.std() == pytest.approx(math.sqrt(law.var()), rel=1e-15)
    assert law.cdf(law.median()) >= 0.5 - 1e-12 >= law.cdf(law.median() - 1e-9 * law.std()) - 1e-8


def test_surmise_constants():
    """P(s) = (pi/2) s exp(-pi s^2/4) and so on; variances .2732, .1781, .1045."""
    s = np.linspace(0.01, 5, 50)
    expected = {
        1: (np.pi / 2) * s * np.exp(-np.pi * s**2 / 4),
        2: (32 / np.pi**2) * s**2 * np.exp(-4 * s**2 / np.pi),
        4: 2**18 / (3**6 * np.pi**3) * s**4 * np.exp(-64 * s**2 / (9 * np.pi)),
    }
    for beta, variance in ((1, 0.2732), (2, 0.1781), (4, 0.1045)):
        np.testing.assert_allclose(WignerSurmise(beta).pdf(s), expected[beta], rtol=1e-12)
        assert round(WignerSurmise(beta).var(), 4) == variance
        # s^(beta + 1) at the origin, to relative accuracy
        tiny = WignerSurmise(beta).cdf(1e-20) / 1e-20 ** (beta + 1)
        assert tiny == pytest.approx(WignerSurmise(beta).pdf(1e-20) / 1e-20**beta / (beta + 1), rel=1e-12)


def test_second_moments_of_the_gaussian_ensemble():
    """E sum x^2 = sigma^2 [N + beta N(N-1)/2]: 3 sigma^2 for two levels, beta = 1."""
    assert 2 * TwoLevel(0, 0.7).var() == pytest.approx(3 * 0.7**2, rel=1e-14)
    # the trace of M^2 is the sum of the squared entries
    law = SymmetricTwoByTwo(0, 1, 2, 0.5)
    assert 2 * law.var() == pytest.approx(1 + 4 + 2 * 0.25, rel=1e-14)
    # the semicircle: radius^2/4 is the large-N limit of sigma^2 (1 + beta (N - 1)/2)
    for beta in (1, 2, 4):
        gas = Semicircle.for_gas(10**6, beta=beta, width=0.3)
        assert gas.radius == pytest.approx(0.3 * math.sqrt(2 * beta * 10**6), rel=1e-15)
        assert gas.var() == pytest.approx(0.09 * (1 + beta * (10**6 - 1) / 2), rel=3e-6)


# ---- limits ----------------------------------------------------------------------------------------------------------


def assert_same_law(first, second, x, rtol):
    for name in ("pdf", "cdf", "sf"):
        np.testing.assert_allclose(getattr(first, name)(x), getattr(second, name)(x), rtol=rtol)
    assert first.var() == pytest.approx(second.var(), rel=rtol)


def test_limits_of_the_two_level_laws():
    x = 0.4 + np.linspace(-9, 9, 181)
    assert_same_law(TwoSpecies(0.4, 0.8, 0.8), TwoLevel(0.4, 0.8), x, 1e-12)
    assert_same_law(TwoSpecies(0.4, 0.8, 1.3), TwoSpecies(0.4, 1.3, 0.8), x, 1e-15)
    assert_same_law(SymmetricTwoByTwo(0.4, 0.8, 1.3, 1.0), SymmetricTwoByTwo(0.4, 1.3, 0.8, 1.0), x, 1e-12)
    # off-diagonal variance v with diagonal 2v means sigma^2 = 2v
    v = 0.32
    assert_same_law(
        SymmetricTwoByTwo(0.4, (2 * v) ** 0.5, (2 * v) ** 0.5, v**0.5), TwoLevel(0.4, (2 * v) ** 0.5), x, 1e-12
    )
    # std12 -> 0: the diagonal entries themselves
    almost = SymmetricTwoByTwo(0.4, 0.8, 1.3, 1e-6)
    mixture = 0.5 * (Normal(0.4, 0.8).pdf(x) + Normal(0.4, 1.3).pdf(x))
    np.testing.assert_allclose(almost.pdf(x), mixture, rtol=1e-9)
    # std11 = std22 -> 0: eigenvalues +-c
    assert_same_law(SymmetricTwoByTwo(0.0, 1e-7, 1e-7, 1.0), Normal(0.0, 1.0), np.linspace(0.1, 6, 20), 1e-9)
    components = [TwoSpecies(0.4, 0.8, 1.3).pdf_species(x, k) for k in (1, 2)]
    np.testing.assert_allclose(np.mean(components, axis=0), TwoSpecies(0.4, 0.8, 1.3).pdf(x), rtol=1e-13)
    assert integrate.quad(lambda y: TwoSpecies(0.4, 0.8, 1.3).pdf_species(y, 1), -12, 12)[0] == pytest.approx(
        1, rel=1e-9
    )
    with pytest.raises(ValueError, match="species = 3"):
        TwoSpecies(0.4, 0.8, 1.3).pdf_species(x, 3)


def test_limits_of_the_marchenko_pastur_laws():
    s = np.linspace(1e-3, 1.99, 50)
    quarter = 2 * Semicircle(0, 2 * math.sqrt(0.7)).pdf(s * math.sqrt(0.7))
    np.testing.assert_allclose(MarchenkoPasturSingular(1, 0.7).pdf(s * math.sqrt(0.7)), quarter, rtol=1e-12)
    # ratio -> 0: (x - variance)/(variance sqrt(ratio)) follows the semicircle of radius 2
    r, u = 1e-10, np.linspace(-1.9, 1.9, 21)
    narrow = MarchenkoPastur(r, 3.0).cdf(3.0 + 3.0 * math.sqrt(r) * u)
    np.testing.assert_allclose(narrow, Semicircle(0, 2).cdf(u), atol=1e-5)
    for ratio in (0.25, 3.0):
        eigen, singular = MarchenkoPastur(ratio, 0.7), MarchenkoPasturSingular(ratio, 0.7)
        x = np.linspace(*eigen.support(), 41)[1:-1]
        np.testing.assert_allclose(eigen.cdf(x), singular.cdf(np.sqrt(x)), rtol=1e-12)
        np.testing.assert_allclose(eigen.pdf(x), singular.pdf(np.sqrt(x)) / (2 * np.sqrt(x)), rtol=1e-12)
    # the non-zero eigenvalues do not know which of W^T W and W W^T they belong to
    wide, tall = MarchenkoPastur(4, 0.7), MarchenkoPastur(0.25, 2.8)
    x = np.linspace(*tall.support(), 41)
    np.testing.assert_allclose(wide.sf(x), 0.25 * tall.sf(x), rtol=1e-12)
    assert wide.atom == 0.75
    assert tall.atom == 0.0


def test_atom_at_zero():
    law = MarchenkoPastur(4, 0.7)
    assert law.support()[0] == 0.0
    assert (law.cdf(-1e-300), law.cdf(0.0), law.cdf(0.1), law.sf(0.0)) == (0.0, 0.75, 0.75, 0.25)
    assert law.pdf(0.0) == 0.0
    assert list(law.ppf([0.1, 0.75])) == [0.0, 0.0]
    assert list(law.isf([0.9, 0.25])) == [0.0, 0.0]
    assert law.ppf(0.7501) > 0.69
    sample = law.rvs(40000, random_state=2)
    # binomial, 5 standard deviations: one false alarm in 1.7 million
    assert abs(np.mean(sample == 0) - 0.75) < 5 * math.sqrt(0.75 * 0.25 / 40000)
    assert law.loglikelihood([0.0, 0.0, 1.0]) == pytest.approx(2 * math.log(0.75) + law.logpdf(1.0), rel=1e-14)
    assert MarchenkoPastur(1, 1).pdf(0.0) == math.inf


# ---- the gas and the matrix ------------------------------------------------------------------------------------------


def gas_pairs(law, size, seed):
    """Both levels of the two-species gas: |gap| is Rayleigh, and the center is normal given the gap."""
    rng = np.random.default_rng(seed)
    h = math.hypot(law.scale1, law.scale2)
    gap = h * rng.rayleigh(size=size) * rng.choice([-1, 1], size)
    first = law.scale1**2 / h**2 * gap + law.scale1 * law.scale2 / h * rng.standard_normal(size)
    return np.stack([first, first - gap])


def matrix_pairs(law, size, seed):
    rng = np.random.default_rng(seed)
    a, b, c = (std * rng.standard_normal(size) for std in (law.std11, law.std22, law.std12))
    return np.linalg.eigvalsh(np.stack([np.stack([a, c], -1), np.stack([c, b], -1)], -1)).T


def test_gas_and_matrix_share_the_spacing_law_but_not_the_density():
    """Two wells of widths .6 and 1.7 against entries of the same variances and 4 std12^2 = std11^2 + std22^2."""
    gas, matrix = TwoSpecies(0, 0.6, 1.7), SymmetricTwoByTwo(0, 0.6, 1.7, 0.5 * math.hypot(0.6, 1.7))
    spacing = gas.spacing()
    assert matrix.mean_spacing() == pytest.approx(spacing.scale, rel=1e-14)
    gaps_gas = np.abs(np.diff(gas_pairs(gas, 100_000, 1), axis=0)).ravel()
    gaps_matrix = np.diff(matrix_pairs(matrix, 100_000, 2), axis=0).ravel()
    # false alarms: 1e-4 each
    assert stats.kstest(gaps_gas, spacing.cdf).pvalue > 1e-4
    assert stats.kstest(gaps_matrix, spacing.cdf).pvalue > 1e-4
    # same spacings, other densities: by far more than the error of either, and each sample knows its own law
    x = np.linspace(-4, 4, 81)
    assert np.max(np.abs(gas.cdf(x) - matrix.cdf(x))) > 0.02
    level_gas, level_matrix = gas_pairs(gas, 100_000, 3)[0:1], matrix_pairs(matrix, 100_000, 4)
    either = np.random.default_rng(5).integers(0, 2, 100_000)
    sample = level_matrix[either, np.arange(100_000)]
    assert stats.kstest(sample, matrix.cdf).pvalue > 1e-4
    assert stats.kstest(sample, gas.cdf).pvalue < 1e-10
    first = integrate.cumulative_simpson(
        gas.pdf_species(np.linspace(-5, 5, 2001), 1), x=np.linspace(-5, 5, 2001), initial=0
    )
    assert stats.kstest(level_gas[0], lambda y: np.interp(y, np.linspace(-5, 5, 2001), first)).pvalue > 1e-4


def test_spacing_of_two_levels_is_the_surmise():
    law = TwoLevel(0, 0.7)
    assert law.spacing() == WignerSurmise(1, math.sqrt(math.pi) * 0.7)
    goe = SymmetricTwoByTwo(0, 0.7, 0.7, 0.7 / math.sqrt(2))
    assert goe.mean_spacing() == pytest.approx(math.sqrt(math.pi) * 0.7, rel=1e-14)
    gaps = np.diff(matrix_pairs(goe, 100_000, 6), axis=0).ravel()
    assert stats.kstest(gaps, law.spacing().cdf).pvalue > 1e-4  # false alarm: 1e-4
    assert stats.kstest(gaps, WignerSurmise(2, law.spacing().scale).cdf).pvalue < 1e-10  # negative control
    unequal = SymmetricTwoByTwo(0, 1, 0.3, 2)
    gaps = np.diff(matrix_pairs(unequal, 100_000, 7), axis=0).ravel()
    assert abs(gaps.mean() - unequal.mean_spacing()) < 4.5 * gaps.std() / math.sqrt(gaps.size)  # false alarm: 7e-6


# ---- samples ---------------------------------------------------------------------------------------------------------


def scaled_cdf(law, factor):
    """The distribution function of `factor` times the distance from the center (or from zero)."""
    center = getattr(law, "loc", 0.0)
    return lambda x: law.cdf(center + (x - center) / factor)


@by_name
def test_samples_follow_the_distribution_function(law):
    sample = law.rvs(400_000, random_state=20)
    mean_error = law.std() / math.sqrt(sample.size)
    assert abs(sample.mean() - law.mean()) < 4.5 * mean_error  # false alarm: 7e-6
    sample = np.sort(sample[sample != 0] if atom(law) else sample)

    def pvalue(cdf):
        probability = (cdf(sample) - atom(law)) / (1 - atom(law))
        rank = np.arange(sample.size + 1) / sample.size
        distance = max(np.max(rank[1:] - probability), np.max(probability - rank[:-1]))
        return stats.kstwobign.sf(distance * math.sqrt(sample.size))

    assert pvalue(law.cdf) > 1e-4  # false alarm: 1e-4 for each law
    assert pvalue(scaled_cdf(law, 1.02)) < 1e-6  # negative control: a scale that is off by 2%


def test_marchenko_pastur_describes_random_matrices():
    """One 600 x 200 and one 200 x 600 matrix; edges to O(m^(-2/3)), means to O(1/m)."""
    rng = np.random.default_rng(8)
    for m, n in ((600, 200), (200, 600)):
        w = rng.normal(0, 1.5, (m, n))
        x = np.linalg.eigvalsh(w.T @ w / m)
        law = MarchenkoPastur(n / m, 2.25)
        assert np.mean(x < 1e-9) == pytest.approx(law.atom, abs=1e-12)
        assert x.max() == pytest.approx(law.support()[1], rel=0.03)
        assert x.mean() == pytest.approx(law.mean(), rel=0.02)
        grid = np.linspace(0.1, 0.9 * law.support()[1], 30)
        gap = np.abs(np.searchsorted(x, grid) / n - law.cdf(grid)).max()
        assert gap < 0.02  # four levels
        # negative control: rows and columns confused
        assert np.abs(np.searchsorted(x, grid) / n - MarchenkoPastur(m / n, 2.25).cdf(grid)).max() > 0.1


def test_semicircle_describes_a_large_gas():
    """Diagonal variance sigma^2, off-diagonal beta sigma^2/2: beta = 1, N = 600."""
    rng = np.random.default_rng(9)
    sigma, n = 0.3, 600
    w = rng.normal(0, sigma / math.sqrt(2), (n, n))
    x = np.linalg.eigvalsh((w + w.T) / math.sqrt(2))
    law = Semicircle.for_gas(n, beta=1, width=sigma)
    rank = (np.arange(n) + 0.5) / n
    assert np.abs(rank - law.cdf(x)).max() < 0.01
    assert np.abs(rank - law.replace(radius=1.05 * law.radius).cdf(x)).max() > 0.01  # negative control


# ---- interface -------------------------------------------------------------------------------------------------------


@by_name
def test_scalars_arrays_and_special_values(law):
    for name in ("pdf", "logpdf", "cdf", "sf", "ppf", "isf"):
        function = getattr(law, name)
        value = function(0.5)
        assert type(value) is float
        grid = np.full((2, 3), 0.5, dtype=np.float32)
        assert function(grid).shape == (2, 3)
        assert function(grid).dtype == np.float64
        assert function([[0.5], [0.5]])[1, 0] == pytest.approx(value, rel=1e-14)
        assert function([]).shape == (0,)
        assert math.isnan(function(math.nan))
        assert np.isnan(function([0.5, math.nan])).tolist() == [False, True]
    assert (law.cdf(-math.inf), law.cdf(math.inf)) == (0.0, 1.0)
    assert (law.sf(-math.inf), law.sf(math.inf)) == (1.0, 0.0)
    assert (law.pdf(-math.inf), law.pdf(math.inf), law.pdf(1e300)) == (0.0, 0.0, 0.0)
    assert law.logpdf([-math.inf, math.inf]).tolist() == [-math.inf, -math.inf]
    assert np.isnan(law.ppf([-0.1, 1.1])).all()
    assert np.isnan(law.isf([-0.1, 1.1])).all()
    assert stats.kstest(law.rvs(200, random_state=1), law.cdf).pvalue > 1e-4 or atom(law)


@by_name
def test_parameters_and_sampling_interface(law):
    assert tuple(law) == tuple(law.parameters.values())
    assert type(law)(**law.parameters) == law
    assert hash(type(law)(*law)) == hash(law)
    assert pickle.loads(pickle.dumps(law)) == law
    assert set(law.shape) <= set(law.parameters)
    name = law.shape[-1]
    assert law.replace(**{name: 0.25}).parameters[name] == 0.25
    assert type(law.rvs()) is float
    assert law.rvs((2, 3), random_state=1).shape == (2, 3)
    np.testing.assert_array_equal(law.rvs(7, random_state=3), law.rvs(7, random_state=np.random.default_rng(3)))
    assert not np.array_equal(law.rvs(7, random_state=3), law.rvs(7, random_state=4))
    x = law.rvs(50, random_state=5)
    x = x[x > 0] if atom(law) else x
    assert law.loglikelihood(x) == pytest.approx(np.sum(law.logpdf(x)), rel=1e-13)


def test_laws_stand_alone():
    """Agreement with a simulation is evidence only if the laws share no code with it."""
    import subprocess
    import sys

    script = (
        "import sys, types; p = types.ModuleType('dysonsim'); p.__path__ = [sys.argv[1]]; sys.modules['dysonsim'] = p\n"
        "import dysonsim.laws as laws; laws.TwoLevel(0, 1).loc\n"
        "others = [m for m in sys.modules if m.startswith('dysonsim.') and not m.startswith('dysonsim.laws')]\n"
        "others.remove('dysonsim._checks')  # checks of arguments, no physics\n"
        "slow = ('scipy.special', 'scipy.optimize', 'scipy.stats', 'numba', 'matplotlib')\n"
        "late = [m for m in slow if m in sys.modules]\n"
        "sys.exit(f'{others} {late}' if others or late else 0)"
    )
    import dysonsim.laws

    package = str(dysonsim.laws.__path__[0]).rsplit("laws", 1)[0].rstrip("/\\")
    done = subprocess.run([sys.executable, "-c", script, package], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
