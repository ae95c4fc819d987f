"""The standard passes with onnx's semantics: what a converted model and a bound one both go through."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike

from mace.graph.ir import Graph
from mace.graph.passes import run_passes, standard_passes
from mace.reference.semantics import OnnxSemantics


def optimise(
    graph: Graph, *, dump: str | PathLike[str] | None = None, progress: Callable[[str], None] | None = None
) -> Graph:
    """The graph after the standard passes (see ``mace.graph.passes``). Safe with symbolic dimensions and repeatable."""
    return run_passes(graph, standard_passes(OnnxSemantics()), dump=dump, progress=progress)
