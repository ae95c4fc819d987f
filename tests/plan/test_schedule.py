"""Which calls are done at once, and in which order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mace.graph.ir import Graph, Node
from mace.plan.options import PlanOptions
from mace.plan.plan import HostStep, Region
from mace.plan.planner import make_plan
from mace.plan.schedule import MAX_PARTS
from tests.plan.test_planner import graph, traits

SHAPE = (1, 4, 8, 8)


def net(nodes: list[Node], outputs: list[str], **constants: Any) -> Graph:
    """Pointwise nodes on tensors of one shape; ``x`` is the input."""
    types = {o: SHAPE for n in nodes for o in n.outputs}
    return graph(nodes, {"x": SHAPE}, types, outputs, **constants)


def ops(model: Graph, device: dict[str, Any] | None = None, **options: Any) -> list[str]:
    plan = make_plan(model, traits(**({"vector_width": 4} | (device or {}))), options=PlanOptions(**options)).plan
    return [op for s in plan.steps for op in (["host"] if isinstance(s, HostStep) else s.op.split(", "))]


def branches(count: int) -> Graph:
    """As many operators on the input as there are, and their sum one after the other."""
    kinds = ("Relu", "Exp", "Neg", "Abs", "Sqrt", "Floor", "Ceil", "Tanh", "Sin")[:count]
    nodes = [Node(op, ("x",), (op,)) for op in kinds]
    return net(nodes, list(kinds))


def test_branches_are_one_stage() -> None:
    """Calls that need nothing of one another go together, four at most."""
    assert ops(branches(2)) == ["Relu + Exp"]
    assert ops(branches(MAX_PARTS + 1)) == ["Relu + Exp + Neg + Abs", "Sqrt"]


def test_what_needs_another_comes_after_it() -> None:
    """A chain stays a chain; a branch listed behind it joins as early as its own input allows."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("Softmax", ("a",), ("b",)),
        Node("Exp", ("a",), ("c",)),
        Node("Neg", ("x",), ("d",)),
    ]
    assert ops(net(nodes, ["b", "c", "d"])) == ["Relu + Neg", "Softmax + Exp"]


def test_a_host_step_is_between() -> None:
    """Nothing moves across what the host computes, which reads and writes memory by itself."""
    nodes = [
        Node("Relu", ("x",), ("a",)),
        Node("Bernoulli", ("a",), ("b",)),
        Node("Exp", ("x",), ("c",)),
    ]
    assert ops(net(nodes, ["b", "c"])) == ["Relu", "host", "Exp"]


@pytest.mark.parametrize(
    ("device", "options"),
    [({"kind": "gpu"}, {}), ({}, {"generic": True}), ({}, {"joins_launches": False})],
    ids=["gpu", "generic", "refused"],
)
def test_others_stay_apart(device: dict[str, Any], options: dict[str, Any]) -> None:
    """On devices that run many groups at once anyway, and where it is not wanted."""
    assert ops(branches(2), device, **options) == ["Relu", "Exp"]


def test_long_calls_stay_apart() -> None:
    """Beside a long one the cost of another stage is nothing."""
    nodes = [Node("Conv", ("x", w), (y,), {"pads": (1, 1, 1, 1)}) for w, y in (("v", "a"), ("w", "b"))]
    weights = {n: np.ones((128, 128, 3, 3), np.float32) for n in ("v", "w")}
    big = (1, 128, 28, 28)
    model = graph(nodes, {"x": big}, {"a": big, "b": big}, ["a", "b"], **weights)
    assert [o for o in ops(model, {}, winograd=0) if "Conv" in o] == ["Conv", "Conv"]
    small = graph(nodes, {"x": (1, 128, 8, 8)}, {"a": (1, 128, 8, 8), "b": (1, 128, 8, 8)}, ["a", "b"], **weights)
    assert [o for o in ops(small, {}, winograd=0) if "Conv" in o] == ["Conv + Conv"]


def test_memory_of_what_runs_at_once_is_apart() -> None:
    """What one part reads for the last time is not where another part writes, though one by one it could be."""
    nodes = [
        Node("Softmax", ("x",), ("a",)),
        Node("Softmax", ("a",), ("b",)),
        Node("Exp", ("b",), ("y",)),
        Node("Neg", ("a",), ("z",)),
    ]
    one, several = (
        make_plan(net(nodes, ["y", "z"]), traits(vector_width=4), options=PlanOptions(joins_launches=joins)).plan
        for joins in (False, True)
    )
    assert [s.op for s in several.launches] == ["Softmax, Softmax + Neg, Exp"]
    read, written, read_too, written_too = several.launches[0].args[3:7]
    assert read == read_too
    assert isinstance(read, Region)
    assert isinstance(written, Region)
    assert isinstance(written_too, Region)
    assert len({read.offset, written.offset, written_too.offset}) == 3
    assert one.arena_bytes <= several.arena_bytes
