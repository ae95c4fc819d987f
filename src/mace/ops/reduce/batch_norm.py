"""BatchNormalization at inference, where it was not folded away: an expression with an operand per channel."""

from __future__ import annotations

from mace.graph.expr import Expr, Step
from mace.graph.ir import Node
from mace.ops.lowering import KernelCall, LayoutWish, LowerContext, Operator
from mace.ops.pointwise import Operand, lower_expression


def _expression(node: Node, dtype: str) -> Expr:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, over the node's operands in ONNX's order."""
    x, scale, bias, mean, variance = range(5)
    epsilon = (("epsilon", node.float("epsilon", 1e-5)),)
    return Expr(
        5,
        (
            Step("Sub", (x, mean), dtype),
            Step("InverseDeviation", (variance,), dtype, epsilon),
            Step("Mul", (6, scale), dtype),
            Step("Mul", (5, 7), dtype),
            Step("Add", (8, bias), dtype),
        ),
    )


def lower_batch_norm(node: Node, ctx: LowerContext) -> list[KernelCall] | None:
    """One pointwise launch; None in training mode, which also wants the batch's own statistics."""
    dims = ctx.dims(node.inputs[0])
    if node.int("training_mode", 0) or any(node.outputs[1:]) or len(dims) < 2:
        return None
    if len({ctx.type(n).dtype for n in node.inputs}) > 1:
        return None
    per_channel = (dims[1], *(1 for _ in dims[2:]))
    operands = [Operand(node.inputs[0], dims), *(Operand(n, per_channel) for n in node.inputs[1:])]
    return lower_expression(_expression(node, ctx.type(node.inputs[0]).dtype.value), operands, node.outputs[0], ctx)


def wish(node: Node, ctx: LowerContext, _block: int) -> LayoutWish | None:
    """Blocked when the statistics are constants."""
    constant = all(ctx.constant(n) is not None for n in node.inputs[1:])
    if not constant or ctx.type(node.inputs[0]).rank < 3 or any(node.outputs[1:]):
        return None
    return LayoutWish((True, False, False, False, False), (True, *(False for _ in node.outputs[1:])), eager=False)


OPERATORS: tuple[Operator, ...] = (Operator("BatchNormalization", lower_batch_norm, wish),)
