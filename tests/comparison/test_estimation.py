"""Fits with errors from whole replicas, and likelihood ratios: textbook cases, coverage, controls that must fail."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from dysonsim.comparison.fit import fit_law, names_to_fit
from dysonsim.comparison.likelihood import likelihood_ratio
from dysonsim.laws import MarchenkoPastur, Normal, Semicircle, SpacingRatio, TwoLevel, TwoSpecies, WignerSurmise


def goe_pairs(replicas: int, rng: np.random.Generator) -> np.ndarray:
    """Eigenvalues (replicas, 2) of [[a, c], [c, b]], a, b ~ N(0, 1), c ~ N(0, 1/2): TwoLevel(0, 1), pooled."""
    a, b, c = rng.normal(size=(3, replicas)) * np.array([[1.0], [1.0], [math.sqrt(0.5)]])
    radius = np.hypot((a - b) / 2, c)
    return np.stack([(a + b) / 2 - radius, (a + b) / 2 + radius], axis=1)


def correlated_normals(replicas: int, rng: np.random.Generator, correlation: float = 0.6) -> np.ndarray:
    common, own = rng.normal(size=(replicas, 1)), rng.normal(size=(replicas, 2))
    return math.sqrt(correlation) * common + math.sqrt(1 - correlation) * own


def test_independent_normal_gives_the_textbook_errors():
    x = np.random.default_rng(1).normal(5.0, 2.0, (20_000, 1))
    fitted = fit_law(x, Normal)
    assert fitted.names == ("loc", "scale")
    assert fitted.errors["loc"] == pytest.approx(x.std(ddof=1) / math.sqrt(x.size), rel=1e-5)
    squares = (x - x.mean()) ** 2  # the sandwich for the scale: empirical kurtosis, not 3
    assert fitted.errors["scale"] == pytest.approx(squares.std(ddof=1) / (2 * x.std()) / math.sqrt(x.size), rel=1e-5)
    assert fitted.errors["scale"] == pytest.approx(2.0 / math.sqrt(2 * x.size), rel=0.03)
    assert fitted.effective_parameters == pytest.approx(2.0, abs=0.1)
    np.testing.assert_allclose(fitted.log_likelihood, stats.norm(*fitted.law).logpdf(x[:, 0]), rtol=1e-12)


def test_dependent_levels_give_the_error_of_replica_means():
    x = correlated_normals(5000, np.random.default_rng(2))
    fitted = fit_law(x, Normal(0.0, 1.0), ("loc",))
    assert fitted.names == ("loc",)
    assert fitted.law.scale == 1.0
    assert fitted.errors["loc"] == pytest.approx(x.mean(axis=1).std(ddof=1) / math.sqrt(5000), rel=1e-6)
    # the same replicas as independent values: too small by sqrt(1 + correlation)
    naive = fit_law(x.reshape(-1, 1), Normal(0.0, 1.0), ("loc",))
    assert fitted.errors["loc"] / naive.errors["loc"] == pytest.approx(math.sqrt(1.6), rel=0.03)


def test_errors_cover_the_truth_for_pooled_levels():
    # 300 ensembles; the rms of z is 1 +- 1/sqrt(600) = 4%: 4 standard errors allowed, false alarm 1e-4 each
    rng = np.random.default_rng(3)
    z, naive = [], []
    for _ in range(300):
        x = correlated_normals(200, rng)
        fitted = fit_law(x, Normal)
        z.append([(fitted.law.loc - 0.0) / fitted.errors["loc"], (fitted.law.scale - 1.0) / fitted.errors["scale"]])
        naive.append(fitted.law.loc / fit_law(x.reshape(-1, 1), Normal).errors["loc"])
    np.testing.assert_allclose(np.sqrt(np.mean(np.square(z), axis=0)), 1.0, atol=0.16)
    assert np.sqrt(np.mean(np.square(naive))) > 1.16  # negative control


def test_levels_of_a_pair_constrain_loc_and_scale():
    # loc is measured through (x1 + x2)/2 = N(0, 1/2) almost fully; scale error from 40 ensembles, known to 11%
    rng = np.random.default_rng(4)
    fits = [fit_law(goe_pairs(500, rng), TwoLevel) for _ in range(40)]
    for name in ("loc", "scale"):
        scatter = np.std([getattr(f.law, name) for f in fits], ddof=1)
        assert np.mean([f.errors[name] for f in fits]) == pytest.approx(scatter, rel=0.45)
        pulls = [(getattr(f.law, name) - (name == "scale")) / f.errors[name] for f in fits]
        assert abs(np.mean(pulls)) < 4 / math.sqrt(40)


@pytest.mark.parametrize(("shift", "unit"), [(1e3, 1e-2), (-5.0, 1e4), (0.0, 1e-6)])
def test_errors_follow_a_change_of_units(shift, unit):
    x = goe_pairs(400, np.random.default_rng(5))
    reference, moved = fit_law(x, TwoLevel), fit_law(shift + unit * x, TwoLevel)
    for name in ("loc", "scale"):
        assert moved.errors[name] == pytest.approx(unit * reference.errors[name], rel=1e-3)
    np.testing.assert_allclose(moved.covariance, unit**2 * reference.covariance, rtol=5e-3)


def test_gradient_of_the_distribution_function():
    x = np.random.default_rng(6).normal(1.0, 2.0, (1000, 1))
    fitted = fit_law(x, Normal)
    grid = np.linspace(-4, 6, 11)
    density = fitted.law.pdf(grid)
    expected = np.stack([-density, -(grid - fitted.law.loc) / fitted.law.scale * density], axis=1)
    np.testing.assert_allclose(fitted.cdf_gradient(grid), expected, rtol=1e-5, atol=1e-9)


def test_two_equal_scales_are_reported_as_undetermined():
    x = goe_pairs(3000, np.random.default_rng(9))
    fitted = fit_law(x, TwoSpecies)
    assert fitted.law.scale1 == pytest.approx(fitted.law.scale2, rel=1e-3)  # the case in about half of all samples
    assert fitted.errors["scale1"] == fitted.errors["scale2"] == math.inf
    assert fitted.effective_parameters < 2.5
    assert math.isfinite(fitted.errors["loc"])
    apart = TwoSpecies(0.0, 0.5, 1.5).rvs(20_000, 9)[:, None]
    fitted = fit_law(apart, TwoSpecies)
    for name, truth in (("loc", 0.0), ("scale1", 0.5), ("scale2", 1.5)):
        assert 0 < fitted.errors[name] < 0.05
        assert abs(getattr(fitted.law, name) - truth) < 4 * fitted.errors[name]


def test_a_moving_support_has_no_standard_error():
    fitted = fit_law(Semicircle(0.0, 1.0).rvs(500, 10)[:, None], Semicircle)
    assert not fitted.is_regular
    assert all(math.isnan(error) for error in fitted.errors.values())


def test_a_fit_that_stops_early_is_noticed():
    class Lazy(Normal):
        @classmethod
        def fit(cls, data, **fixed):
            return cls(0.5, 1.0)

    x = np.random.default_rng(11).normal(size=(500, 1))
    with pytest.warns(RuntimeWarning, match="stopped short"):
        fit_law(x, Lazy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_law(x, Normal)


def test_names_to_fit():
    assert names_to_fit(TwoLevel, None) == ("loc", "scale")
    assert names_to_fit(TwoLevel(0, 1), None) == ()
    assert names_to_fit(TwoLevel(0, 1), "all") == ("loc", "scale")
    assert names_to_fit(TwoLevel(0, 1), "scale") == ("scale",)
    assert names_to_fit(WignerSurmise(beta=2), "all") == ("scale",)
    for wrong in ("width", (), ("loc", "loc"), ("loc", "nu")):
        with pytest.raises(ValueError, match=r"fit = .*'loc', 'scale'"):
            names_to_fit(TwoLevel(0, 1), wrong)
    with pytest.raises(ValueError, match="instance"):
        names_to_fit(TwoLevel, ("loc",))
    with pytest.raises(TypeError, match="fit = 3"):
        names_to_fit(TwoLevel(0, 1), 3)


def test_likelihood_ratio_of_a_pair():
    x = goe_pairs(2000, np.random.default_rng(12))
    result = likelihood_ratio(x, TwoLevel, Normal)
    assert result.z > 3.3
    assert result.pvalue == pytest.approx(2 * stats.norm.sf(result.z), rel=1e-9)
    assert result.aic_difference > 20
    per_replica = (TwoLevel.fit(x).logpdf(x) - Normal.fit(x).logpdf(x)).sum(axis=1)
    assert result.difference == pytest.approx(per_replica.mean(), rel=1e-9)
    assert result.error == pytest.approx(per_replica.std(ddof=1) / math.sqrt(2000), rel=1e-9)
    swapped = likelihood_ratio(x, Normal, TwoLevel)
    assert (swapped.difference, swapped.z) == (-result.difference, -result.z)
    assert "a is better" in str(result)
    assert "b is better" in str(swapped)
    assert result.to_dict()["pvalue"] == result.pvalue
    same = likelihood_ratio(x, TwoLevel(0.0, 1.0), TwoLevel(0.0, 1.0))
    assert (same.z, same.pvalue) == (0.0, 1.0)


def test_likelihood_ratio_has_the_right_size_for_dependent_levels():
    # two laws equally far from the truth: p uniform. 400 ensembles, 5%: 20 +- 4.4 rejections, 1e-4 at 40
    rng = np.random.default_rng(13)
    laws = Normal(0.2, 1.0), Normal(-0.2, 1.0)
    rejected = naive = 0
    for _ in range(400):
        x = correlated_normals(100, rng)
        rejected += likelihood_ratio(x, *laws).pvalue < 0.05
        naive += likelihood_ratio(x.ravel(), *laws).pvalue < 0.05
    assert 6 <= rejected <= 40
    assert naive > 40  # negative control: levels as independent values


def test_likelihood_ratio_needs_density_everywhere():
    x = np.linspace(-1.0, 1.0, 30)
    with pytest.raises(ValueError, match=r"law_b = WignerSurmise.*replica 0"):
        likelihood_ratio(x, Normal(0.0, 1.0), WignerSurmise())
    with pytest.raises(TypeError, match="law_a = 3"):
        likelihood_ratio(x, 3, Normal)


def test_a_parameter_at_its_end_has_no_standard_error():
    """beta = 0 of a spacing ratio is a law apart: nothing to differentiate, and the p-value takes it as known."""
    spacings = np.random.default_rng(31).exponential(size=(2, 400))
    ratios = (spacings.min(0) / spacings.max(0))[:, None]
    fitted = fit_law(ratios, SpacingRatio)
    assert fitted.law == SpacingRatio(0.0)
    assert not fitted.is_regular
    assert math.isnan(fitted.errors["beta"])
    inside = fit_law(SpacingRatio(1.0).rvs((400, 1), 32), SpacingRatio)
    assert inside.is_regular
    assert 0 < inside.errors["beta"] < 0.3


@pytest.mark.filterwarnings("error")
def test_data_without_likelihood_are_refused():
    """Half of the spacings are 0: no density, no scores, and formerly four warnings of NumPy and an infinite error."""
    x = WignerSurmise(1).rvs((60, 2), 33)
    x[::2, 1] = 0.0
    for law, fit in ((WignerSurmise, None), (WignerSurmise(2), "scale")):
        with pytest.raises(ValueError, match=r"data of 30 replicas, of replica 0 for one \(0, .*have no likelihood"):
            fit_law(x, law, fit)
    assert fit_law(x, WignerSurmise(1)).log_likelihood[0] == -math.inf  # nothing was fitted: it may be asked


def test_atoms_count_in_the_likelihood():
    x = MarchenkoPastur(2.0).rvs((40, 3), 34)
    law = MarchenkoPastur(2.0, 1.1)
    fitted = fit_law(x, law)
    expected = np.where(x == 0, math.log(0.5), law.logpdf(x)).sum(axis=1)
    np.testing.assert_allclose(fitted.log_likelihood, expected, rtol=1e-13)
    noisy = x + np.where(x == 0, 1e-16 * np.random.default_rng(35).normal(size=x.shape), 0)
    ratios = [likelihood_ratio(data, MarchenkoPastur(2.0), MarchenkoPastur(2.0, 1.3)) for data in (x, noisy)]
    assert ratios[0].difference == ratios[1].difference > 0


@pytest.mark.parametrize("law", [stats.expon(0.3), stats.Normal(mu=0.1, sigma=2.0)], ids=["frozen", "new"])
def test_laws_of_scipy_have_names(law):
    x = np.random.default_rng(36).exponential(size=60) + 0.3
    found = likelihood_ratio(x, law, Normal(1.0, 1.0))
    assert ("expon(0.3)" if hasattr(law, "dist") else "Normal(mu=0.1, sigma=2.0)") in str(found)
    assert " at 0x" not in str(found) + repr(found) + repr(found.a)
    assert np.isfinite(found.difference)
    for wrong in (stats.expon, stats.poisson(2), stats.Normal, 3.0):
        with pytest.raises(TypeError, match="law_a"):
            likelihood_ratio(x, wrong, Normal(1.0, 1.0))
    with pytest.raises(ValueError, match=r"law_b = expon\(5\): has no density"):
        likelihood_ratio(x, Normal(0, 1), stats.expon(5))
