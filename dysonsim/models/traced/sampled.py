"""Steps of an update from one state with random inputs by NumPy: their mean, covariance and derivatives.

Networks come in pairs with the same data and opposite labels and gradient noises, whose laws are symmetric: what is odd
in them cancels in means.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels.common import rng
from .noise import Noise
from .notation import Matrix, Shape
from .stacks import Stack
from .tangents import Tangent
from .update import Layout, layout_of, updated

__all__ = ["Steps"]

REAL = np.dtype(np.float64)
AT_ONCE = 2**21  # numbers of one matrix of all networks and directions that are worked out together, roughly


class SampledNoise(Noise):
    """Random inputs of `networks` networks, an even number, from a NumPy generator; `made` wraps them."""

    def __init__(
        self, batch_size: int, networks: int, generator: np.random.Generator, made: Callable[[Stack], Any]
    ) -> None:
        super().__init__(batch_size)
        self._half, self._generator, self._made = networks // 2, generator, made

    def _pairs(self, half: np.ndarray, stream: int) -> np.ndarray:
        sign = 1 if stream % rng.STRIDE == rng.DATA else -1
        return np.concatenate([half, sign * half])

    def _normals(self, shape: Shape, stream: int, batch: bool) -> Any:
        half = self._generator.standard_normal((self._half, *shape))
        return self._made(Stack(self._pairs(half, stream), REAL))

    def _symmetric(self, n: int, stream: int) -> Any:
        z = self._generator.standard_normal((self._half, n, n))
        return self._made(Stack(self._pairs((z + z.swapaxes(1, 2)) / math.sqrt(2), stream), REAL))

    def _wishart(self, n: int, q: int, first: int, stream: int) -> Any:
        factor = np.tril(self._generator.standard_normal((self._half, n, n)), -1)
        degrees = self.batch_size - np.arange(n)
        factor[:, np.arange(n), np.arange(n)] = np.sqrt(self._generator.chisquare(degrees, (self._half, n)))
        c = factor @ factor.swapaxes(1, 2)
        h = self._generator.standard_normal((self._half, q, n)) @ factor.swapaxes(1, 2)
        both = np.concatenate([np.concatenate([c, h], axis=1), np.concatenate([c, -h], axis=1)])
        return self._made(Stack(both, REAL))


@dataclass(frozen=True)
class Steps:
    """Steps of the update of a model at one learning rate and batch size; `seed` chooses the random inputs."""

    model: Any
    rate: float
    batch: int
    seed: int

    @property
    def layout(self) -> Layout:
        """How the state is made of matrices."""
        return layout_of(self.model)

    def _pieces(self, count: int, directions: int) -> Iterator[tuple[int, np.random.Generator]]:
        """Even numbers of networks, `count` together, each with a generator of its own."""
        most = AT_ONCE // (self.batch * self.layout.size * directions) // 2 * 2
        size = max(2, min(most, count))
        for piece, first in enumerate(range(0, count, size)):
            yield min(size, count - first), np.random.default_rng([self.seed, piece])

    def values(self, state: np.ndarray, count: int) -> Iterator[np.ndarray]:
        """Yield states (networks, size) after a step from `state`, of `count` networks in pieces."""
        for networks, generator in self._pieces(count, 1):
            noise = SampledNoise(self.batch, networks, generator, lambda stack: stack)
            given: dict[str, Matrix] = {k: Stack(v, REAL) for k, v in self.layout.cut(state[None]).items()}
            found = updated(self.model, self.layout, given, noise, self.rate, self.batch)
            yield self._joined({n: m.numbers for n, m in zip(self.layout.names, found, strict=True)}, networks)

    def slopes(self, state: np.ndarray, count: int) -> Iterator[np.ndarray]:
        """Yield derivatives (networks, size, size) of the state after a step by that before."""
        layout, size = self.layout, self.layout.size
        one = np.eye(size)
        for networks, generator in self._pieces(count, size):
            noise = SampledNoise(self.batch, networks, generator, Tangent)
            values, directions = layout.cut(state[None]), layout.cut(one)
            given: dict[str, Matrix] = {
                name: Tangent(Stack(values[name], REAL), directions[name][:, None]) for name in layout.names
            }
            found = updated(self.model, layout, given, noise, self.rate, self.batch)
            out = np.zeros((networks, size, size))
            for name, matrix in zip(layout.names, found, strict=True):
                if matrix.slopes is None:
                    continue
                slopes = np.broadcast_to(matrix.slopes, (size, networks, *matrix.shape)).reshape(size, networks, -1)
                begin = layout.places[name]
                out[:, begin : begin + slopes.shape[2]] = slopes.transpose(1, 2, 0)
            yield out

    def _joined(self, matrices: dict[str, np.ndarray], networks: int) -> np.ndarray:
        out = np.empty((networks, self.layout.size))
        for name, numbers in matrices.items():
            begin, flat = self.layout.places[name], numbers.reshape(len(numbers), -1)
            out[:, begin : begin + flat.shape[1]] = flat
        return out

    def mean(self, state: np.ndarray, count: int) -> np.ndarray:
        """Mean of the state after a step."""
        return np.asarray(sum(values.sum(axis=0) for values in self.values(state, count)) / count)
