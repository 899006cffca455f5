"""Weights from files: the same matrices whatever the format, read when they are looked up."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from weight_files import PLAIN, WRITERS, write_h5, write_npz, write_pt, write_safetensors

import dysonsim as ds

RNG = np.random.default_rng(15)


def spectra(weights):
    return [np.linalg.svd(np.asarray(matrix, float), compute_uv=False) for matrix in weights.values()]


@pytest.mark.parametrize("kind", WRITERS)
def test_all_formats_give_the_same_matrices_and_spectra(kind, tmp_path):
    expected = ds.read_weights(PLAIN)
    assert expected.shapes == {"fc1": (8, 5), "conv": (4, 12), "emb": (9, 4)}
    weights = ds.read_weights(WRITERS[kind](tmp_path, PLAIN))
    named = {name.replace("embedding", "emb"): matrix for name, matrix in weights.items()}
    assert set(named) == set(expected)
    for name, matrix in named.items():
        np.testing.assert_array_equal(matrix, expected[name])  # rows and columns too: Keras' kernels are transposed
        assert matrix.dtype == (np.float32 if name == "emb" else np.float64)
        assert matrix.flags.c_contiguous
        assert matrix.flags.writeable
    in_order = ds.read_weights({name: named[name] for name in expected})
    for found, wanted in zip(spectra(in_order), spectra(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_a_matrix_is_read_when_it_is_looked_up(tmp_path, monkeypatch):
    path = write_npz(tmp_path, PLAIN)
    weights = ds.read_weights(path)
    taken = []
    real = np.frombuffer
    monkeypatch.setattr(np, "frombuffer", lambda *a, **k: taken.append(1) or real(*a, **k))
    assert len(weights) == 3
    assert "fc1" in weights
    assert weights.shapes["conv"] == (4, 12)
    assert not taken
    next(iter(weights.items()))
    assert len(taken) == 1
    first = weights["fc1"]
    first[:] = 0
    assert weights["fc1"].any(), "a new array each time"
    live = {"a": np.ones((3, 3))}
    weights = ds.read_weights(live)
    live["a"][:] = 2
    assert weights["a"][0, 0] == 2


def test_a_file_that_changed_is_not_read(tmp_path):
    path = write_npz(tmp_path, PLAIN)
    weights = ds.read_weights(path)
    write_npz(tmp_path, {**PLAIN, "fc1.weight": PLAIN["fc1.weight"] + 1})
    os.utime(path, (1, 1))
    with pytest.raises(ValueError, match="changed"):
        weights["fc1"]


def test_a_checkpoint_that_is_written_anew_does_not_kill_the_process(tmp_path):
    """Its numbers are mapped from the file; where that became shorter, a look at them would."""
    path = write_pt(tmp_path, {"a": np.ones((300, 300))})
    weights = ds.read_weights(path)
    os.truncate(path, 100)
    with pytest.raises(ValueError, match=r"net\.pt.*changed"):
        weights["a"]


def test_keras_lays_attention_and_depthwise_kernels_out_in_its_own_way(tmp_path):
    h5py = pytest.importorskip("h5py")
    query, out, depth, recurrent = (RNG.normal(size=s) for s in ((6, 2, 3), (2, 3, 6), (3, 3, 4, 2), (5, 20)))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["layers/mha/query_dense/vars/0"] = query
        file["layers/mha/output_dense/vars/0"] = out
        file["layers/depthwise_conv2d/vars/0"] = depth
        file["layers/lstm/cell/vars/0"] = recurrent
        file["layers/lstm/cell/vars/1"] = 2 * recurrent
    weights = ds.read_weights(tmp_path / "a.h5")
    x, attended = RNG.normal(size=6), RNG.normal(size=(2, 3))
    np.testing.assert_allclose(weights["mha/query_dense"] @ x, np.einsum("d,dhk->hk", x, query).ravel())
    np.testing.assert_allclose(weights["mha/output_dense"] @ attended.ravel(), np.einsum("hk,hkd->d", attended, out))
    assert weights.shapes["depthwise_conv2d"] == (8, 9)
    np.testing.assert_array_equal(weights["depthwise_conv2d"][3], depth[:, :, 1, 1].ravel())
    np.testing.assert_array_equal(weights["lstm/cell/1"], 2 * recurrent.T)


def test_keras_has_biases_of_two_dimensions_and_bfloat16_of_its_own(tmp_path):
    h5py = pytest.importorskip("h5py")
    kernel = RNG.normal(size=(6, 4)).astype(np.float32)
    bits = (kernel.view(np.uint32) >> 16).astype(np.uint16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["layers/dense/vars/0"] = kernel
        file["layers/dense_1/vars/0"] = bits.view("V2")
        file["layers/dense_1/vars/0"].attrs["dtype"] = "bfloat16"
        for bias in ("mha/key_dense/vars/1", "gru/cell/vars/2", "mha/query/bias:0"):
            file[f"layers/{bias}"] = np.ones((2, 3))
        for name, width in (("separable_conv2d", 1), ("separable_conv2d_1", 2)):
            file[f"layers/{name}/vars/0"] = RNG.normal(size=(3, 3, 4, width))
    weights = ds.read_weights(tmp_path / "a.h5")
    assert weights.shapes == {
        "dense": (4, 6), "dense_1": (4, 6), "separable_conv2d": (4, 9), "separable_conv2d_1": (8, 9)
    }  # fmt: skip
    assert weights.dtypes["dense_1"] == "bfloat16"
    np.testing.assert_array_equal(weights["dense_1"].view(np.uint32) >> 16, bits.T)
    assert list(ds.read_weights(tmp_path / "a.h5", layers="layers/dense/*")) == ["dense"]


def test_numpy_h5_and_safetensors_do_without_torch(tmp_path, monkeypatch):
    files = [write_npz(tmp_path, PLAIN), write_h5(tmp_path, PLAIN), write_safetensors(tmp_path, PLAIN)]
    torch = pytest.importorskip("torch")
    path = tmp_path / "half.safetensors"
    halves = {"a": torch.ones(3, 3).bfloat16(), "b": torch.ones(3, 3).half(), "c": torch.eye(3).to(torch.float8_e5m2)}
    pytest.importorskip("safetensors.torch").save_file(halves, path)
    pt = write_pt(tmp_path, PLAIN)
    monkeypatch.setitem(sys.modules, "torch", None)
    for file in files:
        assert len(dict(ds.read_weights(file))) == 3
    assert list(dict(ds.read_weights(path, layers="b"))) == ["b"]
    for source, layers in ((path, "a"), (path, "c"), (path, None), (pt, None)):
        with pytest.raises(ImportError, match=r"pip install .dysonsim\[torch\]"):
            ds.read_weights(source, layers=layers)
    for library, source, extra in (("safetensors", files[2], "torch"), ("h5py", files[1], "keras")):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(ImportError, match=rf"pip install .dysonsim\[{extra}\]"):
            ds.read_weights(source)


def test_torch_before_2_6_is_refused(tmp_path, monkeypatch):
    """Its weights_only can be made to execute code (CVE-2025-32434)."""
    torch = pytest.importorskip("torch")
    path = write_pt(tmp_path, PLAIN)
    monkeypatch.setattr(torch, "__version__", "2.5.1")
    with pytest.raises(ImportError, match=r"torch 2\.6"):
        ds.read_weights(path)
