"""Which ONNX operators work element by element, how many operands they take, and the element type of their result.

The fusing passes and the lowering of single nodes both read this table. An entry says nothing of shapes: operands
broadcast as numpy does, except for the quantisation parameters of QuantizeLinear and DequantizeLinear, which lie
along an axis and make an expression only where they are single numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from mace.graph.expr import Expr, Step
from mace.graph.ir import MACE_DOMAIN, Node
from mace.tensor import DType, TensorType

Result = Literal["first", "second", "bool", "to", "quantized", "dequantized"]


@dataclass(frozen=True, slots=True)
class PointwiseRule:
    """Number of operands (``most`` None: any number) and where the result's element type comes from."""

    least: int
    most: int | None
    result: Result = "first"


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_UNARY: Final = _names(
    """Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Ceil Celu Cos Cosh Elu Erf Exp Floor Gelu HardSigmoid HardSwish
    Identity LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt
    Swish Tan Tanh ThresholdedRelu"""
)
_BINARY: Final = _names("Add BitShift BitwiseAnd BitwiseOr BitwiseXor Div Mod Mul PRelu Pow Sub")
_TO_BOOL: Final = _names("And Equal Greater GreaterOrEqual Less LessOrEqual Or Xor")

POINTWISE: Final[dict[str, PointwiseRule]] = {
    **{op: PointwiseRule(1, 1) for op in _UNARY},
    **{op: PointwiseRule(2, 2) for op in _BINARY},
    **{op: PointwiseRule(2, 2, "bool") for op in _TO_BOOL},
    **{op: PointwiseRule(1, None) for op in ("Max", "Mean", "Min", "Sum")},
    "IsInf": PointwiseRule(1, 1, "bool"),
    "IsNaN": PointwiseRule(1, 1, "bool"),
    "Where": PointwiseRule(3, 3, "second"),
    "Clip": PointwiseRule(1, 3),
    "Cast": PointwiseRule(1, 1, "to"),
    "CastLike": PointwiseRule(2, 2, "second"),
    "Dropout": PointwiseRule(1, 3),
    "QuantizeLinear": PointwiseRule(2, 3, "quantized"),
    "DequantizeLinear": PointwiseRule(2, 3, "dequantized"),
}

TAIL_OPS: Final = frozenset(
    _names(
        """Abs Add Ceil Celu Clip Cos Div Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Log Max Mean
        Min Mish Mul Neg PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Softplus Softsign Sqrt Sub Sum
        Swish Tanh ThresholdedRelu"""
    )
)
"""Operators a contraction can apply to its result in the store: float in, the same float out."""


def result_type(node: Node, types: list[DType | None]) -> DType | None:
    """Element type of a pointwise ONNX node's first output, given those of its inputs; None when it cannot be told."""
    rule = POINTWISE[node.op]
    match rule.result:
        case "bool":
            return DType.BOOL
        case "second":
            return types[1]
        case "to":
            return DType.from_onnx(node.int("to", 0))
        case "quantized" | "dequantized":
            if code := node.int("output_dtype", 0):
                return DType.from_onnx(code)
            if rule.result == "dequantized":
                return types[1]
            return types[2] if len(types) > 2 and types[2] is not None else DType.UINT8
        case _:
            return types[0]


def single_step(node: Node, types: list[DType | None]) -> Expr | None:
    """The expression of one ONNX node over its inputs that are present, in order; None when it is not pointwise.

    ``types`` are the element types of all inputs, None for one left out. How operands broadcast is not looked at.
    """
    rule = POINTWISE.get(node.op) if not node.domain else None
    if rule is None or not rule.least <= len(node.inputs) or (rule.most is not None and len(node.inputs) > rule.most):
        return None
    dtype = result_type(node, types)
    if dtype is None:
        return None
    numbers: dict[int, int] = {}
    for i, name in enumerate(node.inputs):
        numbers[i] = len([n for n in numbers.values() if n >= 0]) if name else -1
    args = tuple(numbers.values())
    op = node.op
    if op in ("CastLike", "Dropout"):
        op, args = ("Cast" if op == "CastLike" else "Identity"), args[:1]
    return Expr(sum(1 for n in node.inputs if n), (Step(op, args, dtype.value, _plain_attributes(node)),))


def expression_of(node: Node, type_of: Callable[[str], TensorType | None]) -> Expr | None:
    """The expression a node stands for, over its inputs that are present, or None when it cannot be part of a chain.

    mace's own ``Pointwise`` answers its ``expr``. Dropout counts where it surely does nothing and gives no mask; CastLike
    does not: its second operand lends a type alone, but would broadcast.
    """
    if node.domain == MACE_DOMAIN and node.op == "Pointwise":
        value = node.attrs["expr"]
        return value if isinstance(value, Expr) else None
    if node.domain or node.op not in POINTWISE or node.op == "CastLike" or any(node.outputs[1:]):
        return None
    known = [type_of(name) if name else None for name in node.inputs]
    if any(name and t is None for name, t in zip(node.inputs, known, strict=True)):
        return None
    if node.op == "Dropout" and node.input(2):
        return None
    if node.op in ("QuantizeLinear", "DequantizeLinear") and not all(_is_single(t) for t in known[1:]):
        return None
    return single_step(node, [t.dtype if t else None for t in known])


def _is_single(known: TensorType | None) -> bool:
    return known is None or (known.is_static and known.size == 1)


def _plain_attributes(node: Node) -> tuple[tuple[str, int | float | str], ...]:
    """Attributes that are numbers or text, sorted by name; the target type of a cast is in the step's own ``dtype``."""
    kept: dict[str, int | float | str] = {}
    for name, value in node.attrs.items():
        if isinstance(value, bytes):
            kept[name] = value.decode()
        elif isinstance(value, (int, float, str)) and name not in ("to", "seed"):
            kept[name] = value
    return tuple(sorted(kept.items()))
