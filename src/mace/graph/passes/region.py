"""Regions of pointwise nodes that become one expression."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mace.graph.expr import Expr, Step
from mace.graph.ir import Graph
from mace.graph.pointwise_table import expression_of

MAX_STEPS = 48
"""Steps of one expression, at most: a kernel that holds more values in registers than there are gains nothing."""


@dataclass(slots=True)
class Wiring:
    """A graph's nodes with who makes and who reads each value."""

    graph: Graph
    producers: dict[str, int]
    consumers: dict[str, set[int]]
    outputs: frozenset[str]

    @classmethod
    def of(cls, graph: Graph) -> Wiring:
        producers = {o: i for i, n in enumerate(graph.nodes) for o in n.outputs if o}
        consumers: dict[str, set[int]] = {}
        for i, node in enumerate(graph.nodes):
            for name in node.reads():
                consumers.setdefault(name, set()).add(i)
        return cls(graph, producers, consumers, frozenset(graph.outputs))

    def only_read_by(self, value: str, readers: Iterable[int]) -> bool:
        """Whether nobody but these nodes sees the value."""
        return value not in self.outputs and self.consumers.get(value, set()) <= set(readers)


def grow(wiring: Wiring, root: int, accept: Callable[[int], bool]) -> list[int]:
    """The root and every node above it that ``accept`` takes and only the region reads; in the order of the graph.

    Since all but the root's value stay inside, the whole region may be computed where the root stands.
    """
    region = {root}
    steps = _steps(wiring.graph, root)
    waiting = [root]
    while waiting:
        current = waiting.pop()
        for value in dict.fromkeys(wiring.graph.nodes[current].inputs):
            index = wiring.producers.get(value)
            if index is None or index in region or not accept(index):
                continue
            if not all(wiring.only_read_by(o, region) for o in wiring.graph.nodes[index].outputs):
                continue
            count = _steps(wiring.graph, index)
            if steps + count > MAX_STEPS:
                continue
            steps += count
            region.add(index)
            # what it reads may have been refused for being read by it too
            waiting.extend(region)
    return sorted(region)


def _steps(graph: Graph, index: int) -> int:
    expr = expression_of(graph.nodes[index], graph.type_of)
    return len(expr.steps) if expr else 1


def leaves(graph: Graph, region: list[int]) -> list[str]:
    """Values the region reads from outside, each once, in the order they are first read."""
    inside = {o for i in region for o in graph.nodes[i].outputs}
    return list(dict.fromkeys(v for i in region for v in graph.nodes[i].inputs if v and v not in inside))


def region_expression(graph: Graph, region: list[int], operands: list[str]) -> Expr | None:
    """One expression for the region's last node over ``operands``, or None when a node has none after all."""
    numbers = {name: i for i, name in enumerate(operands)}
    steps: list[Step] = []
    for index in region:
        node = graph.nodes[index]
        expr = expression_of(node, graph.type_of)
        if expr is None:
            return None
        given = [numbers[i] for i in node.inputs if i]
        start = len(operands) + len(steps)

        def place(a: int, given: list[int] = given, start: int = start, arity: int = expr.arity) -> int:
            return a if a < 0 else given[a] if a < arity else start + a - arity

        steps += [Step(s.op, tuple(place(a) for a in s.args), s.dtype, s.attrs) for s in expr.steps]
        numbers[node.outputs[0]] = place(expr.result)
    result = numbers[graph.nodes[region[-1]].outputs[0]]
    if result != len(operands) + len(steps) - 1:  # the value must be that of the last step
        known = graph.type_of(graph.nodes[region[-1]].outputs[0])
        if known is None:
            return None
        steps.append(Step("Identity", (result,), known.dtype.value))
    return _without_identities(Expr(len(operands), tuple(steps)))


def _without_identities(expr: Expr) -> Expr:
    """The expression without steps that hand their operand through, except where one is the only step."""
    kept: list[Step] = []
    place = {i: i for i in range(expr.arity)}
    place[-1] = -1
    for i, step in enumerate(expr.steps):
        last = i == len(expr.steps) - 1
        through = place[step.args[0]]
        if step.op == "Identity" and not (last and through != expr.arity + len(kept) - 1) and not (last and not kept):
            place[expr.arity + i] = through
            continue
        place[expr.arity + i] = expr.arity + len(kept)
        kept.append(Step(step.op, tuple(place[a] for a in step.args), step.dtype, step.attrs))
    return Expr(expr.arity, tuple(kept))
