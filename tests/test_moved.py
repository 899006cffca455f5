"""Names of the last release that examples, the README and the report's code used still work, with a warning."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from importlib import import_module

import pytest

import dysonsim
from dysonsim import _moved

OLD = {
    "from dysonsim.inference import Dynamics, estimate_dynamics": "estimate_dynamics",
    "from dysonsim.spectra import Run, mean_and_error": "Run",
    "from dysonsim.comparison import Comparison": "Comparison",
    "from dysonsim.compare import Comparison, compare": "compare",
    "from dysonsim.simulate import simulate": "simulate",
    "from dysonsim.hierarchy import Hierarchy": "Hierarchy",
    "from dysonsim.repulsion import repulsion": "repulsion",
    "from dysonsim.scaling import ScalingFit, scaling_fit": "scaling_fit",
    "from dysonsim.likelihood import likelihood_ratio": "likelihood_ratio",
    "from dysonsim.levels import singular_values": "singular_values",
    "from dysonsim.samples import histogram, moments": "",
    "from dysonsim.estimation import fit_law": "",
    "from dysonsim.statistics import two_sample": "",
    "from dysonsim.large import open_large": "",
    "from dysonsim.diagnostics import autocorrelation_time": "",
    "from dysonsim.kernels.rng import build": "",
    "from dysonsim.plots import surmise": "",
    "import dysonsim.plots; dysonsim.plots.surmise": "",
    "import dysonsim.report; dysonsim.report.reproduce": "",
    "from dysonsim.report.relaxation import fit_path": "",
}


@pytest.mark.parametrize("text", OLD)
def test_old_imports_work_and_warn(text):
    names: dict = {}
    with pytest.warns(DeprecationWarning, match=r"is now dysonsim\.") as caught:
        exec(compile(text, "a user's script", "exec"), names)
    assert {w.filename for w in caught} == {"a user's script"}
    if OLD[text]:
        assert names[OLD[text]] is getattr(dysonsim, OLD[text])


@pytest.mark.parametrize("old", _moved.MOVED)
def test_every_target_is_there(old):
    assert inspect.ismodule(import_module(f"dysonsim.{_moved.MOVED[old]}"))


def test_what_never_was_is_no_name():
    for text in ("from dysonsim.compare import histograms", "from dysonsim.spectra import histograms",
                 "import dysonsim.histograms", "from dysonsim import histograms"):  # fmt: skip
        with pytest.raises(ImportError, match="histograms"):
            exec(text, {})
    with pytest.raises(AttributeError, match="'dysonsim' has no attribute 'histograms'"):
        _ = dysonsim.histograms


def test_public_names_and_a_kernels_needs_come_without_a_warning():
    """In a fresh process, after the old modules have been imported: public functions stay functions."""
    program = """
import dysonsim.compare, dysonsim.simulate, dysonsim.hierarchy, dysonsim.repulsion, dysonsim.diagnostics
import dysonsim as ds
from dysonsim import *
from dysonsim.backend import Kernel
from dysonsim.kernels import Kernel as same, algebra, functions, rng
import dysonsim.spectra.observables, dysonsim.comparison.result, dysonsim.inference.input
for name in ds.__all__:
    getattr(ds, name)
assert Kernel is same and rng.__name__ == "dysonsim.kernels.common.rng"
assert all(type(f).__name__ == "function" for f in (ds.compare, ds.simulate, ds.hierarchy, ds.repulsion))
assert ds.diagnostics.autocorrelation_time
"""
    subprocess.run([sys.executable, "-W", "error::DeprecationWarning", "-c", program], check=True)


def test_tools_that_look_at_all_modules_see_nothing_odd():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, module in list(sys.modules.items()):
            if name.startswith("dysonsim"):
                assert inspect.getmodule(module) is module
                assert not hasattr(module, "__nothing__")


def test_british_spellings_are_the_same_things_with_a_warning():
    with pytest.warns(DeprecationWarning, match="is now laws.gas_log_normalization") as caught:
        assert dysonsim.laws.gas_log_normalisation is dysonsim.laws.gas_log_normalization
    assert caught[0].filename == __file__
    with pytest.raises(AttributeError, match="has no attribute 'gas_log'"):
        _ = dysonsim.laws.gas_log
