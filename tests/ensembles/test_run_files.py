"""Run files: written whole or not at all, and nothing that is in one is believed."""

from __future__ import annotations

import builtins
import io
import json
import os
import stat
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import dysonsim as ds
import dysonsim.reproduce
from dysonsim import _files
from dysonsim._fingerprint import fingerprint

SGD = ds.SGD(ds.TeacherStudent(2 * np.eye(3), 0.1), 0.05, 4)
# A run as of `simulate(SGD, 7, 6, seed=2, record_every=2, keep_weights=True)`: nothing is compiled while tests are
# collected, which each process of a test run does.
WEIGHTS = 2 * np.eye(3) + np.random.default_rng(2).normal(scale=0.1, size=(7, 3, 3, 3))
RUN = ds.Run(SGD, 2, times=np.array([2.0, 4.0, 6.0]), steps=np.array([2, 4, 6]),
             spectra=np.linalg.svd(WEIGHTS, compute_uv=False)[..., ::-1].copy(), coordinate="singular_values",
             weights=WEIGHTS, device="cpu", dtype="float64", version=ds.__version__,
             state=WEIGHTS[:, -1].reshape(7, 9), last_time=6.0, last_step=6)  # fmt: skip


@cache
def one():
    return ds.simulate(ds.LaguerreProcess(m=3.5, n=3, beta=1.5), 7, times=[0.1, 0.2], seed=2)


@cache
def gas():
    return ds.simulate(ds.CoulombGas(centers=[0.0, 1.0, 3.0], widths=1.0, beta=2.0), 7, seed=2)


def same(a: ds.Run, b: ds.Run) -> bool:
    names = ("times", "steps", "spectra", "weights", "state")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


@pytest.mark.parametrize("made", [lambda: RUN, one, gas], ids=["sgd", "laguerre", "gas"])
def test_a_saved_run_is_the_run(made, tmp_path):
    run = made()
    run.save(tmp_path / "run.npz")
    back = ds.Run.load(str(tmp_path / "run.npz"), run.process)
    assert run.weights is None or same(run, back)
    assert (back.last_time, back.last_step, back.seed, back.fault()) == (run.last_time, run.last_step, run.seed, "")
    assert os.listdir(tmp_path) == ["run.npz"]


def rewritten(run: ds.Run, path, compress=False, told=None, hashed=True, hashed_told=True, **changes):
    """A file like that of `Run.save`, with some of it changed; an array that is None is left out."""
    about = {
        "process": fingerprint(run.process), "described": repr(run.process), "seed": run.seed, "device": run.device,
        "coordinate": run.coordinate, "dtype": run.dtype, "version": run.version, "last_time": run.last_time,
        "last_step": run.last_step,
    }  # fmt: skip
    arrays = {"times": run.times, "steps": run.steps, "spectra": run.spectra, "state": run.state}
    arrays |= {} if run.weights is None else {"weights": run.weights}
    kept = {name: array for name, array in (arrays | changes).items() if array is not None}
    changed = about | (told or {})
    of_arrays = {name: a for name, a in kept.items() if name != "about"} if hashed else arrays
    of_about = {name: value for name, value in (changed if hashed_told else about).items() if name != "sha256"}
    about = {"sha256": fingerprint((of_arrays, of_about))} | changed
    about = {name: value for name, value in about.items() if value is not ...}
    write = np.savez_compressed if compress else np.savez
    write(path, **{"about": np.array(json.dumps(about))} | kept)


def at(array, index, value):
    changed = np.array(array)
    changed[index] = value
    return changed


CHANGES = {
    "a column of the state": {"state": RUN.state[:, :1]}, "a row of the state": {"state": RUN.state[:1]},
    "state reversed": {"state": RUN.state[:, ::-1]}, "replicas exchanged": {"state": np.roll(RUN.state, 1, axis=0)},
    "state of integers": {"state": RUN.state.astype(int)}, "state of another dtype": {"state": RUN.state.astype("f4")},
    "nan in the state": {"state": at(RUN.state, (3, 2), np.nan)}, "no state": {"state": None},
    "inf in the levels": {"spectra": at(RUN.spectra, (3, 1, 2), np.inf)}, "levels flat": {"spectra": RUN.spectra[0]},
    "levels descend": {"spectra": RUN.spectra[..., ::-1]}, "a level less": {"spectra": RUN.spectra[..., 1:]},
    "a negative singular value": {"spectra": at(RUN.spectra, (3, 0, 0), -1.0)}, "no levels": {"spectra": None},
    "another last record": {"spectra": RUN.spectra[:, [0, 1, 1]]}, "a step less": {"steps": RUN.steps[:-1]},
    "steps exchanged": {"steps": RUN.steps[::-1].copy()}, "steps of floats": {"steps": RUN.steps.astype(float)},
    "times exchanged": {"times": RUN.times[::-1].copy()}, "times of text": {"times": RUN.times.astype(str)},
    "times nan": {"times": RUN.times * np.nan}, "weights of another shape": {"weights": RUN.weights[..., 0]},
    "weights nan": {"weights": RUN.weights * np.nan}, "an object": {"state": np.array([None])},
    "one array too many": {"more": RUN.state}, "nothing told": {"about": np.array("")},
    "told numbers": {"about": np.ones(2)},
    "last_step": {"told": {"last_step": -1}}, "last_step, later": {"told": {"last_step": 7}},
    "last_step, large": {"told": {"last_step": 2**40}}, "last_step true": {"told": {"last_step": True}},
    "last_time": {"told": {"last_time": 3.0}}, "last_time nan": {"told": {"last_time": float("nan")}},
    "seed": {"told": {"seed": -1}}, "seed of a float": {"told": {"seed": 2.0}},
    "dtype": {"told": {"dtype": "float16"}}, "device": {"told": {"device": "tpu"}},
    "coordinate": {"told": {"coordinate": "eigenvalues"}}, "no version": {"told": {"version": ...}},
    "another seed": {"told": {"seed": 3}, "hashed_told": False},
    "more told": {"told": {"x": 1}}, "compressed": {"compress": True},
    "no hash": {"told": {"sha256": ...}}, "weights of before": {"weights": RUN.weights * 0.5, "hashed": False},
    "another hash": {"told": {"sha256": "0" * 64}},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_file_with_changed_contents_is_refused(name, tmp_path):
    path = tmp_path / "run.npz"
    rewritten(RUN, path)
    assert same(ds.Run.load(path, SGD), RUN)
    rewritten(RUN, path, **CHANGES[name])
    with pytest.raises(ValueError, match=r"path = '.*run.npz': must be a file that Run.save wrote \(") as caught:
        ds.Run.load(path, SGD)
    assert type(caught.value) is ValueError


RESUMED = [name for name, c in CHANGES.items() if set(c) <= {"state", "spectra", "steps"}]


@pytest.mark.parametrize("name", RESUMED)
def test_a_changed_run_is_not_resumed(name):
    change = CHANGES[name]
    with pytest.raises(ValueError, match="resume"):
        ds.simulate(SGD, 7, 8, seed=2, keep_weights=True, resume=replace(RUN, **change))


@pytest.mark.parametrize(("made", "change", "words"), [
    (lambda: RUN, lambda state: {"last_step": -1}, "last_step"),
    (lambda: RUN, lambda state: {"last_step": "6"}, "last_step"),
    (lambda: RUN, lambda state: {"last_step": 6.0}, "last_step"),
    (lambda: RUN, lambda state: {"last_time": None}, "last_time"),
    (lambda: RUN, lambda state: {"times": None}, "times is missing"),
    (one, lambda state: {"last_time": 0.1}, "last_time"),
    (one, lambda state: {"state": state[:, ::-1]}, "do not ascend"),
    (one, lambda state: {"state": state[:, [0, 0, 0]]}, "other levels than the last"),
    (gas, lambda state: {"state": state[:, ::-1]}, "state"),
    (gas, lambda state: {"state": at(state, (2, 4), 9.0)}, "its chain is"),
    (gas, lambda state: {"state": at(state, (2, -2), 1.0)}, "gave no number"),
])  # fmt: skip
def test_what_is_wrong_with_a_run_is_said(made, change, words):
    run = made()
    assert run.fault() == ""
    assert words in replace(run, **change(run.state)).fault()


def loaded(path):
    """The run, or why it is refused."""
    try:
        return ds.Run.load(path, SGD)
    except ValueError as error:
        return error


def test_every_truncation_and_flips_of_bytes_are_refused_or_change_nothing(tmp_path):
    path = tmp_path / "run.npz"
    RUN.save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(5)
    cut = [whole[:length] for length in (0, 1, 30, *random.integers(31, len(whole), 40))]
    flipped = []
    directory = whole.index(b"PK\x01\x02")
    for where in [*random.integers(0, len(whole), 60), *random.integers(directory, len(whole), 100)]:
        data = bytearray(whole)
        data[where] ^= int(random.integers(1, 256))
        flipped.append(bytes(data))
    found = []
    for data in [*cut, *flipped]:
        path.write_bytes(data)
        found.append(loaded(path))
    refused = [one for one in found if type(one) is ValueError]
    assert all("run.npz" in str(error) for error in refused)
    assert len(refused) > 120
    assert all(same(one, RUN) for one in found if type(one) is not ValueError)  # dates, attributes and such


def member(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def header(text: str) -> bytes:
    text = text + " " * (64 - (len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode("latin1")


@pytest.mark.parametrize("head", [
    "{'descr': '<f8', 'fortran_order': False, 'shape': (134217728,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2000000000000000000000,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (1000000000,), }",
    "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "(" * 5000, "{" * 5000, "[1," * 3000, "",
])  # fmt: skip
def test_a_header_that_lies_or_makes_no_sense_takes_no_memory(head, tmp_path):
    path = tmp_path / "run.npz"
    path.write_bytes(member("state.npy", header(head)))
    with pytest.raises(ValueError, match=r"run.npz': must be a file that Run.save wrote"):
        ds.Run.load(path, SGD)


def test_a_bomb_is_refused_before_memory_is_taken(tmp_path):
    path = tmp_path / "run.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("state.npy", "w") as file:
        file.write(header("{'descr': '<f8', 'fortran_order': False, 'shape': (8388608,), }"))
        for _ in range(64):
            file.write(bytes(2**20))
    assert path.stat().st_size < 2**18
    program = f"""
        import numpy as np; import dysonsim as ds
        def peak():  # in kB; ru_maxrss is inherited from a large parent
            return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
        process = ds.SGD(ds.TeacherStudent(2 * np.eye(3), 0.1), 0.05, 4)
        before = peak()
        try:
            ds.Run.load({str(path)!r}, process)
        except ValueError as error:
            print(peak() - before < 20_000, error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True path =")


@pytest.mark.parametrize(("path", "error"), [
    (True, TypeError), (1, TypeError), (None, TypeError), (b"run.npz", TypeError), ("", ValueError),
    ("a\0b", ValueError), (os.devnull, ValueError), (".", ValueError), (io.BytesIO(), TypeError),
])  # fmt: skip
def test_what_is_no_path_of_a_file_is_neither_written_nor_read(path, error):
    for use in (RUN.save, lambda p: ds.Run.load(p, SGD)):
        with pytest.raises(error, match="path = "):
            use(path)
    assert not stat.S_ISREG(os.stat(os.devnull).st_mode)


def test_a_pipe_is_refused_and_a_missing_file_is_an_os_error(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a pipe"):
        ds.Run.load(tmp_path / "pipe", SGD)
    with pytest.raises(FileNotFoundError):
        ds.Run.load(tmp_path / "none.npz", SGD)
    with pytest.raises(FileNotFoundError, match=r"no folder.run\.npz"):
        RUN.save(tmp_path / "no folder" / "run.npz")
    with pytest.raises(TypeError, match="process = 'sgd'"):
        ds.Run.load(__file__, "sgd")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_what_ends_writing_leaves_the_old_file_and_nothing_else(error, where, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    RUN.save(path)
    before = path.read_bytes()

    def fails(*arguments, **options):
        raise error

    def half(file, **arrays):
        file.write(b"PK")
        raise error

    other = replace(RUN, seed=3)
    monkeypatch.setattr(*{"write": (np, "savez", half)}.get(where, (os, where, fails)))
    with pytest.raises(type(error), match=r"run\.npz" if isinstance(error, OSError) else None):
        other.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.npz"]
    other.save(path)
    assert ds.Run.load(path, SGD).seed == 3


def test_a_killed_process_leaves_the_old_file(tmp_path):
    program = f"""
        import os, signal; import numpy as np
        from dysonsim._files import write_whole
        def write(file):
            file.write(b"half"); file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        write_whole({str(tmp_path / "run.npz")!r}, write)
    """
    (tmp_path / "run.npz").write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == -9
    assert (tmp_path / "run.npz").read_bytes() == b"old"
    (left,) = tmp_path.glob(".*.tmp")
    os.utime(left, (1, 1))
    other = tmp_path / ".dysonsim-mine.tmp"  # a name that dysonsim does not give
    other.write_text("")
    os.utime(other, (1, 1))
    _files.write_whole(tmp_path / "run.npz", lambda file: file.write(b"new"))
    assert sorted(os.listdir(tmp_path)) == [other.name, "run.npz"]


def test_permissions_and_links_stay(tmp_path):
    new, link = tmp_path / "run.npz", tmp_path / "link"
    mask = os.umask(0o027)
    try:
        _files.write_whole(new, lambda file: file.write(b"one"))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    new.chmod(0o604)
    link.symlink_to(new)
    _files.write_whole(link, lambda file: file.write(b"two"))
    assert link.is_symlink()
    assert (new.read_bytes(), stat.S_IMODE(new.stat().st_mode)) == (b"two", 0o604)


def test_arrays_of_a_run_are_read_only(tmp_path):
    RUN.save(tmp_path / "run.npz")
    for run in (RUN, ds.Run.load(tmp_path / "run.npz", SGD)):
        for array in (run.eigenvalues, run.singular_values, run.spectra, run.times, run.steps, run.state, run.weights):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0


def test_the_same_script_reads_its_own_file_in_another_process_and_no_other_value_of_what_it_captures(tmp_path):
    program = """
        import sys; import numpy as np; import dysonsim as ds
        K = float(sys.argv[2])
        def drift(x):
            return -sum([K * c * x for c in (0.5, 0.5)])
        process = ds.Dyson(n=2, drift=drift, dt=0.1)
        if sys.argv[3] == "save":
            levels = np.array([[[-1.0, 1.0]]])
            state = np.array([[-1.0, 1.0, -1.0, -1.0]])
            times = np.array([0.1]), np.array([1])
            about = "eigenvalues", None, "cpu", "float64", ds.__version__, state, 0.1, 1
            ds.Run(process, 1, *times, levels, *about).save(sys.argv[1])
        else:
            try:
                print(ds.Run.load(sys.argv[1], process).seed)
            except ValueError as error:
                print(error)
    """
    told = []
    for value, what in (("1", "save"), ("1", "load"), ("2", "load")):
        command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "run.npz"), value, what]
        hashed = {"PYTHONHASHSEED": str(len(told))}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | hashed)
        told.append(done.stdout.strip())
    assert told[:2] == ["", "1"]
    assert "was made by" in told[2]


def test_a_report_on_a_full_disk(tmp_path, monkeypatch):
    module = sys.modules["dysonsim.reproduce.command"]

    def full(path, *mode, **options):
        if ".tmp" in str(path):
            raise OSError(28, "No space left on device")
        return builtins.open(path, *mode, **options)

    said = []
    monkeypatch.setattr(module, "PARTS", {"spectrum": ("Spectrum", lambda ensembles: 1 / 0)})
    monkeypatch.setattr(_files, "open", full, raising=False)
    with pytest.raises(OSError, match=r"out = .*the report could not be written .*No space left"):
        module.reproduce(tmp_path / "out", "quick", echo=said.append)
    assert any("cannot be written now" in line for line in said)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["figures"]
    monkeypatch.undo()
    for out, error in (("", ValueError), (3, TypeError), (None, TypeError)):
        with pytest.raises(error, match="out = "):
            module.reproduce(out, "quick")
