"""Loops of known length, written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mace.graph.ir import Graph
from mace.graph.passes import remove_dead
from mace.graph.passes.fold_constants import fold_constants
from mace.graph.passes.unroll_loops import NODE_LIMIT, unroll_loops
from mace.reference.semantics import OnnxSemantics

fold = fold_constants(OnnxSemantics())

SCAN = """g (float[3] s, float[4,3] x, float[3] w) => (float[3] last, float[a,b] all) {{
    last, all = Scan<num_scan_inputs=1{attributes},
        body = b (float[3] state, float[3] part) => (float[3] next, float[3] out) {{
            m = Mul(part, w) next = Add(state, m) out = Neg(next) }}>(s, x)
}}"""

LOOP = """g (float[2] x) => (float[2] last, float[a,b] all) {{
    last, all = Loop(turns, yes, x) <body = b (int64 i, bool go, float[2] v) => (bool on, float[2] next, float[2] out) {{
        f = CastLike(i, v) next = Add(v, f) out = Mul(next, next) on = {end} }}>
}}"""


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        ", scan_input_directions=[1]",
        ", scan_output_directions=[1]",
        ", scan_output_axes=[1]",
        ", scan_output_axes=[-1]",
    ],
)
def test_scan(attributes: str, graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """States are handed on, slices come in either order, results are stacked along any axis, outer values are read."""
    graph = graph_of(SCAN.format(attributes=attributes))
    unrolled = unroll_loops(graph)
    assert all(n.op != "Scan" for n in unrolled.nodes)
    same_results(graph, unrolled)


def test_scan_along_an_inner_axis(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """The axis that is scanned need not be the first."""
    text = SCAN.format(attributes=", scan_input_axes=[1]").replace("float[4,3] x", "float[3,4] x")
    graph = graph_of(text)
    same_results(graph, unroll_loops(graph))


def loop(graph_of: Callable[..., Graph], turns: int = 3, end: str = "Identity(go)") -> Graph:
    return graph_of(LOOP.format(end=end), {"turns": np.int64(turns), "yes": np.array(True)})


def test_loop(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A trip count that is known, and a condition that is only handed on."""
    graph = loop(graph_of)
    unrolled = remove_dead(fold(unroll_loops(graph)))
    assert all(n.op != "Loop" for n in unrolled.nodes)
    same_results(graph, unrolled)


def test_loops_that_stay(graph_of: Callable[..., Graph]) -> None:
    """One that its body may end, and one that would become too many nodes."""
    for graph in (loop(graph_of, end="Less(i, turns)"), loop(graph_of, turns=NODE_LIMIT)):
        assert [n.op for n in unroll_loops(graph).nodes] == ["Loop"]
