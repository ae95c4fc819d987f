"""GlobalMaxPool, GlobalAveragePool and GlobalLpPool (ONNX GlobalMaxPool-22, GlobalAveragePool-22, GlobalLpPool-22)."""

from __future__ import annotations

from math import prod

from mace.graph.ir import Node
from mace.ops.contract.vectors import REAL, vector_defines
from mace.ops.lowering import Define, KernelCall, LayoutWish, LowerContext, Operator, Read, Write, group_defines
from mace.ops.move.strided import fits_int32
from mace.ops.storage import compute_type, has_kernels, storage_defines
from mace.ops.window.pool import BLOCK_WIDTHS, MODES, lowest


def general(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Any number of spatial dimensions, on row-major tensors."""
    x, y = node.inputs[0], node.outputs[0]
    dtype = ctx.type(x).dtype
    if not has_kernels(dtype, ctx.device.fp64) or ctx.type(x).rank < 2:
        return None
    n, c, *extents = ctx.dims(x)
    defines: dict[str, Define] = {
        **storage_defines("X", dtype),
        **storage_defines("Y", ctx.type(y).dtype),
        "ACC": compute_type(dtype),
        "LOWEST": lowest(dtype),
        "MODE": MODES[node.op],
        "P": node.int("p", 2),
        "AREA": prod(extents),
    }
    return [KernelCall("pool_global", defines, (Read(x), Write(y)), (n * c,), flops=ctx.type(x).size)]


def blocked(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Maximum and average on channel-blocked tensors: a vector of channels per work-item."""
    x, y = node.inputs[0], node.outputs[0]
    block = ctx.layout(x).block
    if not block or ctx.layout(y).block != block:
        return None
    n, c, *extents = ctx.dims(x)
    group_macros, local = group_defines(ctx.device)
    defines: dict[str, Define] = {
        **group_macros,
        **vector_defines("X", ctx.type(x).dtype),
        **vector_defines("Y", ctx.type(y).dtype),
        "V": block,
        "MODE": MODES[node.op],
        "AREA": prod(extents),
    }
    size = (n * -(-c // block),)
    return [KernelCall("pool_global_blocked", defines, (Read(x), Write(y)), size, local, ctx.type(x).size)]


def wish(node: Node, ctx: LowerContext, block: int) -> LayoutWish | None:
    known = ctx.type(node.inputs[0])
    if known.dtype not in REAL or known.rank < 3 or block not in BLOCK_WIDTHS:
        return None
    return LayoutWish((True,), (True,), eager=False)


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, y = node.inputs[0], node.outputs[0]
    if not fits_int32(x, ctx=ctx) or 0 in ctx.dims(x)[2:]:
        return None
    if ctx.type(y).size == 0:
        return []
    return blocked(node, ctx) or general(node, ctx)


OPERATORS = (
    Operator("GlobalMaxPool", lower, wish),
    Operator("GlobalAveragePool", lower, wish),
    Operator("GlobalLpPool", lower),
)
