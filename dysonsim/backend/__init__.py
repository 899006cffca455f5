"""Where and how kernels run: the only package that knows a CPU from a CUDA device.

Physics is written once, in `dysonsim.kernels`, in terms of *lane values*: one number for each of several networks
that advance together. A target supplies the functions that handle them:

========================  ==================================  ==============================
target                    a lane value is                     file
========================  ==================================  ==============================
``"cpu"``                 a SIMD vector                       `backend/simd.py`
``"cuda"``                a number of one thread              `backend/cuda/driver.py`
``"numpy"``               an array (slow; tests, start-up)    `backend/reference.py`
========================  ==================================  ==============================

The names that every target has:

- ``jit``: the decorator of the functions that kernels are made of; ``number``: the scalar float type.
- ``load(a, i)``, ``store(a, i, v)``: lane value number i of a flat array; ``part(a, first, count)``: a view of
  `count` lane values.
- ``+ - * /`` and ``<`` between lane values and numbers; ``sqrt(v)``, ``sqrt_single(v)`` (float32);
  ``select(mask, a, b)``; ``&`` between masks.
- ``any(mask)``: whether any lane is true, as a number to branch on (a thread asks itself alone); ``|`` between masks.
- ``split(v)``: mantissa in [sqrt(1/2), sqrt(2)) and exponent of a positive v, both as floats; ``power_of_two(k)``: 2^k
  for whole k; `kernels/common/functions.py` makes logarithm and exponential of them.
- ``each(f)``: a function (v, i) that applies a compiled scalar function f(x) or f(x, i) to every lane; i is an
  integer, or a lane value of whole numbers.
- ``full(x)``: the number x in every lane; ``real(v)``: a float32 lane value in the float type of the run.
- ``team``: how many threads share a network, on a GPU; ``member()``: the number of this one of them; ``together()``
  waits until all are there and lets each find what the others stored. A kernel that does not use them is run by teams
  of one; ``tile`` and ``unroll``: the size of tiles of a team's products, and terms to a turn of their loops.
- for random numbers: unsigned 32-bit lane values made with ``word(x)``, with ``+ - ^ & << >>``, ``nonzero(v)``,
  ``multiply_wide(number, v)`` (the high and the low half of the 64-bit product), ``shift_signed(v, bits)``,
  ``bits(v)`` and ``from_bits(v)`` (float32 as integer and back), ``signed_to_single(v)``, and ``index()``, the number
  of the lane.

Numbers that meet integers must be typed (``np.uint32(...)``) and constants that meet floats must be made with
``number(...)``: a Python number would widen the arithmetic on some targets.
"""

from __future__ import annotations

from . import imported  # first: it notes the time
from .drivers import DEVICES, driver, usable_devices
from .host import from_cache_line, layout
from .kernel import STILL_WELL, Driver, Ensemble, Kernel, Program
from .machine import available_memory, jit_disabled, usable_cores
from .threads import one_blas_thread

__all__ = [
    "DEVICES", "STILL_WELL", "Driver", "Ensemble", "Kernel", "Program", "available_memory", "driver", "from_cache_line",
    "imported", "jit_disabled", "layout", "one_blas_thread", "usable_cores", "usable_devices",
]  # fmt: skip
