"""The linear scaling fit against closed forms and simulated points."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import optimize, stats

from dysonsim.comparison.scaling import scaling_fit

X = np.sqrt([0.001, 0.002, 0.004, 0.01, 0.02, 0.05])
EPSILON = np.array([0.01, 0.02, 0.04, 0.1, 0.2, 0.5]) / 16
ERROR = 0.01 * X + 1e-4


def test_line_is_the_weighted_mean_of_the_ratios():
    y = 2.5 * X + ERROR * np.random.default_rng(1).normal(size=6)
    fit = scaling_fit(X, y, ERROR, prediction=2.5)
    weight = (X / ERROR) ** 2
    slope = np.sum(weight * y / X) / np.sum(weight)
    assert fit.slope == pytest.approx(slope, rel=1e-12)
    assert fit.slope_error == pytest.approx(1 / math.sqrt(np.sum(weight)), rel=1e-12)
    assert fit.chi2 == pytest.approx(np.sum(((y - slope * X) / ERROR) ** 2), rel=1e-9)
    assert fit.dof == 5
    assert fit.pvalue == pytest.approx(stats.chi2.sf(fit.chi2, 5), rel=1e-12)
    assert fit.deviation == pytest.approx((slope - 2.5) * math.sqrt(np.sum(weight)), rel=1e-9)
    assert np.sum(fit.pulls**2) == pytest.approx(fit.chi2, rel=1e-12)
    assert fit.trend is None
    assert fit.trend_deviation is None


def test_trend_is_the_nonlinear_fit():
    rng = np.random.default_rng(2)
    y = 2.5 * (1 - 3.0 * EPSILON) * X + ERROR * rng.normal(size=6)
    trend = scaling_fit(X, y, ERROR, trend=EPSILON, prediction=2.5).trend
    popt, pcov = optimize.curve_fit(
        lambda x, a, c: a * (1 + c * EPSILON) * x, X, y, p0=(2.4, -2.0), sigma=ERROR, absolute_sigma=True
    )
    assert (trend.slope, trend.coefficient) == pytest.approx(popt, rel=1e-5)
    assert (trend.slope_error, trend.coefficient_error) == pytest.approx(np.sqrt(np.diag(pcov)), rel=1e-4)
    assert trend.correlation == pytest.approx(pcov[0, 1] / math.sqrt(pcov[0, 0] * pcov[1, 1]), rel=1e-4)
    assert trend.dof == 4
    assert trend.pvalue == pytest.approx(stats.chi2.sf(trend.chi2, 4), rel=1e-12)


def test_errors_and_pvalues_are_calibrated():
    # 500 sets of points: z has rms 1 +- 3.2%, p < 5% in 25 +- 4.9 of them; 4 standard errors, false alarm 1e-4 each
    rng = np.random.default_rng(3)
    fits = [
        scaling_fit(X, 2.5 * (1 - 3 * EPSILON) * X + ERROR * rng.normal(size=6), ERROR, trend=EPSILON, prediction=2.5)
        for _ in range(500)
    ]
    assert np.sqrt(np.mean([f.trend_deviation**2 for f in fits])) == pytest.approx(1.0, abs=0.13)
    z = [(f.trend.coefficient + 3) / f.trend.coefficient_error for f in fits]
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.13)
    assert 6 <= sum(f.trend.pvalue < 0.05 for f in fits) <= 45
    # negative controls: the line alone misses the trend, and is far from the prediction
    bent = scaling_fit(X, 2.5 * (1 - 3 * EPSILON) * X, ERROR / 10, trend=EPSILON, prediction=2.5)
    assert bent.pvalue < 1e-6
    assert abs(bent.deviation) > 10
    assert bent.trend.pvalue > 0.999
    assert abs(bent.trend_deviation) < 1e-6
    # and errors that are half too small show in chi^2
    half = [scaling_fit(X, 2.5 * X + ERROR * rng.normal(size=6), ERROR / 2).pvalue < 0.05 for _ in range(100)]
    assert sum(half) > 50


def test_prints_stores_and_plots():
    from matplotlib.figure import Figure

    fit = scaling_fit(X, 2.5 * X, ERROR, trend=EPSILON, prediction=2.4)
    text = str(fit)
    for part in ("6 points", "y = slope x", "1 + c eps", "chi2/dof", "/5", "/4", "predicted slope", "sigma"):
        assert part in text
    stored = json.loads(json.dumps(fit.to_dict(), allow_nan=False))
    assert stored["line"]["slope"] == pytest.approx(2.5)
    assert stored["trend"]["coefficient"] == pytest.approx(0.0, abs=1e-10)
    ax = Figure().subplots()
    assert fit.plot(ax, label="SGD") is ax
    labels = [entry.get_text() for entry in ax.get_legend().get_texts()]
    assert len(labels) == 3
    assert "predicted" in " ".join(labels)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": [[1.0, 2.0]]}, ValueError, r"x has shape \(1, 2\)"),
        ({"x": ["a", "b"]}, TypeError, "x is list of dtype <U1: must be a real array"),
        ({"x": [1.0]}, ValueError, "y has shape"),
        ({"x": [0.0] * 6}, ValueError, r"x\[0\] = 0: must be finite and > 0"),
        ({"y": [1.0, math.nan, 1, 1, 1, 1]}, ValueError, r"y\[1\] = nan"),
        ({"yerr": -ERROR}, ValueError, r"yerr\[0\] = .*> 0"),
        ({"yerr": ERROR[:3]}, ValueError, r"yerr has shape \(3,\)"),
        ({"trend": np.ones(6)}, ValueError, "trend = .*not all equal"),
        ({"trend": EPSILON[:2]}, ValueError, "trend has shape"),
        ({"prediction": math.inf}, ValueError, "prediction = inf"),
        ({"prediction": "2"}, TypeError, "prediction = '2'"),
    ],
)
def test_bad_input(change, error, message):
    arguments = {"x": X, "y": 2.5 * X, "yerr": ERROR} | change
    with pytest.raises(error, match=message):
        scaling_fit(**arguments)


def test_one_point_is_no_fit():
    with pytest.raises(ValueError, match="at least 2"):
        scaling_fit([1.0], [1.0], [0.1])
