"""The file of a recording: a whole prefix after any end, an exact continuation, and refusal of what is no recording."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.training import journal
from dysonsim.training.recording import RecordedLayer, Recording

ABOUT = {"every": 2, "kicks": True, "top": None, "sampling": None, "layers": {"a": {"shape": [3, 2], "levels": 2}}}
NOTE = {
    "step": 1,
    "learning_rate": [0.1],
    "batch_size": 5,
    "optimizer": "SGD",
    "groups": [{"momentum": 0.9}],
    "group": [0],
}


def written(path, rows, about=ABOUT, note=NOTE):
    file = journal.Journal(path)
    file.append(b"head", about if isinstance(about, bytes) else json.dumps(about).encode())
    file.append(b"note", json.dumps(note).encode())
    for row in rows:
        file.append(b"row ", np.array(row, "<f8").tobytes())
    file.close()
    return path


def row(step, kind=None, batch=5.0, rate=0.1):
    return [float(step % 2 == 0) if kind is None else kind, step, batch, rate, 1.0 + step, 2.0 + step]


def test_frames_come_back(tmp_path):
    path = written(tmp_path / "a", [row(0), row(1), row(2)])
    frames, lost = journal.read(path)
    assert [frame.kind for frame in frames] == [b"head", b"note", b"row ", b"row ", b"row "]
    assert (frames[-1].end, lost) == (path.stat().st_size, 0)
    with pytest.raises(FileExistsError):
        journal.Journal(path)
    more = journal.Journal(path, keep=frames[2].end)
    more.append(b"row ", b"12345678")
    more.close()
    assert [frame.content for frame in journal.read(path)[0][2:]] == [frames[2].content, b"12345678"]


def test_any_torn_end_leaves_the_records_before_it(tmp_path):
    path = written(tmp_path / "a", [row(s) for s in range(4)])
    data, whole = path.read_bytes(), ds.load_recording(path)["a"]
    ends = [frame.end for frame in journal.read(path)[0]]
    assert whole.steps.tolist() == [0, 2]
    assert (whole.kicks == 1).all()
    for length in range(ends[0], len(data), 3):
        path.write_bytes(data[:length])
        layer = ds.load_recording(path)["a"]
        rows = sum(end <= length for end in ends[2:])
        np.testing.assert_array_equal(layer.singular_values, whole.singular_values[: (rows + 1) // 2])
        assert np.isfinite(layer.kicks).all(axis=1).sum() == rows // 2
    path.write_bytes(data[: ends[0] - 1])
    with pytest.raises(ValueError, match=r"path = .*header is not whole"):
        ds.load_recording(path)


def test_a_changed_bit_is_never_read(tmp_path):
    path = written(tmp_path / "a", [row(s) for s in range(4)])
    data, whole = path.read_bytes(), ds.load_recording(path)["a"]
    rng = np.random.default_rng(1)
    for at in rng.integers(len(data), size=200):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << rng.integers(8)]) + data[at + 1 :])
        try:
            layer = ds.load_recording(path)["a"]
        except ValueError:
            continue
        np.testing.assert_array_equal(layer.singular_values, whole.singular_values[: len(layer.steps)])


def test_damage_before_the_end_is_said(tmp_path):
    path = written(tmp_path / "a", [row(s) for s in range(400)])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.warns(RuntimeWarning, match=r"damaged; \d+ bytes after step .* are left out"):
        assert 0 < len(ds.load_recording(path).steps) < 200


def with_layers(**layer):
    return ABOUT | {"layers": {"a": {"shape": [3, 2], "levels": 2} | layer}}


HOSTILE = {
    "nested": b"[" * 100_000, "not JSON": b"\xff", "a list": b"[]", "a number": b"3", "empty": {},
    "no layers": ABOUT | {"layers": {}}, "layers in a list": ABOUT | {"layers": ["a"]},
    "negative": with_layers(shape=[-3, 2]), "huge": with_layers(shape=[10**30, 10**30], levels=10**30),
    "too many levels": with_layers(levels=3), "real": with_layers(levels=1.5), "flag": with_layers(levels=True),
    "three sides": with_layers(shape=[3, 2, 1]), "a word": with_layers(shape="ab"), "every": ABOUT | {"every": 0},
    "sampling": ABOUT | {"sampling": "os.system"}, "unhashable": ABOUT | {"sampling": []}, "top": ABOUT | {"top": "2"},
}  # fmt: skip


@pytest.mark.parametrize("about", HOSTILE.values(), ids=HOSTILE)
def test_headers_that_lie(about, tmp_path):
    path = written(tmp_path / "a", [row(0)], about)
    with pytest.raises(ValueError, match=r"path = .*must be a file that ds.watch wrote"):
        ds.load_recording(path)


NOTES = [{}, [], {**NOTE, "group": [7]}, {**NOTE, "learning_rate": []}, {**NOTE, "optimizer": 3}, {**NOTE, "step": "1"}]
ROWS = [
    [row(0), row(0)],
    [row(2), row(1)],
    [row(0, kind=0.5)],
    [row(float("nan"))],
    [row(1.5)],
    [row(0)[:-1]],
    [row(-2)],
]


@pytest.mark.parametrize("note", NOTES, ids=str)
def test_notes_that_make_no_sense(note, tmp_path):
    with pytest.raises(ValueError, match=r"path = .*note"):
        ds.load_recording(written(tmp_path / "a", [row(0)], note=note))


@pytest.mark.parametrize("rows", ROWS, ids=str)
def test_rows_that_make_no_sense(rows, tmp_path):
    with pytest.raises(ValueError, match=r"path = .*(a record of kind|a frame of kind)"):
        ds.load_recording(written(tmp_path / "a", rows))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", pickle.dumps([1]), journal.MAGIC, journal.MAGIC[:-1] + b" "])
def test_files_that_are_no_recording(data, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"path = .*must be a file that ds.watch wrote"):
        ds.load_recording(path)
    frame = struct.pack("<4sI", b"head", 2**32 - 1)
    path.write_bytes(journal.MAGIC + frame + struct.pack("<I", zlib.crc32(frame)))  # of a length that is not there
    with pytest.raises(ValueError, match="header is not whole"):
        ds.load_recording(path)


def test_paths_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        ds.load_recording(tmp_path / "none")
    with pytest.raises(ValueError, match=r"path = .*directory"):
        ds.load_recording(tmp_path)
    with pytest.raises(TypeError, match=r"path = 3"):
        ds.load_recording(3)


# Recordings of trainings.


def pieces():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, torch.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3)


def train(model, optimizer, schedule, first, last, kept=None):
    import torch

    for step in range(first, last):
        torch.manual_seed(step)
        optimizer.zero_grad()
        model(torch.randn(5, 8)).square().mean().backward()
        optimizer.step()
        schedule.step()
        if kept is not None:
            kept[step + 1] = pickle.dumps([x.state_dict() for x in (model, optimizer, schedule)])


def at(state):
    parts = pieces()
    for part, values in zip(parts, pickle.loads(state), strict=True):
        part.load_state_dict(values)
    return parts


@pytest.fixture(name="whole")
def recorded_to_the_end(tmp_path):
    """The folder of a recording of 20 steps, and the states after each step."""
    kept = {0: pickle.dumps([x.state_dict() for x in pieces()])}
    parts = pieces()
    with ds.watch(parts[0], every=4, path=tmp_path / "whole"):
        train(*parts, 0, 20, kept)
    return tmp_path, kept


def test_a_file_says_what_memory_says(whole):
    folder, kept = whole
    parts = pieces()
    with ds.watch(parts[0], every=4) as rec:
        train(*parts, 0, 20)
    for back in (ds.load_recording(folder / "whole"), pickle.loads(pickle.dumps(rec))):
        assert back.optimizer == rec.optimizer
        assert str(back) == str(rec)
        for name, layer in rec.items():
            for field in ("steps", "singular_values", "kicks", "learning_rate", "batch_size"):
                np.testing.assert_array_equal(getattr(back[name], field), getattr(layer, field))
            np.testing.assert_array_equal(back.initial[name], rec.initial[name])
    with np.load(folder / "whole.initial.npz") as arrays:
        np.testing.assert_array_equal(arrays["0"], pickle.loads(kept[0])[0]["0.weight"].numpy())
    assert list(ds.load_recording(folder / "whole").initial) == ["0", "2"]


@pytest.mark.parametrize(
    ("stop", "checkpoint"), [(19, 19), (17, 16), (17, 14), (13, 13), (12, 12), (11, 3), (9, 0), (1, 1)]
)
def test_a_continued_recording_is_that_of_an_uninterrupted_training(whole, stop, checkpoint):
    folder, kept = whole
    path, parts = folder / "run", pieces()
    with pytest.raises(KeyboardInterrupt), ds.watch(parts[0], every=4, path=path):  # noqa: PT012
        train(*parts, 0, stop)
        raise KeyboardInterrupt
    parts = at(kept[checkpoint])
    with ds.watch(parts[0], every=4, path=path, resume=checkpoint) as rec:
        assert rec.steps.tolist() == list(range(0, checkpoint + 1, 4))
        train(*parts, checkpoint, 20)
    assert path.read_bytes() == (folder / "whole").read_bytes()
    assert rec.steps.tolist() == [0, 4, 8, 12, 16, 20]
    np.testing.assert_array_equal(rec.initial["0"], ds.load_recording(folder / "whole").initial["0"])


def test_from_the_last_record(whole):
    folder, kept = whole
    before = (folder / "whole").read_bytes()
    parts = at(kept[20])
    with ds.watch(parts[0], every=4, path=folder / "whole", resume=True) as rec:
        train(*parts, 20, 25)
    assert rec.steps.tolist() == [0, 4, 8, 12, 16, 20, 24]
    assert (folder / "whole").read_bytes().startswith(before)
    np.testing.assert_array_equal(ds.load_recording(folder / "whole")["0"].kicks, rec["0"].kicks)


def test_what_cannot_be_continued(whole):
    torch = pytest.importorskip("torch")
    folder, kept = whole
    path, model = folder / "whole", at(kept[20])[0]
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"path = .*whole.*resume="):
        ds.watch(model, every=4, path=path)
    with pytest.raises(FileNotFoundError, match=r"path = .*none.*resume=0"):
        ds.watch(model, path=folder / "none", resume=True)
    cases = [
        ({"every": 5}, model, "every = 5: .* was recorded with 4"),
        ({"kicks": False}, model, "kicks = False"),
        ({"top": 2}, model, "resume: .*of layers|top = 2"),
        ({"sampling": "with_replacement"}, model, "sampling = 'with_replacement'"),
        ({"layers": "0"}, model, r"of layers 0 \(6, 8\), 2 \(3, 6\); here they are 0 \(6, 8\)"),
        ({}, torch.nn.Sequential(torch.nn.Linear(8, 5)), r"here they are 0 \(5, 8\)"),
        ({"resume": 16}, model, "resume = 16: the weights of layer '0' are not those recorded"),
        ({"resume": 33}, model, "resume = 33: .*lacks the record of step 32; .* of step 20"),
        ({}, at(kept[19])[0], "resume = 20: the weights"),
    ]
    for options, other, words in cases:
        with (
            pytest.raises(ValueError, match=words),
            ds.watch(other, **({"every": 4, "path": path, "resume": True} | options)),
        ):
            raise AssertionError
    assert path.read_bytes() == before
    (folder / "other").write_bytes(b"text")
    with (
        pytest.raises(ValueError, match=r"must be a file that ds.watch wrote"),
        ds.watch(model, path=folder / "other", resume=0),
    ):
        raise AssertionError
    assert (folder / "other").read_bytes() == b"text"


def test_what_is_refused_leaves_the_file_as_it_was(whole):
    folder, kept = whole
    before = (folder / "whole").read_bytes()
    with (
        pytest.raises(ValueError, match="resume = 12"),
        ds.watch(at(kept[8])[0], every=4, path=folder / "whole", resume=12),
    ):
        raise AssertionError
    assert (folder / "whole").read_bytes() == before


@pytest.mark.parametrize("left", [None, b"", journal.MAGIC])
def test_the_first_start_of_a_job_and_one_that_was_killed_as_it_began(left, tmp_path):
    if left is not None:
        (tmp_path / "run").write_bytes(left)
    parts = pieces()
    with ds.watch(parts[0], every=2, path=tmp_path / "run", resume=0):
        train(*parts, 0, 3)
    assert ds.load_recording(tmp_path / "run").steps.tolist() == [0, 2]


def test_a_full_disk_ends_the_file_and_not_the_training(tmp_path, monkeypatch):
    parts, calls = pieces(), []
    write = journal.Journal._write

    def full(self, data):
        calls.append(data)
        if len(calls) > 5:
            self._file.write(data[: len(data) // 2])  # what still fits
            data = Broken(data)
        write(self, data)

    class Broken(bytes):
        def __len__(self):
            raise OSError(28, "No space left on device")

        def __buffer__(self, flags):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.Journal, "_write", full)
    with (
        pytest.warns(RuntimeWarning, match="No space left on device at step .*rec goes on in memory") as caught,
        ds.watch(parts[0], every=1, path=tmp_path / "run") as rec,
    ):
        train(*parts, 0, 6)
    assert len(caught) == 1
    assert rec.steps.tolist() == list(range(7))
    assert 0 < len(ds.load_recording(tmp_path / "run").steps) < 7


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_write_that_fails_takes_back_what_was_written(tmp_path):
    import resource
    import signal

    path = written(tmp_path / "a", [row(0)])
    size = path.stat().st_size
    file = journal.Journal(path, keep=size)
    limit, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limit[1]))
        with pytest.raises(OSError, match="too large"):
            file.append(b"row ", bytes(48))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.stat().st_size == size
    file.append(b"row ", np.array(row(1), "<f8").tobytes())
    file.close()
    assert (ds.load_recording(path)["a"].kicks == 1).all()


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_two_processes_do_not_record_to_one_file(tmp_path):
    path = written(tmp_path / "a", [row(0)])
    file = journal.Journal(path, keep=path.stat().st_size)
    child = os.fork()
    if not child:
        try:
            journal.Journal(path, keep=0)
        except OSError as error:
            os._exit(7 if "another process" in str(error) else 1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    file.close()
    assert len(ds.load_recording(path).steps) == 1


def test_initial_weights_that_are_damaged_are_named(whole):
    folder, _ = whole
    rec = ds.load_recording(folder / "whole")
    beside = folder / "whole.initial.npz"
    beside.write_bytes(beside.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"whole\.initial\.npz.* is not what ds.watch wrote"):
        rec.initial["0"]
    with pytest.raises(KeyError, match="'0', '2'"):
        rec.initial["1"]
    np.savez(beside, **{"0": np.ones((2, 2)), "2": np.array([None])})
    for name in ("0", "2"):
        with pytest.raises(ValueError, match=r"whole\.initial\.npz"):
            rec.initial[name]
    beside.unlink()
    with pytest.raises(FileNotFoundError, match=r"whole\.initial\.npz"):
        rec.initial["0"]


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_and_killed_again_it_is_the_recording_of_a_training_that_was_not(kills):
    pytest.importorskip("torch")
    program = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("killed.py")), str(kills)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# The recording as an object.


def small():
    rec = Recording(ABOUT, initial={"a": np.ones((3, 2))})
    rec._notes.append(NOTE)
    for step in range(5):
        rec._add_row(np.array(row(step)))
    return rec


def test_a_recording_is_a_mapping():
    rec = small()
    assert list(rec) == ["a"] == list(rec.layers)
    assert len(rec) == 1
    assert "a" in rec
    with pytest.raises(KeyError, match="layer = 'b': must be one of 'a'"):
        rec["b"]
    assert repr(rec) == "<Recording of 1 layers, 3 records, in memory>"
    assert str(rec).splitlines() == [
        "Recording of 1 layers: 3 records of steps 0 to 4, every 2",
        "  SGD: momentum 0.9",
        "  layer  shape  levels  largest, first  last  learning rate  batch size",
        "  a      3 x 2  2       2               6     0.1            5",
    ]
    layer = rec["a"]
    layer.singular_values[:] = 0
    assert rec["a"].singular_values.any()  # copies are given
    assert json.loads(json.dumps(layer.to_dict()))["steps"] == [0, 2, 4]
    assert isinstance(layer, RecordedLayer)
    empty = Recording(ABOUT)
    assert empty["a"].singular_values.shape == (0, 2)
    assert "0 records" in str(empty)


def test_a_layer_is_drawn():
    import matplotlib.pyplot as plt

    axes = small()["a"].plot()
    assert len(axes.lines) == 2
    assert small()["a"].plot(axes) is axes
    assert "a, 3 x 2" in axes.get_title()
    plt.close(axes.figure)


def test_xarray():
    pytest.importorskip("xarray")
    rec = small()
    tree = rec.to_xarray()
    np.testing.assert_array_equal(tree["a"]["singular_values"], rec["a"].singular_values)
    assert tree["a"]["kicks"].dims == ("step", "level")
    assert tree["a"]["kicks"].sel(step=2, level=1) == 1
    assert tree["a"]["learning_rate"].values.tolist() == [0.1] * 3
    assert tree.attrs == {"every": 2, "sampling": "unknown"}
    top = Recording(with_layers(shape=[3, 3]) | {"top": 2})
    assert top.to_xarray()["a"]["level"].values.tolist() == [1, 2]


def test_without_xarray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"dysonsim\[xarray\]"):
        small().to_xarray()
