"""Splits a bound graph where shapes depend on data: what can be planned now, and the rest that must wait for its results."""

from __future__ import annotations

from dataclasses import dataclass

from mace.graph.ir import Graph, Node
from mace.graph.parameters import parameter_inputs
from mace.ops.registry import find
from mace.plan.turns import runs_by_turns
from mace.tensor import DType, TensorType


@dataclass(frozen=True, slots=True)
class Split:
    """``ready`` can be planned; ``rest`` (if any) takes some of its results as inputs."""

    ready: Graph
    rest: Graph | None


def is_static(graph: Graph, value: str) -> bool:
    """Whether the value's element type and shape are known numbers."""
    known = graph.type_of(value)
    return known is not None and known.is_static


def split_ready(graph: Graph) -> Split:
    """Cut the graph before every device operator that waits for a shape or a parameter only known at run time, and before
    every loop whose turns have plans of their own."""
    made: set[str] = set()
    late_values: set[str] = set()
    ready: list[Node] = []
    late: list[Node] = []
    for node in graph.nodes:
        if _waits(graph, node, made, late_values):
            late.append(node)
            late_values.update(o for o in node.outputs if o)
        else:
            ready.append(node)
            made.update(o for o in node.outputs if o)
    if not late:
        return Split(graph, None)
    needed = dict.fromkeys(r for n in late for r in n.reads())
    carried = [v for v in needed if v in made or v in graph.inputs]
    unknown = TensorType(DType.FLOAT32, None)
    rest = graph.with_(
        inputs={v: graph.type_of(v) or unknown for v in carried},
        outputs=tuple(o for o in graph.outputs if o in late_values),
        nodes=tuple(late),
        constants={k: v for k, v in graph.constants.items() if k in needed},
    )
    outputs = dict.fromkeys([*(o for o in graph.outputs if o not in late_values), *(v for v in carried if v in made)])
    return Split(graph.with_(outputs=tuple(outputs), nodes=tuple(ready)), rest)


def _waits(graph: Graph, node: Node, made: set[str], late: set[str]) -> bool:
    reads = list(node.reads())
    if any(r in late for r in reads):
        return True
    if any(p in made for p in parameter_inputs(node)) or runs_by_turns(node):
        return True
    has_kernel = find(node.op, node.domain) is not None
    return has_kernel and any(r in made and not is_static(graph, r) for r in reads)
