"""Conv (ONNX Conv-22): variants and the choice among them."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from mace.graph.ir import Node
from mace.ops.contract.common import accumulator, all_have_kernels, bias_defines, operand, tail_of
from mace.ops.contract.conv_fast import fast, wish
from mace.ops.contract.conv_product import conv_product
from mace.ops.geometry import Window, extent_defines
from mace.ops.lowering import KernelCall, LowerContext, Operator, Write
from mace.ops.storage import storage_defines


def general(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """Any rank up to 3, stride, dilation, padding and group count, on row-major tensors."""
    x, w, bias = node.main_inputs[0], node.main_inputs[1], node.main_inputs[2] if len(node.main_inputs) > 2 else ""
    y = node.outputs[0]
    if not all_have_kernels((*node.inputs, y), ctx) or not 3 <= len(ctx.dims(x)) <= 5:
        return None
    acc = accumulator(ctx.type(x).dtype)
    tail = tail_of(node, ctx, channel_axis=1, ctype=acc)
    if tail is None:
        return None
    call = general_call(node, ctx, x, w, y, acc)
    bias_args = (operand(bias, ctx),) if bias else ()
    args = (operand(x, ctx), operand(w, ctx), *bias_args, Write(y), *tail.args)
    return [replace(call, defines={**call.defines, **bias_defines(bias, ctx), **tail.defines}, args=args)]


def general_call(node: Node, ctx: LowerContext, x: str, w: str, y: str, acc: str) -> KernelCall:
    """The general template specialised for a convolution of ``x`` by ``w``; arguments, bias and tail are left to the caller."""
    n, c, *extents = ctx.dims(x)
    oc, per_group, *kernel = ctx.dims(w)
    out = ctx.dims(y)[2:]
    defines = {
        **storage_defines("X", ctx.type(x).dtype),
        **storage_defines("W", ctx.type(w).dtype),
        **storage_defines("Y", ctx.type(y).dtype),
        **extent_defines("I", tuple(extents)),
        **extent_defines("O", out),
        **Window.of(node, tuple(kernel), tuple(extents)).defines(),
        "ACC": acc,
        "C": c,
        "OC": oc,
        "GROUP": node.int("group", 1),
    }
    flops = 2 * n * oc * prod(out) * per_group * prod(kernel)
    return KernelCall("conv_general", defines, (), (prod(out), oc, n), flops=flops)


def lower(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    return fast(node, ctx) or conv_product(node, ctx) or general(node, ctx)


CONV = Operator("Conv", lower, wish)
