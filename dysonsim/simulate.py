"""`simulate`: run an ensemble of networks and record their spectra."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from . import _validate
from .backend import DEVICES, STILL_WELL, Ensemble, Kernel, driver, plain
from .backend.drivers import split_seed
from .kernels import rng
from .processes import SGD
from .rounds import advance_in_rounds
from .spectra import Run, fingerprint, singular_values

__all__ = ["DivergenceError", "memory_needed", "simulate"]

MAX_STEPS = 2**32 - 2  # the generator counts steps in 32 bits
USABLE = 1e100  # weights beyond have no spectrum in floating point
INITIAL_CHUNK = 2**16  # blocks of four initial weights that are drawn at once


class DivergenceError(RuntimeError):
    """Training left the domain where the model is defined; `replica` and `step` say where first."""

    def __init__(self, message: str, replica: int, step: int) -> None:
        super().__init__(message)
        self.replica, self.step = replica, step


def simulate(
    process: SGD,
    replicas: int,
    steps: int,
    seed: int = 0,
    *,
    record_every: int | None = None,
    record_steps: Iterable[int] | None = None,
    keep_weights: bool = False,
    dtype: str = "float64",
    device: str = "cpu",
    threads: int | None = None,
    progress: bool | None = None,
    resume: Run | None = None,
) -> Run:
    """Train `replicas` independent networks and record their spectra.

    Replica r of a seed is the same network however many run beside it, on any number of threads, and after a
    resumption; on the CPU bit for bit.

    Parameters
    ----------
    process : SGD
        What to run.
    replicas : int
        Independent networks.
    steps : int
        SGD steps in all, those of `resume` included.
    seed : int
        From 0 to 2**64 - 1. Runs of one seed share their random numbers, whatever the process: give runs that are to be
        compared as independent samples different seeds.
    record_every : int, optional
        Record after every so many steps, and after the last. Default: after the last step only.
    record_steps : iterable of int, optional
        Record after exactly these steps instead, from 0 (the initial weights) to `steps`.
    keep_weights : bool
        Keep the weight matrices of the recorded steps as well.
    dtype : {"float64", "float32"}
        Float type of the training. Spectra are computed in float64 from the weights.
    device : {"cpu", "cuda"}
        Where to train. Asking for a device that is not there is an error.
    threads : int, optional
        CPU threads; default: all cores that this process may use.
    progress : bool, optional
        Show a progress bar; default: in a terminal, once the run has taken 3 seconds.
    resume : Run, optional
        An earlier run of the same process, seed and replicas: go on from its last step. Its records come first.

    Returns
    -------
    Run

    Raises
    ------
    TypeError, ValueError
        For an argument that is not allowed.
    MemoryError
        Before anything is allocated, if results and state would not fit into memory.
    RuntimeError
        If device is "cuda" and no CUDA device can be used.
    DivergenceError
        If a network runs away (the learning rate is too large, say); the message names the model's stability limit, and
        the replica and step where that happened first.

    Warns
    -----
    RuntimeWarning
        If the learning rate is beyond the model's stability limit, or recorded weights are outside the model's domain
        (an RBM whose K is not positive) though training recovers.
    """
    if not isinstance(process, SGD):
        raise TypeError(f"process = {process!r}: must be a process, dysonsim.SGD(model, learning_rate, batch_size)")
    replicas = _validate.integer("replicas", replicas, 1, 2**32 - 1)
    steps = _validate.integer("steps", steps, 1, MAX_STEPS)
    seed = _validate.integer("seed", seed, 0, 2**64 - 1)
    _validate.choice("dtype", dtype, ("float64", "float32"))
    _validate.choice("device", device, DEVICES)
    keep_weights = _validate.flag("keep_weights", keep_weights)
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress = {progress!r}: must be True, False or None")
    threads = _usable_cores() if threads is None else _validate.integer("threads", threads, 1)
    kernel = process.kernel()
    begin = 0 if resume is None else _check_resume(resume, process, replicas, steps, seed, dtype, keep_weights)
    recorded = _recorded_steps(steps, record_every, record_steps)
    recorded = recorded[recorded > begin] if resume is not None else recorded
    _check_memory(process, kernel, replicas, len(recorded), keep_weights)

    _warn_unstable(process)
    chosen = driver(device)
    program = chosen.prepare(kernel, dtype)
    if resume is not None:
        start = resume.state
    else:
        start = np.empty((replicas, kernel.state))
        start[:, : kernel.weights] = initial_weights(replicas, kernel.weights, seed) * process.init_scale
        start[:, kernel.weights :] = kernel.extra
    workers = threads if chosen.parallel else 1
    ranges = _split(replicas, program.width, program.unit, workers)
    ensembles = [program.open(start[a:b], a, seed) for a, b in ranges]

    p, n = process.model.weight_shape
    spectra = np.empty((replicas, len(recorded), n))
    weights = np.empty((replicas, len(recorded), p, n)) if keep_weights else None

    defined = process.model.is_defined
    outside: list[tuple[int, int]] = []  # (step, replica) of recorded weights that are no model

    def snapshot(index: int, record: int) -> None:
        a, b = ranges[index]
        w = ensembles[index].state()[:, : kernel.weights].reshape(-1, p, n).astype(np.float64)
        usable = np.asarray(np.abs(w).max(axis=(1, 2)) < USABLE)  # others have run away: the next check will find them
        spectra[a:b, record] = singular_values(np.where(usable[:, None, None], w, 0.0))
        outside.extend((int(recorded[record]), a + int(r)) for r in np.flatnonzero(~defined(spectra[a:b, record])))
        if weights is not None:
            weights[a:b, record] = w

    def check() -> None:
        _check_left(process, ensembles)

    marks = list(enumerate(recorded.tolist()))
    advance_in_rounds(ensembles, begin, steps, marks, snapshot, check, workers, progress)
    state = np.concatenate([ensemble.state() for ensemble in ensembles])
    for ensemble in ensembles:  # a network is looked at where a step begins: one more shows whether the last went well
        ensemble.advance(steps, 1)
    check()
    if outside:
        _warn_outside(process, sorted(outside), replicas)
    if resume is not None:
        recorded = np.concatenate([resume.steps, recorded])
        spectra = np.concatenate([resume.singular_values, spectra], axis=1)
        weights = None if weights is None else np.concatenate([resume.weights, weights], axis=1)  # type: ignore[list-item]
    return Run(
        process=process, seed=seed, steps=recorded, singular_values=spectra, weights=weights, device=device,
        dtype=dtype, version=_version(), state=state, last_step=steps,
    )  # fmt: skip


def initial_weights(replicas: int, count: int, seed: int) -> np.ndarray:
    """Standard normals (replicas, count), the same on every device."""
    generator = rng.build(plain.lanes("float64", 1))
    key0, key1 = split_seed(seed)
    blocks = np.arange(-(-count // 4), dtype=np.uint32)
    out = np.empty((replicas, count))
    rows = max(1, INITIAL_CHUNK // len(blocks))
    for at in range(0, replicas, rows):
        replica = np.arange(at, min(at + rows, replicas), dtype=np.uint32)
        with np.errstate(over="ignore"):  # 32-bit integers wrap on purpose
            block, lane = np.tile(blocks, len(replica)), np.repeat(replica, len(blocks))
            a, b, c, d = generator.words(block, np.uint32(rng.INITIAL), np.uint32(0), lane, key0, key1)
            z = np.stack([*generator.box_muller(a, b), *generator.box_muller(c, d)], axis=-1)
        out[at : at + rows] = z.reshape(len(replica), -1)[:, :count]
    return out


def memory_needed(process: SGD, replicas: int, records: int = 1, keep_weights: bool = False) -> int:
    """Bytes that `simulate` takes for its results and the state of the networks."""
    replicas, records = _validate.integer("replicas", replicas, 1), _validate.integer("records", records, 1)
    return _bytes(process, process.kernel(), replicas, records, _validate.flag("keep_weights", keep_weights))


def _bytes(process: SGD, kernel: Kernel, replicas: int, records: int, keep_weights: bool) -> int:
    p, n = process.model.weight_shape
    results = records * (2 * n + (p * n if keep_weights else 0))  # singular values, and their squares when asked for
    return 8 * replicas * (results + 3 * kernel.state)  # start values, working state, and the state that a Run keeps


def _check_memory(process: SGD, kernel: Kernel, replicas: int, records: int, keep_weights: bool) -> None:
    needed = _bytes(process, kernel, replicas, records, keep_weights)
    free = _available_memory()
    if needed > free:
        raise MemoryError(
            f"replicas = {replicas} with {records} records need {needed / 2**30:.2f} GiB, {free / 2**30:.2f} GiB are "
            "available: take fewer replicas at a time, record less often, or leave keep_weights off"
        )


def _available_memory() -> int:
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) if hasattr(os, "sysconf") else 2**63


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version() -> str:
    from . import __version__

    return __version__


def _recorded_steps(steps: int, every: int | None, chosen: Iterable[int] | None) -> np.ndarray:
    """Steps to record, ascending."""
    if every is not None and chosen is not None:
        raise ValueError("record_every and record_steps exclude each other: give one of them")
    if chosen is not None:
        if not isinstance(chosen, Iterable):
            raise TypeError(f"record_steps = {chosen!r}: must be a sequence of steps")
        listed = [_validate.integer("record_steps", s, 0, steps) for s in chosen]
        if not listed:
            raise ValueError("record_steps is empty: give at least one step")
        return np.array(sorted(set(listed)), dtype=np.int64)
    every = steps if every is None else _validate.integer("record_every", every, 1, steps)
    regular = np.arange(every, steps + 1, every, dtype=np.int64)
    return regular if regular[-1] == steps else np.append(regular, steps)


def _check_resume(run: Run, process: SGD, replicas: int, steps: int, seed: int, dtype: str, keep_weights: bool) -> int:
    """The step to go on from."""
    if not isinstance(run, Run):
        raise TypeError(f"resume = {run!r}: must be a Run")
    if fingerprint(run.process) != fingerprint(process):
        raise ValueError(f"resume was made by {run.process}, not by {process}")
    if run.version != _version():
        raise ValueError(f"resume was made by dysonsim {run.version}, this is {_version()}: random numbers may differ")
    kept = run.weights is not None
    mine = {"replicas": replicas, "seed": seed, "dtype": dtype, "keep_weights": keep_weights}
    theirs = {"replicas": run.replicas, "seed": run.seed, "dtype": run.dtype, "keep_weights": kept}
    for name, value in mine.items():
        if theirs[name] != value:
            raise ValueError(f"{name} = {value!r}: resume was run with {name} = {theirs[name]!r}")
    if steps <= run.last_step:
        raise ValueError(f"steps = {steps}: must be more than the {run.last_step} steps that resume has done")
    return run.last_step


def _split(replicas: int, width: int, unit: int, workers: int) -> list[tuple[int, int]]:
    """Ranges of replicas, each a whole number of blocks: small enough to keep all workers busy."""
    blocks = -(-replicas // width)
    size = width * max(1, min(unit, -(-blocks // workers)))
    return [(a, min(a + size, replicas)) for a in range(0, replicas, size)]


def _check_left(process: SGD, ensembles: Sequence[Ensemble]) -> None:
    """Raise DivergenceError for the earliest step at which a network left, and the lowest replica among those."""
    left = np.concatenate([ensemble.left() for ensemble in ensembles])
    replica = int(left.argmin())
    step = int(left[replica])
    if step < STILL_WELL:
        why = process.model.stability(process.learning_rate, process.batch_size)
        if step == 0:
            why = f"the initial weights, of init_scale = {process.init_scale:g}, are outside the model's domain"
        raise DivergenceError(f"replica {replica} diverged at step {step}: {why}", replica, step)


def _warn_unstable(process: SGD) -> None:
    """Say that the learning rate is beyond the limit that the model states, if it states one."""
    try:
        limit = process.model.max_learning_rate(process.batch_size)
    except (NotImplementedError, ValueError):  # none stated, or no unique fixed point
        return
    if process.learning_rate >= limit:
        why = process.model.stability(process.learning_rate, process.batch_size)
        warnings.warn(f"training may not be stable: {why}", RuntimeWarning, stacklevel=3)


def _warn_outside(process: SGD, outside: Sequence[tuple[int, int]], replicas: int) -> None:
    """Say that recorded networks were, for a moment, no model: training goes on through it, statistics may not."""
    (step, replica), networks = outside[0], len({replica for _, replica in outside})
    why = process.model.stability(process.learning_rate, process.batch_size)
    warnings.warn(
        f"{networks} of {replicas} networks were outside the model's domain when recorded, the first of them replica "
        f"{replica} at step {step}: {why}",
        RuntimeWarning,
        stacklevel=3,
    )
