"""What the Laguerre and the Jacobi process share: levels between walls, in coordinates where the noise is additive."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from .. import _checks
from .base import Process

__all__ = ["MOST_DEGREES", "Confined"]

MOST_DEGREES = 1e12  # beta, rows, exponents: beyond, the spread of levels is no longer told from none


class Confined(Process):
    """Subclasses are frozen dataclasses with the attributes below."""

    continuous: ClassVar[bool] = True
    own_units = True
    coordinate: ClassVar[str] = "singular_values"  # type: ignore[misc]
    top: ClassVar[float]  # largest level that there can be
    beta: float
    noise: float
    initial: Any
    dt: float | None

    def _check(self) -> None:
        """Validate what both have."""
        if self.n is None and self.initial is None:
            raise ValueError("n is missing: give n, or initial levels")
        shape = () if self.initial is None else _checks.shape_of("initial", self.initial)
        n = _checks.integer("n", shape[-1] if self.n is None and shape else self.n, 1, most=_checks.MOST_LEVELS)
        initial = _checks.levels("initial", self.initial, n)
        if initial is not None and (initial.min() < 0 or initial.max() > self.top):
            worst = initial.min() if initial.min() < 0 else initial.max()
            allowed = ">= 0" if self.top == math.inf else f"from 0 to {self.top:g}"
            raise ValueError(f"initial: levels must be {allowed}, one is {float(worst)!r}")
        self._set(
            n=n,
            initial=initial,
            beta=_checks.real("beta", self.beta, above=0, below=MOST_DEGREES),
            noise=_checks.real("noise", self.noise, above=0),
            dt=None if self.dt is None else _checks.real("dt", self.dt, above=0),
        )

    def start(self, replicas: int, seed: int, first: int = 0) -> np.ndarray:
        """Return the initial levels in the coordinates of the kernel."""
        levels = np.zeros(self.n) if self.initial is None else self.initial
        return _checks.for_replicas(self._to_state(levels), replicas, first)

    def _to_state(self, levels: np.ndarray) -> np.ndarray:
        raise NotImplementedError
