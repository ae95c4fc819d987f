"""Values of small integer tensors as far as shapes tell them: what ``Shape`` of a half-known shape flows into.

A partial value is the flat list of a tensor's elements, each a number, the name of a symbolic dimension, or None. It
belongs to a tensor of rank 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mace.graph.ir import Node
from mace.tensor import Array, Dim, TensorType

LIMIT = 64
"""Elements beyond which a tensor is no shape any more."""


@dataclass(frozen=True, slots=True)
class Partial:
    """Elements of a rank-0 (``scalar``) or rank-1 integer tensor."""

    items: tuple[Dim, ...]
    scalar: bool = False

    @property
    def known(self) -> bool:
        return all(isinstance(i, int) for i in self.items)


def partial_of(array: Array) -> Partial | None:
    """The partial value of a constant, or None when it is no small list of integers."""
    if array.dtype.kind not in "iu" or array.ndim > 1 or array.size > LIMIT:
        return None
    return Partial(tuple(int(v) for v in array.reshape(-1)), array.ndim == 0)


def propagate(node: Node, values: Mapping[str, Partial], types: Mapping[str, TensorType]) -> Partial | None:
    """The node's first output as far as it can be told, given partial values and types of its inputs by name."""
    if node.domain:
        return None
    if node.op == "Shape":
        known = types.get(node.input(0))
        if known is None or known.shape is None or known.container:
            return None
        return Partial(known.shape[slice(node.int("start", 0), node.int("end", len(known.shape)))])
    rule = _RULES.get(node.op)
    if rule is None:
        return None
    operands = [values.get(i) for i in node.inputs]
    present = [p for p in operands if p is not None]
    if len(present) < len([i for i in node.inputs if i]):
        return None
    return rule(node, present)


def _same(node: Node, operands: Sequence[Partial]) -> Partial | None:
    return operands[0]


def _cast(node: Node, operands: Sequence[Partial]) -> Partial | None:
    from mace.tensor import DType

    bits = {DType.INT32: 31, DType.INT64: 63}.get(DType.from_onnx(node.int("to", 0)))
    fits = bits is not None and all(not isinstance(i, int) or -(1 << bits) <= i < 1 << bits for i in operands[0].items)
    return operands[0] if fits else None


def _gather(node: Node, operands: Sequence[Partial]) -> Partial | None:
    data, index = operands
    if data.scalar or not index.known or node.int("axis", 0) not in (0, -1):
        return None
    count = len(data.items)
    where = [i for i in index.items if isinstance(i, int)]
    if any(not -count <= i < count for i in where):
        return None
    return Partial(tuple(data.items[i] for i in where), index.scalar)


def _slice(node: Node, operands: Sequence[Partial]) -> Partial | None:
    data, *bounds = operands
    if data.scalar or not all(b.known for b in bounds) or len(bounds) < 2:
        return None
    if len(node.inputs) > 3 and not node.inputs[3]:  # steps without axes: not worth a rule
        return None
    start, end = (b.items[0] for b in bounds[:2])
    step = bounds[3].items[0] if len(bounds) > 3 else 1
    if not isinstance(start, int) or not isinstance(end, int) or not isinstance(step, int) or step == 0:
        return None
    if step < 0 and end < -len(data.items):
        return Partial(data.items[start::step])
    return Partial(data.items[start:end:step])


def _concat(node: Node, operands: Sequence[Partial]) -> Partial | None:
    items = tuple(i for p in operands for i in p.items)
    return Partial(items) if len(items) <= LIMIT else None


def _squeeze(node: Node, operands: Sequence[Partial]) -> Partial | None:
    return Partial(operands[0].items, True) if len(operands[0].items) == 1 else None


def _unsqueeze(node: Node, operands: Sequence[Partial]) -> Partial | None:
    return Partial(operands[0].items) if operands[0].scalar and len(operands[1].items) == 1 else None


def _reshape(node: Node, operands: Sequence[Partial]) -> Partial | None:
    data, shape = operands
    if not shape.items:
        return Partial(data.items, True)
    return Partial(data.items) if len(shape.items) == 1 else None


def _arithmetic(node: Node, operands: Sequence[Partial]) -> Partial | None:
    if len(operands) != 2:
        return None
    a, b = operands
    lengths = {len(a.items), len(b.items)} - {1}
    if len(lengths) > 1:
        return None
    count = lengths.pop() if lengths else 1
    left, right = (p.items * count if len(p.items) == 1 else p.items for p in (a, b))
    return Partial(tuple(_calculate(node.op, x, y) for x, y in zip(left, right, strict=True)), a.scalar and b.scalar)


def _calculate(op: str, x: Dim, y: Dim) -> Dim:
    if isinstance(x, int) and isinstance(y, int):
        value = _of_numbers(op, x, y)
        return value if value is not None and abs(value) < 1 << 31 else None  # no extent is larger; nothing wraps
    neutral = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}.get(op)
    if neutral is not None and y == neutral and isinstance(y, int):
        return x
    if op in ("Add", "Mul") and x == neutral and isinstance(x, int):
        return y
    return None


def _of_numbers(op: str, x: int, y: int) -> int | None:
    match op:
        case "Add":
            return x + y
        case "Sub":
            return x - y
        case "Mul":
            return x * y
        case "Div":  # truncates, as ONNX does
            return (abs(x) // abs(y)) * (1 if (x < 0) == (y < 0) else -1) if y else None
        case "Min":
            return min(x, y)
        case _:
            return max(x, y)


_RULES = {
    "Identity": _same,
    "Cast": _cast,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": _concat,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Reshape": _reshape,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Min", "Max"), _arithmetic),
}
