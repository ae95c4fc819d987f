"""Skips reshapes whose result is only reshaped again."""

from __future__ import annotations

from mace.graph.ir import Graph, Node
from mace.graph.subgraphs import map_subgraphs

_RESHAPES = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})


def merge_reshapes(graph: Graph) -> Graph:
    """A Reshape to a shape that needs no look at its input's extents reads past other reshapes before it."""
    producers: dict[str, Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        node = map_subgraphs(node, merge_reshapes)
        if _is_absolute(graph, node):
            source = node.inputs[0]
            while (inner := producers.get(source)) is not None and inner.op in _RESHAPES and not inner.domain:
                source = inner.inputs[0]
            node = node.with_(inputs=(source, *node.inputs[1:]))
        producers.update((o, node) for o in node.outputs)
        nodes.append(node)
    return graph.with_(nodes=tuple(nodes))


def _is_absolute(graph: Graph, node: Node) -> bool:
    """Whether the target shape is constant and copies no extent (0) of the input."""
    if node.op != "Reshape" or node.domain:
        return False
    shape = graph.constants.get(node.input(1))
    return shape is not None and (bool((shape != 0).all()) or bool(node.int("allowzero", 0)))
