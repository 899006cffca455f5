"""What is to be run: a `Kernel`, made by a driver into a `Program`, which opens an `Ensemble` and advances it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

STILL_WELL = np.uint32(0xFFFFFFFF)  # in `left`: this network never left its domain


def split_seed(seed: int) -> tuple[np.uint32, np.uint32]:
    """Make the generator's key from a 64-bit seed."""
    return np.uint32(seed & 0xFFFFFFFF), np.uint32(seed >> 32)


@dataclass(frozen=True)
class Kernel:
    """What a driver must know to run a process: its code, its sizes and its constants.

    Parameters
    ----------
    build : callable
        ``build(lanes, **sizes)`` returns the function that does one step.
    sizes : dict
        What is fixed when compiling; every combination is compiled once and cached on disk.
    reals, integers : 1-D arrays
        Constants that may change without compiling again, the same for all networks.
    weights : int
        How many numbers of a network's state are its weights; they come first.
    extra : array
        Start values of the rest of the state (persistent chains, say), in C order.
    scratch : int
        How many further numbers a step needs to work with, per network.
    vectors : float
        On a CPU, how many times the usual number of networks share a lane value: a power of two. More than one pays for
        kernels that wait for each number to make the next, as long as their numbers stay in the cache; 1/2 for
        matrices that do not.
    whole : bool
        A step advances one network in plain arrays, with BLAS, instead of a block of lanes: on a CPU, for large ones.
    registers : bool
        Whether a GPU's compiler holds state and scratch in registers, if they are few: it must know every index, and
        few numbers must be needed at once. `ptxas -v` tells (tests/backend/test_backend.py).
    matrix : (int, int), optional
        Rows and columns of the matrices that a step multiplies, if a team of a GPU's threads may share a network: its
        text then gives each `member` a share of every loop and brings them `together` after it.
    work : float
        Roughly how many multiply-adds a step of one network takes, where they may be more than a million: what runs
        between two looks at Ctrl-C is made short by it.
    basis : (columns, columns) array, optional
        Orthogonal; the weights are kept as W basis.

    Raises
    ------
    TypeError, ValueError
        If sizes are no sizes, or constants no one-dimensional real numbers. That a step stays within them is checked
        when a kernel from outside dysonsim is prepared (`plain.check_kernel`); it is told apart from others by its code
        and what it captures.
    """

    build: Callable[..., Callable[..., Any]]
    sizes: dict[str, Any]
    reals: np.ndarray
    integers: np.ndarray
    weights: int
    extra: np.ndarray = field(default_factory=lambda: np.empty(0))
    scratch: int = 1
    vectors: float = 1
    whole: bool = False
    registers: bool = False
    matrix: tuple[int, int] | None = None
    work: float = 0.0
    basis: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check the fields, which may be a user's: ValueError."""
        whole = lambda x: isinstance(x, (int, np.integer)) and not isinstance(x, bool)  # noqa: E731
        for name, least in (("weights", 1), ("scratch", 0)):
            if not whole(getattr(self, name)) or getattr(self, name) < least:
                raise ValueError(f"Kernel: {name} = {getattr(self, name)!r}: must be an integer >= {least}")
        if (
            not isinstance(self.vectors, (int, float))
            or not 0 < self.vectors < math.inf
            or (math.frexp(self.vectors)[0] != 0.5)
        ):
            raise ValueError(f"Kernel: vectors = {self.vectors!r}: must be a power of two, 1 for most kernels")
        for name in ("reals", "integers", "extra"):
            array = np.asarray(getattr(self, name))
            flat = name == "extra" or array.ndim == 1
            if not flat or array.dtype.kind not in "iuf":
                wanted = "an array" if name == "extra" else "a one-dimensional array"
                raise TypeError(
                    f"Kernel: {name} has shape {array.shape} of {array.dtype}: must be {wanted} of real numbers"
                )
        integers = np.asarray(self.integers)
        if not (np.abs(integers) < 2.0**63).all() or (integers % 1 != 0).any():
            raise ValueError("Kernel: integers must be whole numbers that fit into 64 bits")

    @property
    def state(self) -> int:
        """Numbers of one network that a step carries to the next."""
        return self.weights + self.extra.size


class Ensemble(Protocol):
    """Networks that advance together."""

    def set_reals(self, reals: np.ndarray) -> None:
        """Other constants from the next step on."""

    def advance(self, first: int, count: int) -> None:
        """Do steps number first, ..., first + count - 1."""

    def state(self) -> np.ndarray:
        """(networks, kernel.state): weights first."""

    def left(self) -> np.ndarray:
        """(networks,) the step at which a network left its domain, STILL_WELL where it did not."""


@dataclass(frozen=True)
class Program:
    """A kernel compiled for one device and float type.

    `open(start, first_replica, seed)` makes an ensemble from start values (networks, kernel.state).
    """

    open: Callable[[np.ndarray, int, int], Ensemble]
    width: int  # networks in a block
    unit: int  # blocks that one ensemble should hold
    parallel: bool = True  # whether several ensembles gain from running at once, on threads
    looks_ahead: bool = False  # whether `left` tells of the state after the last step, whatever its kernel looks at
    while_running: Callable[[], AbstractContextManager[Any]] = nullcontext  # what must hold while ensembles advance


class Driver(Protocol):
    """A device."""

    name: str

    def prepare(self, kernel: Kernel, dtype: str) -> Program:
        """Compile, or load from the cache."""
