"""tanh and erf of lane values against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf

from dysonsim.backend import reference as plain
from dysonsim.kernels.common import activations

SIZES = np.concatenate([np.linspace(1e-3, 30, 3001), np.linspace(0.1, 1.5, 1401), np.logspace(-15, 3, 500)])
TOLERANCE = {"float64": 1e-13, "float32": 4e-7}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("name", "wanted"), [("tanh", np.tanh), ("erf", erf)])
def test_a_few_units_in_the_last_place(name, wanted, dtype):
    x = np.concatenate([SIZES, -SIZES]).astype(dtype)
    function = getattr(activations.build(plain.lanes(dtype, len(x))), name)
    with np.errstate(under="ignore"):
        found = function(x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted(x.astype(np.float64)), rtol=TOLERANCE[dtype])
    with pytest.raises(AssertionError):  # the control
        np.testing.assert_allclose(found, wanted(x.astype(np.float64) * (1 + 4e-6)), rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("name", ["tanh", "erf"])
def test_at_the_edges(name):
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1e300, -1e300])
    with np.errstate(all="ignore"):
        found = getattr(activations.build(plain.lanes("float64", len(x))), name)(x)
    np.testing.assert_array_equal(found, [0, 1, -1, np.nan, 1, -1])
