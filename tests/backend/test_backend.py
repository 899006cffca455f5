"""One kernel text on three targets: the CPU's numbers from plain Python, from CUDA's simulator; PTX; clear refusals."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from another_python import python, run_python
from own_models import MODELS as OWN
from reference import LINEAR

import dysonsim as ds
from dysonsim.backend import Kernel, driver
from dysonsim.backend.cuda import plan as cuda_plan
from dysonsim.backend.cuda.plan import PLACES, Card, alone, chunk, in_device_memory, in_shared_memory, plan
from dysonsim.backend.reference import ReferenceDriver

# Sizes that other tests have as well, since each is a kernel to compile.
MODELS = {
    "rbm": (ds.GaussianRBM.scalar_field(4, 1.5, 2.8), 5),
    "rbm wide": (ds.GaussianRBM.scalar_field(4, 1.5, 2.8, gibbs_steps=2, n_hidden=3), 2),
    "rbm step by step": (ds.GaussianRBM.scalar_field(4, 1.5, 2.8, sampling="step_by_step", n_hidden=3), 3),
    "rbm two noises": (ds.GaussianRBM.scalar_field(4, 1.5, 2.8, sampling="two_noises", n_hidden=3), 5),
    "rbm fresh": (ds.GaussianRBM.scalar_field(5, 1.5, 2.8, gibbs_steps=np.inf, n_hidden=4), 7),
    "teacher-student": (ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.2), 6),
    "network": (LINEAR["wide"], 3),
    "own momentum": (OWN["momentum"], 5),
    "deep": (ds.DeepLinearNetwork([[2.0, 0.3, 1.0], [0.3, 1.0, 0.0]], (3, 2), 0.2, 0.1, 0.1), 4),
    "neural": (ds.NeuralNetwork((2, 3, 2, 1), trained=(False, True, True), dataset_size=10, init="normal"), 5),
}


def cubic(x, i):
    return -x * x * x if i > 0 else -x


SGD = {name: ds.SGD(model, 0.1, batch) for name, (model, batch) in MODELS.items()}
THREE = ds.SGD(ds.GaussianRBM.scalar_field(3, 1.5, 2.8), 0.1, 5)
PROCESSES: dict[str, ds.Process] = SGD | {
    "nesterov": ds.SGD(MODELS["network"][0], 0.1, 3, momentum=0.8, nesterov=True, weight_decay=0.1),
    "adam": ds.Adam(ds.GaussianRBM.scalar_field(6, 1.5, 2.8, n_hidden=4), 0.01, 1),  # kept in another basis
    "langevin rbm": ds.Langevin(SGD["rbm wide"]),
    "langevin network": ds.Langevin(SGD["network"]),
    "dyson": ds.Dyson(n=4, beta=1, initial=[0.0, 0.0, 1.0, 2.0], scheme="pairs"),
    "dyson two": ds.Dyson(n=3, beta=2, scheme="pairs"),
    "dyson four": ds.Dyson(n=3, beta=4, scheme="pairs"),
    "dyson species": ds.Dyson(n=3, beta=0.7, rate=[1.0, 0.0, 2.0], noise=[0.5, 1.0, 2.0], scheme="pairs"),
    "dyson drift": ds.Dyson(n=3, beta=1, drift=cubic),
    "dyson bordering": ds.Dyson(beta=1.5, initial=[0.0, 0.0, 1.0, 2.0]),
    "dyson nested": ds.Dyson(beta=2.5, initial=[0.0, 0.1, 1.0, 1.2, 3.0], rate=[1.0, 1.0, 2.0, 1.0, 1.0]),
    "dyson nested many": ds.Dyson(beta=7.0, initial=[0.0, 0.5, 1.0], noise=[0.5, 1.0, 1.0]),
    "dyson potential": ds.Dyson(n=2, beta=1, potential=cubic, dt=0.02),
    "dyson rbm": ds.Dyson(THREE, initial=[3.0, 5.0, 6.0]),
    "dyson rbm alone": ds.Dyson(THREE, initial=[3.0, 5.0, 6.0], closure="independent"),
    "laguerre": ds.LaguerreProcess(m=3.5, n=3, beta=1.5),
    "jacobi": ds.JacobiProcess(a=0.3, b=0.0, n=3, beta=1.5),
    "circle": ds.CircularProcess(n=3, beta=1.5),
    "gas": ds.CoulombGas.laguerre(3, 3.2, 0.7),
    "gas circular": ds.CoulombGas.circular(3, 1.5),
    "gas hmc": ds.CoulombGas(centers=[0.0, 1.0, 3.0], widths=[1.0, 2.0, 1.0], beta=2.0),
    "gas metropolis": ds.CoulombGas.jacobi(3, 0.3, -0.4, 2.0, method="metropolis"),
}


# Every process in float64, and what differs most between float types in float32 as well: compiling takes its time.
CASES = [(name, "float64") for name in PROCESSES] + [(name, "float32") for name in [*MODELS, "dyson"]]
# The simulator is slow, so that "few" has one of each kind; "all" is what `pytest -m slow` runs.
FEW = (
    "network", "nesterov", "own momentum", "langevin rbm", "dyson", "dyson nested", "dyson bordering", "dyson drift",
    "circle", "gas hmc",
)  # fmt: skip
CASES_OF = {"few": [(name, "float64") for name in FEW] + [("rbm", "float32")], "all": CASES}
TOLERANCE = {"float64": 1e-5, "float32": 1e-4}  # normals and lengths are of single precision in every float type


def simulated(process, device="cpu", dtype="float64", replicas=9, first=0):
    """A few steps, recorded twice."""
    if process.continuous:
        times = [2 * process.step, 3.5 * process.step]
        return ds.simulate(process, replicas, times=times, seed=1, device=device, dtype=dtype, first_replica=first)
    return ds.simulate(process, replicas, 3, 1, record_every=2, device=device, dtype=dtype, first_replica=first)


# In the simulator, with each place of their numbers.
PLACED_OF = {"few": ("rbm",), "all": ("rbm", "network", "dyson", "gas hmc")}
PLANS = {"private": alone, "shared": in_shared_memory, "global": in_device_memory}


def teams_of(cases):
    """Networks that teams of threads may share, with threads of a network and edges of their tiles."""
    if cases == "few":
        return [("rbm", 4, 5), ("rbm two noises", 2, 2), ("adam", 2, 2)]
    shared = [name for name, process in PROCESSES.items() if process.kernel().matrix]
    assert {"rbm", "rbm wide", "rbm step by step", "rbm two noises", "rbm fresh"} <= set(shared)
    return [(name, team, tile) for name in shared for team, tile in ((2, 2), (4, 5))]


def steps(process, device, dtype="float64"):
    """State after three steps of nine replicas, which go on after the first."""
    kernel = process.kernel()
    ensemble = device.prepare(kernel, dtype).open(process.start(9, 7), 5, 2**50 + 3)
    ensemble.advance(0, 1)
    ensemble.advance(1, 2)
    return ensemble.state()


@pytest.mark.parametrize("name", PROCESSES)
def test_plain_python_gives_the_numbers_of_the_cpu(name):
    """The float32 polynomials of the normals may fuse multiply-adds on one target and not on the other: 1e-6."""
    process = PROCESSES[name]
    kernel = process.kernel()
    start = process.start(9, 7) + (0.3 if name in MODELS else 0.0)
    ends = []
    for device in (driver("cpu"), ReferenceDriver(width=5)):
        ensemble = device.prepare(kernel, "float64").open(start, 5, 2**50 + 3)
        ensemble.advance(0, 1)
        ensemble.advance(1, 2)
        ends.append(ensemble.state())
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=1e-5)
    assert np.abs(ends[0] - start).max() > 1e-3


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # few steps, few replicas
@pytest.mark.parametrize("name", PROCESSES)
def test_replicas_do_not_depend_on_those_run_beside_them(name):
    whole = simulated(PROCESSES[name], replicas=21)
    for first, replicas in (0, 1), (1, 8), (9, 12):
        part = simulated(PROCESSES[name], replicas=replicas, first=first)
        assert np.array_equal(part.spectra, whole.spectra[first : first + replicas]), (first, replicas)
        assert np.array_equal(part.state, whole.state[first : first + replicas])


SIMULATED = """
    import warnings; warnings.simplefilter("ignore")
    import sys; import numpy as np; import dysonsim as ds
    from test_backend import CASES_OF, PROCESSES, simulated
    for name, dtype in CASES_OF[sys.argv[2]]:
        run = simulated(PROCESSES[name], "cuda", dtype)
        assert run.device == "cuda"
        np.save(sys.argv[1] + "/" + name + dtype, run.spectra)
    for first, replicas in (0, 4), (4, 5):
        part = simulated(PROCESSES["network"], "cuda", "float64", replicas, first)
        np.save(f"{sys.argv[1]}/network from {first}", part.spectra)
    from functools import partial
    from dysonsim.backend.cuda.driver import CudaDriver
    from dysonsim.backend.cuda.plan import in_teams
    from test_backend import PLACED_OF, PLANS, steps, teams_of
    for name in PLACED_OF[sys.argv[2]]:
        for place, chosen in PLANS.items():
            np.save(f"{sys.argv[1]}/{name}-{place}", steps(PROCESSES[name], CudaDriver(chosen)))
    for name, team, tile in teams_of(sys.argv[2]):
        chosen = partial(in_teams, team=team, tile=tile, unroll=3)
        np.save(f"{sys.argv[1]}/{name}-{team}", steps(PROCESSES[name], CudaDriver(chosen)))
    try:
        ds.simulate(ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), 3.0, 1), 9, 50, device="cuda")
    except ds.DivergenceError as error:
        print(error.replica, error.step)
"""


@pytest.mark.parametrize("cases", ["few", pytest.param("all", marks=pytest.mark.slow)])
def test_cuda_simulator_gives_the_numbers_of_the_cpu(tmp_path, cases):
    done = run_python(SIMULATED, tmp_path, cases, NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stderr
    for name, dtype in CASES_OF[cases]:
        cuda = np.load(tmp_path / f"{name}{dtype}.npy")
        cpu = simulated(PROCESSES[name], dtype=dtype).spectra
        np.testing.assert_allclose(cuda, cpu, rtol=0, atol=TOLERANCE[dtype])
    parts = [np.load(tmp_path / f"network from {first}.npy") for first in (0, 4)]
    whole = simulated(PROCESSES["network"]).spectra
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=TOLERANCE["float64"])
    for name in PLACED_OF[cases]:
        cpu = steps(PROCESSES[name], driver("cpu"))
        for place in PLANS:
            np.testing.assert_allclose(np.load(tmp_path / f"{name}-{place}.npy"), cpu, rtol=0, atol=1e-5)
    for name, team, _ in teams_of(cases):
        cpu = steps(PROCESSES[name], driver("cpu"))
        np.testing.assert_allclose(np.load(tmp_path / f"{name}-{team}.npy"), cpu, rtol=0, atol=1e-5)
    with pytest.raises(ds.DivergenceError) as caught:
        ds.simulate(ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), 3.0, 1), 9, 50)
    assert done.stdout.split() == [str(caught.value.replica), str(caught.value.step)]


MATRICES = {"hermitian": ("hermitian", 3, 3, 2), "rectangular": ("rectangular", 4, 3, 1)}  # exact transitions
LARGE_KERNELS = 7  # of one large gas
SMALL = {  # what people run by the million; none of it may spill registers
    "linear 2x2": ds.SGD(ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1), 0.1, 16),
    "rbm 4": ds.SGD(ds.GaussianRBM.scalar_field(4, 2.0, 3.0, gibbs_steps=3), 0.1, 16),
    "rbm 10": ds.SGD(ds.GaussianRBM.scalar_field(10, 2.0, 3.0, gibbs_steps=3), 0.1, 16),
    "dyson 10": ds.Dyson(n=10, beta=1, scheme="pairs"),
    "hmc 10": ds.CoulombGas(centers=np.arange(10.0), widths=np.ones(10), beta=2.0),
    "metropolis 10": ds.CoulombGas.hermite(10, 2.0, method="metropolis"),
}


def compiled_apart(*arguments):
    """What `compile_cuda.py` prints; skips where something is missing."""
    program = "import runpy, sys; sys.argv[0] = 'compile_cuda'; runpy.run_module('compile_cuda', run_name='__main__')"
    done = run_python(program, *arguments, NUMBA_ENABLE_CUDASIM="0")
    if done.returncode == 77:
        pytest.skip(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# One of each kernel's text; the others of PROCESSES differ in sizes and constants, and are compiled with `every`.
PTX = (
    "rbm", "rbm two noises", "network", "nesterov", "adam", "langevin network", "dyson four", "dyson bordering",
    "dyson nested", "jacobi", "circle", "gas hmc", "gas metropolis",
)  # fmt: skip


def test_kernels_compile_to_ptx_without_a_gpu():
    """Needs numba-cuda and NVVM, which the extra dysonsim[cuda] brings; .ci/run installs it for this test."""
    assert len(compiled_apart("ptx")) == len(PTX) + len(MATRICES)


@pytest.mark.slow
def test_kernels_compile_to_ptx_of_both_float_types_for_both_cards():
    assert len(compiled_apart("ptx", "every")) == 4 * (len(PROCESSES) + len(MATRICES))


FEW_SMALL = [("linear 2x2", "float32"), ("dyson 10", "float64")]  # the others take a minute together


@pytest.mark.parametrize("cases", ["few", pytest.param("every", marks=pytest.mark.slow)])
def test_ptx_of_small_kernels_spills_no_registers(tmp_path, cases):
    """`ptxas -v` of the kernels as the plan for such a card places them; -rP or -s shows the table."""
    rows = [line.split(";") for line in compiled_apart("ptxas", tmp_path, cases)]
    small = 2 * len(FEW_SMALL) if cases == "few" else 4 * len(SMALL)
    assert len(rows) == small + 2 * LARGE_KERNELS
    print("kernel, float type, card: place, threads, shared bytes; registers, stack, spill stores, spill loads")
    for name, dtype, arch, place, threads, shared, registers, stack, stored, loaded in rows:
        print(f"{name:13} {dtype} {arch}: {place:8} {threads:>4} {shared:>7};", registers, stack, stored, loaded)
        assert (stored, loaded) == ("0", "0"), f"{name}, {dtype}, {arch} spills registers"
        assert int(registers) < 255, f"{name}, {dtype}, {arch} takes every register there is"
        assert int(stack) == 0, f"{name}, {dtype}, {arch}: numbers that were to be registers lie in local memory"


def kernel_of(state, scratch, **kinds):
    return Kernel(lambda lanes: None, {}, np.zeros(1), np.zeros(1), state, scratch=scratch, **kinds)


CARDS = (Card(), Card(multiprocessors=108, shared=163 * 1024, per_multiprocessor=164 * 1024))  # H100 or H200, A100


def test_cuda_plans_go_by_size():
    assert plan(kernel_of(10, 64, registers=True), "float64", Card()).blocks is None
    assert plan(kernel_of(10, 64), "float64", Card()) == in_shared_memory(kernel_of(10, 64), "float64", Card())
    assert plan(kernel_of(100, 1000), "float64", Card()).place == "private"
    assert plan(kernel_of(100, 1000, matrix=(10, 10)), "float64", Card()).place == "shared"
    assert plan(kernel_of(10, 64, matrix=(3, 3)), "float64", Card()).team == 1
    for kinds in ({}, {"matrix": (90, 90)}):
        assert plan(kernel_of(20000, 20000, **kinds), "float64", Card()).place == "global"


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("n", [3, 7, 10, 20, 31, 50, 63])
def test_cuda_plans_fit_the_card(card, n):
    """A block never has more shared memory, threads or registers than there are."""
    for batch in (1, 16, 300):
        kernel = ds.SGD(ds.GaussianRBM.scalar_field(n, 2.0, 3.0), 0.1, batch).kernel()
        for dtype, size in (("float64", 8), ("float32", 4)):
            for how in (plan, alone, in_device_memory, *([in_shared_memory] if n < 10 else [])):
                chosen = how(kernel, dtype, card)
                assert chosen.place in PLACES
                assert chosen.opts_in == (chosen.shared > 49152)
                assert chosen.shared <= card.shared
                assert (chosen.shared > 0) == (chosen.place == "shared")
                assert chosen.blocks is None or chosen.blocks >= 4 * card.multiprocessors
                blocks = chunk(kernel, dtype, card, chosen)
                assert blocks * chosen.threads > 450 * card.multiprocessors  # every multiprocessor is busy
                assert how is not plan or batch > 16 or blocks * chosen.networks * kernel.state * size < 2**29
                if chosen.team > 1:
                    assert chosen.shared == chosen.networks * (kernel.state + kernel.scratch) * size
                    assert 2 <= chosen.team <= max(2, (-(-n // chosen.tile)) ** 2)
                    assert chosen.threads <= 1024
                    assert -(-chosen.threads // 128) * 128 * chosen.registers <= 2**16


def test_tiles_of_teams():
    assert [cuda_plan.edge_of(n, n) for n in (4, 6, 7, 9, 10, 11, 20, 50, 63)] == [4, 3, 4, 3, 5, 4, 5, 5, 5]
    assert [cuda_plan.unrolled(n) for n in (2, 3, 7, 10, 13, 20, 34, 50)] == [2, 3, 7, 10, 8, 10, 8, 10]


def test_a_full_card_says_how_many_replicas_fit(monkeypatch):
    from dysonsim.backend.cuda import driver as module

    if module.SIMULATED:
        pytest.skip("the simulator has all the memory there is")
    card = SimpleNamespace(get_memory_info=lambda: SimpleNamespace(free=2500))
    monkeypatch.setattr(module.cuda, "current_context", lambda: card)
    told = "replicas 1000 to 1999 need .* on the device, .* are free, enough for about 250 more: take fewer"
    with pytest.raises(MemoryError, match=told), module.room_for(1000, 1000, each=8000, extra=500):
        raise AssertionError("there is no room")
    with pytest.raises(MemoryError, match="enough for about 10 more"), module.room_for(10, 0, each=2000, extra=500):
        raise RuntimeError("[2] Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
    with pytest.raises(RuntimeError, match="something else"), module.room_for(10, 0, each=2000, extra=500):
        raise RuntimeError("something else")


def test_where_shared_memory_is_refused_device_memory_serves(monkeypatch):
    from dysonsim.backend.cuda import driver as module

    def compiled(what, dtype, chosen, state, scratch):
        if chosen.opts_in:
            module.allow_shared(SimpleNamespace(overloads={}), chosen.shared)
        return chosen

    monkeypatch.setattr(module, "require_device", lambda: None)
    monkeypatch.setattr(module, "this_card", Card)
    monkeypatch.setattr(module, "compiled", compiled)
    kernel = SMALL["rbm 10"].kernel()
    with pytest.warns(RuntimeWarning, match="110880 bytes of shared memory were refused .* device memory"):
        program = module.CudaDriver().prepare(kernel, "float64")
    assert (plan(kernel, "float64", Card()).networks, program.width) == (21, 32)


def test_cuda_without_a_device_is_a_clear_error():
    from dysonsim.backend.cuda.driver import SIMULATED, why_not

    if SIMULATED or not why_not():
        pytest.skip("a device or a simulator is here")
    with pytest.raises(RuntimeError, match=r'device = "cuda": no CUDA device .* device="cpu"'):
        ds.simulate(ds.SGD(MODELS["rbm"][0], 0.1, 5), 4, 4, device="cuda")


CACHED = """
    import sys; import numpy as np
    from test_backend import SGD, simulated
    from dysonsim.backend.cuda import driver as cuda
    from dysonsim.backend.cuda import many_levels as cuda_large
    from dysonsim.kernels.many_levels import cooperative as large_cooperative
    np.save(sys.argv[1], simulated(SGD["rbm"], "cuda").spectra)
    kernel = SGD["rbm"].kernel()
    chosen = cuda.plan(kernel, "float64", cuda.this_card())
    what = cuda.ByContent(kernel.build, tuple(sorted(kernel.sizes.items())))
    small = cuda.compiled(what, "float64", chosen, kernel.state, kernel.scratch)
    large = cuda_large.compiled(large_cooperative, 1).forces
    print(*[sum(run.stats.cache_hits.values()) for run in (small, large)])
"""


@pytest.mark.gpu
def test_the_next_process_finds_compiled_kernels_on_disk(tmp_path):
    for hits in ("0 0", "1 1"):
        done = run_python(CACHED, tmp_path / "spectra.npy", DYSONSIM_CACHE_DIR=str(tmp_path / "cache"))
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == hits
        cpu = simulated(SGD["rbm"]).spectra
        np.testing.assert_allclose(np.load(tmp_path / "spectra.npy"), cpu, rtol=0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("name", PROCESSES)
def test_a_real_device_gives_the_numbers_of_the_cpu(name):
    for dtype, tolerance in (("float64", 1e-5), ("float32", 1e-3)):
        cpu, cuda = (simulated(PROCESSES[name], device, dtype, 1000) for device in ("cpu", "cuda"))
        np.testing.assert_allclose(cuda.spectra, cpu.spectra, rtol=0, atol=tolerance)


def test_where_numba_may_not_compile_kernels_run_as_numpy_code():
    program = """
        import warnings, numpy as np, dysonsim as ds
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            run = ds.simulate(ds.SGD(ds.GaussianRBM.scalar_field(4, 1.5, 2.8), 0.1, 5), 4, 3, seed=1)
        print(any("NUMBA_DISABLE_JIT" in str(of.message) for of in told), repr(float(run.spectra.sum())))
    """
    told, total = python(program, NUMBA_DISABLE_JIT="1")
    assert told == "True"
    run = ds.simulate(ds.SGD(ds.GaussianRBM.scalar_field(4, 1.5, 2.8), 0.1, 5), 4, 3, seed=1)
    assert float(total) == pytest.approx(run.spectra.sum(), abs=1e-4)
