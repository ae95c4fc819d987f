"""GridSample in all modes over two or three spatial dimensions (ONNX GridSample-22)."""

from __future__ import annotations

from math import prod

from mace.graph.ir import Node
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.move.strided import fits_int32, listed
from mace.ops.storage import has_kernels, storage_defines

_MODES = {"nearest": 0, "linear": 1, "bilinear": 1, "cubic": 2, "bicubic": 2}
_PADDING = {"zeros": 0, "border": 1, "reflection": 2}


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One work-item per output element."""
    x, grid = node.inputs
    y = node.outputs[0]
    if not all(has_kernels(ctx.type(v).dtype, ctx.device.fp64) for v in (x, grid)) or not fits_int32(
        x, grid, y, ctx=ctx
    ):
        return None
    mode = _MODES.get(node.str("mode", "linear"))
    padding = _PADDING.get(node.str("padding_mode", "zeros"))
    if mode is None or padding is None:
        return None
    if not ctx.type(y).size:
        return []
    n, c, *extents = ctx.dims(x)
    out = ctx.dims(y)[2:]
    defines: dict[str, Define] = {
        **storage_defines("X", ctx.type(x).dtype),
        **storage_defines("G", ctx.type(grid).dtype),
        "MODE": mode,
        "PADDING": padding,
        "ALIGN_CORNERS": node.int("align_corners", 0),
        "RANK": len(extents),
        "EXTENTS": listed(tuple(extents)),
        "AREA": prod(extents),
        "OUT_AREA": prod(out),
        "C": c,
    }
    return [KernelCall("grid_sample", defines, (Read(x), Read(grid), Write(y)), (prod(out), n * c))]


OPERATORS = (Operator("GridSample", lower),)
