"""The random inputs of an update, by name: for a trace, and for stacks with the very numbers of the kernel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ... import _checks
from ...backend import Kernel, Program, driver
from ...kernels.common import rng
from ...kernels.traced import step
from ...kernels.traced.nodes import Trace
from .errors import fail
from .notation import Shape
from .stacks import Stack
from .symbols import Symbol

__all__ = ["Noise", "StackNoise", "SymbolicNoise"]

MOST = 10**6  # numbers of one input of one network


class Noise(ABC):
    """What an update draws anew at every step, independent for every network and every call.

    Every method gives standard normals: the update scales them.
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self._calls: dict[int, int] = {}
        self._lengths = 0

    def normal(self, shape: int | Shape = ()) -> Any:
        """Draw independent standard normals: a number, a vector of `shape` entries, or a matrix (rows, columns)."""
        return self._normals(self._shape(shape), self._stream(rng.GRADIENT_NOISE), False)

    def symmetric(self, shape: int | Shape) -> Any:
        """Draw a symmetric matrix, of variance 1 off and 2 on the diagonal; shape: n or (n, n)."""
        n, m = self._shape((shape, shape) if not isinstance(shape, tuple) else shape, 2)
        if n != m:
            fail(ValueError, f"noise.symmetric({shape}): must be of a square matrix; noise.normal is of any shape")
        return self._symmetric(n, self._stream(rng.GRADIENT_NOISE))

    def samples(self, n: int) -> Any:
        """Draw the inputs of a batch, (batch_size, n): independent standard normals, a row for each sample."""
        return self._normals((self.batch_size, *self._shape(n, 1)), self._stream(rng.DATA), True)

    def label(self, n: int | None = None) -> Any:
        """Draw the label noise of a batch, (batch_size, n): independent standard normals. Without n, a vector."""
        (columns,) = self._shape(1 if n is None else n, 1)
        noise = self._normals((self.batch_size, columns), self._stream(rng.LABEL_NOISE), True)
        return noise[:, 0] if n is None else noise

    def second_moment(self, n: int, labels: int | None = None) -> Any:
        """Draw the mean of x x^T over a batch, x ~ N(0, 1), (n, n); with `labels` that of y x^T as well, (labels, n).

        y are `labels` independent normals for each sample. A batch of n or more samples is not drawn one by one: the
        mean is a Wishart matrix, which Bartlett's decomposition draws at once, of the same law.
        """
        (n,) = self._shape(n, 1)
        (q,) = (0,) if labels is None else self._shape(labels, 1)
        share = 1.0 / self.batch_size
        if self.batch_size < n:
            x = self.samples(n)
            c = (x.T @ x) * share
            return c if labels is None else (c, (self.label(q).T @ x) * share)
        first, self._lengths = self._lengths, self._lengths + n
        both = self._wishart(n, q, first, self._stream(rng.DATA))
        c = both[:n] * share
        return c if labels is None else (c, both[n:] * share)

    def _shape(self, given: Any, axes: int | None = None) -> Shape:
        sizes = given if isinstance(given, tuple) else (given,)
        if len(sizes) > 2 or (axes is not None and len(sizes) != axes):
            wanted = {1: "one number", 2: "n or (n, n)"}.get(axes or 0, "(), n or (rows, columns)")
            fail(ValueError, f"noise of shape {_checks.shown(given)}: must be {wanted}")
        try:
            shape = tuple(_checks.integer("a size of noise", size, 1, MOST) for size in sizes)
        except (TypeError, ValueError) as error:
            fail(type(error), str(error))
        if np.prod(shape, dtype=float) > MOST:
            fail(ValueError, f"noise of shape {shape}: at most {MOST} numbers of a network")
        return shape

    def _stream(self, purpose: int) -> int:
        """Return a stream of its own for each call in an update."""
        call = self._calls.get(purpose, 0)
        self._calls[purpose] = call + 1
        return purpose + rng.STRIDE * call

    @abstractmethod
    def _normals(self, shape: Shape, stream: int, batch: bool) -> Any:
        """Take draws 0, 1, ... of a stream, row by row."""

    @abstractmethod
    def _symmetric(self, n: int, stream: int) -> Any:
        """Draw the same, by rows from the diagonal on."""

    @abstractmethod
    def _wishart(self, n: int, q: int, first: int, stream: int) -> Any:
        """Draw the sum of x x^T, and below it of y x^T, (n + q, n)."""

    def __getattr__(self, name: str) -> Any:
        """Refuse what there is not, by name."""
        if name.startswith("_"):
            raise AttributeError(name)
        fail(AttributeError, f"noise.{name} is not known: there are normal, symmetric, samples, label, second_moment")


class SymbolicNoise(Noise):
    """Nodes of a trace."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace.batch_size)
        self._trace = trace

    def _drawn(self, shape: Shape, *data: Any, batch: bool = False) -> Symbol:
        return Symbol(self._trace, self._trace.add("draw", shape, data=data, batch=batch))

    def _normals(self, shape: Shape, stream: int, batch: bool) -> Symbol:
        return self._drawn(shape, "normals", stream, batch=batch)

    def _symmetric(self, n: int, stream: int) -> Symbol:
        return self._drawn((n, n), "symmetric", stream)

    def _wishart(self, n: int, q: int, first: int, stream: int) -> Symbol:
        return self._drawn((n + q, n), "wishart", stream, n, q, first)


class Draws:
    """Random inputs of networks of one seed, from the compiled generator of a device."""

    def __init__(self, device: str, dtype: str, networks: int, first_replica: int, seed: int) -> None:
        self.device, self.dtype = device, dtype
        self.networks, self.first_replica, self.seed = networks, first_replica, seed
        self.programs: dict[tuple[int, ...], tuple[Program, int]] = {}

    def __call__(self, kernel: tuple[int, ...], at: int) -> np.ndarray:
        """Numbers (networks, count) of step `at`; kernel: (blocks, stream), or (batch, stream, n, q, first)."""
        if kernel not in self.programs:
            made = normals_kernel(*kernel) if len(kernel) == 2 else wishart_kernel(*kernel)
            self.programs[kernel] = driver(self.device).prepare(made, self.dtype), made.weights
        program, count = self.programs[kernel]
        ensemble = program.open(np.zeros((self.networks, count)), self.first_replica, self.seed)
        ensemble.advance(at, 1)
        return ensemble.state()


def normals_kernel(blocks: int, stream: int) -> Kernel:
    return Kernel(step.build_normals, {}, np.zeros(1), np.array([blocks, stream]), weights=4 * blocks)


def wishart_kernel(batch: int, stream: int, n: int, q: int, first: int) -> Kernel:
    count = n * n + 4 * -(-(n * (n - 1) // 2 + q * n) // 4)
    sizes = {"n": n, "q": q, "first": first}
    return Kernel(step.build_wishart, sizes, np.zeros(1), np.array([batch, stream]), count, scratch=(n + q) * n)


class StackNoise(Noise):
    """Stacks of numbers, those of the kernel at one step."""

    def __init__(self, batch_size: int, draws: Draws, at: int) -> None:
        super().__init__(batch_size)
        self._draws, self._at = draws, at

    def _stack(self, numbers: np.ndarray) -> Stack:
        return Stack(numbers, np.dtype(self._draws.dtype))

    def _some(self, count: int, stream: int) -> np.ndarray:
        return self._draws((-(-count // 4), stream), self._at)[:, :count]

    def _normals(self, shape: Shape, stream: int, batch: bool) -> Stack:
        count = int(np.prod(shape, dtype=int))
        return self._stack(self._some(count, stream).reshape(-1, *shape))

    def _symmetric(self, n: int, stream: int) -> Stack:
        z = self._some(n * (n + 1) // 2, stream)
        rows, columns = np.triu_indices(n)
        out = np.empty((len(z), n, n), z.dtype)
        out[:, rows, columns] = z
        out[:, columns, rows] = z
        out[:, np.arange(n), np.arange(n)] *= z.dtype.type(2**0.5)
        return self._stack(out)

    def _wishart(self, n: int, q: int, first: int, stream: int) -> Stack:
        numbers = self._draws((self.batch_size, stream, n, q, first), self._at)
        factor, labels = numbers[:, : n * n].reshape(-1, n, n), numbers[:, n * n + n * (n - 1) // 2 :]
        c = factor @ factor.swapaxes(1, 2)
        h = labels[:, : q * n].reshape(len(labels), q, n) @ factor.swapaxes(1, 2)
        return self._stack(np.concatenate([c, h], axis=1))
