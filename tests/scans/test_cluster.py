"""Dask clusters: workers that are killed, a scheduler that is restarted, a client that is gone; slow, for processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import numpy as np
import pytest
from another_python import run_python

import dysonsim as ds
from dysonsim.__main__ import main

distributed = pytest.importorskip("distributed")
xarray = pytest.importorskip("xarray")
pytest.importorskip("zarr")

MODEL = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
AXES = {"learning_rate": [0.02, 0.05, 3.0], "batch_size": [4, 16]}
HOW = {
    "replicas": 200,
    "steps": 3000,
    "seed": 1,
    "progress": False,
    "measure": {"spacing": lambda r: r.spacings((0, 1))},
}
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def training(learning_rate, batch_size):
    return ds.SGD(MODEL, learning_rate, batch_size)


@pytest.fixture
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_threads_as_workers():
    """The whole way to a cluster and back, without processes, which take their time to start."""
    small = HOW | {"replicas": 20, "steps": 20}
    local = distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)
    with local as cluster, distributed.Client(cluster) as client:
        scan = ds.scan(training, AXES, client=client, piece=8, **small)
        with pytest.raises(TypeError, match="returns 3: must return a process"):
            ds.scan(lambda a: 3 if a == 2 else training(0.1, 4), {"a": [1, 2]}, client=client, **small)
        lock = threading.Lock()
        with pytest.raises(TypeError, match="must be such that they can be sent to workers"):
            ds.scan(lambda a: lock and training(a, 4), {"a": [0.1]}, client=client, **small)
    xarray.testing.assert_identical(scan.dataset, ds.scan(training, AXES, **small).dataset)
    with pytest.raises(ValueError, match="client: is closed"):
        ds.scan(training, AXES, client=client, **small)


def test_a_kernel_is_made_ready_once_in_a_process(monkeypatch, tmp_path):
    from dysonsim.scans import cluster
    from dysonsim.scans.recipe import Recipe

    prepared, prepare = [], ds.SGD.prepare
    monkeypatch.setattr(ds.SGD, "prepare", lambda self, *how: prepared.append(how) or prepare(self, *how))
    monkeypatch.setattr(cluster, "_READY", set())
    recipe = Recipe(training, {}, {"device": "cpu", "dtype": "float64"}, 1, False)
    for rate in 0.1, 0.2:
        cluster.compile_once(training(rate, 4), recipe)
    assert prepared == [("cpu", "float64", 1)]
    with cluster._one_at_a_time(str(tmp_path / "here")):
        monkeypatch.setattr(cluster, "COMPILING", 0.2)
        began = time.monotonic()
        with cluster._one_at_a_time(str(tmp_path / "here")):  # goes on by itself after a while
            assert 0.2 <= time.monotonic() - began < 20


@pytest.mark.slow
def test_a_worker_is_killed_and_the_scheduler_restarted(client, tmp_path):
    whole = ds.scan(training, AXES, **HOW).dataset
    (victim, *_) = client.run(os.getpid).values()
    killer = threading.Timer(1.0, os.kill, (victim, signal.SIGKILL))
    killer.start()
    scan = ds.scan(training, AXES, client=client, piece=8, path=tmp_path / "one.zarr", **HOW)
    killer.join()
    xarray.testing.assert_identical(scan.dataset.compute(), whole)
    restarter = threading.Timer(1.0, client.restart)
    restarter.start()
    scan = ds.scan(training, AXES, client=client, piece=8, path=tmp_path / "two.zarr", **HOW)
    restarter.join()
    xarray.testing.assert_identical(scan.dataset.compute(), whole)


SCRIPT = """
    import sys, warnings
    warnings.simplefilter("ignore")
    import distributed, dysonsim as ds
    from test_cluster import AXES, HOW, training
    with distributed.Client(sys.argv[1]) as client:
        ds.scan(training, AXES, client=client, piece=4, path=sys.argv[2], **HOW)
"""


@pytest.mark.slow
def test_a_client_that_goes_away(client, tmp_path):
    path = tmp_path / "scan.zarr"
    ended = []
    arguments = SCRIPT, client.scheduler.address, path
    away = threading.Thread(target=lambda: ended.append(run_python(*arguments)))
    away.start()
    while not (path / "status" / "0.0.0").exists():
        assert not ended, ended[0].stderr
        time.sleep(0.01)
    # killed by its name in the lock, as nothing else is known of it here
    os.kill(int(path.with_suffix(".zarr.lock").read_text().split()[1]), signal.SIGKILL)
    away.join()
    half = ds.Scan.open(path)
    assert not half.complete
    scan = ds.scan(training, AXES, client=client, path=path, **HOW)
    xarray.testing.assert_identical(scan.dataset.compute(), ds.scan(training, AXES, **HOW).dataset)


@contextmanager
def scheduler_and_worker(port):
    """Processes of their own; returned is what kills the scheduler and starts another, at the same address.

    A worker ends when its scheduler is gone, so there is another worker as well.
    """
    programs = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", str(port), "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--nthreads", "1",
              "--no-dashboard", "--no-nanny", "--death-timeout", "60"]  # fmt: skip
    running = {}

    def start(name, program):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        running[name] = subprocess.Popen(program, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def replace():
        for process in running.values():
            process.kill()
            process.wait()
        start("scheduler", programs)
        start("worker", worker)

    start("scheduler", programs)
    start("worker", worker)
    try:
        yield replace
    finally:
        for process in running.values():
            process.kill()
        for process in running.values():
            process.wait()


@pytest.mark.slow
def test_a_scheduler_that_dies_and_comes_back(tmp_path):
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    how = HOW | {"steps": 30_000}
    with scheduler_and_worker(port) as replace, distributed.Client(f"tcp://127.0.0.1:{port}", timeout=60) as client:
        client.wait_for_workers(1, timeout=60)
        done = []

        def kill():
            while not (tmp_path / "scan.zarr" / "status" / "0.0.0").exists():
                time.sleep(0.05)
            replace()
            done.append(ds.Scan.open(tmp_path / "scan.zarr").complete)

        killer = threading.Thread(target=kill)
        killer.start()
        scan = ds.scan(training, AXES, client=client, piece=8, path=tmp_path / "scan.zarr", **how)
        killer.join()
    assert done == [False]
    xarray.testing.assert_identical(scan.dataset.compute(), ds.scan(training, AXES, **how).dataset)


@pytest.mark.slow
def test_the_command_line_takes_the_address_of_a_cluster(client, tmp_path, capsys):
    file, path = tmp_path / "my_scan.py", tmp_path / "scan.zarr"
    file.write_text(f"""
import dysonsim as ds
from test_cluster import AXES, HOW, training
scan = ds.scan(training, AXES, path={str(path)!r}, **HOW)
""")
    assert main(["scan", str(file), "--client", client.scheduler.address]) == 1  # the points at 3.0 fail
    assert "4 done, 2 failed, 0 left" in capsys.readouterr().out
    found = ds.Scan.open(path).dataset.compute()
    xarray.testing.assert_identical(found.spacing, ds.scan(training, AXES, **HOW).dataset.spacing)
