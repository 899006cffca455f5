"""What a run needs of memory, and what there is: known before anything is allocated."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from another_python import LINUX, python

import dysonsim as ds
from dysonsim.backend import machine
from dysonsim.ensembles import schedule

SGD = ds.SGD(ds.TeacherStudent(2 * np.eye(3), 0.1), 0.1, 4)


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


def test_chains_that_fit_into_no_memory():
    for batch in (10**9, 10**12, 2**62):
        with pytest.raises(MemoryError):
            ds.simulate(ds.SGD(ds.GaussianRBM.scalar_field(100, 2.0, 3.0), 0.05, batch), 1, 1)
