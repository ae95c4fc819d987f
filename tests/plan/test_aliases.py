"""Concat and Split without copies."""

from __future__ import annotations

import numpy as np

from mace.graph.ir import Graph, Node
from mace.plan.options import PlanOptions
from mace.plan.plan import Launch, Plan
from mace.plan.planner import make_plan
from tests.plan.test_planner import graph, traits


def plan_of(nodes: list[Node], channels: dict[str, int], outputs: list[str], spatial: int = 8) -> Plan:
    """A plan for pointwise nodes on N×C×H×W tensors with these channel counts; ``x…`` are the inputs."""
    shapes = {n: (1, c, spatial, spatial) for n, c in channels.items()}
    inputs = {n: s for n, s in shapes.items() if n.startswith("x")}
    types = {n: s for n, s in shapes.items() if n not in inputs}
    made: Graph = graph(nodes, inputs, types, outputs)
    return make_plan(made, traits(vector_width=4), options=PlanOptions(joins_launches=False)).plan


def offsets(plan: Plan, op: str) -> list[int]:
    """Where each launch of an operator writes."""
    return [s.args[-1].offset for s in plan.steps if isinstance(s, Launch) and s.op == op]


def test_parts_of_a_concat_are_written_in_place() -> None:
    """Two branches write side by side, and no launch copies them."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("Exp", ("x",), ("b",)),
        Node("Concat", ("a", "b"), ("c",), {"axis": 1}),
        Node("Relu", ("c",), ("y",)),
    ]
    plan = plan_of(nodes, {"x": 4, "a": 4, "b": 4, "c": 8, "y": 8}, ["y"])
    assert [s.op for s in plan.launches] == ["Relu", "Exp", "Relu"]
    assert offsets(plan, "Exp")[0] == offsets(plan, "Relu")[0] + 4 * 64 * 4


def test_a_value_that_comes_twice_is_copied_once() -> None:
    """The same value cannot lie in two places."""
    nodes = [Node("Relu", ("x",), ("a",)), Node("Concat", ("a", "a"), ("y",), {"axis": 1})]
    plan = plan_of(nodes, {"x": 4, "a": 4, "y": 8}, ["y"])
    assert [s.op for s in plan.launches] == ["Relu", "Concat", "Concat"]


def test_a_value_in_two_concats_is_copied_into_one_of_them() -> None:
    """It lies in the first, and is copied into the second."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("Exp", ("x",), ("b",)),
        Node("Concat", ("a", "b"), ("y",), {"axis": 1}),
        Node("Concat", ("b", "a"), ("z",), {"axis": 1}),
    ]
    plan = plan_of(nodes, {"x": 4, "a": 4, "b": 4, "y": 8, "z": 8}, ["y", "z"])
    assert [s.op for s in plan.launches] == ["Relu", "Exp", "Concat", "Concat"]


def test_chains_of_concats_share_one_memory() -> None:
    """Dense blocks: each concat holds the one before, so nothing is ever copied."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("Exp", ("a",), ("b",)),
        Node("Concat", ("a", "b"), ("c",), {"axis": 1}),
        Node("Sigmoid", ("c",), ("d",)),
        Node("Concat", ("c", "d"), ("y",), {"axis": 1}),
    ]
    plan = plan_of(nodes, {"x": 4, "a": 4, "b": 4, "c": 8, "d": 8, "y": 16}, ["y"])
    assert [s.op for s in plan.launches] == ["Relu", "Exp", "Sigmoid"]


def test_unaligned_parts_are_copied() -> None:
    """A part that would begin at an address no kernel argument may have keeps memory of its own."""
    nodes = [Node("Relu", ("x",), ("a",)), Node("Exp", ("x",), ("b",)), Node("Concat", ("a", "b"), ("y",), {"axis": 1})]
    plan = plan_of(nodes, {"x": 1, "a": 1, "b": 1, "y": 2}, ["y"], spatial=3)
    assert [s.op for s in plan.launches] == ["Relu", "Exp", "Concat"]


def test_pieces_of_a_split_are_read_where_they_are() -> None:
    """Splitting the outermost extent is no launch."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("Split", ("a", "s"), ("b", "c"), {"axis": 1}),
        Node("Add", ("b", "c"), ("y",)),
    ]
    made = graph(
        nodes,
        {"x": (1, 8, 8, 8)},
        {"a": (1, 8, 8, 8), "b": (1, 4, 8, 8), "c": (1, 4, 8, 8), "y": (1, 4, 8, 8)},
        ["y"],
        s=np.array([4, 4], np.int64),
    )
    plan = make_plan(made, traits(vector_width=4), options=PlanOptions(joins_launches=False)).plan
    assert [s.op for s in plan.launches] == ["Relu", "Add"]
