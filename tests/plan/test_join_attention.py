"""Attention chains that planning joins, and what their operands are views of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.graph.ir import Graph, Node
from mace.ops.lowering import LowerContext
from mace.ops.strides import reshaped, row_major
from mace.plan.views import View, view_of
from tests.plan.test_planner import graph, plan_apart, traits

HEADS, TOKENS, SIZE = 2, 24, 16
WIDTH = HEADS * SIZE


def net(softmax_axis: int = -1, outputs: tuple[str, ...] = ("y",)) -> Graph:
    """Self-attention over one tensor that holds queries, keys and values, as frameworks export it."""
    scale = Expr(2, (Step("Mul", (0, 1), "float32"),))
    split = {"perm": (0, 2, 1, 3)}
    nodes = [Node("Split", ("x",), ("q0", "k0", "v0"), {"axis": 2, "num_outputs": 3})]
    for name, attrs in (("q", split), ("k", {"perm": (0, 2, 3, 1)}), ("v", split)):
        nodes.append(Node("Reshape", (f"{name}0", "shape"), (f"{name}1",)))
        nodes.append(Node("Transpose", (f"{name}1",), (name,), attrs))
    nodes += [
        Node("MatMul", ("q", "k", "c"), ("scores",), {"tail": scale}),
        Node("Softmax", ("scores",), ("weights",), {"axis": softmax_axis}),
        Node("MatMul", ("weights", "v"), ("mixed",)),
        Node("Transpose", ("mixed",), ("back",), split),
        Node("Reshape", ("back", "flat"), ("y",)),
    ]
    rows, heads, square = (1, TOKENS, WIDTH), (1, HEADS, TOKENS, SIZE), (1, HEADS, TOKENS, TOKENS)
    types = dict.fromkeys(("q0", "k0", "v0", "y"), rows) | dict.fromkeys(("q", "v", "mixed"), heads)
    types |= dict.fromkeys(("q1", "k1", "v1", "back"), (1, TOKENS, HEADS, SIZE))
    types |= {"k": (1, HEADS, SIZE, TOKENS), "scores": square, "weights": square}
    constants = {
        "c": np.float32(0.25),
        "shape": np.array((1, TOKENS, HEADS, SIZE)),
        "flat": np.array(rows),
    }
    constants = {n: np.asarray(a) for n, a in constants.items()}
    return graph(nodes, {"x": (1, TOKENS, 3 * WIDTH)}, types, list(outputs), **constants)


def operators(model: Graph, **device: Any) -> list[str]:
    return [s.op for s in plan_apart(model, traits(**device)).launches]


def test_a_chain_is_joined() -> None:
    """Keys are moved side by side, and one more launch does all the rest: nothing is split or transposed."""
    plan = plan_apart(net())
    assert [plan.kernels[s.kernel].template for s in plan.launches] == ["move_few", "attention"]


@pytest.mark.parametrize(
    ("model", "device"),
    [(net(softmax_axis=2), {}), (net(outputs=("y", "weights")), {}), (net(), {"kind": "gpu", "vector_width": 4})],
    ids=["another axis", "weights wanted", "gpu"],
)
def test_others_stay_apart(model: Graph, device: dict[str, Any]) -> None:
    """A softmax over queries, weights that somebody else wants, devices whose private memory is small."""
    assert "Attention" not in operators(model, **device)
    assert "Softmax" in operators(model, **device)


def test_views() -> None:
    """Each operand is found in the tensor that holds all three; a transposed one swaps its strides."""
    model = net()
    types = {n: t for n in model.names() if (t := model.type_of(n)) is not None}
    row = 3 * WIDTH
    context = LowerContext(types, model.constants, {}, traits())
    found = {v: view_of(v, model.producers(), context) for v in ("q", "k", "v")}
    assert found["q"] == View("x", 0, (TOKENS * row, SIZE, row, 1))
    assert found["k"] == View("x", WIDTH, (TOKENS * row, SIZE, 1, row))
    assert found["v"] == replace(found["q"], offset=2 * WIDTH)


@pytest.mark.parametrize("seed", range(200))
def test_reshaped_views_agree_with_numpy(seed: int) -> None:
    """Strides of a reshaped view are those numpy finds without a copy, and None where it needs one."""
    random = np.random.default_rng(seed)
    dims = tuple(int(d) for d in random.choice((1, 2, 3, 4, 6), 4))
    array = np.empty(tuple(d + int(random.integers(2)) for d in dims), np.int8)[tuple(map(slice, dims))]
    array = array.transpose(random.permutation(4))
    factors = [
        int(f)
        for f in random.permutation([f for d in dims for f in ((2, 2) if d == 4 else (2, 3) if d == 6 else (d,))])
    ]
    cut = int(random.integers(len(factors) + 1))
    shape = (int(np.prod(factors[:cut])), int(np.prod(factors[cut:])))
    ours = reshaped(array.shape, array.strides, shape)
    view = array.view()
    try:
        view.shape = shape
    except AttributeError:
        assert ours is None
    else:
        wanted = [s for d, s in zip(shape, view.strides, strict=True) if d != 1]
        assert ours is not None and [s for d, s in zip(shape, ours, strict=True) if d != 1] == wanted


def test_row_major() -> None:
    """Strides in elements."""
    assert row_major((2, 3, 4)) == (12, 4, 1)
