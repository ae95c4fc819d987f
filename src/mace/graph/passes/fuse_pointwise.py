"""Joins neighbouring pointwise nodes of one shape into a single ``mace::Pointwise``."""

from __future__ import annotations

from mace.graph.ir import MACE_DOMAIN, Graph, Node
from mace.graph.passes.region import Wiring, grow, leaves, region_expression
from mace.graph.pointwise_table import expression_of
from mace.graph.subgraphs import map_subgraphs
from mace.tensor import TensorType

MAX_OPERANDS = 16
"""Buffers that one generated kernel reads, at most."""


def fuse_pointwise(graph: Graph) -> Graph:
    """Each region of pointwise nodes whose results have one shape and of which only the last is read elsewhere becomes
    one node in the place of that last one. A single node stays the ONNX operator it is."""
    wiring = Wiring.of(graph)
    nodes: list[Node | None] = [map_subgraphs(n, fuse_pointwise) for n in graph.nodes]
    for root in range(len(graph.nodes) - 1, -1, -1):
        if nodes[root] is None or not _is_pointwise(graph, root):
            continue
        shape = _shape(graph, root)

        def accept(index: int, shape: object = shape) -> bool:
            return nodes[index] is not None and _is_pointwise(graph, index) and _shape(graph, index) == shape

        region = grow(wiring, root, accept)
        operands = leaves(graph, region)
        if len(region) < 2 or len(operands) > MAX_OPERANDS:
            continue
        expr = region_expression(graph, region, operands)
        if expr is None:
            continue
        last = graph.nodes[root]
        for index in region:
            nodes[index] = None
        nodes[root] = Node("Pointwise", tuple(operands), last.outputs, {"expr": expr}, last.name, MACE_DOMAIN)
    return graph.with_(nodes=tuple(n for n in nodes if n is not None))


def _is_pointwise(graph: Graph, index: int) -> bool:
    node = graph.nodes[index]
    known = graph.type_of(node.outputs[0])
    if known is None or not _is_fixed(known) or known.dtype.opencl is None:
        return False
    operands = [graph.type_of(i) for i in node.inputs if i]
    if any(t is None or t.shape is None or t.dtype.opencl is None for t in operands):
        return False
    return expression_of(node, graph.type_of) is not None


def _is_fixed(known: TensorType) -> bool:
    """Whether every extent is a number or has a name: two shapes with unknown extents cannot be compared."""
    return not known.container and known.shape is not None and all(d is not None for d in known.shape)


def _shape(graph: Graph, index: int) -> object:
    known = graph.type_of(graph.nodes[index].outputs[0])
    return known.shape if known else None
