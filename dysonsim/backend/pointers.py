"""Addresses that Numba's code can use."""

from __future__ import annotations

from numba import types
from numba.extending import intrinsic


@intrinsic
def pointer(typing, address):
    """An integer as the pointer that it is."""

    def lower(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), lower


@intrinsic
def address(typing, of):
    """A pointer as an integer."""

    def lower(context, builder, sig, args):
        return builder.ptrtoint(args[0], context.get_value_type(types.int64))

    return types.int64(of), lower
