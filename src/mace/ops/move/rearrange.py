"""Operators that only put elements elsewhere, each as strided copies (ONNX operators): Transpose, DepthToSpace,
SpaceToDepth, Slice, Split, Concat, Expand, Tile.

Split, Slice and Concat also work on channel-blocked tensors as long as no channel block is cut.
"""

from __future__ import annotations

from mace.graph.ir import Node
from mace.ops.lowering import PLAIN, KernelCall, LayoutWish, LowerContext, Operator
from mace.ops.move.constants import constant_ints, is_known, normal_axis
from mace.ops.move.strided import StridedCopy, fits_int32
from mace.ops.strides import row_major


def _copy(node: Node, ctx: LowerContext, copy: StridedCopy) -> list[KernelCall]:
    x = node.inputs[0]
    return copy.calls(x, node.outputs[0], ctx.type(x).dtype, ctx.device)


def lower_transpose(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, y = node.inputs[0], node.outputs[0]
    if not fits_int32(x, y, ctx=ctx):
        return None
    dims = ctx.dims(x)
    perm = node.ints("perm", tuple(reversed(range(len(dims)))))
    strides = row_major(dims)
    out = tuple(dims[p] for p in perm)
    return _copy(node, ctx, StridedCopy(out, tuple(strides[p] for p in perm), row_major(out)))


def lower_depth_to_space(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x = node.inputs[0]
    if not fits_int32(x, ctx=ctx):
        return None
    (n, c, h, w), b = ctx.dims(x), node.int("blocksize", 1)
    depth = c // (b * b)
    plane = h * w
    if node.str("mode", "DCR") == "DCR":
        channel, row, col = plane, b * depth * plane, depth * plane
    else:
        channel, row, col = b * b * plane, b * plane, plane
    dims = (n, depth, h, b, w, b)
    return _copy(node, ctx, StridedCopy(dims, (c * plane, channel, w, row, 1, col), row_major(dims)))


def lower_space_to_depth(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x = node.inputs[0]
    if not fits_int32(x, ctx=ctx):
        return None
    (n, c, h, w), b = ctx.dims(x), node.int("blocksize", 1)
    dims = (n, b, b, c, h // b, w // b)
    if node.str("mode", "DCR") == "CRD":
        dims = (n, c, b, b, h // b, w // b)
        return _copy(node, ctx, StridedCopy(dims, (c * h * w, h * w, w, 1, w * b, b), row_major(dims)))
    return _copy(node, ctx, StridedCopy(dims, (c * h * w, w, 1, h * w, w * b, b), row_major(dims)))


def lower_expand(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """The target shape comes from the output's type: where the input has extent 1, its stride is 0."""
    x, y = node.inputs[0], node.outputs[0]
    if not fits_int32(x, y, ctx=ctx):
        return None
    dims, out = ctx.dims(x), ctx.dims(y)
    dims = (1,) * (len(out) - len(dims)) + dims
    strides = tuple(s if d != 1 else 0 for d, s in zip(dims, row_major(dims), strict=True))
    return _copy(node, ctx, StridedCopy(out, strides, row_major(out)))


def lower_tile(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """The repetitions come from the types; each axis becomes two, the outer with stride 0 in the input."""
    x, y = node.inputs[0], node.outputs[0]
    if not fits_int32(x, y, ctx=ctx):
        return None
    dims, out = ctx.dims(x), ctx.dims(y)
    if 0 in out:
        return []
    box = tuple(v for d, o in zip(dims, out, strict=True) for v in (o // d, d))
    strides = tuple(v for s in row_major(dims) for v in (0, s))
    return _copy(node, ctx, StridedCopy(box, strides, row_major(box)))


# ---- Slice ----------------------------------------------------------------------------------------------------------
def slice_plan(node: Node, ctx: LowerContext) -> tuple[list[int], list[int]] | None:
    """Per axis of the input the first index and the step, clamped as ONNX Slice-13 says; None when not constant."""
    dims = ctx.dims(node.inputs[0])
    starts, ends = constant_ints(node, 1, ctx), constant_ints(node, 2, ctx)
    if starts is None or ends is None or not is_known(node, 3, ctx) or not is_known(node, 4, ctx):
        return None
    axes = constant_ints(node, 3, ctx) or tuple(range(len(starts)))
    by = constant_ints(node, 4, ctx) or (1,) * len(starts)
    first, steps = [0] * len(dims), [1] * len(dims)
    for start, axis, step in zip(starts, axes, by, strict=True):
        axis = normal_axis(axis, len(dims))
        start = start + dims[axis] if start < 0 else start
        first[axis] = min(max(start, 0), dims[axis] if step > 0 else dims[axis] - 1)
        steps[axis] = step
    return first, steps


def _cut(node: Node, ctx: LowerContext, x: str, y: str, starts: list[int], steps: list[int]) -> list[KernelCall] | None:
    """Copy the part of ``x`` that begins at ``starts``, as large as ``y``; channel blocks stay whole."""
    layout = ctx.layout(x)
    dims, out = layout.stored(ctx.dims(x)), layout.stored(ctx.dims(y))
    if not layout.is_plain:
        starts = [starts[0], starts[1] // layout.block, *starts[2:], 0]
        steps = [*steps, 1]
    if 0 in out:
        return []
    strides = row_major(dims)
    offset = sum(s * first for s, first in zip(strides, starts, strict=True))
    copy = StridedCopy(out, tuple(s * by for s, by in zip(strides, steps, strict=True)), row_major(out), offset)
    return copy.calls(x, y, ctx.type(x).dtype, ctx.device)


def lower_slice(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    x, y = node.inputs[0], node.outputs[0]
    if not fits_int32(x, y, ctx=ctx):
        return None
    plan = slice_plan(node, ctx)
    return _cut(node, ctx, x, y, *plan) if plan else None


def wish_slice(node: Node, ctx: LowerContext, block: int) -> LayoutWish | None:
    """Channel blocks stay whole: the channels are not cut, or cut at block borders with step 1."""
    dims, out = ctx.dims(node.inputs[0]), ctx.dims(node.outputs[0])
    plan = slice_plan(node, ctx)
    if plan is None or len(dims) < 3:
        return None
    starts, steps = plan
    if steps[1] != 1 or starts[1] % block or (out[1] % block and starts[1] + out[1] != dims[1]):
        return None
    return LayoutWish((True, *(False for _ in node.inputs[1:])), (True,), eager=False)


# ---- Split ----------------------------------------------------------------------------------------------------------
def lower_split(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One launch per output; the sizes come from the outputs' types."""
    x = node.inputs[0]
    if not fits_int32(x, ctx=ctx) or not all(node.outputs):
        return None
    rank = len(ctx.dims(x))
    axis = normal_axis(node.int("axis", 0), rank)
    calls: list[KernelCall] = []
    start = 0
    for y in node.outputs:
        starts = [0] * rank
        starts[axis] = start
        calls += _cut(node, ctx, x, y, starts, [1] * rank) or []
        start += ctx.dims(y)[axis]
    return calls


def wish_split(node: Node, ctx: LowerContext, block: int) -> LayoutWish | None:
    dims = ctx.dims(node.inputs[0])
    if len(dims) < 3 or not all(node.outputs):
        return None
    if normal_axis(node.int("axis", 0), len(dims)) == 1 and any(ctx.dims(y)[1] % block for y in node.outputs[:-1]):
        return None
    return LayoutWish((True, *(False for _ in node.inputs[1:])), (True,) * len(node.outputs), eager=False)


# ---- Concat ---------------------------------------------------------------------------------------------------------
def lower_concat(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One launch per input, each writing its own part of the output."""
    y = node.outputs[0]
    if not fits_int32(*node.inputs, y, ctx=ctx):
        return None
    layout = ctx.layout(y)
    axis = normal_axis(node.int("axis", 0), len(ctx.dims(y)))
    strides = row_major(layout.stored(ctx.dims(y)))
    calls: list[KernelCall] = []
    offset = 0
    for x in node.inputs:
        dims = layout.stored(ctx.dims(x))
        copy = StridedCopy(dims, row_major(dims), strides, 0, offset)
        calls += copy.calls(x, y, ctx.type(x).dtype, ctx.device)
        offset += dims[axis] * strides[axis]
    return calls


def wish_concat(node: Node, ctx: LowerContext, block: int) -> LayoutWish | None:
    """Along the channels only when every part but the last fills whole blocks; along other axes always."""
    rank = len(ctx.dims(node.outputs[0]))
    if rank < 3 or any(v in ctx.constants for v in node.inputs):
        return None
    if normal_axis(node.int("axis", 0), rank) == 1 and any(ctx.dims(x)[1] % block for x in node.inputs[:-1]):
        return None
    return LayoutWish((True,) * len(node.inputs), (True,), eager=False)


def flat_copy(x: str, y: str, ctx: LowerContext) -> list[KernelCall]:
    """``x``'s elements in ``y``, in the same order."""
    count = PLAIN.elements(ctx.dims(x))
    return StridedCopy((count,), (1,), (1,)).calls(x, y, ctx.type(x).dtype, ctx.device)


OPERATORS = (
    Operator("Transpose", lower_transpose),
    Operator("DepthToSpace", lower_depth_to_space),
    Operator("SpaceToDepth", lower_space_to_depth),
    Operator("Expand", lower_expand),
    Operator("Tile", lower_tile),
    Operator("Slice", lower_slice, wish_slice),
    Operator("Split", lower_split, wish_split),
    Operator("Concat", lower_concat, wish_concat),
)
