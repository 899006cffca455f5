"""Replicas from a number on are the same networks as in one large run, bit for bit, however a run is divided.

(tests/backend/test_backend.py has the same for every kernel.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import dysonsim as ds

TEACHER = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
SGD = ds.SGD(TEACHER, learning_rate=0.1, batch_size=4)
WIDE = ds.SGD(ds.TeacherStudent(2 * np.eye(64), gradient_noise=0.1), 0.02, 4)  # one network at a time, with BLAS
STARTS = np.sort(np.random.default_rng(1).normal(size=(45, 4)))
PROCESSES = {
    "SGD": (SGD, {"steps": 12, "record_every": 5, "keep_weights": True}),
    "wide": (WIDE, {"steps": 3}),
    "matrix": (ds.Dyson(n=4, beta=2, rate=1.0, noise=1.0, initial=STARTS), {"times": [0.1, 0.2]}),
    "common point": (ds.Dyson(n=4, beta=1.5, rate=1.0, noise=1.0), {"times": [0.1, 0.2]}),
    "fast": (ds.Dyson(n=12, beta=1, rate=1.0, noise=1.0, initial=np.arange(12.0), scheme="fast"), {"times": [0.05]}),
    "exact gas": (ds.CoulombGas.hermite(n=3, beta=2.0), {}),
}
DIVISIONS = {"float64": [(0, 1), (1, 8), (9, 7), (16, 29)], "float32": [(0, 17), (17, 28)]}


def simulate(name, replicas, dtype="float64", **further):
    process, how = PROCESSES[name]
    with np.errstate(all="ignore"):
        return ds.simulate(process, replicas, seed=7, dtype=dtype, progress=False, **how, **further)


@pytest.mark.parametrize("name", PROCESSES)
def test_parts_are_the_whole(name):
    whole = simulate(name, 45)
    for first, replicas in DIVISIONS["float64"]:
        part = simulate(name, replicas, first_replica=first, threads=1 + first % 2)
        assert part.first_replica == first
        assert np.array_equal(part.spectra, whole.spectra[first : first + replicas]), (first, replicas)
        assert np.array_equal(part.state, whole.state[first : first + replicas])
        if whole.weights is not None:
            assert np.array_equal(part.weights, whole.weights[first : first + replicas])
    other = simulate(name, 8, first_replica=2)
    assert not np.array_equal(other.spectra, whole.spectra[1:9])  # the control


@pytest.mark.parametrize("name", ["SGD", "matrix"])
def test_parts_in_float32(name):
    whole = simulate(name, 45, "float32")
    for first, replicas in DIVISIONS["float32"]:
        part = simulate(name, replicas, "float32", first_replica=first)
        assert np.array_equal(part.spectra, whole.spectra[first : first + replicas])


def test_far_beyond_what_fits_into_memory():
    last = ds.simulate(SGD, 3, 2, first_replica=2**32 - 4, progress=False)
    assert np.array_equal(last.spectra[1:], ds.simulate(SGD, 2, 2, first_replica=2**32 - 3, progress=False).spectra)
    with pytest.raises(ValueError, match="first_replica = 4294967293: must be an integer from 0 to 4294967292"):
        ds.simulate(SGD, 3, 2, first_replica=2**32 - 3)


def test_a_part_is_resumed_and_stored(tmp_path):
    half = ds.simulate(SGD, 10, 5, first_replica=20, seed=3, progress=False)
    half.save(tmp_path / "half.npz")
    loaded = ds.Run.load(tmp_path / "half.npz", SGD)
    assert loaded.first_replica == 20
    whole = ds.simulate(SGD, 10, 9, first_replica=20, seed=3, record_steps=[5, 9], progress=False)
    rest = ds.simulate(SGD, 10, 9, first_replica=20, seed=3, resume=loaded, progress=False)
    assert np.array_equal(rest.spectra, whole.spectra)
    assert rest.first_replica == 20
    with pytest.raises(ValueError, match="first_replica = 0: resume was run with first_replica = 20"):
        ds.simulate(SGD, 10, 9, seed=3, resume=half)


def test_replicas_are_named_by_their_number_in_the_seed():
    wild = ds.SGD(TEACHER, learning_rate=5.0, batch_size=4)
    with pytest.warns(RuntimeWarning), pytest.raises(ds.DivergenceError) as caught:
        ds.simulate(wild, 4, 4000, first_replica=100, progress=False)
    assert 100 <= caught.value.replica < 104
    assert f"replica {caught.value.replica} " in str(caught.value)


def test_initial_levels_of_too_few_replicas():
    process = PROCESSES["matrix"][0]
    with pytest.raises(ValueError, match="replicas = 10, from first_replica = 40 on: initial has levels for 45"):
        ds.simulate(process, 10, times=[0.1], first_replica=40)


def test_a_process_that_makes_start_values_of_all_replicas_only():
    @dataclass(frozen=True)
    class Old(ds.SGD):
        def start(self, replicas, seed):
            return super().start(replicas, seed)

    old = Old(TEACHER, 0.1, 4)
    part = ds.simulate(old, 5, 3, first_replica=9, progress=False)
    assert np.array_equal(part.spectra, ds.simulate(SGD, 14, 3, progress=False).spectra[9:])
