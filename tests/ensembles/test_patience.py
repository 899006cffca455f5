"""What takes long says so: progress bars, words on stderr, warnings; what would take for ever is refused."""

from __future__ import annotations

import os
import sys
import time
import warnings

import numpy as np
import pytest
from another_python import python

import dysonsim as ds
from dysonsim import _patience
from dysonsim.ensembles import limits, rounds

SGD = ds.SGD(ds.TeacherStudent(2 * np.eye(3), 0.1), 0.1, 4)


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


def test_a_step_of_all_networks_that_takes_long_is_told_of(monkeypatch):
    """Before it begins; not where it is a second or, control, one thread has less to do."""
    rbm = ds.SGD(ds.GaussianRBM.scalar_field(4, 2.0, 3.0, gibbs_steps=10**5, sampling="step_by_step"), 0.05, 6)
    with pytest.warns(RuntimeWarning, match="one step of 4096 replicas takes some .* seconds .* gibbs_steps"):
        limits.check_work(rbm, "float64", 4096, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        limits.check_work(rbm, "float64", 8, 1)
        limits.check_work(rbm, "float64", 4096, 512)


def test_what_is_slow_is_said_once_and_not_where_no_bar_is_wanted(monkeypatch, capsys):
    monkeypatch.setattr(_patience, "PATIENCE", 0.0)
    monkeypatch.setattr(_patience, "SAID", set())
    with _patience.quiet(True), _patience.told_if_slow("slow"):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
    for _ in range(2):
        with _patience.quiet(False), _patience.told_if_slow("slow"):
            time.sleep(0.05)
    assert capsys.readouterr().err == "dysonsim: slow\n"
    monkeypatch.setattr(_patience, "PATIENCE", 100.0)
    with _patience.told_if_slow("quick"):
        pass
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", None)
    _patience._say("slow")
    monkeypatch.undo()
    assert capsys.readouterr() == ("", "")


def test_a_signal_handler_within_the_import_of_numba():
    """It runs between two lines of the import; here where a module of it is looked for."""
    program = """
        import sys, dysonsim as ds
        sgd = ds.SGD(ds.TeacherStudent([[1.0]], 0.1), 0.1, 4)
        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == "numba.core.types":
                    sys.meta_path.remove(self)
                    try:
                        ds.simulate(sgd, 3, 2)
                    except RuntimeError as error:
                        print("numba is being imported" in str(error))
        sys.meta_path.insert(0, Finder())
        import numba
        print(ds.simulate(sgd, 3, 2).replicas)
    """
    assert python(program) == ["True", "3"]
