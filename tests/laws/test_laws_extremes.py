"""Laws at the ends of their parameters and in their tails: right numbers, or an error that says what is not."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest

from dysonsim.laws import (
    BulkSpacing,
    FussCatalan,
    GaussianEnsembleDensity,
    MarchenkoPastur,
    MarchenkoPasturSingular,
    NoisyMatrix,
    NoisySymmetric,
    Normal,
    PoissonSpacing,
    PorterThomas,
    Semicircle,
    SmallestSingularValue,
    SpacingRatio,
    SymmetricTwoByTwo,
    TracyWidom,
    TwoLevel,
    TwoSpecies,
    UnfoldedSpacingRatio,
    WignerSurmise,
    gas_log_density,
    gas_log_normalization,
)

UNITS = (1e-100, 1.0, 1e100)
LAWS = [
    *(cls(beta) for cls in (SpacingRatio, UnfoldedSpacingRatio) for beta in (0, 1e-300, 1e-3, 1, 41, 300, 1e4, 1e10)),
    *(
        cls(ratio)
        for cls in (MarchenkoPastur, MarchenkoPasturSingular)
        for ratio in (1e-100, 1e-9, 0.1, 0.3, 0.7, 1 - 1e-10, 1, 1 + 1e-10, 1.4, 3, 1e9, 1e100)
    ),
    *(cls(0.3, unit) for cls in (MarchenkoPastur, MarchenkoPasturSingular) for unit in UNITS),
    *(cls(loc, unit) for cls in (Normal, TwoLevel, Semicircle) for unit in UNITS for loc in (0.0, unit, -1e10)),
    *(WignerSurmise(beta, unit) for beta in (1, 2, 4) for unit in UNITS),
    *(BulkSpacing(beta, unit) for beta in (1, 2, 4) for unit in (1e-100, 1e100)),
    *(TracyWidom(beta, -1.0, unit) for beta, unit in ((1, 1e100), (2, 1e-100), (4, 1.0))),
    *(GaussianEnsembleDensity(5, beta, 1.0, unit) for beta in (1, 2, 4) for unit in (1e-100, 1e100)),
    *(PoissonSpacing(unit, order) for unit, order in ((1e-100, 1), (1e100, 1000))),
    *(PorterThomas(n, beta) for n, beta in ((2, 1), (3, 2), (10**6, 4))),
    *(FussCatalan(s, unit) for s, unit in ((1, 1e-100), (1, 1e100), (3, 1.0), (100, 1.0))),
    *(
        SmallestSingularValue(d, beta, n, unit)
        for d, beta, n, unit in (
            (0, 1, None, 1e-100),
            (0, 1, 1, 1e100),
            (0, 1, 1000, 1.0),
            (2, 2, 5, 1.0),
            (0, 4, 1000, 1.0),
            (2, 4, None, 1.0),
            (5, 1, None, 1.0),
        )
    ),
    BulkSpacing(2, 1e100, 3),
    NoisySymmetric([-1e40, 1e40], None, 1e80),
    NoisyMatrix([0.0, 1e90], None, 0.5, 1e90),
    NoisyMatrix([0.0], None, 1e-9, 1.0),
    NoisySymmetric([0.0], None, 1e-100),
    *(TwoSpecies(0, unit, other) for unit in UNITS for other in UNITS),
    *(SymmetricTwoByTwo(0, unit, other * unit, unit) for unit, other in ((1e-90, 1e-9), (1.0, 1.0), (1e90, 1e9))),
]
Q = np.array([1e-300, 1e-100, 1e-30, 1e-16, 1e-8, 0.001, 0.1, 0.3, 0.4999, 0.5, 0.51, 0.7, 0.9, 0.999, 1 - 1e-8])


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.filterwarnings("error")
def test_everywhere_defined(law):
    """No NaN, no probability outside [0, 1], no quantile outside the support, no floating-point error, at any x."""
    low, high = law.support()
    with np.errstate(all="raise"):
        quantiles = np.concatenate([law.ppf(Q), law.isf(Q)])
    assert ((quantiles >= low) & (quantiles <= high)).all()
    far = np.array([1e-300, 1e-160, 1e-30, 0.1, 1.0, 1e30, 1e160, 1e300, math.inf])
    ends = np.array([end for end in (low, high) if math.isfinite(end)])
    ends = np.concatenate([ends, np.nextafter(ends, -math.inf), np.nextafter(ends, math.inf)])
    x = np.unique(np.concatenate([far, -far, [0.0], quantiles, ends]))
    with np.errstate(all="raise"):
        cdf, sf, pdf, log_pdf = law.cdf(x), law.sf(x), law.pdf(x), law.logpdf(x)
        back, moments, sample = [law.ppf(cdf), law.isf(sf)], law.mean() + law.std() + law.median(), law.rvs(10, 1)
    for values in (cdf, sf, 1 - cdf, 1 - sf, pdf):
        assert (values >= 0).all()
    assert np.abs(cdf + sf - 1).max() < 1e-12
    assert (np.diff(cdf) >= -1e-12 * cdf[1:]).all()
    for values in (log_pdf, back, moments, sample):
        assert not np.isnan(values).any()


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_quantiles_return_to_their_probability(law):
    """To what the neighboring floats of x allow; the atom of a law holds many probabilities."""
    atom = getattr(law, "atom", 0.0)
    for inverse, function, allowed in ((law.ppf, law.cdf, atom < Q), (law.isf, law.sf, Q + atom < 1)):
        q = Q[allowed]
        x = inverse(q)
        up, down = (np.nextafter(np.nextafter(x, end), end) for end in (math.inf, -math.inf))
        slack = 3 * np.abs(function(up) - function(down)) + 1e-9 * q + 1e-305
        # a quantile that underflows, as the square of a small number does at the hard edge
        assert (np.abs(function(x) - q) <= slack + np.where(np.abs(x) < 1e-300, q, 0)).all()


# ---- ratios of spacings ----------------------------------------------------------------------------------------------


def ratio_reference(beta, r):
    """log pdf, cdf, sf of the folded law from P(r) ~ (r + r^2)^beta/(1 + r + r^2)^(1 + 3 beta/2), 40 digits."""
    b = mp.mpf(beta)
    norm = 2 * mp.pi * mp.gamma(1 + b) / (mp.mpf(3) ** (3 * (1 + b) / 2) * mp.gamma(1 + b / 2) ** 2)

    def density(x):
        return 2 * (x + x * x) ** b / (norm * (1 + x + x * x) ** (1 + 3 * b / 2))

    r = mp.mpf(r)
    # the density falls to the left of r over some 1/slope
    slope = b * (1 + 2 * r) * (1 / (r + r * r) - mp.mpf(3) / 2 / (1 + r + r * r)) + 1
    steps = [r - k / slope for k in (600, 300, 150, 100, 70, 50, 35, 25, 17, 11, 7, 4, 2, 1, 0) if k / slope < r]
    cdf = mp.quad(density, [mp.mpf(0), *steps])
    return mp.log(density(r)), cdf, 1 - cdf


@pytest.mark.parametrize("beta", [5, 30, 100, 300, 3000])
def test_ratio_of_spacings_in_the_left_tail(beta):
    law = SpacingRatio(beta)
    with mp.workdps(40):
        for q in (1e-250, 1e-100, 1e-20, 1e-9, 1e-4, 0.2, 0.499, 0.6, 0.99):
            r = law.ppf(q)
            log_pdf, cdf, sf = ratio_reference(beta, r)
            assert abs(law.logpdf(r) - log_pdf) < 1e-11
            assert abs(law.cdf(r) / cdf - 1) < 1e-10
            assert abs(law.sf(r) / sf - 1) < 1e-10
            unfolded = UnfoldedSpacingRatio(beta)
            assert abs(unfolded.cdf(r) / (cdf / 2) - 1) < 1e-10
            assert abs(unfolded.sf(1 / r) / (cdf / 2) - 1) < 1e-10
            # control: what 1 - sf leaves of it, as the tail was once computed
            if q < 1e-17:
                assert abs((1 - law.sf(r)) / cdf - 1) > 0.5
    assert SpacingRatio(300).cdf(0.5306644973132325) == pytest.approx(1e-20, rel=1e-11)


@pytest.mark.parametrize("beta", [0.02, 0.5, 1.05, 1.5, 4, 30, 39.9, 40, 200, 1e4, 1e9])
def test_moments_of_ratios(beta):
    """Against quadrature in 30 digits in the angle phi, mapped so that both ends are smooth."""
    with mp.workdps(30):
        b = mp.mpf(beta)

        def ratio(phi):
            return mp.sin(phi / 3) / mp.cos((phi + mp.pi / 2) / 3)

        def mean_of(function, lead):
            # phi = u^k makes phi^(beta + lead) regular at 0
            k = max(mp.mpf(1), 2 / (b + lead + 1))
            wide = (mp.pi / 2) ** (1 / k)
            cuts = [0, wide] if b < 100 else [wide * (1 - min(1, c / mp.sqrt(b))) for c in (40, 12, 4, 0)]
            return mp.quad(lambda u: k * u ** (k - 1) * mp.sin(u**k) ** b * function(ratio(u**k)), cuts)

        norm = mean_of(lambda r: 1, 0)
        mean, both = mean_of(lambda r: r, 0) / norm, mean_of(lambda r: (r + 1 / r) / 2, -1) / norm
        var = mean_of(lambda r: (r - mean) ** 2, 0) / norm
        assert SpacingRatio(beta).mean() == pytest.approx(float(mean), rel=1e-13)
        assert SpacingRatio(beta).var() == pytest.approx(float(var), rel=2e-11)
        assert UnfoldedSpacingRatio(beta).mean() == pytest.approx(float(both), rel=1e-11)
        if beta > 1:
            var = mean_of(lambda r: ((r - both) ** 2 + (1 / r - both) ** 2) / 2, -2) / norm
            assert UnfoldedSpacingRatio(beta).var() == pytest.approx(float(var), rel=1e-10)
        else:
            assert UnfoldedSpacingRatio(beta).var() == math.inf


def test_poisson_ratios_are_fitted_as_such():
    """beta = 0 where its likelihood is larger; not where levels repel a little (control)."""
    rng = np.random.default_rng(8)
    for n in (50, 20_000):
        spacings = rng.exponential(size=(2, n))
        assert SpacingRatio.fit(spacings.min(0) / spacings.max(0)).beta == 0.0
        assert UnfoldedSpacingRatio.fit(spacings[1] / spacings[0]).beta == 0.0
    for beta in (0.2, 1.0, 300.0, 1e7):
        fitted = SpacingRatio.fit(SpacingRatio(beta).rvs(4000, 3))
        assert abs(fitted.beta / beta - 1) < (0.15 if beta >= 1 else 0.9)  # five standard errors or more
    with pytest.raises(ValueError, match="all 1"):
        SpacingRatio.fit([1.0, 1.0])


# ---- Marchenko-Pastur ------------------------------------------------------------------------------------------------


def test_marchenko_pastur_at_its_edges():
    """cdf was 1 + 2e-16 at the upper edge of every second ratio, and ppf of that NaN."""
    for ratio in np.concatenate([np.linspace(0.01, 3, 150), np.geomspace(1e-8, 1e8, 50)]):
        for cls in (MarchenkoPastur, MarchenkoPasturSingular):
            law = cls(float(ratio), 0.7)
            low, high = law.support()
            x = np.array([low, np.nextafter(low, high), np.nextafter(high, low), high, np.nextafter(high, math.inf)])
            cdf, sf = law.cdf(x), law.sf(x)
            assert cdf.min() >= 0
            assert cdf.max() <= 1
            assert cdf[-2] > 1 - 1e-14
            assert sf[-1] == 0
            back = np.concatenate([law.ppf(cdf), law.isf(sf)])
            assert ((back >= low) & (back <= high)).all()


# ---- bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Normal(1e290, 1), r"loc = 1e\+290: must be at most 1e\+100 in size; change the units"),
        (lambda: TwoLevel(0, 1e-300), "scale = 1e-300: must be at least 1e-100; change the units"),
        (lambda: MarchenkoPastur(1e-290), "ratio = 1e-290: must be at least 1e-100"),
        (lambda: SpacingRatio(1e11), r"beta = 1e\+11: must be a finite number >= 0 and <= 1e\+10"),
        (lambda: SpacingRatio(1e290), r"beta = 1e\+290: must be"),
        (lambda: GaussianEnsembleDensity(10**6).pdf(0.0), "n = 1000000: must be at most 1000"),
        (lambda: GaussianEnsembleDensity(10**400), "n: must be a finite number, and is too large"),
        (lambda: SymmetricTwoByTwo(0, 1e-20, 1, 1), "std11 = 1e-20: must be at least 1e-10 of the largest width"),
        (lambda: SymmetricTwoByTwo.fit([0.0, 1.0, 3.0], std11=1e-300), "std11 = 1e-300: must be at least 1e-100"),
        (lambda: SymmetricTwoByTwo.fit([0.0, 1.0, 3.0], std11=1e-90), "std11 = .*: must be from 0.0001 to 10000 of"),
        (lambda: SymmetricTwoByTwo.fit([0.0, 1.0, 3.0], std12=1e5), "std12 = 100000: must be from 0.0001 to 10000 of"),
        (lambda: TwoLevel.fit([0.0, 1e200]), r"data\[1\] = 1e\+200: squares would overflow"),
        (lambda: gas_log_normalization(10**12, 1.0), "n = 1000000000000: must be at most 1000000"),
        (lambda: gas_log_density([0.1, 0.2], 1e290), r"beta = 1e\+290"),
        (lambda: gas_log_density([0.1, 0.2], 1e-90, "laguerre", m=5), "beta = 1e-90: .*has no integral"),
        (lambda: MarchenkoPasturSingular.fit([1e70, 2e70, 3e70]), r"variance = .*e\+140: must be at most 1e\+100"),
        (lambda: Semicircle.for_gas(10**250), "n = .*: must be"),
    ],
)
def test_beyond_the_bounds(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_densities_of_large_gases():
    """At the largest n the density is the semicircle to 1/n in the middle, and the table its integral."""
    law, limit = GaussianEnsembleDensity(1000, 2), Semicircle.for_gas(1000, 2)
    x = np.linspace(-50, 50, 7)
    np.testing.assert_allclose(law.pdf(x), limit.pdf(x), rtol=2e-3)
    np.testing.assert_allclose(law.cdf(x), limit.cdf(x), atol=2e-4)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    assert law.cdf(3.0) - law.cdf(-1.0) == pytest.approx(2 * float(weights @ law.pdf(1 + 2 * nodes)), rel=1e-11)
