"""Col2Im (ONNX Col2Im-18): overlapping blocks laid out as columns are added up into an image of any rank."""

from __future__ import annotations

from math import prod

from mace.graph.ir import Node
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.move.constants import constant_ints
from mace.ops.move.strided import fits_int32, listed
from mace.ops.storage import has_kernels, storage_defines


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One work-item per element of the image gathers what falls on it. The block must be known, or of rank 1."""
    x, y = node.inputs[0], node.outputs[0]
    dtype = ctx.type(x).dtype
    if not has_kernels(dtype, ctx.device.fp64) or not fits_int32(x, y, ctx=ctx):
        return None
    _, channels, *image = ctx.dims(y)
    block = constant_ints(node, 2, ctx)
    if block is None and len(image) == 1:
        block = (ctx.dims(x)[1] // channels,)
    if block is None:
        return None
    if not ctx.type(y).size:
        return []
    rank = len(image)
    strides, dilations = node.ints("strides", (1,) * rank), node.ints("dilations", (1,) * rank)
    pads = node.ints("pads", (0,) * (2 * rank))
    steps = tuple(
        (image[a] + pads[a] + pads[a + rank] - dilations[a] * (block[a] - 1) - 1) // strides[a] + 1 for a in range(rank)
    )
    defines: dict[str, Define] = {
        **storage_defines("E", dtype),
        "RANK": rank,
        "IMAGE": listed(tuple(image)),
        "BLOCK": listed(block),
        "STEPS": listed(steps),
        "STRIDES": listed(strides),
        "DILATIONS": listed(dilations),
        "PADS": listed(pads[:rank]),
        "AREA": prod(image),
        "BLOCK_AREA": prod(block),
        "COLUMNS": prod(steps),
    }
    size = (prod(image), ctx.dims(y)[0] * channels)
    return [KernelCall("col2im", defines, (Read(x), Write(y)), size, flops=ctx.type(x).size)]


OPERATORS = (Operator("Col2Im", lower),)
