"""Passes that remove, merge, move and recognise nodes."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
import pytest

from mace.graph import passes as p
from mace.graph.ir import Graph
from mace.graph.passes.fold_constants import fold_constants, infer_types
from mace.graph.passes.fold_pads import fold_pads
from mace.graph.passes.hoist_constants import hoist_constants
from mace.graph.passes.inline_branches import inline_branches
from mace.graph.passes.merge_reshapes import merge_reshapes
from mace.graph.passes.merge_slices import merge_slices
from mace.graph.passes.merge_transposes import merge_transposes
from mace.graph.passes.recognise_gelu import recognise_gelu
from mace.graph.passes.recognise_norm import recognise_norm
from mace.graph.passes.recognise_softmax import recognise_softmax
from mace.graph.passes.remove_dead import remove_dead
from mace.graph.passes.remove_noops import remove_noops
from mace.graph.passes.share_common import share_common
from mace.reference.optimise import optimise
from mace.reference.semantics import OnnxSemantics

_types = infer_types(OnnxSemantics())
_rng = np.random.default_rng(3)


def _f(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


def _ops(graph: Graph) -> list[str]:
    return [n.op for n in graph.nodes]


def test_noops_go(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """What hands its input through is removed, also in front of a graph output."""
    graph = _types(
        graph_of(
            """g (float[2,3] x) => (float[p] y) {
                a = Identity(x)
                b = Cast<to=1>(a)
                c = Transpose<perm=[0,1]>(b)
                d = Dropout(c)
                e = Reshape(d, s)
                f = Relu(e)
                g2 = Slice(f, zero, big)
                h = Concat<axis=0>(g2)
                y = Identity(h)
            }""",
            {"s": np.array([2, 3]), "zero": np.array([0, 0]), "big": np.array([9, 9])},
        )
    )
    done = remove_noops(graph)
    assert _ops(done) == ["Relu"]
    same_results(graph, done)


def test_input_handed_out_keeps_its_identity(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A graph output that is an input stays an Identity."""
    graph = _types(graph_of("g (float[2] x) => (float[2] y) { y = Identity(x) }"))
    same_results(graph, remove_noops(graph))
    assert _ops(remove_noops(graph)) == ["Identity"]


def test_transposes_merge(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """Two transposes are one; those that undo each other vanish; moving extents of one is a Reshape."""
    graph = _types(
        graph_of(
            """g (float[2,3,4] x, float[2,1,5] u) => (float[p] y, float[q] z, float[r] w) {
                a = Transpose<perm=[2,0,1]>(x)
                b = Transpose<perm=[1,2,0]>(a)
                y = Neg(b)
                z = Transpose<perm=[0,2,1]>(a)
                w = Transpose<perm=[0,2,1]>(u)
            }"""
        )
    )
    done = remove_dead(remove_noops(merge_transposes(graph)))
    assert _ops(done) == ["Neg", "Transpose", "Reshape"]
    same_results(graph, done)


def test_reshapes_merge(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A Reshape that fixes its result by itself reads past other reshapes."""
    graph = _types(
        graph_of(
            "g (float[2,3,4] x) => (float[p] y) { a = Flatten(x) b = Unsqueeze(a, ax) y = Reshape(b, s) }",
            {"ax": np.array([0]), "s": np.array([-1, 6])},
        )
    )
    done = remove_dead(merge_reshapes(graph))
    assert _ops(done) == ["Reshape"]
    same_results(graph, done)


def test_common_nodes_are_shared(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """Equal nodes over equal constants are computed once; different attributes are told apart."""
    graph = _types(
        graph_of(
            """g (float[2,3] x) => (float[p] y) {
                a = Add(x, k1) b = Add(x, k2) c = Mul(a, b)
                d = LeakyRelu<alpha=0.1>(c) e = LeakyRelu<alpha=0.2>(c)
                y = Sub(d, e)
            }""",
            {"k1": np.float32(1), "k2": np.float32(1)},
        )
    )
    done = remove_dead(share_common(graph))
    assert _ops(done) == ["Add", "Mul", "LeakyRelu", "LeakyRelu", "Sub"]
    same_results(graph, done)


@pytest.mark.parametrize(
    ("pool", "left"),
    [
        ("Conv<pads=[1,0,0,0]>(d, w)", ["Conv"]),
        ("AveragePool<kernel_shape=[2,2]>(d)", ["AveragePool"]),
        ("AveragePool<kernel_shape=[2,2], pads=[1,1,1,1]>(d)", ["Pad", "AveragePool"]),
        ("MaxPool<kernel_shape=[2,2]>(d)", ["Pad", "MaxPool"]),
        ('Conv<auto_pad="SAME_UPPER">(d, w)', ["Pad", "Conv"]),
    ],
)
def test_pads_fold(
    pool: str, left: list[str], graph_of: Callable[..., Graph], same_results: Callable[..., None]
) -> None:
    """Zero padding goes into the window where it means the same."""
    graph = _types(
        graph_of(
            f"g (float[1,2,5,5] x) => (float[p] y) {{ d = Pad(x, pads) y = {pool} }}",
            {"pads": np.array([0, 0, 1, 2, 0, 0, 1, 0]), "w": _f(3, 2, 2, 2)},
        )
    )
    done = remove_dead(fold_pads(graph))
    assert _ops(done) == left
    same_results(graph, done)


def test_known_branch_is_inlined(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """An If on a constant is replaced by its branch, whose names may be taken outside."""
    graph = graph_of(
        """g (float[2] x) => (float[2] z) {
            b = Neg(x)
            y = If(c) <then_branch = t () => (float[2] a) { d = Exp(x) a = Add(d, b) },
                       else_branch = e () => (float[2] b2) { b2 = Neg(x) }>
            d2 = Abs(y)
            z = Add(d2, b)
        }""",
        {"c": np.array(True)},
    )
    done = inline_branches(graph)
    assert "If" not in _ops(done)
    same_results(graph, done)


def test_subgraph_constants_are_hoisted(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """Constants of both branches end in the outer graph under names of their own."""
    graph = graph_of(
        """g (bool c, float[2] x) => (float[2] y) {
            y = If(c) <then_branch = t () => (float[2] a) { k = Constant<value = float[2] {1,2}>() a = Add(x, k) },
                       else_branch = e () => (float[2] b) { k = Constant<value = float[2] {3,4}>() b = Mul(x, k) }>
        }"""
    )
    done = hoist_constants(graph)
    assert len(done.constants) == 2
    assert all(not g.constants for n in done.nodes for g in n.subgraphs())
    same_results(graph, done)


GELU = {
    "erf": ("e = Erf(r) f = Add(e, one) g2 = Mul(x, f) y = Mul(g2, half)", "r = Div(x, root)", {}),
    "erf_first_half": ("e = Erf(r) f = Add(one, e) h = Mul(half, x) y = Mul(h, f)", "r = Mul(x, inverse)", {}),
    "tanh": (
        "q = Mul(k, c3) s = Add(x, q) t = Mul(s, scale) u = Tanh(t) f = Add(u, one) h = Mul(x, half) y = Mul(h, f)",
        "c3 = Pow(x, three)",
        {"approximate": "tanh"},
    ),
}


@pytest.mark.parametrize("name", GELU)
def test_gelu_is_recognised(name: str, graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """GELU written out by erf or tanh is one node."""
    body, start, attrs = GELU[name]
    constants = {
        "one": 1,
        "half": 0.5,
        "root": sqrt(2),
        "inverse": sqrt(0.5),
        "k": 0.044715,
        "three": 3,
        "scale": sqrt(2 / pi),
    }
    graph = _types(
        graph_of(
            f"g (float[2,3] x) => (float[p] y) {{ {start} {body} }}", {k: np.float32(v) for k, v in constants.items()}
        )
    )
    done = remove_dead(recognise_gelu(graph))
    assert _ops(done) == ["Gelu"]
    assert dict(done.nodes[0].attrs) == attrs
    same_results(graph, done)


@pytest.mark.parametrize("affine", ["y = Identity(n)", "y = Mul(n, w)", "m2 = Mul(w, n) y = Add(m2, b)"])
@pytest.mark.parametrize("square", ["Pow(d, two)", "Mul(d, d)"])
def test_layer_norm_is_recognised(
    affine: str, square: str, graph_of: Callable[..., Graph], same_results: Callable[..., None]
) -> None:
    """Layer normalisation written out is one node, with or without scale and shift."""
    graph = _types(
        graph_of(
            f"""g (float[2,5,8] x) => (float[p] y) {{
                m = ReduceMean(x, axes) d = Sub(x, m) s = {square} v = ReduceMean(s, axes)
                e = Add(v, eps) r = Sqrt(e) n = Div(d, r) {affine}
            }}""",
            {"axes": np.array([-1]), "two": np.float32(2), "eps": np.float32(1e-5), "w": _f(8), "b": _f(8)},
        )
    )
    done = remove_dead(remove_noops(recognise_norm(graph)))
    assert _ops(done) == ["LayerNormalization"]
    same_results(graph, done, rtol=1e-4)


def test_rms_norm_is_recognised(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """x / √(mean x² + ε) · w is one node."""
    graph = _types(
        graph_of(
            """g (float[2,5,8] x) => (float[p] y) {
                s = Pow(x, two) v = ReduceMean(s, axes) e = Add(v, eps) r = Sqrt(e) i = Reciprocal(r) n = Mul(x, i) y = Mul(w, n)
            }""",
            {"axes": np.array([2]), "two": np.float32(2), "eps": np.float32(1e-6), "w": _f(8)},
        )
    )
    done = remove_dead(recognise_norm(graph))
    assert _ops(done) == ["RMSNormalization"]
    same_results(graph, done, rtol=1e-4)


def test_softmax_is_recognised(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """Softmax written out with its maximum is one node over the same axis."""
    graph = _types(
        graph_of(
            "g (float[2,5,8] x) => (float[p] y) { m = ReduceMax(x, a) d = Sub(x, m) e = Exp(d) s = ReduceSum(e, a) y = Div(e, s) }",
            {"a": np.array([1])},
        )
    )
    done = remove_dead(recognise_softmax(graph))
    assert _ops(done) == ["Softmax"]
    assert done.nodes[0].attrs == {"axis": 1}
    same_results(graph, done)


def test_dump_writes_each_pass(graph_of: Callable[..., Graph], tmp_path: object) -> None:
    """The folder of a dump holds the graph as text after each pass."""
    from pathlib import Path

    folder = Path(str(tmp_path)) / "dump"
    optimise(graph_of("g (float[2] x) => (float[2] y) { y = Relu(x) }"), dump=folder)
    names = sorted(f.name for f in folder.iterdir())
    assert len(names) == 1 + len(p.standard_passes(OnnxSemantics()))
    assert "y: float32[2] = Relu(x)" in (folder / names[-1]).read_text()


def test_passes_may_run_again(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A second run of all passes changes nothing more."""
    graph = graph_of(
        "g (float[n,2,4,4] x) => (float[p] y) { c = Conv(x, w) b = BatchNormalization(c, s, s, s, s) r = Relu(b) y = Add(r, b) }",
        {"w": _f(2, 2, 1, 1), "s": np.abs(_f(2))},
    )
    once = optimise(graph)
    again = optimise(once)
    assert [(n.op, n.inputs) for n in once.nodes] == [(n.op, n.inputs) for n in again.nodes]
    same_results(graph, again, rtol=1e-4, n=2)


def test_fold_is_used(graph_of: Callable[..., Graph]) -> None:
    """Folding a fused expression over constants works as for plain operators."""
    from mace.graph.passes.fuse_pointwise import fuse_pointwise

    graph = _types(graph_of("g (float[2] x) => (float[2] y) { a = Exp(k) b = Neg(a) y = Add(x, b) }", {"k": _f(2)}))
    fused = fuse_pointwise(graph.with_(nodes=graph.nodes[:2], outputs=("b",)))
    assert _ops(fused) == ["Pointwise"]
    folded = fold_constants(OnnxSemantics())(fused)
    np.testing.assert_allclose(folded.constants["b"], -np.exp(graph.constants["k"]), rtol=1e-6)


def test_slices_of_a_concat_read_its_part(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A part that is cut out of a Concat comes from the input that it was, whole, partly or by steps; not across two."""
    graph = _types(
        graph_of(
            """g (float[n,2,3] a, float[n,5,3] b) => (float[n,p,3] whole, float[n,q,3] some, float[n,r,s] by, float[n,t,3] across) {
                c = Concat<axis=1>(a, b)
                whole = Slice(c, zero, two, one)
                some = Slice(c, minus_four, minus_one, minus_two)
                by = Slice(c, corner, corner_end, last_axes, steps)
                across = Slice(c, one, four, one)
            }""",
            {
                "zero": [0],
                "one": [1],
                "two": [2],
                "four": [4],
                "minus_four": [-4],
                "minus_one": [-1],
                "minus_two": [-2],
                "corner": [3, 0],
                "corner_end": [2**31 - 1, -1],
                "last_axes": [1, 2],
                "steps": [2, 1],
            },
        )
    )
    done = merge_slices(graph)
    assert [n.inputs[0] for n in done.nodes[1:]] == ["a", "b", "b", "c"]
    same_results(graph, done, n=2)


def test_backward_slices_of_a_concat_stay(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """What reverses its input is left alone, and so is one whose borders are not known."""
    graph = _types(
        graph_of(
            """g (float[2] a, float[3] b, int64[1] from) => (float[p] y, float[q] z) {
                c = Concat<axis=0>(a, b)
                y = Slice(c, one, low, zero, minus_one)
                z = Slice(c, from, two)
            }""",
            {"zero": [0], "one": [1], "two": [2], "low": [-9], "minus_one": [-1]},
        )
    )
    done = merge_slices(graph)
    assert [n.inputs[0] for n in done.nodes[1:]] == ["c", "c"]
    same_results(graph, done)


def test_split_that_undoes_a_concat_goes(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """The pieces are the parts again; other pieces stay what they are."""
    graph = _types(
        graph_of(
            """g (float[2,2] a, float[2,3] b) => (float[2,2] y, float[2,3] z, float[2,4] u, float[2,1] v) {
                c = Concat<axis=1>(a, b)
                y, z = Split<axis=-1>(c, same)
                u, v = Split<axis=1>(c, other)
            }""",
            {"same": [2, 3], "other": [4, 1]},
        )
    )
    done = merge_slices(graph)
    assert _ops(done) == ["Concat", "Identity", "Identity", "Split"]
    same_results(graph, done)
