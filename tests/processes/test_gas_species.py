"""Chains that visit every labeling of wells that differ, in the quantities that repulsion leaves alone."""

from __future__ import annotations

import numpy as np
import pytest

import dysonsim as ds


@pytest.mark.parametrize("method", ["hmc", "metropolis"])
def test_the_mean_of_wells_of_one_width_is_normal_wherever_they_are(method):
    """sum_i x_i ~ N(sum_i c_i, n) exactly. Levels that hop in turn by position shift it by 8 of these errors."""
    centers = [0.0, 0.3]
    gas = ds.CoulombGas(beta=1.0, centers=centers, widths=[1.0, 1.0], method=method)
    mean = ds.simulate(gas, 150_000, steps=70 if method == "hmc" else 190, seed=1).eigenvalues[:, -1].mean(axis=1)
    deviation = (mean.mean() - np.mean(centers)) / (np.sqrt(1 / 2) / np.sqrt(len(mean)))
    assert abs(deviation) < 3.5
    assert abs(mean.var() * 2 - 1) < 4 * np.sqrt(2 / len(mean))


def test_two_species_in_one_well_are_symmetric_and_follow_their_law():
    gas = ds.CoulombGas(beta=1.0, centers=[0.0, 0.0], widths=[1.0, 2.0], method="hmc")
    levels = ds.simulate(gas, 100_000, steps=140, seed=2).eigenvalues[:, -1]
    for odd in (levels.mean(axis=1), levels[:, 0] ** 2 - levels[:, 1] ** 2):
        value, error = ds.mean_and_error(odd)
        assert abs(value) < 4 * error
    assert ds.compare(levels[:20_000], ds.laws.TwoSpecies(0.0, 1.0, 2.0)).pvalue > 1e-3
    assert ds.compare(levels, ds.laws.TwoSpecies(0.0, 1.02, 2.04)).pvalue < 1e-3, "the control: 2% too wide"
