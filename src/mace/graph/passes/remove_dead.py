"""Drops nodes and constants that nothing reads."""

from __future__ import annotations

from mace.graph.ir import Graph, Node
from mace.graph.subgraphs import map_subgraphs


def remove_dead(graph: Graph) -> Graph:
    """Keep what the outputs depend on. Optional outputs that nobody reads are left out of their nodes."""
    wanted = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not any(o in wanted for o in node.outputs):
            continue
        node = _without_unread_outputs(map_subgraphs(node, remove_dead), wanted)
        wanted.update(node.reads())
        kept.append(node)
    kept.reverse()
    # Outputs that nobody reads but that their nodes write all the same need a type to be placed by.
    typed = wanted.union(o for node in kept for o in node.outputs)
    return graph.with_(
        nodes=tuple(kept),
        constants={k: v for k, v in graph.constants.items() if k in wanted},
        types={k: t for k, t in graph.types.items() if k in typed},
    )


_TRAILING_OPTIONAL = {
    "Dropout": 1,
    "MaxPool": 1,
    "LayerNormalization": 1,
    "BatchNormalization": 1,
    "LSTM": 0,
    "GRU": 0,
    "RNN": 0,
}
"""Operators whose outputs from this index on may be left out."""


def _without_unread_outputs(node: Node, wanted: set[str]) -> Node:
    first = _TRAILING_OPTIONAL.get(node.op) if not node.domain else None
    if first is None or all(o in wanted for o in node.outputs):
        return node
    outputs = [o if o in wanted or i < first else "" for i, o in enumerate(node.outputs)]
    while outputs and not outputs[-1]:
        outputs.pop()
    return node.with_(outputs=tuple(outputs))
