"""Updates in matrix notation: the kernel, its reference on stacks, and NumPy for one network give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from own_models import MODELS

from dysonsim.backend.reference import ReferenceDriver
from dysonsim.models.traced.noise import Draws, StackNoise
from dysonsim.models.traced.update import layout_of

RATE, SEED, REPLICAS = 0.1, 2**50 + 3, 5


def start_of(model, replicas=REPLICAS):
    state = np.random.default_rng(1).normal(size=(replicas, layout_of(model).size))
    return state * 0.7


def moved(program, start, steps=3):
    """State after some steps, which go on in the middle."""
    ensemble = program.open(start, 2, SEED)
    ensemble.advance(0, 1)
    ensemble.advance(1, steps - 1)
    return ensemble.state()


def close(found, wanted, dtype):
    tolerance = {"float64": 1e-12, "float32": 2e-5}[dtype]
    assert np.isfinite(wanted).all()
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("batch", [1, 3, 21])
@pytest.mark.parametrize("name", MODELS)
def test_the_text_in_plain_python_gives_the_numbers_of_the_reference(name, batch):
    """Every place that it reads or writes is checked as well."""
    model = MODELS[name]
    for dtype in ("float64", "float32") if batch == 3 else ("float64",):
        start = start_of(model)
        reference = moved(model.reference(RATE, batch, dtype, "numpy"), start)
        found = moved(ReferenceDriver(4, checked=True).prepare(model.kernel(RATE, batch), dtype), start)
        assert found.dtype == reference.dtype == dtype
        close(found, reference, dtype)
        assert np.abs(found - start).max() > 1e-3 or (name, batch) == ("whole batch", 1)


class OneNoise:
    """The random inputs of one network, as plain arrays."""

    def __init__(self, stacks, network):
        self.stacks, self.network = stacks, network

    def __getattr__(self, name):
        def drawn(*arguments, **keywords):
            found = getattr(self.stacks, name)(*arguments, **keywords)
            many = found if isinstance(found, tuple) else (found,)
            out = tuple(np.asarray(stack)[self.network] for stack in many)
            return out if isinstance(found, tuple) else out[0]

        return drawn


@pytest.mark.parametrize("name", MODELS)
def test_stacks_give_what_numpy_gives_for_one_network(name):
    """The notation means what NumPy means by it."""
    model, batch = MODELS[name], 3
    layout, start = layout_of(model), start_of(model)
    ensemble = model.reference(RATE, batch, "float64", "numpy").open(start, 2, SEED)
    ensemble.advance(4, 1)
    draws = Draws("numpy", "float64", REPLICAS, 2, SEED)
    for network in range(REPLICAS):
        noise = OneNoise(StackNoise(batch, draws, 4), network)
        state = [matrix[network] for matrix in layout.cut(start).values()]
        new = model.update(*state, noise, RATE, batch)
        for matrix, (key, found) in zip(
            new if isinstance(new, tuple) else (new,), layout.cut(ensemble.state()).items(), strict=True
        ):
            np.testing.assert_allclose(found[network], matrix, rtol=1e-13, atol=1e-13, err_msg=key)
