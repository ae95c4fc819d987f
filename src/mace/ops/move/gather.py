"""Operators that fetch by index: Gather, GatherElements, GatherND, Compress, ReverseSequence (ONNX operators).

Indices may be negative. One that is out of range, which ONNX forbids, is clamped into the tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from mace.graph.ir import Node
from mace.ops.lowering import Arg, Constant, Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.move.constants import normal_axis
from mace.ops.move.strided import UNIT_TYPES, StridedCopy, fits_int32, listed
from mace.ops.packing import packer
from mace.ops.strides import row_major
from mace.tensor import Array, DType

INDEX_TYPES = {DType.INT32: "int", DType.INT64: "long"}


def inner_units(inner: int, dtype: DType, ctx: LowerContext) -> tuple[int, str]:
    """How many units a contiguous run of ``inner`` elements is, and the OpenCL type of a unit."""
    copy, unit = StridedCopy((inner,), (1,), (1,)).widened(dtype.itemsize, 64 if ctx.device.kind == "cpu" else 16)
    return prod(copy.dims), UNIT_TYPES[unit]


def index_type(value: str, ctx: LowerContext) -> str | None:
    """OpenCL type of an index tensor, or None when it is no kind that kernels read."""
    return INDEX_TYPES.get(ctx.type(value).dtype)


def _gather(x: str, y: str, axis: int, indices: Arg, count: int, index_t: str, ctx: LowerContext) -> list[KernelCall]:
    """``y[o, i, r] = x[o, indices[i], r]`` with the axes before and after ``axis`` flattened to o and r."""
    dims = ctx.dims(x)
    outer = prod(dims[:axis])
    inner, unit = inner_units(prod(dims[axis + 1 :]), ctx.type(x).dtype, ctx)
    if 0 in (outer, inner, count):
        return []
    defines: dict[str, Define] = {
        "UNIT": unit,
        "INDEX_T": index_t,
        "INNER": inner,
        "EXTENT": dims[axis],
        "COUNT": count,
    }
    return [KernelCall("gather_axis", defines, (Read(x), indices, Write(y)), (inner * count, outer))]


def lower_gather(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, indices, y = node.inputs[0], node.inputs[1], node.outputs[0]
    index_t = index_type(indices, ctx)
    if index_t is None or not fits_int32(x, y, ctx=ctx):
        return None
    axis = normal_axis(node.int("axis", 0), len(ctx.dims(x)))
    return _gather(x, y, axis, Read(indices), ctx.type(indices).size, index_t, ctx)


@packer("compress_indices")
def compress_indices(arrays: Sequence[Array], params: Mapping[str, Define]) -> Array:
    """Positions of the true elements of a condition among the first ``extent``, as int32."""
    return np.flatnonzero(arrays[0].reshape(-1)[: int(params["extent"])]).astype(np.int32)


def lower_compress(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """With a constant condition a Gather; otherwise the output's shape hangs on data and the host does it."""
    x, condition, y = node.inputs[0], node.inputs[1], node.outputs[0]
    chosen = ctx.constant(condition)
    if chosen is None or not fits_int32(x, y, ctx=ctx):
        return None
    dims = ctx.dims(x)
    if "axis" in node.attrs:
        axis = normal_axis(node.int("axis", 0), len(dims))
        extent, count = dims[axis], ctx.dims(y)[axis]
        constant = Constant((condition,), "compress_indices", (("extent", extent),))
        return _gather(x, y, axis, constant, count, "int", ctx)
    count = ctx.type(y).size
    if not count:
        return []
    constant = Constant((condition,), "compress_indices", (("extent", prod(dims)),))
    unit = UNIT_TYPES[ctx.type(x).dtype.itemsize]
    defines: dict[str, Define] = {"UNIT": unit, "INDEX_T": "int", "INNER": 1, "EXTENT": prod(dims), "COUNT": count}
    return [KernelCall("gather_axis", defines, (Read(x), constant, Write(y)), (count, 1))]


def lower_gather_elements(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, indices, y = node.inputs[0], node.inputs[1], node.outputs[0]
    index_t = index_type(indices, ctx)
    if index_t is None or not fits_int32(x, y, ctx=ctx):
        return None
    dims, out = ctx.dims(x), ctx.dims(y)
    if 0 in out:
        return []
    defines: dict[str, Define] = {
        "UNIT": UNIT_TYPES[ctx.type(x).dtype.itemsize],
        "INDEX_T": index_t,
        "RANK": len(dims),
        "OUT": listed(out),
        "X_STRIDES": listed(row_major(dims)),
        "AXIS": normal_axis(node.int("axis", 0), len(dims)),
    }
    defines["EXTENT"] = dims[int(defines["AXIS"])]
    return [KernelCall("gather_elements", defines, (Read(x), Read(indices), Write(y)), (prod(out),))]


def lower_gather_nd(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, indices, y = node.inputs[0], node.inputs[1], node.outputs[0]
    index_t = index_type(indices, ctx)
    if index_t is None or not fits_int32(x, y, ctx=ctx):
        return None
    dims, places = ctx.dims(x), ctx.dims(indices)
    batch, depth = node.int("batch_dims", 0), places[-1]
    inner, unit = inner_units(prod(dims[batch + depth :]), ctx.type(x).dtype, ctx)
    tuples = prod(places[:-1])
    if not inner or not tuples:
        return []
    strides = row_major((*dims[batch : batch + depth], inner))[:-1]
    defines: dict[str, Define] = {
        "UNIT": unit,
        "INDEX_T": index_t,
        "INNER": inner,
        "DEPTH": depth,
        "EXTENTS": listed(dims[batch : batch + depth] or (1,)),
        "STRIDES": listed(strides or (1,)),
        "PER_BATCH": prod(places[batch:-1]),
        "BATCH_STRIDE": prod(dims[batch : batch + depth]) * inner,
    }
    return [KernelCall("gather_nd", defines, (Read(x), Read(indices), Write(y)), (inner * tuples,))]


def lower_reverse_sequence(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, lengths, y = node.inputs[0], node.inputs[1], node.outputs[0]
    index_t = index_type(lengths, ctx)
    if index_t is None or not fits_int32(x, ctx=ctx):
        return None
    dims = ctx.dims(x)
    time_axis, batch_axis = node.int("time_axis", 0), node.int("batch_axis", 1)
    if {time_axis, batch_axis} != {0, 1}:
        return None
    inner, unit = inner_units(prod(dims[2:]), ctx.type(x).dtype, ctx)
    if 0 in (*dims[:2], inner):
        return []
    defines: dict[str, Define] = {
        "UNIT": unit,
        "INDEX_T": index_t,
        "INNER": inner,
        "SECOND": dims[1],
        "TIME": dims[time_axis],
        "TIME_FIRST": int(time_axis == 0),
    }
    args = (Read(x), Read(lengths), Write(y))
    return [KernelCall("reverse_sequence", defines, args, (inner * dims[1], dims[0]))]


OPERATORS = (
    Operator("Gather", lower_gather),
    Operator("GatherElements", lower_gather_elements),
    Operator("GatherND", lower_gather_nd),
    Operator("Compress", lower_compress),
    Operator("ReverseSequence", lower_reverse_sequence),
)
