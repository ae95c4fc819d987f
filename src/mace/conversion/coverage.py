"""Where a model's nodes can run: on the device or on the host, per operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mace.conversion.support import KnownOperators
from mace.graph.ir import Graph, Node


@dataclass(frozen=True, slots=True)
class OperatorCount:
    """How many nodes of one operator run where."""

    op: str
    device: int
    host: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Nodes per operator, most frequent first. A node counts for the device when a kernel family has its operator and all
    its values have element types that kernels handle; lowering for a concrete shape and device may still refuse it."""

    operators: tuple[OperatorCount, ...]

    @property
    def device(self) -> int:
        return sum(o.device for o in self.operators)

    @property
    def host(self) -> int:
        return sum(o.host for o in self.operators)

    def __str__(self) -> str:
        total = self.device + self.host
        lines = [f"{self.device} of {total} nodes can run on the device"]
        lines += [f"  on the host: {o.host} × {o.op}" for o in self.operators if o.host]
        return "\n".join(lines)


def coverage_of(graph: Graph, known: KnownOperators) -> Coverage:
    """Count the nodes of the graph and of its subgraphs; those that hold subgraphs are not counted themselves."""
    device, host = Counter[str](), Counter[str]()
    for scope, node in _nodes(graph):
        name = f"{node.domain}::{node.op}" if node.domain else node.op
        (device if known(node.op, node.domain) and _fits(scope, node) else host)[name] += 1
    names = sorted({*device, *host}, key=lambda n: (-device[n] - host[n], n))
    return Coverage(tuple(OperatorCount(n, device[n], host[n]) for n in names))


def _nodes(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    for node in graph.nodes:
        inner = list(node.subgraphs())
        if not inner:
            yield graph, node
        for body in inner:
            yield from _nodes(body.with_(types={**graph.types, **graph.inputs, **body.types}))


def _fits(graph: Graph, node: Node) -> bool:
    """Whether kernels handle the element types of all values; one whose type is not known counts as fitting."""
    known = (graph.type_of(v) for v in (*node.inputs, *node.outputs) if v)
    return all(t is None or (not t.container and t.dtype.opencl is not None) for t in known)
