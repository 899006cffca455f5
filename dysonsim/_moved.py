"""Modules under their names of the last release, for this one: a name that is asked of them comes with a warning.

Nothing in the package uses them. `install` puts them where `import` looks first, so that `from dysonsim.compare import
Comparison` finds the module and `dysonsim.compare` stays the function.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["MOVED", "install"]

PACKAGE = "dysonsim"
MOVED = {
    "compare": "comparison.compare", "comparison": "comparison.result", "diagnostics": "numerics.diagnostics",
    "estimation": "comparison.fit", "hierarchy": "descriptions.hierarchy", "inference": "inference.estimate",
    "kernels.rng": "kernels.common.rng", "large": "numerics.many_levels", "levels": "numerics.singular_values",
    "likelihood": "comparison.likelihood", "plots": "reproduce.figures", "report": "reproduce",
    "report.relaxation": "reproduce.relaxation", "repulsion": "numerics.repulsion", "samples": "spectra.observables",
    "scaling": "comparison.scaling", "simulate": "ensembles.simulate", "spectra": "ensembles.run",
    "statistics": "comparison.null",
}  # fmt: skip


def install() -> None:
    """Make the old names importable; packages that have one of them pass on what they do not have."""
    for old, new in MOVED.items():
        name = f"{PACKAGE}.{old}"
        module = sys.modules.setdefault(name, ModuleType(name, f"Moved to {PACKAGE}.{new}."))
        vars(module)["__getattr__"] = _passing_on(name, f"{PACKAGE}.{new}")
    vars(sys.modules[PACKAGE])["__getattr__"] = _old_module


def _passing_on(old: str, new: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of an old module."""

    def passed_on(name: str) -> Any:
        found = None if name.startswith("_") else getattr(import_module(new), name, None)
        if found is None:
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        _warn(f"{old}.{name}", f"{new}.{name}")
        return found

    return passed_on


def _old_module(name: str) -> ModuleType:
    """Return the `__getattr__` of the package: after `import dysonsim.plots` it has `dysonsim.plots`."""
    if name not in MOVED:
        raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}")
    _warn(f"{PACKAGE}.{name}", f"{PACKAGE}.{MOVED[name]}")
    return import_module(f"{PACKAGE}.{MOVED[name]}")


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is now {new}; the old name goes with the next release", DeprecationWarning, stacklevel=3)
