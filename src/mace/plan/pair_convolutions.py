"""Pairs each depthwise convolution with the 1 × 1 one that alone reads it, where running both at once may pay."""

from __future__ import annotations

from mace.graph.ir import Graph, Node
from mace.ops.contract.conv_problem import ConvProblem
from mace.ops.contract.conv_separable import APART, CONV_SEPARABLE, inner_tail, joined, problem_of
from mace.ops.lowering import LowerContext
from mace.ops.tunable import Params, Problem, Space, choose
from mace.tensor import DType

WORTH_TRYING = 1.3
"""Nodes whose estimate for all at once is so many times that for them apart stay apart, and no tuning joins them."""


def pair_convolutions(graph: Graph, context: LowerContext, block: int) -> Graph:
    """The graph with such pairs as SeparableConv; on CPUs, whose private memory is their cache."""
    if context.device.kind != "cpu" or block not in (4, 8, 16):
        return graph
    producers, consumers = graph.producers(), graph.consumers()
    replaced: dict[str, Node] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        first = producers.get(node.inputs[0]) if node.op == "Conv" and not node.domain else None
        if first is None or first.op != "Conv" or first.domain or node.inputs.count(node.inputs[0]) > 1:
            continue
        between = first.outputs[0]
        if between in graph.outputs or consumers.get(between) != [node]:
            continue
        if _are_pair(first, node, context, block):
            replaced[node.outputs[0]] = joined(first, node)
            gone.add(between)
    nodes = [replaced.get(n.outputs[0], n) for n in graph.nodes if n.outputs[0] not in gone]
    return graph.with_(nodes=tuple(nodes)) if gone else graph


def _are_pair(first: Node, second: Node, context: LowerContext, block: int) -> bool:
    values = (*first.inputs, *second.inputs, *second.outputs)
    if any(v and (v not in context.types or context.type(v).dtype is not DType.FLOAT32) for v in values):
        return False
    parameters = (*first.main_inputs[1:], *second.main_inputs[1:])
    if any(v and context.constant(v) is None for v in parameters) or context.constant(first.inputs[0]) is not None:
        return False
    depthwise, product = ConvProblem.of(first, context), ConvProblem.of(second, context)
    if depthwise is None or product is None or not depthwise.is_depthwise or depthwise.c < block:
        return False
    if not product.is_product or product.group != 1 or inner_tail(first, context, block) is None:
        return False
    problem = problem_of(joined(first, second), context, block)
    assert problem is not None
    return may_pay(CONV_SEPARABLE, APART, problem, context)


def may_pay(space: Space, apart: Params, problem: Problem, context: LowerContext) -> bool:
    """Whether all at once is the choice, or so near to it that tuning may find it to be."""
    if choose(space, problem, context) != apart:
        return True
    device = context.device
    together = (p for p in space.candidates(problem, device) if p != apart)
    best = min((space.cost(p, problem, device) for p in together), default=float("inf"))
    return best <= WORTH_TRYING * space.cost(apart, problem, device)
