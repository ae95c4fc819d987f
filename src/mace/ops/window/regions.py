"""Operators on regions of interest: RoiAlign (ONNX RoiAlign-22) and MaxRoiPool (ONNX MaxRoiPool-22)."""

from __future__ import annotations

from math import prod

from mace.graph.ir import Node
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.move.gather import index_type
from mace.ops.move.strided import fits_int32
from mace.ops.storage import has_kernels, storage_defines


def _shape_defines(x: str, y: str, ctx: LowerContext) -> dict[str, Define]:
    n, c, h, w = ctx.dims(x)
    return {
        **storage_defines("X", ctx.type(x).dtype),
        "N": n,
        "C": c,
        "H": h,
        "W": w,
        "OH": ctx.dims(y)[2],
        "OW": ctx.dims(y)[3],
    }


def _size(y: str, ctx: LowerContext) -> tuple[int, int, int]:
    regions, channels, *pooled = ctx.dims(y)
    return prod(pooled), channels, regions


def lower_roi_align(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, rois, batches = node.inputs
    y = node.outputs[0]
    index_t = index_type(batches, ctx)
    if not has_kernels(ctx.type(x).dtype, ctx.device.fp64) or index_t is None or not fits_int32(x, y, ctx=ctx):
        return None
    if not ctx.type(y).size:
        return []
    defines = _shape_defines(x, y, ctx) | {
        "INDEX_T": index_t,
        "MODE": int(node.str("mode", "avg") == "max"),
        "HALF_PIXEL": int(node.str("coordinate_transformation_mode", "half_pixel") == "half_pixel"),
        "RATIO": node.int("sampling_ratio", 0),
        "SCALE": node.float("spatial_scale", 1.0),
    }
    return [KernelCall("roi_align", defines, (Read(x), Read(rois), Read(batches), Write(y)), _size(y, ctx))]


def lower_max_roi_pool(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, rois = node.inputs
    y = node.outputs[0]
    if not has_kernels(ctx.type(x).dtype, ctx.device.fp64) or not fits_int32(x, y, ctx=ctx):
        return None
    if not ctx.type(y).size:
        return []
    defines = _shape_defines(x, y, ctx) | {"SCALE": node.float("spatial_scale", 1.0)}
    return [KernelCall("roi_max", defines, (Read(x), Read(rois), Write(y)), _size(y, ctx))]


OPERATORS = (Operator("RoiAlign", lower_roi_align), Operator("MaxRoiPool", lower_max_roi_pool))
