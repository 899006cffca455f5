"""Distances and their null distributions against scipy, published values, slow loops and simulated fits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from dysonsim.comparison import null as statistics
from dysonsim.laws import MarchenkoPastur, MarchenkoPasturSingular, Normal
from dysonsim.spectra.observables import histogram, moments
from dysonsim.spectra.one_spectrum import one_spectrum


def test_one_sample_statistics_follow_their_definitions():
    x = np.random.default_rng(1).normal(0.1, 1.1, (40, 2))
    distance, weighted = statistics.one_sample(x, Normal(0.0, 1.0))
    expected = stats.kstest(x.ravel(), stats.norm.cdf)
    assert distance == pytest.approx(expected.statistic, rel=1e-12)
    assert weighted == pytest.approx(_anderson_darling_integral(x.ravel()), rel=1e-12)


def _anderson_darling_integral(x: np.ndarray) -> float:
    """n int (F_n - F)^2 / (F (1 - F)) dF, exactly, piece by piece between the data in u = F(x)."""
    u = np.concatenate([[0.0], np.sort(stats.norm.cdf(x)), [1.0]])
    n = x.size
    total = 0.0
    for i in range(n + 1):
        a, b, c = u[i], u[i + 1], i / n
        # (c - u)^2 / (u (1 - u)) = c^2 / u + (1 - c)^2 / (1 - u) - 1
        total += c * c * math.log(b / a) if c > 0 else 0.0
        total -= (1 - c) ** 2 * math.log((1 - b) / (1 - a)) if c < 1 else 0.0
        total -= b - a
    return n * total


def test_a_level_outside_the_support_is_infinitely_far():
    _, weighted = statistics.one_sample(np.linspace(-0.1, 0.9, 20)[:, None], stats.uniform())
    assert weighted == math.inf
    assert statistics.ad_asymptotic_pvalue(weighted) == 0.0


@pytest.mark.parametrize("law", [MarchenkoPastur(3.0, 0.7), MarchenkoPasturSingular(1.5)], ids=str)
def test_statistics_with_an_atom_follow_their_definitions(law):
    """D as a supremum and A^2 as a Stieltjes integral dF: the atom with its probability, the rest by a fine sum."""
    u = (np.arange(400_000) + 0.5) / 400_000
    u = law.atom + (1 - law.atom) * u
    points = law.ppf(u)
    for seed, other in ((1, law), (2, law.replace(ratio=1.2 * law.ratio)), (3, law.replace(ratio=0.5))):
        x = other.rvs(60, seed)
        share, zeros = np.searchsorted(np.sort(x), points, side="right") / x.size, float(np.mean(x == 0))
        distance, weighted = statistics.one_sample(x, law)
        assert distance == pytest.approx(max(np.abs(share - u).max(), abs(zeros - law.atom)), abs=1e-5)
        smooth = (1 - law.atom) * np.mean((share - u) ** 2 / (u * (1 - u)))
        assert weighted == pytest.approx(60 * (smooth + (zeros - law.atom) ** 2 / (1 - law.atom)), rel=1e-4)
    # control: the zeros of a sample of the law itself, taken for a continuous step, are half an atom off
    assert statistics.one_sample(law.rvs(60, 1), law)[0] < 0.4 * law.atom


def test_what_looks_like_one_spectrum():
    rng = np.random.default_rng(4)
    goe = rng.normal(size=(100, 100))
    levels = np.linalg.eigvalsh(goe + goe.T)
    for spectrum in (levels, levels[::-1], levels**3, levels[:8]):
        assert "in order" in one_spectrum(spectrum)
    assert "repel" in one_spectrum(rng.permutation(levels))
    # 4 deviations: once in 10^4 or less; 6000 samples
    for size in (8, 30, 200):
        found = [one_spectrum(x) for x in rng.gamma(0.5, size=(2000, size))]
        assert sum(map(bool, found)) <= 3
    assert not one_spectrum(np.round(rng.normal(size=100), 1))


def test_two_sample_statistics_follow_their_definitions():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(30, 2)), rng.normal(0.3, 1.0, (25, 1))
    distance, weighted = statistics.two_sample(a, b)
    assert distance == pytest.approx(stats.ks_2samp(a.ravel(), b.ravel()).statistic, rel=1e-12)
    n, m, pooled = a.size, b.size, np.sort(np.concatenate([a.ravel(), b.ravel()]))
    total = 0.0  # Pettitt's sum over ranks
    for i in range(1, n + m):
        below = int(np.sum(a <= pooled[i - 1]))
        total += (below * (n + m) - n * i) ** 2 / (i * (n + m - i))
    assert weighted == pytest.approx(total / (n * m), rel=1e-12)


def test_exact_pvalue_is_that_of_scipy():
    x = np.random.default_rng(3).normal(size=50)
    expected = stats.kstest(x, stats.norm.cdf, method="exact")
    assert statistics.ks_exact_pvalue(expected.statistic, 50) == pytest.approx(expected.pvalue, rel=1e-12)


def test_anderson_darling_limit_law():
    # the characteristic function of sum_j chi^2_1 / (j (j + 1)), inverted (Gil-Pelaez); means only beyond j = 2000
    j, step = np.arange(1, 2001), 0.02
    t = (np.arange(20_000) + 0.5) * step
    log_function = sum(-0.5 * np.log(1 - 2j * t / (k * (k + 1))) for k in j) + 1j * t / 2001
    for z in (0.3, 1.0, 2.492, 3.878, 6.0):
        inverted = 0.5 + np.sum(np.imag(np.exp(log_function - 1j * t * z)) / t) * step / math.pi
        assert statistics.ad_asymptotic_pvalue(z) == pytest.approx(inverted, rel=1e-5, abs=1e-8)
    assert statistics.ad_asymptotic_pvalue(2.492) == pytest.approx(0.05, rel=1e-3)  # Lewis (1961)
    # the leading term P(chi^2_1 > 2 z) prod_{j>=2} (1 - 2/(j(j+1)))^(-1/2) = sqrt(3) erfc(sqrt z)
    for z in (50.0, 200.0):
        assert 1 < statistics.ad_asymptotic_pvalue(z) / (math.sqrt(3) * math.erfc(math.sqrt(z))) < 1 + 1 / z
    assert statistics.ad_asymptotic_pvalue(0.03) == pytest.approx(1.0, abs=1e-9)


def test_replica_covariance_is_the_plain_one():
    rng = np.random.default_rng(4)
    x, scores, grid = rng.normal(size=(9000, 3)), rng.normal(size=(9000, 2)), np.linspace(-2, 2, 7)
    rows = [np.concatenate([[np.mean(row <= g) for g in grid], s]) for row, s in zip(x, scores, strict=True)]
    expected = np.cov(np.array(rows), rowvar=False)
    np.testing.assert_allclose(statistics.replica_covariance(x, grid, scores), expected, rtol=1e-10, atol=1e-14)


def test_draws_have_the_kolmogorov_and_anderson_darling_laws():
    # independent uniform values: Brownian bridge. 40000 draws: 2 standard errors of a count of 400 are 10%;
    # 5 standard errors everywhere, false alarm below 1e-5.
    u, du = statistics.grid_probabilities(1)
    bridge = np.minimum(u[:, None], u) - np.outer(u, u)
    supremum, integral = statistics.draw_null(bridge, du / (u * (1 - u)), 40_000, seed=5)
    for p in (0.5, 0.1, 0.01):
        allowed = 5 * math.sqrt(p * (1 - p) / 40_000) + 0.02 * p
        assert np.mean(supremum >= stats.kstwobign.isf(p)) == pytest.approx(p, abs=allowed)
    for z in (0.774, 1.933, 3.878):
        p = statistics.ad_asymptotic_pvalue(z)
        assert np.mean(integral >= z) == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / 40_000) + 0.01 * p)
    # negative control: the grid's own supremum, without what happens between its points
    rng = np.random.default_rng(5)
    bare = np.abs(rng.multivariate_normal(np.zeros(u.size), bridge, 40_000)).max(axis=1)
    assert np.mean(bare >= stats.kstwobign.isf(0.1)) < 0.08


def test_draws_are_those_of_the_parametric_bootstrap():
    """Fitted normal law: the one-step correction against real refits of 4000 simulated samples."""
    rng = np.random.default_rng(6)
    law, n = Normal(0.0, 1.0), 400
    simulated = rng.normal(size=(4000, n))
    fitted = np.sort((simulated - simulated.mean(axis=1)[:, None]) / simulated.std(axis=1)[:, None], axis=1)
    below, rank = law.cdf(fitted), np.arange(n)
    distance = np.maximum((below - rank / n).max(axis=1), ((rank + 1) / n - below).max(axis=1))
    weighted = -n - np.mean((2 * rank + 1) * (np.log(below) + np.log(law.sf(fitted[:, ::-1]))), axis=1)

    x = rng.normal(size=(4000, 1))
    u, du = statistics.grid_probabilities(1)
    grid = np.asarray(law.ppf(u))
    gradient = np.stack([-law.pdf(grid), -grid * law.pdf(grid)], axis=1)
    scores = np.concatenate([x, x**2 - 1], axis=1)
    influence = np.hstack([np.eye(u.size), -gradient @ np.diag([1.0, 0.5])])
    covariance = influence @ statistics.replica_covariance(x, grid, scores) @ influence.T / n
    supremum, integral = statistics.draw_null(covariance, n * du / (u * (1 - u)), 20_000, seed=7)
    # quantiles at 5%: standard errors 0.8% and 1.2% from 4000 refits, 0.5% and 1% from the measured covariance;
    # allowed is 4 of them. D of 400 values lies lattice_shift below its limit.
    ratio = np.quantile(supremum, 0.95) / (np.quantile(distance, 0.95) + statistics.lattice_shift(n))
    assert ratio == pytest.approx(1.0, abs=0.035)
    assert np.quantile(integral, 0.95) / np.quantile(weighted, 0.95) == pytest.approx(1.0, abs=0.06)
    # published: Stephens (J. Am. Stat. Assoc. 69, 730 (1974)), case 3: 0.895 and 0.752 at 5%
    assert np.quantile(supremum, 0.95) * math.sqrt(n) == pytest.approx(0.895, rel=0.025)
    assert np.quantile(integral, 0.95) == pytest.approx(0.752, rel=0.05)
    # negative control: parameters taken as known give 1.358 and 2.492
    assert stats.kstwobign.isf(0.05) > 1.4 * np.quantile(supremum, 0.95) * math.sqrt(n)


def test_moments_and_histogram_errors_are_those_of_whole_replicas():
    # levels (x, x + shift): fully dependent, so the error is that of 500 values, not of 1000. The scatter over
    # 400 ensembles is known to 1/sqrt(800) = 3.5%: 4 standard errors allowed, false alarm below 1e-4 for each
    rng = np.random.default_rng(8)
    edges = np.linspace(-1, 3, 9)
    found, densities = [], []
    for _ in range(400):
        x = rng.normal(size=(500, 1))
        levels = np.hstack([x, x + 1.0])
        found.append(moments(levels))
        densities.append(histogram(levels, edges))
    for name in ("mean", "std"):
        scatter = np.std([getattr(m, name) for m in found], ddof=1)
        assert np.mean([getattr(m, name + "_error") for m in found]) == pytest.approx(scatter, rel=0.14)
    scatter = np.std([h.density for h in densities], axis=0, ddof=1)
    np.testing.assert_allclose(np.mean([h.error for h in densities], axis=0), scatter, rtol=0.16)
    naive = np.mean([m.std for m in found]) / math.sqrt(1000)
    assert naive < 0.8 * np.std([m.mean for m in found])  # negative control: levels as independent values


def test_histogram_counts_and_width():
    x = np.random.default_rng(9).normal(size=(5000, 2))
    bars = histogram(x)
    np.testing.assert_array_equal(bars.edges, np.histogram_bin_edges(x, "fd"))
    np.testing.assert_allclose(bars.density, np.histogram(x, bars.edges, density=True)[0], rtol=1e-12)
    single = histogram(x[:, :1], bars.edges)
    share = np.histogram(x[:, 0], bars.edges)[0] / 5000
    binomial = np.sqrt(share * (1 - share) / 4999) / np.diff(bars.edges)
    np.testing.assert_allclose(single.error, binomial, rtol=1e-9, atol=1e-15)
    assert histogram(np.append(x, [[1e9, 1e9]], axis=0)).density.size == 1000
    assert histogram(np.array([[0.0]] * 90 + [[1.0]] * 10)).density.size == 8
