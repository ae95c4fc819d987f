"""The way back from fused nodes to plain operators, for evaluation, dumps and validation."""

from __future__ import annotations

from collections.abc import Sequence

from mace.graph.expr import Expr
from mace.graph.ir import MACE_DOMAIN, Attr, Graph, Node
from mace.tensor import DType


def unfuse_graph(graph: Graph) -> Graph:
    """The graph with every fused node replaced by the operators it stands for, subgraphs included."""
    if not any(_is_fused(n) or any(n.subgraphs()) for n in graph.nodes):
        return graph
    taken = graph.names()
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.extend(unfuse(_with_plain_subgraphs(node), taken))
    return graph.with_(nodes=tuple(nodes))


def _is_fused(node: Node) -> bool:
    return node.tail is not None or (node.domain == MACE_DOMAIN and node.op == "Pointwise")


def _with_plain_subgraphs(node: Node) -> Node:
    if not any(node.subgraphs()):
        return node
    return node.with_(attrs={k: unfuse_graph(v) if isinstance(v, Graph) else v for k, v in node.attrs.items()})


def unfuse(node: Node, taken: set[str]) -> list[Node]:
    """Plain operators for one node. New value names are added to ``taken``."""
    if node.domain == MACE_DOMAIN and node.op == "Pointwise":
        expr = node.attrs["expr"]
        if not isinstance(expr, Expr):
            raise TypeError(f"{node.name}: expr is no expression")
        return _steps(expr, node.inputs, node.outputs[0], taken)
    tail = node.tail
    if tail is None:
        return [node]
    attrs = {k: v for k, v in node.attrs.items() if k != "tail"}
    inner = _new_name(f"{node.outputs[0]}__main", taken)
    main = node.with_(inputs=node.main_inputs, outputs=(inner,), attrs=attrs)
    return [main, *_steps(tail, (inner, *node.tail_inputs), node.outputs[0], taken)]


def _steps(expr: Expr, operands: Sequence[str], output: str, taken: set[str]) -> list[Node]:
    if not expr.steps:
        return [Node("Identity", (operands[0],), (output,))]
    names = list(operands)
    nodes = []
    for i, step in enumerate(expr.steps):
        target = output if i == len(expr.steps) - 1 else _new_name(f"{output}__{i}", taken)
        attrs: dict[str, Attr] = dict(step.attrs)
        if step.op == "Cast":
            attrs["to"] = DType(step.dtype).onnx_code
        nodes.append(Node(step.op, tuple(names[a] if a >= 0 else "" for a in step.args), (target,), attrs))
        names.append(target)
    return nodes


def _new_name(stem: str, taken: set[str]) -> str:
    name, i = stem, 1
    while name in taken:
        name, i = f"{stem}_{i}", i + 1
    taken.add(name)
    return name
