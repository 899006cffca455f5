"""The text of a step, from the trace of an update.

Entries of a matrix are worked out where they are needed, in one loop with those of others, or put into the working
space first: what is used more than once, or has a product. Products go to the library's tiles, which read state,
working space and constants with strides, so that transposes and slices cost nothing.

Where an update uses the samples of a batch row by row (and sums over them), a loop takes `CHUNK` samples at a time: the
batch size then is no part of the text, and the working space holds a chunk. Where it does anything else with them (a
product between samples, say) the whole batch lies in the working space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .nodes import Node, Trace, View
from .plan import CHUNK, Plan, Whole, backwards

__all__ = ["Text", "text_of"]

LONGEST = 500  # characters of an expression; a longer one is put into the working space
LIMIT = 1e30  # of the sum of squares of all weights, beyond which a network has run away

INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "and": "&", "or": "|"}


@dataclass(frozen=True)
class Text:
    """What a kernel needs: its text, constants, sizes.

    wisharts : (inputs, labels, first draw) of each second moment that is drawn at once
    """

    text: str
    reals: np.ndarray
    scratch: int
    wisharts: tuple[tuple[int, int, int], ...]
    work: float


@dataclass(frozen=True)
class Place:
    """Where a matrix lies: entry (i, j) is number at + i down + j across of an array."""

    array: str  # "state", "scratch" or "reals"
    at: int
    down: int
    across: int

    def seen(self, view: View) -> Place:
        at = self.at + view.r * self.down + view.c * self.across
        down = view.ri * self.down + view.ci * self.across
        return Place(self.array, at, down, view.rj * self.down + view.cj * self.across)


def text_of(
    trace: Trace, outputs: list[Node], states: list[tuple[int, int]], weights: int, repeats: bool = False
) -> Text:
    """Return the text whose step puts `outputs` in place of the state.

    states: number of the first entry, and size, of each; weights: numbers of the state whose squares are watched;
    repeats: whether random inputs are those of the step modulo integers[1].
    """
    try:
        return Writer(trace, outputs, states, weights, chunked=True).text(repeats)
    except Whole:
        return Writer(trace, outputs, states, weights, chunked=False).text(repeats)


def sum_of(*terms: tuple[int, str] | int) -> str:
    """Write an index, in as few words as there are: numbers, and (factor, index)."""
    constant, words = 0, []
    for term in terms:
        if isinstance(term, int):
            constant += term
        elif term[0] and term[1] != "0":
            words.append(term[1] if term[0] == 1 else f"{term[0]} * {term[1]}")
    if constant or not words:
        words.append(str(constant))
    return words[0] if len(words) == 1 else f"({' + '.join(words)})"


class Writer:
    """Writes one text; `text` is called once."""

    def __init__(
        self, trace: Trace, outputs: list[Node], states: list[tuple[int, int]], weights: int, chunked: bool
    ) -> None:
        self.batch_size, self.outputs, self.states, self.weights = trace.batch_size, outputs, states, weights
        self.reals: list[np.ndarray] = [np.array([LIMIT])]
        self.real_count, self.room, self.work = 1, 0, 0.0
        self.places: dict[Node, Place] = {}
        self.wisharts: list[tuple[int, int, int]] = []
        self.before: list[str] = []  # the loop over chunks of samples
        self.inside: list[str] = []
        self.after: list[str] = []
        plan = Plan(outputs, trace.batch_size, chunked)
        self.order, self.axis, self.phase, self.placed = plan.order, plan.axis, plan.phase, plan.placed

    def text(self, repeats: bool) -> Text:
        for node in self.order:
            self._write(node)
        self._write_outputs()
        top = ["batch = integers[0]", "squares = full(zero)", f"for i in range({self.weights}):"]
        top += ["    w = load(state, i)", "    squares = w * w + squares"]
        lines = [*(["s = s % integers[1]"] if repeats else []), *top, *self.before]
        if self.inside:
            lines += [f"for at in range(0, batch, {CHUNK}):", f"    count = min({CHUNK}, batch - at)"]
            lines += [f"    {line}" for line in self.inside]
        lines += [*self.after, "return squares < reals[0]"]
        head = "def step(state, scratch, reals, integers, s, replica, key0, key1):"
        text = "\n".join([head, *(f"    {line}" for line in lines), ""])
        reals = np.concatenate([values.ravel() for values in self.reals])
        return Text(text, reals, max(self.room, 1), tuple(self.wisharts), self.work)

    def _take(self, count: int) -> int:
        at, self.room = self.room, self.room + count
        return at

    def _lines(self, node: Node) -> list[str]:
        """Where the text of a matrix goes."""
        if self.axis[node] is not None:
            return self.inside
        inside = any(self.axis[source] is not None for source in node.sources)
        return self.inside if inside else self.before if self.phase[node] == 0 else self.after

    def _held(self, node: Node) -> tuple[int, int]:
        """Rows and columns that the working space holds of it."""
        axis = self.axis[node]
        return CHUNK if axis == 0 else node.rows, CHUNK if axis == 1 else node.columns

    def _counts(self, node: Node) -> tuple[str, str]:
        """How many rows and columns there are, in words."""
        axis = self.axis[node]
        return "count" if axis == 0 else str(node.rows), "count" if axis == 1 else str(node.columns)

    def _times(self, node: Node) -> float:
        """How often its text is run in a step, for `work`."""
        return self.batch_size / CHUNK if self._lines(node) is self.inside else 1.0

    def _room_for(self, node: Node) -> Place:
        rows, columns = self._held(node)
        return Place("scratch", self._take(rows * columns), columns, 1)

    def _write(self, node: Node) -> None:
        if node.kind == "state":
            self.places[node] = Place("state", self.states[node.data][0], node.columns, 1)
        elif node.kind == "constant":
            self.places[node] = Place("reals", self.real_count, node.columns, 1)
            self.reals.append(node.data)
            self.real_count += node.size
        elif node.kind == "draw":
            self._write_draw(node)
        elif node.kind == "product":
            self._write_product(node)
        elif node.kind == "sum":
            self._write_sum(node)
        elif node.kind == "view" and node.sources[0] in self.places and not backwards(node):
            self.places[node] = self.places[node.sources[0]].seen(node.data)
        elif node in self.placed or len(self._entry(node, "i", "j")[0]) > LONGEST:
            self._put(node, self._room_for(node))

    def _loop(self, node: Node, body: list[str]) -> list[str]:
        rows, columns = self._counts(node)
        lines = body
        for word, many in (("j", columns), ("i", rows)):
            if many != "1":
                lines = [f"for {word} in range({many}):", *(f"    {line}" for line in lines)]
        return lines

    def _indices(self, node: Node) -> tuple[str, str]:
        rows, columns = self._counts(node)
        return "0" if rows == "1" else "i", "0" if columns == "1" else "j"

    def _put(self, node: Node, place: Place) -> None:
        """Work all entries out, into the working space or the state."""
        i, j = self._indices(node)
        value, _ = self._entry(node, i, j)
        if node.mask:
            value = f"select({value}, full(one), full(zero))"
        where = sum_of(place.at, (place.down, i), (place.across, j))
        self._lines(node).extend(self._loop(node, [f"store({place.array}, {where}, {value})"]))
        self.work += self._times(node) * node.size
        if place.array == "scratch":
            self.places[node] = place

    def _entry(self, node: Node, i: str, j: str) -> tuple[str, bool]:
        """Entry (i, j) in words, and whether it is a lane value."""
        if node in self.places:
            place = self.places[node]
            where = sum_of(place.at, (place.down, i), (place.across, j))
            if place.array == "reals":
                return f"reals[{where}]", False
            value = f"load({place.array}, {where})"
            return (f"(zero < {value})" if node.mask else value), True
        if node.kind == "view":
            v = node.data
            i, j = sum_of(v.r, (v.ri, i), (v.rj, j)), sum_of(v.c, (v.ci, i), (v.cj, j))
            return self._entry(node.sources[0], i, j)
        parts = []
        for source in node.sources:
            axis = self.axis[source]
            here = "0" if source.rows == 1 and axis != 0 else i, "0" if source.columns == 1 and axis != 1 else j
            parts.append(self._entry(source, *here))
        return element(node.data, parts)

    def _write_draw(self, node: Node) -> None:
        name, stream, *sizes = node.data
        lines, count = self._lines(node), node.size
        source = "s, replica, key0, key1"
        if name == "normals" and self.axis[node] == 0:  # draw number b n + i is entry i of sample b
            n = node.columns
            place = self.places[node] = self._room_for(node)
            room = f"part(scratch, {place.at}, {CHUNK * n})"
            lines += [f"normals({room}, ((count + 3) // 4) * {n}, (at // 4) * {n}, {stream}, {source})"]
        elif name == "normals":
            blocks = -(-count // 4)
            at = self._take(4 * blocks)
            lines += [f"normals(part(scratch, {at}, {4 * blocks}), {blocks}, 0, {stream}, {source})"]
            self.places[node] = Place("scratch", at, node.columns, 1)
        elif name == "symmetric":
            n = node.rows
            blocks = -(-(n * (n + 1) // 2) // 4)
            at, place = self._take(4 * blocks), self._room_for(node)
            lines += [f"normals(part(scratch, {at}, {4 * blocks}), {blocks}, 0, {stream}, {source})"]
            o = f"part(scratch, {place.at}, {n * n})"
            lines += [f"symmetric({o}, part(scratch, {at}, {4 * blocks}), {n})"]
            self.places[node] = place
        else:  # the sums of a batch, drawn at once: c above h
            n, q, first = sizes
            blocks = -(-(n * (n - 1) // 2 + q * n) // 4)
            x, f, place = self._take(4 * blocks), self._take(n * n), self._room_for(node)
            room = f"part(scratch, {x}, {4 * blocks})"
            lines += [f"normals({room}, {blocks}, 0, {stream}, {source})"] if blocks else []
            c, h = f"part(scratch, {place.at}, {n * n})", f"part(scratch, {place.at + n * n}, {q * n})"
            lines += [f"wishart_{len(self.wisharts)}({c}, {h}, {room}, part(scratch, {f}, {n * n}), batch, ({source}))"]
            self.wisharts.append((n, q, first))
            self.places[node] = place
            self.work += n**3
        self.work += self._times(node) * 40.0 * (CHUNK * node.columns if self.axis[node] == 0 else count)

    def _operand(self, node: Node) -> tuple[str, int, int]:
        place, (rows, columns) = self.places[node], self._held(node)
        count = (rows - 1) * place.down + (columns - 1) * place.across + 1
        if place.array == "reals":
            return f"reals[{place.at}:{place.at + count}]", place.down, place.across
        return f"part({place.array}, {place.at}, {count})", place.down, place.across

    def _clear(self, node: Node, place: Place) -> None:
        """Begin sums over the batch, before its loop."""
        where = sum_of(place.at, (1, "i"))
        self.before += [f"for i in range({node.size}):", f"    store(scratch, {where}, full(zero))"]

    def _write_product(self, node: Node) -> None:
        left, right = node.sources
        adds = self.axis[left] == 1 and self.axis[right] == 0
        place = self.places[node] = self._room_for(node)
        if adds:
            self._clear(node, place)
        kinds = "".join("r" if self.places[source].array == "reals" else "s" for source in (left, right))
        (a, ai, am), (b, bm, bj) = self._operand(left), self._operand(right)
        o = f"part(scratch, {place.at}, {self._held(node)[0] * self._held(node)[1]})"
        rows, columns = self._counts(node)
        inner = "count" if adds else str(left.columns)
        function = "added" if adds else "product"
        sizes = f"{rows}, {columns}, {inner}, {place.down}"
        self._lines(node).append(f"{function}_{kinds}({o}, {a}, {ai}, {am}, {b}, {bj}, {bm}, {sizes})")
        terms = CHUNK if adds else left.columns
        self.work += self._times(node) * self._held(node)[0] * self._held(node)[1] * terms

    def _write_sum(self, node: Node) -> None:
        source = node.sources[0]
        along = self.axis[source]
        adds = along is not None and self.axis[node] is None
        place = self.places[node] = self._room_for(node)
        lines = self._lines(node)
        rows, columns = self._counts(source)
        i, j = self._indices(source)
        value, _ = self._entry(source, i, j)
        if source.mask:
            value = f"select({value}, full(one), full(zero))"
        kept = "" if node.data is None else "j" if node.data == 0 else "i"  # of the matrix that is summed
        kept = "" if (kept == "j" and j == "0") or (kept == "i" and i == "0") else kept
        where = sum_of(place.at, (1, kept or "0"))
        if adds:
            self._clear(node, place)
        inner = [f"t = t + {value}"]
        for word, many in (("j", columns), ("i", rows)):
            if many != "1" and word != kept:
                inner = [f"for {word} in range({many}):", *(f"    {line}" for line in inner)]
        body = [f"t = load(scratch, {where})" if adds else "t = full(zero)", *inner, f"store(scratch, {where}, t)"]
        if kept:
            body = [f"for {kept} in range({columns if kept == 'j' else rows}):", *(f"    {line}" for line in body)]
        lines += body
        self.work += self._times(node) * source.size

    # The new state takes the place of the old.

    def _write_outputs(self) -> None:
        if any(self.axis[output] is not None for output in self.outputs):
            raise Whole
        safe = all(
            number == mine and same
            for mine, output in enumerate(self.outputs)
            for number, same in self._reads(output, True)
        )
        sources: list[Place | None] = []
        for (at, _), output in zip(self.states, self.outputs, strict=True):
            stays = self.places.get(output) == Place("state", at, output.columns, 1)
            if not safe and not stays and (output not in self.places or self.places[output].array == "state"):
                room = self._room_for(output)
                self._copy(output, room)
                sources.append(room)
            else:
                sources.append(None)
        for (at, _), output, kept in zip(self.states, self.outputs, sources, strict=True):
            self._copy(output, Place("state", at, output.columns, 1), kept)

    def _copy(self, output: Node, place: Place, kept: Place | None = None) -> None:
        if self.places.get(output) == place:  # what an update returns as it was
            return
        i, j = self._indices(output)
        value = self._entry(output, i, j)[0]
        if kept is not None:
            value = f"load(scratch, {sum_of(kept.at, (kept.down, i), (kept.across, j))})"
        elif output.mask:
            value = f"select({value}, full(one), full(zero))"
        where = sum_of(place.at, (place.down, i), (place.across, j))
        self.after.extend(self._loop(output, [f"store({place.array}, {where}, {value})"]))
        self.work += output.size

    def _reads(self, node: Node, same: bool) -> set[tuple[int, bool]]:
        """Which states an entry is worked out from when it is stored, and whether from that entry alone."""
        if node.kind == "state":
            return {(node.data, same)}
        if node.kind == "view":
            whole = node.data == View(0, 1, 0, 0, 0, 1) and node.shape == node.sources[0].shape
            return self._reads(node.sources[0], same and whole) if self._open(node) else set()
        if not self._open(node):
            return set()
        found: set[tuple[int, bool]] = set()
        for source in node.sources:
            found |= self._reads(source, same and source.shape == node.shape)
        return found

    def _open(self, node: Node) -> bool:
        """Whether its entries are read elsewhere than in the working space."""
        return node not in self.places or self.places[node].array == "state"


def element(name: str, parts: list[tuple[str, bool]]) -> tuple[str, bool]:
    """One entry of a function of others, in words."""
    words = [word for word, _ in parts]
    lane = any(is_lane for _, is_lane in parts)
    if name in INFIX:
        return f"({words[0]} {INFIX[name]} {words[1]})", lane
    if name == "negative":
        return f"(zero - {words[0]})", lane
    if name == "not":
        return f"(zero < select({words[0]}, full(zero), full(one)))", True
    if name == "number":
        return f"select({words[0]}, full(one), full(zero))", True
    full = [word if is_lane else f"full({word})" for word, is_lane in parts]
    if name == "where":
        return f"select({words[0]}, {full[1]}, {full[2]})", True
    return f"{name}({', '.join(full)})", True
