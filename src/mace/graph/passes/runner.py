"""Runs passes one after the other and, when asked, writes the graph after each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path

from mace.graph.ir import Graph
from mace.graph.passes.semantics import Pass
from mace.graph.text import graph_text


def run_passes(
    graph: Graph,
    passes: Iterable[tuple[str, Pass]],
    *,
    dump: str | PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> Graph:
    """The graph after all passes. ``dump`` is a folder that gets ``NN_pass.txt`` per pass; ``progress`` hears each name."""
    folder = None if dump is None else Path(dump)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "00_import.txt").write_text(graph_text(graph), encoding="utf-8")
    for number, (name, rewrite) in enumerate(passes, 1):
        if progress is not None:
            progress(name)
        graph = rewrite(graph)
        if folder is not None:
            (folder / f"{number:02}_{name}.txt").write_text(graph_text(graph), encoding="utf-8")
    return graph
