"""Files of recordings of trainings: an exact continuation, refusal of what is none, and ends of every kind."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.training import journal


def pieces():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return model, optimizer, torch.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, step_size_up=3)


def train(model, optimizer, schedule, first, last, kept=None):
    import torch

    for step in range(first, last):
        torch.manual_seed(step)
        optimizer.zero_grad()
        model(torch.randn(5, 8)).square().mean().backward()
        optimizer.step()
        schedule.step()
        if kept is not None:
            kept[step + 1] = pickle.dumps([x.state_dict() for x in (model, optimizer, schedule)])


def at(state):
    parts = pieces()
    for part, values in zip(parts, pickle.loads(state), strict=True):
        part.load_state_dict(values)
    return parts


@pytest.fixture(name="whole")
def recorded_to_the_end(tmp_path):
    """The folder of a recording of 20 steps, and the states after each step."""
    kept = {0: pickle.dumps([x.state_dict() for x in pieces()])}
    parts = pieces()
    with ds.watch(parts[0], every=4, path=tmp_path / "whole"):
        train(*parts, 0, 20, kept)
    return tmp_path, kept


def test_a_file_says_what_memory_says(whole):
    folder, kept = whole
    parts = pieces()
    with ds.watch(parts[0], every=4) as rec:
        train(*parts, 0, 20)
    for back in (ds.load_recording(folder / "whole"), pickle.loads(pickle.dumps(rec))):
        assert back.optimizer == rec.optimizer
        assert str(back) == str(rec)
        for name, layer in rec.items():
            for field in ("steps", "singular_values", "kicks", "learning_rate", "batch_size"):
                np.testing.assert_array_equal(getattr(back[name], field), getattr(layer, field))
            np.testing.assert_array_equal(back.initial[name], rec.initial[name])
    with np.load(folder / "whole.initial.npz") as arrays:
        np.testing.assert_array_equal(arrays["0"], pickle.loads(kept[0])[0]["0.weight"].numpy())
    assert list(ds.load_recording(folder / "whole").initial) == ["0", "2"]


@pytest.mark.parametrize(
    ("stop", "checkpoint"), [(19, 19), (17, 16), (17, 14), (13, 13), (12, 12), (11, 3), (9, 0), (1, 1)]
)
def test_a_continued_recording_is_that_of_an_uninterrupted_training(whole, stop, checkpoint):
    folder, kept = whole
    path, parts = folder / "run", pieces()
    with pytest.raises(KeyboardInterrupt), ds.watch(parts[0], every=4, path=path):  # noqa: PT012
        train(*parts, 0, stop)
        raise KeyboardInterrupt
    parts = at(kept[checkpoint])
    with ds.watch(parts[0], every=4, path=path, resume=checkpoint) as rec:
        assert rec.steps.tolist() == list(range(0, checkpoint + 1, 4))
        train(*parts, checkpoint, 20)
    assert path.read_bytes() == (folder / "whole").read_bytes()
    assert rec.steps.tolist() == [0, 4, 8, 12, 16, 20]
    np.testing.assert_array_equal(rec.initial["0"], ds.load_recording(folder / "whole").initial["0"])


def test_from_the_last_record(whole):
    folder, kept = whole
    before = (folder / "whole").read_bytes()
    parts = at(kept[20])
    with ds.watch(parts[0], every=4, path=folder / "whole", resume=True) as rec:
        train(*parts, 20, 25)
    assert rec.steps.tolist() == [0, 4, 8, 12, 16, 20, 24]
    assert (folder / "whole").read_bytes().startswith(before)
    np.testing.assert_array_equal(ds.load_recording(folder / "whole")["0"].kicks, rec["0"].kicks)


def test_what_cannot_be_continued(whole):
    torch = pytest.importorskip("torch")
    folder, kept = whole
    path, model = folder / "whole", at(kept[20])[0]
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"path = .*whole.*resume="):
        ds.watch(model, every=4, path=path)
    with pytest.raises(FileNotFoundError, match=r"path = .*none.*resume=0"):
        ds.watch(model, path=folder / "none", resume=True)
    cases = [
        ({"every": 5}, model, "every = 5: .* was recorded with 4"),
        ({"kicks": False}, model, "kicks = False"),
        ({"top": 2}, model, "resume: .*of layers|top = 2"),
        ({"sampling": "with_replacement"}, model, "sampling = 'with_replacement'"),
        ({"layers": "0"}, model, r"of layers 0 \(6, 8\), 2 \(3, 6\); here they are 0 \(6, 8\)"),
        ({}, torch.nn.Sequential(torch.nn.Linear(8, 5)), r"here they are 0 \(5, 8\)"),
        ({"resume": 16}, model, "resume = 16: the weights of layer '0' are not those recorded"),
        ({"resume": 33}, model, "resume = 33: .*lacks the record of step 32; .* of step 20"),
        ({}, at(kept[19])[0], "resume = 20: the weights"),
    ]
    for options, other, words in cases:
        with (
            pytest.raises(ValueError, match=words),
            ds.watch(other, **({"every": 4, "path": path, "resume": True} | options)),
        ):
            raise AssertionError
    assert path.read_bytes() == before
    (folder / "other").write_bytes(b"text")
    with (
        pytest.raises(ValueError, match=r"must be a file that ds.watch wrote"),
        ds.watch(model, path=folder / "other", resume=0),
    ):
        raise AssertionError
    assert (folder / "other").read_bytes() == b"text"


def test_what_is_refused_leaves_the_file_as_it_was(whole):
    folder, kept = whole
    before = (folder / "whole").read_bytes()
    with (
        pytest.raises(ValueError, match="resume = 12"),
        ds.watch(at(kept[8])[0], every=4, path=folder / "whole", resume=12),
    ):
        raise AssertionError
    assert (folder / "whole").read_bytes() == before


@pytest.mark.parametrize("left", [None, b"", journal.MAGIC])
def test_the_first_start_of_a_job_and_one_that_was_killed_as_it_began(left, tmp_path):
    if left is not None:
        (tmp_path / "run").write_bytes(left)
    parts = pieces()
    with ds.watch(parts[0], every=2, path=tmp_path / "run", resume=0):
        train(*parts, 0, 3)
    assert ds.load_recording(tmp_path / "run").steps.tolist() == [0, 2]


def test_a_full_disk_ends_the_file_and_not_the_training(tmp_path, monkeypatch):
    parts, calls = pieces(), []
    write = journal.Journal._write

    def full(self, data):
        calls.append(data)
        if len(calls) > 5:
            self._file.write(data[: len(data) // 2])  # what still fits
            data = Broken(data)
        write(self, data)

    class Broken(bytes):
        def __len__(self):
            raise OSError(28, "No space left on device")

        def __buffer__(self, flags):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.Journal, "_write", full)
    with (
        pytest.warns(RuntimeWarning, match="No space left on device at step .*rec goes on in memory") as caught,
        ds.watch(parts[0], every=1, path=tmp_path / "run") as rec,
    ):
        train(*parts, 0, 6)
    assert len(caught) == 1
    assert rec.steps.tolist() == list(range(7))
    assert 0 < len(ds.load_recording(tmp_path / "run").steps) < 7


def test_initial_weights_that_are_damaged_are_named(whole):
    folder, _ = whole
    rec = ds.load_recording(folder / "whole")
    beside = folder / "whole.initial.npz"
    beside.write_bytes(beside.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"whole\.initial\.npz.* is not what ds.watch wrote"):
        rec.initial["0"]
    with pytest.raises(KeyError, match="'0', '2'"):
        rec.initial["1"]
    np.savez(beside, **{"0": np.ones((2, 2)), "2": np.array([None])})
    for name in ("0", "2"):
        with pytest.raises(ValueError, match=r"whole\.initial\.npz"):
            rec.initial[name]
    beside.unlink()
    with pytest.raises(FileNotFoundError, match=r"whole\.initial\.npz"):
        rec.initial["0"]


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_and_killed_again_it_is_the_recording_of_a_training_that_was_not(kills):
    pytest.importorskip("torch")
    program = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("killed.py")), str(kills)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
