"""Stores: continued, refused, extended, damaged, full, written by two, read by xarray and anywhere."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.scans.lock import Lease

xarray = pytest.importorskip("xarray")
zarr = pytest.importorskip("zarr")
fsspec = pytest.importorskip("fsspec")

MODEL = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
AXES = {"learning_rate": [0.05, 0.1], "batch_size": [4, 16]}
HOW = {"steps": 20, "record_every": 10, "seed": 3, "progress": False, "replicas": 20, "piece": 8}


def training(learning_rate, batch_size=4):
    return ds.SGD(MODEL, learning_rate, batch_size)


def scanned(path, points=AXES, function=training, **changes):
    return ds.scan(function, points, path=path, **(HOW | changes))


@pytest.fixture(scope="module")
def whole():
    return ds.scan(training, AXES, **HOW).dataset


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "scan.zarr"
    scanned(path)
    return path


@pytest.fixture
def calls(monkeypatch):
    """Replicas of every call of `simulate`."""
    from dysonsim.scans import recipe

    seen, simulate = [], recipe.simulate
    monkeypatch.setattr(recipe, "simulate", lambda p, count, **how: seen.append(count) or simulate(p, count, **how))
    return seen


def test_a_store_is_a_labeled_dataset(store, whole):
    scan = ds.Scan.open(store)
    xarray.testing.assert_identical(scan.dataset.compute(), whole)
    raw = xarray.open_zarr(store, consolidated=False)
    assert raw["eigenvalues"].sel(learning_rate=0.1, batch_size=16).dims == ("replica", "time", "level")
    assert raw.attrs["function"] == "training"
    assert raw["eigenvalues"].attrs["long_name"] == "eigenvalue"
    assert zarr.open_group(store)["eigenvalues"].chunks == (1, 1, 8, 2, 2)
    assert not list(store.parent.glob("*.lock"))
    with pytest.raises(ValueError, match="was opened without its function"):
        scan.extend(replicas=30)


def test_only_what_is_missing_is_run(store, whole, calls):
    scanned(store)
    assert calls == []
    (store / "eigenvalues" / "1.0.1.0.0").unlink()
    with pytest.warns(RuntimeWarning, match="files of 1 pieces are missing, which are run again"):
        scan = scanned(store)
    assert calls == [8]
    xarray.testing.assert_identical(scan.dataset.compute(), whole)
    scan.extend({"batch_size": [8]}, replicas=30, progress=False)
    assert sum(calls) == 8 + 4 * 10 + 2 * 30
    expected = ds.scan(training, {**AXES, "batch_size": [4, 16, 8]}, **HOW | {"replicas": 30}).dataset
    xarray.testing.assert_identical(ds.Scan.open(store).dataset.compute(), expected)
    calls.clear()
    scanned(store).extend({"batch_size": [8]}, replicas=30, progress=False)  # the script again
    assert calls == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_scan_goes_on(tmp_path, whole, calls, monkeypatch, error):
    from dysonsim.scans import recipe

    counted = recipe.simulate

    def simulate(*arguments, **how):
        if len(calls) == 3:
            raise error
        return counted(*arguments, **how)

    monkeypatch.setattr(recipe, "simulate", simulate)
    with pytest.raises(error):
        scanned(tmp_path / "scan.zarr")
    monkeypatch.setattr(recipe, "simulate", counted)
    assert calls == [8, 12, 20]
    scan = scanned(tmp_path / "scan.zarr")
    assert sum(calls) == 80  # nothing twice
    xarray.testing.assert_identical(scan.dataset.compute(), whole)


def other(learning_rate, batch_size=4):
    return ds.SGD(MODEL, learning_rate, batch_size, init_scale=0.2)


OTHERS = {
    "seed": ({"seed": 4}, "seed = 4, and was 3"),
    "steps": ({"steps": 30}, "steps = 30, and was 20"),
    "dtype": ({"dtype": "float32"}, "dtype = 'float32', and was 'float64'"),
    "function": ({"function": other}, "function = other, and was training"),
    "axis": ({"points": {**AXES, "batch_size": [4, 8]}}, r"batch_size = \[4, 8\]: the store has \[4, 16\]"),
    "axes": ({"points": {"learning_rate": [0.05, 0.1]}}, "points of learning_rate .all combinations.: the store has"),
    "replicas": ({"replicas": 21}, "replicas = 21, and was 20 .Scan.extend adds replicas."),
    "measure": ({"measure": "spacings"}, "measure spacings is given, and was not"),
    "common": ({"common": True}, "common = True, and was False"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_scan_is_refused(store, name):
    changes, told = OTHERS[name]
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    with pytest.raises(ValueError, match=f"holds another scan: {told}"):
        scanned(store, **changes)
    assert before == {path: path.stat().st_mtime_ns for path in store.rglob("*")}


def test_a_function_that_has_changed_is_refused(tmp_path):
    def made(scale):
        def training(learning_rate):
            return ds.SGD(MODEL, learning_rate, 4, scale)

        return training

    rates = {"learning_rate": [0.1]}
    scanned(tmp_path / "scan.zarr", rates, made(0.1))
    scanned(tmp_path / "scan.zarr", rates, made(0.1))
    with pytest.raises(
        ValueError, match="function = training is not what it was: its code, or what it uses, has changed"
    ):
        scanned(tmp_path / "scan.zarr", rates, made(0.2))


def test_what_is_no_store(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter").write_text("mine")
    zarr.open_group(tmp_path / "foreign", mode="w").attrs["mine"] = True
    for name, told in (
        ("file", "is a file"),
        ("folder", "holds something else"),
        ("foreign", "not of dysonsim's scan"),
    ):
        with pytest.raises(ValueError, match=told):
            scanned(tmp_path / name)
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "letter").read_text() == "mine"
    assert zarr.open_group(tmp_path / "foreign").attrs["mine"] is True
    with pytest.raises(FileNotFoundError, match="there is no scan"):
        ds.Scan.open(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["zarr.json", "status/zarr.json", "status/0.0.0", "eigenvalues/zarr.json"])
def test_a_truncated_store_is_told_and_kept(store, name):
    path = store / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"scan\.zarr"):
        scanned(store)
    assert (store / "eigenvalues" / "1.1.2.0.0").exists()


def test_an_array_that_was_about_to_be_made_is_made(store, whole):
    (store / "eigenvalues" / "zarr.json").unlink()
    with pytest.warns(RuntimeWarning, match="files of 12 pieces are missing, which are run again"):
        xarray.testing.assert_identical(scanned(store).dataset.compute(), whole)


def test_a_truncated_piece_is_named_and_run_again(store, whole):
    path = store / "eigenvalues" / "1.1.2.0.0"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"is damaged .*eigenvalues/1\.1\.2\.0\.0.*remove the files named here"):
        scanned(store).mean()
    path.unlink()
    with pytest.warns(RuntimeWarning, match="run again"):
        xarray.testing.assert_identical(scanned(store).dataset.compute(), whole)


def test_no_space(tmp_path, whole, monkeypatch):
    write, room = zarr.Array.__setitem__, [7]

    def full(array, region, block):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(array, region, block)

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    with pytest.raises(OSError, match=r"No space left on device; what has been written stays.*scan\.zarr") as caught:
        scanned(tmp_path / "scan.zarr")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.setattr(zarr.Array, "__setitem__", write)
    assert ds.Scan.open(tmp_path / "scan.zarr").table.left < 80
    xarray.testing.assert_identical(scanned(tmp_path / "scan.zarr").dataset.compute(), whole)


HOLDER = "import sys, time; from dysonsim.scans.lock import LockFile; l = LockFile(sys.argv[1]); print('held', flush=True); time.sleep(99)"  # noqa: E501


def test_the_second_writer_is_refused_until_the_first_is_killed(tmp_path, whole):
    path = tmp_path / "scan.zarr"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match=f"process {holder.pid} on .* is writing to this store"):
            scanned(path)
        holder.kill()
    xarray.testing.assert_identical(scanned(path).dataset.compute(), whole)


def test_an_address(whole):
    path = "memory://somewhere/scan.zarr"
    scan = scanned(path)
    xarray.testing.assert_identical(scan.dataset.compute(), whole)
    xarray.testing.assert_identical(scanned(path).dataset.compute(), whole)
    lease = Lease(fsspec.filesystem("memory"), "/somewhere/scan.zarr")
    try:
        with pytest.raises(ValueError, match="is writing to this store"):
            scanned(path)
    finally:
        lease.release()
    scan.extend(replicas=24, progress=False)
    with pytest.raises(ValueError, match="must be an address that fsspec knows"):
        scanned("nowhere://scan.zarr")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_failures_are_kept(tmp_path):
    rates = {"learning_rate": [0.1, 3.0]}
    first = scanned(tmp_path / "scan.zarr", rates)
    opened = ds.Scan.open(tmp_path / "scan.zarr")
    assert opened.failures == first.failures
    assert len(opened.failures) == 1
    xarray.testing.assert_identical(opened.dataset.compute(), ds.scan(training, rates, **HOW).dataset)


def test_light_points_share_files(tmp_path):
    rates = {"learning_rate": np.linspace(0.01, 0.1, 600)}
    scan = scanned(tmp_path / "scan.zarr", rates, steps=2, record_every=None, replicas=4, piece=None)
    assert len(list((tmp_path / "scan.zarr" / "eigenvalues").iterdir())) == 301
    alone = ds.scan(training, {"learning_rate": [0.1]}, **HOW | {"steps": 2, "record_every": None, "replicas": 4})
    assert np.array_equal(scan.point(learning_rate=0.1)["eigenvalues"], alone.point()["eigenvalues"])
    assert scan.mean("eigenvalues", level=0).value.shape == (600,)
