"""Laws of fluctuations: against reference values of 15 and more digits, limits, random matrices, and wrong input.

Statistical tests have fixed seeds and one Kolmogorov-Smirnov p-value each, false below 1e-3 once in 1000 seeds; the
same data with another parameter are the negative controls.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import dysonsim as ds
from dysonsim.laws import (
    BulkSpacing,
    FussCatalan,
    MarchenkoPastur,
    NoisyMatrix,
    NoisySymmetric,
    PoissonSpacing,
    PorterThomas,
    Semicircle,
    SmallestSingularValue,
)

# Values computed in two ways each: series and quadratures of Fredholm determinants, closed forms, roots of polynomials.
ORACLE = json.loads((Path(__file__).parent / "fluctuations_oracle.json").read_text())


def computed(entry):
    """The number of the library that an entry of the oracle is about."""
    name, given, x = entry["id"], entry["params"], float(entry["x"])
    kind = name.rsplit("_", 1)[1]
    if name.startswith("fuss_catalan"):
        return getattr(FussCatalan(given["factors"]), kind)(x)
    if name.startswith("spacing"):
        return getattr(BulkSpacing(given["beta"], order=given["k"] + 1), {"p": "pdf"}.get(kind, kind))(x)
    if name.startswith(("hard_edge", "smallest_finite")):
        law = SmallestSingularValue(given["d"], given["beta"], given.get("n"))
        return law.sf(x) if kind == "sf" else getattr(law, kind)()
    if name == "porter_thomas_sf":
        return PorterThomas(given["n"], given["beta"]).sf(x)
    if name == "inverse_participation_mean":
        return PorterThomas(given["n"], given["beta"]).inverse_participation()
    atoms, weights = (np.array(given[key], dtype=float) for key in ("atoms", "weights"))
    if name.startswith("free"):
        return NoisySymmetric(atoms, weights, float(given["variance"])).pdf(x)
    return NoisyMatrix(atoms, weights, float(given["ratio"]), float(given["variance"])).pdf(x)


def test_reference_values():
    assert len(ORACLE) > 200
    for entry in ORACLE:
        allowed = max(1e-12, 10.0 ** (1 - entry["digits"]))
        assert computed(entry) == pytest.approx(float(entry["value"]), rel=allowed), entry


def test_variances_of_spacings():
    """Var p_1(1; .)/4 = Var p_4(0; .), since every second level of beta = 1 is of beta = 4."""
    assert BulkSpacing(1, order=2).var() / 4 == pytest.approx(BulkSpacing(4).var(), rel=1e-11)
    assert BulkSpacing(1, 0.3, 3).mean() == pytest.approx(0.9, rel=1e-14)
    x = np.array([0.1, 0.7, 1.3, 2.0, 4.0])
    np.testing.assert_allclose(BulkSpacing(1, order=2).sf(2 * x), BulkSpacing(4).sf(x), rtol=1e-10)
    np.testing.assert_allclose(2 * BulkSpacing(1, order=2).pdf(2 * x), BulkSpacing(4).pdf(x), rtol=1e-10)


SPACINGS = [BulkSpacing(1, 0.7, 2), BulkSpacing(2, 0.7, 3), BulkSpacing(4, 0.7, 3)]
EDGES = [SmallestSingularValue(d, beta) for beta, d in ((1, 0), (1, 2), (1, 3), (2, 2), (4, 1))]
FINITE = [SmallestSingularValue(d, beta, 7) for beta, d in ((1, 0), (1, 1), (1, 3), (2, 1), (2, 2), (4, 0))]
FREE = [FussCatalan(3, 0.5), NoisySymmetric([-1, 1, 4], [0.35, 0.4, 0.25], 0.4), NoisyMatrix([0.5, 3], None, 0.4, 0.1)]


@pytest.mark.parametrize(
    "law", [*SPACINGS, *EDGES, *FINITE, *FREE, PorterThomas(9, 4), PoissonSpacing(2.0, 3)], ids=str
)
def test_functions_of_a_law_agree(law):
    """Density and distribution function, both tails, quantiles, mean and variance: by integrals over the quantiles."""
    q = np.array([1e-6, 0.01, 0.3, 0.6, 0.99, 1 - 1e-6])
    x = law.ppf(q)
    np.testing.assert_allclose(law.cdf(x), q, rtol=1e-7)
    np.testing.assert_allclose(law.sf(law.isf(q)), q, rtol=1e-7)
    np.testing.assert_allclose(law.cdf(x) + law.sf(x), 1.0, rtol=1e-12)
    step = 1e-4 * (law.ppf(0.6) - law.ppf(0.4))
    inner = x[2:-1]
    slope = (
        8 * (law.cdf(inner + step) - law.cdf(inner - step)) - law.cdf(inner + 2 * step) + law.cdf(inner - 2 * step)
    ) / (12 * step)
    np.testing.assert_allclose(law.pdf(inner), slope, rtol=2e-7)
    if law in FREE:  # whose quantiles jump over gaps, or crowd at 0: moments are those of random matrices below
        sample = law.rvs(20_000, random_state=1)
        assert abs(sample.mean() - law.mean()) < 4.5 * law.std() / 20_000**0.5
        assert sample.var() == pytest.approx(law.var(), rel=0.2)
        return
    nodes, weights = np.polynomial.legendre.leggauss(150)
    share = np.sin(0.25 * np.pi * (1 + nodes)) ** 2
    weights = weights * 0.25 * np.pi * np.sin(0.5 * np.pi * (1 + nodes))
    values = law.ppf(share)
    assert weights @ values == pytest.approx(law.mean(), rel=3e-4)
    assert weights @ (values - law.mean()) ** 2 == pytest.approx(law.var(), rel=3e-3)


def test_limits():
    x = np.linspace(0.1, 0.9, 9)
    for law, other in (
        (FussCatalan(1, 0.5), MarchenkoPastur(1.0, 0.5)),
        (NoisyMatrix([0.0], None, 0.3, 2.0), MarchenkoPastur(0.3, 2.0)),
        (NoisyMatrix([0.0], None, 1.0, 2.0), MarchenkoPastur(1.0, 2.0)),
        (NoisySymmetric([0.3], None, 0.5), Semicircle(0.3, 2 * 0.5**0.5)),
        (PorterThomas(10**6, 2), stats.gamma(1.0)),
        (SmallestSingularValue(0, 1, 1), stats.halfnorm()),
    ):
        points, allowed = other.ppf(x), 1e-4 if isinstance(law, PorterThomas) else 1e-12
        for name in ("pdf", "cdf", "sf"):
            np.testing.assert_allclose(getattr(law, name)(points), getattr(other, name)(points), rtol=allowed)
    far = SmallestSingularValue(3, 1, 1000), SmallestSingularValue(3, 1)
    np.testing.assert_allclose(far[0].sf([1.0, 2.0]), far[1].sf([1.0, 2.0]), atol=6e-4)
    # noise that is small leaves every value a semicircle of its own
    law = NoisySymmetric([0.0, 10.0], [0.25, 0.75], 1e-4)
    np.testing.assert_allclose(law.components(), [[-0.01, 0.01], [10 - 0.01732, 10 + 0.01732]], atol=2e-5)
    assert law.cdf(5.0) == 0.25


def test_tails_to_the_smallest_numbers():
    """Both ends by leading terms, which other formulas give."""
    for beta, d in ((1, 0), (1, 2), (2, 1), (4, 1)):
        law = SmallestSingularValue(d, beta)
        ratio = law.cdf(1e-8) / law.cdf(1e-9)
        assert ratio == pytest.approx(10.0 ** (beta * (d + 1)), rel=1e-6)
        assert law.logpdf(1e-8) == pytest.approx(np.log(beta * (d + 1) * law.cdf(1e-8) / 1e-8), rel=1e-10)
    assert SmallestSingularValue(2, 2).sf(15.0) == pytest.approx(np.exp(-225) * _toeplitz(30.0), rel=1e-11)
    for beta, order in ((1, 3), (2, 2), (4, 3)):
        law = BulkSpacing(beta, order=order)
        power = np.log(law.cdf(1e-3) / law.cdf(1e-4)) / np.log(10)
        # k levels inside, all as close: (k + 2)(k + 1) beta/2 + k + 1
        assert power == pytest.approx((order + 1) * order * beta / 2 + order, rel=1e-6)


def _toeplitz(z):
    from scipy.special import iv

    return iv(0, z) ** 2 - iv(1, z) ** 2


# ---- random matrices -------------------------------------------------------------------------------------------------


def gaussian(rng, shape, beta):
    """Independent entries with E|w|^2 = 1, quaternions as 2 x 2 blocks."""
    if beta == 1:
        return rng.standard_normal(shape)
    a = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    if beta == 2:
        return a
    b = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    return np.block([[a, b], [-b.conj(), a.conj()]]) / np.sqrt(2)


@pytest.mark.parametrize(("beta", "d", "n"), [(1, 0, 5), (1, 3, 5), (2, 2, 4), (4, 0, 3)])
def test_smallest_singular_values_of_small_matrices(beta, d, n):
    rng = np.random.default_rng(beta)
    smallest = np.linalg.svd(gaussian(rng, (4000, n + d, n), beta), compute_uv=False)[:, -1] * np.sqrt(n)
    assert stats.kstest(smallest, SmallestSingularValue(d, beta, n).cdf).pvalue > 1e-3
    wrong = SmallestSingularValue(d, beta, n, scale=1.1)
    assert stats.kstest(smallest, wrong.cdf).pvalue < 1e-3
    assert SmallestSingularValue.fit(smallest, excess=d, beta=beta, n=n).scale == pytest.approx(1, abs=0.04)


def test_quaternion_limit():
    """beta = 4 with excess, where nothing of finite n is used: within the order 1/n of n = 40."""
    rng = np.random.default_rng(5)
    smallest = np.linalg.svd(gaussian(rng, (300, 41, 40), 4), compute_uv=False)[:, -1] * np.sqrt(40)
    assert stats.kstest(smallest, SmallestSingularValue(1, 4).cdf).pvalue > 1e-3
    assert stats.kstest(smallest, SmallestSingularValue(0, 4).cdf).pvalue < 1e-3


def test_eigenvectors():
    rng = np.random.default_rng(1)
    for beta in (1, 2):
        a = gaussian(rng, (1500, 6, 6), beta)
        y = 6 * np.abs(np.linalg.eigh(a + a.conj().swapaxes(1, 2))[1][:, 0, 2]) ** 2
        assert stats.kstest(y, PorterThomas(6, beta).cdf).pvalue > 1e-3
        assert stats.kstest(y, PorterThomas(6, 3 - beta).cdf).pvalue < 1e-3
        assert abs(PorterThomas.fit(y, beta=beta).n - 6) <= 2


@pytest.mark.parametrize("beta", [1, 2])
def test_spacings_of_higher_order(beta):
    """In the middle of 60 levels, density constant there within 1%; control: the other beta."""
    rng = np.random.default_rng(beta)
    a = gaussian(rng, (1500, 60, 60), beta)
    x = np.linalg.eigvalsh((a + a.conj().swapaxes(1, 2)) / np.sqrt(2))
    unfolded = 60 * Semicircle(0.0, 2 * np.sqrt(60)).cdf(x)
    for order in (1, 2, 3):
        s = unfolded[:, 30 + order] - unfolded[:, 30]
        assert stats.kstest(s, BulkSpacing(beta, order=order).cdf).pvalue > 1e-3
        assert stats.kstest(s, BulkSpacing(3 - beta, order=order).cdf).pvalue < 1e-3
        assert stats.kstest(s, PoissonSpacing(order=order).cdf).pvalue < 1e-3


def test_poisson_levels():
    rng = np.random.default_rng(4)
    s = np.cumsum(rng.exponential(0.3, (3000, 3)), axis=1)[:, -1]
    assert stats.kstest(s, PoissonSpacing(0.3, 3).cdf).pvalue > 1e-3
    assert stats.kstest(s, PoissonSpacing(0.3, 2).cdf).pvalue < 1e-3
    assert PoissonSpacing.fit(s, order=3).scale == pytest.approx(0.3, rel=0.03)
    assert ds.laws.SpacingRatio.fit(np.divide(*np.sort(rng.exponential(size=(2, 3000)), axis=0))).beta == 0


def distance(levels, law):
    return stats.kstest(np.ravel(levels), law.cdf).statistic


def test_densities_of_large_matrices():
    """400 levels of one matrix fluctuate by far less than 1% about the density; controls: a parameter 10% off."""
    rng = np.random.default_rng(2)
    n = 400
    product = rng.standard_normal((n, n)) @ rng.standard_normal((n, n)) / n
    x = np.linalg.eigvalsh(product.T @ product)
    assert distance(x, FussCatalan(2)) < 0.01 < distance(x, FussCatalan(2, 1.1))
    assert distance(x, FussCatalan(3)) > 0.01
    noise = rng.standard_normal((n, n))
    atoms = np.repeat([-1.0, 1.0, 2.0], [160, 160, 80])
    x = np.linalg.eigvalsh(np.diag(atoms) + (noise + noise.T) * np.sqrt(0.3 / (2 * n)))
    weights = [0.4, 0.4, 0.2]
    assert (
        distance(x, NoisySymmetric([-1, 1, 2], weights, 0.3))
        < 0.01
        < distance(x, NoisySymmetric([-1, 1, 2], weights, 0.4))
    )
    m = 800
    fixed = np.zeros((m, n))
    fixed[np.arange(n), np.arange(n)] = np.sqrt(m * np.repeat([1.0, 4.0], 200))
    x = np.linalg.svd(fixed + np.sqrt(0.25) * rng.standard_normal((m, n)), compute_uv=False) ** 2 / m
    law = NoisyMatrix([1.0, 4.0], None, 0.5, 0.25)
    assert distance(x, law) < 0.01 < distance(x, law.replace(ratio=0.3))
    assert distance(x, law.replace(variance=0.35)) > 0.01
    assert x.mean() == pytest.approx(law.mean(), rel=0.01)
    assert x.var() == pytest.approx(law.var(), rel=0.02)
    apart = law.rvs((60, 3), random_state=3)  # as compare takes them: independent levels of replicas
    assert ds.compare(apart, law).pvalue > 1e-3
    assert "values = (1, 4)" in str(ds.likelihood_ratio(apart, law, Semicircle(2.7, 3.5)))


@pytest.mark.parametrize(
    ("law", "fixed"),
    [
        (NoisySymmetric([-1, 1], None, 0.4), {"values": [-1, 1]}),
        (FussCatalan(2, 0.7), {"factors": 2}),
        pytest.param(
            NoisyMatrix([1, 4], None, 0.5, 0.25), {"values": [1, 4], "ratio": 0.5}, marks=pytest.mark.slow
        ),  # a second
    ],
    ids=str,
)
def test_fits_of_laws_with_edges(law, fixed):
    """The edges set the rate, as for the semicircle."""
    x = law.rvs(1500, random_state=1)  # a gap beside few levels would have it fitted thrice
    fitted = type(law).fit(x, **fixed)
    assert fitted.variance == pytest.approx(law.variance, rel=0.04)
    assert fitted.loglikelihood(x) >= law.loglikelihood(x) - 1e-6
    assert fitted.replace(variance=1.1 * fitted.variance).loglikelihood(x) < fitted.loglikelihood(x) - 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BulkSpacing(1, order=4), "order = 4: must be 1, 2 or 3"),
        (lambda: BulkSpacing(0), "beta = 0: must be 1, 2 or 4"),
        (lambda: PoissonSpacing(order=0), "order = 0: must be an integer >= 1"),
        (lambda: PoissonSpacing.fit([-1.0, 2.0]), "data contain -1: spacings must be >= 0"),
        (lambda: SmallestSingularValue(-1), "excess = -1: must be an integer >= 0"),
        (lambda: SmallestSingularValue(4, 4), "excess = 4: must be at most 3 for beta = 4"),
        (lambda: SmallestSingularValue(2, 1, 10), "excess = 2: the law of finite n is known here for excess 0, 1 and"),
        (lambda: SmallestSingularValue(n=2000), "n = 2000: must be at most 1000"),
        (lambda: SmallestSingularValue.fit([0.0, 1.0]), "data contain 0: singular values must be > 0"),
        (lambda: PorterThomas(1), "n = 1: must be an integer >= 2"),
        (lambda: PorterThomas(5, 3), "beta = 3: must be 1, 2 or 4"),
        (lambda: FussCatalan(0), "factors = 0: must be an integer >= 1"),
        (lambda: FussCatalan(90, 1e3), "10\\^270, must be from"),
        (lambda: FussCatalan.fit([1.0, 2.0]), "factors is not estimated"),
        (lambda: NoisyMatrix([-1.0]), "values contain -1: eigenvalues of A\\^T A must be >= 0"),
        (lambda: NoisyMatrix([1.0], None, 2.0), "ratio = 2: must be at most 1"),
        (lambda: NoisySymmetric([1.0, 2.0], [0.5, 0.6]), "weights add up to 1.1: must add up to 1"),
        (lambda: NoisySymmetric([1.0, 2.0], [0.5]), "weights: must be one for each of the 2 values, not 1"),
        (lambda: NoisySymmetric([1.0, 2.0], [1.5, -0.5]), "weights contain -0.5: must be >= 0"),
        (lambda: NoisySymmetric([]), "values"),
        (lambda: NoisySymmetric([1.0], variance=0), "variance = 0: must be a finite number > 0"),
        (lambda: NoisySymmetric.fit([1.0, 2.0]), "values are not estimated"),
    ],
)  # fmt: skip
def test_wrong_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_quantiles_at_a_hard_edge():
    q = np.array([1e-12, 1e-9, 1e-6, 1e-3, 0.5])
    hard = NoisyMatrix([0.0], ratio=1.0)
    np.testing.assert_allclose(hard.ppf(q), MarchenkoPastur(ratio=1.0).ppf(q), rtol=1e-8)
    for law in (NoisyMatrix([0.0, 1.0], ratio=1.0, variance=0.3), NoisyMatrix([1.0], ratio=1.0, variance=2.0)):
        np.testing.assert_allclose(law.cdf(law.ppf(q)), q, rtol=1e-9)
