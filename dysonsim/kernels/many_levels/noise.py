"""Random numbers of one level of a large gas.

They are counted by (replica, stream, step, level): a level takes the place that the replica has where replicas are the
lanes.
"""

from __future__ import annotations

import numpy as np

from ..common import gamma, rng

u32 = np.uint32


def build(lanes, normals: int):
    """``drawn(level, beta, numbers)``: a normal, and a chi-squared number of beta degrees of freedom.

    numbers = (replica, step, key). `normals`: beta if that is 1, 2 or 3, else 0.
    """
    generator = rng.build(lanes)
    words, box_muller = generator.words, generator.box_muller
    chi_squared = gamma.build(lanes).chi_squared

    @lanes.jit
    def drawn(level, beta, numbers):
        replica, step, key0, key1 = numbers
        p, q, r, s = words(u32(replica), u32(rng.LEVELS), u32(step), level, key0, key1)
        z, z1 = box_muller(p, q)
        if normals == 0:
            chi = chi_squared(beta, replica, rng.PAIRS, step, level, key0, key1)
        else:
            chi = z1 * z1
        if normals > 1:
            z2, z3 = box_muller(r, s)
            chi = chi + z2 * z2
            if normals > 2:
                chi = chi + z3 * z3
        return z, chi

    return drawn
