"""Networks of several layers: what a run keeps of each, and the singular values of layers and product."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

import dysonsim as ds


@dataclass(frozen=True)
class TwoLayers(ds.Model):
    """V W x with a bias that is no matrix; the spectrum is that of W."""

    teacher: np.ndarray

    def weight_shapes(self):
        return {"W": (3, 2), "b": (3,), "V": (2, 3)}

    def memory(self):
        return {"count": 0.0}

    def update(self, W, b, V, count, noise, learning_rate, batch_size):
        E = V @ W - self.teacher + noise.normal((2, 2)) * 0.1
        return W - learning_rate * V.T @ E, b - learning_rate * b, V - learning_rate * E @ W.T, count + 1.0


class OfTheProduct(TwoLayers):
    """The same; the spectrum is that of the product."""

    spectral_layer = None
    weight_shape = (2, 2)


SGD = ds.SGD(TwoLayers(np.diag([2.0, 1.0])), 0.1, 4, init_scale=0.5)
PRODUCT = ds.SGD(OfTheProduct(np.diag([2.0, 1.0])), 0.1, 4, init_scale=0.5)
HOW = {"replicas": 5, "steps": 8, "seed": 3, "record_every": 4, "device": "numpy"}
RUN = ds.simulate(SGD, keep_weights=True, **HOW)
RUN_OF_PRODUCT = ds.simulate(PRODUCT, keep_weights=True, **HOW)


def test_all_layers_are_kept():
    W, V = RUN.layers
    assert W.shape == (5, 2, 3, 2)
    assert V.shape == (5, 2, 2, 3)
    end = SGD.model.matrices(RUN.state)
    np.testing.assert_array_equal(W[:, -1], end["W"])
    np.testing.assert_array_equal(V[:, -1], end["V"])
    np.testing.assert_array_equal(RUN.weights, W)
    np.testing.assert_allclose(RUN_OF_PRODUCT.weights, V @ W, rtol=1e-14)


def test_singular_values_of_layers_and_product():
    W, V = RUN.layers
    for run in (RUN, RUN_OF_PRODUCT):
        for layer, matrix in ((0, W), (1, V), ("product", V @ W)):
            found, n = run.singular_values_of(layer), matrix.shape[-1]
            want = np.zeros((5, 2, n))
            want[..., n - min(matrix.shape[-2:]) :] = np.linalg.svd(matrix, compute_uv=False)[..., ::-1]
            np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(RUN.singular_values, RUN.singular_values_of(0))
    np.testing.assert_array_equal(RUN_OF_PRODUCT.singular_values, RUN_OF_PRODUCT.singular_values_of("product"))


def test_layers_that_are_not_there():
    alone = ds.simulate(SGD, **HOW)
    assert alone.layers is None
    np.testing.assert_array_equal(alone.singular_values_of(0), RUN.singular_values)  # was recorded
    with pytest.raises(ValueError, match="the spectra of layer 0 alone; simulate with keep_weights=True"):
        alone.singular_values_of(1)
    with pytest.raises(ValueError, match="the spectra of the product alone"):
        ds.simulate(PRODUCT, **HOW).singular_values_of(0)
    with pytest.raises(ValueError, match="layer = 2"):
        RUN.singular_values_of(2)
    with pytest.raises(ValueError, match="layer = 'W'"):
        RUN.singular_values_of("W")
    gas = ds.simulate(ds.CoulombGas.hermite(3, 2.0), 4, seed=1, device="numpy")
    with pytest.raises(ValueError, match="CoulombGas has levels only"):
        gas.singular_values_of(0)


@pytest.mark.parametrize("run", [RUN, RUN_OF_PRODUCT], ids=["layer", "product"])
def test_resumed_saved_and_damaged(run, tmp_path):
    process = run.process
    more = ds.simulate(process, 5, 12, 3, record_every=4, device="numpy", keep_weights=True, resume=run)
    whole = ds.simulate(process, 5, 12, 3, record_every=4, device="numpy", keep_weights=True)
    for one, other in zip(more.layers, whole.layers, strict=True):
        np.testing.assert_array_equal(one, other)
    run.save(tmp_path / "run.npz")
    back = ds.Run.load(tmp_path / "run.npz", process)
    for one, other in zip(back.layers, run.layers, strict=True):
        np.testing.assert_array_equal(one, other)
    assert replace(run, kept=run.kept * 1.001).fault() == "state: has other layers than the last record"
    assert replace(run, kept=None).fault() == "kept is missing"
    assert "kept has shape" in replace(run, kept=run.kept[..., 1:]).fault()
    with pytest.raises(ValueError):
        run.layers[1][0, 0, 0] = 1.0  # read-only


def test_labels_and_memory():
    pytest.importorskip("xarray")
    data = RUN.to_xarray()
    assert data["layer_1"].shape == (5, 2, 2, 3)
    np.testing.assert_array_equal(data["layer_1"], RUN.layers[1])
    without = ds.memory_needed(SGD, 10**5, 10)
    assert ds.memory_needed(SGD, 10**5, 10, keep_weights=True) - without >= 10**6 * 8 * 12
