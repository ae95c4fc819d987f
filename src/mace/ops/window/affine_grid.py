"""AffineGrid: the positions that GridSample takes its samples at (ONNX AffineGrid-20).

ONNX's own function body squeezes away a batch of one and then fails, so the operator has a kernel of its own.
"""

from __future__ import annotations

from math import prod

from mace.graph.ir import Node
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.move.strided import fits_int32, listed
from mace.ops.storage import has_kernels, storage_defines


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One work-item per position; how many there are comes from the output's type, N × (D ×) H × W × rank."""
    theta, y = node.inputs[0], node.outputs[0]
    if not has_kernels(ctx.type(y).dtype, ctx.device.fp64) or not fits_int32(theta, y, ctx=ctx):
        return None
    if not ctx.type(y).size:
        return []
    n, *extents, rank = ctx.dims(y)
    defines: dict[str, Define] = {
        **storage_defines("E", ctx.type(y).dtype),
        "RANK": rank,
        "EXTENTS": listed(tuple(reversed(extents))),
        "ALIGN_CORNERS": node.int("align_corners", 0),
    }
    return [KernelCall("affine_grid", defines, (Read(theta), Write(y)), (prod(extents), n))]


OPERATORS = (Operator("AffineGrid", lower),)
