"""One step of one large gas where a block of threads works on a segment of its levels: `large_dyson` for GPUs.

The same motion and the same random numbers as `dysonsim.kernels.many_levels.dyson` and `dysonsim.numerics.many_levels`,
which explain them. There eight levels are the lanes of a vector; here a level is a thread, numbers pass through memory
that a block shares, and the force is summed directly, sources in tiles, several pairs to a division: that of levels
within REACH is left out instead of taken off. Every function is called by all threads of a block, `thread` of
`threads`; `barrier()` waits for all of them, `any_thread(flag)` as well, and says whether one said yes.

Sums over blocks are taken in one order: results do not depend on which block comes first.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from . import noise as level_noise
from .dyson import PAD, REACH

CHUNK = 16  # sources that share a division
SMALLEST = 1e-280  # a product of their differences, in units of the width of the gas, below which each has its own
SUMS = 5
# In `constants`, what a step is made of.
SHRINK, CENTER, FIRST, SECOND, OPENING, NOISE, BETA = range(7)


def build_forces(lanes):
    """``forces(x, g, sums, shared, n, block, thread, threads)``: forces on the levels of one block, and their sums.

    A thread has one level. sums (blocks * 5,): of x, x^2, g, x g and g^2, x counted from the level in the middle;
    shared (5 threads,).
    """
    jit, barrier, load, store = lanes.jit, lanes.barrier, lanes.load, lanes.store
    split, power_of_two = lanes.split, lanes.power_of_two

    @jit
    def counts(i, j, n):
        """Whether level j is one that pushes level i from afar."""
        return j < n and (j < i - REACH or j > i + REACH)

    @jit
    def one_by_one(tile, c, t, i, first, n):
        """Sum over chunk c of a tile that begins with level `first`."""
        total = 0.0
        for q in range(CHUNK):
            if counts(i, first + c + q, n):
                total = total + 1.0 / (t - load(tile, c + q))
        return total

    @jit
    def some(tile, c, t, i, first, n):
        """Return the same as numerator and denominator."""
        above, below = 0.0, 1.0
        for q in range(CHUNK):
            if counts(i, first + c + q, n):
                a = t - load(tile, c + q)
                above = above * a + below
                below = below * a
        return above, below

    @jit
    def all_of(tile, c, t):
        """Return the same where every level of the chunk counts."""
        a, b = t - load(tile, c), t - load(tile, c + 1)
        above, below = a + b, a * b
        for q in range(2, CHUNK):
            a = t - load(tile, c + q)
            above = above * a + below
            below = below * a
        return above, below

    @jit
    def forces(x, g, sums, shared, n, block, thread, threads):
        begin = block * threads
        i = min(begin + thread, n - 1)  # threads behind the last level do as it does
        _, exponent = split(0.5 * load(x, n - 1) - 0.5 * load(x, 0))
        unit = power_of_two(-exponent)  # an exact scale, in which the gas is about 1 wide
        mine = load(x, i)
        t, total = mine * unit, 0.0
        for first in range(0, n, threads):
            barrier()
            store(shared, thread, load(x, min(first + thread, n - 1)) * unit)
            barrier()
            for c in range(0, threads, CHUNK):
                s = first + c
                if s >= n:
                    break
                # Which case it is does not depend on the thread.
                if (s < begin + threads + REACH and s + CHUNK > begin - REACH) or s + CHUNK > n:
                    above, below = some(shared, c, t, i, first, n)
                else:
                    above, below = all_of(shared, c, t)
                if abs(below) < SMALLEST:
                    total = total + one_by_one(shared, c, t, i, first, n)
                else:
                    total = total + above / below
        here = mine - load(x, n // 2)
        push = total * unit
        if begin + thread < n:
            store(g, i, push)
        else:
            here, push = 0.0, 0.0
        barrier()
        store(shared, thread, here)
        store(shared, threads + thread, here * here)
        store(shared, 2 * threads + thread, push)
        store(shared, 3 * threads + thread, here * push)
        store(shared, 4 * threads + thread, push * push)
        barrier()
        if thread < SUMS:
            total = 0.0
            for k in range(threads):
                total = total + load(shared, thread * threads + k)
            sums[SUMS * block + thread] = total

    return forces


def build_push(lanes):
    """``push(x, sums, shared, out, n, blocks, strength, thread)``: whether all is finite; out = [shift, scale, force].

    x -> shift + scale x + force g is the push by the far forces of this strength, scaled to the sum of squares that the
    exact flow has, see `dysonsim.numerics.many_levels`. shared (5,). One block does this.
    """
    jit, barrier, sqrt, load = lanes.jit, lanes.barrier, lanes.sqrt, lanes.load

    @jit
    def push(x, sums, shared, out, n, blocks, strength, thread):
        if thread < SUMS:
            total = 0.0
            for b in range(blocks):
                total = total + load(sums, SUMS * b + thread)
            shared[thread] = total
        barrier()
        s, ss, h, sh, hh = shared[0], shared[1], shared[2], shared[3], shared[4]
        spread, mean, drift = ss - s * s / n, load(x, n // 2) + s / n, h / n
        near = min(REACH, n - 1)
        far_pairs = n * (n - 1) // 2 - (near * n - near * (near + 1) // 2)
        finite = abs(spread) + abs(hh) + abs(strength) < np.inf
        if finite and thread == 0:
            scale, force = 1.0, 0.0
            if far_pairs > 0:
                after = spread + 2 * strength * (sh - s * drift) + strength * strength * (hh - n * drift * drift)
                scale, force = sqrt((spread + 2 * strength * far_pairs) / after), strength
            out[0] = mean - scale * (mean + force * drift) if far_pairs > 0 else 0.0
            out[1] = scale
            out[2] = scale * force
        return finite

    return push


def build_order(lanes) -> SimpleNamespace:
    """``sort(a, at, count, thread, threads)`` nearly sorted levels of a block; ``mend(x, n, thread, threads)``.

    `mend` sorts what is left unsorted of a whole gas, rarely anything, and parts levels that coincide.
    """
    jit, barrier, any_thread = lanes.jit, lanes.barrier, lanes.any_thread
    load, store = lanes.load, lanes.store

    @jit
    def sort(a, at, count, thread, threads):
        going = True
        while going:
            swapped = False
            for phase in range(2):
                for i in range(at + phase + 2 * thread, at + count - 1, 2 * threads):
                    lower, upper = load(a, i), load(a, i + 1)
                    if lower > upper:
                        store(a, i, upper)
                        store(a, i + 1, lower)
                        swapped = True
                barrier()
            going = any_thread(swapped)

    @jit
    def mend(x, n, thread, threads):
        wrong = False
        for i in range(1 + thread, n, threads):
            if not load(x, i - 1) < load(x, i):
                wrong = True
        disorder = any_thread(wrong)
        if disorder and thread == 0:
            for i in range(1, n):
                v, j = x[i], i
                while j > 0 and x[j - 1] > v:
                    x[j] = x[j - 1]
                    j -= 1
                x[j] = v
            for i in range(1, n):
                below = x[i - 1]
                if x[i] <= below:
                    x[i] = below + max(abs(below) * 2.0**-52, 1e-300)

    return SimpleNamespace(sort=sort, mend=mend)


def build_pairs(lanes):
    """``pairs(a, b, c, d, which, opening, drawn, base, window, n, thread, threads)``: one class of pairs, a to b.

    Levels d ranks apart, of the class `which` of the two; base : rank of the first number of the window; c : what
    multiplies `opening`, for each lower level, if `drawn`. Ends with a barrier.
    """
    jit, barrier, sqrt = lanes.jit, lanes.barrier, lanes.sqrt
    load, store = lanes.load, lanes.store

    @jit
    def pairs(a, b, c, d, which, opening, drawn, base, window, n, thread, threads):
        for w in range(thread, window, threads):
            rank, x = base + w, load(a, w)
            moved = x
            if rank >= 0 and rank < n:
                lower = (rank // d + which) % 2 == 0
                other = w + d if lower else w - d
                if other >= 0 and other < window and base + other >= 0 and base + other < n:
                    y = load(a, other)
                    wide = opening
                    if drawn:
                        wide = opening * load(c, w if lower else other)
                    gap = x - y
                    reach = sqrt(gap * gap + wide)
                    moved = (x + y) * 0.5 - (reach if lower else -reach) * 0.5
            store(b, w, moved)
        barrier()

    return pairs


def build_before(lanes, normals: int):
    """``before(x, g, y, c, shared, constants, push, parity, n, segment, base, thread, threads, numbers)``.

    The first half of a step, for `segment` levels from rank `base` on: pushed levels, pairs that are not neighbors,
    noise. y receives the levels, sorted within the segment, c the chi-squared numbers of the neighbors. numbers =
    (replica, step, key); shared (2 windows,).
    """
    jit, barrier, word, load, store = lanes.jit, lanes.barrier, lanes.word, lanes.load, lanes.store
    pairs, sort = build_pairs(lanes), build_order(lanes).sort
    drawn = level_noise.build(lanes, normals)

    @jit
    def before(x, g, y, c, shared, constants, push, parity, n, segment, base, thread, threads, numbers):
        shrink, opening = constants[SHRINK], 0.5 * constants[OPENING] * constants[BETA]
        shift = shrink * push[0] + (1 - shrink) * constants[CENTER]
        scale, force = shrink * push[1], shrink * push[2]
        window = segment + 2 * PAD
        a, b = shared[:window], shared[window : 2 * window]
        for w in range(thread, window, threads):
            rank = base - PAD + w
            inside = rank >= 0 and rank < n
            store(a, w, shift + scale * load(x, rank) + force * load(g, rank) if inside else 0.0)
        barrier()
        for d in range(REACH, 1, -1):
            pairs(a, b, a, d, parity, opening, False, base - PAD, window, n, thread, threads)
            pairs(b, a, a, d, 1 - parity, opening, False, base - PAD, window, n, thread, threads)
        count = min(segment, n - base)
        for k in range(thread, count, threads):
            z, chi = drawn(word(base + k), constants[BETA], numbers)
            store(a, PAD + k, load(a, PAD + k) + z * constants[NOISE])
            store(c, base + k, chi)
        barrier()
        sort(a, PAD, count, thread, threads)
        for k in range(thread, count, threads):
            store(y, base + k, load(a, PAD + k))

    return before


def build_after(lanes):
    """``after(y, c, x, shared, constants, parity, n, segment, base, thread, threads)``: the second half of a step.

    Neighbors, then the other pairs; x receives the levels, sorted within the segment.
    """
    jit, barrier, load, store = lanes.jit, lanes.barrier, lanes.load, lanes.store
    pairs, sort = build_pairs(lanes), build_order(lanes).sort

    @jit
    def after(y, c, x, shared, constants, parity, n, segment, base, thread, threads):
        opening, half = constants[OPENING], 0.5 * constants[OPENING]
        window, low = segment + 2 * PAD, base - PAD
        a, b, chi = shared[:window], shared[window : 2 * window], shared[2 * window : 3 * window]
        for w in range(thread, window, threads):
            rank = low + w
            inside = rank >= 0 and rank < n
            store(a, w, load(y, rank) if inside else 0.0)
            store(chi, w, load(c, rank) if inside else 0.0)
        barrier()
        pairs(a, b, chi, 1, parity, half, True, low, window, n, thread, threads)
        pairs(b, a, chi, 1, 1 - parity, opening, True, low, window, n, thread, threads)
        pairs(a, b, chi, 1, parity, half, True, low, window, n, thread, threads)
        for d in range(2, REACH + 1):
            pairs(b, a, chi, d, 1 - parity, half * constants[BETA], False, low, window, n, thread, threads)
            pairs(a, b, chi, d, parity, half * constants[BETA], False, low, window, n, thread, threads)
        count = min(segment, n - base)
        sort(b, PAD, count, thread, threads)
        for k in range(thread, count, threads):
            store(x, base + k, load(b, PAD + k))

    return after


def build_move(lanes):
    """``move(x, g, y, shared, constants, push, n, segment, base, thread, threads)``: y = x pushed, and contracted.

    Sorted within the segment; shared (segment,).
    """
    jit, barrier, load, store = lanes.jit, lanes.barrier, lanes.load, lanes.store
    sort = build_order(lanes).sort

    @jit
    def move(x, g, y, shared, constants, push, n, segment, base, thread, threads):
        shrink, count = constants[SHRINK], min(segment, n - base)
        shift = shrink * push[0] + (1 - shrink) * constants[CENTER]
        for k in range(thread, count, threads):
            store(shared, k, shift + shrink * (push[1] * load(x, base + k) + push[2] * load(g, base + k)))
        barrier()
        sort(shared, 0, count, thread, threads)
        for k in range(thread, count, threads):
            store(y, base + k, load(shared, k))

    return move
