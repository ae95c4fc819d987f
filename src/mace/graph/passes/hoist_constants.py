"""Moves constants of subgraphs to the outermost graph, where they are stored, shared and mapped like all others."""

from __future__ import annotations

from mace.graph.ir import Graph, Node, fresh_name
from mace.graph.passes.rename import renamed_captures
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import Array

_CONTROL_FLOW = frozenset({"If", "Loop", "Scan"})
"""Operators whose bodies may capture; those of others (SequenceMap, FlexAttention) are functions of their inputs."""


def hoist_constants(graph: Graph) -> Graph:
    """Subgraphs capture the constants instead; small graphs without subgraphs stay as they are."""
    if not any(any(n.subgraphs()) for n in graph.nodes):
        return graph
    taken = _all_names(graph)
    constants = dict(graph.constants)
    nodes = tuple(
        map_subgraphs(n, lambda body: _emptied(body, constants, taken)) if n.op in _CONTROL_FLOW else n
        for n in graph.nodes
    )
    return graph.with_(nodes=nodes, constants=constants)


def _emptied(body: Graph, constants: dict[str, Array], taken: set[str]) -> Graph:
    """The body without constants of its own, those of deeper bodies included; they are added to ``constants``."""
    names: dict[str, str] = {}
    for name, array in body.constants.items():
        new = name if name not in constants else fresh_name(name, taken)
        if new != name:
            names[name] = new
        taken.add(new)
        constants[new] = array
    types = {k: t for k, t in body.types.items() if k not in body.constants}
    bare = renamed_captures(body.with_(constants={}, types=types), names)
    return bare.with_(
        nodes=tuple(map_subgraphs(n, lambda inner: _emptied(inner, constants, taken)) for n in bare.nodes)
    )


def _all_names(graph: Graph) -> set[str]:
    names = graph.names()
    nodes: list[Node] = list(graph.nodes)
    while nodes:
        for inner in nodes.pop().subgraphs():
            names |= inner.names()
            nodes.extend(inner.nodes)
    return names
