"""Operators that walk a line and keep something as they go: CumSum, CumProd, TopK."""

from __future__ import annotations

from mace.graph.ir import Node
from mace.ops.lowering import KernelCall, LowerContext, Operator, Read, Write
from mace.ops.reduce.axes import MAX_ELEMENTS, normalized, split_at
from mace.ops.storage import has_kernels, storage_defines


def lower_cumulative(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """CumSum and CumProd along a constant axis."""
    x, y = node.inputs[0], node.outputs[0]
    kind, axis = ctx.type(x), ctx.constant(node.input(1))
    if axis is None or not has_kernels(kind.dtype, ctx.device.fp64) or kind.size > MAX_ELEMENTS:
        return None
    if kind.size == 0:
        return []
    split = split_at(kind.dims or (1,), normalized(int(axis.reshape(-1)[0]), max(kind.rank, 1)))
    defines = {
        **storage_defines("X", kind.dtype),
        "LENGTH": split.length,
        "INNER": split.inner,
        "JOIN(a, b)": "((a) + (b))" if node.op == "CumSum" else "((a) * (b))",
        "INIT": 0 if node.op == "CumSum" else 1,
        "EXCLUSIVE": int(bool(node.int("exclusive", 0))),
        "REVERSE": int(bool(node.int("reverse", 0))),
    }
    return [KernelCall("running", defines, (Read(x), Write(y)), (split.inner, split.outer), None, kind.size)]


def lower_top_k(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """TopK for a constant K; results come sorted whether or not that is asked for."""
    x, count = node.inputs[0], ctx.constant(node.input(1))
    kind = ctx.type(x)
    if count is None or not all(node.outputs[:2]) or len(node.outputs) < 2:
        return None
    if not has_kernels(kind.dtype, ctx.device.fp64) or kind.size > MAX_ELEMENTS:
        return None
    if ctx.type(node.outputs[0]).size == 0:
        return []
    split = split_at(kind.dims or (1,), normalized(node.int("axis", -1), max(kind.rank, 1)))
    names = storage_defines("X", kind.dtype)
    defines = {
        **{k: names[k] for k in ("X_T", "X_C", "X_LD")},
        "LENGTH": split.length,
        "INNER": split.inner,
        "K": int(count.reshape(-1)[0]),
        "BETTER(a, b)": "((a) > (b))" if node.int("largest", 1) else "((a) < (b))",
    }
    args = (Read(x), Write(node.outputs[0]), Write(node.outputs[1]))
    return [KernelCall("topk", defines, args, (split.inner, split.outer), None, kind.size)]


OPERATORS: tuple[Operator, ...] = (
    Operator("CumSum", lower_cumulative),
    Operator("CumProd", lower_cumulative),
    Operator("TopK", lower_top_k),
)
