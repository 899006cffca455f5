"""`scan`: a process at every point of a grid of parameters, here or on a cluster, in memory or in a store."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from typing import Any

import numpy as np

from .. import _checks
from ..ensembles.rounds import Bar
from ..processes import Process
from .command import COMMAND
from .dataset import label_store, label_times
from .local import Found, Runner, run_here
from .points import points_of
from .recipe import Recipe, measures_of, options_of
from .reopen import about, begun, lengthened
from .result import Scan
from .store import ZarrArrays
from .table import Table

__all__ = ["scan"]

ON_ERROR = ("record", "raise")
SAID = 0.5  # seconds between two words of the bar, which counts all points for them


def scan(
    function: Callable[..., Any],
    points: Mapping[str, Iterable[Any]] | Iterable[Any],
    *,
    replicas: int,
    seed: int = 0,
    steps: int | Callable[[dict], int] | None = None,
    times: Iterable[float] | Callable[[dict], Iterable[float]] | None = None,
    record_every: int | Callable[[dict], int] | None = None,
    record_steps: Iterable[int] | Callable[[dict], Iterable[int]] | None = None,
    keep_weights: bool = False,
    dtype: str = "float64",
    device: str = "cpu",
    threads: int | None = None,
    measure: Any = None,
    common: bool = False,
    path: Any = None,
    client: Any = None,
    piece: int | None = None,
    on_error: str = "record",
    progress: bool | None = None,
) -> Scan:
    """Simulate a process at every point of a grid of parameters, and measure it.

    The numbers of a point depend on the seed and its parameters alone: not on how the scan is divided, in which order
    and by whom pieces are run, nor on whether it was interrupted; bit for bit on CPUs of one kind. Every point has
    random numbers of its own, from a seed that is derived from `seed` and the point's parameters, so that points can be
    compared as independent samples; with ``common=True`` all points share those of `seed`, which makes differences
    between neighboring points more precise, and their errors dependent.

    There are many arguments because it takes those of `simulate`; a function, its points and `replicas` suffice.

    Parameters
    ----------
    function : callable
        ``function(**parameters)`` returns the process of a point.
    points : dict of sequences, zip, list of dicts, or pandas.DataFrame
        A dict gives an axis for each parameter, and the points are all combinations. Anything else lists points:
        tuples, as from zip, have the function's parameters in order. Values are numbers, strings or flags.
    replicas : int
        Independent networks or gases at every point.
    seed : int
        From 0 to 2**64 - 1.
    steps, times, record_every, record_steps, keep_weights, dtype, device, threads :
        As for `simulate`. The first four may be functions of the point, a dict of its parameters. On a cluster
        `threads` is that of a task, 1 by default.
    measure : str, Observable, callable, or dict of them; optional
        What is kept: ``measure(run)`` has a row for each replica, (replicas, ...); a dict names several. Default:
        "eigenvalues". It is called where the run is, so that only what it returns travels; a run has some replicas of
        a point, so it must treat each by itself.
    common : bool
        Common random numbers for all points.
    path : path or str, optional
        Of a Zarr store, a directory or an fsspec address, in which results are kept as they come: whatever ends the
        process, all pieces that were finished are there, and the same call goes on from there. Needs the extra `scan`.
        Default: in memory.
    client : dask.distributed.Client, optional
        Whose workers run the pieces. They send what was measured; only this process writes.
    piece : int, optional
        Replicas of a piece, which is written whole or not at all; short ones that follow each other are run in one
        call. Default: those of some seconds. Of a store that is there, it stays what it was.
    on_error : {"record", "raise"}
        What is done about a point that cannot be run (a ValueError of the process, training that diverges, chains that
        do not mix): recorded in `Scan.failures`, its numbers NaN, with a warning at the end; or raised. Other errors
        are raised in any case.
    progress : bool, optional
        Show a bar; default: in a terminal.

    Returns
    -------
    Scan

    Raises
    ------
    TypeError, ValueError
        For an argument that is not allowed, parameters that the function does not take, a function that returns no
        process, a measure that gives no row for each replica, functions that cannot be sent to workers; if `path` holds
        another scan, with the difference, or something else, or is being written to by another process.
    ImportError
        If `path` or `client` is given without the extra `scan`.
    OSError
        If the store cannot be written; what has been written stays.
    ConnectionError
        If the scheduler of `client` is gone.

    Warns
    -----
    RuntimeWarning
        If points failed; if files of a store are missing, whose pieces are then run again.

    Notes
    -----
    Kernels of different sizes are compiled one after the other in one process, since Numba compiles one function at a
    time; workers of a `client` with one process a core compile different ones at once, each of them once a machine.

    Examples
    --------
    >>> import numpy as np, dysonsim as ds
    >>> model = ds.TeacherStudent(2 * np.eye(2), gradient_noise=0.1)
    >>> def training(learning_rate, batch_size):
    ...     return ds.SGD(model, learning_rate, batch_size)
    >>> axes = {"learning_rate": [0.02, 0.05], "batch_size": [4, 16]}
    >>> scan = ds.scan(training, axes, replicas=100, steps=400, seed=1, progress=False,
    ...                measure={"spacing": lambda run: run.spacings((0, 1))})
    >>> print(scan.mean("spacing"))
      learning_rate  batch_size  spacing
      0.02           4           0.0464 ± 0.0027
      0.02           16          0.0242 ± 0.0013
      0.05           4           0.0813 ± 0.0045
      0.05           16          0.0382 ± 0.0022
    """
    if not callable(function) or (isinstance(function, type) and not issubclass(function, Process)):
        raise TypeError(f"function = {_checks.shown(function)}: must be a function that returns a process")
    replicas = _checks.integer("replicas", replicas, 1, 2**32 - 1)
    seed = _checks.integer("seed", seed, 0, 2**64 - 1)
    threads = None if threads is None else _checks.integer("threads", threads, 1)
    options = options_of({
        "steps": steps, "times": times, "record_every": record_every, "record_steps": record_steps,
        "keep_weights": keep_weights, "dtype": dtype, "device": device,
    })  # fmt: skip
    common = _checks.flag("common", common)
    grid, measures = points_of(points, function), measures_of(measure)
    clash = [name for name in measures if name in grid.names]
    if clash:
        raise ValueError(f"measure: {clash[0]!r} is the name of a parameter; call one of them otherwise")
    recipe = Recipe(function, measures, options, seed, common)
    command = COMMAND.get()
    client = command.client if command is not None and client is None else client
    how = {"client": client, "threads": threads, "on_error": on_error, "progress": progress}
    _check_how(**how)
    if command is not None:
        command.check(path)
    result = _run(begun(path, recipe, grid, replicas, piece), recipe, **how)
    if command is not None:
        command.scans.append(result)
    return result


def _check_how(client: Any, threads: int | None, on_error: str, progress: bool | None) -> None:
    _checks.choice("on_error", on_error, ON_ERROR)
    if progress is not None and not isinstance(progress, bool):
        raise TypeError(f"progress = {_checks.shown(progress)}: must be True, False or None")
    if client is not None:
        from .cluster import check_client

        check_client(client)


def _longer(
    scan: Scan, points: Any, replicas: int | None, *, client: Any = None, threads: int | None = None,
    on_error: str = "record", progress: bool | None = None,
) -> Scan:  # fmt: skip
    """Do what `Scan.extend` says."""
    how = {"client": client, "threads": threads, "on_error": on_error, "progress": progress}
    _check_how(**how)
    grid, most = scan.points, scan.replicas
    if points is not None:
        function = scan.recipe.function if not grid.product else None
        grid = grid.extended(points_of(points, function))
    if replicas is not None:
        most = _checks.integer("replicas", replicas, 1, 2**32 - 1)
        if most < scan.replicas:
            raise ValueError(f"replicas = {most}: must be at least the {scan.replicas} that the scan has")
    table = lengthened(scan.table, scan.recipe, grid, most)
    return _run(table, scan.recipe, **how)


def _run(table: Table, recipe: Recipe, client: Any, threads: int | None, on_error: str, progress: bool | None) -> Scan:
    """Do all that is left."""
    arrays = table.arrays
    with closing(arrays) if isinstance(arrays, ZarrArrays) else closing(_Nothing()):
        label_store(table)
        runner = Runner(recipe, table.points, threads)
        done = Scan(table, about(recipe), recipe, None, _longer)
        if on_error == "raise":
            _raise_first(table)
        bar, said = Bar(table.left, progress, "replica"), 0.0
        try:
            with closing(_found(table, runner, client)) as found:
                for task, outcomes in found:
                    table.write(task, outcomes)
                    if on_error == "raise":
                        _raise_first(table)
                    bar.update(sum(job.count for job, _ in outcomes))
                    if time.monotonic() - said > SAID:
                        bar.tell(lambda: _told(table))
                        said = time.monotonic()
        finally:
            bar.close()
            label_store(table)
        done.continuous = _continuous(table, runner)
        if done.continuous is not None:
            label_times(table, done.continuous)
    if table.failures:
        place, why = min(table.failures.items())
        warnings.warn(
            f"{len(table.failures)} of {table.points.size} points failed, the first of them "
            f"{table.points.parameters(place)}: {why} (Scan.failures lists them)", RuntimeWarning, stacklevel=3,
        )  # fmt: skip
    return done


class _Nothing:
    def close(self) -> None:
        pass


def _found(table: Table, runner: Runner, client: Any) -> Generator[Found, None, None]:
    """Yield what is found, here or on a cluster."""
    if client is None:
        return run_here(table.tasks(), runner, table.layout.replicas)
    from .cluster import run_there

    return run_there(client, table.tasks(), runner)


def _told(table: Table) -> str:
    return f"{int(table.done.sum())} of {table.points.size} points, {len(table.failures)} failed"


def _raise_first(table: Table) -> None:
    if table.failures:
        place, why = min(table.failures.items())
        raise ValueError(f"point {table.points.parameters(place)} cannot be run: {why}")


def _continuous(table: Table, runner: Runner) -> bool | None:
    """Whether times are those of a process in continuous time; None if no point was run."""
    for at in np.argwhere((table.status > 0).any(axis=-1))[:1]:
        return runner.recipe.process(table.points.parameters(tuple(map(int, at)))).continuous
    return None
