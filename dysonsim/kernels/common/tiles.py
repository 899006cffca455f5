"""The text of matrix functions whose inner sums are written out: products by tiles, panels of a Cholesky factor.

A compiler keeps what is written out in registers. Each text is a function ``make`` of what the matrix function uses,
so that nothing of it is global.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def made(text: str) -> Callable[..., Any]:
    """Run a text and return its `make`."""
    names: dict[str, Any] = {}
    exec(compile(text, "<dysonsim>", "exec"), names)
    return names["make"]


def indented(lines: list[str], depth: int = 1) -> list[str]:
    """Indent lines of a program."""
    return ["    " * depth + line for line in lines]


def product(
    down: int,
    across: int,
    lower: bool,
    ragged: bool = False,
    rest: bool = False,
    team: bool = False,
    unroll: int = 1,
    even: tuple[bool, bool] = (False, False),
) -> str:
    """Write the text of a product by tiles of so many rows and columns, see `algebra`.

    rest: only whole tiles of rows, what is left goes to another function; team: threads take turns at the tiles;
    unroll: terms of the sums to a turn of their loop; even: whether there are only whole tiles of rows, and of columns.
    """
    rows, columns = range(down), range(across)
    top = [f"i{k} = i0 + {k}" if rest or even[0] else f"i{k} = min(i0 + {k}, rows - 1)" for k in rows[1:]]
    top += [f"a{k} = i{k} * ai" for k in rows]
    top += [f"terms = min(i{down - 1} + 1, inner)" if ragged else "terms = inner"]
    top += [] if unroll == 1 else [f"whole = terms - terms % {unroll}"]
    body = [f"j{k} = j0 + {k}" if even[1] else f"j{k} = min(j0 + {k}, columns - 1)" for k in columns[1:]]
    body += [f"b{k} = j{k} * bj" for k in columns]
    body += [f"s{i}_{j} = start(o, i{i}, j{j}, more)" for i in rows for j in columns]
    turns = [("terms", 1)] if unroll == 1 else [(f"0, whole, {unroll}", unroll), ("whole, terms", 1)]
    for bounds, at_once in turns:
        body += [f"for m in range({bounds}):"]
        for k in range(at_once):
            term = f"(m + {k})" if k else "m"
            body += [f"    y{j} = load_b(b, b{j} + {term} * bm)" for j in columns]
            for i in rows:
                body += [f"    x = load_a(a, a{i} + {term} * am)"]
                body += [f"    s{i}_{j} = x * y{j} + s{i}_{j}" for j in columns]
    body += [f"put(o, i{i}, j{j}, s{i}_{j}, more)" for i in rows for j in columns]
    if team:
        # Tile number q of row p. Those of a triangle are taken as a rectangle, each row a long and a short one of it.
        lines = [f"size, wide = (rows + {down - 1}) // {down}, (columns + {across - 1}) // {across}"]
        here, height = [f"i0, j0 = p * {down}, q * {across}"], "size"
        if lower:
            lines += ["odd = size % 2", "wide = size + 1 - odd"]
            here = [f"i0 = (size - 1 - p if q < size - p else p - odd) * {down}"]
            here += [f"j0 = (q if q < size - p else q - size + p) * {across}"]
            height = "(size + odd) // 2"
        step = ["while q >= wide:", "    p, q = p + 1, q - wide"]
        inside = [*here, *top, *body, "q += team", *step]
        lines += [f"height, p, q = {height}, 0, member()", *step, "while p < height:"]
        lines += [*indented(inside), "together()"]
    else:
        end = f"min(i{down - 1} + 1, columns)" if lower else "columns"
        inside = [*top, f"for j0 in range(0, {end}, {across}):", *indented(body)]
        lines = [f"last = rows - rows % {down}" if rest else "last = rows", f"for i0 in range(first, last, {down}):"]
        lines += indented(inside)
        if rest:
            lines += ["rest(o, a, ai, am, b, bj, bm, rows, columns, inner, more, last)"]
    head = "def make(load_a, load_b, put, start, rest, member, team, together):"
    function = "    def tiles(o, a, ai, am, b, bj, bm, rows, columns, inner, more, first=0):"
    return "\n".join([head, function, *indented(lines, 2), "    return tiles", ""])


def panel(width: int, order: int) -> str:
    """Write the text of ``panel(c, at, smallest)``: columns at, ..., at + width - 1 of the Cholesky factor of c.

    c has had the columns before it taken off. All threads of a team factor the triangle at the top, each then divides
    rows below it. Returned is the smallest pivot, or `smallest`.
    """
    k_of = range(width)
    lines = [f"corner = at * {order + 1}"]
    lines += [f"d{j}_{k} = load(c, corner + {j * order + k})" for j in k_of for k in range(j + 1)]
    for k in k_of:
        lines += [f"smallest = select(d{k}_{k} < smallest, d{k}_{k}, smallest)", f"d{k}_{k} = sqrt(d{k}_{k})"]
        lines += [f"r{k} = full(one) / d{k}_{k}", *(f"d{j}_{k} = d{j}_{k} * r{k}" for j in k_of[k + 1 :])]
        lines += [f"d{j}_{l} = d{j}_{l} - d{j}_{k} * d{l}_{k}" for j in k_of[k + 1 :] for l in range(k + 1, j + 1)]
    lines += ["together()", "if member() == 0:"]
    lines += indented([f"store(c, corner + {j * order + k}, d{j}_{k})" for j in k_of for k in range(j + 1)])
    lines += indented([f"store(c, corner + {j * order + k}, full(zero))" for j in k_of for k in k_of[j + 1 :]])
    lines += [f"for i in range(at + {width} + member(), {order}, team):"]
    row = [f"x{k} = load(c, i * {order} + at + {k})" for k in k_of]
    for k in k_of:
        row += [f"x{k} = x{k} * r{k}", *(f"x{l} = x{l} - x{k} * d{l}_{k}" for l in k_of[k + 1 :])]
    for k in k_of:
        row += [f"store(c, i * {order} + at + {k}, x{k})", f"store(c, (at + {k}) * {order} + i, full(zero))"]
    lines += [*indented(row), "together()", "return smallest"]
    head = "def make(load, store, sqrt, select, full, zero, one, member, together, team):"
    return "\n".join([head, "    def panel(c, at, smallest):", *indented(lines, 2), "    return panel", ""])
