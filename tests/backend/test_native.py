"""Machine code on disk: it is called with what it was compiled for, or not at all."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import textwrap

import numba
import numpy as np
import pytest

from dysonsim.backend import cache, native


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


@pytest.fixture(scope="module")
def function(tmp_path_factory):
    """Compiled for a matrix, an integer, a float, a word and an array."""
    run = native.Native(weighted_sum, tmp_path_factory.mktemp("code"))
    run(X, *NUMBERS, np.zeros(2))
    return run


def called(run, x, *numbers):
    out = np.zeros(2)
    run(x, *(numbers or NUMBERS), out)
    return out.tolist()


def test_arguments_arrive(function):
    assert called(function, X) == expected(X)
    assert called(function, X[:, :0]) == expected(X[:, :0])
    assert called(function, np.arange(40.0).reshape(8, 5)) == [0.5 * 780 + 2**40, 2**32 - 1]
    assert called(function, X, np.int64(7), np.float64(2.0), 3) == [37.0, 3.0]
    assert called(function, X, True, 2, 3) == [31.0, 3.0]


@pytest.mark.parametrize(
    "x", [X.astype(np.float32), X.astype(int), X[0], X[None], X.T, X[:, ::2], np.asfortranarray(X)], ids=repr
)
def test_another_array_is_an_error(function, x):
    with pytest.raises(TypeError, match="arguments are not float64x2-int64-float64-uint32-float64x1, or an array is"):
        called(function, x)


def test_other_numbers_are_errors(function):
    with pytest.raises(Exception, match=r"required argument is not|an integer is required"):
        called(function, X, 1.5, 0.5, 3)
    with pytest.raises(TypeError):
        function(X, 1)


def test_a_pickled_array_is_as_good(function):
    """Its dtype is another object than NumPy's own."""
    x = pickle.loads(pickle.dumps(X))
    assert called(function, x) == expected(X)
    odd = np.ndarray(X.shape, np.dtype(X.dtype, metadata={"some": "thing"}), X.tobytes())
    assert odd.dtype is not X.dtype
    assert called(function, odd) == expected(X)


def test_the_file_is_used_and_a_damaged_one_is_not(function):
    """One byte that differs, or a file that ends early: compiled again."""
    (file,) = function.directory.glob("*.code")

    def refuse():
        raise AssertionError("compiled")

    again = native.Native(refuse, function.directory)
    assert called(again, X) == expected(X)
    whole = file.read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-100], whole[:40], b""):
        file.write_bytes(damaged)
        with pytest.raises(AssertionError, match="compiled"):
            called(native.Native(refuse, function.directory), X)
        assert called(native.Native(weighted_sum, function.directory), X) == expected(X)
        assert native.Code.read(file) is not None


def test_what_is_not_in_the_process_is_named():
    """LLVM itself would link it to address 0."""
    code = native.Code("x86_64-unknown-linux-gnu", ("no_such_function",), b"")
    with pytest.raises(RuntimeError, match="it calls no_such_function, not in this process"):
        code.load()


def test_others_may_call_what_was_compiled_on_the_way(tmp_path):
    """Numba keeps it, and machine code of it; the outermost function alone has none."""

    def make():
        def function(x, out):
            out[0] = min(x[0], 3.0) + np.sum(x[1:])

        assert not gc.isenabled()
        return function

    out = np.zeros(1)
    native.Native(make, tmp_path)(np.arange(4.0), out)
    assert gc.isenabled()

    @numba.njit
    def users(x, y):
        if y > 3:
            raise ValueError("large", y)
        return min(x[0], 3.0) + np.sum(x[1:])

    assert users(np.arange(4.0), 0) == out[0] == 6.0
    with pytest.raises(ValueError, match=r"\('large', 4\)"):
        users(np.arange(4.0), 4)


def test_nowhere_to_write_is_no_error(function, tmp_path, monkeypatch):
    """Compiled in memory."""
    monkeypatch.setenv("DYSONSIM_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    assert cache.cache_directory(cache.variant, []) is None
    assert called(native.Native(weighted_sum, None), X) == expected(X)


def test_a_full_disk_is_no_error(tmp_path, monkeypatch):
    """As long as the directory can be made: nothing is kept."""

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.tempfile, "NamedTemporaryFile", full)
    assert called(native.Native(weighted_sum, tmp_path), X) == expected(X)
    assert not list(tmp_path.iterdir())
    names = {}
    assert not cache.execute("def f():\n    return 1\n", names, tmp_path)  # what CUDA kernels are made with
    assert names["f"]() == 1


def test_settings_that_change_machine_code_are_told_apart(monkeypatch):
    def of_now():
        cache.settings.cache_clear()
        cache.processor.cache_clear()
        return cache.settings()

    found = [of_now()]
    for name, value in (("NUMBA_CPU_NAME", "generic"), ("NUMBA_CPU_FEATURES", "+sse2"), ("NUMBA_OPT", "1")):
        monkeypatch.setenv(name, value)
        found.append(of_now())
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    assert of_now() == found[-1]
    assert len(set(found)) == len(found)
    monkeypatch.undo()
    assert of_now() == found[0]


def test_large_networks_find_blas_in_a_second_process(tmp_path):
    """Their kernel calls what Numba brings; the others do without it."""
    program = textwrap.dedent("""
        import sys
        import dysonsim as ds
        run = ds.simulate(ds.SGD(ds.GaussianRBM.scalar_field(64, mass=2.0, mu=3.0), 0.01, 4), replicas=1, steps=2)
        print(repr(float(run.eigenvalues.sum())), "dysonsim.backend.simd" in sys.modules)
    """)
    env = {"DYSONSIM_CACHE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def run():
        command = [sys.executable, "-c", program]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()

    value, compiled = run()
    assert compiled == "True"
    assert run() == [value, "False"]
