"""Matrix notation: what may be done with the weights and random inputs of an update.

`Matrix` gives Python's operators and NumPy's functions their meaning and checks shapes; what is done is left to its two
kinds, a `Symbol` of a trace and a `Stack` of numbers. Shapes are those of one network, and rules of shapes NumPy's, for
numbers (), vectors (n,) and matrices (p, n).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, NoReturn

import numpy as np

from ... import _checks
from ...kernels.traced.nodes import View
from .errors import fail
from .functions import FUNCTIONS, KNOWN, UFUNCS
from .indexing import resolved, shown

__all__ = ["Matrix"]

Shape = tuple[int, ...]


class Matrix(ABC):
    """A number, vector or matrix of each network, of which an update makes others. It is never changed in place."""

    shape: Shape
    mask: bool  # whether its entries are true or false

    # What a kind of matrix must do. Sources are of the same kind and have been checked.

    @abstractmethod
    def _constant(self, given: Any, values: np.ndarray) -> Any:
        """Make a matrix of the same kind, the same for all networks."""

    @abstractmethod
    def _element(self, name: str, shape: Shape, sources: tuple[Any, ...]) -> Any:
        """Work out entry by entry a function of this name (`kernels.traced.text.element`)."""

    @abstractmethod
    def _product(self, shape: Shape, right: Any) -> Any:
        """Multiply vectors or matrices."""

    @abstractmethod
    def _sum(self, shape: Shape, axis: int | None) -> Any:
        """Sum over an axis of a matrix, or all entries."""

    @abstractmethod
    def _view(self, shape: Shape, view: View, index: tuple[Any, ...] | str) -> Any:
        """Take entries of this one: `index` as NumPy takes it, or "T", "diagonal"."""

    # Constants and shapes.

    def _other(self, value: Any) -> Any:
        """Return what an operator has on its other side, as a matrix of the same kind."""
        if isinstance(value, Matrix):
            if type(value) is not type(self):
                fail(TypeError, "weights of another update: an update can use what it is given alone")
            return value
        return self._constant(value, self._checked(value))

    @staticmethod
    def _checked(value: Any) -> np.ndarray:
        try:
            return _checks.array("a constant", value, "real numbers of at most two axes", dimensions=(0, 1, 2))
        except (TypeError, ValueError) as error:
            fail(type(error), str(error))

    def _numbers(self) -> Any:
        """Return true and false as 1 and 0."""
        return self._element("number", self.shape, (self,)) if self.mask else self

    def _two(self, name: str, left: Any, right: Any) -> Any:
        if name == "divide" and not isinstance(right, Matrix):
            divisor = np.asarray(self._checked(right))
            if (divisor != 0).all():
                name, right = "multiply", 1.0 / divisor  # which is faster
        a, b = self._other(left), self._other(right)
        if name not in ("and", "or"):
            a, b = a._numbers(), b._numbers()
        elif not (a.mask and b.mask):
            fail(TypeError, "& and | are between comparisons, such as (W > 0) & (W < 1)")
        return self._element(name, self._fitting(name, a, b), (a, b))

    def _one(self, name: str) -> Any:
        return self._element(name, self.shape, (self._numbers(),))

    def _fitting(self, name: str, *matrices: Any) -> Shape:
        shapes = [matrix.shape for matrix in matrices]
        try:
            return np.broadcast_shapes(*shapes)
        except ValueError:
            fail(ValueError, f"{name}: shapes {' and '.join(map(str, shapes))} do not fit together")

    # Python's operators.

    def __add__(self, other: Any) -> Any:
        return self._two("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._two("add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self._two("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._two("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._two("multiply", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._two("multiply", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._two("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._two("divide", other, self)

    def __neg__(self) -> Any:
        return self._one("negative")

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return self._one("absolute")

    def __pow__(self, power: Any) -> Any:
        if isinstance(power, Matrix):
            fail(TypeError, "** with a power that is no constant: write np.exp(y * np.log(x))")
        try:
            number = _checks.real("the power", power)
        except (TypeError, ValueError) as error:
            fail(type(error), str(error))
        if number in (0.5, -0.5):
            root = self._one("sqrt")
            return root if number > 0 else 1.0 / root
        if number != int(number) or abs(number) > 64:
            fail(
                ValueError,
                f"** {number:g}: powers are whole numbers up to 64, or 0.5; or exp of log",
            )
        return self._power(int(number))

    def _power(self, n: int) -> Any:
        if n < 0:
            return 1.0 / self._power(-n)
        if n == 0:
            return self * 0.0 + 1.0
        if n == 1:
            return self._numbers()
        half = self._power(n // 2)._one("square")
        return half * self if n % 2 else half

    def __lt__(self, other: Any) -> Any:
        return self._two("less", self, other)

    def __gt__(self, other: Any) -> Any:
        return self._two("less", other, self)

    def __le__(self, other: Any) -> Any:
        return ~self._two("less", other, self)

    def __ge__(self, other: Any) -> Any:
        return ~self._two("less", self, other)

    def __eq__(self, other: object) -> Any:
        fail(TypeError, "== between numbers that are rounded: compare with < or >")

    __ne__ = __eq__
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __and__(self, other: Any) -> Any:
        return self._two("and", self, other)

    def __or__(self, other: Any) -> Any:
        return self._two("or", self, other)

    def __invert__(self) -> Any:
        if not self.mask:
            fail(TypeError, "~ is of comparisons, such as ~(W > 0)")
        return self._element("not", self.shape, (self,))

    def __matmul__(self, other: Any) -> Any:
        return self._times(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._times(other, self)

    def _times(self, left: Any, right: Any) -> Any:
        a, b = self._other(left)._numbers(), self._other(right)._numbers()
        if not a.shape or not b.shape:
            fail(ValueError, f"@ of {shown(a.shape)} and {shown(b.shape)}: a number multiplies with *")
        if a.shape[-1] != b.shape[0]:
            fail(ValueError, f"@ of shapes {a.shape} and {b.shape}: {a.shape[-1]} columns do not fit {b.shape[0]} rows")
        return a._product(a.shape[:-1] + b.shape[1:], b)

    # Entries.

    @property
    def T(self) -> Any:
        """The transpose; a vector is its own."""
        if len(self.shape) < 2:
            return self
        return self._view(self.shape[::-1], View(0, 0, 1, 0, 1, 0), "T")

    @property
    def ndim(self) -> int:
        """Number of axes, 0, 1 or 2."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            fail(TypeError, "len() of a number")
        return self.shape[0]

    def __iter__(self) -> Any:
        return iter([self[k] for k in range(len(self))])

    def __getitem__(self, index: Any) -> Any:
        shape, view = resolved(self.shape, index)
        return self._view(shape, view, index if isinstance(index, tuple) else (index,))

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        fail(TypeError, "entries cannot be assigned: make a new matrix, with np.where or from products with constants")

    def diagonal(self) -> Any:
        """Return the diagonal of a matrix, as a vector."""
        if len(self.shape) != 2:
            fail(ValueError, f"the diagonal of {shown(self.shape)}: must be of a matrix")
        return self._view((min(self.shape),), View(0, 0, 1, 0, 0, 1), "diagonal")

    # Sums.

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the sum of all entries, or over an axis."""
        total = self._numbers()
        if axis is not None:
            try:
                axis = _checks.integer("axis", axis, -len(self.shape), len(self.shape) - 1)
            except (TypeError, ValueError) as error:
                fail(type(error), str(error))
            axis = axis % len(self.shape)
        if axis is None or len(self.shape) < 2:
            out = total._sum((), None)
            return out[(None,) * len(self.shape)] if keepdims else out
        out = total._sum((self.shape[1 - axis],), axis)
        return out[(None, slice(None)) if axis == 0 else (slice(None), None)] if keepdims else out

    def mean(self, axis: int | None = None, keepdims: bool = False) -> Any:
        """Return the mean of all entries, or over an axis."""
        out = self.sum(axis, keepdims)
        return out * (1.0 / (self.size / out.size))

    def trace(self) -> Any:
        """Return the sum of the diagonal of a matrix."""
        return self.diagonal().sum()

    def dot(self, other: Any) -> Any:
        """Return the product of vectors or matrices."""
        return self @ other

    def transpose(self) -> Any:
        """Return the transpose, as `T`."""
        return self.T

    # What cannot be.

    def __bool__(self) -> bool:
        fail(
            TypeError,
            "a branch on weights or random inputs (if, while, and, or, not, max): write np.where(W > 0, a, b)",
        )

    def _no_number(self, *_: Any) -> NoReturn:
        fail(
            TypeError,
            f"weights and random inputs are no Python numbers: math, float() and int() do not take them; {KNOWN}",
        )

    def _no_operator(self, *_: Any) -> NoReturn:
        fail(TypeError, f"//, %, divmod, <<, >>, ^ and a power with weights in the exponent are not known; {KNOWN}")

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = _no_operator
    __rpow__ = __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = __xor__ = __rxor__ = _no_operator
    __float__ = __int__ = __index__ = __complex__ = __round__ = __floor__ = __ceil__ = _no_number  # type: ignore

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        fail(AttributeError, f".{name} is not known here: there are {KNOWN}")

    # NumPy's functions.

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **also: Any) -> Any:
        name = ufunc.__name__
        function = UFUNCS.get(name)
        if method != "__call__" or function is None:
            what = f"numpy.{name}" if method == "__call__" else f"numpy.{name}.{method}"
            fail(TypeError, f"{what} is not known here: there are {KNOWN}")
        if also:
            fail(TypeError, f"numpy.{name} is taken without {', '.join(also)}")
        return function(self, *inputs)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        name = function.__name__
        if name not in FUNCTIONS:
            module = getattr(function, "__module__", "numpy") or "numpy"
            fail(TypeError, f"{module}.{name} is not known here: there are {KNOWN}")
        try:
            return FUNCTIONS[name](self, *arguments, **keywords)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is None:  # of the call itself
                fail(TypeError, f"numpy.{name}: {error}")
            raise
