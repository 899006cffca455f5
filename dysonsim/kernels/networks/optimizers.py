"""One update of an optimizer, around the step of plain SGD of any network.

The inner step makes W' = W - alpha g from W; g = (W - W')/alpha then is the gradient of the batch, with a rounding
error of the order of eps |W|/alpha: what moves W is as exact as in the plain step. With weight decay lambda, lambda W
is added to g.

decay       W <- W - alpha g
momentum    v <- m v + g, W <- W - alpha v
nesterov    v <- m v + g, W <- W - alpha (g + m v)
adam        a <- b1 a + (1 - b1) g, q <- b2 q + (1 - b2) g^2, W <- W - alpha (a/c1)/(sqrt(q/c2) + eps), entry by entry

with c1 = 1 - b1^t and c2 = 1 - b2^t after t steps, which are carried along: c <- b c + 1 - b. All as PyTorch has it
(torch.optim.SGD without dampening, torch.optim.Adam). The state is that of the inner step and behind it v; or a, q, c1
and c2. Weights that are kept as W V (`Kernel.basis`) are turned for Adam, which is not invariant.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

PREFIX = "inner_of_"
RULES = ("decay", "momentum", "nesterov", "adam")
# Constants of a rule, behind those of the inner step; FRESH: 1 - MOMENTUM. The basis of Adam is behind them.
RATE, INVERSE_RATE, DECAY, MOMENTUM, FRESH, BETA2, FRESH2, EPSILON, CONSTANTS = range(9)


def extra(rule: str, weights: int) -> int:
    """Numbers that an optimizer remembers of a network."""
    return {"decay": 0, "adam": 2 * weights + 2}.get(rule, weights)


def scratch(rule: str, weights: int, turned: bool) -> int:
    """Numbers of working space that it needs beside the inner step's: W before the step, and gradients in its basis."""
    return 2 * weights if turned else weights


def access(lanes, whole: bool) -> SimpleNamespace:
    """How numbers of a network are reached: lane values, or those of plain arrays where a step has one network."""
    if not whole:
        return SimpleNamespace(load=lanes.load, store=lanes.store, part=lanes.part, full=lanes.full, sqrt=lanes.sqrt)
    jit = lanes.jit

    @jit
    def load(a, i):
        return a[i]

    @jit
    def store(a, i, v):
        a[i] = v

    @jit
    def part(a, first, count):
        return a[first : first + count]

    @jit
    def full(x):
        return x

    return SimpleNamespace(load=load, store=store, part=part, full=full, sqrt=np.sqrt)


def momentum(lanes, reach, rule: str, weights: int):
    """``push(w, old, memory, room, reals)``: w, that of the inner step, becomes the optimizer's; old is before it."""
    jit, member, team = lanes.jit, lanes.member, lanes.team
    load, store = reach.load, reach.store
    remembers, looks_ahead = rule != "decay", rule == "nesterov"

    @jit
    def push(w, old, memory, room, reals):
        rate, inverse_rate, decay, m = reals[RATE], reals[INVERSE_RATE], reals[DECAY], reals[MOMENTUM]
        for i in range(member(), weights, team):
            before = load(old, i)
            if remembers:
                gradient = (before - load(w, i)) * inverse_rate + before * decay
                v = load(memory, i) * m + gradient
                store(memory, i, v)
                if looks_ahead:
                    v = v * m + gradient
                store(w, i, before - v * rate)
            else:
                store(w, i, load(w, i) - before * (rate * decay))

    return push


def adam(lanes, reach, weights: int, columns: int):
    """``push`` of Adam; columns: of a W that is kept as W V, with V in `reals` behind the constants, else 0."""
    jit, member, team, together = lanes.jit, lanes.member, lanes.team, lanes.together
    zero, one = lanes.number(0), lanes.number(1)
    load, store, full, sqrt = reach.load, reach.store, reach.full, reach.sqrt
    rows = weights // columns if columns else 0

    @jit
    def moved(memory, i, gradient, reals, share):
        """Return by how much entry i of W moves; share: 1/sqrt(c2) and alpha/c1."""
        b1, b2 = reals[MOMENTUM], reals[BETA2]
        a = load(memory, i) * b1 + gradient * reals[FRESH]
        q = load(memory, weights + i) * b2 + gradient * gradient * reals[FRESH2]
        store(memory, i, a)
        store(memory, weights + i, q)
        return a * share[1] / (sqrt(q) * share[0] + full(reals[EPSILON]))

    @jit
    def straight(w, old, memory, room, reals, share):
        for i in range(member(), weights, team):
            before = load(old, i)
            gradient = (before - load(w, i)) * reals[INVERSE_RATE] + before * reals[DECAY]
            store(w, i, before - moved(memory, i, gradient, reals, share))

    @jit
    def turned(w, old, memory, room, reals, share):
        """Turn gradients into the basis of W, rows of which are in `room`, and moves back."""
        for i in range(member(), rows, team):
            for j in range(columns):
                t = full(zero)
                for k in range(columns):
                    before = load(old, i * columns + k)
                    gradient = (before - load(w, i * columns + k)) * reals[INVERSE_RATE] + before * reals[DECAY]
                    t = gradient * reals[CONSTANTS + j * columns + k] + t
                store(room, i * columns + j, moved(memory, i * columns + j, t, reals, share))
            for k in range(columns):
                t = load(old, i * columns + k)
                for j in range(columns):
                    t = t - load(room, i * columns + j) * reals[CONSTANTS + j * columns + k]
                store(w, i * columns + k, t)

    by_entries = turned if columns else straight

    @jit
    def push(w, old, memory, room, reals):
        b1, b2 = reals[MOMENTUM], reals[BETA2]
        c1 = load(memory, 2 * weights) * b1 + full(reals[FRESH])
        c2 = load(memory, 2 * weights + 1) * b2 + full(reals[FRESH2])
        by_entries(w, old, memory, room, reals, (full(one) / sqrt(c2), full(reals[RATE]) / c1))
        together()
        for _ in range(member(), 1, team):  # one for all, which have read them
            store(memory, 2 * weights, c1)
            store(memory, 2 * weights + 1, c2)

    return push


def build(lanes, inner, rule: str, whole: bool, counts: tuple[int, int, int, int, int], **sizes):
    """One step on one target.

    inner : builds the step of plain SGD, with its `sizes`, the names of which begin with `PREFIX`
    rule : one of `RULES`
    counts : numbers of the weights; of state, scratch and reals of the inner step; columns of a W to be turned, else 0
    """
    weights, inner_state, inner_scratch, inner_reals, columns = counts
    jit, member, team, together = lanes.jit, lanes.member, lanes.team, lanes.together
    reach = access(lanes, whole)
    load, store, part = reach.load, reach.store, reach.part
    plain = inner(lanes, **{name.removeprefix(PREFIX): size for name, size in sizes.items()})
    push = adam(lanes, reach, weights, columns) if rule == "adam" else momentum(lanes, reach, rule, weights)
    more, room = extra(rule, weights), columns and weights

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        old = part(scratch, inner_scratch, weights)
        for i in range(member(), weights, team):
            store(old, i, load(state, i))
        together()
        mine, work = part(state, 0, inner_state), part(scratch, 0, inner_scratch)
        well = plain(mine, work, reals[:inner_reals], integers, s, replica, key0, key1)
        together()
        memory, turned = part(state, inner_state, more), part(scratch, inner_scratch + weights, room)
        push(mine, old, memory, turned, reals[inner_reals:])
        together()
        return well

    return step
