"""What to look at in a run: an `Observable`, by its name, as an object, or as a function of the run.

Whoever lets a user choose (`compare`, `likelihood_ratio`, `estimate_dynamics`, `hierarchy`, `Run.spacings`) asks
`observable_of`. To give another observable a name, add an entry to `OBSERVABLES`: it is all that there is to do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeGuard

import numpy as np

from .. import _checks
from .._checks import shown

__all__ = ["OBSERVABLES", "Choice", "Levels", "Observable", "indices", "observable_of"]

Levels = int | slice | Sequence[int] | None


@dataclass(frozen=True)
class Observable:
    """Numbers that are read off a run.

    Wherever a function takes `observable=`, you can pass a name ("eigenvalues", "singular_values", "spacings",
    "singular_value_spacings"), an `Observable`, or a function of the run.

    Parameters
    ----------
    name : str
        What messages, tables and axes call it.
    of : callable
        ``of(run)``, a (replicas, records, n) array: one number for each replica, record and level. Records and levels
        are chosen from it. For `compare` and `likelihood_ratio` it may instead choose for itself, and return
        independent rows, (replicas,) or (replicas, m).
    among : callable, optional
        ``among(values)``, (replicas, records, m) -> (replicas, records, k): what is made of the m chosen levels, such
        as np.diff for the spacings among them.
    least : int
        How many levels `among` needs.
    symbol : str
        Symbol of one such number in TeX, for axes.

    Raises
    ------
    TypeError, ValueError
        For a parameter that is not allowed; the message says what is.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> run = ds.simulate(ds.CoulombGas.hermite(n=3, beta=2.0), replicas=1000, seed=1)
    >>> cubes = ds.Observable("cubes", lambda run: run.eigenvalues**3)
    >>> cubes(run).shape
    (1000, 1, 3)
    >>> ratio = ds.Observable("ratio of two spacings", lambda run: run.eigenvalues, least=3,
    ...                       among=lambda x: np.diff(x)[..., 1:] / np.diff(x)[..., :-1])
    >>> ratio(run).shape
    (1000, 1, 1)
    """

    name: str
    of: Callable[[Any], Any]
    among: Callable[[np.ndarray], np.ndarray] | None = None
    least: int = 1
    symbol: str = ""

    def __post_init__(self) -> None:
        """Check the fields."""
        for name in ("name", "symbol"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} = {shown(getattr(self, name))}: must be a string")
        for name in ("of", "among"):
            function = getattr(self, name)
            if not (_is_function(function) or (name == "among" and function is None)):
                raise TypeError(f"{name} = {shown(function)}: must be a function")
        object.__setattr__(self, "least", _checks.integer("least", self.least, 1))

    def __call__(self, run: Any) -> Any:
        """All of it, (replicas, records, k)."""
        return self.values(run)

    def values(self, run: Any, levels: Levels = None, records: Levels = None) -> Any:
        """Return the numbers for some levels in some records (default: all), (replicas, records, k).

        If a function has chosen for itself, and so returns other dimensions, its array is returned as it is.
        """
        found = self.of(run)
        if getattr(found, "ndim", 0) != 3:
            if self.among is not None:
                raise ValueError(
                    f"observable = {self.name}: `of` gives an array of shape {np.shape(found)}, must give (replicas, "
                    "records, n), among which levels can be chosen"
                )
            return found
        if records is not None:
            found = found[:, indices("record", records, found.shape[1])]
        if levels is not None:
            found = found[:, :, indices("levels", levels, found.shape[2])]
        if self.among is None:
            return found
        if found.shape[2] < self.least:
            least = {2: "two", 3: "three"}.get(self.least, self.least)
            raise ValueError(f"levels = {shown(levels)}: {self.name} need at least {least} levels")
        return self.among(found)

    def of_levels(self, run: Any) -> np.ndarray:
        """One number for each level, (replicas, records, n); ValueError if a function of the run gives others."""
        found = self.of(run)
        if OBSERVABLES.get(self.name) is not self and np.shape(found) != np.shape(run.eigenvalues):
            raise ValueError(
                f"observable = {self.name}: gives an array of shape {np.shape(found)} for {run!r}, must give one "
                f"number for each replica, record and level, {np.shape(run.eigenvalues)}"
            )
        return np.asarray(found)

    @property
    def label(self) -> str:
        """For an axis: what it is, in the plural, and its symbol."""
        return self.name.replace("_", " ") + (f" ${self.symbol}$" if self.symbol else "")


Choice = str | Observable | Callable[[Any], Any]


def _is_function(value: Any) -> TypeGuard[Callable[[Any], Any]]:
    """Whether it can be called; a class makes nothing of a run, and is a slip."""
    return callable(value) and not isinstance(value, type)


OBSERVABLES = {
    observable.name: observable
    for observable in (
        Observable("eigenvalues", attrgetter("eigenvalues"), symbol="x"),
        Observable("singular_values", attrgetter("singular_values"), symbol=r"\xi"),
        Observable("spacings", attrgetter("eigenvalues"), np.diff, 2, r"\Delta x"),
        Observable("singular_value_spacings", attrgetter("singular_values"), np.diff, 2, r"\Delta \xi"),
    )
}


def observable_of(choice: Choice, of_levels: str = "") -> Observable:
    """Return the Observable that a user chose.

    Parameters
    ----------
    choice : str, Observable or callable
        A name, an observable, or a function of the run.
    of_levels : str
        Why it must have one number for each level, so that others are refused; "" if it need not.

    Raises
    ------
    ValueError
        With the names that are allowed.
    """
    if isinstance(choice, Observable):
        found = choice
    elif _is_function(choice):
        name = getattr(choice, "__name__", type(choice).__name__)
        found = Observable(f"own {name}" if name in OBSERVABLES else name, choice)
    else:
        known = OBSERVABLES.get(choice) if isinstance(choice, str) else None
        if known is None:
            raise ValueError(f"observable = {shown(choice)}: must be {_allowed(of_levels)}")
        found = known
    if of_levels and found.among is not None:
        raise ValueError(f"observable = {found.name!r}: must be {_allowed(of_levels)}: {of_levels}")
    return found


def _allowed(of_levels: str) -> str:
    names = [name for name, one in OBSERVABLES.items() if not of_levels or one.among is None]
    function = "function of the run with one number for each level" if of_levels else "function of the run"
    return f"one of {', '.join(map(repr, names))}, an Observable or a {function}"


def indices(name: str, choice: Levels, size: int) -> np.ndarray:
    """Return the chosen positions as a non-empty array of integers."""
    allowed = f"an integer from {-size} to {size - 1}, a slice or a sequence of such integers"
    if choice is None:
        return np.arange(size)
    if isinstance(choice, slice):
        try:
            chosen = np.arange(size)[choice]
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} = {shown(choice)}: must be {allowed} ({error})") from None
    else:
        _checks.array(name, choice, allowed, dimensions=(0, 1), empty=True)
        chosen = np.atleast_1d(np.asarray(choice))
        if chosen.size and chosen.dtype.kind not in "iu":
            raise TypeError(f"{name} = {shown(choice)}: must be {allowed}")
    if chosen.size == 0 or chosen.min() < -size or chosen.max() >= size:
        raise ValueError(f"{name} = {shown(choice)}: must be {allowed}")
    return chosen
