"""NumPy's functions of matrices of an update, by name; `me` is one of the matrices, of the kind that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import fail
from .indexing import shown

__all__ = ["FUNCTIONS", "KNOWN", "UFUNCS"]

KNOWN = (
    "+ - * / @, ** by whole numbers and 0.5, comparisons, slices, .T, .sum(), .mean(), .trace(), and numpy's sqrt, "
    "exp, log, tanh, abs, sign, square, maximum, minimum, clip, where, sum, mean, trace, diagonal, diag, transpose, "
    "outer, dot and scipy.special's erf and expit"
)


def choose(me: Any, condition: Any, x: Any, y: Any) -> Any:
    """np.where."""
    m, a, b = me._other(condition), me._other(x)._numbers(), me._other(y)._numbers()
    if not m.mask:
        fail(TypeError, "np.where takes a comparison first, such as W > 0")
    return me._element("where", me._fitting("where", m, a, b), (m, a, b))


def sign(me: Any, x: Any) -> Any:
    """-1, 0 or 1."""
    value = me._other(x)
    return choose(me, value > 0, 1.0, choose(me, value < 0, -1.0, 0.0))


def clip(me: Any, x: Any, low: Any = None, high: Any = None) -> Any:
    """np.clip."""
    value = me._other(x)
    value = value if low is None else me._two("maximum", value, low)
    return value if high is None else me._two("minimum", value, high)


def outer(me: Any, x: Any, y: Any) -> Any:
    """np.outer of two vectors."""
    a, b = me._other(x), me._other(y)
    if len(a.shape) != 1 or len(b.shape) != 1:
        fail(ValueError, f"np.outer of {shown(a.shape)} and {shown(b.shape)}: must be of two vectors")
    return a[:, None] * b[None, :]


def expit(me: Any, x: Any) -> Any:
    """1/(1 + exp(-x))."""
    return 1.0 / (1.0 + (-me._other(x))._one("exp"))


def diag(me: Any, x: Any) -> Any:
    """np.diag: of a matrix its diagonal; of a vector a matrix."""
    value = me._other(x)
    if len(value.shape) == 1:
        return value[:, None] * np.eye(value.shape[0])
    return value.diagonal()


def two(name: str) -> Callable[..., Any]:
    return lambda me, x, y: me._two(name, x, y)


def one(name: str) -> Callable[..., Any]:
    return lambda me, x: me._other(x)._one(name)


UFUNCS: dict[str, Callable[..., Any]] = {
    "add": two("add"), "subtract": two("subtract"), "multiply": two("multiply"), "divide": two("divide"),
    "maximum": two("maximum"), "minimum": two("minimum"), "fmax": two("maximum"), "fmin": two("minimum"),
    "less": two("less"), "greater": lambda me, x, y: me._two("less", y, x),
    "less_equal": lambda me, x, y: ~me._two("less", y, x), "greater_equal": lambda me, x, y: ~me._two("less", x, y),
    "logical_and": two("and"), "logical_or": two("or"), "bitwise_and": two("and"), "bitwise_or": two("or"),
    "logical_not": lambda me, x: ~me._other(x), "invert": lambda me, x: ~me._other(x),
    "negative": one("negative"), "positive": lambda me, x: me._other(x), "absolute": one("absolute"),
    "fabs": one("absolute"), "sqrt": one("sqrt"), "square": one("square"), "exp": one("exp"), "log": one("log"),
    "tanh": one("tanh"), "erf": one("erf"), "expit": expit, "sign": sign,
    "reciprocal": lambda me, x: 1.0 / me._other(x), "matmul": lambda me, x, y: me._times(x, y),
    "power": lambda me, x, y: me._other(x) ** y, "float_power": lambda me, x, y: me._other(x) ** y,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "where": choose, "clip": clip, "outer": outer, "diag": diag,
    "sum": lambda me, x, axis=None, keepdims=False: me._other(x).sum(axis, keepdims),
    "mean": lambda me, x, axis=None, keepdims=False: me._other(x).mean(axis, keepdims),
    "trace": lambda me, x: me._other(x).trace(), "diagonal": lambda me, x: me._other(x).diagonal(),
    "transpose": lambda me, x: me._other(x).T, "dot": lambda me, x, y: me._times(x, y),
    "zeros_like": lambda me, x: np.zeros(x.shape), "ones_like": lambda me, x: np.ones(x.shape),
    "shape": lambda me, x: x.shape, "ndim": lambda me, x: x.ndim, "size": lambda me, x: x.size,
}  # fmt: skip
