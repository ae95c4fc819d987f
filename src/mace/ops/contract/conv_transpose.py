"""ConvTranspose (ONNX ConvTranspose-22)."""

from __future__ import annotations

from math import prod

from mace.graph.ir import Node
from mace.ops.contract.common import accumulator, all_have_kernels, bias_defines, operand, tail_of
from mace.ops.contract.conv_transpose_blocked import conv_transpose_blocked
from mace.ops.contract.layout_wish import wish_of
from mace.ops.geometry import extent_defines, three
from mace.ops.lowering import Define, KernelCall, LowerContext, Operator, Write
from mace.ops.storage import storage_defines


def begin_pads(node: Node, kernel: tuple[int, ...], extents: tuple[int, ...], out: tuple[int, ...]) -> tuple[int, ...]:
    """Padding cut off before the first output element, ``auto_pad`` and ``output_shape`` resolved (ONNX, ConvTranspose)."""
    rank = len(kernel)
    strides = node.ints("strides", (1,) * rank)
    dilations = node.ints("dilations", (1,) * rank)
    extra = node.ints("output_padding", (0,) * rank)
    mode = node.str("auto_pad", "NOTSET")
    if mode == "VALID" or (mode == "NOTSET" and "output_shape" not in node.attrs):
        return (0,) * rank if mode == "VALID" else node.ints("pads", (0,) * (2 * rank))[:rank]
    begin = []
    for i in range(rank):
        total = strides[i] * (extents[i] - 1) + extra[i] + (kernel[i] - 1) * dilations[i] + 1 - out[i]
        total = max(total, 0)
        begin.append(total // 2 if mode == "SAME_UPPER" else total - total // 2)
    return tuple(begin)


def general(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Any rank up to 3, on row-major tensors."""
    x, w, bias = node.main_inputs[0], node.main_inputs[1], node.main_inputs[2] if len(node.main_inputs) > 2 else ""
    y = node.outputs[0]
    if not all_have_kernels((*node.inputs, y), ctx) or not 3 <= len(ctx.dims(x)) <= 5:
        return None
    n, c, *extents = ctx.dims(x)
    _, per_group, *kernel = ctx.dims(w)
    oc, *out = ctx.dims(y)[1:]
    rank = len(kernel)
    acc = accumulator(ctx.type(x).dtype)
    tail = tail_of(node, ctx, channel_axis=1, ctype=acc)
    if tail is None:
        return None
    window: dict[str, Define] = {}
    pads = begin_pads(node, tuple(kernel), tuple(extents), tuple(out))
    for prefix, values, neutral in (
        ("K", tuple(kernel), 1),
        ("S", node.ints("strides", (1,) * rank), 1),
        ("D", node.ints("dilations", (1,) * rank), 1),
        ("P", pads, 0),
    ):
        window |= {f"{prefix}{axis}": v for axis, v in zip("DHW", three(values, neutral), strict=True)}
    defines = {
        **storage_defines("X", ctx.type(x).dtype),
        **storage_defines("W", ctx.type(w).dtype),
        **storage_defines("Y", ctx.type(y).dtype),
        **extent_defines("I", tuple(extents)),
        **extent_defines("O", tuple(out)),
        **window,
        **bias_defines(bias, ctx),
        **tail.defines,
        "ACC": acc,
        "C": c,
        "OC": oc,
        "GROUP": node.int("group", 1),
    }
    args = (operand(x, ctx), operand(w, ctx), *([operand(bias, ctx)] if bias else []), Write(y), *tail.args)
    flops = 2 * n * c * prod(extents) * per_group * prod(kernel)
    return [KernelCall("conv_transpose_general", defines, args, (prod(out), oc, n), flops=flops)]


def fast(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """The channel-blocked variant; None when the tensors are plain or it does not fit."""
    kernel, extents, out = ctx.dims(node.inputs[1])[2:], ctx.dims(node.inputs[0])[2:], ctx.dims(node.outputs[0])[2:]
    return conv_transpose_blocked(node, ctx, begin_pads(node, kernel, extents, out)) if kernel else None


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    return fast(node, ctx) or general(node, ctx)


CONV_TRANSPOSE = Operator("ConvTranspose", lower, wish_of(fast))
