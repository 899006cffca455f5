"""One large gas on a GPU: the numbers of the CPU, in Numba's simulator at toy size, or on a device."""

from __future__ import annotations

import numpy as np
import pytest
from another_python import run_python

import dysonsim as ds
from dysonsim.backend import STILL_WELL
from dysonsim.numerics.many_levels import open_large

# Repulsion, levels, gases, steps: three segments of the simulator, which takes seconds; less than one; no far pair.
CASES = [(1.0, 50, 1, 1), (2.0, 7, 2, 2), (2.5, 3, 2, 2)]
REALS = np.array([0.01, 0.7, 0.9, 0.3])
TOLERANCE = 1e-6  # of the fast sum, which bounds an error by 1e-5 of a force that moves levels by about 0.05


def moved(beta, n, gases, steps, device):
    """Gases after some steps, each a call; the start has levels that pass each other within a step."""
    start = np.sort(np.random.default_rng(n).normal(size=(gases, n)) * np.sqrt(n), axis=1)
    ensemble = open_large(start, 5, 2**40 + 3, beta, 1, device)
    ensemble.set_reals(REALS)
    for step in range(steps):
        ensemble.advance(step, 1)
    assert (ensemble.left() == STILL_WELL).all()
    return ensemble.state()


def run_away(device):
    """Of two gases one is moved beyond all numbers."""
    ensemble = open_large(np.array([[0.0, 1.0, 2.0, 3.0, 5.0], [0.0, 1.0, 2.0, 3.0, 1e200]]), 0, 1, 1.0, 1, device)
    ensemble.set_reals(np.array([0.01, 0.0, 1.0, 0.3]))
    with np.errstate(all="ignore"):
        ensemble.advance(4, 2)
    return ensemble.left()


def process():
    return ds.Dyson(beta=1, initial=np.linspace(-6, 6, 9), scheme="fast", dt=0.01)


SIMULATED = """
    import sys; import numpy as np; import dysonsim as ds
    from test_cuda_large import CASES, moved, process, run_away
    for case in CASES:
        np.save(f"{sys.argv[1]}/{case}", moved(*case, "cuda"))
    np.save(f"{sys.argv[1]}/left", run_away("cuda"))
    run = ds.simulate(process(), 2, times=[0.01], seed=1, device="cuda")
    np.save(f"{sys.argv[1]}/run", run.eigenvalues)
"""


def test_simulator_gives_the_numbers_of_the_cpu(tmp_path):
    """Control: other random numbers, or another beta, move levels by a hundred thousand times the tolerance."""
    done = run_python(SIMULATED, tmp_path, NUMBA_ENABLE_CUDASIM="1")
    assert done.returncode == 0, done.stderr
    for case in CASES:
        np.testing.assert_allclose(np.load(tmp_path / f"{case}.npy"), moved(*case, "cpu"), rtol=0, atol=TOLERANCE)
    assert np.abs(moved(1.0, 50, 1, 1, "cpu") - moved(2.0, 50, 1, 1, "cpu")).max() > 0.05
    np.testing.assert_array_equal(np.load(tmp_path / "left.npy"), run_away("cpu"))
    run = ds.simulate(process(), 2, times=[0.01], seed=1)
    np.testing.assert_allclose(np.load(tmp_path / "run.npy"), run.eigenvalues, rtol=0, atol=TOLERANCE)


@pytest.mark.gpu
@pytest.mark.parametrize("case", [*CASES, (1.0, 50, 2, 2), (1.0, 3000, 2, 2)])
def test_a_real_device_gives_the_numbers_of_the_cpu(case):
    np.testing.assert_allclose(moved(*case, "cuda"), moved(*case, "cpu"), rtol=0, atol=TOLERANCE)
