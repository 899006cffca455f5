"""What laws of long-range statistics share: curves over a length or a time, for spectra of unit density."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .. import _checks
from ._numerics import LARGEST
from .standard import one_of

BETAS = (0, 1, 2, 4)


@dataclass(frozen=True)
class CurveLaw(ABC):
    """A curve that random matrix theory predicts for infinitely many levels of unit density, at any length or time.

    A subclass states what it is of (`statistic`, the name that `dysonsim` gives to the measured curve), the name of its
    argument and its values.
    """

    beta: int = 1

    statistic: ClassVar[str] = ""
    symbol: ClassVar[str] = ""
    _argument: ClassVar[str] = "lengths"

    def __post_init__(self) -> None:
        """Check beta."""
        object.__setattr__(self, "beta", one_of("beta", self.beta, BETAS))

    @property
    def parameters(self) -> dict[str, Any]:
        """Name and value of every parameter."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __call__(self, x: ArrayLike) -> Any:
        """Return the values at x >= 0, of any shape; a number gives a float.

        Raises
        ------
        TypeError, ValueError
            For what is not real, not finite, negative or larger than 1e100.
        """
        return self._evaluated(_checks.array(self._argument, x, "numbers >= 0", empty=True))

    def _evaluated(self, points: np.ndarray) -> Any:
        wrong = (points < 0) | (points > LARGEST)
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(
                f"{self._argument}{_checks.place(where)} = {points[where]:g}: must be from 0 to {LARGEST:g}"
            )
        with np.errstate(all="ignore"):
            result = self._values(points.ravel()).reshape(points.shape)
        return float(result) if points.ndim == 0 else result

    @abstractmethod
    def _values(self, x: np.ndarray) -> np.ndarray:
        """Return the values at x (k,) >= 0."""
