"""Finds softmax written out with Exp and ReduceSum and makes it one node."""

from __future__ import annotations

from mace.graph.ir import Graph, Node
from mace.graph.passes.match import Anything, Matcher, op
from mace.graph.subgraphs import map_subgraphs


def _keeps_one_axis(graph: Graph, node: Node) -> bool:
    axes = graph.constants.get(node.input(1))
    return axes is not None and axes.size == 1 and bool(node.int("keepdims", 1))


_X = Anything("x")
_SHIFTED = op("Exp", op("Sub", _X, op("ReduceMax", _X, bind="max", check=_keeps_one_axis)), bind="exp")
_BARE = op("Exp", _X, bind="exp")


def recognise_softmax(graph: Graph) -> Graph:
    """e^(x − max) / Σ e^(x − max), or the same without the maximum, over one axis, become Softmax."""
    matcher = Matcher.of(graph)
    nodes = []
    for node in graph.nodes:
        node = map_subgraphs(node, recognise_softmax)
        nodes.append(_softmax(graph, matcher, node) or node)
    return graph.with_(nodes=tuple(nodes))


def _softmax(graph: Graph, matcher: Matcher, node: Node) -> Node | None:
    if node.op != "Div" or node.domain:
        return None
    for exponential in (_SHIFTED, _BARE):
        total = op("ReduceSum", exponential, bind="sum", check=_keeps_one_axis)
        found = matcher.match(op("Div", exponential, total), node.outputs[0])
        if found is None:
            continue
        known = graph.type_of(found["x"])
        if known is None or known.shape is None:
            return None
        axes = {_axis(graph, matcher.producers[found[k]], len(known.shape)) for k in ("sum", "max") if k in found}
        if len(axes) == 1:
            return Node("Softmax", (found["x"],), node.outputs, {"axis": axes.pop()}, node.name)
    return None


def _axis(graph: Graph, reduction: Node, rank: int) -> int:
    return int(graph.constants[reduction.inputs[1]].reshape(-1)[0]) % rank
