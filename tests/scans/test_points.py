"""Points of a scan: what may be given, what is refused, and seeds that go by parameters."""

from __future__ import annotations

import numpy as np
import pytest

from dysonsim.scans.points import Points, points_of, seed_of


def take(a, b=1):
    return a, b


def parameters(points):
    return [points.parameters(at) for at in np.ndindex(*points.shape)]


def test_all_combinations_and_lists():
    product = points_of({"a": np.array([0.1, 0.2]), "b": range(1, 3)}, take)
    assert parameters(product) == [{"a": a, "b": b} for a in (0.1, 0.2) for b in (1, 2)]
    assert product.shape == (2, 2)
    assert type(parameters(product)[0]["b"]) is int
    rows = [{"a": 1, "b": 2.5}, {"a": 3, "b": 0.5}]
    assert parameters(points_of(rows, take)) == rows
    assert parameters(points_of(zip([1, 3], [2.5, 0.5], strict=True), take)) == rows
    frame = pytest.importorskip("pandas").DataFrame({"a": [1, 3], "b": [2.5, 0.5]})
    assert parameters(points_of(frame, take)) == rows
    assert points_of(rows, take).place({"a": 3}) == (1,)
    assert product.place({"a": 0.2, "b": 2}) == (1, 1)


WRONG = {
    "unknown": ({"c": [1]}, TypeError, "'c' must be a parameter of take"),
    "missing": ({"b": [1]}, TypeError, "'a' is missing"),
    "nothing": ({}, ValueError, "must name at least one parameter"),
    "empty axis": ({"a": []}, ValueError, "a = .*: is empty"),
    "twice": ({"a": [1, 2, 1.0]}, ValueError, "a = 1.0: comes twice"),
    "point twice": ([{"a": 1}, {"a": 1}], ValueError, r"points\[1\] = .*comes twice"),
    "array": ({"a": [np.eye(2)]}, TypeError, "must be a number, a string, True or False"),
    "object": ({"a": [object()]}, TypeError, "must be a number, a string, True or False"),
    "nan": ({"a": [float("nan")]}, ValueError, "a = nan: must be finite"),
    "large": ({"a": [2**70]}, ValueError, "must fit into 64 bits"),
    "a number": ({"a": 3}, TypeError, r"points\['a'\] = 3: must be a sequence of values, such as \[3\]"),
    "a string": ({"a": "abc"}, TypeError, "= 'abc': must be a sequence"),
    "no points": ([], ValueError, "is empty, must have one point or more"),
    "a word": ("ab", TypeError, "points = 'ab': must be a dict of sequences"),
    "other names": ([{"a": 1}, {"b": 1}], TypeError, r"points\[1\]"),
    "kinds": ({"a": [1, "two"]}, TypeError, "must be all numbers, all strings or all flags"),
    "taken": ({"replica": [1]}, ValueError, "'replica' is the name of something else"),
    "no name": ({1: [1]}, TypeError, "1 must be the name of a parameter"),
    "too long": (zip([1], [2], [3], strict=True), TypeError, r"points\[0\] = .*must be values of a, b"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_points(name):
    given, error, told = WRONG[name]
    with pytest.raises(error, match=told):
        points_of(given, take)


def test_seeds_go_by_parameters_not_by_places():
    seeds = [seed_of(1, p) for p in parameters(points_of({"a": [0.1, 0.2, 0.3], "b": [1, 2]}))]
    assert len(set(seeds)) == 6
    other = points_of({"b": [2, 1], "a": [0.3, 0.1]})
    assert {seed_of(1, p) for p in parameters(other)} < set(seeds)
    assert seed_of(1, {"a": 16}) == seed_of(1, {"a": 16.0}) != seed_of(2, {"a": 16})
    assert seed_of(1, {"a": True}) != seed_of(1, {"a": 1})


def test_longer():
    points = points_of({"a": [1, 2], "b": [1]})
    longer = points.extended(points_of({"a": [2, 3]}))
    assert longer.values == ((1, 2, 3), (1,))
    assert Points.of_told(longer.told) == longer
    assert not points.begins(longer)
    assert "a = [1, 2, 3]: the store has [1, 2]" in longer.begins(points)
    with pytest.raises(ValueError, match="c: must be an axis of the scan: a, b"):
        points.extended(points_of({"c": [1]}))
