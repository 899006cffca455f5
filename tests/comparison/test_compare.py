"""`compare`: the contract, atoms, what is no ensemble, laws of SciPy, printing and plots, and bad input."""

from __future__ import annotations

import json
import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from draws import goe_pairs, single_levels
from scipy import stats

from dysonsim.comparison.compare import compare
from dysonsim.comparison.likelihood import likelihood_ratio
from dysonsim.laws import (
    MarchenkoPastur,
    MarchenkoPasturSingular,
    Normal,
    Semicircle,
    TwoLevel,
    WignerSurmise,
)
from dysonsim.spectra.observables import replicated


def test_an_atom_is_respected():
    """The zeros of wide matrices, exact or of rounding: D was half their number and A^2 infinite."""
    w = np.random.default_rng(21).normal(size=(40, 30, 60))
    rounded = np.linalg.eigvalsh(np.swapaxes(w, 1, 2) @ w / 30)
    exact = np.where(np.arange(60) < 30, 0.0, rounded)
    for values, law in (
        (rounded, MarchenkoPastur(2.0)),
        (exact, MarchenkoPastur(2.0)),
        (np.sqrt(np.abs(rounded)), MarchenkoPasturSingular(2.0)),
    ):
        found = compare(values, law, resamples=199)
        assert found.statistic < 0.02  # of finite size; a level is 1/60
        assert bool(found.notes) == (values is not exact)
        assert ("1200 of 2400 data are read as zeros" in str(found)) == (values is not exact)
        assert found.to_dict()["notes"] == list(found.notes)
        # control: the wrong share of zeros, or none at all
        for wrong in (law.replace(ratio=2.2), law.replace(ratio=0.9)):
            other = compare(values, wrong, resamples=199)
            assert other.statistic > 0.04
            assert not other.agrees or other.pvalue == 1 / 200
    drawn = MarchenkoPastur(2.0).rvs((400, 3), 30)
    noisy = np.where(drawn == 0, 1e-16 * np.random.default_rng(31).normal(size=drawn.shape), drawn)
    fitted = compare(noisy, MarchenkoPastur, resamples=199)
    assert abs(fitted.law.ratio - 2) < 0.2
    assert math.isfinite(fitted.ad.statistic)
    assert fitted.agrees
    assert "data are read as zeros" in str(fitted)
    # two samples: zeros of rounding of either are equal
    cut = compare(rounded[:20], exact[20:], resamples=199)
    assert cut.statistic < 0.05
    assert "600 differ from 0 by rounding" in str(cut)


LARGE = np.random.default_rng(22).normal(size=(300, 120))
LARGE_LEVELS = np.linalg.eigvalsh(LARGE.T @ LARGE / 300)


@pytest.mark.parametrize(
    "levels",
    [
        LARGE_LEVELS,
        LARGE_LEVELS[::-1],
        np.random.default_rng(23).permutation(LARGE_LEVELS),
        LARGE_LEVELS[:, None],
        np.random.default_rng(24).permutation(LARGE_LEVELS[::8]),  # 15 levels: by their distances alone
    ],
    ids=["ascending", "descending", "any order", "column", "few"],
)
def test_one_large_matrix_is_no_ensemble(levels):
    law = MarchenkoPastur(0.4)
    with pytest.warns(RuntimeWarning, match=f"data counts as {len(levels)} independent networks"):
        found = compare(levels, law)
    assert found.pvalue > 0.9
    if len(levels) > 20:
        with pytest.warns(RuntimeWarning, match="reference counts as 120 independent networks"):
            compare(law.rvs(50, 25), levels)
        with pytest.warns(RuntimeWarning, match="data counts as 120 independent networks"):
            likelihood_ratio(levels, MarchenkoPastur(0.4), MarchenkoPastur(0.41))


@pytest.mark.filterwarnings("error")
def test_independent_values_are_an_ensemble():
    """Control: no warning for one level of each network, for whole matrices, or for a Run."""
    rng = np.random.default_rng(26)
    compare(single_levels(200, rng), TwoLevel(0.0, 1.0))
    compare(goe_pairs(200, rng), TwoLevel(0.0, 1.0), resamples=99)
    compare(fake_run(), fake_run(), levels=0)


def test_distributions_of_scipy():
    x = np.random.default_rng(27).exponential(size=50)
    expected = stats.kstest(x, stats.expon(0, 2).cdf).statistic
    for law, name in (
        (stats.expon(0, scale=2), "expon(0, scale=2)"),
        (stats.Normal(mu=1.0, sigma=0.5), "Normal(mu=1.0, sigma=0.5)"),
        (2 * stats.Normal() + 1, "StandardNormal() + 1.0"),
        (stats.rv_histogram(np.histogram(x, bins=5, range=(-0.1, 9.0))), "Distribution"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            found = compare(x, law)
            columns = compare(x.reshape(25, 2), law, resamples=99)
        for text in (str(found), repr(found), found.to_dict()["law"], str(columns)):
            assert name in text
            assert " at 0x" not in text
        assert math.isfinite(found.statistic + found.ad.statistic)
    assert compare(x, stats.expon(0, 2)).statistic == pytest.approx(expected, rel=1e-12)
    for wrong, message in (
        (stats.expon, "reference is the family expon, without parameters: must be one law"),
        (stats.gamma, "the family gamma"),
        (stats.Normal, "reference = Normal: must be an instance"),
        (stats.poisson(3), r"poisson\(3\): must be a continuous law.* logpdf missing \(it is discrete\)"),
        (stats.poisson, "the family poisson"),
    ):
        with pytest.raises(TypeError, match=message):
            compare(x, wrong)


def test_floating_point_errors_are_not_those_of_the_caller():
    rng = np.random.default_rng(29)
    pairs = goe_pairs(60, rng)
    with np.errstate(all="raise"):
        compare(pairs, TwoLevel, resamples=99)
        compare(pairs, pairs[::-1] + 40.0, resamples=99)
        compare(np.diff(pairs), WignerSurmise(1), fit="all", resamples=99)
        compare(1e60 * pairs, TwoLevel(0.0, 1.0), resamples=99)
        compare(single_levels(60, rng), Semicircle(0.0, 5.0))
        compare(MarchenkoPastur(2.0).rvs((40, 2), rng), MarchenkoPastur(2.0), resamples=99)
        likelihood_ratio(pairs, TwoLevel, Normal)


def test_fit_and_contract():
    x = goe_pairs(1000, np.random.default_rng(28))
    found = compare(x, TwoLevel, method="ad")
    assert (found.statistic, found.pvalue) == (found.ad.statistic, found.ad.pvalue)
    assert found.law == TwoLevel.fit(x)
    assert set(found.errors) == {"loc", "scale"}
    assert found.covariance.shape == (2, 2)
    assert found.deviations == {}
    held = compare(x, TwoLevel(0.0, 1.3), fit=("scale",))
    assert held.parameters["loc"] == 0.0
    assert held.parameters["scale"] == pytest.approx(1.0, abs=0.06)
    assert list(held.errors) == ["scale"]
    given = compare(x, TwoLevel(0.0, 1.0))
    assert given.deviations["mean"] == pytest.approx(x.mean() / given.moments.mean_error)
    # the same seed gives the same p-value; another one differs in the third digit
    assert compare(x, TwoLevel, seed=1).pvalue == compare(x, TwoLevel, seed=1).pvalue
    assert compare(x, TwoLevel, seed=2).pvalue == pytest.approx(compare(x, TwoLevel, seed=1).pvalue, abs=0.02)
    for shift in (3.0, 1000.0):  # the second leaves no datum on the grid
        far = compare(x, TwoLevel(shift, 1.0), resamples=9)
        assert far.ks.pvalue == far.ad.pvalue == 0.1
    moving = compare(Semicircle(0.0, 1.0).rvs(400, 29), Semicircle)
    assert math.isnan(moving.errors["radius"])
    assert "counted as known" in moving.ks.null


def test_prints_and_stores():
    x = goe_pairs(500, np.random.default_rng(30))
    text = str(compare(x, TwoLevel(0.0, 1.0), fit=("scale",)))
    for part in ("500 replicas x 2 levels against TwoLevel", "given", "fitted", "±", "mean", "std"):
        assert part in text
    for part in (
        "Kolmogorov-Smirnov *",
        "Anderson-Darling",
        "whole replicas, refitted",
        "verdict at 0.001: no evidence",
    ):
        assert part in text
    wrong = compare(x, x + 1.0, method="ad")
    assert "Anderson-Darling *" in str(wrong)
    assert "do not follow" in str(wrong)
    assert "sigma" in str(wrong)
    for found in (wrong, compare(x, TwoLevel), compare(np.linspace(0, 1, 50), Semicircle(0.0, 0.5))):
        stored = json.loads(json.dumps(found.to_dict(), allow_nan=False))
        assert stored["pvalue"] == found.pvalue
        assert stored["ks"]["statistic"] == found.ks.statistic
    assert stored["ad"]["statistic"] is None  # infinite: data outside the support


def test_plots_on_given_axes():
    from matplotlib.figure import Figure

    x = goe_pairs(500, np.random.default_rng(31))
    for reference in (TwoLevel, x + 0.1):
        ax = Figure().subplots()
        found = compare(x, reference)
        assert found.plot(ax) is ax
        labels = " ".join(entry.get_text() for entry in ax.get_legend().get_texts())
        assert f"p = {found.pvalue:.2g}" in labels
        assert len(ax.containers) == (1 if reference is TwoLevel else 2)
    curve = Figure().subplots()
    law = compare(x, TwoLevel)
    law.plot(curve)
    grid, height = curve.lines[-1].get_data()
    np.testing.assert_allclose(height, law.law.pdf(grid))


def fake_run(replicas: int = 20, records: int = 3, n: int = 4) -> SimpleNamespace:
    x = np.sort(np.random.default_rng(32).random((replicas, records, n)), axis=2)
    return SimpleNamespace(eigenvalues=x, singular_values=np.sqrt(x))


def test_what_is_taken_from_a_run():
    run = fake_run()
    x = run.eigenvalues
    for options, expected in [
        ({}, x[:, -1]),
        ({"levels": 1}, x[:, -1, [1]]),
        ({"levels": (1, 2), "record": 0}, x[:, 0, 1:3]),
        ({"levels": slice(0, 2), "record": slice(1, 3)}, x[:, 1:, :2].reshape(20, 4)),
        ({"observable": "singular_values", "levels": [-1]}, np.sqrt(x[:, -1, [3]])),
        ({"observable": "spacings", "levels": (1, 2)}, x[:, -1, [2]] - x[:, -1, [1]]),
        ({"observable": "spacings"}, np.diff(x[:, -1])),
        ({"observable": lambda r: 9.0 - r.eigenvalues[:, 0, 0]}, 9.0 - x[:, 0, [0]]),
    ]:
        np.testing.assert_array_equal(replicated("data", run, **options), expected)
    spacing = compare(run, WignerSurmise, observable="spacings", levels=(1, 2))
    assert spacing.values.shape == (20, 1)
    assert compare(run, fake_run(), levels=(0, 3)).pvalue == 1.0
    assert compare(x[:, -1, 1], run, levels=1).statistic == compare(run, x[:, -1, 1], levels=1).statistic == 0.0


X = np.random.default_rng(33).normal(size=(30, 2))
BAD = [
    ((np.empty(0), Normal), {}, ValueError, r"data has shape \(0,\): must have at least 8 replicas"),
    ((X[:7], Normal), {}, ValueError, r"data has shape \(7, 2\)"),
    ((X[:, :, None], Normal), {}, ValueError, r"data has shape \(30, 2, 1\)"),
    ((np.where(X[3, 1] == X, np.nan, X), Normal), {}, ValueError, r"data\[3, 1\] = nan"),
    ((X, np.append(X[:, 0], np.inf)), {}, ValueError, r"reference\[30\] = inf"),
    ((np.ones(20), Normal), {}, ValueError, "data: all entries equal 1"),
    ((X + 1j, Normal), {}, TypeError, "data is ndarray.*complex"),
    (("spectrum", Normal), {}, TypeError, "data is str"),
    ((X, "TwoLevel"), {}, TypeError, "reference is str 'TwoLevel'"),
    ((X, 1.0), {}, TypeError, "reference = 1.0"),
    ((Normal(0, 1), X), {}, TypeError, "data is Normal"),
    ((Normal, X), {}, TypeError, "data is"),
    ((np.hstack([X, X]), X), {}, ValueError, r"reference has 2 levels: .*\(4\)"),
    ((X, X), {"fit": "all"}, ValueError, "fit = 'all'"),
    ((1e200 * X, X), {}, ValueError, r"data\[0, 0\] = .*e\+199: .*change the units"),
    ((X, 1e-200 * X), {}, ValueError, "reference.* change the units"),
    ((1e-160 * X, Normal(0, 1)), {}, ValueError, "data differ by .*e-160.* change the units"),
    ((X, Normal(0, 1)), {"fit": ("width",)}, ValueError, "fit = .*'loc', 'scale'"),
    ((X, Normal), {"method": "chi2"}, ValueError, "method = 'chi2'"),
    ((X, Normal), {"resamples": 0}, ValueError, "resamples = 0"),
    ((X, Normal), {"resamples": 10.5}, TypeError, "resamples = 10.5"),
    ((X, Normal), {"seed": -1}, ValueError, "seed = -1"),
    ((X, Normal), {"levels": 0}, ValueError, "levels = 0, .*data is an array"),
    ((fake_run(), Normal), {"observable": "modes"}, ValueError, "observable = 'modes'"),
    ((fake_run(), Normal), {"levels": 4}, ValueError, "levels = 4: must be an integer from -4 to 3"),
    ((fake_run(), Normal), {"levels": 0.5}, TypeError, "levels = 0.5"),
    ((fake_run(), Normal), {"levels": []}, ValueError, r"levels = \[\]"),
    ((fake_run(), Normal), {"record": 3}, ValueError, "record = 3: must be an integer from -3 to 2"),
    ((fake_run(), Normal), {"observable": "spacings", "levels": 1}, ValueError, "spacings need at least two"),
    ((-np.abs(X), WignerSurmise), {}, ValueError, "spacings must be >= 0"),
]


@pytest.mark.parametrize(("arguments", "options", "error", "message"), BAD)
def test_bad_input(arguments, options, error, message):
    with pytest.raises(error, match=message):
        compare(*arguments, **options)


def test_runs_of_one_seed_are_not_independent():
    import dysonsim as ds

    model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    runs = [ds.simulate(ds.SGD(model, 0.1, b), 50, 20, seed) for b, seed in ((4, 1), (8, 1), (8, 2))]
    with pytest.warns(RuntimeWarning, match="same seed = 1"):
        ds.compare(runs[0], runs[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds.compare(runs[0], runs[2])
