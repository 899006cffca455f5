"""The Numba layer: what moves the state of a network by one step, written once for every target.

A kernel file has one function `build(lanes, ...)` that returns `step(state, scratch, reals, integers, step, replica,
key0, key1) -> mask`. It advances the networks of all lanes by one step and returns a mask that is true where the
network is still well. `lanes` holds the target's functions (see `dysonsim.backend`). The rules that keep one text
running on every target: flat arrays, no allocation, no numpy-array arithmetic, no np.random, no laws.
"""

from ..backend import imported as imported  # before any kernel: it notes when
