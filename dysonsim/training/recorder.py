"""`Watch`: the hooks that record while a model trains."""

from __future__ import annotations

import json
import math
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np

from .matrices import Matrix
from .optimizers import Steps, described
from .place import Place
from .recording import AFTER, HEAD, NOTE, RECORD, ROW, Recording
from .samples import Samples
from .step_hook import called_after_steps

__all__ = ["Watch"]

MOST = 0.05  # share of the processor time that recording may take before it is said
AIM = 0.03  # what is then recommended: steps between frequent records are slower, as caches are, than between rare ones
WARM_UP = 0.5  # seconds of processor time before that is judged
RECORDS = 3  # records before that is judged
# Seconds that recording costs beside what it sees of itself (benchmarks/recording.py): the steps after a record find
# other numbers in the caches than theirs, and every step calls a hook.
AFTERMATH, HOOK = 2e-4, 4e-6


class Watch:
    """What `watch` returns: on entering it the recording begins, on leaving it ends. To be entered once."""

    def __init__(
        self,
        matrices: list[Matrix],
        about: dict[str, Any],
        steps: Steps,
        samples: Samples,
        place: Place,
        on_record: Callable[[Recording], Any] | None,
    ) -> None:
        self.matrices, self.about, self.steps, self.samples = matrices, about, steps, samples
        self.place, self.on_record = place, on_record
        self.every, self.kicks = about["every"], about["kicks"]
        self.levels = [layer["levels"] for layer in about["layers"].values()]
        self.lock = threading.RLock()
        self.started = False
        self.seen = 0  # steps here, resumed ones not among them
        self.by_hand = False
        self.given: dict[str, float] = {}  # by rec.step()
        self.warned: set[str] = set()
        self.clock: Callable[[], float] = time.process_time
        self.began, self.spent, self.rows = 0.0, 0.0, 0

    def __enter__(self) -> Recording:
        if self.started:
            raise RuntimeError("watch: was entered before; call ds.watch again for another recording")
        self.started = True
        with ExitStack() as stack:
            self.recording, self.journal, self.step = self.place.open(self.about, self.matrices)
            stack.callback(self._close)
            self.recording._step = self._hand_step
            if self.step not in self.recording.steps and self.step % self.every == 0:
                self._write(RECORD, math.nan, [math.nan] * len(self.matrices))
            stack.callback(self.samples.stop)
            if self._is_looked_at(self.step + 1):
                self.samples.start()
            stack.callback(called_after_steps(self._optimizer_step))
            self.hooks = stack.pop_all()
        return self.recording

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self.hooks.close()
        if kind is None and not self.seen:
            self._warn(
                "steps",
                "no step was seen: if the loop moves the weights without a torch optimizer, call rec.step() after each "
                "step; otherwise see that the optimizer holds the parameters of this model",
            )

    def _close(self) -> None:
        self.recording._step = None
        if self.journal is not None:
            self.journal.close()

    def _warn(self, what: str, text: str) -> None:
        if what not in self.warned:
            self.warned.add(what)
            warnings.warn(f"ds.watch: {text}", RuntimeWarning, stacklevel=2)

    # Steps.

    def _optimizer_step(self, optimizer: Any, *_: Any) -> None:
        with self.lock:
            if not self.by_hand and self.steps.is_one(optimizer):
                self._advance(optimizer)

    def _hand_step(self, learning_rate: float | None, batch_size: int | None) -> None:
        with self.lock:
            if self.seen and not self.by_hand:
                raise RuntimeError(
                    "step: steps of an optimizer are counted already; rec.step() is for loops without one"
                )
            self.by_hand = True
            given = {"learning_rate": learning_rate, "batch_size": batch_size}
            self.given |= {name: float(value) for name, value in given.items() if value is not None}
            self._advance(None)

    def _advance(self, optimizer: Any) -> None:
        """One step was made."""
        self.seen += 1
        self.step += 1
        if self.seen == 1:
            self._start_clock()
        if self._is_looked_at(self.step):
            self._look(optimizer)
        if self._is_looked_at(self.step + 1):
            self.samples.start()
        else:
            self.samples.stop()

    def _look(self, optimizer: Any) -> None:
        """Note what there is to note about this step."""
        began = self.clock()
        batch = self.samples.take()
        if optimizer is None:
            batch = self.given.get("batch_size", batch)
            rates = [self.given.get("learning_rate", math.nan)] * len(self.matrices)
            about: dict[str, Any] = {"optimizer": None, "groups": [], "group": [None] * len(rates)}
        else:
            rates, about = described(optimizer, self.matrices)
        if math.isnan(batch):
            self._warn(
                "batch", "the batch size cannot be told, since the model was not called as usual; give batch_size="
            )
        notes = self.recording._notes
        if not notes or any(notes[-1][key] != value for key, value in about.items()):
            note = {"step": self.step, "learning_rate": rates, "batch_size": batch} | about
            notes.append(json.loads(self._append(NOTE, json.dumps(note).encode())))
        self.spent += self.clock() - began
        if self.step % self.every == 0:
            self._write(RECORD, batch, rates)
        elif self.kicks and self.step % self.every == 1:
            self._write(AFTER, batch, rates)

    def _is_looked_at(self, step: int) -> bool:
        """Whether there is something to note about a step: a record, the kick after one, the very first step."""
        return step % self.every < 1 + self.kicks or not self.recording._notes

    def _start_clock(self) -> None:
        """Measure from the first step on: what came before is start-up."""
        devices = {p.device.type for matrix in self.matrices for p in matrix.parameters()}
        self.clock = time.process_time if devices == {"cpu"} else time.perf_counter
        self.began, self.spent, self.rows = self.clock(), 0.0, 0

    # Rows.

    def _write(self, kind: float, batch: float, rates: list[float]) -> None:
        began = self.clock()
        row = np.empty(HEAD + len(rates) + sum(self.levels))
        row[:HEAD] = kind, self.step, batch
        at, broken = HEAD, ""
        for matrix, levels, rate in zip(self.matrices, self.levels, rates, strict=True):
            values = matrix.singular_values()
            row[at] = rate
            row[at + 1 : at + 1 + levels] = values[-levels:]
            at += 1 + levels
            if not math.isfinite(values[-1]):
                broken = broken or matrix.name
        self._append(ROW, row.astype("<f8", copy=False).tobytes())
        self.recording._add_row(row)
        self.spent += self.clock() - began
        self.rows += 1
        if broken:
            self._warn(
                "finite",
                f"weights of layer {broken!r} are not finite after step {self.step}: its row is NaN; training goes on",
            )
        self._judge()
        if kind == RECORD and self.on_record is not None:
            began = self.clock()
            self.on_record(self.recording)
            if self.seen:
                self.began += self.clock() - began

    def _append(self, kind: bytes, content: bytes) -> bytes:
        if self.journal is not None:
            try:
                self.journal.append(kind, content)
            except OSError as error:  # training is worth more than its recording
                self.journal.close()
                self.journal = None
                self._warn("file", f"{error} at step {self.step}: {self.place.path} ends here, rec goes on in memory")
        return content

    def _judge(self) -> None:
        """Measure what recording costs, and warn if that is too much."""
        if self.seen < 2:
            return
        total, unseen = self.clock() - self.began, AFTERMATH * self.rows + HOOK * self.seen
        cost = self.spent + unseen
        share = self.recording.overhead = cost / total if total > 0 else math.nan
        if total < WARM_UP or self.rows < RECORDS or share <= MOST or "time" in self.warned:
            return
        row = self.spent / self.rows + AFTERMATH
        step = max(total - cost, (total - self.spent) / 2) / (self.seen - 1)  # half is its own, whatever is unseen
        record, room = (2 * row if self.kicks else row), step / (1 / AIM - 1) - HOOK
        if room > 0:
            advice = f"every={max(self.every + 1, math.ceil(record / room))} would take less than {100 * MOST:.0f}%"
        else:
            advice = "steps are so short that counting them alone takes more than 5%"
        self._warn(
            "time",
            f"recording takes {100 * share:.0f}% of the time, {1e3 * row:.3g} ms for {1e3 * step:.3g} ms of a step; "
            f"{advice}",
        )
