"""Older forms of element-wise operators, reductions and matrix products."""

from __future__ import annotations

import numpy as np

from mace.conversion.rewriting import Rewriting, Rule, attribute_to_input, without
from mace.graph.ir import Node


def _broadcast_attribute(node: Node, around: Rewriting) -> list[Node]:
    """Opset 6: ``broadcast=1, axis=a`` lines the second operand's axes up with the first's from ``a`` on."""
    axis, enabled = node.int("axis", -1), node.int("broadcast", 0)
    plain = node.with_(attrs=without(node, "axis", "broadcast"))
    ranks = around.rank(node.inputs[0]), around.rank(node.inputs[1])
    if not enabled or "axis" not in node.attrs or ranks[1] == 0:
        return [plain]
    if ranks[0] is None or ranks[1] is None:
        raise around.refuse(node, "broadcasts along an axis of operands whose ranks are not known")
    start = axis % ranks[0] if axis < 0 else axis
    trailing = ranks[0] - start - ranks[1]
    if trailing <= 0:
        return [plain]
    return _with_trailing_axes(plain, 1, ranks[1], trailing, around)


def _with_trailing_axes(node: Node, index: int, rank: int, count: int, around: Rewriting) -> list[Node]:
    """``node`` reading its input ``index`` with ``count`` axes of extent 1 put behind its own."""
    axes = around.constant(f"{node.outputs[0]}_axes", list(range(rank, rank + count)))
    widened = around.name(f"{node.inputs[index]}_unsqueezed")
    inputs = tuple(widened if i == index else n for i, n in enumerate(node.inputs))
    return [Node("Unsqueeze", (node.inputs[index], axes), (widened,)), node.with_(inputs=inputs)]


def _prelu_slope(node: Node, around: Rewriting) -> list[Node]:
    """Opset 6: a slope of rank 1 belongs to the channels, axis 1."""
    data, slope = around.type(node.inputs[0]), around.type(node.inputs[1])
    if data is None or slope is None or data.shape is None or slope.shape is None:
        return [node]
    if len(slope.shape) != 1 or slope.shape == (1,) or len(data.shape) <= 2:
        return [node]
    return _with_trailing_axes(node, 1, 1, len(data.shape) - 2, around)


def _clip_bounds(node: Node, around: Rewriting) -> list[Node]:
    """Opset 10: bounds are attributes."""
    dtype = around.float_type(node.inputs[0])
    names = [
        around.constant(f"{node.outputs[0]}_{bound}", np.asarray(node.float(bound, 0.0)), dtype)
        if bound in node.attrs
        else ""
        for bound in ("min", "max")
    ]
    while names and not names[-1]:
        names.pop()
    return [node.with_(inputs=(node.inputs[0], *names), attrs=without(node, "min", "max"))]


def _cast_target(node: Node, around: Rewriting) -> list[Node]:
    """Opset 5: the target type is given by name."""
    from mace.tensor import DType

    target = node.attrs.get("to")
    if isinstance(target, int):
        return [node]
    names = {"FLOAT": DType.FLOAT32, "DOUBLE": DType.FLOAT64}
    text = node.str("to", "FLOAT").upper()
    dtype = names.get(text) or DType(text.lower())
    return [node.with_(attrs={**node.attrs, "to": dtype.onnx_code})]


def _mean_variance_axes(node: Node, around: Rewriting) -> list[Node]:
    """The experimental form before opset 9 says ``across_channels`` instead of axes."""
    if "across_channels" not in node.attrs and "normalize_variance" not in node.attrs:
        return [node]
    if node.int("normalize_variance", 1) != 1:
        raise around.refuse(node, "normalises the mean only")
    axes = (0, 1, 2, 3) if node.int("across_channels", 0) else (0, 2, 3)
    return [node.with_(attrs={"axes": axes})]


def _gemm_without_bias(node: Node, around: Rewriting) -> list[Node]:
    """Opset 6: whether C broadcasts is an attribute; the shapes tell."""
    return [node.with_(attrs=without(node, "broadcast"))]


def _reduction(op: str, before: int) -> Rule:
    return Rule(op, before, attribute_to_input("axes", 1))


RULES: tuple[Rule, ...] = (
    *(
        Rule(op, 7, _broadcast_attribute)
        for op in ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")
    ),
    Rule("PRelu", 7, _prelu_slope),
    Rule("Clip", 11, _clip_bounds),
    Rule("Cast", 6, _cast_target),
    Rule("Gemm", 7, _gemm_without_bias),
    Rule("MeanVarianceNormalization", 9, _mean_variance_axes),
    _reduction("ReduceSum", 13),
    *(
        _reduction(f"Reduce{kind}", 18)
        for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")
    ),
)
