"""kill -9 at random moments: what a store holds afterwards is true, and the scan ends with the same numbers."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from another_python import run_python

import dysonsim as ds

xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")

SCRIPT = """
    import os, shutil, signal, sys, time, warnings
    warnings.simplefilter("ignore")
    import numpy as np, xarray, zarr, dysonsim as ds  # before forks, which is faster
    from test_killing import scanned

    path, kind, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
    random = np.random.default_rng(5)
    ds.simulate(ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), 0.1, 4), 8, 2, progress=False)  # compiled before forks
    died, seconds = 0, 0.3
    while True:
        child = os.fork()
        if not child:
            try:
                scanned(kind, path)
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
            os._exit(0)
        if died < kills:
            time.sleep(random.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            if os.WEXITSTATUS(status):
                sys.exit(1)
            if died >= kills:
                break
            seconds *= 0.7  # faster than the kill: begin anew
            shutil.rmtree(path)
            died += 1
            continue
        died += 1
    print("killed", died)
"""
MODEL = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)


def training(learning_rate, batch_size):
    return ds.SGD(MODEL, learning_rate, batch_size)


def light(learning_rate):
    return ds.SGD(MODEL, learning_rate, 4)


HOW = {"steps": 40, "seed": 3, "progress": False, "threads": 1}
KINDS = {
    "pieces": (training, {"learning_rate": [0.1, 3.0, 0.05], "batch_size": [4, 16]}, 24, 8),
    "blocks": (light, {"learning_rate": np.linspace(0.01, 0.1, 600)}, 8, None),
}


def scanned(kind, path=None):
    function, points, replicas, piece = KINDS[kind]
    measure = {"spacing": lambda run: run.spacings((0, 1)), "eigenvalues": "eigenvalues"}
    how = {"measure": measure, "piece": piece if path else None, **HOW}
    scan = ds.scan(function, points, replicas=replicas, path=path, **how)
    if kind == "pieces":
        scan.extend({"batch_size": [8]}, replicas=28, progress=False, threads=1)
    return scan


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.skipif(not hasattr(os, "fork") or not hasattr(signal, "SIGKILL"), reason="needs fork and kill -9")
@pytest.mark.parametrize(
    ("kind", "kills"),
    [("pieces", 2), pytest.param("pieces", 50, marks=pytest.mark.slow),
     pytest.param("blocks", 50, marks=pytest.mark.slow)],
)  # fmt: skip
def test_a_killed_scan_goes_on(tmp_path, kind, kills):
    path = tmp_path / "scan.zarr"
    done = run_python(SCRIPT, path, kind, kills)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["killed", str(kills)]
    scan, whole = ds.Scan.open(path), scanned(kind)
    assert scan.complete
    xarray.testing.assert_identical(scan.dataset.compute(), whole.dataset)
    failed = [failure.parameters for failure in scan.failures]
    assert failed == [failure.parameters for failure in whole.failures]
    assert {point["learning_rate"] for point in failed} == ({3.0} if kind == "pieces" else set())
    assert not list(tmp_path.glob("*.lock"))
