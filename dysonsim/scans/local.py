"""Run the tasks of a scan here, one after the other, each over all threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..processes import Process
from .pieces import Job, Task
from .points import Points, Value
from .recipe import FAILURES, Outcome, Recipe

__all__ = ["Found", "Runner", "merged", "run_here"]

Found = tuple[Task, list[tuple[Job, Outcome]]]
PATIENCE = 5.0  # seconds after which what light points gave is written, though more of their block is to come
WANTED = 10.0  # seconds of a call of `simulate`: pieces of a point are joined until they take so long
MOST_JOINED = 2**26  # recorded bytes of such a call


@dataclass
class Runner:
    """Runs jobs, and makes the process of a point once, however many pieces of it follow each other."""

    recipe: Recipe
    points: Points
    threads: int | None = None
    before: Callable[[Process, Recipe], None] | None = None  # called with every process that is made
    made: tuple[Any, Process | str] = field(default=(None, ""), init=False)

    def __call__(self, job: Job) -> Outcome:
        """Run a job and measure it."""
        parameters = self.points.parameters(job.place)
        if self.made[0] != job.place:
            self.made = job.place, self._process(parameters)
        process = self.made[1]
        if isinstance(process, str):
            return self.recipe.failed(process)
        return self.recipe.outcome(process, parameters, job.first, job.count, self.threads)

    def _process(self, parameters: Mapping[str, Value]) -> Process | str:
        try:
            process = self.recipe.process(parameters)
        except FAILURES as error:
            return f"{type(error).__name__}: {error}"
        if self.before is not None:
            self.before(process, self.recipe)
        return process


def merged(tasks: Iterable[Task], most: Callable[[], int]) -> Iterator[Task]:
    """Join tasks of one point whose pieces follow each other, up to ``most()`` replicas."""
    held: Task | None = None
    for task in tasks:
        if held is not None and _follows(held, task) and held.replicas + task.replicas <= most():
            job = held.jobs[0]
            held = Task(held.block, (Job(job.place, job.first, job.count + task.jobs[0].count),))
            continue
        if held is not None:
            yield held
        held = task
    if held is not None:
        yield held


def _follows(task: Task, other: Task) -> bool:
    if len(task.jobs) != 1 or len(other.jobs) != 1 or task.block != other.block:
        return False
    job, next_one = task.jobs[0], other.jobs[0]
    return job.place == next_one.place and job.first + job.count == next_one.first


def run_here(tasks: Iterable[Task], runner: Runner, piece: int) -> Generator[Found, None, None]:
    """Yield what the jobs of tasks give, light points some at a time.

    piece: replicas of one, which is all that is run in a call until it is known how long that takes.
    """
    most = piece

    for task in merged(tasks, lambda: most):
        found: list[tuple[Job, Outcome]] = []
        began = written = time.perf_counter()
        failed = False
        for job in task.jobs:
            outcome = runner(job)
            failed = failed or bool(outcome.failure)
            found.append((job, outcome))
            if time.perf_counter() - written > PATIENCE:
                yield task, found
                found, written = [], time.perf_counter()
        if found:
            yield task, found
        if len(task.jobs) == 1 and not failed:
            most = _most(task.replicas, time.perf_counter() - began, found)


def _most(replicas: int, seconds: float, found: list[tuple[Job, Outcome]]) -> int:
    """Return how many replicas the next call should have, by what this one took in time and memory."""
    size = sum(m.values.nbytes for _, outcome in found for m in outcome.measured.values()) / replicas
    return int(min(replicas * WANTED / max(seconds, 1e-6), MOST_JOINED / max(size, 1.0)))
