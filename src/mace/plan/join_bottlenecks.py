"""Joins each SeparableConv with the 1 × 1 convolution that only it reads, where running all at once may pay."""

from __future__ import annotations

from mace.graph.ir import MACE_DOMAIN, Graph, Node
from mace.ops.contract.conv_bottleneck import APART, CONV_BOTTLENECK, joined, problem_of
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.conv_separable import inner_tail
from mace.ops.lowering import LowerContext
from mace.plan.pair_convolutions import may_pay
from mace.tensor import DType


def join_bottlenecks(graph: Graph, context: LowerContext, block: int) -> Graph:
    """The graph with such convolutions as BottleneckConv; those it looks at are what ``pair_convolutions`` made."""
    producers, consumers = graph.producers(), graph.consumers()
    replaced: dict[str, Node] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        first = producers.get(node.inputs[0]) if (node.op, node.domain) == ("SeparableConv", MACE_DOMAIN) else None
        if first is None or first.op != "Conv" or first.domain or node.inputs.count(node.inputs[0]) > 1:
            continue
        wide = first.outputs[0]
        if wide not in graph.outputs and consumers.get(wide) == [node] and _may_join(first, node, context, block):
            replaced[node.outputs[0]] = joined(first, node)
            gone.add(wide)
    nodes = [replaced.get(n.outputs[0], n) for n in graph.nodes if n.outputs[0] not in gone]
    return graph.with_(nodes=tuple(nodes)) if gone else graph


def _may_join(first: Node, node: Node, context: LowerContext, block: int) -> bool:
    if any(v and (v not in context.types or context.type(v).dtype is not DType.FLOAT32) for v in first.inputs):
        return False
    constant = all(context.constant(v) is not None for v in first.main_inputs[1:] if v)
    product = ConvProblem.of(first, context)
    if product is None or not constant or context.constant(first.inputs[0]) is not None:
        return False
    # An input of a few channels comes in no blocks, and would first be brought into them.
    if not product.is_product or product.group != 1 or 2 * product.c < block:
        return False
    if inner_tail(first, context, block) is None:
        return False
    problem = problem_of(joined(first, node), context, block)
    return problem is not None and may_pay(CONV_BOTTLENECK, APART, problem, context)
