"""What cannot be traced is an error that names the line of the user's file, whether traced or run on stacks."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dysonsim as ds

WIDE = np.array([[2.0, 0.3, 1.0], [0.3, 1.0, 0.0]])


class Own(ds.Model):
    """A 2 x 3 layer whose update is `rule(W, noise)`."""

    weight_shape = (2, 3)

    def __init__(self, rule):
        self.rule = rule

    def update(self, W, noise, learning_rate, batch_size):
        return self.rule(W, noise)


def branch(W, noise):
    if W[0, 0] > 0:
        return W
    return -W


def assigned(W, noise):
    W[0, 0] = 1.0
    return W


def largest(W, noise):
    return W * max(W[0])


def whole(W, noise):
    return W * int(W[0, 0])


FAULTS = {
    "branch": (branch, TypeError, "branch on weights"),
    "assigned": (assigned, TypeError, "cannot be assigned"),
    "max": (largest, TypeError, "branch on weights"),
    "float": (lambda W, noise: W * float(W[0, 0]), TypeError, "no Python numbers"),
    "int": (whole, TypeError, "no Python numbers"),
    "math": (lambda W, noise: W * math.sqrt(W.sum()), TypeError, "no Python numbers"),
    "power of two": (lambda W, noise: 2**W, TypeError, "weights in the exponent"),
    "whole division": (lambda W, noise: W // 2, TypeError, "//, %, divmod"),
    "array": (lambda W, noise: W * np.array([W[0, 0], W[0, 1], W[0, 2]]), TypeError, "numbers|array"),
    "numpy function": (lambda W, noise: W * np.linalg.det(W @ W.T), TypeError, "numpy.linalg.det is not known"),
    "numpy ufunc": (lambda W, noise: np.cos(W), TypeError, "numpy.cos is not known"),
    "reduce": (lambda W, noise: W * np.maximum.reduce(W), TypeError, "numpy.maximum.reduce is not known"),
    "keyword": (lambda W, noise: np.sqrt(W, where=True), TypeError, "taken without where"),
    "argument": (lambda W, noise: np.sum(W, initial=1.0), TypeError, "initial"),
    "method": (lambda W, noise: W.std(), AttributeError, ".std is not known"),
    "equal": (lambda W, noise: np.where(W == 0, W, 1.0), TypeError, "=="),
    "where": (lambda W, noise: np.where(W, W, 1.0), TypeError, "takes a comparison"),
    "and": (lambda W, noise: np.where((W > 0) & W, W, 1.0), TypeError, "between comparisons"),
    "invert": (lambda W, noise: ~W, TypeError, "is of comparisons"),
    "product": (lambda W, noise: W @ W, ValueError, "@ of shapes .2, 3. and .2, 3.: 3 columns do not fit 2 rows"),
    "number @": (lambda W, noise: 2.0 @ W, ValueError, "a number multiplies with"),
    "sum": (lambda W, noise: W + W.T, ValueError, "shapes .2, 3. and .3, 2. do not fit"),
    "constant": (lambda W, noise: W + np.ones((3, 2)), ValueError, "shapes .2, 3. and .3, 2. do not fit"),
    "nan": (lambda W, noise: W + np.array([1.0, np.nan, 0.0]), ValueError, "finite"),
    "text": (lambda W, noise: W + "one", TypeError, "a constant"),
    "complex": (lambda W, noise: W * 1j, TypeError, "a constant"),
    "cube": (lambda W, noise: W * np.ones((2, 2, 3)), ValueError, "a constant has shape .2, 2, 3."),
    "power": (lambda W, noise: W**1.5, ValueError, "powers are whole numbers"),
    "row": (lambda W, noise: W * W[2], IndexError, "index 2 is out of bounds: axis 0 of shape .2, 3. has 2"),
    "column": (lambda W, noise: W * W[0, -4], IndexError, "index -4 is out of bounds"),
    "axes": (lambda W, noise: W * W[0, 0, 0], IndexError, "too many for shape"),
    "nothing": (lambda W, noise: W * W[:, 3:].sum(), IndexError, "leaves nothing"),
    "list": (lambda W, noise: W[[0, 1]], TypeError, "must be an integer, a slice"),
    "bool": (lambda W, noise: W[True], TypeError, "index True"),
    "new axes": (lambda W, noise: W[None], IndexError, "two axes at most"),
    "axis": (lambda W, noise: W + W.sum(axis=2), ValueError, "axis = 2"),
    "trace": (lambda W, noise: W * W[0].trace(), ValueError, "the diagonal of shape"),
    "symmetric": (lambda W, noise: W + noise.symmetric(W.shape), ValueError, "must be of a square matrix"),
    "noise": (lambda W, noise: W + noise.uniform(3), AttributeError, "noise.uniform is not known"),
    "noise shape": (lambda W, noise: W + noise.normal((2, 0)), ValueError, "a size of noise = 0"),
    "noise axes": (lambda W, noise: W + noise.normal((2, 3, 1)), ValueError, r"\(\), n or \(rows, columns\)"),
    "noise size": (lambda W, noise: W + noise.samples(1e3), TypeError, "a size of noise = 1000.0"),
    "other shape": (lambda W, noise: W.T, ValueError, r"returns W of shape \(3, 2\), must have \(2, 3\)"),
    "a number": (lambda W, noise: W.sum(), ValueError, r"returns W of shape \(\), must have \(2, 3\)"),
    "two": (lambda W, noise: (W, W), ValueError, "returns 2 matrices, must return the new W"),
    "none": (lambda W, noise: None, TypeError, "returns None, must return the new W"),
    "string": (lambda W, noise: "W", TypeError, "the new W"),
}  # fmt: skip
OF_RETURN = ("other shape", "a number", "two", "none", "string")  # named is the return of `update`


@pytest.mark.parametrize("name", FAULTS)
def test_faults_name_the_line(name):
    rule, kind, words = FAULTS[name]
    model = Own(rule)
    with pytest.raises(kind, match=words) as caught:
        model.kernel(0.1, 4)
    first, count = rule.__code__.co_firstlineno, len(inspect.getsourcelines(rule)[0])
    place = re.match(r"(.*), line (\d+), in (\w+|<lambda>)", str(caught.value))
    assert place is not None, caught.value
    assert place[1] == __file__
    if name in OF_RETURN:
        assert "return self.rule" in Path(__file__).read_text().splitlines()[int(place[2]) - 1]
    else:
        assert first <= int(place[2]) < first + count


def test_what_stacks_can_do_is_not_refused_there():
    """With device="numpy" arrays may be looked at; branches are errors there too."""
    seen = []

    def look(W, noise):
        seen.append(np.asarray(W))
        return W * 0.5

    run = ds.simulate(ds.SGD(Own(look), 0.1, 4), 3, 2, seed=1, device="numpy", keep_weights=True)
    assert [array.shape for array in seen] == [(3, 2, 3)] * 2
    np.testing.assert_array_equal(run.weights[:, 0], seen[1] * 0.5)
    with pytest.raises(TypeError, match=r"line .*branch on weights"):
        ds.simulate(ds.SGD(Own(branch), 0.1, 4), 3, 2, seed=1, device="numpy")


def test_random_numbers_from_elsewhere_are_found():
    generator = np.random.default_rng(1)
    with pytest.raises(ValueError, match=r"line .*another update when it is called again"):
        Own(lambda W, noise: W + generator.normal(size=(2, 3))).kernel(0.1, 4)


@dataclass(frozen=True)
class Several(ds.Model):
    weights: Any
    start: Any

    def weight_shapes(self):
        return self.weights

    def memory(self):
        return self.start

    def update(self, W, V, noise, learning_rate, batch_size):
        return W, V


@pytest.mark.parametrize(("weights", "start", "kind", "words"), [
    ({"W": (2, 2)}, {}, TypeError, "takes W, V; the shapes of W are known.*memory"),
    ({"W": (2, 2)}, {"U": 0.0}, TypeError, "takes W, V; the shapes of W, U"),
    ({"W": (2, 2), "V": 3}, {"V": 0.0}, TypeError, "takes W, V; the shapes of W, V, V"),
    ([(2, 2)], {}, TypeError, "weight_shapes = .*must be a dict"),
    ({"W": (2, 2)}, [0.0], TypeError, "memory = .*must be a dict"),
    ({"W": (2, 0)}, {"V": 0.0}, ValueError, "weight_shapes"), ({"W": (2, 2, 2)}, {"V": 0.0}, ValueError, "two axes"),
    ({"W": (2, "a")}, {"V": 0.0}, TypeError, "weight_shapes"),
    ({"W": (2, 2)}, {"V": np.nan}, ValueError, "memory"), ({"W": (2, 2)}, {"V": "a"}, TypeError, "memory"),
])  # fmt: skip
def test_shapes_that_are_wrong(weights, start, kind, words):
    with pytest.raises(kind, match=words):
        Several(weights, start).kernel(0.1, 4)


def test_a_model_without_a_shape_or_an_update_says_so():
    class Shapeless(ds.Model):
        def update(self, W, noise, learning_rate, batch_size):
            return W

    class Empty(ds.Model):
        weight_shape = (2, 2)

    class Arguments(ds.Model):
        weight_shape = (2, 2)

        def update(self, W, learning_rate, noise, batch_size):
            return W

    with pytest.raises(TypeError, match="Shapeless must state weight_shape"):
        Shapeless().kernel(0.1, 4)
    with pytest.raises(TypeError, match="Empty must state update"):
        Empty().kernel(0.1, 4)
    with pytest.raises(TypeError, match=r"line .*update takes W, learning_rate, noise, batch_size; must be update"):
        Arguments().kernel(0.1, 4)
    with pytest.raises(NotImplementedError, match="Shapeless states no prediction for fixed_point"):
        Shapeless().fixed_point()


def test_an_update_that_needs_too_much_room_is_refused():
    class Large(ds.Model):
        weight_shape = (3000, 3000)

        def update(self, W, noise, learning_rate, batch_size):
            return W @ W

    with pytest.raises(ValueError, match=r"line .*numbers of each network, at most"):
        Large().kernel(0.1, 4)


def test_weights_that_run_away_are_told():
    sgd = ds.SGD(Own(lambda W, noise: W * 3.0), 0.1, 4)
    with pytest.raises(ds.DivergenceError, match=r"learning_rate = 0.1 at batch_size = 4") as caught:
        ds.simulate(sgd, 3, 200, seed=1, device="numpy")
    assert 30 < caught.value.step < 60
