"""Laws of the gas against matrices that are diagonalized here: edge, bulk, finite n, ratios of spacings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import eigvalsh_tridiagonal
from test_laws_gas import pvalue

from dysonsim.laws import (
    BulkSpacing,
    GaussianEnsembleDensity,
    Semicircle,
    SpacingRatio,
    TracyWidom,
    UnfoldedSpacingRatio,
    WignerSurmise,
)


def tridiagonal(n, beta, size, rng, corner=None):
    """Diagonals (size, n) and off-diagonals (size, n - 1) of the beta-Hermite model, width 1; or its top corner."""
    corner = corner or n
    degrees = beta * (n - np.arange(1, min(corner, n)))
    return rng.standard_normal((size, corner)), np.sqrt(rng.chisquare(degrees, (size, degrees.size)) / 2)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_tracy_widom_describes_the_largest_level(beta):
    """n = 10^6: the leading correction n^(-1/3) = .01 of the scale is below the error of 1000 matrices.

    Their largest eigenvalue lives on the first ~5 n^(1/3) rows.
    """
    n, size = 10**6, 1000
    rng = np.random.default_rng(30 + beta)
    diagonal, off = tridiagonal(n, beta, size, rng, corner=700)
    top = np.array(
        [eigvalsh_tridiagonal(d, e, select="i", select_range=(699, 699))[0] for d, e in zip(diagonal, off, strict=True)]
    )
    law = TracyWidom.for_gas(n, beta)
    assert pvalue(top, law.cdf) > 1e-4  # false alarm: 1e-4
    assert abs(top.mean() - law.mean()) < 4.5 * law.std() / math.sqrt(size)  # false alarm: 7e-6
    # negative controls: another beta, and for beta = 4 both other scalings
    others = [TracyWidom(other, law.loc, law.scale) for other in (1, 2, 4) if other != beta]
    if beta == 4:
        others += [law.replace(scale=law.scale * 2 ** (k / 6)) for k in (1, 4)]
    for other in others:
        assert pvalue(top, other.cdf) < 1e-6


def bulk_spacings(n, beta, size, rng):
    """Spacings of the middle third of the levels, in units of the semicircle's mean spacing: (size, n // 3)."""
    levels = np.array([eigvalsh_tridiagonal(d, e) for d, e in zip(*tridiagonal(n, beta, size, rng), strict=True)])
    density = n * Semicircle.for_gas(n, beta).pdf(0.5 * (levels[:, 1:] + levels[:, :-1]))
    return (np.diff(levels) * density)[:, n // 3 : 2 * (n // 3)]


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_bulk_spacing_describes_matrices(beta):
    """Spacings of one matrix are not independent: errors from the scatter between 800 matrices."""
    spacings = bulk_spacings(150, beta, 800, np.random.default_rng(50 + beta))
    law = BulkSpacing(beta)

    def deviation(variance, scale=1.0):
        squares = ((spacings - 1.0) ** 2).mean(1) - variance
        return squares.mean() / (squares.std() / math.sqrt(squares.size))

    assert abs(deviation(law.var())) < 4.5  # false alarm: 7e-6
    assert spacings.mean() == pytest.approx(1, abs=2e-3)
    assert pvalue(spacings[:, ::5].ravel(), law.cdf) > 1e-4  # every fifth is nearly independent
    # negative controls: another beta; for beta = 1 the surmise, whose variance is 4% off
    for other in (1, 2, 4):
        if other != beta:
            assert abs(deviation(BulkSpacing(other).var())) > 20
    if beta == 1:
        assert abs(deviation(WignerSurmise(1).var())) > 5


def dense_levels(n, beta, size, rng):
    """Eigenvalues (size, n) of full matrices, diagonal variance 1, off-diagonal beta/2; quaternions as 2 x 2 blocks."""
    if beta == 4:
        a, b = (rng.standard_normal((size, n, n)) + 1j * rng.standard_normal((size, n, n)) for _ in range(2))
        matrix = np.concatenate([np.concatenate([a, b], 2), np.concatenate([-b.conj(), a.conj()], 2)], 1)
    else:
        matrix = rng.standard_normal((size, n, n)) + (1j * rng.standard_normal((size, n, n)) if beta == 2 else 0)
    return np.linalg.eigvalsh(0.5 * (matrix + matrix.conj().swapaxes(1, 2)))[:, :: 2 if beta == 4 else 1]


@pytest.mark.parametrize("beta", [1, 2, 4])
@pytest.mark.parametrize("n", [3, 8])
def test_gaussian_ensemble_density_describes_full_matrices(n, beta):
    """One level of each of 20 000 matrices; `rvs` draws tridiagonal ones."""
    rng = np.random.default_rng(60 + n + beta)
    levels = dense_levels(n, beta, 20_000, rng)
    law = GaussianEnsembleDensity(n, beta)
    one = levels[np.arange(20_000), rng.integers(0, n, 20_000)]
    assert pvalue(one, law.cdf) > 1e-4  # false alarm: 1e-4
    squares = (levels**2).mean(1)
    assert abs(squares.mean() - law.var()) < 4.5 * squares.std() / math.sqrt(squares.size)  # false alarm: 7e-6
    # negative controls: one level more, another beta, a width that is off by 5%
    others = [law.replace(n=n + 1), law.replace(beta=2 if beta == 1 else 1), law.replace(scale=1.05)]
    for other in others:
        assert pvalue(one, other.cdf) < 1e-4
        assert abs(squares.mean() - other.var()) > 10 * squares.std() / math.sqrt(squares.size)


def test_large_gaussian_ensembles_approach_the_semicircle():
    x = np.linspace(-0.95, 0.95, 41)
    for beta in (1, 2, 4):
        gaps = []
        for n in (50, 150, 300):
            limit = Semicircle.for_gas(n, beta, 0.7)
            law = GaussianEnsembleDensity(n, beta, scale=0.7)
            gaps.append(np.abs(law.cdf(limit.radius * x) - limit.cdf(limit.radius * x)).max())
        # oscillations of order 1/n
        assert gaps[0] < 0.5 / 50
        assert gaps[1] < 0.5 / 150
        assert gaps[2] < 0.5 / 300
        assert gaps[2] < 0.5 * gaps[0]


def ratios(levels):
    spacings = np.diff(levels)
    return spacings[:, 1:] / spacings[:, :-1]


@pytest.mark.parametrize("beta", [0.7, 1, 2, 4])
def test_spacing_ratio_is_exact_for_three_levels(beta):
    rng = np.random.default_rng(70 + int(10 * beta))
    diagonal, off = tridiagonal(3, beta, 20_000, rng)
    matrices = np.zeros((20_000, 3, 3))
    matrices[:, range(3), range(3)] = diagonal
    matrices[:, range(1, 3), range(2)] = off
    ratio = ratios(np.linalg.eigvalsh(matrices)).ravel()  # the lower triangle is read
    folded = np.minimum(ratio, 1 / ratio)
    assert pvalue(folded, SpacingRatio(beta).cdf) > 1e-4  # false alarm: 1e-4
    assert pvalue(ratio, UnfoldedSpacingRatio(beta).cdf) > 1e-4
    # negative controls: beta off by 15%, Poisson
    for other in (1.15 * beta, 0):
        assert pvalue(folded, SpacingRatio(other).cdf) < 1e-4
    # the fit: information per ratio is at least .1/(1 + beta)^2; 4.5 standard errors, false alarm 7e-6
    error = 4.5 * (1 + beta) / math.sqrt(0.1 * folded.size)
    assert abs(SpacingRatio.fit(folded).beta - beta) < error
    assert UnfoldedSpacingRatio.fit(ratio).beta == pytest.approx(SpacingRatio.fit(folded).beta, rel=1e-6)
    best = SpacingRatio.fit(folded)
    assert best.loglikelihood(folded) >= max(SpacingRatio(best.beta * f).loglikelihood(folded) for f in (0.99, 1, 1.01))


@pytest.mark.parametrize(("beta", "surmise", "large"), [(1, 0.5359, 0.5307), (2, 0.6027, 0.5998), (4, 0.6762, 0.6744)])
def test_mean_spacing_ratio_of_large_matrices(beta, surmise, large):
    """Errors from the scatter between 16 000 matrices."""
    assert round(SpacingRatio(beta).mean(), 4) == surmise
    rng = np.random.default_rng(80 + beta)
    levels = np.array([eigvalsh_tridiagonal(d, e) for d, e in zip(*tridiagonal(60, beta, 16_000, rng), strict=True)])
    ratio = ratios(levels[:, 18:42])
    means = np.minimum(ratio, 1 / ratio).mean(1)
    error = means.std() / math.sqrt(means.size)
    assert abs(means.mean() - large) < 4.5 * error  # false alarm: 7e-6
    # negative controls: other beta, and for beta = 1 the surmise itself, 1% off
    for other in (0.5307, 0.5998, 0.6744):
        if other != large:
            assert abs(means.mean() - other) > 20 * error
    if beta == 1:
        assert abs(means.mean() - surmise) > 5 * error


def test_spacing_ratio_of_independent_levels():
    spacings = np.random.default_rng(90).standard_exponential((2, 50_000))
    ratio = spacings[1] / spacings[0]
    assert pvalue(ratio, UnfoldedSpacingRatio(0).cdf) > 1e-4  # false alarm: 1e-4
    assert pvalue(ratio, UnfoldedSpacingRatio(0.1).cdf) < 1e-6
    assert SpacingRatio(0).mean() == pytest.approx(2 * math.log(2) - 1, rel=1e-15)
