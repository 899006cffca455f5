"""A model's update: its arguments and shapes, its trace as a kernel, its run on stacks."""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ... import _checks
from ...backend import Kernel
from ...kernels.networks import optimizers
from ...kernels.traced import step
from ...kernels.traced.nodes import Node, Trace
from ...kernels.traced.text import Text, text_of
from .noise import Noise, SymbolicNoise
from .notation import Matrix, Shape
from .symbols import Symbol

__all__ = ["Layout", "kernel_of", "layers_of", "layout_of", "matrices", "updated"]

LAST = ("noise", "learning_rate", "batch_size")
SMALL = 600  # numbers of a network up to which two vectors a lane value are as fast or faster, as in `networks.linear`
MOST = 2**24  # numbers of state and working space of a network


@dataclass(frozen=True)
class Layout:
    """The state of a network: matrices by name, weights first, one after the other row by row.

    names : as the update takes them
    shapes, places : shape, and number of the first entry, of each
    weights : how many numbers are weights
    start : what the others start from
    """

    names: tuple[str, ...]
    shapes: dict[str, Shape]
    places: dict[str, int]
    weights: int
    start: np.ndarray = field(repr=False)

    @property
    def size(self) -> int:
        """Numbers of the state of a network."""
        return self.weights + self.start.size

    def cut(self, state: np.ndarray) -> dict[str, np.ndarray]:
        """Return the matrices of states (networks, size), each (networks, *shape)."""
        out = {}
        for name in self.names:
            at, shape = self.places[name], self.shapes[name]
            out[name] = state[:, at : at + math.prod(shape)].reshape(-1, *shape)
        return out


def where(function: Callable[..., Any]) -> str:
    """Name the line of the last return of a user's function, or of its beginning."""
    function = inspect.unwrap(function)
    code = function.__code__
    line = code.co_firstlineno
    with suppress(OSError, SyntaxError, TypeError):
        source = textwrap.dedent("".join(inspect.getsourcelines(function)[0]))
        returns = [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Return)]
        line += max(returns, default=1) - 1
    return f"{code.co_filename}, line {line}, in {code.co_name}"


def line_of(model: Any, method: str) -> str:
    return where(getattr(type(model), method))


def names_of(model: Any) -> tuple[str, ...] | None:
    """Return the names of what `update` takes before `noise`; None where it takes as many matrices as there are.

    TypeError if its arguments are not the usual ones.
    """
    update = type(model).update
    wanted = "update(self, W, noise, learning_rate, batch_size), with further matrices of the state behind W"
    given = list(inspect.signature(update).parameters.values())[1:]
    names = tuple(parameter.name for parameter in given)
    if len(given) == 4 and given[0].kind is inspect.Parameter.VAR_POSITIONAL and names[-3:] == LAST:
        return None
    plain = all(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in given)
    if len(names) < 4 or names[-3:] != LAST or not plain:
        raise TypeError(f"{where(update)}: update takes {', '.join(names)}; must be {wanted}")
    return names[:-3]


def shape_of(name: str, given: Any) -> Shape:
    sizes = given if isinstance(given, (tuple, list)) else (given,)
    if len(sizes) > 2:
        raise ValueError(f"{name} = {_checks.shown(given)}: must be a shape of two axes at most")
    return tuple(_checks.integer(name, size, 1) for size in sizes)


def value_of(model: Any, name: str) -> Any:
    """Return an attribute, or what a method without arguments gives."""
    found = getattr(model, name)
    return found() if callable(found) else found


def layout_of(model: Any) -> Layout:
    """Return the layout of a model's state; TypeError or ValueError where its shapes are wrong or missing."""
    names, what = names_of(model), type(model).__name__
    given = value_of(model, "weight_shapes")
    weights = {names[0] if names else "W": model.weight_shape} if given is None else given
    memory = value_of(model, "memory")
    for attribute, found in (("weight_shapes", weights), ("memory", memory)):
        if not isinstance(found, Mapping):
            raise TypeError(
                f"{what}.{attribute} = {_checks.shown(found)}: must be a dict, by the names that update takes"
            )
    both = [*weights, *memory]
    names = tuple(both) if names is None else names
    if sorted(both) != sorted(names):
        raise TypeError(
            f"{line_of(model, 'update')}: update takes {', '.join(names)}; the shapes of {', '.join(both)} are known. "
            f"Weights have theirs from weight_shape (one matrix) or weight_shapes, a dict; what else a step remembers "
            f"(velocities, ...) is given with its start values by memory, a dict"
        )
    shapes = {name: shape_of(f"{what}.weight_shapes[{name!r}]", shape) for name, shape in weights.items()}
    start = []
    for name, value in memory.items():
        numbers = _checks.array(f"{what}.memory[{name!r}]", value, "numbers", dimensions=(0, 1, 2))
        shapes[name] = numbers.shape
        start.append(numbers.ravel())
    places, at = {}, 0
    for name in both:
        places[name], at = at, at + math.prod(shapes[name])
    count = sum(math.prod(shapes[name]) for name in weights)
    return Layout(names, shapes, places, count, np.concatenate([np.empty(0), *start]))


def layers_of(model: Any) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Return shapes of the weights that are matrices, and the number of the first entry of each."""
    layout = layout_of(model)
    layers = [name for name, at in layout.places.items() if at < layout.weights and len(layout.shapes[name]) == 2]
    places = tuple(layout.places[name] for name in layers)
    return tuple((layout.shapes[name][0], layout.shapes[name][1]) for name in layers), places


def updated(
    model: Any, layout: Layout, state: dict[str, Matrix], noise: Noise, rate: float, batch: int
) -> list[Matrix]:
    """Call `update`; its matrices in the order of the layout, of the right shapes. Errors name the user's line."""
    one = state[layout.names[0]]
    found = model.update(*(state[name] for name in layout.names), noise=noise, learning_rate=rate, batch_size=batch)
    several = found if isinstance(found, (tuple, list)) else (found,)
    names = ", ".join(layout.names)
    if len(several) != len(layout.names):
        raise ValueError(f"{line_of(model, 'update')}: returns {len(several)} matrices, must return the new {names}")
    out = []
    for name, value in zip(layout.names, several, strict=True):
        if value is None:
            raise TypeError(f"{line_of(model, 'update')}: returns None, must return the new {names}")
        matrix = one._other(value)._numbers() if isinstance(value, Matrix) else constant(model, one, name, value)
        if matrix.shape != layout.shapes[name]:
            raise ValueError(
                f"{line_of(model, 'update')}: returns {name} of shape {matrix.shape}, must have {layout.shapes[name]}"
            )
        out.append(matrix)
    return out


def constant(model: Any, one: Matrix, name: str, value: Any) -> Matrix:
    """Return a new matrix that is made of neither weights nor noise."""
    try:
        return one._constant(value, _checks.array(f"the new {name}", value, dimensions=(0, 1, 2)))
    except (TypeError, ValueError) as error:
        raise type(error)(f"{line_of(model, 'update')}: {error}") from None


def stand_in(model: Any) -> Kernel:
    """Return what is known of a kernel without a trace, for runs that need none."""
    layout = layout_of(model)
    return Kernel(not_traced, {}, np.zeros(1), np.zeros(1), layout.weights, extra=layout.start)


def not_traced(lanes: Any) -> Any:
    """Take the place of a builder that nothing may call."""
    raise RuntimeError('this process is being run with device="numpy", and cannot run elsewhere at the same time')


def trace_of(model: Any, layout: Layout, rate: float, batch: int) -> Text:
    trace = Trace(batch)
    symbols: dict[str, Matrix] = {}
    for number, name in enumerate(layout.names):
        symbols[name] = Symbol(trace, trace.add("state", layout.shapes[name], data=number))
    found = updated(model, layout, symbols, SymbolicNoise(trace), rate, batch)
    states = [(layout.places[name], math.prod(layout.shapes[name])) for name in layout.names]
    outputs: list[Node] = [symbol.node for symbol in found]  # type: ignore[attr-defined]
    return text_of(trace, outputs, states, layout.weights, model.period(batch) is not None)


def kernel_of(model: Any, learning_rate: float, batch_size: int) -> Kernel:
    """Trace the update of a model, twice: what it draws elsewhere than from `noise` would be a constant."""
    layout = layout_of(model)
    made, again = (trace_of(model, layout, learning_rate, batch_size) for _ in range(2))
    if made.text != again.text or not np.array_equal(made.reals, again.reals, equal_nan=True):
        raise ValueError(
            f"{line_of(model, 'update')}: gives another update when it is called again; random numbers must come from "
            "noise, and nothing may be kept between calls"
        )
    if layout.size + made.scratch > MOST:
        raise ValueError(
            f"{line_of(model, 'update')}: needs {layout.size + made.scratch} numbers of each network, at most {MOST}; "
            "rows of samples that are not used one by one are kept for the whole batch"
        )
    sizes = {"text": made.text, "wisharts": made.wisharts}
    few = layout.size + made.scratch <= SMALL
    integers = np.array([batch_size, model.period(batch_size) or 0])
    return Kernel(
        step.build, sizes, made.reals, integers, layout.weights, extra=layout.start,
        scratch=made.scratch, vectors=2 if few else 1, work=made.work,
    )  # fmt: skip


def matrices(model: Any, state: np.ndarray) -> dict[str, np.ndarray]:
    """Return the matrices of states (networks, size) by name."""
    layout = layout_of(model)
    numbers = np.asarray(state)
    behind = {optimizers.extra(rule, layout.weights) for rule in optimizers.RULES}  # what an optimizer remembers
    if numbers.ndim != 2 or numbers.shape[1] - layout.size not in behind:
        raise ValueError(f"state has shape {numbers.shape}: must be (replicas, {layout.size}), as Run.state")
    return layout.cut(numbers)
