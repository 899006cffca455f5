"""Laws of long-range statistics: stored values of 16 digits and more, each computed in two ways; limits; bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import sici

import dysonsim as ds
from dysonsim.laws import FormFactor, NumberVariance, Rigidity

VALUES = json.loads((Path(__file__).parent / "curves.json").read_text())
LAWS = (NumberVariance, Rigidity, FormFactor)


@pytest.mark.parametrize("name", sorted({one["id"] for one in VALUES}))
def test_stored_values(name):
    for one in (one for one in VALUES if one["id"] == name):
        beta, x = one["beta"], one["x"]
        if name == "circular_form_factor":  # stored as E|p_k|^2
            found = FormFactor(beta, n=one["n"])(x / one["n"]) * one["n"]
        else:
            found = {"number_variance": NumberVariance, "rigidity": Rigidity, "form_factor": FormFactor}[name](beta)(x)
        assert found == pytest.approx(one["value"], rel=1e-13), one


def test_negative_control_a_wrong_beta_is_seen():
    one = next(one for one in VALUES if one["id"] == "rigidity" and one["beta"] == 1)
    assert Rigidity(2)(one["x"]) != pytest.approx(one["value"], rel=1e-5)


def cluster(beta, r):
    """Two-level cluster function, of distinct levels at unit density."""
    if beta == 4:
        r = 2 * r
    s = np.sinc(r)
    slope = (np.cos(np.pi * r) - s) / r
    i = sici(np.pi * r)[0] / np.pi
    return {1: s**2 + (0.5 - i) * slope, 2: s**2, 4: s**2 - i * slope}[beta]


@pytest.mark.parametrize("beta", [1, 2, 4])
@pytest.mark.parametrize("length", [0.013, 0.37, 2.6, 6.36, 6.4])
def test_number_variance_is_the_integral_of_the_cluster_function(beta, length):
    edges = np.unique([0.0, *np.arange(1, np.ceil(length)), length])
    parts = [quad(lambda r: (length - r) * cluster(beta, r), a, b, epsabs=1e-12, epsrel=1e-12)[0]
             for a, b in zip(edges[:-1] + (edges[:-1] == 0) * 1e-12, edges[1:], strict=True)]  # fmt: skip
    assert NumberVariance(beta)(length) == pytest.approx(length - 2 * sum(parts), rel=1e-9)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_form_factor_gives_the_number_variance(beta):
    """Sigma^2 = int K(tau) (sin(pi L tau)/(pi tau))^2 dtau, at L = 1.5; the tail beyond has 1 - K = O(tau^-2)."""
    length, law = 1.5, FormFactor(beta)
    total = 0.0
    for a, b in ((0, 1), (1, 2), *((k, k + 1) for k in range(2, 60))):
        total += quad(lambda t: (law(t) - 1) * length**2 * np.sinc(length * t) ** 2, a, b, limit=200)[0]
    assert NumberVariance(beta)(length) == pytest.approx(length + 2 * total, abs=2e-7)


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_tails(beta):
    log = np.log(2 * np.pi * 1e7) + np.euler_gamma + 1
    wave = 1 / (8 * np.pi**2 * 1e7)  # the only one of first order in 1/L
    symplectic = 0.5 * (log + np.log(2)) / np.pi**2 + 1 / 16 - wave
    known = {1: 2 * log / np.pi**2 - 0.25, 2: log / np.pi**2, 4: symplectic}[beta]
    assert NumberVariance(beta)(1e7) == pytest.approx(known, rel=1e-10)
    half = 1e7 / 2  # Delta_3 = Sigma^2/2 - 9/(8 beta pi^2) up to O(1/L)
    assert Rigidity(beta)(1e7) == pytest.approx(known / 2 - 9 / (4 * beta * np.pi**2), abs=1e-6)
    assert Rigidity(beta)(half) < Rigidity(beta)(1e7)
    small = np.array([1e-9, 1e-12])
    np.testing.assert_allclose(NumberVariance(beta)(small), small, rtol=1e-8)
    np.testing.assert_allclose(Rigidity(beta)(small), small / 15, rtol=1e-8)
    np.testing.assert_allclose(FormFactor(beta)(small), 2 * small / beta, rtol=1e-8)
    assert abs(FormFactor(beta)(1e8) - 1) < 1e-15


@pytest.mark.parametrize("beta", [1, 2, 4])
def test_rigidity_is_continuous_where_its_expansion_takes_over(beta):
    below, above = Rigidity(beta)([4000.0, 4000.0 + 1e-6])
    assert above == pytest.approx(below, rel=1e-9)


def test_independent_levels():
    x = np.array([[0.0, 0.5], [3.0, 1e6]])
    np.testing.assert_array_equal(NumberVariance(0)(x), x)
    np.testing.assert_allclose(Rigidity(0)(x), x / 15)
    np.testing.assert_array_equal(FormFactor(0)(x), np.ones((2, 2)))
    assert FormFactor(0, n=5)(0.2) == 1.0
    assert isinstance(NumberVariance(0)(2), float)


def test_circle_tends_to_the_bulk():
    for beta in (1, 2, 4):
        assert FormFactor(beta, n=10**6)(0.3) == pytest.approx(FormFactor(beta)(0.3), rel=1e-5)
        assert FormFactor(beta, n=10**6)(1.7) == pytest.approx(FormFactor(beta)(1.7), rel=1e-5)
    assert FormFactor(1, n=4)(0) == 0.0


@pytest.mark.parametrize("law", LAWS)
def test_bad_input(law):
    for beta in (3, 0.5, -1, float("nan")):
        with pytest.raises(ValueError, match="beta"):
            law(beta)
    for x in (-1.0, [1.0, float("nan")], 1e200):
        with pytest.raises(ValueError, match=r"lengths|times"):
            law(1)(x)
    with pytest.raises(TypeError, match=r"lengths|times"):
        law(1)("long")


def test_times_on_a_circle_are_whole_multiples():
    with pytest.raises(ValueError, match=r"times hold 0.35: .*1/10"):
        FormFactor(1, n=10)([0.3, 0.35])
    with pytest.raises(ValueError, match="n = 0"):
        FormFactor(1, n=0)
    assert ds.laws.FormFactor(2, n=10)(np.arange(1, 4) / 10) == pytest.approx([0.1, 0.2, 0.3])
