"""Slice whose starts, axes or steps are only known when it runs; its output's shape is known all the same."""

from __future__ import annotations

from mace.graph.ir import Node
from mace.ops.lowering import Arg, Define, KernelCall, LowerContext, Read, Write
from mace.ops.move.strided import UNIT_TYPES, listed
from mace.tensor import DType

INDEX_TYPES = {DType.INT32: "int", DType.INT64: "long"}


def slice_at_run_time(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One work-item per output element, which reads where the slice begins from the operands themselves."""
    x, starts, axes, steps = node.input(0), node.input(1), node.input(3), node.input(4)
    y = node.outputs[0]
    dims, out = ctx.dims(x), ctx.dims(y)
    if not dims or 0 in out:
        return None if not dims else []
    kinds = {ctx.type(v).dtype for v in (starts, axes, steps) if v}
    if len(kinds) != 1 or not kinds <= INDEX_TYPES.keys():
        return None
    defines: dict[str, Define] = {
        "UNIT": UNIT_TYPES[ctx.type(x).dtype.itemsize],
        "INDEX_T": INDEX_TYPES[kinds.pop()],
        "COUNT": ctx.type(starts).size,
        "RANK": len(dims),
        "IN": listed(dims),
        "OUT": listed(out),
        "HAS_AXES": int(bool(axes)),
        "HAS_STEPS": int(bool(steps)),
    }
    args: tuple[Arg, ...] = tuple(Read(v) for v in (x, starts, axes, steps) if v)
    return [KernelCall("slice_runtime", defines, (*args, Write(y)), (ctx.type(y).size,))]
