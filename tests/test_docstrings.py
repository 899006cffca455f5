"""Every public name shows in its docstring how it is used, and the examples of all docstrings do what they say."""

from __future__ import annotations

import doctest
import inspect
import warnings

import numpy as np
import pytest

import dysonsim as ds
from dysonsim.processes.theory import Theory

PUBLIC = {
    **{f"dysonsim.{name}": getattr(ds, name) for name in ds.__all__},
    **{f"dysonsim.laws.{name}": getattr(ds.laws, name) for name in ds.laws.__all__},
    **{f"dysonsim.SGD.{name}": value for name, value in vars(Theory).items() if not name.startswith("_")},
}
PUBLIC = {name: value for name, value in PUBLIC.items() if callable(value) or inspect.ismodule(value)}


def documented(value):
    """Whether a docstring of its own, not of a base class, has examples."""
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    return "\nExamples\n--------\n>>> " in inspect.cleandoc(text or "")


def failures(name, value):
    """How many examples of a docstring, and of the methods of a class, fail; the report is printed."""
    finder = doctest.DocTestFinder(recurse=inspect.isclass(value))
    runner = doctest.DocTestRunner()
    with np.printoptions(legacy=False, precision=8), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # an example may show what a warning warns of
        for test in finder.find(value, name, module=False, globs={}):
            runner.run(test)
    return runner.failures


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_examples_that_run(name):
    assert documented(PUBLIC[name]), f"{name}: its docstring needs a section Examples"
    if ">>> import torch" in inspect.getdoc(PUBLIC[name]):
        pytest.importorskip("torch")
    assert failures(name, PUBLIC[name]) == 0


def test_examples_that_are_missing_or_wrong_are_found():
    def wrong():
        """One.

        Examples
        --------
        >>> 1 + 1
        3
        """

    class Undocumented(ds.Observable):
        pass

    assert documented(wrong)
    assert failures("wrong", wrong) == 1
    assert not documented(Undocumented)
    assert not documented(lambda: None)
