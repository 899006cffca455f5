"""Files that somebody made to do harm, or that are damaged: a ValueError with path and reason, and nothing else.

Pickles and modules would make the file "canary"; links and indices point at files that hold 12345.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import weight_files as formats

import dysonsim as ds

SECRET = np.full((4, 4), 12345.0)
HUGE = 10**15


def refused(path, *words):
    """The message with which it is refused."""
    with pytest.raises(ValueError) as caught:
        dict(ds.read_weights(path))
    assert type(caught.value) is ValueError
    text = str(caught.value)
    assert not [word for word in (str(path), *words) if word not in text], text
    assert "12345" not in text
    return text


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_code_in_torch_files_is_not_run(tmp_path):
    torch = pytest.importorskip("torch")
    canary = tmp_path / "canary"
    for old in (False, True):
        for content in ({"w": torch.ones(3, 3), "e": Canary(canary)}, Canary(canary), torch.nn.Linear(3, 3)):
            torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=not old)
            refused(tmp_path / "a.pt", "not loaded", "save the state_dict")
    (tmp_path / "b.bin").write_bytes(pickle.dumps({"w": Canary(canary)}))
    refused(tmp_path / "b.bin", "not loaded")
    assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary)))
    assert canary.exists(), "the canary works"


def test_torch_files_without_a_state_dict(tmp_path):
    torch = pytest.importorskip("torch")
    for content, words in (
        (torch.ones(3, 3), ["Tensor", "state_dict"]),
        ({"epoch": 3, "generator": {"w": torch.ones(3, 3)}}, ["no tensors", "'epoch', 'generator'"]),
        ([torch.ones(3, 3)], ["list"]),
    ):
        torch.save(content, tmp_path / "a.pt")
        refused(tmp_path / "a.pt", *words)


def repacked(source, target, change, compression=zipfile.ZIP_STORED):
    """A zip file with its pickle changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for member in old.infolist():
            data = old.read(member)
            new.writestr(member.filename, change(data) if member.filename.endswith("data.pkl") else data)


def test_torch_files_that_lie_about_sizes(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.ones(1, 1).expand(10**5, 10**5)}, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "w", "shape (100000, 100000)", "bytes")
    torch.save({"w": torch.ones(77, 3)}, tmp_path / "b.pt")
    repacked(tmp_path / "b.pt", tmp_path / "c.pt", lambda data: data.replace(b"K\x4d", b"J\x00\x00\x00\x10"))
    refused(tmp_path / "c.pt")
    repacked(tmp_path / "b.pt", tmp_path / "d.pt", lambda data: data, zipfile.ZIP_DEFLATED)
    refused(tmp_path / "d.pt", "compressed")
    torch.save({"w": torch.ones(77, 3)}, tmp_path / "e.pt", _use_new_zipfile_serialization=False)
    lying = (tmp_path / "e.pt").read_bytes().replace(b"K\x4d", b"J\x00\x00\x00\x10")
    (tmp_path / "e.pt").write_bytes(lying)
    refused(tmp_path / "e.pt")


def test_torch_files_that_ask_for_memory(tmp_path):
    """Of functions that weights_only allows."""
    pytest.importorskip("torch")
    pickled = b"\x80\x02c__builtin__\nbytearray\nJ\x00\x00\x00\x7f\x85R."
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        for name, data in {"data.pkl": pickled, "version": b"3\n", "byteorder": b"little"}.items():
            archive.writestr(f"a/{name}", data)
    refused_in_little_memory(tmp_path / "a.pt", "bytearray")
    (tmp_path / "b.pt").write_bytes(pickled)
    refused_in_little_memory(tmp_path / "b.pt", "bytearray")


def test_safetensors_that_lie(tmp_path):
    pytest.importorskip("safetensors")

    def file(shape, offsets, data):
        header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()
        return struct.pack("<Q", len(header)) + header + data

    whole = file([4, 4], [0, 64], b"0" * 64)
    (tmp_path / "a.safetensors").write_bytes(whole)
    assert len(ds.read_weights(tmp_path / "a.safetensors")) == 1
    for data in (
        whole[:-1], whole[:20], b"", struct.pack("<Q", HUGE) + whole[8:], b"\xff" * 64, file([4, 4], [64, 0], b""),
        *(file(*lie, bytes(64)) for lie in (([4, 5], [0, 64]), ([10**8, 10**7], [0, 4 * HUGE]), ([2**62, 4], [0, 64]))),
    ):  # fmt: skip
        (tmp_path / "a.safetensors").write_bytes(data)
        refused(tmp_path / "a.safetensors")


def npy(shape, data, dtype="<f8"):
    """An array as in .npz, whose header may not be true."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue() + data


def test_npz_files(tmp_path):
    path = tmp_path / "a.npz"
    canary = tmp_path / "canary"
    for objects in (np.array([[Canary(canary)] * 2] * 2, object), np.array(Canary(canary), object)):
        np.savez(path, w=np.eye(3), o=objects)
        refused(path, "o.npy", "pickled")
    assert not canary.exists()
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Canary(canary)))
    refused(tmp_path / "p.npz")
    assert not canary.exists()
    for data, words in (
        (npy((10**8, 10**7), b"0" * 64), ["shape (100000000, 10000000)"]),
        (npy((4, 4), b"0" * 127), ["127 bytes"]),
        (npy((-4, -4), b"0" * 128), ["shape (-4, -4)"]),
        (npy((4, 4), b"0" * 128)[:20], []),
        (b"\x93NUMPY\x09\x00" + bytes(64), ["version"]),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535, []),
        (pickle.dumps(Canary(canary)), []),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w.npy", data)
        refused(path, *words)
    assert not canary.exists()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", npy((2, 2), bytes(32)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("w.npy", npy((2, 2), bytes(32)))
    refused(path, "twice")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("w.npy", npy((2, 2), bytes(32)))
    refused(path, "deflate")
    whole = formats.write_npz(tmp_path, formats.PLAIN).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path)
    at = whole.index(formats.PLAIN["fc1.weight"].tobytes())
    path.write_bytes(whole[:at] + bytes(8) + whole[at + 8 :])
    refused(path, "fc1", "CRC")


def test_names_that_control_a_terminal_are_not_shown(tmp_path):
    np.savez(tmp_path / "a.npz", **{"w\x1b[31m": np.eye(3)})
    assert "\x1b" not in refused(tmp_path / "a.npz", "name")


def bomb(target, name, size, declared=None, start=b""):
    """A zip file with a member that inflates to `size` bytes of zeros and says that it has `declared`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(start) + b"".join(packer.compress(bytes(2**20)) for _ in range(size >> 20)) + packer.flush()
    declared = size + len(start) if declared is None else declared
    one = struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 33, 0, len(data), declared, len(name), 0)
    local = b"PK\3\4" + one + name.encode()
    central = b"PK\1\2" + struct.pack("<H", 20) + one + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name.encode()
    end = b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local) + len(data), 0)
    target.write_bytes(local + data + central + end)


def refused_in_little_memory(path, *words):
    """Refused, and what Python, zlib and NumPy take meanwhile is less than the stated 64 MiB."""
    tracemalloc.start()
    try:
        refused(path, *words)
        assert tracemalloc.get_traced_memory()[1] < 70 * 2**20
    finally:
        tracemalloc.stop()


def test_zip_bombs_take_no_memory(tmp_path):
    pytest.importorskip("h5py")
    large, small = npy((2**12, 2**12), b""), npy((16, 16), b"")
    bomb(tmp_path / "a.npz", "w.npy", 2**27, start=large)
    refused_in_little_memory(tmp_path / "a.npz", "w.npy", "compress")
    bomb(tmp_path / "b.npz", "w.npy", 2**27, len(small) + 2048, start=small)
    refused_in_little_memory(tmp_path / "b.npz")
    for declared in (None, 2048):
        bomb(tmp_path / "c.keras", "model.weights.h5", 2**27, declared)
        refused_in_little_memory(tmp_path / "c.keras")


def test_h5_files_that_point_elsewhere(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["w"] = SECRET
    (tmp_path / "secret.bin").write_bytes(SECRET.tobytes())
    path = tmp_path / "a.h5"

    def check(*words):
        refused(path, *words)
        content = path.read_bytes()
        with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
            archive.writestr("model.weights.h5", content)
        refused(tmp_path / "a.keras", *words)

    with h5py.File(path, "w") as file:
        file["ok"] = np.eye(3)
        file["layers/dense/x"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/w")
    check("layers/dense/x", "another file")
    with h5py.File(path, "w") as file:
        file["optimizer"] = h5py.ExternalLink("secret.h5", "/")
        file["soft"] = h5py.SoftLink("/optimizer/w")
    check("optimizer", "another file")
    with h5py.File(path, "w") as file:
        file["ok"] = np.eye(3)
        file["soft"] = h5py.SoftLink("/nothing")
    check("soft", "soft link", "nothing")
    with h5py.File(path, "w") as file:
        file.create_dataset("g/w", (4, 4), "f8", external=[(str(tmp_path / "secret.bin"), 0, 128)])
    check("g/w", "external data", "nothing was read")
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((4, 4), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "w", (4, 4))
        file.create_virtual_dataset("v", layout)
    check("v", "virtual data")


def test_h5_files_that_lie_about_sizes(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:  # 10**15 bytes, of which none are there
        file.create_dataset("w", (10**8, 10**7), "i1", chunks=(100, 100))
    refused_in_little_memory(path, "w", "1000000000000000 bytes")
    with h5py.File(path, "w") as file:
        file.create_dataset("w", data=np.zeros((2**12, 2**12)), chunks=(2**11, 2**11), compression="gzip")
    refused_in_little_memory(path, "w", "compress")
    with h5py.File(path, "w") as file:  # a chunk that inflates to more than it may
        made = file.create_dataset("w", (64, 64), "f8", chunks=(64, 64), compression="gzip")
        made.id.write_direct_chunk((0, 0), zlib.compress(bytes(2**27), 9))
    refused_in_little_memory(path, "w", "chunk")
    with h5py.File(path, "w") as file:
        file.create_dataset("w", data=np.eye(64), compression="lzf")
    refused(path, "w", "gzip")
    whole = formats.write_h5(tmp_path, formats.PLAIN).read_bytes()
    for data in (whole[: len(whole) // 2], whole[:100], b"", b"\x89HDF\r\n\x1a\n" + bytes(100)):
        path.write_bytes(data)
        refused(path)


def test_keras_archives_that_are_none(tmp_path):
    pytest.importorskip("h5py")
    path = tmp_path / "a.keras"
    for name, data, words in (
        ("config.json", b"{}", ["model.weights.h5"]),
        ("model.weights.h5", b"", []),
        ("model.weights.h5", b"\x89HDF\r\n\x1a\n", []),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, data)
        refused(path, *words)
    path.write_bytes(b"PK\3\4")
    refused(path)


def test_an_index_stays_in_its_folder(tmp_path):
    pytest.importorskip("safetensors")
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    secret = formats.write_safetensors(tmp_path, {"w": SECRET}, "secret.safetensors")
    formats.write_safetensors(folder, {"w": np.eye(3)}, "inside.safetensors")
    (folder / "link.safetensors").symlink_to(secret)
    (folder / "out").symlink_to(tmp_path)
    index = folder / "model.safetensors.index.json"
    for name, words in (
        ("../secret.safetensors", ["outside"]),
        (str(secret), ["outside"]),
        ("link.safetensors", ["outside"]),
        ("out/secret.safetensors", ["outside"]),
        ("sub/../../secret.safetensors", ["outside"]),
        ("none.safetensors", ["not there"]),
        ("sub", ["not there"]),
        ("model.safetensors.index.json", []),
        ("inside.safetensors\0", []),
        ("", []),
    ):
        index.write_text(json.dumps({"weight_map": {"w": name}}))
        refused(index, *words)
    index.write_text(json.dumps({"weight_map": {"w": "inside.safetensors"}}))
    assert ds.read_weights(index)["w"][0, 0] == 1
    index.write_text(json.dumps({"weight_map": {"w": "inside.safetensors", "v": "inside.safetensors"}}))
    refused(index, "'v'")
    for text in ("[]", "{}", "", "[" * 10**5, '{"weight_map": 3}', '{"weight_map": {"w": 3}}', "\xff"):
        index.write_text(text, encoding="latin-1")
        refused(index)


def test_an_index_in_the_cache_of_hugging_face(tmp_path):
    """There all files are links into one folder of contents."""
    pytest.importorskip("safetensors")
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots/1").mkdir(parents=True)
    formats.write_safetensors(tmp_path / "blobs", {"w": np.eye(3)}, "1234")
    (tmp_path / "blobs/5678").write_text(json.dumps({"weight_map": {"w": "model-1.safetensors"}}))
    (tmp_path / "snapshots/1/model-1.safetensors").symlink_to("../../blobs/1234")
    index = tmp_path / "snapshots/1/model.safetensors.index.json"
    index.symlink_to("../../blobs/5678")
    assert list(ds.read_weights(index)) == ["w"]


FUZZ = """
import pathlib, random, resource, sys, warnings
import numpy as np, dysonsim as ds
warnings.simplefilter("ignore")
source, turns = pathlib.Path(sys.argv[1]), int(sys.argv[2])
whole, target = source.read_bytes(), source.with_name("broken-" + source.name)
dict(ds.read_weights(source))
before, rng, taken, path = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, random.Random(source.name), 0, target
for turn in range(turns):
    data = bytearray(whole)
    if turn % 3 == 0:
        del data[rng.randrange(len(data)) :]
    else:
        low, high = rng.choice([(0, len(data)), (0, min(600, len(data))), (max(0, len(data) - 600), len(data))])
        for _ in range(rng.choice([1, 2, 8, 40])):
            data[rng.randrange(low, high)] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
    path.write_bytes(data)
    try:
        dict(ds.read_weights(path))
    except (ValueError, TypeError) as error:
        assert str(path) in str(error), error
    else:
        taken += 1
print(taken, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", formats.WRITERS)
def test_files_with_flipped_bytes_raise_a_value_error_or_are_read(kind, tmp_path):
    """TypeError where the damage makes another type of the numbers."""
    path = formats.WRITERS[kind](tmp_path, formats.PLAIN)
    command = [sys.executable, "-c", FUZZ, str(path), "1500"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    taken, grown = map(int, done.stdout.split())
    assert grown < 200, "MiB"
    assert taken < 1400
