"""Kernels of users: what compiled code would do to memory without a word is found when a kernel is built."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dysonsim as ds
from dysonsim import _patience
from dysonsim.backend import Kernel, driver
from dysonsim.backend.reference import check_kernel


def builder(state=0, scratch=0, reals=0, integers=0, back=False, part=None, gives=None):
    """A builder whose step touches these places."""

    def build(lanes):
        load, store, full, number = lanes.load, lanes.store, lanes.full, lanes.number

        @lanes.jit
        def step(x, work, constants, whole, s, replica, key0, key1):
            store(x, state, load(x, state) + number(constants[reals]) + number(whole[integers]))
            store(work, scratch, load(x, 0))
            if part is not None:
                store(lanes.part(x, *part), 0, full(number(0)))
            return gives if gives is not None else load(x, 0) < number(1e6)

        return step

    return build


GOOD = Kernel(builder(), {}, np.array([0.5]), np.zeros(1), weights=3, scratch=2)


@pytest.mark.parametrize(("places", "words"), [
    ({"state": 3}, "number 3 of state, which holds 3"), ({"state": -1}, "number -1 of state"),
    ({"scratch": 2}, "number 2 of scratch, which holds 2"), ({"reals": 1}, "index 1 is out of bounds"),
    ({"integers": 1}, "index 1 is out of bounds"), ({"part": (1, 3)}, "numbers 1 to 3 of state"),
    ({"part": (1, 0)}, "number 0 of state, which holds 0"), ({"gives": 3.0}, "must give a mask"),
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_step_beyond_the_end_of_an_array_is_named(places, words, dtype):
    check_kernel(GOOD, dtype)
    with pytest.raises(ValueError, match=words):
        driver("cpu").prepare(replace(GOOD, build=builder(**places)), dtype)


def test_a_closure_of_ones_own_is_checked_too():
    """The drift of a model in Dyson Brownian motion, with constants that are not there."""

    def closure(lanes, n):
        terms = kernel.sizes["closure"](lanes, n, **own)

        def drift(out, x, constants, work):
            terms.drift(out, x, constants, work)
            lanes.store(out, 0, lanes.full(lanes.number(constants[1000])))

        return SimpleNamespace(**vars(terms) | {"drift": lanes.jit(drift)})

    kernel = ds.Dyson(ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), 0.05, 16), dt=1.0).kernel()
    of_terms = {"n", "terms", "closure", "chi", "adaptive"}
    own = {name: size for name, size in kernel.sizes.items() if name not in of_terms}
    changed = {name: size for name, size in kernel.sizes.items() if name in of_terms} | {"closure": closure}
    check_kernel(kernel, "float64")
    with pytest.raises(ValueError, match="index 1000 is out of bounds"):
        driver("cpu").prepare(replace(kernel, sizes=changed), "float64")


@pytest.mark.parametrize(("change", "error", "words"), [
    ({"reals": np.array([1j])}, TypeError, "reals has shape .* complex"), ({"reals": "a"}, TypeError, "reals"),
    ({"reals": [[1.0]]}, TypeError, "one-dimensional"), ({"integers": [1.5]}, ValueError, "whole numbers"),
    ({"integers": [2.0**63]}, ValueError, "64 bits"), ({"weights": 0}, ValueError, "weights = 0"),
    ({"weights": 2.0}, ValueError, "weights = 2.0"), ({"scratch": -1}, ValueError, "scratch = -1"),
    ({"extra": 1j * np.eye(2)}, TypeError, "extra"), ({"extra": None}, TypeError, "extra"),
    ({"vectors": 0}, ValueError, "vectors = 0"), ({"vectors": 3}, ValueError, "vectors = 3"),
    ({"vectors": "a"}, ValueError, "vectors = 'a'"), ({"vectors": np.nan}, ValueError, "vectors = nan"),
])  # fmt: skip
def test_sizes_and_constants_of_a_wrong_kind(change, error, words):
    with pytest.raises(error, match=f"Kernel: .*{words}|{words}"):
        replace(GOOD, **change)


def test_start_values_and_constants_have_the_sizes_of_the_kernel():
    kernel = ds.SGD(ds.TeacherStudent(2 * np.eye(2), 0.1), 0.05, 4).kernel()
    program = driver("cpu").prepare(kernel, "float64")
    for start in (np.zeros((3, 3)), np.zeros((3, 5)), np.zeros(4), np.zeros((0, 4)), np.zeros((3, 4), complex)):
        with pytest.raises(ValueError, match="start values have shape"):
            program.open(start, 0, 0)
    ensemble = program.open(np.zeros((3, 4)), 0, 0)
    with pytest.raises(ValueError, match="constants have shape"):
        ensemble.set_reals(kernel.reals[:-1])


class Short(ds.LaguerreProcess):
    def start(self, replicas, seed):
        return super().start(replicas, seed)[:, :-1]


def test_a_process_whose_start_is_too_short_is_refused():
    with pytest.raises(ValueError, match=r"Short.start gives float64 of shape \(2, 2\), must give .* \(2, 3\)"):
        ds.simulate(Short(m=3.5, n=3, beta=1.5), 2, times=[0.1])


@dataclass(frozen=True, eq=False, repr=False)
class Own(ds.Model):
    """W does not move; its kernel says `weights` numbers, and its step calls `also`."""

    weights: int
    also: Any = None

    weight_shape = (2, 2)

    def kernel(self, learning_rate, batch_size):
        of_user = self.also

        def build(lanes):
            load, store, number, also = lanes.load, lanes.store, lanes.number, lanes.jit(of_user)

            def step(state, scratch, reals, integers, s, replica, key0, key1):
                also(state, s, store)
                return load(state, 0) < number(1e6)

            return lanes.jit(step)

        return Kernel(build, {}, np.ones(1), np.ones(1), weights=self.weights)


def no_more(state, s, store):
    pass


def by_step(state, s, store):
    store(state, 3 + s, state[:2])


def no_name(state, s, store):
    store(state, 0, not_defined)  # noqa: F821


def later(state, s, store):
    if s == 99:
        store(state, 4, state[:2])


def odd_and_large(state, s, store):
    if s % 2 == 1 and np.any(state[:2] < -10):
        store(state, 4, state[:2])


@pytest.mark.parametrize(("model", "error", "words"), [
    (Own(3, no_more), ValueError, "Kernel of Own has weights = 3, must have 4"),
    (Own(4, by_step), ValueError, "number 4 of"),
    (Own(4, later), ValueError, "number 4 of"), (Own(4, odd_and_large), ValueError, "number 4 of"),
    (Own(4, no_name), TypeError, "the step of .*Own.kernel.* cannot be compiled by Numba"),
])  # fmt: skip
def test_models_of_ones_own_with_a_slip(model, error, words):
    with pytest.raises(error, match=words):
        ds.simulate(ds.SGD(model, 0.1, 4), 8, steps=2, threads=1)


def test_that_a_kernel_of_ones_own_is_compiled_is_told_if_it_takes_long(monkeypatch, capsys):
    monkeypatch.setattr(_patience, "PATIENCE", 0.0)
    monkeypatch.setattr(_patience, "SAID", set())
    steps = {False: lambda state, s, store: None, None: lambda state, s, store: store(state, 0, state[0])}
    for progress, step in steps.items():
        assert capsys.readouterr().err == ""
        ds.simulate(ds.SGD(Own(4, step), 0.1, 4), 8, steps=2, threads=1, progress=progress)
    assert "compiling a kernel, for later ones too" in capsys.readouterr().err
