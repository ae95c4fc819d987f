"""Inference of types and folding of constants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mace.errors import ModelError
from mace.graph.ir import Graph
from mace.graph.passes import remove_dead
from mace.graph.passes.fold_constants import GROWTH_LIMIT, fold_constants, infer_types
from mace.reference.bind import bind_shapes
from mace.reference.semantics import OnnxSemantics

fold = fold_constants(OnnxSemantics())


def test_shape_chain_folds(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """Shape, Gather, Concat and Reshape leave one Reshape by a constant when all dimensions are known."""
    graph = graph_of(
        """g (float[2,3,4] x) => (float[a,b] y) {
            s = Shape(x)
            n = Gather(s, i0)
            u = Unsqueeze(n, axes)
            t = Concat<axis=0>(u, minus)
            y = Reshape(x, t)
        }""",
        {"i0": np.int64(0), "axes": np.array([0]), "minus": np.array([-1])},
    )
    folded = remove_dead(fold(graph))
    assert [n.op for n in folded.nodes] == ["Reshape"]
    assert folded.type_of("y").shape == (2, 12)
    same_results(graph, folded)


def test_symbolic_batch_is_kept(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """Extents that are numbers fold though the batch has only a name, and the name reaches the output."""
    graph = graph_of(
        """g (float[batch,3,4,5] x) => (float[p,q] y, int64[k] z) {
            s = Shape(x)
            n = Gather(s, first)
            t = Concat<axis=0>(n, minus)
            y = Reshape(x, t)
            z = Slice(s, two, nine)
        }""",
        {"first": np.array([0]), "minus": np.array([-1]), "two": np.array([2]), "nine": np.array([9])},
    )
    folded = fold(graph)
    assert folded.type_of("y").shape == ("batch", 60)
    np.testing.assert_array_equal(folded.constants["z"], [4, 5])
    same_results(graph, folded, batch=3)


def test_huge_constants_are_not_made(graph_of: Callable[..., Graph]) -> None:
    """A ConstantOfShape that would swell the model stays a node."""
    graph = graph_of(
        "g (float[1] x) => (float[n] y) { c = ConstantOfShape(n) y = Add(c, x) }", {"n": np.array([GROWTH_LIMIT])}
    )
    assert "ConstantOfShape" in [n.op for n in fold(graph).nodes]


def test_random_numbers_are_not_folded(graph_of: Callable[..., Graph]) -> None:
    """An operator that draws random numbers is run each time, though it has no inputs."""
    graph = graph_of("g (float[1] x) => (float[2] y) { r = RandomNormal<shape=[2]>() y = Add(r, x) }")
    assert [n.op for n in fold(graph).nodes] == ["RandomNormal", "Add"]


def test_folds_inside_subgraphs(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """Branches fold too, with what is known outside."""
    graph = graph_of(
        """g (bool c, float[2,3] x) => (float[2,3] y) {
            y = If(c) <then_branch = t () => (float[2,3] a) { s = Shape(x) f = Cast<to=1>(s)
                           m = ReduceMax<keepdims=0>(f) a = Add(x, m) },
                       else_branch = e () => (float[2,3] b) { b = Neg(x) }>
        }"""
    )
    folded = fold(graph)
    branch = folded.nodes[0].attrs["then_branch"]
    assert isinstance(branch, Graph)
    assert [n.op for n in branch.nodes] == ["Add"]
    same_results(graph, folded)


def test_contradiction_is_an_error(graph_of: Callable[..., Graph]) -> None:
    """A node whose operands cannot go together is refused by name."""
    graph = graph_of("g (float[a] x, float[b] y) => (float[c] z) { z = Add(x, y) }")
    from mace.tensor import DType, TensorType

    broken = graph.with_(inputs={"x": TensorType(DType.FLOAT32, (2,)), "y": TensorType(DType.FLOAT32, (3,))})
    with pytest.raises(ModelError, match="Add 'z'"):
        infer_types(OnnxSemantics())(broken)


def test_a_branch_never_taken_is_not_examined(graph_of: Callable[..., Graph]) -> None:
    """What exporters write for a squeeze of unknown extents: one branch contradicts the extents that decide for the other."""
    graph = graph_of(
        """g (float[1,n,3] x) => (float[?] y) {
            s = Shape(x)
            d = Gather(s, one)
            c = Equal(d, one)
            y = If(c) <then_branch = t () => (float[?] a) { a = Squeeze(x, one) },
                       else_branch = e () => (float[?] b) { b = Neg(x) }>
        }""",
        {"one": np.array([1])},
    )
    assert [n.op for n in bind_shapes(graph, {"x": (1, 4, 3)}).nodes] == ["Neg"]
    assert [n.op for n in bind_shapes(graph, {"x": (1, 1, 3)}).nodes] == ["Squeeze"]
