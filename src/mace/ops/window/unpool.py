"""MaxUnpool (ONNX MaxUnpool-22)."""

from __future__ import annotations

from math import prod

import numpy as np

from mace.graph.ir import Node
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.move.generate import fill
from mace.ops.move.strided import UNIT_TYPES, fits_int32, listed
from mace.tensor import DType


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Zeros, then one work-item per plane puts its values where the indices say.

    The indices count in a tensor of the shape that undoing the pooling gives by itself; a larger ``output_shape`` only adds
    zeros after it.
    """
    x, indices = node.inputs[:2]
    y = node.outputs[0]
    dtype = ctx.type(x).dtype
    if dtype.opencl is None or ctx.type(indices).dtype is not DType.INT64 or not fits_int32(x, y, ctx=ctx):
        return None
    kernel = node.ints("kernel_shape")
    rank = len(kernel)
    strides, pads = node.ints("strides", (1,) * rank), node.ints("pads", (0,) * (2 * rank))
    n, c, *extents = ctx.dims(x)
    inferred = tuple((extents[a] - 1) * strides[a] - pads[a] - pads[a + rank] + kernel[a] for a in range(rank))
    defines: dict[str, Define] = {
        "UNIT": UNIT_TYPES[dtype.itemsize],
        "RANK": rank,
        "FROM": listed(inferred),
        "TO": listed(ctx.dims(y)[2:]),
        "COUNT": prod(extents),
        "PLANES": n * c,
    }
    calls = fill(y, np.zeros(1, dtype.numpy), ctx)
    if not ctx.type(x).size or not calls:
        return calls
    return [*calls, KernelCall("unpool", defines, (Read(x), Read(indices), Write(y)), (n * c,))]


OPERATORS = (Operator("MaxUnpool", lower),)
