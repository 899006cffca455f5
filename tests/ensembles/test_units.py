"""Units of length, and numbers of degrees of freedom, that floating point can or cannot hold."""

from __future__ import annotations

import numpy as np
import pytest

import dysonsim as ds


def scaled(s):
    yield lambda: ds.Dyson(n=3, beta=2, noise=s, center=s, initial=[s, 2 * s, 4 * s]), {"times": [0.5]}, 1
    yield lambda: ds.Dyson(n=3, beta=1.5, noise=s, initial=[s, 2 * s, 4 * s]), {"times": [0.1]}, 1
    yield lambda: ds.LaguerreProcess(m=3, n=3, beta=1, noise=s), {"times": [0.1]}, 2
    yield lambda: ds.LaguerreProcess(m=3.5, n=3, beta=1.5, noise=s), {"times": [0.1]}, 2
    yield lambda: ds.CoulombGas.hermite(3, 2.0, width=s), {}, 1
    yield lambda: ds.CoulombGas.laguerre(3, 3.5, 2.0, width=s), {}, 2
    yield lambda: ds.SGD(ds.TeacherStudent(s * np.diag([1.0, 2, 3]), s), 0.1, 8, init_scale=s), {"steps": 5}, 2


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", range(7))
def test_any_unit_gives_the_same_levels_or_an_error_before_the_run(case, dtype):
    """Never zeros, nor what has lost its digits."""
    tolerance = 1e-9 if dtype == "float64" else 1e-2
    make, how, _ = list(scaled(1.0))[case]
    expected = ds.simulate(make(), 8, seed=1, dtype=dtype, **how).eigenvalues
    answered = []
    for s in (1e-300, 1e-160, 1e-100, 1e-24, 1e-12, 1e-6, 1e6, 3e15, 1e24, 1e100, 1e160, 1e200):
        make, how, power = list(scaled(s))[case]
        try:
            found = ds.simulate(make(), 8, seed=1, dtype=dtype, **how).eigenvalues
        except ValueError as error:
            assert "unit" in str(error)  # noqa: PT017
            continue
        for _ in range(power):
            found = found / s
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
        answered.append(s)
    assert {1e-6, 1e6} <= set(answered)
    assert dtype == "float32" or {1e-24, 3e15} <= set(answered)


def test_numbers_of_too_many_degrees_of_freedom_are_refused():
    for process in (
        ds.CoulombGas.hermite(3, 1e40),
        ds.CoulombGas.laguerre(3, 1e40, 2.0),
        ds.CoulombGas.jacobi(3, 1e40, 1.0, 2.0),
    ):
        with pytest.raises(ValueError, match="degrees of freedom cannot be drawn"):
            ds.simulate(process, 2)
    with pytest.raises(ValueError, match="rounding hides"):
        ds.CoulombGas.hermite(3, 1e16, method="hmc")
    zeros = np.array([-1, 0, 1]) * 1.5**0.5  # of Hermite's polynomial: where levels freeze
    levels = ds.simulate(ds.CoulombGas.hermite(3, 1e20), 4).eigenvalues / 1e10
    np.testing.assert_allclose(levels[:, -1], np.tile(zeros, (4, 1)), atol=1e-6)
