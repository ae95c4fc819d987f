"""Pointwise operators that read through slices and write into a Concat, and the numbers that come of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.graph.expr import Expr, Step
from mace.graph.ir import Attr, Graph, Node
from mace.plan.options import PlanOptions
from mace.plan.plan import Plan
from mace.plan.planner import make_plan
from tests.plan.test_planner import graph, traits

ROWS = 4420


def constants(**values: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in values.items()}


def cut(source: str, result: str, start: int, end: int, axis: int) -> tuple[Node, dict[str, np.ndarray]]:
    """A Slice along one axis, and its constants."""
    names = tuple(f"{result}_{what}" for what in ("start", "end", "axis"))
    node = Node("Slice", (source, *names), (result,))
    return node, {name: np.array([v]) for name, v in zip(names, (start, end, axis), strict=True)}


def boxes(outputs: tuple[str, ...] = ("y",)) -> Graph:
    """Centres and sizes to corners, as detectors decode their boxes."""
    low, low_constants = cut("x", "centre", 0, 2, 2)
    high, high_constants = cut("x", "size", 2, 4, 2)
    half = Expr(2, (Step("Mul", (0, 1), "float32"),))
    nodes = [
        low,
        high,
        Node("Pointwise", ("size", "c"), ("half",), {"expr": half}, domain="mace"),
        Node("Sub", ("centre", "half"), ("from",)),
        Node("Add", ("centre", "half"), ("to",)),
        Node("Concat", ("from", "to"), ("y",), {"axis": -1}),
    ]
    pair = dict.fromkeys(("centre", "size", "half", "from", "to"), (1, ROWS, 2))
    made = {**low_constants, **high_constants, **constants(c=np.float32(0.5))}
    return graph(nodes, {"x": (1, ROWS, 4)}, {**pair, "y": (1, ROWS, 4)}, list(outputs), **made)


def plan_of(model: Graph, device: dict[str, Any] | None = None, **options: Any) -> Plan:
    return make_plan(model, traits(**(device or {})), options=PlanOptions(joins_launches=False, **options)).plan


def templates(plan: Plan) -> list[str]:
    return [plan.kernels[s.kernel].template for s in plan.launches]


@pytest.mark.parametrize("device", [{}, {"vector_width": 8}, {"kind": "gpu", "vector_width": 4}])
def test_slices_and_the_concat_are_no_launches(device: dict[str, Any]) -> None:
    """Of six nodes three are left: the halves, and each corner where it belongs in the result."""
    assert templates(plan_of(boxes(), device)) == ["pointwise"] * 3


def test_what_somebody_else_wants_is_stored() -> None:
    """A slice that is an output is copied, and then read where it was copied to; so is a corner."""
    assert sorted(templates(plan_of(boxes(("y", "centre"))))) == ["move_strided", *["pointwise"] * 3]
    assert sorted(templates(plan_of(boxes(("y", "to"))))) == ["move_strided", *["pointwise"] * 3]


def test_generic_plans_join_nothing() -> None:
    """They are what a library runs that cannot specialise."""
    assert len(plan_of(boxes(), generic=True).launches) == 7


def rows(width: int, **attrs: Attr) -> Graph:
    """The first ``width`` of a few more columns, squared."""
    low, made = cut("x", "a", 0, width, 1)
    nodes = [low, Node("Mul", ("a", "a"), ("y",), attrs)]
    return graph(nodes, {"x": (ROWS, width + 3)}, {"a": (ROWS, width), "y": (ROWS, width)}, ["y"], **made)


@pytest.mark.parametrize(("width", "joined"), [(1, True), (2, True), (8, True), (3, False), (12, False), (24, True)])
def test_rows_that_leave_lanes_empty_stay_apart(width: int, joined: bool) -> None:
    """A vector holds whole rows of 1, 2, 4 or 8; others would be computed in part one by one, where a copy is not."""
    assert templates(plan_of(rows(width))) == (["pointwise"] if joined else ["move_strided", "pointwise"])


def test_a_contiguous_part_of_a_concat_is_written_in_place_already() -> None:
    """Along the outermost axis a Concat is no launch by itself."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("Exp", ("x",), ("b",)),
        Node("Concat", ("a", "b"), ("y",), {"axis": 0}),
    ]
    model = graph(nodes, {"x": (64, 16)}, {"a": (64, 16), "b": (64, 16), "y": (128, 16)}, ["y"])
    assert [s.op for s in plan_of(model).launches] == ["Relu", "Exp"]


def test_slices_that_are_only_joined_are_copied_once() -> None:
    """Two slices in another order: two copies, not four."""
    low, low_constants = cut("x", "a", 0, 3, 1)
    high, high_constants = cut("x", "b", 3, 8, 1)
    nodes = [low, high, Node("Concat", ("b", "a"), ("y",), {"axis": 1})]
    types = {"a": (ROWS, 3), "b": (ROWS, 5), "y": (ROWS, 8)}
    model = graph(nodes, {"x": (ROWS, 8)}, types, ["y"], **low_constants, **high_constants)
    assert [s.op for s in plan_of(model).launches] == ["Assemble", "Assemble"]


def test_far_neighbours_are_not_read_one_by_one() -> None:
    """A transposed operand would touch a cache line for each element."""
    nodes = [Node("Transpose", ("x",), ("a",), {"perm": (1, 0)}), Node("Neg", ("a",), ("y",))]
    model = graph(nodes, {"x": (64, 96)}, {"a": (96, 64), "y": (96, 64)}, ["y"])
    assert [s.op for s in plan_of(model).launches] == ["Transpose", "Neg"]
