"""The same weights, written in every format."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

RNG = np.random.default_rng(15)
PLAIN = {
    "fc1.weight": RNG.normal(size=(8, 5)),
    "fc1.bias": RNG.normal(size=8),
    "conv.weight": RNG.normal(size=(4, 3, 2, 2)),
    "narrow.weight": RNG.normal(size=(1, 7)),
    "emb.weight": RNG.normal(size=(9, 4)).astype(np.float32),
}


def write_npz(folder, arrays):
    np.savez(folder / "net.npz", **arrays)
    return folder / "net.npz"


def write_compressed(folder, arrays):
    np.savez_compressed(folder / "small.npz", **arrays)
    return folder / "small.npz"


def write_pt(folder, arrays):
    torch = pytest.importorskip("torch")
    torch.save({name: torch.from_numpy(a) for name, a in arrays.items()}, folder / "net.pt")
    return folder / "net.pt"


def write_old(folder, arrays):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.from_numpy(a) for name, a in arrays.items()}
    torch.save(tensors, folder / "old.bin", _use_new_zipfile_serialization=False)
    return folder / "old.bin"


def write_checkpoint(folder, arrays):
    torch = pytest.importorskip("torch")
    state = {f"module._orig_mod.{name}": torch.from_numpy(a) for name, a in arrays.items()}
    optimizer = [{"state": {0: torch.ones(8, 5)}}]
    torch.save({"epoch": 3, "state_dict": state, "optimizer_states": optimizer}, folder / "a.ckpt")
    return folder / "a.ckpt"


def write_safetensors(folder, arrays, name="model.safetensors"):
    library = pytest.importorskip("safetensors.numpy")
    library.save_file({key: np.ascontiguousarray(a) for key, a in arrays.items()}, folder / name)
    return folder / name


def write_index(folder, arrays):
    where = {}
    for k, (name, array) in enumerate(arrays.items()):
        write_safetensors(folder, {name: array}, f"model-{k}.safetensors")
        where[name] = f"model-{k}.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    return folder / "model.safetensors.index.json"


def write_torch_index(folder, arrays):
    write_old(folder, arrays)
    index = {"weight_map": dict.fromkeys(arrays, "old.bin")}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder / "pytorch_model.bin.index.json"


def write_h5(folder, arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "plain.h5", "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip" if array.size > 16 else None)
    return folder / "plain.h5"


def in_keras(array):
    """As Keras lays it out: inputs before outputs."""
    return array.transpose(*range(2, array.ndim), 1, 0) if array.ndim > 1 else array


def keras_file(target, arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(target, "w") as file:
        for name, array in arrays.items():
            layer, what = name.split(".")
            layer = "embedding" if layer == "emb" else layer
            array = array if layer == "embedding" else in_keras(array)
            file.create_dataset(f"layers/{layer}/vars/{int(what == 'bias')}", data=array)
            file[f"layers/{layer}/vars"].attrs["name"] = layer
        file.create_dataset("optimizer/vars/2", data=np.ones((5, 8)))
    return target


def write_keras(folder, arrays, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    keras_file(content, arrays)
    with zipfile.ZipFile(folder / "net.keras", "w", compression) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", content.getvalue())
    return folder / "net.keras"


def write_keras_compressed(folder, arrays):
    return write_keras(folder, arrays, zipfile.ZIP_DEFLATED)


def write_keras_2(folder, arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "old.h5", "w") as file:
        for name, array in arrays.items():
            layer, what = name.split(".")
            variable = "embeddings:0" if layer == "emb" else "kernel:0" if what == "weight" else "bias:0"
            data = array if layer == "emb" else in_keras(array)
            file.create_dataset(f"model_weights/{layer}/{layer}/{variable}", data=data)
        file.create_dataset("optimizer_weights/adam/fc1/kernel/m:0", data=np.ones((5, 8)))
    return folder / "old.h5"


WRITERS = {
    function.__name__.removeprefix("write_"): function
    for function in (write_npz, write_compressed, write_pt, write_old, write_checkpoint, write_safetensors, write_index,
                     write_torch_index, write_h5, write_keras, write_keras_compressed, write_keras_2)
}  # fmt: skip
