"""Einsum as matrix products."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mace.graph.ir import Graph
from mace.graph.passes.expand_einsum import expand_einsum

EQUATIONS = [
    ("ij,jk->ik", "2,3 3,4"),
    ("bij,bjk->bik", "2,3,4 2,4,5"),
    ("bhqd,bhkd->bhqk", "2,3,4,5 2,3,6,5"),
    ("bchw,cdk->bdhwk", "2,3,4,5 3,6,2"),
    ("i,j->ij", "3 4"),
    ("ij,ij->ij", "3,4 3,4"),
    ("i,i->", "4 4"),
    ("ij->ji", "3,4"),
    ("ij->", "3,4"),
    ("ijk->k", "3,4,2"),
    ("ab,bc,cd->ad", "2,3 3,4 4,5"),
    ("abc,ad,be->de", "2,3,4 2,5 3,6"),
    ("...ij,...jk->...ik", "2,1,3,4 1,5,4,2"),
    ("...d,...d->...", "2,3,4 2,1,4"),
    ("bij,jk", "2,3,4 4,5"),
    ("b...,b->...b", "2,3,4 2"),
    ("ij,kj->ik", "1,4 3,4"),
    ("ij,k->i", "3,4 5"),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_same_result(
    equation: str, shapes: str, graph_of: Callable[..., Graph], same_results: Callable[..., None]
) -> None:
    """Contractions, outer products, sums and ellipses, with as many operands as there are, need no Einsum."""
    names = [f"x{i}" for i in range(len(shapes.split()))]
    inputs = ", ".join(f"float[{s}] {n}" for n, s in zip(names, shapes.split(), strict=True))
    graph = graph_of(f'g ({inputs}) => (float y) {{ y = Einsum<equation="{equation}">({", ".join(names)}) }}')
    expanded = expand_einsum(graph)
    assert all(n.op != "Einsum" for n in expanded.nodes)
    same_results(graph, expanded, rtol=1e-4)


def test_what_stays(graph_of: Callable[..., Graph]) -> None:
    """A diagonal, and extents that have no numbers yet."""
    diagonal = graph_of('g (float[3,3] x) => (float[n] y) { y = Einsum<equation="ii->i">(x) }')
    symbolic = graph_of('g (float[a,3] x, float[3,b] w) => (float y) { y = Einsum<equation="ij,jk->ik">(x, w) }')
    for graph in (diagonal, symbolic):
        assert [n.op for n in expand_einsum(graph).nodes] == ["Einsum"]
