"""Bodies of If, Loop and Scan: the types their inputs have, and walking into them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mace.graph.ir import Attr, Graph, Node
from mace.tensor import DType, TensorType

UNTYPED = TensorType(DType.FLOAT32, None, "untyped")
"""Stands for a type that a model leaves open: inputs of Loop and Scan bodies."""


def typed_body(node: Node, body: Graph, types: Mapping[str, TensorType]) -> Graph:
    """The body with the types its inputs must have by the node's own inputs, where the body itself leaves them open."""
    if node.domain or not body.inputs:
        return body
    match node.op:
        case "Loop":
            given = _loop_inputs(node, types)
        case "Scan":
            given = _scan_inputs(node, types)
        case _:
            return body
    inputs = dict(body.inputs)
    for (name, declared), known in zip(body.inputs.items(), given, strict=False):
        if known is not None and (declared == UNTYPED or declared.shape is None):
            inputs[name] = known
    return body.with_(inputs=inputs)


def _loop_inputs(node: Node, types: Mapping[str, TensorType]) -> list[TensorType | None]:
    """Iteration number, condition, then the carried values, whose shapes may change from turn to turn."""
    carried = (types.get(i) for i in node.inputs[2:])
    fixed: list[TensorType | None] = [TensorType(DType.INT64, ()), TensorType(DType.BOOL, ())]
    return fixed + [t and TensorType(t.dtype, None, t.container) for t in carried]


def _scan_inputs(node: Node, types: Mapping[str, TensorType]) -> list[TensorType | None]:
    """States keep their type; a scanned input loses the axis it is scanned along."""
    count = node.int("num_scan_inputs", 0)
    states, scanned = node.inputs[: len(node.inputs) - count], node.inputs[len(node.inputs) - count :]
    axes = node.ints("scan_input_axes", (0,) * count)
    given = [types.get(s) for s in states]
    for name, axis in zip(scanned, axes, strict=False):
        known = types.get(name)
        if known is None or known.shape is None:
            given.append(known)
            continue
        at = axis % len(known.shape)
        given.append(TensorType(known.dtype, known.shape[:at] + known.shape[at + 1 :]))
    return given


def map_subgraphs(node: Node, change: Callable[[Graph], Graph]) -> Node:
    """The node with ``change`` applied to each of its subgraphs."""
    if not any(node.subgraphs()):
        return node
    attrs: dict[str, Attr] = {k: change(v) if isinstance(v, Graph) else v for k, v in node.attrs.items()}
    return node.with_(attrs=attrs)
