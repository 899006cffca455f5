"""Standard normals in bulk, as a kernel: the state of a replica is the normals of the last step."""

from __future__ import annotations

from . import rng


def build(lanes):
    """Draws 0, 1, ... of stream LEVELS, in `integers[0]` blocks of four."""
    jit, number, full = lanes.jit, lanes.number, lanes.full
    normals = rng.build(lanes).normals
    zero, one = number(0), number(1)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        normals(state, integers[0], 0, rng.LEVELS, s, replica, key0, key1)
        return full(zero) < full(one)

    return step
