"""A law that states its support, density and distribution function has the rest derived from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from scipy import stats

import dysonsim as ds


@dataclass(frozen=True)
class Unnamed(ds.laws.Law):
    """Spacings of the semi-Poisson law, 4 s exp(-2 s) at mean 1."""

    scale: float = 1.0

    shape: ClassVar[tuple[str, ...]] = ("scale",)
    _positive: ClassVar[tuple[str, ...]] = ("scale",)

    def support(self):
        return 0.0, math.inf

    def _logpdf(self, x):
        return np.log(4 * x / self.scale**2) - 2 * x / self.scale

    def _cdf(self, x):
        u = 2 * x / self.scale
        return -np.expm1(-u) - u * np.exp(-u)


@dataclass(frozen=True)
class Bell(ds.laws.Law):
    """A normal law, on the whole line."""

    loc: float = 0.0
    scale: float = 1.0

    shape: ClassVar[tuple[str, ...]] = ("loc", "scale")
    _positive: ClassVar[tuple[str, ...]] = ("scale",)

    def _logpdf(self, x):
        return stats.norm.logpdf(x, self.loc, self.scale)

    def _cdf(self, x):
        return stats.norm.cdf(x, self.loc, self.scale)


CASES = [(Unnamed(3e-3), stats.gamma(2, scale=1.5e-3)), (Bell(-40.0, 0.2), stats.norm(-40.0, 0.2))]


@pytest.mark.parametrize(("law", "exact"), CASES, ids=["half line", "line"])
def test_the_rest_is_derived(law, exact):
    q = np.array([1e-9, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-6])
    np.testing.assert_allclose(law.ppf(q), exact.ppf(q), rtol=1e-9)
    np.testing.assert_allclose(law.isf(q[1:]), exact.isf(q[1:]), rtol=1e-9)
    assert law.ppf([0.0, 1.0]).tolist() == list(law.support())
    assert law.mean() == pytest.approx(exact.mean(), rel=1e-9)
    assert law.std() == pytest.approx(exact.std(), rel=1e-8)
    np.testing.assert_allclose(law.sf(exact.mean()), exact.sf(exact.mean()), rtol=1e-12)


@pytest.mark.parametrize(("law", "exact"), CASES, ids=["half line", "line"])
def test_a_fit_finds_what_was_drawn(law, exact):
    x = law.rvs(4000, random_state=3)
    assert stats.kstest(x, exact.cdf).pvalue > 1e-3
    assert stats.kstest(x, law.replace(scale=1.2 * law.scale).cdf).pvalue < 1e-3  # the control
    comparison = ds.compare(x, type(law))
    for name, error in comparison.fitted.errors.items():
        assert abs(getattr(comparison.fitted.law, name) - getattr(law, name)) < 4 * error
    assert comparison.pvalue > 1e-3


@dataclass(frozen=True)
class Power(ds.laws.Law):
    """x^(a - 1) on (0, 1), whose exponent has no default."""

    a: float

    shape: ClassVar[tuple[str, ...]] = ("a",)
    _positive: ClassVar[tuple[str, ...]] = ("a",)

    def support(self):
        return 0.0, 1.0

    def _logpdf(self, x):
        return math.log(self.a) + (self.a - 1) * np.log(x)

    def _cdf(self, x):
        return x**self.a


def test_a_fit_without_a_start_is_refused():
    assert Power(3.0).mean() == pytest.approx(0.75, rel=1e-9)
    with pytest.raises(ValueError, match="a has no default in Power"):
        Power.fit([0.2, 0.5])
    with pytest.raises(ValueError, match="data have no likelihood under Unnamed"):
        Unnamed.fit([-1.0, 2.0])
