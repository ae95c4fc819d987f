"""Nodes and graphs as JSON values and back, arrays inline: for host steps, whose nodes travel inside a plan."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from mace.graph.expr import Expr
from mace.graph.ir import Attr, Graph, Node
from mace.tensor import Array, DType, TensorType


def array_to_json(array: Array) -> list[Any]:
    dtype = DType.of(array.dtype)
    if dtype is DType.STRING:
        return [
            dtype.value,
            list(array.shape),
            [v.decode() if isinstance(v, bytes) else str(v) for v in array.reshape(-1)],
        ]
    return [dtype.value, list(array.shape), base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()]


def array_from_json(data: list[Any]) -> Array:
    dtype, shape, content = DType(data[0]), tuple(data[1]), data[2]
    if dtype is DType.STRING:
        return np.array(content, dtype=object).reshape(shape)
    return np.frombuffer(base64.b64decode(content), dtype.numpy).reshape(shape)


def type_to_json(t: TensorType | None) -> list[Any] | None:
    return None if t is None else t.to_json()


def type_from_json(data: list[Any] | None) -> TensorType | None:
    return None if data is None else TensorType.from_json(data)


def _attr_to_json(value: Attr) -> list[Any]:
    match value:
        case np.ndarray():
            return ["array", array_to_json(value)]
        case Graph():
            return ["graph", graph_to_json(value)]
        case Expr():
            return ["expr", value.to_json()]
        case tuple():
            return ["list", [_attr_to_json(v) for v in value]]
        case bytes():
            return ["bytes", base64.b64encode(value).decode()]
        case _:
            return ["value", value]


def _attr_from_json(data: list[Any]) -> Attr:
    kind, value = data
    match kind:
        case "array":
            return array_from_json(value)
        case "graph":
            return graph_from_json(value)
        case "expr":
            return Expr.from_json(value)
        case "list":
            return tuple(_attr_from_json(v) for v in value)
        case "bytes":
            return base64.b64decode(value)
        case "value":
            if not isinstance(value, (int, float, str)):
                raise ValueError(f"attribute value {value!r}")
            return value
        case _:
            raise ValueError(f"attribute kind {kind!r}")


def node_to_json(node: Node) -> dict[str, Any]:
    return {
        "op": node.op,
        "domain": node.domain,
        "name": node.name,
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        "attrs": {k: _attr_to_json(v) for k, v in node.attrs.items()},
    }


def node_from_json(data: dict[str, Any]) -> Node:
    return Node(
        op=data["op"],
        domain=data["domain"],
        name=data["name"],
        inputs=tuple(data["inputs"]),
        outputs=tuple(data["outputs"]),
        attrs={k: _attr_from_json(v) for k, v in data["attrs"].items()},
    )


def graph_to_json(graph: Graph) -> dict[str, Any]:
    return {
        "name": graph.name,
        "opset": graph.opset,
        "inputs": {k: type_to_json(t) for k, t in graph.inputs.items()},
        "outputs": list(graph.outputs),
        "nodes": [node_to_json(n) for n in graph.nodes],
        "constants": {k: array_to_json(v) for k, v in graph.constants.items()},
        "types": {k: type_to_json(t) for k, t in graph.types.items()},
    }


def graph_from_json(data: dict[str, Any]) -> Graph:
    def types(items: dict[str, Any]) -> dict[str, TensorType]:
        return {k: t for k, v in items.items() if (t := type_from_json(v)) is not None}

    return Graph(
        name=data["name"],
        opset=data["opset"],
        inputs=types(data["inputs"]),
        outputs=tuple(data["outputs"]),
        nodes=tuple(node_from_json(n) for n in data["nodes"]),
        constants={k: array_from_json(v) for k, v in data["constants"].items()},
        types=types(data["types"]),
    )
