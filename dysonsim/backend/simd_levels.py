"""Lane values that hold eight levels of one large gas, where `backend/simd.py` speaks of eight networks.

The same vectors, with what a sum over levels needs beside: numbers of an array spread over the lanes, sums over lanes.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import simd as vector

WIDTH = 8  # two AVX2 registers or one AVX-512 register: two chains of multiply-adds fill either kind of core


@cache
def lanes() -> SimpleNamespace:
    """Make the functions of `vector.lanes("float64", 8)`, and more for levels.

    `at(a, i)` is number i of the flat array a in every lane, `total(v)` the sum over the lanes; `number_at(a, i)` and
    `put(a, i, x)` read and write one number; `load_at(a, i)` and `store_at(a, i, v)` the lane value that begins with
    number i. None wraps a negative index around, which Numba's indexing pays for with every access.
    """
    base = vector.lanes("float64", WIDTH)
    lane = vector.Lane("f8", WIDTH)

    def address(context, builder, array_type, array, index_type, index):
        data = context.make_array(array_type)(context, builder, array).data
        return builder.gep(data, [context.cast(builder, index, index_type, types.intp)])

    @intrinsic
    def number_at(typing, a, i):
        def lower(context, builder, sig, args):
            return builder.load(address(context, builder, sig.args[0], args[0], sig.args[1], args[1]))

        return a.dtype(a, i), lower

    @intrinsic
    def put(typing, a, i, x):
        def lower(context, builder, sig, args):
            value = context.cast(builder, args[2], sig.args[2], a.dtype)
            builder.store(value, address(context, builder, sig.args[0], args[0], sig.args[1], args[1]))
            return context.get_dummy_value()

        return types.void(a, i, x), lower

    @intrinsic
    def total(typing, v):
        def lower(context, builder, sig, args):
            signature = ir.FunctionType(ir.DoubleType(), [ir.DoubleType(), lane.vector])
            reduce = cgutils.get_or_insert_function(builder.module, signature, f"llvm.vector.reduce.fadd.v{WIDTH}f64")
            zero = ir.Constant(ir.DoubleType(), -0.0)
            # In pairs of pairs: a fixed order that needs three additions one after the other, not eight.
            return builder.call(reduce, [zero, args[0]], fastmath=("reassoc",))

        return types.float64(v), lower

    def vector_address(context, builder, sig, args):
        pointer = address(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        return builder.bitcast(pointer, lane.vector.as_pointer())

    @intrinsic
    def load_at(typing, a, i):
        def lower(context, builder, sig, args):
            return builder.load(vector_address(context, builder, sig, args), align=8)

        return lane(a, i), lower

    @intrinsic
    def store_at(typing, a, i, v):
        def lower(context, builder, sig, args):
            builder.store(args[2], vector_address(context, builder, sig, args), align=8)
            return context.get_dummy_value()

        return types.void(a, i, lane), lower

    full = base.full

    @base.jit
    def at(a, i):
        return full(number_at(a, i))

    return SimpleNamespace(
        **vars(base), at=at, number_at=number_at, put=put, load_at=load_at, store_at=store_at, total=total
    )
