"""Exact transitions as a kernel in lanes: the levels that LAPACK gives on the host, of the same random numbers."""

from __future__ import annotations

import numpy as np
import pytest
from another_python import run_python

import dysonsim as ds
from dysonsim.backend import driver
from dysonsim.backend.reference import ReferenceDriver
from dysonsim.processes.matrix_motion import LinearMotion, hermitian, in_lanes, lanes_kernel, rectangular

MOTION, CENTERED = LinearMotion(0.7, 0.4, 1.3), LinearMotion(0.7, 0.0, 1.3)
SLOW = pytest.mark.slow
# Every beta of both shapes, one level, two and many; each case is two or three kernels to compile.
CASES = [(1, 1, 1), (2, 2, 2), (2, 2, 4), (5, 5, 1), (4, 3, 1), (4, 3, 2), (4, 3, 4)]
CASES += [pytest.param(*case, marks=SLOW) for case in [(1, 1, 2), (1, 1, 4), (2, 2, 1), (5, 5, 2), (5, 5, 4)]]


def moved(program, n):
    """Levels of nine replicas after two transitions; they start together."""
    ensemble = program.open(np.zeros((9, n)), 3, 2**45 + 1)
    for step, time in enumerate((0.4, 0.8)):
        ensemble.set_reals(np.array([time, 0.0]))
        ensemble.advance(step, 1)
    return ensemble.state()


@pytest.mark.parametrize(("m", "n", "beta"), CASES)
def test_lanes_give_the_levels_of_lapack(m, n, beta):
    """Both draw normals of single precision by the same code: only rounding differs. Control: another beta."""
    if m == n:
        host = moved(hermitian(n, beta, MOTION), n)
        lanes = moved(in_lanes("cpu", "float64", "hermitian", n, n, beta, MOTION), n)
        np.testing.assert_allclose(lanes, host, rtol=0, atol=1e-11)
    if m == n and beta == 2:
        single = moved(in_lanes("cpu", "float32", "hermitian", n, n, beta, MOTION), n)
        np.testing.assert_allclose(single, host, rtol=0, atol=1e-5)
    host = moved(rectangular(m, n, beta, CENTERED), n)
    lanes = moved(in_lanes("cpu", "float64", "rectangular", m, n, beta, CENTERED), n)
    np.testing.assert_allclose(lanes**2, host**2, rtol=0, atol=1e-11)
    other = moved(rectangular(m, n, 1 if beta > 1 else 2, CENTERED), n)
    assert np.abs(other - host).max() > 0.05


@pytest.mark.parametrize(("beta", "dtype"), [
    (2, "float32"), (4, "float64"), pytest.param(2, "float64", marks=SLOW), pytest.param(4, "float32", marks=SLOW),
])  # fmt: skip
def test_levels_that_are_there_several_times_come_out_right_in_every_replica(beta, dtype):
    """Of 20000, as few are hit by a rotation that loses its norm: then a level is off by up to a million."""
    accuracy = 50 * np.finfo(dtype).eps
    for n, unit in ((2, 1.0), (3, 1.0), (3, 1e-9)):
        for shape, m, power in (("hermitian", n, 1), ("rectangular", n + 1, 2)):
            motion = LinearMotion(0.7, 0.0, unit)
            host = hermitian(n, beta, motion) if m == n else rectangular(m, n, beta, motion)
            ends = []
            for program in (host, in_lanes("cpu", dtype, shape, m, n, beta, motion)):
                ensemble = program.open(np.zeros((20_000, n)), 0, 4)
                ensemble.set_reals(np.array([0.3, 0.0]))
                ensemble.advance(0, 1)
                ends.append((ensemble.state() / unit) ** power)
            np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=accuracy * abs(ends[0]).max())


@pytest.mark.parametrize("shape", ["hermitian", "rectangular"])
def test_plain_python_gives_the_same(shape):
    kernel = lanes_kernel(shape, 3, 3, 2)
    ends = []
    for device in (driver("cpu"), ReferenceDriver(width=4)):
        ensemble = device.prepare(kernel, "float64").open(np.tile([0.1, 0.5, 2.0], (9, 1)), 5, 2**50 + 3)
        ensemble.set_reals(np.array([0.8, 0.5, 0.1]))
        ensemble.advance(0, 2)
        ends.append(ensemble.state())
    np.testing.assert_allclose(ends[0], ends[1], rtol=0, atol=1e-5)


PROCESSES = {
    "dyson": ds.Dyson(beta=2, initial=[0.0, 0.0, 1.0], rate=0.5, center=0.2),
    "dyson four": ds.Dyson(beta=4, n=2, scheme="matrix"),
    "laguerre": ds.LaguerreProcess(m=4, n=3, beta=1, initial=[0.0, 0.5, 1.0]),
}
SIMULATED = """
    import sys; import numpy as np; import dysonsim as ds
    from test_matrix_step import PROCESSES
    for name, process in PROCESSES.items():
        run = ds.simulate(process, 9, times=[0.3, 1.5], seed=4, device="cuda")
        np.save(f"{sys.argv[1]}/{name}", run.eigenvalues)
"""


def test_simulator_gives_the_numbers_of_the_cpu(tmp_path):
    done = run_python(SIMULATED, tmp_path, NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stderr
    for name, process in PROCESSES.items():
        cpu = ds.simulate(process, 9, times=[0.3, 1.5], seed=4).eigenvalues
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), cpu, rtol=0, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-5), ("float32", 1e-3)])
def test_a_real_device_gives_the_numbers_of_the_cpu(name, dtype, tolerance):
    devices = ("cpu", "cuda")
    runs = [ds.simulate(PROCESSES[name], 1000, times=[0.3, 1.5], seed=4, device=d, dtype=dtype) for d in devices]
    np.testing.assert_allclose(runs[1].eigenvalues, runs[0].eigenvalues, rtol=0, atol=tolerance)
