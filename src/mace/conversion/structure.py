"""Checks that a graph's wiring is sound: unique names, everything read is defined before, subgraphs included."""

from __future__ import annotations

from collections.abc import Iterable

from mace.errors import ConvertError
from mace.graph.ir import Graph, Node
from mace.graph.subgraphs import map_subgraphs


def sort_nodes(graph: Graph, outer: Iterable[str] = ()) -> Graph:
    """The graph with its nodes in topological order, stable where they already are, and without those that give nothing.

    Raises ``ConvertError`` naming the node for a name defined twice, one that nothing defines, or a cycle.
    """
    defined = {*outer, *graph.inputs, *graph.constants}
    outputs: dict[str, Node] = {}
    for node in graph.nodes:
        for name in node.outputs:
            if not name:
                continue
            if name in outputs or name in graph.inputs or name in graph.constants:
                raise ConvertError(f"value '{name}' is defined twice (again by {label(node)})", field=name)
            outputs[name] = node
    waiting = [n for n in graph.nodes if any(n.outputs)]
    ordered: list[Node] = []
    while waiting:
        left = []
        for node in waiting:
            if all(r in defined or r not in outputs for r in node.reads()):
                _check_reads(node, defined)
                ordered.append(map_subgraphs(node, lambda g: sort_nodes(g, frozenset(defined))))
                defined.update(o for o in node.outputs if o)
            else:
                left.append(node)
        if len(left) == len(waiting):
            raise ConvertError(f"the graph has a cycle through {label(left[0])}")
        waiting = left
    for name in graph.outputs:
        if name not in defined:
            raise ConvertError(f"output '{name}' of graph '{graph.name}' is not computed by any node", field=name)
    return graph.with_(nodes=tuple(ordered))


def _check_reads(node: Node, defined: set[str]) -> None:
    missing = [r for r in node.reads() if r not in defined]
    if missing:
        raise ConvertError(f"{label(node)} reads '{missing[0]}', which nothing defines", field=missing[0])


def label(node: Node) -> str:
    """How errors name a node."""
    op = f"{node.domain}::{node.op}" if node.domain else node.op
    return f"node '{node.name or (node.outputs[0] if node.outputs else '?')}' ({op})"
