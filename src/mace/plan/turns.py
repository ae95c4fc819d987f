"""Loops that run turn by turn: a Loop or Scan whose body has work for the device is a cut in the graph, and its body a graph
with plans of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mace.graph.ir import Graph, Node
from mace.graph.parameters import deciding_inputs
from mace.ops.registry import find
from mace.tensor import DType, TensorType


@dataclass(frozen=True, slots=True)
class Turns:
    """``before`` is nothing: the loop reads only inputs and constants of its graph. ``body`` takes what it captures as further
    inputs, and constants as its own. ``after`` is what remains, the loop's results among its inputs."""

    loop: Node
    body: Graph
    after: Graph


def runs_by_turns(node: Node) -> bool:
    """Whether this is a loop that is worth a plan for its body and can have one.

    It can when no sequence is carried and no shape inside depends on a number that changes from turn to turn, as each value
    would need a plan; a condition has but two.
    """
    if node.domain or node.op not in ("Loop", "Scan"):
        return False
    body = node.attrs.get("body")
    if not isinstance(body, Graph) or _holds_containers(node, body):
        return False
    deciding = (body.inputs[n] for n in deciding_inputs(body, through_conditions=False))
    return all(t.dtype is DType.BOOL for t in deciding) and any(_is_float_work(g, n) for g, n in _nodes(body))


def leading_turns(graph: Graph) -> Turns | None:
    """The first loop that reads only inputs and constants of the graph, taken out of it; None when there is none."""
    given = {*graph.inputs, *graph.constants}
    for position, node in enumerate(graph.nodes):
        body = node.attrs.get("body")
        if isinstance(body, Graph) and runs_by_turns(node) and given.issuperset(node.reads()):
            others = (*graph.nodes[:position], *graph.nodes[position + 1 :])
            return Turns(node, _closed(body, graph), _after(graph, node, others))
    return None


def _closed(body: Graph, outer: Graph) -> Graph:
    """The body without captured names."""
    unknown = TensorType(DType.FLOAT32, None)
    captured = dict.fromkeys(body.captured())
    constants = {n: outer.constants[n] for n in captured if n in outer.constants}
    inputs = {n: outer.type_of(n) or unknown for n in captured if n not in constants}
    return body.with_(
        inputs={**body.inputs, **inputs},
        outputs=tuple(dict.fromkeys(o for o in body.outputs if o not in body.inputs and o not in captured)),
        constants={**body.constants, **constants},
    )


def _after(graph: Graph, loop: Node, nodes: tuple[Node, ...]) -> Graph:
    unknown = TensorType(DType.FLOAT32, None)
    needed = {r for n in nodes for r in n.reads()}
    known = (*graph.inputs, *(o for o in loop.outputs if o))
    made = {o for n in nodes for o in n.outputs}
    return graph.with_(
        inputs={n: graph.type_of(n) or unknown for n in known if n in needed},
        outputs=tuple(o for o in graph.outputs if o in made),
        nodes=nodes,
        constants={k: v for k, v in graph.constants.items() if k in needed},
    )


def _holds_containers(node: Node, body: Graph) -> bool:
    """Whether sequences or optionals go in or out, which only the host knows."""
    values = (*list(body.inputs)[2 if node.op == "Loop" else 0 :], *body.outputs)
    return any((t := body.type_of(v)) is not None and t.container not in ("", "untyped") for v in values)


def _nodes(body: Graph) -> Iterator[tuple[Graph, Node]]:
    for node in body.nodes:
        yield body, node
        for inner in node.subgraphs():
            yield from _nodes(inner)


def _is_float_work(graph: Graph, node: Node) -> bool:
    """Whether a kernel computes floats for this node; a value whose type is not known counts as floats."""
    record = find(node.op, node.domain)
    if record is None or record.metadata_only:
        return False
    known = [graph.type_of(o) for o in node.outputs if o]
    return any(t is None or t.dtype.is_float for t in known)
