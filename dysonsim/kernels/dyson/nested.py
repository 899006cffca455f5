"""One step of Dyson Brownian motion whose inner steps follow the gaps, under far forces that an outer step freezes.

    dx_i = [K_i(x) + sum_{j != i} G_ij/(x_i - x_j)] dt + sqrt(2) g_i(x_i) dB_i

A step of length DT is divided, for each replica by itself, into outer steps of INNER inner steps of length h each. The
length follows the gaps, and is chosen before noise is drawn, so that none is ever rejected:

    h = TOLERANCE min_i (x_{i+2} - x_i)^2 / G_{i,i+2}

with the square as it has been over the last outer steps, a moving average that is part of the state: so h follows the
spectrum as it spreads or shrinks, and not the chance of a single step. The average is at most MOST times the present
square, for levels that are driven together fast. h is never more than CAP.

An inner step separates the two kinds of motion that a gap feels:

    N: noise, and the gap's own opening, y <- sqrt((y + noise)^2 + 4 G h chi^2_beta/beta), all gaps at once
    A: drift, and what all other pairs do to the gap

in the order N(h/2) A(h) N(h) A(h) ... A(h) N(h/2). N is the exact Bessel process of a pair of levels, and comes last:
were it followed by the pushes of the neighbors, which are as large as the smallest gaps, these would be filled again
(levels closer than a fifth of the mean gap 7% too many at h = 0.01 gap^2/g^2, where this order has them within 1%).
The opening of one pair pushes the gaps beside it. Half of that, known beforehand from its mean, acts in A before the
noise; the rest, whose mean is the other half, in the next A: all gaps thus see each other's pushes in the middle of
their own motion, sum and mean of the levels are kept pair by pair, and nothing is done in sequence.

Pairs NEAR places apart or less act in every A, at the middle of its motion. The force F of all others is summed once an
outer step and follows the levels, see `far_force.py`: a force that stays behind by half an outer step takes
fluctuations for 2 to 4% larger than they are. What spreads meanwhile adds spread/d^2 to 1/d, spread the mean square by
which two levels part (half of that of free ones is what was measured, they hold each other).

Where `direct`, all pairs act in every A.

Exact: two levels with linear drift at any h. Weak order 2 at fixed gaps; gaps below sqrt(4 G h) limit it, as they do in
`kernels/dyson/pairs.py`. Measured in the stationary state, with TOLERANCE a fifth larger than the default (standard
errors of the last digits in brackets; small gaps: below a fifth of the mean):

    levels, beta   mean ratio      variance of gaps   small gaps     smallest gap    top level
    30, 0.5        +.19 (15)%      -.6 (4)%           -1.2 (11)%     +.2 (7)%        -.07 (10)%
    30, 1.5        -.08 (7)%       +.2 (2)%           +2.0 (16)%     -.3 (3)%        +.05 (6)%
    10, 1.5        -.14 (11)%      +.5 (3)%           +5.9 (15)%     -.4 (2)%        +.07 (11)%
    30, 5          -.26 (6)%       +.6 (2)%           (2 in 10^4)    -.9 (1)%        +.04 (3)%
    10, 50         -.03 (3)%       +.6 (4)%           none           -.1 (0.4)%      -.02 (2)%
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from ..common import functions, quantile
from . import far_force
from .far_force import NEAR, TINY
from .pairs import BETA, DT, LIMIT, TERMS, draw, pairs, places

# Constants in `reals` beside those of `kernels/dyson/pairs.py`: in the place of its tolerance, and before those of the
# terms, the last a table of `kernels/common/quantile.py`.
TOLERANCE, CAP, TABLE = TERMS - 1, TERMS, TERMS + 1
NESTED_TERMS = TABLE + quantile.COUNT
INNER, INNER_OF_FEW = 10, 5  # inner steps of an outer step; where no force is frozen
MEMORY = 1 / 8  # of the moving average that one outer step renews
MOST = 4  # times the present square: the average is no more, so that it follows levels that are driven together
SHORTEST = {"float64": 2.0**-30, "float32": 2.0**-20}  # part of a step below which no inner step goes


def extra(n: int) -> int:
    """Numbers of the state that hold the moving averages, behind the levels and what the terms keep."""
    return max(n - 2, 0)


def inner_steps(n: int, direct: bool) -> int:
    """Of an outer step."""
    return 1 if n < 3 else INNER_OF_FEW if direct or n <= NEAR + 1 else INNER


def first_averages(levels: np.ndarray) -> np.ndarray:
    """Start the moving averages, (replicas, n - 2): means over a few neighbors, not far above their own."""
    from scipy.ndimage import uniform_filter1d

    squares = (levels[:, 2:] - levels[:, :-2]) ** 2
    smooth = uniform_filter1d(squares, 9, axis=1, mode="nearest")
    return np.minimum(smooth, MOST * squares)


def freezes(n: int, direct: bool) -> bool:
    """Whether there are far forces."""
    return n > NEAR + 1 and not direct


def space_of(n: int, direct: bool, changes: bool) -> int:
    """Numbers of working space of one outer step. changes: strengths do, with the levels."""
    return 5 * n + 2 + (far_force.space_of(n, changes) if freezes(n, direct) else 0)


def scratch(n: int, kept: int, direct: bool, changes: bool) -> int:
    """Numbers of working space that one gas needs, besides that of its terms. kept: numbers of its state."""
    return 8 * -(-n // 4) + space_of(n, direct, changes) + kept


def near_pushes(lanes, n: int, coefficients, follow):
    """``pushes(out, x, held, constants, work)``: what moves every level in an inner step.

    These are the pairs two and three places apart and, if there is one, the far force on its way, which follows.
    """
    jit, load, store, full = lanes.jit, lanes.load, lanes.store, lanes.full
    pair, share, number = coefficients.pair, coefficients.share, lanes.number
    largest = functions.build(lanes).largest
    zero, half, one, two, tiny = number(0), number(0.5), number(1), number(2), number(TINY[number.__name__])
    has_far = follow is not None

    @jit
    def pushes(out, x, held, constants, work):
        none = full(zero)
        this, next_one, after = none, none, none  # from pairs whose lower level has been, for levels i, i + 1, i + 2
        for i in range(n):
            a = load(x, i)
            total = this
            this, next_one, after = next_one, after, none
            if i + 2 < n:
                b = load(x, i + 2)
                strength, gap = pair(i, i + 2, a, b, constants, work), b - a
                square = largest(gap * gap, strength * half + tiny)
                push = gap * strength * two
                if i + 3 < n:  # two quotients by one division
                    b = load(x, i + 3)
                    strength, gap = pair(i, i + 3, a, b, constants, work), b - a
                    other = largest(gap * gap, strength * half + tiny)
                    inverse = one / (square * other)
                    push = push * other * inverse
                    further = gap * strength * two * square * inverse
                    mine = further * share(i, i + 3, constants, work)
                    total = total - mine
                    after = further - mine
                else:
                    push = push / square
                mine = push * share(i, i + 2, constants, work)
                total = total - mine
                next_one = next_one + (push - mine)
            store(out, i, total)
        if has_far:
            follow(out, x, held, constants, work)

    return pushes


def all_pushes(lanes, n: int, coefficients):
    """Compute the same for all pairs that are no neighbors."""
    jit, load, store, full = lanes.jit, lanes.load, lanes.store, lanes.full
    pair, share, number = coefficients.pair, coefficients.share, lanes.number
    largest = functions.build(lanes).largest
    zero, half, two, tiny = number(0), number(0.5), number(2), number(TINY[number.__name__])

    @jit
    def pushes(out, x, held, constants, work):
        for i in range(n):
            store(out, i, full(zero))
        for i in range(n - 2):
            a, own = load(x, i), load(out, i)
            for j in range(i + 2, n):
                b = load(x, j)
                strength, gap = pair(i, j, a, b, constants, work), b - a
                push = gap * strength * two / largest(gap * gap, strength * half + tiny)
                mine = push * share(i, j, constants, work)
                own = own - mine
                store(out, j, load(out, j) + (push - mine))
            store(out, i, own)

    return pushes


def gaps(lanes, n: int, coefficients, order) -> SimpleNamespace:
    """`advance`, the end of A, and `open_gaps`, N."""
    jit, load, store, full, sqrt = lanes.jit, lanes.load, lanes.store, lanes.full, lanes.sqrt
    pair, share, kick, settle = coefficients.pair, coefficients.share, coefficients.kick, coefficients.settle
    least, any_lane, zero, two = functions.build(lanes).least, lanes.any, lanes.number(0), lanes.number(2)

    @jit
    def advance(x, motion, up, low, constants, work):
        """Levels moved; by how much half a step of N will open the gap above level i in the mean.

        low[i] is what level i will give way, up[i + 1] what level i + 1 will.
        """
        a = load(x, 0) + load(motion, 0)
        store(x, 0, a)
        for i in range(n - 1):
            b = load(x, i + 1) + load(motion, i + 1)
            store(x, i + 1, b)
            gap = b - a
            opening = sqrt(gap * gap + pair(i, i + 1, a, b, constants, work) * two) - gap
            mine = opening * share(i, i + 1, constants, work)
            store(low, i, mine)
            store(up, i + 1, opening - mine)
            a = b

    @jit
    def open_gaps(x, up, low, z, c, root, weight, constants, work):
        """N: noise of `root` squared of a step, and what opens every gap meanwhile."""
        a = kick(0, load(x, 0), load(z, 0) * root, constants, work)
        raised, before, worst = full(zero), a, full(zero)
        for i in range(n - 1):
            b = kick(i + 1, load(x, i + 1), load(z, i + 1) * root, constants, work)
            gap = b - a - (load(up, i) + load(low, i + 1))
            opening = pair(i, i + 1, a, b, constants, work) * load(c, i) * weight
            opening = sqrt(gap * gap + opening) - gap
            mine = opening * share(i, i + 1, constants, work)
            level = a + (raised - mine)
            store(x, i, level)
            if i > 0:
                worst = least(worst, level - before)
            a, raised, before = b, opening - mine, level
        level = a + raised
        store(x, n - 1, level)
        if any_lane(least(worst, level - before) < zero):
            order(x, n)
        settle(x)

    return SimpleNamespace(advance=advance, open_gaps=open_gaps)


def outer_step(lanes, n: int, chi: str, direct: bool, coefficients):
    """``move(x, h, sub, space, z, c, reals, constants, work, source)``: an outer step, number `sub` of a step."""
    jit, number = lanes.jit, lanes.number
    load, store, full, part = lanes.load, lanes.store, lanes.full, lanes.part
    prepare, glide, drawn = coefficients.prepare, coefficients.glide, draw(lanes, n, chi)
    inner, has_far, space_size = inner_steps(n, direct), freezes(n, direct), space_of(n, direct, coefficients.changes)
    far = far_force.build(lanes, n, inner, coefficients)
    gather, follow = far.gather, far.follow if has_far else None
    pushes = all_pushes(lanes, n, coefficients) if direct else near_pushes(lanes, n, coefficients, follow)
    motions = gaps(lanes, n, coefficients, pairs(lanes, chi).order)
    advance, open_gaps = motions.advance, motions.open_gaps
    zero, half, one, two, four, root_half = number(0), number(0.5), number(1), number(2), number(4), number(0.5**0.5)

    @jit
    def move(x, h, sub, space, z, c, reals, constants, work, source):
        """One outer step, of inner steps of length h."""
        push, motion, middle = part(space, 0, n), part(space, n, n), part(space, 2 * n, n)
        up, low = part(space, 3 * n, n + 1), part(space, 4 * n + 1, n + 1)
        held = part(space, 5 * n + 2, space_size - 5 * n - 2)
        beta = reals[BETA]
        prepare(h, constants, work)
        for i in range(n + 1):
            store(up, i, full(zero))
            store(low, i, full(zero))
        for k in range(inner + 1):
            if k == 1:
                if has_far:
                    gather(x, held, beta, constants, work)
                for i in range(n):
                    store(motion, i, full(zero))
            if k > 0:
                for _ in range(2 if k == 1 else 1):  # the middle of the motion is where the last one leads, or a first
                    for i in range(n):
                        store(middle, i, load(x, i) + load(motion, i) * half)
                    pushes(push, middle, held, constants, work)
                    glide(motion, x, middle, push, h, constants, work)
                advance(x, motion, up, low, constants, work)
            drawn(z, c, sub * (inner + 1) + k, beta, reals[TABLE:], source)
            root, weight = (root_half, two / beta) if k == 0 or k == inner else (one, four / beta)
            open_gaps(x, up, low, z, c, root, weight, constants, work)

    return move


def inner_length(lanes, n: int, coefficients):
    """``room(x, averaged, reals, constants, work)``: length of the inner steps that the gaps allow."""
    jit, number, load, full = lanes.jit, lanes.number, lanes.load, lanes.full
    prepare, pair, helpers = coefficients.prepare, coefficients.pair, functions.build(lanes)
    least, largest, one = helpers.least, helpers.largest, number(1)
    tiny, shortest = number(TINY[number.__name__]), number(SHORTEST[number.__name__])

    @jit
    def room(x, averaged, reals, constants, work):
        cap = least(full(reals[CAP]), full(reals[DT]))
        if n == 2:
            return cap
        prepare(cap, constants, work)
        allowed = full(one)
        for i in range(n - 2):
            a, b = load(x, i), load(x, i + 2)
            strength = pair(i, i + 2, a, b, constants, work)
            allowed = least(allowed, load(averaged, i) * reals[TOLERANCE] / largest(strength, full(tiny)))
        return largest(allowed * cap, full(reals[DT] * shortest))

    return room


def build(lanes, n: int, chi: str, terms, direct: bool = False, **sizes):
    """One step on one target. `terms` is the builder of the coefficients, see `kernels/dyson/terms.py`.

    direct: all pairs act in every inner step, no force is frozen.
    """
    jit, number, load, store = lanes.jit, lanes.number, lanes.load, lanes.store
    full, part, select, any_lane = lanes.full, lanes.part, lanes.select, lanes.any
    helpers = functions.build(lanes)
    least, sum_of_squares = helpers.least, helpers.sum_of_squares
    coefficients = terms(lanes, n, nested=True, **sizes)
    move, room = outer_step(lanes, n, chi, direct, coefficients), inner_length(lanes, n, coefficients)
    work_size, space_size = coefficients.work, space_of(n, direct, coefficients.changes)
    (behind, numbers), averages = places(n, chi), n + coefficients.extra
    kept_size = averages + extra(n)
    zero, half, rest = number(0), number(0.5), number(1e-6)
    outer, memory, most = number(inner_steps(n, direct)), number(MEMORY), number(MOST)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        x, averaged = state, part(state, averages, kept_size - averages)  # the levels come first
        z, c = part(scratch, 0, numbers), part(scratch, behind, numbers - behind)
        work, space = part(scratch, numbers, work_size), part(scratch, numbers + work_size, space_size)
        kept, constants = part(scratch, numbers + work_size + space_size, kept_size), reals[NESTED_TERMS:]
        left, sub, source = full(reals[DT]), 0, (s, replica, key0, key1)
        while any_lane(zero < left):
            length = room(x, averaged, reals, constants, work) * outer
            length = select(length < left, least(length, left * half), left)
            for i in range(kept_size):
                store(kept, i, load(state, i))
            move(x, length / outer, sub, space, z, c, reals, constants, work, source)
            for i in range(n - 2):
                gap = load(x, i + 2) - load(x, i)
                average = load(averaged, i)
                square = gap * gap
                store(averaged, i, least((square - average) * memory + average, square * most))
            for i in range(kept_size):  # replicas that are through wait as they are
                store(state, i, select(zero < left, load(state, i), load(kept, i)))
            left = left - length
            left = select(left < full(reals[DT] * rest), full(zero), left)
            sub += 1
        return sum_of_squares(x, n) < reals[LIMIT]

    return step
