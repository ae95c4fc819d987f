"""Operators that only speak of shapes: those whose result is their input under another shape, Size and Shape."""

from __future__ import annotations

import numpy as np

from mace.graph.ir import Node
from mace.ops.lowering import KernelCall, LowerContext, Operator
from mace.ops.move.generate import fill
from mace.ops.move.rearrange import flat_copy
from mace.ops.move.strided import fits_int32

_SAME_BYTES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


def lower_reshape(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """A copy, for where the planner cannot let the output share the input's memory (a constant input)."""
    x, y = node.inputs[0], node.outputs[0]
    return flat_copy(x, y, ctx) if fits_int32(x, ctx=ctx) else None


def lower_size(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """How many elements there are, which is known here: the input itself is not looked at."""
    return fill(node.outputs[0], np.array(ctx.type(node.inputs[0]).size, np.int64), ctx)


def lower_on_host(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Shape arithmetic that folding left over: a few integers, best done on the host."""
    return None


OPERATORS = (
    *(Operator(name, lower_reshape, metadata_only=True) for name in _SAME_BYTES),
    Operator("Shape", lower_on_host),
    Operator("Size", lower_size),
)
