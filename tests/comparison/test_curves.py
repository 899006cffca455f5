"""One p-value for a curve: how often it rejects what is true, and what is not; two curves; input."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.comparison.curve_null import draw_largest, largest_deviation

RNG = np.random.default_rng(31)
LENGTHS = np.array([0.5, 1.0, 2.0, 4.0])


def goe(replicas, n):
    """Levels of real symmetric matrices; nothing of dysonsim is in them."""
    a = RNG.normal(size=(replicas, n, n))
    return np.linalg.eigvalsh((a + np.swapaxes(a, 1, 2)) / 2)


SPECTRA = goe(4800, 24)
CURVE = ds.number_variance(SPECTRA[:200], LENGTHS)

WAVES = ds.form_factor(SPECTRA[:200], [0.5, 1.0])


@pytest.mark.parametrize("replicas", [16, 64])
def test_nominal_rates_for_skewed_samples(replicas):
    """Four correlated chi-squared numbers a replica: at 5% rejects 5%, within 4 standard errors of 1000 samples."""
    rng, rejected = np.random.default_rng(5), 0
    for k in range(1000):
        common = rng.normal(size=(replicas, 1, 4))
        samples = ((common + rng.normal(size=(replicas, 4, 4))) ** 2).mean(axis=2)
        away, error = samples.mean(axis=0) - 2, samples.std(axis=0, ddof=1) / replicas**0.5
        null = draw_largest([samples], 199, k)
        rejected += int((null >= largest_deviation(away, error)).sum() < 10)
    assert 0.05 - 4 * 0.007 < rejected / 1000 < 0.05 + 4 * 0.007


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [16, 64])
def test_nominal_rates_of_the_statistics(replicas):
    """At 1% between .5 and 1.5%, widened by 3 standard errors of the number of samples; 2% at 16 replicas."""
    spectra, rejected = goe(60_000, 40), {}
    cases = {
        ds.number_variance: (LENGTHS, ds.laws.NumberVariance(1)),
        ds.rigidity: (LENGTHS, ds.laws.Rigidity(1)),
        ds.form_factor: (np.linspace(0.1, 1.5, 6), ds.laws.FormFactor(1)),
    }
    samples = min(900, 60_000 // replicas)
    for function, (x, law) in cases.items():
        for k in range(samples):
            curve = function(spectra[k * replicas : (k + 1) * replicas], x)
            low = ds.compare(curve, law, resamples=999, seed=k).pvalue <= 0.01
            rejected[function] = rejected.get(function, 0) + low
    spread = 3 * np.sqrt(0.01 / samples)
    for function, count in rejected.items():
        assert count / samples < (0.02 if replicas == 16 else 0.015) + spread, function
    assert sum(rejected.values()) / (3 * samples) > 0.005 - spread / 2


def test_right_and_wrong_laws():
    assert ds.compare(CURVE, ds.laws.NumberVariance(1)).pvalue > 1e-3
    for beta in (0, 2, 4):
        result = ds.compare(CURVE, ds.laws.NumberVariance(beta))
        assert result.pvalue < 1e-3
        assert not result.agrees
    poisson = ds.number_variance(np.sort(RNG.uniform(size=(200, 24))), LENGTHS)
    assert ds.compare(poisson, ds.laws.NumberVariance(1)).pvalue < 1e-3
    assert ds.compare(poisson, lambda x: x * (1 - x / 24)).pvalue > 1e-3


def test_form_factor_is_compared_with_the_law_at_its_resolution():
    curve = ds.form_factor(SPECTRA[:400], [0.1, 0.5, 1.0, 2.0])
    result = ds.compare(curve, ds.laws.FormFactor(1))
    assert result.pvalue > 1e-3
    np.testing.assert_array_equal(result.expected, curve.expected(ds.laws.FormFactor(1)))
    assert ds.compare(curve, ds.laws.FormFactor(2)).pvalue < 1e-3


def test_two_curves():
    other = ds.number_variance(SPECTRA[200:500], LENGTHS)
    result = ds.compare(CURVE, other)
    assert result.law is None
    assert result.pvalue > 1e-3
    np.testing.assert_allclose(result.error, np.hypot(CURVE.error, other.error))
    denser = ds.number_variance(np.sort(RNG.uniform(size=(40, 24))), LENGTHS)
    assert ds.compare(CURVE, denser).pvalue < 1e-3
    assert "other" in str(result)
    assert len(result.plot().get_legend().get_texts()) == 2


def test_the_p_value_is_counted():
    draws = draw_largest([CURVE.samples], 999, 7)
    result = ds.compare(CURVE, ds.laws.NumberVariance(1), resamples=999, seed=7)
    assert result.statistic == abs(result.deviations).max()
    assert result.pvalue == (1 + (draws >= result.statistic).sum()) / 1000
    assert result.pvalue == ds.compare(CURVE, ds.laws.NumberVariance(1), resamples=999, seed=7).pvalue


def test_print_plot_and_store():
    result = ds.compare(CURVE, ds.laws.NumberVariance(1))
    text = str(result)
    assert "200 spectra x 24 levels against NumberVariance(beta=1)" in text
    assert text.count("sigma") == 5
    assert "verdict at 0.001: no evidence against NumberVariance(beta=1)" in text
    stored = json.loads(json.dumps(result.to_dict()))
    assert stored["pvalue"] == result.pvalue
    assert stored["law"] == "NumberVariance(beta=1)"
    axes = result.plot()
    assert [line.get_text()[:14] for line in axes.get_legend().get_texts()].count("NumberVariance") == 1


def test_a_function_of_the_run_may_return_a_curve():
    gas = ds.CoulombGas.hermite(n=24, beta=1.0)
    run, other = (ds.simulate(gas, replicas=40, seed=seed) for seed in (1, 2))
    asked = []

    def curve(run):
        asked.append(run)
        return ds.number_variance(run, LENGTHS)

    result = ds.compare(run, ds.laws.NumberVariance(1), observable=curve)
    assert len(asked) == 1
    known = ds.compare(ds.number_variance(run, LENGTHS), ds.laws.NumberVariance(1))
    assert result.pvalue == known.pvalue
    assert ds.compare(run, other, observable=curve).pvalue > 1e-3
    asked.clear()
    ds.compare(run, ds.laws.Normal, observable=lambda run: (asked.append(run), run.eigenvalues[:, 0, 0])[1])
    assert len(asked) == 1  # any observable is read off a run once


CASES = [
    (lambda: ds.compare(CURVE, ds.laws.Rigidity(1)), ["reference", "law of the rigidity", "number variance"]),
    (lambda: ds.compare(CURVE, ds.laws.NumberVariance), ["reference", "parameters"]),
    (lambda: ds.compare(CURVE, ds.laws.Normal(0, 1)), ["reference", "Normal", "number variance"]),
    (lambda: ds.compare(CURVE, [1.0, 2.0]), ["reference", "curve"]),
    (lambda: ds.compare(CURVE, lambda x: x[:2]), ["reference", "finite number", "point"]),
    (lambda: ds.compare(WAVES, lambda t: 1.0), ["law", "one number", "times"]),
    (lambda: ds.compare(WAVES, ds.laws.FormFactor(1, n=24)), ["law", "n=24", "n=None"]),
    (lambda: ds.compare(CURVE, ds.laws.NumberVariance(1), levels=[0]), ["levels", "left out"]),
    (lambda: ds.compare(CURVE, ds.laws.NumberVariance(1), fit="all"), ["fit", "left out"]),
    (lambda: ds.compare(CURVE, ds.laws.NumberVariance(1), observable="spacings"), ["observable", "left out"]),
    (lambda: ds.compare(SPECTRA, ds.laws.NumberVariance(1)), ["data", "curve", "dysonsim.number_variance"]),
    (lambda: ds.compare(SPECTRA, CURVE), ["data", "curve"]),
    (lambda: ds.compare(CURVE, ds.rigidity(SPECTRA[:9], LENGTHS)), ["reference", "rigidity"]),
    (lambda: ds.compare(CURVE, ds.number_variance(SPECTRA[:9], LENGTHS + 0.1)), ["reference", "same points"]),
    (lambda: ds.compare(ds.number_variance(SPECTRA[:7], LENGTHS), ds.laws.NumberVariance(1)), ["7 spectra", "8"]),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_bad_input(case):
    make, words = CASES[case]
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{caught.value!s} lacks {missing}"
