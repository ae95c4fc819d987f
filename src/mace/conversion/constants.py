"""Constant nodes become constants of their graph."""

from __future__ import annotations

import numpy as np

from mace.errors import ConvertError
from mace.graph.ir import Graph, Node
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import Array


def lift_constants(graph: Graph) -> Graph:
    """Constant nodes become constants of the graph they are in, subgraphs included."""
    constants = dict(graph.constants)
    nodes = []
    for node in graph.nodes:
        if node.op == "Constant" and not node.domain:
            constants[node.outputs[0]] = _constant_value(node)
        else:
            nodes.append(map_subgraphs(node, lift_constants))
    return graph.with_(nodes=tuple(nodes), constants=constants)


def _constant_value(node: Node) -> Array:
    """The tensor of a Constant node, whichever of its attributes holds it."""
    for name, value in node.attrs.items():
        if isinstance(value, np.ndarray):
            return value
        match name:
            case "value_int" | "value_ints":
                return np.asarray(value, np.int64)
            case "value_float" | "value_floats":
                return np.asarray(value, np.float32)
            case "value_string" | "value_strings":
                return np.asarray(value, object)
    raise ConvertError(f"Constant node '{node.outputs[0]}' holds no value", field=node.outputs[0])
