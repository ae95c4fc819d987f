"""Expressions as OpenCL C, and the tails of contractions: what is written, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.graph.ir import Node
from mace.graph.pointwise_table import POINTWISE, TAIL_OPS, expression_of, single_step
from mace.ops.expression import NotRenderedError, TailOperand, render_tail, scalar_literal, used
from mace.tensor import DType, TensorType


def test_tail_reads_each_kind_of_operand() -> None:
    """A residual is read at the element, a bias at the channel, a scalar once; known numbers are written out."""
    steps = (Step("Add", (0, 1), "float32"), Step("Add", (5, 2), "float32"), Step("Clip", (6, 3, 4), "float32"))
    tail = render_tail(
        Expr(5, steps),
        "float",
        [
            TailOperand("same", "tail1"),
            TailOperand("channel", "tail2"),
            TailOperand("scalar", "tail3"),
            TailOperand("scalar", "tail4", value=6.0),
        ],
    )
    names = ", ".join(f"__global const float *restrict tail{i}" for i in (1, 2, 3))
    assert tail["TAIL_PARAMS"] == f", {names}"
    text = str(tail["TAIL(r, at, c)"])
    for part in ("TAIL_LOAD(tail1, at)", "TAIL_LOAD(tail2, c)", "LD_float(tail3, 0)", "(TAIL_V)(6.0f)"):
        assert part in text
    assert "tail4" not in text.replace("tail_4", "")
    assert text.startswith("{ ") and text.endswith(" }")


def test_tail_refuses_other_types() -> None:
    """A tail holds one type: comparisons and casts do not fit."""
    expr = Expr(1, (Step("Greater", (0, 0), "bool"),))
    with pytest.raises(NotRenderedError):
        render_tail(expr, "float", [])
    with pytest.raises(NotRenderedError):
        render_tail(Expr(1, (Step("Cast", (0,), "float16"),)), "float", [])


@pytest.mark.parametrize("op", sorted(TAIL_OPS))
def test_every_tail_operator_can_be_written(op: str) -> None:
    """What the fusing pass may put into a tail has an OpenCL form there."""
    rule = POINTWISE[op]
    count = max(rule.least, 2 if rule.most is None else rule.least)
    expr = Expr(count, (Step(op, tuple(range(count)), "float32"),))
    operands = [TailOperand("channel", f"tail{i}") for i in range(1, count)]
    assert "TAIL_V" in str(render_tail(expr, "float", operands)["TAIL(r, at, c)"])


def test_literals_are_exact() -> None:
    """Numbers come back from their literals as they went in."""
    assert scalar_literal("float", 0.1) == "0.1f"
    assert scalar_literal("float", 1e40) == "INFINITY"
    assert scalar_literal("double", 0.1) == "0.1"
    assert scalar_literal("float", float("nan")) == "NAN"
    assert scalar_literal("uchar", -1) == "255u"
    assert scalar_literal("long", -(2**63)) == "(-9223372036854775807l - 1)"
    value = np.float32(np.pi)
    assert np.float32(scalar_literal("float", float(value)).rstrip("f")) == value


def test_unused_operands_are_known() -> None:
    """CastLike's second operand lends its type alone."""
    node = Node("CastLike", ("a", "b"), ("y",))
    expr = single_step(node, [DType.FLOAT32, DType.INT8])
    assert expr is not None and expr.steps[0].dtype == "int8" and used(expr) == (0,)


def test_expressions_of_nodes() -> None:
    """Nodes become expressions where numpy's broadcasting tells all, and only there."""
    types = {
        "x": TensorType(DType.FLOAT32, (2, 3)),
        "s": TensorType(DType.FLOAT32, ()),
        "c": TensorType(DType.FLOAT32, (3,)),
    }
    clip = expression_of(Node("Clip", ("x", "", "s"), ("y",)), types.get)
    assert clip == Expr(2, (Step("Clip", (0, -1, 1), "float32"),))
    assert expression_of(Node("QuantizeLinear", ("x", "s"), ("y",)), types.get) is not None
    assert expression_of(Node("QuantizeLinear", ("x", "c"), ("y",)), types.get) is None
    assert expression_of(Node("Dropout", ("x",), ("y", "mask")), types.get) is None
    assert expression_of(Node("Relu", ("unknown",), ("y",)), types.get) is None
    assert expression_of(Node("Softmax", ("x",), ("y",)), types.get) is None
    assert expression_of(Node("CastLike", ("c", "x"), ("y",)), types.get) is None
