"""Lane values on a CPU: short vectors as a Numba type.

A lane value holds one number for each of `width` networks. Numba code written with lane values (`load`,
arithmetic, `store`) compiles to LLVM vector instructions directly, with no loop over lanes for the compiler to
recognize, so that its speed does not hang on the auto-vectorizer, and each lane sees the same instructions
whichever network it holds: results are equal bit for bit in any arrangement of networks.

Kinds of lane values: "f8", "f4" (floats), "u4" (unsigned 32-bit integers, wrapping), "b1" (masks).
"""

from __future__ import annotations

import operator
import os
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.datamodel.models import PrimitiveModel
from numba.extending import intrinsic, lower_builtin, register_model, type_callable

from .._functions import scalar_function

ELEMENT = {"f8": ir.DoubleType(), "f4": ir.FloatType(), "u4": ir.IntType(32), "b1": ir.IntType(1)}
SCALAR = {"f8": types.float64, "f4": types.float32, "u4": types.uint32, "b1": types.boolean}
KIND = {types.float64: "f8", types.float32: "f4", types.uint32: "u4"}
# Multiply-adds may fuse; nothing else that would make the result depend on the compiler's mood.
FLAGS = ("contract",)


class Lane(types.Type):
    """The Numba type of a lane value."""

    def __init__(self, kind: str, width: int) -> None:
        self.kind, self.width = kind, width
        self.vector = ir.VectorType(ELEMENT[kind], width)
        super().__init__(f"Lane({kind} x {width})")


@register_model(Lane)
class LaneModel(PrimitiveModel):
    """In LLVM a lane value is a vector register."""

    def __init__(self, manager, lane):
        super().__init__(manager, lane, lane.vector)


def spread(context, builder, lane, given, value):
    """`value` of the type `given`, in every lane; a lane value stays as it is."""
    if isinstance(given, Lane):
        return value
    value = context.cast(builder, value, given, SCALAR[lane.kind])
    first = ir.Constant(ir.IntType(32), 0)
    vector = builder.insert_element(ir.Constant(lane.vector, ir.Undefined), value, first)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lane.width), [0] * lane.width)
    return builder.shuffle_vector(vector, ir.Constant(lane.vector, ir.Undefined), zeros)


def operand_lane(a, b):
    """Return the lane type in which `a op b` is done, None if neither is a lane value or the two do not match."""
    if isinstance(a, Lane):
        return a if a == b or isinstance(b, types.Number) else None
    return b if isinstance(b, Lane) and isinstance(a, types.Number) else None


def define_operator(op, emit, result=lambda lane: lane):
    """Give lane values the Python operator `op`; `emit(builder, kind, a, b)` writes the instruction."""

    @type_callable(op)
    def _(context):
        def typer(a, b):
            lane = operand_lane(a, b)
            return None if lane is None else result(lane)

        return typer

    def lower(context, builder, sig, args):
        lane = operand_lane(*sig.args)
        a, b = (spread(context, builder, lane, t, v) for t, v in zip(sig.args, args, strict=True))
        return emit(builder, lane.kind, a, b)

    for signature in ((Lane, Lane), (Lane, types.Number), (types.Number, Lane)):
        lower_builtin(op, *signature)(lower)


def arithmetic(name):
    """Emit f<name> for floats, <name> for integers."""

    def emit(builder, kind, a, b):
        return getattr(builder, "f" + name)(a, b, flags=FLAGS) if kind[0] == "f" else getattr(builder, name)(a, b)

    return emit


def integer_only(name):
    """Emit the instruction `name` of a builder, which has no variant for floats."""
    return lambda builder, kind, a, b: getattr(builder, name)(a, b)


def less_than(builder, kind, a, b):
    """Ordered: false where either side is NaN."""
    return builder.fcmp_ordered("<", a, b) if kind[0] == "f" else builder.icmp_unsigned("<", a, b)


define_operator(operator.add, arithmetic("add"))
define_operator(operator.sub, arithmetic("sub"))
define_operator(operator.mul, arithmetic("mul"))
define_operator(operator.truediv, lambda builder, kind, a, b: builder.fdiv(a, b, flags=FLAGS))
define_operator(operator.xor, integer_only("xor"))
define_operator(operator.and_, integer_only("and_"))
define_operator(operator.or_, integer_only("or_"))
define_operator(operator.rshift, integer_only("lshr"))
define_operator(operator.lshift, integer_only("shl"))
define_operator(operator.lt, less_than, lambda lane: Lane("b1", lane.width))


def conversion(source: Lane, target: Lane, emit):
    """Make a function that turns a lane value of `source` into `target`; scalars are spread."""

    @intrinsic
    def convert(typing, value):
        def lower(context, builder, sig, args):
            if sig.args[0] == source and source != target:
                return emit(builder, args[0])
            return spread(context, builder, target, sig.args[0], args[0])

        return target(value), lower

    return convert


def memory(width: int):
    """`load(a, i)` and `store(a, i, v)`: lane value number i of the flat array a."""

    def address(context, builder, sig, args, lane):
        array = context.make_array(sig.args[0])(context, builder, args[0])
        index = context.cast(builder, args[1], sig.args[1], types.intp)
        index = builder.mul(index, ir.Constant(index.type, width), flags=("nsw",))
        return builder.bitcast(builder.gep(array.data, [index]), lane.vector.as_pointer())

    @intrinsic
    def load(typing, a, i):
        lane = Lane(KIND[a.dtype], width)

        def lower(context, builder, sig, args):
            return builder.load(address(context, builder, sig, args, lane), align=a.dtype.bitwidth // 8)

        return lane(a, i), lower

    @intrinsic
    def store(typing, a, i, v):
        lane = Lane(KIND[a.dtype], width)

        def lower(context, builder, sig, args):
            value = spread(context, builder, lane, sig.args[2], args[2])
            builder.store(value, address(context, builder, sig, args, lane), align=a.dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(a, i, v), lower

    return load, store


def exponents(lane: Lane):
    """`split(v)`: mantissa and exponent as lane values; `power_of_two(k)` for whole k."""
    size, digits = (64, 52) if lane.kind == "f8" else (32, 23)
    integers = ir.VectorType(ir.IntType(size), lane.width)
    bias = 2 ** (size - digits - 2) - 1
    root = 0x3FE6A09E667F3BCD if lane.kind == "f8" else 0x3F3504F3  # the square root of 1/2
    magic = 1.5 * 2.0**digits  # adding it leaves a whole number in the low bits of the mantissa

    def spread_integer(value):
        return ir.Constant(integers, [value % 2**size] * lane.width)

    def spread_real(value):
        return ir.Constant(lane.vector, [value] * lane.width)

    @intrinsic
    def split(typing, v):
        pair = types.UniTuple(lane, 2)

        def lower(context, builder, sig, args):
            bits = builder.bitcast(args[0], integers)
            above = builder.add(bits, spread_integer(((bias + 1) << digits) - root))  # exponents as positive numbers
            raised = builder.lshr(above, spread_integer(digits))
            mantissa = builder.sub(bits, builder.shl(raised, spread_integer(digits)))
            mantissa = builder.bitcast(builder.add(mantissa, spread_integer((bias + 1) << digits)), lane.vector)
            tagged = builder.or_(raised, builder.bitcast(spread_real(2.0**digits), integers))
            exponent = builder.fsub(builder.bitcast(tagged, lane.vector), spread_real(2.0**digits + bias + 1))
            return context.make_tuple(builder, pair, [mantissa, exponent])

        return pair(v), lower

    @intrinsic
    def power_of_two(typing, k):
        def lower(context, builder, sig, args):
            bits = builder.bitcast(builder.fadd(args[0], spread_real(magic)), integers)
            shifted = builder.shl(builder.add(bits, spread_integer(bias)), spread_integer(digits))
            return builder.bitcast(shifted, lane.vector)

        return lane(k), lower

    return split, power_of_two


def root_and_choice(width: int) -> SimpleNamespace:
    """`sqrt`, `sqrt_single`, and `select`: one of two lane values by a mask."""

    @intrinsic
    def sqrt(typing, v):
        def lower(context, builder, sig, args):
            signature = ir.FunctionType(v.vector, [v.vector])
            name = f"llvm.sqrt.v{width}f{64 if v.kind == 'f8' else 32}"
            return builder.call(cgutils.get_or_insert_function(builder.module, signature, name), args)

        return v(v), lower

    @intrinsic
    def select(typing, condition, a, b):
        lane = operand_lane(a, b)

        def lower(context, builder, sig, args):
            a, b = (spread(context, builder, lane, t, v) for t, v in zip(sig.args[1:], args[1:], strict=True))
            return builder.select(args[0], a, b)

        return lane(condition, a, b), lower

    return SimpleNamespace(sqrt=sqrt, sqrt_single=sqrt, select=select)


def word_functions(width: int) -> SimpleNamespace:
    """Of words and masks: `nonzero`, `multiply_wide`, `shift_signed`, `index`, `any`."""
    word, mask = Lane("u4", width), Lane("b1", width)
    wide = ir.VectorType(ir.IntType(64), width // 2)

    @intrinsic
    def nonzero(typing, v):
        def lower(context, builder, sig, args):
            return builder.icmp_unsigned("!=", args[0], ir.Constant(word.vector, [0] * width))

        return mask(v), lower

    @intrinsic
    def multiply_wide(typing, factor, v):
        # Even and odd lanes apart, each 32 bits in the low half of 64: one multiply instruction for each half, and
        # the halves of the products merge without a shuffle.
        pair = types.UniTuple(word, 2)
        low = ir.Constant(wide, [0xFFFFFFFF] * (width // 2))
        high = ir.Constant(wide, [0xFFFFFFFF00000000] * (width // 2))
        bits32 = ir.Constant(wide, [32] * (width // 2))

        def lower(context, builder, sig, args):
            factor = spread(context, builder, word, sig.args[0], args[0])
            factor = builder.and_(builder.bitcast(factor, wide), low)
            v = builder.bitcast(args[1], wide)
            even = builder.mul(builder.and_(v, low), factor)
            odd = builder.mul(builder.lshr(v, bits32), factor)
            above = builder.or_(builder.lshr(even, bits32), builder.and_(odd, high))
            below = builder.or_(builder.and_(even, low), builder.shl(odd, bits32))
            return context.make_tuple(builder, pair, [builder.bitcast(x, word.vector) for x in (above, below)])

        return pair(factor, v), lower

    @intrinsic
    def shift_signed(typing, v, bits):
        def lower(context, builder, sig, args):
            return builder.ashr(args[0], spread(context, builder, word, sig.args[1], args[1]))

        return word(v, bits), lower

    @intrinsic
    def index(typing):
        return word(), lambda context, builder, sig, args: ir.Constant(word.vector, list(range(width)))

    @intrinsic
    def any_lane(typing, condition):
        def lower(context, builder, sig, args):
            bits = builder.bitcast(args[0], ir.IntType(width))
            return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

        return types.boolean(condition), lower

    return SimpleNamespace(
        nonzero=nonzero, multiply_wide=multiply_wide, shift_signed=shift_signed, index=index, any=any_lane
    )


def one_by_one(width: int, jit):
    """``each(function)``, which applies a function of a number, and of the number of its level, lane after lane."""

    @intrinsic
    def lane_number(typing, v, lane):
        def lower(context, builder, sig, args):
            return builder.extract_element(args[0], context.cast(builder, args[1], sig.args[1], types.int32))

        return SCALAR[v.kind](v, lane), lower

    @intrinsic
    def with_lane(typing, v, lane, x):
        def lower(context, builder, sig, args):
            at = context.cast(builder, args[1], sig.args[1], types.int32)
            return builder.insert_element(args[0], context.cast(builder, args[2], sig.args[2], SCALAR[v.kind]), at)

        return v(v, lane, x), lower

    @intrinsic
    def whole(typing, i, lane):
        def lower(context, builder, sig, args):
            if not isinstance(i, Lane):
                return context.cast(builder, args[0], i, types.int64)
            x = builder.extract_element(args[0], context.cast(builder, args[1], sig.args[1], types.int32))
            return builder.fptosi(x, ir.IntType(64))

        return types.int64(i, lane), lower

    def each(function):
        scalar = scalar_function(function).compiled

        @jit
        def applied(v, i):
            out = v
            for lane in range(width):
                out = with_lane(out, lane, scalar(lane_number(v, lane), whole(i, lane)))
            return out

        return applied

    return each


@cache
def lanes(dtype, width: int) -> SimpleNamespace:
    """Make the lane functions of a CPU, for floats of `dtype` ("float64", "float32") and `width` networks at a time.

    `dysonsim.backend` says what each name means.
    """
    # Called from compiled code alone: without the wrappers for Python they compile a third faster.
    options: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    # Numba tells functions of one name apart by a number that starts anew in every process, and LLVM links by name what
    # comes from the disk: helpers of two kernels, compiled by two processes, would pass for each other in a third. So
    # each gets a random name of its own; a fork goes on with the numbers of its parent.

    def jit(function):
        function.__qualname__ = f"{function.__qualname__}_{os.urandom(6).hex()}"
        return njit(**options)(function)

    real = Lane({"float64": "f8", "float32": "f4"}[np.dtype(dtype).name], width)
    single, word = Lane("f4", width), Lane("u4", width)

    @jit
    def part(a, first, count):
        return a[first * width : (first + count) * width]

    @jit
    def member():
        return 0

    @jit
    def together():
        pass

    load, store = memory(width)
    split, power_of_two = exponents(real)
    return SimpleNamespace(
        **vars(root_and_choice(width)), **vars(word_functions(width)),
        jit=jit, number=np.dtype(dtype).type, load=load, store=store, part=part, each=one_by_one(width, jit),
        split=split, power_of_two=power_of_two, team=1, tile=2, unroll=1, member=member, together=together,
        full=conversion(real, real, None),
        real=conversion(single, real, lambda b, v: b.fpext(v, real.vector)),
        word=conversion(word, word, None),
        bits=conversion(single, word, lambda b, v: b.bitcast(v, word.vector)),
        from_bits=conversion(word, single, lambda b, v: b.bitcast(v, single.vector)),
        signed_to_single=conversion(word, single, lambda b, v: b.sitofp(v, single.vector)),
    )  # fmt: skip
