"""Folding of batch norms and constant factors and summands into contractions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mace.graph.ir import Graph
from mace.graph.passes.fold_affine import fold_affine
from mace.graph.passes.fold_constants import infer_types
from mace.reference.semantics import OnnxSemantics

_types = infer_types(OnnxSemantics())
_rng = np.random.default_rng(3)


def _f(*shape: int) -> np.ndarray:
    return _rng.standard_normal(shape).astype(np.float32)


def _norm(channels: int) -> dict[str, np.ndarray]:
    return {"s": _f(channels), "b": _f(channels), "m": _f(channels), "v": np.abs(_f(channels)) + 0.5}


CASES = {
    "conv": ("Conv<group=2>(x, w)", {"w": _f(6, 2, 3, 3)}, "float[2,4,7,7]", 6),
    "conv_bias": ("Conv(x, w, c)", {"w": _f(5, 4, 1, 1), "c": _f(5)}, "float[2,4,3,3]", 5),
    "transposed": ("ConvTranspose<group=2>(x, w)", {"w": _f(4, 3, 2, 2)}, "float[1,4,5,5]", 6),
    "gemm": ("Gemm<transB=1, beta=0.5, alpha=2.0>(x, w, c)", {"w": _f(5, 4), "c": _f(5)}, "float[3,4]", 5),
    "gemm_row": ("Gemm(x, w, c)", {"w": _f(4, 5), "c": _f(1, 5)}, "float[3,4]", 5),
}


@pytest.mark.parametrize("name", CASES)
def test_batch_norm_disappears(name: str, graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A batch norm and what is multiplied and added after it go into weights and bias."""
    call, constants, source, channels = CASES[name]
    column = (channels, 1, 1) if "Conv" in call else (channels,)
    graph = graph_of(
        f"""g ({source} x) => (float[p] y) {{
            a = {call}
            n = BatchNormalization(a, s, b, m, v)
            o = Mul(n, k)
            q = Sub(d, o)
            y = Relu(q)
        }}""",
        {**constants, **_norm(channels), "k": _f(*column), "d": _f(*column)},
    )
    folded = fold_affine(_types(graph))
    assert [n.op for n in folded.nodes] == [call.split("(")[0].split("<")[0], "Relu"]
    same_results(graph, folded, rtol=1e-4)


def test_matmul_takes_a_scale(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A constant factor after a matrix product goes into its constant operand."""
    graph = graph_of(
        "g (float[2,3,4] x) => (float[p] y) { a = MatMul(x, w) y = Mul(a, k) }", {"w": _f(4, 5), "k": _f(5)}
    )
    folded = fold_affine(_types(graph))
    assert [n.op for n in folded.nodes] == ["MatMul"]
    same_results(graph, folded)


def test_lonely_chain_is_one_mul_and_add(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """Without a contraction before it, a chain of norms and scales is one Mul and one Add."""
    graph = graph_of(
        "g (float[2,3,4,4] x) => (float[p] y) { n = BatchNormalization(x, s, b, m, v) o = Mul(n, k) y = Add(o, d) }",
        {**_norm(3), "k": _f(3, 1, 1), "d": _f(1, 3, 1, 1)},
    )
    folded = fold_affine(_types(graph))
    assert [n.op for n in folded.nodes] == ["Mul", "Add"]
    same_results(graph, folded)


def test_shared_result_is_left_alone(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A convolution whose result others read keeps its weights."""
    graph = graph_of(
        "g (float[1,2,4,4] x) => (float[p] y, float[q] z) { a = Conv(x, w) y = Mul(a, k) z = Relu(a) }",
        {"w": _f(3, 2, 1, 1), "k": _f(3, 1, 1)},
    )
    folded = fold_affine(_types(graph))
    assert sorted(n.op for n in folded.nodes) == ["Conv", "Mul", "Relu"]
    same_results(graph, folded)


def test_constant_that_widens_is_left_alone(graph_of: Callable[..., Graph], same_results: Callable[..., None]) -> None:
    """A factor that broadcasts the result to a larger shape is no scale."""
    graph = graph_of(
        "g (float[1,1,4,4] x) => (float[p] y) { a = Conv(x, w) y = Mul(a, k) }", {"w": _f(1, 1, 1, 1), "k": _f(3, 1, 1)}
    )
    same_results(graph, fold_affine(_types(graph)))


def test_training_mode_is_left_alone(graph_of: Callable[..., Graph]) -> None:
    """A batch norm that would compute its own statistics is not folded."""
    graph = graph_of(
        "g (float[2,3,4,4] x) => (float[p] y) { y, r1, r2 = BatchNormalization<training_mode=1>(x, s, b, m, v) }",
        _norm(3),
    )
    assert [n.op for n in fold_affine(_types(graph)).nodes] == ["BatchNormalization"]
