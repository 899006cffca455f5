"""What kernels share is built once for lanes, and for no others."""

from __future__ import annotations

from types import SimpleNamespace

from dysonsim.backend import reference as plain
from dysonsim.backend import simd
from dysonsim.kernels.common import algebra, functions, gamma, rng


def test_helpers_are_built_once_for_the_same_lanes_and_sizes():
    lanes, others = plain.lanes("float64", 4), plain.lanes("float64", 4)
    for build in (rng.build, functions.build, gamma.build):
        assert build(lanes) is build(lanes)
        assert build(lanes) is not build(others)
    assert algebra.build(lanes, (3,)) is algebra.build(lanes, (3,))
    assert algebra.build(lanes, (3,)) is not algebra.build(lanes, (2,))


def test_lanes_that_are_made_of_others_have_helpers_of_their_own():
    lanes = plain.lanes("float64", 4)
    helpers = functions.build(lanes)
    changed = SimpleNamespace(**vars(lanes) | {"select": lambda *_: None})
    assert functions.build(changed) is not helpers
    assert functions.build(lanes) is helpers


def test_functions_of_one_name_have_names_of_their_own_in_machine_code():
    """Lanes live as long as the process, and a fork goes on with the numbers by which Numba tells functions apart."""
    lanes = simd.lanes("float64", 8)
    assert simd.lanes("float64", 8) is lanes
    names = {lanes.jit(lambda x: x).py_func.__qualname__ for _ in range(3)}
    assert len(names) == 3
