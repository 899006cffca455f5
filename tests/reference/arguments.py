"""Arguments of public functions: right ones, what no argument takes, and numbers at the edge of floating point."""

from __future__ import annotations

import decimal
import itertools
from datetime import date, timedelta

import numpy as np

import dysonsim as ds

MODEL = ds.GaussianRBM.scalar_field(4, mass=1.5, mu=2.8)
SGD = ds.SGD(MODEL, 0.05, 4)
# A run as of `simulate(SGD, replicas=10, steps=4, seed=1)`: nothing is compiled while tests are collected.
STATE = np.random.default_rng(1).normal(scale=0.3, size=(10, 32))  # 16 weights, and the chains
LEVELS = np.linalg.svd(STATE[:, None, :16].reshape(10, 1, 4, 4), compute_uv=False)[..., ::-1]
RUN = ds.Run(SGD, 1, times=np.array([4.0]), steps=np.array([4]), spectra=LEVELS, coordinate="singular_values",
             weights=None, device="cpu", dtype="float64", version=ds.__version__, state=STATE, last_time=4.0,
             last_step=4)  # fmt: skip
ROWS = np.random.default_rng(20).normal(size=(20, 3))
nan, inf = float("nan"), float("inf")


class Raises:
    """Of a class of the user, where everything goes wrong."""

    def __float__(self):
        raise KeyError("float")

    __array__ = __index__ = __repr__ = __float__


class NeedsGradient:
    """What torch does with a tensor that requires a gradient."""

    requires_grad = True

    def __array__(self, *args, **kwargs):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")


class Bfloat16:
    """What torch does with a tensor of a type that NumPy lacks."""

    requires_grad = False

    def __array__(self, *args, **kwargs):
        raise TypeError("Got unsupported ScalarType BFloat16")

    def __float__(self):
        return 1.0


class Tensor:
    """What torch does with a tensor on the CPU without a gradient."""

    requires_grad = False

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, *args, **kwargs):
        return self.values


MASKED = np.ma.array([1.0, 2.0], mask=[False, True])
# What no number, and no array of numbers, is: by name, so that an argument can be exempt.
WRONG = {
    "str": "3", "bytes": b"3", "bytearray": bytearray(b"3"), "array of str": np.array("3"), "word": "word",
    "True": True, "np.True_": np.True_, "list with True": [True, 1.5], "array of bool": np.array([True, False]),
    "1j": 1j, "1 + 0j": 1 + 0j, "np.complex128": np.complex128(1), "list with 1j": [1j, 2.0],
    "array of complex": np.ones((10, 3), complex), "0-d complex": np.array(1 + 1j),
    "nan": nan, "inf": inf, "[nan]": [nan], "[[nan, 1]]": [[nan, 1.0], [1.0, 1.0]],
    "inf in 3-d": np.full((8, 4, 2), inf),
    "Decimal nan": decimal.Decimal("nan"), "signaling nan": decimal.Decimal("snan"),
    "masked": np.ma.masked, "masked array": MASKED, "list of masked": [MASKED, MASKED], "mask of none": MASKED[:1],
    "timedelta": timedelta(1), "timedelta64": np.timedelta64(3, "s"), "datetime64": np.datetime64("2020"),
    "date": date(2020, 1, 1), "array of times": np.array([1, 2], "m8[s]"),
    "ragged": [1, [2, 3]], "ragged rows": [[1.0], [2.0, 3.0]], "[]": [], "[[]]": [[]], "(0, 3)": np.empty((0, 3)),
    "dict": {"a": 1}, "set": {1, 2}, "object": object(), "class": int, "...": ...,
    "count": itertools.count(), "generator": (1 for _ in itertools.count()), "endless range": range(10**40),
    "10**400": 10**400, "10**5000": 10**5000, "longdouble": np.longdouble("1e4000"),
    "structured": np.zeros(3, "i4,f4"), "objects": np.array([None, 1], object),
    "raises": Raises(), "requires grad": NeedsGradient(), "bfloat16": Bfloat16(),
}  # fmt: skip
FLAG = {"True", "np.True_"}
SEEDS = {"[]", "[[]]", "(0, 3)", "ragged", "10**400", "10**5000"}  # what numpy.random.default_rng takes, too
EVALUATED = {"nan", "inf", "[nan]", "[[nan, 1]]", "inf in 3-d", "[]", "[[]]", "(0, 3)"}  # where a law is evaluated

HUGE, TINY = 1e300, 1e-300
EDGES = [0, -1, -0.5, 1.5, 1e308, -1e308, 1e200, 1e-200, 5e-324, 2**63, 2**64, 10**12, 1e16, HUGE, -HUGE, TINY]
