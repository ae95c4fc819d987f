"""Renaming of the values that nodes read, subgraphs included."""

from __future__ import annotations

from collections.abc import Mapping

from mace.graph.ir import Graph, Node
from mace.graph.subgraphs import map_subgraphs


def renamed_reads(node: Node, names: Mapping[str, str]) -> Node:
    """The node reading ``names[x]`` wherever it read ``x``. Chains in ``names`` are followed by the caller."""
    if not names:
        return node
    if any(i in names for i in node.inputs):
        node = node.with_(inputs=tuple(names.get(i, i) for i in node.inputs))
    return map_subgraphs(node, lambda body: renamed_captures(body, names))


def renamed_captures(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The subgraph with the outer values it reads renamed; names it defines itself are its own."""
    own = {*graph.inputs, *graph.constants, *(o for n in graph.nodes for o in n.outputs)}
    outer = {k: v for k, v in names.items() if k not in own}
    if not outer or not any(c in outer for c in graph.captured()):
        return graph
    nodes = tuple(renamed_reads(n, outer) for n in graph.nodes)
    return graph.with_(nodes=nodes, outputs=tuple(outer.get(o, o) for o in graph.outputs))
