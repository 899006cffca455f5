"""simulate and Run: the same numbers however they are computed, what is recorded, and how a run ends early."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from reference import LINEAR

import dysonsim as ds
from dysonsim.ensembles import rounds

RBM = ds.SGD(ds.GaussianRBM.scalar_field(4, mass=1.5, mu=2.8), learning_rate=0.05, batch_size=6)
NETWORK = ds.SGD(ds.LinearNetwork(2 * np.eye(2), np.diag([1, 1.5]), 0.1), learning_rate=0.1, batch_size=16)
SHORT = {"steps": 40, "record_every": 15, "keep_weights": True, "seed": 3}


def same(a: ds.Run, b: ds.Run, rows=slice(None)):
    np.testing.assert_array_equal(a.steps, b.steps)
    np.testing.assert_array_equal(a.weights, b.weights[rows])
    np.testing.assert_array_equal(a.singular_values, b.singular_values[rows])
    np.testing.assert_array_equal(a.state, b.state[rows])


@pytest.mark.parametrize(
    ("sgd", "dtype"),
    [
        (RBM, "float64"),
        (NETWORK, "float64"),
        (RBM, "float32"),
        pytest.param(NETWORK, "float32", marks=pytest.mark.slow),
    ],
    ids=["float64-rbm", "float64-network", "float32-rbm", "float32-network"],
)
def test_same_numbers_on_any_threads_in_any_company_and_chunking(sgd, dtype, monkeypatch):
    one = ds.simulate(sgd, replicas=150, threads=1, dtype=dtype, **SHORT)
    same(one, ds.simulate(sgd, replicas=150, threads=16, dtype=dtype, **SHORT))
    same(ds.simulate(sgd, replicas=37, threads=2, dtype=dtype, **SHORT), one, slice(37))
    monkeypatch.setattr(rounds, "FIRST_ROUND", 1)
    monkeypatch.setattr(rounds, "GROWTH", 1.0)
    same(one, ds.simulate(sgd, replicas=150, threads=3, dtype=dtype, **SHORT))
    other = ds.simulate(sgd, replicas=150, threads=1, dtype=dtype, **(SHORT | {"seed": 4}))
    assert not np.isclose(other.weights[:, -1], one.weights[:, -1]).any()


@pytest.mark.parametrize("sgd", [RBM, NETWORK], ids=["rbm", "network"])
@pytest.mark.parametrize("stop", [1, 15, 22])
def test_same_numbers_after_a_resumption_from_disk(sgd, stop, tmp_path):
    whole = ds.simulate(sgd, replicas=20, **SHORT)
    cut = ds.simulate(sgd, replicas=20, **(SHORT | {"steps": stop, "record_every": None, "record_steps": [stop]}))
    cut.save(tmp_path / "run.npz")
    loaded = ds.Run.load(tmp_path / "run.npz", sgd)
    same(loaded, cut)
    rest = ds.simulate(sgd, replicas=20, resume=loaded, **SHORT)
    np.testing.assert_array_equal(rest.state, whole.state)
    common = [rest.record(s) for s in whole.steps if s > stop]
    np.testing.assert_array_equal(rest.weights[:, common], whole.weights[:, whole.steps > stop])
    assert rest.steps[0] == stop


def test_a_saved_run_knows_its_process(tmp_path):
    ds.simulate(RBM, replicas=2, steps=1).save(tmp_path / "run.npz")
    with pytest.raises(ValueError, match="was made by"):
        ds.Run.load(tmp_path / "run.npz", NETWORK)
    changed = ds.SGD(ds.GaussianRBM.scalar_field(4, mass=1.5001, mu=2.8), 0.05, 6)
    with pytest.raises(ValueError, match="was made by"):
        ds.Run.load(tmp_path / "run.npz", changed)


def test_records():
    default = ds.simulate(RBM, replicas=3, steps=20)
    assert default.steps.tolist() == [20]
    assert default.weights is None
    assert default.eigenvalues.shape == (3, 1, 4)
    every = ds.simulate(RBM, replicas=3, steps=20, record_every=8)
    assert every.steps.tolist() == [8, 16, 20]
    chosen = ds.simulate(RBM, replicas=3, steps=20, record_steps=[16, 0, 3, 16], keep_weights=True)
    assert chosen.steps.tolist() == [0, 3, 16]
    np.testing.assert_array_equal(chosen.eigenvalues[:, 2], every.eigenvalues[:, 1])
    w = chosen.weights
    expected = np.sqrt(np.linalg.eigvalsh(w.swapaxes(-1, -2) @ w).clip(0))
    np.testing.assert_allclose(chosen.singular_values, expected, atol=1e-8)
    assert (np.diff(chosen.singular_values) >= 0).all()
    assert chosen.record(3) == 1
    np.testing.assert_allclose(chosen.spacings((1, 2)), np.diff(chosen.eigenvalues[:, -1, 1:3]))


def test_run_says_what_made_it():
    run = ds.simulate(RBM, replicas=3, steps=2, seed=9, dtype="float32")
    assert (run.process, run.seed, run.device, run.dtype, run.version) == (RBM, 9, "cpu", "float32", ds.__version__)
    assert "seed 9" in repr(run)


@pytest.mark.parametrize("shape", [(2, 2), (1, 2), (5, 2), (3, 5), (5, 3), (1, 1)])
def test_singular_values(shape):
    w = np.random.default_rng(0).normal(size=(50, *shape))
    w[0] = 0
    w[1, -1] = w[1, 0]
    p, n = shape
    expected = np.zeros((50, n))
    expected[:, max(0, n - p) :] = np.linalg.svd(w, compute_uv=False)[:, ::-1]
    np.testing.assert_allclose(ds.singular_values(w), expected, atol=1e-14)


@pytest.mark.parametrize("name", ["wide", "tall"])
def test_rectangular_weights_have_as_many_levels_as_columns(name):
    model = LINEAR[name]
    shape, sgd = model.weight_shape, ds.SGD(model, 0.05, 4)
    run = ds.simulate(sgd, replicas=4, steps=30)
    assert run.eigenvalues.shape == (4, 1, shape[1])
    assert (run.eigenvalues[:, :, : max(0, shape[1] - shape[0])] == 0).all()


DIVERGING = [
    (ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), learning_rate=1.5, batch_size=1), "mean-square stability"),
    (ds.SGD(ds.LinearNetwork(2 * np.eye(2), np.diag([1, 3.0]), 0.1), 0.5, 16), "limit"),
    (ds.SGD(ds.GaussianRBM.scalar_field(4, 2.0, 3.0), learning_rate=1.5, batch_size=2), "stability limit"),
    (ds.SGD(ds.GaussianRBM.scalar_field(5, 2.0, 3.0, gibbs_steps=np.inf, n_hidden=4), 2.5, 7), "stability limit"),
]


@pytest.mark.filterwarnings("ignore:training may not be stable")
@pytest.mark.parametrize(("sgd", "words"), DIVERGING)
def test_divergence_names_limit_and_first_replica_and_step(sgd, words):
    with pytest.raises(ds.DivergenceError, match=words) as caught:
        ds.simulate(sgd, replicas=100, steps=2000, seed=1)
    error = caught.value
    assert f"replica {error.replica}" in str(error)
    assert f"step {error.step}" in str(error)
    for how in ({"threads": 5}, {"record_every": 1}, {"record_every": 7}, {"steps": error.step}):
        with pytest.raises(ds.DivergenceError) as again:  # in any threads, wherever recorded, at the very last step
            ds.simulate(**({"process": sgd, "replicas": 100, "steps": 1000, "seed": 1} | how))
        assert (again.value.replica, again.value.step) == (error.replica, error.step)
    if sgd is DIVERGING[0][0]:  # up to there all was well
        run = ds.simulate(sgd, replicas=100, steps=error.step - 1, seed=1)
        assert np.isfinite(run.eigenvalues).all()


@pytest.mark.filterwarnings("ignore:training may not be stable")
@pytest.mark.parametrize(("rate", "steps"), [(1e3, 2), (1e59, 6)])
def test_no_run_holds_numbers_that_are_none(rate, steps, capfd):
    with pytest.raises(ds.DivergenceError):
        ds.simulate(ds.SGD(ds.TeacherStudent(2 * np.eye(3), 0.1), rate, 16), replicas=8, steps=steps)
    assert capfd.readouterr().err == ""
    with pytest.raises(ValueError, match=r"learning_rate = 1e\+200: must be from 1e-60 to 1e\+60"):
        ds.simulate(ds.SGD(ds.TeacherStudent(2 * np.eye(3), 0.1), 1e200, 16), replicas=8, steps=steps)


def test_a_learning_rate_beyond_the_limit_is_told_at_once():
    model = ds.TeacherStudent(2 * np.eye(2), 0.1)
    with pytest.warns(RuntimeWarning, match="training may not be stable") as caught:
        ds.simulate(ds.SGD(model, 1.01 * model.max_learning_rate(16), 16), replicas=2, steps=2)
    assert caught[0].filename == __file__  # of the call, not of what called that


def test_initial_weights_outside_the_domain_are_named():
    with pytest.raises(ds.DivergenceError, match="init_scale = 10000"):
        ds.simulate(ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), 0.1, 16, init_scale=1e4), replicas=2, steps=2)


def test_recorded_weights_that_are_no_model_are_told():
    """K = mu^2 - X is not positive for initial weights this large; the trace is not yet past its bound."""
    sgd = ds.SGD(ds.GaussianRBM.scalar_field(4, 2.0, 3.0), learning_rate=1e-6, batch_size=4, init_scale=0.9)
    with pytest.warns(RuntimeWarning, match=r"networks were outside the model's domain .* at step 0") as caught:
        run = ds.simulate(sgd, replicas=200, steps=2, record_steps=[0])
    outside = np.flatnonzero(run.eigenvalues[:, 0, -1] >= 9)
    assert str(caught[0].message).startswith(f"{len(outside)} of 200 networks")
    assert f"replica {outside[0]} " in str(caught[0].message)


def test_memory_is_stated_and_bounded_before_it_is_taken():
    needed = ds.memory_needed(RBM, replicas=10**6, records=100)
    assert 2 * 100 * 4 * 8 * 10**6 <= needed <= 1.2 * 2 * 100 * 4 * 8 * 10**6  # values, squares; and state
    assert ds.memory_needed(RBM, 10**6, 100, keep_weights=True) > needed
    began = time.perf_counter()
    with pytest.raises(MemoryError, match=r"replicas = 4000000000 .* GiB"):
        ds.simulate(RBM, replicas=4 * 10**9, steps=10)
    assert time.perf_counter() - began < 1.0


def test_memory_does_not_grow_with_steps():
    run = ds.simulate(NETWORK, replicas=64, steps=5000)
    assert run.singular_values.nbytes + run.state.nbytes < 10_000


def test_progress_bar_can_be_forced_and_silenced(capfd):
    ds.simulate(RBM, replicas=2, steps=10, progress=True)
    assert "step" in capfd.readouterr().err
    ds.simulate(RBM, replicas=2, steps=10, progress=False)
    ds.simulate(RBM, replicas=2, steps=10)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_a_run_at_once_and_leaves_no_threads():
    ds.simulate(RBM, replicas=200, steps=2)  # compiled before the clock starts
    threads = threading.active_count()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore Ctrl-C
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    began = time.perf_counter()
    try:
        with pytest.raises(KeyboardInterrupt):
            ds.simulate(RBM, replicas=200, steps=10**8)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.perf_counter() - began < 10
    timer.join()
    assert threading.active_count() == threads
    same(ds.simulate(RBM, replicas=20, **SHORT), ds.simulate(RBM, replicas=20, **SHORT))


def environment(folder):
    """What a process is told that has no compiled kernels but its own."""
    told = {"DYSONSIM_CACHE_DIR": str(folder / "cache"), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return told | {"NUMBA_OPT": os.environ["NUMBA_OPT"]}


def test_a_second_process_does_not_compile_and_an_edited_kernel_is_never_served_stale(tmp_path):
    """The cache: a second process compiles nothing; nothing is taken from it once any kernel file differs."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import sys
            import dysonsim as ds
            from dysonsim.backend import cpu
            from numba.core import event
            with event.install_recorder("numba:compile") as recorder:
                run = ds.simulate(ds.Dyson(n=2, beta=1, initial=[0.0, 1.0], scheme="pairs", dt=0.1), 2, times=[0.2])
            print(len(recorder.buffer) > 0, repr(float(run.eigenvalues.sum())), cpu.source_hash())
        """)
    )

    def run(*lines):
        program = "\n".join(lines) + f"\nexec(open({str(script)!r}).read())"
        env = environment(tmp_path)
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
        return done.stdout.split()

    first, value, digest = run()
    assert first == "True"
    assert run() == ["False", value, digest]
    package = tmp_path / "edited"
    copy = "import shutil, sys, dysonsim as original, pathlib"
    move = f"shutil.copytree(pathlib.Path(original.__file__).parent, {str(package / 'dysonsim')!r})"
    file = package / "dysonsim" / "kernels" / "common" / "rng.py"
    edit = f"p = pathlib.Path({str(file)!r}); p.write_text(p.read_text() + '#')"
    forget = "[sys.modules.pop(name) for name in list(sys.modules) if name.startswith('dysonsim')]"
    third, same_value, other_digest = run(copy, move, edit, forget, f"sys.path.insert(0, {str(package)!r})")
    assert other_digest != digest
    assert (third, same_value) == ("True", value)


def test_kernels_compiled_by_different_processes_do_not_mix_in_a_third(tmp_path):
    """Their functions have the same names and arguments; each kernel's machine code is linked by itself."""
    program = textwrap.dedent("""
        import sys
        import dysonsim as ds
        for n in map(int, sys.argv[1:]):
            process = ds.Dyson(beta=1, initial=[float(i) for i in range(n)], scheme="pairs", dt=0.1)
            run = ds.simulate(process, 3, times=[2.0])
            print(repr(float(run.eigenvalues.sum())))
    """)
    env = environment(tmp_path)

    def run(*sizes):
        command = [sys.executable, "-c", program, *map(str, sizes)]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()

    alone = run(2) + run(3)
    assert run(3, 2) == alone[::-1]


def test_functions_of_users_are_kept_on_disk_each_as_it_is(tmp_path):
    """Though they have the same names; what they capture counts, and what they raise comes through."""
    program = textwrap.dedent("""
        import sys
        import dysonsim as ds
        from numba.core import event
        def process(k, top=1.0):
            def f(x):
                if x > 30:
                    raise ValueError("too far")
                return -k * x
            return ds.Dyson(n=2, beta=1.0, drift=f, initial=[-1.0, top], scheme="pairs", dt=0.02)
        for k in map(float, sys.argv[1:]):
            motion = process(k)
            motion.drift(1.0)
            with event.install_recorder("numba:compile") as recorder:
                run = ds.simulate(motion, 3, times=[0.5], seed=1)
            print(repr(float(run.eigenvalues.var())), len(recorder.buffer) > 0)
        try:
            ds.simulate(process(k, 40.0), 3, times=[0.5])
        except ValueError as error:
            print("too far" in str(error))
    """)
    env = environment(tmp_path)

    def run(*values):
        command = [sys.executable, "-c", program, *map(str, values)]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split()

    slow, fast = run(1), run(9)
    assert slow[1] == fast[1] == "True"
    assert slow[0] != fast[0]
    assert slow[2] == "True"
    assert run(1, 9) == [slow[0], "False", fast[0], "False", "True"]


def test_errors_of_floating_point_may_be_errors():
    """Underflow is no fault of a user's; other threads than the caller's do not know of his wish either."""
    with np.errstate(all="raise"):
        for process, how in (
            (ds.SGD(ds.TeacherStudent(2 * np.eye(3), 0.1), 0.1, 4), {"steps": 50}),
            (ds.Dyson(n=4, beta=1), {"times": [1e3]}),
            (ds.Dyson(n=4, beta=1.5), {"times": [0.5]}),
            (ds.CoulombGas(beta=1.0, centers=[0.0, 40.0], widths=0.1), {"steps": 400}),
            (ds.SGD(ds.GaussianRBM.scalar_field(4, 2.0, 3.0, gibbs_steps=500), 0.05, 4), {"steps": 3}),
        ):
            ds.simulate(process, 50, seed=1, threads=2, **how)


KERNELS = {
    "rbm": (RBM, {"kernel": 1, "large_kernel": 1}),
    "network": (NETWORK, {"kernel": 1, "large_kernel": 1}),
    "one at a time": (ds.SGD(ds.TeacherStudent(np.eye(70, 65), 0.1, 0.1), 0.01, 4), {"kernel": 1, "large_kernel": 1}),
    "langevin": (ds.Langevin(NETWORK), {"langevin_kernel": 1, "kernel": 1}),
}


@pytest.mark.parametrize("name", KERNELS)
def test_the_kernel_is_built_once_a_run(name, monkeypatch):
    """However often its sizes, start values, basis and constants are asked for; and again in the next run."""
    process, expected = KERNELS[name]
    calls = []
    for method in ("kernel", "large_kernel", "langevin_kernel"):
        made = getattr(type(process.model), method)
        counted = lambda self, *args, made=made, method=method: (calls.append(method), made(self, *args))[1]  # noqa: E731
        monkeypatch.setattr(type(process.model), method, counted)
    short = {"replicas": 3, "keep_weights": True, "threads": 1}
    run = ds.simulate(process, steps=2, **short)
    assert {method: calls.count(method) for method in set(calls)} == expected
    ds.simulate(process, steps=4, resume=run, **short)
    assert {method: calls.count(method) for method in set(calls)} == {m: 2 * n for m, n in expected.items()}
    calls.clear()
    process.built(), process.built()  # outside of a run nothing is kept
    assert {method: calls.count(method) for method in set(calls)} == {m: 2 * n for m, n in expected.items()}


def test_a_run_sees_what_became_of_a_model():
    """Nothing that was built for one run is left for the next: the model of a user need not be frozen."""
    model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    sgd = ds.SGD(model, learning_rate=0.5, batch_size=16)
    before = ds.simulate(sgd, 3, 40, seed=1).singular_values
    object.__setattr__(model, "teacher", 3 * np.eye(2))
    after = ds.simulate(sgd, 3, 40, seed=1).singular_values
    assert abs(before.mean() - 2) < 0.2
    assert abs(after.mean() - 3) < 0.2
