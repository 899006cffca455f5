"""The Numba layer: what moves the state of a network by one step, written once for every target.

A kernel file has one function `build(lanes, ...)` that returns `step(state, scratch, reals, integers, step, replica,
key0, key1) -> mask`. It advances the networks of all lanes by one step and returns a mask that is true where the
network is still well. `lanes` holds the target's functions (see `dysonsim.backend`). The rules that keep one text
running on every target: flat arrays, no allocation, no numpy-array arithmetic, no np.random, no laws.

What a kernel of one's own needs is here (CONTRIBUTING.md has one; a model needs none if it states its `update`):

- `Kernel`: what a model's `kernel` returns, the build function with its sizes, constants and working space;
- `rng`: ``rng.build(lanes)``, counter-based random numbers, and the numbers of the streams (`rng.GRADIENT_NOISE`, ...);
- `functions`: ``functions.build(lanes)``, logarithm, exponential and others of lane values;
- `algebra`: products of the small matrices that networks are made of.
"""

from ..backend import Kernel
from ..backend import imported as imported  # before any kernel: it notes when
from .common import algebra, functions, rng

__all__ = ["Kernel", "algebra", "functions", "rng"]
