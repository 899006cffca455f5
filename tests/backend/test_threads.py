"""Threads, forks, signals and the end of the interpreter; the same numbers on any number of threads."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from another_python import LINUX, python

import dysonsim as ds
from dysonsim.backend.threads import share

SGD = ds.SGD(ds.TeacherStudent(2 * np.eye(3), 0.1), 0.1, 4)


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
        from dysonsim.backend.compiled import Compiled
        compiling = threading.Event()
        def make():
            compiling.set()
            time.sleep(0.3)
            def f(x):
                x[0] = x[1]
            return f
        thread = threading.Thread(target=lambda: Compiled(make, None)(np.zeros(2)))
        thread.start()
        compiling.wait()
        if os.fork() == 0:
            Compiled(make, None)(np.zeros(2))
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
        print("dysonsim.backend.compiled" in sys.modules)
    """)
    assert found == ["free", "False"]


@LINUX
def test_a_signal_handler_may_simulate_while_its_thread_compiles():
    found = python("""
        import signal, time
        import numpy as np
        from dysonsim.backend.compiled import Compiled
        x = np.arange(2.0)
        def make():
            def f(x):
                x[0] = 2.0 * x[1]
            return f
        def slow():
            signal.raise_signal(signal.SIGUSR1)
            return make()
        signal.signal(signal.SIGUSR1, lambda *_: Compiled(make, None)(x))
        Compiled(slow, None)(x)
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
