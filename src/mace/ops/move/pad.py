"""Pad in all modes (ONNX Pad-25) and CenterCropPad (ONNX CenterCropPad-18)."""

from __future__ import annotations

from math import prod

from mace.graph.ir import Node
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.move.constants import constant_ints, is_known, normal_axis
from mace.ops.move.rearrange import flat_copy
from mace.ops.move.strided import UNIT_TYPES, StridedCopy, fits_int32, listed
from mace.ops.strides import row_major

_MODES = {"constant": 0, "edge": 1, "reflect": 2, "wrap": 3}


def _call(x: str, y: str, ctx: LowerContext, mode: int, begins: tuple[int, ...], value: str) -> list[KernelCall]:
    """The launch; ``value`` names what to pad with, zero when it is empty."""
    dims, out = ctx.dims(x), ctx.dims(y)
    defines: dict[str, Define] = {
        "UNIT": UNIT_TYPES[ctx.type(x).dtype.itemsize],
        "MODE": mode,
        "RANK": len(dims),
        "IN": listed(dims),
        "OUT": listed(out),
        "EMPTY": int(0 in dims),
        "HAS_VALUE": int(bool(value)),
        "BEGINS": listed(begins),
    }
    args = (Read(x), Read(value), Write(y)) if value else (Read(x), Write(y))
    size = (out[-1], prod(out[-2:-1]), prod(out[:-2]))
    return [KernelCall("pad_general", defines, args, size)]


def lower_pad(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, y, value = node.inputs[0], node.outputs[0], node.input(2)
    mode = _MODES.get(node.str("mode", "constant"))
    if mode is None or not fits_int32(x, y, ctx=ctx):
        return None
    rank = len(ctx.dims(x))
    if not rank:
        return flat_copy(x, y, ctx)
    if ctx.type(y).size == 0:
        return []
    pads = constant_ints(node, 1, ctx)
    if pads is None or not is_known(node, 3, ctx):
        return None
    axes = constant_ints(node, 3, ctx) or tuple(range(rank))
    by_axis = {normal_axis(a, rank): p for a, p in zip(axes, pads, strict=False)}
    begins = tuple(by_axis.get(a, 0) for a in range(rank))
    if mode == 0 and all(b <= 0 and o - b <= d for b, o, d in zip(begins, ctx.dims(y), ctx.dims(x), strict=True)):
        return _crop(x, y, begins, ctx)
    return _call(x, y, ctx, mode, begins, value)


def _crop(x: str, y: str, begins: tuple[int, ...], ctx: LowerContext) -> list[KernelCall]:
    """Padding that nowhere adds anything."""
    strides, out = row_major(ctx.dims(x)), ctx.dims(y)
    offset = -sum(s * b for s, b in zip(strides, begins, strict=True))
    return StridedCopy(out, strides, row_major(out), offset).calls(x, y, ctx.type(x).dtype, ctx.device)


def lower_center_crop_pad(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Cut or filled with zeros on both sides alike, an odd rest at the end; the target extents are the output's."""
    x, y = node.inputs[0], node.outputs[0]
    if not fits_int32(x, y, ctx=ctx):
        return None
    if ctx.type(y).size == 0:
        return []
    begins = tuple((o - d) // 2 if o >= d else -((d - o) // 2) for d, o in zip(ctx.dims(x), ctx.dims(y), strict=True))
    if not begins:
        return flat_copy(x, y, ctx)
    if all(o <= d for d, o in zip(ctx.dims(x), ctx.dims(y), strict=True)):
        return _crop(x, y, begins, ctx)
    return _call(x, y, ctx, 0, begins, "")


OPERATORS = (Operator("Pad", lower_pad), Operator("CenterCropPad", lower_center_crop_pad))
