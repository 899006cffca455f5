"""Laws of the gas as laws: norm and moments, tails and inverses, samples, fits, the interface, bad input."""

from __future__ import annotations

import itertools
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from dysonsim.laws import (
    BulkSpacing,
    GaussianEnsembleDensity,
    Law,
    SpacingRatio,
    TracyWidom,
    UnfoldedSpacingRatio,
    WignerSurmise,
)

GAUSSIAN_TAILS: list[Law] = [
    TracyWidom(1, 0.3, 0.7),
    TracyWidom(2),
    TracyWidom(4, -1.0, 2.5),
    BulkSpacing(1),
    BulkSpacing(2, 0.3),
    BulkSpacing(4, 2.5),
    GaussianEnsembleDensity(1, 1, 0.5, 2.0),
    GaussianEnsembleDensity(3, 1),
    GaussianEnsembleDensity(10, 1, 0.2, 0.3),
    GaussianEnsembleDensity(7, 2),
    GaussianEnsembleDensity(6, 4, -1.0, 1.5),
]
LAWS = GAUSSIAN_TAILS + [cls(beta) for cls in (SpacingRatio, UnfoldedSpacingRatio) for beta in (0, 0.3, 1, 4)]
by_name = pytest.mark.parametrize("law", LAWS, ids=str)
with_gaussian_tails = pytest.mark.parametrize("law", GAUSSIAN_TAILS, ids=str)


def panels(low, high, count=60):
    """Gauss-Legendre nodes and weights of 12 points on each of `count` panels."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    edges = np.linspace(low, high, count + 1)
    half = 0.5 * np.diff(edges)[:, None]
    return (edges[:-1, None] + half * (1 + nodes)).ravel(), (half * weights).ravel()


# ---- norm, moments, tails --------------------------------------------------------------------------------------------


@with_gaussian_tails
def test_norm_and_moments_equal_integrals_of_the_density(law):
    # t in (0, 1) stretches both ends
    t, weight = panels(0.0, 1.0)
    low, high = law.ppf(1e-17), law.isf(1e-17)
    x = low + (high - low) * t * t * (3 - 2 * t)
    mass = weight * law.pdf(x) * 6 * t * (1 - t) * (high - low)
    assert mass.sum() == pytest.approx(1, abs=1e-11)
    if math.isfinite(law.var()):
        assert mass @ (x - law.mean()) == pytest.approx(0, abs=1e-11 * law.std())
        assert mass @ (x - law.mean()) ** 2 == pytest.approx(law.var(), rel=1e-10)


@with_gaussian_tails
def test_distribution_functions_are_integrals_of_the_density(law):
    """Relative to the tail itself, from 1e-250 on either side; across the seams of the tables and series."""
    lower, upper = law.ppf(10.0 ** -np.arange(250, 0, -7)), law.isf(10.0 ** -np.arange(250, 0, -7))
    for edges, tail, sign in ((lower, law.cdf, 1), (upper, law.sf, -1)):
        edges = np.unique(edges)
        for a, b in itertools.pairwise(edges):
            x, weight = panels(a, b, 40)
            assert abs(weight @ law.pdf(x)) == pytest.approx(sign * (tail(b) - tail(a)), rel=2e-11, abs=0)


@with_gaussian_tails
def test_inverses(law):
    for q in (1e-300, 1e-100, 1e-12, 0.01, 0.3, 0.5, 0.7, 0.999):
        assert law.cdf(law.ppf(q)) == pytest.approx(q, rel=1e-11, abs=0)
        assert law.sf(law.isf(q)) == pytest.approx(q, rel=1e-11, abs=0)
    assert law.cdf(law.median()) == pytest.approx(0.5, rel=1e-12)
    x = law.ppf(np.linspace(0.01, 0.99, 23))
    np.testing.assert_allclose(law.cdf(x) + law.sf(x), 1, rtol=1e-14)
    np.testing.assert_allclose(np.log(law.pdf(x)), law.logpdf(x), atol=1e-13)


# ---- samples ---------------------------------------------------------------------------------------------------------


def pvalue(sample, cdf):
    """Kolmogorov-Smirnov, asymptotic."""
    probability = cdf(np.sort(sample))
    rank = np.arange(sample.size + 1) / sample.size
    distance = max(np.max(rank[1:] - probability), np.max(probability - rank[:-1]))
    return stats.kstwobign.sf(distance * math.sqrt(sample.size))


@by_name
def test_samples_follow_the_distribution_function(law):
    sample = law.rvs(100_000, random_state=20)
    if math.isfinite(law.var()):
        assert abs(sample.mean() - law.mean()) < 4.5 * law.std() / math.sqrt(sample.size)  # false alarm: 7e-6
    assert pvalue(sample, law.cdf) > 1e-4  # false alarm: 1e-4 for each law
    middle = law.median()
    assert pvalue(sample, lambda x: law.cdf(middle + (x - middle) / 1.07)) < 1e-4  # negative control: 7% too wide


# ---- fits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_fit_of_loc_and_scale(beta):
    """Errors of the estimates: about std/sqrt(n) and scale/sqrt(2 n); 4.5 of them are a false alarm in 1e5."""
    law = TracyWidom(beta, 3.0, 0.02)
    x = law.rvs(20_000, random_state=40)
    loc, scale = (law.replace(scale=1.0).std() * k / math.sqrt(x.size) for k in (6.0 * law.scale, 6.0 * law.scale))
    for fixed in ({}, {"loc": 3.0}, {"scale": 0.02}):
        fitted = TracyWidom.fit(x, beta=beta, **fixed)
        assert fitted.beta == beta
        assert abs(fitted.loc - 3.0) < (0 if "loc" in fixed else 2 * loc) + 1e-15
        assert abs(fitted.scale - 0.02) < (0 if "scale" in fixed else scale) + 1e-15
        assert fitted.loglikelihood(x) >= law.loglikelihood(x) - 1e-3
    # negative control: the wrong beta cannot be made to fit
    best = TracyWidom.fit(x, beta=beta).loglikelihood(x)
    for other in {1, 2, 4} - {beta}:
        assert TracyWidom.fit(x, beta=other).loglikelihood(x) < best - 3


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_fit_of_the_bulk_spacing(beta):
    """The relative error is about 1/sqrt(n I) with information I ~ 2 (beta + 1): 4.5 of them."""
    law = BulkSpacing(beta, 0.02)
    x = law.rvs(20_000, random_state=41)
    fitted = BulkSpacing.fit(x, beta=beta)
    assert abs(fitted.scale / 0.02 - 1) < 4.5 / math.sqrt(2 * (beta + 1) * x.size)
    for factor in (0.999, 1.001):
        assert law.replace(scale=factor * fitted.scale).loglikelihood(x) < fitted.loglikelihood(x)
    # negative control: another beta fits worse, and for beta = 1 the surmise
    assert BulkSpacing.fit(x, beta=2 if beta == 1 else 1).loglikelihood(x) < fitted.loglikelihood(x) - 100
    if beta == 1:
        assert WignerSurmise.fit(x).loglikelihood(x) < fitted.loglikelihood(x) - 5


@pytest.mark.parametrize(("n", "beta"), [(3, 1), (10, 2), (6, 4)])
def test_fit_of_the_gaussian_ensemble_density(n, beta):
    """Independent levels; errors at most those of mean and standard deviation, 4.5 of them: false alarm < 1e-5."""
    law = GaussianEnsembleDensity(n, beta, 3.0, 0.02)
    x = law.rvs(20_000, random_state=42)
    for fixed in ({}, {"loc": 3.0}, {"scale": 0.02}):
        fitted = GaussianEnsembleDensity.fit(x, n=n, beta=beta, **fixed)
        assert (fitted.n, fitted.beta) == (n, beta)
        assert abs(fitted.loc - 3.0) < 4.5 * law.std() / math.sqrt(x.size)
        assert abs(fitted.scale / 0.02 - 1) < 4.5 / math.sqrt(2 * x.size)
        assert fitted.loglikelihood(x) >= law.loglikelihood(x) - 1e-3
    # negative control: another number of levels shows
    other = GaussianEnsembleDensity.fit(x, n=n + 1, beta=beta)
    assert other.loglikelihood(x) < fitted.loglikelihood(x) - 5


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
        assert np.isnan(function([0.5, math.nan])).tolist() == [False, True]
    low, high = law.support()
    assert (law.cdf(-math.inf), law.cdf(math.inf), law.sf(-math.inf), law.sf(math.inf)) == (0.0, 1.0, 1.0, 0.0)
    assert (law.pdf(-math.inf), law.pdf(math.inf), law.pdf(-1e300)) == (0.0, 0.0, 0.0)
    assert (law.ppf(0), law.ppf(1), law.isf(0), law.isf(1)) == (low, high, high, low)
    assert np.isnan(law.ppf([-0.1, 1.1])).all()
    with np.errstate(all="raise", under="ignore"):
        x = np.array([-1e9, -200.0, -60.0, -30.0, 0.0, 30.0, 100.0, 200.0, 1e9])
        for name in ("pdf", "cdf", "sf", "logpdf"):
            assert not np.isnan(getattr(law, name)(x)).any()
    inside = x[(x > low) & (x < high)]
    assert np.isfinite(law.logpdf(inside)).all()


@by_name
def test_parameters_and_sampling_interface(law):
    assert tuple(law) == tuple(law.parameters.values())
    assert type(law)(**law.parameters) == law
    assert pickle.loads(pickle.dumps(law)) == law
    assert set(law.shape) <= set(law.parameters)
    assert type(law.rvs()) is float
    assert law.rvs((2, 3), random_state=1).shape == (2, 3)
    assert law.rvs(0).shape == (0,)
    np.testing.assert_array_equal(law.rvs(7, random_state=3), law.rvs(7, random_state=np.random.default_rng(3)))
    x = law.rvs(50, random_state=5)
    assert law.loglikelihood(x) == pytest.approx(np.sum(law.logpdf(x)), rel=1e-13)
    low, high = law.support()
    assert ((x > low) & (x <= high)).all()


@with_gaussian_tails
def test_loc_and_scale(law):
    """Exact: the law of a + b X."""
    shift = 2.0 if "loc" in law.parameters else 0.0
    changes = {"scale": 4.0 * law.scale} | ({"loc": 4.0 * law.loc + shift} if shift else {})
    other, x = law.replace(**changes), law.ppf(np.array([1e-9, 0.2, 0.6, 1 - 1e-9]))
    np.testing.assert_allclose(4 * other.pdf(shift + 4 * x), law.pdf(x), rtol=1e-11)
    np.testing.assert_allclose(other.cdf(shift + 4 * x), law.cdf(x), rtol=1e-11)
    assert other.mean() == pytest.approx(shift + 4 * law.mean(), rel=1e-14)
    assert other.std() == pytest.approx(4 * law.std(), rel=1e-14)


def test_importing_the_laws_loads_no_scipy():
    program = (
        "import sys, dysonsim.laws as laws; law = laws.TracyWidom(1)\n"
        "print([m for m in sys.modules if m.startswith('scipy')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- refused ---------------------------------------------------------------------------------------------------------

BAD = [
    (lambda: TracyWidom(3), ValueError, "beta = 3: must be 1, 2 or 4"),
    (lambda: TracyWidom("2"), TypeError, "beta = '2'"),
    (lambda: TracyWidom(True), TypeError, "beta = True"),
    (lambda: TracyWidom(2, math.nan), ValueError, "loc = nan: must be a finite number"),
    (lambda: TracyWidom(2, 0, 0), ValueError, "scale = 0: must be a finite number > 0"),
    (lambda: TracyWidom(2, 0, [1]), TypeError, "scale = "),
    (lambda: TracyWidom.for_gas(0), ValueError, "n = 0: must be an integer >= 1"),
    (lambda: TracyWidom.for_gas(10, beta=3), ValueError, "beta = 3"),
    (lambda: TracyWidom.for_gas(10, width=-1), ValueError, "width = -1"),
    (lambda: TracyWidom().replace(n=3), ValueError, "n is no parameter of TracyWidom: must be one of beta, loc, scale"),
    (lambda: TracyWidom.fit([]), ValueError, "data is empty"),
    (lambda: TracyWidom.fit([1.0, math.nan]), ValueError, r"data\[1\] = nan"),
    (lambda: TracyWidom.fit([1.0, 1.0]), ValueError, "different values"),
    (lambda: TracyWidom.fit([1.0, 2.0], loc=0, scale=1), ValueError, "all of loc, scale are fixed"),
    (lambda: TracyWidom.fit([1.0, 2.0], beta=3), ValueError, "beta = 3"),
    (lambda: SpacingRatio(-0.5), ValueError, "beta = -0.5: must be a finite number >= 0"),
    (lambda: SpacingRatio("1"), TypeError, "beta = '1'"),
    (lambda: SpacingRatio.fit([0.5, 1.5]), ValueError, "data contain 1.5: ratios must be > 0 and <= 1"),
    (lambda: UnfoldedSpacingRatio.fit([0.5, 0.0]), ValueError, "data contain 0: ratios must be > 0"),
    (lambda: SpacingRatio.fit([0.5], beta=1), ValueError, "all of beta are fixed"),
    (lambda: GaussianEnsembleDensity(0), ValueError, "n = 0: must be an integer >= 1"),
    (lambda: GaussianEnsembleDensity(2.5), ValueError, "n = 2.5"),
    (lambda: GaussianEnsembleDensity(None), TypeError, "n = None"),
    (lambda: GaussianEnsembleDensity(2, 3), ValueError, "beta = 3: must be 1, 2 or 4"),
    (lambda: GaussianEnsembleDensity(2, 2, 0, 0), ValueError, "scale = 0"),
    (lambda: GaussianEnsembleDensity.fit([1.0, 2.0]), ValueError, "n is not estimated: pass n= to fit"),
    (lambda: GaussianEnsembleDensity.fit([1.0, 1.0], n=2), ValueError, "different values"),
    (lambda: BulkSpacing(3), ValueError, "beta = 3: must be 1, 2 or 4"),
    (lambda: BulkSpacing(1, -1), ValueError, "scale = -1: must be a finite number > 0"),
    (lambda: BulkSpacing.fit([1.0, 0.0]), ValueError, "data contain 0: spacings must be > 0"),
    (lambda: BulkSpacing.fit([1e308, 1e308]), ValueError, "overflow"),
    (lambda: BulkSpacing.fit([1.0], scale=1), ValueError, "all of scale are fixed"),
]


@pytest.mark.parametrize(("make", "kind", "message"), BAD, ids=[f"{k}: {case[2]}" for k, case in enumerate(BAD)])
def test_bad_input(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
