"""Fourier transforms as matrix products and convolutions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mace.graph.ir import Graph
from mace.graph.passes.expand_fourier import expand_fourier

DFTS = [
    ("2,6,1", "", "axis", -2, 0, 0),
    ("2,6,1", "", "axis", -2, 0, 1),
    ("2,6,2", "", "axis", -2, 0, 0),
    ("2,6,2", "", "axis", -2, 1, 0),
    ("2,5,4,1", "", "axis", 1, 0, 1),
    ("3,5,4,2", "", "axis", 0, 1, 0),
    ("2,6,1", "9", "axis", 1, 0, 1),
    ("2,6,2", "4", "axis", 1, 0, 0),
    ("2,4,2", "", "axis", 1, 1, 1),
    ("2,4,2", "7", "axis", 1, 1, 1),
]


@pytest.mark.parametrize(("shape", "length", "name", "axis", "inverse", "onesided"), DFTS)
def test_dft(
    shape: str,
    length: str,
    name: str,
    axis: int,
    inverse: int,
    onesided: int,
    graph_of: Callable[..., Graph],
    same_results: Callable[..., None],
) -> None:
    """Real and complex, forward and back, whole and one-sided, cut and filled up, along any axis."""
    extra = f", int64 n = {{{length}}}" if length else ""
    graph = graph_of(
        f"g (float[{shape}] x) => (float y) <int64 {name} = {{{axis}}}{extra}> "
        f"{{ y = DFT<inverse={inverse}, onesided={onesided}>(x, {'n' if length else ''}, {name}) }}"
    )
    expanded = expand_fourier(graph)
    assert all(n.op != "DFT" for n in expanded.nodes)
    same_results(graph, expanded, rtol=1e-4, atol=1e-5)


STFTS = [
    ("2,40,1", "x, step, window", 1),
    ("2,40,1", "x, step, window", 0),
    ("2,40,1", "x, step, , length", 1),
    ("1,40,2", "x, step, window, length", 0),
]


@pytest.mark.parametrize(("shape", "inputs", "onesided"), STFTS)
def test_stft(
    shape: str, inputs: str, onesided: int, graph_of: Callable[..., Graph], same_results: Callable[..., None]
) -> None:
    """With a window that is only known when it runs, with a length alone, of a complex signal."""
    graph = graph_of(
        f"g (float[{shape}] x, float[8] window) => (float y) <int64 step = {{3}}, int64 length = {{8}}> "
        f"{{ y = STFT<onesided={onesided}>({inputs}) }}"
    )
    expanded = expand_fourier(graph)
    assert all(n.op != "STFT" for n in expanded.nodes)
    same_results(graph, expanded, rtol=1e-4, atol=1e-5)


def test_what_stays(graph_of: Callable[..., Graph]) -> None:
    """A transform too long for a matrix, and an extent that has no number yet."""
    long = graph_of("g (float[1,4000,1] x) => (float y) { y = DFT(x) }")
    symbolic = graph_of("g (float[1,n,1] x) => (float y) { y = DFT(x) }")
    for graph in (long, symbolic):
        assert [n.op for n in expand_fourier(graph).nodes] == ["DFT"]
