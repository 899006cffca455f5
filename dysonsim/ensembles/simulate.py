"""`simulate`: run an ensemble of networks or gases and record their spectra."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from .. import _checks
from .._checks import shown
from .._fingerprint import fingerprint
from .._patience import quiet
from ..backend import DEVICES, STILL_WELL, Ensemble, one_blas_thread, usable_cores
from ..processes import Process
from .file import MOST_REPLICAS
from .layers import numbers_of, room_for_weights
from .limits import check_imported, check_lengths, check_memory, check_process, check_spread, check_work, memory_needed
from .rounds import Ensembles, advance_in_rounds
from .run import Run
from .schedule import MAX_STEPS, Schedule, recorded_steps, timed

__all__ = ["DivergenceError", "memory_needed", "simulate"]


class DivergenceError(RuntimeError):
    """A replica, or a layer of a network, left the domain where its process is defined.

    `replica` and `step` say where first; for weights of a real training `layer` is its name, `replica` is None, and
    `step` too where it is not known.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> try:
    ...     ds.simulate(ds.SGD(model, learning_rate=3.0, batch_size=16), replicas=8, steps=1000, progress=False)
    ... except ds.DivergenceError as error:
    ...     print(error.step < 1000)
    True
    """

    def __init__(
        self, message: str, replica: int | None = None, step: int | None = None, layer: str | None = None
    ) -> None:
        super().__init__(message)
        self.replica, self.step, self.layer = replica, step, layer

    def __reduce__(self) -> tuple[type, tuple[str, int | None, int | None, str | None]]:
        """Keep replica, step and layer in a pickle, as when another process raises it."""
        return type(self), (str(self), self.replica, self.step, self.layer)


def simulate(
    process: Process,
    replicas: int,
    steps: int | None = None,
    seed: int = 0,
    *,
    first_replica: int = 0,
    times: Iterable[float] | None = None,
    record_every: int | None = None,
    record_steps: Iterable[int] | None = None,
    keep_weights: bool = False,
    dtype: str = "float64",
    device: str = "cpu",
    threads: int | None = None,
    progress: bool | None = None,
    resume: Run | None = None,
) -> Run:
    """Run `replicas` independent networks or gases and record their spectra.

    A replica depends on the seed and its index alone, not on the number of replicas or threads, nor on whether the run
    was resumed; on the CPU bit for bit.

    Parameters
    ----------
    process : Process
        What to run: `SGD`, `Langevin`, `Dyson`, `CoulombGas`, ...
    replicas : int
        Number of independent networks or gases.
    steps : int, optional
        Total number of steps, including those of `resume`. Required for `SGD` and `Langevin`; for a Markov chain, the
        number of iterations, by default as many as it needs.
    seed : int
        From 0 to 2**64 - 1. Runs with the same seed share random numbers, even for different processes; use different
        seeds for runs that you compare as independent samples.
    first_replica : int
        Run the replicas from this number on, ``first_replica ... first_replica + replicas - 1``: the same networks as
        in one large run of the seed, so that it can be divided among calls and machines (`scan` does).
    times : iterable of float
        For processes in continuous time (`Dyson`, ...), instead of `steps`: record at exactly these times, >= 0.
    record_every : int, optional
        Record after every `record_every` steps, and after the last. Default: after the last step only.
    record_steps : iterable of int, optional
        Record after exactly these steps instead, from 0 (the start) to `steps`.
    keep_weights : bool
        Keep the weight matrices of the recorded steps as well, of all layers (`Run.weights`, `Run.layers`).
    dtype : {"float64", "float32"}
        Float type of the simulation. Spectra of weights are computed in float64.
    device : {"cpu", "cuda", "numpy"}
        Where to run. "numpy" is for debugging, slow, on one thread: the update of a model of your own runs as it is
        written, on stacks (replicas, rows, columns), with the random numbers of its kernel, so that you can print and
        step through it; any other kernel runs as ordinary Python whose indices are checked.
    threads : int, optional
        Number of CPU threads; default: all cores that this process may use. BLAS uses one thread meanwhile.
    progress : bool, optional
        Show a progress bar; default: in a terminal, once the run has taken 3 seconds. Unless this is False, other work
        of more than 3 seconds, such as compiling, is announced once on stderr.
    resume : Run, optional
        An earlier run of the same process, seed and replicas, to be continued from its end. The result starts with its
        records. ValueError if its numbers are inconsistent (`Run.fault`).

    Returns
    -------
    Run

    Raises
    ------
    TypeError, ValueError
        For an argument that is not allowed. ValueError also if a user's drift or potential raises an error; if levels
        are so large or their spread so small that squares do not fit into `dtype` (float64: beyond 1e140 or below
        1e-140; float32: 1e15, 1e-15); if a single step is so long that Ctrl-C would seem to be ignored; for more than a
        million `times` or `record_steps` that are neither an array nor a range.
    MemoryError
        If results and state (`memory_needed`) would not fit into the available memory, which includes the limits of
        containers, batch systems and `ulimit`. Raised before anything is allocated.
    RuntimeError
        If device is "cuda" and there is no usable CUDA device; in a signal handler that interrupts the import of Numba.
    DivergenceError
        If a replica diverges, for example because the learning rate is too large, or if a user's function returns nan
        or inf. The message says why, and in which replica and step it happened first.

    Warns
    -----
    RuntimeWarning
        If one step takes more than about 20 seconds, the learning rate is above the model's stability limit, batches
        are not Gaussian or symmetric enough for `Langevin`, `dt` is too long for the gaps, a Markov chain has not
        mixed, or recorded weights are outside the model's domain (an RBM whose K is not positive) although training
        recovers. Once per process if compiled kernels cannot be stored on disk, or if they run as NumPy code because of
        NUMBA_DISABLE_JIT.

    Notes
    -----
    All parameters but `process` and `replicas` are optional: how long to run and what to record (six), how to compute
    (five). They stand in one place because a run that is resumed, or simulated again, needs the same ones.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> sgd = ds.SGD(model, learning_rate=0.1, batch_size=16)
    >>> run = ds.simulate(sgd, replicas=64, steps=100, seed=1, record_every=25)
    >>> run.steps
    array([ 25,  50,  75, 100])
    >>> run.eigenvalues.shape
    (64, 4, 2)
    """
    check_process(process)
    replicas = _checks.integer("replicas", replicas, 1, MOST_REPLICAS)
    first_replica = _checks.integer("first_replica", first_replica, 0, MOST_REPLICAS - replicas)
    steps = None if steps is None else _checks.integer("steps", steps, 1, MAX_STEPS)
    seed = _checks.integer("seed", seed, 0, 2**64 - 1)
    _checks.choice("dtype", dtype, ("float64", "float32"))
    _checks.choice("device", device, DEVICES)
    keep_weights = _checks.flag("keep_weights", keep_weights)
    if keep_weights and process.weight_shape is None:
        raise ValueError(f"keep_weights = True: {type(process).__name__} has levels only, no weights")
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress = {shown(progress)}: must be True, False or None")
    threads = usable_cores() if threads is None else _checks.integer("threads", threads, 1)
    check_imported()
    # Numbers that are not finite are looked for below.
    with np.errstate(all="ignore"), one_blas_thread(), quiet(progress is False), process.building_once(device):
        if resume is not None:
            _check_resume(resume, process, replicas, first_replica, seed, dtype, keep_weights)

        def room(count: int) -> None:
            """MemoryError if so many records do not fit, before they are listed."""
            check_memory(process, replicas, count, keep_weights, dtype, threads, resume)

        check_lengths(process, dtype)
        room(1)
        check_work(process, dtype, replicas, threads)
        plan = _plan(process, steps, times, record_every, record_steps, resume, room)
        records = len(plan.steps)
        check_spread(process, plan, dtype)

        process.warn(stacklevel=2)
        program = process.prepare(device, dtype, threads)
        start = _start(process, replicas, seed, first_replica) if resume is None else resume.state
        workers = threads if program.parallel else 1
        ranges = _split(replicas, program.width, program.unit, workers)
        ensembles = [program.open(start[a:b], first_replica + a, seed) for a, b in ranges]
        del start

        spectra = np.empty((replicas, records, process.n))
        weights, kept = room_for_weights(process, replicas, records) if keep_weights else (None, None)
        outside: list[tuple[int, int]] = []  # (record, replica) of levels outside the domain of the process
        lost: list[tuple[int, int]] = []  # those that are not finite, which the check after the round should find

        def move(index: int, first: int, count: int) -> None:
            if plan.lengths is None:
                ensembles[index].advance(first, count)
            else:
                for at, some, length in plan.pieces(first, count):
                    ensembles[index].set_reals(process.constants(length))
                    ensembles[index].advance(at, some)

        def snapshot(index: int, record: int) -> None:
            a, b = ranges[index]
            state = ensembles[index].state().astype(np.float64, copy=False)
            finite = np.asarray(np.isfinite(state).all(axis=1))
            if not finite.all():  # LAPACK needs finite numbers
                lost.extend((record, a + int(r)) for r in np.flatnonzero(~finite))
                state = np.where(finite[:, None], state, 0.0)
            spectra[a:b, record] = process.spectra(state)
            defined = process.is_defined(spectra[a:b, record])
            if not defined.all():
                outside.extend((record, a + int(r)) for r in np.flatnonzero(~defined))
            if weights is not None:
                weights[a:b, record] = process.weights(state)
            if kept is not None:
                kept[a:b, record] = numbers_of(process, state)

        def check() -> None:
            _check_left(process, ensembles, first_replica)

        with program.while_running():
            many = Ensembles(len(ensembles), move, snapshot, check)
            advance_in_rounds(many, plan.begin, plan.end, plan.steps, workers, progress)
            state = _state(ensembles, ranges)
            if not process.marks_after_step and not program.looks_ahead:
                for ensemble in ensembles:  # a step checks where it begins: one more shows whether the last went well
                    ensemble.advance(plan.end, 1)
        check()
        if lost:
            record, replica = min(lost)
            replica += first_replica
            at = int(plan.steps[record])
            raise DivergenceError(
                f"replica {replica} diverged by step {at}: its levels are no longer finite numbers", replica, at
            )
        if outside:
            _warn_outside(process, plan, sorted(outside), replicas, first_replica)
        run = Run(
            process=process, seed=seed, times=plan.times, steps=plan.steps, spectra=spectra,
            coordinate=process.coordinate, weights=weights, device=device, dtype=dtype, version=_version(), state=state,
            last_time=plan.last_time, last_step=plan.end, first_replica=first_replica, kept=kept,
        )  # fmt: skip
        if resume is not None:
            run = _joined(resume, run)
        return replace(run, diagnostics=process.diagnose(run))


def _start(process: Process, replicas: int, seed: int, first: int) -> np.ndarray:
    """Return the start values of a process; ValueError if they are not what its kernel advances."""
    if first == 0:
        start = np.asarray(process.start(replicas, seed))
    elif "first" in inspect.signature(process.start).parameters:
        start = np.asarray(process.start(replicas, seed, first))
    else:  # a process from before `first`: it makes those before as well
        start = np.asarray(process.start(first + replicas, seed))[first:]
    shape = replicas, process.state_size
    if start.shape != shape or start.dtype.kind != "f":
        raise ValueError(
            f"process: {type(process).__name__}.start gives {start.dtype} of shape {start.shape}, must give floats of "
            f"shape {shape}"
        )
    return start


def _state(ensembles: Sequence[Ensemble], ranges: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return that of all ensembles, one after the other."""
    first = ensembles[0].state()
    state = np.empty((ranges[-1][1], first.shape[1]), first.dtype)
    state[: len(first)] = first
    for ensemble, (a, b) in zip(ensembles[1:], ranges[1:], strict=True):
        state[a:b] = ensemble.state()
    return state


def _version() -> str:
    from .._version import __version__

    return __version__


def _plan(
    process: Process,
    steps: int | None,
    times: Iterable[float] | None,
    every: int | None,
    chosen: Iterable[int] | None,
    resume: Run | None,
    room: Callable[[int], None],
) -> Schedule:
    """Decide what to do and when to record, from the arguments that suit the process."""
    name = type(process).__name__
    begin, since = (0, 0.0) if resume is None else (resume.last_step, resume.last_time)
    if process.continuous:
        if times is None or steps is not None or every is not None or chosen is not None:
            raise ValueError(
                f"{name} runs in continuous time: give times=[...] to record at, no steps, record_every or record_steps"
            )
        jump = process.jumps and begin == 0
        return timed(times, process.step_count, begin, since, resume is not None, room, jump)
    if times is not None:
        raise ValueError(f"{name} counts steps: give steps= and record_every= or record_steps=, not times")
    steps = process.default_steps() if steps is None else steps
    if steps is None:
        raise ValueError(f"steps is missing: {name} must be told how many steps to do")
    if resume is not None and steps <= begin:
        raise ValueError(f"steps = {steps}: must be more than the {begin} steps that resume has done")
    recorded = recorded_steps(steps, every, chosen, 0 if resume is None else begin + 1, room)
    return Schedule(begin, steps, recorded, recorded.astype(np.float64))


def _check_resume(
    run: Run, process: Process, replicas: int, first_replica: int, seed: int, dtype: str, keep_weights: bool
) -> None:
    if not isinstance(run, Run):
        raise TypeError(f"resume = {shown(run)}: must be a Run")
    if fingerprint(run.process) != fingerprint(process):
        raise ValueError(f"resume was made by {run.process}, not by {process}")
    if run.version != _version():
        raise ValueError(f"resume was made by dysonsim {run.version}, this is {_version()}: random numbers may differ")
    fault = run.fault()
    if fault:
        raise ValueError(f"resume is damaged: {fault}")
    kept = run.weights is not None
    mine = {
        "replicas": replicas, "first_replica": first_replica, "seed": seed, "dtype": dtype, "keep_weights": keep_weights
    }  # fmt: skip
    theirs = {
        "replicas": run.replicas, "first_replica": run.first_replica, "seed": run.seed, "dtype": run.dtype,
        "keep_weights": kept,
    }  # fmt: skip
    for name, value in mine.items():
        if theirs[name] != value:
            raise ValueError(f"{name} = {shown(value)}: resume was run with {name} = {theirs[name]!r}")


def _joined(earlier: Run, later: Run) -> Run:
    """One run of both, the records of the earlier first."""
    parts = {"weights": (earlier.weights, later.weights), "kept": (earlier.kept, later.kept)}
    weights = {
        name: None if a is None or b is None else np.concatenate([a, b], axis=1) for name, (a, b) in parts.items()
    }
    return replace(
        later,
        times=np.concatenate([earlier.times, later.times]),
        steps=np.concatenate([earlier.steps, later.steps]),
        spectra=np.concatenate([earlier.spectra, later.spectra], axis=1),
        **weights,  # type: ignore[arg-type]
    )


def _split(replicas: int, width: int, unit: int, workers: int) -> list[tuple[int, int]]:
    """Ranges of replicas, each a whole number of blocks: small enough to keep all workers busy."""
    blocks = -(-replicas // width)
    size = width * max(1, min(unit, -(-blocks // workers)))
    return [(a, min(a + size, replicas)) for a in range(0, replicas, size)]


def _check_left(process: Process, ensembles: Sequence[Ensemble], first_replica: int) -> None:
    """Raise DivergenceError for the earliest step at which a replica left, and the lowest replica among those."""
    left = np.concatenate([ensemble.left() for ensemble in ensembles])
    replica = int(left.argmin())
    if left[replica] < STILL_WELL:
        step = int(left[replica]) + process.marks_after_step
        state = np.concatenate([ensemble.state() for ensemble in ensembles])[replica]
        why = process.why_left(step, state)
        replica += first_replica
        raise DivergenceError(f"replica {replica} diverged at step {step}: {why}", replica, step)


def _warn_outside(
    process: Process, plan: Schedule, outside: Sequence[tuple[int, int]], replicas: int, first_replica: int
) -> None:
    """Say that recorded levels were, for a moment, out of the domain: the run goes on, statistics may not."""
    (record, replica), networks = outside[0], len({replica for _, replica in outside})
    when = f"time {plan.times[record]:g}" if process.continuous else f"step {plan.steps[record]}"
    why = process.why_left(1, np.empty(0))
    warnings.warn(
        f"{networks} of {replicas} networks were outside the model's domain when recorded, the first of them replica "
        f"{first_replica + replica} at {when}: {why}",
        RuntimeWarning,
        stacklevel=3,
    )
