"""Run the tasks of a scan on a Dask cluster.

Workers simulate and measure; what they found comes back to the client, which alone writes. So the store needs to be
within reach of the client only, and is the same whatever happens to workers, scheduler or client.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import islice
from typing import Any

from .._checks import shown
from .._extras import needs
from .._patience import quiet
from ..processes import Process
from .local import Found, Runner, merged
from .lock import Locked, LockFile
from .pieces import Job, Task
from .recipe import Outcome, Recipe

__all__ = ["check_client", "run_there"]

AHEAD = 2  # tasks for each thread of the cluster: one that runs and one that waits
BUDGET = 10.0  # seconds after which a worker sends what it has, and the rest of its jobs come back
WORTH = 2.0  # seconds that a task should take: pieces that are done faster are joined
POLL = 0.03  # seconds between two looks at what has come
RECOUNT = 5.0  # seconds after which workers are counted again
GONE = 60.0  # seconds that a scheduler may be away
LOST = 5  # times that a task may have been lost with a worker

COMPILING = 300.0  # seconds to wait for another process that compiles the same

_mine = threading.local()
_READY: set[bytes] = set()  # kinds of kernels that this process has made ready


def check_client(client: Any) -> None:
    """TypeError or ValueError for what is no client that can be used."""
    distributed = needs("distributed", "scan", "client")
    if not isinstance(client, distributed.Client):
        raise TypeError(f"client = {shown(client)}: must be a dask.distributed.Client")
    if client.asynchronous:
        raise ValueError("client: is asynchronous; must be made without asynchronous=True")
    if client.status != "running":
        raise ValueError(f"client: is {client.status}; must be connected to a scheduler")


def run_there(client: Any, tasks: Iterable[Task], runner: Runner) -> Generator[Found, None, None]:
    """Yield what the jobs of tasks give, as it comes.

    Raises
    ------
    TypeError
        If functions cannot be sent to other processes.
    ConnectionError
        If the scheduler has been gone for a minute.
    """
    sent = _packed(Runner(runner.recipe, runner.points, runner.threads or 1))
    cluster = _Cluster(client, sent)
    speed = _Speed()
    waiting = merged(tasks, lambda: speed.worth)
    again: deque[tuple[Task, int]] = deque()  # tasks that were lost, and how often
    running: dict[Any, tuple[Task, int]] = {}
    try:
        while True:
            room = max(0, AHEAD * cluster.threads() - len(running))
            chosen = _first(again, room)
            chosen += [(task, 0) for task in islice(waiting, room - len(chosen))]
            for task, lost in chosen:
                running[cluster.submit(task)] = task, lost
            if not running:
                return
            for future in [future for future in running if future.status != "pending"]:
                task, lost = running.pop(future)
                found, seconds = cluster.result(future, task, lost)
                if found is None:
                    again.append((task, lost + 1))
                    continue
                speed.saw(task, found, seconds)
                if len(found) < len(task.jobs):
                    again.append((Task(task.block, task.jobs[len(found) :]), 0))
                if found:
                    yield task, found
            time.sleep(POLL)
    finally:
        cluster.forget(list(running))


def _first(queue: deque, count: int) -> list:
    return [queue.popleft() for _ in range(min(count, len(queue)))]


class _Speed:
    """How many replicas of a heavy point make a task."""

    def __init__(self) -> None:
        self.worth = 0

    def saw(self, task: Task, found: list[tuple[Job, Outcome]], seconds: float) -> None:
        if len(task.jobs) == 1 and found and not found[0][1].failure:
            self.worth = int(task.replicas * min(WORTH / max(seconds, 1e-3), 4.0))


class _Cluster:
    """A client, what every worker needs, and what is done when connections break."""

    def __init__(self, client: Any, sent: bytes) -> None:
        self.client, self.sent = client, sent
        self.counted, self.count, self.spec = 0.0, 1, None

    def threads(self) -> int:
        """Threads of all workers, 1 if there is none yet."""
        if time.monotonic() - self.counted > RECOUNT:
            self.counted = time.monotonic()
            with suppress(OSError, TimeoutError):  # the scheduler is away; submitting will tell
                self.count = max(1, sum(self.client.nthreads().values()))
        return self.count

    def submit(self, task: Task) -> Any:
        """Send a task, and with the first one what all need, which Dask hands on from worker to worker."""
        if self.spec is None or self.spec.status not in ("finished", "pending"):
            self.spec = self.client.submit(bytes, self.sent, pure=False)
        return self.client.submit(_work, self.spec, task, pure=False)

    def result(self, future: Any, task: Task, lost: int) -> tuple[list[tuple[Job, Outcome]] | None, float]:
        """Return what a task found and how long it took; None if it was lost and must be run again."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        try:
            return future.result(timeout=GONE)
        except KilledWorker:
            if lost + 1 >= LOST:
                raise
        except (CancelledError, TimeoutError, OSError) as error:
            if isinstance(error, OSError) and future.status == "error" and not _of_connection(error):
                raise  # the task's own
            self._reconnect()
            if lost + 1 >= LOST:
                raise ConnectionError(f"client: a task was lost {LOST} times ({error}); {_ON}") from error
        finally:
            future.release()
        return None, 0.0

    def _reconnect(self) -> None:
        """Wait until there is a scheduler again."""
        self.spec = None
        began = time.monotonic()
        while self.client.status != "running":
            if self.client.status == "closed" or time.monotonic() - began > GONE:
                raise ConnectionError(f"client: the scheduler {self.client.scheduler_info} is gone; {_ON}")
            time.sleep(0.1)

    def forget(self, futures: list[Any]) -> None:
        """Let go of what is still running."""
        with suppress(Exception):  # of any kind: the scheduler may be gone
            self.client.cancel(futures)


_ON = "what has been written stays, the same call with the same path goes on from there"


def _of_connection(error: OSError) -> bool:
    return type(error).__module__.startswith("distributed")


def _packed(runner: Runner) -> bytes:
    import cloudpickle

    try:
        return cloudpickle.dumps(runner)
    except Exception as error:  # of many kinds
        raise TypeError(
            f"function and measure must be such that they can be sent to workers: {type(error).__name__}: {error}"
        ) from error


@lru_cache(maxsize=4)
def _unpacked(sent: bytes) -> Runner:
    import pickle

    return pickle.loads(sent)


def compile_once(process: Process, recipe: Recipe) -> None:
    """Make kernels ready, one process of this machine at a time: the others then find them on disk."""
    device, dtype = recipe.options["device"], recipe.options["dtype"]
    try:
        kernel = process.built(device)
        kind = hashlib.sha256(repr((type(process).__name__, device, dtype, sorted(kernel.sizes.items()))).encode())
        if kind.digest() in _READY:
            return
        path = os.path.join(tempfile.gettempdir(), f"dysonsim-{getpass.getuser()}-{kind.hexdigest()[:16]}")
        with _one_at_a_time(path), quiet(True):
            process.prepare(device, dtype, 1)
        _READY.add(kind.digest())
    except Exception:  # of any kind: `simulate` will tell, where it is told from
        return


@contextmanager
def _one_at_a_time(path: str) -> Iterator[None]:
    began, lock = time.monotonic(), None
    while lock is None and time.monotonic() - began < COMPILING:
        try:
            lock = LockFile(path)
        except Locked:
            time.sleep(0.05)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _work(sent: bytes, task: Task) -> tuple[list[tuple[Job, Outcome]], float]:
    """On a worker: run jobs until its time is over."""
    shared = _unpacked(sent)
    if getattr(_mine, "of", None) is not shared:  # of each thread
        _mine.of, _mine.runner = shared, Runner(shared.recipe, shared.points, shared.threads, compile_once)
    began, found = time.perf_counter(), []
    for job in task.jobs:
        found.append((job, _mine.runner(job)))
        if time.perf_counter() - began > BUDGET:
            break
    return found, time.perf_counter() - began
