"""The parts of a kernel call that the channel-blocked convolution variants have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mace.graph.ir import Node
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.vectors import all_real, bias_vector, blocked_tail, tail_defines, vector_defines
from mace.ops.lowering import Constant, Define, KernelCall, Layout, LowerContext, Read, Write, group_defines
from mace.ops.tunable import Space, tuning_key


def operands(node: Node) -> tuple[str, str, str, str]:
    """Names of input, weights, bias (empty when there is none) and output."""
    main = node.main_inputs
    return main[0], main[1], main[2] if len(main) > 2 else "", node.outputs[0]


def output_block(node: Node, ctx: LowerContext) -> int:
    """Width of the output's channel blocks; 0 when no blocked variant can run the node at all.

    Weights and bias have to be constants, and every tensor of a type that the vector kernels store.
    """
    x, w, bias, y = operands(node)
    constant = ctx.constant(w) is not None and (not bias or ctx.constant(bias) is not None)
    usable = constant and ctx.constant(x) is None and all_real((x, w, bias, y), ctx)
    return ctx.layout(y).block if usable and ctx.layout(y).block in (4, 8, 16) else 0


def output_lanes(node: Node, ctx: LowerContext) -> int:
    """As :func:`output_block`, also for an output with its channels last: then the input's blocks, or the device's width."""
    x, _, _, y = operands(node)
    if not ctx.layout(y).last:
        return output_block(node, ctx)
    if any(ctx.constant(v) is None and ctx.type(v).size > 1 for v in node.tail_inputs):
        return 0
    block = ctx.layout(x).block or ctx.device.vector_width
    return output_block(node, replace(ctx, layouts={**ctx.layouts, y: Layout(block)}))


def conv_call(
    template: str,
    node: Node,
    ctx: LowerContext,
    problem: ConvProblem,
    weights: Constant,
    defines: Mapping[str, Define],
    items: int,
    space: Space,
    key: Mapping[str, int],
) -> list[KernelCall] | None:
    """One launch over ``items`` work-items with bias and tail; None when the tail does not fit."""
    x, w, bias, y = operands(node)
    block = output_lanes(node, ctx)
    tail = blocked_tail(node, ctx, block)
    if tail is None:
        return None
    bias_macros, bias_args = bias_vector(bias, ctx, problem.oc, block)
    group_macros, local = group_defines(ctx.device)
    macros = {
        **{name: vector for o, v in (("X", x), ("W", w), ("Y", y)) for name, vector in _storage(o, v, ctx).items()},
        **problem.defines(),
        **defines,
        **bias_macros,
        **tail_defines(tail),
        **group_macros,
        **last_defines(node, ctx),
        "V": block,
    }
    args = (Read(x), weights, *bias_args, Write(y), *tail.args)
    return [KernelCall(template, macros, args, (items,), local, problem.flops, tuning_key(space, key))]


def last_defines(node: Node, ctx: LowerContext) -> dict[str, Define]:
    """Macros LAST and OC for an output with its channels last."""
    y = node.outputs[0]
    return {"LAST": 1, "OC": ctx.dims(y)[1]} if ctx.layout(y).last else {}


def _storage(operand: str, value: str, ctx: LowerContext) -> dict[str, Define]:
    return vector_defines(operand, ctx.type(value).dtype)
