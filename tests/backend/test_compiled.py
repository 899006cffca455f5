"""Compiled functions on disk: used as they were sealed, or compiled anew."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from dysonsim.backend import cache
from dysonsim.backend.compiled import Compiled


def weighted_sum():
    def function(x, count, weight, word, out):
        total = 0.0
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                total += x[i, j]
        out[0] = weight * total + count
        out[1] = word

    return function


X = np.arange(6.0).reshape(2, 3)
NUMBERS = 2**40, 0.5, np.uint32(2**32 - 1)


def expected(x):
    return [0.5 * x.sum() + 2**40, 2**32 - 1]


@pytest.fixture
def root(tmp_path):
    """A root of the cache."""
    root = tmp_path / "cache"
    root.mkdir(mode=0o700)
    return root


@pytest.fixture
def function(root):
    """Compiled for a matrix, an integer, a float, a word and an array."""
    run = Compiled(weighted_sum, root / "kernel")
    assert called(run, X) == expected(X)
    assert not run.from_disk
    return run


def called(run, x, *numbers):
    out = np.zeros(2)
    run(x, *(numbers or NUMBERS), out)
    return out.tolist()


def test_arguments_arrive(function):
    assert called(function, X[:, :0]) == expected(X[:, :0])
    assert called(function, np.arange(40.0).reshape(8, 5)) == [0.5 * 780 + 2**40, 2**32 - 1]


@pytest.mark.parametrize("x", [X.astype(np.float32), X[0], X[None], X.T, X[:, ::2]], ids=repr)
def test_another_array_is_an_error(function, x):
    """Nothing is compiled on the way, for types that nobody meant."""
    with pytest.raises(TypeError, match="No matching definition"):
        called(function, x)


def test_what_is_sealed_is_used(function, root):
    again = Compiled(weighted_sum, root / "kernel")
    assert called(again, X) == expected(X)
    assert again.from_disk
    assert [path.name for path in root.iterdir()] == ["kernel"]


def damages(folder):
    """Ways to damage the files of a kernel."""
    data = next(folder.rglob("*.nbc"))
    whole = data.read_bytes()
    yield lambda: data.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    yield lambda: data.write_bytes(whole[:100])
    yield data.unlink
    yield lambda: data.chmod(0o666)
    yield (folder / cache.SEAL).unlink
    yield lambda: (folder / cache.SEAL).write_text("{")
    yield lambda: (folder / "more").write_text("")
    if hasattr(os, "mkfifo"):
        yield lambda: (next(folder.rglob("*.nbi")).unlink(), os.mkfifo(folder / "__pycache__" / "pipe"))


@pytest.mark.parametrize("number", range(7 + hasattr(os, "mkfifo")))
def test_damaged_files_are_compiled_anew(function, root, number):
    list(damages(root / "kernel"))[number]()
    assert not cache.intact(root / "kernel")
    again = Compiled(weighted_sum, root / "kernel")
    assert called(again, X) == expected(X)
    assert not again.from_disk
    third = Compiled(weighted_sum, root / "kernel")
    assert called(third, X) == expected(X)
    assert third.from_disk


def test_what_cannot_be_loaded_is_compiled_anew(function, root):
    """Sealed nonsense."""
    next((root / "kernel").rglob("*.nbc")).write_bytes(b"no pickle")
    cache.seal(root / "kernel")
    assert cache.intact(root / "kernel")
    assert called(Compiled(weighted_sum, root / "kernel"), X) == expected(X)


def test_nothing_is_left_of_what_cannot_be_compiled(root):
    def make():
        def function(x, count, weight, word, out):
            out[0] = x.no_such_attribute

        return function

    with pytest.raises(Exception, match="no_such_attribute"):
        called(Compiled(make, root / "kernel"), X)
    assert not list(root.iterdir())


def test_what_killed_processes_left_is_cleared(root):
    for name, age in (("old", 2 * cache.FORGOTTEN), ("new", 0)):
        (root / f"{name}{cache.UNFINISHED}").mkdir()
        os.utime(root / f"{name}{cache.UNFINISHED}", (os.path.getmtime(root) - age,) * 2)
    called(Compiled(weighted_sum, root / "kernel"), X)
    assert sorted(path.name for path in root.iterdir()) == ["kernel", "new.tmp"]


def test_nowhere_to_write_is_no_error(tmp_path, monkeypatch):
    """Compiled in memory."""
    monkeypatch.setenv("DYSONSIM_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    assert cache.cache_directory(cache.private) is None
    assert called(Compiled(weighted_sum, None), X) == expected(X)


def test_a_full_disk_is_no_error(root, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    cache.say_once.cache_clear()
    monkeypatch.setattr(cache.tempfile, "mkdtemp", full)
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        assert called(Compiled(weighted_sum, root / "kernel"), X) == expected(X)
    monkeypatch.undo()
    cache.say_once.cache_clear()
    monkeypatch.setattr(cache, "seal", full)  # later: what Numba wrote is there, and is cleared
    with pytest.warns(RuntimeWarning, match="No space left on device"):
        assert called(Compiled(weighted_sum, root / "kernel"), X) == expected(X)
    assert not list(root.iterdir())


def test_settings_that_change_machine_code_are_told_apart(monkeypatch):
    def of_now():
        cache.settings.cache_clear()
        cache.processor.cache_clear()
        return cache.settings()

    found = [of_now()]
    for name, value in (("NUMBA_CPU_NAME", "generic"), ("NUMBA_CPU_FEATURES", "+sse2"), ("NUMBA_OPT", "2")):
        monkeypatch.setenv(name, value)
        found.append(of_now())
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    assert of_now() == found[-1]
    assert len(set(found)) == len(found)
    monkeypatch.undo()
    assert of_now() == found[0]


def test_a_second_process_compiles_nothing(tmp_path):
    """Large networks call BLAS, through Numba."""
    program = textwrap.dedent("""
        import dysonsim as ds
        from numba.core import event
        with event.install_recorder("numba:compile") as recorder:
            run = ds.simulate(ds.SGD(ds.GaussianRBM.scalar_field(64, mass=2.0, mu=3.0), 0.01, 4), replicas=1, steps=2)
        print(repr(float(run.eigenvalues.sum())), len(recorder.buffer))
    """)
    env = {"DYSONSIM_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    env |= {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "NUMBA_OPT": os.environ["NUMBA_OPT"]}

    def run():
        command = [sys.executable, "-c", program]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()

    value, compiled = run()
    assert int(compiled) > 100
    assert run() == [value, "0"]
