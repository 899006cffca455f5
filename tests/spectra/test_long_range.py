"""Number variance, rigidity and form factor: against theory on random matrices, where they are biased, and input."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from scipy import stats

import dysonsim as ds
from dysonsim.spectra.taper import smoothed, taper, transform

RNG = np.random.default_rng(12)
LENGTHS = np.array([0.5, 1.0, 2.0, 5.0, 10.0])
TIMES = np.array([0.1, 0.3, 0.6, 1.0, 1.5, 2.5])
FUNCTIONS = {
    ds.number_variance: (LENGTHS, ds.laws.NumberVariance),
    ds.rigidity: (LENGTHS, ds.laws.Rigidity),
    ds.form_factor: (TIMES, ds.laws.FormFactor),
}


def goe(replicas, n, rng=RNG):
    """Levels of real symmetric matrices; nothing of dysonsim is in them."""
    a = rng.normal(size=(replicas, n, n))
    return np.linalg.eigvalsh((a + np.swapaxes(a, 1, 2)) / 2)


def gue(replicas, n):
    a = RNG.normal(size=(replicas, n, n)) + 1j * RNG.normal(size=(replicas, n, n))
    return np.linalg.eigvalsh((a + np.conj(np.swapaxes(a, 1, 2))) / 2)


def poisson(replicas, n):
    return np.sort(RNG.normal(size=(replicas, n)), axis=1)


SPECTRA = {1: goe(1500, 50), 2: gue(600, 50), 0: poisson(1500, 200)}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("beta", SPECTRA)
def test_theory_is_found(function, beta):
    """Within 4.5 standard errors at every point (false alarm 1e-4 a curve), and 0.5%: levels are finite in number."""
    x, law = FUNCTIONS[function]
    curve = function(SPECTRA[beta], x)
    expected = curve.expected(law(beta))
    if beta == 0 and function is ds.number_variance:
        expected = x * (1 - x / 200)
    slack = 0.02 if beta == 0 else 0.005  # 200 levels in all lower Delta_3 and K as well
    assert (abs(curve.value - expected) < 4.5 * curve.error + slack * expected).all()
    assert (curve.error < 0.06 * expected).all()
    other = curve.expected(law({1: 2, 2: 1, 0: 1}[beta]))
    assert (abs(curve.value - other) / curve.error).max() > 8  # negative control


def test_few_replicas_are_unbiased():
    """GOE, n = 50, R = 16, mean over 90 ensembles: within 3% of the many-replica truth, here known as the law."""
    x = np.array([1.0, 2.0, 5.0, 10.0])
    data = SPECTRA[1][:1440].reshape(90, 16, 50)
    found = np.array([ds.number_variance(ensemble, x).value for ensemble in data])
    truth = ds.number_variance(SPECTRA[1][:1440], x).value
    np.testing.assert_allclose(found.mean(axis=0), truth, rtol=0.03)


def test_errors_are_those_of_repetitions():
    """Ratio of the scatter over 90 ensembles of 16 to the errors: 1 within 35%, rigidity at short lengths included."""
    data = SPECTRA[1][:1440].reshape(90, 16, 50)
    for function in (ds.number_variance, ds.rigidity):
        curves = [function(ensemble, [0.5, 1.0, 5.0]) for ensemble in data]
        ratio = np.std([c.value for c in curves], axis=0) / np.mean([c.error for c in curves], axis=0)
        assert (abs(ratio - 1) < 0.35).all(), ratio


def test_a_law_as_density():
    law = ds.laws.GaussianEnsembleDensity(50, 1, 0.0, 1.0)
    data = SPECTRA[1] / np.std(SPECTRA[1]) * law.std()
    for function, (x, theory) in FUNCTIONS.items():
        curve = function(data, x, density=law)
        expected = curve.expected(theory(1))
        assert (abs(curve.value - expected) < 4.5 * curve.error + 0.01 * expected).all()


def test_polynomials_take_fluctuations_out():
    """What the docstring states, for degree 9 at n = 50: 0.57 of Sigma^2 and 0.98 of Delta_3 at L = 10."""
    with pytest.warns(RuntimeWarning, match="density = 9: .* number variance"):
        curve = ds.number_variance(SPECTRA[1], [5.0, 10.0], density=9)
    np.testing.assert_allclose(curve.value / ds.laws.NumberVariance(1)([5.0, 10.0]), [0.81, 0.57], atol=0.03)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        curve = ds.rigidity(SPECTRA[1], [5.0, 7.0], density=9)
        ds.number_variance(SPECTRA[1], [1.0], density=9)
    np.testing.assert_allclose(curve.value / ds.laws.Rigidity(1)([5.0, 7.0]), 1, atol=0.03)
    with pytest.warns(RuntimeWarning, match=r"density = 7: .* tau = 5 degree/n = 0.7"):
        ds.form_factor(SPECTRA[1], [0.5], density=7)


def test_a_single_spectrum_has_errors_of_blocks_and_says_so():
    row = goe(1, 800)[0]
    law = ds.laws.Semicircle(0.0, float(np.sqrt(2 * 800)))
    curve = ds.number_variance(row, [1.0, 5.0, 100.0], density=law)
    assert curve.samples.shape == (8, 3)
    assert "single spectrum" in str(curve)
    assert np.isnan(curve.error).tolist() == [False, False, True]
    assert np.isfinite(curve.value).all()
    assert (abs(curve.value - ds.laws.NumberVariance(1)(curve.x))[:2] < 5 * curve.error[:2]).all()
    wave = ds.form_factor(row, [0.2, 2.0], density=law)
    assert (abs(wave.value - wave.expected(ds.laws.FormFactor(1))) < 5 * wave.error).all()
    with pytest.raises(ValueError, match=r"times hold 0.01: must be 0.04 or more for a single spectrum"):
        ds.form_factor(row, [0.01], density=law)
    with pytest.raises(ValueError, match="1 spectra: must be of 8 or more"):
        ds.compare(curve, ds.laws.NumberVariance(1))


def test_taper():
    """Its transform and its average over a law, against sums over a fine grid."""
    window, width = (3.0, 11.0), 8.0
    grid = np.linspace(*window, 200_001)
    for time in (0.0, 0.125, 0.31, 1.7):
        known = np.trapezoid(taper(grid, window) * np.exp(2j * np.pi * time * grid), grid)
        assert transform(np.array([time]), window)[0] == pytest.approx(known, abs=1e-8)
    u = np.linspace(-9, 9, 400_001)
    power = abs(transform(u, window)) ** 2
    for law in (ds.laws.FormFactor(1), ds.laws.FormFactor(2), lambda t: np.cos(t)):
        known = (power * law(abs(0.9 + u))).sum() / power.sum()
        assert smoothed(law, np.array([0.9]), width)[0] == pytest.approx(known, rel=1e-6)
    assert smoothed(ds.laws.FormFactor(4), np.array([1.0]), width)[0] < 2  # which is infinite there


def test_disconnected_part_is_that_of_the_window():
    curve = ds.form_factor(SPECTRA[1], [0.02, 0.04, 1.0])
    known = abs(transform(curve.x, curve.window)) ** 2 / (3 / 8 * 25)
    np.testing.assert_allclose(curve.disconnected, known, rtol=0.02, atol=0.01)
    assert ds.rigidity(SPECTRA[1], [1.0]).disconnected is None


def test_curve_is_what_its_samples_say():
    curve = ds.number_variance(SPECTRA[1], [1, 3], window=(10, 40))
    np.testing.assert_allclose(curve.samples.mean(axis=0), curve.value, rtol=1e-12)
    np.testing.assert_allclose(curve.covariance, np.cov(curve.samples.T) / 1500, rtol=1e-9)
    np.testing.assert_allclose(curve.error, stats.sem(curve.samples), rtol=1e-9)
    assert (curve.replicas, curve.levels, curve.window) == (1500, 50, (10.0, 40.0))
    stored = json.loads(json.dumps(curve.to_dict()))
    assert stored["value"] == curve.value.tolist()
    axes = curve.plot()
    assert "number variance" in axes.get_ylabel()
    assert str(curve).count("±") == 2
    assert repr(curve) == "<Curve: number variance of 1500 spectra x 50 levels, 2 points from 1 to 3>"


BAD = [
    (ds.number_variance, {"lengths": [30.0]}, ["lengths hold 30", "window", "25"]),
    (ds.number_variance, {"lengths": [0.0]}, ["lengths hold 0", "> 0"]),
    (ds.rigidity, {"lengths": [[1.0]]}, ["lengths", "(1, 1)"]),
    (ds.rigidity, {"lengths": [1.0], "window": (30, 20)}, ["window", "low < high"]),
    (ds.rigidity, {"lengths": [1.0], "window": (0, 51)}, ["window", "50"]),
    (ds.rigidity, {"lengths": [0.1], "window": (1, 1.5)}, ["window", "one level long"]),
    (ds.form_factor, {"times": [-1.0]}, ["times hold -1", "> 0"]),
    (ds.form_factor, {"times": [1.0], "density": stats.norm(1e6, 1)}, ["window", "no level"]),
]


@pytest.mark.parametrize(("function", "how", "words"), BAD)
def test_bad_input(function, how, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        function(SPECTRA[1], **how)
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{caught.value!s} lacks {missing}"


def test_a_density_of_something_else_is_warned_of():
    with pytest.warns(RuntimeWarning, match="not the density of these spectra"):
        ds.number_variance(SPECTRA[1], [1.0], density=stats.norm(0, 3))


def test_lengths_may_be_one_number_and_are_not_changed():
    x = np.array([3.0, 1.0])
    curve = ds.rigidity(SPECTRA[1], x)
    assert curve.x.tolist() == x.tolist() == [3.0, 1.0]
    assert ds.rigidity(SPECTRA[1], 1.0).value[0] == curve.value[1]


def test_few_spectra_are_said_to_be_few():
    x = np.sort(np.random.default_rng(8).random((8, 40)), axis=1)
    for statistic in (ds.number_variance, ds.rigidity, ds.form_factor):
        assert "3 spectra unfolded by each other" in str(statistic(x[:3], [1.0, 2.0]))
        assert not statistic(x, [1.0, 2.0]).notes
