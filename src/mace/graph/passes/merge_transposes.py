"""Joins transposes that follow one another, and turns those that move no data into reshapes."""

from __future__ import annotations

import numpy as np

from mace.graph.ir import Graph, Node, fresh_name
from mace.graph.subgraphs import map_subgraphs


def merge_transposes(graph: Graph) -> Graph:
    """``Transpose(Transpose(x, p), q)`` is one transpose; one that only moves axes of extent 1 is a Reshape."""
    producers: dict[str, Node] = {}
    constants = dict(graph.constants)
    taken = graph.names()
    nodes: list[Node] = []
    for node in graph.nodes:
        node = map_subgraphs(node, merge_transposes)
        if node.op == "Transpose" and not node.domain:
            node = _merged(graph, producers, node)
            target = _as_reshape(graph, node)
            if target is not None:
                name = fresh_name(f"{node.outputs[0]}_shape", taken)
                taken.add(name)
                constants[name] = np.array(target, np.int64)
                node = Node("Reshape", (node.inputs[0], name), node.outputs, {}, node.name)
        producers.update((o, node) for o in node.outputs)
        nodes.append(node)
    return graph.with_(nodes=tuple(nodes), constants=constants)


def _perm(graph: Graph, node: Node) -> tuple[int, ...] | None:
    known = graph.type_of(node.inputs[0])
    default = tuple(reversed(range(len(known.shape)))) if known is not None and known.shape is not None else ()
    return node.ints("perm", default) or None


def _merged(graph: Graph, producers: dict[str, Node], node: Node) -> Node:
    inner = producers.get(node.inputs[0])
    if inner is None or inner.op != "Transpose" or inner.domain:
        return node
    first, second = _perm(graph, inner), _perm(graph, node)
    if first is None or second is None:
        return node
    return node.with_(inputs=inner.inputs, attrs={"perm": tuple(first[i] for i in second)})


def _as_reshape(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """The shape to reshape to when the axes longer than 1 keep their order; -1 where one extent is symbolic."""
    known, perm = graph.type_of(node.inputs[0]), _perm(graph, node)
    if known is None or known.shape is None or known.container or perm is None:
        return None
    moved = [i for i in perm if known.shape[i] != 1]
    if moved != sorted(moved) or perm == tuple(range(len(perm))):
        return None
    target = [known.shape[i] for i in perm]
    unknown = [d for d in target if not isinstance(d, int)]
    if len(unknown) > 1 or 0 in target:
        return None
    return tuple(d if isinstance(d, int) else -1 for d in target)
