"""Weights of modules, mappings and files: which matrices they are, by the names of layers, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from weight_files import PLAIN, write_npz

import dysonsim as ds

RNG = np.random.default_rng(15)


def test_names_patterns_and_what_is_left_out():
    weights = ds.read_weights(PLAIN, layers=["f*", "conv.weight"], skip="conv")
    assert list(weights) == ["fc1"]
    assert weights["fc1.weight"] is not None
    with pytest.raises(KeyError, match="fc1"):
        weights["emb"]
    assert weights.get("emb") is None
    assert "fc1 (8, 5)" in repr(weights)
    assert "8 x 5" in str(weights)
    assert list(ds.read_weights(weights, layers="fc1")) == ["fc1"]
    assert list(ds.read_weights({"a[0]": np.eye(2), "a0": np.eye(2)}, layers="a[0]")) == ["a[0]", "a0"]
    both = ds.read_weights({"a": np.eye(2), "a.weight": 2 * np.eye(2)})
    assert list(both) == ["a", "a.weight"]
    assert both["a.weight"][0, 0] == 2


def test_what_compiled_and_distributed_models_add_is_dropped():
    names = [
        "_orig_mod.a.weight",
        "module.b.weight",
        "module._orig_mod.c.weight",
        "d._orig_mod.e.weight",
        "my_module.f",
    ]
    assert list(ds.read_weights({name: np.eye(2) for name in names})) == ["a", "b", "c", "d.e", "my_module.f"]
    clash = {"module.a": np.eye(2), "a": 2 * np.eye(2)}
    assert list(ds.read_weights(clash)) == ["module.a", "a"]


def test_split():
    qkv = RNG.normal(size=(12, 5))
    weights = ds.read_weights({"attn.qkv.weight": qkv, "o": np.eye(3)}, split={"*.qkv": ("q", "k", "v")})
    assert list(weights) == ["attn.qkv.q", "attn.qkv.k", "attn.qkv.v", "o"]
    np.testing.assert_array_equal(weights["attn.qkv.k"], qkv[4:8])
    weights = ds.read_weights({"attn.qkv.weight": qkv}, split={"attn.qkv.weight": 2}, layers="attn.qkv.1")
    np.testing.assert_array_equal(weights["attn.qkv.1"], qkv[6:])
    own = {"attn.in_proj_weight": RNG.normal(size=(12, 4)), "mlp.in_proj_weight": RNG.normal(size=(12, 5))}
    names = ["attn.in_proj_weight.q", "attn.in_proj_weight.k", "attn.in_proj_weight.v", "mlp.in_proj_weight"]
    assert list(ds.read_weights(own)) == names
    assert list(ds.read_weights(own, split={"*in_proj_weight": 1})) == list(own)
    for split, error, words in (
        ({"*.qkv": 5}, ValueError, "12 rows"),
        ({"*.kv": 2}, ValueError, "matches nothing"),
        ({"*.qkv": ("q", "q")}, ValueError, "different"),
        ({"*.qkv": 0}, ValueError, "split"),
        ({"*.qkv": 1.5}, TypeError, "split"),
        (3, TypeError, "split"),
    ):
        with pytest.raises(error, match=words):
            ds.read_weights({"attn.qkv": qkv}, split=split)


def test_tied_layers_come_once(tmp_path):
    table = RNG.normal(size=(6, 4))
    arrays = {"emb.weight": table, "head.weight": table, "copy.weight": table.copy()}
    weights = ds.read_weights(arrays)
    assert list(weights) == ["emb", "copy"]
    assert weights.aliases == {"emb": ("head",)}
    np.testing.assert_array_equal(weights["head"], table)
    assert list(ds.read_weights(arrays, layers="head")) == ["emb"]
    assert list(ds.read_weights({"a": table[:3], "b": table[:3].T})) == ["a", "b"], "not the same matrix"
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(table)
    torch.save({"emb.weight": tensor, "head.weight": tensor, "copy.weight": tensor.clone()}, tmp_path / "a.pt")
    assert ds.read_weights(tmp_path / "a.pt").aliases == {"emb": ("head",)}
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["emb"] = table
        file["head"] = file["emb"]
        file["soft"] = h5py.SoftLink("/emb")
        file.create_group("loop")["loop"] = file["/"]
    assert ds.read_weights(tmp_path / "a.h5").aliases == {"emb": ("head",)}


def test_halves_and_bytes_are_widened_exactly(tmp_path):
    torch = pytest.importorskip("torch")
    save = pytest.importorskip("safetensors.torch").save_file
    numbers = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    kinds = ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]
    tensors = {kind: numbers.to(getattr(torch, kind)) for kind in kinds}
    torch.save(tensors, tmp_path / "a.pt")
    save(tensors, tmp_path / "a.safetensors")
    for source in (tensors, tmp_path / "a.pt", tmp_path / "a.safetensors"):
        weights = ds.read_weights(source)
        assert weights.dtypes == {kind: kind for kind in kinds}
        for kind in kinds:
            assert weights[kind].dtype == np.float32
            np.testing.assert_array_equal(weights[kind], tensors[kind].to(torch.float64).numpy())
    bits = RNG.integers(0, 2**16, (4, 8)).astype(np.uint16)
    every = np.frombuffer((bits.astype(np.uint32) << 16).tobytes(), np.float32).reshape(4, 8)
    found = ds.read_weights({"a": torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)})["a"]
    np.testing.assert_array_equal(found, every)


def test_nan_and_inf_are_read():
    bad = np.array([[np.nan, 1.0], [np.inf, -0.0]])
    np.testing.assert_array_equal(ds.read_weights({"a": bad})["a"], bad)


def test_arrays_of_other_libraries():
    class Other:
        """Of a library that speaks DLPack and nothing else."""

        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    array = RNG.normal(size=(3, 4))
    np.testing.assert_array_equal(ds.read_weights({"a": Other(array)})["a"], array)
    swapped = array.astype(">f4")
    np.testing.assert_array_equal(ds.read_weights({"a": swapped})["a"], swapped)
    np.testing.assert_array_equal(ds.read_weights({"a": array[:, ::-1].T})["a"], array[:, ::-1].T)


def network(torch):
    """A module with everything that is special."""
    nn = torch.nn
    import torch.nn.utils.prune

    class Conv1D(nn.Module):
        """As in transformers."""

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 6))

    torch.manual_seed(3)
    net = nn.Module()
    net.emb, net.head = nn.Embedding(11, 6), nn.Linear(6, 11, bias=False)
    net.head.weight = net.emb.weight
    net.normed = nn.utils.parametrizations.weight_norm(nn.Linear(7, 4).double())
    net.spectral = nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 2).double())
    net.orthogonal = nn.utils.parametrizations.orthogonal(nn.Linear(4, 4).double())
    net.old = nn.utils.weight_norm(nn.ConvTranspose2d(7, 4, 2).double(), dim=1)
    net.old_spectral = nn.utils.spectral_norm(nn.Linear(5, 4).double())
    net.pruned = nn.utils.prune.l1_unstructured(nn.Linear(4, 6), "weight", 5)
    net.attn, net.gpt = nn.MultiheadAttention(6, 2), Conv1D()
    net.register_buffer("mask", torch.ones(8, 8))
    return net


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_a_module_gives_what_its_layers_use_and_is_left_as_it_was(tmp_path):
    torch = pytest.importorskip("torch")
    net = network(torch)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    weights = ds.read_weights(net)
    read = dict(weights)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.spectral.parametrizations.weight[0].training
    parts = [f"attn.in_proj_weight.{part}" for part in "qkv"]
    assert list(weights) == ["emb", "normed", "spectral", "orthogonal", "old", "old_spectral", "pruned", *parts,
                             "attn.out_proj", "gpt"]  # fmt: skip
    assert weights.aliases == {"emb": ("head",)}
    net.eval()
    net.old_spectral(torch.zeros(1, 5, dtype=torch.float64))
    for name in ("normed", "spectral", "orthogonal", "old", "old_spectral", "pruned"):
        used = getattr(net, name).weight.detach().numpy()
        np.testing.assert_allclose(read[name], used.reshape(len(used), -1), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(read["gpt"], net.gpt.weight.detach().numpy().T)
    np.testing.assert_array_equal(read[parts[1]], net.attn.in_proj_weight[6:12].detach().numpy())
    torch.save(net.state_dict(), tmp_path / "a.pt")
    with pytest.raises(TypeError, match=r"orthogonal.*remove_parametrizations"):
        ds.read_weights(tmp_path / "a.pt")
    stored = ds.read_weights(tmp_path / "a.pt", skip=["orthogonal*", "mask"])
    assert [name for name in read if name != "orthogonal"] == list(stored)
    for name, matrix in stored.items():
        np.testing.assert_array_equal(matrix, read[name].T if name == "gpt" else read[name])


@pytest.mark.filterwarnings("ignore:.*quantize|.*nested")
def test_weights_that_are_no_dense_real_numbers_are_refused():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    linear = nn.Sequential(nn.Linear(4, 6))

    class DTensor(torch.Tensor):
        """Called as torch's own; the real one is tried below."""

    cases = [
        ({"a": np.ones((3, 3), int)}, ["a", "int64", "dequantize", "skip="]),
        ({"a": np.ones((3, 3), bool)}, ["a", "bool"]),
        ({"a": np.ones((3, 3), complex)}, ["a", "complex128", "real"]),
        ({"a": np.ones((3, 3), np.longdouble)}, ["a", "float64"]),
        ({"a": np.ma.ones((3, 3))}, ["a", "masked", "fill"]),
        ({"a": [[1.0, 2.0], [3.0, 4.0]]}, ["a", "list", "numpy"]),
        ({"a": np.array([["x", "y"], ["z", "t"]])}, ["a", "str"]),
        ({"a": torch.ones(3, 3, dtype=torch.int8)}, ["a", "int8", "dequantize"]),
        ({"a": torch.ones(3, 3, dtype=torch.complex64)}, ["a", "complex64"]),
        ({"a": torch.ones(3, 3, device="meta")}, ["a", "float32", "meta", "load"]),
        ({"a": torch.ones(3, 3).as_subclass(DTensor)}, ["a", "float32", "sharded", "full_tensor"]),
        ({"a": torch.nested.nested_tensor([torch.ones(2, 2), torch.ones(3, 3)])}, ["a", "nested", "parts"]),
        ({"a": torch.ones(3, 3).to_sparse()}, ["a", "sparse", "to_dense"]),
        ({"a": torch.quantize_per_tensor(torch.ones(3, 3), 0.1, 0, torch.qint8)}, ["a", "qint8", "quantized"]),
        ({"a": torch.ones(3, 3).to(torch.float8_e4m3fn), "a_scale": torch.ones(3, 1)}, ["a", "float8", "quantized"]),
        ({"a": np.ones((8, 1), np.uint8), "a.absmax": np.ones(2), "b": np.eye(3)}, ["a", "uint8", "quantized"]),
        (nn.Sequential(nn.Linear(3, 3, device="meta")), ["0", "float32", "meta"]),
        (nn.Sequential(nn.LazyLinear(3)), ["0", "lazy", "batch"]),
        (nn.LazyLinear(3).state_dict(), ["weight", "lazy", "batch"]),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            quantized = torch.ao.quantization.quantize_dynamic(linear, dtype=torch.qint8)
        except (AttributeError, RuntimeError):  # a torch built without it
            pass
        else:
            cases += [(quantized, ["0", "qint8"]), (quantized.state_dict(), ["0", "qint8", "quantized"])]
    for source, words in cases:
        with pytest.raises(TypeError) as caught:
            ds.read_weights(source)
        assert not [word for word in words if word not in str(caught.value)], str(caught.value)
    assert list(ds.read_weights({"a": np.ones((3, 3), int), "b": np.eye(2)}, skip="a")) == ["b"]


@pytest.mark.slow  # of torch.distributed.tensor the import alone
def test_sharded_weights_are_refused():
    torch = pytest.importorskip("torch")
    if not torch.distributed.is_available():
        pytest.skip("torch is built without distributed")
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import distribute_tensor

    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        sharded = distribute_tensor(torch.ones(4, 4), init_device_mesh("cpu", (1,)))
        with pytest.raises(TypeError, match=r"a \(float32\) is sharded.*full_tensor"):
            ds.read_weights({"a": sharded})
    finally:
        torch.distributed.destroy_process_group()


def test_no_matrix_and_unknown_layers_list_what_is_there(tmp_path):
    cases = [
        ({"b": np.ones(3), "n": 3}, {}, ["no matrix", "b (3,)"]),
        ({}, {}, ["no matrix", "nothing"]),
        (PLAIN, {"layers": "fc2"}, ["layers", "'fc2'", "fc1 (8, 5)", "conv"]),
        (PLAIN, {"layers": ["fc1", "fc1.bias"]}, ["layers", "'fc1.bias'", "no matrix", "(8,)"]),
        (PLAIN, {"layers": []}, ["layers is empty", "fc1 (8, 5)"]),
        (PLAIN, {"skip": "*"}, ["skip", "fc1 (8, 5)"]),
        (write_npz(tmp_path, {"b": np.ones(3)}), {}, ["net.npz", "no matrix", "b (3,)"]),
    ]
    for source, more, words in cases:
        with pytest.raises(ValueError) as caught:
            ds.read_weights(source, **more)
        assert not [word for word in words if word not in str(caught.value)], str(caught.value)


def test_sources_that_are_none(tmp_path):
    for source in (None, 3, b"net.npz", [np.eye(2)], np.eye(2), object()):
        with pytest.raises(TypeError, match=r"source is .*must be a torch module"):
            ds.read_weights(source)
    with pytest.raises(TypeError, match="strings"):
        ds.read_weights({0: np.eye(2)})
    with pytest.raises(FileNotFoundError):
        ds.read_weights(tmp_path / "none.npz")
    with pytest.raises(ValueError, match="directory"):
        ds.read_weights(tmp_path)
    (tmp_path / "a.xyz").write_text("")
    with pytest.raises(ValueError, match=r"safetensors"):
        ds.read_weights(tmp_path / "a.xyz")
