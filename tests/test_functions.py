"""Functions of users: what may be one, what its parameters mean, and that a changed value is never an old kernel."""

from __future__ import annotations

import math
import types
from functools import partial, wraps

import numpy as np
import pytest
from numba import njit

import dysonsim as ds
from dysonsim._fingerprint import fingerprint
from dysonsim._functions import level_function
from dysonsim.backend.cache import ByContent
from dysonsim.kernels.dyson import pairs as dyson

STIFFNESS = 1.0
ARRAY = np.array([1.0, 2.0])
settings = types.ModuleType("settings_of_a_user")
settings.stiffness = 1.0
X, I = 0.5, 1


def of_global(x):
    return -STIFFNESS * x


def of_array(x, i):
    return -ARRAY[i] * x


def of_module(x):
    return -settings.stiffness * x


def of_keyword(x, *, k=2.0):
    return -k * x


def of_required_keyword(x, *, k):
    return -k * x


def caller(x):
    return of_global(x) + of_keyword(x, k=1.0)


def recursive(x, i):
    return x if i <= 0 else recursive(x / 2, i - 1)


def nested(x):
    return -sum([STIFFNESS * k * x for k in (0.5, 0.5)])


def of_closure(k):
    return lambda x: -k * x


def three(k, x, i):
    return k * x + i


VALUES = [
    (of_global, -0.5), (njit(of_global), -0.5), (of_array, -1.0), (of_module, -0.5), (of_keyword, -1.0),
    (caller, -1.0), (recursive, 0.25), (nested, -0.5), (of_closure(3.0), -1.5), (partial(three, 5.0), 3.5),
    (partial(of_required_keyword, k=7.0), -3.5), (partial(of_keyword, k=7.0), -3.5),
    (lambda x, k=2.0: -k * x, -1.0), (lambda x, i=3: i * x, 1.5), (lambda x, i, k=ARRAY: -k[i] * x, -1.0),
    (math.sin, math.sin(0.5)), (np.sin, math.sin(0.5)), (lambda x: 2, 2.0), (lambda x: 1 / (x - 0.5), math.inf),
    (lambda x: math.sqrt(-x), math.nan),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(VALUES)))
def test_what_a_function_gives(case):
    """By hand; `1 / 0` and roots of negative numbers as kernels have them."""
    function, value = VALUES[case]
    np.testing.assert_equal(level_function("drift", function, 2).at(X, I), value)


class Force:
    k = 2.0

    def method(self, x):
        return -self.k * x

    def __call__(self, x):
        return -self.k * x


@wraps(of_global)
def wrapper(*arguments):
    return of_global(*arguments)


def sometimes(x):
    if x > 0:
        return x
    return None


REFUSED = [
    (lambda x, t: -t * x, TypeError, "is t the level"),
    (lambda x, i, t: -t * x, TypeError, "is t the level"),
    (of_required_keyword, TypeError, "is k the level"),
    (lambda: 1.0, TypeError, "no parameter left for x"),
    (partial(of_global, 1.0), TypeError, "no parameter left for x"),
    (partial(of_keyword, x=1.0), TypeError, "no parameter left for x"),
    (partial(of_keyword, q=1.0), TypeError, "gives it q, which it cannot take"),
    (partial(of_global, 1.0, 2.0), TypeError, "gives it more, which it cannot take"),
    (lambda *x: 1.0, TypeError, r"instead of \*args"),
    (wrapper, TypeError, r"instead of \*args"),
    (lambda x: (yield x), TypeError, "no generator"),
    (Force().method, TypeError, "not a bound method: write a function"),
    (Force(), TypeError, "not a Force: write a function"),
    (Force, TypeError, "not a type: write a function"),
    (3.0, TypeError, "drift = 3.0: must be a function"),
    (lambda x: 1j * x, TypeError, "gives complex128, must give one real number"),
    (lambda x: ARRAY * x, TypeError, r"gives array\(float64, 1d, C\), must give one"),
    (lambda x: None, TypeError, "gives none, must give one"),
    (sometimes, TypeError, "gives OptionalType"),
    (lambda x: unknown * x, TypeError, "cannot be compiled by Numba"),  # noqa: F821
    (of_array, ValueError, "level 2 of 3 is beyond the end of an array"),
]


@pytest.mark.parametrize("case", range(len(REFUSED)))
def test_what_is_refused_and_why(case):
    function, error, words = REFUSED[case]
    with pytest.raises(error, match=words) as caught:
        ds.Dyson(n=3, drift=function)
    assert type(caught.value) is error


CHANGES = {"global": of_global, "array": of_array, "module": of_module, "called": caller, "nested": nested}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_value_is_another_function_and_an_old_process_keeps_the_old(name, monkeypatch):
    """Of the function, of the process's fingerprint and of the compiled kernel."""

    def made():
        process = ds.Dyson(n=2, drift=CHANGES[name], dt=0.1)
        return process, ByContent(dyson.build, tuple(process.kernel().sizes.items()))

    before, kernel = made()
    again, same = made()
    assert (fingerprint(again), same, again.drift) == (fingerprint(before), kernel, before.drift)
    value = before.drift.at(X, I)
    monkeypatch.setitem(globals(), "STIFFNESS", 9.0)
    monkeypatch.setattr(settings, "stiffness", 9.0)
    monkeypatch.setitem(globals(), "ARRAY", ARRAY.copy())
    ARRAY[:] = 9.0
    after, other = made()
    assert after.drift.at(X, I) != value
    assert fingerprint(after) != fingerprint(before)
    assert other != kernel
    assert (before.drift.at(X, I), before.drift.plain(X, I)) == (value, value)


def test_names_lines_and_docstrings_are_not_content():
    texts = ["def f(x):\n    return -2.0 * x", "\n\ndef g(y):\n    'What it is.'\n    z = y\n    return -2.0 * y"]
    texts[1] = texts[1].replace("    z = y\n", "")
    made = []
    for text in [*texts, "def f(x):\n    return -3.0 * x", "def f(x):\n    return 2.0 * -x"]:
        names = {}
        exec(text, names)
        made.append(fingerprint(next(f for f in names.values() if isinstance(f, types.FunctionType))))
    assert made[0] == made[1]
    assert len(set(made)) == 3


def test_a_kernel_of_ones_own_is_made_anew_when_what_it_captures_has_changed():
    def builder(k):
        return lambda lanes: k

    assert ByContent(builder(1.0), ()) == ByContent(builder(1.0), ())
    assert ByContent(builder(1.0), ()) != ByContent(builder(2.0), ())
    assert ByContent(dyson.build, (("n", 1),)) != ByContent(dyson.build, (("n", True),))


def test_runs_of_a_changed_global(monkeypatch):
    """Stationary variance of one level is 1/k; 4.5 standard errors, and the old value is 30 away."""

    def variance(k):
        monkeypatch.setitem(globals(), "STIFFNESS", k)
        run = ds.simulate(ds.Dyson(n=1, drift=of_global, dt=0.02), 4000, times=[8.0 / k], seed=1)
        return run.eigenvalues.var()

    found = {k: variance(k) for k in (1.0, 9.0)}
    for k, value in found.items():
        assert abs(value * k - 1) < 4.5 * math.sqrt(2 / 4000) + 0.1 * (k - 1) / 8  # a step of 0.18/k is 9% off
    assert found[1.0] / found[9.0] > 6


def test_a_function_that_is_no_number_is_named_with_its_level():
    process = ds.Dyson(drift=lambda x, i: -x if i == 0 else math.sqrt(1 - x), initial=[0.0, 0.99], dt=0.1)
    with pytest.raises(ds.DivergenceError, match=r"drift gives no finite number for level 1 at x = "):
        ds.simulate(process, 50, times=[5.0])
    with pytest.raises(ValueError, match=r"potential: level 0 at x = .* gives nan, which is not finite"):
        ds.Dyson(n=2, potential=lambda x: math.sqrt(x)).step  # noqa: B018


def test_an_error_that_a_function_raises_names_it():
    process = ds.Dyson(n=1, drift=lambda x: ARRAY[int(1000 * x)], dt=0.1)
    with pytest.raises(ValueError, match="drift = <lambda> raised IndexError"):
        ds.simulate(process, 4, times=[1.0])


def edge(x):
    return x * x if x > -0.5 else math.inf


@pytest.mark.parametrize(("potential", "walls"), [
    (edge, (-0.5, math.inf)), (lambda x: x * x if 0 < x < 2 else math.inf, (0.0, 2.0)),
    (lambda x: math.cosh(x), (-math.inf, math.inf)),
    (lambda x: x * x if abs(x) > 0.1 else math.inf, (-math.inf, math.inf)),  # a hole is no wall
    (lambda x, i: x * x if x > -0.1 * i else math.inf, (-math.inf, math.inf)),  # nor is an edge of some labels
])  # fmt: skip
def test_where_a_potential_becomes_inf_there_is_a_wall(potential, walls):
    wells = ds.CoulombGas(n=3, potential=potential).wells
    np.testing.assert_allclose((wells.lower, wells.upper), walls, atol=1e-12)
    assert np.isfinite(ds.CoulombGas(n=3, potential=potential).mode.factor).all()


def test_levels_at_an_edge_against_quadrature():
    """One and two levels, mean of the lowest: 4.5 standard errors; the whole line is 40 away."""
    one = ds.simulate(ds.CoulombGas(potential=edge, n=1), 4000, seed=3).eigenvalues[:, -1, 0]
    x = np.linspace(-0.5, 6, 20_001)
    weight = np.exp(-x * x)
    exact = (weight * x).sum() / weight.sum()
    error = one.std() / math.sqrt(len(one))
    assert abs(one.mean() - exact) < 4.5 * error
    assert abs(exact) > 20 * error  # control: without the edge it is 0
