"""What is done at a point: a process is made, simulated and measured. It is what a worker is sent."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from .._fingerprint import fingerprint
from ..backend import DEVICES
from ..ensembles.observable import Choice, Observable, observable_of
from ..ensembles.run import Run
from ..ensembles.schedule import MAX_STEPS, MOST_LISTED
from ..ensembles.simulate import DivergenceError, simulate
from ..processes import MixingError, Process
from .points import Value, seed_of

__all__ = ["FAILURES", "Measured", "Outcome", "Recipe", "measures_of", "options_of"]

# What a point cannot be run for; everything else is an error of the scan.
FAILURES = (ValueError, ArithmeticError, NotImplementedError, DivergenceError, MixingError)
VARY = ("steps", "times", "record_every", "record_steps")  # what may be a function of the point
INTERNAL = {"time", "status", "failure", "failed"}


@dataclass(frozen=True)
class Measured:
    """Numbers of a piece, (replicas, ...), and what their dimensions are called."""

    dims: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What a piece gave: measured numbers and the times of the records, or why the point cannot be run."""

    measured: Mapping[str, Measured]
    times: np.ndarray
    failure: str = ""


@dataclass(frozen=True)
class Recipe:
    """What is done at every point.

    Attributes
    ----------
    function : callable
        ``function(**parameters)`` returns a process.
    measures : dict of Observable
        What is kept of a run, by name.
    options : dict
        Arguments of `simulate`; `steps`, `times`, `record_every` and `record_steps` may be functions of the point.
    seed : int
    common : bool
        Whether all points have the random numbers of `seed`, or each those of a seed of its own.
    """

    function: Callable[..., Any]
    measures: Mapping[str, Observable]
    options: Mapping[str, Any]
    seed: int
    common: bool

    def process(self, parameters: Mapping[str, Value]) -> Process:
        """Return the process of a point; TypeError if the function returns none."""
        made = self.function(**parameters)
        if not isinstance(made, Process):
            name = getattr(self.function, "__name__", "the function")
            raise TypeError(
                f"{name}({_called(parameters)}) returns {shown(made)}: must return a process such as "
                "dysonsim.SGD(model, learning_rate, batch_size)"
            )
        return made

    def seed_at(self, parameters: Mapping[str, Value]) -> int:
        """Return the seed of a point."""
        return self.seed if self.common else seed_of(self.seed, parameters)

    def options_at(self, parameters: Mapping[str, Value]) -> dict[str, Any]:
        """Return the arguments of `simulate` at a point."""
        return {name: value(dict(parameters)) if callable(value) else value for name, value in self.options.items()}

    def run(
        self, process: Process, parameters: Mapping[str, Value], first: int, count: int, threads: int | None = None
    ) -> Run:
        """Simulate `count` replicas of a point, from number `first` on."""
        return simulate(
            process, count, seed=self.seed_at(parameters), first_replica=first, threads=threads, progress=False,
            **self.options_at(parameters),
        )  # fmt: skip

    def outcome(
        self, process: Process, parameters: Mapping[str, Value], first: int, count: int, threads: int | None = None
    ) -> Outcome:
        """Simulate and measure, or say why the point cannot be run."""
        try:
            run = self.run(process, parameters, first, count, threads)
            return Outcome({name: _measured(name, m, run) for name, m in self.measures.items()}, run.times)
        except FAILURES as error:
            return self.failed(f"{type(error).__name__}: {error}")

    @staticmethod
    def failed(why: str) -> Outcome:
        """Return what there is of a point that cannot be run."""
        return Outcome({}, np.empty(0), why)

    @property
    def times_vary(self) -> bool:
        """Whether records are taken at other times at other points."""
        given = [self.options.get(name) for name in VARY]
        return any(map(callable, given)) or (self.options.get("steps") is None and self.options.get("times") is None)

    def identity(self) -> dict[str, dict[str, str]]:
        """By what two scans are told apart: for every argument how it reads, and a hash."""
        parts = {"function": self.function, "seed": self.seed, "common": self.common, **self.options}
        told = {name: {"is": _read(value), "hash": fingerprint(value)} for name, value in parts.items()}
        for name, m in self.measures.items():
            told[f"measure {name}"] = {"is": m.name, "hash": fingerprint((m.of, m.among))}
        return told | {"python": {"is": str(sys.implementation.cache_tag), "hash": ""}}


def _called(parameters: Mapping[str, Value]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())


def _read(value: Any) -> str:
    """Write a value in the same words in every process."""
    return getattr(value, "__name__", type(value).__name__) if callable(value) else shown(value)


def options_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Check what can be checked before a run of the arguments of `simulate`, so that a slip fails at once."""
    options = dict(given)
    for name in ("steps", "record_every"):
        if options[name] is not None and not _is_function(options[name]):
            options[name] = _checks.integer(name, options[name], 1, MAX_STEPS)
    for name, kind in (("times", np.float64), ("record_steps", np.int64)):
        listed = options[name]
        if listed is None or _is_function(listed):
            continue
        if (
            isinstance(listed, (str, bytes, type))
            or not isinstance(listed, Iterable)
            or getattr(listed, "ndim", 1) == 0
        ):
            raise TypeError(f"{name} = {shown(listed)}: must be a sequence of numbers, or a function of the point")
        some = listed if isinstance(listed, np.ndarray) else list(islice(listed, MOST_LISTED + 1))
        numbers = _checks.array(name, some, "a sequence of numbers >= 0", dimensions=(1,))
        if (numbers < 0).any() or ((numbers % 1).any() and kind is np.int64):
            raise ValueError(f"{name} = {shown(listed)}: must be {'steps' if kind is np.int64 else 'numbers'} >= 0")
        options[name] = np.unique(numbers.astype(kind))
    _checks.choice("dtype", options["dtype"], ("float64", "float32"))
    _checks.choice("device", options["device"], DEVICES)
    options["keep_weights"] = _checks.flag("keep_weights", options["keep_weights"])
    return options


def _is_function(value: Any) -> bool:
    """Whether it can be asked for a value of the point; a class makes nothing of a point, and is a slip."""
    return callable(value) and not isinstance(value, type)


def measures_of(given: Any) -> dict[str, Observable]:
    """Return what a user wants to be measured, by name.

    Raises
    ------
    TypeError, ValueError
        If it is no dict of observables, no observable, or has a name that means something else.
    """
    if given is None:
        given = "eigenvalues"
    if not isinstance(given, Mapping):
        one = _chosen("measure", given)
        given = {one.name: one}
    if not given:
        raise ValueError("measure = {}: must name at least one observable")
    found = {}
    for name, choice in given.items():
        if not isinstance(name, str) or not name.isidentifier() or name in INTERNAL:
            raise ValueError(f"measure: {shown(name)} must be a name, and none of {', '.join(sorted(INTERNAL))}")
        found[name] = _chosen(f"measure[{name!r}]", choice)
    return found


def _chosen(name: str, choice: Choice) -> Observable:
    try:
        return observable_of(choice)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _measured(name: str, observable: Observable, run: Run) -> Measured:
    """Measure a run; TypeError if that gives no row for each replica."""
    wanted = f"must give real numbers, one row for each of the {run.replicas} replicas"
    try:
        found = observable(run)
    except FAILURES as error:
        raise ValueError(f"measure {name!r}: {type(error).__name__}: {error}") from error
    try:
        values = _checks.array(f"measure {name!r}", found, "real numbers", finite=False, empty=True)
    except (TypeError, ValueError) as error:
        raise TypeError(f"measure {name!r} gives {shown(found)}: {wanted} ({error})") from None
    if values.ndim == 0 or len(values) != run.replicas:
        raise TypeError(
            f"measure {name!r} gives an array of shape {values.shape}: {wanted}; a mean over replicas would depend on "
            "how they are divided into pieces, take it afterwards (Scan.mean)"
        )
    own = [f"{name}_{k}" for k in range(1, values.ndim)]
    if values.ndim == 3 and values.shape[1] == len(run.times):
        own = ["record", "level" if values.shape[2] == run.process.n else name + "_index"]
    return Measured(("replica", *own), values)
