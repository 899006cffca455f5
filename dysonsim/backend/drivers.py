"""The driver of a device."""

from __future__ import annotations

import warnings

from .kernel import Driver
from .machine import jit_disabled

DEVICES = ("cpu", "cuda", "numpy")


def driver(device: str) -> Driver:
    """Return the driver of "cpu", "cuda" or "numpy", where kernels run as ordinary Python with checked indices.

    Raises
    ------
    ValueError
        For another name.
    RuntimeError
        If no such device can be used here; there is no silent fall-back.
    """
    if device == "cpu" and jit_disabled():
        from .reference import ReferenceDriver

        warnings.warn(
            "NUMBA_DISABLE_JIT is set: kernels run as NumPy code, a thousand times slower", RuntimeWarning, stacklevel=2
        )
        return ReferenceDriver()
    if device == "cpu":
        from .cpu import CpuDriver

        return CpuDriver()
    if device == "cuda":
        from .cuda.driver import CudaDriver

        return CudaDriver()
    if device == "numpy":
        from .reference import ReferenceDriver

        return ReferenceDriver(checked=True)
    raise ValueError(f"device = {device!r}: must be one of {', '.join(map(repr, DEVICES))}")


def usable_devices() -> tuple[str, ...]:
    """List the devices that compile and can be used here: the CPU, and a CUDA device where there is one."""
    try:
        driver("cuda")
    except (RuntimeError, ImportError):
        return ("cpu",)
    return "cpu", "cuda"
