"""An array that is known by its header, and the limits that hold for all formats."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Stored", "check_expansion", "same_file", "why_not", "widened"]

EXACT = ("float32", "float64")
HALF = ("float16",)
NARROW = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz")  # unknown to NumPy
FREE = 2**26  # bytes that a compressed array may always take
EXPANSION = 100  # times what is stored, beyond that; pruned weights are well below, a bomb is near 1000


@dataclass(frozen=True)
class Stored:
    """One array of a source.

    Parameters
    ----------
    shape : tuple of int, or None
        As stored; None where it is not decided yet, as in a lazy layer.
    dtype : str
        As NumPy or torch call it.
    read : callable() -> array
        Reads it, in the shape and the order of axes of the store.
    rows : tuple of int
        The axes that are the rows of the matrix.
    columns : tuple of int, optional
        The axes that are its columns; all others, in their order, by default.
    refused : str
        Why it is no dense real array in this process's memory, and what to do; empty if it is one.
    identity : hashable, optional
        The same for arrays that are the same memory.
    trained : bool
        Whether it is a weight; False for buffers of a module, which only help to compute one.
    needs_torch : bool
        Whether torch, which may not be installed, is needed to read it.
    called : str
        The name of its layer, where the format knows it better than the name in the source does.
    """

    shape: tuple[int, ...] | None
    dtype: str
    read: Callable[[], np.ndarray]
    rows: tuple[int, ...] = (0,)
    columns: tuple[int, ...] | None = None
    refused: str = ""
    identity: Hashable = None
    trained: bool = True
    needs_torch: bool = False
    called: str = ""

    @property
    def matrix_shape(self) -> tuple[int, int]:
        """(rows, columns) of the matrix; (0, 0) where the shape is not known."""
        if self.shape is None or len(self.shape) < 2:
            return 0, 0
        rows, columns = self._axes()
        return math.prod(self.shape[k] for k in rows), math.prod(self.shape[k] for k in columns)

    def matrix(self) -> np.ndarray:
        """Return the matrix, a new array of float64 if it is stored so, else of float32."""
        array = self.read()
        rows, columns = self._axes()
        turned = array.transpose(rows + columns).reshape(self.matrix_shape)
        return np.array(turned, np.float64 if self.dtype == "float64" else np.float32, order="C")

    def _axes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        rest = tuple(k for k in range(len(self.shape or ())) if k not in self.rows)
        return self.rows, rest if self.columns is None else self.columns


def why_not(dtype: str) -> str:
    """Why numbers of this type are no weights, and what to do; empty if they are."""
    if dtype in (*EXACT, *HALF, *NARROW):
        return ""
    if dtype.startswith(("q", "float8_e8m0", "float4", "float6", "bits")):
        return "quantized: give the model before it was quantized, or the dequantized weights"
    if dtype.startswith(("int", "uint", "bool")):
        return "integers: quantized weights must be dequantized first, indices and masks are no weights"
    if dtype.startswith("complex"):
        return "complex: give its real or imaginary part as an array"
    return "not real numbers in 16, 32 or 64 bits: convert it to float64"


def widened(tensor: Any) -> np.ndarray:
    """Return the numbers of a dense real torch tensor, exactly, as NumPy has them."""
    tensor = tensor.detach().to("cpu").resolve_neg()
    if str(tensor.dtype).removeprefix("torch.") in NARROW:
        tensor = tensor.float()
    return tensor.numpy()


def check_expansion(declared: int, stored: int, available: int) -> None:
    """Check bytes that a header declares against those that are stored, and these against those there are."""
    if stored > available:
        raise ValueError(f"the header says that {stored} bytes are stored; there are {available}")
    if declared > max(FREE, EXPANSION * stored):
        raise ValueError(
            f"the header says {declared} bytes, of which {stored} are stored: no weights compress so well; "
            f"at most {FREE} bytes, or {EXPANSION} times what is stored, are taken"
        )


def same_file(path: Path) -> Callable[[], None]:
    """Return a check that the file is still the one that it is now."""

    def state() -> tuple[int, ...]:
        now = path.stat()
        return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns

    then = state()

    def check() -> None:
        if state() != then:
            raise ValueError("the file has changed since it was listed: call read_weights again")

    return check


@contextmanager
def explained(label: str, genuine: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Turn what a damaged file makes libraries raise, errors of a dozen kinds, into a ValueError with the file's name.

    A missing library and a file that cannot be opened are no damage, nor is what `genuine` lists.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (ImportError, FileNotFoundError, PermissionError, *genuine)):
            raise
        reason = " ".join((str(error) or type(error).__name__).split())
        raise ValueError(f"{label}: {reason[:600]}") from None
