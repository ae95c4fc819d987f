"""Fusion of pointwise regions, alone and behind contractions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mace.graph.ir import Graph
from mace.graph.passes.fold_constants import infer_types
from mace.graph.passes.fuse_pointwise import fuse_pointwise
from mace.graph.passes.fuse_tail import fuse_tail
from mace.graph.text import expr_text
from mace.graph.unfuse import unfuse_graph
from mace.reference.semantics import OnnxSemantics

_types = infer_types(OnnxSemantics())
_rng = np.random.default_rng(3)


def _f(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


def test_diamond_becomes_one_node(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """x · sigmoid(x), where x is computed too, is one expression."""
    graph = _types(
        graph_of("g (float[2,3] a, float[3] b) => (float[p] y) { x = Add(a, b) s = Sigmoid(x) y = Mul(x, s) }")
    )
    fused = fuse_pointwise(graph)
    assert [n.op for n in fused.nodes] == ["Pointwise"]
    assert fused.nodes[0].inputs == ("a", "b")
    same_results(graph, fused)
    same_results(graph, _types(fused))
    same_results(graph, unfuse_graph(fused))


def test_other_shapes_end_a_region(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A value of a smaller shape is computed once, not again for each element it is broadcast to."""
    graph = _types(
        graph_of("g (float[2,3] a, float[3] b) => (float[p] y) { e = Exp(b) f = Neg(e) x = Add(a, f) y = Relu(x) }")
    )
    fused = fuse_pointwise(graph)
    assert [expr_text(n.attrs["expr"]) for n in fused.nodes] == ["Neg(Exp($0))", "Relu(Add($0, $1))"]
    same_results(graph, fused)


def test_types_may_change_inside(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """Comparisons, Where and Cast join a region."""
    graph = _types(
        graph_of(
            """g (float[2,3] a, float[2,3] b) => (float[p] y) {
                c = Less(a, b)
                d = Where(c, a, zero)
                i = Cast<to=6>(d)
                y = Cast<to=1>(i)
            }""",
            {"zero": np.float32(0)},
        )
    )
    fused = fuse_pointwise(graph)
    assert len(fused.nodes) == 1
    same_results(graph, fused)


def test_graph_outputs_stay(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A value that is a graph output is not swallowed."""
    graph = _types(graph_of("g (float[2,3] a) => (float[p] x, float[q] y) { x = Exp(a) y = Neg(x) }"))
    fused = fuse_pointwise(graph)
    assert len(fused.nodes) == 2
    same_results(graph, fused)


def test_residual_goes_into_the_later_convolution(
    graph_of: Callable[..., Graph], same_results: Callable[..., None]
) -> None:
    """The sum of two convolutions and what follows is the tail of the one computed last."""
    graph = _types(
        graph_of(
            """g (float[n,2,4,4] x) => (float[p] y, float[q] z) {
                l = Conv(x, w)
                r = Conv(x, v)
                s = Add(r, l)
                y = Clip(s, low, high)
                z = Relu(x)
            }""",
            {"w": _f(3, 2, 1, 1), "v": _f(3, 2, 1, 1), "low": np.float32(0), "high": np.float32(6)},
        )
    )
    fused = fuse_tail(graph)
    tailed = [n for n in fused.nodes if n.tail]
    assert [n.inputs for n in tailed] == [("x", "v", "l", "low", "high")]
    same_results(graph, fused, n=2)
    same_results(graph, _types(fused), n=2)


def test_operands_of_the_tail_may_be_computed_late(
    graph_of: Callable[..., Graph], same_results: Callable[..., None]
) -> None:
    """The fused node stands behind an operand that is computed after the convolution."""
    graph = _types(
        graph_of(
            """g (float[1,2,4,4] x) => (float[p] y) {
                c = Conv(x, w)
                t = Transpose<perm=[0,1,3,2]>(x)
                e = Add(t, x)
                y = Add(c, e)
            }""",
            {"w": _f(2, 2, 1, 1)},
        )
    )
    fused = fuse_tail(graph)
    assert "Conv" in [n.op for n in fused.nodes if n.tail]
    same_results(graph, fused)


def test_broadcast_operands_stay_outside(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A computed scale per channel, as squeeze-and-excite has, is no operand of a tail."""
    graph = _types(
        graph_of(
            "g (float[2,2,4,4] x, float[2,3,1,1] k) => (float[p] y) { c = Conv(x, w) y = Mul(c, k) }",
            {"w": _f(3, 2, 1, 1)},
        )
    )
    assert not [n for n in fuse_tail(graph).nodes if n.tail]


def test_matrix_product_takes_bias_and_activation(
    graph_of: Callable[..., Graph], same_results: Callable[..., None]
) -> None:
    """A bias over the last dimension and a GELU of it become the tail of a MatMul."""
    graph = _types(
        graph_of(
            "g (float[2,3,4] x) => (float[p] y) { m = MatMul(x, w) a = Add(b, m) y = Gelu(a) }",
            {"w": _f(4, 5), "b": _f(5)},
        )
    )
    fused = fuse_tail(graph)
    assert [n.op for n in fused.nodes] == ["MatMul"]
    same_results(graph, fused)


def test_tails_grow_when_run_again(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A contraction that has a tail already takes what follows it."""
    graph = _types(
        graph_of(
            "g (float[1,2,4,4] x, float[a,b,c,d] r) => (float[p] y) { c = Conv(x, w) e = Relu(c) f = Add(e, r) y = Abs(f) }",
            {"w": _f(3, 2, 1, 1)},
        )
    )
    once = fuse_tail(graph)
    from mace.tensor import DType, TensorType

    bound = _types(once.with_(inputs={**once.inputs, "r": TensorType(DType.FLOAT32, (1, 3, 4, 4))}))
    twice = fuse_tail(bound)
    assert [n.op for n in once.nodes] == ["Conv", "Add", "Abs"]
    assert [n.op for n in twice.nodes] == ["Conv"]
    same_results(graph.with_(inputs=bound.inputs), twice)
