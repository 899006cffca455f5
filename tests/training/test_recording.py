"""A recording as an object: a mapping of layers, drawn, and as labeled arrays."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from journals import ABOUT, NOTE, row, with_layers

from dysonsim.training.recording import RecordedLayer, Recording


def small():
    rec = Recording(ABOUT, initial={"a": np.ones((3, 2))})
    rec._notes.append(NOTE)
    for step in range(5):
        rec._add_row(np.array(row(step)))
    return rec


def test_a_recording_is_a_mapping():
    rec = small()
    assert list(rec) == ["a"] == list(rec.layers)
    assert len(rec) == 1
    assert "a" in rec
    with pytest.raises(KeyError, match="layer = 'b': must be one of 'a'"):
        rec["b"]
    assert repr(rec) == "<Recording of 1 layers, 3 records, in memory>"
    assert str(rec).splitlines() == [
        "Recording of 1 layers: 3 records of steps 0 to 4, every 2",
        "  SGD: momentum 0.9",
        "  layer  shape  levels  largest, first  last  learning rate  batch size",
        "  a      3 x 2  2       2               6     0.1            5",
    ]
    layer = rec["a"]
    layer.singular_values[:] = 0
    assert rec["a"].singular_values.any()  # copies are given
    assert json.loads(json.dumps(layer.to_dict()))["steps"] == [0, 2, 4]
    assert isinstance(layer, RecordedLayer)
    empty = Recording(ABOUT)
    assert empty["a"].singular_values.shape == (0, 2)
    assert "0 records" in str(empty)


def test_a_layer_is_drawn():
    import matplotlib.pyplot as plt

    axes = small()["a"].plot()
    assert len(axes.lines) == 2
    assert small()["a"].plot(axes) is axes
    assert "a, 3 x 2" in axes.get_title()
    plt.close(axes.figure)


def test_xarray():
    pytest.importorskip("xarray")
    rec = small()
    tree = rec.to_xarray()
    np.testing.assert_array_equal(tree["a"]["singular_values"], rec["a"].singular_values)
    assert tree["a"]["kicks"].dims == ("step", "level")
    assert tree["a"]["kicks"].sel(step=2, level=1) == 1
    assert tree["a"]["learning_rate"].values.tolist() == [0.1] * 3
    assert tree.attrs == {"every": 2, "sampling": "unknown"}
    top = Recording(with_layers(shape=[3, 3]) | {"top": 2})
    assert top.to_xarray()["a"]["level"].values.tolist() == [1, 2]


def test_without_xarray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"dysonsim\[xarray\]"):
        small().to_xarray()
