"""A model's graph in a few lines: what it takes and gives, which operators it has, which of them run on the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mace.cli import output
from mace.graph.ir import Graph

if TYPE_CHECKING:
    from mace.conversion.coverage import Coverage


def summarise(graph: Graph, coverage: Coverage) -> dict[str, Any]:
    """A plain record of a graph; ``operators`` counts nodes on the device and on the host. Sizes in bytes."""
    return {
        "name": graph.name,
        "inputs": {name: str(t) for name, t in graph.inputs.items()},
        "outputs": {name: str(graph.type_of(name) or "unknown") for name in graph.outputs},
        "weights_bytes": sum(array.nbytes for array in graph.constants.values()),
        "nodes_on_device": coverage.device,
        "nodes_on_host": coverage.host,
        "operators": {o.op: {"device": o.device, "host": o.host} for o in coverage.operators},
    }


def show(record: dict[str, Any]) -> None:
    """Print the record that :func:`summarise` made."""
    for heading in ("inputs", "outputs"):
        for name, kind in record[heading].items():
            output.line("{}  {}: {}", f"{heading[:-1]:<7}", name, kind)
    output.line("weights  {}", output.size(record["weights_bytes"]))
    operators = record["operators"].items()
    output.line("nodes    {}", ", ".join(f"{n['device'] + n['host']} {op}" for op, n in operators))
    output.line(
        "device   {} of {} nodes", record["nodes_on_device"], record["nodes_on_device"] + record["nodes_on_host"]
    )
    if record["nodes_on_host"]:
        hosted = ", ".join(f"{n['host']} {op}" for op, n in operators if n["host"])
        output.line("run on the host, for want of a kernel: {}", hosted, style="yellow")
