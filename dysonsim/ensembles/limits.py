"""What is checked before a run: memory, the work of a step, lengths that floating point can hold."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import Any

import numpy as np

from .. import _checks
from .._checks import shown
from ..backend import available_memory, layout, usable_cores
from ..processes import Process
from .layers import kept_numbers
from .run import Run
from .schedule import Schedule

__all__ = [
    "check_imported",
    "check_lengths",
    "check_memory",
    "check_process",
    "check_spread",
    "check_work",
    "memory_needed",
]

MOST_WORK = 2e10  # multiply-adds of one step of one block of networks: some ten seconds
SPEED, PATIENCE = 1e10, 20.0  # multiply-adds a second of one thread, roughly; seconds of a step that are told of
MOST_DEGREES = 1e30  # of freedom of chi-squared numbers, which are drawn in float32
LENGTHS = {"float64": (1e-140, 1e140), "float32": (1e-15, 1e15)}  # whose squares, and a million of them, are numbers
# What `memory_needed` counts, beside arrays whose size is known.
FIXED = 32 * 2**20  # bytes: a batch of initial weights, and what a run takes whatever its size
ENSEMBLE = 4096  # bytes of the objects of an ensemble
MARKS = 2  # numbers of a replica: when it left, and whether
SNAPSHOTS = 6  # copies of the state of an ensemble that is being recorded
SCHEDULE = 6  # numbers of a record: its step and time, as they are made


def check_imported() -> None:
    """RuntimeError in the middle of an import that this thread makes: in a signal handler, that is."""
    for name in ("numba", "scipy.linalg"):
        if name in sys.modules:
            import_module(name)  # waits for another thread that imports it
            if getattr(getattr(sys.modules[name], "__spec__", None), "_initializing", False):
                raise RuntimeError(
                    f"simulate was called while {name} is being imported, by a signal handler: call it later"
                )


def check_process(process: Process) -> None:
    """Refuse what is no process."""
    if not isinstance(process, Process):
        raise TypeError(
            f"process = {shown(process)}: must be a process such as dysonsim.SGD(model, learning_rate, batch_size), "
            "Langevin, Dyson or CoulombGas"
        )


def memory_needed(process: Process, replicas: int, records: int = 1, keep_weights: bool = False) -> int:
    """Return an upper bound of the bytes that `simulate` allocates, on all cores in float64.

    This includes the result (`Run.eigenvalues` too), the state of the networks or gases while they run, and the working
    memory of the threads. It does not include Python and its libraries. Compiling takes about 200 MB more, once, and
    `resume=` takes the records of the earlier run a second time.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> sgd = ds.SGD(model, learning_rate=0.1, batch_size=16)
    >>> ds.memory_needed(sgd, replicas=1000) < 1e9
    True
    """
    check_process(process)
    replicas, records = _checks.integer("replicas", replicas, 1), _checks.integer("records", records, 1)
    keep_weights = _checks.flag("keep_weights", keep_weights)
    return _bytes(process, replicas, records, keep_weights, "float64", usable_cores())


def _bytes(process: Process, replicas: int, records: int, keep_weights: bool, dtype: str, threads: int) -> int:
    kernel = process.built()
    weights = kept_numbers(process) + int(np.prod(process.weight_shape or 0)) if keep_weights else 0
    results = records * (2 * process.n + weights)  # singular values, and their squares when asked for
    width, unit = layout(kernel, dtype)
    padded = -(-replicas // width) * width
    # Start values and what is made of them at a time; or working state, and the state that a Run keeps.
    state = (3 * kernel.state + MARKS) * padded
    block = (SNAPSHOTS * kernel.state * unit + kernel.scratch) * width
    working = threads * (block + process.working_numbers(replicas))
    ensembles = ENSEMBLE * -(-padded // (width * unit))
    return FIXED + 8 * (replicas * results + state + working + SCHEDULE * records) + ensembles


def check_memory(
    process: Process, replicas: int, records: int, keep_weights: bool, dtype: str, threads: int, resume: Run | None
) -> None:
    """Refuse a run that would not fit into the memory that is available."""
    earlier = 0 if resume is None else len(resume.steps)
    needed = _bytes(process, replicas, records + earlier, keep_weights, dtype, threads)
    needed += _bytes(process, replicas, records, keep_weights, dtype, threads) if earlier else 0  # before they are one
    free = available_memory()
    if needed > free:
        raise MemoryError(
            f"replicas = {replicas} with {records} records need {needed / 2**30:.2f} GiB, {free / 2**30:.2f} GiB are "
            "available: take fewer replicas at a time, record less often, or leave keep_weights off"
        )


def check_work(process: Process, dtype: str, replicas: int, threads: int) -> None:
    """ValueError if one step of one block of networks takes so long that Ctrl-C would seem to be ignored.

    RuntimeWarning if one of all networks takes so long that the run would seem to stand still.
    """
    kernel = process.built()
    width, _ = layout(kernel, dtype)
    if kernel.work * width > MOST_WORK:
        raise ValueError(
            f"{process}: one step takes some {kernel.work:.1g} multiply-adds for each network, and nothing can "
            f"interrupt it; up to {MOST_WORK / width:.1g} are allowed: take a smaller batch_size, fewer "
            "gibbs_steps (math.inf draws fresh samples), or sampling='at_once'"
        )
    blocks = -(-replicas // width)
    seconds = kernel.work * width * -(-blocks // threads) / SPEED
    if seconds > PATIENCE:
        warnings.warn(
            f"one step of {replicas} replicas takes some {_rounded(seconds)} seconds on threads = {threads}, by the "
            "gibbs_steps and the batch_size: take fewer, or sampling='at_once'",
            RuntimeWarning, stacklevel=3,
        )  # fmt: skip


def _rounded(seconds: float) -> str:
    return np.format_float_positional(seconds, precision=1, fractional=False, trim="-")


def check_lengths(process: Process, dtype: str) -> None:
    """ValueError for a unit in which squares of levels would overflow, or those of what spreads them vanish."""
    for name, degrees in process.degrees().items():
        if degrees > MOST_DEGREES:
            raise ValueError(f"{name} = {degrees:g}: so many degrees of freedom cannot be drawn, at most 1e30")
    for name, value in process.lengths().items():
        _check_length(name, value, name in process.spreads, "float64" if process.own_units else dtype)


def check_spread(process: Process, plan: Schedule, dtype: str) -> None:
    """Check the same for what noise amounts to until the first record, and until the last."""
    noise, rate = getattr(process, "noise", None), getattr(process, "rate", None)
    if not process.continuous or noise is None or plan.times[-1] == 0:
        return
    passed = np.diff(plan.times, prepend=0.0)
    for time in passed[passed > 0].min(), plan.times[-1]:
        spread = noise * np.sqrt(np.minimum(time, 1 / np.asarray(0.0 if rate is None else rate)))
        spread = spread * np.sqrt(max(getattr(process, "beta", 1.0), 1.0))
        held = "float64" if process.own_units else dtype
        _check_length("spread of levels, by beta, noise, rate and times,", spread, True, held)


def _check_length(name: str, value: Any, spreads: bool, dtype: str) -> None:
    smallest, largest = LENGTHS[dtype]
    sizes = np.abs(np.ravel(np.asarray(value, dtype=np.float64)))
    wrong = sizes[~(sizes <= largest) | (spreads & (sizes < smallest))]
    if len(wrong):
        raise ValueError(
            f"{name} = {wrong[0]:g}: dtype = {dtype!r} holds squares of lengths from {smallest:g} to {largest:g}; take "
            f"{'' if dtype == 'float64' else 'float64, or '}another unit of length or time"
        )
