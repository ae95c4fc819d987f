"""Operators that make a tensor out of little: ConstantOfShape, Range, EyeLike, OneHot, Trilu (ONNX operators)."""

from __future__ import annotations

from math import prod

import numpy as np

from mace.graph.ir import Node
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Read, Write
from mace.ops.move.constants import constant_ints, normal_axis
from mace.ops.move.strided import UNIT_TYPES, fits_int32
from mace.ops.storage import has_kernels, storage_defines
from mace.tensor import Array


def bits_of(value: Array) -> str:
    """The bytes of a single value as an unsigned literal of its size."""
    number = int.from_bytes(value.reshape(-1)[:1].tobytes(), "little")
    return f"{number:#x}ul" if value.itemsize == 8 else f"{number:#x}u"


def fill(y: str, value: Array, ctx: LowerContext) -> list[KernelCall]:
    """Every element of ``y`` set to a value of its type."""
    count = ctx.layout(y).elements(ctx.dims(y))
    if not count:
        return []
    defines: dict[str, Define] = {"UNIT": UNIT_TYPES[ctx.type(y).dtype.itemsize], "VALUE": bits_of(value)}
    return [KernelCall("fill", defines, (Write(y),), (count,))]


def lower_constant_of_shape(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """The shape comes from the output's type."""
    y = node.outputs[0]
    value = node.attrs.get("value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or not fits_int32(y, ctx=ctx):
        return None
    return fill(y, value, ctx)


def lower_range(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """``start + i·delta``; how many there are comes from the output's type."""
    start, _, delta = node.inputs
    y = node.outputs[0]
    dtype = ctx.type(y).dtype
    if not has_kernels(dtype, ctx.device.fp64) or not fits_int32(y, ctx=ctx):
        return None
    if not ctx.type(y).size:
        return []
    return [KernelCall("range", storage_defines("E", dtype), (Read(start), Read(delta), Write(y)), ctx.dims(y))]


def lower_eye_like(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    y = node.outputs[0]
    dtype = ctx.type(y).dtype
    rows, cols = ctx.dims(y)
    if dtype.opencl is None or not fits_int32(y, ctx=ctx):
        return None
    if not rows * cols:
        return []
    one = np.ones(1, dtype.numpy)
    defines: dict[str, Define] = {"UNIT": UNIT_TYPES[dtype.itemsize], "ONE": bits_of(one), "K": node.int("k", 0)}
    return [KernelCall("eye", defines, (Write(y),), (cols, rows))]


def lower_one_hot(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """The depth comes from the output's type. An index outside of [-depth, depth) switches nothing on."""
    indices, _, values = node.inputs
    y = node.outputs[0]
    dims = ctx.dims(y)
    kind = ctx.type(indices).dtype
    if not has_kernels(kind, ctx.device.fp64) or not fits_int32(y, ctx=ctx):
        return None
    if 0 in dims:
        return []
    axis = normal_axis(node.int("axis", -1), len(dims))
    inner = prod(dims[axis + 1 :])
    defines: dict[str, Define] = {
        **storage_defines("I", kind),
        "UNIT": UNIT_TYPES[ctx.type(y).dtype.itemsize],
        "DEPTH": dims[axis],
        "INNER": inner,
    }
    args = (Read(indices), Read(values), Write(y))
    return [KernelCall("one_hot", defines, args, (inner * dims[axis], prod(dims[:axis])))]


def lower_trilu(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, k, y = node.inputs[0], node.input(1), node.outputs[0]
    *batch, rows, cols = ctx.dims(x)
    if not fits_int32(x, ctx=ctx):
        return None
    if not prod(ctx.dims(x)):
        return []
    diagonal = constant_ints(node, 1, ctx) if k else (0,)
    if diagonal is None:
        return None
    defines: dict[str, Define] = {
        "UNIT": UNIT_TYPES[ctx.type(x).dtype.itemsize],
        "ROWS": rows,
        "COLS": cols,
        "UPPER": int(bool(node.int("upper", 1))),
        "K": max(min(diagonal[0], cols), -rows - 1),
    }
    return [KernelCall("trilu", defines, (Read(x), Write(y)), (cols, rows, prod(batch)))]


OPERATORS = (
    Operator("ConstantOfShape", lower_constant_of_shape),
    Operator("Range", lower_range),
    Operator("EyeLike", lower_eye_like),
    Operator("OneHot", lower_one_hot),
    Operator("Trilu", lower_trilu),
)
