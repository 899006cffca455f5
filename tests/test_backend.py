"""One kernel text on three targets: the CPU's numbers from plain Python, from CUDA's simulator; PTX; clear refusals."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.backend import driver
from dysonsim.backend.plain import PlainDriver

MODELS = {
    "rbm": (ds.GaussianRBM.scalar_field(3, 1.5, 2.8), 5),
    "rbm wide": (ds.GaussianRBM.scalar_field(4, 1.5, 2.8, gibbs_steps=2, n_hidden=3), 2),
    "rbm step by step": (ds.GaussianRBM.scalar_field(3, 1.5, 2.8, sampling="step_by_step", n_hidden=4), 3),
    "rbm fresh": (ds.GaussianRBM.scalar_field(3, 1.5, 2.8, gibbs_steps=np.inf), 3),
    "teacher-student": (ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.2), 6),
    "network": (ds.LinearNetwork([[2.0, 0.3, 1.0], [0.3, 1.0, 0.0]], [[1.0, 0.2], [0.0, 2.0]], 0.2, 0.1), 3),
}


def cubic(x, i):
    return -x * x * x if i > 0 else -x


SGD = {name: ds.SGD(model, 0.1, batch) for name, (model, batch) in MODELS.items()}
PROCESSES: dict[str, ds.Process] = SGD | {
    "langevin rbm": ds.Langevin(SGD["rbm wide"]),
    "langevin network": ds.Langevin(SGD["network"]),
    "dyson": ds.Dyson(n=4, beta=1, initial=[0.0, 0.0, 1.0, 2.0], scheme="pairs"),
    "dyson two": ds.Dyson(n=3, beta=2, scheme="pairs"),
    "dyson four": ds.Dyson(n=3, beta=4, scheme="pairs"),
    "dyson species": ds.Dyson(n=3, beta=0.7, rate=[1.0, 0.0, 2.0], noise=[0.5, 1.0, 2.0], scheme="pairs"),
    "dyson drift": ds.Dyson(n=3, beta=1, drift=cubic),
    "dyson potential": ds.Dyson(n=2, beta=1, potential=cubic, dt=0.02),
    "dyson rbm": ds.Dyson(SGD["rbm"], initial=[3.0, 5.0, 6.0]),
    "dyson rbm alone": ds.Dyson(SGD["rbm"], initial=[3.0, 5.0, 6.0], closure="independent"),
    "laguerre": ds.LaguerreProcess(m=3.5, n=3, beta=1.5),
    "jacobi": ds.JacobiProcess(a=0.3, b=0.0, n=3, beta=1.5),
    "gas": ds.CoulombGas.laguerre(3, 3.2, 0.7),
    "gas hmc": ds.CoulombGas(centers=[0.0, 1.0, 3.0], widths=[1.0, 2.0, 1.0], beta=2.0),
    "gas metropolis": ds.CoulombGas.jacobi(3, 0.3, -0.4, 2.0, method="metropolis"),
}


# Every process in float64, and what differs most between float types in float32 as well: compiling takes its time.
CASES = [(name, "float64") for name in PROCESSES] + [(name, "float32") for name in [*MODELS, "dyson"]]
TOLERANCE = {"float64": 1e-5, "float32": 1e-4}  # normals and lengths are of single precision in every float type


def simulated(process, device="cpu", dtype="float64", replicas=9):
    """A few steps, recorded twice."""
    if process.continuous:
        times = [2 * process.step, 3.5 * process.step]
        return ds.simulate(process, replicas, times=times, seed=1, device=device, dtype=dtype)
    return ds.simulate(process, replicas, 3, seed=1, record_every=2, device=device, dtype=dtype)


@pytest.mark.parametrize("name", PROCESSES)
def test_plain_python_gives_the_numbers_of_the_cpu(name):
    """The float32 polynomials of the normals may fuse multiply-adds on one target and not on the other: 1e-6."""
    process = PROCESSES[name]
    kernel = process.kernel()
    start = process.start(9, 7) + (0.3 if name in MODELS else 0.0)
    ends = []
    for device in (driver("cpu"), PlainDriver(width=4)):
        ensemble = device.prepare(kernel, "float64").open(start, 5, 2**50 + 3)
        ensemble.advance(0, 2)
        ensemble.advance(2, 3)
        ends.append(ensemble.state())
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=1e-5)
    assert np.abs(ends[0] - start).max() > 1e-3


SIMULATED = """
    import warnings; warnings.simplefilter("ignore")
    import sys; import numpy as np; import dysonsim as ds
    from test_backend import CASES, PROCESSES, simulated
    for name, dtype in CASES:
        run = simulated(PROCESSES[name], "cuda", dtype)
        assert run.device == "cuda"
        np.save(sys.argv[1] + "/" + name + dtype, run.spectra)
    try:
        ds.simulate(ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), 3.0, 1), 9, 50, device="cuda")
    except ds.DivergenceError as error:
        print(error.replica, error.step)
"""


def run_python(program, *arguments, **environment):
    import os
    from pathlib import Path

    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)} | environment
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_cuda_simulator_gives_the_numbers_of_the_cpu(tmp_path):
    done = run_python(SIMULATED, tmp_path, NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stderr
    for name, dtype in CASES:
        cuda = np.load(tmp_path / f"{name}{dtype}.npy")
        cpu = simulated(PROCESSES[name], dtype=dtype).spectra
        np.testing.assert_allclose(cuda, cpu, rtol=0, atol=TOLERANCE[dtype])
    with pytest.raises(ds.DivergenceError) as caught:
        ds.simulate(ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), 3.0, 1), 9, 50)
    assert done.stdout.split() == [str(caught.value.replica), str(caught.value.step)]


PTX = """
    import sys
    try:
        import numba_cuda
        from numba import cuda, types
        import numba.cuda.dispatcher as dispatcher
        class Device: compute_capability = (9, 0)
        dispatcher.get_current_device = lambda: Device  # device functions ask for the current device's capability
        def probe(out): out[0] = 1.0
        cuda.compile(probe, types.void(types.float64[:]), cc=(9, 0), device=False, abi="numba")
    except Exception as error:
        print("numba-cuda and NVVM cannot be had:", " ".join(str(error).split())[:200]); sys.exit(77)
    from test_backend import PROCESSES
    from dysonsim.backend.cuda import kernel_function
    for name, process in PROCESSES.items():
        kernel = process.kernel()
        for dtype in ("float64", "float32"):
            real = getattr(types, dtype)
            function = kernel_function(kernel.build, tuple(kernel.sizes.items()), dtype, 64)
            state, vector, long, word = real[:, ::1], real[::1], types.int64, types.uint32
            arguments = state, state, vector, long[::1], long, long, long, word, word, word[:, ::1]
            for capability in ((8, 0), (9, 0)):
                Device.compute_capability = capability
                ptx, _ = cuda.compile(function, types.void(*arguments), cc=capability, device=False, abi="numba")
                assert f".target sm_{capability[0]}{capability[1]}" in ptx and ".entry" in ptx, ptx[:500]
                print(name, dtype, capability, len(ptx))
"""


def test_kernels_compile_to_ptx_without_a_gpu():
    """Needs numba-cuda and NVVM, which the extra dysonsim[cuda] brings; .ci/run installs it for this test."""
    done = run_python(PTX, NUMBA_ENABLE_CUDASIM="0")
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 4 * len(PROCESSES)


def test_cuda_without_a_device_is_a_clear_error():
    from dysonsim.backend.cuda import SIMULATED, why_not

    if SIMULATED or not why_not():
        pytest.skip("a device or a simulator is here")
    with pytest.raises(RuntimeError, match=r'device = "cuda": no CUDA device .* device="cpu"'):
        ds.simulate(ds.SGD(MODELS["rbm"][0], 0.1, 5), 4, 4, device="cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("name", PROCESSES)
def test_a_real_device_gives_the_numbers_of_the_cpu(name):
    for dtype, tolerance in (("float64", 1e-5), ("float32", 1e-3)):
        cpu, cuda = (simulated(PROCESSES[name], device, dtype, 1000) for device in ("cpu", "cuda"))
        np.testing.assert_allclose(cuda.spectra, cpu.spectra, rtol=0, atol=tolerance)
