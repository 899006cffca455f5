"""Faults around a run: memory, threads, forks, signals, the cache on disk, units that floats cannot hold."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.backend import cache, machine, native
from dysonsim.backend.threads import share
from dysonsim.ensembles import rounds, schedule

SGD = ds.SGD(ds.TeacherStudent(2 * np.eye(3), 0.1), 0.1, 4)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux")


def python(program, *arguments, cwd=None, **environment):
    """What another Python prints; its kernels come from the cache of these tests."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program), *map(str, arguments)]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=200, cwd=cwd, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# Memory


def test_limits_of_control_groups_are_seen(tmp_path):
    """Versions 1 and 2, of the group and of those above it; what can be given back counts as free."""
    about, root = tmp_path / "cgroup", tmp_path / "fs"
    job = root / "user" / "job"
    job.mkdir(parents=True)
    (job / "memory.max").write_text("max\n")
    (job / "memory.current").write_text("5\n")
    (root / "user" / "memory.max").write_text("1000\n")
    (root / "user" / "memory.current").write_text("300\n")
    (root / "user" / "memory.stat").write_text("anon 7\ninactive_file 100\n")
    about.write_text("0::/user/job\n")
    assert list(machine._of_control_groups(about, root)) == [800]
    old = root / "memory" / "batch"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("600\n")
    (old / "memory.usage_in_bytes").write_text("200\n")
    (root / "memory" / "memory.limit_in_bytes").write_text(f"{2**63 - 4096}\n")
    (root / "memory" / "memory.usage_in_bytes").write_text("200\n")
    about.write_text("5:cpu,memory:/batch\n1:name=systemd:/\n")
    assert list(machine._of_control_groups(about, root)) == [400]
    about.write_text("5:memory:/docker/of-the-machine\n")
    (root / "memory" / "memory.limit_in_bytes").write_text("900\n")  # a container's own, mounted at the top
    assert list(machine._of_control_groups(about, root)) == [700]
    about.unlink()
    assert list(machine._of_control_groups(about, root)) == []


@LINUX
def test_a_limit_of_the_address_space_is_an_error_before_the_run():
    found = python("""
        import resource, dysonsim as ds
        resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, resource.RLIM_INFINITY))
        try:
            ds.simulate(ds.Dyson(n=10, beta=2), 10**6, times=range(1, 20))
        except MemoryError as error:
            print("available" in str(error))
    """)
    assert found == ["True"]


MEASURED = """
    import resource, sys, numpy as np, dysonsim as ds
    rbm = ds.SGD(ds.GaussianRBM.scalar_field(10, 2.0, 3.0), 0.05, 16)
    process, replicas, keep = {
        "rbm": (rbm, 60_000, False),
        "weights": (rbm, 20_000, True),
        "matrix": (ds.Dyson(n=100, beta=4), 50, False),
        "hmc": (ds.CoulombGas(beta=2.0, centers=[0.0, 1.0, 3.0, 5.0], widths=1.0), 250_000, False),
    }[sys.argv[1]]
    def run(replicas):
        how = {"times": [0.1, 0.2, 0.3]} if process.continuous else {"steps": 3, "record_every": 1}
        return ds.simulate(process, replicas, keep_weights=keep, **how)
    run(3).eigenvalues
    before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
    levels = run(replicas).eigenvalues
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    peak = int(status["VmHWM"].split()[0]) * 1024  # ru_maxrss is inherited from a large parent
    print((peak - before) / ds.memory_needed(process, replicas, 3, keep))
"""


@LINUX
@pytest.mark.parametrize("name", ["rbm", "weights", "matrix", "hmc"])
def test_memory_needed_is_an_upper_bound_and_no_idle_one(name):
    (share_of_it,) = map(float, python(MEASURED, name))
    assert 0.25 < share_of_it < 1


def test_what_is_listed_is_checked_before_it_is_built():
    one = ds.Dyson(n=3, beta=2)
    for endless in (itertools.count(0.5), itertools.repeat(1.0), itertools.cycle([1.0, 2.0])):
        with pytest.raises(ValueError, match="times: lists more than"):
            ds.simulate(one, 4, times=endless)
    with pytest.raises(ValueError, match="record_steps: lists more than"):
        ds.simulate(SGD, 4, 10, record_steps=itertools.repeat(5))
    for long in ({"record_every": 1}, {"record_steps": range(10**9)}):
        with pytest.raises(MemoryError, match="records need"):
            ds.simulate(SGD, 1000, 10**9, **long)
    for long in (range(10**9), range(10**30)):
        with pytest.raises(MemoryError, match="records need"):
            ds.simulate(one, 1000, times=long)
    with pytest.raises(ValueError, match="more steps than"):
        ds.simulate(ds.Dyson(beta=1.5, rate=[1.0, 1.0, 2.0]), 4, times=[1e290])


def test_arrays_ranges_and_lists_of_records_are_the_same():
    listed = [
        schedule.recorded_steps(20, None, of, 0, lambda n: None)
        for of in ([9, 3, 9], np.array([3, 9]), range(3, 10, 6))
    ]
    assert [of.tolist() for of in listed] == [[3, 9]] * 3
    assert schedule.recorded_steps(20, 8, None, 0, lambda n: None).tolist() == [8, 16, 20]
    assert schedule.recorded_steps(20, 8, None, 9, lambda n: None).tolist() == [16, 20]
    assert schedule.recorded_steps(20, 8, None, 17, lambda n: None).tolist() == [20]
    with pytest.raises(ValueError, match="record_steps = 21"):
        schedule.recorded_steps(20, None, np.array([3, 21]), 0, lambda n: None)
    with pytest.raises(TypeError, match="record_steps"):
        schedule.recorded_steps(20, None, np.array([3.0]), 0, lambda n: None)


# Threads and processes


def test_a_task_may_share_work_of_its_own():
    """Though every helper is busy."""
    done = []
    share(lambda i: share(lambda j: done.append((i, j)), range(5), 4), range(8), 4)
    assert sorted(done) == [(i, j) for i in range(8) for j in range(5)]


def test_a_process_may_simulate_in_its_own_methods():
    class Nested(ds.SGD):
        def spectra(self, state):
            ds.simulate(SGD, 100, 2, threads=3)
            return super().spectra(state)

    run = ds.simulate(Nested(SGD.model, 0.1, 4), 300, 3, threads=4, seed=5)
    np.testing.assert_array_equal(run.spectra, ds.simulate(SGD, 300, 3, threads=1, seed=5).spectra)


def test_helpers_are_as_many_as_were_asked_for_at_once():
    before = threading.active_count()
    for threads in range(1, 20):
        share(lambda _: None, range(40), threads)
    assert threading.active_count() <= max(before, before + 18)


@LINUX
def test_a_run_in_a_child_while_another_thread_compiles():
    found = python("""
        import gc, os, threading, time
        import numpy as np, dysonsim as ds
        from dysonsim.backend import native
        compiling = threading.Event()
        def make():
            compiling.set()
            time.sleep(0.3)
            def f(x):
                x[0] = x[1]
            return f
        thread = threading.Thread(target=lambda: native.Native(make, None)(np.zeros(2)))
        thread.start()
        compiling.wait()
        if os.fork() == 0:
            native.Native(make, None)(np.zeros(2))
            print("child", gc.isenabled(), flush=True)
            os._exit(0)
        _, status = os.wait()
        thread.join()
        print("parent", status)
    """)
    assert found == ["child", "True", "parent", "0"]


@LINUX
@pytest.mark.parametrize(("module", "name"), [
    ("numba.core.compiler_lock", "global_compiler_lock"), ("llvmlite.binding.ffi", "lib._lock"),
])  # fmt: skip
def test_a_fork_waits_for_locks_of_others_though_nothing_was_linked_yet(module, name):
    """As a thread holds them that compiles a user's function."""
    found = python(f"""
        import operator, os, sys, threading, time
        import dysonsim as ds
        import {module}
        lock = operator.attrgetter("{name}")(sys.modules["{module}"])
        held = threading.Event()
        def hold():
            with lock:
                held.set()
                time.sleep(0.3)
        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        if os.fork() == 0:
            taken = threading.Thread(target=lambda: lock.__enter__(), daemon=True)
            taken.start()
            taken.join(5)
            print("free" if not taken.is_alive() else "held", flush=True)
            os._exit(0)
        os.wait()
        thread.join()
        print("dysonsim.backend.native" in sys.modules)
    """)
    assert found == ["free", "False"]


@LINUX
def test_a_signal_handler_may_simulate_while_its_thread_compiles():
    found = python("""
        import signal, time
        import numpy as np
        from dysonsim.backend import native
        x = np.arange(2.0)
        def make():
            def f(x):
                x[0] = 2.0 * x[1]
            return f
        def slow():
            signal.raise_signal(signal.SIGUSR1)
            return make()
        signal.signal(signal.SIGUSR1, lambda *_: native.Native(make, None)(x))
        native.Native(slow, None)(x)
        print(x[0])
    """)
    assert found == ["2.0"]


def test_a_run_when_the_interpreter_ends_and_where_the_directory_is_gone(tmp_path):
    program = f"""
        import atexit, os, dysonsim as ds
        sgd = ds.SGD(ds.TeacherStudent([[2.0, 0, 0], [0, 2, 0], [0, 0, 2]], 0.1), 0.1, 4)
        os.chdir({str(tmp_path)!r})
        os.rmdir({str(tmp_path)!r})
        atexit.register(lambda: print(ds.simulate(sgd, 300, 2, threads=4).spectra.shape[0]))
        print(ds.simulate(sgd, 2, 2).spectra.shape[0])
    """
    assert python(program) == ["2", "300"]


@pytest.mark.parametrize("stderr", ["None", "open('/dev/full', 'w')", "closed"])
def test_a_bar_that_cannot_be_shown_ends_no_run(stderr, monkeypatch):
    if stderr == "closed":
        file = open(os.devnull, "w")  # noqa: SIM115
        file.close()
    else:
        file = eval(stderr)
    monkeypatch.setattr(sys, "stderr", file)
    monkeypatch.setattr(rounds, "PATIENCE", 0.0)
    for progress in (True, None):
        bar = rounds.Bar(10, progress)
        bar.update(5)
        bar.close()
    assert ds.simulate(SGD, 2, 5, progress=True).spectra.shape == (2, 1, 3)


def test_without_tqdm_there_is_no_bar(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.warns(RuntimeWarning, match="tqdm is not installed"):
        ds.simulate(SGD, 2, 5, progress=True)


@pytest.mark.parametrize(
    "sgd",
    [
        ds.SGD(ds.GaussianRBM.scalar_field(4, 2.0, 3.0, gibbs_steps=10**9, sampling="step_by_step"), 0.05, 6),
        ds.SGD(ds.GaussianRBM.scalar_field(100, 2.0, 3.0, gibbs_steps=10**6), 0.05, 6),
        ds.SGD(ds.LinearNetwork(np.eye(2), np.eye(2), 0.1, sampling="sample_by_sample"), 0.05, 10**12),
    ],
    ids=["gibbs", "large", "samples"],
)
def test_a_step_that_nothing_could_interrupt_is_refused(sgd):
    with pytest.raises(ValueError, match="nothing can interrupt"):
        ds.simulate(sgd, 1, 1)


def test_chains_that_fit_into_no_memory():
    for batch in (10**9, 10**12, 2**62):
        with pytest.raises(MemoryError):
            ds.simulate(ds.SGD(ds.GaussianRBM.scalar_field(100, 2.0, 3.0), 0.05, batch), 1, 1)


@pytest.mark.parametrize("k", [1, 2, 7, 12, 10**6, 10**12])
def test_predictions_for_many_gibbs_steps(k):
    """sum_l a^l b^(k-1-l) against its closed form and, at few steps, the sum."""
    model = ds.GaussianRBM.scalar_field(3, 1.5, 2.8, gibbs_steps=k)
    a = np.array([0.3, 0.55, 0.9])
    found = model._power_slope(a) * model.mu**2
    i, j = np.triu_indices(3, 1)
    np.testing.assert_allclose(found[i, j], (a[i] ** k - a[j] ** k) / (a[i] - a[j]), rtol=1e-12)
    np.testing.assert_allclose(np.diag(found), k * a ** (k - 1.0), rtol=1e-9, atol=1e-300)


# The same numbers on any number of threads of BLAS


def test_threads_of_blas_change_no_bit():
    program = """
        import hashlib, numpy as np, dysonsim as ds
        random = np.random.default_rng(0)
        target = random.normal(size=(100, 100)) / 50
        target = target + target.T + 2 * np.eye(100)
        model = ds.GaussianRBM(target, mu=3.0)
        arrays = [
            model.kernel(0.01, 4).reals, model.kernel(0.01, 4).basis, model.fixed_point(),
            ds.singular_values(random.normal(size=(300, 300))),
            ds.simulate(ds.Dyson(n=128, beta=1, initial=np.arange(128.0)), 1, times=[0.3]).spectra,
            ds.LinearNetwork(target, target[:90], 0.1).hessian,
        ]
        print(*[hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest() for a in arrays])
    """
    one = python(program, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    assert one == python(program, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2")


# Units of length


def scaled(s):
    yield lambda: ds.Dyson(n=3, beta=2, noise=s, center=s, initial=[s, 2 * s, 4 * s]), {"times": [0.5]}, 1
    yield lambda: ds.Dyson(n=3, beta=1.5, noise=s, initial=[s, 2 * s, 4 * s]), {"times": [0.1]}, 1
    yield lambda: ds.LaguerreProcess(m=3, n=3, beta=1, noise=s), {"times": [0.1]}, 2
    yield lambda: ds.LaguerreProcess(m=3.5, n=3, beta=1.5, noise=s), {"times": [0.1]}, 2
    yield lambda: ds.CoulombGas.hermite(3, 2.0, width=s), {}, 1
    yield lambda: ds.CoulombGas.laguerre(3, 3.5, 2.0, width=s), {}, 2
    yield lambda: ds.SGD(ds.TeacherStudent(s * np.diag([1.0, 2, 3]), s), 0.1, 8, init_scale=s), {"steps": 5}, 2


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", range(7))
def test_any_unit_gives_the_same_levels_or_an_error_before_the_run(case, dtype):
    """Never zeros, nor what has lost its digits."""
    tolerance = 1e-9 if dtype == "float64" else 1e-2
    make, how, _ = list(scaled(1.0))[case]
    expected = ds.simulate(make(), 8, seed=1, dtype=dtype, **how).eigenvalues
    answered = []
    for s in (1e-300, 1e-160, 1e-100, 1e-24, 1e-12, 1e-6, 1e6, 3e15, 1e24, 1e100, 1e160, 1e200):
        make, how, power = list(scaled(s))[case]
        try:
            found = ds.simulate(make(), 8, seed=1, dtype=dtype, **how).eigenvalues
        except ValueError as error:
            assert "unit" in str(error)  # noqa: PT017
            continue
        for _ in range(power):
            found = found / s
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * np.abs(expected).max())
        answered.append(s)
    assert {1e-6, 1e6} <= set(answered)
    assert dtype == "float32" or {1e-24, 3e15} <= set(answered)


def test_numbers_of_too_many_degrees_of_freedom_are_refused():
    for process in (
        ds.CoulombGas.hermite(3, 1e40),
        ds.CoulombGas.laguerre(3, 1e40, 2.0),
        ds.CoulombGas.jacobi(3, 1e40, 1.0, 2.0),
    ):
        with pytest.raises(ValueError, match="degrees of freedom cannot be drawn"):
            ds.simulate(process, 2)
    with pytest.raises(ValueError, match="rounding hides"):
        ds.CoulombGas.hermite(3, 1e16, method="hmc")
    zeros = np.array([-1, 0, 1]) * 1.5**0.5  # of Hermite's polynomial: where levels freeze
    levels = ds.simulate(ds.CoulombGas.hermite(3, 1e20), 4).eigenvalues / 1e10
    np.testing.assert_allclose(levels[:, -1], np.tile(zeros, (4, 1)), atol=1e-6)


# Numbers


def test_unaligned_matrices():
    w = np.random.default_rng(0).normal(size=(2, 3, 4))
    shifted = np.frombuffer(b"x" + w.tobytes(), np.float64, w.size, 1).reshape(w.shape)
    assert not shifted.flags.aligned
    np.testing.assert_array_equal(ds.singular_values(shifted), ds.singular_values(w))


def test_errors_of_floating_point_may_be_errors():
    """Underflow is no fault of a user's; other threads than the caller's do not know of his wish either."""
    with np.errstate(all="raise"):
        for process, how in (
            (SGD, {"steps": 50}),
            (ds.Dyson(n=4, beta=1), {"times": [1e3]}),
            (ds.Dyson(n=4, beta=1.5), {"times": [0.5]}),
            (ds.CoulombGas(beta=1.0, centers=[0.0, 40.0], widths=0.1), {"steps": 400}),
            (ds.SGD(ds.GaussianRBM.scalar_field(4, 2.0, 3.0, gibbs_steps=500), 0.05, 4), {"steps": 3}),
        ):
            ds.simulate(process, 50, seed=1, threads=2, **how)


def test_where_numba_may_not_compile_kernels_run_as_numpy_code():
    program = """
        import warnings, numpy as np, dysonsim as ds
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            run = ds.simulate(ds.SGD(ds.GaussianRBM.scalar_field(3, 1.5, 2.8), 0.1, 3), 4, 3, seed=1)
        print(any("NUMBA_DISABLE_JIT" in str(of.message) for of in told), repr(float(run.spectra.sum())))
    """
    told, total = python(program, NUMBA_DISABLE_JIT="1")
    assert told == "True"
    run = ds.simulate(ds.SGD(ds.GaussianRBM.scalar_field(3, 1.5, 2.8), 0.1, 3), 4, 3, seed=1)
    assert float(total) == pytest.approx(run.spectra.sum(), abs=1e-4)


# The cache on disk


@LINUX
class TestForeignCode:
    @pytest.fixture
    def function(self, tmp_path):
        def make():
            def f(x):
                x[0] = 1.0

            return f

        directory = cache.private(tmp_path / "cache", "kernel")
        native.Native(make, directory)(np.zeros(2))
        (file,) = directory.iterdir()
        return file

    def test_what_is_made_is_for_its_owner_alone(self, function):
        assert stat.S_IMODE(function.stat().st_mode) == 0o600
        assert stat.S_IMODE(function.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(function.parent.parent.stat().st_mode) == 0o700
        assert native.Code.read(function) is not None

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    def test_a_file_that_others_may_write_is_not_read(self, function, mode):
        function.chmod(mode)
        assert native.Code.read(function) is None

    @pytest.mark.parametrize("which", ["root", "kernel"])
    def test_nor_a_directory(self, function, which):
        place = function.parent if which == "kernel" else function.parent.parent
        place.chmod(0o777)
        with pytest.raises(cache.Unsuitable, match="others than its owner may write"):
            cache.private(function.parent.parent, "kernel")

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to give files away")
    def test_nor_what_belongs_to_another(self, function):
        os.chown(function, 65534, 65534)
        assert native.Code.read(function) is None
        os.chown(function.parent, 65534, 65534)
        with pytest.raises(cache.Unsuitable, match="another user"):
            cache.private(function.parent.parent, "kernel")

    def test_neither_pipes_nor_links_are_followed(self, function):
        whole = function.read_bytes()
        function.unlink()
        os.mkfifo(function)
        assert native.Code.read(function) is None
        function.unlink()
        other = function.parent / "other"
        other.write_bytes(whole)
        function.symlink_to(other)
        assert native.Code.read(function) is None

    def test_every_flipped_bit_is_seen(self, function):
        """Of the header, which says what to link, and some of the code."""
        whole = function.read_bytes()
        for at in [*range(300), *range(300, len(whole), 97)]:
            function.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
            assert native.Code.read(function) is None
        function.write_bytes(whole)
        assert native.Code.read(function) is not None
        moved = function.with_name("float64x2.code")  # code for other arguments
        function.rename(moved)
        assert native.Code.read(moved) is None

    def test_code_that_cannot_be_linked_is_compiled_anew(self, function, monkeypatch):
        native.Code("x86_64-unknown-linux-gnu", ("no_such_function",), b"").save(function)

        def make():
            def f(x):
                x[0] = 3.0

            return f

        x = np.zeros(2)
        native.Native(make, function.parent)(x)
        assert x[0] == 3.0

    def test_what_killed_processes_left_is_cleared(self, function):
        old, new = function.parent / "a.tmp", function.parent / "b.tmp"
        old.write_text("")
        new.write_text("")
        os.utime(old, (1, 1))
        assert cache.written(function.parent / "x", b"x")
        assert sorted(path.name for path in function.parent.glob("*.tmp")) == ["b.tmp"]


def test_sources_that_changed_since_the_import_or_are_not_there(monkeypatch):
    monkeypatch.setattr(cache, "IMPORTED", 0.0)
    with pytest.raises(cache.Unsuitable, match="has changed since it was imported"):
        cache.source_hash.__wrapped__()
    monkeypatch.setattr(cache, "PACKAGE", Path("/nowhere"))
    with pytest.raises(cache.Unsuitable, match="no source files"):
        cache.source_hash.__wrapped__()


def test_the_key_names_dysonsim_and_python():
    assert ds.__version__ in cache.settings()
    assert any(setting.startswith(sys.implementation.cache_tag) for setting in cache.settings())


def test_nowhere_to_keep_kernels_is_said_once(tmp_path, monkeypatch):
    monkeypatch.setenv("DYSONSIM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").write_text("")
    cache.say_once.cache_clear()
    from dysonsim.kernels.common import singular

    with pytest.warns(RuntimeWarning, match="not kept on disk") as told:
        found = [cache.cache_directory(singular.build, ["x", part]) for part in "ab"]
    assert found == [None, None]
    assert len(told) == 1
