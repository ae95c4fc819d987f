"""A model's graph in a few lines: what it takes and gives, which operators it has, which of them have no kernel."""

from __future__ import annotations

from collections import Counter
from typing import Any

from mace.cli import output
from mace.graph.ir import MACE_DOMAIN, Graph, Node


def summarise(graph: Graph) -> dict[str, Any]:
    """A plain record of a graph, its subgraphs' nodes included. Sizes in bytes."""
    from mace.ops.registry import find

    operators = Counter(_title(n) for n in _nodes(graph))
    return {
        "name": graph.name,
        "inputs": {name: str(t) for name, t in graph.inputs.items()},
        "outputs": {name: str(graph.type_of(name) or "unknown") for name in graph.outputs},
        "operators": dict(operators.most_common()),
        "host_operators": dict(Counter(_title(n) for n in _nodes(graph) if find(n.op, n.domain) is None).most_common()),
        "weights_bytes": sum(array.nbytes for array in graph.constants.values()),
    }


def show(record: dict[str, Any]) -> None:
    """Print the record that :func:`summarise` made."""
    for heading in ("inputs", "outputs"):
        for name, kind in record[heading].items():
            output.line("{}  {}: {}", f"{heading[:-1]:<7}", name, kind)
    output.line("weights  {}", output.size(record["weights_bytes"]))
    output.line("nodes    {}", ", ".join(f"{count} {op}" for op, count in record["operators"].items()))
    if record["host_operators"]:
        hosted = ", ".join(f"{count} {op}" for op, count in record["host_operators"].items())
        output.line("no kernel, run on the host: {}", hosted, style="yellow")


def _nodes(graph: Graph) -> list[Node]:
    return [n for node in graph.nodes for n in (node, *(m for inner in node.subgraphs() for m in _nodes(inner)))]


def _title(node: Node) -> str:
    """The operator's name with its domain, where that is neither ONNX's own nor ours."""
    return node.op if node.domain in ("", MACE_DOMAIN) else f"{node.domain}::{node.op}"
