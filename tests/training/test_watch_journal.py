"""The file of a recording: a whole prefix after any end, and refusal of what is no recording."""

from __future__ import annotations

import os
import pickle
import struct
import sys
import zlib

import numpy as np
import pytest
from journals import ABOUT, NOTE, row, with_layers, written

import dysonsim as ds
from dysonsim.training import journal


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
