"""A traced update as a kernel, and the random inputs of one for its reference."""

from __future__ import annotations

import math

from ..common import activations, algebra, functions, rng
from ..common.once import once
from ..networks.linear import bartlett_sums

__all__ = ["build", "build_normals", "build_wishart"]

PRODUCTS = [f"{kind}_{left}{right}" for kind in ("product", "added") for left in "sr" for right in "sr"]


@once
def product_of(lanes, name: str):
    """Make a product that a text calls: ``product_`` puts, ``added_`` adds to what is there.

    The last two letters say whether left and right are lane values (s) or constants (r), shared numbers.
    """
    jit, load, store = lanes.jit, lanes.load, lanes.store
    kind, operands = name.split("_")

    @jit
    def put(o, i, j, s, columns):
        store(o, i * columns + j, s)

    @jit
    def so_far(o, i, j, columns):
        return load(o, i * columns + j)

    @jit
    def entry(a, i):
        return a[i]

    load_a, load_b = (load if operand == "s" else entry for operand in operands)
    start = {"start": so_far} if kind == "added" else {}
    return algebra.products(lanes, (1,), False)(put, load_a=load_a, load_b=load_b, **start)


@once
def elementary(lanes):
    """Make the functions of entries that a text may call."""
    jit, store, load, sqrt2 = lanes.jit, lanes.store, lanes.load, lanes.number(math.sqrt(2))
    known, more = functions.build(lanes), activations.build(lanes)

    @jit
    def square(v):
        return v * v

    @jit
    def symmetric(o, z, n):
        """Make a symmetric matrix of the normals z, by rows from the diagonal on; variances 1 and, on it, 2."""
        d = 0
        for i in range(n):
            store(o, i * n + i, load(z, d) * sqrt2)
            d += 1
            for j in range(i + 1, n):
                store(o, i * n + j, load(z, d))
                store(o, j * n + i, load(z, d))
                d += 1

    return {
        "exp": known.exp, "log": known.log, "maximum": known.largest, "minimum": known.least,
        "absolute": known.absolute, "tanh": more.tanh, "erf": more.erf, "sqrt": lanes.sqrt, "square": square,
        "symmetric": symmetric,
    }  # fmt: skip


def build(lanes, text: str, wisharts: tuple[tuple[int, int, int], ...]):
    """Make the step of a text (`text.Text`): reals are its constants, the only integer is the batch size."""
    names = {name: getattr(lanes, name) for name in ("load", "store", "part", "full", "select")}
    names |= {"zero": lanes.number(0), "one": lanes.number(1), "normals": rng.build(lanes).normals}
    names |= {name: function for name, function in elementary(lanes).items() if f"{name}(" in text}
    names |= {name: product_of(lanes, name) for name in PRODUCTS if f"{name}(" in text}
    matrix = algebra.build(lanes, (1,)) if wisharts else None
    for number, (n, q, first) in enumerate(wisharts):
        names[f"wishart_{number}"] = bartlett_sums(lanes, matrix, n, q, q > 0, first)
    exec(compile(text, "<update>", "exec"), names)
    return lanes.jit(names["step"])


def build_normals(lanes):
    """Make the step that draws normals of a stream as the state: `integers` are blocks of four and the stream."""
    jit, number, full = lanes.jit, lanes.number, lanes.full
    normals = rng.build(lanes).normals
    zero, one = number(0), number(1)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        normals(state, integers[0], 0, integers[1], s, replica, key0, key1)
        return full(zero) < full(one)

    return step


def build_wishart(lanes, n: int, q: int, first: int):
    """Bartlett's factor and the normals of the labels as the state; `integers` are the batch size and the stream.

    The state holds F (n n) and the normals, G from number n (n - 1)/2 on.
    """
    jit, number, full, part = lanes.jit, lanes.number, lanes.full, lanes.part
    normals = rng.build(lanes).normals
    sums = bartlett_sums(lanes, algebra.build(lanes, (1,)), n, q, q > 0, first)
    blocks = -(-(n * (n - 1) // 2 + q * n) // 4)
    zero, one = number(0), number(1)

    @jit
    def step(state, scratch, reals, integers, s, replica, key0, key1):
        x = part(state, n * n, 4 * blocks)
        normals(x, blocks, 0, integers[1], s, replica, key0, key1)
        c, h = part(scratch, 0, n * n), part(scratch, n * n, q * n)
        sums(c, h, x, part(state, 0, n * n), integers[0], (s, replica, key0, key1))
        return full(zero) < full(one)

    return step
