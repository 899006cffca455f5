"""p-values of `compare`: honest under the null, and wrong laws that must be found out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from draws import circular_unitary, goe_pairs, single_levels
from scipy import stats

from dysonsim.comparison.compare import compare
from dysonsim.laws import (
    MarchenkoPastur,
    MarchenkoPasturSingular,
    Normal,
    SpacingRatio,
    TwoLevel,
    WignerSurmise,
)

DATA_SETS = 200


def pvalues(draw, reference, data_sets: int = DATA_SETS, **options) -> np.ndarray:
    """p-values (data_sets, 2) of both distances for simulated data; `reference` may be a function of the generator."""
    rng = np.random.default_rng(20)
    result = []
    for _ in range(data_sets):
        other = reference(rng) if callable(reference) and not isinstance(reference, type) else reference
        found = compare(draw(rng), other, resamples=199, **options)
        result.append((found.ks.pvalue, found.ad.pvalue))
    return np.array(result)


def rejections_are_binomial(p: np.ndarray, level: float, probability: float = 1e-4) -> bool:
    """Whether the number of p <= level is inside the two-sided 1 - `probability` range of a binomial count."""
    count = int(np.count_nonzero(p <= level))
    low, high = stats.binom.interval(1 - probability, p.size, level)
    return bool(low <= count <= high)


# A right p-value fails with probability below 5e-4 a case and distance; the counts allowed at 5% are 1 to 24 of 200, at
# 1% 0 to 9. Trials with 1000 data sets of 200 replicas gave 3.6% to 5.5% at 5% and 0.6% to 1.8% at 1%, every case
# within two or three of the standard errors 0.7% and 0.3%.
NULL_CASES = {
    "independent, law given": (lambda rng: single_levels(60, rng), TwoLevel(0.0, 1.0), {}),
    "independent, fitted": (lambda rng: WignerSurmise(2, 1.0).rvs(60, rng), WignerSurmise(2), {"fit": "scale"}),
    "pair, law given": (lambda rng: goe_pairs(60, rng), TwoLevel(0.0, 1.0), {}),
    "pair, fitted": (lambda rng: goe_pairs(60, rng), TwoLevel, {}),
    "pairs, two samples": (lambda rng: goe_pairs(60, rng), lambda rng: goe_pairs(90, rng), {}),
    "pairs against single levels": (lambda rng: goe_pairs(60, rng), lambda rng: single_levels(90, rng), {}),
    "single levels, two samples": (lambda rng: single_levels(60, rng), lambda rng: single_levels(90, rng), {}),
    "atom, single levels": (lambda rng: MarchenkoPastur(3.0).rvs(80, rng), MarchenkoPastur(3.0), {}),
    "atom, two levels": (lambda rng: MarchenkoPasturSingular(1.7).rvs((80, 2), rng), MarchenkoPasturSingular(1.7), {}),
    "ten rigid levels": (lambda rng: circular_unitary(40, 10, rng), stats.uniform(-math.pi, 2 * math.pi), {}),
}


LONG_CASES = ("pair, fitted",)  # a fit with two parameters for every data set


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.slow] if c in LONG_CASES else []) for c in NULL_CASES]
)
def test_pvalues_under_the_null(case):
    draw, reference, options = NULL_CASES[case]
    p = pvalues(draw, reference, **options)
    for distance in (0, 1):
        assert rejections_are_binomial(p[:, distance], 0.05), case
        assert rejections_are_binomial(p[:, distance], 0.01), case
    # the whole Anderson-Darling distribution: Kolmogorov distance of uniform values at 1e-4
    assert np.abs(np.sort(p[:, 1]) - (np.arange(DATA_SETS) + 0.5) / DATA_SETS).max() < 2.2 / math.sqrt(DATA_SETS)


def test_poisson_ratios_do_not_contradict_their_law():
    spacings = np.random.default_rng(28).exponential(size=(2, 3000))
    found = compare(spacings.min(0) / spacings.max(0), SpacingRatio)
    assert found.law == SpacingRatio(0.0)
    assert found.pvalue > 0.001
    assert compare(found.values, SpacingRatio(0.001)).pvalue < 0.001  # control: where the fit once stayed


def test_naive_pvalues_are_wrong():
    """Controls: levels taken as independent values, and fitted parameters taken as known."""
    pooled = pvalues(lambda rng: goe_pairs(60, rng).ravel(), TwoLevel(0.0, 1.0), 500)
    rigid = pvalues(lambda rng: circular_unitary(40, 10, rng).ravel(), stats.uniform(-math.pi, 2 * math.pi))
    for p in (pooled, rigid):
        assert not rejections_are_binomial(p[:, 0], 0.2)
        assert not rejections_are_binomial(p[:, 1], 0.2)
    rng = np.random.default_rng(21)
    known = []
    for _ in range(200):
        x = rng.normal(size=60)
        known.append(compare(x, Normal(x.mean(), x.std())).pvalue)
    assert not rejections_are_binomial(np.array(known), 0.05)
    # positively dependent levels: far too many false alarms
    copies = pvalues(lambda rng: np.repeat(rng.normal(size=(60, 1)), 4, axis=1).ravel(), Normal(0.0, 1.0), 100)
    assert np.mean(copies <= 0.05) > 0.3


def test_copies_of_a_level_add_nothing():
    x = np.random.default_rng(22).normal(size=300)
    once, four = compare(x, Normal(0.0, 1.0)), compare(np.repeat(x[:, None], 4, axis=1), Normal(0.0, 1.0))
    assert four.ks.statistic == pytest.approx(once.ks.statistic, rel=1e-12)
    assert four.pvalue == pytest.approx(once.pvalue, abs=0.05)
    assert four.moments.mean_error == pytest.approx(once.moments.mean_error, rel=1e-12)


def test_wrong_laws_are_found_out():
    rng = np.random.default_rng(23)
    pair = goe_pairs(4000, rng)
    assert compare(pair, TwoLevel(0.0, 1.0)).agrees
    for method in ("ks", "ad"):
        assert compare(pair, TwoLevel(0.0, 1.06), method=method).pvalue < 1e-3
        assert compare(pair, TwoLevel(0.05, 1.0), method=method).pvalue < 1e-3
    # 2% of the width is 2.5 standard errors of 4000 spacings, 8 of 40000
    spacing = WignerSurmise(1, 1.0).rvs(40_000, 24)
    assert compare(spacing, WignerSurmise(1, 1.0)).agrees
    assert compare(spacing, WignerSurmise(1, 1.02)).pvalue < 1e-3
    assert compare(goe_pairs(40_000, rng), TwoLevel(0.0, 1.02)).pvalue < 1e-3
    # the shape alone, with every parameter fitted
    unitary = goe_pairs(4000, rng, beta=2)
    assert compare(np.diff(unitary), WignerSurmise(1), fit="all").pvalue < 1e-3
    assert compare(np.diff(pair), WignerSurmise(1), fit="all").agrees
    assert compare(unitary, TwoLevel, method="ad").pvalue < 1e-3
    assert compare(goe_pairs(40_000, rng), Normal).pvalue < 1e-3
    # two samples
    assert compare(pair, unitary).pvalue < 1e-3
    assert compare(pair, goe_pairs(3000, rng)).agrees
    assert compare(pair, unitary[:, 1]).pvalue < 1e-3


def test_closed_forms_are_those_of_scipy():
    rng = np.random.default_rng(25)
    x, y = rng.normal(size=80), rng.normal(size=50)
    given = compare(x, Normal(0.0, 1.0))
    expected = stats.kstest(x, stats.norm.cdf, method="exact")
    assert (given.statistic, given.pvalue) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-10)
    assert given.pvalue == compare(x[:, None], stats.norm()).pvalue
    simulated = stats.goodness_of_fit(
        stats.norm, x, known_params={"loc": 0, "scale": 1}, statistic="ad", n_mc_samples=999, rng=rng
    )
    assert given.ad.statistic == pytest.approx(simulated.statistic, rel=1e-10)
    assert given.ad.pvalue == pytest.approx(simulated.pvalue, abs=0.07)  # 4 standard errors
    both = compare(x, y)
    expected = stats.ks_2samp(x, y)
    assert (both.statistic, both.pvalue) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-10)


def test_fitted_pvalue_is_that_of_the_parametric_bootstrap():
    x = np.random.default_rng(26).normal(size=150) ** 3
    x = np.sign(x) * np.abs(x) ** 0.42  # a little off the normal law
    for statistic, method in (("ks", "ks"), ("ad", "ad")):
        simulated = stats.goodness_of_fit(stats.norm, x, statistic=statistic, n_mc_samples=999, rng=27)
        found = compare(x, Normal, method=method)
        # scipy divides by n - 1 in the width; 999 draws: standard error below 1.6%
        assert found.statistic == pytest.approx(simulated.statistic, rel=0.05)
        assert found.pvalue == pytest.approx(simulated.pvalue, abs=0.07)
