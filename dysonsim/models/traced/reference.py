"""The reference: a model's update on NumPy stacks of all networks, with the random numbers of its kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...backend import STILL_WELL, Program
from ...kernels.traced.text import LIMIT
from ..optimizers.optimizer import PLAIN, Optimizer
from .noise import Draws, StackNoise
from .notation import Matrix
from .stacks import Stack
from .update import Layout, layout_of, updated

__all__ = ["program_of"]


@dataclass
class StackEnsemble:
    """Networks that an update moves together."""

    model: Any
    layout: Layout
    rate: float
    batch: int
    numbers: np.ndarray
    draws: Draws
    marks: np.ndarray
    optimizer: Optimizer

    def set_reals(self, reals: np.ndarray) -> None:
        raise NotImplementedError("an update has no constants to change")

    def advance(self, first: int, count: int) -> None:
        for at in range(first, first + count):
            self._mark(at)
            self._step(at)
        self._mark(first + count)

    def _mark(self, at: int) -> None:
        """Note which networks have run away before step `at`."""
        with np.errstate(all="ignore"):
            weights = self.numbers[:, : self.layout.weights].astype(np.float64)
            ill = ~((weights**2).sum(axis=1) < LIMIT)
        self.marks[ill & (self.marks == STILL_WELL)] = at

    def _step(self, at: int) -> None:
        kind, own, weights = self.numbers.dtype, self.layout.size, self.layout.weights
        state: dict[str, Matrix] = {
            name: Stack(numbers, kind) for name, numbers in self.layout.cut(self.numbers.copy()).items()
        }
        period = self.model.period(self.batch)
        noise = StackNoise(self.batch, self.draws, at % period if period else at)
        found = updated(self.model, self.layout, state, noise, self.rate, self.batch)
        new = np.empty_like(self.numbers)
        for name, matrix in zip(self.layout.names, found, strict=True):
            numbers: np.ndarray = matrix.numbers  # type: ignore[attr-defined]
            begin = self.layout.places[name]
            new[:, begin : begin + matrix.size] = numbers.reshape(len(numbers), -1)
        if not self.optimizer.plain:
            before, after, memory = self.numbers[:, :weights], new[:, :weights], self.numbers[:, own:]
            new[:, :weights], new[:, own:] = self.optimizer.moved(before, after, memory, self.rate)
        self.numbers = new

    def state(self) -> np.ndarray:
        return self.numbers

    def left(self) -> np.ndarray:
        return self.marks


def program_of(
    model: Any, rates: tuple[float, int], dtype: str, device: str = "cpu", optimizer: Optimizer = PLAIN
) -> Program:
    """Return the reference, ready to open ensembles; `device` draws the random numbers; rates: alpha and |B|."""
    layout = layout_of(model)

    def open_ensemble(start: np.ndarray, first_replica: int, seed: int) -> StackEnsemble:
        numbers = np.array(start, dtype)
        draws = Draws(device, dtype, len(numbers), first_replica, seed)
        marks = np.full(len(numbers), STILL_WELL, np.uint32)
        return StackEnsemble(model, layout, *rates, numbers, draws, marks, optimizer)

    return Program(open_ensemble, width=1, unit=2**40, parallel=False, looks_ahead=True)
