"""Unfolding by the other replicas, a law and a polynomial; spacing ratios; spectra that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import dysonsim as ds

RNG = np.random.default_rng(11)


def goe(replicas, n, rng):
    """Levels of real symmetric matrices; nothing of dysonsim is in them."""
    a = rng.normal(size=(replicas, n, n))
    return np.linalg.eigvalsh((a + np.swapaxes(a, 1, 2)) / 2)


SPECTRA = goe(40, 20, RNG)


def test_ensemble_counts_the_levels_of_the_others():
    """k + 1/2 at the k-th level of all others, linear between, over their number."""
    found = ds.unfold(SPECTRA)
    for r in (0, 17, 39):
        others = np.sort(np.delete(SPECTRA, r, axis=0), axis=None)
        inside = (SPECTRA[r] > others[0]) & (SPECTRA[r] < others[-1])
        known = np.interp(SPECTRA[r], others, np.arange(others.size) + 0.5) / 39
        np.testing.assert_allclose(found[r, inside], known[inside], rtol=1e-12)
    assert (np.diff(found, axis=1) > 0).all()


def test_ensemble_does_not_care_for_the_scale():
    np.testing.assert_allclose(ds.unfold(np.exp(SPECTRA / 9)), ds.unfold(SPECTRA), atol=0.05)
    np.testing.assert_allclose(ds.unfold(3 * SPECTRA + 1), ds.unfold(SPECTRA), rtol=1e-9)


def test_levels_beyond_all_others_stay_in_order():
    data = np.concatenate([SPECTRA, SPECTRA[:1] + 100.0])
    found = ds.unfold(data)
    assert (np.diff(found, axis=1) > 0).all()
    assert np.isfinite(found).all()
    assert found[-1, 0] > 20


def test_law_and_polynomial():
    law = stats.norm(0, 3)
    np.testing.assert_allclose(ds.unfold(SPECTRA, law), 20 * law.cdf(SPECTRA), rtol=1e-14)
    known = [np.polyval(np.polyfit(row, np.arange(20) + 0.5, 3), row) for row in SPECTRA]
    np.testing.assert_allclose(ds.unfold(SPECTRA, 3)[:, 5:15], np.array(known)[:, 5:15], rtol=1e-9)
    np.testing.assert_array_equal(ds.unfold(SPECTRA[0], law), ds.unfold(SPECTRA[:1], law)[0])


def test_runs_and_what_to_take_from_them():
    gas = ds.CoulombGas.laguerre(n=10, m=12, beta=1.0)
    run = ds.simulate(gas, replicas=12, steps=2, record_every=1)
    np.testing.assert_array_equal(ds.unfold(run, record=0), ds.unfold(run.eigenvalues[:, 0]))
    np.testing.assert_array_equal(ds.unfold(run, levels=slice(1, 10)), ds.unfold(run.eigenvalues[:, -1, 1:]))
    roots = ds.spacing_ratios(run, observable="singular_values")
    np.testing.assert_array_equal(roots, ds.spacing_ratios(run.singular_values[:, -1]))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_spacing_ratios(order):
    found = ds.spacing_ratios(SPECTRA, order)
    assert found.shape == (40, 20 - 2 * order)
    for r, i in ((0, 0), (3, 5), (39, 19 - 2 * order)):
        x = SPECTRA[r]
        a, b = x[i + order] - x[i], x[i + 2 * order] - x[i + order]
        assert found[r, i] == min(a, b) / max(a, b)
    np.testing.assert_array_equal(ds.spacing_ratios(SPECTRA[3], order), found[3])


def test_mean_ratios_of_higher_order():
    """Order k of GOE against the surmise of beta' = k(k+1)/2 + k - 1: known to 0.5%; 4 standard errors (1e-4)."""
    bulk = goe(400, 40, RNG)[:, 8:32]
    for order, known in ((1, 0.5307), (2, 0.67617)):  # of large matrices, and of laws.SpacingRatio(4)
        ratios = ds.spacing_ratios(bulk, order).mean(axis=1)
        error = ratios.std(ddof=1) / 20
        assert abs(ratios.mean() - known) < 4 * error + 0.005 * known
        assert abs(ratios.mean() - 2 * np.log(2) + 1) > 20 * error  # independent levels


class Backwards:
    def cdf(self, x):
        return 1 - stats.norm.cdf(x)


class Unbounded:
    def cdf(self, x):
        return np.asarray(x)


UP = np.arange(1.0, 13.0)
TIES = np.where(UP == 5, 4.0, UP)


@pytest.mark.parametrize(
    ("data", "density", "words"),
    [
        (SPECTRA[:, :1], "ensemble", ["data", "1 levels", "2 or more"]),
        (SPECTRA[:1], "ensemble", ["density", "'ensemble'", "two spectra"]),
        (SPECTRA[:, ::-1], "ensemble", ["data[0]", "not ascending", "numpy.sort"]),
        (np.stack([UP, TIES]), "ensemble", ["data[1, 3]", "data[1, 4]", "both 4", "differ"]),
        (SPECTRA, "pooled", ["density", "'pooled'", "ensemble"]),
        (SPECTRA, 0, ["density", "0", "from 1 to 50"]),
        (SPECTRA, 11, ["density", "11", "half"]),
        (SPECTRA, 2.5, ["density", "2.5", "law"]),
        (SPECTRA, ds.laws.Semicircle, ["density", "Semicircle", "parameters"]),
        (SPECTRA, ds.laws.MarchenkoPastur(ratio=2.0), ["density", "MarchenkoPastur", "atom"]),
        (SPECTRA, Backwards(), ["density", "ascending"]),
        (SPECTRA, Unbounded(), ["density", "from 0 to 1"]),
        (np.full((3, 9), np.nan), "ensemble", ["data[0, 0]", "finite"]),
        (SPECTRA[None], "ensemble", ["data", "(1, 40, 20)", "(replicas, n)"]),
    ],
)
def test_bad_input(data, density, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        ds.unfold(data, density)
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{caught.value!s} lacks {missing}"


def test_few_levels():
    assert ds.unfold(SPECTRA[:, :2]).shape == (40, 2)
    assert ds.spacing_ratios(SPECTRA[:, :3]).shape == (40, 1)
    for function in (ds.number_variance, ds.rigidity, ds.form_factor):
        with pytest.raises(ValueError, match="7 levels in each spectrum: must have 8 or more"):
            function(SPECTRA[:, :7], [1.0])


def test_what_is_chosen_must_be_of_a_run():
    for how in ({"levels": [0]}, {"record": 0}, {"observable": "singular_values"}):
        with pytest.raises(ValueError, match="data is an array"):
            ds.unfold(SPECTRA, **how)
    with pytest.raises(ValueError, match="order = 10"):
        ds.spacing_ratios(SPECTRA, 10)
    with pytest.raises(ValueError, match="spacings"):
        ds.unfold(SPECTRA, observable="spacings")


def test_levels_that_all_spectra_share():
    """The zero mode of a Laplacian, say: no density can be told there, and all else is as without it."""
    x = np.sort(np.random.default_rng(5).random((20, 40)), axis=1)
    for place, value in ((0, 0.0), (-1, 1e6)):
        shared = x.copy()
        shared[:, place] = value
        assert np.isfinite(ds.unfold(shared)).all()
        for statistic in (ds.number_variance, ds.rigidity):
            assert np.isfinite(statistic(shared, [1.0, 5.0], window=(1, 19)).value).all()
    with_zero = np.column_stack([np.full(20, -1.0), x])
    found, alone = ds.unfold(with_zero), ds.unfold(x)
    np.testing.assert_allclose(found[:, 10:] - 1.0, alone[:, 9:], atol=1e-12)
