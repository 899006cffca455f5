"""Files of safetensors, through its library, which checks that header and file agree before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..._extras import needs
from .stored import EXACT, HALF, NARROW, Stored, same_file, widened

__all__ = ["listed"]

NAMES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2", "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu", "F4": "float4", "F6_E2M3": "float6", "F6_E3M2": "float6", "BOOL": "bool",
    "C64": "complex64", "C128": "complex128",
}  # fmt: skip


def listed(path: Path) -> dict[str, Stored]:
    """Return the arrays of a .safetensors file by their names."""
    library = needs("safetensors", "torch", f"{path.name}")
    unchanged, found = same_file(path), {}
    with library.safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118 - the file is no dictionary
            part = file.get_slice(name)
            code = str(part.get_dtype())
            dtype = NAMES.get(code) or {"I": "int", "U": "uint"}.get(code[0], code[0]) + code[1:]
            read = _reader(path, name, dtype, unchanged)
            found[name] = Stored(tuple(part.get_shape()), dtype, read, needs_torch=dtype in NARROW)
    return found


def _reader(path: Path, name: str, dtype: str, unchanged: Callable[[], None]) -> Callable[[], np.ndarray]:
    def read() -> np.ndarray:
        from safetensors import safe_open

        unchanged()
        if dtype in (*EXACT, *HALF):
            with safe_open(path, framework="numpy") as file:
                return file.get_tensor(name)
        needs("torch", "torch", f"{name}, of dtype {dtype},")
        with safe_open(path, framework="pt") as file:
            return widened(file.get_tensor(name))

    return read
