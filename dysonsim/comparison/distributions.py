"""Distributions that are not of `laws`, scipy.stats above all: which can be compared with, and how they are called."""

from __future__ import annotations

from typing import Any

import numpy as np

NEEDED = ("logpdf", "cdf", "sf", "ppf", "mean", "std")


class _NewStyle:
    """A distribution of scipy.stats' new kind (`scipy.stats.Normal()`) under the names of the old one."""

    def __init__(self, original: Any) -> None:
        self.original = original
        self.sf, self.ppf, self.isf, self.std = (
            original.ccdf, original.icdf, original.iccdf, original.standard_deviation
        )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "original":
            raise AttributeError(name)
        return getattr(self.original, name)

    def __str__(self) -> str:
        return str(self.original)


def as_law(name: str, reference: Any) -> Any:
    """Return `reference` with the methods `NEEDED`, itself if it has them.

    Raises
    ------
    TypeError
        Naming the argument: a family of scipy.stats without parameters (``scipy.stats.expon``: freeze it), a class
        that cannot be fitted, a discrete distribution, or anything else that lacks one of the methods.
    """
    if isinstance(reference, type):
        if not (hasattr(reference, "fit") and hasattr(reference, "shape")):
            raise TypeError(f"{name} = {reference.__name__}: must be an instance, or a class of laws with fit")
        return reference
    is_family = hasattr(reference, "freeze") and hasattr(reference, "numargs")
    if is_family and not hasattr(reference, "_histogram"):  # a histogram has no parameters to give
        family = reference.name
        raise TypeError(
            f"{name} is the family {family}, without parameters: must be one law, such as {family}(loc=..., scale=...) "
            f"with the parameters given, or {family}(*{family}.fit(data)), whose p-value then ignores the fit"
        )
    if hasattr(reference, "icdf") and hasattr(reference, "standard_deviation") and not hasattr(reference, "ppf"):
        reference = _NewStyle(reference)
    missing = [method for method in NEEDED if not callable(getattr(reference, method, None))]
    if missing:
        discrete = " (it is discrete)" if hasattr(reference, "pmf") or hasattr(reference, "logpmf") else ""
        raise TypeError(
            f"{name} = {law_name(reference)}: must be a continuous law with the methods {', '.join(NEEDED)}; "
            f"{', '.join(missing)} missing{discrete}"
        )
    return reference


def read(values: np.ndarray, reference: Any) -> tuple[np.ndarray, str]:
    """Return the data as a law with an atom, or a class of laws that may have one, reads them, and what was changed."""
    if not hasattr(reference, "read") or not (isinstance(reference, type) or reference.atoms):
        return values, ""
    flat, note = reference.read(values.ravel())
    return flat.reshape(values.shape), note


def law_name(law: Any) -> str:
    """Name a law in print: its class, or family and parameters."""
    if hasattr(law, "parameters"):
        return type(law).__name__
    family = getattr(getattr(law, "dist", None), "name", None)
    if family is None:
        text = str(getattr(law, "name", law)) if hasattr(law, "numargs") else str(law)
        return type(law).__name__ if " at 0x" in text else text
    given = [_short(value) for value in getattr(law, "args", ())]
    given += [f"{name}={_short(value)}" for name, value in getattr(law, "kwds", {}).items()]
    return f"{family}({', '.join(given)})"


def _short(value: Any) -> str:
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)
